/**
 * The core of the acceptance list: publishing, consuming, redelivery, strategies, subscriptions. One broker with
 * two shards; each test has topics and queues of its own. docs/acceptance.md says what stands for what.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startBroker } from '../harness/broker.js';
import type { RawClient } from '../harness/raw-client.js';
import { Scope, testScope } from '../harness/scope.js';
import { sleep, until } from '../harness/wait.js';
import {
  ack,
  automatic,
  expectQuiet,
  hold,
  lastvalue,
  leave,
  numberOf,
  payloads,
  publish,
  publishQos0,
  settle,
  sorted,
  strategies,
  Suite,
  take,
  textOf,
  waitForAll,
  wideWindow,
} from './acceptance-setup.js';

const file = new Scope();
let suite: Suite;

beforeAll(async () => {
  suite = new Suite(await startBroker(file, { env: { SLUICE_SHARDS: '2', SLUICE_DURABILITY: 'process' } }));
});

afterAll(() => file.release());

const limits = [
  ['without', 'a', {}],
  ['with huge', 'b', { limits: { max_shard_message_count: 1_000_000, max_shard_message_bytes: '100MB' } }],
] as const;

/** The client of the two that has a delivery, and the other. */
async function receiverOf(clients: readonly [RawClient, RawClient]): Promise<[RawClient, RawClient]> {
  await until(() => clients.some(({ inbox }) => inbox.length > 0), 'the first delivery');
  const [first, second] = clients;
  return first.inbox.length > 0 ? [first, second] : [second, first];
}

describe('publishing and consuming', () => {
  test('100 messages that were stored before anybody subscribed arrive [queue-1]', async () => {
    const scope = testScope();
    await suite.createQueue('smoke', 'c1/#');
    await suite.populate(scope, 'c1', 100);
    expect((await suite.stats('smoke')).messages).toBe(100);
    const client = await suite.subscriber(scope, '$queue/smoke/c1/#');
    expect(await take(client, 100)).toEqual(payloads(100));
    await suite.untilStat('smoke', 'messages', 0);
  });

  test.each(limits)(
    'QoS 0 and QoS 1 publishes are both consumed, also after the workers restarted twice, %s limits [queue-2]',
    async (_, letter, fields) => {
      const scope = testScope();
      const name = `c2${letter}`;
      await suite.createQueue(name, `${name}/#`, fields);
      const publisher = await suite.connect(scope);
      const send = async (from: number): Promise<void> => {
        for (let i = from; i < from + 50; i++) await publish(publisher, `${name}/x`, `payload-${i}`);
        for (let i = from + 50; i < from + 100; i++) publishQos0(publisher, `${name}/x`, `payload-${i}`);
        await settle(publisher);
      };
      await send(0);
      const taken = automatic(await suite.subscriber(scope, `$queue/${name}/${name}/#`));
      await waitForAll([taken], 100);
      expect(taken).toEqual(payloads(100));
      await suite.untilStat(name, 'messages', 0);
      for (let i = 0; i < 2; i++) await suite.restartShards();
      await suite.untilStat(name, 'consumers', 1);
      await send(100);
      const fresh = (): string[] => taken.filter((payload) => numberOf(payload) >= 100);
      await until(
        () => fresh().length >= 100,
        () => `100 more, ${fresh().length} came`,
      );
      expect(fresh()).toEqual(payloads(100, 100));
    },
  );

  test('a QoS 0 subscription gets more than its window: QoS 1 and acks by default, or acknowledged when sent [queue-3]', async () => {
    const scope = testScope();
    const subscribe = async (name: string): Promise<RawClient> => {
      await suite.createQueue(name, `${name}/#`, { local_max_inflight: 2 });
      await suite.populate(scope, name, 3);
      const client = await suite.connect(scope);
      client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: `$queue/${name}`, qos: 0 }] });
      expect((await client.expect('suback')).granted).toEqual([0]);
      return client;
    };
    const upgraded = await subscribe('c3a');
    const first = await upgraded.expect('publish');
    expect(first.qos).toBe(1);
    ack(upgraded, first);
    expect(await take(upgraded, 2)).toEqual(payloads(2, 1));

    await suite.configure(scope, { qos0_delivery: 'auto_ack' }, { qos0_delivery: 'upgrade' });
    const silent = await subscribe('c3b');
    const got = await hold(silent, 3);
    expect(got.map((message) => [message.qos, textOf(message)])).toEqual(
      payloads(3).map((payload) => [0, payload]),
    );
    await suite.untilStat('c3b', 'messages', 0);
  });

  test.each(limits)(
    'of 100 messages with 10 keys a last-value queue delivers the 10 newest, %s limits [queue-4]',
    async (_, letter, fields) => {
      const scope = testScope();
      const name = `c4${letter}`;
      await suite.createQueue(name, `${name}/#`, { ...lastvalue, ...fields });
      await suite.populateKeys(scope, name, 100, 10);
      const client = await suite.subscriber(scope, `$queue/${name}/${name}/#`);
      expect(await take(client, 10)).toEqual(payloads(10, 90));
      await expectQuiet(client);
    },
  );

  test('messages past their retention are not delivered, younger ones are [queue-18]', async () => {
    const scope = testScope();
    const check = async (name: string, afterMs: number): Promise<void> => {
      await sleep(afterMs);
      const client = await suite.connect(scope);
      await suite.createQueue(name, `${name}/#`, { data_retention_period: 2000 });
      await suite.populate(scope, name, 10);
      await sleep(2050);
      await suite.populate(scope, name, 5, 10);
      await client.subscribe(`$queue/${name}`);
      expect(await take(client, 5)).toEqual(payloads(5, 10));
      await expectQuiet(client);
    };
    // A sweep may remove them just before they are read; being one per second, it cannot do so for both queues.
    await Promise.all([check('c18a', 0), check('c18b', 500)]);
  });

  test('5000 QoS 0 messages wait after the last consumer has left; a new one gets them all [queue-32]', async () => {
    const scope = testScope();
    await suite.createQueue('c32', 'c32/#', { ...wideWindow, local_max_inflight: 100 });
    const early = await suite.subscriber(scope, '$queue/c32/c32/#');
    await leave(early);
    await suite.untilStat('c32', 'consumers', 0);
    const publisher = await suite.connect(scope);
    for (let i = 0; i < 5000; i++) publishQos0(publisher, 'c32/x', `payload-${i}`);
    await settle(publisher);
    const client = await suite.subscriber(scope, '$queue/c32/c32/#');
    expect(await take(client, 5000)).toEqual(payloads(5000));
  });

  test('a delivery carries the Subscription Identifier and the topic it was published to [queue-33]', async () => {
    const scope = testScope();
    await suite.createQueue('c33', 'c33/#');
    const client = await suite.connect(scope);
    client.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: [{ topic: '$queue/c33/c33/#', qos: 1 }],
      properties: { subscriptionIdentifier: 42 },
    });
    await client.expect('suback');
    await suite.populate(scope, 'c33', 1);
    const { topic, properties } = await client.expect('publish');
    expect([topic, properties?.subscriptionIdentifier]).toEqual(['c33/0', 42]);
  });
});

