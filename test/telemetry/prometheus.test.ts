import { expect, test } from 'vitest';

import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import {
  CounterReader,
  Counters,
  MAIN_BLOCK,
  createCounterMemory,
  workerBlock,
} from '../../src/telemetry/counter.js';
import { catalogue, queueMetrics } from '../../src/telemetry/metric-catalogue.js';
import { createRegistry } from '../../src/telemetry/prometheus.js';

test('the text shows every metric of the catalogue, summed over threads, and those of the process [broker]', async () => {
  const memory = createCounterMemory(1);
  const main = new Counters(memory, MAIN_BLOCK);
  const worker = new Counters(memory, workerBlock(0));
  main.add(slot.connections, 3);
  main.add(slotOf('packetsReceived', 'publish'), 7);
  main.add(slot.doorbells, 2);
  worker.add(slot.doorbells, 3);
  for (const count of [1, 3]) worker.observe('groupCommitMessages', count);
  const lines = (await createRegistry(new CounterReader(memory), () => Promise.resolve([])).metrics()).split(
    '\n',
  );

  for (const { name } of Object.values(catalogue))
    expect(lines.some((line) => line.startsWith(`# TYPE ${name} `))).toBe(true);
  expect(lines).toEqual(
    expect.arrayContaining([
      '# TYPE sluice_connections gauge',
      'sluice_connections 3',
      '# TYPE sluice_packets_received_total counter',
      'sluice_packets_received_total{type="publish"} 7',
      'sluice_packets_received_total{type="connect"} 0',
      'sluice_doorbells_total 5',
      '# TYPE sluice_group_commit_messages histogram',
      'sluice_group_commit_messages_bucket{le="1"} 1',
      'sluice_group_commit_messages_bucket{le="2"} 1',
      'sluice_group_commit_messages_bucket{le="5"} 2',
      'sluice_group_commit_messages_bucket{le="+Inf"} 2',
      'sluice_group_commit_messages_sum 4',
      'sluice_group_commit_messages_count 2',
    ]),
  );
  expect(lines.some((line) => line.includes('undefined') || line.includes('NaN'))).toBe(false);
  expect(lines.some((line) => line.startsWith('process_resident_memory_bytes '))).toBe(true);
});

test('queues appear with their name as label and are read once per text [broker]', async () => {
  let reads = 0;
  const stats = { ready: 4, inFlight: 1, oldestAgeMs: 2500, acked: 9 };
  const registry = createRegistry(new CounterReader(createCounterMemory(1)), async () => {
    reads += 1;
    await Promise.resolve();
    return [{ name: '/jobs/"x"', stats }];
  });
  const lines = (await registry.metrics()).split('\n');
  expect(lines).toContain(String.raw`sluice_queue_ready{queue="/jobs/\"x\""} 4`);
  expect(lines).toContain(String.raw`sluice_queue_oldest_age_seconds{queue="/jobs/\"x\""} 2.5`);
  expect(lines).toContain(String.raw`sluice_queue_acked_total{queue="/jobs/\"x\""} 9`);
  for (const { name } of queueMetrics) expect(lines.some((line) => line.startsWith(`${name}{`))).toBe(true);
  expect(reads).toBe(1);
  await registry.metrics();
  expect(reads).toBe(2);
});

test('metric names follow the rules: prefix, unit last, `_total` on what only grows [broker]', () => {
  const names = [...Object.values(catalogue), ...queueMetrics].map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const metric of [...Object.values(catalogue), ...queueMetrics]) {
    expect(metric.name).toMatch(/^sluice(_[a-z]+)+$/);
    expect([metric.name, metric.name.endsWith('_total')]).toEqual([
      metric.name,
      metric.kind === 'counter' || metric.kind === 'family',
    ]);
  }
});
