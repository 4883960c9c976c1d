/** The arithmetic of `npm run bench:compare`: what it calls faster, slower or the same. Quick tier. */
import { expect, test } from 'vitest';
import { figuresOf, headlinesOf, lastJson } from '../../bench/compare/figure.mjs';
import { commandOf, CompareOptionError, parseOptions } from '../../bench/compare/options.mjs';
import { renderComparison } from '../../bench/compare/report.mjs';
import { align, orderOf } from '../../bench/compare/run.mjs';
import {
  bootstrapInterval,
  compareFigure,
  median,
  overallVerdict,
  seededRandom,
  spread,
} from '../../bench/compare/statistics.mjs';

/** Runs of two sides: `change` is `factor` times `base`, both with noise of the machine in common and of their own. */
function runsOf(pairs: number, factor: number, ownNoise: number, seed: number): [number[], number[]] {
  const random = seededRandom(seed);
  const noise = (amount: number): number => 1 + (random() + random() + random() - 1.5) * amount;
  const base: number[] = [];
  const change: number[] = [];
  for (let i = 0; i < pairs; i++) {
    const machine = 100_000 * noise(0.3);
    base.push(machine * noise(ownNoise));
    change.push(machine * factor * noise(ownNoise));
  }
  return [base, change];
}

test('median, extremes and median absolute deviation are those of the values [bench]', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([])).toBeNaN();
  expect(spread([10, 12, 11, 30, 9])).toEqual({ median: 11, min: 9, max: 30, mad: 1 });
});

test('the interval of a ratio lies within the ratios, holds their median, and narrows with more pairs [bench]', () => {
  const ratiosOf = (pairs: number): number[] => {
    const [base, change] = runsOf(pairs, 1.1, 0.02, 7);
    return base.map((value, i) => (change[i] as number) / value);
  };
  const [few, many] = [ratiosOf(6), ratiosOf(60)];
  const [wide, narrow] = [bootstrapInterval(few), bootstrapInterval(many)];
  expect(wide.low).toBeGreaterThanOrEqual(Math.min(...few));
  expect(wide.high).toBeLessThanOrEqual(Math.max(...few));
  expect(wide.low).toBeLessThanOrEqual(median(few));
  expect(wide.high).toBeGreaterThanOrEqual(median(few));
  expect(narrow.high - narrow.low).toBeLessThan((wide.high - wide.low) / 1.5);
  expect(bootstrapInterval([1.2, 1.2, 1.2, 1.2])).toEqual({ low: 1.2, high: 1.2 });
  expect(bootstrapInterval(few)).toEqual(bootstrapInterval(few));
});

test('a change beyond noise is told from one within it, up or down as the figure goes [bench]', () => {
  const base = [100, 102, 98, 101, 99, 100];
  const by = (factor: number): number[] => base.map((value) => value * factor);
  const verdict = (change: number[], better: 'higher' | 'lower', threshold = 0.01): string =>
    compareFigure(base, change, better, threshold).verdict;
  expect(verdict(by(1.1), 'higher')).toBe('faster');
  expect(verdict(by(1.1), 'lower')).toBe('slower');
  expect(verdict(by(0.9), 'higher')).toBe('slower');
  expect(verdict(by(0.9), 'lower')).toBe('faster');
  expect(verdict(by(1), 'higher')).toBe('same');
  // Beyond noise, but less than what counts.
  expect(verdict(by(1.004), 'higher')).toBe('same');
  expect(verdict(by(1.004), 'higher', 0)).toBe('faster');
  // Half of the pairs say the opposite.
  expect(verdict([110, 92, 108, 91, 109, 90], 'higher')).toBe('same');
});

test('too few pairs and values without a ratio get no verdict [bench]', () => {
  expect(compareFigure([100, 100, 100, 100], [200, 200, 200, 200], 'higher', 0.01)).toMatchObject({
    ratio: 2,
    verdict: 'unclear',
  });
  expect(compareFigure([0, 1, 1, 1, 1], [1, 1, 1, 1, 1], 'lower', 0.01)).toMatchObject({
    ratio: NaN,
    verdict: 'unclear',
  });
});

test('an unchanged broker is rarely called changed, and a slowdown of a twentieth is found [bench]', () => {
  const share = (factor: number, verdict: string): number => {
    let found = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const [base, change] = runsOf(6, factor, 0.04, seed * 7919);
      if (compareFigure(base, change, 'higher', 0.01).verdict === verdict) found++;
    }
    return found / 60;
  };
  expect(share(1, 'slower') + share(1, 'faster')).toBeLessThanOrEqual(0.12);
  expect(share(0.95, 'slower')).toBeGreaterThanOrEqual(0.6);
  expect(share(0.95, 'faster')).toBe(0);
  expect(share(0.9, 'slower')).toBeGreaterThanOrEqual(0.95);
});

