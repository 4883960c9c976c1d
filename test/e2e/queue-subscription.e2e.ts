/**
 * Queue subscriptions against a real broker: the core list of the behavioural reference, over real sockets,
 * real shards and a real log. Clients answer by hand, so that every acknowledgement is the test's decision.
 * One broker with two shards serves all tests; each test has topics and queues of its own.
 */
import type { IPublishPacket } from 'mqtt-packet';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startBroker, type Broker } from '../harness/broker.js';
import { RawClient } from '../harness/raw-client.js';
import { Scope, testScope } from '../harness/scope.js';
import { until } from '../harness/wait.js';

const file = new Scope();
let broker: Broker;
let clientNumber = 0;

beforeAll(async () => {
  broker = await startBroker(file, { env: { SLUICE_SHARDS: '2', SLUICE_DURABILITY: 'process' } });
});

afterAll(() => file.release());

const strategies = ['random', 'round_robin', 'least_inflight'] as const;
/** A wait in which something would have arrived that must not. */
const quietMs = 300;

async function createQueue(
  name: string,
  filter: string,
  fields: Record<string, unknown> = {},
): Promise<void> {
  const answer = await broker.rest.post('/message_queues/queues', {
    name,
    topic_filter: filter,
    is_lastvalue: false,
    dispatch_strategy: 'round_robin',
    ...fields,
  });
  expect([answer.status, answer.body]).toEqual([200, expect.anything()]);
}

/** An MQTT 5 client that acknowledges nothing by itself. */
function connect(scope: Scope, options: Record<string, unknown> = {}): Promise<RawClient> {
  return RawClient.connect(scope, broker, { clientId: `c${clientNumber++}`, protocolVersion: 5, ...options });
}

async function publish(client: RawClient, topic: string, payload: string, properties = {}): Promise<void> {
  client.send({
    cmd: 'publish',
    topic,
    payload,
    qos: 1,
    messageId: 1,
    dup: false,
    retain: false,
    properties,
  });
  const { reasonCode } = await client.expect('puback');
  expect(reasonCode ?? 0).toBe(0);
}

async function populate(scope: Scope, prefix: string, count: number, from = 0): Promise<void> {
  const client = await connect(scope);
  for (let i = from; i < from + count; i++) await publish(client, `${prefix}/${i}`, `payload-${i}`);
  client.destroy();
}

function ack(client: RawClient, { messageId = 0 }: IPublishPacket, reasonCode = 0): void {
  client.send({ cmd: 'puback', messageId, reasonCode });
}

/** Takes and acknowledges `count` messages; answers their payloads. */
async function take(client: RawClient, count: number): Promise<string[]> {
  const payloads: string[] = [];
  for (let i = 0; i < count; i++) {
    const message = await client.expect('publish');
    payloads.push(message.payload.toString());
    ack(client, message);
  }
  return payloads;
}

async function expectQuiet(client: RawClient): Promise<void> {
  await expect(client.next(quietMs)).rejects.toThrow('waited');
}

function payloads(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => `payload-${from + index}`);
}

