/**
 * The bytes of a backup file: frames, each with its own checksum, that can be written and read as a stream. Pure.
 *
 *   file     0 "SLUICEBK"   8 u32 format (1)   12 u32 crc32 of bytes 0 to 11   16 frames …      all numbers big-endian
 *   frame    0 u32 stored bytes   4 u8 type   5 u8 coding (0 plain, 1 raw deflate)   6 u16 0   8 u32 bytes once decoded
 *            12 u32 crc32 of: u64 number of the frame (from 0) · bytes 0 to 11 · stored bytes        16 stored bytes
 *   type     1 head (JSON), the first   2 file: u16 bytes of its description · description (JSON) · contents
 *            3 shard (JSON), before its pages   4 page (log/checkpoint.ts)   5 wait: nothing   6 end (JSON), the last
 *
 * Always true: a file is whole if and only if its frames read without a fault and the last is `end`: the number inside each
 * checksum tells a frame that was lost, doubled or moved. A reader keeps one frame in memory.
 * Gives up: zstd, which not every Node.js that Sluice runs on can read.
 */
import { promisify } from 'node:util';
import { crc32, deflateRaw, inflateRaw } from 'node:zlib';

import { OperationalError } from '../base/error.js';

/** What a frame holds. */
export const FrameType = { head: 1, file: 2, shard: 3, page: 4, wait: 5, end: 6 } as const;
/** One of the types. */
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/** The first frame. */
export interface BackupHead {
  readonly version: string;
  readonly createdAtMs: number;
  readonly store: string;
  readonly shards: number;
  readonly queues: number;
  readonly sessionQueues: number;
  /** Waiting and in flight, over all queues. */
  readonly messages: number;
  /** Size of the store, for progress; not what the file will have. */
  readonly diskBytes: number;
}

/** The last frame. */
export interface BackupEnd {
  readonly files: number;
  readonly shards: number;
  readonly pages: number;
  /** Bytes of all pages once decoded. */
  readonly pageBytes: number;
}

/** A frame as it was read. */
export interface Frame {
  readonly type: FrameType;
  readonly content: Buffer;
}

/** Format that is written, and the newest that is read. */
export const BACKUP_FORMAT = 1;
/** Contents of a data directory's file at most; what is larger is no file of Sluice. */
export const FILE_BYTES_MAX = 64 << 20;

const MAGIC = 'SLUICEBK';
const PROLOGUE_BYTES = 16;
const FRAME_HEADER_BYTES = 16;
/** A page holds 256 KB or one record, and a record is at most a block: a packet or what one turn takes. */
const FRAME_BYTES_MAX = 256 << 20;
/** Below it compressing costs more than it saves. */
const DEFLATE_BYTES_MIN = 512;
const CODING_PLAIN = 0;
const CODING_DEFLATE = 1;

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

/** The first bytes of a file. */
export function encodePrologue(): Buffer {
  const bytes = Buffer.alloc(PROLOGUE_BYTES);
  bytes.write(MAGIC, 'latin1');
  bytes.writeUInt32BE(BACKUP_FORMAT, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 12)), 12);
  return bytes;
}

/** Frame `number` of the file. Compresses in the thread pool where that pays. */
export async function encodeFrame(number: number, type: FrameType, content: Uint8Array): Promise<Buffer> {
  const packed = content.byteLength < DEFLATE_BYTES_MIN ? content : await deflate(content, { level: 1 });
  const isPacked = packed.byteLength < content.byteLength;
  const stored = isPacked ? packed : content;
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + stored.byteLength);
  bytes.writeUInt32BE(stored.byteLength, 0);
  bytes[4] = type;
  bytes[5] = isPacked ? CODING_DEFLATE : CODING_PLAIN;
  bytes.writeUInt16BE(0, 6);
  bytes.writeUInt32BE(content.byteLength, 8);
  bytes.set(stored, FRAME_HEADER_BYTES);
  bytes.writeUInt32BE(checksum(number, bytes), 12);
  return bytes;
}

/** A frame of type `file`: its description in front of its contents. */
export function encodeFile(name: string, mode: number, contents: Buffer): Buffer {
  const description = Buffer.from(JSON.stringify({ name, mode }));
  const length = Buffer.alloc(2);
  length.writeUInt16BE(description.length);
  return Buffer.concat([length, description, contents]);
}

/** The inverse. Throws ERR_BACKUP_DAMAGED. */
export function decodeFile(content: Buffer): { name: string; mode: number; contents: Buffer } {
  const end = content.length < 2 ? 3 : 2 + content.readUInt16BE(0);
  if (end > content.length) throw damaged('a file in it has no description');
  const { name, mode } = parseJson(content.subarray(2, end)) as { name?: unknown; mode?: unknown };
  if (typeof name !== 'string' || typeof mode !== 'number') throw damaged('a file in it has no name');
  return { name, mode, contents: content.subarray(end) };
}

