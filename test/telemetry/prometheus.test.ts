import { expect, test } from 'vitest';

import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import {
  CounterReader,
  Counters,
  MAIN_BLOCK,
  createCounterMemory,
  workerBlock,
} from '../../src/telemetry/counter.js';
import { catalogue, queueMetrics, statusMetrics } from '../../src/telemetry/metric-catalogue.js';
import { MetricsText, type MetricsSample } from '../../src/telemetry/prometheus.js';

function sample(part: Partial<MetricsSample> = {}): MetricsSample {
  return {
    status: {
      version: '1.2.3',
      uptimeMs: 1500,
      isReady: false,
      shards: [
        { shardId: 0, isUp: true },
        { shardId: 1, isUp: false },
      ],
      disk: { freeBytes: 10, sizeBytes: 100 },
    },
    queues: [],
    others: undefined,
    ...part,
  };
}

test('the text shows every metric of the catalogue, summed over threads, and those of the process [broker]', async () => {
  const memory = createCounterMemory(1);
  const main = new Counters(memory, MAIN_BLOCK);
  const worker = new Counters(memory, workerBlock(0));
  main.add(slot.connections, 3);
  main.add(slotOf('packetsReceived', 'publish'), 7);
  main.add(slot.doorbells, 2);
  worker.add(slot.doorbells, 3);
  for (const count of [1, 3]) worker.observe('groupCommitMessages', count);
  const lines = (await new MetricsText(new CounterReader(memory), () => 0).make(sample())).split('\n');

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
      'sluice_group_commit_messages_bucket{shard="0",le="1"} 1',
      'sluice_group_commit_messages_bucket{shard="0",le="2"} 1',
      'sluice_group_commit_messages_bucket{shard="0",le="5"} 2',
      'sluice_group_commit_messages_bucket{shard="0",le="+Inf"} 2',
      'sluice_group_commit_messages_sum{shard="0"} 4',
      'sluice_group_commit_messages_count{shard="0"} 2',
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
  const lines = (await metrics.make(sample({ queues: [{ name: '/jobs/"x"', figures }] }))).split('\n');
  expect(lines).toContain(String.raw`sluice_queue_ready{queue="/jobs/\"x\""} 4`);
  expect(lines).toContain(String.raw`sluice_queue_oldest_age_seconds{queue="/jobs/\"x\""} 2.5`);
  expect(lines).toContain(String.raw`sluice_queue_acked_total{queue="/jobs/\"x\""} 9`);
  for (const { name } of queueMetrics)
    expect(lines.filter((line) => line.startsWith(`${name}{`))).toHaveLength(1);
});

test('every line is a comment or a sample, every metric has one head, and no sample is there twice [broker]', async () => {
  const metrics = new MetricsText(new CounterReader(createCounterMemory(2)), () => 0);
  const queues = ['/a', '/b\\n'].map((name) => ({ name, figures: figuresOf({ stored: 1 }) }));
  const text = await metrics.make(
    sample({ queues, others: { count: 3, figures: figuresOf({ stored: 7 }) } }),
  );
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

test('what each shard or thread has is shown for each, and all else as a sum [broker]', async () => {
  const memory = createCounterMemory(2);
  new Counters(memory, MAIN_BLOCK).set(slot.eventLoopBusySeconds, 1.5);
  for (const shardId of [0, 1]) {
    const worker = new Counters(memory, workerBlock(shardId));
    worker.set(slot.logDiskBytes, 100 + shardId);
    worker.set(slot.eventLoopBusySeconds, 2 + shardId);
    worker.set(slot.queues, 5);
  }
  const lines = (await new MetricsText(new CounterReader(memory), () => 0).make(sample())).split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      'sluice_log_disk_bytes{shard="0"} 100',
      'sluice_log_disk_bytes{shard="1"} 101',
      'sluice_event_loop_busy_seconds_total{thread="main"} 1.5',
      'sluice_event_loop_busy_seconds_total{thread="shard-0"} 2',
      'sluice_event_loop_busy_seconds_total{thread="shard-1"} 3',
      'sluice_queues 10',
    ]),
  );
  expect(lines.filter((line) => line.startsWith('sluice_log_disk_bytes{'))).toHaveLength(2);
});