describe('refusing and returning', () => {
  test.each(strategies)('a refused message goes to the other client, %s [queue-5]', async (strategy) => {
    const scope = testScope();
    const name = `c5-${strategy}`;
    // A pause that is longer than the test waits: what arrives did not wait for it.
    await suite.createQueue(name, `${name}/#`, {
      dispatch_strategy: strategy,
      redispatch_interval: 60_000,
    });
    const topicFilter = `$queue/${name}`;
    const clients = [
      await suite.subscriber(scope, topicFilter),
      await suite.subscriber(scope, topicFilter),
    ] as const;
    // Several times: a broker that does not leave out who refused would be right by chance every second time.
    for (let round = 0; round < 10; round++) {
      await suite.populate(scope, name, 1, round);
      const [receiver, other] = await receiverOf(clients);
      ack(receiver, await receiver.expect('publish'), 0x80);
      expect(await take(other, 1)).toEqual([`payload-${round}`]);
      await suite.untilStat(name, 'messages', 0);
      expect(receiver.inbox).toEqual([]);
    }
  });

  test.each(strategies)(
    'a client that is alone gets what it refused again, after the pause and not before, %s [queue-6]',
    async (strategy) => {
      const scope = testScope();
      const name = `c6-${strategy}`;
      await suite.createQueue(name, `${name}/#`, { dispatch_strategy: strategy, redispatch_interval: 500 });
      const client = await suite.subscriber(scope, `$queue/${name}`);
      await suite.populate(scope, name, 1);
      const message = await client.expect('publish');
      const refusedMs = performance.now();
      ack(client, message, 0x80);
      expect(await take(client, 1)).toEqual(['payload-0']);
      // The broker counts in whole milliseconds, so its 500 may be 499 of ours.
      expect(performance.now() - refusedMs).toBeGreaterThanOrEqual(499);
    },
  );

  test('with a buffer of 10 at most 16 messages are on their way, and acknowledging lets the next 10 to 20 come [queue-7]', async () => {
    const scope = testScope();
    await suite.createQueue('c7', 'c7/#', { local_max_inflight: 100 });
    await suite.populate(scope, 'c7', 100);
    const client = await suite.subscriber(scope, '$queue/c7');
    for (let round = 0; round < 3; round++) {
      const held = await hold(client, 10);
      await sleep(200);
      held.push(...(await hold(client, client.inbox.length)));
      expect(held.length).toBeLessThanOrEqual(round === 0 ? 16 : 20);
      for (const message of held) ack(client, message);
    }
  });

  test('what a client holds goes to another when it disconnects [queue-8]', async () => {
    const scope = testScope();
    await suite.createQueue('c8', 'c8/#');
    const clients = [
      await suite.subscriber(scope, '$queue/c8'),
      await suite.subscriber(scope, '$queue/c8'),
    ] as const;
    await suite.populate(scope, 'c8', 1);
    const [receiver, other] = await receiverOf(clients);
    await receiver.expect('publish');
    await leave(receiver);
    expect(await take(other, 1)).toEqual(['payload-0']);
  });

  test('what a session holds goes to another client when its connection ends, although the session goes on [queue-17]', async () => {
    const scope = testScope();
    await suite.createQueue('c17', 'c17/#');
    const first = await suite.subscriber(scope, '$queue/c17', {
      clean: false,
      properties: { sessionExpiryInterval: 1000 },
    });
    await suite.populate(scope, 'c17', 1);
    await first.expect('publish');
    await leave(first);
    const other = await suite.subscriber(scope, '$queue/c17');
    expect(await take(other, 1)).toEqual(['payload-0']);
  });

  test('after UNSUBSCRIBE nothing more arrives [queue-26]', async () => {
    const scope = testScope();
    await suite.createQueue('c26', 'c26/#');
    const client = await suite.subscriber(scope, '$queue/c26');
    await suite.populate(scope, 'c26', 1);
    expect(await take(client, 1)).toEqual(['payload-0']);
    client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['$queue/c26'] });
    expect((await client.expect('unsuback')).granted).toEqual([0]);
    await suite.populate(scope, 'c26', 1, 1);
    await expectQuiet(client);
    expect((await suite.stats('c26')).messages).toBe(1);
  });
});

