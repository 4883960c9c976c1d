/**
 * Averages per minute of a total that grows. Main thread, pure.
 *
 * Always true: each average is an exponential one, weighted so that what is older than its span counts for less than
 * 37 %; it does not depend on how often it is updated. All begin at 0. Source: the load topics of Mosquitto, which
 * follow the load averages of Unix.
 */

/** Spans of the averages in minutes, as topics name them. */
export const loadSpansMin = [1, 5, 15] as const;

const minuteS = 60;

/** See the file header. */
export class LoadAverage {
  readonly #averages = new Float64Array(loadSpansMin.length);
  #total: number;

  /** `total` is where the total stands now. */
  constructor(total: number) {
    this.#total = total;
  }

  /** The total stands at `total` now, `elapsedS` seconds after the last update. Answers one average per span; reused. */
  update(total: number, elapsedS: number): Readonly<Float64Array> {
    if (elapsedS <= 0) return this.#averages;
    const perMinute = ((total - this.#total) * minuteS) / elapsedS;
    this.#total = total;
    for (const [i, span] of loadSpansMin.entries()) {
      const before = this.#averages[i] as number;
      this.#averages[i] = perMinute + Math.exp(-elapsedS / (span * minuteS)) * (before - perMinute);
    }
    return this.#averages;
  }
}
