/**
 * The files of a segment log: append, read, sync, remove. Runs on the shard worker; syncs and removals in the thread
 * pool, everything else at once.
 *
 * Always true: only the segment with the highest number is written, at its end; the others never change. A sync
 * covers every file written since it was last synced, also those that stopped being the newest meanwhile, and the
 * directory when a file is new. Numbers are never used twice.
 * Gives up: at most READ_FDS_MAX segments stay open for reading; a scattered read of more re-opens files.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { randomBytes } from 'node:crypto';
import { assert, OperationalError } from '../base/error.js';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES } from './segment-format.js';
import type { Segment, SegmentSet } from './segment-index.js';
import type { SyncDone } from './sync-queue.js';

const SEGMENT_FILE = /^(\d{10})\.seg$/;
const READ_FDS_MAX = 128;

/** Name of a segment's file inside the log directory. */
export function segmentFileName(segmentNumber: number): string {
  return `${String(segmentNumber).padStart(10, '0')}.seg`;
}

/** Numbers of the segment files in the directory, ascending. */
export function listSegments(directory: string): number[] {
  const numbers: number[] = [];
  for (const name of fs.readdirSync(directory)) {
    const match = SEGMENT_FILE.exec(name);
    if (match !== null) numbers.push(Number(match[1]));
  }
  return numbers.sort((a, b) => a - b);
}

/** See the header. */
export class SegmentFiles implements SegmentSet {
  readonly directory: string;
  /** Ascending by number; the last one is written. */
  readonly segments: Segment[] = [];
  readonly #byNumber = new Map<number, Segment>();
  readonly #directoryFd: number;
  /** Least recently used first. */
  readonly #readFds = new Map<number, number>();
  #writeFd = -1;
  /** Files that were written and are no longer the newest, until they are synced. */
  readonly #rotatedFds: number[] = [];
  #directoryChanged = false;

  constructor(directory: string) {
    this.directory = directory;
    this.#directoryFd = fs.openSync(directory, 'r');
  }

  /** The segment that is written. */
  get active(): Segment {
    const segment = this.segments[this.segments.length - 1];
    assert(segment !== undefined, 'an open log has a segment');
    return segment;
  }

  get byteLength(): number {
    let bytes = 0;
    for (const segment of this.segments) bytes += segment.byteLength;
    return bytes;
  }

  get(segmentNumber: number): Segment {
    const segment = this.#byNumber.get(segmentNumber);
    assert(segment !== undefined, 'what is live is in a segment that exists');
    return segment;
  }

  hasAny(from: number, to: number, except: number): boolean {
    // Ranges are short and mostly end near the newest segment, so the search runs from there.
    for (let index = this.segments.length - 1; index >= 0; index -= 1) {
      const { number } = this.segments[index]!;
      if (number < from) return false;
      if (number <= to && number !== except) return true;
    }
    return false;
  }

  /** Adds a segment that recovery has read. */
  add(segment: Segment): void {
    assert(this.segments.length === 0 || segment.number > this.active.number, 'segments are added in order');
    this.segments.push(segment);
    this.#byNumber.set(segment.number, segment);
  }

  /** Opens the newest segment for appending after recovery. */
  openActive(): void {
    this.#writeFd = fs.openSync(this.#file(this.active.number), 'r+');
  }