test('one slower figure decides, then an unclear one, then a faster one [bench]', () => {
  expect(overallVerdict(['faster', 'slower', 'unclear'])).toBe('slower');
  expect(overallVerdict(['faster', 'unclear', 'same'])).toBe('unclear');
  expect(overallVerdict(['same', 'faster'])).toBe('faster');
  expect(overallVerdict(['same', 'same'])).toBe('same');
});

test('sides take turns at being first, so that a drift meets both alike [bench]', () => {
  expect(orderOf(4).flat().join(' ')).toBe('base change change base base change change base');
});

test('figures are found by their names, with their direction, and nothing else is [bench]', () => {
  const report = {
    suite: 'jobs',
    machine: { memoryBytes: 1 },
    options: { rate: 5, perSecond: 3 },
    result: {
      endToEndPerSecond: 100,
      acked: 5,
      deliveryLatencyMs: { p50: 1.5, p99: 9 },
      cpuSecondsPerMillion: 2.5,
      rssPeakBytes: 1000,
      loadCpuSeconds: 4,
      series: [{ perSecond: 1 }],
      deliveredPerConsumer: [1, 2],
    },
    baseline: { endToEndPerSecond: 7 },
  };
  expect([...figuresOf(report)].map(([path, { value, better }]) => [path, value, better])).toEqual([
    ['endToEndPerSecond', 100, 'higher'],
    ['deliveryLatencyMs.p50', 1.5, 'lower'],
    ['deliveryLatencyMs.p99', 9, 'lower'],
    ['cpuSecondsPerMillion', 2.5, 'lower'],
    ['rssPeakBytes', 1000, 'lower'],
  ]);
  const micro = {
    results: [
      { name: 'base/ring', figures: [{ name: 'frames', value: 5, unit: 'per second', best: 6 }] },
      { name: 'net', figures: [{ name: 'CPU', value: 7, unit: 'ms' }] },
    ],
  };
  expect([...figuresOf(micro)]).toEqual([
    ['base/ring.frames', { value: 5, better: 'higher' }],
    ['net.CPU', { value: 7, better: 'lower' }],
  ]);
});

test('the headline of a case is the value of Sluice in the direction that the case says [bench]', () => {
  const row = (peer: string, value: number): object => ({
    peer,
    value,
    low: 1,
    figures: { endToEndPerSecond: value, deliveryLatencyMs: { p99: 3, count: 7 } },
  });
  const figures = figuresOf({
    suite: 'round',
    scenarios: [
      {
        name: 'pair',
        cases: [
          {
            id: 'qos-0',
            title: 'x',
            unit: 'messages/s',
            better: 'higher',
            rows: [row('mosquitto', 5), row('sluice', 50)],
          },
          { id: 'absent', title: 'y', better: 'higher', rows: [row('mosquitto', 5)] },
        ],
      },
      { name: 'latency', cases: [{ id: 'plain', better: 'lower', rows: [row('sluice', 3)] }] },
    ],
  });
  expect([...figures.keys()]).toEqual([
    'pair.qos-0',
    'pair.qos-0.endToEndPerSecond',
    'pair.qos-0.deliveryLatencyMs.p99',
    'latency.plain',
    'latency.plain.endToEndPerSecond',
    'latency.plain.deliveryLatencyMs.p99',
  ]);
  expect(figures.get('pair.qos-0')).toMatchObject({ value: 50, better: 'higher' });
  expect(figures.get('latency.plain')).toMatchObject({ value: 3, better: 'lower' });
  expect(headlinesOf(figures, '')).toEqual(['pair.qos-0', 'latency.plain']);
});

test('end-to-end rates decide unless figures are named [bench]', () => {
  const headlines = (paths: readonly string[], metric: string): string[] =>
    headlinesOf(new Map(paths.map((path) => [path, { value: 1, better: 'higher' }])), metric);
  const paths = ['pair.endToEndPerSecond', 'pair.ackedPerSecond', 'pair.deliveryLatencyMs.p99'];
  expect(headlines(paths, '')).toEqual(['pair.endToEndPerSecond']);
  expect(headlines(paths.slice(1), '')).toEqual(['pair.ackedPerSecond']);
  expect(headlines(paths.slice(2), '')).toEqual(['pair.deliveryLatencyMs.p99']);
  expect(headlines(paths, 'p99')).toEqual(['pair.deliveryLatencyMs.p99']);
  expect(headlines(paths, 'nothing')).toEqual([]);
});

