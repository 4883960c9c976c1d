import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { slotOf } from '../../src/telemetry/counter-layout.js';
import { CONNECTIONS_PER_ADDRESS_MAX } from '../../src/http/protection.js';
import { Scope } from '../harness/scope.js';
import { until, within } from '../harness/wait.js';
import { type HttpTarget, exchange, openHttp, requestOf, startHttpTarget, statusOf } from './http-target.js';

const admin = `Authorization: Basic ${Buffer.from('admin:1').toString('base64')}`;
const json = 'Content-Type: application/json';
/** What an attacker wants to get past a proxy; nobody may carry it out. */
const smuggled = requestOf('DELETE /api/v5/queues/jobs HTTP/1.1', [admin]);

function codeOf(text: string): string {
  return /"code":"(\w+)"/.exec(text)?.[1] ?? '';
}

/** One target for all rows of a table: none of them may leave anything behind. */
function sharedTarget(): () => HttpTarget {
  const scope = new Scope();
  let target: HttpTarget;
  beforeAll(async () => {
    target = await startHttpTarget({}, scope);
  });
  afterAll(() => scope.release());
  return () => target;
}

/** The server still answers others. */
async function expectAlive(target: HttpTarget): Promise<void> {
  const text = await exchange(target, requestOf('GET /api/v5/queues/jobs HTTP/1.1', [admin]));
  expect(statusOf(text)).toBe(200);
}

