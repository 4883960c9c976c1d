/**
 * Who sent and who got which message, exactly. Runs in the load processes and, for the verdict, in the bench's main
 * process. Two shapes: `SequenceSet` is one bit per sequence number, for messages that several consumers share;
 * `SequenceRun` is one number per stream plus its gaps, for a consumer that gets every message of a publisher.
 *
 * Always true: a bit is set once and never cleared; bitmaps of several processes are merged by OR, so
 * loss = acknowledged and never delivered, duplicates = deliveries minus distinct deliveries. What it gives up: a
 * SequenceRun remembers its last GAPS_MAX gaps only; a message that is later than that counts as a duplicate.
 */

/** A growing set of sequence numbers. */
export class SequenceSet {
  bytes = new Uint8Array(8192);

  /** Adds `sequence`; answers whether it was there already. */
  add(sequence) {
    const index = sequence >>> 3;
    if (index >= this.bytes.length) this.#grow(index);
    const bit = 1 << (sequence & 7);
    const before = this.bytes[index];
    this.bytes[index] = before | bit;
    return (before & bit) !== 0;
  }

  #grow(index) {
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, index + 1));
    larger.set(this.bytes);
    this.bytes = larger;
  }
}

const GAPS_MAX = 4096;

/** The messages of one publisher as one consumer got them, expected in order from 0. */
export class SequenceRun {
  distinct = 0;
  duplicates = 0;
  outOfOrder = 0;
  #next = 0;
  /** Missing ranges, oldest first: [first, last]. */
  #gaps = [];

  /** Counts the arrival of `sequence`. */
  add(sequence) {
    if (sequence === this.#next) {
      this.#next = sequence + 1;
      this.distinct += 1;
    } else if (sequence > this.#next) {
      this.#gaps.push([this.#next, sequence - 1]);
      if (this.#gaps.length > GAPS_MAX) this.#gaps.shift();
      this.#next = sequence + 1;
      this.distinct += 1;
    } else if (this.#fillGap(sequence)) {
      this.distinct += 1;
      this.outOfOrder += 1;
    } else this.duplicates += 1;
  }

  #fillGap(sequence) {
    const at = this.#gaps.findIndex(([first, last]) => sequence >= first && sequence <= last);
    if (at < 0) return false;
    const [first, last] = this.#gaps[at];
    const rest = [];
    if (first < sequence) rest.push([first, sequence - 1]);
    if (sequence < last) rest.push([sequence + 1, last]);
    this.#gaps.splice(at, 1, ...rest);
    return true;
  }
}

const BITS_IN_BYTE = Uint8Array.from(
  { length: 256 },
  (_, value) => value.toString(2).replaceAll('0', '').length,
);

/** Number of set bits. */
export function countBits(bytes) {
  let count = 0;
  for (const byte of bytes) count += BITS_IN_BYTE[byte];
  return count;
}

/** Union of bitmaps of any lengths. */
export function unionBits(bitmaps) {
  const union = new Uint8Array(Math.max(0, ...bitmaps.map((bytes) => bytes.length)));
  for (const bytes of bitmaps)
    for (let index = 0; index < bytes.length; index += 1) union[index] |= bytes[index];
  return union;
}

/** Number of bits that `wanted` has and `present` lacks. */
export function countMissing(wanted, present) {
  let count = 0;
  for (let index = 0; index < wanted.length; index += 1)
    count += BITS_IN_BYTE[wanted[index] & ~(present[index] ?? 0)];
  return count;
}
