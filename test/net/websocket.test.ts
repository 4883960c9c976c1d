/** MQTT over WebSocket: the upgrade, the frames, and what breaks their rules. Quick tier. */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';

import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';

import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import { until } from '../harness/wait.js';
import { FactsCollector } from './facts.js';
import { publishPacket } from './test-gateway.js';
import {
  openRaw,
  openTls,
  openWebSocket,
  startTransports,
  StreamClient,
  type Transports,
} from './transports.js';

const refused = slotOf('connectionsRefused', 'ws-upgrade');
const kinds = ['ws', 'wss'] as const;
type Kind = (typeof kinds)[number];
const connect4 = Buffer.from('100d00044d5154540402003c000161', 'hex');
const connack4 = Buffer.from('20020000', 'hex');

function openBelow(at: Transports, kind: Kind): Promise<Duplex> {
  return kind === 'ws' ? openRaw(at, kind) : openTls(at, kind);
}

/** Sends a request as it is; answers all that comes until the end of the connection. */
async function request(at: Transports, kind: Kind, text: string): Promise<string> {
  const socket = await openBelow(at, kind);
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(text);
  await closed;
  return answer;
}

function upgrade(
  lines: Readonly<Record<string, string | undefined>> = {},
  requestLine = 'GET /mqtt HTTP/1.1',
): string {
  const headers = {
    Host: 'localhost',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    'Sec-WebSocket-Protocol': 'mqtt',
    ...lines,
  };
  const given = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}\r\n`],
  );
  return `${requestLine}\r\n${given.join('')}\r\n`;
}

/** A frame of a client: first byte, payload, masked unless told otherwise. */
function frame(firstByte: number, payload: Buffer, isMasked = true): Buffer {
  const { length } = payload;
  const size = length < 126 ? Buffer.from([length]) : Buffer.from([126, length >> 8, length & 0xff]);
  if (!isMasked) return Buffer.concat([Buffer.from([firstByte]), size, payload]);
  size[0]! |= 0x80;
  const mask = randomBytes(4);
  return Buffer.concat([Buffer.from([firstByte]), size, mask, payload.map((byte, i) => byte ^ mask[i % 4]!)]);
}

/** A connection upgraded by hand, for frames by hand; `bytes` is all that came after the upgrade. */
async function openFrames(
  at: Transports,
  kind: Kind,
): Promise<{ socket: Duplex; bytes: () => Buffer; isClosed: () => boolean }> {
  const socket = await openBelow(at, kind);
  let all = Buffer.alloc(0);
  let isClosed = false;
  socket.on('data', (chunk: Buffer) => (all = Buffer.concat([all, chunk])));
  socket.on('error', () => undefined);
  socket.once('close', () => (isClosed = true));
  socket.write(upgrade());
  const end = await until(() => all.indexOf('\r\n\r\n') + 1, 'the answer to the upgrade');
  expect(all.toString('latin1')).toMatch(/^HTTP\/1\.1 101 /);
  return { socket, bytes: () => all.subarray(end + 3), isClosed: () => isClosed };
}

describe.each(kinds)('the upgrade over %s', (kind) => {
  test.each(['mqtt', 'mqttv3.1'])(
    'the subprotocol %s is granted by its name [MQTT-6.0.0-4]',
    async (name) => {
      const at = await startTransports();
      const webSocket = await openWebSocket(at, kind, { protocols: ['chat', name] });
      expect(webSocket.protocol).toBe(name);
      expect(webSocket.extensions).toBe('');
    },
  );

  test('of both subprotocols the one for MQTT 3.1.1 and 5.0 is granted [MQTT-6.0.0-4]', async () => {
    const at = await startTransports();
    expect((await openWebSocket(at, kind, { protocols: ['mqttv3.1', 'mqtt'] })).protocol).toBe('mqtt');
  });

  test.each([
    ['another path', 404, upgrade({}, 'GET /other HTTP/1.1')],
    ['a longer path', 404, upgrade({}, 'GET /mqtt/ HTTP/1.1')],
    ['no subprotocol', 400, upgrade({ 'Sec-WebSocket-Protocol': undefined })],
    ['another subprotocol', 400, upgrade({ 'Sec-WebSocket-Protocol': 'chat, MQTT' })],
    ['no key', 400, upgrade({ 'Sec-WebSocket-Key': undefined })],
    ['a short key', 400, upgrade({ 'Sec-WebSocket-Key': 'abc' })],
    ['another version', 400, upgrade({ 'Sec-WebSocket-Version': '12' })],
    ['another protocol', 400, upgrade({ Upgrade: 'h2c' })],
    ['another method', 405, upgrade({}, 'POST /mqtt HTTP/1.1')],
    ['no upgrade', 426, upgrade({ Upgrade: undefined, Connection: undefined })],
    [
      'no upgrade and another path',
      404,
      upgrade({ Upgrade: undefined, Connection: undefined }, 'GET / HTTP/1.1'),
    ],
    ['too many headers', 431, upgrade({ Cookie: 'x'.repeat(20_000) })],
    ['no HTTP', 400, connect4.toString('latin1')],
  ])('%s is answered with %i and closed, counted once [MQTT-6.0.0-3]', async (_, status, text) => {
    const at = await startTransports();
    expect(await request(at, kind, text)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    await until(() => at.target.gateway.connectionCount === 0, 'the end');
    expect(at.target.counters.total(refused)).toBe(1);
  });

  test('a query does not matter for the path [broker]', async () => {
    const at = await startTransports();
    const socket = await openBelow(at, kind);
    const answer = new Promise<string>((resolve) =>
      socket.once('data', (chunk: Buffer) => resolve(chunk.toString('latin1'))),
    );
    socket.write(upgrade({}, 'GET /mqtt?token=x HTTP/1.1'));
    expect(await answer).toMatch(/^HTTP\/1\.1 101 /);
  });

  test('one that is slow ends with the time for CONNECT [broker]', async () => {
    const at = await startTransports({ env: { SLUICE_CONNECT_TIMEOUT_MS: '100' } });
    const socket = await openBelow(at, kind);
    socket.on('error', () => undefined);
    socket.write(upgrade().slice(0, 60));
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(at.target.counters.total(slotOf('connectionsRefused', 'connect-timeout'))).toBe(1);
    expect(at.target.counters.total(refused)).toBe(0);
  });

  test('frames may come in one piece with the request [broker]', async () => {
    const at = await startTransports();
    const socket = await openBelow(at, kind);
    let all = '';
    socket.on('data', (chunk: Buffer) => (all += chunk.toString('latin1')));
    socket.write(Buffer.concat([Buffer.from(upgrade()), frame(0x82, connect4)]));
    await until(() => all.endsWith(connack4.toString('latin1')), 'CONNACK');
  });
});

describe('pages in a browser', () => {
  async function factsFrom(origin: string | undefined, env = {}): Promise<boolean | string> {
    const facts = new FactsCollector();
    const at = await startTransports({ env, hooks: { authenticator: facts } });
    try {
      const webSocket = await openWebSocket(
        at,
        'ws',
        origin === undefined ? {} : { headers: { Origin: origin } },
      );
      webSocket.send(connect4);
      await new Promise((resolve) => webSocket.once('message', resolve));
      return facts.of('a').isLoopback;
    } catch (error) {
      return String(error);
    }
  }

  test('of foreign sites are no local peers, though the browser is [broker]', async () => {
    expect(await factsFrom(undefined)).toBe(true);
    for (const origin of ['http://localhost:3000', 'https://127.0.0.1', 'http://[::1]:80']) {
      expect(await factsFrom(origin)).toBe(true);
    }
    for (const origin of [
      'https://example.com',
      'null',
      'http://localhost.example.com',
      'http://127.0.0.1.example.com',
    ]) {
      expect(await factsFrom(origin)).toBe(false);
    }
  });

  test('are refused when their origin is not allowed [broker]', async () => {
    const env = { SLUICE_WS_ORIGINS: 'https://app.example.com, http://localhost:3000' };
    expect(await factsFrom('https://app.example.com', env)).toBe(false);
    expect(await factsFrom('http://localhost:3000', env)).toBe(true);
    expect(await factsFrom(undefined, env)).toBe(true);
    expect(await factsFrom('https://example.com', env)).toMatch('403');
    expect(await factsFrom('http://app.example.com', env)).toMatch('403');
  });
});

describe.each(kinds)('frames over %s', (kind) => {
  test('a packet may span frames and messages, and they may hold several packets [MQTT-6.0.0-2]', async () => {
    const at = await startTransports();
    const { socket, bytes } = await openFrames(at, kind);
    const ping = Buffer.from('c000', 'hex');
    socket.write(frame(0x02, connect4.subarray(0, 3)));
    socket.write(frame(0x00, connect4.subarray(3, 10)));
    socket.write(frame(0x80, Buffer.alloc(0)));
    socket.write(frame(0x82, Buffer.concat([connect4.subarray(10), ping, ping.subarray(0, 1)])));
    socket.write(frame(0x82, Buffer.concat([ping.subarray(1), ping])));
    const answers = Buffer.concat([connack4, Buffer.from('d000d000d000', 'hex')]);
    await until(() => payloadOf(bytes()).equals(answers), 'all answers');
  });

  test('all answers of one turn leave in one message, in a binary frame [MQTT-6.0.0-1]', async () => {
    const at = await startTransports();
    const { socket, bytes } = await openFrames(at, kind);
    socket.write(frame(0x82, connect4));
    await until(() => bytes().length === 6, 'CONNACK');
    socket.write(frame(0x82, Buffer.alloc(2000, 'c000', 'hex')));
    await until(() => bytes().length > 2000, 'the answers');
    expect(bytes().subarray(6).toString('hex')).toBe(`827e07d0${'d000'.repeat(1000)}`);
  });

  test.each([
    ['a text frame', frame(0x81, Buffer.from('c000', 'hex')), 1003],
    ['an empty text frame', frame(0x81, Buffer.alloc(0)), 1003],
    ['a text frame that is no text', frame(0x81, Buffer.from([0xc0])), 1003],
    ['a frame without mask', frame(0x82, Buffer.from('c000', 'hex'), false), 1002],
    ['a compressed frame', frame(0xc2, Buffer.from('c000', 'hex')), 1002],
    ['an unknown kind of frame', frame(0x83, Buffer.alloc(0)), 1002],
    ['a part without beginning', frame(0x80, Buffer.alloc(2)), 1002],
    [
      'a beginning within a message',
      Buffer.concat([frame(0x02, Buffer.alloc(1)), frame(0x02, Buffer.alloc(1))]),
      1002,
    ],
    ['a ping in parts', frame(0x09, Buffer.alloc(1)), 1002],
    ['a long ping', frame(0x89, Buffer.alloc(126)), 1002],
    ['a wrong close code', frame(0x88, Buffer.from([0x00, 0x01])), 1002],
  ])('%s closes the connection, counted [MQTT-6.0.0-1]', async (_, bad, code) => {
    const at = await startTransports();
    const { socket, bytes, isClosed } = await openFrames(at, kind);
    socket.write(frame(0x82, connect4));
    await until(() => bytes().length === 6, 'CONNACK');
    socket.write(
      Buffer.concat([frame(0x82, Buffer.from('c000', 'hex')), bad, frame(0x82, Buffer.from('c000', 'hex'))]),
    );
    await until(isClosed, 'the close');
    const close = `8802${code.toString(16).padStart(4, '0')}`;
    // What came before a text frame counts; after a broken frame nothing more is said.
    expect(bytes().subarray(6).toString('hex')).toBe(code === 1003 ? `8202d000${close}` : close);
    expect(at.target.counters.total(slot.webSocketFaults)).toBe(1);
    await until(() => at.target.gateway.connectionCount === 0, 'the end');
  });

  test('a message above the bound closes the connection with 1009 [broker]', async () => {
    const at = await startTransports({
      env: { SLUICE_WS_MESSAGE_MAX: '1KB', SLUICE_MAX_PACKET_SIZE: '2KB' },
    });
    const { socket, bytes, isClosed } = await openFrames(at, kind);
    socket.write(frame(0x82, connect4));
    await until(() => bytes().length === 6, 'CONNACK');
    socket.write(frame(0x82, Buffer.alloc(2048, 'c000', 'hex')));
    await until(() => bytes().length > 2048, 'the largest message is taken');
    socket.write(frame(0x02, Buffer.alloc(1200)));
    socket.write(frame(0x80, Buffer.alloc(1200)));
    await until(isClosed, 'the close');
    expect(bytes().subarray(-4).toString('hex')).toBe('880203f1');
    expect(at.target.counters.total(slot.webSocketFaults)).toBe(1);
  });

  test('a ping of the WebSocket is answered, between parts too, and is no MQTT [broker]', async () => {
    const at = await startTransports();
    const { socket, bytes } = await openFrames(at, kind);
    socket.write(frame(0x02, connect4.subarray(0, 5)));
    socket.write(frame(0x89, Buffer.from('hi')));
    socket.write(frame(0x80, connect4.subarray(5)));
    await until(() => bytes().length === 10, 'pong and CONNACK');
    expect(bytes().toString('hex')).toBe('8a026869820420020000');
  });

  test('a close of the WebSocket without DISCONNECT is answered and ends the session [broker]', async () => {
    const at = await startTransports();
    const webSocket = await openWebSocket(at, kind);
    webSocket.send(connect4);
    await new Promise((resolve) => webSocket.once('message', resolve));
    webSocket.close(1001);
    const code = await new Promise<number>((resolve) => webSocket.once('close', resolve));
    expect(code).toBe(1001);
    await until(() => at.target.gateway.connectionCount === 0, 'the end');
    expect(at.target.counters.total(slot.webSocketFaults)).toBe(0);
  });
});

test('a flood of messages with one tiny packet each leaves turns to the others [broker]', async () => {
  const at = await startTransports();
  const { socket, bytes } = await openFrames(at, 'ws');
  const other = await StreamClient.connect(at, { title: '', kind: 'tcp', preface: undefined }, 'other');
  socket.write(frame(0x82, connect4));
  await until(() => bytes().length === 6, 'CONNACK');
  socket.removeAllListeners('data');
  let answered = 0;
  socket.on('data', (chunk: Buffer) => (answered += chunk.length));
  const tiny = frame(0x82, Buffer.from('c000', 'hex'));
  const count = 300_000;
  socket.write(Buffer.concat(Array.from({ length: count }, () => tiny)));
  await until(() => answered > 0, 'the first answers');
  other.send('c000');
  await other.expect('pingresp');
  expect(answered).toBeLessThan(count * 2);
  await until(() => answered >= count * 2, 'all answers');
});

test('answers to pings of a client that reads nothing do not stop its messages for ever [broker]', async () => {
  const at = await startTransports();
  const webSocket = await openWebSocket(at, 'ws');
  webSocket.send(connect4);
  await new Promise((resolve) => webSocket.once('message', resolve));
  webSocket.send(Buffer.from('8206000100017400', 'hex'));
  await new Promise((resolve) => webSocket.once('message', resolve));
  webSocket.pause();
  const publisher = await StreamClient.connect(at, { title: '', kind: 'tcp', preface: undefined }, 'p');
  let sent = 0;
  // Until the kernel is full, and pongs lie behind a message.
  while (at.target.counters.total(slotOf('messagesDropped', 'outbox-full')) === 0) {
    publisher.send(publishPacket('t', 'x'.repeat(100_000), { qos: 0 }));
    if (++sent % 10 === 0) webSocket.ping('p');
    // Publishers wait a moment for a subscriber before it is given up: do not pile up more than it takes meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  let got = 0;
  webSocket.on('message', (data: Buffer) => (got += data.length));
  webSocket.resume();
  await until(() => got > sent * 50_000 || got > 1_000_000, 'what waited');
  const before = got;
  publisher.send(publishPacket('t', 'last', { qos: 0 }));
  await until(() => got > before, 'the next message');
  expect(webSocket.readyState).toBe(WebSocket.OPEN);
});

/** Payloads of unmasked frames of less than 126 bytes, in a row. */
function payloadOf(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at + 2 <= bytes.length; at += 2 + bytes[at + 1]!) {
    parts.push(bytes.subarray(at + 2, at + 2 + bytes[at + 1]!));
  }
  return Buffer.concat(parts);
}
