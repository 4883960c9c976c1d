import { describe, expect, it } from 'vitest';

import { PublishStatus } from '../../src/shard/link.js';
import { sharedApi, startApi, subscribe } from './gateway.js';

describe('POST /publish', () => {
  const shared = sharedApi(async () => undefined);

  it('reaches subscribers with all that it says [broker]', async () => {
    const api = await startApi();
    const client = await api.connect('c');
    await subscribe(client, 't/#', 2);
    const answer = await api.call('POST', '/publish', {
      topic: 't/1',
      payload: 'aGk=',
      payload_encoding: 'base64',
      qos: 2,
      properties: {
        payload_format_indicator: 1,
        message_expiry_interval: 60,
        response_topic: 'answer',
        correlation_data: 'id-1',
        content_type: 'text/plain',
        user_properties: [
          { key: 'k', value: '1' },
          { key: 'k', value: '2' },
        ],
      },
    });
    expect(answer.status).toBe(200);
    expect(answer.body.id).toMatch(/^[0-9A-F]{32}$/);
    const { topic, payload, qos, retain, properties } = await client.expect('publish');
    expect({ topic, payload: String(payload), qos, retain }).toEqual({
      topic: 't/1',
      payload: 'hi',
      qos: 2,
      retain: false,
    });
    expect(properties).toMatchObject({
      payloadFormatIndicator: true,
      responseTopic: 'answer',
      contentType: 'text/plain',
      userProperties: { k: ['1', '2'] },
    });
    expect(properties?.messageExpiryInterval).toBeGreaterThan(50);
    expect(String(properties?.correlationData)).toBe('id-1');
  });

  it('takes user properties as an object, as EMQX does [broker]', async () => {
    const api = await startApi();
    const client = await api.connect('c');
    await subscribe(client, 't');
    await api.call('POST', '/publish', {
      topic: 't',
      payload: '',
      properties: { user_properties: { a: '1', b: ['2', '3'] } },
    });
    const { properties } = await client.expect('publish');
    expect({ ...properties?.userProperties }).toEqual({ a: '1', b: ['2', '3'] });
  });

  it('without anybody to get the message answers 202 with the reason [MQTT-3.4.2-1]', async () => {
    const api = await startApi();
    expect(await api.call('POST', '/publish', { topic: 't', payload: 'x' })).toMatchObject({
      status: 202,
      body: { reason_code: 16, message: 'no_matching_subscribers' },
    });
  });

  it('is answered when every queue has the message, from whom it says [broker]', async () => {
    const api = await startApi();
    await api.call('POST', '/queues', { name: 'jobs', topic_filter: 'jobs/#', is_lastvalue: false });
    api.gatewayShards.mode = 'by-hand';
    let isAnswered = false;
    const answer = api
      .call('POST', '/publish', { topic: 'jobs/1', payload: 'x', qos: 1, clientid: 'me' })
      .finally(() => (isAnswered = true));
    while (api.gatewayShards.unsettledCount === 0) await new Promise(setImmediate);
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    expect(isAnswered).toBe(false);
    expect(api.gatewayShards.queue(1)).toMatchObject([{ topic: 'jobs/1', from: 'me' }]);
    api.gatewayShards.settle();
    expect(await answer).toMatchObject({ status: 200 });
  });

  it.each([
    ['storeError', 503, 'SERVICE_UNAVAILABLE'],
    ['shardDown', 503, 'SERVICE_UNAVAILABLE'],
    ['quotaExceeded', 429, 'QUOTA_EXCEEDED'],
    ['keyError', 400, 'BAD_REQUEST'],
  ] as const)('tells of a queue that does not have it: %s [broker]', async (status, code, word) => {
    const api = await startApi();
    await api.call('POST', '/queues', { name: 'jobs', topic_filter: 'jobs', is_lastvalue: false });
    api.gatewayShards.status = PublishStatus[status];
    expect(await api.call('POST', '/publish', { topic: 'jobs', payload: 'x' })).toMatchObject({
      status: code,
      body: { code: word },
    });
    expect(api.gateway.context.publisher.unfinishedCount).toBe(0);
  });

  it.each([
    [{ topic: 'a/+' }, 'topic'],
    [{ topic: '$SYS/x' }, 'topic'],
    [{ topic: '$share/g/x' }, 'topic'],
    [{ topic: 'a\u0000' }, 'topic'],
    [{ payload_encoding: 'base64', payload: 'a b' }, 'payload'],
    [{ payload_encoding: 'hex' }, 'payload_encoding'],
    [{ qos: 3 }, 'qos'],
    [{ clientid: 'a\nb' }, 'clientid'],
    [{ more: 1 }, 'more'],
    [{ properties: { response_topic: '#' } }, 'properties.response_topic'],
    [{ properties: { content_type: '\ud800' } }, 'properties.content_type'],
    [{ properties: { user_properties: { k: 'x'.repeat(65_536) } } }, 'properties.user_properties'],
    [{ properties: { topic_alias: 1 } }, 'properties.topic_alias'],
  ])('refuses %j [broker]', async (part, path) => {
    expect(await shared().call('POST', '/publish', { topic: 't', payload: 'x', ...part })).toMatchObject({
      status: 400,
      body: { code: 'BAD_REQUEST', message: { path } },
    });
  });

  it('refuses what a packet cannot hold, and what the limits of topics forbid [broker]', async () => {
    const api = await startApi({
      env: { SLUICE_MAX_PACKET_SIZE: '1KB', SLUICE_TOPIC_LEVELS_MAX: '3', SLUICE_RETAINED_MAX: '0' },
    });
    for (const [part, path] of [
      [{ payload: 'x'.repeat(2000) }, 'payload'],
      [{ topic: 'a/b/c/d' }, 'topic'],
      [{ retain: true }, 'retain'],
    ] as const) {
      expect(await api.call('POST', '/publish', { topic: 't', payload: 'x', ...part })).toMatchObject({
        status: 400,
        body: { message: { path } },
      });
    }
  });
});

