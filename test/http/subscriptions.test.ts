import { describe, expect, it } from 'vitest';

import { expectNothing } from '../net/test-gateway.js';
import { sharedApi, startApi, subscribe, type StartedApi } from './gateway.js';

async function topicsOf(api: StartedApi, query: string): Promise<string[]> {
  const { status, body } = await api.call('GET', `/subscriptions?${query}`);
  expect(status).toBe(200);
  expect(body.meta.count).toBe(body.data.length);
  return body.data.map(({ topic }: { topic: string }) => topic);
}

/** Clients with one subscription of each kind. */
async function addSubscriptions(api: StartedApi): Promise<void> {
  await api.call('POST', '/queues', { name: 'jobs', topic_filter: 'jobs/#', is_lastvalue: false });
  const one = await api.connect('one');
  await subscribe(one, 'a/b', 1);
  await subscribe(one, 'a/#', 2);
  await subscribe(one, '$share/g/a/+', 0);
  const two = await api.connect('two');
  await subscribe(two, '$q/jobs/#', 1);
  await subscribe(two, '$queue/none', 1);
  await subscribe(two, 'x', 0);
}

describe('subscriptions', () => {
  const shared = sharedApi(addSubscriptions);

  it.each([
    ['clientid=one', ['a/b', 'a/#', '$share/g/a/+']],
    ['clientid=none', []],
    ['topic=a/%23', ['a/#']],
    ['topic=$share/g/a/%2B', ['$share/g/a/+']],
    ['qos=1', ['a/b', '$q/jobs/#', '$queue/none']],
    ['share_group=g', ['$share/g/a/+']],
    ['share_group=none', []],
    ['match_topic=a/b', ['a/b', 'a/#', '$share/g/a/+']],
    ['match_topic=a/%2B', ['a/b', '$share/g/a/+']],
    ['match_topic=jobs/7', ['$q/jobs/#']],
    ['match_topic=%23', ['a/b', 'a/#', '$share/g/a/+', '$q/jobs/#', 'x']],
    ['clientid=one&qos=2', ['a/#']],
  ])('of all clients are found by %s [broker]', async (query, wanted) => {
    expect((await topicsOf(shared(), query)).toSorted()).toEqual(wanted.toSorted());
  });

  it('are counted and come in pages [broker]', async () => {
    const api = shared();
    const seen: string[] = [];
    for (const page of [1, 2, 3]) {
      const { body } = await api.call('GET', `/subscriptions?page=${page}&limit=2`);
      expect(body.meta).toEqual({ page, limit: 2, count: 6, hasnext: page < 3 });
      seen.push(...body.data.map(({ topic }: { topic: string }) => topic));
    }
    expect(seen.toSorted()).toEqual(['$q/jobs/#', '$queue/none', '$share/g/a/+', 'a/#', 'a/b', 'x']);
  });

  it('of a client say their options, and whether a queue is there [broker]', async () => {
    const api = await startApi();
    await addSubscriptions(api);
    const client = await api.connect('three');
    client.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: [{ topic: 't', qos: 2, nl: true, rap: true }],
      properties: { subscriptionIdentifier: 7 },
    });
    await client.expect('suback');
    const own = { node: 'sluice', durable: false };
    expect((await api.call('GET', '/clients/three/subscriptions')).body).toEqual([
      { clientid: 'three', topic: 't', qos: 2, nl: 1, rap: 1, sub_id: 7, ...own },
    ]);
    const plain = { clientid: 'two', nl: 0, rap: 0, ...own };
    expect((await api.call('GET', '/clients/two/subscriptions')).body).toEqual([
      { ...plain, topic: 'x', qos: 0 },
      { ...plain, topic: '$q/jobs/#', qos: 1, queue_state: 'attached' },
      { ...plain, topic: '$queue/none', qos: 1, queue_state: 'waiting' },
    ]);
  });

  it('refuse a match_topic that is no topic filter [broker]', async () => {
    expect(await shared().call('GET', '/subscriptions?match_topic=a%23')).toMatchObject({
      status: 400,
      body: { code: 'BAD_REQUEST' },
    });
  });
});

