/**
 * How many publishes to queues may be taken now: deliveries come first when the machine is full. Main thread.
 *
 *   budget = −1 per publish taken, +1 per message delivered, +`extra` per tick of 1 ms
 *   extra  = a quarter of itself while the machine is full and deliveries flow, else four times itself up to OPEN
 *
 * Always true: with `extra` at OPEN every turn has a full budget, so a burst to slow or absent consumers is taken as fast
 * as it comes; a budget is never below 0 and never above OPEN, and a tick always adds to it, so that nobody starves.
 * Without this, publishers with large windows keep both threads busy and consumers with small ones wait for their turn:
 * 480 k messages/s taken and 35 to 60 k delivered meanwhile, instead of 200 to 280 k delivered (npm run bench -- jobs).
 */

/** Publishes per turn without pacing, and the most that a budget holds. */
export const OPEN = 2048;
/** The least that a tick adds. */
const EXTRA_MIN = 2;
/** What it adds when deliveries begin to flow, until the first window has shown whether the machine is full. */
const EXTRA_START = 32;
/** Waiting publishers go on when the budget is worth a turn of theirs. */
const WORTH_A_TURN = 64;
const WINDOW_MS = 100;
/** A window longer than this says nothing about now. */
const STALE_MS = 5 * WINDOW_MS;
/** Messages delivered in a window from which on deliveries count as flowing: 10,000 per second. */
const FLOW = 1000;

/** Tells whether the machine or this thread had hardly any time left since it was last asked. */
export type FullnessProbe = () => boolean;

/** See the file header. One per gateway. */
export class Intake {
  publishesLeft = OPEN;
  readonly #isFull: FullnessProbe;
  readonly #nowMs: () => number;
  #extra = OPEN;
  #delivered = 0;
  #flows = false;
  #windowStartMs: number;

  constructor(isFull: FullnessProbe, nowMs: () => number) {
    this.#isFull = isFull;
    this.#nowMs = nowMs;
    this.#windowStartMs = nowMs();
  }

  get isOpen(): boolean {
    return this.#extra === OPEN;
  }

  /** True when connections that wait for budget should go on. */
  get isWorthATurn(): boolean {
    return this.publishesLeft >= WORTH_A_TURN;
  }

  /** `count` messages were handed to consumers. */
  noteDelivered(count: number): void {
    this.#delivered += count;
    if (!this.#flows && this.#delivered >= FLOW) {
      this.#flows = true;
      this.#extra = EXTRA_START;
      this.publishesLeft = 0;
    }
    this.publishesLeft = Math.min(OPEN, this.publishesLeft + count);
  }

  /** A turn of the event loop begins. */
  turn(): void {
    this.#judge();
    if (this.isOpen) this.publishesLeft = OPEN;
  }

  /** A millisecond has passed while connections waited for budget. */
  tick(): void {
    this.publishesLeft = Math.min(OPEN, this.publishesLeft + this.#extra);
  }

  #judge(): void {
    const nowMs = this.#nowMs();
    const elapsedMs = nowMs - this.#windowStartMs;
    if (elapsedMs < WINDOW_MS) return;
    this.#flows = this.#delivered * WINDOW_MS >= FLOW * elapsedMs;
    this.#windowStartMs = nowMs;
    this.#delivered = 0;
    if (!this.#flows) {
      this.#extra = OPEN;
    } else if (this.#isFull() && elapsedMs < STALE_MS) {
      this.#extra = Math.max(EXTRA_MIN, this.#extra >> 2);
    } else {
      this.#extra = Math.min(OPEN, this.#extra << 2);
    }
  }
}
