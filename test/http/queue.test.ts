import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type Api, createApi } from './fixture.js';

let api: Api;
beforeEach(async () => {
  api = await createApi();
});
afterEach(() => api.close());

const queues = '/message_queues/queues';
const regular = { name: 'jobs', topic_filter: 'jobs/#', is_lastvalue: false };
const notFound = { code: 'NOT_FOUND', message: 'Message queue not found' };

function item(text: string): string {
  return `${queues}/${encodeURIComponent(text)}`;
}

describe('create, read, update, delete', () => {
  it('lists nothing as {data:[], meta:{hasnext:false}} [queue-40]', async () => {
    expect(await api.call('GET', queues)).toMatchObject({
      status: 200,
      body: { data: [], meta: { hasnext: false } },
    });
    expect((await api.call('GET', queues)).body.meta).toEqual({ hasnext: false });
  });

  it('answers 404 NOT_FOUND for unknown and for strange names, with every method [queue-40]', async () => {
    for (const name of ['nothing', '/t/#', '#', ' ', '%', 'a/b/c', '\u{1f600}', 'x'.repeat(8000)]) {
      for (const method of ['GET', 'DELETE'] as const) {
        expect(await api.call(method, item(name)), name).toMatchObject({ status: 404, body: notFound });
      }
      for (const method of ['PUT', 'PATCH'] as const) {
        expect(await api.call(method, item(name), {}), name).toMatchObject({ status: 404, body: notFound });
      }
    }
    for (const sub of ['stats', 'messages', 'consumers']) {
      expect(await api.call('GET', `${item('x')}/${sub}`)).toMatchObject({ status: 404, body: notFound });
    }
    for (const sub of ['purge', 'pause', 'resume']) {
      expect(await api.call('POST', `${item('x')}/${sub}`)).toMatchObject({ status: 404, body: notFound });
    }
  });

  it('creates with 200 and answers the whole object with its defaults, without the internal id [queue-40]', async () => {
    const created = await api.call('POST', queues, { name: 'q', topic_filter: 't/#', ping_interval: 9999 });
    expect(created.status).toBe(200);
    expect(created.body).toEqual({
      name: 'q',
      topic_filter: 't/#',
      is_lastvalue: true,
      key_expression: 'message.from',
      on_key_error: 'drop',
      dispatch_strategy: 'random',
      data_retention_period: 604_800_000,
      limits: { max_shard_message_count: 'infinity', max_shard_message_bytes: 'infinity' },
      max_messages: 'infinity',
      max_bytes: 'infinity',
      overflow: 'drop_oldest',
      local_max_inflight: 10,
      fast_max_inflight: 200,
      redispatch_interval: 100,
      stream_max_buffer_size: 2000,
      stream_max_unacked: 1000,
      busy_session_retry_interval: 100,
      ping_interval: 9999,
      consumer_max_inactive: 30_000,
      consumer_persistence_interval: 10_000,
      paused: false,
    });
    expect((await api.call('GET', item('q'))).body).toEqual(created.body);
    expect((await api.call('GET', queues)).body.data).toEqual([created.body]);
  });

  it('keeps a window that is given alone to the letter, and one of fast consumers beside it [broker]', async () => {
    const windows = async (method: 'PUT' | 'PATCH', body: object) => {
      const answer = await api.call(method, item('w'), body);
      return [answer.status, answer.body.local_max_inflight, answer.body.fast_max_inflight];
    };
    const created = await api.call('POST', queues, { ...regular, name: 'w', local_max_inflight: 10 });
    expect(created.body).toMatchObject({ local_max_inflight: 10, fast_max_inflight: 10 });
    expect(await windows('PATCH', { fast_max_inflight: 50 })).toEqual([200, 10, 50]);
    expect(await windows('PATCH', { paused: false })).toEqual([200, 10, 50]);
    expect(await windows('PATCH', { local_max_inflight: 20 })).toEqual([200, 20, 20]);
    expect(await windows('PATCH', { local_max_inflight: 5, fast_max_inflight: 6 })).toEqual([200, 5, 6]);
    expect(await windows('PATCH', { fast_max_inflight: 4 })).toEqual([400, undefined, undefined]);
    expect(await windows('PUT', {})).toEqual([200, 10, 200]);
    expect(await windows('PUT', { local_max_inflight: 300 })).toEqual([200, 300, 300]);
  });

  it('shows no key expression for a regular queue [queue-40]', async () => {
    const { body } = await api.call('POST', queues, regular);
    expect(body).not.toHaveProperty('key_expression');
    expect(body).not.toHaveProperty('on_key_error');
  });

  it('creates a queue without a name, as the first EMQX version with queues did [queue-67]', async () => {
    const body = { topic_filter: 'jobs', dispatch_strategy: 'least_inflight', is_lastvalue: false };
    expect(await api.call('POST', queues, body)).toMatchObject({
      status: 200,
      body: { name: '/jobs', ...body },
    });
  });

  it('reads durations and sizes as texts and answers numbers [queue-40]', async () => {
    const { body } = await api.call('POST', queues, {
      topic_filter: 't',
      data_retention_period: '1h30m',
      ping_interval: '5s',
      redispatch_interval: 0,
      limits: { max_shard_message_bytes: '100MB', max_shard_message_count: 7 },
      max_bytes: '1GB',
      max_messages: 12,
    });
    expect(body).toMatchObject({
      data_retention_period: 5_400_000,
      ping_interval: 5000,
      redispatch_interval: 0,
      limits: { max_shard_message_bytes: 104_857_600, max_shard_message_count: 7 },
      max_bytes: 1_073_741_824,
      max_messages: 12,
    });
  });

  it('replaces with 200 and resets what is left out to its default [queue-40]', async () => {
    await api.call('POST', queues, {
      name: 'q',
      topic_filter: 't',
      key_expression: 'message.topic',
      data_retention_period: '1d',
      max_messages: 5,
      limits: { max_shard_message_count: 9 },
    });
    expect(await api.call('PUT', item('q'), { ping_interval: 10_000 })).toMatchObject({
      status: 200,
      body: {
        is_lastvalue: true,
        key_expression: 'message.from',
        data_retention_period: 604_800_000,
        max_messages: 'infinity',
        limits: { max_shard_message_count: 'infinity' },
        ping_interval: 10_000,
      },
    });
  });

  it('leaves is_lastvalue and paused alone when a PUT does not name them [broker]', async () => {
    await api.call('POST', queues, regular);
    await api.call('POST', `${item('jobs')}/pause`);
    expect(await api.call('PUT', item('jobs'), { dispatch_strategy: 'round_robin' })).toMatchObject({
      status: 200,
      body: { is_lastvalue: false, paused: true, dispatch_strategy: 'round_robin' },
    });
    expect((await api.call('PUT', item('jobs'), { paused: false })).body.paused).toBe(false);
  });

  it('deletes with 204 and an empty body, then answers 404 [queue-40]', async () => {
    await api.call('POST', queues, regular);
    expect(await api.call('DELETE', item('jobs'))).toMatchObject({ status: 204, body: undefined });
    expect(await api.call('DELETE', item('jobs'))).toMatchObject({ status: 404, body: notFound });
    expect(await api.call('GET', item('jobs'))).toMatchObject({ status: 404, body: notFound });
  });

  it('changes with PATCH only what is named, also inside limits [broker]', async () => {
    const { body: before } = await api.call('POST', queues, {
      name: 'q',
      topic_filter: 't',
      data_retention_period: '1d',
      limits: { max_shard_message_count: 9, max_shard_message_bytes: '1KB' },
    });
    expect(await api.call('PATCH', item('q'), { limits: { max_shard_message_count: 10 } })).toMatchObject({
      status: 200,
      body: { ...before, limits: { max_shard_message_count: 10, max_shard_message_bytes: 1024 } },
    });
    expect((await api.call('PATCH', item('q'), {})).body).toMatchObject({
      data_retention_period: 86_400_000,
    });
  });

  it('refuses a duplicate name with 400 ALREADY_EXISTS [queue-40]', async () => {
    await api.call('POST', queues, regular);
    expect(await api.call('POST', queues, regular)).toMatchObject({
      status: 400,
      body: { code: 'ALREADY_EXISTS', message: 'Message queue already exists' },
    });
  });

  it('reaches a nameless queue by /filter and by the bare filter, and refuses such a name in POST [queue-41]', async () => {
    expect(await api.call('POST', queues, { name: '/t/1', topic_filter: 't/1' })).toMatchObject({
      status: 400,
      body: { code: 'BAD_REQUEST' },
    });
    await api.call('POST', queues, { topic_filter: 't/#' });
    for (const text of ['/t/#', 't/#']) {
      expect(await api.call('GET', item(text))).toMatchObject({ status: 200, body: { name: '/t/#' } });
      expect(await api.call('PUT', item(text), { ping_interval: 5 })).toMatchObject({ status: 200 });
      expect(await api.call('GET', `${item(text)}/stats`)).toMatchObject({
        status: 200,
        body: { name: '/t/#' },
      });
    }
    expect(await api.call('DELETE', item('t/#'))).toMatchObject({ status: 204 });
  });

  it('changes and deletes a nameless last-value queue, and the list is empty again [queue-49]', async () => {
    await api.call('POST', queues, { topic_filter: 't/#' });
    expect(await api.call('PUT', item('/t/#'), { key_expression: 'message.topic' })).toMatchObject({
      status: 200,
      body: { key_expression: 'message.topic' },
    });
    expect(await api.call('DELETE', item('/t/#'))).toMatchObject({ status: 204 });
    expect((await api.call('GET', queues)).body.data).toEqual([]);
  });

  it('makes a last-value queue keyed by publisher from name and filter alone [queue-47]', async () => {
    expect((await api.call('POST', queues, { name: 'q', topic_filter: 't' })).body).toMatchObject({
      is_lastvalue: true,
      key_expression: 'message.from',
    });
  });

  it('answers 503 when the storage fails, and leaves nothing behind [queue-44]', async () => {
    api.shards.fail('create');
    expect(await api.call('POST', queues, regular)).toMatchObject({
      status: 503,
      body: { code: 'SERVICE_UNAVAILABLE', message: 'shard 0 is down' },
    });
    expect((await api.call('GET', queues)).body.data).toEqual([]);
    await api.call('POST', queues, regular);
    for (const [call, method, path] of [
      ['update', 'PUT', ''],
      ['update', 'PATCH', ''],
      ['delete', 'DELETE', ''],
      ['purge', 'POST', '/purge'],
      ['update', 'POST', '/pause'],
      ['stats', 'GET', '/stats'],
      ['consumers', 'GET', '/consumers'],
      ['peek', 'GET', '/messages'],
    ] as const) {
      api.shards.fail(call);
      const body = method === 'PUT' || method === 'PATCH' ? {} : undefined;
      expect(await api.call(method, `${item('jobs')}${path}`, body), call).toMatchObject({
        status: 503,
        body: { code: 'SERVICE_UNAVAILABLE' },
      });
    }
    expect(await api.call('GET', item('jobs'))).toMatchObject({ status: 200 });
  });

  it('answers 500 without a detail for a fault of our own, and logs it [broker]', async () => {
    await api.call('POST', queues, regular);
    api.shards.fail('stats', new TypeError('secret detail'));
    const answer = await api.call('GET', `${item('jobs')}/stats`);
    expect(answer).toMatchObject({ status: 500, body: { code: 'INTERNAL_ERROR' } });
    expect(JSON.stringify(answer.body)).not.toContain('secret');
    expect(api.logged.join()).toContain('secret detail');
  });
});

