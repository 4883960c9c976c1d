/** Limits of connections: how many, how fast, and of one address. Quick tier. */
import { describe, expect, test } from 'vitest';

import { loadConfig } from '../../src/config/config.js';
import { Admission } from '../../src/net/admission.js';
import { TokenBucket } from '../../src/net/rate-limit.js';
import { socketOptions } from '../../src/net/tcp-listener.js';
import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import { until } from '../harness/wait.js';
import { connect, open, publishPacket, startGateway } from './test-gateway.js';
import { openRaw, openStream, prefaceV1, startTransports, StreamClient } from './transports.js';

const tooFast = slotOf('connectionsRefused', 'rate');
const tooFastFromThere = slotOf('connectionsRefused', 'address-rate');
const tooManyFromThere = slotOf('connectionsRefused', 'address-limit');

/** A clock that goes when it is told to. */
class HandClock {
  ms = 0;

  nowMs(): number {
    return this.ms;
  }
}

const preface = (host: string): Buffer =>
  Buffer.from(`PROXY TCP4 ${host} 192.0.2.9 56324 1883\r\n`, 'latin1');

describe('a token bucket', () => {
  test('gives its burst at once and then its rate, never more than the burst [broker]', () => {
    const bucket = new TokenBucket(2, 4, 0);
    const takes = (nowMs: number): number => {
      let taken = 0;
      while (bucket.take(1, nowMs)) taken++;
      return taken;
    };
    expect([0, 0, 499, 500, 1500, 100_000].map(takes)).toEqual([4, 0, 0, 1, 2, 4]);
  });

  test('is spent below zero and says when that is paid back [broker]', () => {
    const bucket = new TokenBucket(10, 10, 0);
    bucket.spend(30);
    expect(bucket.waitMs(0)).toBe(2000);
    expect(bucket.waitMs(1999)).toBe(1);
    expect(bucket.waitMs(2001)).toBe(0);
  });

  test('a cost above the burst is paid from a full bucket [broker]', () => {
    const bucket = new TokenBucket(1, 2, 0);
    expect(bucket.take(5, 0)).toBe(true);
    expect(bucket.take(1, 3000)).toBe(false);
    expect(bucket.take(1, 4000)).toBe(true);
  });
});

describe('an address', () => {
  const admission = (env: Readonly<Record<string, string>>): Admission => new Admission(loadConfig(env), 0);

  test('is an IPv4 address, or 64 bits of an IPv6 address [broker]', () => {
    const gate = admission({ SLUICE_CONNECTIONS_PER_ADDRESS: '1' });
    expect(gate.enter('192.0.2.1:1000', 1, 0)).toBeUndefined();
    expect(gate.enter('192.0.2.1:1001', 1, 0)).toBe('address-limit');
    expect(gate.enter('[::ffff:192.0.2.1]:1002', 1, 0)).toBe('address-limit');
    expect(gate.enter('192.0.2.2:1000', 1, 0)).toBeUndefined();
    expect(gate.enter('[2001:db8::1]:1', 1, 0)).toBeUndefined();
    expect(gate.enter('[2001:db8::ffff:1]:1', 1, 0)).toBe('address-limit');
    expect(gate.enter('[2001:db8:0:1::1]:1', 1, 0)).toBeUndefined();
  });

  test('is forgotten with its last connection [broker]', () => {
    const gate = admission({ SLUICE_CONNECTIONS_PER_ADDRESS: '2' });
    for (const port of [1, 2]) gate.enter(`192.0.2.1:${port}`, 1, 0);
    gate.leave('192.0.2.1:1');
    expect(gate.addressCount).toBe(1);
    expect(gate.enter('192.0.2.1:3', 1, 0)).toBeUndefined();
    gate.leave('192.0.2.1:2');
    gate.leave('192.0.2.1:3');
    expect(gate.addressCount).toBe(0);
  });

  test('a connection that is refused for its number costs nothing of the rate [broker]', () => {
    const gate = admission({ SLUICE_CONNECTIONS_PER_ADDRESS: '1', SLUICE_CONNECTION_RATE_PER_ADDRESS: '1' });
    gate.enter('192.0.2.1:1', 1, 0);
    for (let i = 0; i < 100; i++) expect(gate.enter('192.0.2.1:2', 1, 0)).toBe('address-limit');
    gate.leave('192.0.2.1:1');
    expect(gate.enter('192.0.2.1:3', 1, 0)).toBeUndefined();
  });

  test('without limits nothing is remembered of it [broker]', () => {
    const gate = admission({ SLUICE_CONNECTIONS_PER_ADDRESS: '0', SLUICE_CONNECTION_RATE_PER_ADDRESS: '0' });
    for (let i = 0; i < 100_000; i++) expect(gate.enter('192.0.2.1:1', 4, 0)).toBeUndefined();
    expect(gate.addressCount).toBe(0);
  });
});

