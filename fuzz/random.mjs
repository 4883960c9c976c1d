/**
 * Repeatable randomness for the fuzzer. Pure.
 *
 * Always true: the same seed and index give the same values on every machine and Node version, so a case is
 * named by two numbers.
 */

/** Values a length or a byte is likely to be misread at. */
const edges = [
  0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 129, 191, 192, 193, 224, 237, 240, 244, 245, 254,
  255,
];

/** A generator (mulberry32) for case `index` of run `seed`. */
export function randomOf(seed, index) {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35);
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (bound) => Math.floor(next() * bound);
  return {
    /** Whole number in [0, bound). */
    below,
    /** True with probability `p`. */
    chance: (p) => next() < p,
    /** One of `list`. */
    pick: (list) => list[below(list.length)],
    /** A byte, more often one of the interesting ones. */
    byte: () => (next() < 0.5 ? edges[below(edges.length)] : below(256)),
    /** Random bytes. */
    bytes: (length) => Buffer.from(Array.from({ length }, () => below(256))),
  };
}