describe('dispatching', () => {
  test('random gives two clients 100 messages together and each of them some [queue-9]', async () => {
    const scope = testScope();
    await suite.createQueue('c9', 'c9/#', { dispatch_strategy: 'random' });
    const shares = [
      automatic(await suite.subscriber(scope, '$queue/c9')),
      automatic(await suite.subscriber(scope, '$queue/c9')),
    ];
    await suite.populate(scope, 'c9', 100);
    await waitForAll(shares, 100);
    expect(sorted(shares.flat())).toEqual(payloads(100));
    for (const share of shares) expect(share.length).toBeGreaterThan(0);
  });

  test('round robin gives three clients one message each and then repeats the order [queue-10]', async () => {
    const scope = testScope();
    await suite.createQueue('c10', 'c10/#', { dispatch_strategy: 'round_robin' });
    const clients: RawClient[] = [];
    for (const topicFilter of ['$queue/c10', '$queue/c10', '$queue/c10/c10/#']) {
      clients.push(await suite.subscriber(scope, topicFilter));
    }
    await suite.populate(scope, 'c10', 6);
    await until(
      () => clients.flatMap(({ inbox }) => inbox).length === 6,
      () => `six messages; inboxes: ${clients.map(({ inbox }) => inbox.length).join(' ')}`,
    );
    const order: number[] = [];
    for (const [index, client] of clients.entries()) {
      for (const payload of await take(client, client.inbox.length)) order[numberOf(payload)] = index;
    }
    expect(new Set(order.slice(0, 3)).size).toBe(3);
    expect(order.slice(3)).toEqual(order.slice(0, 3));
  });

  test('least inflight gives each of two clients one message and the third to who has acknowledged [queue-11]', async () => {
    const scope = testScope();
    await suite.createQueue('c11', 'c11/#', { dispatch_strategy: 'least_inflight' });
    const clients = [
      await suite.subscriber(scope, '$queue/c11'),
      await suite.subscriber(scope, '$queue/c11'),
    ] as const;
    await suite.populate(scope, 'c11', 2);
    const held = [await clients[0].expect('publish'), await clients[1].expect('publish')] as const;
    ack(clients[1], held[1]);
    await suite.untilStat('c11', 'in_flight', 1);
    await suite.populate(scope, 'c11', 1, 2);
    expect(await take(clients[1], 1)).toEqual(['payload-2']);
    expect(clients[0].inbox).toEqual([]);
  });
});

