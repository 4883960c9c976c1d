/** How an idle worker waits, with a clock of the test's. Quick tier. */
import { describe, expect, test } from 'vitest';
import { FrameWait, type FrameSource } from '../../src/shard/frame-wait.js';

/** Frames come after so many looks, or after so many ms of doze; each look of the clock takes 10 µs. */
class Source implements FrameSource {
  nowMs = 0;
  looks = 0;
  dozes = 0;
  comesAfterLooks = Number.POSITIVE_INFINITY;
  comesAfterDozeMs = 0;

  get hasFrames(): boolean {
    return ++this.looks > this.comesAfterLooks;
  }

  doze(timeoutMs: number): boolean {
    this.dozes++;
    this.nowMs += Math.min(timeoutMs, this.comesAfterDozeMs);
    return this.comesAfterDozeMs < timeoutMs;
  }
}

function waiting(): { source: Source; wait: FrameWait } {
  const source = new Source();
  return { source, wait: new FrameWait(source, () => (source.nowMs += 0.01)) };
}

describe('waiting for frames', () => {
  test('without time there is no wait [broker]', () => {
    const { source, wait } = waiting();
    expect([wait.wait(0), wait.wait(-5)]).toEqual([false, false]);
    expect([source.looks, source.dozes]).toEqual([0, 0]);
  });

  test('looks first once a wait was short, and finds frames without blocking [broker]', () => {
    const { source, wait } = waiting();
    source.comesAfterDozeMs = 0.05;
    expect(wait.wait(1)).toBe(true);
    expect([source.looks, source.dozes], 'nothing is known yet').toEqual([0, 1]);
    source.comesAfterLooks = 30;
    expect(wait.wait(1)).toBe(true);
    expect([source.looks, source.dozes]).toEqual([31, 1]);
  });

  test('looks for a bounded time, then blocks [broker]', () => {
    const { source, wait } = waiting();
    source.comesAfterDozeMs = 0.05;
    wait.wait(1);
    const startMs = source.nowMs;
    source.comesAfterDozeMs = 5;
    expect(wait.wait(1)).toBe(false);
    expect(source.dozes).toBe(2);
    expect(source.looks).toBeGreaterThan(50);
    expect(source.nowMs - startMs, 'looking takes 0.2 ms, dozing 1 ms').toBeLessThan(1.3);
  });

  test.each([
    ['nothing came', 5],
    ['what came took long', 0.8],
  ])('does not look again after a wait in which %s [broker]', (_, comesAfterDozeMs) => {
    const { source, wait } = waiting();
    source.comesAfterDozeMs = 0.05;
    wait.wait(1);
    source.comesAfterDozeMs = comesAfterDozeMs;
    wait.wait(1);
    const { looks } = source;
    expect(looks).toBeGreaterThan(0);
    wait.wait(1);
    expect(source.looks).toBe(looks);
  });
});

test('time that a worker is blocked is counted, time that it looks or works is not [broker]', () => {
  const { source, wait } = waiting();
  source.comesAfterDozeMs = 10;
  expect(wait.wait(1)).toBe(false);
  expect(wait.waitedMs).toBeCloseTo(1.01);
  source.nowMs += 50;
  source.comesAfterDozeMs = 0.1;
  expect(wait.wait(1)).toBe(true);
  expect(wait.waitedMs).toBeCloseTo(1.12);
});
