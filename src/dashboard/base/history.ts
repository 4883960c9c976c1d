/**
 * The last minutes of some figures, for charts. In the browser; pure.
 *
 * Always true: at most `samplesMax` samples are kept, oldest first, times growing; a gap in time is one sample of nulls, so
 * that a chart shows a break instead of a line through what nobody saw; so is what is no number. Gives up what was before the page was opened.
 */

/** Samples that are kept: ten minutes at one per second. */
export const samplesMax = 600;
const gapMs = 5000;

/** Columns of equal length: times in seconds since 1970, then one column per figure. See the file header. */
export class History {
  readonly times: number[] = [];
  readonly columns: (number | null)[][];

  /** `width` figures per sample. */
  constructor(width: number) {
    this.columns = Array.from({ length: width }, () => []);
  }

  /** Adds a sample; one that is not newer than the last replaces nothing and is dropped. */
  add(timeMs: number, values: readonly number[]): void {
    const last = this.times.at(-1);
    const time = timeMs / 1000;
    if (last !== undefined && time <= last) return;
    if (last !== undefined && time - last > gapMs / 1000) {
      this.#push(
        last + 1,
        values.map(() => null),
      );
    }
    this.#push(time, values);
  }

  clear(): void {
    this.times.length = 0;
    for (const column of this.columns) column.length = 0;
  }

  #push(time: number, values: readonly (number | null)[]): void {
    this.times.push(time);
    for (const [index, column] of this.columns.entries()) {
      const value = values[index] ?? null;
      column.push(Number.isFinite(value) ? value : null);
    }
    if (this.times.length <= samplesMax) return;
    this.times.shift();
    for (const column of this.columns) column.shift();
  }
}
