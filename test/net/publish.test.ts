import { accessWithout } from './access.js';
import type { IPublishPacket } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';

import { slotOf } from '../../src/telemetry/counter-layout.js';
import type { RawClient } from '../harness/raw-client.js';
import { connect, expectNothing, open, publish, publishPacket, startGateway } from './test-gateway.js';

async function subscribed(
  client: RawClient,
  topic: string,
  options: Record<string, unknown> = {},
  properties = {},
): Promise<void> {
  client.send({ cmd: 'subscribe', messageId: 9, subscriptions: [{ topic, qos: 2, ...options }], properties });
  await client.expect('suback');
}

async function received(client: RawClient): Promise<IPublishPacket> {
  return client.expect('publish');
}

describe('PUBLISH from client to client', () => {
  test('QoS 0, 1 and 2 arrive with the lower of both QoS [MQTT-3.8.4-8]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'p');
    for (const granted of [0, 1, 2] as const) {
      const subscriber = await connect(target, `s${granted}`);
      await subscribed(subscriber, 'a/b', { qos: granted });
      publisher.send(publishPacket('a/b', '0', { qos: 0 }));
      expect(await publish(publisher, 'a/b', '1')).toBe(0);
      publisher.send(publishPacket('a/b', '2', { qos: 2, messageId: 2 }));
      expect((await publisher.expect('pubrec')).reasonCode).toBe(0);
      publisher.send({ cmd: 'pubrel', messageId: 2 });
      await publisher.expect('pubcomp');
      for (const sent of [0, 1, 2]) {
        const message = await received(subscriber);
        expect([message.payload.toString(), message.qos]).toEqual([String(sent), Math.min(sent, granted)]);
      }
    }
  });

  test('a publish that nobody takes is acknowledged with 0x10, and with 0x00 when somebody does [MQTT-3.4.2-1]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    expect(await publish(client, 'nobody', 'x')).toBe(0x10);
    await subscribed(client, 'somebody');
    client.send(publishPacket('somebody', 'x'));
    await received(client);
    expect((await client.expect('puback')).reasonCode).toBe(0);
  });

  test('acknowledgements of QoS 1 leave in the order of the publishes, also when a later one settles first [MQTT-4.6.0-2]', async () => {
    const target = await startGateway();
    target.addQueue('q/#');
    target.shards.mode = 'by-hand';
    const client = await connect(target, 'a');
    client.send(publishPacket('q/1', 'x', { messageId: 11 }));
    client.send(publishPacket('live', 'x', { messageId: 12 }));
    client.send(publishPacket('live', 'x', { qos: 2, messageId: 13 }));
    await expectNothing(client);
    target.shards.settle();
    expect((await client.expect('puback')).messageId).toBe(11);
    expect((await client.expect('puback')).messageId).toBe(12);
    expect((await client.expect('pubrec')).messageId).toBe(13);
  });

  test('a QoS 2 PUBLISH repeated before PUBREL gets PUBREC and is not delivered twice [MQTT-4.3.3-10]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's');
    await subscribed(subscriber, 'a');
    const client = await connect(target, 'p');
    for (const dup of [false, true, true]) {
      client.send(publishPacket('a', 'x', { qos: 2, messageId: 5, dup }));
      expect((await client.expect('pubrec')).messageId).toBe(5);
    }
    client.send({ cmd: 'pubrel', messageId: 5 });
    expect((await client.expect('pubcomp')).reasonCode).toBe(0);
    await received(subscriber);
    await expectNothing(subscriber);
    // After PUBREL the id means a new message [MQTT-4.3.3-12].
    client.send(publishPacket('a', 'y', { qos: 2, messageId: 5 }));
    await client.expect('pubrec');
    expect((await received(subscriber)).payload.toString()).toBe('y');
  });

  test('a QoS 2 PUBLISH repeated while it settles gets one PUBREC, once it has settled [MQTT-4.3.3-8]', async () => {
    const target = await startGateway();
    target.addQueue('q');
    target.shards.mode = 'by-hand';
    const client = await connect(target, 'p');
    client.send(publishPacket('q', 'x', { qos: 2, messageId: 5 }));
    client.send(publishPacket('q', 'x', { qos: 2, messageId: 5, dup: true }));
    await expectNothing(client);
    expect(target.shards.publishCount).toBe(1);
    target.shards.settle();
    expect((await client.expect('pubrec')).messageId).toBe(5);
    await expectNothing(client);
  });

  test('PUBREL of an unknown id is answered with PUBCOMP 0x92 [MQTT-3.7.2-1]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'p');
    client.send({ cmd: 'pubrel', messageId: 77 });
    const pubcomp = await client.expect('pubcomp');
    expect([pubcomp.messageId, pubcomp.reasonCode]).toEqual([77, 0x92]);
  });

  test('more QoS 1 and 2 publishes than Receive Maximum end the connection with 0x93 [MQTT-3.3.4-7]', async () => {
    const target = await startGateway({ env: { SLUICE_RECEIVE_MAXIMUM: '2' } });
    target.addQueue('q');
    target.shards.mode = 'by-hand';
    const client = await connect(target, 'p');
    for (const messageId of [1, 2]) client.send(publishPacket('q', 'x', { messageId }));
    await expectNothing(client);
    client.send(publishPacket('q', 'x', { qos: 2, messageId: 3 }));
    expect((await client.expect('disconnect')).reasonCode).toBe(0x93);
  });

  test('every acknowledgement gives the quota back [MQTT-3.3.4-7]', async () => {
    const target = await startGateway({ env: { SLUICE_RECEIVE_MAXIMUM: '1' } });
    const client = await connect(target, 'p');
    for (let round = 0; round < 3; round++) {
      await publish(client, 'a', 'x');
      client.send(publishPacket('a', 'x', { qos: 2, messageId: 2 }));
      await client.expect('pubrec');
      client.send({ cmd: 'pubrel', messageId: 2 });
      await client.expect('pubcomp');
    }
  });

  test('DUP of an incoming PUBLISH is not passed on [MQTT-3.3.1-3]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    await subscribed(client, 't');
    client.send(publishPacket('t', 'x', { dup: true }));
    expect((await received(client)).dup).toBe(false);
  });

  test('properties pass through unaltered and user properties in order [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-4]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's');
    await subscribed(subscriber, 't');
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'x', {
      properties: {
        payloadFormatIndicator: true,
        messageExpiryInterval: 100,
        contentType: 'text/plain',
        responseTopic: 'answer/here',
        correlationData: Buffer.from([0, 1, 2]),
        topicAlias: 3,
        userProperties: { k: ['1', '2'], z: 'y' },
      },
    });
    const { properties } = await received(subscriber);
    expect(properties).toEqual({
      payloadFormatIndicator: true,
      messageExpiryInterval: 100,
      contentType: 'text/plain',
      responseTopic: 'answer/here',
      correlationData: Buffer.from([0, 1, 2]),
      userProperties: expect.objectContaining({ k: ['1', '2'], z: 'y' }) as unknown,
    });
  });

  test('an MQTT 3.1.1 subscriber gets the message without properties [broker]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's', { protocolVersion: 4 });
    await subscriber.subscribe('t', 2);
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'x', { properties: { contentType: 'text/plain' } });
    const message = await received(subscriber);
    expect([message.topic, message.payload.toString(), message.properties]).toEqual(['t', 'x', undefined]);
  });

  test('the RETAIN flag reaches live subscribers only with Retain As Published [MQTT-3.3.1-12] [MQTT-3.3.1-13]', async () => {
    const target = await startGateway();
    const plain = await connect(target, 's1');
    const keeping = await connect(target, 's2');
    await subscribed(plain, 't');
    await subscribed(keeping, 't', { rap: true });
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'x', { retain: true });
    expect((await received(plain)).retain).toBe(false);
    expect((await received(keeping)).retain).toBe(true);
  });

  test('No Local keeps a message from its own publisher only [MQTT-3.8.3-3]', async () => {
    const target = await startGateway();
    const own = await connect(target, 'own');
    const other = await connect(target, 'other');
    await subscribed(own, 't', { nl: true });
    await subscribed(other, 't', { nl: true });
    await publish(own, 't', 'x');
    await received(other);
    await expectNothing(own);
  });

  test('overlapping subscriptions give one message with the highest QoS and all identifiers [MQTT-3.3.4-2] [MQTT-3.3.4-4]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's');
    await subscribed(subscriber, 'a/#', { qos: 1 }, { subscriptionIdentifier: 1 });
    await subscribed(subscriber, 'a/+', { qos: 2 }, { subscriptionIdentifier: 300 });
    await subscribed(subscriber, 'a/b', { qos: 0 });
    const publisher = await connect(target, 'p');
    publisher.send(publishPacket('a/b', 'x', { qos: 2 }));
    const message = await received(subscriber);
    expect(message.qos).toBe(2);
    const identifiers = message.properties?.subscriptionIdentifier;
    expect([identifiers].flat().toSorted((a, b) => Number(a) - Number(b))).toEqual([1, 300]);
    await expectNothing(subscriber);
  });

  test('topics beginning with $ are not matched by a wildcard in the first level [MQTT-4.7.2-1]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's');
    await subscribed(subscriber, '#');
    await subscribed(subscriber, '+/x');
    const publisher = await connect(target, 'p');
    await publish(publisher, '$own/x', '1');
    await publish(publisher, 'own/x', '2');
    expect((await received(subscriber)).payload.toString()).toBe('2');
  });

  test('what a client publishes under $SYS goes nowhere [MQTT-4.7.2-1]', async () => {
    const target = await startGateway();
    target.addQueue('$SYS/x');
    const client = await connect(target, 'a');
    await subscribed(client, '$SYS/#');
    expect(await publish(client, '$SYS/x', 'x')).toBe(0x87);
    await expectNothing(client);
    expect(target.shards.publishCount).toBe(0);
  });

  test('a topic with more levels than allowed is refused with 0x90 [broker]', async () => {
    const target = await startGateway({ env: { SLUICE_TOPIC_LEVELS_MAX: '3' } });
    const client = await connect(target, 'a');
    await subscribed(client, '#', { qos: 0 });
    expect(await publish(client, 'a/b/c/d', 'x')).toBe(0x90);
    expect(await publish(client, 'a/b/c/d', 'x')).toBe(0x90);
    client.send(publishPacket('a/b/c', 'x', { qos: 0 }));
    expect((await received(client)).topic).toBe('a/b/c');
  });

  test('a publish that the permission hook denies is answered with 0x87 and goes nowhere [broker]', async () => {
    const target = await startGateway({ hooks: { access: accessWithout('secret') } });
    const client = await connect(target, 'a');
    await subscribed(client, '#');
    expect(await publish(client, 'secret', 'x')).toBe(0x87);
    client.send(publishPacket('secret', 'x', { qos: 2, messageId: 2 }));
    expect((await client.expect('pubrec')).reasonCode).toBe(0x87);
    client.send(publishPacket('secret', 'x', { qos: 0 }));
    await expectNothing(client);
  });
});

