/**
 * Bytes of a segment file. Runs on the shard worker; pure.
 *
 * Always true: a batch is one frame, and a frame counts only if its checksum is right, so a batch is there whole or
 * not at all. Integers are big-endian. A segment is a header and then frames without gaps:
 *
 *  header  0 "SLUICESG"            8 u32 format          12 u32 segment number    16 u32 salt (random)
 *         20 u64 number of the first frame               28 u32 crc32 of bytes 0 to 27
 *  frame   0 u32 salt of the segment                      4 u32 crc32 of bytes 8 to the end
 *          8 u32 length of the operations, bytes         12 u32 operation count
 *         16 u64 frame number (+1 per frame of the log)  24 u64 durable frame: all up to it were on disk by then
 *         32 u64 sequence of the first operation         40 operations
 *  operation 0 u8 kind · u32 queueId · u64 sequence (0: frame's first sequence + its index; else copied, see cleaner)
 *    1 put queue      13 u32 length   17 metadata        2 drop queue      –
 *    3 put block      13 u64 firstOffset   21 u32 length   25 value
 *    4 put summary    13 u64 firstOffset   21 u32 length   25 value
 *    5 delete block   13 u64 firstOffset
 *    6 put key        13 u64 offset        21 u32 length   25 key
 *    7 delete key     13 u32 length   17 key
 *
 * The salt keeps a payload from posing as a frame when recovery searches behind a damaged one.
 */
import { crc32 } from 'node:zlib';
import { readOffset, writeOffset } from './keys.js';

/** Length of a segment's header. */
export const SEGMENT_HEADER_BYTES = 32;
/** Length of a frame's header. */
export const FRAME_HEADER_BYTES = 40;
/** Kind, queue id and sequence: common to all operations. */
export const OPERATION_HEADER_BYTES = 13;
/** Fixed part of put block, put summary and put key. */
export const PUT_HEADER_BYTES = 25;
/** Fixed part of put queue and delete key. */
export const SHORT_HEADER_BYTES = 17;
/** Whole length of delete block. */
export const DELETE_BLOCK_BYTES = 21;

/** Kind byte of each operation. */
export const Operation = {
  putQueue: 1,
  dropQueue: 2,
  putBlock: 3,
  putSummary: 4,
  deleteBlock: 5,
  putKey: 6,
  deleteKey: 7,
} as const;

const MAGIC = Buffer.from('SLUICESG', 'latin1');
const SEGMENT_FORMAT = 1;

/** What a segment's header says. */
export interface SegmentHeader {
  readonly number: number;
  readonly salt: number;
  readonly firstFrame: number;
}

/** What a frame's header says. */
export interface FrameHeader {
  readonly operationBytes: number;
  readonly operationCount: number;
  readonly frame: number;
  readonly durableFrame: number;
  readonly firstSequence: number;
}

/** A new header as bytes. */
export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  MAGIC.copy(bytes, 0);
  bytes.writeUInt32BE(SEGMENT_FORMAT, 8);
  bytes.writeUInt32BE(header.number, 12);
  bytes.writeUInt32BE(header.salt, 16);
  writeOffset(bytes, header.firstFrame, 20);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 28)), 28);
  return bytes;
}

/** The header at the start of `bytes`, or undefined if it is torn or damaged. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES || !bytes.subarray(0, 8).equals(MAGIC)) return undefined;
  if (bytes.readUInt32BE(8) !== SEGMENT_FORMAT || bytes.readUInt32BE(28) !== crc32(bytes.subarray(0, 28)))
    return undefined;
  return { number: bytes.readUInt32BE(12), salt: bytes.readUInt32BE(16), firstFrame: readOffset(bytes, 20) };
}

/** Completes a frame of `byteLength` bytes whose operations are already in place behind its header. */
export function sealFrame(
  bytes: Buffer,
  byteLength: number,
  salt: number,
  header: Omit<FrameHeader, 'operationBytes'>,
): void {
  bytes.writeUInt32BE(salt, 0);
  bytes.writeUInt32BE(byteLength - FRAME_HEADER_BYTES, 8);
  bytes.writeUInt32BE(header.operationCount, 12);
  writeOffset(bytes, header.frame, 16);
  writeOffset(bytes, header.durableFrame, 24);
  writeOffset(bytes, header.firstSequence, 32);
  bytes.writeUInt32BE(crc32(bytes.subarray(8, byteLength)), 4);
}

/** Length of the frame that begins at `at`, or 0 if its header is not there or not one of this segment. */
export function frameBytes(bytes: Buffer, at: number, salt: number): number {
  if (at + FRAME_HEADER_BYTES > bytes.length || bytes.readUInt32BE(at) !== salt) return 0;
  return FRAME_HEADER_BYTES + bytes.readUInt32BE(at + 8);
}

/** The header of the whole frame in `bytes` from `at` to `end`, or undefined if the checksum is wrong. */
export function decodeFrame(bytes: Buffer, at: number, end: number): FrameHeader | undefined {
  if (bytes.readUInt32BE(at + 4) !== crc32(bytes.subarray(at + 8, end))) return undefined;
  return {
    operationBytes: bytes.readUInt32BE(at + 8),
    operationCount: bytes.readUInt32BE(at + 12),
    frame: readOffset(bytes, at + 16),
    durableFrame: readOffset(bytes, at + 24),
    firstSequence: readOffset(bytes, at + 32),
  };
}

/** Whole length of the operation at `at`. Only for bytes whose frame has been checked. */
export function operationBytes(bytes: Buffer, at: number): number {
  switch (bytes[at]) {
    case Operation.putBlock:
    case Operation.putSummary:
    case Operation.putKey:
      return PUT_HEADER_BYTES + bytes.readUInt32BE(at + 21);
    case Operation.putQueue:
    case Operation.deleteKey:
      return SHORT_HEADER_BYTES + bytes.readUInt32BE(at + 13);
    case Operation.deleteBlock:
      return DELETE_BLOCK_BYTES;
    default:
      return OPERATION_HEADER_BYTES;
  }
}
