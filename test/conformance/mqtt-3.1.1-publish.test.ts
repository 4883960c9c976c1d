import type { Packet } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';

import { PublishStatus } from '../../src/shard/link.js';
import { until } from '../harness/wait.js';
import { connect, expectNothing, publish, publishPacket, startGateway } from '../net/test-gateway.js';
import { badStrings, field, frame, tap } from './wire.js';

const four = { protocolVersion: 4 } as const;
const lasting = { ...four, clean: false } as const;

describe('PUBLISH of MQTT 3.1.1', () => {
  test('the answer is none at QoS 0, PUBACK at 1, PUBREC and PUBCOMP at 2, with the id [MQTT-3.1.1 3.3.4-1] [MQTT-3.1.1 2.3.1-6] [MQTT-3.1.1 4.3.2-2] [MQTT-3.1.1 4.3.3-2]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a', four);
    const received = tap(client);
    client.send('3004 0001 74 78');
    client.send('3206 0001 74 1234 78');
    await client.expect('puback');
    client.send('3406 0001 74 4321 78');
    await client.expect('pubrec');
    client.send('6202 4321');
    await client.expect('pubcomp');
    expect(received().toString('hex')).toBe('400212345002432170024321');
  });

  test('at QoS 0 there is no packet id on the wire, and no DUP [MQTT-3.1.1 2.3.1-5] [MQTT-3.1.1 4.3.1-1] [MQTT-3.1.1 3.3.1-2]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's', four);
    await subscriber.subscribe('t', 0);
    const received = tap(subscriber);
    const publisher = await connect(target, 'p', four);
    publisher.send('3a06 0001 74 0007 78');
    await publisher.expect('puback');
    await subscriber.expect('publish');
    expect(received().toString('hex')).toBe('300400017478');
    publisher.send('3804 0001 74 78');
    await publisher.expectClosed();
  });

  test('a first delivery has an unused id and no DUP; DUP of the publisher is not passed on [MQTT-3.1.1 2.3.1-4] [MQTT-3.1.1 3.3.1-3] [MQTT-3.1.1 4.3.2-1] [MQTT-3.1.1 4.3.3-1]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's', four);
    await subscriber.subscribe('t', 2);
    const publisher = await connect(target, 'p', four);
    const ids = new Set<number>();
    for (let i = 1; i <= 6; i++) {
      publisher.send(publishPacket('t', String(i), { qos: i % 2 === 0 ? 2 : 1, messageId: i, dup: i > 2 }));
      const message = await subscriber.expect('publish');
      expect([message.qos, message.dup]).toEqual([i % 2 === 0 ? 2 : 1, false]);
      ids.add(message.messageId ?? 0);
    }
    expect(ids.size).toBe(6);
    expect(ids.has(0)).toBe(false);
  });

  test('after PUBACK and after PUBCOMP the same id is a new message, before PUBREL it is not [MQTT-3.1.1 4.3.2-2] [MQTT-3.1.1 4.3.3-2]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's', four);
    await subscriber.subscribe('t', 0);
    const publisher = await connect(target, 'p', four);
    await publish(publisher, 't', '1', { messageId: 7 });
    await publish(publisher, 't', '2', { messageId: 7, dup: true });
    for (const payload of ['3', '4']) {
      for (const dup of [false, true]) {
        publisher.send(publishPacket('t', payload, { qos: 2, messageId: 7, dup }));
        await publisher.expect('pubrec');
      }
      publisher.send({ cmd: 'pubrel', messageId: 7 });
      await publisher.expect('pubcomp');
    }
    for (const payload of ['1', '2', '3', '4']) {
      expect((await subscriber.expect('publish')).payload.toString()).toBe(payload);
    }
    await expectNothing(subscriber);
  });

  test('QoS 3, packet id 0, a topic with wildcards, without characters or with a bad string end the connection [MQTT-3.1.1 3.3.1-4] [MQTT-3.1.1 3.3.2-1] [MQTT-3.1.1 3.3.2-2] [MQTT-3.1.1 4.7.1-1] [MQTT-3.1.1 4.7.3-1] [MQTT-3.1.1 4.7.3-2] [MQTT-3.1.1 1.5.3-1] [MQTT-3.1.1 1.5.3-2]', async () => {
    const target = await startGateway();
    const frames = [
      frame(0x36, field('t'), '0001', '78'),
      frame(0x32, field('t'), '0000', '78'),
      frame(0x30, field('a/+'), '78'),
      frame(0x30, field('#'), '78'),
      frame(0x30, field(''), '78'),
      frame(0x30, '00ff 74'),
      ...badStrings.map(([, bytes]) => frame(0x30, field(bytes), '78')),
    ];
    for (const bytes of frames) {
      const client = await connect(target, 'a', four);
      client.send(bytes);
      await client.expectClosed();
      expect(client.inbox).toEqual([]);
    }
  });

  test('a byte order mark in a topic name is a character [MQTT-3.1.1 1.5.3-3]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's', four);
    await subscriber.subscribe('\u{feff}t', 0);
    const received = tap(subscriber);
    const publisher = await connect(target, 'p', four);
    publisher.send(frame(0x30, field('t'), '78'));
    publisher.send(frame(0x30, field(Buffer.from('efbbbf74', 'hex')), '79'));
    await subscriber.expect('publish');
    await expectNothing(subscriber);
    expect(received().toString('hex')).toBe('30070004efbbbf7479d000');
  });

  test('a PUBLISH that may not be is acknowledged as usual or ends the connection; it reaches nobody [MQTT-3.1.1 3.3.5-2]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's', four);
    for (const filter of ['#', '$SYS/#']) await subscriber.subscribe(filter, 1);
    for (const topic of ['$SYS/broker/version', '$share/a/t']) {
      const publisher = await connect(target, 'p', four);
      publisher.send(publishPacket(topic, 'x', { messageId: 5 }));
      await Promise.race([publisher.expect('puback'), publisher.expectClosed()]).catch(() => undefined);
      if (!publisher.closed) await expectNothing(publisher);
      publisher.destroy();
    }
    // What the server itself says under $SYS may be there; what the clients said is not.
    subscriber.send(publishPacket('end', 'end', { messageId: 6 }));
    for (;;) {
      const packet = await subscriber.next();
      if (packet.cmd !== 'publish') continue;
      expect(packet.payload.toString()).not.toBe('x');
      if (packet.topic === 'end') break;
    }
    await until(() => target.gateway.connectionCount === 1, 'the end of the publishers');
  });

  test('when the store fails the message is not acknowledged and the connection ends [MQTT-3.1.1 4.8.0-2]', async () => {
    const target = await startGateway();
    target.addQueue('q');
    target.shards.status = PublishStatus.storeError;
    const client = await connect(target, 'a', four);
    client.send(publishPacket('q', 'x', { messageId: 5 }));
    await client.expectClosed();
    expect(client.inbox).toEqual([]);
  });

  test('PUBACK, PUBREC and PUBREL have the order of what they answer [MQTT-3.1.1 4.6.0-2] [MQTT-3.1.1 4.6.0-3] [MQTT-3.1.1 4.6.0-4]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a', four);
    await client.subscribe('t', 2);
    const ids = [5, 3, 9, 1];
    for (const messageId of ids) client.send(publishPacket('u', 'x', { messageId }));
    for (const messageId of ids) expect((await client.expect('puback')).messageId).toBe(messageId);
    for (const messageId of ids) client.send(publishPacket('t', 'x', { qos: 2, messageId }));
    const answers: Packet[] = [];
    for (let i = 0; i < ids.length * 2; i++) answers.push(await client.next());
    const idsOf = (cmd: string): (number | undefined)[] =>
      answers.filter((packet) => packet.cmd === cmd).map(({ messageId }) => messageId);
    expect(idsOf('pubrec')).toEqual(ids);
    const backwards = idsOf('publish').toReversed();
    for (const messageId of backwards) client.send({ cmd: 'pubrec', messageId: messageId ?? 0 });
    for (const messageId of backwards) expect((await client.expect('pubrel')).messageId).toBe(messageId);
  });

  test('messages of one client are forwarded in their order [MQTT-3.1.1 4.6.0-5] [MQTT-3.1.1 4.6.0-6]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's', four);
    await subscriber.subscribe('#', 2);
    const publisher = await connect(target, 'p', four);
    for (let i = 1; i <= 20; i++) {
      publisher.send(publishPacket('t', String(i), { qos: (i % 3) as 0 | 1 | 2, messageId: i }));
    }
    for (let i = 1; i <= 20; i++) {
      expect((await subscriber.expect('publish')).payload.toString()).toBe(String(i));
    }
  });
});

