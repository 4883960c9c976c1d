/** Sums over queues without series. Quick tier. */
import { expect, test } from 'vitest';

import { queueMetrics } from '../../src/telemetry/metric-catalogue.js';
import { OtherQueues } from '../../src/telemetry/other-queues.js';

type Field = (typeof queueMetrics)[number]['field'];

function row(values: Partial<Record<Field, number>>): Float64Array {
  return Float64Array.from(queueMetrics, ({ field }) => values[field] ?? 0);
}

function shown(sums: Float64Array, ...fields: Field[]): number[] {
  return fields.map((name) => sums[queueMetrics.findIndex(({ field }) => field === name)] ?? -1);
}

const isOther = (queueId: number): boolean => queueId > 1;

test('what is now is summed, the oldest age is the highest, and queues with series do not count [broker]', () => {
  const others = new OtherQueues();
  const figures = new Map([
    [1, row({ ready: 100, oldestAgeMs: 99, stored: 100 })],
    [2, row({ ready: 3, oldestAgeMs: 10, stored: 5 })],
    [3, row({ ready: 4, oldestAgeMs: 20, stored: 6 })],
  ]);
  expect(shown(others.add(figures, isOther), 'ready', 'oldestAgeMs', 'stored')).toEqual([7, 20, 11]);
  figures.set(3, row({ ready: 1, oldestAgeMs: 5, stored: 8 }));
  expect(shown(others.add(figures, isOther), 'ready', 'oldestAgeMs', 'stored')).toEqual([4, 10, 13]);
});

test('what only grows never falls: not for a deleted queue, nor for one that begins anew [broker]', () => {
  const others = new OtherQueues();
  others.add(new Map([[2, row({ stored: 10 })], [3, row({ stored: 5 })]]), isOther); // prettier-ignore
  expect(shown(others.add(new Map([[2, row({ stored: 12 })]]), isOther), 'stored')).toEqual([17]);
  expect(shown(others.add(new Map([[2, row({ stored: 3 })]]), isOther), 'stored')).toEqual([20]);
  expect(
    shown(
      others.add(new Map([[2, row({ stored: 4 })]]), () => false),
      'stored',
      'ready',
    ),
  ).toEqual([20, 0]);
});

test('a queue that loses its series brings only what it counts from then on, wherever its shard was [broker]', () => {
  const others = new OtherQueues();
  const isOne = (queueId: number) => (other: number) => queueId === other;
  others.add(new Map([[2, row({ stored: 100 })], [3, row({ stored: 5 })]]), isOne(3)); // prettier-ignore
  const figures = new Map([[2, row({ stored: 101 })], [3, row({ stored: 6 })]]); // prettier-ignore
  expect(shown(others.add(figures, isOne(2)), 'stored')).toEqual([6]);
  // And back, while it goes on counting, which its own series shows.
  figures.set(2, row({ stored: 150 }));
  expect(shown(others.add(figures, isOne(3)), 'stored')).toEqual([6]);
  others.add(new Map([[3, row({ stored: 6 })]]), isOne(3));
  figures.set(2, row({ stored: 151 }));
  expect(shown(others.add(figures, isOne(2)), 'stored')).toEqual([7]);
});

test('a queue whose shard was away for a while is not counted twice [broker]', () => {
  const others = new OtherQueues();
  others.add(new Map([[2, row({ stored: 10, ready: 2 })]]), isOther);
  expect(shown(others.add(new Map(), isOther), 'stored', 'ready')).toEqual([10, 0]);
  expect(shown(others.add(new Map([[2, row({ stored: 11 })]]), isOther), 'stored')).toEqual([11]);
});
