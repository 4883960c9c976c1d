/**
 * Checks RocksDB's write-ahead logs before RocksDB replays them. Runs on the shard worker, while the log opens.
 *
 * RocksDB ends its replay silently at the first record it cannot read, and some damaged bytes (a run of 0x07) send
 * version 9.7 into an endless loop. So we read the records first; the file SYNCED, where the running log notes about
 * once a second and at close how far which log is on disk, tells damage from a torn end.
 * Always true: a bad record before that point is ERR_LOG_CORRUPT with file and byte, and nothing is changed; one behind
 * it is the torn end of what had not been synced: the log is cut there and younger logs go, so what remains is a prefix.
 * Gives up: damage in the last second before a kill passes for a torn end. Cost: reads the logs (up to 0.8 GB/s).
 *
 *   log     blocks of 32 KiB; a record does not cross a block, a batch is one record or first, middle…, last
 *   record  0 u32 masked crc32c of bytes 6 to the end (little-endian)   4 u16 length   6 u8 type   7 data
 *           fewer than 7 bytes at the end of a block are zeros
 *   SYNCED  0 u64 log number   8 u64 bytes on disk   16 u32 crc32 of bytes 0 to 15 (big-endian)
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { crc32 } from 'node:zlib';
import { OperationalError } from '../base/error.js';
import { crc32c } from './crc32c.js';
import { readOffset, writeOffset } from './keys.js';
import { fsyncDirectory } from './log-format.js';
import { walFileName, walNumbers } from './rocksdb-wal.js';
import type { WalPosition } from './rocksdb-wal.js';

const BLOCK_BYTES = 32 * 1024;
const HEADER_BYTES = 7;
const CHUNK_BYTES = 128 * BLOCK_BYTES;
const MASK_DELTA = 0xa282_ead8;

const FULL = 1;
const FIRST = 2;
const MIDDLE = 3;
const LAST = 4;

const SYNCED_FILE = 'SYNCED';
const SYNCED_BYTES = 20;

/** See the header. Throws ERR_LOG_CORRUPT. */
export function checkWals(directory: string): void {
  const numbers = walNumbers(fs.readdirSync(directory)).sort((a, b) => a - b);
  const synced = readSynced(directory);
  for (const [at, number] of numbers.entries()) {
    const file = path.join(directory, walFileName(number));
    const badAt = firstBadByte(file);
    if (badAt === undefined) continue;
    if (
      synced !== undefined &&
      (number < synced.number || (number === synced.number && badAt < synced.byteLength))
    ) {
      throw new OperationalError(
        'ERR_LOG_CORRUPT',
        `${file} is damaged at byte ${badAt}; nothing was changed`,
      );
    }
    for (const younger of numbers.slice(at + 1).reverse())
      fs.unlinkSync(path.join(directory, walFileName(younger)));
    fs.truncateSync(file, badAt);
    fsyncDirectory(directory);
    return;
  }
}

/** Notes how far the logs are on disk. Not synced itself: an older note only makes the check more lenient. */
export class SyncedNote {
  readonly #fd: number;
  readonly #bytes = Buffer.alloc(SYNCED_BYTES);

  constructor(directory: string) {
    const { O_RDWR, O_CREAT } = fs.constants;
    this.#fd = fs.openSync(path.join(directory, SYNCED_FILE), O_RDWR | O_CREAT, 0o644);
  }

  write(position: WalPosition): void {
    writeOffset(this.#bytes, position.number, 0);
    writeOffset(this.#bytes, position.byteLength, 8);
    this.#bytes.writeUInt32BE(crc32(this.#bytes.subarray(0, 16)), 16);
    fs.writeSync(this.#fd, this.#bytes, 0, SYNCED_BYTES, 0);
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

/** How far which log is on disk at least; undefined when nothing says so. */
export function readSynced(directory: string): WalPosition | undefined {
  let bytes: Buffer;
  try {
    bytes = fs.readFileSync(path.join(directory, SYNCED_FILE));
  } catch {
    return undefined;
  }
  if (bytes.length < SYNCED_BYTES || bytes.readUInt32BE(16) !== crc32(bytes.subarray(0, 16)))
    return undefined;
  return { number: readOffset(bytes, 0), byteLength: readOffset(bytes, 8) };
}

/** Where the first batch begins that is not whole, or undefined if all are. */
function firstBadByte(file: string): number | undefined {
  const fd = fs.openSync(file, 'r');
  try {
    const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    /** Start of the batch whose last record has not been seen. */
    let openAt = -1;
    for (let chunkAt = 0; ;) {
      const length = readChunk(fd, chunk, chunkAt);
      for (let blockAt = 0; blockAt < length; blockAt += BLOCK_BYTES) {
        const blockEnd = Math.min(blockAt + BLOCK_BYTES, length);
        let at = blockAt;
        while (at + HEADER_BYTES <= blockEnd) {
          const type = recordType(chunk, at, blockEnd);
          const continues = openAt !== -1;
          if (type === 0 || continues !== (type === MIDDLE || type === LAST))
            return continues ? openAt : chunkAt + at;
          if (type === FIRST) openAt = chunkAt + at;
          if (type === LAST) openAt = -1;
          at += HEADER_BYTES + chunk.readUInt16LE(at + 4);
        }
        // Zeros fill a block up; a file that ends inside a header is torn there.
        if (blockEnd - blockAt < BLOCK_BYTES && at < blockEnd) return openAt === -1 ? chunkAt + at : openAt;
      }
      chunkAt += length;
      if (length < CHUNK_BYTES) return openAt === -1 ? undefined : openAt;
    }
  } finally {
    fs.closeSync(fd);
  }
}

/** Type of the record at `at`, or 0 if it is not whole, not of a known type or its checksum is wrong. */
function recordType(bytes: Buffer, at: number, blockEnd: number): number {
  const end = at + HEADER_BYTES + bytes.readUInt16LE(at + 4);
  const type = bytes[at + 6]!;
  if (end > blockEnd || type < FULL || type > LAST) return 0;
  const crc = crc32c(bytes, at + 6, end);
  const masked = (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0;
  return masked === bytes.readUInt32LE(at) ? type : 0;
}

function readChunk(fd: number, chunk: Buffer, position: number): number {
  let done = 0;
  while (done < CHUNK_BYTES) {
    const count = fs.readSync(fd, chunk, done, CHUNK_BYTES - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
