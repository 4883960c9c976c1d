/** The log benches run, so that they cannot rot. No rate is judged here. Quick tier. */
import { expect, test } from 'vitest';
import { benchLog } from '../../bench/log.js';

test('every log bench does its work [broker]', async () => {
  const results = await benchLog(1);
  expect(results.map(({ driver, name }) => `${driver} ${name}`)).toHaveLength(7);
  for (const { messagesPerSecond } of results) expect(messagesPerSecond).toBeGreaterThan(0);
});
