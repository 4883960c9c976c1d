/** The growth tables without a broker: the loads are what they say, and tables, charts and the document are filled. */
import { expect, test } from 'vitest';
import { gridTables } from '../../bench/growth/grid.mjs';
import { figureBlocks } from '../../bench/growth/write.mjs';
import { completeLoad, plans } from '../../bench/load/load.mjs';
import { withFigures } from '../../bench/report/document.mjs';
import { growthHtml, growthMarkdown, growthText } from '../../bench/report/growth.mjs';
import { lineChart } from '../../bench/report/line-chart.mjs';
import { chartFile } from '../../bench/report/page.mjs';

interface Plan {
  readonly publishers: readonly { readonly topicName: string | readonly string[] }[];
  readonly consumers: readonly { readonly topicFilters: readonly string[] }[];
}

interface Table {
  readonly name: string;
  readonly sizes: (context: object) => readonly number[];
  readonly series: readonly { readonly key: string; readonly load: (size: number) => object }[];
}

const tables = gridTables as unknown as readonly Table[];
const target = { host: '127.0.0.1', port: 1883 };

function planOf(name: string, key: string, size: number): Plan {
  const series = tables.find((table) => table.name === name)?.series.find((entry) => entry.key === key);
  const load = completeLoad({ ...series?.load(size), processes: 1, seconds: 1 }) as object;
  return (plans(target, load, 'run') as unknown as Plan[])[0] as Plan;
}

const topicsOf = ({ publishers }: Plan): string[] => publishers.flatMap(({ topicName }) => topicName);
const filtersOf = ({ consumers }: Plan): string[] => consumers.flatMap(({ topicFilters }) => topicFilters);
const matches = (filter: string, topic: string): boolean => {
  const source = filter
    .replace(/^\$q\//, '')
    .replaceAll('+', '[^/]+')
    .replace(/\/#$/, '/.*');
  return new RegExp(`^${source}$`).test(topic);
};

test('every topic of a growth load has exactly one subscription, and topics and filters are as many as the size says [bench]', () => {
  for (const size of [1, 10, 100, 1000]) {
    for (const [table, key] of [
      ['queues', 'all'],
      ['queues', 'one'],
      ['subscriptions', 'again'],
      ['subscriptions', 'spread'],
    ] as const) {
      const plan = planOf(table, key, size);
      const [topics, filters] = [topicsOf(plan), filtersOf(plan)];
      const place = `${table}/${key} ${size}`;
      expect(new Set(topics).size, place).toBe(topics.length);
      expect(new Set(topics.map((topic) => topic.length)).size, place).toBe(1);
      if (table === 'subscriptions' || key === 'all') expect(new Set(filters).size, place).toBe(size);
      for (const topic of topics.slice(0, 50)) {
        const found = new Set(filters.filter((filter) => matches(filter, topic)));
        expect(found.size, `${place}: ${topic}`).toBe(1);
      }
    }
  }
});

test('the topics of many subscriptions are spread over all of them, with and without wildcards [bench]', () => {
  const topics = topicsOf(planOf('subscriptions', 'spread', 1_000_000));
  const devices = topics.map((topic) => Number(topic.split('/')[3]));
  expect(new Set(devices).size).toBe(60_000);
  expect(Math.max(...devices)).toBeGreaterThan(990_000);
  expect(devices.filter((device) => device % 2 === 1).length).toBeGreaterThan(20_000);
}, 30_000);

test('as many connections as the size says are made, and half of them publish where all are busy [bench]', () => {
  for (const size of [20, 100, 1000]) {
    const [idle, busy] = [planOf('connections', 'idle', size), planOf('connections', 'busy', size)];
    expect(idle.publishers.length + idle.consumers.length).toBe(size);
    expect([busy.publishers.length, busy.consumers.length]).toEqual([size / 2, size / 2]);
  }
});

test('no packet id is needed twice at once, whatever the size [bench]', () => {
  for (const table of tables)
    for (const { key, load } of table.series)
      for (const size of table.sizes({ quick: false, largest: 10_000 })) {
        const { inFlight = 200 } = load(size) as { inFlight?: number };
        expect([table.name, key, inFlight >= 1 && inFlight <= 65_535]).toEqual([table.name, key, true]);
      }
});

const table = {
  name: 'queues',
  axis: 'queues',
  scale: 'linear',
  memory: 'all',
  series: [
    { key: 'all', name: 'all in use' },
    { key: 'one', name: 'one in use' },
  ],
  rows: [
    { size: 1, cells: { all: { costUs: 2, perSecond: 500_000, rssBytes: 150e6 }, one: { costUs: 2 } } },
    { size: 10_000, cells: { all: { costUs: 4.567, perSecond: 200_000, rssBytes: 250e6 }, one: {} } },
  ],
  faults: [],
};
const report = {
  suite: 'growth',
  startedAt: '2030-01-02T03:04:05.678Z',
  machine: {
    cores: 2,
    cpu: 'cpu',
    memoryBytes: 8e9,
    node: 'v20',
    platform: 'x',
    kernel: 'k',
    loadAverage: 0,
    version: '1',
  },
  commit: 'abc',
  settings: {},
  absent: [],
  tables: [table],
  faults: ['queues: 3 were lost'],
};

test('a growth report has every figure as text, the factor over the whole range, and what was not measured [bench]', () => {
  for (const text of [growthText(report), growthMarkdown(report), growthHtml(report)]) {
    expect(text).toContain('4.57 µs, 200,000/s');
    expect(text).toContain('250 MB');
    expect(text).toContain('not measured');
    expect(text).toContain('10,000 times as many queues cost 2.3 times as much');
    expect(text).toContain('3 were lost');
  }
  expect(growthMarkdown(report)).toContain('| 10,000 | 4.57 µs, 200,000/s | not measured | 250 MB |');
});

test('a constant cost is level, a tenfold number is one step to the right, a logarithmic scale one step upwards [bench]', () => {
  const points = [
    [1, 5],
    [10, 5],
    [100, 50],
  ];
  const coordinates = (scale: string): number[][] =>
    (
      /points="([^"]+)"/.exec(
        lineChart('t', [{ name: 'a', points }], { axis: 'n', unit: 'u', scale }),
      )?.[1] ?? ''
    )
      .split(' ')
      .map((point) => point.split(',').map(Number));
  for (const scale of ['linear', 'log']) {
    const [first, second, third] = coordinates(scale) as [number[], number[], number[]];
    expect(first[1]).toBe(second[1]);
    expect((second[0] ?? 0) - (first[0] ?? 0)).toBeCloseTo((third[0] ?? 0) - (second[0] ?? 0), 0);
    expect(third[1]).toBeLessThan(second[1] ?? 0);
  }
  expect(lineChart('t', [{ name: 'a', points: [] }], { axis: 'n', unit: 'u', scale: 'log' })).toContain(
    'Nothing was measured',
  );
});

