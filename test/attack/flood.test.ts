import { describe, expect, test } from 'vitest';

import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import type { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/wait.js';
import {
  connect,
  expectNothing,
  open,
  publish,
  publishPacket,
  startGateway,
  type TestGateway,
} from '../net/test-gateway.js';
import {
  connectAs,
  packet,
  properties,
  refusal,
  startGuarded,
  subscribeCodes,
  text,
  varint,
} from './fixture.js';

const id1 = Buffer.from([0, 1]);

/** A client that shows that others are served as before. */
async function witnessOf(target: TestGateway): Promise<{ client: RawClient; isServed: () => Promise<void> }> {
  const client = await connect(target, 'witness');
  await client.subscribe('witness');
  return {
    client,
    isServed: async () => {
      client.send(publishPacket('witness', 'x', { qos: 0 }));
      expect((await client.expect('publish')).topic).toBe('witness');
    },
  };
}

describe('packets where they do not belong', () => {
  const firsts = {
    CONNACK: packet(0x20, Buffer.from([0, 0])),
    'PUBLISH QoS 0': packet(0x30, text('t'), Buffer.from('x')),
    'PUBLISH QoS 2': packet(0x34, text('t'), id1, Buffer.from('x')),
    PUBACK: packet(0x40, id1),
    PUBREC: packet(0x50, id1),
    PUBREL: packet(0x62, id1),
    PUBCOMP: packet(0x70, id1),
    SUBSCRIBE: packet(0x82, id1, text('#'), Buffer.from([0])),
    SUBACK: packet(0x90, id1, Buffer.from([0])),
    UNSUBSCRIBE: packet(0xa2, id1, text('#')),
    UNSUBACK: packet(0xb0, id1),
    PINGREQ: packet(0xc0),
    PINGRESP: packet(0xd0),
    DISCONNECT: packet(0xe0),
    AUTH: packet(0xf0),
    'packet type 0': packet(0x00),
  };

  test.each(Object.entries(firsts))(
    '%s before CONNECT closes the connection without an answer and does nothing [MQTT-3.1.0-1]',
    async (_, bytes) => {
      const target = await startGateway();
      const { client, isServed } = await witnessOf(target);
      await client.subscribe('#');
      const attacker = await open(target);
      attacker.send(
        Buffer.concat([bytes, packet(0x10, text('MQTT'), Buffer.from([4, 2, 0, 0]), text('late'))]),
      );
      await attacker.expectClosed();
      expect(attacker.inbox).toEqual([]);
      expect(target.gateway.sessions.get('late')).toBeUndefined();
      await expectNothing(client);
      client.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['#'] });
      await client.expect('unsuback');
      await isServed();
    },
  );

  test.each(['CONNACK', 'SUBACK', 'UNSUBACK', 'PINGRESP', 'packet type 0'] as const)(
    '%s from a connected client is a protocol error [MQTT-4.13.1-1]',
    async (name) => {
      const target = await startGateway();
      const client = await connect(target, 'a');
      client.send(firsts[name]);
      expect((await client.expect('disconnect')).reasonCode).toBeGreaterThanOrEqual(0x80);
      await client.expectClosed();
    },
  );

  test('a second CONNECT ends the connection and gives no other identity [MQTT-3.1.0-2]', async () => {
    const target = await startGuarded();
    const root = await connectAs(target, 'root');
    await root.subscribe('#');
    const mallory = await connectAs(target, 'mallory');
    const again = {
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 5,
      clean: true,
      keepalive: 0,
      clientId: 'mallory',
      username: 'root',
      password: Buffer.from('root-1'),
    } as const;
    mallory.send(again);
    mallory.send(publishPacket('secret/a', 'x'));
    expect((await mallory.expect('disconnect')).reasonCode).toBe(0x82);
    await mallory.expectClosed();
    expect(mallory.inbox).toEqual([]);
    await expectNothing(root);
  });
});

