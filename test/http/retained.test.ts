import { describe, expect, it } from 'vitest';

import { RowStore } from '../../src/shard/link.js';
import { expectNothing } from '../net/test-gateway.js';
import { startApi, subscribe } from './gateway.js';

type Started = Awaited<ReturnType<typeof startApi>>;

async function retain(api: Started, ...topics: string[]): Promise<void> {
  const messages = topics.map((topic) => ({ topic, payload: `of ${topic}`, retain: true, qos: 1 }));
  await api.call('POST', '/publish/bulk', messages);
}

async function topicsOf(api: Started, query: string): Promise<string[]> {
  const { body } = await api.call('GET', `/mqtt/retainer/messages${query}`);
  return body.data.map(({ topic }: { topic: string }) => topic);
}

describe('retained messages', () => {
  it('are listed in the order of their topics, by page and by filter [broker]', async () => {
    const api = await startApi();
    await retain(api, 'b/1', 'a/2', 'a/1', 'c');
    expect(await topicsOf(api, '')).toEqual(['a/1', 'a/2', 'b/1', 'c']);
    expect(await topicsOf(api, '?topic=a/%2B')).toEqual(['a/1', 'a/2']);
    expect(await topicsOf(api, '?topic=c')).toEqual(['c']);
    const { body } = await api.call('GET', '/mqtt/retainer/messages?page=2&limit=3');
    expect(body).toEqual({
      data: [{ topic: 'c', qos: 1, payload_size: 4 }],
      meta: { page: 2, limit: 3, count: 4, hasnext: false },
    });
    expect(await api.call('GET', '/mqtt/retainer/messages?topic=a%23')).toMatchObject({ status: 400 });
  });

  it('are shown whole [broker]', async () => {
    const api = await startApi();
    await api.call('POST', '/publish', {
      topic: 'devices/é',
      payload: '/w==',
      payload_encoding: 'base64',
      retain: true,
      properties: { content_type: 'x/y', message_expiry_interval: 60 },
    });
    const path = `/mqtt/retainer/message/${encodeURIComponent('devices/é')}`;
    const { body } = await api.call('GET', path);
    expect(body).toMatchObject({
      topic: 'devices/é',
      qos: 0,
      payload: '/w==',
      payload_size: 1,
      properties: { content_type: 'x/y' },
    });
    expect(body.message_expiry_interval).toBeGreaterThan(50);
  });

  it('are deleted for good, without a word to subscribers [broker]', async () => {
    const api = await startApi();
    await retain(api, 't/1', 't/2');
    const client = await api.connect('c');
    await subscribe(client, 'none/#');
    expect(await api.call('DELETE', '/mqtt/retainer/message/t%2F1')).toMatchObject({ status: 204 });
    expect(api.gatewayShards.rowsOf(0, RowStore.retained).size).toBe(1);
    expect(await topicsOf(api, '')).toEqual(['t/2']);
    for (const method of ['GET', 'DELETE'] as const) {
      expect(await api.call(method, '/mqtt/retainer/message/t%2F1')).toMatchObject({
        status: 404,
        body: { code: 'NOT_FOUND' },
      });
    }
    await expectNothing(client);
  });

  it('are all deleted, also when there are many [broker]', async () => {
    const api = await startApi();
    const topics = Array.from({ length: 700 }, (_, index) => `t/${index}`);
    await retain(api, ...topics);
    expect(api.gatewayShards.rowsOf(0, RowStore.retained).size).toBe(700);
    expect(await api.call('DELETE', '/mqtt/retainer/messages')).toMatchObject({ status: 204 });
    expect(api.gatewayShards.rowsOf(0, RowStore.retained).size).toBe(0);
    expect((await api.call('GET', '/mqtt/retainer/messages')).body.meta).toMatchObject({ count: 0 });
  });

  it('with a topic that begins with $ are deleted one by one and not with all [MQTT-4.7.2-1]', async () => {
    const api = await startApi();
    await retain(api, 't/1', '$own/1');
    expect(await api.call('DELETE', '/mqtt/retainer/messages')).toMatchObject({ status: 204 });
    expect(await topicsOf(api, '')).toEqual([]);
    expect(await topicsOf(api, '?topic=$own/%23')).toEqual(['$own/1']);
    expect(await api.call('DELETE', '/mqtt/retainer/message/%24own%2F1')).toMatchObject({ status: 204 });
    expect(await topicsOf(api, '?topic=$own/%23')).toEqual([]);
  });

  it('of the broker itself can be seen and not deleted [broker]', async () => {
    const api = await startApi();
    api.gateway.context.retained.setVolatile('$SYS/broker/version', Buffer.from('1'));
    expect(await topicsOf(api, '')).toEqual([]);
    expect(await topicsOf(api, '?topic=$SYS/%23')).toEqual(['$SYS/broker/version']);
    const path = `/mqtt/retainer/message/${encodeURIComponent('$SYS/broker/version')}`;
    expect((await api.call('GET', path)).body).toMatchObject({ payload: 'MQ==' });
    expect(await api.call('DELETE', path)).toMatchObject({ status: 404 });
  });

  it('that have expired are not shown [MQTT-3.3.2-5]', async () => {
    const api = await startApi({ env: { SLUICE_RETAINED_MAX: '10' } });
    const { retained, clock } = api.gateway.context;
    await api.call('POST', '/publish', {
      topic: 't',
      payload: 'x',
      retain: true,
      properties: { message_expiry_interval: 1 },
    });
    const end = clock.nowMs() + 1001;
    while (clock.nowMs() < end) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(retained.find('t')).toBeUndefined();
    expect(await topicsOf(api, '')).toEqual([]);
  });
});
