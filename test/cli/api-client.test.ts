import { describe, expect, test } from 'vitest';

import { commandTree } from '../../src/cli/program.js';
import { testScope } from '../harness/scope.js';
import { failure, piped, run, serve } from './harness.js';

const status = { status: 'running', version: '1.2.3', uptime_ms: 93_784_000, shards: 2, shards_up: 2 };

describe('status', () => {
  test('0 when all is well, with the figures as text or as JSON [broker]', async () => {
    const broker = await serve(testScope(), () => [200, status]);
    const text = await run(['status'], { env: broker.env });
    expect(text).toMatchObject({ code: 0, err: '' });
    expect(text.out).toMatch(/^status +running\naddress +http:.*\nversion +1\.2\.3\nrunning for +1d 2h\n/);
    const json = await run(['status', '--json'], { env: broker.env });
    expect(JSON.parse(json.out)).toEqual(status);
    expect(broker.asked.map(({ method, url }) => `${method} ${url}`)).toEqual(
      Array.from({ length: 2 }, () => 'GET /api/v5/status'),
    );
  });

  test('1 when a shard is down or the broker starts, 3 when nobody answers [broker]', async () => {
    const limping = await serve(testScope(), () => [200, { ...status, shards_up: 1 }]);
    expect((await run(['status'], { env: limping.env })).code).toBe(1);
    const starting = await serve(testScope(), () => [503, failure('SERVICE_UNAVAILABLE', 'Not ready')]);
    const result = await run(['status'], { env: starting.env });
    expect(result).toMatchObject({ code: 1, out: '' });
    expect(result.err).toContain('Not ready');
    const env = { SLUICE_API_URL: 'http://127.0.0.1:1' };
    const absent = await run(['status'], { env });
    expect(absent).toMatchObject({ code: 3, out: '' });
    expect(absent.err).toMatch(/is not reachable: ECONNREFUSED\n {2}is the broker running\?/);
  });
});

describe('exit codes and what to do next', () => {
  test.each([
    [401, failure('BAD_API_KEY_OR_SECRET', 'Check api_key/api_secret'), 4, 'SLUICE_API_KEY'],
    [403, failure('UNAUTHORIZED_ROLE', 'not allowed'), 4, 'use a key whose role'],
    [404, failure('NOT_FOUND', 'Message queue not found'), 4, '"sluice queues list"'],
    [400, failure('BAD_REQUEST', { path: 'limits', reason: 'is not right' }), 4, 'limits: is not right'],
    [500, failure('INTERNAL_ERROR', 'Internal error'), 1, 'its log says why'],
    [200, '<html>another server</html>', 3, 'leads to another server'],
    [404, '<html>another server</html>', 3, 'leads to another server'],
    [302, 'http://127.0.0.1:1/', 3, 'leads to another server'],
  ])('an answer %i %j ends with %i and says %j [broker]', async (code, body, exit, text) => {
    const broker = await serve(testScope(), () => [code, body]);
    const result = await run(['queues', 'show', 'x'], { env: broker.env });
    expect(result).toMatchObject({ code: exit, out: '' });
    expect(result.err).toContain(text);
    expect(broker.asked).toHaveLength(1);
  });

  test('with --json a failure is one JSON object on standard error [broker]', async () => {
    const broker = await serve(testScope(), () => [404, failure('NOT_FOUND', 'Message queue not found')]);
    const { out, err } = await run(['queues', 'show', 'x', '--json'], { env: broker.env });
    expect(out).toBe('');
    expect(JSON.parse(err)).toEqual({
      error: {
        code: 'NOT_FOUND',
        message: 'there is no queue "x"',
        hint: expect.any(String) as string,
        exit_code: 4,
      },
    });
  });

  test('a server that is silent is given up after --timeout, exit code 3 [broker]', async () => {
    const broker = await serve(testScope(), () => undefined);
    const result = await run(['status', '--timeout', '50ms'], { env: broker.env });
    expect(result).toMatchObject({ code: 3, out: '' });
    expect(result.err).toContain('did not answer within 50 ms');
  });

  test('a change that was asked for and not answered in time may be under way: 1, and so it is said [broker]', async () => {
    const broker = await serve(testScope(), () => undefined);
    const { env } = broker;
    for (const argv of [
      ['purge', 'a', '--yes'],
      ['move', 'a', 'b'],
      ['pause', 'a'],
    ]) {
      const result = await run(['queues', ...argv, '--timeout', '300ms'], { env });
      expect(result).toMatchObject({ code: 1, out: '' });
      expect(result.err).toContain('the work may still be under way');
    }
    expect(broker.asked).toHaveLength(3);
  });

  test('purge and move wait an hour unless told otherwise, other commands ten seconds [broker]', () => {
    const queues = commandTree().children.find(({ name }) => name === 'queues');
    const limits = queues?.children.map(({ name, options }) => [
      name,
      options.find(({ long }) => long === '--timeout')?.defaultText,
    ]);
    const long = new Set(['move', 'purge']);
    expect(limits).toEqual(queues?.children.map(({ name }) => [name, long.has(name) ? '1h' : '10s']));
  });

  test('names that a path would take for steps arrive as they are [broker]', async () => {
    const broker = await serve(testScope(), () => [200, { purged: 0 }]);
    await run(['queues', 'purge', '..', '.', '--yes', '--url', `${broker.url}/behind/`]);
    expect(broker.asked.map(({ url }) => url)).toEqual(
      ['..', '.'].map((name) => `/behind/api/v5/message_queues/queues/${name}/purge`),
    );
  });
});

describe('who asks', () => {
  test('key and secret come from options, else from the environment, and the secret from a pipe [broker]', async () => {
    const broker = await serve(testScope(), () => [200, status]);
    const env = { ...broker.env, SLUICE_API_KEY: 'k', SLUICE_API_SECRET: 's' };
    await run(['status'], { env });
    await run(['status', '--key', 'a', '--secret', 'b'], { env });
    await run(['status', '--key', 'c'], { env: broker.env, input: piped('asked\n') });
    await run(['status'], { env: broker.env });
    const seen = broker.asked.map(({ authorization }) =>
      authorization === undefined ? 'nobody' : Buffer.from(authorization.slice(6), 'base64').toString(),
    );
    expect(seen).toEqual(['k:s', 'a:b', 'c:asked', 'nobody']);
  });

  test('the address comes from --url, else SLUICE_API_URL, else from the settings of this machine [broker]', async () => {
    const broker = await serve(testScope(), () => [200, status]);
    const port = new URL(broker.url).port;
    const wrong = { SLUICE_API_URL: 'http://127.0.0.1:1' };
    expect((await run(['status', '--url', broker.url], { env: wrong })).code).toBe(0);
    expect((await run(['status', '--url', `127.0.0.1:${port}/api/v5/`], { env: wrong })).code).toBe(0);
    expect((await run(['status'], { env: { SLUICE_HTTP_PORT: port } })).code).toBe(0);
    const anyPort = await run(['status'], { env: { SLUICE_HTTP_PORT: '0' } });
    expect(anyPort).toMatchObject({ code: 2, err: expect.stringContaining('--url') as string });
    const other = await run(['status', '--url', 'ftp://x']);
    expect(other).toMatchObject({ code: 2, err: expect.stringContaining('http://127.0.0.1') as string });
  });
});
