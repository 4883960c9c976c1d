/**
 * Gives the space of dead records back. Runs on the shard worker, in slices of `maintain`.
 *
 * A segment with nothing live whose tombstones guard no other segment is removed. To make a segment so, the cleaner
 * copies what is still needed of it (live records, guarding tombstones) to the end of the log, each with its first
 * sequence: first for dead segments, oldest first, then, when dead bytes outweigh live ones, for the least live one.
 * Always true: a segment is removed only after a sync that began when it was already dead, and its removal is on disk
 * before it stops counting as guarded. Copies come from frames whose checksum was verified. A slice takes SLICE_MS.
 * Gives up: a store that is half live keeps up to as many dead bytes as live ones.
 */
import { assert, OperationalError } from '../base/error.js';
import { readOffset } from './keys.js';
import { SegmentBatch } from './segment-batch.js';
import {
  DELETE_BLOCK_BYTES,
  FRAME_HEADER_BYTES,
  Operation,
  operationBytes,
  SHORT_HEADER_BYTES,
} from './segment-format.js';
import type { SegmentFiles } from './segment-files.js';
import type { Segment, SegmentIndex } from './segment-index.js';
import { FrameReader } from './segment-recovery.js';
import type { SyncDone } from './sync-queue.js';

const MIB = 1 << 20;
/** Loop time of one slice, ms. */
const SLICE_MS = 8;
/** A frame of copies is written once it has this size, bytes. */
const COPY_BYTES = MIB;
/** Dead bytes in sealed segments below this part of a full segment are left alone. */
const DEAD_PART_MIN = 1 / 2;
/** Dead bytes in the newest segment beyond this part of a full one close it at rest, so that it can be cleaned. */
const ACTIVE_DEAD_PART_MAX = 1 / 8;
/** Faults of the segment that is being cleaned, not of the log. */
const READ_FAULTS: ReadonlySet<string> = new Set(['ERR_LOG_READ', 'ERR_LOG_CORRUPT']);

/** What the cleaner needs of the log. */
export interface CleanerHost {
  readonly files: SegmentFiles;
  readonly index: SegmentIndex;
  /** Size of a full segment, bytes. */
  readonly segmentBytesMax: number;
  /** Writes a frame of copied operations and applies it. Throws ERR_LOG_WRITE. */
  writeCopies(batch: SegmentBatch): void;
  /** Starts a new segment. Throws ERR_LOG_WRITE. */
  rotate(): void;
  sync(done: SyncDone): void;
}

interface Job {
  readonly segment: Segment;
  readonly reader: FrameReader;
  phase: 'records' | 'tombstones';
  /** Next entry of `segment.tombstones`. */
  tombstone: number;
}

/** One per log. */
export class SegmentCleaner {
  readonly #host: CleanerHost;
  readonly #batch = new SegmentBatch();
  /** Tombstones in the batch: offset in the frame, from, to, sequence. */
  readonly #batchTombstones: number[] = [];
  /** Segments that cannot be read whole; left alone. */
  readonly #damaged = new Set<number>();
  #job: Job | null = null;
  #removal: Promise<void> | null = null;
  #stopped = false;
  /** Readers that need every segment to stay. */
  #holds = 0;

  constructor(host: CleanerHost) {
    this.#host = host;
  }

  /** Starts no more removals; resolves when none is in flight. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#removal;
  }

  /** From the moment it resolves no segment is removed, until `letGo` is called as often. */
  async hold(): Promise<void> {
    this.#holds += 1;
    await this.#removal;
  }

