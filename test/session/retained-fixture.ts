/** A retained store over fake shards, and receivers whose room the test decides. Test process only. */
import { loadConfig } from '../../src/config/config.js';
import type { SubscriptionOptions } from '../../src/router/route.js';
import { LiveMessage } from '../../src/session/message.js';
import type { RetainedReceiver } from '../../src/session/retained-sender.js';
import { RetainedStore } from '../../src/session/retained-store.js';
import { RowWriter } from '../../src/session/row-writer.js';
import { NO_TOKEN, type PublisherHandle, type PublishStatus } from '../../src/shard/link.js';
import { CounterReader, Counters, createCounterMemory, MAIN_BLOCK } from '../../src/telemetry/counter.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { FakeShards } from './fake-shards.js';

/** What a receiver was given. */
export interface Received {
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly identifiers: readonly number[];
  readonly expiry: number;
}

/** A session as the store sees it. */
export class FakeReceiver implements RetainedReceiver {
  client: object | undefined = {};
  /** Messages that it still takes. */
  room = Number.POSITIVE_INFINITY;
  readonly received: Received[] = [];
  onDelivery: (() => void) | undefined;
  #listener: (() => void) | undefined;
  readonly outbound = {
    canTake: (): boolean => this.client !== undefined && this.room > 0,
    onReady: (listener: (() => void) | undefined): void => {
      this.#listener = listener;
    },
  };

  get isWaitedFor(): boolean {
    return this.#listener !== undefined;
  }

  get payloads(): string[] {
    return this.received.map(({ payload }) => payload);
  }

  deliver(message: LiveMessage, qos: number, retain: boolean, identifiers: ArrayLike<number>): void {
    this.room--;
    this.received.push({
      topic: message.topicBuffer.toString('utf8', message.topicStart, message.topicEnd),
      payload: message.payloadBuffer.toString('utf8', message.payloadStart, message.payloadEnd),
      qos,
      retain,
      identifiers: Array.from(identifiers),
      expiry: message.messageExpiryInterval,
    });
    this.onDelivery?.();
  }

  /** Has room again and says so. */
  ready(room = Number.POSITIVE_INFINITY): void {
    this.room = room;
    this.#listener?.();
  }
}

/** The parts of a running store. */
export interface RetainedFixture {
  readonly store: RetainedStore;
  readonly shards: FakeShards;
  readonly clock: { atMs: number; wallMs: number };
  readonly counters: CounterReader;
  readonly settled: [token: number, status: PublishStatus][];
  /** Publishes with RETAIN; returns whether a row was written for `token`. */
  publish(topic: string, payload: string, options?: PublishOptions): boolean;
}

/** What a test may want to differ. */
export interface PublishOptions {
  readonly qos?: number;
  readonly expiryS?: number;
  readonly token?: number;
}

/** A store whose clocks stand still until the test moves them. */
export function retainedFixture(
  env: Readonly<Record<string, string>> = {},
  shards = new FakeShards(2),
): RetainedFixture {
  const memory = createCounterMemory(0);
  const clock = { atMs: 1000, wallMs: 1_800_000_000_000 };
  const settled: [number, PublishStatus][] = [];
  const store = new RetainedStore({
    shards,
    rows: new RowWriter(shards),
    config: loadConfig(env),
    counters: new Counters(memory, MAIN_BLOCK),
    clock: { nowMs: () => clock.atMs },
    logger: createLogger({ level: 'silent', format: 'text' }),
    wallNowMs: () => clock.wallMs,
  });
  const handle: PublisherHandle = shards.openPublisher({
    context: { clientId: 'p', username: undefined, peername: '', protocolVersion: 5 },
    onSettled: (firstToken, count, status) => {
      for (let i = 0; i < count; i++) settled.push([firstToken + i, status]);
    },
  });
  return {
    store,
    shards,
    clock,
    counters: new CounterReader(memory),
    settled,
    publish(topic, payload, { qos = 1, expiryS = 0, token = NO_TOKEN } = {}) {
      const bytes = Buffer.from(topic + payload);
      const topicEnd = Buffer.byteLength(topic);
      const live = new LiveMessage();
      live.set(bytes, 0, topicEnd, bytes, topicEnd, topicEnd, topicEnd, bytes.length, qos | 4, expiryS);
      const written = store.publish(live, handle, token);
      bytes.fill(0xee);
      return written;
    },
  };
}

/** Options of an ordinary subscription. */
export function optionsOf(qos: number, subscriptionIdentifier = 0): SubscriptionOptions {
  return { qos, noLocal: false, retainAsPublished: false, subscriptionIdentifier };
}

/** Lets so many turns of the event loop pass. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
