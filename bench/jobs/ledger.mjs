/**
 * Who sent and who got which message, exactly: one bit per sequence number. Runs in the load processes and,
 * for the verdict, in the bench's main process.
 *
 * Always true: a bit is set once and never cleared; bitmaps of several processes are merged by OR, so
 * loss = acknowledged and never delivered, duplicates = deliveries minus distinct deliveries.
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
