/**
 * Retained messages on one thread: storing, finding and walking, memory per message, and the feeding of many new
 * subscriptions with the longest time that it keeps the event loop from other work. The quick tests run it with tiny
 * counts so that it cannot rot; no receiver is a socket here (bench/retained-broker.mjs measures through a broker).
 */
import { pathToFileURL } from 'node:url';
import { RetainedIndex } from '../src/router/retained-index.js';
import type { SubscriptionOptions } from '../src/router/route.js';
import { LiveMessage } from '../src/session/message.js';
import { RetainedSender, type RetainedReceiver } from '../src/session/retained-sender.js';
import { Counters, createCounterMemory, MAIN_BLOCK } from '../src/telemetry/counter.js';

/** One figure with its unit. */
export interface RetainedFigure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

const options: SubscriptionOptions = {
  qos: 0,
  noLocal: false,
  retainAsPublished: false,
  subscriptionIdentifier: 0,
};
const never = Number.POSITIVE_INFINITY;
const payloadBytes = 50;

/** Topics of some 40 bytes in no order, as devices announce themselves. */
function topicOf(i: number): string {
  const device = (i * 7919) % 1_000_003;
  return `plant/${device % 10}/line/${String(device % 100).padStart(3, '0')}/device/${device}/state`;
}

function fill(index: RetainedIndex, count: number): void {
  const payload = Buffer.alloc(payloadBytes, 'p');
  const live = new LiveMessage();
  for (let i = 0; i < count; i++) {
    const topic = Buffer.from(topicOf(i));
    live.set(topic, 0, topic.length, payload, 0, 0, 0, payload.length, 1, 0);
    const at = index.find(topic, 0, topic.length);
    if (at >= 0) index.replace(at, live, never);
    else index.insert(live, 0, i + 1, never);
  }
}

function memoryBytes(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function benchIndex(count: number): RetainedFigure[] {
  const before = memoryBytes();
  const index = new RetainedIndex();
  const figures = [rate(`store ${count} new topics`, count, () => fill(index, count))];
  const own = index.bytes / index.count;
  figures.push(
    {
      name: 'memory per message beyond its own bytes (exact only under --expose-gc)',
      value: (memoryBytes() - before) / count - own,
      unit: 'bytes',
    },
    rate('replace them', count, () => fill(index, count)),
    rate('walk "#"', count, () => walk(index, '#', index.count)),
    rate('walk "plant/+/line/+/device/+/state"', count, () =>
      walk(index, 'plant/+/line/+/device/+/state', index.count),
    ),
  );
  const searches = Math.max(1, count / 1000);
  figures.push(
    rate('search "plant/+/line/+/device/7919/state", one match', searches, () => {
      for (let i = 0; i < searches; i++) walk(index, 'plant/+/line/+/device/7919/state', count > 1 ? 1 : 0);
    }),
    rate('exact filter', count, () => {
      for (let i = 0; i < count; i++) walk(index, topicOf(i), 1);
    }),
  );
  return figures;
}

function walk(index: RetainedIndex, filter: string, expected: number): void {
  const cursor = index.matches(filter);
  let found = 0;
  while (!cursor.isDone) if (cursor.next() !== undefined) found++;
  if (found !== expected) throw new Error(`${filter}: ${found} of ${expected}`);
}

function rate(name: string, operations: number, run: () => void): RetainedFigure {
  const startMs = performance.now();
  run();
  return { name, value: (operations * 1000) / (performance.now() - startMs), unit: 'per second' };
}

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
): Promise<RetainedFigure[]> {
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
  let sent = 0;
  while (sender.openCount > 0 && sent < sendMax) {
    const turnMs = performance.now();
    await new Promise((resolve) => setImmediate(resolve));
    turnsMs.push(performance.now() - turnMs);
    sent = takers.reduce((sum, taker) => sum + taker.count, 0);
  }
  const passedMs = performance.now() - startMs;
  sender.close();
  turnsMs.sort((a, b) => a - b);
  return [
    { name: `${name}: messages`, value: (sent * 1000) / passedMs, unit: 'per second' },
    { name: `${name}: p99 of a turn`, value: turnsMs[Math.floor(turnsMs.length * 0.99)] ?? 0, unit: 'ms' },
    { name: `${name}: longest turn`, value: turnsMs.at(-1) ?? 0, unit: 'ms' },
  ];
}

/** Runs every bench; `scale` 1 proves only that it runs, 1000 measures. */
export async function benchRetained(scale: number): Promise<RetainedFigure[]> {
  const index = benchIndex(scale * 1000);
  const one = await benchFeeds('one subscriber', scale * 100, 1, Number.POSITIVE_INFINITY);
  const many = await benchFeeds(`${scale * 10} subscribers`, scale * 100, scale * 10, scale * 10_000);
  return [...index, ...one, ...many];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const { name, value, unit } of await benchRetained(1000)) {
    const text = value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 2 : 0 });
    console.log(`${name.padEnd(72)} ${text.padStart(12)} ${unit}`);
  }
}
