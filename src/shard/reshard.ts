/**
 * Moves queues and rows between shard directories when the number of shards has changed. Shard worker, as a Piscina task of its
 * own, before any shard is opened.
 *
 * Always true: a queue's metadata is written to its new place last and only then removed from the old one; found in both
 * places, the new one is complete and wins. So the move may be cut off anywhere and is simply done again. Rows stay
 * unless their shard is given up (row-move.ts); its directory is renamed before it is deleted, so that none is half there.
 * Cost: copies every record of the queues that move, a few megabytes of memory.
 */
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { packError } from '../base/error.js';
import { lockDirectory } from '../log/directory-lock.js';
import { fsyncDirectory, prepareDirectory } from '../log/log-format.js';
import type { Log, LogBatch, LogDriver } from '../log/log.js';
import { openLog } from '../log/open.js';
import { decodeDefinition } from './control.js';
import { BEING_PLACED, existingShards, shardDirectory, writeLayout } from './layout.js';
import { shardOf } from './placement.js';
import { commit, hasRows, moveRows, synced, unfinishedMove } from './row-move.js';

const COPY_BYTES = 4 * 1024 * 1024;
const COPY_COUNT = 4096;
const RESHARD_MEMORY_BYTES = 32 * 1024 * 1024;
/** What `removeShard` leaves when it is cut off. */
const GIVEN_UP = /^shard-\d+\.removed$/;

/** What the task needs to know. */
export interface ReshardData {
  readonly dataDir: string;
  readonly driver: LogDriver;
  readonly shardCount: number;
}

/** Puts every queue where `shardCount` shards expect it, and rows into one of them; returns how many queues moved. Directories that end up unused are deleted. */
export async function reshard(data: ReshardData): Promise<number> {
  try {
    return await placeQueues(data);
  } catch (error) {
    throw packError(error);
  }
}

async function placeQueues({ dataDir, driver, shardCount }: ReshardData): Promise<number> {
  await checkAll(dataDir, driver);
  // Cut off from here on, the queues lie neither as before nor as wanted: the next start places them whatever it wants.
  writeLayout(dataDir, BEING_PLACED);
  for (const name of readdirSync(dataDir).filter((name) => GIVEN_UP.test(name)))
    rmSync(join(dataDir, name), { recursive: true });
  for (const from of existingShards(dataDir)) await finishRowMove(dataDir, driver, from);
  let moved = 0;
  for (const from of existingShards(dataDir)) {
    const source = await open(dataDir, driver, from);
    try {
      for (const { queueId, meta } of source.queues()) {
        const to = shardOf(decodeDefinition(meta).topicFilter, shardCount);
        if (to === from) continue;
        const target = await open(dataDir, driver, to);
        try {
          await move(source, target, queueId, meta);
        } finally {
          await target.close();
        }
        moved++;
      }
      if (from >= shardCount && hasRows(source)) await moveRowsTo(source, dataDir, driver, from % shardCount);
    } finally {
      await source.close();
    }
    if (from >= shardCount) removeShard(dataDir, from);
  }
  return moved;
}

/** A move of rows that was cut off is finished as it was begun, before its target may be given up in turn. */
async function finishRowMove(dataDir: string, driver: LogDriver, from: number): Promise<void> {
  const source = await open(dataDir, driver, from);
  try {
    const to = unfinishedMove(source);
    if (to !== undefined) await moveRowsTo(source, dataDir, driver, to);
  } finally {
    await source.close();
  }
}

async function moveRowsTo(source: Log, dataDir: string, driver: LogDriver, to: number): Promise<void> {
  const target = await open(dataDir, driver, to);
  try {
    await moveRows(source, target, to);
  } finally {
    await target.close();
  }
}

/** Deletes a directory that holds nothing any more. Cut off, it leaves one that no start takes for a shard. */
function removeShard(dataDir: string, shardId: number): void {
  const directory = shardDirectory(dataDir, shardId);
  renameSync(directory, `${directory}.removed`);
  fsyncDirectory(dataDir);
  rmSync(`${directory}.removed`, { recursive: true });
}

/** What would be refused is refused before the first change: another format or driver, another owner. */
async function checkAll(dataDir: string, driver: LogDriver): Promise<void> {
  const directories = existingShards(dataDir).map((id) => shardDirectory(dataDir, id));
  for (const directory of directories) prepareDirectory(directory, driver);
  for (const directory of directories) (await lockDirectory(directory))();
}

function open(dataDir: string, driver: LogDriver, shardId: number): Promise<Log> {
  return openLog({
    driver,
    directory: shardDirectory(dataDir, shardId),
    memoryBytesMax: RESHARD_MEMORY_BYTES,
  });
}

async function move(source: Log, target: Log, queueId: number, meta: Uint8Array): Promise<void> {
  const batch = target.batch();
  const isComplete = target.queues().some((queue) => queue.queueId === queueId);
  if (!isComplete) {
    // What an earlier attempt left.
    batch.dropQueue(queueId);
    commit(target, batch);
    copyBlocks(source, target, batch, queueId);
    copyKeys(source, target, batch, queueId);
    batch.putQueue(queueId, meta);
    commit(target, batch);
  }
  await synced(target);
  const drop = source.batch();
  drop.dropQueue(queueId);
  commit(source, drop);
  await synced(source);
}

function copyBlocks(source: Log, target: Log, batch: LogBatch, queueId: number): void {
  let from = 0;
  for (;;) {
    const blocks = source.readBlocks(queueId, from, COPY_BYTES);
    if (blocks.length === 0) break;
    for (const { firstOffset, value } of blocks) {
      batch.putBlock(queueId, firstOffset, value);
      from = firstOffset + 1;
    }
    commit(target, batch);
  }
  from = 0;
  for (;;) {
    const summaries = source.readSummaries(queueId, from, COPY_COUNT);
    for (const { firstOffset, value } of summaries) {
      batch.putSummary(queueId, firstOffset, value);
      from = firstOffset + 1;
    }
    commit(target, batch);
    if (summaries.length < COPY_COUNT) return;
  }
}

function copyKeys(source: Log, target: Log, batch: LogBatch, queueId: number): void {
  let after: Uint8Array | undefined;
  for (;;) {
    const keys = source.readKeys(queueId, after, COPY_COUNT);
    for (const { key, offset } of keys) {
      batch.putKey(queueId, key, offset);
      after = key;
    }
    commit(target, batch);
    if (keys.length < COPY_COUNT) return;
  }
}