test('a chart that is a file of its own has its colours inside it, the page asks for nothing from anywhere [bench]', () => {
  const svg = chartFile(
    lineChart('t', [{ name: 'a', points: [[1, 2]] }], { axis: 'n', unit: 'u', scale: 'log' }),
  );
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  expect(svg).toContain('--c0:');
  const page = growthHtml(report);
  expect(page.match(/<svg /g)).toHaveLength(1);
  expect(page).toContain('<polyline');
  expect(page).not.toMatch(/NaN|undefined|Infinity/);
  expect(page).not.toMatch(/(src|href)="(?!#)|url\(|@import|<script/);
});

test('in the document only what lies between the markers of a measured table changes [bench]', () => {
  const before =
    'a\n<!-- figures: growth queues -->\nold\n<!-- end of figures -->\nb\n<!-- figures: other -->\nkept\n<!-- end of figures -->\n';
  const after = withFigures(before, figureBlocks(report));
  expect(after).toMatch(/^a\n<!-- figures: growth queues -->\n\n!\[/);
  expect(after).toContain('\n<!-- end of figures -->\nb\n<!-- figures: other -->\nkept\n');
  expect(after).toContain('charts/growth-queues.svg');
  expect(after).toContain('2030-01-02');
  expect(after).not.toContain('old');
  expect(withFigures(after, figureBlocks(report))).toBe(after);
  expect(() => withFigures('nothing', figureBlocks(report))).toThrow('queues');
});
