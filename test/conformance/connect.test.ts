import { describe, expect, test } from 'vitest';

import type { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/wait.js';
import { connect, expectNothing, open, publishPacket, startGateway } from '../net/test-gateway.js';
import { badStrings, connectFrame, field, frame, packetSizes, tap } from './wire.js';

const connect5 = {
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 5,
  clean: true,
  keepalive: 0,
} as const;
const lasting = { clean: false, properties: { sessionExpiryInterval: 1000 } };

/** CONNACK 0x81 and the end of the connection. */
async function expectMalformed(client: RawClient): Promise<void> {
  expect((await client.expect('connack')).reasonCode).toBe(0x81);
  await client.expectClosed();
}

describe('CONNECT of MQTT 5.0', () => {
  test('what the flags do not announce must not be there, what they announce must [MQTT-3.1.2-16] [MQTT-3.1.2-17] [MQTT-3.1.2-18] [MQTT-3.1.2-19]', async () => {
    const target = await startGateway();
    const frames = [
      connectFrame(5, 0x02, field('a'), field('user')),
      connectFrame(5, 0x82, field('a')),
      connectFrame(5, 0x82, field('a'), field('user'), field('password')),
      connectFrame(5, 0xc2, field('a'), field('user')),
      connectFrame(5, 0x42, field('a')),
    ];
    for (const bytes of frames) {
      const client = await open(target);
      client.send(bytes);
      await expectMalformed(client);
    }
    expect(target.gateway.sessions.size).toBe(0);
  });

  test('a will that is announced has properties, topic and payload [MQTT-3.1.2-9] [MQTT-3.1.4-1]', async () => {
    const target = await startGateway();
    const noProperties = Buffer.from([0]);
    const frames = [
      connectFrame(5, 0x06, field('a')),
      connectFrame(5, 0x06, field('a'), noProperties),
      connectFrame(5, 0x06, field('a'), noProperties, field('will')),
      connectFrame(5, 0x02, field('a'), noProperties, field('will'), field('x')),
    ];
    for (const bytes of frames) {
      const client = await open(target);
      client.send(bytes);
      await expectMalformed(client);
    }
  });

  test('a CONNECT without the field of the client id is malformed [MQTT-3.1.3-3]', async () => {
    const target = await startGateway();
    const client = await open(target);
    client.send(connectFrame(5, 0x02));
    await expectMalformed(client);
  });

  test('client id, will topic and user name must be strings [MQTT-3.1.3-4] [MQTT-3.1.3-11] [MQTT-3.1.3-12] [MQTT-1.5.4-1] [MQTT-1.5.4-2]', async () => {
    const target = await startGateway();
    for (const [what, bytes] of badStrings) {
      const frames = [
        connectFrame(5, 0x02, field(bytes)),
        connectFrame(5, 0x06, field('a'), Buffer.from([0]), field(bytes), field('x')),
        connectFrame(5, 0x82, field('a'), field(bytes)),
      ];
      for (const [at, connectBytes] of frames.entries()) {
        const client = await open(target);
        client.send(connectBytes);
        expect((await client.expect('connack')).reasonCode, `${what} ${at}`).toBeGreaterThanOrEqual(0x80);
        await client.expectClosed();
      }
    }
    expect(target.gateway.sessions.size).toBe(0);
  });

  test('every digit and letter is allowed in client ids of 1 to 23 bytes [MQTT-3.1.3-5]', async () => {
    const target = await startGateway();
    const characters = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
    for (const clientId of ['Z', ...(characters.match(/.{1,23}/g) ?? [])]) {
      const client = await connect(target, clientId);
      expect(target.gateway.sessions.get(clientId)).toBeDefined();
      client.destroy();
    }
  });

  test('two clients without id get ids of their own [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]', async () => {
    const target = await startGateway();
    const ids = new Set<string>();
    for (let i = 0; i < 2; i++) {
      const client = await open(target);
      client.send({ ...connect5, clientId: '' });
      ids.add((await client.expect('connack')).properties?.assignedClientIdentifier ?? '');
    }
    expect(ids.size).toBe(2);
    for (const id of ids) expect(target.gateway.sessions.get(id)?.state).toBe('connected');
  });

  test('without Clean Start a session begins where there is none, and goes on where there is one, by client id [MQTT-3.1.2-6] [MQTT-3.1.3-2] [MQTT-3.2.2-3]', async () => {
    const target = await startGateway();
    const present: [string, boolean][] = [];
    for (const clientId of ['a', 'b', 'a']) {
      const client = await open(target);
      client.send({ ...connect5, ...lasting, clientId });
      const connack = await client.expect('connack');
      expect(connack.reasonCode).toBe(0);
      present.push([clientId, connack.sessionPresent]);
      client.send({ cmd: 'disconnect', reasonCode: 0 });
      await client.expectClosed();
    }
    expect(present).toEqual([
      ['a', false],
      ['b', false],
      ['a', true],
    ]);
  });

  test('Clean Start throws the state of the session away [MQTT-3.1.4-4] [MQTT-3.1.2-4]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', lasting);
    await first.subscribe('t', 1);
    first.send({ cmd: 'disconnect', reasonCode: 0 });
    await first.expectClosed();
    const second = await connect(target, 'a', { clean: true, properties: { sessionExpiryInterval: 1000 } });
    const publisher = await connect(target, 'p');
    publisher.send(publishPacket('t', 'x'));
    expect((await publisher.expect('puback')).reasonCode).toBe(0x10);
    await expectNothing(second);
  });

  test('a CONNACK with an error has no Session Present and ends the connection, also where there is a session [MQTT-3.2.2-6] [MQTT-3.2.2-7] [MQTT-4.13.2-1]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', lasting);
    first.send({ cmd: 'disconnect', reasonCode: 0 });
    await first.expectClosed();
    const second = await open(target);
    second.send({
      ...connect5,
      clientId: 'a',
      clean: false,
      properties: { authenticationMethod: 'no such method' },
    });
    const connack = await second.expect('connack');
    expect([connack.reasonCode, connack.sessionPresent]).toEqual([0x8c, false]);
    await second.expectClosed();
    expect(second.inbox).toEqual([]);
  });

  test('there is one CONNACK: a second CONNECT gets DISCONNECT [MQTT-3.2.0-2] [MQTT-3.1.0-2]', async () => {
    const target = await startGateway();
    const client = await open(target);
    const received = tap(client);
    client.send(connectFrame(5, 0x02, field('a')));
    client.send(connectFrame(5, 0x02, field('a')));
    await client.expectClosed();
    const connacks = client.inbox.filter(({ cmd }) => cmd === 'connack');
    expect(connacks).toHaveLength(1);
    expect(packetSizes(received())).toHaveLength(2);
    expect(client.inbox.at(-1)).toMatchObject({ cmd: 'disconnect', reasonCode: 0x82 });
  });

  test('without Server Keep Alive the Keep Alive of the client holds, with it the one of the server [MQTT-3.2.2-22] [MQTT-3.1.2-22]', async () => {
    let nowMs = 0;
    const target = await startGateway({
      clock: { nowMs: () => nowMs },
      env: { SLUICE_KEEP_ALIVE_MAX: '100s' },
    });
    const granted: [number, number | undefined][] = [];
    const clients = [];
    for (const keepalive of [10, 100, 600]) {
      const client = await open(target);
      client.send({ ...connect5, clientId: String(keepalive), keepalive });
      granted.push([keepalive, (await client.expect('connack')).properties?.serverKeepAlive]);
      clients.push(client);
    }
    expect(granted).toEqual([
      [10, undefined],
      [100, undefined],
      [600, 100],
    ]);
    nowMs = 60_000;
    expect((await clients[0]?.expect('disconnect'))?.reasonCode).toBe(0x8d);
    nowMs = 200_000;
    for (const client of clients.slice(1)) expect((await client.expect('disconnect')).reasonCode).toBe(0x8d);
  });

  test('no Response Information unless it is asked for [MQTT-3.1.2-28]', async () => {
    const target = await startGateway();
    for (const properties of [{}, { requestResponseInformation: false }]) {
      const client = await open(target);
      client.send({ ...connect5, clientId: 'a', properties });
      expect((await client.expect('connack')).properties?.responseInformation).toBeUndefined();
    }
  });

  test('without an authentication method there is no AUTH and no method in CONNACK [MQTT-4.12.0-6]', async () => {
    const target = await startGateway();
    const client = await open(target);
    client.send({ ...connect5, clientId: 'a' });
    const connack = await client.expect('connack');
    expect(connack.reasonCode).toBe(0);
    expect(connack.properties?.authenticationMethod).toBeUndefined();
    await expectNothing(client);
    expect(client.inbox).toEqual([]);
  });

  test('a wrong protocol name or version ends the connection, at most after CONNACK 0x84 [MQTT-3.1.2-1] [MQTT-3.1.2-2]', async () => {
    const target = await startGateway();
    const frames = [
      frame(0x10, field('MQTX'), '05 02 0000 00', field('a')),
      frame(0x10, field('mqtt'), '05 02 0000 00', field('a')),
      frame(0x10, field(''), '05 02 0000 00', field('a')),
      frame(0x10, field('MQTT'), '06 02 0000 00', field('a')),
      frame(0x10, field('MQTT'), '00 02 0000', field('a')),
    ];
    for (const bytes of frames) {
      const client = await open(target, 5);
      client.send(bytes);
      await client.expectClosed();
      for (const packet of client.inbox) expect(packet).toMatchObject({ cmd: 'connack' });
    }
    expect(target.gateway.sessions.size).toBe(0);
  });

  test('no DISCONNECT before CONNACK, whatever comes first [MQTT-3.14.0-1] [MQTT-3.1.0-1]', async () => {
    const target = await startGateway();
    for (const bytes of [
      'c000',
      '8206 0001 00 0001 6100',
      '300400017400',
      'e000',
      'f000',
      '0000',
      'ffffffffffff',
    ]) {
      const client = await open(target);
      const received = tap(client);
      client.send(bytes);
      await client.expectClosed();
      expect(received().length, bytes).toBe(0);
    }
  });
});

