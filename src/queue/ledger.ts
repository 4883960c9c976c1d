/**
 * What a queue still owes: exact counts of live messages, and which blocks changed since the last group commit.
 * Shard worker.
 *
 * Always true: `liveCount` and `liveBytes` equal what a walk over all blocks would find; every record is settled once;
 * a block whose last record is settled is deleted with the next flush, others get their ack bitmap written.
 */
import type { LogBatch } from '../log/log.js';
import { encodeSummary, SUMMARY_HEADER_BYTES, type BlockSummary } from '../log/record-format.js';
import type { Arena } from './arena.js';
import type { Block } from './block.js';

/** See the file header. */
export class Ledger {
  liveCount = 0;
  liveBytes = 0;
  readonly #queueId: number;
  readonly #arena: Arena;
  readonly #dirty: Block[] = [];

  constructor(queueId: number, arena: Arena) {
    this.#queueId = queueId;
    this.#arena = arena;
  }

  get isDirty(): boolean {
    return this.#dirty.length > 0;
  }

  add(count: number, bytes: number): void {
    this.liveCount += count;
    this.liveBytes += bytes;
  }

  /** Record `index` of `block` is done: acked, expired, evicted or purged. */
  settle(block: Block, index: number, bytes: number): void {
    this.liveCount--;
    this.liveBytes -= bytes;
    block.markDone(index, bytes);
    if (block.deleted) {
      this.releaseIfUnused(block);
    } else if (!block.dirty) {
      block.dirty = true;
      this.#dirty.push(block);
    }
  }

  /** The whole block goes now. Its memory follows when nobody holds one of its records. */
  deleteBlock(block: Block, batch: LogBatch): void {
    if (block.deleted) return;
    block.deleted = true;
    batch.deleteBlock(this.#queueId, block.firstOffset);
    this.releaseIfUnused(block);
  }

  /** Writes all changes into the batch: a deletion per finished block, a bitmap per partly finished one. */
  flush(batch: LogBatch): void {
    for (const block of this.#dirty) {
      block.dirty = false;
      if (block.deleted) continue;
      if (block.liveCount === 0) this.deleteBlock(block, batch);
      else batch.putSummary(this.#queueId, block.firstOffset, encodedSummary(block.summary));
    }
    this.#dirty.length = 0;
  }

  releaseIfUnused(block: Block): void {
    if (block.memoryAt < 0 || block.unsettled > 0) return;
    this.#arena.release(block.memoryAt, block.memoryBytes);
    block.memoryAt = -1;
  }

  /** The queue is emptied: nothing is owed to the log any more, and memory that waited for it goes. */
  clear(): void {
    this.liveCount = 0;
    this.liveBytes = 0;
    for (const block of this.#dirty) {
      block.deleted = true;
      this.releaseIfUnused(block);
    }
    this.#dirty.length = 0;
  }
}

/** Bytes of a summary; a fresh small buffer, because the batch may hold on to it until it is written. */
export function encodedSummary(summary: BlockSummary): Uint8Array {
  const bytes = new Uint8Array(
    SUMMARY_HEADER_BYTES + (summary.ackBits === null ? 0 : summary.ackBits.length * 4),
  );
  encodeSummary(summary, new DataView(bytes.buffer));
  return bytes;
}
