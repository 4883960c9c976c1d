import { describe, expect, it } from 'vitest';

import { PublishStatus } from '../../src/shard/link.js';
import { message } from '../broker/fake-shards.js';
import { startApi, type StartedApi } from './gateway.js';

const waiting = (api: StartedApi) => (api.shards.messages.get(1) ?? []).map(({ offset }) => offset);
const arrived = (api: StartedApi) => api.gatewayShards.queue(2);

/** Queues `from` (1) and `to` (2), the first with `count` messages. */
async function start(count: number): Promise<StartedApi> {
  const api = await startApi();
  for (const name of ['from', 'to']) {
    await api.call('POST', '/queues', { name, topic_filter: `${name}/#`, is_lastvalue: false });
  }
  api.shards.messages.set(
    1,
    Array.from({ length: count }, (_, offset) => message(offset)),
  );
  return api;
}

describe('POST …/move', () => {
  it('moves all that waits, the oldest first, as it is [broker]', async () => {
    const api = await start(40);
    api.shards.messages.set(1, [
      message(3, {
        topicName: 'a/é',
        from: 'somebody',
        qos: 2,
        retain: true,
        messageExpiryInterval: 60,
        properties: Buffer.from([0x01, 1]),
        payload: Buffer.from([0, 255]),
      }),
      ...Array.from({ length: 39 }, (_, index) => message(4 + index)),
    ]);
    expect(await api.call('POST', '/queues/from/move', { to: 'to' })).toMatchObject({
      status: 200,
      body: { moved: 40 },
    });
    expect(waiting(api)).toEqual([]);
    expect(arrived(api)).toHaveLength(40);
    expect(arrived(api)[0]).toMatchObject({
      topic: 'a/é',
      from: 'somebody',
      flags: 2 | 4,
      messageExpiryInterval: 60,
      properties: Buffer.from([0x01, 1]),
      payload: Buffer.from([0, 255]),
    });
    expect(arrived(api).map(({ payload }) => String(payload))[39]).toBe('payload-42');
  });

  it('moves no more than is asked for, and nothing that is in flight [broker]', async () => {
    const api = await start(6);
    api.shards.messages.set(1, [
      message(0, { state: 'in-flight' }),
      ...[1, 2, 3, 4, 5].map((offset) => message(offset)),
    ]);
    expect((await api.call('POST', '/queues/from/move', { to: 'to', count: 2 })).body).toEqual({ moved: 2 });
    expect(waiting(api)).toEqual([0, 3, 4, 5]);
    expect((await api.call('POST', '/queues/from/move', { to: 'to' })).body).toEqual({ moved: 3 });
    expect(waiting(api)).toEqual([0]);
  });

  it('stores each step before it ends it, in a queue that is held meanwhile [broker]', async () => {
    const api = await start(3);
    api.gatewayShards.mode = 'by-hand';
    const answer = api.call('POST', '/queues/from/move', { to: 'to' });
    while (api.gatewayShards.unsettledCount < 3) await new Promise(setImmediate);
    for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
    expect(waiting(api)).toEqual([0, 1, 2]);
    api.gatewayShards.settle();
    expect((await answer).body).toEqual({ moved: 3 });
    const calls = api.shards.calls.filter((call) => !call.startsWith('create') && !call.startsWith('stats'));
    expect(calls).toEqual(['hold from', 'peek from', 'discard from', 'release from']);
  });

  it.each([
    ['quotaExceeded', 429, 'QUOTA_EXCEEDED'],
    ['keyError', 400, 'BAD_REQUEST'],
    ['storeError', 503, 'SERVICE_UNAVAILABLE'],
    ['shardDown', 503, 'SERVICE_UNAVAILABLE'],
  ] as const)(
    'ends when the other queue refuses, with what was stored moved: %s [broker]',
    async (status, code, word) => {
      const api = await start(3);
      api.gatewayShards.mode = 'by-hand';
      const answer = api.call('POST', '/queues/from/move', { to: 'to' });
      while (api.gatewayShards.unsettledCount < 3) await new Promise(setImmediate);
      api.gatewayShards.settle(1);
      api.gatewayShards.settle(2, PublishStatus[status]);
      const { status: given, body } = await answer;
      expect({ given, code: body.code }).toEqual({ given: code, code: word });
      expect(body.message).toContain('1 messages were moved');
      expect(waiting(api)).toEqual([1, 2]);
      expect(api.shards.calls.at(-1)).toBe('release from');
    },
  );

  it('lets go of the queue when its shard fails [broker]', async () => {
    const api = await start(3);
    api.shards.fail('discard');
    expect(await api.call('POST', '/queues/from/move', { to: 'to' })).toMatchObject({
      status: 503,
      body: { code: 'SERVICE_UNAVAILABLE' },
    });
    expect(api.shards.calls.at(-1)).toBe('release from');
  });

  it('refuses what makes no sense [broker]', async () => {
    const api = await start(1);
    for (const [path, body, status] of [
      ['/queues/from/move', { to: 'from' }, 400],
      ['/queues/from/move', {}, 400],
      ['/queues/from/move', { to: 'to', count: 0 }, 400],
      ['/queues/from/move', { to: 'none' }, 404],
      ['/queues/none/move', { to: 'to' }, 404],
    ] as const) {
      expect(await api.call('POST', path, body), path).toMatchObject({ status });
    }
  });

  it('in both directions at once ends both ways [broker]', async () => {
    const api = await start(2);
    const both = await Promise.all([
      api.call('POST', '/queues/from/move', { to: 'to' }),
      api.call('POST', '/queues/to/move', { to: 'from' }),
    ]);
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
  });
});
