/**
 * Who is to be looked at when: the clocks of all connections. Main thread.
 *
 *   tick 41 ▶ { a, b }    tick 44 ▶ { c }    tick 63 ▶ { d }        one set per tick of the gateway that has something due
 *
 * Always true: everything that was added and not removed has one place; it is looked at in the tick behind its time, never
 * before it, and says itself when next. So a tick costs by what is due in it, and an idle connection a few looks a minute
 * instead of two a second. Gives up: times are exact to a tick.
 */

/** Something with clocks: a connection. */
export interface Supervised {
  /** Tick of its place; -1 for none. Written by the supervision only. */
  dueTick: number;
  /** Looks at its clocks; answers when to look again, ms, Infinity for never. `slackMs` is the length of a tick. */
  sweep(nowMs: number, slackMs: number): number;
}

/** See the file header. One per gateway. */
export class Supervision {
  readonly #tickMs: number;
  readonly #due = new Map<number, Set<Supervised>>();
  /** The last tick that was run. */
  #tick: number;

  constructor(tickMs: number, nowMs: number) {
    this.#tickMs = tickMs;
    this.#tick = Math.floor(nowMs / tickMs);
  }

  /** Ticks that have something due. */
  get size(): number {
    return this.#due.size;
  }

  /** It is to be looked at when `dueMs` is over, or before if that was so already. */
  lookBy(item: Supervised, dueMs: number): void {
    if (dueMs === Number.POSITIVE_INFINITY) return;
    const tick = Math.max(this.#tick + 1, Math.ceil(dueMs / this.#tickMs));
    if (item.dueTick >= 0) {
      if (item.dueTick <= tick) return;
      this.remove(item);
    }
    item.dueTick = tick;
    const items = this.#due.get(tick);
    if (items === undefined) this.#due.set(tick, new Set([item]));
    else items.add(item);
  }

  /** It is over. */
  remove(item: Supervised): void {
    if (item.dueTick < 0) return;
    const items = this.#due.get(item.dueTick);
    items?.delete(item);
    if (items?.size === 0) this.#due.delete(item.dueTick);
    item.dueTick = -1;
  }

  /** Looks at everything whose time is over. To be called once per tick; `nowMs` does not go back. */
  run(nowMs: number): void {
    const until = Math.floor(nowMs / this.#tickMs);
    // After a pause longer than the table: by its entries, in order.
    const ticks =
      until - this.#tick > this.#due.size
        ? [...this.#due.keys()].filter((tick) => tick <= until).sort((a, b) => a - b)
        : Array.from({ length: until - this.#tick }, (_, i) => this.#tick + 1 + i);
    this.#tick = Math.max(this.#tick, until);
    for (const tick of ticks) {
      const items = this.#due.get(tick);
      if (items === undefined) continue;
      for (const item of items) {
        this.remove(item);
        this.lookBy(item, item.sweep(nowMs, this.#tickMs));
      }
    }
  }
}
