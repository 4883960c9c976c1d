import { describe, expect, test } from 'vitest';

import { until } from '../harness/wait.js';
import {
  connect,
  connectPacket,
  expectNothing,
  open,
  publish,
  publishPacket,
  startGateway,
} from '../net/test-gateway.js';
import { badStrings, field, frame, tap } from './wire.js';

const lasting = { clean: false, properties: { sessionExpiryInterval: 1000 } };

describe('PUBLISH of MQTT 5.0', () => {
  test('the answer is none at QoS 0, PUBACK at 1, PUBREC at 2, with the id [MQTT-3.3.4-1] [MQTT-4.3.2-4] [MQTT-2.2.1-5]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    client.send(publishPacket('t', 'x', { qos: 0 }));
    await expectNothing(client);
    client.send(publishPacket('t', 'x', { qos: 1, messageId: 0x1234 }));
    expect((await client.expect('puback')).messageId).toBe(0x1234);
    client.send(publishPacket('t', 'x', { qos: 2, messageId: 0x4321 }));
    expect((await client.expect('pubrec')).messageId).toBe(0x4321);
    client.send({ cmd: 'pubrel', messageId: 0x4321 });
    expect((await client.expect('pubcomp')).messageId).toBe(0x4321);
  });

  test('at QoS 0 there is no packet id on the wire, and neither QoS nor DUP [MQTT-2.2.1-2] [MQTT-4.3.1-1] [MQTT-3.3.1-2]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's');
    await subscriber.subscribe('t', 0);
    const received = tap(subscriber);
    const publisher = await connect(target, 'p');
    publisher.send('3b 08 0001 74 0007 00 78 79');
    publisher.send(publishPacket('t', 'z', { qos: 1, dup: true, messageId: 8 }));
    await publisher.expect('puback');
    await subscriber.expect('publish');
    await subscriber.expect('publish');
    expect(received().toString('hex')).toBe('30060001740078793005000174007a');
  });

  test('a first delivery has an unused id and no DUP, at QoS 1 and 2 [MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-4.3.3-1] [MQTT-4.3.3-2] [MQTT-2.2.1-4]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's');
    await subscriber.subscribe('t', 2);
    const publisher = await connect(target, 'p');
    const seen: number[] = [];
    for (let i = 1; i <= 10; i++) {
      const qos = i % 2 === 0 ? 2 : 1;
      publisher.send(publishPacket('t', String(i), { qos, messageId: i, dup: i > 5 }));
      const message = await subscriber.expect('publish');
      expect([message.qos, message.dup]).toEqual([qos, false]);
      seen.push(message.messageId ?? 0);
    }
    expect(new Set(seen).size).toBe(10);
    expect(seen).not.toContain(0);
  });

  test('after PUBACK the same id is a new message, whatever DUP says [MQTT-4.3.2-5]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's');
    await subscriber.subscribe('t', 0);
    const publisher = await connect(target, 'p');
    for (const dup of [false, false, true]) await publish(publisher, 't', String(dup), { messageId: 7, dup });
    for (const payload of ['false', 'false', 'true']) {
      expect((await subscriber.expect('publish')).payload.toString()).toBe(payload);
    }
  });

  test('after PUBCOMP the same id is a new message [MQTT-4.3.3-12] [MQTT-4.3.3-11]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's');
    await subscriber.subscribe('t', 0);
    const publisher = await connect(target, 'p');
    for (const payload of ['1', '2']) {
      publisher.send(publishPacket('t', payload, { qos: 2, messageId: 7 }));
      await publisher.expect('pubrec');
      publisher.send({ cmd: 'pubrel', messageId: 7 });
      expect((await publisher.expect('pubcomp')).messageId).toBe(7);
      expect((await subscriber.expect('publish')).payload.toString()).toBe(payload);
    }
  });

  test('after PUBREC with an error the same id is a new message [MQTT-4.3.3-9]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's');
    await subscriber.subscribe('t', 0);
    const publisher = await connect(target, 'p');
    publisher.send(publishPacket('$share/x/t', 'refused', { qos: 2, messageId: 7 }));
    expect((await publisher.expect('pubrec')).reasonCode).toBe(0x87);
    publisher.send(publishPacket('t', 'x', { qos: 2, messageId: 7 }));
    const pubrec = await publisher.expect('pubrec');
    expect([pubrec.messageId, pubrec.reasonCode]).toEqual([7, 0]);
    expect((await subscriber.expect('publish')).payload.toString()).toBe('x');
  });

  test('a topic name has no wildcard: 0x81 [MQTT-3.3.2-2] [MQTT-4.7.0-1]', async () => {
    const target = await startGateway();
    for (const topic of ['a/+', '#', 'a#']) {
      const client = await connect(target, 'a');
      client.send(publishPacket(topic, 'x'));
      expect((await client.expect('disconnect')).reasonCode).toBe(0x81);
      await client.expectClosed();
    }
  });

  test('topic name, Response Topic, Content Type and User Property must be strings [MQTT-3.3.2-1] [MQTT-3.3.2-13] [MQTT-3.3.2-19] [MQTT-1.5.7-1]', async () => {
    const target = await startGateway();
    for (const [what, bytes] of badStrings) {
      const bodies = [
        [field(bytes), '00'],
        [field('t'), Buffer.from([bytes.length + 3, 8]), field(bytes)],
        [field('t'), Buffer.from([bytes.length + 3, 3]), field(bytes)],
        [field('t'), Buffer.from([bytes.length + 6, 0x26]), field(bytes), field('v')],
        [field('t'), Buffer.from([bytes.length + 6, 0x26]), field('n'), field(bytes)],
      ];
      for (const [at, body] of bodies.entries()) {
        const client = await connect(target, 'a');
        client.send(frame(0x30, ...body));
        const { reasonCode } = await client.expect('disconnect');
        expect([0x81, 0x90], `${what} ${at}`).toContain(reasonCode);
        await client.expectClosed();
      }
    }
  });

  test('Payload Format, Content Type, Response Topic, Correlation Data and User Properties are passed on [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's');
    await subscriber.subscribe('t', 1);
    const publisher = await connect(target, 'p');
    const properties = {
      payloadFormatIndicator: true,
      contentType: 'text/plain',
      responseTopic: 'answer/to',
      correlationData: Buffer.from([0, 1, 255]),
      userProperties: { z: '1', a: ['2', '1'], m: '' },
    };
    await publish(publisher, 't', 'x', { properties });
    const { properties: received } = await subscriber.expect('publish');
    expect({ ...received }).toEqual({ ...properties, userProperties: expect.anything() });
    expect(Object.entries(received?.userProperties ?? {})).toEqual(Object.entries(properties.userProperties));
  });

  test('messages of one client are forwarded in their order, per topic and QoS [MQTT-4.6.0-5] [MQTT-4.6.0-6]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's');
    for (const filter of ['a', 'b', '#']) await subscriber.subscribe(filter, 2);
    const publisher = await connect(target, 'p');
    for (let i = 1; i <= 30; i++) {
      const qos = (i % 3) as 0 | 1 | 2;
      publisher.send(publishPacket(i % 2 === 0 ? 'a' : 'b', String(i), { qos, messageId: i }));
    }
    const order = new Map<string, number[]>();
    for (let i = 1; i <= 30; i++) {
      const message = await subscriber.expect('publish');
      const key = `${message.topic} ${message.qos}`;
      order.set(key, [...(order.get(key) ?? []), Number(message.payload.toString())]);
      if (message.qos === 1) subscriber.send({ cmd: 'puback', messageId: message.messageId ?? 0 });
    }
    expect(order.size).toBe(6);
    for (const payloads of order.values()) expect(payloads).toEqual(payloads.toSorted((a, b) => a - b));
  });
});

