import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { message } from '../broker/fake-shards.js';
import { type Api, createApi } from './fixture.js';

let api: Api;
beforeEach(async () => {
  api = await createApi();
  await api.call('POST', '/queues', { name: 'jobs', topic_filter: 'jobs/#', is_lastvalue: false });
});
afterEach(() => api.close());

const jobs = '/message_queues/queues/jobs';

/** Puts messages into the queue `jobs`. */
function fill(messages: ReturnType<typeof message>[]): void {
  api.shards.messages.set(1, messages);
}

describe('stats', () => {
  it('tell depth, bytes, consumers, age, rates and counters [broker]', async () => {
    fill([message(0), message(1, { state: 'in-flight' }), message(2)]);
    expect(await api.call('GET', `${jobs}/stats`)).toMatchObject({
      status: 200,
      body: {
        name: 'jobs',
        ready: 2,
        ready_bytes: 18,
        in_flight: 1,
        messages: 3,
        bytes: 27,
        consumers: 0,
        oldest_age_ms: 1500,
        in_rate: 2.5,
        out_rate: 0,
        counters: {
          stored: 3,
          delivered: 11,
          acked: 12,
          rejected: 13,
          redelivered: 14,
          expired: 15,
          evicted: 16,
          overwritten: 17,
          refused: 18,
          key_errors: 19,
        },
      },
    });
  });
});

describe('consumers', () => {
  it('are shown with client id, in flight, window and counters; one that has just left is not [broker]', async () => {
    const counters = { window: 10, delivered: 5, acked: 3, rejected: 1 };
    api.shards.consumers.set(1, [
      { slot: 4, inFlight: 2, ...counters },
      { slot: 5, inFlight: 0, ...counters },
    ]);
    api.clients.set(4, 'worker-1');
    expect((await api.call('GET', `${jobs}/consumers`)).body).toEqual({
      data: [{ clientid: 'worker-1', in_flight: 2, ...counters }],
    });
  });
});

describe('messages', () => {
  it('are shown whole, with decoded properties in their order, and stay where they are [broker]', async () => {
    const properties = Buffer.concat([
      Buffer.from([0x01, 1]),
      pair('k', 'first'),
      text(0x03, 'application/json'),
      text(0x08, 'answer/here'),
      Buffer.from([0x09, 0, 3, 0, 1, 255]),
      pair('k', 'sécond'),
    ]);
    fill([
      message(7, {
        topicName: 'jobs/1',
        qos: 2,
        retain: true,
        deliveryAttempt: 3,
        state: 'in-flight',
        key: 'red',
        messageExpiryInterval: 60,
        properties,
        payload: Buffer.from('{"a":1}'),
      }),
    ]);
    const shown = {
      offset: 7,
      topic: 'jobs/1',
      from: 'publisher',
      qos: 2,
      retain: true,
      timestamp: 1_700_000_000_000,
      message_expiry_interval: 60,
      delivery_attempt: 3,
      state: 'in_flight',
      key: 'red',
      properties: {
        payload_format_indicator: 1,
        content_type: 'application/json',
        response_topic: 'answer/here',
        correlation_data: 'AAH/',
        user_properties: [
          { key: 'k', value: 'first' },
          { key: 'k', value: 'sécond' },
        ],
      },
      payload_size: 7,
    };
    for (let round = 0; round < 2; round += 1) {
      expect((await api.call('GET', `${jobs}/messages`)).body).toEqual({
        data: [{ ...shown, payload: 'eyJhIjoxfQ==', payload_encoding: 'base64' }],
        meta: { hasnext: false },
      });
    }
    expect((await api.call('GET', `${jobs}/messages?payload=text`)).body.data).toEqual([
      { ...shown, payload: '{"a":1}', payload_encoding: 'text' },
    ]);
  });

  it('come in base64 when they are no text, whatever was asked [broker]', async () => {
    fill([
      message(0, { payload: Buffer.from([0xff, 0xfe]) }),
      message(1, { payload: Buffer.from('\uFEFFa') }),
    ]);
    const { body } = await api.call('GET', `${jobs}/messages?payload=text`);
    expect(body.data).toMatchObject([
      { payload: '//4=', payload_encoding: 'base64', payload_size: 2 },
      { payload: '\uFEFFa', payload_encoding: 'text', payload_size: 4 },
    ]);
    expect(await api.call('GET', `${jobs}/messages?payload=hex`)).toMatchObject({ status: 400 });
  });

  it('are paged by a cursor without gaps or repeats [broker]', async () => {
    fill(Array.from({ length: 100 }, (_, i) => message(i * 3)));
    const seen: number[] = [];
    let query = 'limit=17';
    for (let pages = 0; pages < 10; pages += 1) {
      const { body } = await api.call('GET', `${jobs}/messages?${query}`);
      seen.push(...body.data.map(({ offset }: { offset: number }) => offset));
      if (!body.meta.hasnext) break;
      query = `limit=17&cursor=${body.meta.cursor}`;
    }
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i * 3));
  });

  it('end a page exactly at the last message without a cursor [broker]', async () => {
    fill(Array.from({ length: 16 }, (_, i) => message(i)));
    const { body } = await api.call('GET', `${jobs}/messages?limit=16`);
    expect(body.data).toHaveLength(16);
    expect(body.meta).toEqual({ hasnext: false });
  });

  it('end a page early when they are large, so that an answer stays bounded [broker]', async () => {
    const payload = Buffer.alloc(1024 * 1024);
    fill(Array.from({ length: 40 }, (_, i) => message(i, { payload })));
    const { body } = await api.call('GET', `${jobs}/messages?limit=1000`);
    expect(body.data).toHaveLength(16);
    expect(body.meta.hasnext).toBe(true);
    const { body: next } = await api.call('GET', `${jobs}/messages?limit=1&cursor=${body.meta.cursor}`);
    expect(next.data[0].offset).toBe(16);
  });

  it.each(['0', '1001', 'x'])('refuse limit=%s [broker]', async (limit) => {
    expect(await api.call('GET', `${jobs}/messages?limit=${limit}`)).toMatchObject({ status: 400 });
  });
});

