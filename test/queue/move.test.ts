import { describe, expect, test, vi } from 'vitest';

import type { QueueConsumer } from '../../src/queue/consumer-set.js';
import type { Queue } from '../../src/queue/queue.js';
import { FakeHost } from './fake-host.js';

function store(host: FakeHost, queue: Queue, count: number): void {
  host.store(
    queue,
    Array.from({ length: count }, (_, id) => ({ id })),
  );
}

/** Ids of everything that the queue hands out. */
function drain(host: FakeHost, queue: Queue, consumer: QueueConsumer): number[] {
  const seen: number[] = [];
  for (;;) {
    queue.dispatch(0, 512);
    const read = host.read();
    if (read.length === 0) return seen;
    for (const { id, tag } of read) {
      seen.push(id);
      host.answer(queue, consumer, tag, 'ack', 0);
    }
    host.flush(queue);
  }
}

describe('a queue that is held', () => {
  test('hands out nothing until it is let go, or until the hold has ended by itself [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue();
    host.attach(queue);
    store(host, queue, 2);
    queue.hold(1000);
    expect(queue.dispatch(999, 10)).toBe('no-consumer');
    expect(queue.endsHold(999)).toBe(false);
    expect(host.read()).toEqual([]);
    expect(queue.endsHold(1000)).toBe(true);
    expect(queue.endsHold(1000)).toBe(false);
    queue.dispatch(1000, 1);
    expect(host.read()).toHaveLength(1);
    queue.hold(5000);
    queue.hold(0);
    queue.dispatch(1001, 1);
    expect(host.read()).toHaveLength(1);
  });
});

describe('messages that are discarded by their offsets', () => {
  test('are gone, the others are handed out in order, and counts are exact [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue();
    store(host, queue, 10);
    expect(queue.discard(new Set([0, 1, 2]), 0)).toBe(3);
    expect([queue.ledger.liveCount, queue.readyCount]).toEqual([7, 7]);
    host.flush(queue);
    expect(drain(host, queue, host.attach(queue))).toEqual([3, 4, 5, 6, 7, 8, 9]);
    expect(queue.ledger.liveCount).toBe(0);
    expect(queue.ledger.liveBytes).toBe(0);
  });

  test('may be such that came back or were refused; what a consumer holds stays with it [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue();
    const [holder, leaver] = [host.attach(queue, 2), host.attach(queue, 4)];
    store(host, queue, 8);
    queue.dispatch(0, 6);
    const held = host.read();
    const refused = held.find(({ consumerSlot }) => consumerSlot === leaver.slot);
    host.answer(queue, leaver, refused?.tag ?? 0, 'reject', 0);
    queue.detach(leaver);
    const kept = new Set(held.filter(({ consumerSlot }) => consumerSlot === holder.slot).map(({ id }) => id));
    const waiting = [0, 1, 2, 3, 4, 5, 6, 7].filter((id) => !kept.has(id));
    expect(waiting).toHaveLength(6);
    const [first, second] = [waiting.slice(0, 3), waiting.slice(3)];
    expect(queue.discard(new Set(first), 0)).toBe(3);
    expect([queue.ledger.liveCount, queue.inFlightCount]).toEqual([5, 2]);
    for (const { tag, consumerSlot } of held) {
      if (consumerSlot === holder.slot) host.answer(queue, holder, tag, 'ack', 0);
    }
    expect(drain(host, queue, holder)).toEqual(second);
    expect(queue.ledger.liveCount).toBe(0);
  });

  test('may have others between them, which are handed out afterwards in order [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue();
    store(host, queue, 5);
    host.store(
      queue,
      [5, 6, 7, 8, 9].map((id) => ({ id })),
    );
    expect(queue.discard(new Set([0, 1, 3, 4, 6]), 0)).toBe(5);
    expect([queue.ledger.liveCount, queue.readyCount, queue.inFlightCount]).toEqual([5, 5, 0]);
    host.flush(queue);
    // Once more, with some that wait behind the cursor and some that do not.
    expect(queue.discard(new Set([5, 8]), 0)).toBe(2);
    expect(drain(host, queue, host.attach(queue))).toEqual([2, 7, 9]);
    expect([queue.ledger.liveCount, queue.ledger.liveBytes]).toEqual([0, 0]);
    expect(host.inFlight.used).toBe(0);
  });

  test('stay where others are between them that cannot be taken, and go when they can [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue();
    store(host, queue, 4);
    const isFull = vi.spyOn(host.inFlight, 'isFull', 'get').mockReturnValue(true);
    expect(queue.discard(new Set([0, 2]), 0)).toBe(1);
    isFull.mockRestore();
    expect(queue.discard(new Set([0, 2]), 0)).toBe(1);
    expect(drain(host, queue, host.attach(queue))).toEqual([1, 3]);
  });

  test('cost nothing for what came back and is newer than they are [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue({ localMaxInflight: 2000 });
    const leaver = host.attach(queue, 2000);
    store(host, queue, 2000);
    queue.dispatch(0, 2000);
    expect(host.read()).toHaveLength(2000);
    queue.detach(leaver);
    const offsetOf = vi.spyOn(host.inFlight, 'offsetOf');
    expect(queue.discard(new Set([0, 1, 2, 4]), 0)).toBe(4);
    expect(offsetOf.mock.calls.length).toBeLessThan(100);
    expect(queue.readyCount).toBe(1996);
  });

  test('that are in flight, done or unknown are not counted [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue();
    const consumer = host.attach(queue, 1);
    store(host, queue, 3);
    queue.dispatch(0, 1);
    const [first] = host.read();
    expect(first?.id).toBe(0);
    expect(queue.discard(new Set([0, 99]), 0)).toBe(0);
    host.answer(queue, consumer, first?.tag ?? 0, 'ack', 0);
    expect(queue.discard(new Set([0]), 0)).toBe(0);
    expect(drain(host, queue, consumer)).toEqual([1, 2]);
  });

  test('leave their place to the newest value of their key in a last-value queue [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue({ isLastvalue: true });
    for (const [id, key] of [
      [0, 'a'],
      [1, 'b'],
      [2, 'a'],
    ] as const) {
      host.storeKeyed(queue, { id, key });
    }
    expect(queue.ledger.liveCount).toBe(2);
    expect(queue.discard(new Set([1]), 0)).toBe(1);
    host.flush(queue);
    host.storeKeyed(queue, { id: 3, key: 'b' });
    expect(drain(host, queue, host.attach(queue))).toEqual([2, 3]);
  });
});
