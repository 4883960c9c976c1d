/** How an idle worker waits, with a clock of the test's. Quick tier. */
import { expect, test } from 'vitest';

import { FrameWait } from '../../src/shard/frame-wait.js';

test('a worker waits on its ring as long as it may, and counts the time that it was blocked [broker]', () => {
  let nowMs = 100;
  let comesAfterMs = Number.POSITIVE_INFINITY;
  const asked: number[] = [];
  const source = {
    doze(timeoutMs: number): boolean {
      asked.push(timeoutMs);
      nowMs += Math.min(timeoutMs, comesAfterMs);
      return comesAfterMs < timeoutMs;
    },
  };
  const wait = new FrameWait(source, () => nowMs);
  expect(wait.wait(1)).toBe(false);
  expect(wait.waitedMs).toBe(1);
  nowMs += 50;
  comesAfterMs = 0.25;
  expect(wait.wait(1)).toBe(true);
  expect(wait.waitedMs).toBe(1.25);
  expect([wait.wait(0), wait.wait(-5)], 'without time there is no wait').toEqual([false, false]);
  expect(asked).toEqual([1, 1]);
});
