/**
 * The file of `queues export`: JSON lines, written and read. Runs in the process of the command.
 *
 * Always true: a file is written beside its place and renamed when its last line is on disk; reading needs the memory of one
 * line. A line that is no JSON object is refused with its number. The first line is
 * `{"type":"sluice-queues","version":1,…}`, the last `{"type":"end",…}`.
 */
import { closeSync, createReadStream, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { type CliIo, CommandError, exitCode } from '../io.js';

/** `type` of the first line. */
export const formatName = 'sluice-queues';
/** Version that is written, and the only one that is read. */
export const formatVersion = 1;

/** One line. */
export interface FileLine {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** Writes lines to a file, or to standard output when there is none. */
export class LineWriter {
  readonly #file: string | undefined;
  readonly #io: CliIo;
  readonly #handle: number | undefined;

  constructor(file: string | undefined, io: CliIo) {
    this.#file = file;
    this.#io = io;
    this.#handle = file === undefined ? undefined : open(`${file}.part`);
  }

  line(value: FileLine): void {
    const text = `${JSON.stringify(value)}\n`;
    if (this.#handle === undefined) this.#io.out(text);
    else writeSync(this.#handle, text);
  }

  /** The file is whole: it gets its name. */
  finish(): void {
    if (this.#handle === undefined || this.#file === undefined) return;
    fsyncSync(this.#handle);
    closeSync(this.#handle);
    renameSync(`${this.#file}.part`, this.#file);
  }

  /** The file is not wanted any more. */
  abandon(): void {
    if (this.#handle === undefined || this.#file === undefined) return;
    closeSync(this.#handle);
    rmSync(`${this.#file}.part`, { force: true });
  }
}

/** The lines of a file, one after the other. */
export async function* readLines(file: string): AsyncGenerator<FileLine> {
  const input = createReadStream(file);
  // Not `for await` over the interface: an error of the stream would be lost.
  const failed = new Promise<never>((_, reject) => {
    input.once('error', (error: Error) =>
      reject(new CommandError(exitCode.wrongUse, `${file} cannot be read: ${error.message}`)),
    );
  });
  failed.catch(() => undefined);
  const lines = createInterface({ input, crlfDelay: Infinity })[Symbol.asyncIterator]();
  for (let number = 1; ; number += 1) {
    const next = await Promise.race([lines.next(), failed]);
    if (next.done === true) return;
    if (next.value !== '') yield parseLine(next.value, file, number);
  }
}

function parseLine(text: string, file: string, number: number): FileLine {
  try {
    const value = JSON.parse(text) as unknown;
    if (typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string') {
      return value as FileLine;
    }
  } catch {
    // Said below.
  }
  throw new CommandError(exitCode.failed, `${file} line ${number} is not a line of an export`, {
    hint: 'the file must come from "sluice queues export"',
  });
}

function open(file: string): number {
  try {
    return openSync(file, 'w', 0o600);
  } catch (error) {
    throw new CommandError(exitCode.failed, `${file} cannot be written: ${(error as Error).message}`);
  }
}
