/**
 * One group commit for the segment driver, encoded as it will stand in the file. Runs on the shard worker.
 *
 * Always true: values are copied into one growing buffer that is reused for every batch, behind room for the frame
 * header; the steady state allocates nothing. One write(2) per batch follows.
 * Gives up: a copy of each value (about 7 µs per 70 KB) against the bookkeeping of a gathered write.
 */
import { assert } from '../base/error.js';
import { assertOffset, assertQueueId, writeOffset } from './keys.js';
import type { LogBatch } from './log.js';
import {
  FRAME_HEADER_BYTES,
  Operation,
  OPERATION_HEADER_BYTES,
  DELETE_BLOCK_BYTES,
  PUT_HEADER_BYTES,
  SHORT_HEADER_BYTES,
} from './segment-format.js';

const INITIAL_BYTES = 64 * 1024;
/** A buffer that one large batch has grown beyond this is given back by `clear`, bytes. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;
/** Positions in a segment are u32, and a segment may be as long as its own limit plus one frame, bytes. */
const FRAME_BYTES_MAX = 0x4000_0000;

/** See the header. */
export class SegmentBatch implements LogBatch {
  /** `bytes[0, length)` is the frame; its header is filled in by the driver. */
  bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  length = FRAME_HEADER_BYTES;
  operationCount = 0;

  putQueue(queueId: number, meta: Uint8Array): void {
    const at = this.#begin(Operation.putQueue, queueId, SHORT_HEADER_BYTES + meta.length);
    this.bytes.writeUInt32BE(meta.length, at + 13);
    this.bytes.set(meta, at + SHORT_HEADER_BYTES);
  }

  dropQueue(queueId: number): void {
    this.#begin(Operation.dropQueue, queueId, OPERATION_HEADER_BYTES);
  }

  putBlock(queueId: number, firstOffset: number, value: Uint8Array): void {
    this.#put(Operation.putBlock, queueId, firstOffset, value);
  }

  putSummary(queueId: number, firstOffset: number, value: Uint8Array): void {
    this.#put(Operation.putSummary, queueId, firstOffset, value);
  }

  deleteBlock(queueId: number, firstOffset: number): void {
    assertOffset(firstOffset);
    const at = this.#begin(Operation.deleteBlock, queueId, DELETE_BLOCK_BYTES);
    writeOffset(this.bytes, firstOffset, at + 13);
  }

  putKey(queueId: number, key: Uint8Array, offset: number): void {
    this.#put(Operation.putKey, queueId, offset, key);
  }

  deleteKey(queueId: number, key: Uint8Array): void {
    const at = this.#begin(Operation.deleteKey, queueId, SHORT_HEADER_BYTES + key.length);
    this.bytes.writeUInt32BE(key.length, at + 13);
    this.bytes.set(key, at + SHORT_HEADER_BYTES);
  }

  clear(): void {
    this.length = FRAME_HEADER_BYTES;
    this.operationCount = 0;
    if (this.bytes.length > KEPT_BYTES_MAX) this.bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  }

  /** Appends an encoded operation from `source` under its first sequence, for the cleaner. */
  copy(source: Buffer, start: number, end: number, sequence: number): void {
    const at = this.#reserve(end - start);
    source.copy(this.bytes, at, start, end);
    writeOffset(this.bytes, sequence, at + 5);
  }

  #put(kind: number, queueId: number, offset: number, value: Uint8Array): void {
    assertOffset(offset);
    const at = this.#begin(kind, queueId, PUT_HEADER_BYTES + value.length);
    writeOffset(this.bytes, offset, at + 13);
    this.bytes.writeUInt32BE(value.length, at + 21);
    this.bytes.set(value, at + PUT_HEADER_BYTES);
  }

  #begin(kind: number, queueId: number, byteLength: number): number {
    assertQueueId(queueId);
    const at = this.#reserve(byteLength);
    this.bytes[at] = kind;
    this.bytes.writeUInt32BE(queueId, at + 1);
    writeOffset(this.bytes, 0, at + 5);
    return at;
  }

  #reserve(byteLength: number): number {
    const at = this.length;
    const end = at + byteLength;
    assert(end <= FRAME_BYTES_MAX, 'a batch is smaller than 1 GiB');
    if (end > this.bytes.length) this.#grow(end);
    this.length = end;
    this.operationCount += 1;
    return at;
  }

  #grow(bytesMin: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(bytesMin, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }
}
