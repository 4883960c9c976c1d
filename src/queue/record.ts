/**
 * Reading one record where it lies in block memory. Shard worker, pure.
 *
 * Always true: `at` is the record's 8-aligned byte offset in the memory behind `words`, `f64` and `bytes`.
 * Layout: log/record-format.ts.
 */
import { RECORD_HEADER_BYTES, RecordWord, bodyStart } from '../log/record-format.js';

/** Memory seen three ways. */
export interface RecordMemory {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  readonly f64: Float64Array;
}

/** When the message was published, ms since the epoch. */
export function publishedAtMs(memory: RecordMemory, at: number): number {
  return memory.f64[(at >> 3) + 4] as number;
}

/** True when retention or its own expiry has ended the message's life. */
export function isExpired(memory: RecordMemory, at: number, nowMs: number, retentionMs: number): boolean {
  const timestampMs = memory.f64[(at >> 3) + 4] as number;
  const expiry = memory.words[(at >> 2) + RecordWord.messageExpiryInterval] as number;
  return nowMs - timestampMs >= retentionMs || (expiry !== 0 && nowMs >= timestampMs + expiry * 1000);
}

/** Remaining Message Expiry Interval in whole seconds, at least 1; 0 when the message has none [MQTT-3.3.2-6]. */
export function remainingExpiry(memory: RecordMemory, at: number, nowMs: number): number {
  const expiry = memory.words[(at >> 2) + RecordWord.messageExpiryInterval] as number;
  if (expiry === 0) return 0;
  const remainingMs = (memory.f64[(at >> 3) + 4] as number) + expiry * 1000 - nowMs;
  return Math.min(expiry, Math.max(1, Math.ceil(remainingMs / 1000)));
}

/** Client id of the publisher, as a view. */
export function clientIdOf(memory: RecordMemory, at: number): Buffer {
  const start = bodyStart(memory.words, at) + (memory.words[(at >> 2) + RecordWord.bodyLength] as number);
  return memory.bytes.subarray(
    start,
    start + ((memory.words[(at >> 2) + RecordWord.tailLengths] as number) & 0xffff),
  );
}

/** Key of a last-value record. */
export function keyOf(memory: RecordMemory, at: number): string {
  const lengths = memory.words[(at >> 2) + RecordWord.tailLengths] as number;
  const start =
    bodyStart(memory.words, at) +
    (memory.words[(at >> 2) + RecordWord.bodyLength] as number) +
    (lengths & 0xffff);
  return memory.bytes.toString('utf8', start, start + (lengths >>> 16));
}

/** Key of a last-value record that starts at `at` of bytes read back from the log, whatever their alignment. */
export function keyInBytes(bytes: Buffer, at: number): string {
  const body = at + RECORD_HEADER_BYTES + bytes.readUInt8(at + 5);
  const start = body + bytes.readUInt32LE(at + 20) + bytes.readUInt16LE(at + 28);
  return bytes.toString('utf8', start, start + bytes.readUInt16LE(at + 30));
}
