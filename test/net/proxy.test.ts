/** Listeners behind a proxy: whose address counts, what is refused, whom a header can make local. Quick tier. */
import net from 'node:net';

import { describe, expect, test } from 'vitest';

import type { ConnectionFacts } from '../../src/auth/connection-facts.js';
import { slotOf } from '../../src/telemetry/counter-layout.js';
import { until } from '../harness/wait.js';
import { FactsCollector } from './facts.js';
import { proxyV2, tlv } from './proxy-v2.js';
import {
  openRaw,
  openStream,
  prefaceV1,
  startTransports,
  StreamClient,
  type Transports,
} from './transports.js';

const failed = slotOf('connectionsRefused', 'proxy-header');
const kinds = ['tcp', 'tls', 'ws', 'wss'] as const;
const inet = (source: string): Buffer =>
  Buffer.from([...source.split('.').map(Number), 192, 0, 2, 9, 0xdc, 0x04, 0x07, 0x5b]);

interface Started {
  readonly at: Transports;
  readonly facts: FactsCollector;
}

async function start(env: Readonly<Record<string, string>> = {}): Promise<Started> {
  const facts = new FactsCollector();
  return { at: await startTransports({ env, isProxied: true, hooks: { authenticator: facts } }), facts };
}

async function factsWith(
  preface: Buffer,
  env: Readonly<Record<string, string>> = {},
): Promise<ConnectionFacts> {
  const { at, facts } = await start(env);
  await new StreamClient(await openStream(at, 'tcp', { preface })).login('a');
  return facts.of('a');
}

describe('the address of a client', () => {
  test.each(kinds)('is that of the header over %s [broker]', async (kind) => {
    const { at, facts } = await start();
    await new StreamClient(await openStream(at, kind, { preface: prefaceV1 })).login('one');
    expect(facts.of('one')).toMatchObject({ peername: '192.0.2.7:56324', isLoopback: false, listener: kind });
    const v6 = Buffer.concat([
      Buffer.from('20010db8000000000000000000000007', 'hex'),
      Buffer.alloc(16),
      Buffer.from([0, 80, 0, 81]),
    ]);
    await new StreamClient(await openStream(at, kind, { preface: proxyV2(0x21, 0x21, v6) })).login('two');
    expect(facts.of('two')).toMatchObject({
      peername: '[2001:db8::7]:80',
      isLoopback: false,
      listener: kind,
    });
  });

  test('is local only when the proxy is and says so [broker]', async () => {
    expect(await factsWith(proxyV2(0x21, 0x11, inet('127.0.0.1')))).toMatchObject({
      peername: '127.0.0.1:56324',
      isLoopback: true,
    });
    expect((await factsWith(proxyV2(0x21, 0x11, inet('10.0.0.1')))).isLoopback).toBe(false);
    expect((await factsWith(Buffer.from('PROXY UNKNOWN\r\n'))).isLoopback).toBe(false);
    expect((await factsWith(proxyV2(0x21, 0x00))).isLoopback).toBe(false);
  });

  test('of a proxy that speaks for itself is its own [broker]', async () => {
    expect(await factsWith(proxyV2(0x20, 0x00))).toMatchObject({
      peername: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
      isLoopback: true,
    });
  });
});

describe('TLS that ended at the proxy', () => {
  const ssl = tlv(0x20, Buffer.concat([Buffer.from([5, 0, 0, 0, 0]), tlv(0x22, Buffer.from('dev,ice'))]));
  const preface = proxyV2(0x21, 0x11, inet('192.0.2.7'), ssl);

  test('makes the connection secure and tells the Common Name [broker]', async () => {
    expect(await factsWith(preface, { SLUICE_TLS_IDENTITY: 'cn' })).toEqual({
      peername: '192.0.2.7:56324',
      listener: 'tcp',
      isLoopback: false,
      secure: true,
      certificate: { commonName: 'dev,ice', subject: String.raw`CN=dev\,ice`, fingerprint256: '' },
      certificateUsername: 'dev,ice',
    });
  });

  test('makes no user unless users are taken from certificates [broker]', async () => {
    expect((await factsWith(preface)).certificateUsername).toBeUndefined();
  });
});

