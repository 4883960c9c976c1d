import { connect, type Socket } from 'node:net';

import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';

import { ApiKeys } from '../../src/auth/api-key.js';
import { restErrors } from '../../src/http/error.js';
import { isLoopbackAddress, isLoopbackHost } from '../../src/http/guard.js';
import { type HttpServer, startHttpServer } from '../../src/http/server.js';
import { createCounterMemory } from '../../src/telemetry/counter.js';
import { createLogging } from '../../src/telemetry/logger.js';
import { createFixture } from '../broker/fixture.js';
import { openTestAccess } from './access-fixture.js';
import { type Api, type ApiFixtureOptions, createApi } from './fixture.js';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function start(options: ApiFixtureOptions = {}): Promise<Api> {
  const api = await createApi(options);
  cleanups.push(() => api.close());
  return api;
}

function keys(text: string): ApiKeys {
  return ApiKeys.parse(text, { warn: () => undefined, error: () => undefined });
}

function basic(credentials: string): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
}

const list = '/api/v5/message_queues/queues';
const creation = { topic_filter: 'jobs', dispatch_strategy: 'random', is_lastvalue: false };

describe('API keys', () => {
  it('from the bootstrap file are accepted by Basic authentication [queue-70]', async () => {
    const api = await start({ apiKeys: keys('key:secret\n') });
    const request = { method: 'POST', url: list, headers: basic('key:secret'), payload: creation } as const;
    expect(await api.send(request)).toMatchObject({ status: 200, body: { name: '/jobs' } });
  });

  it('are asked for with 401, a code that says what is wrong, and WWW-Authenticate [ref-7.5]', async () => {
    const api = await start({ apiKeys: keys('key:secret') });
    for (const [headers, code] of [
      [{}, 'AUTHORIZATION_HEADER_ERROR'],
      [{ authorization: 'nonsense' }, 'AUTHORIZATION_HEADER_ERROR'],
      [{ authorization: 'Bearer abc' }, 'BAD_TOKEN'],
      [basic('key:wrong'), 'BAD_API_KEY_OR_SECRET'],
      [basic('other:secret'), 'BAD_API_KEY_OR_SECRET'],
      [basic('admin:public'), 'BAD_API_KEY_OR_SECRET'],
    ] as const) {
      const answer = await api.send({ method: 'GET', url: list, headers });
      expect(answer).toMatchObject({ status: 401, body: { code } });
      expect(answer.headers['www-authenticate']).toBe('Basic Realm="emqx-dashboard"');
    }
    expect(api.shards.calls).toEqual([]);
  });

  it('are checked before anything of the request is looked at [broker]', async () => {
    const api = await start({ apiKeys: keys('key:secret') });
    for (const request of [
      { method: 'POST', url: list, payload: '{broken', headers: { 'content-type': 'application/json' } },
      { method: 'POST', url: list, payload: 'x', headers: { 'content-type': 'text/plain' } },
      { method: 'GET', url: `${list}?cursor=!!` },
      { method: 'GET', url: `${list}/nothing` },
    ] as const) {
      expect(await api.send(request)).toMatchObject({ status: 401 });
    }
  });

  it('of a viewer may only look, and of a publisher do nothing here: 403 UNAUTHORIZED_ROLE [ref-7.5]', async () => {
    const api = await start({
      apiKeys: keys('admin:1\nviewer:1:viewer\npublisher:1:publisher\nscoped:1:administrator:rules'),
    });
    await api.send({ method: 'POST', url: list, headers: basic('admin:1'), payload: creation });
    const reads = [
      list,
      `${list}/jobs`,
      `${list}/jobs/stats`,
      `${list}/jobs/messages`,
      `${list}/jobs/consumers`,
    ];
    reads.push('/api/v5/message_queues/config', '/api/v5/shards', '/api/v5/queues', '/api/v5/queue/jobs');
    const writes = [
      ['POST', list, creation],
      ['PUT', `${list}/jobs`, {}],
      ['PATCH', `${list}/jobs`, {}],
      ['POST', `${list}/jobs/purge`, undefined],
      ['POST', `${list}/jobs/pause`, undefined],
      ['POST', `${list}/jobs/resume`, undefined],
      ['DELETE', `${list}/jobs`, undefined],
      ['PUT', '/api/v5/message_queues/config', {}],
      ['POST', '/api/v5/shards/0/restart', undefined],
    ] as const;
    const refused = { status: 403, body: { code: 'UNAUTHORIZED_ROLE' } };
    for (const url of reads) {
      expect(await api.send({ method: 'GET', url, headers: basic('viewer:1') }), url).toMatchObject({
        status: 200,
      });
      for (const other of ['publisher:1', 'scoped:1']) {
        expect(await api.send({ method: 'GET', url, headers: basic(other) }), url).toMatchObject(refused);
      }
    }
    const before = [...api.shards.calls];
    for (const [method, url, body] of writes) {
      for (const key of ['viewer:1', 'publisher:1', 'scoped:1']) {
        const request = {
          method,
          url,
          headers: basic(key),
          ...(body === undefined ? {} : { payload: body }),
        };
        expect(await api.send(request), `${key} ${method} ${url}`).toMatchObject(refused);
      }
    }
    expect(api.shards.calls).toEqual(before);
    expect(api.shards.killed).toEqual([]);
  });

  it('are not needed for the status and the OpenAPI document [broker]', async () => {
    const api = await start({ apiKeys: keys('key:secret') });
    for (const url of ['/api/v5/status', '/api/v5/openapi.json', '/api-docs/swagger.json']) {
      expect(await api.send({ method: 'GET', url })).toMatchObject({ status: 200 });
    }
  });

  it('that a file fails to give lock the API instead of opening it [broker]', async () => {
    const api = await start({ apiKeys: keys('bad line') });
    expect(await api.send({ method: 'GET', url: list })).toMatchObject({ status: 401 });
  });

  it('do not let another web site change anything through a browser that knows a key [broker]', async () => {
    const api = await start({ apiKeys: keys('key:secret') });
    const headers = { ...basic('key:secret'), 'sec-fetch-site': 'cross-site' };
    expect(await api.send({ method: 'POST', url: list, headers, payload: creation })).toMatchObject({
      status: 403,
      body: { code: 'FORBIDDEN' },
    });
    expect(await api.send({ method: 'GET', url: list, headers })).toMatchObject({ status: 200 });
  });
});