describe('actions', () => {
  it('purge deletes all messages and tells how many [broker]', async () => {
    fill([message(0), message(1)]);
    expect(await api.call('POST', `${jobs}/purge`)).toMatchObject({ status: 200, body: { purged: 2 } });
    expect(await api.call('POST', `${jobs}/purge`)).toMatchObject({ status: 200, body: { purged: 0 } });
  });

  it('pause and resume answer the queue and reach its shard [broker]', async () => {
    for (const [action, paused] of [
      ['pause', true],
      ['pause', true],
      ['resume', false],
    ] as const) {
      expect(await api.call('POST', `${jobs}/${action}`)).toMatchObject({ status: 200, body: { paused } });
      expect(api.shards.stored.get(1)?.paused).toBe(paused);
    }
  });

  it('need no body, whatever the header says about it [broker]', async () => {
    for (const headers of [{}, { 'content-type': 'application/json' }]) {
      const request = { method: 'POST', url: `/api/v5${jobs}/purge`, headers } as const;
      expect(await api.send(request)).toMatchObject({ status: 200 });
    }
  });
});

describe('configuration', () => {
  it('answers 204 to a partial PUT and echoes values as given [queue-43]', async () => {
    const patch = { gc_interval: '2h', max_queue_count: 7, find_queue_retry_interval: '5s' };
    expect(await api.call('PUT', '/message_queues/config', patch)).toMatchObject({
      status: 204,
      body: undefined,
    });
    expect((await api.call('GET', '/message_queues/config')).body).toMatchObject(patch);
  });

  it('shows filled auto_create defaults with the key expression [queue-43]', async () => {
    await api.call('PUT', '/message_queues/config', { auto_create: { lastvalue: {} } });
    const { body } = await api.call('GET', '/message_queues/config');
    expect(body.auto_create).toMatchObject({
      regular: false,
      lastvalue: { key_expression: 'message.from', dispatch_strategy: 'random' },
    });
  });

  it.each([
    [{ gc_interval: '-10h' }, { path: 'gc_interval' }],
    [{ max_queue_count: 0 }, { path: 'max_queue_count' }],
    [{ nonsense: true }, { path: 'nonsense', reason: 'unknown field' }],
    [{ enable: 'maybe' }, { path: 'enable', reason: 'must be true, false or auto' }],
    [
      { auto_create: { regular: { name: 'x' } } },
      { path: 'auto_create.regular.name', reason: 'unknown field' },
    ],
    [{ auto_create: { regular: { key_expression: 'message.from' } } }, { reason: 'unknown field' }],
    [{ auto_create: { lastvalue: true } }, { path: 'auto_create.lastvalue' }],
    [
      { auto_create: { lastvalue: { dispatch_strategy: 'x' } } },
      { path: 'auto_create.lastvalue.dispatch_strategy' },
    ],
    [{ quota: { threshold_percentage: 101 } }, { path: 'quota.threshold_percentage' }],
  ])('answers 400 for %j [queue-43]', async (patch, detail) => {
    expect(await api.call('PUT', '/message_queues/config', patch)).toMatchObject({
      status: 400,
      body: { code: 'BAD_REQUEST', message: detail },
    });
  });

  it('answers 400 with the fixed text when both kinds would be auto-created [queue-43]', async () => {
    const patch = { auto_create: { regular: {}, lastvalue: {} } };
    expect((await api.call('PUT', '/message_queues/config', patch)).body).toEqual({
      code: 'BAD_REQUEST',
      message: 'Queues should be configured to be automatically created either as regular or lastvalue',
    });
  });

  it('cannot be switched off while there are queues [queue-62]', async () => {
    for (const enable of [false, 'false']) {
      expect((await api.call('PUT', '/message_queues/config', { enable })).body).toEqual({
        code: 'BAD_REQUEST',
        message: 'Cannot disable MQ subsystem via API when there are existing queues',
      });
    }
    expect(await api.call('GET', jobs)).toMatchObject({ status: 200 });
  });

  it('switches every queue endpoint to 503 "Not enabled" and back, and stays reachable itself [queue-62]', async () => {
    await api.call('DELETE', jobs);
    expect(await api.call('PUT', '/queues/config', { enable: false })).toMatchObject({ status: 204 });
    for (const [method, path, body] of [
      ['GET', '/queues', undefined],
      ['POST', '/queues', { topic_filter: 't' }],
      ['GET', '/queue/x', undefined],
      ['PUT', '/queue/x', {}],
      ['PATCH', '/queue/x', {}],
      ['DELETE', '/queue/x', undefined],
      ['GET', '/queue/x/stats', undefined],
      ['GET', '/queue/x/messages', undefined],
      ['GET', '/queue/x/consumers', undefined],
      ['POST', '/queue/x/purge', undefined],
      ['POST', '/queue/x/pause', undefined],
      ['POST', '/queue/x/resume', undefined],
    ] as const) {
      expect(await api.call(method, path, body), `${method} ${path}`).toMatchObject({
        status: 503,
        body: { code: 'SERVICE_UNAVAILABLE', message: 'Not enabled' },
      });
    }
    expect((await api.call('GET', '/queues/config')).body.enable).toBe(false);
    expect(await api.call('PUT', '/queues/config', { enable: true })).toMatchObject({ status: 204 });
    expect(await api.call('GET', '/queues')).toMatchObject({ status: 200 });
  });

  it('serves queues with enable: auto from the start [queue-62]', async () => {
    await api.call('PUT', '/queues/config', { enable: 'auto' });
    expect(await api.call('POST', '/queues', { topic_filter: 't' })).toMatchObject({ status: 200 });
  });
});

