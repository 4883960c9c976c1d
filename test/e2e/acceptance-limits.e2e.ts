/**
 * Registry, retention and limits of the acceptance list. EMQX counts limits per storage shard, of which its suites
 * have two; SLUICE_MQ_LIMIT_SHARDS=2 makes the same totals here, and they hold exactly instead of by 10 %.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startBroker } from '../harness/broker.js';
import { Scope, testScope } from '../harness/scope.js';
import { sleep, until } from '../harness/wait.js';
import { lastvalue, payloads, publish, publishQos0, settle, Suite, take } from './acceptance-setup.js';

const file = new Scope();
let suite: Suite;

beforeAll(async () => {
  const env = { SLUICE_SHARDS: '2', SLUICE_DURABILITY: 'process', SLUICE_MQ_LIMIT_SHARDS: '2' };
  suite = new Suite(await startBroker(file, { env }));
});

afterAll(() => file.release());

test('sweeping for old messages is harmless without any queue [queue-57]', async () => {
  // The sweep runs about once a second.
  await sleep(1500);
  expect((await suite.shards()).map(({ state, restarts }) => [state, restarts])).toEqual([
    ['up', 0],
    ['up', 0],
  ]);
  await suite.createQueue('l57', 'l57');
  await suite.deleteQueue('l57');
});

describe('registry', () => {
  test('a message is stored in every queue whose filter matches and in no deleted one [queue-51]', async () => {
    const scope = testScope();
    const filters = ['a/b/c', 'a/b/#', 'a/#', 'a/+/d'];
    for (const filter of filters) await suite.broker.rest.createQueue(filter);
    const publisher = await suite.connect(scope);
    const counts = async (): Promise<number[]> =>
      Promise.all(filters.map(async (filter) => (await suite.stats(`/${filter}`)).messages));
    await publish(publisher, 'a/b/c', '1');
    expect(await counts()).toEqual([1, 1, 1, 0]);
    await publish(publisher, 'a/x/d', '2');
    expect(await counts()).toEqual([1, 1, 2, 1]);
    await suite.deleteQueue('/a/b/#');
    await suite.broker.rest.createQueue('a/b/#');
    await suite.deleteQueue('/a/b/c');
    filters.shift();
    await publish(publisher, 'a/b/c', '3');
    expect(await counts()).toEqual([1, 3, 1]);
    for (const filter of filters) await suite.deleteQueue(`/${filter}`);
    publisher.send({
      cmd: 'publish',
      topic: 'a/b/c',
      payload: '4',
      qos: 1,
      messageId: 2,
      dup: false,
      retain: false,
    });
    // No matching subscribers: nobody took it.
    expect((await publisher.expect('puback')).reasonCode).toBe(0x10);
  });
});

describe('retention', () => {
  test('messages past their retention go although nobody reads them, also the next ones; a last-value queue keeps its keys [queue-56]', async () => {
    const scope = testScope();
    await suite.createQueue('l56', 'l56/#', { data_retention_period: '1s' });
    await suite.createQueue('l56-last', 'l56/#', lastvalue);
    for (let round = 0; round < 2; round++) {
      await suite.populateKeys(scope, 'l56', 20, 10, round * 20);
      await suite.untilStat('l56', 'messages', 0);
      expect((await suite.stats('l56')).bytes).toBe(0);
      expect((await suite.stats('l56-last')).messages).toBe(10);
    }
    expect((await suite.stats('l56')).counters['expired']).toBe(40);
    const client = await suite.subscriber(scope, '$queue/l56-last');
    expect(await take(client, 10)).toEqual(payloads(10, 30));
  });

  test.each(['1h', '1s'])(
    'messages past their retention go within seconds whatever gc_interval says, here %s [queue-60]',
    async (interval) => {
      const scope = testScope();
      const config = '/message_queues/config';
      expect((await suite.broker.rest.put(config, { gc_interval: interval })).status).toBe(204);
      expect((await suite.broker.rest.get(config)).body).toMatchObject({ gc_interval: interval });
      const name = `l60-${interval}`;
      await suite.createQueue(name, `${name}/#`, { data_retention_period: '1s' });
      await suite.populate(scope, name, 5);
      await suite.untilStat(name, 'messages', 0);
    },
  );
});

describe('limits', () => {
  test('of 200 messages of many publishers a regular queue keeps as many as its limit says, the newest [queue-58]', async () => {
    const scope = testScope();
    await suite.createQueue('l58', 'l58/#', { limits: { max_shard_message_count: 50 } });
    for (let publisher = 0; publisher < 20; publisher++) {
      await suite.populate(scope, 'l58', 10, publisher * 10);
    }
    const stats = await suite.stats('l58');
    expect([stats.messages, stats.counters['stored'], stats.counters['evicted']]).toEqual([100, 200, 100]);
    const client = await suite.subscriber(scope, '$queue/l58');
    expect(await take(client, 100)).toEqual(payloads(100, 100));
  });

  test('a limit in bytes holds as exactly [queue-58]', async () => {
    const scope = testScope();
    const bytesMax = 2 * 50 * 1024;
    await suite.createQueue('l58b', 'l58b/#', { limits: { max_shard_message_bytes: '50KB' } });
    for (let publisher = 0; publisher < 20; publisher++) {
      const client = await suite.connect(scope);
      for (let i = 0; i < 10; i++) await publish(client, `l58b/${i}`, 'x'.repeat(1024));
    }
    const { bytes, messages } = await suite.stats('l58b');
    expect(bytes).toBeLessThanOrEqual(bytesMax);
    expect(bytes + bytes / messages).toBeGreaterThan(bytesMax);
  });

  test('a limited last-value queue evicts the keys that were written longest ago [queue-59]', async () => {
    const scope = testScope();
    await suite.createQueue('l59', 'l59/#', {
      ...lastvalue,
      limits: { max_shard_message_count: 100 },
      local_max_inflight: 1000,
      stream_max_buffer_size: 2000,
    });
    const client = await suite.connect(scope);
    for (const portion of ['A', 'B', 'A', 'C']) {
      for (let i = 0; i < 80; i++) {
        await publish(client, `l59/${portion}`, portion, { 'mq-key': `${portion}${i}` });
      }
    }
    expect((await suite.stats('l59')).messages).toBe(200);
    const consumer = await suite.subscriber(scope, '$queue/l59');
    const taken = await take(consumer, 200);
    const count = (portion: string): number => taken.filter((payload) => payload === portion).length;
    expect({ A: count('A'), B: count('B'), C: count('C') }).toEqual({ A: 80, B: 40, C: 80 });
  });

  test.each([
    ['a regular queue', 'a', {}, 0],
    ['a last-value queue with 10 keys', 'b', lastvalue, 10],
    ['a last-value queue with 1000 keys', 'c', lastvalue, 1000],
  ])(
    'under sustained publishing the counts stay exact and within the limit, %s [queue-61]',
    async (_, letter, fields, keys) => {
      const scope = testScope();
      const name = `l61${letter}`;
      const messagesMax = 200;
      const published = 4000;
      const limits = { max_shard_message_count: messagesMax / 2 };
      await suite.createQueue(name, `${name}/#`, { ...fields, limits });
      const publisher = await suite.connect(scope);
      const highest: number[] = [];
      let isPublishing = true;
      const watching = (async () => {
        while (isPublishing) highest.push((await suite.stats(name)).messages);
      })();
      for (let i = 0; i < published; i++) {
        if (keys === 0) {
          publishQos0(publisher, `${name}/x`, `payload-${i}`);
        } else {
          publisher.send({
            cmd: 'publish',
            topic: `${name}/x`,
            payload: `payload-${i}`,
            qos: 0,
            dup: false,
            retain: false,
            properties: { userProperties: { 'mq-key': `k${i % keys}` } },
          });
        }
        if (i % 100 === 99) await settle(publisher);
      }
      await until(
        async () => (await suite.stats(name)).counters['stored'] === published,
        `all ${published} to be stored`,
      );
      isPublishing = false;
      await watching;
      const { messages, counters } = await suite.stats(name);
      expect(messages).toBe(keys === 10 ? 10 : messagesMax);
      expect(Math.max(...highest)).toBeLessThanOrEqual(messagesMax);
      const gone = (counters['evicted'] ?? 0) + (counters['overwritten'] ?? 0);
      expect(messages + gone).toBe(published);
      expect((await suite.broker.rest.post(`/message_queues/queues/${name}/purge`)).body).toEqual({
        purged: messages,
      });
      expect(await suite.stats(name)).toMatchObject({ messages: 0, ready: 0, in_flight: 0, bytes: 0 });
    },
  );
});
