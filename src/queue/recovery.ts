/**
 * Rebuilds a queue from what the log holds. Shard worker; once per queue and start.
 *
 * Always true: counts and bytes are exact sums over the block summaries; a damaged summary is reported and its block left
 * out, on disk as it is; new messages get offsets behind every block, damaged ones included. A queue of a session never
 * gives an offset twice, also when the blocks that had it are gone: packet ids and QoS 2 state follow from offsets.
 * Cost: one pass over the summaries; blocks are not read, but for damaged summaries.
 */
import { OperationalError } from '../base/error.js';
import { checkBlock } from '../log/record-format.js';
import type { QueueHost } from './host.js';
import type { Queue } from './queue.js';
import { readSummary } from './stored-summary.js';

const SUMMARIES_PER_READ = 4096;

/**
 * More than a session's queue takes in a millisecond on average: an offset that is counted from the clock is then above
 * all that were given before.
 */
const OFFSETS_PER_MS = 1000;

/** Packet ids follow from the offset modulo this. */
const PACKET_ID_PERIOD = 32_768;

/** Fills a queue that was just made. Reports damage through `onCorruptBlock`. `nowMs`: Unix time. */
export function recoverQueue(queue: Queue, host: QueueHost, nowMs: number): void {
  let first = -1;
  let next = 0;
  let liveCount = 0;
  let liveBytes = 0;
  let expiryDueMs = Number.POSITIVE_INFINITY;
  for (;;) {
    const page = host.readSummaries(queue.id, next, SUMMARIES_PER_READ);
    for (const { firstOffset, value } of page) {
      const summary = readSummary(value);
      if (first < 0) first = firstOffset;
      if (summary === undefined) {
        const error = new OperationalError('ERR_LOG_CORRUPT', 'block summary is damaged');
        host.onCorruptBlock(queue.id, firstOffset, error);
        next = firstOffset + recordCountOf(host.readBlock(queue.id, firstOffset));
        continue;
      }
      next = firstOffset + summary.recordCount;
      liveCount += summary.recordCount - summary.ackedCount;
      liveBytes += summary.recordBytes - summary.ackedBytes;
      expiryDueMs = Math.min(expiryDueMs, summary.expiresEarliestMs);
    }
    if (page.length < SUMMARIES_PER_READ) break;
  }
  if (queue.belongsToSession) next = raised(next, Math.floor(nowMs) * OFFSETS_PER_MS);
  queue.recover(first < 0 ? next : first, next, liveCount, liveBytes, expiryDueMs);
}

/** The first offset from `floor` on that has the packet id of `next`: ids go on as if there had been no restart. */
function raised(next: number, floor: number): number {
  return next + Math.max(0, Math.ceil((floor - next) / PACKET_ID_PERIOD)) * PACKET_ID_PERIOD;
}

/** How many offsets a block takes; 1 when the block is damaged too. */
function recordCountOf(block: Uint8Array | undefined): number {
  try {
    return block === undefined ? 1 : Math.max(1, checkBlock(block));
  } catch {
    return 1;
  }
}
