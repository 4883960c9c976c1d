/**
 * Keys of the RocksDB store as bytes. Runs on the shard worker.
 *
 * Always true: all integers are big-endian, so the byte order of the keys is the order of (queue, offset),
 * and everything of one queue is one contiguous range. An offset (0 to 2^53-1) is a u64 in two u32 halves.
 *
 * | column family     | bytes of the key                                    | value              |
 * | ----------------- | --------------------------------------------------- | ------------------ |
 * | meta              | 0x01 · queueId u32                                  | queue metadata     |
 * | meta              | 0x02 · queueId u32                                  | empty: drop begun  |
 * | blocks, summaries | queueId u32 · firstOffset high u32 · low u32        | block or summary   |
 * | keys              | queueId u32 · key bytes (any length, also none)     | offset u64         |
 * | any               | 0x00                                                | filler, see driver |
 *
 * The one-byte filler key is a proper prefix of every key that begins with 0x00 and therefore sorts before
 * each of them: no range that starts at a queue or at a kind byte can contain it.
 */
import { assert } from '../base/error.js';

/** Length of a key in `blocks` and `summaries`, bytes. */
export const BLOCK_KEY_BYTES = 12;
/** Length of a key in `meta`, bytes. */
export const META_KEY_BYTES = 5;
/** Length of an offset where it is stored as a value, bytes. */
export const OFFSET_BYTES = 8;

/** What a key in `meta` stands for (its first byte). */
export const META_QUEUE = 0x01;
/** The queue's range deletes are under way; finished at the next open if a crash interrupts them. */
export const META_DROPPED = 0x02;

/** Ids from here on name no queue: the shard keeps state of its own below them (shard/rows.ts). */
export const QUEUE_ID_RESERVED_MIN = 0xffff_fff0;
/** Highest queue id, inclusive; the one after it is left free so that every queue's range has an end. */
export const QUEUE_ID_MAX = 0xffff_fffe;

const TWO_32 = 0x1_0000_0000;

/** Our own fault if the id is not an integer from 0 to `QUEUE_ID_MAX`. */
export function assertQueueId(queueId: number): void {
  assert(
    queueId >= 0 && queueId <= QUEUE_ID_MAX && Number.isInteger(queueId),
    'queue id is a u32 below its maximum',
  );
}

/** Our own fault if the offset is not an integer from 0 to 2^53-1. */
export function assertOffset(offset: number): void {
  assert(offset >= 0 && Number.isSafeInteger(offset), 'offset is a safe integer');
}

/** Writes the offset at `at` as a big-endian u64. */
export function writeOffset(target: Buffer, offset: number, at: number): void {
  const high = Math.floor(offset / TWO_32);
  target.writeUInt32BE(high, at);
  target.writeUInt32BE(offset - high * TWO_32, at + 4);
}

/** Reads a big-endian u64 written by `writeOffset`. */
export function readOffset(source: Buffer, at: number): number {
  return source.readUInt32BE(at) * TWO_32 + source.readUInt32BE(at + 4);
}

/** Fills `target` (12 bytes) with the key of a block or summary and returns it. */
export function writeBlockKey(target: Buffer, queueId: number, firstOffset: number): Buffer {
  target.writeUInt32BE(queueId, 0);
  writeOffset(target, firstOffset, 4);
  return target;
}

/** Fills `target` (5 bytes) with a key of `meta` and returns it. */
export function writeMetaKey(target: Buffer, kind: number, queueId: number): Buffer {
  target[0] = kind;
  target.writeUInt32BE(queueId, 1);
  return target;
}

/** A new buffer with the key of a last-value entry: its length is 4 + `key.length`. */
export function valueKey(queueId: number, key: Uint8Array): Buffer {
  const target = Buffer.allocUnsafe(4 + key.length);
  target.writeUInt32BE(queueId, 0);
  target.set(key, 4);
  return target;
}

/** First key at or after everything of the queue (4 bytes). */
export function queueRangeStart(queueId: number): Buffer {
  const target = Buffer.allocUnsafe(4);
  target.writeUInt32BE(queueId, 0);
  return target;
}

/** First key after everything of the queue (4 bytes). */
export function queueRangeEnd(queueId: number): Buffer {
  return queueRangeStart(queueId + 1);
}
