/**
 * What the measurements of a run mean. Pure.
 *
 * Always true: a run that is too short to tell is not judged. Memory is compared between windows after the
 * warm-up, by medians, so that one garbage collection decides nothing.
 */

/** Samples before this part of the run are warm-up. */
const warmUpPart = 0.3;
/** Growth that is allowed from the first to the last window: a part, and bytes for short runs. */
const growthPart = 0.25;
const growthBytes = 40 * 1024 * 1024;
const windowSamplesMin = 10;

/** Median of numbers; NaN of none. */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted.length === 0 ? Number.NaN : sorted[Math.floor(sorted.length / 2)];
}

/** The value below which `part` of `values` lie; NaN of none. */
export function quantile(values, part) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted.length === 0
    ? Number.NaN
    : sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
}

/** Compares the first and the last third after the warm-up. `trouble` is undefined when all is well or it cannot be told. */
export function judgeMemory(samples) {
  const steady = samples.slice(Math.floor(samples.length * warmUpPart));
  const third = Math.floor(steady.length / 3);
  if (third < windowSamplesMin) return { firstBytes: undefined, lastBytes: undefined, trouble: undefined };
  const firstBytes = median(steady.slice(0, third));
  const lastBytes = median(steady.slice(-third));
  const isTooMuch = lastBytes > firstBytes * (1 + growthPart) + growthBytes;
  return {
    firstBytes,
    lastBytes,
    trouble: isTooMuch
      ? `memory grew from ${megabytes(firstBytes)} to ${megabytes(lastBytes)} MB after the warm-up`
      : undefined,
  };
}

/** Bytes as whole megabytes. */
export function megabytes(bytes) {
  return Math.round(bytes / 1024 / 1024);
}