describe('kinds and limits', () => {
  const kindIsFixed = {
    status: 400,
    body: { code: 'BAD_REQUEST', message: 'LastValue flag is not allowed to be updated' },
  };
  const limitsAreFixed = {
    status: 400,
    body: {
      code: 'BAD_REQUEST',
      message: 'Regular queues cannot be updated from limited to unlimited and vice versa',
    },
  };

  it('refuses a key expression for a regular queue in POST, PUT and PATCH [queue-45]', async () => {
    const key = { key_expression: 'message.from' };
    expect(await api.call('POST', queues, { ...regular, ...key })).toMatchObject({ status: 400 });
    await api.call('POST', queues, regular);
    for (const method of ['PUT', 'PATCH'] as const) {
      expect(await api.call(method, item('jobs'), key)).toMatchObject({
        status: 400,
        body: { code: 'BAD_REQUEST', message: { path: 'key_expression' } },
      });
      expect(await api.call(method, item('jobs'), { ...key, is_lastvalue: false })).toMatchObject({
        status: 400,
      });
      expect(await api.call(method, item('jobs'), { on_key_error: 'drop' })).toMatchObject({ status: 400 });
    }
  });

  it('refuses to change the kind in either direction [queue-45]', async () => {
    await api.call('POST', queues, regular);
    await api.call('POST', queues, { name: 'last', topic_filter: 't' });
    for (const method of ['PUT', 'PATCH'] as const) {
      expect(await api.call(method, item('jobs'), { is_lastvalue: true })).toMatchObject(kindIsFixed);
      expect(await api.call(method, item('last'), { is_lastvalue: false })).toMatchObject(kindIsFixed);
      expect(await api.call(method, item('jobs'), { is_lastvalue: false })).toMatchObject({ status: 200 });
      expect(await api.call(method, item('last'), { is_lastvalue: true })).toMatchObject({ status: 200 });
    }
  });

  it.each(['nope(', 'unknown_function(message.from)', 'lower()', 'message.nothing', '', "'open"])(
    'refuses the key expression %j at creation and on change [queue-45]',
    async (expression) => {
      const body = { name: 'q', topic_filter: 't', key_expression: expression };
      expect(await api.call('POST', queues, body)).toMatchObject({
        status: 400,
        body: { code: 'BAD_REQUEST', message: { path: 'key_expression' } },
      });
      await api.call('POST', queues, { ...body, key_expression: 'message.topic' });
      expect(await api.call('PUT', item('q'), { key_expression: expression })).toMatchObject({ status: 400 });
      expect((await api.call('GET', item('q'))).body.key_expression).toBe('message.topic');
    },
  );

  it('refuses limited to unlimited and back for regular queues, also by leaving limits out [queue-46]', async () => {
    const limits = { max_shard_message_count: 5 };
    await api.call('POST', queues, regular);
    await api.call('POST', queues, { ...regular, name: 'limited', limits });
    for (const method of ['PUT', 'PATCH'] as const) {
      expect(await api.call(method, item('jobs'), { limits })).toMatchObject(limitsAreFixed);
      const open = { limits: { max_shard_message_count: 'infinity' } };
      expect(await api.call(method, item('limited'), open)).toMatchObject(limitsAreFixed);
      const other = { limits: { max_shard_message_count: 'infinity', max_shard_message_bytes: '1MB' } };
      expect(await api.call(method, item('limited'), other)).toMatchObject({ status: 200 });
      expect(await api.call(method, item('limited'), { limits })).toMatchObject({ status: 200 });
    }
    expect(await api.call('PUT', item('limited'), {})).toMatchObject(limitsAreFixed);
    expect(await api.call('PATCH', item('limited'), {})).toMatchObject({ status: 200 });
  });

  it('takes limits in both directions for last-value queues [queue-46]', async () => {
    await api.call('POST', queues, { name: 'q', topic_filter: 't' });
    const limited = await api.call('PUT', item('q'), { limits: { max_shard_message_count: 5 } });
    expect(limited.body.limits.max_shard_message_count).toBe(5);
    const unlimited = await api.call('PUT', item('q'), {});
    expect(unlimited.body.limits.max_shard_message_count).toBe('infinity');
  });

  it('answers 400 MAX_QUEUE_COUNT_REACHED for the sixth of five queues [queue-48]', async () => {
    await api.call('PUT', '/message_queues/config', { max_queue_count: 5 });
    for (let i = 1; i <= 5; i += 1) {
      expect(await api.call('POST', queues, { topic_filter: `t/${i}` })).toMatchObject({ status: 200 });
    }
    expect(await api.call('POST', queues, { topic_filter: 't/6' })).toMatchObject({
      status: 400,
      body: { code: 'MAX_QUEUE_COUNT_REACHED', message: 'Max queue count reached' },
    });
  });
});

