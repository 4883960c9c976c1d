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
import { MetricsText, QUEUES_SHOWN_MAX } from '../../src/telemetry/prometheus.js';

test('the text shows every metric of the catalogue, summed over threads, and those of the process [broker]', async () => {
  const memory = createCounterMemory(1);
  const main = new Counters(memory, MAIN_BLOCK);
  const worker = new Counters(memory, workerBlock(0));
  main.add(slot.connections, 3);
  main.add(slotOf('packetsReceived', 'publish'), 7);
  main.add(slot.doorbells, 2);
  worker.add(slot.doorbells, 3);
  for (const count of [1, 3]) worker.observe('groupCommitMessages', count);
  const lines = (await new MetricsText(new CounterReader(memory), () => 0).make([])).split('\n');

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

function figuresOf(values: Readonly<Record<string, number>>): Float64Array {
  return Float64Array.from(queueMetrics, ({ field }) => values[field] ?? 0);
}

test('queues appear with their name as label [broker]', async () => {
  const metrics = new MetricsText(new CounterReader(createCounterMemory(1)), () => 0);
  const figures = figuresOf({ ready: 4, inFlight: 1, oldestAgeMs: 2500, acked: 9 });
  const lines = (await metrics.make([{ name: '/jobs/"x"', figures }])).split('\n');
  expect(lines).toContain(String.raw`sluice_queue_ready{queue="/jobs/\"x\""} 4`);
  expect(lines).toContain(String.raw`sluice_queue_oldest_age_seconds{queue="/jobs/\"x\""} 2.5`);
  expect(lines).toContain(String.raw`sluice_queue_acked_total{queue="/jobs/\"x\""} 9`);
  for (const { name } of queueMetrics)
    expect(lines.filter((line) => line.startsWith(`${name}{`))).toHaveLength(1);
});

test('every line is a comment or a sample, every metric has one head, and no sample is there twice [broker]', async () => {
  const metrics = new MetricsText(new CounterReader(createCounterMemory(2)), () => 0);
  const queues = ['/a', '/b\\n'].map((name) => ({ name, figures: figuresOf({ stored: 1 }) }));
  const text = await metrics.make(queues);
  expect(text.endsWith('\n')).toBe(true);
  const lines = text.split('\n').filter((line) => line !== '');
  const samples = lines.filter((line) => !line.startsWith('#'));
  for (const line of samples) expect(line).toMatch(/^[a-z_0-9]+(\{.*\})? -?[0-9.e+-]+$|^\S+ (Nan|\+Inf)$/);
  const series = samples.map((line) => line.slice(0, line.lastIndexOf(' ')));
  expect(new Set(series).size).toBe(series.length);
  const heads = lines.filter((line) => line.startsWith('# TYPE ')).map((line) => line.split(' ')[2]);
  expect(new Set(heads).size).toBe(heads.length);
  expect(lines.filter((line) => line.startsWith('# HELP '))).toHaveLength(heads.length);
});

test('a bounded number of queues is shown, whatever their number [broker]', async () => {
  const metrics = new MetricsText(new CounterReader(createCounterMemory(1)), () => 0);
  const figures = figuresOf({});
  const queues = Array.from({ length: QUEUES_SHOWN_MAX + 5 }, (_, i) => ({ name: `q${i}`, figures }));
  const lines = (await metrics.make(queues)).split('\n');
  const ready = lines.filter((line) => line.startsWith('sluice_queue_ready{'));
  expect(ready).toHaveLength(QUEUES_SHOWN_MAX);
  expect(ready[0]).toContain('"q0"');
});

test('the metrics of the process are a second old at most, and none lists what is open [broker]', async () => {
  let nowMs = 0;
  const memory = createCounterMemory(1);
  const metrics = new MetricsText(new CounterReader(memory), () => nowMs);
  const uptime = (text: string): string => /^process_cpu_seconds_total (.*)$/m.exec(text)?.[1] ?? '';
  const first = await metrics.make([]);
  expect(first).not.toMatch(/nodejs_active/);
  const until = performance.now() + 30;
  while (performance.now() < until);
  nowMs = 999;
  new Counters(memory, MAIN_BLOCK).add(slot.doorbells, 1);
  const second = await metrics.make([]);
  expect(uptime(second)).toBe(uptime(first));
  expect(second).toMatch(/^sluice_doorbells_total 1$/m);
  nowMs = 1000;
  expect(uptime(await metrics.make([]))).not.toBe(uptime(first));
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