test('the broker as a whole is shown as it is at this moment [broker]', async () => {
  const metrics = new MetricsText(new CounterReader(createCounterMemory(1)), () => 0);
  const text = await metrics.make(sample({ others: { count: 7, figures: figuresOf({}) } }));
  expect(text.split('\n')).toEqual(
    expect.arrayContaining([
      'sluice_info{version="1.2.3"} 1',
      'sluice_uptime_seconds 1.5',
      'sluice_ready 0',
      'sluice_shard_up{shard="0"} 1',
      'sluice_shard_up{shard="1"} 0',
      'sluice_disk_free_bytes 10',
      'sluice_disk_size_bytes 100',
      'sluice_queues_without_series 7',
    ]),
  );
  for (const { name } of Object.values(statusMetrics)) expect(text).toMatch(new RegExp(`^${name}[{ ]`, 'm'));
  const { disk: _, ...status } = sample().status;
  const without = await metrics.make(sample({ status: { ...status, disk: undefined } }));
  expect(without).not.toContain('sluice_disk');
});

test('queues without series of their own are one more queue, `_other` [broker]', async () => {
  const metrics = new MetricsText(new CounterReader(createCounterMemory(1)), () => 0);
  const queues = [{ name: 'jobs', figures: figuresOf({ ready: 1 }) }];
  const others = { count: 2, figures: figuresOf({ ready: 5, oldestAgeMs: 1000 }) };
  const lines = (await metrics.make(sample({ queues, others }))).split('\n');
  expect(lines.filter((line) => line.startsWith('sluice_queue_ready{'))).toEqual([
    'sluice_queue_ready{queue="jobs"} 1',
    'sluice_queue_ready{queue="_other"} 5',
  ]);
  expect(lines).toContain('sluice_queue_oldest_age_seconds{queue="_other"} 1');
});

test('other work of the thread has its turn while the text of many queues is made [broker]', async () => {
  const metrics = new MetricsText(new CounterReader(createCounterMemory(1)), () => 0);
  const queues = Array.from({ length: 1000 }, (_, i) => ({ name: `q${i}`, figures: figuresOf({}) }));
  await metrics.make(sample());
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const text = await metrics.make(sample({ queues }));
  isOver = true;
  expect(turns).toBeGreaterThanOrEqual(queueMetrics.length - 1);
  expect(text.match(/^sluice_queue_ready\{/gm)).toHaveLength(1000);
});

test('the metrics of the process are a second old at most, and none lists what is open [broker]', async () => {
  let nowMs = 0;
  const memory = createCounterMemory(1);
  const metrics = new MetricsText(new CounterReader(memory), () => nowMs);
  const uptime = (text: string): string => /^process_cpu_seconds_total (.*)$/m.exec(text)?.[1] ?? '';
  const first = await metrics.make(sample());
  expect(first).not.toMatch(/nodejs_active/);
  const until = performance.now() + 30;
  while (performance.now() < until);
  nowMs = 999;
  new Counters(memory, MAIN_BLOCK).add(slot.doorbells, 1);
  const second = await metrics.make(sample());
  expect(uptime(second)).toBe(uptime(first));
  expect(second).toMatch(/^sluice_doorbells_total 1$/m);
  nowMs = 1000;
  expect(uptime(await metrics.make(sample()))).not.toBe(uptime(first));
});

test('metric names follow the rules: prefix, unit last, `_total` on what only grows [broker]', () => {
  const all = [...Object.values(catalogue), ...queueMetrics, ...Object.values(statusMetrics)];
  const names = all.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const metric of all) {
    expect(metric.name).toMatch(/^sluice(_[a-z]+)+$/);
    expect([metric.name, metric.name.endsWith('_total')]).toEqual([
      metric.name,
      metric.kind === 'counter' || metric.kind === 'family',
    ]);
  }
});
