/** How many messages a consumer may have in flight by its speed. Times in ms are arguments. */
import { describe, expect, test } from 'vitest';

import { QueueConsumer } from '../../src/queue/consumer-set.js';
import type { DispatchStrategy } from '../../src/queue/definition.js';
import type { Queue } from '../../src/queue/queue.js';
import { endSpan, hasLapsed } from '../../src/queue/window.js';
import { FakeHost } from './fake-host.js';

/** Answers until a first span, of which nothing is known, has begun, and until it has ended. */
const FIRST = 1;
const SPAN = 512;

function consumer(): QueueConsumer {
  return new QueueConsumer(0, Buffer.from('c'), 65_535, false);
}

describe('what speed earns', () => {
  test('is ten milliseconds of work, from two thousand answers per second on [broker]', () => {
    const earned = (ms: number) => {
      const who = consumer();
      expect(endSpan(who, 1000), 'nothing is known before').toBe(0);
      return endSpan(who, 1000 + ms);
    };
    expect([1, 25, 50, 100, 250, 251, 60_000].map(earned)).toEqual([5120, 204, 102, 51, 20, 0, 0]);
  });

  test('is not changed by answers that came at once [broker]', () => {
    const who = consumer();
    endSpan(who, 1000);
    expect(endSpan(who, 1000)).toBe(0);
    who.earnedWindow = endSpan(who, 1050);
    expect(endSpan(who, 1050)).toBe(102);
  });

  test('is nothing for a span in which the clock was set back by more than it took [broker]', () => {
    const who = consumer();
    endSpan(who, 1_000_000);
    expect(endSpan(who, 1000)).toBe(0);
    expect(endSpan(who, 1050)).toBe(102);
  });

  test('lapses with the span after it, whichever way the clock goes [broker]', () => {
    const who = consumer();
    who.spanSinceMs = 1000;
    expect(hasLapsed(who, 5000), 'it has nothing').toBe(false);
    who.earnedWindow = 100;
    expect([1000, 1250, 1251, 749].map((nowMs) => hasLapsed(who, nowMs))).toEqual([false, false, true, true]);
  });
});

/** A queue that always has messages; everybody gets what it may have. */
class Load {
  readonly host = new FakeHost();
  readonly queue: Queue;
  nowMs = 1000;
  readonly #tags = new Map<number, number[]>();

  constructor(local: number, fast: number, dispatchStrategy: DispatchStrategy = 'random') {
    this.queue = this.host.queue({ localMaxInflight: local, fastMaxInflight: fast, dispatchStrategy });
  }

  held(who: QueueConsumer): number {
    return this.#tags.get(who.slot)?.length ?? 0;
  }

  fill(): void {
    if (this.queue.readyCount < 1000) {
      this.host.store(
        this.queue,
        Array.from({ length: 1000 }, (_, id) => ({ id })),
      );
    }
    while (this.queue.dispatch(this.nowMs, 512) === 'budget-used');
    for (const { consumerSlot, tag } of this.host.read()) {
      const tags = this.#tags.get(consumerSlot) ?? [];
      tags.push(tag);
      this.#tags.set(consumerSlot, tags);
    }
  }

  /** `who` answers `count` messages, `perMs` of them per millisecond. */
  work(who: QueueConsumer, count: number, perMs: number): void {
    for (let done = 0; done < count; done++) {
      if (done > 0 && done % perMs === 0) this.nowMs++;
      if (this.held(who) === 0) this.fill();
      this.host.answer(this.queue, who, this.#tags.get(who.slot)?.shift() as number, 'ack', this.nowMs);
    }
    this.host.flush(this.queue);
    this.fill();
  }
}

describe.each(['random', 'round_robin', 'least_inflight'] as const)('a queue with %s', (strategy) => {
  test('gives a fast consumer more in flight, one that does not answer no more than before [broker]', () => {
    const load = new Load(10, 200, strategy);
    const [fast, silent] = [load.host.attach(load.queue), load.host.attach(load.queue)];
    load.fill();
    expect([load.held(fast), load.held(silent)]).toEqual([10, 10]);
    load.work(fast, FIRST + SPAN - 1, 10);
    expect(load.held(fast), 'a span is not over yet').toBe(10);
    load.work(fast, 1, 10);
    expect([load.held(fast), load.held(silent)]).toEqual([100, 10]);
    load.work(fast, SPAN, 50);
    expect([load.held(fast), load.held(silent)]).toEqual([200, 10]);
  });

  test('takes it back from one that has become slow [broker]', () => {
    const load = new Load(10, 200, strategy);
    const who = load.host.attach(load.queue);
    load.work(who, FIRST + SPAN, 10);
    expect(load.held(who)).toBe(100);
    load.nowMs += 100;
    load.queue.endLapsedWindows(load.nowMs);
    expect(who.window).toBe(100);
    load.nowMs += 200;
    load.queue.endLapsedWindows(load.nowMs);
    expect(who.window).toBe(10);
    load.work(who, 90, 1);
    expect(load.held(who), 'nothing new while it has as much as others').toBe(10);
    load.work(who, 1, 1);
    expect(load.held(who)).toBe(10);
  });
});

test('a window that is the same for all is never exceeded, however fast somebody is [broker]', () => {
  const load = new Load(10, 10);
  const who = load.host.attach(load.queue);
  load.work(who, 5 * SPAN, 100);
  expect(load.held(who)).toBe(10);
});

test('one fast consumer does not take all that a bounded queue may have in flight [broker]', () => {
  const load = new Load(10, 200);
  load.queue.update({ ...load.queue.definition, streamMaxBufferSize: 100 });
  const who = load.host.attach(load.queue);
  load.work(who, 5 * SPAN, 100);
  expect(load.held(who)).toBe(10);
  load.queue.update({ ...load.queue.definition, streamMaxBufferSize: 2000 });
  load.work(who, FIRST + SPAN, 20);
  expect(load.held(who)).toBeGreaterThan(10);
});

test('a change of the windows holds at once, and nothing is left of what was earned before [broker]', () => {
  const load = new Load(10, 200);
  const who = load.host.attach(load.queue, 150);
  load.work(who, FIRST + SPAN, 20);
  expect(who.window, 'no more than it takes itself').toBe(150);
  load.queue.update({ ...load.queue.definition, fastMaxInflight: 10 });
  expect(who.window).toBe(10);
  load.queue.update({ ...load.queue.definition, fastMaxInflight: 60 });
  expect(who.window, 'it has to show again').toBe(10);
  load.work(who, 2 * SPAN, 20);
  expect(who.window).toBe(60);
});
