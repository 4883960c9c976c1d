/**
 * The keys of one last-value queue, as the segment store's index knows them. Runs on the shard worker.
 *
 * Always true: four numbers per key in one array: offset, sequence, location, oldest segment; a slot that is given back is
 * used again. Names are the key's bytes as Latin-1, whose order is byte order.
 * Gives up: memory of the largest number of keys there ever was, until the next start.
 */

/** See the file header. */
export class KeyTable {
  readonly slots = new Map<string, number>();
  /** Per slot: offset, sequence, location, oldest segment. */
  fields = new Float64Array(16);
  readonly #free: number[] = [];
  #used = 0;
  #sorted: string[] | null = null;

  /** Base in `fields` of a new slot. */
  add(name: string): number {
    const slot = this.#free.pop() ?? this.#used++;
    if ((slot + 1) * 4 > this.fields.length) {
      const grown = new Float64Array(this.fields.length * 2);
      grown.set(this.fields);
      this.fields = grown;
    }
    this.slots.set(name, slot);
    this.#sorted = null;
    return slot * 4;
  }

  remove(name: string, slot: number): void {
    this.slots.delete(name);
    this.#free.push(slot);
    this.#sorted = null;
  }

  /** Names in byte order; sorted anew only after keys came or went. */
  sorted(): readonly string[] {
    this.#sorted ??= [...this.slots.keys()].sort();
    return this.#sorted;
  }
}
