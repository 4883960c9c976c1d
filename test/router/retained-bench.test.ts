/** The benches of retained messages run, so that they cannot rot. No rate is judged here. Quick tier. */
import { expect, test } from 'vitest';
import { benchRetained } from '../../bench/retained.js';

test('every bench of retained messages does its work [broker]', async () => {
  const figures = await benchRetained(1);
  expect(figures.length).toBeGreaterThan(10);
  for (const { name, value } of figures) expect([name, Number.isFinite(value)]).toEqual([name, true]);
});
