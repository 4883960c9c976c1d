/** Who may upgrade to MQTT on the port of the REST API. Quick tier, over real sockets. */
import { createServer } from 'node:http';
import net, { type AddressInfo } from 'node:net';

import { expect, test } from 'vitest';

import { mqttUpgrade } from '../../src/http/mqtt-upgrade.js';
import { testScope } from '../harness/scope.js';

const own = 'http://127.0.0.1:1';
const good = {
  Host: '127.0.0.1:1',
  Origin: own,
  'Sec-WebSocket-Protocol': 'mqtt, sluice-token.good',
} as const;

/** Sends one request for an upgrade; answers the status line, or `taken`. */
async function ask(
  headers: Readonly<Record<string, string | undefined>>,
  line = 'GET /mqtt HTTP/1.1',
): Promise<string> {
  const scope = testScope();
  const server = createServer((_request, response) => response.writeHead(200).end());
  server.on(
    'upgrade',
    mqttUpgrade({ take: (_request, socket) => socket.end('taken'), mayUse: (token) => token === 'good' }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.add(() => server.close());
  const socket = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
  scope.add(() => socket.destroy());
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const all = { Connection: 'Upgrade', Upgrade: 'websocket', ...good, ...headers };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}\r\n`],
  );
  socket.write(`${line}\r\n${lines.join('')}\r\n`);
  await closed;
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