test('the last JSON line of what a bench printed counts [bench]', () => {
  expect(lastJson('a table\n{"a":1}\n{"a":2}\n')).toEqual({ a: 2 });
  expect(() => lastJson('only a table\n')).toThrow('no JSON line');
});

test('only figures that every run has are compared [bench]', () => {
  const run = (entries: Record<string, number>): Map<string, { value: number; better: 'higher' }> =>
    new Map(Object.entries(entries).map(([path, value]) => [path, { value, better: 'higher' }]));
  const aligned = align({
    base: [run({ a: 1, b: 2 }), run({ a: 3 })],
    change: [run({ a: 5 }), run({ a: 6, b: 1 })],
  });
  expect([...aligned]).toEqual([['a', { better: 'higher', base: [1, 3], change: [5, 6] }]]);
});

test('own options come first, and what follows the suite is its own [bench]', () => {
  const options = parseOptions(['--pairs=8', 'v1.2', '--threshold=2.5', 'jobs', '--pairs=3', '--json=x']);
  expect(options).toMatchObject({ revision: 'v1.2', pairs: 8, threshold: 0.025, ownBench: false, warmup: 1 });
  expect(commandOf(options ?? fail())).toEqual(['bench/main.mjs', 'jobs', '--pairs=3', '--json=x']);
  const micro = parseOptions(['HEAD', 'micro', 'base/ring', '--scale', '100']);
  expect(commandOf(micro ?? fail())).toEqual([
    'bench/micro/main.mjs',
    'base/ring',
    '--scale',
    '100',
    '--json',
  ]);
  expect(commandOf(parseOptions(['HEAD']) ?? fail())).toEqual(['bench/main.mjs', 'jobs']);
  const scenario = parseOptions(['HEAD', 'pair', 'share', '--only=sluice']);
  expect(commandOf(scenario ?? fail())).toEqual([
    'bench/main.mjs',
    'pair',
    'share',
    '--only=sluice',
    '--json',
  ]);
  expect(parseOptions(['--help'])).toBeUndefined();
});

function fail(): never {
  throw new Error('no options');
}

test.each([
  [[], 'revision'],
  [['HEAD', '--pairs=0'], '--pairs'],
  [['HEAD', '--warmup=x'], '--warmup'],
  [['HEAD', '--threshold=100'], '--threshold'],
  [['HEAD', '--speed=1'], '--speed'],
])('the command line %j is refused with the name of its fault [bench]', (argv, named) => {
  expect(() => parseOptions(argv)).toThrow(CompareOptionError);
  expect(() => parseOptions(argv)).toThrow(named);
});

test('the table shows each figure with spread, ratio, interval and verdict [bench]', () => {
  const compared = compareFigure(
    [100, 102, 98, 101, 99, 100],
    [200, 204, 196, 202, 198, 200],
    'higher',
    0.01,
  );
  const text = renderComparison([{ path: 'endToEndPerSecond', isHeadline: true, ...compared }], 'faster');
  expect(text).toMatch(
    /^\* endToEndPerSecond +100 +98–102 +1\.0 % +200 +196–204 +1\.0 % +2\.000 +2\.000–2\.000 +faster$/m,
  );
  expect(text).toContain('The change is FASTER');
});

test('figures that neither decide nor changed are counted, and many that decide are worth a word [bench]', () => {
  const row = (
    path: string,
    factor: number,
    isHeadline: boolean,
  ): Parameters<typeof renderComparison>[0][number] => {
    const base = [100, 100, 100, 100, 100];
    const change = base.map((value) => value * factor);
    return { path, isHeadline, ...compareFigure(base, change, 'lower', 0.01) };
  };
  const rows = [row('first', 1, true), row('second', 1, false), row('third', 2, false)];
  const text = renderComparison(rows, 'same');
  expect(text).toContain('* first');
  expect(text).toContain('  third');
  expect(text).not.toContain('second');
  expect(text).toContain('1 more figures did not change');
  expect(text).not.toContain('chance');
  expect(renderComparison(rows, 'same', true)).toContain('  second');
  const many = Array.from({ length: 5 }, (_, i) => row(`figure-${i}`, 1, true));
  expect(renderComparison(many, 'same')).toContain('5 figures decide');
});
