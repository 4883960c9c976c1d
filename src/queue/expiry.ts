/**
 * Ends messages whose time is over although nobody reads them. Shard worker; time is an argument.
 *
 * Always true: messages in flight are left alone; what waits is dropped when its turn comes; what is unread goes here:
 * retention from the front (messages age in order of arrival), Message Expiry by a bounded walk over block summaries,
 * so that counts become right also for a backlog that lies on disk.
 */
import type { LogBatch } from '../log/log.js';
import { BLOCK_HEADER_BYTES, RecordWord, checkBlock, decodeSummary } from '../log/record-format.js';
import type { QueueHost } from './host.js';
import { encodedSummary } from './ledger.js';
import type { Queue } from './queue.js';
import { isExpired } from './record.js';

/** Records or blocks looked at per call. */
const SLICE_MAX = 2048;

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
  if (walk === null) expireByRetention(queue, host, nowMs);
  if (walk === null && nowMs < queue.expiryDueMs) return null;
  const progress = walk ?? {
    nextOffset: queue.backlog.gapStart,
    earliestMs: expireInMemory(queue, host, nowMs),
  };
  const { backlog } = queue;
  progress.nextOffset = Math.max(progress.nextOffset, backlog.gapStart);
  if (backlog.hasGap) {
    const page = host.readSummaries(queue.id, progress.nextOffset, SLICE_MAX);
    for (const { firstOffset, value } of page) {
      const summary = decodeSummary(value);
      progress.nextOffset = firstOffset + summary.recordCount;
      if (summary.expiresEarliestMs > nowMs) {
        progress.earliestMs = Math.min(progress.earliestMs, summary.expiresEarliestMs);
        continue;
      }
      const liveCount = summary.recordCount - summary.ackedCount;
      if (summary.expiresLatestMs <= nowMs) {
        queue.ledger.add(-liveCount, summary.ackedBytes - summary.recordBytes);
        queue.counters.expired += liveCount;
        batch.deleteBlock(queue.id, firstOffset);
        continue;
      }
      progress.earliestMs = Math.min(
        progress.earliestMs,
        expireStored(queue, host, batch, firstOffset, summary, nowMs),
      );
    }
    if (page.length === SLICE_MAX) return progress;
  }
  queue.expiryDueMs = progress.earliestMs;
  return null;
}

function expireByRetention(queue: Queue, host: QueueHost, nowMs: number): void {
  const { backlog } = queue;
  for (let i = 0; i < SLICE_MAX; i++) {
    // A backlog on disk is touched only for its oldest part; the slice bounds how much is read back.
    if (backlog.seek() !== 'ready') return;
    if (
      !isExpired(
        host.arena,
        backlog.block.memoryAt + backlog.at,
        nowMs,
        queue.definition.dataRetentionPeriodMs,
      )
    )
      return;
    queue.expireUnderCursor();
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
    if (block.deleted || block.memoryAt < 0) continue;
    if (summary.expiresEarliestMs > nowMs) {
      earliestMs = Math.min(earliestMs, summary.expiresEarliestMs);
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

/** Expires records of one block on disk by rewriting its summary; returns the earliest expiry that is left in it. */
function expireStored(
  queue: Queue,
  host: QueueHost,
  batch: LogBatch,
  firstOffset: number,
  summary: ReturnType<typeof decodeSummary>,
  nowMs: number,
): number {
  const value = host.readBlock(queue.id, firstOffset);
  if (value === undefined) return Number.POSITIVE_INFINITY;
  checkBlock(value);
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const bits = (summary.ackBits ??= new Uint32Array((summary.recordCount + 31) >>> 5));
  let earliestMs = Number.POSITIVE_INFINITY;
  let at = BLOCK_HEADER_BYTES;
  for (let index = 0; index < summary.recordCount; index++) {
    const bytes = view.getUint32(at, true);
    const interval = view.getUint32(at + RecordWord.messageExpiryInterval * 4, true);
    const isDone = (((bits[index >>> 5] as number) >>> (index & 31)) & 1) === 1;
    if (interval !== 0 && !isDone) {
      const expiresMs = view.getFloat64(at + 32, true) + interval * 1000;
      if (expiresMs <= nowMs) {
        bits[index >>> 5] = (bits[index >>> 5] as number) | (1 << (index & 31));
        summary.ackedCount++;
        summary.ackedBytes += bytes;
        queue.ledger.add(-1, -bytes);
        queue.counters.expired++;
      } else {
        earliestMs = Math.min(earliestMs, expiresMs);
      }
    }
    at += bytes;
  }
  summary.expiresEarliestMs = earliestMs;
  if (summary.ackedCount === summary.recordCount) batch.deleteBlock(queue.id, firstOffset);
  else batch.putSummary(queue.id, firstOffset, encodedSummary(summary));
  return earliestMs;
}