describe('bodies', () => {
  test('that are announced too long are 413, and the connection is closed without reading on [broker]', async () => {
    const target = await startHttpTarget();
    for (const [headers, status] of [
      [[admin, json], 413],
      [[json], 401],
      [['Authorization: Bearer x', json], 401],
    ] as const) {
      const connection = await openHttp(target);
      const all = [...headers, 'Content-Length: 10000000000', 'Connection: keep-alive'];
      connection.socket.write(requestOf('POST /api/v5/queues HTTP/1.1', all, '{"name":"'));
      await within(connection.closed, 'the end of the connection');
      expect(statusOf(connection.text())).toBe(status);
      expect(connection.text()).toMatch(/\r\nconnection: close\r\n/i);
    }
    await expectAlive(target);
  });

  test('of unknown length are 413 once they are too long, and the connection is closed [broker]', async () => {
    const target = await startHttpTarget();
    const connection = await openHttp(target);
    const head = [admin, json, 'Transfer-Encoding: chunked', 'Connection: keep-alive'];
    connection.socket.write(requestOf('POST /api/v5/queues HTTP/1.1', head));
    const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
    let sent = 0;
    while (!connection.socket.destroyed && connection.text() === '' && sent < 400) {
      connection.socket.write(chunk);
      sent += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await within(connection.closed, 'the end of the connection');
    expect(sent).toBeLessThan(400);
    // What was under way when the server closed may have swallowed its answer.
    expect([413, 0]).toContain(statusOf(connection.text()));
    await expectAlive(target);
  });

  test('and headers that come byte by byte are 408 when the time is over, and hold nobody up [broker]', async () => {
    const target = await startHttpTarget({ requestTimeoutMs: 300 });
    const stages = [
      ['GET /api/v5/queues HTTP/1.1\r\nHost: localhost\r\nX: ', 'x'],
      [requestOf('POST /api/v5/login HTTP/1.1', [json, 'Content-Length: 1000'], '{'), ' '],
      [requestOf('POST /api/v5/queues HTTP/1.1', [admin, json, 'Transfer-Encoding: chunked']), '1\r\n \r\n'],
      ['', '\r\n'],
    ] as const;
    const ends = stages.map(async ([start, drop]) => {
      const connection = await openHttp(target);
      connection.socket.write(start);
      const timer = setInterval(() => connection.socket.write(drop), 20);
      await within(connection.closed, 'the end of a slow connection');
      clearInterval(timer);
      return statusOf(connection.text());
    });
    await expectAlive(target);
    expect(await Promise.all(ends)).toEqual([408, 408, 408, 408]);
  });

  const shared = sharedTarget();
  test.each([
    ['a list that is 200,000 deep', '['.repeat(200_000)],
    ['an object that is deep', '{"a":'.repeat(100_000)],
    ['a deep value of a field', `{"topic_filter":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['very many keys', `{${Array.from({ length: 90_000 }, (_, i) => `"k${i}":0`).join(',')}}`],
    ['very many equal keys', `{${'"topic_filter":"a",'.repeat(40_000)}"x":1}`],
    ['a list of very many', `[${'0,'.repeat(400_000)}0]`],
    ['the key __proto__', '{"topic_filter":"a","__proto__":{"paused":true}}'],
    ['an escaped __proto__', String.raw`{"topic_filter":"a","\u005f_proto__":{"paused":true}}`],
    ['constructor.prototype', '{"topic_filter":"a","constructor":{"prototype":{"paused":true}}}'],
    ['a number without end', `{"topic_filter":"a","max_messages":${'9'.repeat(500_000)}}`],
    ['no value', ' '],
    ['null', 'null'],
    ['a text', '"x"'],
    ['bytes that are no UTF-8', '{"topic_filter":"\xff\xfe"'],
    ['half a surrogate in a filter', String.raw`{"topic_filter":"\ud800","is_lastvalue":false}`],
    ['a NUL in a name', String.raw`{"name":"a\u0000","topic_filter":"a"}`],
    ['a line end in a name', String.raw`{"name":"a\r\nX: y","topic_filter":"a"}`],
  ])('with %s are 400, nothing is created and nothing is polluted [broker]', async (_what, body) => {
    const target = shared();
    const length = `Content-Length: ${body.length}`;
    const text = await exchange(
      target,
      requestOf('POST /api/v5/queues HTTP/1.1', [admin, json, length], body),
    );
    expect([statusOf(text), codeOf(text)]).toEqual([400, 'BAD_REQUEST']);
    expect(text.length).toBeLessThan(4000);
    expect(({} as Record<string, unknown>)['paused']).toBeUndefined();
    expect(target.calls).toEqual([]);
    await expectAlive(target);
  });

  test('with the same key twice count with the last, as JSON in JavaScript does, after the check of both [broker]', async () => {
    const target = await startHttpTarget();
    const body = '{"topic_filter":"x/#/y","topic_filter":"ok","is_lastvalue":false}';
    const length = `Content-Length: ${body.length}`;
    const text = await exchange(
      target,
      requestOf('POST /api/v5/queues HTTP/1.1', [admin, json, length], body),
    );
    expect(statusOf(text)).toBe(200);
    expect(text).toContain('"topic_filter":"ok"');
  });
});

describe('requests that two servers could read differently', () => {
  const shared = sharedTarget();
  const post = (headers: readonly string[], body: string) =>
    requestOf(
      'POST /api/v5/queues/jobs/pause HTTP/1.1',
      [admin, json, 'Connection: keep-alive', ...headers],
      body,
    );

  test.each([
    ['two lengths', post(['Content-Length: 0', 'Content-Length: 5'], smuggled)],
    ['two equal lengths', post(['Content-Length: 0', 'Content-Length: 0'], smuggled)],
    ['a list of lengths', post(['Content-Length: 0, 5'], smuggled)],
    [
      'a length and chunks',
      post(['Content-Length: 4', 'Transfer-Encoding: chunked'], `0\r\n\r\n${smuggled}`),
    ],
    [
      'chunks and a length',
      post(['Transfer-Encoding: chunked', 'Content-Length: 4'], `0\r\n\r\n${smuggled}`),
    ],
    ['an unknown coding', post(['Transfer-Encoding: xchunked'], `0\r\n\r\n${smuggled}`)],
    [
      'chunks that are not the last coding',
      post(['Transfer-Encoding: chunked, identity'], `0\r\n\r\n${smuggled}`),
    ],
    ['a space before the colon', post(['Transfer-Encoding : chunked'], `0\r\n\r\n${smuggled}`)],
    ['a length with a sign', post(['Content-Length: +0'], smuggled)],
    ['a length in hexadecimal', post(['Content-Length: 0x0'], smuggled)],
    ['a negative length', post(['Content-Length: -1'], smuggled)],
    ['a length beyond all numbers', post([`Content-Length: ${'9'.repeat(40)}`], smuggled)],
    ['a folded header', post(['X: a\r\n Transfer-Encoding: chunked', 'Content-Length: 0'], '')],
    ['a chunk size that is none', post(['Transfer-Encoding: chunked'], `zz\r\n${smuggled}`)],
    ['a negative chunk size', post(['Transfer-Encoding: chunked'], `-1\r\n${smuggled}`)],
    [
      'a chunk size beyond all numbers',
      post(['Transfer-Encoding: chunked'], `${'f'.repeat(40)}\r\n${smuggled}`),
    ],
    [
      'a chunk that is longer than it says',
      post(['Transfer-Encoding: chunked'], `1\r\nabc\r\n0\r\n\r\n${smuggled}`),
    ],
    ['a NUL in a header', post(['X: a\0b', 'Content-Length: 0'], '')],
    ['a lone carriage return', post(['X: a\rContent-Length: 5'], '')],
    ['a header without a name', post([': x', 'Content-Length: 0'], '')],
    ['a space in the target', requestOf('POST /api/v5/queues/jobs/pause x HTTP/1.1', [admin])],
    ['another version', requestOf('POST /api/v5/queues/jobs/pause HTTP/9.9', [admin])],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['no Host', `POST /api/v5/queues/jobs/pause HTTP/1.1\r\n${admin}\r\nConnection: close\r\n\r\n`],
    ['two Hosts', post(['Host: localhost', 'Host: evil.example', 'Content-Length: 0'], '')],
    ['two Authorizations', post([admin, 'Content-Length: 0'], '')],
    ['two Origins', post(['Origin: http://a.example', 'Origin: http://localhost', 'Content-Length: 0'], '')],
    ['two content types', post([json, 'Content-Type: text/plain', 'Content-Length: 0'], '')],
    ['two ids', post(['X-Request-Id: a', 'X-Request-Id: b', 'Content-Length: 0'], '')],
  ])('by %s are 400 and nothing of them is carried out [broker]', async (_what, bytes) => {
    const target = shared();
    const connection = await openHttp(target);
    connection.socket.write(Buffer.from(bytes, 'latin1'));
    await until(() => statusOf(connection.text()) > 0 || connection.socket.destroyed, 'an answer');
    expect(statusOf(connection.text())).toBe(400);
    connection.socket.end();
    await within(connection.closed, 'the end of the connection');
    expect(connection.text().match(/HTTP\/1\.1 [23]/g)).toBeNull();
    expect(target.calls).toEqual([]);
    await expectAlive(target);
  });

  test('by bytes behind a body that was announced shorter are a request of their own, which has to prove itself [broker]', async () => {
    const target = await startHttpTarget();
    const connection = await openHttp(target);
    const first = requestOf(
      'GET /api/v5/queues/jobs HTTP/1.1',
      [admin, 'Content-Length: 3', 'Connection: keep-alive'],
      'abc',
    );
    connection.socket.write(`${first}${requestOf('DELETE /api/v5/queues/jobs HTTP/1.1')}`);
    await within(connection.closed, 'the end of the connection');
    expect(connection.text().match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 401']);
    expect(target.calls).toEqual([]);
  });
});

describe('paths', () => {
  const shared = sharedTarget();
  test.each([
    '/dashboard/../../../../etc/passwd',
    '/dashboard/..%2f..%2f..%2f..%2fetc%2fpasswd',
    '/dashboard/%2e%2e/%2e%2e/package.json',
    '/dashboard/..%2fmain.js',
    '/dashboard/..%5cmain.js',
    '/dashboard/..%252fmain.js',
    '/dashboard/%c0%ae%c0%ae/main.js',
    '/dashboard/....//main.js',
    '/dashboard//etc/passwd',
    '/dashboard/%00',
    '/dashboard/index.html%00.js',
    '/../package.json',
    '//etc/passwd',
    '/%2e%2e/package.json',
    '/..;/package.json',
    '/api/v5/../../package.json',
    '/api/v5/%2e%2e/%2e%2e/dashboard/..%2fmain.js',
    'http://localhost/../package.json',
    'file:///etc/passwd',
  ])('like %s lead out of nothing [broker]', async (path) => {
    const target = shared();
    for (const headers of [[], [admin]]) {
      const text = await exchange(target, requestOf(`GET ${path} HTTP/1.1`, headers));
      expect([400, 401, 403, 404], text.slice(0, 300)).toContain(statusOf(text));
      expect(text).not.toMatch(/root:|sluice-mq|runCli/);
    }
  });
});

describe('headers', () => {
  test('of an answer never hold what a request wanted to put there [broker]', async () => {
    const target = await startHttpTarget();
    const evil = 'x%0d%0aSet-Cookie:%20a=b%0d%0a%0d%0a<script>';
    const requests = [
      requestOf(`GET /api/v5/queues/${evil} HTTP/1.1`, [admin]),
      requestOf(`GET /${evil} HTTP/1.1`),
      requestOf(`GET /?q=${evil} HTTP/1.1`),
      requestOf(`GET /api/v5/queues?cursor=${evil} HTTP/1.1`, [admin]),
      requestOf('GET /api/v5/status HTTP/1.1', [`X-Request-Id: ${evil}`, `Origin: http://${evil}`]),
      requestOf('GET /api/v5/status HTTP/1.1', [`Host: ${evil}`]),
      requestOf('DELETE /api/v5/status HTTP/1.1', [admin, `Origin: http://${evil}`]),
    ];
    for (const request of requests) {
      const text = await exchange(target, request);
      const head = text.slice(0, text.indexOf('\r\n\r\n'));
      expect(statusOf(text)).toBeGreaterThan(0);
      expect(head).not.toMatch(/^set-cookie|<script>|access-control-/im);
      if (statusOf(text) !== 302) expect(head).toMatch(/^content-type: (application\/json|text\/html)/im);
    }
  });

  test('of two requests over the limit of their size are 431 [broker]', async () => {
    const target = await startHttpTarget();
    for (const headers of [
      [`X: ${'x'.repeat(20_000)}`],
      Array.from({ length: 1500 }, (_, index) => `X${index}: 12345678`),
    ]) {
      const text = await exchange(target, requestOf('GET /api/v5/status HTTP/1.1', headers));
      expect([statusOf(text), codeOf(text)]).toEqual([431, 'HEADERS_TOO_LARGE']);
    }
  });
});

describe('connections', () => {
  test('of one address cannot take the place of all others, and those beyond the limit are counted [broker]', async () => {
    const target = await startHttpTarget();
    const surplus = 20;
    const held = await Promise.all(
      Array.from({ length: CONNECTIONS_PER_ADDRESS_MAX + surplus }, () => openHttp(target)),
    );
    const refused = (): number => held.filter(({ socket }) => socket.destroyed).length;
    await until(
      () => refused() === surplus,
      () => `the surplus to be closed, ${refused()} are`,
    );
    expect(target.counters.total(slotOf('httpConnectionsRefused', 'address'))).toBe(surplus);
    if (process.platform === 'linux') {
      const other = await openHttp(target, '127.0.0.2');
      other.socket.write(requestOf('GET /api/v5/status HTTP/1.1'));
      await within(other.closed, 'the answer to another address');
      expect(statusOf(other.text())).toBe(200);
    }
    for (const { socket } of held) socket.destroy();
    await until(async () => {
      const one = await openHttp(target);
      one.socket.write(requestOf('GET /api/v5/status HTTP/1.1'));
      await within(one.closed, 'the end of a connection');
      return statusOf(one.text()) === 200;
    }, 'room after they have gone');
  });
});
