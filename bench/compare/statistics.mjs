/**
 * What a comparison says about one figure: medians, spread, ratio and its interval, verdict. Pure; runs in the process of
 * `bench:compare`.
 *
 * Always true: run `i` of the base and run `i` of the change were neighbours in time, so their ratio is free of what the
 * machine did meanwhile; the interval comes from drawing pairs with replacement, with a fixed seed: the same runs get the
 * same answer. Gives up: an exact level. With few pairs the interval is about as wide as the pairs are apart.
 */

/** Below this no verdict is given: so few pairs agree by chance too often. */
export const PAIRS_MIN = 5;
const DRAWS = 2000;
/** Two-sided 95 %. */
const TAIL = 0.025;

/** Middle value, or mean of the two in the middle. NaN for nothing. */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  if (sorted.length === 0) return NaN;
  return sorted.length % 2 === 1 ? sorted[middle - 0.5] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Median, lowest, highest, and median absolute deviation from the median. */
export function spread(values) {
  const middle = median(values);
  return {
    median: middle,
    min: Math.min(...values),
    max: Math.max(...values),
    mad: median(values.map((value) => Math.abs(value - middle))),
  };
}

/** A generator with a fixed seed (mulberry32), uniform in [0, 1). */
export function seededRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** Interval in which the median of `ratios` lies in 95 % of the draws with replacement. */
export function bootstrapInterval(ratios, random = seededRandom(1)) {
  const medians = Array.from({ length: DRAWS }, () =>
    median(ratios.map(() => ratios[Math.floor(random() * ratios.length)])),
  ).toSorted((a, b) => a - b);
  return { low: medians[Math.floor(DRAWS * TAIL)], high: medians[Math.ceil(DRAWS * (1 - TAIL)) - 1] };
}

/**
 * Compares one figure. `base` and `change` hold one value per pair; `better` is 'higher' or 'lower'; `threshold` is the
 * least relative difference that counts. Verdicts: faster, slower, same (no difference beyond noise), unclear (too few
 * pairs, or a value that has no ratio).
 */
export function compareFigure(base, change, better, threshold) {
  const sides = { base: spread(base), change: spread(change) };
  const ratios = base.map((value, pair) => change[pair] / value);
  if (!ratios.every((ratio) => Number.isFinite(ratio) && ratio > 0)) {
    return { ...sides, ratio: NaN, low: NaN, high: NaN, verdict: 'unclear' };
  }
  const ratio = median(ratios);
  const { low, high } = bootstrapInterval(ratios);
  return {
    ...sides,
    ratio,
    low,
    high,
    verdict: verdictOf(ratios.length, ratio, low, high, better, threshold),
  };
}

function verdictOf(pairs, ratio, low, high, better, threshold) {
  if (pairs < PAIRS_MIN) return 'unclear';
  const isUp = low > 1 && ratio >= 1 + threshold;
  const isDown = high < 1 && ratio <= 1 / (1 + threshold);
  if (!isUp && !isDown) return 'same';
  return isUp === (better === 'higher') ? 'faster' : 'slower';
}

/** The verdict over several figures: slower if one is, unclear if one is and none is slower, then faster, then same. */
export function overallVerdict(verdicts) {
  for (const verdict of ['slower', 'unclear', 'faster']) if (verdicts.includes(verdict)) return verdict;
  return 'same';
}
