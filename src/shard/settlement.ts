/**
 * What became of the publish frames of one turn, in their order, until the main thread can be told. Shard worker.
 *
 * Always true: entries are told in the order of the frames; runs of frames that were stored whole are one number.
 * Nothing is lost when the ring is full: what does not fit waits here for the next turn.
 */
import type { RingWriter } from '../base/ring.js';
import { FRAME_HEADER_BYTES } from '../base/ring.js';
import { FrameType } from './protocol.js';

/** `frames` whole stored frames, or the runs of one frame as [count, status, count, status …]. */
type Entry = number | number[];

/** See the file header. */
export class Settlement {
  readonly #entries: Entry[] = [];

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** One more frame of which every record is stored. */
  addStored(): void {
    const last = this.#entries.length - 1;
    if (typeof this.#entries[last] === 'number') this.#entries[last] += 1;
    else this.#entries.push(1);
  }

  /** One more frame, with a status per record. */
  addPartly(statuses: Uint8Array): void {
    const runs: number[] = [];
    for (const status of statuses) {
      if (runs.length > 0 && runs[runs.length - 1] === status)
        runs[runs.length - 2] = (runs[runs.length - 2] as number) + 1;
      else runs.push(1, status);
    }
    this.#entries.push(runs);
  }

  /** Moves all entries of `other` behind the own ones. */
  take(other: Settlement): void {
    for (const entry of other.#entries) {
      const last = this.#entries.length - 1;
      if (typeof entry === 'number' && typeof this.#entries[last] === 'number') this.#entries[last] += entry;
      else this.#entries.push(entry);
    }
    other.#entries.length = 0;
  }

  /** Writes as many entries as fit; returns false when some are left. */
  send(ring: RingWriter): boolean {
    let sent = 0;
    for (const entry of this.#entries) {
      const isCount = typeof entry === 'number';
      const bytes = isCount ? FRAME_HEADER_BYTES + 8 : FRAME_HEADER_BYTES + 4 + entry.length * 4;
      const at = ring.reserve(bytes, isCount ? FrameType.settled : FrameType.settledPartly, ring.sizeBytes);
      if (at < 0) break;
      const word = (at >> 2) + 2;
      if (isCount) {
        ring.words[word] = entry;
      } else {
        ring.words[word] = entry.length / 2;
        ring.words.set(entry, word + 1);
      }
      sent++;
    }
    this.#entries.splice(0, sent);
    return this.#entries.length === 0;
  }
}
