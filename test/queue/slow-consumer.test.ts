/**
 * Workers of different speed at one `least_inflight` queue, simulated by the millisecond: each has one message after the
 * other, in the order in which it got them.
 */
import { expect, test } from 'vitest';

import type { QueueConsumer } from '../../src/queue/consumer-set.js';
import type { Queue } from '../../src/queue/queue.js';
import { FakeHost, type FakeDelivery } from './fake-host.js';

interface Worker {
  readonly consumer: QueueConsumer;
  /** Messages per ms, or 1 / ms per message. */
  readonly rate: number;
  readonly inbox: FakeDelivery[];
  credit: number;
  done: number;
  inboxMax: number;
}

class Simulation {
  readonly host = new FakeHost();
  readonly queue: Queue;
  readonly workers: Worker[];
  nowMs = 1000;
  #stored = 0;

  constructor(rates: readonly number[]) {
    this.queue = this.host.queue({ dispatchStrategy: 'least_inflight' });
    this.workers = rates.map((rate) => ({
      consumer: this.host.attach(this.queue),
      rate,
      inbox: [],
      credit: 0,
      done: 0,
      inboxMax: 0,
    }));
  }

  store(count: number): void {
    for (let left = count; left > 0; left -= 1000) {
      const part = Array.from({ length: Math.min(left, 1000) }, () => ({ id: this.#stored++ }));
      this.host.store(this.queue, part);
    }
  }

  /** A millisecond goes by in four parts, so that windows are refilled within it. */
  tick(): void {
    for (let part = 0; part < 4; part++) {
      this.#dispatch();
      for (const worker of this.workers) this.#work(worker, worker.rate / 4);
    }
    this.nowMs++;
    this.host.flush(this.queue);
  }

  #dispatch(): void {
    while (this.queue.dispatch(this.nowMs, 512) === 'budget-used');
    for (const delivery of this.host.read()) {
      const worker = this.workers.find(({ consumer }) => consumer.slot === delivery.consumerSlot);
      worker?.inbox.push(delivery);
      if (worker !== undefined) worker.inboxMax = Math.max(worker.inboxMax, worker.inbox.length);
    }
  }

  #work(worker: Worker, credit: number): void {
    worker.credit = worker.inbox.length === 0 ? 0 : worker.credit + credit;
    while (worker.credit >= 1 - 1e-9 && worker.inbox.length > 0) {
      worker.credit -= 1;
      const { tag } = worker.inbox.shift() as FakeDelivery;
      this.host.answer(this.queue, worker.consumer, tag, 'ack', this.nowMs);
      worker.done++;
    }
  }

  /** Runs until everything is done; gives how long that took, ms. */
  finish(): number {
    const startMs = this.nowMs;
    while (this.queue.ledger.liveCount > 0 && this.nowMs - startMs < 60_000) this.tick();
    return this.nowMs - startMs;
  }
}

const nineFast = Array.from({ length: 9 }, () => 8);

test('jobs in bursts end at most one slow job after the producer [broker]', () => {
  const simulation = new Simulation([...nineFast, 1 / 50]);
  // 50 per ms on average; every 20 ms so many at once that all windows are full for a moment.
  for (let ms = 0; ms < 2000; ms++) {
    simulation.store(ms % 20 === 0 ? 145 : 45);
    simulation.tick();
  }
  expect(simulation.finish()).toBeLessThanOrEqual(52);
  const slow = simulation.workers.at(-1);
  expect(slow?.done, 'it works all the time').toBeGreaterThan(35);
});

test('a backlog is emptied by all at their full rate, and the slow one ends with the others [broker]', () => {
  const simulation = new Simulation([...nineFast, 1 / 50]);
  simulation.store(72 * 1000);
  expect(simulation.finish()).toBeLessThan(1060);
  expect(simulation.workers.at(-1)?.done).toBeGreaterThan(17);
});

test('workers of equal speed hold full windows, however slow they are [broker]', () => {
  const simulation = new Simulation([1 / 50, 1 / 50, 1 / 50, 1 / 50]);
  simulation.store(400);
  expect(simulation.finish()).toBeLessThanOrEqual(400 * 13);
  for (const worker of simulation.workers) {
    expect(worker.inboxMax).toBe(10);
    expect(worker.done).toBeGreaterThan(90);
  }
});

test('when the fast ones stop answering the slow one gets everything that its window holds [broker]', () => {
  const simulation = new Simulation([8, 8, 1 / 10]);
  for (let ms = 0; ms < 300; ms++) {
    simulation.store(4);
    simulation.tick();
  }
  const [first, second, slow] = simulation.workers;
  const stopped = [first, second].map((worker) => ({ ...worker, rate: 0 }) as Worker);
  simulation.workers.splice(0, 2, ...stopped);
  simulation.store(60);
  let fullest = 0;
  for (let ms = 0; ms < 1000; ms++) {
    simulation.tick();
    fullest = Math.max(fullest, slow?.inbox.length ?? 0);
  }
  expect(fullest).toBeGreaterThanOrEqual(9);
  expect(simulation.queue.readyCount).toBe(0);
});

test('while a message is kept from a slow one the queue asks to be looked at again soon [broker]', () => {
  const simulation = new Simulation([8, 1 / 50]);
  for (let ms = 0; ms < 400; ms++) {
    simulation.store(2);
    simulation.tick();
  }
  const [fast] = simulation.workers;
  simulation.store(40);
  simulation.queue.dispatch(simulation.nowMs, 512);
  expect(simulation.host.inFlightCounts[fast?.consumer.slot ?? 0]).toBe(10);
  expect(simulation.queue.dueMs).toBeLessThanOrEqual(simulation.nowMs + 5);
});
