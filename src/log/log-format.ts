/**
 * The FORMAT file of a log directory. Runs on the shard worker, only while a log is opened.
 *
 * Always true: it is the first file written into a new directory and never changes, so a directory with data
 * but without FORMAT is damaged, and one with a higher number is refused before anything in it is touched.
 * One line of ASCII: `sluice-log <format number> <driver>\n`.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { OperationalError } from '../base/error.js';
import type { LogDriver } from './log.js';

/** Newest format that this build reads and the one it writes. */
export const LOG_FORMAT = 1;
/** Name of the file inside the log directory. */
export const FORMAT_FILE = 'FORMAT';

const FORMAT_LINE = /^sluice-log (\d{1,9}) ([a-z]+)\n$/;
/** Files that only a used log directory has. */
const DATA_FILE = /^(CURRENT|MANIFEST-\d+|\d+\.(log|sst|seg))$/;

/**
 * Creates the directory with its FORMAT file, or checks the one that is there.
 * Throws ERR_LOG_VERSION (newer format), ERR_LOG_CORRUPT (FORMAT missing or unreadable beside data) and
 * ERR_LOG_OPEN (another driver's directory; cannot be created or read).
 */
export function prepareDirectory(directory: string, driver: LogDriver): void {
  let line: string | undefined;
  try {
    line = readFormat(directory);
  } catch (error) {
    throw new OperationalError(
      'ERR_LOG_OPEN',
      `cannot read ${path.join(directory, FORMAT_FILE)}: ${String(error)}`,
      error,
    );
  }
  if (line !== undefined) {
    checkFormat(directory, driver, line);
    return;
  }
  try {
    fs.mkdirSync(directory, { recursive: true });
    const data = fs.readdirSync(directory).find((name) => DATA_FILE.test(name));
    if (data !== undefined) {
      throw new OperationalError(
        'ERR_LOG_CORRUPT',
        `${directory} holds ${data} but no ${FORMAT_FILE} file; nothing was changed`,
      );
    }
    writeFormat(directory, driver);
  } catch (error) {
    if (error instanceof OperationalError) throw error;
    throw new OperationalError(
      'ERR_LOG_OPEN',
      `cannot create a log in ${directory}: ${String(error)}`,
      error,
    );
  }
}

/** Makes names created in or removed from the directory durable. */
export function fsyncDirectory(directory: string): void {
  const fd = fs.openSync(directory, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function readFormat(directory: string): string | undefined {
  try {
    return fs.readFileSync(path.join(directory, FORMAT_FILE), 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function checkFormat(directory: string, driver: LogDriver, line: string): void {
  const match = FORMAT_LINE.exec(line);
  if (match === null) {
    throw new OperationalError(
      'ERR_LOG_CORRUPT',
      `${path.join(directory, FORMAT_FILE)} is not readable as a format line`,
    );
  }
  const format = Number(match[1]);
  if (format > LOG_FORMAT) {
    throw new OperationalError(
      'ERR_LOG_VERSION',
      `${directory} was written in log format ${format} by a newer Sluice; this one reads up to ${LOG_FORMAT}; nothing was changed`,
    );
  }
  if (match[2] !== driver) {
    throw new OperationalError(
      'ERR_LOG_OPEN',
      `${directory} holds a ${match[2]} log, the driver asked for is ${driver}`,
    );
  }
}

function writeFormat(directory: string, driver: LogDriver): void {
  const temporary = path.join(directory, `${FORMAT_FILE}.tmp`);
  const fd = fs.openSync(temporary, 'w');
  try {
    fs.writeSync(fd, `sluice-log ${LOG_FORMAT} ${driver}\n`);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(temporary, path.join(directory, FORMAT_FILE));
  fsyncDirectory(directory);
  fsyncDirectory(path.dirname(path.resolve(directory)));
}
