/**
 * Cache from topic bytes to route: a hot topic costs a hash and a comparison, no string. Main thread.
 *
 * Set-associative: a hash names a set of `ways` places, and one of them is given up when the set is full,
 * the first in clock order that was not used since the hand last passed. Always true: at most
 * `entriesMax` routes and `bytesMax` estimated bytes; a hit compares every byte, so a clash of hashes
 * costs time and never a wrong route, and a set never makes anyone search longer than `ways`. Gives up:
 * exact LRU. 33-byte topics: 9 M lookups/s, 25 M/s with a hint, 6 M/s with a string and a `Map` (bench/micro/router/router.ts).
 */

/** What the cache needs of its entries, besides what the caller keeps in them. */
export interface CacheEntry {
  readonly hash: number;
  readonly topicBytes: Buffer;
  /** Estimated heap bytes of the entry. */
  readonly bytes: number;
  /** Clock bit; the cache writes it. */
  used: boolean;
}

/** Places per set; a power of two. */
const ways = 8;
const wayMask = ways - 1;

/** See the file header. */
export class RouteCache<E extends CacheEntry> {
  readonly #entries: (E | undefined)[];
  /** Hashes beside the entries, so that a search touches only the entry that fits. */
  readonly #hashes: Int32Array;
  readonly #setMask: number;
  readonly #bytesMax: number;
  #bytes = 0;
  #count = 0;
  #hand = 0;
  #sweep = 0;

  /** `entriesMax` is rounded up to a power of two, at least 8. */
  constructor(entriesMax: number, bytesMax: number) {
    let sets = 1;
    while (sets * ways < entriesMax) sets *= 2;
    this.#entries = Array.from<E | undefined>({ length: sets * ways }).fill(undefined);
    this.#hashes = new Int32Array(sets * ways);
    this.#setMask = sets - 1;
    this.#bytesMax = bytesMax;
  }

  /** Cached routes. */
  get count(): number {
    return this.#count;
  }

  /** Their estimated bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The entry of the topic `buffer[start, end)`, whose hash is `hash`. */
  find(hash: number, buffer: Buffer, start: number, end: number): E | undefined {
    const first = (hash & this.#setMask) * ways;
    for (let at = first; at < first + ways; at++) {
      if (this.#hashes[at] !== hash) continue;
      const entry = this.#entries[at];
      if (entry !== undefined && equalsRange(entry.topicBytes, buffer, start, end)) {
        entry.used = true;
        return entry;
      }
    }
    return undefined;
  }

  /** Adds an entry, in the place of the one for the same topic if there is one. Too large entries are not kept. */
  insert(entry: E): void {
    const at = this.#placeFor(entry);
    this.#drop(at);
    if (entry.bytes > this.#bytesMax / ways) return;
    // Not yet used: a topic that comes once must not push out one that comes often.
    entry.used = false;
    this.#entries[at] = entry;
    this.#hashes[at] = entry.hash;
    this.#bytes += entry.bytes;
    this.#count++;
    while (this.#bytes > this.#bytesMax) this.#sweepOne(at);
  }

  #placeFor(entry: E): number {
    const first = (entry.hash & this.#setMask) * ways;
    let free = -1;
    for (let at = first; at < first + ways; at++) {
      const other = this.#entries[at];
      if (other === undefined) free = at;
      else if (other.hash === entry.hash && other.topicBytes.equals(entry.topicBytes)) return at;
    }
    if (free !== -1) return free;
    for (let step = 0; step < ways; step++) {
      const at = first + (this.#hand++ & wayMask);
      const other = this.#entries[at] as E;
      if (!other.used) return at;
      other.used = false;
    }
    return first + (this.#hand++ & wayMask);
  }

  /** One step of the clock over all sets, sparing `spared`. */
  #sweepOne(spared: number): void {
    const at = this.#sweep;
    this.#sweep = at + 1 === this.#entries.length ? 0 : at + 1;
    const entry = this.#entries[at];
    if (entry === undefined || at === spared) return;
    if (entry.used) entry.used = false;
    else this.#drop(at);
  }

  #drop(at: number): void {
    const entry = this.#entries[at];
    if (entry === undefined) return;
    this.#bytes -= entry.bytes;
    this.#count--;
    this.#entries[at] = undefined;
    this.#hashes[at] = 0;
  }
}

/** Hash of a topic for `RouteCache`: four bytes a step, mixed at the end, because low bits choose the set. */
export function hashTopic(buffer: Buffer, start: number, end: number): number {
  let hash = (end - start) | 0;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const word =
      (buffer[at] as number) |
      ((buffer[at + 1] as number) << 8) |
      ((buffer[at + 2] as number) << 16) |
      ((buffer[at + 3] as number) << 24);
    hash = Math.imul(hash ^ word, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; at < end; at++) hash = Math.imul(hash ^ (buffer[at] as number), 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** True when `buffer[start, end)` holds exactly `topicBytes`. */
export function equalsRange(topicBytes: Buffer, buffer: Buffer, start: number, end: number): boolean {
  const length = end - start;
  if (topicBytes.length !== length) return false;
  // From the back: topics of one fleet differ there first.
  for (let i = length - 1; i >= 0; i--) {
    if (topicBytes[i] !== buffer[start + i]) return false;
  }
  return true;
}
