import { describe, expect, it } from 'vitest';

import { until } from '../harness/wait.js';
import { sharedApi, startApi, subscribe } from './gateway.js';

describe('clients', () => {
  const shared = sharedApi(async (api) => {
    await api.connect('a-1', { username: 'one' });
    await api.connect('a-2', { username: 'two', clean: false });
    await api.connect('b-1', { username: 'two', protocolVersion: 4 });
  });

  it('are shown with what is known of them [broker]', async () => {
    const api = await startApi();
    const client = await api.connect('worker-1', { username: 'u', keepalive: 60 });
    await subscribe(client, 'a/#', 1);
    const { status, body } = await api.call('GET', '/clients/worker-1');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      clientid: 'worker-1',
      username: 'u',
      connected: true,
      conn_state: 'connected',
      ip_address: '127.0.0.1',
      port: client.socket.localPort,
      proto_name: 'MQTT',
      proto_ver: 5,
      keepalive: 60,
      clean_start: true,
      expiry_interval: 0,
      durable: false,
      subscriptions_cnt: 1,
      inflight_cnt: 0,
      mqueue_len: 0,
      mountpoint: null,
      node: 'sluice',
    });
    expect(body.recv_oct).toBeGreaterThan(20);
    expect(body.send_oct).toBeGreaterThan(0);
    for (const time of [body.connected_at, body.created_at]) {
      expect(Math.abs(Date.now() - Date.parse(time))).toBeLessThan(60_000);
    }
    expect(body.disconnected_at).toBeUndefined();
  });

  it('that are away are shown by their session [broker]', async () => {
    const api = await startApi();
    const client = await api.connect('away', {
      username: 'u',
      properties: { sessionExpiryInterval: 100 },
    });
    client.send({ cmd: 'disconnect', reasonCode: 0 });
    await client.expectClosed();
    const { body } = await api.call('GET', '/clients/away');
    expect(body).toMatchObject({
      connected: false,
      conn_state: 'disconnected',
      expiry_interval: 100,
      durable: true,
    });
    expect(body).toHaveProperty('disconnected_at');
    for (const field of ['ip_address', 'connected_at', 'keepalive', 'recv_oct']) {
      expect(body).not.toHaveProperty(field);
    }
  });

  it.each([
    ['clientid=b-1', ['b-1']],
    ['clientid=b-1&clientid=a-2&clientid=none', ['b-1', 'a-2']],
    ['like_clientid=a-', ['a-1', 'a-2']],
    ['username=two', ['a-2', 'b-1']],
    ['like_username=ne', ['a-1']],
    ['proto_ver=4', ['b-1']],
    ['conn_state=connected', ['a-1', 'a-2', 'b-1']],
    ['conn_state=disconnected', []],
    ['conn_state=idle', []],
    ['ip_address=127.0.0.1', ['a-1', 'a-2', 'b-1']],
    ['ip_address=10.0.0.1', []],
    ['clean_start=false', ['a-2']],
    ['like_clientid=a-&proto_ver=5&username=two', ['a-2']],
  ])('are found by %s [broker]', async (query, wanted) => {
    const { body } = await shared().call('GET', `/clients?${query}`);
    expect(body.data.map(({ clientid }: { clientid: string }) => clientid)).toEqual(wanted);
    expect(body.meta).toEqual({ page: 1, limit: 100, count: wanted.length, hasnext: false });
  });

  it('come in pages, with and without a filter [broker]', async () => {
    const api = await startApi();
    const ids = Array.from({ length: 7 }, (_, index) => `c${index}`);
    for (const id of ids) await api.connect(id);
    for (const filter of ['', '&like_clientid=c']) {
      const seen: string[] = [];
      for (const [page, hasnext] of [
        [1, true],
        [2, true],
        [3, false],
      ] as const) {
        const { body } = await api.call('GET', `/clients?page=${page}&limit=3${filter}`);
        expect(body.meta).toEqual({ page, limit: 3, count: 7, hasnext });
        seen.push(...body.data.map(({ clientid }: { clientid: string }) => clientid));
      }
      expect(seen).toEqual(ids);
      const { body } = await api.call('GET', `/clients?page=9&limit=3${filter}`);
      expect(body).toEqual({ data: [], meta: { page: 9, limit: 3, count: 7, hasnext: false } });
    }
  });

  it('come in one long answer when that is asked for [broker]', async () => {
    const api = await startApi();
    const { registry } = api.gateway.context;
    for (let id = 0; id < 5000; id += 1) registry.open(`c${id}`, undefined, true, api.gateway.context);
    const { status, body } = await api.call('GET', '/clients?limit=10000&like_clientid=c');
    expect(status).toBe(200);
    expect(body.meta).toEqual({ page: 1, limit: 10_000, count: 5000, hasnext: false });
    expect(body.data).toHaveLength(5000);
    expect(body.data[4999]).toMatchObject({ clientid: 'c4999', connected: false });
  });

  it.each(['limit=0', 'limit=10001', 'page=0', 'proto_ver=6', 'conn_state=x', 'clean_start=1'])(
    'refuse %s [broker]',
    async (query) => {
      expect(await shared().call('GET', `/clients?${query}`)).toMatchObject({ status: 400 });
    },
  );

  it('that are not there are not found, whatever is asked of them [broker]', async () => {
    const api = await startApi();
    const topic = { topic: 't' };
    for (const [method, path, body] of [
      ['GET', '', undefined],
      ['DELETE', '', undefined],
      ['GET', '/subscriptions', undefined],
      ['POST', '/subscribe', topic],
      ['POST', '/unsubscribe', topic],
    ] as const) {
      expect(await api.call(method, `/clients/none${path}`, body), path).toMatchObject({
        status: 404,
        body: { code: 'CLIENTID_NOT_FOUND' },
      });
    }
  });

  it('are found by any client id that MQTT allows [broker]', async () => {
    const api = await startApi();
    const clientId = 'a/b c?d#é%41';
    await api.connect(clientId);
    const { body } = await api.call('GET', `/clients/${encodeURIComponent(clientId)}`);
    expect(body.clientid).toBe(clientId);
  });
});

describe('DELETE of a client', () => {
  it('ends its connection with 0x98, and its session with it [MQTT-3.14.4-1]', async () => {
    const api = await startApi();
    const client = await api.connect('c');
    expect(await api.call('DELETE', '/clients/c')).toMatchObject({ status: 204, body: undefined });
    expect(await client.expect('disconnect')).toMatchObject({ reasonCode: 0x98 });
    await client.expectClosed();
    await until(() => api.gateway.sessions.size === 0, 'the end of the session');
    expect(await api.call('GET', '/clients/c')).toMatchObject({ status: 404 });
  });

  it('leaves a session that outlives its connection, a second one ends it [broker]', async () => {
    const api = await startApi();
    await api.connect('c', { properties: { sessionExpiryInterval: 100 } });
    await api.call('DELETE', '/clients/c');
    expect((await api.call('GET', '/clients/c')).body).toMatchObject({ connected: false });
    expect(await api.call('DELETE', '/clients/c')).toMatchObject({ status: 204 });
    expect(await api.call('GET', '/clients/c')).toMatchObject({ status: 404 });
  });

  it('ends the session at once when that is asked for [broker]', async () => {
    const api = await startApi();
    await api.connect('c', { properties: { sessionExpiryInterval: 100 } });
    await api.call('DELETE', '/clients/c?discard_session=true');
    expect(await api.call('GET', '/clients/c')).toMatchObject({ status: 404 });
  });
});