  /** Starts a new segment. Throws what the file system throws; the file that was written stays the newest then. */
  rotate(firstFrame: number): void {
    const number = this.segments.length === 0 ? 1 : this.active.number + 1;
    const salt = randomBytes(4).readUInt32BE(0);
    const file = this.#file(number);
    const fd = fs.openSync(file, 'wx');
    try {
      writeFully(fd, encodeSegmentHeader({ number, salt, firstFrame }), SEGMENT_HEADER_BYTES, 0);
    } catch (error) {
      fs.closeSync(fd);
      fs.rmSync(file, { force: true });
      throw error;
    }
    if (this.#writeFd !== -1) this.#rotatedFds.push(this.#writeFd);
    this.#writeFd = fd;
    this.#directoryChanged = true;
    this.add({ number, salt, byteLength: SEGMENT_HEADER_BYTES, liveBytes: 0, tombstones: [] });
  }

  /** Appends `bytes[0, byteLength)` to the newest segment and returns the position. After a throw the file ends where it ended before, or in a torn frame. */
  append(bytes: Buffer, byteLength: number): number {
    const segment = this.active;
    const position = segment.byteLength;
    try {
      writeFully(this.#writeFd, bytes, byteLength, position);
    } catch (error) {
      try {
        fs.ftruncateSync(this.#writeFd, position);
      } catch {
        // Recovery cuts the torn frame off; the first error is the one that matters.
      }
      throw error;
    }
    segment.byteLength += byteLength;
    return position;
  }

  /** A new buffer with that range of the segment. */
  read(segmentNumber: number, position: number, byteLength: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(byteLength);
    this.readInto(segmentNumber, position, bytes, byteLength);
    return bytes;
  }

  /** Fills `bytes[0, byteLength)` from the segment. ERR_LOG_READ if that fails, ERR_LOG_CORRUPT if the file is shorter. */
  readInto(segmentNumber: number, position: number, bytes: Buffer, byteLength: number): void {
    let done = 0;
    try {
      const fd = this.#readFd(segmentNumber);
      while (done < byteLength) {
        const count = fs.readSync(fd, bytes, done, byteLength - done, position + done);
        if (count === 0) break;
        done += count;
      }
    } catch (error) {
      throw new OperationalError(
        'ERR_LOG_READ',
        `cannot read ${this.#file(segmentNumber)}: ${String(error)}`,
        error,
      );
    }
    if (done < byteLength) {
      throw new OperationalError(
        'ERR_LOG_CORRUPT',
        `${this.#file(segmentNumber)} ends at byte ${position + done}, before what it held`,
      );
    }
  }

  /** Makes all that is written durable. One at a time: put a `SyncQueue` before it. */
  flush(done: SyncDone): void {
    const rotated = this.#rotatedFds.length;
    const fds = [...this.#rotatedFds, this.#writeFd];
    let left = fds.length;
    let failure: Error | null = null;
    const step = (error: Error | null): void => {
      if (error !== null && failure === null) failure = error;
      left -= 1;
      if (left > 0) return;
      // Rotated files got no write after this flush began; the newest one may have, and stays.
      for (const fd of this.#rotatedFds.splice(0, rotated)) fs.closeSync(fd);
      done(
        failure === null
          ? null
          : new OperationalError(
              'ERR_LOG_SYNC',
              `cannot make the log in ${this.directory} durable: ${String(failure)}`,
              failure,
            ),
      );
    };
    if (this.#directoryChanged) {
      this.#directoryChanged = false;
      left += 1;
      fs.fsync(this.#directoryFd, step);
    }
    for (const fd of fds) fs.fdatasync(fd, step);
  }

  /** Removes the files for good, then forgets the segments. Rejects if that cannot be done; the segments stay known then. */
  async remove(segments: readonly Segment[]): Promise<void> {
    for (const segment of segments) {
      this.#closeRead(segment.number);
      await fs.promises.unlink(this.#file(segment.number));
    }
    // The names must be gone on disk before a segment whose tombstones guard these may go.
    await new Promise<void>((resolve, reject) => {
      fs.fsync(this.#directoryFd, (error) => (error === null ? resolve() : reject(error)));
    });
    for (const segment of segments) {
      this.segments.splice(this.segments.indexOf(segment), 1);
      this.#byNumber.delete(segment.number);
    }
  }

  /** Closes all descriptors. No flush or removal may be in flight. */
  close(): void {
    for (const fd of [...this.#rotatedFds, ...this.#readFds.values(), this.#writeFd, this.#directoryFd]) {
      if (fd !== -1) fs.closeSync(fd);
    }
    this.#rotatedFds.length = 0;
    this.#readFds.clear();
  }

  #file(segmentNumber: number): string {
    return path.join(this.directory, segmentFileName(segmentNumber));
  }

  #readFd(segmentNumber: number): number {
    let fd = this.#readFds.get(segmentNumber);
    if (fd === undefined) {
      const oldest = this.#readFds.size < READ_FDS_MAX ? undefined : this.#readFds.keys().next().value;
      if (oldest !== undefined) this.#closeRead(oldest);
      fd = fs.openSync(this.#file(segmentNumber), 'r');
    } else this.#readFds.delete(segmentNumber);
    this.#readFds.set(segmentNumber, fd);
    return fd;
  }

  #closeRead(segmentNumber: number): void {
    const fd = this.#readFds.get(segmentNumber);
    if (fd === undefined) return;
    this.#readFds.delete(segmentNumber);
    fs.closeSync(fd);
  }
}

/** write(2) may stop early, for example at the end of the space; the next call then says why. */
function writeFully(fd: number, bytes: Buffer, byteLength: number, position: number): void {
  let done = 0;
  while (done < byteLength) done += fs.writeSync(fd, bytes, done, byteLength - done, position + done);
}
