/**
 * Counters of one thread, and the sum over all threads. Each thread makes its own `Counters` over one shared
 * memory (layout and ordering argument: counter-layout.ts).
 *
 * Always true: `add` is one addition to a typed array: no Atomics, no allocation, no lookup. What it gives up:
 * a reader may be a few additions behind, and counters start at 0 with the process.
 */
import { BLOCK_SLOTS, slot } from './counter-layout.js';
import { catalogue } from './metric-catalogue.js';
import type { HistogramMetric, Metric, MetricKey } from './metric-catalogue.js';

type HistogramKey = {
  [K in MetricKey]: (typeof catalogue)[K] extends HistogramMetric ? K : never;
}[MetricKey];

/** Shared memory for the main thread and `shardCount` workers; zeroed. Pass it to workers as it is. */
export function createCounterMemory(shardCount: number): SharedArrayBuffer {
  return new SharedArrayBuffer((1 + shardCount) * BLOCK_SLOTS * Float64Array.BYTES_PER_ELEMENT);
}

/** Block of the main thread. */
export const MAIN_BLOCK = 0;

/** Block of the worker of shard `shardId`. */
export function workerBlock(shardId: number): number {
  return 1 + shardId;
}

/** The writing end; one per thread. */
export class Counters {
  readonly #values: Float64Array;

  /** `block` is MAIN_BLOCK or `workerBlock(shardId)`; nobody else may write to it. */
  constructor(memory: SharedArrayBuffer, block: number) {
    this.#values = new Float64Array(
      memory,
      block * BLOCK_SLOTS * Float64Array.BYTES_PER_ELEMENT,
      BLOCK_SLOTS,
    );
  }

  /** Adds `n` (negative for gauges that fall) to `slot.…`. */
  add(index: number, n: number): void {
    // The slot comes from the layout, so the element exists; a branch for `undefined` would be paid per packet.
    this.#values[index] = (this.#values[index] as number) + n;
  }

  /** What this thread has counted. */
  get(index: number): number {
    return this.#values[index] as number;
  }

  /** Sets a gauge. */
  set(index: number, value: number): void {
    this.#values[index] = value;
  }

  /** Counts one observation of a histogram, in the unit that its name ends in. For once per batch, not per message. */
  observe(key: HistogramKey, value: number): void {
    const { bounds } = catalogue[key];
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket += 1;
    const first = slot[key];
    this.add(first + bucket, 1);
    this.add(first + bounds.length + 1, value);
  }

  /** Sets all gauges of this thread to 0: a worker that starts again owns none of what its predecessor counted up. */
  resetGauges(): void {
    for (const [key, metric] of Object.entries<Metric>(catalogue)) {
      if (metric.kind === 'gauge') this.set(slot[key as MetricKey], 0);
    }
  }
}

/** The reading end: sums over all threads. */
export class CounterReader {
  readonly #values: Float64Array;

  constructor(memory: SharedArrayBuffer) {
    this.#values = new Float64Array(memory);
  }

  /** Shards whose threads have a block. */
  get shardCount(): number {
    return this.#values.length / BLOCK_SLOTS - 1;
  }

  /** One slot of one thread: MAIN_BLOCK or `workerBlock(shardId)`. */
  of(block: number, index: number): number {
    return this.#values[block * BLOCK_SLOTS + index] ?? 0;
  }

  /** Sum of one slot over all threads. Cost: one read per thread. */
  total(index: number): number {
    let sum = 0;
    for (let at = index; at < this.#values.length; at += BLOCK_SLOTS) sum += this.#values[at] ?? 0;
    return sum;
  }
}
