/**
 * Consumers of the acceptance list: what survives the end of a consumer, of a worker and of the broker, and in
 * which order what comes back is delivered. Where EMQX's suites stop a consumer process or open a new storage
 * generation, a shard worker is killed or the broker restarted here. One broker with two shards, restarted often.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startBroker } from '../harness/broker.js';
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
  settle,
  sorted,
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

describe('what a restart keeps', () => {
  test('what was acknowledged out of order stays away, what was not comes again [queue-12]', async () => {
    const scope = testScope();
    await suite.createQueue('k12', 'k12/#', { consumer_max_inactive: 50 });
    await suite.populate(scope, 'k12', 20);
    const first = await suite.subscriber(scope, '$queue/k12');
    const held = await hold(first, 4);
    ack(first, held[1]!);
    await suite.untilStat('k12', 'messages', 19);
    await leave(first);
    await suite.restart();
    const again = await suite.subscriber(scope, '$queue/k12');
    expect(await take(again, 19)).toEqual(payloads(20).filter((payload) => payload !== 'payload-1'));
    await expectQuiet(again);
  });

  test('after everything was consumed only what is published later arrives [queue-13]', async () => {
    const scope = testScope();
    await suite.createQueue('k13', 'k13/#');
    await suite.populate(scope, 'k13', 20);
    const first = await suite.subscriber(scope, '$queue/k13');
    expect(await take(first, 20)).toEqual(payloads(20));
    await leave(first);
    await suite.restart();
    expect(await suite.stats('k13')).toMatchObject({ messages: 0, bytes: 0 });
    await suite.populate(scope, 'k13', 20, 20);
    const again = await suite.subscriber(scope, '$queue/k13');
    expect(await take(again, 20)).toEqual(payloads(20, 20));
    await expectQuiet(again);
  });

  test.each([
    ['with a full buffer', 'a', { local_max_inflight: 100 }, 10],
    ['with everything in flight', 'b', wideWindow, 100],
  ])(
    'when only the last received of 100 messages was acknowledged, the other 99 come again, %s [queue-14]',
    async (_, letter, fields, received) => {
      const scope = testScope();
      const name = `k14${letter}`;
      await suite.createQueue(name, `${name}/#`, fields);
      await suite.populate(scope, name, 100);
      const first = await suite.subscriber(scope, `$queue/${name}`);
      const held = await hold(first, received);
      const last = held.at(-1)!;
      ack(first, last);
      await suite.untilStat(name, 'messages', 99);
      first.destroy();
      await suite.restart();
      const again = await suite.subscriber(scope, `$queue/${name}`);
      expect(await take(again, 99)).toEqual(payloads(100).filter((payload) => payload !== textOf(last)));
      await expectQuiet(again);
    },
  );

  test('a queue that got nothing since the restart is deleted like any other and stays deleted [queue-16]', async () => {
    const scope = testScope();
    await suite.createQueue('k16', 'k16/#');
    await suite.populate(scope, 'k16', 10);
    await suite.restart();
    await suite.deleteQueue('k16');
    expect(await suite.queueExists('k16')).toBe(false);
    await suite.restart();
    expect(await suite.queueExists('k16')).toBe(false);
    await suite.createQueue('k16', 'k16/#');
    expect((await suite.stats('k16')).messages).toBe(0);
  });

  test('10 messages that were received and not acknowledged come again with 10 newer ones [queue-20]', async () => {
    const scope = testScope();
    await suite.createQueue('k20', 'k20/#', { local_max_inflight: 20, stream_max_buffer_size: 16 });
    await suite.populate(scope, 'k20', 10);
    const first = await suite.subscriber(scope, '$queue/k20');
    await hold(first, 10);
    await suite.restart();
    await suite.populate(scope, 'k20', 10, 10);
    const again = await suite.subscriber(scope, '$queue/k20');
    expect(await take(again, 20)).toEqual(payloads(20));
    await expectQuiet(again);
  });

  test('a changed key expression holds for new messages, also after a restart [queue-25]', async () => {
    const scope = testScope();
    await suite.createQueue('k25', 'k25/#', lastvalue);
    await suite.populateKeys(scope, 'k25', 10, 10);
    const first = await suite.subscriber(scope, '$queue/k25');
    expect(await take(first, 10)).toEqual(payloads(10));
    await leave(first);
    const changed = await suite.broker.rest.put('/message_queues/queues/k25', {
      is_lastvalue: true,
      key_expression: "concat(['by-', message.from])",
    });
    expect(changed.status).toBe(200);
    await suite.restart();
    await suite.populateKeys(scope, 'k25', 10, 10, 10);
    const again = await suite.subscriber(scope, '$queue/k25');
    expect(await take(again, 1)).toEqual(['payload-19']);
    await expectQuiet(again);
  });

  test('a queue that never had a message takes and delivers the first ones after a restart [queue-34]', async () => {
    const scope = testScope();
    await suite.createQueue('k34', 'k34/#');
    await suite.restart();
    const client = await suite.subscriber(scope, '$queue/k34');
    await suite.populate(scope, 'k34', 5);
    expect(await take(client, 5)).toEqual(payloads(5));
  });

  test('a second after the last consumer has left its acknowledgements survive kill -9 [queue-35]', async () => {
    const scope = testScope();
    await suite.createQueue('k35', 'k35/#', { consumer_max_inactive: 50 });
    await suite.populate(scope, 'k35', 20);
    const first = await suite.subscriber(scope, '$queue/k35');
    const held = await hold(first, 4);
    ack(first, held[0]!);
    ack(first, held[2]!);
    await suite.untilStat('k35', 'messages', 18);
    await leave(first);
    await suite.untilStat('k35', 'consumers', 0);
    await sleep(1000);
    await suite.broker.kill();
    await suite.broker.restart();
    const again = await suite.subscriber(scope, '$queue/k35');
    const done = new Set([held[0]!, held[2]!].map((message) => textOf(message)));
    expect(await take(again, 18)).toEqual(payloads(20).filter((payload) => !done.has(payload)));
    await expectQuiet(again);
  });
});

describe('deletion and reconnection', () => {
  test('a deleted queue lets its subscriber go; re-created, it delivers only what is published then [queue-15]', async () => {
    const scope = testScope();
    await suite.createQueue('k15', 'k15/#');
    const client = await suite.subscriber(scope, '$queue/k15/k15/#');
    await suite.populate(scope, 'k15', 10);
    await hold(client, 4);
    await suite.deleteQueue('k15');
    expect(await suite.queueExists('k15')).toBe(false);
    await suite.createQueue('k15', 'k15/#');
    await suite.untilStat('k15', 'consumers', 1);
    await suite.populate(scope, 'k15', 20, 10);
    expect(await take(client, 20)).toEqual(payloads(20, 10));
    await expectQuiet(client);
  });

  test('a lasting session takes part again when it reconnects without SUBSCRIBE, and not while it is away [queue-23]', async () => {
    const scope = testScope();
    await suite.createQueue('k23', 'k23/#', { ...wideWindow, dispatch_strategy: 'round_robin' });
    const lasting = (clientId: string) => ({
      clientId,
      clean: false,
      properties: { sessionExpiryInterval: 1000 },
    });
    const first = await suite.subscriber(scope, '$queue/k23', lasting('k23-a'));
    const second = await suite.subscriber(scope, '$queue/k23', lasting('k23-b'));
    const taken = automatic(second);
    await leave(first);
    await suite.populate(scope, 'k23', 10);
    await waitForAll([taken], 10);
    expect(taken).toEqual(payloads(10));
    const back = automatic(await suite.connect(scope, lasting('k23-a')));
    await suite.untilStat('k23', 'consumers', 2);
    await suite.populate(scope, 'k23', 10, 10);
    await waitForAll([taken, back], 20);
    expect([taken.length, back.length]).toEqual([15, 5]);
    expect(sorted([...taken, ...back])).toEqual(payloads(20));
  });

  test('a session with an expiry keeps its queue subscription and gets what came while it was away [queue-65]', async () => {
    const scope = testScope();
    await suite.createQueue('k65', 'k65/#');
    await suite.populate(scope, 'k65', 10);
    const lasting = { clientId: 'k65', clean: false, properties: { sessionExpiryInterval: 1000 } };
    const first = await suite.connect(scope, lasting);
    first.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '$queue/k65', qos: 1 }] });
    expect((await first.expect('suback')).granted).toEqual([1]);
    expect(await take(first, 10)).toEqual(payloads(10));
    await suite.untilStat('k65', 'messages', 0);
    await leave(first);
    await suite.populate(scope, 'k65', 10, 10);
    const again = await suite.connect(scope, lasting);
    expect(await take(again, 10)).toEqual(payloads(10, 10));
  });

  test('a nameless queue is consumed through $q and its filter [queue-66]', async () => {
    const scope = testScope();
    await suite.broker.rest.createQueue('k66/#');
    await suite.populate(scope, 'k66', 10);
    const client = await suite.subscriber(scope, '$q/k66/#');
    expect(await take(client, 10)).toEqual(payloads(10));
  });

  test('of 20 clients that subscribe at the same moment each becomes a consumer, and a message arrives once [queue-36]', async () => {
    const scope = testScope();
    await suite.createQueue('k36', 'k36/#');
    const clients = await Promise.all(Array.from({ length: 20 }, () => suite.connect(scope)));
    await Promise.all(clients.map((client) => client.subscribe('$queue/k36')));
    await suite.untilStat('k36', 'consumers', 20);
    const shares = clients.map((client) => automatic(client));
    await suite.populate(scope, 'k36', 1);
    await waitForAll(shares, 1);
    await suite.untilStat('k36', 'messages', 0);
    expect(shares.flat()).toEqual(['payload-0']);
  });
});

describe('a worker that dies', () => {
  test('acknowledgements for a worker that is gone do no harm; only newer messages remain to be delivered [queue-19]', async () => {
    const scope = testScope();
    await suite.createQueue('k19', 'k19/#', { local_max_inflight: 20, stream_max_buffer_size: 16 });
    await suite.populate(scope, 'k19', 10);
    const client = await suite.subscriber(scope, '$queue/k19');
    const held = await hold(client, 10);
    await suite.restartShards();
    for (const message of held) ack(client, message);
    // The new worker has delivered them anew; these acknowledgements count.
    expect(sorted(await take(client, 10))).toEqual(payloads(10));
    await suite.untilStat('k19', 'messages', 0);
    await leave(client);
    await suite.populate(scope, 'k19', 10, 10);
    const again = await suite.subscriber(scope, '$queue/k19');
    expect(await take(again, 10)).toEqual(payloads(10, 10));
    await expectQuiet(again);
  });

  test('a PUBACK that comes after its worker has died is tolerated [queue-27]', async () => {
    const scope = testScope();
    await suite.createQueue('k27', 'k27/#', { ping_interval: 100 });
    const client = await suite.subscriber(scope, '$queue/k27');
    await suite.populate(scope, 'k27', 1);
    const message = await client.expect('publish');
    await suite.restartShards();
    ack(client, message);
    const again = await client.expect('publish');
    expect(textOf(again)).toBe('payload-0');
    ack(client, again);
    await suite.untilStat('k27', 'messages', 0);
    await settle(client);
  });

  test('what is published after the worker was killed reaches the subscriber that was there before [queue-64]', async () => {
    const scope = testScope();
    await suite.createQueue('k64', 'k64/#', { ping_interval: 500 });
    const client = await suite.subscriber(scope, '$queue/k64');
    const publisher = await suite.connect(scope);
    for (const { id } of await suite.shards()) await suite.broker.rest.post(`/shards/${id}/restart`);
    // A publisher repeats what was refused while the worker was away.
    await until(async () => {
      publisher.send({
        cmd: 'publish',
        topic: 'k64/0',
        payload: 'payload-0',
        qos: 1,
        messageId: 1,
        dup: false,
        retain: false,
      });
      return ((await publisher.expect('puback')).reasonCode ?? 0) === 0;
    }, 'the message to be stored');
    expect(await take(client, 1)).toEqual(['payload-0']);
  });

  test('answers of a client that holds nothing are ignored and change nothing for others [queue-37]', async () => {
    const scope = testScope();
    await suite.createQueue('k37', 'k37/#');
    const holder = await suite.subscriber(scope, '$queue/k37');
    const stranger = await suite.connect(scope);
    await suite.populate(scope, 'k37', 1);
    const message = await holder.expect('publish');
    stranger.send({ cmd: 'puback', messageId: message.messageId ?? 1, reasonCode: 0 });
    stranger.send({ cmd: 'puback', messageId: 60_000, reasonCode: 0x80 });
    await settle(stranger);
    expect(await suite.stats('k37')).toMatchObject({ messages: 1, in_flight: 1 });
    ack(holder, message);
    await suite.untilStat('k37', 'messages', 0);
    await suite.populate(scope, 'k37', 1, 1);
    expect(await take(holder, 1)).toEqual(['payload-1']);
  });
});

describe('order of what comes back', () => {
  test('what several clients give back is delivered in order of arrival, before anything newer [queue-38]', async () => {
    const scope = testScope();
    await suite.createQueue('k38', 'k38/#', { dispatch_strategy: 'round_robin', local_max_inflight: 2 });
    const clients = [
      await suite.subscriber(scope, '$queue/k38'),
      await suite.subscriber(scope, '$queue/k38'),
    ] as const;
    await suite.populate(scope, 'k38', 6);
    const held = await Promise.all(clients.map((client) => hold(client, 2)));
    const [early, late] =
      numberOf(textOf(held[0]![0]!)) === 0 ? clients : ([clients[1], clients[0]] as const);
    // The later messages come back first.
    await leave(late);
    await suite.untilStat('k38', 'in_flight', 2);
    await leave(early);
    await suite.untilStat('k38', 'in_flight', 0);
    const next = await suite.subscriber(scope, '$queue/k38');
    expect(await take(next, 6)).toEqual(payloads(6));
  });

  test('refused messages come back each after its own pause, in order of time, and newer ones pass [queue-39]', async () => {
    const scope = testScope();
    const route = '/message_queues/queues/k39';
    await suite.createQueue('k39', 'k39/#', { redispatch_interval: 3000 });
    const client = await suite.subscriber(scope, '$queue/k39');
    await suite.populate(scope, 'k39', 2);
    const [long, short] = await hold(client, 2);
    const refusedMs = [performance.now()];
    ack(client, long!, 0x80);
    await suite.untilStat('k39', 'in_flight', 1);
    expect((await suite.broker.rest.call('PATCH', route, { redispatch_interval: 1000 })).status).toBe(200);
    refusedMs.push(performance.now());
    ack(client, short!, 0x80);
    const publisher = await suite.connect(scope);
    await publish(publisher, 'k39/2', 'payload-2');
    const order: string[] = [];
    for (let i = 0; i < 3; i++) {
      const message = await client.expect('publish');
      const number = numberOf(textOf(message));
      order.push(textOf(message));
      const pauseMs = [3000, 1000, 0][number] ?? 0;
      expect(performance.now() - (refusedMs[number] ?? 0)).toBeGreaterThanOrEqual(pauseMs - 1);
      ack(client, message);
    }
    expect(order).toEqual(['payload-2', 'payload-1', 'payload-0']);
    await suite.untilStat('k39', 'messages', 0);
    await expectQuiet(client);
  });

  test('round robin over two subscribers gives each 50 of 100 messages [queue-63]', async () => {
    const scope = testScope();
    await suite.createQueue('k63', 'k63/#', { ...wideWindow, dispatch_strategy: 'round_robin' });
    const shares = [
      automatic(await suite.subscriber(scope, '$queue/k63')),
      automatic(await suite.subscriber(scope, '$queue/k63')),
    ];
    await suite.populate(scope, 'k63', 100);
    await waitForAll(shares, 100);
    expect(shares.map(({ length }) => length)).toEqual([50, 50]);
    expect(sorted(shares.flat())).toEqual(payloads(100));
  });
});
