/**
 * Moves queues between shard directories when the number of shards has changed. Shard worker, as a Piscina task of its
 * own, before any shard is opened.
 *
 * Always true: a queue's metadata is written to its new place last and only then removed from the old one; found in both
 * places, the new one is complete and wins. So the move may be cut off anywhere and is simply done again.
 * Cost: copies every record of the queues that move, a few megabytes of memory.
 */
import { rmSync } from 'node:fs';
import { packError } from '../base/error.js';
import { lockDirectory } from '../log/directory-lock.js';
import { prepareDirectory } from '../log/log-format.js';
import type { Log, LogBatch, LogDriver } from '../log/log.js';
import { openLog } from '../log/open.js';
import { decodeDefinition } from './control.js';
import { BEING_PLACED, existingShards, shardDirectory, writeLayout } from './layout.js';
import { shardOf } from './placement.js';

const COPY_BYTES = 4 * 1024 * 1024;
const COPY_COUNT = 4096;
const RESHARD_MEMORY_BYTES = 32 * 1024 * 1024;

/** What the task needs to know. */
export interface ReshardData {
  readonly dataDir: string;
  readonly driver: LogDriver;
  readonly shardCount: number;
}

/** Puts every queue where `shardCount` shards expect it; returns how many moved. Directories that end up unused are deleted. */
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
    } finally {
      await source.close();
    }
    if (from >= shardCount) rmSync(shardDirectory(dataDir, from), { recursive: true });
  }
  return moved;
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

function commit(log: Log, batch: LogBatch): void {
  if (batch.operationCount > 0) log.write(batch);
  batch.clear();
}

function synced(log: Log): Promise<void> {
  return new Promise((resolve, reject) => {
    log.sync((error) => (error === null ? resolve() : reject(error)));
  });
}
