/** The router benches run, so that they cannot rot. No rate is judged here. Quick tier. */
import { expect, test } from 'vitest';
import { benchRouter } from '../../bench/router.js';

test('every router bench does its work [broker]', () => {
  const results = benchRouter(1);
  expect(results.length).toBeGreaterThan(5);
  for (const { name, perSecond } of results) expect([name, Number.isFinite(perSecond)]).toEqual([name, true]);
});
