import { describe, expect, test } from 'vitest';

import { connect, expectNothing, open, publish, publishPacket, startGateway } from '../net/test-gateway.js';
import { badStrings, connectFrame, field, frame, tap } from './wire.js';

const four = { protocolVersion: 4 } as const;
const lasting = { ...four, clean: false } as const;
const connect4 = {
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 4,
  clean: true,
  keepalive: 0,
} as const;

describe('CONNECT of MQTT 3.1.1', () => {
  test('a good CONNECT gets CONNACK 0 as the first packet [MQTT-3.1.1 3.2.0-1] [MQTT-3.1.1 3.1.4-4] [MQTT-3.1.1 3.1.0-1]', async () => {
    const target = await startGateway();
    const client = await open(target, 4);
    const received = tap(client);
    client.send(connectFrame(4, 0x02, field('a')));
    await client.expect('connack');
    expect(received().toString('hex')).toBe('20020000');
  });

  test('before CONNECT nothing is accepted, and a second CONNECT ends the connection [MQTT-3.1.1 3.1.0-1] [MQTT-3.1.1 3.1.0-2] [MQTT-3.1.1 4.8.0-1]', async () => {
    const target = await startGateway();
    for (const bytes of ['c000', '8206 0001 0001 61 00', '3003 0001 74', 'e000']) {
      const client = await open(target, 4);
      const received = tap(client);
      client.send(bytes);
      await client.expectClosed();
      expect(received().length).toBe(0);
    }
    const client = await connect(target, 'a', four);
    client.send(connectFrame(4, 0x02, field('a')));
    await client.expectClosed();
    expect(client.inbox).toEqual([]);
  });

  test('an unknown level is answered with return code 1, another name is not MQTT [MQTT-3.1.1 3.1.2-1] [MQTT-3.1.1 3.1.2-2] [MQTT-3.1.1 3.2.2-5]', async () => {
    const target = await startGateway();
    for (const level of [0, 2, 6, 255]) {
      const client = await open(target, 4);
      client.send(connectFrame(level, 0x02, field('a')));
      expect(await client.expect('connack')).toMatchObject({ returnCode: 1, sessionPresent: false });
      await client.expectClosed();
    }
    const other = await open(target, 4);
    other.send(frame(0x10, field('HTTP'), '04 02 0000', field('a')));
    await other.expectClosed();
    expect(target.gateway.sessions.size).toBe(0);
  });

  test('a CONNECT that breaks its format ends the connection without CONNACK [MQTT-3.1.1 3.1.4-1] [MQTT-3.1.1 3.1.2-3] [MQTT-3.1.1 3.1.2-9] [MQTT-3.1.1 3.1.2-11] [MQTT-3.1.1 3.1.2-13] [MQTT-3.1.1 3.1.2-14] [MQTT-3.1.1 3.1.2-15] [MQTT-3.1.1 3.1.2-18] [MQTT-3.1.1 3.1.2-19] [MQTT-3.1.1 3.1.2-20] [MQTT-3.1.1 3.1.2-21] [MQTT-3.1.1 3.1.2-22] [MQTT-3.1.1 3.1.3-3]', async () => {
    const target = await startGateway();
    const frames: Record<string, Buffer> = {
      'reserved flag': connectFrame(4, 0x03, field('a')),
      'will without topic': connectFrame(4, 0x06, field('a')),
      'will without message': connectFrame(4, 0x06, field('a'), field('will')),
      'fields of a will that is not announced': connectFrame(4, 0x02, field('a'), field('will'), field('x')),
      'Will QoS without will': connectFrame(4, 0x0a, field('a')),
      'Will QoS 3': connectFrame(4, 0x1e, field('a'), field('will'), field('x')),
      'Will Retain without will': connectFrame(4, 0x22, field('a')),
      'user name that is not announced': connectFrame(4, 0x02, field('a'), field('user')),
      'user name that is missing': connectFrame(4, 0x82, field('a')),
      'password that is not announced': connectFrame(4, 0x82, field('a'), field('user'), field('password')),
      'password that is missing': connectFrame(4, 0xc2, field('a'), field('user')),
      'password without user name': connectFrame(4, 0x42, field('a'), field('password')),
      'no client id': connectFrame(4, 0x02),
      'fixed header flags': frame(0x12, field('MQTT'), '04 02 0000', field('a')),
    };
    for (const [what, bytes] of Object.entries(frames)) {
      const client = await open(target, 4);
      const received = tap(client);
      client.send(bytes);
      await client.expectClosed();
      expect(received().length, what).toBe(0);
    }
    expect(target.gateway.sessions.size).toBe(0);
  });

  test('client id, will topic and user name must be strings [MQTT-3.1.1 1.5.3-1] [MQTT-3.1.1 1.5.3-2] [MQTT-3.1.1 3.1.3-4] [MQTT-3.1.1 3.1.3-10] [MQTT-3.1.1 3.1.3-11]', async () => {
    const target = await startGateway();
    for (const [what, bytes] of badStrings) {
      for (const connectBytes of [
        connectFrame(4, 0x02, field(bytes)),
        connectFrame(4, 0x06, field('a'), field(bytes), field('x')),
        connectFrame(4, 0x82, field('a'), field(bytes)),
      ]) {
        const client = await open(target, 4);
        const received = tap(client);
        client.send(connectBytes);
        await client.expectClosed();
        expect(received().length, what).toBe(0);
      }
    }
  });

  test('every digit and letter is allowed in client ids of 1 to 23 bytes [MQTT-3.1.1 3.1.3-5]', async () => {
    const target = await startGateway();
    const characters = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
    for (const clientId of ['Z', ...(characters.match(/.{1,23}/g) ?? [])]) {
      await connect(target, clientId, four);
      expect(target.gateway.sessions.get(clientId)).toBeDefined();
    }
  });

  test('an empty client id with Clean Session gets a unique one, without it return code 2 [MQTT-3.1.1 3.1.3-6] [MQTT-3.1.1 3.1.3-8] [MQTT-3.1.1 3.1.3-9] [MQTT-3.1.1 3.2.2-4]', async () => {
    const target = await startGateway();
    for (let i = 0; i < 2; i++) {
      const client = await open(target, 4);
      client.send(connectFrame(4, 0x02, field('')));
      expect((await client.expect('connack')).returnCode).toBe(0);
    }
    expect(target.gateway.sessions.size).toBe(2);
    const refused = await open(target, 4);
    refused.send(connectFrame(4, 0x00, field('')));
    expect(await refused.expect('connack')).toMatchObject({ returnCode: 2, sessionPresent: false });
    await refused.expectClosed();
  });

  test('a client id in use is taken over: the older connection is closed [MQTT-3.1.1 3.1.4-2]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', four);
    const second = await connect(target, 'a', four);
    await first.expectClosed();
    expect(first.inbox).toEqual([]);
    await expectNothing(second);
  });

  test('behind a refused CONNECT nothing is processed, and no return code means no CONNACK [MQTT-3.1.1 3.1.4-5] [MQTT-3.1.1 3.2.2-6]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's', four);
    await subscriber.subscribe('t', 0);
    const client = await open(target, 4);
    const received = tap(client);
    client.send(Buffer.concat([connectFrame(4, 0x03, field('a')), frame(0x30, field('t'), field('x'))]));
    await client.expectClosed();
    expect(received().length).toBe(0);
    await expectNothing(subscriber);
  });
});