describe('a header that is wrong or missing', () => {
  test.each(kinds)('closes the connection over %s, counted [broker]', async (kind) => {
    const { at } = await start();
    const bad = [
      Buffer.from('100d00044d5154540402003c000161', 'hex'),
      Buffer.from('PROXY TCP4 1.2.3 4 5 6\r\n'),
      proxyV2(0x31, 0x11, inet('192.0.2.7')),
    ];
    for (const [index, preface] of bad.entries()) {
      const socket = await openRaw(at, kind, preface);
      socket.on('error', () => undefined);
      let got = 0;
      socket.on('data', (chunk: Buffer) => (got += chunk.length));
      await new Promise((resolve) => socket.once('close', resolve));
      expect(got).toBe(0);
      expect(at.target.counters.total(failed)).toBe(index + 1);
    }
    expect(at.target.gateway.connectionCount).toBe(0);
  });

  test.each(kinds)('that never comes whole ends with the time for CONNECT over %s [broker]', async (kind) => {
    const { at } = await start({ SLUICE_CONNECT_TIMEOUT_MS: '100' });
    const socket = await openRaw(at, kind, prefaceV1.subarray(0, 20));
    socket.on('error', () => undefined);
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(at.target.counters.total(slotOf('connectionsRefused', 'connect-timeout'))).toBe(1);
    expect(at.target.counters.total(failed)).toBe(0);
  });

  test.each(kinds)(
    'cut off by the end of the stream closes the connection over %s [broker]',
    async (kind) => {
      const { at } = await start();
      const socket = await openRaw(at, kind, prefaceV1.subarray(0, 20));
      socket.end();
      await until(() => at.target.counters.total(failed) === 1, 'the count');
    },
  );
});

/** A proxy in front of `port` that sends its header byte by byte, or with the first bytes of the client. */
async function startProxy(
  at: Transports,
  port: number,
  way: 'bytewise' | 'at once',
): Promise<net.AddressInfo> {
  const server = net.createServer((client) => {
    const upstream = net.connect(port, '127.0.0.1');
    at.scope.add(() => upstream.destroy());
    client.on('error', () => undefined);
    upstream.on('error', () => undefined);
    client.once('data', (first: Buffer) => {
      client.pause();
      const pieces =
        way === 'at once'
          ? [Buffer.concat([prefaceV1, first])]
          : [...prefaceV1].map((byte) => Buffer.from([byte]));
      const next = (): void => {
        const piece = pieces.shift();
        if (piece !== undefined) {
          upstream.write(piece, () => setImmediate(next));
          return;
        }
        if (way === 'bytewise') upstream.write(first);
        client.pipe(upstream).pipe(client);
      };
      next();
    });
  });
  at.scope.add(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server.address() as net.AddressInfo;
}

test.each(kinds.flatMap((kind) => [[kind, 'bytewise'] as const, [kind, 'at once'] as const]))(
  'a proxy may send its header over %s %s [broker]',
  async (kind, way) => {
    const { at, facts } = await start();
    const bound = at.listener(kind);
    const address = await startProxy(at, bound.address?.port ?? 0, way);
    const through: Transports = { ...at, listener: () => ({ ...bound, address }) };
    await new StreamClient(await openStream(through, kind)).login('a');
    expect(facts.of('a')).toMatchObject({ peername: '192.0.2.7:56324', listener: kind });
  },
);

test('only those that may send a header are listened to [broker]', async () => {
  const { at } = await start({ SLUICE_PROXY_FROM: '10.0.0.0/8,192.0.2.1' });
  const socket = await openRaw(at, 'tcp', prefaceV1);
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('close', resolve));
  expect(at.target.counters.total(failed)).toBe(1);
  const { at: open } = await start({ SLUICE_PROXY_FROM: '127.0.0.0/8' });
  await new StreamClient(await openStream(open, 'tcp', { preface: prefaceV1 })).login('a');
});

test('a listener without proxy takes a header for what it is: bytes that are no MQTT [broker]', async () => {
  const at = await startTransports({ env: { SLUICE_PROXY_PROTOCOL: 'tls' } });
  const client = new StreamClient(await openStream(at, 'tcp', { preface: prefaceV1 }));
  await client.expectClosed();
  expect(client.inbox).toEqual([]);
});
