/**
 * Ends messages whose time is over although nobody reads them. Shard worker; time is an argument.
 *
 * Always true: messages in flight are left alone; what waits is dropped when its turn comes; what is unread goes here:
 * retention from the front (messages age in order of arrival), Message Expiry by a bounded walk over block summaries,
 * so that counts become right also for a backlog that lies on disk. Nothing is read into block memory for it.
 * Gives up: on disk retention ends whole blocks only; the rest of such a block ends when its turn comes.
 */
import type { LogBatch } from '../log/log.js';
import { BLOCK_HEADER_BYTES, RecordWord, checkBlock, type BlockSummary } from '../log/record-format.js';
import type { QueueHost } from './host.js';
import { encodedSummary } from './ledger.js';
import type { Queue } from './queue.js';
import { isExpired, keyInBytes, publishedAtMs } from './record.js';
import { readSummary } from './stored-summary.js';

/** Records or blocks looked at per call. */
const SLICE_MAX = 2048;
/** When a block in the middle of being read that is not loaded now is looked at again. */
const UNLOADED_RETRY_MS = 10_000;
/** Blocks on disk whose retention is looked at per call. */
const RETENTION_BLOCKS_MAX = 256;

/** Where a walk over a queue's gap goes on, and what it has found so far. */
export interface ExpiryWalk {
  nextOffset: number;
  earliestMs: number;
}

/**
 * One bounded step. Returns the walk to continue with at the next call, or null when the queue is done for now.
 * The batch must be written before the queue reads its log again.
 */
export function expireUnread(
  queue: Queue,
  host: QueueHost,
  batch: LogBatch,
  nowMs: number,
  walk: ExpiryWalk | null,
): ExpiryWalk | null {
  let progress = walk;
  if (progress === null) {
    expireByRetention(queue, host, batch, nowMs);
    if (nowMs < queue.intake.expiryDueMs) return null;
    // What is appended from now on lowers it again; what the walk finds is added at its end.
    queue.intake.expiryDueMs = Number.POSITIVE_INFINITY;
    progress = { nextOffset: queue.backlog.gapStart, earliestMs: expireInMemory(queue, host, nowMs) };
  }
  const { backlog } = queue;
  progress.nextOffset = Math.max(progress.nextOffset, backlog.gapStart);
  if (backlog.hasGap) {
    const page = host.readSummaries(queue.id, progress.nextOffset, SLICE_MAX);
    for (const { firstOffset, value } of page) {
      const summary = readSummary(value);
      progress.nextOffset = firstOffset + (summary?.recordCount ?? 1);
      if (summary === undefined) continue;
      if (summary.expiresEarliestMs > nowMs) {
        progress.earliestMs = Math.min(progress.earliestMs, summary.expiresEarliestMs);
        continue;
      }
      if (summary.expiresLatestMs <= nowMs && queue.lastValue === null) {
        const liveCount = summary.recordCount - summary.ackedCount;
        queue.ledger.add(-liveCount, summary.ackedBytes - summary.recordBytes);
        queue.counters.expired += liveCount;
        batch.deleteBlock(queue.id, firstOffset);
        continue;
      }
      progress.earliestMs = Math.min(
        progress.earliestMs,
        expireRecords(queue, host, batch, firstOffset, summary, nowMs),
      );
    }
    if (page.length === SLICE_MAX) return progress;
  }
  queue.intake.expiryDueMs = Math.min(queue.intake.expiryDueMs, progress.earliestMs);
  return null;
}

function expireByRetention(queue: Queue, host: QueueHost, batch: LogBatch, nowMs: number): void {
  const { backlog } = queue;
  const retentionMs = queue.definition.dataRetentionPeriodMs;
  // Messages age in order of arrival: until the oldest is due nothing has to be looked at, however many queues there are.
  if (retentionMs === Number.POSITIVE_INFINITY || nowMs < queue.retentionDueMs) return;
  for (let i = 0; i < SLICE_MAX; i++) {
    const block = backlog.firstUnread;
    if (block === undefined) break;
    // Not loaded: read only when all of it is over.
    if (block.memoryAt < 0 && nowMs - block.summary.newestMs < retentionMs) {
      queue.retentionDueMs = block.summary.newestMs + retentionMs;
      return;
    }
    if (backlog.seek() !== 'ready') break;
    const recordAt = backlog.block.memoryAt + backlog.at;
    if (!isExpired(host.arena, recordAt, nowMs, retentionMs)) {
      queue.retentionDueMs = publishedAtMs(host.arena, recordAt) + retentionMs;
      return;
    }
    queue.expireUnderCursor();
  }
  if (!backlog.isAtGap) return;
  for (const { firstOffset, value } of host.readSummaries(queue.id, backlog.gapStart, RETENTION_BLOCKS_MAX)) {
    const summary = readSummary(value);
    if (firstOffset >= backlog.committedEnd) return;
    if (summary === undefined) {
      backlog.skipGap(firstOffset + 1);
      continue;
    }
    if (nowMs - summary.newestMs < retentionMs) {
      queue.retentionDueMs = summary.newestMs + retentionMs;
      return;
    }
    if (queue.lastValue === null) {
      const liveCount = summary.recordCount - summary.ackedCount;
      queue.ledger.add(-liveCount, summary.ackedBytes - summary.recordBytes);
      queue.counters.expired += liveCount;
      batch.deleteBlock(queue.id, firstOffset);
    } else {
      expireRecords(queue, host, batch, firstOffset, summary, nowMs);
    }
    backlog.skipGap(firstOffset + summary.recordCount);
  }
}

