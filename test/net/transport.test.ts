/** One contract for every transport. Quick tier. */
import os from 'node:os';
import path from 'node:path';

import { describe, expect, test } from 'vitest';

import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import { sleep, until } from '../harness/wait.js';
import { publishPacket } from './test-gateway.js';
import {
  carriers,
  openStream,
  startTransports,
  StreamClient,
  type Carrier,
  type Transports,
} from './transports.js';

const megabyte = 'x'.repeat(1_000_000);

/** Waits for one PUBLISH and one acknowledgement of a client that publishes to itself, in whatever order. */
async function both(client: StreamClient, ack: string): Promise<string> {
  await until(() => client.inbox.length >= 2 || client.isClosed, 'both packets');
  const packets = client.inbox.splice(0, 2);
  expect(packets.map(({ cmd }) => cmd).toSorted()).toEqual([ack, 'publish'].toSorted());
  return packets.flatMap((packet) => (packet.cmd === 'publish' ? [packet.payload.toString()] : [])).join('');
}

/** Proves that `client` is served. */
async function ping(client: StreamClient): Promise<void> {
  client.send('c000');
  await client.expect('pingresp');
}

function start(carrier: Carrier, env: Readonly<Record<string, string>> = {}): Promise<Transports> {
  return startTransports({ isProxied: carrier.preface !== undefined, uws: carrier.uws, env });
}