describe('connections that come too fast', () => {
  test('are closed at once after the burst, and are let in again with time [broker]', async () => {
    const clock = new HandClock();
    const target = await startGateway({ clock, env: { SLUICE_CONNECTION_RATE: '1' } });
    for (let i = 0; i < 10; i++) await connect(target, `c${i}`);
    await (await open(target)).expectClosed();
    expect(target.counters.total(tooFast)).toBe(1);
    clock.ms += 1000;
    await connect(target, 'later');
    await (await open(target)).expectClosed();
    expect(target.counters.total(tooFast)).toBe(2);
  });

  test('what one address is refused takes nothing of what all share [broker]', async () => {
    const env = { SLUICE_CONNECTION_RATE: '1', SLUICE_CONNECTIONS_PER_ADDRESS: '1' };
    const at = await startTransports({ clock: new HandClock(), env });
    const first = new StreamClient(await openStream(at, 'tcp'));
    await first.login('a');
    for (let i = 0; i < 20; i++) {
      const refused = await openRaw(at, 'tcp');
      await new Promise((resolve) => refused.once('close', resolve).resume());
    }
    for (let i = 0; i < 9; i++) await new StreamClient(await openStream(at, 'unix')).login(`u${i}`);
    expect(at.target.counters.total(tooManyFromThere)).toBe(20);
    expect(at.target.counters.total(tooFast)).toBe(0);
  });

  test('a TLS connection counts as four, and is closed before its handshake [broker]', async () => {
    const at = await startTransports({ clock: new HandClock(), env: { SLUICE_CONNECTION_RATE: '1' } });
    for (const clientId of ['a', 'b']) await new StreamClient(await openStream(at, 'tls')).login(clientId);
    const third = await openRaw(at, 'tls');
    await new Promise((resolve) => third.once('close', resolve).resume());
    expect(third.bytesRead).toBe(0);
    await new StreamClient(await openStream(at, 'tcp')).login('c');
    expect(at.target.counters.total(tooFast)).toBe(1);
  });

  test('from one address are closed, and another address is not concerned [broker]', async () => {
    const env = { SLUICE_CONNECTION_RATE_PER_ADDRESS: '1' };
    const at = await startTransports({ clock: new HandClock(), isProxied: true, env });
    const from = async (host: string, clientId: string): Promise<StreamClient> => {
      const client = new StreamClient(await openStream(at, 'tcp', { preface: preface(host) }));
      await client.login(clientId);
      return client;
    };
    for (let i = 0; i < 10; i++) await from('192.0.2.7', `c${i}`);
    await expect(from('192.0.2.7', 'late')).rejects.toThrow('connack');
    await from('192.0.2.8', 'other');
    expect(at.target.counters.total(tooFastFromThere)).toBe(1);
    expect(at.target.counters.total(tooFast)).toBe(0);
  });
});

