/**
 * One block of a queue in memory: where its records lie, and which of them are done. Shard worker.
 *
 * Always true: `liveCount` is the number of records that are neither acked, expired, evicted nor overwritten; at zero
 * the block is deleted from the log with the next group commit. `memoryAt` is -1 while only the log has the bytes.
 * Comes from the block summary of `log/record-format.ts`, of which it is the in-memory form.
 */
import type { BlockSummary } from '../log/record-format.js';
import { assert } from '../base/error.js';

/** See the file header. Plain data with one shape; `Queue` owns it. */
export class Block {
  readonly firstOffset: number;
  readonly summary: BlockSummary;
  /** Byte offset of the block header in the arena, or -1. */
  memoryAt: number;
  readonly memoryBytes: number;
  /** The summary in the log is older than this one. */
  dirty = false;
  /** The block is gone from the log, or will be with the next commit. */
  deleted = false;
  /** Records handed to the in-flight table and not yet settled. They keep the block's identity alive. */
  unsettled = 0;

  constructor(firstOffset: number, summary: BlockSummary, memoryAt: number, memoryBytes: number) {
    this.firstOffset = firstOffset;
    this.summary = summary;
    this.memoryAt = memoryAt;
    this.memoryBytes = memoryBytes;
  }

  get liveCount(): number {
    return this.summary.recordCount - this.summary.ackedCount;
  }

  get liveBytes(): number {
    return this.summary.recordBytes - this.summary.ackedBytes;
  }

  /** Offset after the last record. */
  get endOffset(): number {
    return this.firstOffset + this.summary.recordCount;
  }

  isDone(index: number): boolean {
    const bits = this.summary.ackBits;
    return bits !== null && (((bits[index >>> 5] as number) >>> (index & 31)) & 1) === 1;
  }

  /** Marks record `index` of `bytes` length as done. It must not be done yet. */
  markDone(index: number, bytes: number): void {
    const summary = this.summary;
    const bits = (summary.ackBits ??= new Uint32Array((summary.recordCount + 31) >>> 5));
    const word = bits[index >>> 5] as number;
    assert(((word >>> (index & 31)) & 1) === 0, 'a record is settled once');
    bits[index >>> 5] = word | (1 << (index & 31));
    summary.ackedCount++;
    summary.ackedBytes += bytes;
  }
}
