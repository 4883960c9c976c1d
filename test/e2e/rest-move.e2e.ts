/**
 * Moving messages between queues of a real broker: other shards, consumers, a restart. One broker process.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { type Broker, startBroker } from '../harness/broker.js';
import { RawClient } from '../harness/raw-client.js';
import { Scope, testScope } from '../harness/scope.js';
import { until } from '../harness/wait.js';
import { ack, take, textOf } from './acceptance-setup.js';

const file = new Scope();
let broker: Broker;

beforeAll(async () => {
  broker = await startBroker(file, { env: { SLUICE_SHARDS: '3', SLUICE_DURABILITY: 'process' } });
});
afterAll(() => file.release());

async function create(name: string, more: object = {}): Promise<void> {
  const body = { name, topic_filter: `${name}/#`, is_lastvalue: false, ...more };
  expect(await broker.rest.post('/queues', body)).toMatchObject({ status: 200 });
}

async function fill(topic: string, from: number, to: number): Promise<void> {
  const messages = Array.from({ length: to - from }, (_, index) => ({
    topic,
    payload: `${from + index}`,
    qos: 1,
    clientid: `publisher-${index % 3}`,
  }));
  expect(await broker.rest.post('/publish/bulk', messages)).toMatchObject({ status: 200 });
}

async function depth(name: string): Promise<unknown> {
  return (await broker.rest.get(`/queues/${name}/stats`)).body['messages'];
}

/** Payloads of all messages, in order. */
async function contents(name: string): Promise<unknown[]> {
  const { body } = await broker.rest.get(`/queues/${name}/messages?limit=1000&payload=text`);
  return (body['data'] as { payload: string }[]).map(({ payload }) => payload);
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `${from + i}`);

test('messages go to a queue of another shard in their order, and a restart knows where they are [broker]', async () => {
  // Some of these lie in other shards than `a`.
  for (const name of ['a', 'b', 'c', 'd']) await create(name);
  await fill('a/x', 0, 700);
  let left = 700;
  for (const name of ['b', 'c', 'd']) {
    const { body } = await broker.rest.post('/queues/a/move', { to: name, count: 200 });
    expect(body).toEqual({ moved: 200 });
    left -= 200;
    expect(await depth('a')).toBe(left);
  }
  expect(await contents('b')).toEqual(numbers(0, 200));
  expect(await contents('d')).toEqual(numbers(400, 600));
  await broker.restart();
  expect(await contents('a')).toEqual(numbers(600, 700));
  expect(await contents('c')).toEqual(numbers(200, 400));
  const [message] = (await broker.rest.get('/queues/c/messages?limit=1')).body['data'] as object[];
  expect(message).toMatchObject({ topic: 'a/x', from: 'publisher-2', qos: 1 });
  expect((await broker.rest.post('/queues/c/move', { to: 'a' })).body).toEqual({ moved: 200 });
  expect(await depth('c')).toBe(0);
  expect(await contents('a')).toEqual([...numbers(600, 700), ...numbers(200, 400)]);
});

test('messages in flight stay with their consumer, the rest is moved once, and the consumer goes on [broker]', async () => {
  const scope = testScope();
  await create('busy', { local_max_inflight: 5 });
  await create('idle');
  await fill('busy/x', 0, 50);
  const worker = await RawClient.connect(scope, broker, { clientId: 'worker' });
  worker.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '$queue/busy', qos: 1 }] });
  await worker.expect('suback');
  const held = [];
  for (let count = 0; count < 5; count += 1) held.push(await worker.expect('publish'));
  expect((await broker.rest.post('/queues/busy/move', { to: 'idle' })).body).toEqual({ moved: 45 });
  expect(await contents('idle')).toEqual(numbers(5, 50));
  for (const packet of held) ack(worker, packet);
  expect(held.map((packet) => textOf(packet))).toEqual(numbers(0, 5));
  await until(async () => (await depth('busy')) === 0, 'the acknowledgements');
  expect((await broker.rest.post('/queues/idle/move', { to: 'busy', count: 10 })).body).toEqual({
    moved: 10,
  });
  expect(await take(worker, 10)).toEqual(numbers(5, 15));
});

test('a queue that is full takes what fits, and the rest stays [broker]', async () => {
  await create('full', { max_messages: 10, overflow: 'reject_publish' });
  await create('source');
  await fill('source/x', 0, 30);
  const { status, body } = await broker.rest.post('/queues/source/move', { to: 'full' });
  expect({ status, code: body['code'] }).toEqual({ status: 429, code: 'QUOTA_EXCEEDED' });
  expect(await contents('full')).toEqual(numbers(0, 10));
  expect(await contents('source')).toEqual(numbers(10, 30));
});

test('a last-value queue takes the newest of each key [broker]', async () => {
  await create('latest', { is_lastvalue: true, key_expression: 'message.from' });
  await create('log');
  await fill('log/x', 0, 30);
  expect((await broker.rest.post('/queues/log/move', { to: 'latest' })).body).toEqual({ moved: 30 });
  expect(await depth('log')).toBe(0);
  expect(await contents('latest')).toEqual(['27', '28', '29']);
});

test.each(['reject', 'drop'])(
  'a message that has no key in the other queue (%s) stays, and those after it in the same step are in one queue only [broker]',
  async (policy) => {
    const [keyed, mixed] = [`keyed-${policy}`, `mixed-${policy}`];
    await create(keyed, {
      is_lastvalue: true,
      key_expression: 'upper(message.headers.properties.User-Property.key)',
      on_key_error: policy,
    });
    await create(mixed);
    const messages = numbers(0, 12).map((payload) => ({
      topic: `${mixed}/x`,
      payload,
      qos: 1,
      ...(payload === '4' ? {} : { properties: { user_properties: { key: payload } } }),
    }));
    expect(await broker.rest.post('/publish/bulk', messages)).toMatchObject({ status: 200 });
    const { status, body } = await broker.rest.post(`/queues/${mixed}/move`, { to: keyed });
    expect({ status, message: body['message'] }).toEqual({
      status: 400,
      message: 'The key expression of the other queue failed for a message; 11 messages were moved',
    });
    expect(await contents(mixed)).toEqual(['4']);
    expect(await contents(keyed)).toEqual(numbers(0, 12).filter((each) => each !== '4'));
  },
);