/** Expires records of unread blocks in memory; returns the earliest expiry that is left there. */
function expireInMemory(queue: Queue, host: QueueHost, nowMs: number): number {
  const { words, f64 } = host.arena;
  let earliestMs = Number.POSITIVE_INFINITY;
  let first = true;
  for (const block of queue.backlog.unread()) {
    // The block under the cursor has records before the cursor that belong to consumers.
    const fromIndex = first ? queue.backlog.index : 0;
    first = false;
    const { summary } = block;
    if (block.deleted) continue;
    if (summary.expiresEarliestMs > nowMs) {
      earliestMs = Math.min(earliestMs, summary.expiresEarliestMs);
      continue;
    }
    if (block.memoryAt < 0) {
      earliestMs = Math.min(earliestMs, nowMs + UNLOADED_RETRY_MS);
      continue;
    }
    let blockEarliestMs = Number.POSITIVE_INFINITY;
    let at = block.memoryAt + BLOCK_HEADER_BYTES;
    for (let index = 0; index < summary.recordCount; index++) {
      const bytes = words[at >> 2] as number;
      const interval = words[(at >> 2) + RecordWord.messageExpiryInterval] as number;
      if (interval !== 0 && index >= fromIndex && !block.isDone(index)) {
        const expiresMs = (f64[(at >> 3) + 4] as number) + interval * 1000;
        if (expiresMs <= nowMs) queue.expireUnreadRecord(block, index, bytes, at);
        else blockEarliestMs = Math.min(blockEarliestMs, expiresMs);
      }
      at += bytes;
    }
    summary.expiresEarliestMs = blockEarliestMs;
    earliestMs = Math.min(earliestMs, blockEarliestMs);
  }
  return earliestMs;
}

/**
 * Expires records of one block on disk by rewriting its summary; returns the earliest expiry that is left in it. A
 * damaged block is left to whoever reads it in its turn.
 */
function expireRecords(
  queue: Queue,
  host: QueueHost,
  batch: LogBatch,
  firstOffset: number,
  summary: BlockSummary,
  nowMs: number,
): number {
  const value = host.readBlock(queue.id, firstOffset);
  if (value === undefined) return Number.POSITIVE_INFINITY;
  try {
    checkBlock(value);
  } catch (error) {
    host.onCorruptBlock(queue.id, firstOffset, error);
    return Number.POSITIVE_INFINITY;
  }
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const retentionMs = queue.definition.dataRetentionPeriodMs;
  const bits = (summary.ackBits ??= new Uint32Array((summary.recordCount + 31) >>> 5));
  let earliestMs = Number.POSITIVE_INFINITY;
  let at = BLOCK_HEADER_BYTES;
  for (let index = 0; index < summary.recordCount; index++) {
    const length = bytes.readUInt32LE(at);
    const interval = bytes.readUInt32LE(at + RecordWord.messageExpiryInterval * 4);
    const publishedMs = bytes.readDoubleLE(at + 32);
    const expiresMs = interval === 0 ? Number.POSITIVE_INFINITY : publishedMs + interval * 1000;
    const isDone = (((bits[index >>> 5] as number) >>> (index & 31)) & 1) === 1;
    if (!isDone && (expiresMs <= nowMs || nowMs - publishedMs >= retentionMs)) {
      bits[index >>> 5] = (bits[index >>> 5] as number) | (1 << (index & 31));
      summary.ackedCount++;
      summary.ackedBytes += length;
      const key = queue.lastValue === null ? '' : keyInBytes(bytes, at);
      queue.expireStored(length, key, firstOffset + index, batch);
    } else if (!isDone) {
      earliestMs = Math.min(earliestMs, expiresMs);
    }
    at += length;
  }
  summary.expiresEarliestMs = earliestMs;
  if (summary.ackedCount === summary.recordCount) batch.deleteBlock(queue.id, firstOffset);
  else batch.putSummary(queue.id, firstOffset, encodedSummary(summary));
  return earliestMs;
}