describe('Topic Alias', () => {
  test('an alias stands for its topic until it is set anew [MQTT-3.3.2-12]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    await subscribed(client, '#', { qos: 0 });
    const topics = [
      ['first/topic', 1],
      ['', 1],
      ['second/topic', 1],
      ['', 1],
      ['third', 2],
      ['', 2],
    ] as const;
    for (const [topic, topicAlias] of topics)
      client.send(publishPacket(topic, 'x', { qos: 0, properties: { topicAlias } }));
    const seen: string[] = [];
    for (let i = 0; i < topics.length; i++) seen.push((await received(client)).topic);
    expect(seen).toEqual(['first/topic', 'first/topic', 'second/topic', 'second/topic', 'third', 'third']);
  });

  test('an alias that was never set is a protocol error [MQTT-3.3.2-8]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    client.send(publishPacket('', 'x', { properties: { topicAlias: 1 } }));
    expect((await client.expect('disconnect')).reasonCode).toBe(0x82);
  });

  test('an alias above the announced maximum ends the connection with 0x94 [MQTT-3.3.2-9]', async () => {
    const target = await startGateway({ env: { SLUICE_TOPIC_ALIAS_MAXIMUM: '2' } });
    const client = await connect(target, 'a');
    client.send(publishPacket('t', 'x', { properties: { topicAlias: 3 } }));
    expect((await client.expect('disconnect')).reasonCode).toBe(0x94);
  });

  test('aliases end with their connection [MQTT-3.3.2-7]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a');
    await publish(first, 't', 'x', { properties: { topicAlias: 1 } });
    const second = await connect(target, 'a');
    second.send(publishPacket('', 'x', { properties: { topicAlias: 1 } }));
    expect((await second.expect('disconnect')).reasonCode).toBe(0x82);
  });

  test('towards a client aliases stay within its maximum and shorten repeated topics [MQTT-3.3.2-11] [MQTT-3.1.2-26]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's', { properties: { topicAliasMaximum: 1 } });
    await subscribed(subscriber, '#', { qos: 0 });
    const publisher = await connect(target, 'p');
    for (const topic of ['long/topic/1', 'long/topic/1', 'long/topic/2', 'long/topic/1']) {
      await publish(publisher, topic, 'x');
    }
    const seen: [string, number | undefined][] = [];
    for (let i = 0; i < 4; i++) {
      const { topic, properties } = await received(subscriber);
      seen.push([topic, properties?.topicAlias]);
    }
    expect(seen).toEqual([
      ['long/topic/1', 1],
      ['', 1],
      ['long/topic/2', 1],
      ['long/topic/1', 1],
    ]);
  });

  test('a client without Topic Alias Maximum gets none [MQTT-3.1.2-27]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's');
    await subscribed(subscriber, '#', { qos: 0 });
    const publisher = await connect(target, 'p');
    for (let i = 0; i < 2; i++) await publish(publisher, 'long/topic/1', 'x');
    for (let i = 0; i < 2; i++) {
      const { topic, properties } = await received(subscriber);
      expect([topic, properties?.topicAlias]).toEqual(['long/topic/1', undefined]);
    }
  });
});

