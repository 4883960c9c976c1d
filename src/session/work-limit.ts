/**
 * Shares out the main thread: after so much work for one connection, its next packet waits for the next turn. Main thread.
 *
 * Always true: packets that cost more than their bytes say (subscriptions, wide fan-outs, new topics) count in units of
 * about one delivery; a connection that has used up its units is held until the turns of the others are over, and goes on
 * by itself; order is kept, because it is the decoder that waits. Cheap packets are bounded by the decoder's own slice and
 * count nothing here. Gives up: exactness. Units add up over turns, so a connection within its share yields now and then.
 * Beside 10,000 SUBSCRIBEs at once another client waited 100 ms in the median, now 0.7 (bench/fairness).
 */
import type { Wire } from './wire.js';

/** Units after which a connection waits for its next turn: one to three milliseconds of work. */
const unitsPerSlice = 4096;

/** What costs how much, in units. */
export const workUnits = {
  /** One topic filter of a SUBSCRIBE or UNSUBSCRIBE. */
  subscription: 128,
  /** A PUBLISH on another topic than the one before it; each of its subscribers is another unit. */
  topic: 8,
} as const;

/** Fan-outs up to here cost nothing. */
export const freeSubscribers = 4;

const filtersPerSlice = unitsPerSlice / workUnits.subscription;

/** See the file header. One per connection. */
export class WorkLimit {
  readonly #wire: Wire;
  #left = unitsPerSlice;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** Call within a sink call, for a packet that was taken. */
  spend(units: number): void {
    if ((this.#left -= units) > 0) return;
    this.#left = unitsPerSlice;
    this.#wire.hold();
    this.#wire.resume();
  }

  /**
   * Calls `each` with 0 to `count` − 1, so many per turn, then `then`, unless `isOver` says that it does not matter any
   * more. Nothing overtakes it; `isHeld` tells `then` that it has to resume the connection. What `each` throws in a later
   * turn goes to `failed`.
   */
  inSlices(
    count: number,
    each: (index: number) => void,
    isOver: () => boolean,
    then: (isHeld: boolean) => void,
    failed: (error: unknown) => void,
  ): void {
    let next = 0;
    const run = (): boolean => {
      const end = Math.min(count, next + filtersPerSlice);
      while (next < end) each(next++);
      return next === count;
    };
    if (run()) {
      then(false);
      return;
    }
    this.#wire.hold();
    const goOn = (): void => {
      if (isOver()) return;
      try {
        if (run()) then(true);
        else setImmediate(goOn);
      } catch (error) {
        failed(error);
      }
    };
    setImmediate(goOn);
  }
}
