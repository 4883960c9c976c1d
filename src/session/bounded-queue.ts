/**
 * A first-in first-out list with a bound in items and in bytes. Main thread.
 *
 * Always true: neither bound is exceeded, nor the budget that it shares with others; `hasRoom` says what fits. Grows in powers of two and gives
 * memory back when it runs empty. Gives up: random access.
 */

import type { MemoryBudget } from './memory-limit.js';

/** A larger array is given back when the queue runs empty. */
const keptSlotsMax = 64;

// Shared by all that are empty.
const noItems: undefined[] = [];
const noSizes: number[] = [];

/** See the file header. */
export class BoundedQueue<T> {
  readonly #itemsMax: number;
  readonly #bytesMax: number;
  readonly #budget: MemoryBudget | undefined;
  #items: (T | undefined)[] = noItems;
  #sizes = noSizes;
  #head = 0;
  #length = 0;
  #bytes = 0;

  /** `budget` counts its bytes together with those of other queues. */
  constructor(itemsMax: number, bytesMax: number, budget?: MemoryBudget) {
    this.#budget = budget;
    this.#itemsMax = itemsMax;
    this.#bytesMax = bytesMax;
  }

  get length(): number {
    return this.#length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The used part of the bound that is nearer, 0 to 1; an item above the bound may make it more. */
  get fullness(): number {
    return Math.max(this.#length / this.#itemsMax, this.#bytes / this.#bytesMax);
  }

  /** True when an item of `bytes` would stay within both bounds. An empty queue takes any size that the budget has. */
  hasRoom(bytes: number): boolean {
    if (this.#itemsMax === 0 || this.#budget?.hasRoom(bytes) === false) return false;
    return this.#length === 0 || (this.#length < this.#itemsMax && this.#bytes + bytes <= this.#bytesMax);
  }

  /** Appends; call only after `hasRoom`. */
  push(item: T, bytes: number): void {
    if (this.#length === this.#items.length) this.#grow();
    const at = (this.#head + this.#length) & (this.#items.length - 1);
    this.#items[at] = item;
    this.#sizes[at] = bytes;
    this.#length++;
    this.#bytes += bytes;
    this.#budget?.add(bytes);
  }

  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#items[this.#head];
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    const bytes = this.#sizes[this.#head]!;
    this.#bytes -= bytes;
    this.#budget?.add(-bytes);
    this.#head = (this.#head + 1) & (this.#items.length - 1);
    this.#length--;
    if (this.#length === 0 && this.#items.length > keptSlotsMax) this.clear();
    return item;
  }

  /** Keeps only the items for which `keep` holds, in order. */
  filter(keep: (item: T) => boolean): void {
    const count = this.#length;
    for (let i = 0; i < count; i++) {
      const bytes = this.#sizes[this.#head]!;
      const item = this.shift();
      if (item !== undefined && keep(item)) this.push(item, bytes);
    }
  }

  clear(): void {
    this.#items = noItems;
    this.#sizes = noSizes;
    this.#head = 0;
    this.#length = 0;
    this.#budget?.add(-this.#bytes);
    this.#bytes = 0;
  }

  #grow(): void {
    const items = Array.from<T | undefined>({ length: Math.max(8, this.#items.length * 2) });
    const sizes = Array.from<number>({ length: items.length });
    for (let i = 0; i < this.#length; i++) {
      const from = (this.#head + i) & (this.#items.length - 1);
      items[i] = this.#items[from];
      sizes[i] = this.#sizes[from]!;
    }
    this.#items = items;
    this.#sizes = sizes;
    this.#head = 0;
  }
}