describe('lengths that lie', () => {
  const connected: Readonly<Record<string, Buffer>> = {
    'a remaining length of five bytes': Buffer.from('30ffffffff7f', 'hex'),
    'a remaining length that never ends': Buffer.from('30ffffffffffffffffff', 'hex'),
    'a remaining length above the limit': Buffer.concat([Buffer.from([0x30]), varint(268_435_455)]),
    'a topic longer than its packet': packet(0x30, Buffer.from([0xff, 0xff]), Buffer.from('t')),
    'a topic of half a length': packet(0x30, Buffer.from([0])),
    'properties longer than their packet': packet(0x30, text('t'), varint(100)),
    'a property length of five bytes': packet(0x30, text('t'), Buffer.from('ffffffff7f', 'hex')),
    'a property that is cut off': packet(0x30, text('t'), Buffer.from([2, 0x23, 0])),
    'a text in a property longer than the properties': packet(
      0x30,
      text('t'),
      Buffer.from([4, 0x03, 0xff, 0xff, 0x61]),
    ),
    'binary data longer than the properties': packet(0x30, text('t'), Buffer.from([3, 0x09, 0xff, 0xff])),
    'a subscription identifier of five bytes': packet(
      0x82,
      id1,
      Buffer.from('060bffffffff7f', 'hex'),
      text('f'),
      Buffer.from([0]),
    ),
    'a filter longer than its packet': packet(0x82, id1, properties(), Buffer.from([0xff, 0xff, 0x61])),
    'a filter without options': packet(0x82, id1, properties(), text('f')),
    'SUBSCRIBE without filters': packet(0x82, id1, properties()),
    'UNSUBSCRIBE without filters': packet(0xa2, id1, properties()),
    'a packet id of one byte': packet(0x32, text('t'), Buffer.from([1])),
    'an unknown property': packet(0x30, text('t'), Buffer.from([2, 0x7f, 0])),
    'the same property twice': packet(0x30, text('t'), Buffer.from([4, 0x01, 0, 0x01, 1])),
  };

  test.each(Object.entries(connected))('%s ends that connection only [MQTT-4.13.1-1]', async (_, bytes) => {
    const target = await startGateway();
    const { isServed } = await witnessOf(target);
    const attacker = await connect(target, 'a');
    attacker.send(bytes);
    const { reasonCode } = await attacker.expect('disconnect');
    expect([0x81, 0x82, 0x95]).toContain(reasonCode);
    await attacker.expectClosed();
    expect(target.counters.total(slot.protocolErrors + (reasonCode ?? 0) - 0x80)).toBe(1);
    await isServed();
  });

  test('what a length announces is not reserved: a thousand giant packets cost nothing until they come [broker]', async () => {
    const target = await startGateway({
      env: { SLUICE_MAX_PACKET_SIZE: '64MB', SLUICE_RING_BYTES: '256MB' },
    });
    const { isServed } = await witnessOf(target);
    const giant = Buffer.concat([Buffer.from([0x30]), varint(60_000_000), text('t'), Buffer.alloc(100)]);
    const before = process.memoryUsage();
    for (let i = 0; i < 100; i++) (await connect(target, `g${i}`)).send(giant);
    await isServed();
    const after = process.memoryUsage();
    const grown = after.external + after.heapTotal - before.external - before.heapTotal;
    // Two of them would be 120 MB.
    expect(grown).toBeLessThan(100_000_000);
  });

  test('a CONNECT above the packet limit is refused by its length, before it has come [MQTT-3.2.2-15]', async () => {
    const target = await startGateway({ env: { SLUICE_MAX_PACKET_SIZE: '1KB' } });
    const client = await open(target);
    client.send(Buffer.concat([Buffer.from([0x10]), varint(200_000_000)]));
    await client.expectClosed();
    for (const { cmd } of client.inbox) expect(cmd).toBe('connack');
  });

  test('the longest client id and user name that MQTT can write are taken or refused, and others are served [broker]', async () => {
    const target = await startGateway();
    const { isServed } = await witnessOf(target);
    const long = Buffer.alloc(65_535, 'x');
    const client = await open(target);
    const head = [text('MQTT'), Buffer.from([5, 0x82, 0, 0]), properties()];
    client.send(packet(0x10, ...head, text(long), text(long)));
    await until(() => client.closed || client.inbox.length > 0, 'an answer');
    await isServed();
    const half = await open(target);
    half.send(packet(0x10, ...head, text(long.subarray(0, 30_000)), text(long.subarray(0, 30_000))));
    expect((await half.expect('connack')).reasonCode).toBe(0);
    await isServed();
  });
});

