/**
 * Reads the segments of a log back after a stop or a crash. Runs on the shard worker, while the log opens.
 *
 * Always true: frames are taken in order up to the first that is not whole. What follows decides what it is: every
 * frame names the newest frame known to be on disk when it was written (its durable frame). If a whole frame behind
 * the bad place vouches for it, durable data is damaged: ERR_LOG_CORRUPT with file and byte, and nothing is changed.
 * If none does, the bad place is the torn end of what had not been synced: the log is cut there, and later frames,
 * which only a machine crash leaves behind a gap, go too, so that what remains is a prefix of the batches written.
 * A closed log ends in a frame that vouches for all others, and a running one writes such marks every second.
 * Gives up: damage to the very last frame cannot be told from a torn write. Cost: reads the whole store (1 to 2 GB/s).
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { OperationalError } from '../base/error.js';
import { fsyncDirectory } from './log-format.js';
import {
  decodeFrame,
  decodeSegmentHeader,
  FRAME_HEADER_BYTES,
  frameBytes,
  SEGMENT_HEADER_BYTES,
} from './segment-format.js';
import type { FrameHeader } from './segment-format.js';
import { listSegments, segmentFileName } from './segment-files.js';
import type { SegmentFiles } from './segment-files.js';
import type { Segment, SegmentIndex } from './segment-index.js';

const WINDOW_BYTES = 1 << 20;

/** Counters to go on from. */
export interface Recovered {
  /** Number of the newest frame, 0 if there is none. */
  readonly frame: number;
  /** Sequence for the next operation; the first is 1. */
  readonly nextSequence: number;
  /** Number of the newest frame if it has no operations and vouches for all before it, else 0. */
  readonly markedFrame: number;
}

/** One frame as the reader hands it out: `bytes[start, end)` are its operations, valid until the next call. */
export interface ReadFrame {
  readonly header: FrameHeader;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  /** Position of the first operation in the segment. */
  readonly position: number;
}

/** Reads the frames of one segment in order through a window. */
export class FrameReader {
  readonly #read: (position: number, target: Buffer, byteLength: number) => void;
  readonly #salt: number;
  readonly #byteLength: number;
  #window = Buffer.allocUnsafeSlow(WINDOW_BYTES);
  #windowStart = 0;
  #windowLength = 0;
  /** Where the next frame begins. */
  position = SEGMENT_HEADER_BYTES;

  /** `read` fills a buffer from a position of the segment, whose first `byteLength` bytes are read. */
  constructor(
    salt: number,
    byteLength: number,
    read: (position: number, target: Buffer, byteLength: number) => void,
  ) {
    this.#salt = salt;
    this.#byteLength = byteLength;
    this.#read = read;
  }

