/**
 * Small whole numbers in a row of places, and the next place from here whose number is small enough. Any thread.
 *
 *                min of all            node i: the smaller of 2i and 2i + 1
 *            ╱                ╲
 *        min of 0, 1      min of 2, 3
 *         ╱      ╲          ╱      ╲
 *      place 0  place 1  place 2  place 3      node capacity + place
 *
 * Always true: `min` is the smallest number there is; a place that holds none counts as `NONE`. Cost: `set` and
 * `nextUpTo` O(log places), mostly less, since a change that does not show further up ends there; `resize` O(places).
 * Source: the tournament tree, D. Knuth, "The Art of Computer Programming", volume 3, section 5.4.1.
 */

/** More than any number that a place may hold. */
export const NONE = 0x3fff_ffff;

const nothing = new Int32Array(2).fill(NONE);

/** See the file header. */
export class MinTree {
  #nodes = nothing;
  #capacity = 1;

  /** The smallest number, `NONE` when there is none. */
  get min(): number {
    return this.#nodes[1] as number;
  }

  /** Number at `place`. */
  at(place: number): number {
    return this.#nodes[this.#capacity + place] as number;
  }

  /** Makes room for `places` and forgets every number; fill them with `put`, then call `build`. */
  resize(places: number): void {
    if (places === 0) {
      this.#nodes = nothing;
      this.#capacity = 1;
      return;
    }
    let capacity = 1;
    while (capacity < places) capacity *= 2;
    if (capacity !== this.#capacity || this.#nodes === nothing) this.#nodes = new Int32Array(2 * capacity);
    this.#capacity = capacity;
    this.#nodes.fill(NONE);
  }

  /** Stores a number, 0 to `NONE`, that nobody sees before `build`. */
  put(place: number, value: number): void {
    this.#nodes[this.#capacity + place] = value;
  }

  /** Computes what is above all places. */
  build(): void {
    const nodes = this.#nodes;
    for (let node = this.#capacity - 1; node > 0; node--) {
      const left = nodes[2 * node] as number;
      const right = nodes[2 * node + 1] as number;
      nodes[node] = left < right ? left : right;
    }
  }

  /** Changes the number at `place`. */
  set(place: number, value: number): void {
    const nodes = this.#nodes;
    let node = this.#capacity + place;
    if (nodes[node] === value) return;
    nodes[node] = value;
    let smaller = value;
    while (node > 1) {
      const other = nodes[node ^ 1] as number;
      if (other < smaller) smaller = other;
      node >>= 1;
      if (nodes[node] === smaller) return;
      nodes[node] = smaller;
    }
  }

  /** First place from `start` on, going round, whose number is at most `bound`; -1 when there is none. */
  nextUpTo(start: number, bound: number): number {
    const nodes = this.#nodes;
    if ((nodes[1] as number) > bound) return -1;
    const capacity = this.#capacity;
    let node = capacity + start;
    while ((nodes[node] as number) > bound) {
      // To the next subtree on the right: up while this is a right one, then over. Behind the last: from the root.
      while ((node & 1) === 1 && node > 1) node >>= 1;
      node = node === 1 ? 1 : node + 1;
    }
    while (node < capacity) {
      node *= 2;
      if ((nodes[node] as number) > bound) node++;
    }
    return node - capacity;
  }
}
