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

/** What may stay per connection without being called a leak: rounding, and sets that are still filling. */
const keptBytesPerConnection = 64;
/** Growth below this is noise, whatever its slope: code that V8 compiles as it gets hot is 2 MB in a minute. */
const liveGrowthBytes = 4 * 1024 * 1024;
const livePointsMin = 12;

/**
 * The trend of what is alive after a collection: points `{ connections, bytes }` in their order. The slope is the median
 * of all slopes between two points after the warm-up (Theil and Sen), so that single points decide nothing. It is a leak
 * only when the later half still grows: what fills a bound levels off.
 */
export function judgeLive(points) {
  const steady = points.slice(Math.floor(points.length * warmUpPart));
  if (steady.length < livePointsMin) return { bytesPerConnection: undefined, trouble: undefined };
  const late = steady.slice(Math.floor(steady.length / 2));
  const bytesPerConnection = slopeOf(steady);
  const growth = (part) => slopeOf(part) * (part.at(-1).connections - part[0].connections);
  const isLeak = [steady, late].every(
    (part) =>
      slopeOf(part) > keptBytesPerConnection && growth(part) > liveGrowthBytes / (part === late ? 2 : 1),
  );
  return {
    bytesPerConnection,
    trouble: isLeak
      ? `${Math.round(bytesPerConnection)} bytes stay alive per connection: ` +
        `${megabytes(growth(steady))} MB since the warm-up`
      : undefined,
  };
}

function slopeOf(points) {
  const slopes = [];
  for (let i = 0; i < points.length; i++) {
    for (let j = i + 1; j < points.length; j++) {
      const run = points[j].connections - points[i].connections;
      if (run > 0) slopes.push((points[j].bytes - points[i].bytes) / run);
    }
  }
  return slopes.length === 0 ? 0 : median(slopes);
}

/** What the healthy clients have felt: undefined when 99 % of their messages came within `delayMsMax`. */
export function judgeDelays(delays, delayMsMax) {
  const tail = quantile(delays, 0.99);
  if (delays.length === 0) return 'the healthy clients exchanged nothing';
  return tail > delayMsMax
    ? `1 % of the messages of healthy clients took longer than ${tail.toFixed(0)} ms, more than ${delayMsMax} ms`
    : undefined;
}