describe('what MQTT 5.0 clients get besides messages', () => {
  test('a packet without properties says so with a length of 0 [MQTT-2.2.2-1] [MQTT-2.2.1-6]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    const received = tap(client);
    client.send('82 07 1234 00 0001 74 01');
    await client.expect('suback');
    client.send('a2 06 4321 00 0001 74');
    await client.expect('unsuback');
    expect(received().toString('hex')).toBe('900412340001b00443210000');
  });

  test('nothing is larger than the Maximum Packet Size of the client, and no answer is lost to it [MQTT-3.1.2-24] [MQTT-3.2.2-20] [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.6.2-2] [MQTT-3.6.2-3] [MQTT-3.7.2-2] [MQTT-3.7.2-3] [MQTT-3.9.2-1] [MQTT-3.9.2-2] [MQTT-3.11.2-1] [MQTT-3.11.2-2] [MQTT-3.14.2-3] [MQTT-3.14.2-4]', async () => {
    const maximumPacketSize = 32;
    const target = await startGateway();
    const client = await open(target);
    const received = tap(client);
    client.send({ ...connect5, clientId: 'a', properties: { maximumPacketSize } });
    expect((await client.expect('connack')).reasonCode).toBe(0);
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a#', qos: 0 }] });
    expect((await client.expect('suback')).granted).toEqual([0x8f]);
    client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['x'] });
    expect((await client.expect('unsuback')).granted).toEqual([0x11]);
    client.send(publishPacket('$share/a/b', 'x', { messageId: 3 }));
    expect((await client.expect('puback')).reasonCode).toBe(0x87);
    client.send(publishPacket('$share/a/b', 'x', { messageId: 4, qos: 2 }));
    expect((await client.expect('pubrec')).reasonCode).toBe(0x87);
    client.send({ cmd: 'pubrec', messageId: 5 });
    expect((await client.expect('pubrel')).reasonCode).toBe(0x92);
    client.send({ cmd: 'pubrel', messageId: 6 });
    expect((await client.expect('pubcomp')).reasonCode).toBe(0x92);
    client.send('00');
    client.send('00');
    expect((await client.expect('disconnect')).reasonCode).toBeGreaterThanOrEqual(0x80);
    await client.expectClosed();
    for (const size of packetSizes(received())) expect(size).toBeLessThanOrEqual(maximumPacketSize);
  });

  test('without Request Problem Information no answer explains itself, but for CONNACK and DISCONNECT [MQTT-3.1.2-29]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a', { properties: { requestProblemInformation: false } });
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a#', qos: 0 }] });
    client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['x'] });
    client.send(publishPacket('$share/a/b', 'x', { messageId: 3 }));
    client.send({ cmd: 'pubrec', messageId: 5 });
    client.send({ cmd: 'pubrel', messageId: 6 });
    for (const cmd of ['suback', 'unsuback', 'puback', 'pubrel', 'pubcomp'] as const) {
      const { properties } = await client.expect(cmd);
      expect([properties?.reasonString, properties?.userProperties]).toEqual([undefined, undefined]);
    }
  });

  test('behind DISCONNECT nothing more is sent and the connection is closed [MQTT-3.14.4-1] [MQTT-3.14.4-2] [MQTT-4.13.2-1]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    await client.subscribe('t', 0);
    const publisher = await connect(target, 'p');
    // A breach of the protocol, and a message for the client in the same turn and after it.
    client.send('30 04 0001 2b 00');
    publisher.send(publishPacket('t', 'x'));
    await publisher.expect('puback');
    publisher.send(publishPacket('t', 'y', { messageId: 2 }));
    await publisher.expect('puback');
    await client.expectClosed();
    expect(client.inbox.at(-1)).toMatchObject({ cmd: 'disconnect', reasonCode: 0x81 });
    expect(client.inbox.filter(({ cmd }) => cmd === 'disconnect')).toHaveLength(1);
  });

  test('the good CONNACK comes before anything else, also when messages wait for the session [MQTT-3.2.0-1] [MQTT-3.1.4-5]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', lasting);
    await first.subscribe('t', 1);
    first.send({ cmd: 'disconnect', reasonCode: 0 });
    await first.expectClosed();
    const publisher = await connect(target, 'p');
    publisher.send(publishPacket('t', 'x'));
    await publisher.expect('puback');
    const second = await open(target);
    second.send({ ...connect5, ...lasting, clientId: 'a' });
    expect((await second.next()).cmd).toBe('connack');
    expect((await second.expect('publish')).payload.toString()).toBe('x');
  });

  test('a client that cannot take its CONNACK is closed and leaves nothing behind [MQTT-3.1.2-24]', async () => {
    const target = await startGateway();
    for (const clientId of ['', 'a']) {
      const client = await open(target);
      const received = tap(client);
      const properties = { maximumPacketSize: 4, sessionExpiryInterval: 1000 };
      client.send({ ...connect5, clientId, properties });
      await client.expectClosed();
      expect(received().length).toBe(0);
    }
    await until(() => target.gateway.connectionCount === 0, 'the end of the connections');
    expect(target.gateway.sessions.size).toBe(0);
  });

  test('a session whose resumption fails for the size of CONNACK ends in its time all the same [MQTT-4.1.0-2]', async () => {
    let nowMs = 1000;
    const target = await startGateway({ clock: { nowMs: () => nowMs } });
    const first = await connect(target, 'a', lasting);
    first.send({ cmd: 'disconnect', reasonCode: 0 });
    await first.expectClosed();
    const second = await open(target);
    const properties = { maximumPacketSize: 4, sessionExpiryInterval: 10 };
    second.send({ ...connect5, clientId: 'a', clean: false, properties });
    await second.expectClosed();
    await until(() => target.gateway.connectionCount === 0, 'the end of the connections');
    nowMs += 2_000_000;
    target.gateway.sessions.tick(nowMs);
    expect(target.gateway.sessions.size).toBe(0);
  });
});
