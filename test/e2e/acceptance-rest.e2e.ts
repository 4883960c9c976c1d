/**
 * The REST part of the acceptance list against a real broker with real shards and a real log; test/http holds the
 * same items field by field over shards in memory. One broker; each test begins and ends without queues.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { startBroker } from '../harness/broker.js';
import type { Json, RestAnswer } from '../harness/rest.js';
import { Scope, testScope } from '../harness/scope.js';
import { until } from '../harness/wait.js';
import { expectQuiet, lastvalue, payloads, publish, Suite, suiteDefaults, take } from './acceptance-setup.js';

const queues = '/message_queues/queues';
const config = '/message_queues/config';
const file = new Scope();
let suite: Suite;

beforeAll(async () => {
  suite = new Suite(await startBroker(file, { env: { SLUICE_SHARDS: '2', SLUICE_DURABILITY: 'process' } }));
});

afterEach(async () => {
  for (const { name } of await list()) await suite.deleteQueue(String(name));
});

afterAll(() => file.release());

function call(method: string, route: string, body?: Json): Promise<RestAnswer> {
  return suite.broker.rest.call(method, route, body);
}

function item(name: string): string {
  return `${queues}/${encodeURIComponent(name)}`;
}

async function list(): Promise<Json[]> {
  return (await call('GET', queues)).body['data'] as Json[];
}

const badRequest = { status: 400, body: { code: 'BAD_REQUEST' } };
const regular = { is_lastvalue: false };

describe('queues', () => {
  test('queues are created, listed, changed and deleted [queue-40]', async () => {
    expect((await call('GET', queues)).body).toEqual({ data: [], meta: { hasnext: false } });
    for (const name of ['unknown', '/strange/#', ' ']) {
      expect(await call('GET', item(name))).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
    }
    const created = await call('POST', queues, { name: 'q1', topic_filter: 't/1', ping_interval: 9999 });
    expect(created).toMatchObject({ status: 200, body: { name: 'q1', ping_interval: 9999 } });
    expect(await list()).toEqual([created.body]);
    expect(created.body).toMatchObject({
      is_lastvalue: true,
      limits: { max_shard_message_count: 'infinity', max_shard_message_bytes: 'infinity' },
    });
    const limited = { name: 'q2', topic_filter: 't/2', limits: { max_shard_message_bytes: '100MB' } };
    expect((await call('POST', queues, limited)).body).toMatchObject({
      limits: { max_shard_message_count: 'infinity', max_shard_message_bytes: 104_857_600 },
    });
    expect(await call('PUT', item('unknown'), { ping_interval: 10_000 })).toMatchObject({ status: 404 });
    expect(await call('PUT', item('q1'), { ping_interval: 10_000 })).toMatchObject({ status: 200 });
    expect((await call('GET', item('q1'))).body).toMatchObject({ ping_interval: 10_000 });
    expect((await call('DELETE', item('q1'))).status).toBe(204);
    for (const method of ['GET', 'DELETE']) expect((await call(method, item('q1'))).status).toBe(404);
  });

  test('a queue without a name is reached by / and its filter, which POST refuses as a name [queue-41]', async () => {
    expect(await call('POST', queues, { name: '/t/1', topic_filter: 't/1' })).toMatchObject(badRequest);
    expect((await call('POST', queues, { topic_filter: 't/#' })).body).toMatchObject({ name: '/t/#' });
    expect(await call('GET', `${queues}/%2Ft%2F%23`)).toMatchObject({ status: 200 });
    expect(await call('PUT', `${queues}/%2Ft%2F%23`, { ping_interval: 7 })).toMatchObject({
      status: 200,
      body: { name: '/t/#', ping_interval: 7 },
    });
    expect((await call('DELETE', `${queues}/%2Ft%2F%23`)).status).toBe(204);
    expect(await list()).toEqual([]);
  });

  test('ten queues come in pages of 6 and 4; a broken cursor is refused [queue-42]', async () => {
    for (let i = 0; i < 10; i++) await suite.createQueue(`page-${i}`, `page/${i}`);
    const first = await call('GET', `${queues}?limit=6`);
    const { cursor } = first.body['meta'] as { cursor: string };
    expect([(first.body['data'] as Json[]).length, first.body['meta']]).toEqual([
      6,
      { hasnext: true, cursor },
    ]);
    for (const limit of [6, 4]) {
      const { body } = await call('GET', `${queues}?limit=${limit}&cursor=${cursor}`);
      expect([(body['data'] as Json[]).length, body['meta']]).toEqual([4, { hasnext: false }]);
      const names = [first.body, body].flatMap(({ data }) => (data as Json[]).map(({ name }) => name));
      expect(new Set(names).size).toBe(10);
    }
    for (const broken of ['broken', `${cursor}!`]) {
      const answer = await call('GET', `${queues}?limit=6&cursor=${encodeURIComponent(broken)}`);
      expect(answer).toMatchObject(badRequest);
    }
  });

  test('the kind never changes, and only last-value queues have a key expression [queue-45]', async () => {
    const key = { key_expression: 'message.topic' };
    const both = { name: 'both', topic_filter: 't', ...regular, ...key };
    expect(await call('POST', queues, both)).toMatchObject(badRequest);
    await suite.createQueue('regular', 't/r');
    await suite.createQueue('last', 't/l', lastvalue);
    const fixed = {
      status: 400,
      body: { code: 'BAD_REQUEST', message: 'LastValue flag is not allowed to be updated' },
    };
    expect(await call('PUT', item('regular'), { is_lastvalue: true })).toMatchObject(fixed);
    expect(await call('PUT', item('last'), { is_lastvalue: false })).toMatchObject(fixed);
    expect(await call('PUT', item('regular'), { ...regular, ...key })).toMatchObject(badRequest);
  });

  test('only last-value queues become limited or unlimited, and the limit is in force at once [queue-46]', async () => {
    const scope = testScope();
    const limits = { max_shard_message_count: 1 };
    await suite.createQueue('open', 't/o');
    await suite.createQueue('limited', 't/i', { limits });
    const fixed = {
      status: 400,
      body: {
        code: 'BAD_REQUEST',
        message: 'Regular queues cannot be updated from limited to unlimited and vice versa',
      },
    };
    expect(await call('PUT', item('open'), { ...regular, limits })).toMatchObject(fixed);
    expect(await call('PUT', item('limited'), regular)).toMatchObject(fixed);
    await suite.createQueue('last', 't46/#', lastvalue);
    expect(await call('PUT', item('last'), { ...lastvalue, limits })).toMatchObject({ status: 200 });
    await suite.populateKeys(scope, 't46', 40, 40);
    // One message per shard of EMQX, of which there are 16.
    await suite.untilStat('last', 'messages', 16);
    expect(await call('PUT', item('last'), lastvalue)).toMatchObject({ status: 200 });
    await suite.populateKeys(scope, 't46', 40, 40, 40);
    await suite.untilStat('last', 'messages', 40);
  });

  test('a queue made of name and filter alone keeps the last message of a publisher [queue-47]', async () => {
    const scope = testScope();
    expect((await call('POST', queues, { name: 'defaults', topic_filter: 't47/#' })).status).toBe(200);
    await suite.populate(scope, 't47', 10);
    const client = await suite.subscriber(scope, '$queue/defaults/t47/#');
    expect(await take(client, 1)).toEqual(['payload-9']);
    await expectQuiet(client);
  });

  test('one queue more than max_queue_count is refused [queue-48]', async () => {
    const scope = testScope();
    await suite.configure(scope, { max_queue_count: 5 }, { max_queue_count: 100 });
    for (let i = 0; i < 5; i++) await suite.createQueue(`count-${i}`, `count/${i}`);
    expect(await call('POST', queues, { name: 'count-5', topic_filter: 'count/5' })).toMatchObject({
      status: 400,
      body: { code: 'MAX_QUEUE_COUNT_REACHED', message: 'Max queue count reached' },
    });
  });

  test('a nameless last-value queue is changed and deleted after a restart, and the list is empty [queue-49]', async () => {
    await suite.broker.rest.createQueue('t49/#', lastvalue);
    await suite.restart();
    const changed = { is_lastvalue: true, key_expression: 'message.topic' };
    expect((await call('PUT', item('/t49/#'), changed)).body).toMatchObject(changed);
    await suite.deleteQueue('/t49/#');
    expect(await list()).toEqual([]);
  });

  test('the short paths show and change the same queues and the same configuration [queue-50]', async () => {
    const body = { name: 'short', topic_filter: 't50', ...suiteDefaults };
    const created = await call('POST', '/queues', body);
    expect(created.status).toBe(200);
    expect((await call('GET', item('short'))).body).toEqual(created.body);
    expect((await call('GET', '/queue/short')).body).toEqual(created.body);
    expect((await call('GET', '/queues')).body).toEqual((await call('GET', queues)).body);
    const change = { ...regular, ping_interval: 77 };
    expect((await call('PUT', '/queue/short', change)).status).toBe(200);
    expect((await call('GET', item('short'))).body).toMatchObject(change);
    expect((await call('DELETE', '/queue/short')).status).toBe(204);
    expect((await call('GET', item('short'))).status).toBe(404);
    expect((await call('PUT', '/queues/config', { find_queue_retry_interval: '11s' })).status).toBe(204);
    expect((await call('GET', config)).body).toMatchObject({ find_queue_retry_interval: '11s' });
    expect((await call('GET', '/queues/config')).body).toEqual((await call('GET', config)).body);
  });

  test('a name holds letters, digits, -, _ and . only [queue-52]', async () => {
    const create = (name: string): Promise<RestAnswer> => call('POST', queues, { name, topic_filter: 't52' });
    expect((await create('mq-1')).status).toBe(200);
    expect(await create('mq-1/2')).toMatchObject(badRequest);
    expect((await list()).map(({ name }) => name)).toEqual(['mq-1']);
  });

  test('a queue that was created without a name is called / and its filter [queue-55]', async () => {
    expect((await suite.broker.rest.createQueue('a/b/c'))['name']).toBe('/a/b/c');
    await suite.restart();
    expect((await list()).map(({ name }) => name)).toEqual(['/a/b/c']);
  });
});

describe('configuration', () => {
  test('a partial PUT is merged and echoed as given; impossible values are refused [queue-43]', async () => {
    const before = await call('GET', config);
    expect(before.status).toBe(200);
    expect(await call('PUT', config, { gc_interval: '-10h' })).toMatchObject(badRequest);
    const patch = { gc_interval: '2h', max_queue_count: 50 };
    expect((await call('PUT', config, patch)).status).toBe(204);
    expect((await call('GET', config)).body).toEqual({ ...before.body, ...patch });
    expect((await call('PUT', config, { auto_create: { lastvalue: {} } })).status).toBe(204);
    expect((await call('GET', config)).body).toMatchObject({
      auto_create: {
        regular: false,
        lastvalue: { key_expression: 'message.from', dispatch_strategy: 'random' },
      },
    });
    const both = { auto_create: { regular: {}, lastvalue: {} } };
    expect(await call('PUT', config, both)).toMatchObject({
      status: 400,
      body: {
        code: 'BAD_REQUEST',
        message: 'Queues should be configured to be automatically created either as regular or lastvalue',
      },
    });
    const off = { auto_create: { regular: false, lastvalue: false }, max_queue_count: 100 };
    expect((await call('PUT', config, off)).status).toBe(204);
  });

  test('switched off, queues are answered with 503; with queues there is no switching off; a killed worker is harmless [queue-62]', async () => {
    const scope = testScope();
    const notEnabled = { status: 503, body: { code: 'SERVICE_UNAVAILABLE', message: 'Not enabled' } };
    expect((await call('PUT', config, { enable: false })).status).toBe(204);
    expect(await call('GET', queues)).toMatchObject(notEnabled);
    await suite.restart();
    expect(await call('GET', queues)).toMatchObject(notEnabled);
    expect((await call('PUT', config, { enable: true })).status).toBe(204);
    await until(async () => (await call('GET', queues)).status === 200, 'the queues to be answered');
    await suite.createQueue('s62', 's62/#');
    expect(await call('PUT', config, { enable: false })).toMatchObject({
      status: 400,
      body: { message: 'Cannot disable MQ subsystem via API when there are existing queues' },
    });
    expect((await call('PUT', config, { enable: 'auto' })).status).toBe(204);
    await suite.restart();
    await suite.restartShards();
    const client = await suite.subscriber(scope, '$queue/s62');
    const publisher = await suite.connect(scope);
    await publish(publisher, 's62/0', 'payload-0');
    expect(await take(client, 1)).toEqual(payloads(1));
  });
});
