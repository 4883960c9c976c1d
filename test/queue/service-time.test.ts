/** What is known of a consumer's time per message, and when it is held back. Times in ms are arguments. */
import { describe, expect, test } from 'vitest';

import { QueueConsumer } from '../../src/queue/consumer-set.js';
import { forgetAnswers, noteAnswer, ServiceTimes } from '../../src/queue/service-time.js';

let slots = 0;

function consumer(): QueueConsumer {
  return new QueueConsumer(slots++, Buffer.from('c'), 65_535, false);
}

/** Answers `count` messages every `everyMs`, `times` times, always busy since `fromMs`; gives when the last ones came. */
function work(who: QueueConsumer, fromMs: number, everyMs: number, count: number, times: number): number {
  who.busySinceMs = fromMs;
  for (let i = 1; i <= times; i++) {
    for (let n = 0; n < count; n++) noteAnswer(who, fromMs + i * everyMs);
  }
  return fromMs + times * everyMs;
}

describe('the time per message', () => {
  test('is the time before answers divided by their number [broker]', () => {
    const [one, ten] = [consumer(), consumer()];
    work(one, 1000, 50, 1, 10);
    work(ten, 1000, 50, 10, 10);
    expect(one.serviceMs).toBe(50);
    expect(ten.serviceMs, 'far away, but ten at a time').toBe(5);
  });

  test('does not count time without work, nor what a clock that was set says [broker]', () => {
    const who = consumer();
    let nowMs = work(who, 1000, 2, 1, 10);
    expect(who.serviceMs).toBe(2);
    nowMs += 10_000;
    nowMs = work(who, nowMs, 2, 1, 10);
    expect(who.serviceMs).toBe(2);
    nowMs += 3_600_000;
    for (let i = 0; i < 3; i++) noteAnswer(who, (nowMs += 2));
    expect(who.serviceMs).toBe(2);
    nowMs -= 7_200_000;
    for (let i = 0; i < 3; i++) noteAnswer(who, (nowMs += 2));
    expect(who.serviceMs).toBe(2);
    forgetAnswers(who);
    expect([who.serviceMs, who.isSlow]).toEqual([-1, false]);
  });
});

describe('a slow consumer', () => {
  test('is held back beside a fast one, not alone, and not after the fast one has left [broker]', () => {
    const [slow, fast] = [consumer(), consumer()];
    const all = [slow, fast];
    const times = new ServiceTimes(all);
    work(fast, 1000, 1, 1, 100);
    const nowMs = work(slow, 1000, 50, 1, 10);
    fast.busySinceMs = nowMs;
    expect(times.isHeldBack(slow, 1, 10, nowMs)).toBe(true);
    expect(times.isHeldBack(slow, 0, 10, nowMs), 'it has nothing').toBe(false);
    expect(times.isHeldBack(slow, 1, 1000, nowMs), 'the fast one would need longer').toBe(false);
    expect(times.isHeldBack(fast, 10, 10, nowMs)).toBe(false);
    all.pop();
    times.forgetRate();
    for (let later = 0; later < 50; later++) {
      slow.listHead = 0;
      expect(times.isHeldBack(slow, 100, 1, nowMs + later)).toBe(false);
    }
  });
});
