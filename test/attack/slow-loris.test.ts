import type { Duplex } from 'node:stream';

import { describe, expect, test } from 'vitest';

import type { ListenerKind } from '../../src/config/listener-entry.js';
import { slotOf } from '../../src/telemetry/counter-layout.js';
import { until } from '../harness/wait.js';
import { connect, publishPacket } from '../net/test-gateway.js';
import { openRaw, openStream, startTransports, type Transports } from '../net/transports.js';
import { text, varint } from './fixture.js';

const attackers = 8;
const dripMs = 20;

/** The start of a CONNECT with the longest client id that there is. */
const startOfConnect = Buffer.concat([
  Buffer.from([0x10]),
  varint(60_000),
  text('MQTT'),
  Buffer.from([5, 2, 0, 0, 0, 0xea, 0x00]),
  Buffer.alloc(2000, 'x'),
]);

/** The start of a ClientHello of 512 bytes. */
const startOfHello = Buffer.concat([
  Buffer.from('16030102000100 01fc0303'.replaceAll(' ', ''), 'hex'),
  Buffer.alloc(490, 7),
]);

const startOfUpgrade = Buffer.from(
  `GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX: ${'x'.repeat(4000)}`,
);

const signatureV2 = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** A stage that never ends: how far the attacker goes properly, and what it then sends byte by byte. */
const stages: readonly {
  readonly name: string;
  readonly kind: ListenerKind;
  readonly isProxied?: boolean;
  readonly open?: 'raw' | 'stream';
  readonly bytes: Buffer;
}[] = [
  { name: 'CONNECT over TCP', kind: 'tcp', bytes: startOfConnect },
  { name: 'CONNECT over a Unix socket', kind: 'unix', bytes: startOfConnect },
  { name: 'the TLS handshake', kind: 'tls', bytes: startOfHello },
  { name: 'CONNECT over TLS', kind: 'tls', open: 'stream', bytes: startOfConnect },
  { name: 'the HTTP upgrade', kind: 'ws', bytes: startOfUpgrade },
  { name: 'CONNECT in WebSocket frames', kind: 'ws', open: 'stream', bytes: startOfConnect },
  { name: 'the TLS handshake of a secure WebSocket', kind: 'wss', bytes: startOfHello },
  { name: 'CONNECT in secure WebSocket frames', kind: 'wss', open: 'stream', bytes: startOfConnect },
  {
    name: 'a PROXY header of version 1',
    kind: 'tcp',
    isProxied: true,
    bytes: Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.9 56324 188'),
  },
  {
    name: 'a PROXY header of version 2',
    kind: 'tls',
    isProxied: true,
    bytes: Buffer.concat([signatureV2, Buffer.from([0x21, 0x11, 0x01, 0xff]), Buffer.alloc(400)]),
  },
];

/** Sends one byte after the other until the connection is closed or the bytes are used up, which fails the test. */
async function drip(stream: Duplex, bytes: Buffer): Promise<'closed' | 'used up'> {
  let isClosed = false;
  stream.on('error', () => undefined);
  stream.on('close', () => (isClosed = true));
  stream.on('end', () => (isClosed = true));
  stream.resume();
  for (const byte of bytes) {
    if (isClosed) return 'closed';
    if (stream.writable) stream.write(Buffer.from([byte]));
    await new Promise((resolve) => setTimeout(resolve, dripMs));
  }
  return 'used up';
}

function openStage(at: Transports, kind: ListenerKind, how: 'raw' | 'stream'): Promise<Duplex> {
  return how === 'raw' ? openRaw(at, kind) : openStream(at, kind);
}

describe('slow loris', () => {
  test.each(stages)(
    'who sends $name byte by byte is closed when the time for CONNECT is over, counted, and others are served [MQTT-3.1.4-2]',
    async ({ kind, isProxied = false, open: how = 'raw', bytes }) => {
      const at = await startTransports({
        isProxied,
        env: { SLUICE_CONNECT_TIMEOUT_MS: '100', SLUICE_MAX_PACKET_SIZE: '1MB' },
      });
      const { counters, gateway } = at.target;
      const streams = await Promise.all(Array.from({ length: attackers }, () => openStage(at, kind, how)));
      const ends = streams.map((stream) => drip(stream, bytes));
      if (!isProxied) {
        const witness = await connect(at.target, 'witness');
        await witness.subscribe('w');
        witness.send(publishPacket('w', 'x', { qos: 0 }));
        expect((await witness.expect('publish')).topic).toBe('w');
      }
      expect(await Promise.all(ends)).toEqual(streams.map(() => 'closed'));
      await until(() => gateway.connectionCount === (isProxied ? 0 : 1), 'the attackers to be gone');
      expect(counters.total(slotOf('connectionsRefused', 'connect-timeout'))).toBe(attackers);
    },
  );

  test('connections in a handshake count for the limit: they cannot use up more than that [broker]', async () => {
    const at = await startTransports({ env: { SLUICE_MAX_CONNECTIONS: '4' } });
    const held = await Promise.all((['tls', 'ws', 'wss', 'tcp'] as const).map((kind) => openRaw(at, kind)));
    const surplus = await openRaw(at, 'tcp');
    let isClosed = false;
    surplus.on('close', () => (isClosed = true));
    surplus.resume();
    await until(() => isClosed, 'the end of the surplus connection');
    expect(at.target.counters.total(slotOf('connectionsRefused', 'limit'))).toBe(1);
    expect(held.map(({ destroyed }) => destroyed)).toEqual([false, false, false, false]);
  });

  test('a client that never reads its answers is paused and does not hold others up [broker]', async () => {
    const at = await startTransports({ env: { SLUICE_OUTBOX_BYTES: '64KB' } });
    const { target } = at;
    const witness = await connect(target, 'witness');
    await witness.subscribe('w');
    const deaf = await connect(target, 'deaf');
    deaf.socket.pause();
    const questions = Buffer.alloc(262_144, 'c000', 'hex');
    const roundsMax = 200;
    let rounds = 0;
    // Once reading has stopped and the kernel's buffers are full, our own buffer grows.
    for (; rounds < roundsMax && deaf.socket.writableLength < 1_000_000; rounds++) {
      deaf.send(questions);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(rounds).toBeLessThan(roundsMax);
    witness.send(publishPacket('w', 'x', { qos: 0 }));
    expect((await witness.expect('publish')).topic).toBe('w');
    expect(target.gateway.connectionCount).toBe(2);
  });
});
