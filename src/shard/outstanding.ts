/**
 * Publish frames that a shard has not settled yet, oldest first. Main thread.
 *
 * Always true: frames settle in the order in which they were written, so a settlement needs no name: it is the next.
 * A ring of parallel arrays that doubles; bounded by what fits into the shard's byte ring.
 */
import { assert } from '../base/error.js';
import type { Publisher } from './link.js';

/** Where settlements go: an open publisher. `publisher` is null once it is closed. */
export interface SettleTarget {
  publisher: Publisher | null;
}

/** See the file header. */
export class Outstanding {
  #targets: (SettleTarget | null)[] = new Array<SettleTarget | null>(256).fill(null);
  #tokens = new Uint32Array(256);
  #counts = new Uint32Array(256);
  #head = 0;
  #tail = 0;

  get size(): number {
    return this.#tail - this.#head;
  }

  /** A frame with `count` publishes from `firstToken` was written. */
  push(target: SettleTarget, firstToken: number, count: number): void {
    if (this.size === this.#targets.length) this.#grow();
    const at = this.#tail & (this.#targets.length - 1);
    this.#targets[at] = target;
    this.#tokens[at] = firstToken;
    this.#counts[at] = count;
    this.#tail++;
  }

  /** The frame that was pushed last has one more publish. */
  extendLast(): void {
    const at = (this.#tail - 1) & (this.#targets.length - 1);
    this.#counts[at] = (this.#counts[at] as number) + 1;
  }

  /** Settles the oldest frame as a whole. Publishers may not call back into this object. */
  settle(status: 0 | 1 | 2 | 3 | 4): void {
    assert(this.size > 0, 'a settlement belongs to a frame');
    const at = this.#head & (this.#targets.length - 1);
    const target = this.#targets[at] as SettleTarget;
    this.#targets[at] = null;
    this.#head++;
    target.publisher?.onSettled(this.#tokens[at] as number, this.#counts[at] as number, status);
  }

  /** Settles the oldest frame in runs: `words` holds `runCount` pairs of count and status from `from` on. */
  settlePartly(words: Uint32Array, from: number, runCount: number): void {
    assert(this.size > 0, 'a settlement belongs to a frame');
    const at = this.#head & (this.#targets.length - 1);
    const target = this.#targets[at] as SettleTarget;
    this.#targets[at] = null;
    this.#head++;
    let token = this.#tokens[at] as number;
    for (let run = 0; run < runCount; run++) {
      const count = words[from + run * 2] as number;
      target.publisher?.onSettled(token, count, words[from + run * 2 + 1] as 0 | 1 | 2 | 3 | 4);
      token = (token + count) >>> 0;
    }
  }

  #grow(): void {
    const { length } = this.#targets;
    const targets = new Array<SettleTarget | null>(length * 2).fill(null);
    const tokens = new Uint32Array(length * 2);
    const counts = new Uint32Array(length * 2);
    for (let i = this.#head; i < this.#tail; i++) {
      const from = i & (length - 1);
      const to = i & (length * 2 - 1);
      targets[to] = this.#targets[from] as SettleTarget;
      tokens[to] = this.#tokens[from] as number;
      counts[to] = this.#counts[from] as number;
    }
    this.#targets = targets;
    this.#tokens = tokens;
    this.#counts = counts;
  }
}
