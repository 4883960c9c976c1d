/**
 * What is due when: buckets of a tenth of a second, walked by a tick. Main thread, no timers.
 *
 * Always true: an item is in one bucket at most; it is handed out at the first tick at or after its time, never before,
 * in the order of the buckets. Gives up: order within a tenth of a second; that order is the order of adding.
 */

/** Width of a bucket. */
const bucketMs = 100;

/** See the file header. Items are compared by identity. */
export class WillCalendar<T> {
  readonly #buckets = new Map<number, Set<T>>();
  readonly #bucketOf = new Map<T, number>();
  /** No bucket before this one has items. */
  #earliest = Number.POSITIVE_INFINITY;

  /** Items that wait. */
  get size(): number {
    return this.#bucketOf.size;
  }

  /** Books `item` for `atMs`, in place of any booking before. */
  add(item: T, atMs: number): void {
    this.remove(item);
    const bucket = Math.ceil(atMs / bucketMs);
    const items = this.#buckets.get(bucket) ?? new Set<T>();
    items.add(item);
    this.#buckets.set(bucket, items);
    this.#bucketOf.set(item, bucket);
    this.#earliest = Math.min(this.#earliest, bucket);
  }

  /** Takes an item out; nothing happens when it is not in. */
  remove(item: T): void {
    const bucket = this.#bucketOf.get(item);
    if (bucket === undefined) return;
    this.#bucketOf.delete(item);
    const items = this.#buckets.get(bucket);
    items?.delete(item);
    if (items?.size === 0) this.#buckets.delete(bucket);
  }

  /** Takes out at most `countMax` items whose time has come. Costs nothing while none is due. */
  takeDue(nowMs: number, countMax: number): T[] {
    const current = Math.floor(nowMs / bucketMs);
    if (this.#earliest > current) return [];
    const buckets: number[] = [];
    this.#earliest = Number.POSITIVE_INFINITY;
    for (const bucket of this.#buckets.keys()) {
      if (bucket <= current) buckets.push(bucket);
      else this.#earliest = Math.min(this.#earliest, bucket);
    }
    const due: T[] = [];
    for (const bucket of buckets.sort((a, b) => a - b)) {
      for (const item of this.#buckets.get(bucket)!) {
        if (due.length === countMax) {
          this.#earliest = bucket;
          return due;
        }
        // A set may lose the item that a walk over it stands at.
        this.remove(item);
        due.push(item);
      }
    }
    return due;
  }
}
