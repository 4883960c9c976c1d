/** The micro benches run tiny, so that they cannot rot: each checks its own work. No rate is judged. Quick tier. */
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { documentedBenches, microTables } from '../../bench/micro/document.mjs';
import { microBenches } from '../../bench/micro/index.js';
import { measure, same } from '../../bench/micro/measure.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const names = Object.keys(microBenches);
/** Files that benches share. */
const shared = new Set(['index', 'measure', 'mqtt/packet', 'router/retained-fill']);

test.each(names)('%s does its work and has figures with names of their own [bench]', async (name) => {
  const bench = await microBenches[name]?.();
  const figures = (await bench?.(1)) ?? [];
  expect(figures.length).toBeGreaterThan(1);
  expect(new Set(figures.map((figure) => figure.name)).size).toBe(figures.length);
  for (const figure of figures) {
    expect([figure.name, Number.isFinite(figure.value)]).toEqual([figure.name, true]);
    if (figure.unit === 'per second') expect(figure.value, figure.name).toBeGreaterThan(0);
  }
});

test('every bench lies where the source file lies that it measures, and none is left out [bench]', () => {
  const files = readdirSync(`${root}/bench/micro`, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.replaceAll('\\', '/').replace(/\.ts$/, ''));
  expect(files.filter((file) => !shared.has(file)).toSorted()).toEqual(names.toSorted());
  expect(names.filter((name) => !existsSync(`${root}/src/${name}.ts`))).toEqual([]);
});

test('a task that does wrong work fails its bench [bench]', () => {
  const task = { name: 'wrong', operations: 1, run: () => same('sum', 1 + 1, 3) };
  expect(() => measure(1, [task])).toThrow('sum: 2 instead of 3');
});

test('the figure counts the operations of a call [bench]', () => {
  const run = (): void => {
    const untilMs = performance.now() + 0.2;
    while (performance.now() < untilMs);
  };
  const [figure] = measure(1, [{ name: 'wait', operations: 1000, run }]);
  // A call takes at least 0.2 ms, so that 1000 operations are at most 5 million per second.
  expect(figure?.value).toBeLessThanOrEqual(5_000_000);
  expect(figure?.best).toBeGreaterThanOrEqual(figure?.value ?? Number.POSITIVE_INFINITY);
});

test('the tables of the document are made of figures by name, and a figure that no bench has is an error [bench]', () => {
  const all = documentedBenches.map((name) => ({
    name,
    figures: { find: () => ({ name: 'any', value: 4_000_000, unit: 'per second' }) },
  }));
  const tables = microTables(all) as Record<string, string>;
  expect(Object.keys(tables)).toEqual(['micro parts', 'micro consumers', 'micro topics']);
  expect(tables['micro parts']).toContain('| 4,000,000 | 250 ns |');
  expect(tables['micro consumers']).toContain('| 10,000 | 4,000,000 | 4,000,000 | 4,000,000 |');
  expect(() => microTables([])).toThrow("has no figure 'CPU per GB read");
});

test('the small benches have the figures that the document names, but for those of larger sizes [bench]', async () => {
  const results = [];
  for (const name of documentedBenches as readonly string[])
    results.push({ name, figures: (await (await microBenches[name]?.())?.(1)) ?? [] });
  const missing: string[] = [];
  for (let round = 0; round < 100; round++) {
    try {
      microTables(results);
      break;
    } catch (error) {
      const [, bench, figure] = /the bench (\S+) has no figure '(.+)'/.exec((error as Error).message) ?? [];
      missing.push(`${bench}: ${figure}`);
      results
        .find(({ name }) => name === bench)
        ?.figures.push({ name: figure ?? '', value: 1, unit: 'per second' });
    }
  }
  expect(
    missing.filter((text) => !/\d{3,} (consumers|topics|subscriptions)|match, \d+|\d+ topics/.test(text)),
  ).toEqual([]);
});