describe('validation', () => {
  it.each([
    [{}, 'topic_filter', 'is required'],
    [{ topic_filter: 't', nonsense: 1 }, 'nonsense', 'unknown field'],
    [{ topic_filter: 't', id: 7 }, 'id', 'unknown field'],
    [{ topic_filter: 't', limits: { x: 1 } }, 'limits.x', 'unknown field'],
    [{ topic_filter: 5 }, 'topic_filter', 'string'],
    [{ topic_filter: null }, 'topic_filter', 'string'],
    [{ topic_filter: 't', is_lastvalue: 'true' }, 'is_lastvalue', 'boolean'],
    [
      { topic_filter: 't', dispatch_strategy: 'fastest' },
      'dispatch_strategy',
      'random, round_robin, least_inflight',
    ],
    [{ topic_filter: 't', data_retention_period: -1 }, 'data_retention_period', 'whole milliseconds'],
    [{ topic_filter: 't', data_retention_period: 1.5 }, 'data_retention_period', 'whole milliseconds'],
    [{ topic_filter: 't', data_retention_period: true }, 'data_retention_period', 'whole milliseconds'],
    [{ topic_filter: 't', data_retention_period: '-10h' }, 'data_retention_period', 'not a duration'],
    [{ topic_filter: 't', data_retention_period: '10 parsecs' }, 'data_retention_period', 'not a duration'],
    [{ topic_filter: 't', data_retention_period: 0 }, 'data_retention_period', 'not within'],
    [{ topic_filter: 't', data_retention_period: '900000d' }, 'data_retention_period', 'not within'],
    [{ topic_filter: 't', ping_interval: '25d' }, 'ping_interval', 'not within'],
    [{ topic_filter: 't', local_max_inflight: 0 }, 'local_max_inflight', '1'],
    [{ topic_filter: 't', local_max_inflight: 65_536 }, 'local_max_inflight', '65535'],
    [{ topic_filter: 't', local_max_inflight: '10' }, 'local_max_inflight', 'integer'],
    [{ topic_filter: 't', fast_max_inflight: 9 }, 'fast_max_inflight', 'less than local_max_inflight'],
    [{ topic_filter: 't', fast_max_inflight: 65_536 }, 'fast_max_inflight', '65535'],
    [{ topic_filter: 't', max_messages: 0 }, 'max_messages', 'infinity'],
    [{ topic_filter: 't', max_messages: 'many' }, 'max_messages', 'infinity'],
    [{ topic_filter: 't', max_bytes: '1XB' }, 'max_bytes', 'not a size'],
    [{ topic_filter: 't', max_bytes: 0 }, 'max_bytes', 'at least 1'],
    [{ topic_filter: 't', max_bytes: '0KB' }, 'max_bytes', 'less than 1'],
    [
      { topic_filter: 't', limits: { max_shard_message_count: '5' } },
      'limits.max_shard_message_count',
      'infinity',
    ],
    [
      { topic_filter: 't', limits: { max_shard_message_bytes: 'x' } },
      'limits.max_shard_message_bytes',
      'not a size',
    ],
    [{ topic_filter: 't', overflow: 'explode' }, 'overflow', 'drop_oldest, reject_publish'],
    [{ topic_filter: 't', paused: 1 }, 'paused', 'boolean'],
    [[], '', 'object'],
  ])('answers 400 for %j and names %j [queue-40]', async (body, path, reason) => {
    expect(await api.call('POST', queues, body)).toMatchObject({
      status: 400,
      body: {
        code: 'BAD_REQUEST',
        message: { kind: 'validation_error', path, reason: expect.stringContaining(reason) as string },
      },
    });
    expect(api.shards.calls).toEqual([]);
  });

  it('refuses name and topic_filter in PUT and PATCH as unknown fields [queue-40]', async () => {
    await api.call('POST', queues, regular);
    for (const method of ['PUT', 'PATCH'] as const) {
      for (const field of ['name', 'topic_filter']) {
        expect(await api.call(method, item('jobs'), { [field]: 'x' })).toMatchObject({
          status: 400,
          body: { message: { path: field, reason: 'unknown field' } },
        });
      }
    }
  });

  it('refuses topic filters that are none, which EMQX takes [queue-40]', async () => {
    for (const filter of ['', 'a/#/b', '$share/g/t', '$q/t', '$queue/t', '$SYS/#']) {
      expect(await api.call('POST', queues, { topic_filter: filter }), filter).toMatchObject({
        status: 400,
        body: { message: { path: 'topic_filter' } },
      });
    }
  });
});

