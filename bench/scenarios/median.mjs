/**
 * The middle of a few figures.
 *
 * Always true: the answer lies between the lowest and the highest; of an even number it is the mean of the middle two.
 */

/** Median of `values`; undefined when there are none. */
export function median(values) {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
