/**
 * Token buckets: how much may happen per second, with a burst. Main thread, pure; time is an argument.
 *
 * Always true: a bucket holds between 0 and `burst` tokens, or less than 0 after a spending that was larger than what it
 * held, which the following time pays back; it fills at `perSecond`, in fractions. A clock that stands gives nothing.
 * Gives up: nothing; one costs a comparison and a multiplication.
 */

/** See the file header. */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #filledAtMs: number;

  /** Begins full. `burst` is at least 1. */
  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#filledAtMs = nowMs;
  }

  /** Takes `cost` tokens, or none and answers false when there are not so many. A cost above the burst asks for a full bucket. */
  take(cost: number, nowMs: number): boolean {
    this.#fill(nowMs);
    if (this.#tokens < Math.min(cost, this.#burst)) return false;
    this.#tokens -= cost;
    return true;
  }

  /** Milliseconds until the bucket holds anything at all; 0 = now. */
  waitMs(nowMs: number): number {
    this.#fill(nowMs);
    return this.#tokens > 0 ? 0 : Math.max(1, Math.ceil(-this.#tokens / this.#perMs));
  }

  /** Takes `cost` tokens, also ones that it does not hold. Call after `waitMs` said 0. */
  spend(cost: number): void {
    this.#tokens -= cost;
  }

  #fill(nowMs: number): void {
    const elapsedMs = nowMs - this.#filledAtMs;
    if (elapsedMs <= 0) return;
    this.#filledAtMs = nowMs;
    this.#tokens = Math.min(this.#burst, this.#tokens + elapsedMs * this.#perMs);
  }
}