describe('pages', () => {
  async function createTen(): Promise<void> {
    for (let i = 0; i < 10; i += 1)
      await api.call('POST', queues, { name: `q${9 - i}`, topic_filter: `t/${i}` });
  }
  async function page(query: string) {
    const { status, body } = await api.call('GET', `${queues}?${query}`);
    expect(status).toBe(200);
    return body as { data: { topic_filter: string }[]; meta: { hasnext: boolean; cursor?: string } };
  }

  it('cuts ten queues into 6 and 4, and into 4, 4 and 2 [queue-42]', async () => {
    await createTen();
    const first = await page('limit=6');
    expect(first.data).toHaveLength(6);
    expect(first.meta).toEqual({ hasnext: true, cursor: expect.stringMatching(/^[0-9A-Za-z]+$/) as string });
    const rest = await page(`limit=6&cursor=${first.meta.cursor}`);
    expect(rest.data).toHaveLength(4);
    expect(rest.meta).toEqual({ hasnext: false });
    const exact = await page(`limit=4&cursor=${first.meta.cursor}`);
    expect(exact.data).toHaveLength(4);
    expect(exact.meta).toEqual({ hasnext: false });
    expect([...first.data, ...rest.data].map(({ topic_filter }) => topic_filter)).toEqual(
      Array.from({ length: 10 }, (_, i) => `t/${i}`),
    );
  });

  it('orders by the words of the filter, then by age, whatever the names and times [queue-42]', async () => {
    const filters = ['b', 'a/b/c', 'a-b', 'a/b', 'a', 'a/+', 'a/b', '/a', '#'];
    for (const [i, filter] of filters.entries()) {
      await api.call('POST', queues, { name: `q${i}`, topic_filter: filter });
    }
    const { data } = await page('limit=100');
    expect(data.map(({ topic_filter }) => topic_filter)).toEqual([
      '/a',
      '#',
      'a',
      'a/+',
      'a/b',
      'a/b',
      'a/b/c',
      'a-b',
      'b',
    ]);
    expect(data.filter(({ topic_filter }) => topic_filter === 'a/b')).toMatchObject([
      { name: 'q3' },
      { name: 'q6' },
    ]);
  });

  it('neither repeats nor skips when queues come and go between two pages [queue-42]', async () => {
    await createTen();
    const first = await page('limit=5');
    await api.call('DELETE', item('q5'));
    await api.call('POST', queues, { name: 'new', topic_filter: 't/00' });
    await api.call('POST', queues, { name: 'newer', topic_filter: 't/99' });
    const rest = await page(`cursor=${first.meta.cursor}`);
    expect(rest.data.map(({ topic_filter }) => topic_filter)).toEqual([
      't/5',
      't/6',
      't/7',
      't/8',
      't/9',
      't/99',
    ]);
  });

  it.each(['x', '!', '', '0', '1', 'zzzzzzzz', '%00', 'x'.repeat(9000), 'LongButNotOneOfOurs'])(
    'answers 400 "Invalid cursor" for %j [queue-42]',
    async (cursor) => {
      for (const path of [queues, `${item('jobs')}/messages`]) {
        await api.call('POST', queues, regular);
        expect(await api.call('GET', `${path}?cursor=${cursor}`)).toMatchObject({
          status: 400,
          body: { code: 'BAD_REQUEST', message: 'Invalid cursor' },
        });
      }
    },
  );

  it('refuses the cursor of another list [queue-42]', async () => {
    await createTen();
    const { meta } = await page('limit=1');
    expect(await api.call('GET', `${item('q1')}/messages?cursor=${meta.cursor}`)).toMatchObject({
      body: { message: 'Invalid cursor' },
    });
  });

  it.each(['0', '-1', '10001', 'x', '1.5', '1e3', ''])('refuses limit=%s [queue-42]', async (limit) => {
    expect(await api.call('GET', `${queues}?limit=${limit}`)).toMatchObject({
      status: 400,
      body: { code: 'BAD_REQUEST', message: { path: 'limit' } },
    });
  });
});

