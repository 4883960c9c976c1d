/**
 * Reads what `sluice doctor` has to know of a data directory. Runs in the process of the command; changes nothing in it but
 * that a lock that is free is taken for a moment, which is the only way to know.
 *
 * Always true: it never throws: what cannot be read is a fact, too. A directory in use is looked at from outside only.
 */
import * as fs from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import { OperationalError } from '../base/error.js';
import { RESTORE_MARK } from '../broker/data-file.js';
import { lockDirectory } from '../log/directory-lock.js';
import { FORMAT_FILE } from '../log/log-format.js';
import { readSynced } from '../log/rocksdb-wal-check.js';
import { walFileName } from '../log/rocksdb-wal.js';
import { listSegments, segmentFileName } from '../log/segment-files.js';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../log/segment-format.js';
import { existingShards, readLayout, shardDirectory } from '../shard/layout.js';
import type { DataFacts, ShardFacts } from './doctor-check.js';
import { holderOf } from './doctor-process.js';

/** Looks at `path`. */
export async function readDataFacts(path: string): Promise<DataFacts> {
  const facts = {
    path,
    canBeMade: false,
    owner: undefined,
    user: process.getuid?.(),
    freeBytes: 0,
    isRestoring: false,
    layout: undefined,
    shards: [],
  };
  let status: fs.Stats;
  try {
    status = fs.statSync(path);
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (!isMissing) return { ...facts, state: 'unreadable' };
    return { ...facts, state: 'missing', canBeMade: mayWrite(existingParent(path)) };
  }
  if (!status.isDirectory()) return { ...facts, state: 'no-directory' };
  if (!may(path, fs.constants.R_OK | fs.constants.X_OK)) return { ...facts, state: 'unreadable' };
  if (!mayWrite(path)) return { ...facts, state: 'read-only' };
  const { bavail, bsize } = fs.statfsSync(path);
  const ids = existingShards(path);
  return {
    ...facts,
    state: 'writable',
    owner: process.getuid === undefined ? undefined : status.uid,
    freeBytes: bavail * bsize,
    isRestoring: fs.existsSync(join(path, RESTORE_MARK)),
    layout: layoutOf(path),
    shards: await Promise.all(ids.map((id) => readShard(path, id))),
  };
}

function layoutOf(path: string): number | string | undefined {
  try {
    return readLayout(path);
  } catch (error) {
    return (error as Error).message;
  }
}

async function readShard(dataDir: string, id: number): Promise<ShardFacts> {
  const directory = shardDirectory(dataDir, id);
  const [lock, holder] = await lockOf(directory);
  const format = formatOf(directory);
  let faults: readonly string[];
  try {
    faults = format?.driver === 'segment' ? segmentFaults(directory) : rocksdbFaults(directory);
  } catch (error) {
    faults = [(error as Error).message];
  }
  return { id, format, lock, holder, faults };
}

function formatOf(directory: string): ShardFacts['format'] {
  try {
    const line = fs.readFileSync(join(directory, FORMAT_FILE), 'latin1');
    const [, version, driver] = /^sluice-log (\d+) ([a-z]+)\n$/.exec(line) ?? [];
    return driver === undefined ? undefined : { version: Number(version), driver };
  } catch {
    return undefined;
  }
}

async function lockOf(directory: string): Promise<[ShardFacts['lock'], number | undefined]> {
  const holder = holderOf(join(directory, 'OWNER'));
  if (holder !== undefined) return ['held', holder];
  try {
    (await lockDirectory(directory))();
    return ['free', undefined];
  } catch (error) {
    const isHeld = error instanceof OperationalError && error.code === 'ERR_LOG_LOCKED';
    return [isHeld ? 'held' : 'unknown', undefined];
  }
}

/** What a crash cannot have done: a lost list of files, a write-ahead log shorter than what was on disk of it. */
function rocksdbFaults(directory: string): string[] {
  const names = fs.readdirSync(directory);
  const table = names.find((name) => name.endsWith('.sst'));
  if (table !== undefined && !names.includes('CURRENT')) return [`holds ${table} but no CURRENT file`];
  const synced = readSynced(directory);
  if (synced === undefined) return [];
  const file = walFileName(synced.number);
  const size = fs.statSync(join(directory, file), { throwIfNoEntry: false })?.size ?? synced.byteLength;
  return size >= synced.byteLength ? [] : [`${file} has ${size} bytes; ${synced.byteLength} were on disk`];
}

/** Every segment but the newest was synced with its header. */
function segmentFaults(directory: string): string[] {
  return listSegments(directory)
    .slice(0, -1)
    .map((number) => ({ number, name: segmentFileName(number) }))
    .filter(({ number, name }) => {
      const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
      const fd = fs.openSync(join(directory, name), 'r');
      fs.readSync(fd, bytes, 0, bytes.length, 0);
      fs.closeSync(fd);
      return decodeSegmentHeader(bytes)?.number !== number;
    })
    .map(({ name }) => `${name} does not begin like a segment`);
}

function existingParent(path: string): string {
  let parent = dirname(resolve(path));
  while (!fs.existsSync(parent) && dirname(parent) !== parent) parent = dirname(parent);
  return parent;
}

function mayWrite(path: string): boolean {
  return may(path, fs.constants.W_OK | fs.constants.X_OK);
}

function may(path: string, rights: number): boolean {
  try {
    fs.accessSync(path, rights);
    return true;
  } catch {
    return false;
  }
}