describe('too many connections of one address', () => {
  test.each(['tcp', 'tls', 'ws', 'wss'] as const)(
    'one more over %s is closed at once, until another one has gone [broker]',
    async (kind) => {
      const at = await startTransports({ env: { SLUICE_CONNECTIONS_PER_ADDRESS: '2' } });
      const first = new StreamClient(await openStream(at, kind));
      await first.login('a');
      await new StreamClient(await openStream(at, kind)).login('b');
      const refused = await openRaw(at, kind);
      await new Promise((resolve) => refused.once('close', resolve).resume());
      expect(at.target.counters.total(tooManyFromThere)).toBe(1);
      first.send({ cmd: 'disconnect' });
      await first.expectClosed();
      await until(() => at.target.gateway.connectionCount === 1, 'the end of the first');
      await new StreamClient(await openStream(at, kind)).login('c');
    },
  );

  test.each(['tcp', 'tls', 'ws', 'wss'] as const)(
    'behind a proxy over %s the address of the header counts [broker]',
    async (kind) => {
      const at = await startTransports({ isProxied: true, env: { SLUICE_CONNECTIONS_PER_ADDRESS: '1' } });
      await new StreamClient(await openStream(at, kind, { preface: prefaceV1 })).login('a');
      const refused = await openRaw(at, kind, prefaceV1);
      await new Promise((resolve) => refused.once('close', resolve).resume());
      expect(at.target.counters.total(tooManyFromThere)).toBe(1);
      await new StreamClient(await openStream(at, kind, { preface: preface('192.0.2.8') })).login('b');
      expect(at.target.gateway.connectionCount).toBe(2);
    },
  );

  test('clients of a Unix socket have no address [broker]', async () => {
    const at = await startTransports({ env: { SLUICE_CONNECTIONS_PER_ADDRESS: '1' } });
    for (const clientId of ['a', 'b', 'c']) {
      await new StreamClient(await openStream(at, 'unix')).login(clientId);
    }
    expect(at.target.gateway.clientCount).toBe(3);
  });
});

describe('connections that nobody uses', () => {
  test('an MQTT 5 client without Keep Alive is told the longest one [broker]', async () => {
    const target = await startGateway();
    const keepAliveOf = async (keepalive: number): Promise<number | undefined> => {
      const client = await open(target);
      const packet = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clean: true } as const;
      client.send({ ...packet, clientId: `k${keepalive}`, keepalive });
      return (await client.expect('connack')).properties?.serverKeepAlive;
    };
    expect(await keepAliveOf(0)).toBe(65_535);
    expect(await keepAliveOf(3600)).toBeUndefined();
  });

  test('the system asks whether the machine is still there, unless that is turned off [broker]', () => {
    expect(socketOptions(300_000)).toMatchObject({ keepAlive: true, keepAliveInitialDelay: 300_000 });
    expect(socketOptions(1).keepAliveInitialDelay).toBe(1000);
    expect(socketOptions(0)).toMatchObject({ keepAlive: false });
  });

  test('a client that takes nothing of what waits for it is closed, and counted [broker]', async () => {
    const clock = new HandClock();
    const target = await startGateway({ clock, env: { SLUICE_WRITE_STALL_TIMEOUT: '10s' } });
    const slow = await connect(target, 'slow');
    await slow.subscribe('t', 0);
    slow.socket.pause();
    const publisher = await connect(target, 'p');
    const dropped = slotOf('messagesDropped', 'outbox-full');
    while (target.counters.total(dropped) === 0) {
      publisher.send(publishPacket('t', 'x'.repeat(100_000), { qos: 0 }));
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Looks at all connections are half a second apart; each finds the clock three seconds later.
    await until(() => {
      clock.ms += 30;
      return target.counters.total(slot.writeStalls) === 1;
    }, 'the end of the slow one');
    await until(() => target.gateway.clientCount === 1, 'its connection to go');
    expect(publisher.closed).toBe(false);
  });
});