describe('POST /publish/bulk', () => {
  it('publishes in order and answers for each message [broker]', async () => {
    const api = await startApi();
    const client = await api.connect('c');
    await subscribe(client, 't');
    const messages = [1, 2, 3].map((n) => ({ topic: 't', payload: `${n}` }));
    const { status, body } = await api.call('POST', '/publish/bulk', messages);
    expect(status).toBe(200);
    expect(body).toHaveLength(3);
    for (const n of [1, 2, 3]) expect(String((await client.expect('publish')).payload)).toBe(`${n}`);
  });

  it('answers 202 when some have no subscribers, 503 when some were not stored [broker]', async () => {
    const api = await startApi();
    await subscribe(await api.connect('c'), 't');
    await api.call('POST', '/queues', { name: 'jobs', topic_filter: 'jobs', is_lastvalue: false });
    const live = { topic: 't', payload: 'x' };
    expect(await api.call('POST', '/publish/bulk', [live, { topic: 'none', payload: 'x' }])).toMatchObject({
      status: 202,
      body: [{ id: expect.any(String) as string }, { reason_code: 16 }],
    });
    api.gatewayShards.status = PublishStatus.quotaExceeded;
    expect(await api.call('POST', '/publish/bulk', [live, { topic: 'jobs', payload: 'x' }])).toMatchObject({
      status: 503,
      body: {
        code: 'SERVICE_UNAVAILABLE',
        results: [{ id: expect.any(String) as string }, { reason_code: 0x97 }],
      },
    });
  });

  it('publishes nothing when one is malformed, and names it [broker]', async () => {
    const api = await startApi();
    const client = await api.connect('c');
    await subscribe(client, 't');
    const good = { topic: 't', payload: 'x' };
    for (const [bad, path] of [
      [{ topic: '#', payload: 'x' }, '1.topic'],
      [{ topic: 't' }, '1.payload'],
    ] as const) {
      expect(await api.call('POST', '/publish/bulk', [good, bad])).toMatchObject({
        status: 400,
        body: { message: { path } },
      });
    }
    expect(api.gateway.context.publisher.unfinishedCount).toBe(0);
    client.send({ cmd: 'pingreq' });
    await client.expect('pingresp');
  });

  it('of nothing publishes nothing [broker]', async () => {
    const api = await startApi();
    expect(await api.call('POST', '/publish/bulk', [])).toMatchObject({ status: 200, body: [] });
  });
});
