/**
 * Bytes of a message, from the ring to the log and back: record, block and block summary. Both threads, pure.
 *
 * Always true: a record starts 8-byte aligned and is a multiple of 8 long, so that a run of records is copied
 * whole (ring → block → log) and its header is read as words. All numbers are little-endian: the format stays on one
 * machine, and word views need the machine's order; a big-endian machine is refused at start.
 *
 *  record      0 u32 length (whole record)          4 u8 flags · u8 body padding · u16 topic length
 *              8 u32 properties start                12 u32 properties length
 *             16 u32 payload start                   20 u32 body length (= payload end)
 *             24 u32 message expiry interval, s      28 u16 client id length · u16 key length
 *             32 f64 time of publish, ms             40 body padding | body | client id | key | padding
 *  The body is the packet's own range from topic to payload end where possible (one copy); what lies between topic,
 *  properties and payload (packet id, property length) is noise. Starts are relative to the body; topic starts at 0.
 *  Body padding (0 to 7) puts the body where the packet lay modulo 8: copies between equally aligned places go by words.
 *
 *  block       0 u32 magic + version   4 u32 crc32 of bytes 8…   8 u32 record count   12 u32 bytes   16 records
 *
 *  summary     0 u32 record count      4 u32 acked count         8 u32 record bytes   12 u32 acked bytes
 *             16 f64 newest publish time   24 f64 earliest expiry   32 f64 latest expiry (Infinity: some never expires)
 *             40 u32[] ack bitmap (absent while nothing is acked)
 */
import { crc32 } from 'node:zlib';
import { OperationalError } from '../base/error.js';

/** Before a record's body padding. */
export const RECORD_HEADER_BYTES = 40;
/** Before the first record of a block. */
export const BLOCK_HEADER_BYTES = 16;
/** Before the ack bitmap of a summary. */
export const SUMMARY_HEADER_BYTES = 40;

/** "SB" and format version 1. A block with another version is not read. */
const BLOCK_MAGIC = 0x5342_0001;

/** Word offsets inside a record, for word views. */
export const RecordWord = {
  length: 0,
  flagsAndTopicLength: 1,
  propertiesStart: 2,
  propertiesLength: 3,
  payloadStart: 4,
  bodyLength: 5,
  messageExpiryInterval: 6,
  tailLengths: 7,
} as const;

/** Bits of a record's flags. */
export const MessageFlag = { qosMask: 0b11, retain: 0b100 } as const;

/** Where the body of the record at byte offset `at` begins. */
export function bodyStart(words: Uint32Array, at: number): number {
  return at + RECORD_HEADER_BYTES + (((words[(at >> 2) + 1] as number) >>> 8) & 0xff);
}

/** Length of a record with these parts, padded to 8. */
export function recordBytes(bodyBytes: number, clientIdBytes: number, keyBytes: number): number {
  return (RECORD_HEADER_BYTES + bodyBytes + clientIdBytes + keyBytes + 7) & ~7;
}

/** Fills in a block's header around records that already lie at `start + 16`. `bytes` is the length of all records. */
export function sealBlock(
  buffer: Buffer,
  words: Uint32Array,
  start: number,
  recordCount: number,
  bytes: number,
): void {
  const word = start >> 2;
  words[word] = BLOCK_MAGIC;
  words[word + 2] = recordCount;
  words[word + 3] = bytes;
  words[word + 1] = crc32(buffer.subarray(start + 8, start + BLOCK_HEADER_BYTES + bytes));
}

/** Checks a block read from disk and returns its record count. Throws ERR_LOG_CORRUPT or ERR_LOG_VERSION. */
export function checkBlock(value: Uint8Array): number {
  if (value.byteLength < BLOCK_HEADER_BYTES)
    throw new OperationalError('ERR_LOG_CORRUPT', 'block is shorter than its header');
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const magic = view.getUint32(0, true);
  if (magic !== BLOCK_MAGIC) {
    const code = magic >>> 16 === BLOCK_MAGIC >>> 16 ? 'ERR_LOG_VERSION' : 'ERR_LOG_CORRUPT';
    throw new OperationalError(code, `block has format word 0x${magic.toString(16)}`);
  }
  if (
    view.getUint32(12, true) + BLOCK_HEADER_BYTES !== value.byteLength ||
    view.getUint32(4, true) !== crc32(value.subarray(8))
  ) {
    throw new OperationalError('ERR_LOG_CORRUPT', 'block checksum does not match');
  }
  return view.getUint32(8, true);
}

/** A summary in memory; see the byte table. `ackBits` is null while nothing is acked. */
export interface BlockSummary {
  recordCount: number;
  ackedCount: number;
  recordBytes: number;
  ackedBytes: number;
  newestMs: number;
  expiresEarliestMs: number;
  expiresLatestMs: number;
  ackBits: Uint32Array | null;
}

/** Writes `summary` to the front of `target` and returns the bytes used. `target` must hold 40 + count/8 rounded up to 4. */
export function encodeSummary(summary: BlockSummary, target: DataView): number {
  target.setUint32(0, summary.recordCount, true);
  target.setUint32(4, summary.ackedCount, true);
  target.setUint32(8, summary.recordBytes, true);
  target.setUint32(12, summary.ackedBytes, true);
  target.setFloat64(16, summary.newestMs, true);
  target.setFloat64(24, summary.expiresEarliestMs, true);
  target.setFloat64(32, summary.expiresLatestMs, true);
  if (summary.ackBits === null) return SUMMARY_HEADER_BYTES;
  let at = SUMMARY_HEADER_BYTES;
  for (const word of summary.ackBits) {
    target.setUint32(at, word, true);
    at += 4;
  }
  return at;
}

/** Reads a summary back. Throws ERR_LOG_CORRUPT when lengths disagree. */
export function decodeSummary(value: Uint8Array): BlockSummary {
  if (value.byteLength < SUMMARY_HEADER_BYTES)
    throw new OperationalError('ERR_LOG_CORRUPT', 'summary is shorter than its header');
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const recordCount = view.getUint32(0, true);
  let ackBits: Uint32Array | null = null;
  if (value.byteLength > SUMMARY_HEADER_BYTES) {
    const wordCount = (recordCount + 31) >>> 5;
    if (value.byteLength !== SUMMARY_HEADER_BYTES + wordCount * 4) {
      throw new OperationalError('ERR_LOG_CORRUPT', 'summary bitmap does not fit its record count');
    }
    ackBits = new Uint32Array(wordCount);
    for (let i = 0; i < wordCount; i++) ackBits[i] = view.getUint32(SUMMARY_HEADER_BYTES + i * 4, true);
  }
  return {
    recordCount,
    ackedCount: view.getUint32(4, true),
    recordBytes: view.getUint32(8, true),
    ackedBytes: view.getUint32(12, true),
    newestMs: view.getFloat64(16, true),
    expiresEarliestMs: view.getFloat64(24, true),
    expiresLatestMs: view.getFloat64(32, true),
    ackBits,
  };
}
