/** The look at the event loop. Quick tier. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { CounterReader, Counters, MAIN_BLOCK, createCounterMemory } from '../../src/telemetry/counter.js';
import { slot } from '../../src/telemetry/counter-layout.js';
import { LOOK_INTERVAL_MS, LoopProbe } from '../../src/telemetry/loop-probe.js';
import { catalogue } from '../../src/telemetry/metric-catalogue.js';

let nowMs = 0;
let activeMs = 0;
beforeEach(() => {
  nowMs = 0;
  activeMs = 0;
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  vi.spyOn(performance, 'eventLoopUtilization').mockImplementation(() => ({
    idle: 0,
    active: activeMs,
    utilization: 0,
  }));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function setUp(options: ConstructorParameters<typeof LoopProbe>[1] = {}) {
  const memory = createCounterMemory(1);
  const counters = new Counters(memory, MAIN_BLOCK);
  const reader = new CounterReader(memory);
  const { bounds } = catalogue.eventLoopDelaySeconds;
  return {
    counters,
    probe: new LoopProbe(counters, options),
    buckets: () =>
      Array.from({ length: bounds.length + 1 }, (_, index) =>
        reader.total(slot.eventLoopDelaySeconds + index),
      ),
    sum: () => reader.total(slot.eventLoopDelaySeconds + bounds.length + 1),
    busy: () => reader.total(slot.eventLoopBusySeconds),
  };
}

/** One look, `lateMs` after its time, the thread having worked for `workedMs`. */
function look(lateMs: number, workedMs: number): void {
  nowMs += LOOK_INTERVAL_MS + lateMs;
  activeMs += workedMs;
  vi.advanceTimersByTime(LOOK_INTERVAL_MS);
}

test('each look counts how late it is, and how long the thread has worked [broker]', () => {
  const { probe, buckets, sum, busy } = setUp();
  probe.start();
  look(0, 10);
  look(30, 100);
  look(0, 0);
  expect(buckets().slice(0, 6)).toEqual([2, 0, 0, 0, 0, 1]);
  expect(sum()).toBeCloseTo(0.03);
  expect(busy()).toBeCloseTo(0.11);
  probe.stop();
  look(0, 50);
  expect(busy()).toBeCloseTo(0.11);
});

test('time that a worker waits outside of its loop is no work, and the counter never falls [broker]', () => {
  let waitedMs = 0;
  const { probe, busy } = setUp({ waitedMs: () => waitedMs });
  probe.start();
  waitedMs = 60;
  look(0, 100);
  expect(busy()).toBeCloseTo(0.04);
  waitedMs = 170;
  look(0, 100);
  expect(busy()).toBeCloseTo(0.04);
});

test('a worker that starts again goes on where the one before has left the counter [broker]', () => {
  const { counters, probe, busy } = setUp();
  probe.start();
  look(0, 500);
  probe.stop();
  activeMs = 0;
  const next = new LoopProbe(counters);
  next.start();
  look(0, 100);
  expect(busy()).toBeCloseTo(0.6);
  next.stop();
});
