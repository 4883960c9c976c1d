/** The codec benches run, so that they cannot rot. No rate is judged here. Quick tier. */
import { expect, test } from 'vitest';
import { benchMqtt } from '../../bench/mqtt.js';

test('every codec bench does its work [broker]', () => {
  const results = benchMqtt(1);
  expect(results.length).toBeGreaterThan(10);
  for (const { name, perSecond } of results) expect([name, perSecond > 0]).toEqual([name, true]);
});
