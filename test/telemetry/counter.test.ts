import { describe, expect, test } from 'vitest';

import { BLOCK_SLOTS, slot, slotOf } from '../../src/telemetry/counter-layout.js';
import {
  CounterReader,
  Counters,
  MAIN_BLOCK,
  createCounterMemory,
  workerBlock,
} from '../../src/telemetry/counter.js';
import { FIRST_ERROR_REASON_CODE, catalogue } from '../../src/telemetry/metric-catalogue.js';
import type { Metric } from '../../src/telemetry/metric-catalogue.js';

function slotCount(metric: Metric): number {
  if (metric.kind === 'family') return metric.values.length;
  return metric.kind === 'histogram' ? metric.bounds.length + 2 : 1;
}

describe('layout', () => {
  test('no two metrics share a slot, and all fit the block of a thread [broker]', () => {
    const taken = new Set<number>();
    for (const [key, metric] of Object.entries<Metric>(catalogue)) {
      const first = slot[key as keyof typeof slot];
      for (let index = first; index < first + slotCount(metric); index += 1) {
        expect(taken.has(index)).toBe(false);
        expect(index).toBeLessThan(BLOCK_SLOTS);
        taken.add(index);
      }
    }
  });

  test('blocks of two threads never share a cache line [broker]', () => {
    expect((BLOCK_SLOTS * Float64Array.BYTES_PER_ELEMENT) % 64).toBe(0);
  });

  test('a label value names its slot, and packet types and reason codes are found by their byte [broker]', () => {
    expect(slotOf('packetsReceived', 'publish')).toBe(slot.packetsReceived + 3);
    expect(slotOf('packetsReceived', 'auth')).toBe(slot.packetsReceived + 15);
    expect(slotOf('messagesDropped', 'session-queue-full')).toBe(slot.messagesDropped + 1);
    expect(slotOf('protocolErrors', '0x82')).toBe(slot.protocolErrors + 0x82 - FIRST_ERROR_REASON_CODE);
    expect(catalogue.protocolErrors.values.at(-1)).toBe('0xa2');
  });
});

describe('counters', () => {
  test('the reader sums what all threads have added [broker]', () => {
    const memory = createCounterMemory(2);
    const main = new Counters(memory, MAIN_BLOCK);
    const workers = [new Counters(memory, workerBlock(0)), new Counters(memory, workerBlock(1))];
    const reader = new CounterReader(memory);
    main.add(slot.doorbells, 1);
    for (const worker of workers) worker.add(slot.doorbells, 10);
    workers[1]!.add(slot.cacheBytes, 500);
    workers[1]!.add(slot.cacheBytes, -200);
    workers[0]!.set(slot.cacheBytes, 7);
    expect(reader.total(slot.doorbells)).toBe(21);
    expect(reader.total(slot.cacheBytes)).toBe(307);
    expect(reader.total(slot.queues)).toBe(0);
  });

  test('a worker that starts again forgets its gauges, and keeps its counters and those of the others [broker]', () => {
    const memory = createCounterMemory(2);
    const reader = new CounterReader(memory);
    const workers = [new Counters(memory, workerBlock(0)), new Counters(memory, workerBlock(1))];
    for (const worker of workers) {
      worker.set(slot.messagesReady, 5);
      worker.add(slot.messagesAcked, 5);
    }
    workers[0]!.resetGauges();
    expect(reader.total(slot.messagesReady)).toBe(5);
    expect(reader.total(slot.messagesAcked)).toBe(10);
  });

  test('an observation falls into the first bucket whose bound it does not exceed [broker]', () => {
    const memory = createCounterMemory(1);
    const worker = new Counters(memory, workerBlock(0));
    const reader = new CounterReader(memory);
    for (const count of [1, 2, 3, 100_000]) worker.observe('groupCommitMessages', count);
    const { bounds } = catalogue.groupCommitMessages;
    const buckets = Array.from({ length: bounds.length + 1 }, (_, index) =>
      reader.total(slot.groupCommitMessages + index),
    );
    expect(bounds.slice(0, 3)).toEqual([1, 2, 5]);
    expect(buckets).toEqual([1, 1, 1, ...Array.from({ length: bounds.length - 3 }, () => 0), 1]);
    expect(reader.total(slot.groupCommitMessages + bounds.length + 1)).toBe(100_006);
  });
});