describe('Clean Session of MQTT 3.1.1', () => {
  test('Session Present says whether a session was stored, by client id [MQTT-3.1.1 3.2.2-1] [MQTT-3.1.1 3.2.2-2] [MQTT-3.1.1 3.2.2-3] [MQTT-3.1.1 3.1.3-2] [MQTT-3.1.1 3.1.2-4]', async () => {
    const target = await startGateway();
    const present: boolean[] = [];
    for (const [clientId, clean] of [
      ['a', false],
      ['a', false],
      ['b', false],
      ['a', true],
      ['a', false],
    ] as const) {
      const client = await open(target, 4);
      client.send({ ...connect4, clientId, clean });
      const connack = await client.expect('connack');
      expect(connack.returnCode).toBe(0);
      present.push(connack.sessionPresent);
      client.send({ cmd: 'disconnect' });
      await client.expectClosed();
    }
    expect(present).toEqual([false, true, false, false, false]);
  });

  test('while its client is away a session keeps QoS 1 and 2 messages, and what was added is delivered [MQTT-3.1.1 3.1.2-5] [MQTT-3.1.1 4.5.0-1] [MQTT-3.1.1 4.1.0-1]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', lasting);
    await first.subscribe('t', 2);
    first.send({ cmd: 'disconnect' });
    await first.expectClosed();
    const publisher = await connect(target, 'p', four);
    await publish(publisher, 't', '1');
    publisher.send(publishPacket('t', '2', { qos: 2, messageId: 2 }));
    await publisher.expect('pubrec');
    const second = await connect(target, 'a', lasting);
    for (const payload of ['1', '2']) {
      expect((await second.expect('publish')).payload.toString()).toBe(payload);
    }
  });

  test('Clean Session throws the stored session away and keeps nothing itself [MQTT-3.1.1 3.1.2-6] [MQTT-3.1.1 3.1.4-3] [MQTT-3.1.1 4.1.0-2]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'p', four);
    const first = await connect(target, 'a', lasting);
    await first.subscribe('t', 1);
    first.send({ cmd: 'disconnect' });
    await first.expectClosed();
    await publish(publisher, 't', 'old');
    const clean = await connect(target, 'a', four);
    await clean.subscribe('t', 1);
    // It lasts as long as its connection...
    await publish(publisher, 't', 'new');
    expect((await clean.expect('publish')).payload.toString()).toBe('new');
    clean.send({ cmd: 'disconnect' });
    await clean.expectClosed();
    // ...and no longer.
    await publish(publisher, 't', 'late');
    const last = await connect(target, 'a', lasting);
    await expectNothing(last);
  });
});

