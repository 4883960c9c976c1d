/** Who may upgrade to MQTT on the port of the REST API. Quick tier, over real sockets. */
import { Agent, createServer, get, type Server } from 'node:http';
import net, { type AddressInfo } from 'node:net';

import { expect, test } from 'vitest';

import { listenForUpgrades, upgradeOptions } from '../../src/http/mqtt-upgrade.js';
import { boundConnections, CONNECTIONS_PER_ADDRESS_MAX } from '../../src/http/protection.js';
import { testScope } from '../harness/scope.js';
import { sleep } from '../harness/wait.js';

const own = 'http://127.0.0.1:1';
const good = {
  Host: '127.0.0.1:1',
  Origin: own,
  'Sec-WebSocket-Protocol': 'mqtt, sluice-token.good',
} as const;

/** A server with the door; what it is asked plainly it answers with method, path and body. */
async function startServer(options = upgradeOptions, prepare?: (server: Server) => void): Promise<number> {
  const scope = testScope();
  const server = createServer(options, (request, response) => {
    const { method, url } = request;
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      response.end(JSON.stringify([method, url, body]));
    });
  });
  prepare?.(server);
  listenForUpgrades(server, {
    take: (_request, socket) => socket.end('taken'),
    mayUse: (token) => token === 'good',
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.add(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Sends `text` on one connection; answers all that came until its end. */
async function exchange(port: number, ...pieces: readonly string[]): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  for (const piece of pieces) {
    socket.write(piece);
    await sleep(20);
  }
  await closed;
  return answer;
}

/** Sends one request for an upgrade; answers the status line, or `taken`. */
async function ask(
  headers: Readonly<Record<string, string | undefined>>,
  line = 'GET /mqtt HTTP/1.1',
): Promise<string> {
  const all = { Connection: 'Upgrade', Upgrade: 'websocket', ...good, ...headers };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}\r\n`],
  );
  const answer = await exchange(await startServer(), `${line}\r\n${lines.join('')}\r\n`);
  return answer.split('\r\n', 1)[0] ?? '';
}

test('a page of this server with the token of an account that may write is let in [broker]', async () => {
  expect(await ask({})).toBe('taken');
  expect(await ask({}, 'GET /mqtt?a=b HTTP/1.1')).toBe('taken');
  expect(await ask({ Origin: 'https://127.0.0.1:1' })).toBe('taken');
});

test.each([
  ['no token', { 'Sec-WebSocket-Protocol': 'mqtt' }],
  ['another token', { 'Sec-WebSocket-Protocol': 'mqtt, sluice-token.bad' }],
  ['an empty token', { 'Sec-WebSocket-Protocol': 'mqtt, sluice-token.' }],
  ['no subprotocol', { 'Sec-WebSocket-Protocol': undefined }],
  ['the token in another header only', { 'Sec-WebSocket-Protocol': 'mqtt', Authorization: 'Bearer good' }],
])('%s is refused with 401 [broker]', async (_title, headers) => {
  expect(await ask(headers)).toBe('HTTP/1.1 401 BAD_TOKEN');
});

test.each([
  ['another site', { Origin: 'https://example.com' }],
  ['another port of this machine', { Origin: 'http://127.0.0.1:2' }],
  ['a page without an origin', { Origin: 'null' }],
  ['a program that names none', { Origin: undefined }],
  ['a name that is pointed at this machine', { Origin: 'http://example.com:1' }],
])('%s is refused with 403, whatever its token [broker]', async (_title, headers) => {
  expect(await ask(headers)).toBe('HTTP/1.1 403 FORBIDDEN');
});

test.each(['GET / HTTP/1.1', 'GET /mqtt/ HTTP/1.1', 'GET /api/v5/status HTTP/1.1', 'POST /mqtt HTTP/1.1'])(
  '%s has nothing to upgrade to [broker]',
  async (line) => {
    expect(await ask({}, line)).toBe('HTTP/1.1 404 NOT_FOUND');
  },
);

const offer = 'Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n';

test('a request that offers HTTP/2 is answered as if it had not, with its body [broker]', async () => {
  const answer = await exchange(
    await startServer(),
    `POST /api?x=1 HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade, HTTP2-Settings\r\n${offer}Content-Length: 5\r\n\r\nhello`,
  );
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(answer).toContain('["POST","/api?x=1","hello"]');
});

test('its body may come late and in chunks, and more requests may follow [broker]', async () => {
  const answer = await exchange(
    await startServer(),
    `PUT /one HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n${offer}Transfer-Encoding: chunked\r\n\r\n`,
    '5\r\nhello\r\n',
    '6\r\n there\r\n0\r\n\r\n',
    `GET /two HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n${offer}\r\n`,
    'GET /three HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  );
  expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3);
  expect(answer).toContain('["PUT","/one","hello there"]');
  expect(answer).toContain('["GET","/two",""]');
  expect(answer).toContain('["GET","/three",""]');
});

test('a connection counts once for the limit of its address, however often it makes the offer [broker]', async () => {
  const refused: number[] = [];
  // As servers before Node.js 24.9, which are given every offer.
  const port = await startServer({}, (server) => {
    boundConnections(server, { counters: { add: (slot) => void refused.push(slot) } });
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const sockets = new Set<unknown>();
  const headers = {
    Connection: 'Upgrade, HTTP2-Settings',
    Upgrade: 'h2c',
    'HTTP2-Settings': 'AAEAAEAAAAIAAAAB',
  };
  for (let count = 0; count <= CONNECTIONS_PER_ADDRESS_MAX; count += 1) {
    await new Promise<void>((resolve, reject) => {
      const request = get({ port, host: '127.0.0.1', path: `/${count}`, agent, headers }, (response) => {
        response.resume().once('end', resolve);
      });
      request.once('socket', (socket) => sockets.add(socket)).once('error', reject);
    });
  }
  agent.destroy();
  expect(refused).toEqual([]);
  expect(sockets.size).toBe(1);
});
