/** The files of docs/monitoring against the catalogue. Quick tier. */
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { CounterReader, createCounterMemory } from '../../src/telemetry/counter.js';
import { catalogue, queueMetrics, statusMetrics, type Metric } from '../../src/telemetry/metric-catalogue.js';
import { MetricsText } from '../../src/telemetry/prometheus.js';
import { fileOf } from '../repository/tree.js';
import { alertExpressions, dashboardExpressions, type Expression } from './monitoring-files.js';

interface Known {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
}

/** Labels that Prometheus adds. */
const added = ['job', 'instance'];
/** Functions of what only grows, and of what goes up and down. */
const ofCounters = new Set(['rate', 'irate', 'increase']);
const ofGauges = new Set([
  'deriv',
  'predict_linear',
  'min_over_time',
  'max_over_time',
  'avg_over_time',
  'delta',
]);

/** Every series that a scrape may bring, by name. */
async function knownSeries(): Promise<Map<string, Known>> {
  const known = new Map<string, Known>([['up', { type: 'gauge', labels: [] }]]);
  const add = (name: string, type: Known['type'], labels: readonly string[]): void => {
    if (type !== 'histogram') {
      known.set(name, { type, labels });
      return;
    }
    known.set(`${name}_bucket`, { type: 'counter', labels: [...labels, 'le'] });
    known.set(`${name}_sum`, { type: 'counter', labels });
    known.set(`${name}_count`, { type: 'counter', labels });
  };
  for (const metric of Object.values<Metric>(catalogue)) {
    const labels = [metric.per, metric.kind === 'family' ? metric.label : undefined];
    const type = metric.kind === 'family' ? 'counter' : metric.kind;
    add(
      metric.name,
      type,
      labels.filter((label) => label !== undefined),
    );
  }
  for (const { name, kind } of queueMetrics) add(name, kind, ['queue']);
  for (const { name, kind, labels } of Object.values(statusMetrics)) add(name, kind, labels);
  const text = await new MetricsText(new CounterReader(createCounterMemory(1)), () => 0).make({
    status: { version: '', uptimeMs: 0, isReady: true, shards: [], disk: undefined },
    queues: [],
    others: undefined,
  });
  for (const [, name = '', type = ''] of text.matchAll(/^# TYPE ((?:process|nodejs)_\w+) (\w+)$/gm)) {
    const labels = new Set(
      [...text.matchAll(new RegExp(`^${name}\\w*\\{(.*?)\\}`, 'gm'))].flatMap(([, all = '']) =>
        [...all.matchAll(/(\w+)="/g)].map(([, label = '']) => label),
      ),
    );
    // Nothing has been collected yet when a process is this young.
    if (name === 'nodejs_gc_duration_seconds') labels.add('kind');
    add(name, type as Known['type'], [...labels]);
  }
  return known;
}

/** What is wrong with an expression. */
function faults({ text, legend }: Expression, known: ReadonlyMap<string, Known>): string[] {
  const found: string[] = [];
  const bare = text.replaceAll(/"[^"]*"/g, '""');
  const kept = new Set<string>();
  for (const [, name = '', selector = '', range = ''] of bare.matchAll(
    /\b(up|(?:sluice|process|nodejs)_\w+)\b(\{[^}]*\})?(\[\w+\])?/g,
  )) {
    const series = known.get(name);
    if (series === undefined) {
      found.push(`${name} does not exist`);
      continue;
    }
    const labels = [...series.labels, ...added];
    for (const label of labels) kept.add(label);
    for (const [, label = ''] of selector.matchAll(/(\w+)\s*[=!]/g)) {
      if (!labels.includes(label)) found.push(`${name} has no label ${label}`);
    }
    const call = bare.slice(0, bare.indexOf(name + selector + range)).match(/(\w+)\($/)?.[1] ?? '';
    const isCounter = series.type === 'counter';
    if (isCounter !== ofCounters.has(call)) {
      found.push(`${name} is a ${series.type} and stands in ${call === '' ? 'no function' : call}`);
    }
    if (range !== '' && !isCounter && !ofGauges.has(call)) found.push(`${call} of ${name}`);
  }
  const groups = [...bare.matchAll(/\bby \(([^)]*)\)/g)].map(([, list = '']) => list.split(/,\s*/));
  for (const label of groups.flat()) if (!kept.has(label)) found.push(`no metric has the label ${label}`);
  const isSum = /^\s*(?:sum|min|max)\s*(?:by|\()|^histogram_quantile/.test(bare);
  const left = isSum ? new Set(groups.flat()) : kept;
  for (const label of legend) if (!left.has(label)) found.push(`the text names ${label}, which is not left`);
  if (/histogram_quantile/.test(bare) && !groups.flat().includes('le')) found.push('quantile without le');
  return found;
}

describe.each([
  ['the alerts', alertExpressions, 20],
  ['the dashboard', dashboardExpressions, 50],
] as const)('%s', (_, read, countMin) => {
  test('name metrics and labels that exist, with functions that fit their kind [broker]', async () => {
    const known = await knownSeries();
    const expressions = read();
    expect(expressions.length).toBeGreaterThanOrEqual(countMin);
    const wrong = expressions.flatMap((expression) =>
      faults(expression, known).map((fault) => `${expression.where}: ${fault}`),
    );
    expect(wrong).toEqual([]);
  });
});

test('what would be wrong is found [broker]', async () => {
  const known = await knownSeries();
  const of = (text: string, legend: string[] = []): string[] => faults({ where: '', text, legend }, known);
  expect(of('sluice_nothing > 0')).toEqual(['sluice_nothing does not exist']);
  expect(of('sluice_queue_ready{shard="0"}')).toEqual(['sluice_queue_ready has no label shard']);
  expect(of('sluice_doorbells_total > 0')).toHaveLength(1);
  expect(of('rate(sluice_queue_ready[5m])')).toHaveLength(2);
  expect(of('sum by (thread) (sluice_queue_ready)')).toEqual(['no metric has the label thread']);
  expect(of('sum(sluice_queue_ready)', ['queue'])).toHaveLength(1);
  expect(of('histogram_quantile(0.9, sum by (shard) (rate(sluice_log_sync_seconds_bucket[5m])))')).toEqual([
    'quantile without le',
  ]);
  expect(of('rate(process_cpu_seconds_total{job="x"}[1m])', ['instance'])).toEqual([]);
});

test('every alert says how bad it is, what happens and what to do [broker]', () => {
  const { groups } = parse(fileOf('docs/monitoring/alerts.yml').text) as {
    groups: { rules: { alert: string; labels: object; annotations: object }[] }[];
  };
  for (const { alert, labels, annotations } of groups.flatMap(({ rules }) => rules)) {
    expect([alert, labels]).toEqual([
      alert,
      { severity: expect.stringMatching(/^(critical|warning)$/) as string },
    ]);
    expect([alert, annotations]).toEqual([
      alert,
      { summary: expect.stringContaining('{{') as string, description: expect.any(String) as string },
    ]);
  }
});