/** Object of a head, shard or end frame. Throws ERR_BACKUP_DAMAGED. */
export function parseJson(content: Buffer): object {
  try {
    const value: unknown = JSON.parse(content.toString());
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Below.
  }
  throw damaged('a description in it is not readable');
}

/**
 * Cuts a stream of chunks into frames. Throws ERR_BACKUP_DAMAGED at the first byte that is not what was written, and at an
 * end without its `end` frame; ERR_BACKUP_VERSION for a newer format.
 */
export async function* readFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Frame, void> {
  const source = new ByteSource(chunks);
  checkPrologue(await source.take(PROLOGUE_BYTES));
  for (let number = 0; ; number += 1) {
    const header = await source.take(FRAME_HEADER_BYTES);
    const storedBytes = header?.readUInt32BE(0) ?? 0;
    if (header === undefined) throw damaged(`it ends before frame ${number}`);
    if (storedBytes > FRAME_BYTES_MAX || header.readUInt32BE(8) > FRAME_BYTES_MAX) throw damagedFrame(number);
    const stored = await source.take(storedBytes);
    if (stored === undefined) throw damaged(`it ends within frame ${number}`);
    const bytes = Buffer.concat([header, stored]);
    if (checksum(number, bytes) !== header.readUInt32BE(12)) throw damagedFrame(number);
    const frame = await decodeFrame(number, header, stored);
    if (number === 0 && frame.type !== FrameType.head) throw damagedFrame(number);
    yield frame;
    if (frame.type !== FrameType.end) continue;
    if (!(await source.isAtEnd())) throw damaged('bytes follow its end');
    return;
  }
}

async function decodeFrame(number: number, header: Buffer, stored: Buffer): Promise<Frame> {
  const type = header[4] as FrameType;
  const rawBytes = header.readUInt32BE(8);
  if (type < FrameType.head || type > FrameType.end) throw damagedFrame(number);
  if (header[5] === CODING_PLAIN && rawBytes === stored.length) return { type, content: stored };
  if (header[5] !== CODING_DEFLATE) throw damagedFrame(number);
  try {
    const content = await inflate(stored, { maxOutputLength: Math.max(1, rawBytes) });
    if (content.length === rawBytes) return { type, content };
  } catch {
    // Below.
  }
  throw damagedFrame(number);
}

function checkPrologue(bytes: Buffer | undefined): void {
  if (bytes === undefined || bytes.toString('latin1', 0, 8) !== MAGIC)
    throw damaged('it does not begin like a backup of Sluice');
  if (crc32(bytes.subarray(0, 12)) !== bytes.readUInt32BE(12)) throw damaged('its first bytes are wrong');
  const format = bytes.readUInt32BE(8);
  if (format > BACKUP_FORMAT) {
    throw new OperationalError(
      'ERR_BACKUP_VERSION',
      `the backup has format ${format} of a newer Sluice; this one reads up to ${BACKUP_FORMAT}`,
    );
  }
}

function checksum(number: number, frame: Buffer): number {
  const prefix = Buffer.alloc(8 + 12);
  prefix.writeBigUInt64BE(BigInt(number), 0);
  frame.copy(prefix, 8, 0, 12);
  return crc32(frame.subarray(FRAME_HEADER_BYTES), crc32(prefix));
}

/** ERR_BACKUP_DAMAGED: what is wrong with the file, after "the backup is damaged: ". */
export function damaged(what: string): OperationalError {
  return new OperationalError('ERR_BACKUP_DAMAGED', `the backup is damaged: ${what}`);
}

function damagedFrame(number: number): OperationalError {
  return damaged(`frame ${number} is not what was written`);
}

/** Takes exact numbers of bytes out of a stream of chunks. */
class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array[] = [];
  #bytes = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** A copy of the next bytes; undefined when the stream ends before. */
  async take(count: number): Promise<Buffer | undefined> {
    while (this.#bytes < count) if (!(await this.#more())) return undefined;
    const taken = Buffer.allocUnsafe(count);
    let at = 0;
    while (at < count) {
      const first = this.#rest[0] as Uint8Array;
      const part = first.subarray(0, count - at);
      taken.set(part, at);
      at += part.length;
      if (part.length === first.length) this.#rest.shift();
      else this.#rest[0] = first.subarray(part.length);
    }
    this.#bytes -= count;
    return taken;
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#bytes === 0) if (!(await this.#more())) return true;
    return false;
  }

  async #more(): Promise<boolean> {
    const { done, value } = await this.#chunks.next();
    if (done === true) return false;
    this.#rest.push(value);
    this.#bytes += value.length;
    return true;
  }
}
