/**
 * How an idle worker waits for frames before it sleeps in its event loop. Shard worker; blocks its thread.
 *
 * Always true: it returns at once when there is no time; a writer ends the wait with a notify, which costs it less than a
 * message to an event loop. It does not look at the ring in a loop first: on two cores whoever looks keeps the others from
 * working (decision 8).
 */

/** What is waited on. */
export interface FrameSource {
  /** Blocks for at most `timeoutMs`; true when frames came. */
  doze(timeoutMs: number): boolean;
}

/** See the file header. */
export class FrameWait {
  readonly #source: FrameSource;
  readonly #nowMs: () => number;
  /** Time that it was blocked so far, ms. */
  waitedMs = 0;

  /** `nowMs` has fractions and never goes back. */
  constructor(source: FrameSource, nowMs: () => number) {
    this.#source = source;
    this.#nowMs = nowMs;
  }

  /** Waits for at most `timeoutMs`; true when frames came. */
  wait(timeoutMs: number): boolean {
    if (timeoutMs <= 0) return false;
    const startMs = this.#nowMs();
    const came = this.#source.doze(timeoutMs);
    this.waitedMs += this.#nowMs() - startMs;
    return came;
  }
}