describe('publishing and consuming', () => {
  test('what was stored before the subscription arrives, in order [queue-1]', async () => {
    const scope = testScope();
    await createQueue('smoke', 'e1/#');
    await populate(scope, 'e1', 100);
    const client = await connect(scope);
    await client.subscribe('$queue/smoke/e1/#');
    expect(await take(client, 100)).toEqual(payloads(100));
  });

  test.each([
    ['without limits', {}],
    ['with huge limits', { limits: { max_shard_message_count: 1_000_000, max_shard_message_bytes: '1GB' } }],
  ])('QoS 0 and QoS 1 publishes are queued alike, %s [queue-2]', async (title, fields) => {
    const scope = testScope();
    const topic = title === 'without limits' ? 'e2a' : 'e2b';
    await createQueue(topic, `${topic}/#`, fields);
    const publisher = await connect(scope);
    const send = async (from: number): Promise<void> => {
      for (let i = from; i < from + 100; i++) {
        if (i % 2 === 0) await publish(publisher, `${topic}/${i}`, `payload-${i}`);
        else
          publisher.send({
            cmd: 'publish',
            topic: `${topic}/${i}`,
            payload: `payload-${i}`,
            qos: 0,
            dup: false,
            retain: false,
          });
      }
    };
    await send(0);
    const client = await connect(scope);
    await client.subscribe(`$queue/${topic}/${topic}/#`);
    expect(await take(client, 100)).toEqual(payloads(100));
    await send(100);
    expect(await take(client, 100)).toEqual(payloads(100, 100));
  });

  test('a QoS 0 subscription is granted QoS 0 and gets everything [queue-3]', async () => {
    const scope = testScope();
    await createQueue('e3', 'e3/#', { local_max_inflight: 2 });
    await populate(scope, 'e3', 3);
    const client = await connect(scope);
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '$queue/e3', qos: 0 }] });
    expect((await client.expect('suback')).granted).toEqual([0]);
    expect(await take(client, 3)).toEqual(payloads(3));
  });

  test('a last-value queue keeps the newest message of each key [queue-4]', async () => {
    const scope = testScope();
    await createQueue('e4', 'e4/#', {
      is_lastvalue: true,
      key_expression: 'message.headers.properties.User-Property.mq-key',
    });
    const publisher = await connect(scope);
    for (let i = 0; i < 100; i++) {
      await publish(publisher, `e4/${i}`, `payload-${i}`, { userProperties: { 'mq-key': `k${i % 10}` } });
    }
    const client = await connect(scope);
    await client.subscribe('$queue/e4');
    expect(await take(client, 10)).toEqual(payloads(10, 90));
    await expectQuiet(client);
  });

  test('the Subscription Identifier and the original topic are on the delivery [queue-33]', async () => {
    const scope = testScope();
    await createQueue('e33', 'e33/#');
    const client = await connect(scope);
    client.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: [{ topic: '$queue/e33', qos: 1 }],
      properties: { subscriptionIdentifier: 42 },
    });
    await client.expect('suback');
    await populate(scope, 'e33', 1);
    const message = await client.expect('publish');
    expect([message.topic, message.properties?.subscriptionIdentifier]).toEqual(['e33/0', 42]);
  });
});