  /** The next frame, 'end' behind the last one, or 'bad' if what is at `position` is not a whole frame. */
  next(): ReadFrame | 'end' | 'bad' {
    const left = this.#byteLength - this.position;
    if (left === 0) return 'end';
    if (left < FRAME_HEADER_BYTES) return 'bad';
    const length = frameBytes(this.#window, this.#load(FRAME_HEADER_BYTES), this.#salt);
    if (length === 0 || length > left) return 'bad';
    const at = this.#load(length);
    const header = decodeFrame(this.#window, at, at + length);
    if (header === undefined) return 'bad';
    const position = this.position + FRAME_HEADER_BYTES;
    this.position += length;
    return { header, bytes: this.#window, start: at + FRAME_HEADER_BYTES, end: at + length, position };
  }

  /** Index in the window of `position`, with at least `length` bytes behind it. */
  #load(length: number): number {
    const at = this.position - this.#windowStart;
    if (at >= 0 && at + length <= this.#windowLength) return at;
    if (length > this.#window.length) this.#window = Buffer.allocUnsafeSlow(length);
    this.#windowStart = this.position;
    this.#windowLength = Math.min(this.#window.length, this.#byteLength - this.position);
    this.#read(this.position, this.#window, this.#windowLength);
    return 0;
  }
}

/** Fills `files` and `index` from the directory and cuts a torn end off. Throws ERR_LOG_CORRUPT; see the header. */
export function recoverSegments(files: SegmentFiles, index: SegmentIndex): Recovered {
  const numbers = listSegments(files.directory);
  let frame = 0;
  let nextSequence = 1;
  let durableFrame = 0;
  let markedFrame = 0;
  /** First segment that may hold frames which are not on disk yet. */
  let unsyncedFrom = 0;
  for (const [at, number] of numbers.entries()) {
    const file = path.join(files.directory, segmentFileName(number));
    const fd = fs.openSync(file, 'r');
    try {
      const byteLength = fs.fstatSync(fd).size;
      const read = (position: number, target: Buffer, length: number): void =>
        readFully(fd, file, position, target, length);
      const head = Buffer.alloc(SEGMENT_HEADER_BYTES);
      read(0, head, Math.min(byteLength, SEGMENT_HEADER_BYTES));
      const header = decodeSegmentHeader(head);
      if (header === undefined || header.number !== number || header.firstFrame <= frame) {
        // A header that was never synced is short or zeros; anything else was written and then damaged.
        if (byteLength >= SEGMENT_HEADER_BYTES && head.some((byte) => byte !== 0))
          throw corruptError(file, 0);
        refuseIfDurable(files.directory, numbers.slice(at + 1), frame + 1, file, 0);
        cutOff(files.directory, numbers.slice(at), 0);
        break;
      }
      const segment: Segment = { number, salt: header.salt, byteLength, liveBytes: 0, tombstones: [] };
      files.add(segment);
      frame = header.firstFrame - 1;
      const reader = new FrameReader(header.salt, byteLength, read);
      let next = reader.next();
      let position = SEGMENT_HEADER_BYTES;
      for (; typeof next === 'object' && next.header.frame === frame + 1; next = reader.next()) {
        index.apply(next.bytes, next.start, next.end, segment, next.position, next.header.firstSequence);
        frame = next.header.frame;
        nextSequence = next.header.firstSequence + next.header.operationCount;
        durableFrame = Math.max(durableFrame, next.header.durableFrame);
        markedFrame = next.header.operationCount === 0 && durableFrame === frame - 1 ? frame : 0;
        position = reader.position;
      }
      if (frame > durableFrame && unsyncedFrom === 0) unsyncedFrom = number;
      if (durableFrame >= frame) unsyncedFrom = 0;
      if (next === 'end') continue;
      if (maxDurableFrame(header.salt, byteLength, position, read) > frame)
        throw corruptError(file, position);
      refuseIfDurable(files.directory, numbers.slice(at + 1), frame + 1, file, position);
      cutOff(files.directory, numbers.slice(at), position);
      segment.byteLength = position;
      break;
    } finally {
      fs.closeSync(fd);
    }
  }
  // After kill -9 the frames that nobody vouches for are in the page cache only; the next sync must not leave them out.
  for (const { number } of files.segments) {
    if (unsyncedFrom !== 0 && number >= unsyncedFrom)
      fsyncFile(path.join(files.directory, segmentFileName(number)));
  }
  return { frame, nextSequence, markedFrame };
}

/** ERR_LOG_CORRUPT if a whole frame in one of the segments says that `frame` was on disk. */
function refuseIfDurable(
  directory: string,
  numbers: readonly number[],
  frame: number,
  file: string,
  position: number,
): void {
  for (const number of numbers) {
    const bytes = fs.readFileSync(path.join(directory, segmentFileName(number)));
    const header = decodeSegmentHeader(bytes);
    if (header === undefined) continue;
    const read = (from: number, target: Buffer, length: number): void =>
      void bytes.copy(target, 0, from, from + length);
    if (maxDurableFrame(header.salt, bytes.length, SEGMENT_HEADER_BYTES, read) >= frame)
      throw corruptError(file, position);
  }
}

/** The highest durable frame that any whole frame at or behind `from` names, wherever it begins. */
function maxDurableFrame(
  salt: number,
  byteLength: number,
  from: number,
  read: (position: number, target: Buffer, length: number) => void,
): number {
  const bytes = Buffer.allocUnsafeSlow(byteLength - from);
  read(from, bytes, bytes.length);
  const mark = Buffer.alloc(4);
  mark.writeUInt32BE(salt, 0);
  let durableFrame = 0;
  for (let at = bytes.indexOf(mark); at !== -1; at = bytes.indexOf(mark, at + 1)) {
    const length = frameBytes(bytes, at, salt);
    if (length === 0 || at + length > bytes.length) continue;
    const header = decodeFrame(bytes, at, at + length);
    if (header !== undefined) durableFrame = Math.max(durableFrame, header.durableFrame);
  }
  return durableFrame;
}

/** Cuts the first segment at `position` (0 removes it) and removes the others, newest first. */
function cutOff(directory: string, numbers: readonly number[], position: number): void {
  const [first, ...others] = numbers.map((number) => path.join(directory, segmentFileName(number)));
  for (const file of others.reverse()) fs.unlinkSync(file);
  if (first !== undefined && position === 0) fs.unlinkSync(first);
  else if (first !== undefined) {
    fs.truncateSync(first, position);
    fsyncFile(first);
  }
  fsyncDirectory(directory);
}

function fsyncFile(file: string): void {
  const fd = fs.openSync(file, 'r+');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function readFully(fd: number, file: string, position: number, target: Buffer, byteLength: number): void {
  let done = 0;
  while (done < byteLength) {
    const count = fs.readSync(fd, target, done, byteLength - done, position + done);
    if (count === 0) throw new OperationalError('ERR_LOG_READ', `${file} became shorter while it was read`);
    done += count;
  }
}

function corruptError(file: string, position: number): OperationalError {
  return new OperationalError(
    'ERR_LOG_CORRUPT',
    `${file} is damaged at byte ${position}; nothing was changed`,
  );
}