describe('unanswered messages of MQTT 3.1.1', () => {
  test('after a loss PUBLISH comes again in order, with DUP and its id, and PUBREL with its id [MQTT-3.1.1 4.4.0-1] [MQTT-3.1.1 3.3.1-1] [MQTT-3.1.1 4.6.0-1] [MQTT-3.1.1 4.3.2-1] [MQTT-3.1.1 4.3.3-1]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', lasting);
    await first.subscribe('t', 2);
    const publisher = await connect(target, 'p', four);
    for (const [at, qos] of ([1, 2, 2, 1] as const).entries()) {
      publisher.send(publishPacket('t', String(at), { qos, messageId: at + 1 }));
      await publisher.next();
    }
    const ids: (number | undefined)[] = [];
    for (let i = 0; i < 4; i++) ids.push((await first.expect('publish')).messageId);
    first.send({ cmd: 'pubrec', messageId: ids[1] ?? 0 });
    await first.expect('pubrel');
    first.destroy();
    await until(() => target.gateway.clientCount === 1, 'the loss of the connection');
    const second = await connect(target, 'a', lasting);
    const again = [];
    for (let i = 0; i < 4; i++) again.push(await second.next());
    expect(again.filter(({ cmd }) => cmd === 'pubrel').map(({ messageId }) => messageId)).toEqual([ids[1]]);
    expect(
      again.flatMap((packet) =>
        packet.cmd === 'publish' ? [[packet.messageId, packet.dup, packet.qos]] : [],
      ),
    ).toEqual([
      [ids[0], true, 1],
      [ids[2], true, 2],
      [ids[3], true, 1],
    ]);
  });
});