describe('refusing and returning', () => {
  test.each(strategies)(
    'a refused message goes to the other client at once, %s [queue-5]',
    async (strategy) => {
      const scope = testScope();
      const topic = `e5-${strategy}`;
      await createQueue(topic, `${topic}/#`, { dispatch_strategy: strategy, redispatch_interval: 60_000 });
      const clients = [await connect(scope), await connect(scope)];
      for (const client of clients) await client.subscribe(`$queue/${topic}`);
      await populate(scope, topic, 1);
      await until(() => clients.some(({ inbox }) => inbox.length > 0), 'the first delivery');
      const [first, other] =
        clients[0]!.inbox.length > 0 ? [clients[0]!, clients[1]!] : [clients[1]!, clients[0]!];
      ack(first, await first.expect('publish'), 0x80);
      expect(await take(other, 1)).toEqual(['payload-0']);
    },
  );

  test.each(strategies)(
    'a single client gets what it refused again, not before the interval, %s [queue-6]',
    async (strategy) => {
      const scope = testScope();
      const topic = `e6-${strategy}`;
      await createQueue(topic, `${topic}/#`, { dispatch_strategy: strategy, redispatch_interval: 500 });
      const client = await connect(scope);
      await client.subscribe(`$queue/${topic}`);
      await populate(scope, topic, 1);
      const message = await client.expect('publish');
      const refusedMs = performance.now();
      ack(client, message, 0x80);
      expect(await take(client, 1)).toEqual(['payload-0']);
      // The broker's clock started a moment after ours; a timer may fire a millisecond early.
      expect(performance.now() - refusedMs).toBeGreaterThan(490);
    },
  );

  test('no more than the window is on its way; acknowledging lets the rest flow [queue-7]', async () => {
    const scope = testScope();
    await createQueue('e7', 'e7/#', { local_max_inflight: 12 });
    await populate(scope, 'e7', 100);
    const client = await connect(scope);
    await client.subscribe('$queue/e7');
    const held: IPublishPacket[] = [];
    for (let i = 0; i < 12; i++) held.push(await client.expect('publish'));
    await expectQuiet(client);
    for (const message of held) ack(client, message);
    expect(await take(client, 88)).toEqual(payloads(88, 12));
  });

  test('what a client had not acknowledged goes to another when it disconnects [queue-8]', async () => {
    const scope = testScope();
    await createQueue('e8', 'e8/#');
    const first = await connect(scope);
    await first.subscribe('$queue/e8');
    await populate(scope, 'e8', 1);
    await first.expect('publish');
    const other = await connect(scope);
    await other.subscribe('$queue/e8');
    first.destroy();
    expect(await take(other, 1)).toEqual(['payload-0']);
  });

  test('UNSUBSCRIBE ends the deliveries and returns what is in flight [queue-26]', async () => {
    const scope = testScope();
    await createQueue('e26', 'e26/#');
    const client = await connect(scope);
    await client.subscribe('$queue/e26');
    await populate(scope, 'e26', 1);
    await client.expect('publish');
    client.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['$queue/e26'] });
    expect((await client.expect('unsuback')).granted).toEqual([0]);
    await populate(scope, 'e26', 1, 1);
    await expectQuiet(client);
    const other = await connect(scope);
    await other.subscribe('$queue/e26');
    expect((await take(other, 2)).toSorted()).toEqual(payloads(2));
  });

  test('what was acknowledged out of order is not delivered again, what was not is [queue-12] [queue-14]', async () => {
    const scope = testScope();
    await createQueue('e12', 'e12/#', { local_max_inflight: 100 });
    await populate(scope, 'e12', 100);
    const first = await connect(scope);
    await first.subscribe('$queue/e12');
    const held: IPublishPacket[] = [];
    for (let i = 0; i < 100; i++) held.push(await first.expect('publish'));
    ack(first, held[99]!);
    ack(first, held[1]!);
    first.send({ cmd: 'pingreq' });
    await first.expect('pingresp');
    first.destroy();
    const second = await connect(scope);
    await second.subscribe('$queue/e12');
    const again = await take(second, 98);
    expect(again.toSorted()).toEqual(
      payloads(100)
        .filter((_, index) => index !== 1 && index !== 99)
        .toSorted(),
    );
    await expectQuiet(second);
  });

  test('a late PUBACK for a message that went elsewhere is tolerated [queue-27] [queue-37]', async () => {
    const scope = testScope();
    await createQueue('e27', 'e27/#');
    const client = await connect(scope);
    await client.subscribe('$queue/e27');
    await populate(scope, 'e27', 1);
    const message = await client.expect('publish');
    client.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['$queue/e27'] });
    await client.expect('unsuback');
    const other = await connect(scope);
    await other.subscribe('$queue/e27');
    const again = await other.expect('publish');
    ack(client, message);
    ack(other, again);
    client.send({ cmd: 'pingreq' });
    await client.expect('pingresp');
    await expectQuiet(other);
  });
});

describe('dispatching', () => {
  test('random gives every client a share and each message once [queue-9]', async () => {
    const scope = testScope();
    await createQueue('e9', 'e9/#', { dispatch_strategy: 'random' });
    const clients = [await connect(scope), await connect(scope)];
    for (const client of clients) await client.subscribe('$queue/e9');
    const taken: string[][] = [[], []];
    const taking = clients.map(async (client, index) => {
      for (;;) {
        const message = await client.expect('publish', 60_000).catch(() => undefined);
        if (message === undefined) return;
        taken[index]?.push(message.payload.toString());
        ack(client, message);
      }
    });
    await populate(scope, 'e9', 100);
    await until(() => taken.flat().length === 100, 'all messages');
    for (const client of clients) client.destroy();
    await Promise.all(taking);
    expect(taken.flat().toSorted()).toEqual(payloads(100).toSorted());
    for (const share of taken) expect(share.length).toBeGreaterThan(0);
  });

  test('round robin repeats its order over both forms of subscription [queue-10]', async () => {
    const scope = testScope();
    await createQueue('e10', 'e10/#', { dispatch_strategy: 'round_robin' });
    const clients = [await connect(scope), await connect(scope), await connect(scope)];
    const strings = ['$queue/e10', '$queue/e10', '$queue/e10/e10/#'];
    for (const [index, client] of clients.entries()) await client.subscribe(strings[index] ?? '');
    await populate(scope, 'e10', 6);
    await until(() => clients.every(({ inbox }) => inbox.length === 2), 'two messages each');
    const order: number[] = [];
    for (const [index, client] of clients.entries()) {
      for (const payload of await take(client, 2)) order[Number(payload.slice('payload-'.length))] = index;
    }
    expect(new Set(order.slice(0, 3)).size).toBe(3);
    expect(order.slice(3)).toEqual(order.slice(0, 3));
  });

  test('least inflight gives the next message to who has acknowledged [queue-11]', async () => {
    const scope = testScope();
    await createQueue('e11', 'e11/#', { dispatch_strategy: 'least_inflight' });
    const clients = [await connect(scope), await connect(scope)] as const;
    for (const client of clients) await client.subscribe('$queue/e11');
    await populate(scope, 'e11', 2);
    const messages = [await clients[0].expect('publish'), await clients[1].expect('publish')] as const;
    ack(clients[1], messages[1]);
    clients[1].send({ cmd: 'pingreq' });
    await clients[1].expect('pingresp');
    await populate(scope, 'e11', 1, 2);
    expect(await take(clients[1], 1)).toEqual(['payload-2']);
    await expectQuiet(clients[0]);
  });
});

