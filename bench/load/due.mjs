/**
 * Messages of an open-loop pace whose moment has come and that have not left yet, oldest first. Runs in the load processes.
 *
 * Always true: whatever holds a message up, it leaves with the moment that was planned for it.
 */

/** See the file header. */
export class Due {
  /** Count and intended moment in turn, from #head on. */
  #entries = [];
  #head = 0;

  get isEmpty() {
    return this.#entries.length === 0;
  }

  /** How many messages wait. */
  get count() {
    let count = 0;
    for (let at = this.#head; at < this.#entries.length; at += 2) count += this.#entries[at];
    return count;
  }

  /** `count` messages more, planned for `intendedMs`. */
  push(count, intendedMs) {
    this.#entries.push(count, intendedMs);
  }

  /** Calls `send(count, intendedMs)` for the oldest, `room` messages at most; answers how many. */
  take(room, send) {
    const entries = this.#entries;
    let taken = 0;
    while (taken < room && this.#head < entries.length) {
      const count = Math.min(room - taken, entries[this.#head]);
      send(count, entries[this.#head + 1]);
      taken += count;
      entries[this.#head] -= count;
      if (entries[this.#head] === 0) this.#head += 2;
    }
    if (this.#head === entries.length) this.clear();
    return taken;
  }

  /** None of them leaves any more. */
  clear() {
    this.#entries.length = 0;
    this.#head = 0;
  }
}