describe('operation', () => {
  it('answers the status with 200 while the broker runs, also while a shard is down [broker]', async () => {
    api.broker.nowMs = 4000;
    const running = { status: 'running', version: '0.0.0-test', uptime_ms: 3000, shards: 1 };
    expect(await api.call('GET', '/status')).toMatchObject({
      status: 200,
      body: { ...running, shards_up: 1 },
    });
    api.shards.killShard(0);
    expect(await api.call('GET', '/status')).toMatchObject({
      status: 200,
      body: { ...running, shards_up: 0 },
    });
  });

  it('answers the status with 503 while the broker starts and stops [broker]', async () => {
    for (const state of ['starting', 'draining'] as const) {
      api.broker.state = state;
      expect(await api.call('GET', '/status')).toMatchObject({
        status: 503,
        body: { status: state, code: 'SERVICE_UNAVAILABLE' },
      });
    }
  });

  it('lists shards and ends one on request, as a fault drill [broker]', async () => {
    expect((await api.call('GET', '/shards')).body).toEqual({
      data: [{ id: 0, state: 'up', restarts: 0, queues: 1, disk_bytes: 4096 }],
    });
    expect(await api.call('POST', '/shards/0/restart')).toMatchObject({ status: 202, body: { id: 0 } });
    expect(api.shards.killed).toEqual([0]);
    expect((await api.call('GET', '/shards')).body.data[0].state).toBe('down');
    expect(await api.call('POST', '/shards/1/restart')).toMatchObject({
      status: 404,
      body: { code: 'NOT_FOUND' },
    });
    expect(await api.call('POST', '/shards/x/restart')).toMatchObject({ status: 400 });
    expect(api.shards.killed).toEqual([0]);
  });
});

function text(identifier: number, value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([identifier, bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

function pair(key: string, value: string): Buffer {
  return Buffer.concat([text(0x26, key), text(0, value).subarray(1)]);
}
