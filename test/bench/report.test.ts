/** Reports of a run: text, Markdown and the page with its charts, from figures made up here. */
import { expect, test } from 'vitest';
import { valueAt } from '../../bench/load/fleet.mjs';
import { renderHtml } from '../../bench/report/html.mjs';
import { renderMarkdown, renderText } from '../../bench/report/text.mjs';
import { median } from '../../bench/scenarios/median.mjs';

const curve = [
  [50, 0.2],
  [99, 3],
  [100, 12],
];
const row = (peer: string, value: number | undefined, figures: object = {}): object => ({
  peer,
  durability: 'process',
  value,
  low: value,
  high: value === undefined ? undefined : value * 1.2,
  values: value === undefined ? [] : [value, value * 1.2],
  notes: peer === 'other' ? 'a <b> & c | d' : '',
  faults: value === undefined ? ['did not start'] : [],
  figures,
});
const entry = (id: string, more: object, rows: object[]): object => ({
  id,
  title: `${id}, load`,
  unit: 'messages/s',
  better: 'higher',
  chart: 'bars',
  rows,
  ...more,
});
const report = {
  suite: 'round',
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
  settings: { repeat: 2 },
  absent: [{ name: 'gone', reason: 'not installed' }],
  faults: ['pair/one: 3 were lost'],
  scenarios: [
    {
      name: 'pair',
      about: 'one to one',
      cases: [entry('one', {}, [row('other', 1000), row('sluice', 8000), row('broken', undefined)])],
    },
    {
      name: 'latency',
      about: 'at fixed rates',
      cases: [
        entry('1,000/s', { unit: 'ms p99', better: 'lower', chart: 'latency' }, [
          row('sluice', 2, { deliveryCurveMs: curve }),
          row('other', 4, { deliveryCurveMs: curve }),
        ]),
      ],
    },
    {
      name: 'slow-consumer',
      about: 'slow ones',
      cases: [
        entry('least', { chart: 'split', split: [0, 50] }, [
          row('sluice', 5, { deliveredPerConsumer: [450, 50] }),
        ]),
      ],
    },
  ],
};

test('every chart of the page is filled and the page asks for nothing from anywhere [bench]', () => {
  const page = renderHtml(report);
  const charts = [...page.matchAll(/<svg [^]*?<\/svg>/g)].map(([svg]) => svg);
  expect(charts).toHaveLength(5);
  for (const svg of charts) {
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    const widths = [...svg.matchAll(/<rect [^>]*?width="([\d.]+)"/g)].map(([, width]) => Number(width));
    expect(widths.some((width) => width > 0)).toBe(true);
  }
  expect(charts.filter((svg) => svg.includes('<polyline'))).toHaveLength(1);
  expect(page).not.toMatch(/(src|href)="(?!#)|url\(|@import|<script/);
  expect(page).toContain('a &lt;b&gt; &amp; c | d');
  for (const tag of ['svg', 'table', 'tr', 'td', 'figure', 'section', 'div', 'text'])
    expect(page.split(`<${tag}>`).length + page.split(`<${tag} `).length - 2).toBe(
      page.split(`</${tag}>`).length - 1,
    );
});

test('a bar is as long as its figure [bench]', () => {
  const page = renderHtml({ ...report, scenarios: report.scenarios.slice(0, 1) });
  const lengths = [...page.matchAll(/<rect x="130" y="\d+" width="([\d.]+)"/g)].map(([, width]) =>
    Number(width),
  );
  expect(lengths).toHaveLength(3);
  expect((lengths[0] ?? 0) / (lengths[1] ?? 1)).toBeCloseTo(8, 0);
  expect(lengths[2]).toBe(0);
});

test('tables have Sluice first, ratios in its favour above 1, absent peers and faults [bench]', () => {
  const text = renderText(report);
  expect(text.indexOf('sluice')).toBeLessThan(text.indexOf('other'));
  expect(text).toContain('8.00 ×');
  expect(text).toContain('2.00 ×');
  expect(text).toContain('gone (not installed)');
  expect(text).toContain('FAULT       pair/one: 3 were lost');
  expect(text).toContain('did not start');
  const markdown = renderMarkdown(report);
  expect(markdown).toContain('a <b> & c \\| d');
  expect(markdown).toContain('| one, load | sluice | 8,000 messages/s (8,000 to 9,600) |');
});

test('a count between two reports is taken in proportion [bench]', () => {
  const course = [
    { atMs: 10, acked: 0 },
    { atMs: 20, acked: 100 },
    { atMs: 30, acked: 150 },
  ];
  expect([5, 10, 15, 20, 28, 40].map((atMs) => valueAt(course, 'acked', atMs))).toEqual([
    0, 0, 50, 100, 140, 150,
  ]);
  expect(valueAt([], 'acked', 1)).toBe(0);
});

test('the median of none is none, of two their mean, of three the middle one [bench]', () => {
  expect([[], [4, 2], [9, 1, 5]].map((values) => median(values))).toEqual([undefined, 3, 5]);
});
