/** Spans on their way to the collector. Quick tier. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { CounterReader, Counters, MAIN_BLOCK, createCounterMemory } from '../../src/telemetry/counter.js';
import { slotOf } from '../../src/telemetry/counter-layout.js';
import { BATCH_MAX, SpanExport, WAITING_MAX, type FinishedSpan } from '../../src/telemetry/span-export.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const span: FinishedSpan = {
  name: 'publish',
  kind: 'server',
  traceId: '',
  spanId: '',
  parentSpanId: undefined,
  hasRemoteParent: false,
  startMs: 0,
  endMs: 1,
  attributes: {},
  error: undefined,
};

/** A collector that answers when the test says so. */
function setUp() {
  const memory = createCounterMemory(1);
  const reader = new CounterReader(memory);
  const batches: number[] = [];
  const answers: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const warnings: string[] = [];
  const spans = new SpanExport({
    send: (batch) => {
      batches.push(batch.length);
      return new Promise((resolve, reject) => answers.push({ resolve, reject }));
    },
    counters: new Counters(memory, MAIN_BLOCK),
    logger: { warn: (_, message) => void warnings.push(message) },
  });
  const count = (outcome: 'exported' | 'failed' | 'dropped') => reader.total(slotOf('traceSpans', outcome));
  const add = (times: number): void => {
    for (let i = 0; i < times; i++) spans.add(span);
  };
  return { spans, add, batches, answers, warnings, count };
}

test('there is room until one more would be dropped [broker]', () => {
  const { spans, add, count } = setUp();
  // The first batch leaves, and waits no more.
  add(BATCH_MAX + WAITING_MAX - 1);
  expect(spans.hasRoom()).toBe(true);
  add(1);
  expect([spans.hasRoom(), count('dropped')]).toEqual([false, 0]);
  add(1);
  expect(count('dropped')).toBe(1);
});

test('a batch leaves after a second, or when it is full, and one at a time [broker]', async () => {
  const { add, batches, answers, count } = setUp();
  add(3);
  expect(batches).toEqual([]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(batches).toEqual([3]);
  add(BATCH_MAX * 2);
  expect(batches).toEqual([3]);
  answers[0]?.resolve();
  await vi.advanceTimersByTimeAsync(0);
  expect(batches).toEqual([3, BATCH_MAX]);
  answers[1]?.resolve();
  await vi.advanceTimersByTimeAsync(0);
  answers[2]?.resolve();
  await vi.advanceTimersByTimeAsync(0);
  expect(batches).toEqual([3, BATCH_MAX, BATCH_MAX]);
  expect(count('exported')).toBe(3 + 2 * BATCH_MAX);
  expect(vi.getTimerCount()).toBe(0);
});

test('what comes while the collector is slow is bounded, and what is beyond is counted as dropped [broker]', async () => {
  const { add, batches, count } = setUp();
  add(BATCH_MAX);
  add(WAITING_MAX + 10);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(batches).toEqual([BATCH_MAX]);
  expect(count('dropped')).toBe(10);
});

test('a batch that the collector refuses is counted and told, and the next is tried [broker]', async () => {
  const { add, batches, answers, warnings, count } = setUp();
  add(2);
  await vi.advanceTimersByTimeAsync(1000);
  answers[0]?.reject(new Error('503'));
  await vi.advanceTimersByTimeAsync(0);
  expect([count('failed'), count('exported')]).toEqual([2, 0]);
  expect(warnings).toEqual(['the collector did not take spans']);
  add(1);
  await vi.advanceTimersByTimeAsync(1000);
  answers[1]?.resolve();
  await vi.advanceTimersByTimeAsync(0);
  expect([batches, count('exported')]).toEqual([[2, 1], 1]);
});

test('the end sends what waits, and gives up what the collector does not take in time [broker]', async () => {
  const { spans, add, batches, answers, count } = setUp();
  add(BATCH_MAX + 5);
  const closed = spans.close(1000);
  answers[0]?.resolve();
  await vi.advanceTimersByTimeAsync(0);
  expect(batches).toEqual([BATCH_MAX, 5]);
  add(7);
  await vi.advanceTimersByTimeAsync(1000);
  await closed;
  expect(count('dropped')).toBe(7);
  expect(vi.getTimerCount()).toBe(0);
});
