/**
 * Latencies of a client, in microseconds, into a shared histogram. Runs in the load processes.
 *
 * Always true: everything of one chunk arrived at one moment, which is read from the clock once; messages in a row that
 * were sent at one moment are one entry with a count. That keeps the cost per message to a comparison. What was sent
 * during the warm-up is not recorded.
 */
import { nowMs } from './clock.mjs';

export class Recorder {
  /** When the present chunk arrived; 0: nothing of it was recorded yet. */
  chunkAtMs = 0;
  firstAtMs = 0;
  lastAtMs = 0;
  #histogram;
  #runAtMs = 0;
  #runCount = 0;

  #warmup;

  /** Messages that were sent before `warmup.endMs` do not count. */
  constructor(histogram, warmup) {
    this.#histogram = histogram;
    this.#warmup = warmup;
  }

  /** Something that was sent at `sentAtMs` has arrived with the present chunk. */
  record(sentAtMs) {
    if (this.chunkAtMs === 0) this.#startChunk();
    if (sentAtMs !== this.#runAtMs) {
      this.#flush();
      this.#runAtMs = sentAtMs;
    }
    this.#runCount += 1;
  }

  /** The chunk is done. */
  endChunk() {
    this.#flush();
    this.chunkAtMs = 0;
  }

  #startChunk() {
    this.chunkAtMs = nowMs();
    this.lastAtMs = this.chunkAtMs;
    if (this.firstAtMs === 0) this.firstAtMs = this.chunkAtMs;
  }

  #flush() {
    if (this.#runCount === 0) return;
    if (this.#runAtMs >= this.#warmup.endMs) {
      const latencyUs = Math.max(1, Math.round((this.chunkAtMs - this.#runAtMs) * 1000));
      this.#histogram.recordValueWithCount(latencyUs, this.#runCount);
    }
    this.#runCount = 0;
  }
}