describe('queues that come and go', () => {
  test('a subscription to a missing queue is granted and served once the queue is there [queue-21]', async () => {
    const scope = testScope();
    const client = await suite.subscriber(scope, '$queue/c21/c21/#');
    await suite.createQueue('c21', 'c21/#');
    await suite.populate(scope, 'c21', 1);
    expect(await take(client, 1)).toEqual(['payload-0']);
  });

  test('consumers and their state can be looked at [queue-22]', async () => {
    const scope = testScope();
    await suite.createQueue('c22', 'c22/#');
    await suite.populate(scope, 'c22', 6);
    const client = await suite.subscriber(scope, '$queue/c22', { clientId: 'seen' });
    await hold(client, 4);
    const consumers = '/message_queues/queues/c22/consumers';
    expect((await suite.broker.rest.get(consumers)).body).toEqual({
      data: [{ clientid: 'seen', in_flight: 4, window: 4, delivered: 4, acked: 0, rejected: 0 }],
    });
    expect(await suite.stats('c22')).toMatchObject({ ready: 2, in_flight: 4, messages: 6, consumers: 1 });
    await leave(client);
    await suite.untilStat('c22', 'consumers', 0);
    expect((await suite.broker.rest.get(consumers)).body).toEqual({ data: [] });
  });

  test('counters and rates tell what was stored, delivered and acknowledged [queue-24]', async () => {
    const scope = testScope();
    await suite.createQueue('c24', 'c24/#');
    const client = await suite.subscriber(scope, '$queue/c24');
    // A rate needs two samples; the queue is sampled about once a second.
    await sleep(1100);
    await suite.populate(scope, 'c24', 10);
    await take(client, 10);
    await suite.untilStat('c24', 'messages', 0);
    expect((await suite.stats('c24')).counters).toMatchObject({ stored: 10, delivered: 10, acked: 10 });
    await until(async () => {
      const { in_rate: inRate, out_rate: outRate } = await suite.stats('c24');
      return inRate > 0 && outRate > 0;
    }, 'rates above 0');
  });

  test('with auto-create a subscription makes the queue that it names [queue-28]', async () => {
    const scope = testScope();
    await suite.configure(
      scope,
      { auto_create: { regular: {} } },
      { auto_create: { regular: false, lastvalue: false } },
    );
    const client = await suite.subscriber(scope, '$queue/c28/non-existent/#');
    await until(() => suite.queueExists('c28'), 'the queue');
    await suite.populate(scope, 'non-existent', 10);
    expect(await take(client, 10)).toEqual(payloads(10));
  });

  test('without auto-create the subscription is granted and no queue is made [queue-29]', async () => {
    const scope = testScope();
    await suite.subscriber(scope, '$queue/c29/c29/#');
    await sleep(100);
    expect(await suite.queueExists('c29')).toBe(false);
  });

  test('of two filters under one name the first is created; the other is served when the queue is re-created with it [queue-30]', async () => {
    const scope = testScope();
    await suite.configure(
      scope,
      { auto_create: { regular: {} } },
      { auto_create: { regular: false, lastvalue: false } },
    );
    const client = await suite.subscriber(scope, '$queue/c30/c30a/#');
    await client.subscribe('$queue/c30/c30b/#');
    await until(() => suite.queueExists('c30'), 'the queue');
    const publisher = await suite.connect(scope);
    // Nobody takes this one.
    publishQos0(publisher, 'c30b/x', 'payload-0');
    await settle(publisher);
    await suite.populate(scope, 'c30a', 1, 1);
    expect(await take(client, 1)).toEqual(['payload-1']);
    await suite.deleteQueue('c30');
    await suite.createQueue('c30', 'c30b/#');
    await suite.populate(scope, 'c30b', 1, 2);
    expect(await take(client, 1)).toEqual(['payload-2']);
  });

  test('MQTT 3.1.1 clients may consume, and are refused with 0x80 when MQTT 5 is required [queue-31]', async () => {
    const scope = testScope();
    await suite.createQueue('c31', 'c31/#');
    await suite.populate(scope, 'c31', 1);
    const allowed = await suite.subscriber(scope, '$queue/c31', { protocolVersion: 4 });
    expect(await take(allowed, 1)).toEqual(['payload-0']);
    await suite.configure(scope, { require_mqtt5: true }, { require_mqtt5: false });
    const refused = await suite.connect(scope, { protocolVersion: 4 });
    refused.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '$queue/c31', qos: 1 }] });
    expect((await refused.expect('suback')).granted).toEqual([0x80]);
    await suite.subscriber(scope, '$queue/c31');
  });
});
