/** How full rings are shown to be. Quick tier. */
import { expect, test } from 'vitest';

import { createRingMemory, ringFill, RingReader, RingWriter } from '../../src/base/ring.js';
import { RingGauges } from '../../src/shard/ring-gauges.js';
import { CounterReader, Counters, createCounterMemory, workerBlock } from '../../src/telemetry/counter.js';
import { slot } from '../../src/telemetry/counter-layout.js';

function fill(memory: SharedArrayBuffer, bytes: number): void {
  const writer = new RingWriter(memory);
  writer.reserve(bytes, 1, writer.sizeBytes);
  writer.publish();
}

function drain(memory: SharedArrayBuffer): void {
  const reader = new RingReader(memory);
  while (reader.next() >= 0);
  reader.release();
}

test('the fill of a ring is the part that is written and not released, also past its end [broker]', () => {
  const memory = createRingMemory(4096);
  expect(ringFill(memory)).toBe(0);
  for (let round = 0; round < 10; round++) {
    fill(memory, 1024);
    fill(memory, 512);
    expect(ringFill(memory)).toBeGreaterThanOrEqual(0.375);
    expect(ringFill(memory)).toBeLessThan(0.75);
    drain(memory);
    expect(ringFill(memory)).toBe(0);
  }
});

test('a gauge shows the highest of ten looks, and then begins anew [broker]', () => {
  const memory = createCounterMemory(1);
  const reader = new CounterReader(memory);
  const [toShard, fromShard] = [createRingMemory(4096), createRingMemory(4096)];
  const gauges = new RingGauges(new Counters(memory, workerBlock(0)), toShard, fromShard);
  const look = (times: number): void => {
    for (let i = 0; i < times; i++) gauges.look();
  };
  fill(toShard, 1024);
  look(1);
  drain(toShard);
  fill(fromShard, 512);
  look(8);
  expect(reader.total(slot.ringToShardFill)).toBe(0);
  look(1);
  expect(reader.total(slot.ringToShardFill)).toBe(0.25);
  expect(reader.total(slot.ringFromShardFill)).toBe(0.125);
  look(10);
  expect(reader.total(slot.ringToShardFill)).toBe(0);
  expect(reader.total(slot.ringFromShardFill)).toBe(0.125);
});