describe('flow control of MQTT 5.0', () => {
  test('with the window of the client full, everything but PUBLISH still flows [MQTT-3.3.4-9] [MQTT-3.3.4-10] [MQTT-4.9.0-1] [MQTT-4.9.0-2] [MQTT-4.9.0-3]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a', { properties: { receiveMaximum: 1 } });
    await client.subscribe('t', 1);
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', '1');
    await publish(publisher, 't', '2');
    const first = await client.expect('publish');
    expect(first.payload.toString()).toBe('1');
    await expectNothing(client);
    client.send({ cmd: 'subscribe', messageId: 9, subscriptions: [{ topic: 'u', qos: 0 }] });
    await client.expect('suback');
    client.send({ cmd: 'unsubscribe', messageId: 10, unsubscriptions: ['u'] });
    await client.expect('unsuback');
    client.send(publishPacket('nowhere', 'x', { messageId: 11 }));
    await client.expect('puback');
    client.send(publishPacket('nowhere', 'x', { qos: 2, messageId: 12 }));
    await client.expect('pubrec');
    client.send({ cmd: 'pubrel', messageId: 12 });
    await client.expect('pubcomp');
    client.send({ cmd: 'puback', messageId: first.messageId ?? 0 });
    expect((await client.expect('publish')).payload.toString()).toBe('2');
  });
});

