/**
 * Clients, sessions, publishing, retained messages and events by REST, on a real broker with real shards, over a restart.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { type Broker, startBroker } from '../harness/broker.js';
import { RawClient } from '../harness/raw-client.js';
import type { Json } from '../harness/rest.js';
import { Scope, testScope } from '../harness/scope.js';
import { until, within } from '../harness/wait.js';

const file = new Scope();
let broker: Broker;

beforeAll(async () => {
  broker = await startBroker(file, { env: { SLUICE_SHARDS: '2', SLUICE_RETAINED_MAX: '1000' } });
});
afterAll(() => file.release());

function connect(scope: Scope, clientId: string, sessionExpiryInterval = 0): Promise<RawClient> {
  const properties = { sessionExpiryInterval };
  return RawClient.connect(scope, broker, { clientId, protocolVersion: 5, clean: false, properties });
}

async function client(clientId: string): Promise<Json> {
  const { status, body } = await broker.rest.get(`/clients/${clientId}`);
  expect(status).toBe(200);
  return body;
}

test('what waits for a stored session is counted, and known after a restart with its subscriptions [broker]', async () => {
  const scope = testScope();
  const away = await connect(scope, 'away', 3600);
  away.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'for/away', qos: 1 }] });
  await away.expect('suback');
  away.send({ cmd: 'disconnect', reasonCode: 0 });
  await away.expectClosed();
  const messages = Array.from({ length: 7 }, (_, n) => ({ topic: 'for/away', payload: `${n}`, qos: 1 }));
  expect(await broker.rest.post('/publish/bulk', messages)).toMatchObject({ status: 200 });
  await until(async () => (await client('away'))['mqueue_len'] === 7, 'the messages of the session');
  expect(await client('away')).toMatchObject({
    conn_state: 'disconnected',
    durable: true,
    subscriptions_cnt: 1,
  });
  await broker.restart();
  const after = await client('away');
  expect(after).toMatchObject({ durable: true, mqueue_len: 7, expiry_interval: 3600 });
  expect(after).not.toHaveProperty('created_at');
  expect(after).toHaveProperty('disconnected_at');
  const { body } = await broker.rest.get('/subscriptions?clientid=away');
  expect(body['data']).toMatchObject([{ topic: 'for/away', qos: 1, durable: true }]);
  expect(await broker.rest.call('DELETE', '/clients/away')).toMatchObject({ status: 204 });
  expect(await broker.rest.get('/clients/away')).toMatchObject({ status: 404 });
});

test('what operators have changed of durable state is so after a restart [broker]', async () => {
  const scope = testScope();
  await connect(scope, 'kept', 3600);
  expect(await broker.rest.post('/clients/kept/subscribe', { topic: 'made/#', qos: 1 })).toMatchObject({
    status: 200,
  });
  for (const topic of ['r/1', 'r/2']) {
    await broker.rest.post('/publish', { topic, payload: 'x', retain: true, qos: 1 });
  }
  expect(await broker.rest.call('DELETE', '/mqtt/retainer/message/r%2F1')).toMatchObject({ status: 204 });
  await broker.restart();
  expect((await broker.rest.get('/subscriptions?clientid=kept')).body['data']).toMatchObject([
    { topic: 'made/#' },
  ]);
  const { body } = await broker.rest.get('/mqtt/retainer/messages?topic=r/%23');
  expect(body).toMatchObject({ data: [{ topic: 'r/2' }], meta: { count: 1 } });
});

test('a published message is stored when the answer comes, whatever ends the process then [broker]', async () => {
  await broker.rest.post('/queues', { name: 'safe', topic_filter: 'safe', is_lastvalue: false });
  expect(await broker.rest.post('/publish', { topic: 'safe', payload: 'x', qos: 1 })).toMatchObject({
    status: 200,
  });
  await broker.kill();
  await broker.start();
  expect((await broker.rest.get('/queues/safe/stats')).body).toMatchObject({ messages: 1 });
});

test('the event stream tells of the shards and of a queue that fills [broker]', async () => {
  await broker.rest.post('/queues', { name: 'live', topic_filter: 'live', is_lastvalue: false });
  const stop = new AbortController();
  testScope().add(() => stop.abort());
  const response = await fetch(`http://127.0.0.1:${broker.httpPort}/api/v5/events?queues=live`, {
    signal: stop.signal,
  });
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
  await broker.rest.post('/publish', { topic: 'live', payload: 'x', qos: 1 });
  const decoder = new TextDecoder();
  let text = '';
  const read = async (): Promise<void> => {
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      if (/event: queues\ndata: .*"name":"live".*"ready":1/.test(text)) return;
    }
  };
  await within(read(), 'the row of the queue');
  const overview = JSON.parse(/event: overview\ndata: (.*)\n/.exec(text)?.[1] ?? '{}') as Json;
  expect(overview['shards']).toMatchObject([
    { id: 0, state: 'up' },
    { id: 1, state: 'up' },
  ]);
  stop.abort();
});
