/**
 * Slots of retained messages in the order of their topics. Main thread.
 *
 * Order is by bytes with `/` before every other byte, so that a topic and everything below it lie together: `a`, `a/b`,
 * `a/b/c`, `a!`. Slots lie in leaves of at most `leafMax`, found by bisection; a bisection never compares bytes that
 * both ends have in common with the topic, so long shared prefixes cost nothing.
 * Always true: no leaf is empty, and two neighbours together are more than half a leaf; `version` changes with every
 * insertion and removal, so a position is good while it stands still. Gives up: 4 to 16 bytes per topic, no hash table.
 */
import type { RetainedTable } from './retained-table.js';

const leafMax = 256;
const slash = 0x2f;
/** Longer runs are compared by the C++ side of Buffer, in pieces of this size. */
const nativeBytes = 256;

/** See the file header. */
export class RetainedOrder {
  readonly #table: RetainedTable;
  readonly #leaves: Uint32Array[] = [];
  readonly #counts: number[] = [];
  #mismatch = 0;
  /** Where the last `seek` ended: the first topic that is not before the one asked for. */
  leaf = 0;
  at = 0;
  version = 0;

  constructor(table: RetainedTable) {
    this.#table = table;
  }

  /** Slot at a position, or -1 behind the last one. */
  slotAt(leaf: number, at: number): number {
    return leaf < this.#leaves.length ? this.#leaves[leaf]![at]! : -1;
  }

  /** True when `at` is the last position of its leaf: the next is the first of the leaf after. */
  isLeafEnd(leaf: number, at: number): boolean {
    return at + 1 >= this.#counts[leaf]!;
  }

  /** Finds the first topic that is not before `topic[start, end)`; true when it is that topic. Sets `leaf` and `at`. */
  seek(topic: Buffer, start: number, end: number): boolean {
    const leaves = this.#leaves;
    let low = 0;
    let high = leaves.length;
    let lowCommon = 0;
    let highCommon = 0;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.compare(
        topic,
        start,
        end,
        leaves[middle]![0]!,
        lowCommon < highCommon ? lowCommon : highCommon,
      );
      if (order === 0) {
        this.leaf = middle;
        this.at = 0;
        return true;
      }
      if (order < 0) {
        high = middle;
        highCommon = this.#mismatch;
      } else {
        low = middle + 1;
        lowCommon = this.#mismatch;
      }
    }
    if (low === 0) {
      this.leaf = 0;
      this.at = 0;
      return false;
    }
    const index = low - 1;
    const leaf = leaves[index]!;
    const count = this.#counts[index]!;
    this.leaf = index;
    low = 1;
    high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.compare(
        topic,
        start,
        end,
        leaf[middle]!,
        lowCommon < highCommon ? lowCommon : highCommon,
      );
      if (order === 0) {
        this.at = middle;
        return true;
      }
      if (order < 0) {
        high = middle;
        highCommon = this.#mismatch;
      } else {
        low = middle + 1;
        lowCommon = this.#mismatch;
      }
    }
    if (low === count) {
      this.leaf = index + 1;
      this.at = 0;
    } else {
      this.at = low;
    }
    return false;
  }

  /** Negative when `topic[start, end)` comes before the slot's topic, 0 when they are equal. The first `skip` bytes are known to be equal. */
  compare(topic: Buffer, start: number, end: number, slot: number, skip: number): number {
    const table = this.#table;
    const other = table.bufferOf(slot);
    const otherStart = table.offsets[slot]!;
    const length = end - start;
    const otherLength = table.topicBytes[slot]!;
    const common = length < otherLength ? length : otherLength;
    let i = skip;
    while (
      i + nativeBytes <= common &&
      topic.compare(
        other,
        otherStart + i,
        otherStart + i + nativeBytes,
        start + i,
        start + i + nativeBytes,
      ) === 0
    ) {
      i += nativeBytes;
    }
    for (; i < common; i++) {
      const a = topic[start + i]!;
      const b = other[otherStart + i]!;
      if (a === b) continue;
      this.#mismatch = i;
      // U+0000 is in no topic, so nothing comes before a slash.
      return (a === slash ? 0 : a) - (b === slash ? 0 : b);
    }
    this.#mismatch = common;
    return length - otherLength;
  }

  /** Puts a slot at the place that `seek` has just found for its topic. */
  insert(slot: number): void {
    this.version++;
    const leaves = this.#leaves;
    if (leaves.length === 0) {
      const first = new Uint32Array(leafMax);
      first[0] = slot;
      leaves.push(first);
      this.#counts.push(1);
      return;
    }
    let { leaf: index, at } = this;
    // In front of a leaf is behind the one before.
    if (at === 0 && index > 0) {
      index--;
      at = this.#counts[index]!;
    }
    if (this.#counts[index]! >= leafMax) {
      // At the very end new leaves stay full: topics often come in order.
      const isAppend = index === leaves.length - 1 && at === leafMax;
      const keep = isAppend ? leafMax : leafMax / 2;
      this.#split(index, keep);
      if (at > keep || isAppend) {
        index++;
        at -= keep;
      }
    }
    const leaf = leaves[index]!;
    const count = this.#counts[index]!;
    leaf.copyWithin(at + 1, at, count);
    leaf[at] = slot;
    this.#counts[index] = count + 1;
  }

  /** Takes out the slot at the place that `seek` has just found. */
  remove(): void {
    this.version++;
    const { leaf: index, at } = this;
    const leaf = this.#leaves[index]!;
    const count = this.#counts[index]! - 1;
    leaf.copyWithin(at, at + 1, count + 1);
    this.#counts[index] = count;
    if (count > leafMax / 2) return;
    if (count === 0) this.#dropLeaf(index);
    else if (index + 1 < this.#leaves.length && count + this.#counts[index + 1]! <= leafMax / 2)
      this.#merge(index);
    else if (index > 0 && count + this.#counts[index - 1]! <= leafMax / 2) this.#merge(index - 1);
  }

  #split(index: number, keep: number): void {
    const leaf = this.#leaves[index]!;
    const right = new Uint32Array(leafMax);
    right.set(leaf.subarray(keep));
    this.#leaves.splice(index + 1, 0, right);
    this.#counts.splice(index + 1, 0, leafMax - keep);
    this.#counts[index] = keep;
  }

  #merge(index: number): void {
    const count = this.#counts[index]!;
    const more = this.#counts[index + 1]!;
    this.#leaves[index]!.set(this.#leaves[index + 1]!.subarray(0, more), count);
    this.#counts[index] = count + more;
    this.#dropLeaf(index + 1);
  }

  #dropLeaf(index: number): void {
    this.#leaves.splice(index, 1);
    this.#counts.splice(index, 1);
  }
}
