/**
 * Binary min-heap of in-flight slots by a numeric key. Shard worker, pure.
 *
 * Holds messages that came back from a consumer, by offset, so that redelivery keeps the order of arrival.
 * Push and pop are O(log n); two parallel number arrays, no object per entry.
 */

/** See the file header. */
export class SlotHeap {
  readonly #keys: number[] = [];
  readonly #slots: number[] = [];

  get size(): number {
    return this.#slots.length;
  }

  /** Slot with the smallest key, or -1. */
  peek(): number {
    return this.#slots[0] ?? -1;
  }

  push(key: number, slot: number): void {
    let at = this.#slots.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((this.#keys[parent] as number) <= key) break;
      this.#keys[at] = this.#keys[parent] as number;
      this.#slots[at] = this.#slots[parent] as number;
      at = parent;
    }
    this.#keys[at] = key;
    this.#slots[at] = slot;
  }

  /** Removes and returns the slot with the smallest key, or -1. */
  pop(): number {
    const top = this.#slots[0];
    if (top === undefined) return -1;
    const key = this.#keys.pop() as number;
    const slot = this.#slots.pop() as number;
    const size = this.#slots.length;
    if (size === 0) return top;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= size) break;
      if (child + 1 < size && (this.#keys[child + 1] as number) < (this.#keys[child] as number)) child++;
      if ((this.#keys[child] as number) >= key) break;
      this.#keys[at] = this.#keys[child] as number;
      this.#slots[at] = this.#slots[child] as number;
      at = child;
    }
    this.#keys[at] = key;
    this.#slots[at] = slot;
    return top;
  }

  /** All slots, in no particular order. */
  slots(): readonly number[] {
    return this.#slots;
  }

  clear(): void {
    this.#keys.length = 0;
    this.#slots.length = 0;
  }
}
