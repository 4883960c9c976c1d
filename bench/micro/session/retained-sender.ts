/**
 * Feeding new subscriptions with retained messages, and the longest time that it keeps the event loop from other work.
 * Bench process.
 *
 * Always true: a single subscriber gets every message. No receiver is a socket here: `bench/retained` measures through
 * a broker.
 */
import { RetainedIndex } from '../../../src/router/retained-index.js';
import type { SubscriptionOptions } from '../../../src/router/route.js';
import type { LiveMessage } from '../../../src/session/message.js';
import { RetainedSender, type RetainedReceiver } from '../../../src/session/retained-sender.js';
import { Counters, createCounterMemory, MAIN_BLOCK } from '../../../src/telemetry/counter.js';
import { same, type Figure } from '../measure.js';
import { fill } from '../router/retained-fill.js';

const options: SubscriptionOptions = {
  qos: 0,
  noLocal: false,
  retainAsPublished: false,
  subscriptionIdentifier: 0,
};

/** A client that takes everything and copies it, as an outbox does. */
class Taker implements RetainedReceiver {
  static readonly #outbox = Buffer.alloc(64 * 1024);
  readonly client = {};
  count = 0;
  readonly outbound = { canTake: (): boolean => true, onReady: (): void => undefined };
  deliver(message: LiveMessage): void {
    message.topicBuffer.copy(Taker.#outbox, 0, message.topicStart, message.topicEnd);
    message.payloadBuffer.copy(Taker.#outbox, message.topicEnd, message.payloadStart, message.payloadEnd);
    this.count++;
  }
}

/** `subscribers` of `#` at once, stopped after `sendMax` messages; turns of the event loop are timed meanwhile. */
async function benchFeeds(
  name: string,
  count: number,
  subscribers: number,
  sendMax: number,
): Promise<Figure[]> {
  const index = new RetainedIndex();
  fill(index, count);
  const sender = new RetainedSender(
    index,
    { retainedSliceMax: 500, outboxBytesMax: 1024 * 1024 },
    new Counters(createCounterMemory(0), MAIN_BLOCK),
    { nowMs: () => performance.now() },
  );
  const takers = Array.from({ length: subscribers }, () => new Taker());
  const startMs = performance.now();
  for (const taker of takers) sender.start(taker, '#', options);
  const turnsMs: number[] = [];
  const sent = (): number => takers.reduce((sum, taker) => sum + taker.count, 0);
  while (sender.openCount > 0 && sent() < sendMax) {
    const turnMs = performance.now();
    await new Promise((resolve) => setImmediate(resolve));
    turnsMs.push(performance.now() - turnMs);
  }
  const passedMs = performance.now() - startMs;
  const messages = sent();
  sender.close();
  same(`${name}: all were sent`, messages >= Math.min(sendMax, count * subscribers), true);
  turnsMs.sort((a, b) => a - b);
  return [
    { name: `${name}: messages`, value: (messages * 1000) / passedMs, unit: 'per second' },
    { name: `${name}: p99 of a turn`, value: turnsMs[Math.floor(turnsMs.length * 0.99)] ?? 0, unit: 'ms' },
    { name: `${name}: longest turn`, value: turnsMs.at(-1) ?? 0, unit: 'ms' },
  ];
}

/** Operations are messages sent. */
export async function benchRetainedSender(scale: number): Promise<Figure[]> {
  const one = await benchFeeds('one subscriber', scale * 100, 1, Number.POSITIVE_INFINITY);
  const many = await benchFeeds(`${scale * 10} subscribers`, scale * 100, scale * 10, scale * 10_000);
  return [...one, ...many];
}