describe('queues that come and go', () => {
  test('a subscription to a missing queue wakes when it is created [queue-21]', async () => {
    const scope = testScope();
    const client = await connect(scope);
    await client.subscribe('$queue/e21/e21/#');
    await createQueue('e21', 'e21/#');
    await populate(scope, 'e21', 1);
    expect(await take(client, 1)).toEqual(['payload-0']);
  });

  test('after deletion and re-creation only new messages arrive, without a new SUBSCRIBE [queue-15]', async () => {
    const scope = testScope();
    await createQueue('e15', 'e15/#');
    const client = await connect(scope, { properties: { receiveMaximum: 5 } });
    await client.subscribe('$queue/e15');
    await populate(scope, 'e15', 10);
    for (let i = 0; i < 5; i++) ack(client, await client.expect('publish'), 0x80);
    expect((await broker.rest.delete('/message_queues/queues/e15')).status).toBe(204);
    await until(
      async () => (await broker.rest.get('/message_queues/queues/e15')).status === 404,
      'the deletion',
    );
    client.send({ cmd: 'pingreq' });
    for (;;) {
      const packet = await client.next();
      if (packet.cmd === 'pingresp') break;
      if (packet.cmd === 'publish') ack(client, packet);
    }
    await createQueue('e15', 'e15/#');
    await populate(scope, 'e15', 20, 100);
    expect(await take(client, 20)).toEqual(payloads(20, 100));
  });

  test("of two filters under one name the queue's own is served, and the other when it is re-created so [queue-30]", async () => {
    const scope = testScope();
    await createQueue('e30', 'e30a/#');
    const client = await connect(scope);
    await client.subscribe('$queue/e30/e30a/#');
    await client.subscribe('$queue/e30/e30b/#');
    await populate(scope, 'e30a', 1);
    expect(await take(client, 1)).toEqual(['payload-0']);
    expect((await broker.rest.delete('/message_queues/queues/e30')).status).toBe(204);
    await createQueue('e30', 'e30b/#');
    await populate(scope, 'e30b', 1, 7);
    expect(await take(client, 1)).toEqual(['payload-7']);
  });

  test('a session whose client is away gets nothing; another consumer takes over [queue-17]', async () => {
    const scope = testScope();
    await createQueue('e17', 'e17/#');
    const lasting = { clean: false, properties: { sessionExpiryInterval: 1000 } };
    const first = await connect(scope, lasting);
    await first.subscribe('$queue/e17');
    await populate(scope, 'e17', 1);
    await first.expect('publish');
    first.send({ cmd: 'disconnect', reasonCode: 0 });
    await first.expectClosed();
    const other = await connect(scope);
    await other.subscribe('$queue/e17');
    expect(await take(other, 1)).toEqual(['payload-0']);
  });

  test('a lasting session is attached again on reconnect without SUBSCRIBE [queue-23]', async () => {
    const scope = testScope();
    await createQueue('e23', 'e23/#', { dispatch_strategy: 'round_robin' });
    const lasting = { clientId: 'e23-a', clean: false, properties: { sessionExpiryInterval: 1000 } };
    const first = await connect(scope, lasting);
    const second = await connect(scope);
    await first.subscribe('$queue/e23');
    await second.subscribe('$queue/e23');
    first.destroy();
    await until(async () => {
      const { body } = await broker.rest.get('/message_queues/queues/e23/stats');
      return body['consumers'] === 1;
    }, 'the first to be detached');
    await populate(scope, 'e23', 10);
    expect(await take(second, 10)).toEqual(payloads(10));
    const again = await connect(scope, lasting);
    await until(async () => {
      const { body } = await broker.rest.get('/message_queues/queues/e23/stats');
      return body['consumers'] === 2;
    }, 'the first to be attached again');
    await populate(scope, 'e23', 10, 10);
    const shares = await Promise.all([take(again, 5), take(second, 5)]);
    expect(shares.flat().toSorted()).toEqual(payloads(10, 10).toSorted());
  });

  test('a nameless queue is consumed through `$q/<filter>`, a last-value one too [queue-66] [queue-69]', async () => {
    const scope = testScope();
    await broker.rest.createQueue('e66/#');
    await populate(scope, 'e66', 10);
    const client = await RawClient.connect(scope, broker, { clientId: 'e66', protocolVersion: 4 });
    await client.subscribe('$q/e66/#', 0);
    expect(await take(client, 10)).toEqual(payloads(10));
  });

  test('MQTT 3.1, 3.1.1 and 5 consume side by side [queue-31]', async () => {
    const scope = testScope();
    await createQueue('e31', 'e31/#', { dispatch_strategy: 'round_robin' });
    const clients = [
      await RawClient.connect(scope, broker, { clientId: 'v3', protocolId: 'MQIsdp', protocolVersion: 3 }),
      await RawClient.connect(scope, broker, { clientId: 'v4', protocolVersion: 4 }),
      await RawClient.connect(scope, broker, { clientId: 'v5', protocolVersion: 5 }),
    ];
    for (const client of clients) await client.subscribe('$queue/e31');
    await populate(scope, 'e31', 3);
    const taken = await Promise.all(clients.map((client) => take(client, 1)));
    expect(taken.flat().toSorted()).toEqual(payloads(3));
  });
});