describe('topics', () => {
  it('are the filters that messages are routed by, each once [broker]', async () => {
    const api = await startApi();
    await addSubscriptions(api);
    const three = await api.connect('three');
    await subscribe(three, 'a/b');
    await subscribe(three, 'jobs/#');
    await subscribe(three, 'a/+');
    await subscribe(three, '/+/c');
    const { body } = await api.call('GET', '/topics');
    const rows = body.data.map(
      (row: { topic: string; subscribers: number; share_groups: number; queues: number }) =>
        `${row.topic} ${row.subscribers}${row.share_groups}${row.queues}`,
    );
    expect(rows.toSorted()).toEqual(['/+/c 100', 'a/# 100', 'a/+ 110', 'a/b 200', 'jobs/# 101', 'x 100']);
    expect(body.meta.count).toBe(6);
    expect((await api.call('GET', '/topics?topic=a/b')).body.data).toHaveLength(1);
    expect((await api.call('GET', '/topics?topic=none')).body.data).toEqual([]);
  });
});

describe('subscribing for a client', () => {
  const shared = sharedApi((api) => api.connect('c'));

  it('makes a subscription like its own, with what is retained [broker]', async () => {
    const api = await startApi();
    const client = await api.connect('c');
    await api.call('POST', '/publish', { topic: 't/1', payload: 'kept', retain: true, qos: 1 });
    expect(
      (await api.call('POST', '/clients/c/subscribe', { topic: 't/#', qos: 1, rap: 1 })).body,
    ).toMatchObject({ clientid: 'c', topic: 't/#', qos: 1, nl: 0, rap: 1 });
    expect(await client.expect('publish')).toMatchObject({ topic: 't/1', retain: true, qos: 1 });
    await api.call('POST', '/publish', { topic: 't/2', payload: 'live' });
    expect(String((await client.expect('publish')).payload)).toBe('live');
  });

  it('to a queue makes it a consumer [broker]', async () => {
    const api = await startApi();
    await api.call('POST', '/queues', { name: 'jobs', topic_filter: 'jobs', is_lastvalue: false });
    const client = await api.connect('c');
    const { body } = await api.call('POST', '/clients/c/subscribe', { topic: '$queue/jobs', qos: 1 });
    expect(body).toMatchObject({ topic: '$queue/jobs', queue_state: 'attached' });
    await api.call('POST', '/publish', { topic: 'jobs', payload: 'work', qos: 1 });
    expect(String((await client.expect('publish')).payload)).toBe('work');
  });

  it('is stored for a session that is kept [broker]', async () => {
    const api = await startApi();
    await api.connect('c', { properties: { sessionExpiryInterval: 100 } });
    const { body } = await api.call('POST', '/clients/c/subscribe', { topic: 't', qos: 1 });
    expect(body).toMatchObject({ durable: true });
  });

  it.each([
    [{ topic: 'a/#/b' }, 400],
    [{ topic: '$share//x' }, 400],
    [{ topic: '$share/g/x', nl: 1 }, 400],
    [{ topic: '' }, 400],
    [{ topic: 't', qos: 3 }, 400],
    [{ topic: 't', more: 1 }, 400],
    [{}, 400],
  ])('refuses %j [broker]', async (body, status) => {
    const api = shared();
    expect(await api.call('POST', '/clients/c/subscribe', body)).toMatchObject({ status });
    expect((await api.call('GET', '/clients/c/subscriptions')).body).toEqual([]);
  });

  it('that is away is refused [broker]', async () => {
    const api = await startApi();
    const client = await api.connect('c', { properties: { sessionExpiryInterval: 100 } });
    client.send({ cmd: 'disconnect', reasonCode: 0 });
    await client.expectClosed();
    expect(await api.call('POST', '/clients/c/subscribe', { topic: 't' })).toMatchObject({ status: 404 });
  });

  it('ends with unsubscribe, which is harmless without a subscription [broker]', async () => {
    const api = await startApi();
    const client = await api.connect('c');
    await subscribe(client, 't');
    for (let round = 0; round < 2; round += 1) {
      expect(await api.call('POST', '/clients/c/unsubscribe', { topic: 't' })).toMatchObject({ status: 204 });
    }
    await api.call('POST', '/publish', { topic: 't', payload: 'x' });
    await expectNothing(client);
  });
});