describe('aliases', () => {
  it('serve the same queues under the short paths [queue-50]', async () => {
    expect(await api.call('POST', '/queues', regular)).toMatchObject({ status: 200 });
    for (const path of [item('jobs'), '/queue/jobs', '/queues/jobs']) {
      expect(await api.call('GET', path), path).toMatchObject({ status: 200, body: { name: 'jobs' } });
      expect(await api.call('PUT', path, { ping_interval: 5 }), path).toMatchObject({ status: 200 });
      expect(await api.call('PATCH', path, { ping_interval: 6 }), path).toMatchObject({ status: 200 });
      expect(await api.call('GET', `${path}/stats`), path).toMatchObject({ status: 200 });
    }
    expect((await api.call('GET', '/queues')).body).toEqual((await api.call('GET', queues)).body);
    expect(await api.call('DELETE', '/queue/jobs')).toMatchObject({ status: 204 });
    expect((await api.call('GET', queues)).body.data).toEqual([]);
  });

  it('serve the same configuration [queue-50]', async () => {
    expect(await api.call('PUT', '/queues/config', { gc_interval: '2h' })).toMatchObject({ status: 204 });
    for (const path of ['/queues/config', '/message_queues/config']) {
      expect((await api.call('GET', path)).body.gc_interval).toBe('2h');
    }
  });

  it('reach a queue that is called config by the other item paths [broker]', async () => {
    await api.call('POST', queues, { ...regular, name: 'config' });
    expect((await api.call('GET', '/queue/config')).body.name).toBe('config');
    expect((await api.call('GET', item('config'))).body.name).toBe('config');
    expect((await api.call('GET', '/queues/config')).body).toHaveProperty('gc_interval');
  });
});
