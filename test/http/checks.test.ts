import { describe, expect, it } from 'vitest';

import { sharedApi } from './gateway.js';

describe('POST /key_expression/check', () => {
  const shared = sharedApi(async () => undefined);

  async function check(expression: string, message: object) {
    const { status, body } = await shared().call('POST', '/key_expression/check', { expression, message });
    expect(status).toBe(200);
    return body;
  }

  it.each([
    ['message.from', { clientid: 'c1' }, 'c1'],
    ['message.topic', { topic: 'a/b' }, 'a/b'],
    ['nth(2, tokens(message.topic, "/"))', { topic: 'a/b' }, 'b'],
    ['message.headers.properties.User-Property.key', { user_properties: { key: 'red' } }, 'red'],
    ['message.headers.properties.User-Property.key', { user_properties: [{ key: 'key', value: 'é' }] }, 'é'],
    ['message.headers.username', { username: 'u' }, 'u'],
    ['message.qos', { qos: 2 }, '2'],
  ])('gives the key that a queue would: %s of %j [broker]', async (expression, message, key) => {
    expect(await check(expression, message)).toEqual({ ok: true, key });
  });

  it('reads the payload [broker]', async () => {
    const body = await check('message.payload', { payload: 'text' });
    expect(body).toEqual({ ok: true, key: 'text' });
  });

  it('says what is wrong with the expression, and where [broker]', async () => {
    const body = await check('concat(message.topic', { topic: 'a' });
    expect(body).toMatchObject({ ok: false, error: { message: expect.any(String) as string } });
    expect(body.error.position).toBeGreaterThan(0);
    expect(await check('nothing(1)', {})).toMatchObject({ ok: false, error: { position: 0 } });
  });

  it('says when only this message has no key [broker]', async () => {
    const body = await check('message.headers.properties.User-Property.key', {});
    expect(body.ok).toBe(false);
    expect(body.error).not.toHaveProperty('position');
  });

  it.each([{ expression: 'x'.repeat(8193), message: {} }, { expression: 'message.topic' }, {}])(
    'refuses a body that is none %# [broker]',
    async (body) => {
      expect(await shared().call('POST', '/key_expression/check', body)).toMatchObject({ status: 400 });
    },
  );
});

describe('POST /topic_filter/check', () => {
  const shared = sharedApi(async () => undefined);

  it.each([
    ['jobs/#', ['jobs', 'jobs/1', 'job', 'jobs/1/2', '$SYS/x'], ['jobs', 'jobs/1', 'jobs/1/2']],
    ['#', ['a', '$SYS/x', '$own/x'], ['a']],
    ['$own/+', ['$own/x', 'own/x'], ['$own/x']],
    ['+/b', ['a/b', 'a/c', '#', 'a/+', ''], ['a/b']],
    ['a', [], []],
  ])('tells which topics a queue would store: %s of %j [broker]', async (filter, topics, matches) => {
    const { body } = await shared().call('POST', '/topic_filter/check', { filter, topics });
    expect(body).toEqual({ ok: true, matches });
  });

  it.each(['', 'a/#/b', '$share/g/x', '$q/x', '$SYS/x', 'a/'.repeat(200), 'x'.repeat(5000)])(
    'says what a queue cannot have as its filter: %s [broker]',
    async (filter) => {
      const { status, body } = await shared().call('POST', '/topic_filter/check', { filter });
      expect({ status, ok: body.ok }).toEqual({ status: 200, ok: false });
      expect(body.error.message).not.toBe('');
    },
  );
});