describe('unanswered deliveries of MQTT 5.0', () => {
  test('a QoS 2 PUBLISH without PUBREC and a PUBREL without PUBCOMP are sent again with their ids [MQTT-4.3.3-3] [MQTT-4.3.3-5] [MQTT-4.4.0-1]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', lasting);
    await first.subscribe('t', 2);
    const publisher = await connect(target, 'p');
    for (const messageId of [1, 2]) {
      publisher.send(publishPacket('t', String(messageId), { qos: 2, messageId }));
      await publisher.expect('pubrec');
    }
    const ids = [(await first.expect('publish')).messageId, (await first.expect('publish')).messageId];
    first.send({ cmd: 'pubrec', messageId: ids[1] ?? 0 });
    await first.expect('pubrel');
    first.destroy();
    await until(() => target.gateway.clientCount === 1, 'the loss of the connection');
    const second = await connect(target, 'a', lasting);
    const again = [await second.next(), await second.next()];
    expect(again.find(({ cmd }) => cmd === 'publish')).toMatchObject({
      messageId: ids[0],
      dup: true,
      qos: 2,
    });
    expect(again.find(({ cmd }) => cmd === 'pubrel')).toMatchObject({ messageId: ids[1] });
    await expectNothing(second);
  });

  test('a PUBACK or PUBREC with an error ends the delivery: it is not sent again [MQTT-4.4.0-2]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', lasting);
    await first.subscribe('t', 2);
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', '1');
    publisher.send(publishPacket('t', '2', { qos: 2, messageId: 2 }));
    await publisher.expect('pubrec');
    const [one, two] = [await first.expect('publish'), await first.expect('publish')];
    first.send({ cmd: 'puback', messageId: one.messageId ?? 0, reasonCode: 0x80 });
    first.send({ cmd: 'pubrec', messageId: two.messageId ?? 0, reasonCode: 0x97 });
    await expectNothing(first);
    first.destroy();
    await until(() => target.gateway.clientCount === 1, 'the loss of the connection');
    const second = await connect(target, 'a', lasting);
    await expectNothing(second);
    expect(second.inbox).toEqual([]);
  });

  test('nothing is sent again on a living connection [MQTT-4.4.0-1]', async () => {
    let nowMs = 1000;
    const target = await startGateway({ clock: { nowMs: () => nowMs } });
    const client = await connect(target, 'a', lasting);
    await client.subscribe('t', 2);
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'x');
    await client.expect('publish');
    nowMs += 3_600_000;
    target.gateway.sessions.tick(nowMs);
    await expectNothing(client);
    expect(client.inbox).toEqual([]);
  });

  test('expiry no longer applies to a QoS 2 message that was sent: it is repeated and the exchange completed [MQTT-4.3.3-7] [MQTT-4.3.3-13]', async () => {
    let nowMs = 1000;
    const target = await startGateway({ clock: { nowMs: () => nowMs } });
    const first = await connect(target, 'a', lasting);
    await first.subscribe('t', 2);
    const publisher = await connect(target, 'p');
    const properties = { messageExpiryInterval: 5 };
    publisher.send(publishPacket('t', 'x', { qos: 2, messageId: 1, properties }));
    await publisher.expect('pubrec');
    const { messageId = 0 } = await first.expect('publish');
    first.destroy();
    await until(() => target.gateway.clientCount === 1, 'the loss of the connection');
    nowMs += 60_000;
    const second = await connect(target, 'a', lasting);
    expect(await second.expect('publish')).toMatchObject({ messageId, dup: true, qos: 2 });
    second.send({ cmd: 'pubrec', messageId });
    expect((await second.expect('pubrel')).messageId).toBe(messageId);
    second.send({ cmd: 'pubcomp', messageId });
    // The receiver's half goes on as well, whatever has become of the message.
    publisher.send({ cmd: 'pubrel', messageId: 1 });
    expect(await publisher.expect('pubcomp')).toMatchObject({ messageId: 1, reasonCode: 0 });
  });

  test('what was taken is added to every session with a matching subscription, present or away [MQTT-4.5.0-1]', async () => {
    const target = await startGateway();
    for (const clientId of ['a', 'b']) {
      const client = await connect(target, clientId, lasting);
      await client.subscribe(clientId === 'a' ? 't/#' : '+/1', 1);
      client.send({ cmd: 'disconnect', reasonCode: 0 });
      await client.expectClosed();
    }
    const present = await connect(target, 'c');
    await present.subscribe('t/1', 1);
    const publisher = await connect(target, 'p');
    expect(await publish(publisher, 't/1', 'x')).toBe(0);
    expect((await present.expect('publish')).payload.toString()).toBe('x');
    for (const clientId of ['a', 'b']) {
      const again = await connect(target, clientId, lasting);
      expect((await again.expect('publish')).payload.toString()).toBe('x');
    }
  });
});

describe('topic aliases of MQTT 5.0', () => {
  test('every alias from 1 to the announced maximum is taken, 0 and above are not [MQTT-3.3.2-12] [MQTT-3.3.2-8] [MQTT-3.3.2-9]', async () => {
    const target = await startGateway({ env: { SLUICE_TOPIC_ALIAS_MAXIMUM: '3' } });
    const subscriber = await connect(target, 's');
    await subscriber.subscribe('#', 0);
    const client = await connect(target, 'a');
    for (const topicAlias of [1, 2, 3]) {
      await publish(client, `t${topicAlias}`, 'x', { properties: { topicAlias } });
      await publish(client, '', 'y', { properties: { topicAlias } });
      expect((await subscriber.expect('publish')).topic).toBe(`t${topicAlias}`);
      expect((await subscriber.expect('publish')).topic).toBe(`t${topicAlias}`);
    }
    for (const alias of ['0000', '0004', 'ffff']) {
      const other = await open(target);
      other.send(
        connectPacket({
          clientId: 'b',
        }),
      );
      await other.expect('connack');
      other.send(`30 07 0001 74 03 23 ${alias}`);
      expect((await other.expect('disconnect')).reasonCode).toBe(0x94);
      await other.expectClosed();
    }
  });
});
