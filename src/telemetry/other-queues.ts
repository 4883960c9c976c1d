/**
 * Sums over the queues that have no series of their own. Main thread, once per scrape.
 *
 * Always true: sums of what only grows never fall, also when a queue is deleted, moves to a series of its own, or begins to
 * count anew with its shard; a reader would take a fall for a new start and show what was counted before once more. Sums of
 * what is now are those of the queues that are there; the oldest age is the highest.
 */
import { queueMetrics } from './metric-catalogue.js';

/** Queues with a series of their own, away or deleted, whose figures are still known. */
const GONE_MAX = 1024;

/** See the file header. */
export class OtherQueues {
  readonly #sums = new Float64Array(queueMetrics.length);
  /** What each queue had counted when it was last looked at, also those with a series of their own. */
  #seen = new Map<number, Float64Array>();

  /** Sums in the order of `queueMetrics`; reused. `figures` holds those of each queue by id, in the same order. */
  add(figures: ReadonlyMap<number, Float64Array>, isOther: (queueId: number) => boolean): Float64Array {
    const sums = this.#sums;
    const seen = new Map<number, Float64Array>();
    for (const [index, { kind }] of queueMetrics.entries()) if (kind === 'gauge') sums[index] = 0;
    for (const [queueId, row] of figures) {
      const before = this.#seen.get(queueId);
      seen.set(queueId, row);
      if (!isOther(queueId)) continue;
      for (const [index, { kind, field }] of queueMetrics.entries()) {
        const value = row[index] ?? 0;
        const sum = sums[index] ?? 0;
        if (field === 'oldestAgeMs') sums[index] = Math.max(sum, value);
        else if (kind === 'gauge') sums[index] = sum + value;
        else sums[index] = sum + growth(before?.[index] ?? 0, value);
      }
    }
    // A queue whose shard does not answer now is not new when it does. Those that went last come first here.
    let left = GONE_MAX;
    for (const [queueId, row] of this.#seen) {
      if (!figures.has(queueId) && (isOther(queueId) || left-- > 0)) seen.set(queueId, row);
    }
    this.#seen = seen;
    return sums;
  }
}

function growth(before: number, now: number): number {
  return now >= before ? now - before : now;
}
