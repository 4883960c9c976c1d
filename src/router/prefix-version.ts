/**
 * Which routes a change of subscriptions may have made stale: a version per literal prefix. Main thread.
 *
 * Every filter has a literal prefix: its levels before the first wildcard, each with its slash (`a/b/+` has
 * `a/b/`, `#` has none). A topic has the prefixes "", `a/`, `a/b/`, … up to all of its levels. A change counts
 * up the version of the filter's prefix, so a route is fresh while the sum over its topic's prefixes is
 * unchanged. Always true: versions only grow, so equal sums mean that no prefix has changed. Prefixes share
 * `slotCount` counters by hash; a clash costs a needless rebuild, never a stale route. Gives up: precision
 * within one prefix, which would need a match of filter against topic for every change.
 */

/** Counters; a power of two. 32 KB per router. */
const slotCount = 4096;
const offsetBasis = 0x811c9dc5;
const prime = 0x01000193;
const slash = 0x2f;

/** See the file header. */
export class PrefixVersions {
  readonly #versions = new Float64Array(slotCount);
  #changes = 0;

  /** Grows with every change: when it has not moved, nothing has. */
  get changes(): number {
    return this.#changes;
  }

  /** A subscription or queue with this filter has come, gone or changed. */
  touch(filter: string): void {
    this.#changes++;
    const slot = slotOf(Buffer.from(literalPrefix(filter)));
    this.#versions[slot] = (this.#versions[slot] as number) + 1;
  }

  /** Sum of the versions of `slots`, which `prefixSlots` made for a topic. */
  sum(slots: readonly number[]): number {
    let total = 0;
    for (const slot of slots) total += this.#versions[slot] as number;
    return total;
  }
}

/** The counters of every prefix of a topic, the empty one and the whole topic with a slash included. */
export function prefixSlots(topicBytes: Buffer): number[] {
  const slots = [offsetBasis & (slotCount - 1)];
  let hash = offsetBasis;
  for (const byte of topicBytes) {
    hash = Math.imul(hash ^ byte, prime);
    if (byte === slash) slots.push(fold(hash));
  }
  slots.push(fold(Math.imul(hash ^ slash, prime)));
  return slots;
}

/** The levels before the first wildcard, each followed by a slash. */
function literalPrefix(filter: string): string {
  let end = 0;
  for (const level of filter.split('/')) {
    if (level === '+' || level === '#') return filter.slice(0, end);
    end += level.length + 1;
  }
  return `${filter}/`;
}

function slotOf(prefix: Buffer): number {
  if (prefix.length === 0) return offsetBasis & (slotCount - 1);
  let hash = offsetBasis;
  for (const byte of prefix) hash = Math.imul(hash ^ byte, prime);
  return fold(hash);
}

function fold(hash: number): number {
  return (hash ^ (hash >>> 15)) & (slotCount - 1);
}
