/**
 * The retained index on one thread: storing, replacing, finding and walking up to a million messages, and memory per
 * message beyond its own bytes. Bench process.
 *
 * Always true: every walk finds as many messages as match its filter. One run each: an index that is full is another one.
 */
import { RetainedIndex } from '../../../src/router/retained-index.js';
import { once, same, type Figure } from '../measure.js';
import { fill, topicOf } from './retained-fill.js';

function memoryBytes(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function walk(index: RetainedIndex, filter: string, expected: number): void {
  const cursor = index.matches(filter);
  let found = 0;
  while (!cursor.isDone) if (cursor.next() !== undefined) found++;
  same(`retained messages of ${filter}`, found, expected);
}

/** Operations are messages or searches. */
export function benchRetainedIndex(scale: number): Figure[] {
  const count = scale * 1000;
  const before = memoryBytes();
  const index = new RetainedIndex();
  const stored = once(`store ${count} new topics`, count, () => fill(index, count));
  same('retained messages', index.count, count);
  const beyond = (memoryBytes() - before) / count - index.bytes / index.count;
  const searches = Math.max(1, count / 1000);
  const wide = 'plant/+/line/+/device/+/state';
  const single = 'plant/+/line/+/device/7919/state';
  return [
    stored,
    {
      name: 'memory per message beyond its own bytes (exact only under --expose-gc)',
      value: beyond,
      unit: 'bytes',
    },
    once('replace them', count, () => fill(index, count)),
    once('walk "#"', count, () => walk(index, '#', count)),
    once(`walk "${wide}"`, count, () => walk(index, wide, count)),
    once(`search "${single}", one match`, searches, () => {
      for (let i = 0; i < searches; i++) walk(index, single, 1);
    }),
    once('exact filter', count, () => {
      for (let i = 0; i < count; i++) walk(index, topicOf(i), 1);
    }),
  ];
}