describe('the end of a connection of MQTT 3.1.1', () => {
  test('a silent client is disconnected after one and a half times its Keep Alive [MQTT-3.1.1 3.1.2-24]', async () => {
    let nowMs = 0;
    const target = await startGateway({ clock: { nowMs: () => nowMs } });
    const client = await connect(target, 'a', { ...four, keepalive: 10 });
    const witness = await connect(target, 'w', { ...four, keepalive: 1 });
    nowMs = 14_000;
    // The clocks have been looked at, and the first one was in time.
    await witness.expectClosed();
    await expectNothing(client);
    nowMs = 31_000;
    await client.expectClosed();
  });

  test('PINGREQ is answered with PINGRESP [MQTT-3.1.1 3.12.4-1]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a', four);
    client.send('c000');
    await client.expect('pingresp');
  });

  test('wrong flags end the connection, in every packet [MQTT-3.1.1 2.2.2-1] [MQTT-3.1.1 2.2.2-2] [MQTT-3.1.1 3.6.1-1] [MQTT-3.1.1 3.8.1-1] [MQTT-3.1.1 3.10.1-1] [MQTT-3.1.1 3.14.1-1]', async () => {
    const target = await startGateway();
    const bodies: readonly (readonly [number, number, string])[] = [
      [0x40, 0, '02 0001'],
      [0x50, 0, '02 0001'],
      [0x60, 2, '02 0001'],
      [0x70, 0, '02 0001'],
      [0x80, 2, '06 0001 0001 61 00'],
      [0xa0, 2, '05 0001 0001 61'],
      [0xc0, 0, '00'],
      [0xe0, 0, '00'],
    ];
    for (const [type, right, body] of bodies) {
      for (let flags = 0; flags < 16; flags++) {
        if (flags === right) continue;
        const client = await connect(target, 'a', four);
        client.send((type | flags).toString(16) + body);
        await client.expectClosed();
        expect(client.inbox, `${type} ${flags}`).toEqual([]);
      }
    }
  });

  test('packets of a server, and reserved types, end the connection [MQTT-3.1.1 4.8.0-1]', async () => {
    const target = await startGateway();
    for (const bytes of ['2002 0000', '9003 0001 00', 'b002 0001', 'd000', '0000', 'f000']) {
      const client = await connect(target, 'a', four);
      client.send(bytes);
      await client.expectClosed();
    }
  });
});
