import { describe, expect, test } from 'vitest';
import { shardOf } from '../../src/shard/placement.js';

const filters = Array.from({ length: 2000 }, (_, i) => `plant/${i % 40}/line/${i}/+`);

describe('placement', () => {
  test('a filter keeps its shard from release to release [broker]', () => {
    const named = ['jobs', 'commands/+', '#', 'größe/ä', ''].map((filter) => shardOf(filter, 7));
    expect(named).toEqual([6, 2, 2, 3, 0]);
  });

  test.each([
    [1, 4],
    [4, 5],
    [5, 4],
    [4, 2],
    [2, 64],
  ])('from %i to %i shards only the queues that have to move do so [broker]', (before, after) => {
    let moved = 0;
    for (const filter of filters) {
      const from = shardOf(filter, before);
      const to = shardOf(filter, after);
      if (from === to) continue;
      moved++;
      // Grown: only to a new shard. Shrunk: only from a shard that is gone.
      if (after > before) expect(to).toBeGreaterThanOrEqual(before);
      else expect(from).toBeGreaterThanOrEqual(after);
    }
    const expected = (filters.length * Math.abs(after - before)) / Math.max(before, after);
    expect(moved).toBeGreaterThan(expected * 0.9);
    expect(moved).toBeLessThan(expected * 1.1);
  });

  test('similar filters spread evenly over the shards [broker]', () => {
    const counts = new Array<number>(8).fill(0);
    for (const filter of filters) counts[shardOf(filter, 8)] = (counts[shardOf(filter, 8)] as number) + 1;
    for (const count of counts) expect(Math.abs(count - 250)).toBeLessThan(60);
  });
});
