/**
 * A checkpoint of the segment store. Runs on the shard worker.
 *
 * The files are append-only, so a list of them with their lengths is the state of that moment, as long as none is
 * removed. Their frames are replayed into an index of the checkpoint's own, slice by slice, and what that index points to
 * is read out. Always true: a slice takes about SLICE_MS, whatever the store holds; frames behind the noted lengths are not
 * looked at. Gives up: the files are read twice, and the second index costs as much memory as the first while it lasts.
 */
import { OperationalError } from '../base/error.js';
import { CheckpointKind } from './checkpoint.js';
import type { Checkpoint, CheckpointPage } from './checkpoint.js';
import type { SegmentFiles } from './segment-files.js';
import { SegmentIndex } from './segment-index.js';
import type { IndexRecord, Segment } from './segment-index.js';
import { FrameReader } from './segment-recovery.js';

/** Loop time of one slice, ms. */
const SLICE_MS = 4;
/** Records between two looks at the clock. */
const RECORDS_PER_LOOK = 64;

/** Takes the checkpoint; no segment may be removed from now on until `onClose`. */
export function segmentCheckpoint(files: SegmentFiles, onClose: () => void): Checkpoint {
  return new SegmentCheckpoint(files, onClose);
}

class SegmentCheckpoint implements Checkpoint {
  readonly #files: SegmentFiles;
  readonly #onClose: () => void;
  readonly #segments: readonly Segment[];
  readonly #index: SegmentIndex;
  #replayed = 0;
  #reader: FrameReader | null = null;
  #records: Iterator<IndexRecord> | null = null;
  #state: 'open' | 'closed' = 'open';

  constructor(files: SegmentFiles, onClose: () => void) {
    this.#files = files;
    this.#onClose = onClose;
    this.#segments = files.segments.map(({ number, salt, byteLength }) => ({
      number,
      salt,
      byteLength,
      liveBytes: 0,
      tombstones: [],
    }));
    const byNumber = new Map(this.#segments.map((segment) => [segment.number, segment]));
    this.#index = new SegmentIndex({
      get: (segmentNumber) => byNumber.get(segmentNumber) as Segment,
      // Nothing is cleaned here, so no tombstone has to be remembered.
      hasAny: () => false,
    });
  }

  next(page: CheckpointPage): boolean {
    if (this.#state === 'closed') return false;
    const deadlineMs = performance.now() + SLICE_MS;
    while (this.#replayed < this.#segments.length) {
      this.#replayFrame(this.#segments[this.#replayed] as Segment);
      if (performance.now() >= deadlineMs) return true;
    }
    this.#records ??= this.#index.records();
    for (let count = 1; !page.isFull; count += 1) {
      const { done, value: record } = this.#records.next();
      if (done === true) return false;
      page.add(record.kind, record.queueId, record.offset, this.#valueOf(record));
      if (count % RECORDS_PER_LOOK === 0 && performance.now() >= deadlineMs) break;
    }
    return true;
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#records = null;
    this.#onClose();
  }

  #replayFrame(segment: Segment): void {
    this.#reader ??= new FrameReader(segment.salt, segment.byteLength, (position, target, byteLength) =>
      this.#files.readInto(segment.number, position, target, byteLength),
    );
    const frame = this.#reader.next();
    if (frame === 'end') {
      this.#reader = null;
      this.#replayed += 1;
      return;
    }
    if (frame === 'bad') {
      throw new OperationalError(
        'ERR_LOG_CORRUPT',
        `segment ${segment.number} of ${this.#files.directory} is damaged at byte ${this.#reader.position}`,
      );
    }
    this.#index.apply(
      frame.bytes,
      frame.start,
      frame.end,
      segment,
      frame.position,
      frame.header.firstSequence,
    );
  }

  #valueOf(record: IndexRecord): Uint8Array {
    if (record.kind === CheckpointKind.queue || record.kind === CheckpointKind.key) return record.bytes;
    const { segmentNumber, position, byteLength } = record.place;
    return this.#files.read(segmentNumber, position, byteLength);
  }
}
