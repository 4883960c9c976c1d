/**
 * The store without native code: plain append-only segment files. Runs on the shard worker.
 *
 * Always true: a batch is one checksummed frame, appended with write(2) before `write` returns, so it survives kill -9;
 * fdatasync in the thread pool makes it survive the machine. The files alone are the store: the index is rebuilt
 * from them at open. After the first failed write the log refuses every later one with the same reason.
 * Bytes: segment-format.ts. Recovery: segment-recovery.ts. Space: segment-cleaner.ts.
 * Gives up: opening reads the whole store, and the index costs 64 bytes per block and about 150 per last-value key.
 */
import { assert, OperationalError } from '../base/error.js';
import type { Checkpoint } from './checkpoint.js';
import { lockDirectory } from './directory-lock.js';
import type { ReleaseDirectory } from './directory-lock.js';
import { BLOCK_KEY_BYTES } from './keys.js';
import { prepareDirectory } from './log-format.js';
import type { Log, LogBatch, LogOptions, StoredBlock } from './log.js';
import { SegmentBatch } from './segment-batch.js';
import { segmentCheckpoint } from './segment-checkpoint.js';
import { SegmentCleaner } from './segment-cleaner.js';
import { SegmentFiles } from './segment-files.js';
import { FRAME_HEADER_BYTES, sealFrame } from './segment-format.js';
import { SegmentIndex } from './segment-index.js';
import { recoverSegments } from './segment-recovery.js';
import { SyncQueue } from './sync-queue.js';
import type { SyncDone } from './sync-queue.js';

/** A segment is closed by the first frame that ends beyond this, bytes. */
const SEGMENT_BYTES_MAX = 64 << 20;
/** Written data is synced at least this often even if nobody asks, so that recovery can tell damage from a torn end, ms. */
const MARK_INTERVAL_MS = 1000;
/** Calls of `maintain` without a write between them that count as rest. */
const IDLE_CALLS_MIN = 2;

/** Opens or creates the log. Errors: ERR_LOG_OPEN, ERR_LOG_LOCKED, ERR_LOG_CORRUPT, ERR_LOG_VERSION. `segmentBytesMax` is for tests. */
export async function openSegmentLog(
  options: LogOptions,
  segmentBytesMax: number = SEGMENT_BYTES_MAX,
): Promise<Log> {
  prepareDirectory(options.directory, 'segment');
  const release = await lockDirectory(options.directory);
  let files: SegmentFiles | null = null;
  try {
    files = new SegmentFiles(options.directory);
    return new SegmentLog(files, release, segmentBytesMax);
  } catch (error) {
    files?.close();
    release();
    if (error instanceof OperationalError) throw error;
    throw new OperationalError(
      'ERR_LOG_OPEN',
      `cannot open the log in ${options.directory}: ${String(error)}`,
      error,
    );
  }
}

class SegmentLog implements Log {
  readonly driver = 'segment';
  readonly #files: SegmentFiles;
  readonly #index: SegmentIndex;
  readonly #release: ReleaseDirectory;
  readonly #segmentBytesMax: number;
  readonly #syncs: SyncQueue;
  readonly #cleaner: SegmentCleaner;
  /** Number of the newest frame. */
  #frame: number;
  #nextSequence: number;
  /** Newest frame that is known to be on disk. */
  #durableFrame: number;
  /** Newest frame that does nothing but vouch for all before it; 0 if there is none. */
  #markedFrame: number;
  #failure: OperationalError | null = null;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #syncedAtMs = Number.NEGATIVE_INFINITY;
  #frameSeen = 0;
  #idleCalls = 0;

  constructor(files: SegmentFiles, release: ReleaseDirectory, segmentBytesMax: number) {
    this.#files = files;
    this.#release = release;
    this.#segmentBytesMax = segmentBytesMax;
    this.#index = new SegmentIndex(files);
    const recovered = recoverSegments(files, this.#index);
    this.#frame = recovered.frame;
    this.#nextSequence = recovered.nextSequence;
    this.#durableFrame = recovered.frame;
    this.#markedFrame = recovered.markedFrame;
    if (files.segments.length === 0) files.rotate(this.#frame + 1);
    else files.openActive();
    this.#syncs = new SyncQueue((done) => this.#flush(done));
    this.#cleaner = new SegmentCleaner({
      files,
      index: this.#index,
      segmentBytesMax,
      writeCopies: (batch) => this.#writeFrame(batch),
      rotate: () => this.#rotate(),
      sync: (done) => this.#syncs.request(done),
    });
  }

  queues(): { queueId: number; meta: Uint8Array }[] {
    this.#assertOpen();
    return this.#index.queues();
  }

  batch(): LogBatch {
    this.#assertOpen();
    return new SegmentBatch();
  }

