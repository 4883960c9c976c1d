/**
 * Layout of the counters that all threads share. Runs on every thread; computed once from the catalogue.
 *
 * One SharedArrayBuffer of Float64, one block per thread: block 0 belongs to the main thread, block 1 + n to
 * the worker of shard n. Within a block each metric has one slot, a family one per label value, a histogram
 * one per bound, one for what is above, and one for the sum:
 *
 *     | main: slot 0, 1, 2 … (padded to 64 bytes) | shard 0: slot 0, 1, 2 … | shard 1: … |
 *
 * Always true: a slot is written by the thread of its block and by no other, so that an addition needs no
 * Atomics; a reader may see a value that is a few additions old, and never a torn one, because an aligned
 * 8-byte access is one instruction on the 64-bit machines that Node runs on.
 */
import { catalogue } from './metric-catalogue.js';
import type { FamilyMetric, Metric, MetricKey } from './metric-catalogue.js';

type Catalogue = typeof catalogue;
type FamilyKey = { [K in MetricKey]: Catalogue[K] extends FamilyMetric ? K : never }[MetricKey];
type LabelOf<K extends FamilyKey> = Catalogue[K] extends FamilyMetric<infer V> ? V : never;

/** Float64 slots per cache line: blocks are padded so that two threads never write to the same one. */
const SLOTS_PER_LINE = 8;

function slotCountOf(metric: Metric): number {
  if (metric.kind === 'family') return metric.values.length;
  return metric.kind === 'histogram' ? metric.bounds.length + 2 : 1;
}

const slots: Record<string, number> = {};
let used = 0;
for (const [key, metric] of Object.entries<Metric>(catalogue)) {
  slots[key] = used;
  used += slotCountOf(metric);
}

/** First slot of each metric within a thread's block. For a family add the index of the label value, or use `slotOf`. */
export const slot = Object.freeze(slots) as { readonly [K in MetricKey]: number };

/** Slots in one thread's block, padding included. */
export const BLOCK_SLOTS = Math.ceil(used / SLOTS_PER_LINE) * SLOTS_PER_LINE;

/** Slot of one label value of a family. Look it up once, at load, not per message. */
export function slotOf<K extends FamilyKey>(key: K, value: LabelOf<K>): number {
  const { values } = catalogue[key] as FamilyMetric;
  return slot[key] + values.indexOf(value);
}