describe('without API keys', () => {
  it.each(['localhost', 'localhost:18083', '127.0.0.1:18083', '127.1.2.3', '[::1]:18083', 'LOCALHOST'])(
    'the Host %s is answered [broker]',
    async (host) => {
      const api = await start();
      expect(await api.send({ method: 'GET', url: list, headers: { host } })).toMatchObject({ status: 200 });
    },
  );

  it.each([
    'evil.example',
    'evil.example:18083',
    'localhost.evil.example',
    '192.168.1.5',
    '127.0.0.1.evil.example',
  ])('the Host %s, which DNS rebinding would bring, is refused with 403 [broker]', async (host) => {
    const api = await start();
    for (const url of [list, '/api/v5/status', '/nothing']) {
      expect(await api.send({ method: 'GET', url, headers: { host } })).toMatchObject({
        status: 403,
        body: { code: 'FORBIDDEN' },
      });
    }
  });

  it('a request from another machine is refused with 403 [broker]', async () => {
    const api = await start();
    for (const remoteAddress of ['192.168.1.5', '::ffff:10.0.0.1', 'fe80::1']) {
      expect(await api.send({ method: 'GET', url: list, remoteAddress })).toMatchObject({ status: 403 });
    }
    for (const remoteAddress of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
      expect(await api.send({ method: 'GET', url: list, remoteAddress })).toMatchObject({ status: 200 });
    }
  });

  it('a page of another origin can change nothing [broker]', async () => {
    const api = await start();
    const send = (headers: Record<string, string>) =>
      api.send({
        method: 'POST',
        url: list,
        headers: { host: 'localhost:1', ...headers },
        payload: creation,
      });
    for (const headers of [
      { origin: 'http://evil.example' },
      { origin: 'http://localhost:2' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
    ]) {
      expect(await send(headers)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
    }
    expect(api.shards.calls).toEqual([]);
    expect(await send({ origin: 'http://localhost:1' })).toMatchObject({ status: 200 });
  });

  it('loopback is told from everything else by address and by name [broker]', () => {
    expect(
      ['127.0.0.1', '127.255.0.9', '::1', '::FFFF:127.0.0.1'].filter((a) => !isLoopbackAddress(a)),
    ).toEqual([]);
    expect(
      ['', '1.127.0.0', '127.0.0.1.x', '::', '0.0.0.0', '::ffff:8.8.8.8'].filter(isLoopbackAddress),
    ).toEqual([]);
    expect(['', ':80', '[::2]', '[::1', '::1:80', 'localhost:x', 'a b'].filter(isLoopbackHost)).toEqual([]);
  });
});

describe('requests that fail', () => {
  it.each([
    ['an unknown route', { method: 'GET', url: '/api/v5/nothing' }, 404, 'NOT_FOUND'],
    ['a path beside the API', { method: 'GET', url: '/nothing' }, 404, 'NOT_FOUND'],
    ['a path that cannot be decoded', { method: 'GET', url: `${list}/%zz` }, 400, 'BAD_REQUEST'],
    ['malformed JSON', { method: 'POST', url: list, payload: '{"topic_filter":' }, 400, 'BAD_REQUEST'],
    ['an empty body', { method: 'POST', url: list, payload: '' }, 400, 'BAD_REQUEST'],
    ['a poisoned body', { method: 'POST', url: list, payload: '{"__proto__":{"x":1}}' }, 400, 'BAD_REQUEST'],
    [
      'a body over 1 MB',
      { method: 'POST', url: list, payload: `"${'x'.repeat(1 << 20)}"` },
      413,
      'PAYLOAD_TOO_LARGE',
    ],
    ['a method that a path does not have', { method: 'DELETE', url: list }, 405, 'METHOD_NOT_ALLOWED'],
    ['POST to an item', { method: 'POST', url: `${list}/x` }, 405, 'METHOD_NOT_ALLOWED'],
    ['GET of an action', { method: 'GET', url: `${list}/x/purge` }, 405, 'METHOD_NOT_ALLOWED'],
  ] as const)('answer %s [broker]', async (_title, request, status, code) => {
    const api = await start();
    const headers = 'payload' in request ? { 'content-type': 'application/json' } : {};
    expect(await api.send({ ...request, headers })).toMatchObject({ status, body: { code } });
  });

  it('answer 415 to every body that is not JSON [broker]', async () => {
    const api = await start();
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml', 'nonsense']) {
      const request = { method: 'POST', url: list, payload: 'x', headers: { 'content-type': type } } as const;
      expect(await api.send(request), type).toMatchObject({
        status: 415,
        body: { code: 'UNSUPPORTED_MEDIA_TYPE' },
      });
    }
    const json = { 'content-type': 'application/json; charset=utf-8' };
    const request = { method: 'POST', url: list, payload: JSON.stringify(creation), headers: json } as const;
    expect(await api.send(request)).toMatchObject({ status: 200 });
  });

  it('say with 405 which methods there are [broker]', async () => {
    const api = await start();
    const answer = await api.send({ method: 'PATCH', url: list });
    expect(String(answer.headers['allow']).split(', ').toSorted()).toEqual(['GET', 'HEAD', 'POST']);
  });

  it('have a status for every code [broker]', () => {
    for (const { status, meaning } of Object.values(restErrors)) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(meaning).not.toBe('');
    }
  });
});

