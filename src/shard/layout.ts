/**
 * Which shards the data directory was written with. Main thread, at start only.
 *
 *   <data>/layout.json      {"format":1,"shards":4}; 0 shards while queues are being placed anew
 *   <data>/shard-0 … shard-3
 *
 * Always true: `layout.json` is replaced atomically, and names a number only while every queue lies where that number
 * puts it. So a re-sharding that was cut off is begun again at the next start, whatever number that one asks for.
 */
import { closeSync, fsyncSync, openSync, readFileSync, readdirSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '../base/directory.js';
import { OperationalError } from '../base/error.js';

const FORMAT = 1;

/** Number of shards of a directory in which a re-sharding was begun and not finished. */
export const BEING_PLACED = 0;

/** Directory of one shard's log. */
export function shardDirectory(dataDir: string, shardId: number): string {
  return join(dataDir, `shard-${shardId}`);
}

/** Shard ids that have a directory, ascending. */
export function existingShards(dataDir: string): number[] {
  return readdirSync(dataDir)
    .map((name) => /^shard-(\d+)$/.exec(name)?.[1])
    .filter((id) => id !== undefined)
    .map(Number)
    .toSorted((a, b) => a - b);
}

/** Number of shards of the last start, BEING_PLACED, or undefined for a fresh directory. Throws ERR_LAYOUT. */
export function readLayout(dataDir: string): number | undefined {
  try {
    makeDirectory(dataDir);
  } catch (error) {
    throw new OperationalError('ERR_LAYOUT', `data directory ${dataDir} cannot be made`, error);
  }
  let text: string;
  try {
    text = readFileSync(join(dataDir, 'layout.json'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new OperationalError('ERR_LAYOUT', 'layout.json cannot be read', error);
  }
  let layout: unknown;
  try {
    layout = JSON.parse(text);
  } catch (error) {
    throw new OperationalError('ERR_LAYOUT', 'layout.json is not JSON; nothing was changed', error);
  }
  const { format, shards } = (layout ?? {}) as { format?: unknown; shards?: unknown };
  if (format !== FORMAT) {
    throw new OperationalError(
      'ERR_LAYOUT',
      `layout.json has format ${JSON.stringify(format)}, this version reads ${FORMAT}; nothing was changed`,
    );
  }
  if (typeof shards !== 'number' || !Number.isInteger(shards) || shards < BEING_PLACED) {
    throw new OperationalError('ERR_LAYOUT', 'layout.json names no number of shards; nothing was changed');
  }
  return shards;
}

/** Replaces layout.json atomically and durably. */
export function writeLayout(dataDir: string, shards: number): void {
  const path = join(dataDir, 'layout.json');
  try {
    const file = openSync(`${path}.new`, 'w');
    writeSync(file, `${JSON.stringify({ format: FORMAT, shards })}\n`);
    fsyncSync(file);
    closeSync(file);
    renameSync(`${path}.new`, path);
    const directory = openSync(dataDir, 'r');
    fsyncSync(directory);
    closeSync(directory);
  } catch (error) {
    throw new OperationalError('ERR_LAYOUT', 'layout.json cannot be written', error);
  }
}
