/**
 * A subscriber that takes messages more slowly than they come: its publishers wait for it, for a moment. Main thread.
 *
 *   free ──half full──▶ congested ──relieved──▶ free
 *                           ╰──── GRACE_MS ────▶ slow ──SLOW_MS──▶ free
 *
 * Always true: whoever waits goes on when the subscriber is relieved, is gone, or has used up its grace, whichever is
 * first; then its messages are dropped by the rules of its outbox and window, and for SLOW_MS nobody waits for it again.
 * So a subscriber that keeps up on average loses nothing, and one that does not costs the others GRACE_MS in SLOW_MS.
 */

/** How long publishers wait at most. */
const GRACE_MS = 250;
/** How long nobody waits for a subscriber that was given up. */
const SLOW_MS = 10_000;

/** See the file header. One per subscriber. */
export class Congestion {
  #state: 'free' | 'congested' = 'free';
  #slowUntilMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #waiting: (() => void)[] = [];

  /** True while publishers may be waiting for `relieve`. */
  get isOn(): boolean {
    return this.#state === 'congested';
  }

  /** The subscriber is more than half full at `nowMs`: true when the publisher should wait. */
  note(nowMs: number): boolean {
    if (this.#state === 'congested') return true;
    if (nowMs < this.#slowUntilMs) return false;
    this.#state = 'congested';
    this.#timer = setTimeout(() => {
      this.#slowUntilMs = nowMs + GRACE_MS + SLOW_MS;
      this.relieve();
    }, GRACE_MS);
    return true;
  }

  /** Calls `resume` once, when nobody has to wait any more. Only while it is on. */
  whenRelieved(resume: () => void): void {
    this.#waiting.push(resume);
  }

  /** There is room again, or nobody who needs it. */
  relieve(): void {
    if (this.#state === 'free') return;
    this.#state = 'free';
    clearTimeout(this.#timer);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }
}