describe('the window towards a client', () => {
  test('no more unacknowledged messages than its Receive Maximum, the rest in order as it acknowledges [MQTT-3.3.4-9]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's', { properties: { receiveMaximum: 2 } });
    await subscribed(subscriber, 't');
    const publisher = await connect(target, 'p');
    for (const payload of ['1', '2', '3', '4']) await publish(publisher, 't', payload);
    const first = await received(subscriber);
    await received(subscriber);
    await expectNothing(subscriber);
    subscriber.send({ cmd: 'puback', messageId: first.messageId ?? 0 });
    expect((await received(subscriber)).payload.toString()).toBe('3');
    await expectNothing(subscriber);
  });

  test('QoS 0 is not held back by a full window, nor are other packets [MQTT-4.9.0-2] [MQTT-3.3.4-10]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's', { properties: { receiveMaximum: 1 } });
    await subscribed(subscriber, 't');
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', '1');
    await publish(publisher, 't', '2');
    publisher.send(publishPacket('t', '3', { qos: 0 }));
    expect((await received(subscriber)).payload.toString()).toBe('1');
    expect((await received(subscriber)).payload.toString()).toBe('3');
    await expectNothing(subscriber);
  });

  test('QoS 2 to a client: PUBREL after PUBREC, PUBCOMP frees the window [MQTT-4.3.3-4] [MQTT-4.3.3-5]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's', { properties: { receiveMaximum: 1 } });
    await subscribed(subscriber, 't');
    const publisher = await connect(target, 'p');
    for (const messageId of [1, 2]) {
      publisher.send(publishPacket('t', String(messageId), { qos: 2, messageId }));
      await publisher.expect('pubrec');
    }
    const message = await received(subscriber);
    const messageId = message.messageId ?? 0;
    subscriber.send({ cmd: 'pubrec', messageId });
    expect((await subscriber.expect('pubrel')).messageId).toBe(messageId);
    await expectNothing(subscriber);
    subscriber.send({ cmd: 'pubcomp', messageId });
    expect((await received(subscriber)).payload.toString()).toBe('2');
  });

  test('PUBREC with an error ends the exchange without PUBREL [MQTT-4.3.3-4]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's', { properties: { receiveMaximum: 1 } });
    await subscribed(subscriber, 't');
    const publisher = await connect(target, 'p');
    for (const messageId of [1, 2])
      publisher.send(publishPacket('t', String(messageId), { qos: 2, messageId }));
    const { messageId = 0 } = await received(subscriber);
    subscriber.send({ cmd: 'pubrec', messageId, reasonCode: 0x83 });
    expect((await received(subscriber)).payload.toString()).toBe('2');
  });

  test('PUBREC of an unknown id is answered with PUBREL 0x92 [MQTT-3.6.2-1]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    client.send({ cmd: 'pubrec', messageId: 9 });
    expect((await client.expect('pubrel')).reasonCode).toBe(0x92);
  });

  test("a message above the client's Maximum Packet Size is dropped for it alone and counted [MQTT-3.1.2-24] [MQTT-3.1.2-25]", async () => {
    const target = await startGateway();
    const small = await connect(target, 'small', { properties: { maximumPacketSize: 50 } });
    const large = await connect(target, 'large');
    await subscribed(small, 't');
    await subscribed(large, 't');
    const publisher = await connect(target, 'p');
    // Fixed header 2, topic 3, packet id 2, property length 1: 42 bytes of payload fill 50.
    await publish(publisher, 't', 'x'.repeat(43));
    await publish(publisher, 't', 'y'.repeat(42));
    expect((await received(small)).payload.toString()).toBe('y'.repeat(42));
    expect((await received(large)).payload.toString()).toBe('x'.repeat(43));
    expect(target.counters.total(slotOf('messagesDropped', 'packet-too-large'))).toBe(1);
  });

  test('PUBACK for a QoS 2 message is a protocol error [MQTT-4.3.3-4]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's');
    await subscribed(subscriber, 't');
    const publisher = await connect(target, 'p');
    publisher.send(publishPacket('t', 'x', { qos: 2 }));
    const { messageId = 0 } = await received(subscriber);
    subscriber.send({ cmd: 'puback', messageId });
    expect((await subscriber.expect('disconnect')).reasonCode).toBe(0x82);
  });

  test("a subscriber before MQTT 5 has the server's own window [broker]", async () => {
    const target = await startGateway({ env: { SLUICE_MAX_INFLIGHT: '1' } });
    const subscriber = await connect(target, 's', { protocolVersion: 4 });
    await subscriber.subscribe('t', 1);
    const publisher = await connect(target, 'p');
    for (const payload of ['1', '2']) await publish(publisher, 't', payload);
    await received(subscriber);
    await expectNothing(subscriber);
    expect(await open(target)).toBeDefined();
  });
});
