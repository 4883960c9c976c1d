/**
 * A local publisher over fake shards, with subscribers that write down what they get. Test thread.
 *
 * Always true: what a subscriber writes down is a copy, taken during the call, as a real one would have to.
 */
import { expect } from 'vitest';

import { Router } from '../../src/router/router.js';
import type { SubscriptionOptions } from '../../src/router/route.js';
import type { LiveMessage } from '../../src/session/message.js';
import { LocalPublisher, type LocalMessage, type RetainedSink } from '../../src/session/local-publisher.js';
import type { Session } from '../../src/session/session.js';
import { Counters, CounterReader, createCounterMemory, MAIN_BLOCK } from '../../src/telemetry/counter.js';
import { FakeShards } from './fake-shards.js';

/** A delivery as a subscriber saw it. */
export interface Seen {
  readonly topic: string;
  readonly payload: string;
  readonly properties: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly identifiers: readonly number[];
  readonly expiry: number;
}

/** A subscriber in place of a session. */
export class Listener {
  readonly clientId: string;
  readonly seen: Seen[] = [];
  readonly state = 'connected';
  readonly durable: { target: { queueId: number; shardId: number }; queueIds: Uint32Array } | undefined;
  readonly outbound = { sentCount: 0, pendingCount: 0, window: 10 };
  /** Called for every delivery. */
  onDeliver: () => void = () => undefined;

  constructor(clientId: string, queue?: { queueId: number; shardId: number }) {
    this.clientId = clientId;
    this.durable =
      queue === undefined ? undefined : { target: queue, queueIds: Uint32Array.of(queue.queueId) };
  }

  get session(): Session {
    return this as unknown as Session;
  }

  get payloads(): string[] {
    return this.seen.map(({ payload }) => payload);
  }

  deliver(live: LiveMessage, qos: number, retain: boolean, identifiers: ArrayLike<number>): void {
    // What a session writes out is one buffer.
    expect(live.propertiesBuffer).toBe(live.payloadBuffer);
    this.seen.push({
      topic: live.topicBuffer.toString('utf8', live.topicStart, live.topicEnd),
      payload: live.payloadBuffer.toString('utf8', live.payloadStart, live.payloadEnd),
      properties: live.propertiesBuffer.toString('hex', live.propertiesStart, live.propertiesEnd),
      qos,
      retain,
      identifiers: Array.from(identifiers),
      expiry: live.messageExpiryInterval,
    });
    this.onDeliver();
  }
}

/** What a test works on. */
export interface LocalFixture {
  readonly shards: FakeShards;
  readonly router: Router<Session>;
  readonly publisher: LocalPublisher;
  readonly counters: Counters;
  readonly reader: CounterReader;
  readonly sessions: Map<string, Session>;
  /** Topics that were retained, with the token or `volatile`. */
  readonly retained: [topic: string, payload: string, token: number | 'volatile'][];
  readonly listen: (filter: string, listener: Listener, options?: Partial<SubscriptionOptions>) => void;
}

/** See the file header. `retainsDurably` makes the retained store settle nothing when false. */
export function localFixture(shards = new FakeShards(), retainsDurably = false): LocalFixture {
  const memory = createCounterMemory(0);
  const counters = new Counters(memory, MAIN_BLOCK);
  const sessions = new Map<string, Session>();
  const retained: LocalFixture['retained'] = [];
  const router = new Router<Session>({ queueOf: (session) => session.durable?.target });
  const sink: RetainedSink = {
    shardIdFor: () => 0,
    publish: (live, handle, token) => {
      const payload = live.payloadBuffer.toString('utf8', live.payloadStart, live.payloadEnd);
      retained.push([live.topicBuffer.toString('utf8', live.topicStart, live.topicEnd), payload, token]);
      if (retainsDurably) shards.putRow(0, handle, token, 0, 1, Buffer.from(payload), false);
      return retainsDurably;
    },
    setVolatile: (topic, payload) => retained.push([topic, payload.toString(), 'volatile']),
  };
  const publisher = new LocalPublisher({ router, shards, counters, registry: sessions, retained: sink });
  return {
    shards,
    router,
    publisher,
    counters,
    reader: new CounterReader(memory),
    sessions,
    retained,
    listen(filter, listener, options = {}) {
      router.subscribe(filter, listener.session, {
        qos: 2,
        noLocal: false,
        retainAsPublished: false,
        subscriptionIdentifier: 0,
        ...options,
      });
    },
  };
}

/** A message of client `owner`, QoS 1. */
export function localMessage(
  topic: string,
  payload: string,
  options: Partial<LocalMessage> = {},
): LocalMessage {
  return {
    topic,
    payload: Buffer.from(payload),
    qos: 1,
    retain: false,
    properties: Buffer.alloc(0),
    messageExpiryInterval: 0,
    clientId: 'owner',
    username: undefined,
    peername: '10.0.0.1:1000',
    protocolVersion: 5,
    ...options,
  };
}