describe('settings of the queue system', () => {
  test('auto-create makes the queue that a subscription names, and only when it is on [queue-28] [queue-29]', async () => {
    const scope = testScope();
    const off = await connect(scope);
    await off.subscribe('$queue/e29/e29/#');
    expect((await broker.rest.get('/message_queues/queues/e29')).status).toBe(404);
    const own = await startBroker(scope, {
      env: { SLUICE_MQ_AUTO_CREATE_REGULAR: '{}', SLUICE_SHARDS: '1', SLUICE_DURABILITY: 'process' },
    });
    const client = await RawClient.connect(scope, own, { clientId: 'a', protocolVersion: 5 });
    await client.subscribe('$queue/auto/non-existent/#');
    await until(async () => (await own.rest.get('/message_queues/queues/auto')).status === 200, 'the queue');
    for (let i = 0; i < 10; i++) {
      client.send({
        cmd: 'publish',
        topic: 'non-existent/x',
        payload: String(i),
        qos: 0,
        dup: false,
        retain: false,
      });
    }
    expect(await take(client, 10)).toEqual(Array.from({ length: 10 }, (_, index) => String(index)));
  });

  test('the publisher of a message that nobody can consume yet is not held up: 5000 wait for a late client [queue-32]', async () => {
    const scope = testScope();
    await createQueue('e32', 'e32/#', { local_max_inflight: 100 });
    const publisher = await connect(scope);
    for (let i = 0; i < 5000; i++) {
      publisher.send({
        cmd: 'publish',
        topic: 'e32/x',
        payload: String(i),
        qos: 0,
        dup: false,
        retain: false,
      });
    }
    publisher.send({ cmd: 'pingreq' });
    await publisher.expect('pingresp');
    const client = await connect(scope);
    await client.subscribe('$queue/e32');
    const got = await take(client, 5000);
    expect(got).toEqual(Array.from({ length: 5000 }, (_, index) => String(index)));
  });
});