describe('too much of something', () => {
  test('subscriptions beyond the limit are refused with 0x97, one packet or many [broker]', async () => {
    const target = await startGateway({ env: { SLUICE_SUBSCRIPTIONS_MAX: '10' } });
    const { isServed } = await witnessOf(target);
    const client = await connect(target, 'a');
    const subscriptions = Array.from({ length: 5000 }, (_, i) => ({ topic: `t/${i}`, qos: 0 as const }));
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions });
    const { granted } = await client.expect('suback');
    expect(granted.slice(0, 11)).toEqual([...Array.from({ length: 10 }, () => 0), 0x97]);
    expect(new Set(granted.slice(10))).toEqual(new Set([0x97]));
    expect(await subscribeCodes(client, ['$share/g/t', '$q/t', '$queue/t', 't/1', 'u'])).toEqual([
      0x97, 0x97, 0x97, 1, 0x97,
    ]);
    expect(target.gateway.sessions.get('a')?.liveSubscriptions.size).toBe(10);
    await isServed();
  });

  test('filters and topics that are too deep are refused, and others are served [broker]', async () => {
    const target = await startGateway();
    const { isServed } = await witnessOf(target);
    const client = await connect(target, 'a');
    const deep = '/'.repeat(20_000);
    const wild = Array.from({ length: 10_000 }, () => '+').join('/');
    expect(await subscribeCodes(client, [deep, wild])).toEqual([0x8f, 0x8f]);
    expect(await publish(client, deep, 'x')).toBe(0x90);
    await isServed();
  });

  test('acknowledgements of nothing change nothing [MQTT-4.3.3-11]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    for (let id = 1; id <= 2000; id++) {
      const packetId = Buffer.from([id >> 8, id & 0xff]);
      client.send(Buffer.concat([packet(0x40, packetId), packet(0x50, packetId), packet(0x70, packetId)]));
    }
    client.send(packet(0x62, Buffer.from([0x7f, 0xff])));
    for (;;) {
      const answer = await client.next();
      if (answer.cmd === 'pubcomp') {
        expect(answer.reasonCode).toBe(0x92);
        break;
      }
      // PUBREC of nothing.
      expect([answer.cmd, (answer as { reasonCode?: number }).reasonCode]).toEqual(['pubrel', 0x92]);
    }
    expect(client.closed).toBe(false);
  });

  test('QoS 2 messages that are never released are bounded by Receive Maximum [MQTT-3.3.4-7]', async () => {
    const target = await startGateway({ env: { SLUICE_RECEIVE_MAXIMUM: '20' } });
    const { isServed } = await witnessOf(target);
    const client = await connect(target, 'a');
    for (let id = 1; id <= 21; id++) client.send(publishPacket('t', 'x', { qos: 2, messageId: id }));
    for (;;) {
      const answer = await client.next();
      if (answer.cmd === 'pubrec') continue;
      expect([answer.cmd, (answer as { reasonCode?: number }).reasonCode]).toEqual(['disconnect', 0x93]);
      break;
    }
    await client.expectClosed();
    await isServed();
  });

  test('a flood of wrong CONNECTs leaves nothing behind, and others are served meanwhile [broker]', async () => {
    const target = await startGuarded({ auth: { authFailuresMax: 5 } });
    const root = await connectAs(target, 'root');
    await root.subscribe('public/#');
    const guesses = Array.from({ length: 200 }, (_, i) =>
      refusal(target, { clientId: `g${i}`, username: 'alice', password: Buffer.from(`${i}`) }),
    );
    root.send(publishPacket('public/a', 'x', { qos: 0 }));
    expect((await root.expect('publish')).topic).toBe('public/a');
    const codes = await Promise.all(guesses);
    expect(codes.filter((code) => code < 0x80)).toEqual([]);
    expect(codes.filter((code) => code === 0x86).length).toBeLessThan(20);
    await until(() => target.gateway.connectionCount === 1, 'the attackers to be gone');
    expect(target.gateway.sessions.size).toBe(1);
    expect(target.counters.total(slotOf('connectionsRefused', 'connack'))).toBe(200);
  });

  test('what is sent behind a CONNECT that is not decided yet is not taken in without bound [MQTT-3.1.4-6]', async () => {
    let decide: () => void = () => undefined;
    const decided = new Promise<void>((resolve) => {
      decide = resolve;
    });
    const target = await startGateway({
      hooks: {
        authenticator: {
          authenticate: async () => {
            await decided;
            return { kind: 'refused', reasonCode: 0x87 };
          },
          exchange: () => undefined,
          close: () => undefined,
        },
      },
    });
    const client = await open(target);
    client.send(packet(0x10, text('MQTT'), Buffer.from([5, 2, 0, 0]), properties(), text('a')));
    const flood = packet(0x30, text('t'), properties(), Buffer.alloc(500_000));
    for (let i = 0; i < 100; i++) client.send(flood);
    await until(() => target.counters.total(slot.bytesReceived) > 0, 'the CONNECT');
    let before = -1;
    await until(() => {
      const received = target.counters.total(slot.bytesReceived);
      const isSame = received === before;
      before = received;
      return isSame;
    }, 'reading to pause');
    expect(before).toBeLessThan(2_000_000);
    decide();
    expect((await client.expect('connack')).reasonCode).toBe(0x87);
    expect(target.counters.total(slot.publishesReceived)).toBe(0);
  });
});