  letGo(): void {
    this.#holds -= 1;
    assert(this.#holds >= 0, 'a hold is let go once');
  }

  /** One slice. `idle`: nothing has been written for a while. Throws what `writeCopies` throws. */
  step(idle: boolean): void {
    const { files } = this.#host;
    const { active } = files;
    if (idle && active.byteLength - active.liveBytes > this.#host.segmentBytesMax * ACTIVE_DEAD_PART_MAX)
      this.#host.rotate();
    if (this.#removal === null && !this.#stopped) this.#removeDead();
    if (this.#removal === null && this.#job === null) this.#job = this.#chooseJob();
    if (this.#job !== null) this.#work(this.#job, performance.now() + SLICE_MS);
  }

  /** Starts the removal of every sealed segment that nothing needs any more. */
  #removeDead(): void {
    if (this.#holds > 0) return;
    const { files } = this.#host;
    const dead = files.segments.filter(
      (segment) =>
        segment.liveBytes === 0 &&
        segment !== files.active &&
        segment !== this.#job?.segment &&
        !this.#guards(segment),
    );
    if (dead.length === 0) return;
    this.#removal = new Promise<void>((resolve) => {
      this.#host.sync((error) => {
        if (error !== null) this.#stopped = true;
        const removed = error === null ? files.remove(dead) : Promise.resolve();
        // A directory that cannot be changed or synced is left as it is: space is lost, nothing else.
        void removed.catch(() => void (this.#stopped = true)).then(resolve);
      });
    }).then(() => {
      this.#removal = null;
      // What these segments pinned may be free now: a chain of dead segments goes without waiting for calls.
      if (!this.#stopped) this.#removeDead();
    });
  }

  /** Does a tombstone in the segment cover what another segment may hold? Entries that no longer do are forgotten. */
  #guards(segment: Segment): boolean {
    const { tombstones } = segment;
    while (tombstones.length > 0) {
      const at = tombstones.length - 4;
      if (this.#host.files.hasAny(tombstones[at + 1]!, tombstones[at + 2]!, segment.number)) return true;
      tombstones.length = at;
    }
    return false;
  }

  #chooseJob(): Job | null {
    const { files } = this.#host;
    let deadBytes = 0;
    let liveBytes = 0;
    let best: Segment | null = null;
    let bestPart = 1;
    for (const segment of files.segments) {
      if (segment === files.active || this.#damaged.has(segment.number)) continue;
      if (segment.liveBytes === 0) return this.#jobFor(segment);
      deadBytes += segment.byteLength - segment.liveBytes;
      liveBytes += segment.liveBytes;
      const part = segment.liveBytes / segment.byteLength;
      if (part < bestPart) [best, bestPart] = [segment, part];
    }
    return best === null || deadBytes <= Math.max(this.#host.segmentBytesMax * DEAD_PART_MIN, liveBytes)
      ? null
      : this.#jobFor(best);
  }

  #jobFor(segment: Segment): Job {
    const { files } = this.#host;
    const reader = new FrameReader(segment.salt, segment.byteLength, (position, target, length) =>
      files.readInto(segment.number, position, target, length),
    );
    return { segment, reader, phase: segment.liveBytes === 0 ? 'tombstones' : 'records', tombstone: 0 };
  }

  #work(job: Job, deadlineMs: number): void {
    do {
      try {
        if (job.phase === 'records') this.#copyFrame(job);
        else this.#copyTombstone(job);
      } catch (error) {
        if (!(error instanceof OperationalError) || !READ_FAULTS.has(error.code)) throw error;
        this.#giveUp(job);
      }
      if (this.#batch.length >= COPY_BYTES) this.#flush();
    } while (this.#job !== null && performance.now() < deadlineMs);
    this.#flush();
  }

  /** Its live records stay where they are; whoever reads one of them learns what is wrong. */
  #giveUp(job: Job): void {
    this.#damaged.add(job.segment.number);
    this.#job = null;
  }

  #copyFrame(job: Job): void {
    const next = job.segment.liveBytes === 0 ? 'end' : job.reader.next();
    if (next === 'end') {
      this.#flush();
      assert(job.segment.liveBytes === 0, 'every live record of a cleaned segment has been copied');
      job.phase = 'tombstones';
      return;
    }
    if (next === 'bad') {
      this.#giveUp(job);
      return;
    }
    const { bytes, start, end, position } = next;
    for (let at = start; at < end;) {
      const length = operationBytes(bytes, at);
      const sequence = this.#host.index.liveSequence(bytes, at, job.segment.number, position + at - start);
      if (sequence !== 0) this.#batch.copy(bytes, at, at + length, sequence);
      at += length;
    }
  }

  #copyTombstone(job: Job): void {
    const { segment } = job;
    const { tombstones } = segment;
    const at = job.tombstone;
    if (at >= tombstones.length) {
      // The copies guard now; they are synced before the segment is removed.
      this.#flush();
      tombstones.length = 0;
      this.#job = null;
      return;
    }
    job.tombstone += 4;
    const from = tombstones[at + 1]!;
    const to = tombstones[at + 2]!;
    if (!this.#host.files.hasAny(from, to, segment.number)) return;
    const bytes = this.#readTombstone(segment, tombstones[at]!);
    this.#batchTombstones.push(this.#batch.length, from, to, tombstones[at + 3]!);
    this.#batch.copy(bytes, 0, bytes.length, tombstones[at + 3]!);
  }

  #readTombstone(segment: Segment, position: number): Buffer {
    const { files } = this.#host;
    const bytes = files.read(
      segment.number,
      position,
      Math.min(DELETE_BLOCK_BYTES, segment.byteLength - position),
    );
    if (bytes[0] !== Operation.deleteKey) return bytes.subarray(0, operationBytes(bytes, 0));
    return files.read(segment.number, position, SHORT_HEADER_BYTES + bytes.readUInt32BE(13));
  }

  /** Writes the copies; the index moves live records by itself, tombstones are entered here. */
  #flush(): void {
    if (this.#batch.operationCount === 0) return;
    this.#host.writeCopies(this.#batch);
    const { active } = this.#host.files;
    const frameStart = active.byteLength - this.#batch.length;
    for (let at = 0; at < this.#batchTombstones.length; at += 4) {
      const [offset, from, to, sequence] = this.#batchTombstones.slice(at, at + 4) as [
        number,
        number,
        number,
        number,
      ];
      assert(
        readOffset(this.#batch.bytes, offset + 5) === sequence && offset >= FRAME_HEADER_BYTES,
        'a copied tombstone keeps its sequence',
      );
      active.tombstones.push(frameStart + offset, from, to, sequence);
    }
    this.#batchTombstones.length = 0;
    this.#batch.clear();
  }
}
