import { describe, expect, test } from 'vitest';

import { testScope } from '../harness/scope.js';
import { failure, piped, run, serve, typed } from './harness.js';

const root = '/api/v5/message_queues/queues';

describe('queues create and update', () => {
  test('options become fields, and what is not given is not sent [broker]', async () => {
    const broker = await serve(testScope(), () => [200, { name: '/jobs' }]);
    const { code, out } = await run(['queues', 'create', 'jobs'], { env: broker.env });
    expect({ code, out }).toEqual({
      code: 0,
      out: 'created /jobs; consume it by subscribing to $q/jobs\n',
    });
    const options =
      '--name state --last-value --key-expression message.topic --strategy round_robin --retention 1d --max-messages 5 ' +
      '--max-bytes 1MB --overflow reject_publish --max-inflight 3 --fast-max-inflight 30 --on-key-error reject --paused ' +
      '--set limits.max_shard_message_count=7 --set ping_interval=5s';
    await run(['queues', 'create', 'state/#', ...options.split(' ')], { env: broker.env });
    await run(['queues', 'update', '/a b', '--max-messages', 'infinity'], { env: broker.env });
    expect(broker.asked.map(({ method, url, body }) => [method, url, body])).toEqual([
      ['POST', root, { topic_filter: 'jobs', is_lastvalue: false }],
      [
        'POST',
        root,
        {
          topic_filter: 'state/#',
          is_lastvalue: true,
          name: 'state',
          dispatch_strategy: 'round_robin',
          data_retention_period: '1d',
          max_messages: 5,
          max_bytes: '1MB',
          overflow: 'reject_publish',
          local_max_inflight: 3,
          fast_max_inflight: 30,
          key_expression: 'message.topic',
          on_key_error: 'reject',
          paused: true,
          limits: { max_shard_message_count: 7 },
          ping_interval: '5s',
        },
      ],
      ['PATCH', `${root}/%2Fa%20b`, { max_messages: 'infinity' }],
    ]);
  });

  test('a field that cannot be one is refused before anything is sent [broker]', async () => {
    const broker = await serve(testScope(), () => [200, {}]);
    for (const argv of [['--set', '__proto__=1'], ['--set', 'limits.__proto__=1'], []]) {
      expect((await run(['queues', 'update', 'x', ...argv], { env: broker.env })).code).toBe(2);
    }
    expect(broker.asked).toEqual([]);
  });
});

describe('what destroys messages', () => {
  test.each(['delete', 'purge'])('%s needs a yes: of a person, or --yes [broker]', async (action) => {
    const broker = await serve(testScope(), ({ method }) =>
      method === 'DELETE' ? [204] : [200, { purged: 3 }],
    );
    const command = ['queues', action, 'a', 'b'];
    expect((await run(command, { env: broker.env })).code).toBe(2);
    expect((await run(command, { env: broker.env, input: piped('y\n') })).code).toBe(2);
    expect((await run(command, { env: broker.env, input: typed('n\n') })).code).toBe(1);
    expect((await run(command, { env: broker.env, input: typed('') })).code).toBe(1);
    expect(broker.asked).toEqual([]);
    expect((await run(command, { env: broker.env, input: typed('y\n') })).code).toBe(0);
    expect((await run([...command, '--yes'], { env: broker.env })).code).toBe(0);
    expect(broker.asked).toHaveLength(4);
  });

  test('of several names the first that is refused ends it [broker]', async () => {
    const broker = await serve(testScope(), ({ url }) =>
      url.endsWith('/b') ? [404, failure('NOT_FOUND', 'Message queue not found')] : [204],
    );
    const result = await run(['queues', 'delete', 'a', 'b', 'c', '--yes'], { env: broker.env });
    expect(result).toMatchObject({ code: 4, out: '' });
    expect(result.err).toContain('there is no queue "b"');
    expect(broker.asked.map(({ url }) => url)).toEqual([`${root}/a`, `${root}/b`]);
  });
});

describe('queues list', () => {
  test('asks page by page and stops at --limit [broker]', async () => {
    const all = Array.from({ length: 1200 }, (_, index) => ({
      name: `q${index}`,
      topic_filter: `t/${index}`,
      is_lastvalue: false,
      paused: index === 1,
      ready: index,
      in_flight: 0,
      consumers: 1,
      in_rate: 0.5,
      out_rate: 0,
      oldest_age_ms: index * 1000,
    }));
    const broker = await serve(testScope(), ({ url }) => {
      const query = new URL(url, 'http://x').searchParams;
      const [page, limit] = [Number(query.get('page')), Number(query.get('limit'))];
      return [200, { data: all.slice((page - 1) * limit, page * limit), meta: {} }];
    });
    const { out } = await run(['queues', 'list', '--json'], { env: broker.env });
    expect((JSON.parse(out) as unknown[]).length).toBe(1200);
    const some = await run(['queues', 'ls', '--sort', 'ready', '--desc', '--search', 'a b', '--limit', '2'], {
      env: broker.env,
    });
    expect(some.out.trimEnd().split('\n')).toEqual([
      expect.stringMatching(
        /^NAME +FILTER +KIND +READY +UNACKED +CONSUMERS +IN\/S +OUT\/S +OLDEST$/,
      ) as string,
      expect.stringMatching(/^q0 +t\/0 +regular +0 +0 +1 +0\.5 +0 +-$/) as string,
      expect.stringMatching(/^q1 +t\/1 +regular, paused +1 +0 +1 +0\.5 +0 +1\.0s$/) as string,
    ]);
    const { searchParams } = new URL(broker.asked.at(-1)?.url ?? '', 'http://x');
    expect(Object.fromEntries(searchParams)).toMatchObject({ sort: 'ready', order: 'desc', search: 'a b' });
  });

  test('with nothing to show, JSON is an empty array and text a remark [broker]', async () => {
    const broker = await serve(testScope(), () => [200, { data: [], meta: {} }]);
    expect(await run(['queues', 'list', '--json'], { env: broker.env })).toEqual({
      code: 0,
      out: '[]\n',
      err: '',
    });
    const text = await run(['queues', 'list'], { env: broker.env });
    expect(text).toMatchObject({ code: 0, out: '', err: expect.stringContaining('no queues') as string });
  });
});
