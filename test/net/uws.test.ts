/** The choice of the WebSocket engine, and what uWebSockets.js does beyond the common contract. Quick tier. */
import { randomBytes } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import { until } from '../harness/wait.js';
import { FactsCollector } from './facts.js';
import { startGateway } from './test-gateway.js';
import {
  carriers,
  openRaw,
  openWebSocket,
  startTransports,
  StreamClient,
  type Transports,
} from './transports.js';

const connect4 = Buffer.from('100d00044d5154540402003c000161', 'hex');
const missing = (): Promise<Error> =>
  Promise.resolve(Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' }));

describe('the engine', () => {
  test('is ws where uWebSockets.js is not installed, or does not load [broker]', async () => {
    for (const loadUws of [missing, () => Promise.resolve(new Error('no binary for this Node'))]) {
      const at = await startTransports({ loadUws });
      await StreamClient.connect(at, { title: '', kind: 'ws', preface: undefined }, 'a');
    }
  });

  test('is not looked for when ws is asked for [broker]', async () => {
    let looked = 0;
    const loadUws = (): Promise<Error> => {
      looked++;
      return missing();
    };
    await startGateway({ loadUws, env: { SLUICE_WS_ENGINE: 'ws' } });
    await startGateway({ loadUws, env: { SLUICE_WS_PORT: 'off' } });
    expect(looked).toBe(0);
    await startGateway({ loadUws });
    expect(looked).toBe(1);
  });

  test('that is asked for and not there ends the start [broker]', async () => {
    const started = startGateway({ loadUws: missing, env: { SLUICE_WS_ENGINE: 'uws' } });
    await expect(started).rejects.toMatchObject({ code: 'ERR_LISTEN' });
  });
});

describe.each(carriers.filter(({ uws }) => uws !== undefined))('$title', ({ uws }) => {
  async function request(
    at: Transports,
    path: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<string> {
    const socket = await openRaw(at, 'ws');
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
    const lines = Object.entries({ Host: 'localhost', ...headers }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    );
    socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
    await until(() => answer.includes('\r\n\r\n'), 'an answer');
    return answer.slice(0, 12);
  }

  const upgrade = {
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
  };

  test('answers requests as the other engine does [MQTT-6.0.0-3] [MQTT-6.0.0-4]', async () => {
    const at = await startTransports({ uws, env: { SLUICE_WS_ORIGINS: 'https://app.example.com' } });
    const mqtt = { ...upgrade, 'Sec-WebSocket-Protocol': 'mqtt' };
    expect(await request(at, '/mqtt?x=y', mqtt)).toBe('HTTP/1.1 101');
    expect(await request(at, '/other', mqtt)).toBe('HTTP/1.1 404');
    expect(await request(at, '/mqtt', upgrade)).toBe('HTTP/1.1 400');
    expect(await request(at, '/mqtt', { ...upgrade, 'Sec-WebSocket-Protocol': 'chat' })).toBe('HTTP/1.1 400');
    expect(await request(at, '/mqtt', {})).toBe('HTTP/1.1 426');
    expect(await request(at, '/mqtt', { ...mqtt, Origin: 'https://example.com' })).toBe('HTTP/1.1 403');
    expect(at.target.counters.total(slotOf('connectionsRefused', 'ws-upgrade'))).toBe(5);
    for (const protocol of ['mqtt', 'mqttv3.1']) {
      expect((await openWebSocket(at, 'ws', { protocols: ['chat', protocol] })).protocol).toBe(protocol);
    }
  });

  test('tells the facts of a connection; foreign pages are no local peers [broker]', async () => {
    const facts = new FactsCollector();
    const at = await startTransports({ uws, hooks: { authenticator: facts } });
    for (const [origin, isLoopback] of [
      ['http://localhost', true],
      ['https://example.com', false],
    ] as const) {
      const webSocket = await openWebSocket(at, 'ws', { headers: { Origin: origin } });
      webSocket.send(connect4);
      await new Promise((resolve) => webSocket.once('message', resolve));
      expect(facts.of('a')).toMatchObject({ listener: 'ws', isLoopback, secure: false });
      expect(facts.of('a').peername).toMatch(/^127\.0\.0\.1:\d+$/);
    }
  });

  test('a text message closes the connection with 1003, counted [MQTT-6.0.0-1]', async () => {
    const at = await startTransports({ uws });
    const webSocket = await openWebSocket(at, 'ws');
    webSocket.send('text');
    expect(await new Promise((resolve) => webSocket.once('close', resolve))).toBe(1003);
    expect(at.target.counters.total(slot.webSocketFaults)).toBe(1);
  });

  test('what comes while nobody takes it is kept up to a bound, then the connection closes with 1013 [broker]', async () => {
    const env = { SLUICE_WS_MESSAGE_MAX: '64KB', SLUICE_MAX_PACKET_SIZE: '64KB' };
    const at = await startTransports({ uws, env });
    at.target.addQueue('q');
    at.target.shards.roomBytes = 0;
    const webSocket = await openWebSocket(at, 'ws');
    webSocket.send(connect4);
    await new Promise((resolve) => webSocket.once('message', resolve));
    const publish = Buffer.concat([Buffer.from('30838001000171', 'hex'), Buffer.alloc(16_384)]);
    const closed = new Promise((resolve) => webSocket.once('close', resolve));
    for (let i = 0; i < 20; i++) webSocket.send(publish);
    expect(await closed).toBe(1013);
    expect(at.target.counters.total(slot.webSocketFaults)).toBe(1);
    await until(() => at.target.gateway.connectionCount === 0, 'the end');
  });

  test('a port that is taken ends the start with ERR_LISTEN [broker]', async () => {
    const at = await startTransports({ uws });
    const port = String(at.listener('ws').address?.port);
    await expect(startTransports({ uws, env: { SLUICE_WS_PORT: port } })).rejects.toMatchObject({
      code: 'ERR_LISTEN',
    });
  });
});