describe.each(carriers)('over $title', (carrier: Carrier) => {
  test.each([4, 5] as const)(
    'messages of all QoS are acknowledged and delivered in MQTT version %i [broker]',
    async (version) => {
      const at = await start(carrier);
      const client = await StreamClient.connect(at, carrier, 'a', { protocolVersion: version });
      expect(await client.subscribe('t', 2)).toBe(2);
      client.send(publishPacket('t', 'zero', { qos: 0 }));
      expect((await client.expect('publish')).payload.toString()).toBe('zero');
      client.send(publishPacket('t', 'one', { messageId: 7 }));
      expect(await both(client, 'puback')).toBe('one');
      client.send({ cmd: 'puback', messageId: 1 });
      client.send(publishPacket('t', 'two', { qos: 2, messageId: 8 }));
      await until(() => client.inbox.length > 0, 'PUBREC');
      client.send({ cmd: 'pubrel', messageId: 8 });
      await until(() => client.inbox.length >= 3, 'PUBREC, PUBCOMP and PUBLISH');
      expect(client.inbox.map(({ cmd }) => cmd).toSorted()).toEqual(['pubcomp', 'publish', 'pubrec']);
    },
  );

  test('a payload of a megabyte arrives whole [broker]', async () => {
    const at = await start(carrier);
    const client = await StreamClient.connect(at, carrier, 'a');
    await client.subscribe('t', 1);
    client.send(publishPacket('t', megabyte));
    expect(await both(client, 'puback')).toBe(megabyte);
  });

  test('packets may come in single bytes and many in one piece [MQTT-6.0.0-2]', async () => {
    const at = await start(carrier);
    const client = await StreamClient.open(at, carrier);
    const connect = client.encode({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 5,
      clean: true,
      keepalive: 0,
      clientId: 'a',
    });
    for (const byte of connect) {
      client.send(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.expect('connack');
    client.send(Buffer.alloc(20_000, 'c000', 'hex'));
    await until(() => client.inbox.length === 10_000, '10,000 answers');
    expect(client.inbox.every(({ cmd }) => cmd === 'pingresp')).toBe(true);
  });

  test('malformed bytes end the connection with the reason code, and no other [MQTT-4.13.1-1]', async () => {
    const at = await start(carrier);
    const good = await StreamClient.connect(at, carrier, 'good');
    const bad = await StreamClient.connect(at, carrier, 'bad');
    bad.send('36 05 0001 61 0001');
    expect((await bad.expect('disconnect')).reasonCode).toBe(0x81);
    await bad.expectClosed();
    await ping(good);
  });
});

describe.each(carriers.filter(({ preface }) => preface === undefined))('over $title', (carrier) => {
  test('a reader that stops reads everything later, and holds nobody up [broker]', async () => {
    const at = await start(carrier, { SLUICE_MAX_INFLIGHT: '1000' });
    const slow = await StreamClient.connect(at, carrier, 'slow');
    await slow.subscribe('t', 1);
    slow.stream.pause();
    const brisk = await StreamClient.connect(at, carrier, 'brisk');
    const count = 24;
    for (let i = 0; i < count; i++) {
      brisk.send(publishPacket('t', `${i} ${megabyte.slice(0, 500_000)}`));
      await brisk.expect('puback');
    }
    slow.stream.resume();
    const order: number[] = [];
    while (order.length < count) {
      const { payload, messageId } = await slow.expect('publish');
      order.push(Number.parseInt(payload.toString()));
      slow.send({ cmd: 'puback', messageId: messageId ?? 0 });
    }
    expect(order).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  test('a client whose publishes wait for room goes on when there is some [broker]', async () => {
    const at = await start(carrier);
    at.target.addQueue('q');
    at.target.shards.roomBytes = 0;
    const client = await StreamClient.connect(at, carrier, 'a');
    for (let i = 1; i <= 50; i++)
      client.send(publishPacket('q', megabyte.slice(0, 10_000), { messageId: i }));
    await until(() => at.target.shards.waitingForRoomCount === 1, 'the pause');
    at.target.shards.makeRoom();
    for (let i = 1; i <= 50; i++) expect((await client.expect('puback')).messageId).toBe(i);
  });

  test('a flood of one client leaves turns to the others [broker]', async () => {
    const at = await start(carrier);
    const flood = await StreamClient.connect(at, carrier, 'flood');
    const other = await StreamClient.connect(at, carrier, 'other');
    const { counters } = at.target;
    const message = flood.encode(publishPacket('t', 'x'.repeat(100), { qos: 0 }));
    const piece = Buffer.concat(Array.from({ length: 1000 }, () => message));
    const pieces = 150;
    let before = counters.total(slot.bytesReceived);
    const end = before + pieces * piece.length;
    for (let i = 0; i < pieces; i++) flood.send(piece);
    let most = 0;
    let turns = 0;
    // The gateway runs in this thread: what it reads between two turns is what others have to wait for.
    while (before < end) {
      await new Promise((resolve) => setImmediate(resolve));
      const now = counters.total(slot.bytesReceived);
      most = Math.max(most, now - before);
      before = now;
      if (++turns === 3) other.send('c000');
    }
    expect(most).toBeLessThan(2_000_000);
    await other.expect('pingresp');
  });

  test('the end of the stream of a client ends its connection, not its session [broker]', async () => {
    const at = await start(carrier);
    const client = await StreamClient.connect(at, carrier, 'a', {
      properties: { sessionExpiryInterval: 60 },
    });
    client.stream.end();
    await until(() => at.target.gateway.clientCount === 0, 'the end');
    await client.expectClosed();
    await until(() => at.target.gateway.connectionCount === 0, 'the end of the connection');
    expect(at.target.gateway.sessions.get('a')).toBeDefined();
  });

  test('DISCONNECT is the last packet, and the broker closes [MQTT-3.14.4-1]', async () => {
    const at = await start(carrier);
    const client = await StreamClient.connect(at, carrier, 'a');
    client.send('e000');
    await client.expectClosed();
    await until(() => at.target.gateway.connectionCount === 0, 'the end of the connection');
  });

  test('a client without CONNECT, and one in the middle of it, are closed in time [MQTT-3.1.4-2]', async () => {
    const at = await start(carrier, { SLUICE_CONNECT_TIMEOUT_MS: '100' });
    const silent = await StreamClient.open(at, carrier);
    const half = await StreamClient.open(at, carrier);
    half.send('10 0d 0004 4d51');
    await silent.expectClosed();
    await half.expectClosed();
    await until(
      () => at.target.counters.total(slotOf('connectionsRefused', 'connect-timeout')) === 2,
      'the count of both',
    );
  });

  test('a silent client is closed after one and a half times its Keep Alive [MQTT-3.1.2-22]', async () => {
    let nowMs = 0;
    const at = await startTransports({ uws: carrier.uws, clock: { nowMs: () => nowMs } });
    const client = await StreamClient.connect(at, carrier, 'a', { keepalive: 10 });
    nowMs = 16_000;
    expect((await client.expect('disconnect')).reasonCode).toBe(0x8d);
    await client.expectClosed();
  });

  test('a connection that breaks is noticed [broker]', async () => {
    const at = await start(carrier);
    const client = await StreamClient.connect(at, carrier, 'a');
    client.stream.destroy();
    await until(() => at.target.gateway.connectionCount === 0, 'the end');
  });

  test('one connection more than the listener may have is closed at once, others go on [broker]', async () => {
    const { kind } = carrier;
    const at = await start(carrier, {
      SLUICE_LISTENERS: JSON.stringify([
        {
          kind,
          name: 'small',
          maxConnections: 1,
          ...(kind === 'unix'
            ? { path: path.join(os.tmpdir(), `sluice-small-${process.pid}.sock`) }
            : { port: 0 }),
        },
      ]),
    });
    const first = await StreamClient.connect(at, carrier, 'first');
    await expect(
      openStream(at, kind, { preface: carrier.preface }).then((stream) =>
        new StreamClient(stream).login('second'),
      ),
    ).rejects.toThrow(/hang up|disconnected|ECONNRESET|EPIPE|expected connack|end of|closed/i);
    expect(at.target.counters.total(slotOf('connectionsRefused', 'listener-limit'))).toBe(1);
    await ping(first);
    first.stream.destroy();
    await until(() => at.target.gateway.connectionCount === 0, 'room');
    await sleep(50);
    await StreamClient.connect(at, carrier, 'third');
  });

  test('a draining gateway says so to its clients and closes them [MQTT-3.14.4-1]', async () => {
    const at = await start(carrier);
    const client = await StreamClient.connect(at, carrier, 'a');
    const drained = at.target.gateway.drain();
    expect((await client.expect('disconnect')).reasonCode).toBe(0x8b);
    await client.expectClosed();
    await drained;
    await expect(openStream(at, carrier.kind, { preface: carrier.preface })).rejects.toThrow(
      /ECONNREFUSED|ENOENT/,
    );
  });
});