  write(batch: LogBatch): void {
    this.#assertOpen();
    assert(batch instanceof SegmentBatch, 'a batch belongs to the log that made it');
    if (batch.operationCount > 0) this.#writeFrame(batch);
    else if (this.#failure !== null) throw this.#failure;
  }

  sync(done: SyncDone): void {
    this.#assertOpen();
    this.#syncs.request(done);
  }

  readSummaries(queueId: number, fromOffset: number, countMax: number): StoredBlock[] {
    this.#assertOpen();
    const result: StoredBlock[] = [];
    if (countMax <= 0) return result;
    this.#index.visit(queueId, fromOffset, 'summaries', (firstOffset, place) => {
      result.push({
        firstOffset,
        value: this.#files.read(place.segmentNumber, place.position, place.byteLength),
      });
      return result.length < countMax;
    });
    return result;
  }

  readBlocks(queueId: number, fromOffset: number, bytesMax: number): StoredBlock[] {
    this.#assertOpen();
    const result: StoredBlock[] = [];
    let bytes = 0;
    this.#index.visit(queueId, fromOffset, 'blocks', (firstOffset, place) => {
      result.push({
        firstOffset,
        value: this.#files.read(place.segmentNumber, place.position, place.byteLength),
      });
      bytes += BLOCK_KEY_BYTES + place.byteLength;
      return bytes < bytesMax;
    });
    return result;
  }

  readBlock(queueId: number, firstOffset: number): Uint8Array | undefined {
    this.#assertOpen();
    const place = this.#index.findBlock(queueId, firstOffset);
    return place === undefined
      ? undefined
      : this.#files.read(place.segmentNumber, place.position, place.byteLength);
  }

  readKey(queueId: number, key: Uint8Array): number | undefined {
    this.#assertOpen();
    return this.#index.readKey(queueId, key);
  }

  readKeys(
    queueId: number,
    afterKey: Uint8Array | undefined,
    countMax: number,
  ): { key: Uint8Array; offset: number }[] {
    this.#assertOpen();
    return countMax <= 0 ? [] : this.#index.readKeys(queueId, afterKey, countMax);
  }

  async checkpoint(): Promise<Checkpoint> {
    this.#assertOpen();
    await this.#cleaner.hold();
    this.#assertOpen();
    return segmentCheckpoint(this.#files, () => this.#cleaner.letGo());
  }

  diskBytes(): number {
    return this.#files.byteLength;
  }

  maintain(nowMs: number): void {
    this.#assertOpen();
    if (this.#failure !== null) return;
    this.#idleCalls = this.#frame === this.#frameSeen ? this.#idleCalls + 1 : 0;
    if (
      this.#frame > this.#durableFrame &&
      !this.#syncs.busy &&
      nowMs - this.#syncedAtMs >= MARK_INTERVAL_MS
    ) {
      this.#syncedAtMs = nowMs;
      this.#syncs.request(ignore);
    }
    try {
      this.#cleaner.step(this.#idleCalls >= IDLE_CALLS_MIN);
    } catch (error) {
      this.#fail(error);
    }
    this.#frameSeen = this.#frame;
  }

  async close(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    await this.#synced();
    await this.#cleaner.stop();
    if (this.#failure === null && this.#frame > this.#markedFrame) {
      try {
        this.#writeFrame(new SegmentBatch());
      } catch {
        // The mark only helps recovery to judge damage; what was written is synced already.
      }
      await this.#synced();
    }
    this.#state = 'closed';
    this.#files.close();
    this.#release();
  }

  #assertOpen(): void {
    assert(this.#state === 'open', 'the log is open');
  }

  #synced(): Promise<void> {
    return new Promise((resolve) => this.#syncs.request(() => resolve()));
  }

  #fail(error: unknown): OperationalError {
    this.#failure ??= new OperationalError(
      'ERR_LOG_WRITE',
      `cannot write to the log in ${this.#files.directory}: ${String(error)}`,
      error,
    );
    return this.#failure;
  }

  #rotate(): void {
    if (this.#failure !== null) throw this.#failure;
    try {
      this.#files.rotate(this.#frame + 1);
    } catch (error) {
      throw this.#fail(error);
    }
    // A closed segment becomes durable soon, so that the mark in later frames covers it.
    this.#syncs.request(ignore);
  }

  /** Appends the batch as one frame and applies it to the index. */
  #writeFrame(batch: SegmentBatch): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#files.active.byteLength >= this.#segmentBytesMax) this.#rotate();
    const segment = this.#files.active;
    const frame = this.#frame + 1;
    sealFrame(batch.bytes, batch.length, segment.salt, {
      operationCount: batch.operationCount,
      frame,
      durableFrame: this.#durableFrame,
      firstSequence: this.#nextSequence,
    });
    let position: number;
    try {
      position = this.#files.append(batch.bytes, batch.length);
    } catch (error) {
      throw this.#fail(error);
    }
    this.#index.apply(
      batch.bytes,
      FRAME_HEADER_BYTES,
      batch.length,
      segment,
      position + FRAME_HEADER_BYTES,
      this.#nextSequence,
    );
    this.#frame = frame;
    this.#nextSequence += batch.operationCount;
    if (batch.operationCount === 0) this.#markedFrame = frame;
  }

  #flush(done: SyncDone): void {
    const frame = this.#frame;
    if (frame === this.#durableFrame) {
      setImmediate(done, null);
      return;
    }
    this.#files.flush((error) => {
      if (error === null) this.#durableFrame = frame;
      done(error);
    });
  }
}

function ignore(): void {
  // The sticky failure of the sync queue reaches everybody who asks for a sync.
}