describe('the OpenAPI document', () => {
  it('is the same at both addresses and shows every path with its schemas [broker]', async () => {
    const api = await start();
    const { body } = await api.send({ method: 'GET', url: '/api/v5/openapi.json' });
    expect((await api.send({ method: 'GET', url: '/api-docs/swagger.json' })).body).toEqual(body);
    expect(body.openapi).toMatch(/^3\.1/);
    const item = ['get', 'put', 'patch', 'delete'];
    const expected: Record<string, string[]> = {
      '/api/v5/message_queues/queues': ['get', 'post'],
      '/api/v5/message_queues/config': ['get', 'put'],
      '/api/v5/queues': ['get', 'post'],
      '/api/v5/queues/config': ['get', 'put'],
      '/api/v5/status': ['get'],
      '/api/v5/shards': ['get'],
      '/api/v5/shards/{id}/restart': ['post'],
      '/api/v5/prometheus/stats': ['get'],
      '/api/v5/login': ['post'],
      '/api/v5/logout': ['post'],
      '/api/v5/current_user': ['get'],
      '/api/v5/users': ['get', 'post'],
      '/api/v5/users/{username}': ['put', 'delete'],
      '/api/v5/users/{username}/change_pwd': ['post'],
      '/api/v5/api_key': ['get', 'post'],
      '/api/v5/api_key/{name}': ['get', 'put', 'delete'],
      '/api/v5/banned': ['get', 'post', 'delete'],
      '/api/v5/banned/{as}/{who}': ['delete'],
      '/api/v5/audit': ['get'],
      '/api/v5/queues_overview': ['get'],
      '/api/v5/clients': ['get'],
      '/api/v5/clients/{clientid}': ['get', 'delete'],
      '/api/v5/clients/{clientid}/subscriptions': ['get'],
      '/api/v5/clients/{clientid}/subscribe': ['post'],
      '/api/v5/clients/{clientid}/unsubscribe': ['post'],
      '/api/v5/subscriptions': ['get'],
      '/api/v5/topics': ['get'],
      '/api/v5/publish': ['post'],
      '/api/v5/publish/bulk': ['post'],
      '/api/v5/mqtt/retainer/messages': ['get', 'delete'],
      '/api/v5/mqtt/retainer/message/{topic}': ['get', 'delete'],
      '/api/v5/events': ['get'],
      '/api/v5/stats': ['get'],
      '/api/v5/metrics': ['get'],
      '/api/v5/monitor_current': ['get'],
      '/api/v5/nodes': ['get'],
      '/api/v5/nodes/{node}': ['get'],
      '/api/v5/configs': ['get'],
      '/api/v5/key_expression/check': ['post'],
      '/api/v5/topic_filter/check': ['post'],
      '/api/v5/data/backup': ['post'],
      '/api/v5/logs': ['get'],
      '/api/v5/log_levels': ['get', 'put'],
      '/metrics': ['get'],
      '/health/live': ['get'],
      '/health/ready': ['get'],
    };
    for (const base of ['message_queues/queues', 'queues', 'queue']) {
      expected[`/api/v5/${base}/{name}`] = item;
      for (const sub of ['stats', 'messages', 'consumers'])
        expected[`/api/v5/${base}/{name}/${sub}`] = ['get'];
      for (const sub of ['purge', 'pause', 'resume', 'move'])
        expected[`/api/v5/${base}/{name}/${sub}`] = ['post'];
    }
    const shown = Object.entries(body.paths as Record<string, object>).map(
      ([path, operations]) =>
        [
          path,
          Object.keys(operations)
            .filter((method) => method !== 'head')
            .toSorted(),
        ] as const,
    );
    const wanted = Object.entries(expected).map(([path, methods]) => [path, methods.toSorted()] as const);
    expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(wanted));
    const post = body.paths['/api/v5/message_queues/queues'].post;
    const schema = post.requestBody.content['application/json'].schema;
    expect(schema.required).toEqual(['topic_filter']);
    expect(schema.additionalProperties).toBe(false);
    expect(Object.keys(schema.properties)).toContain('dispatch_strategy');
  });

  it('names every operation once [broker]', async () => {
    const api = await start();
    const ids = Object.values(api.document.paths).flatMap((operations) =>
      Object.values(operations).flatMap((one) =>
        one !== undefined && 'operationId' in one ? [one.operationId] : [],
      ),
    );
    expect(ids.length).toBeGreaterThan(15);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('the listener', () => {
  async function listen(part: { host?: string; port?: number; drainTimeoutMs?: number } = {}) {
    const fixture = await createFixture();
    cleanups.push(() => fixture.remove());
    const server = await startHttpServer({
      admin: fixture.admin,
      access: openTestAccess(fixture.folder),
      counterMemory: createCounterMemory(1),
      logging: createLogging({ level: 'silent', format: 'json' }),
      host: '127.0.0.1',
      port: 0,
      drainTimeoutMs: 100,
      version: '0.0.0-test',
      logger: pino({ level: 'silent' }),
      ...part,
    });
    cleanups.push(() => server.close());
    return { server, shards: fixture.shards, origin: `http://127.0.0.1:${server.address.port}` };
  }

  it('takes a free port for port 0 and serves over it [broker]', async () => {
    const { origin } = await listen();
    const response = await fetch(`${origin}/api/v5/queues`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(creation),
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ name: '/jobs' });
    expect((await fetch(`${origin}/api/v5/status`, { method: 'HEAD' })).status).toBe(200);
  });

  it('fails with ERR_LISTEN on a port that is taken [broker]', async () => {
    const { server } = await listen();
    await expect(listen({ port: server.address.port })).rejects.toMatchObject({ code: 'ERR_LISTEN' });
  });

  it('closes at once although clients keep idle connections open [broker]', async () => {
    const { server } = await listen({ drainTimeoutMs: 600_000 });
    const socket = await open(server);
    socket.write('GET /api/v5/status HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await received(socket, /"running"/);
    const ended = closed(socket);
    await server.close();
    await ended;
  });

  it('lets a request under way end before it closes [broker]', async () => {
    const { server, shards } = await listen({ drainTimeoutMs: 600_000 });
    let release = () => {};
    shards.gate = new Promise((resolve) => {
      release = resolve;
    });
    const socket = await open(server);
    socket.write(post(JSON.stringify(creation)));
    while (shards.calls.length === 0) await new Promise(setImmediate);
    const closing = server.close();
    release();
    await received(socket, /^HTTP\/1.1 200 /);
    socket.destroy();
    await closing;
  });

  it('closes within the drain time although a request never ends [broker]', async () => {
    const { server, shards } = await listen({ drainTimeoutMs: 50 });
    shards.gate = new Promise(() => {});
    const stuck = await open(server);
    stuck.write(post(JSON.stringify(creation)));
    const half = await open(server);
    half.write('POST /api/v5/queues HTTP/1.1\r\nHost: localhost\r\nContent-Le');
    while (shards.calls.length === 0) await new Promise(setImmediate);
    const ended = Promise.all([closed(stuck), closed(half)]);
    await server.close();
    await ended;
  });

  it('answers bytes that are no HTTP with 400 and headers that are too large with 431, as JSON [broker]', async () => {
    const { server } = await listen();
    for (const [bytes, status, code] of [
      ['\x16\x03\x01\x02\x00\x01', 400, 'BAD_REQUEST'],
      ['GET / HTTP/1.1\r\nno colon\r\n\r\n', 400, 'BAD_REQUEST'],
      [`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
    ] as const) {
      const socket = await open(server);
      socket.write(bytes);
      const text = await received(socket, /\}$/);
      expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      expect(JSON.parse(text.slice(text.indexOf('\r\n\r\n')))).toMatchObject({ code });
      socket.destroy();
    }
  });
});

function post(body: string): string {
  const head = 'POST /api/v5/queues HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
  return `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
}

async function open(server: HttpServer): Promise<Socket> {
  const socket = connect(server.address.port, '127.0.0.1');
  socket.on('error', () => {});
  cleanups.push(async () => socket.destroy());
  await new Promise((resolve) => {
    socket.once('connect', resolve);
  });
  return socket;
}

/** Reads until the text received so far matches. */
function received(socket: Socket, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += String(chunk);
      if (pattern.test(text)) resolve(text);
    });
    socket.once('close', () => reject(new Error(`closed after ${JSON.stringify(text)}`)));
  });
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.resume();
    socket.once('close', () => resolve());
  });
}
