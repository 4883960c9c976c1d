/** Retained messages over real sockets: what clients set, and what new subscriptions get. Quick tier. */
import type { IPublishPacket, ISubscribePacket } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import { PublishStatus, RowStore } from '../../src/shard/link.js';
import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import type { RawClient } from '../harness/raw-client.js';
import { FakeShards } from '../session/fake-shards.js';
import {
  connect,
  expectNothing,
  publish,
  publishPacket,
  startGateway,
  type TestGateway,
} from './test-gateway.js';

type Wish = ISubscribePacket['subscriptions'][number];

/** Subscribes and expects SUBACK before anything else. */
async function subscribe(client: RawClient, wish: Wish, subscriptionIdentifier = 0): Promise<void> {
  client.send({
    cmd: 'subscribe',
    messageId: 9,
    subscriptions: [wish],
    ...(subscriptionIdentifier === 0 ? {} : { properties: { subscriptionIdentifier } }),
  });
  const { granted } = await client.expect('suback');
  expect(granted).toEqual([wish.qos]);
}

async function retain(client: RawClient, topic: string, payload: string, qos: 0 | 1 = 1): Promise<void> {
  if (qos === 1) await publish(client, topic, payload, { retain: true });
  else client.send({ cmd: 'publish', topic, payload, qos, dup: false, retain: true });
}

function textOf({ topic, payload, qos, retain: isRetain }: IPublishPacket): string {
  return `${topic}=${payload.toString()} qos${qos}${isRetain ? ' retain' : ''}`;
}

/** The next `count` messages, acknowledged where they want it. */
async function take(client: RawClient, count: number): Promise<IPublishPacket[]> {
  const taken: IPublishPacket[] = [];
  while (taken.length < count) {
    const message = await client.expect('publish');
    taken.push(message);
    if (message.qos === 1) client.send({ cmd: 'puback', messageId: message.messageId ?? 0 });
  }
  return taken;
}

async function filled(count: number, env: Readonly<Record<string, string>> = {}): Promise<TestGateway> {
  const gateway = await startGateway({ env });
  const publisher = await connect(gateway, 'publisher');
  for (let i = 0; i < count; i++) {
    publisher.send(publishPacket(`t/${i}`, String(i), { retain: true, messageId: i + 1 }));
    if (i % 500 === 499) for (let k = 0; k < 500; k++) await publisher.expect('puback');
  }
  for (let k = 0; k < count % 500; k++) await publisher.expect('puback');
  return gateway;
}

describe.each([4, 5] as const)('a client of protocol version %i', (protocolVersion) => {
  test('a new subscription gets the retained message, with RETAIN set, after SUBACK [MQTT-3.1.1 3.3.1-8]', async () => {
    const gateway = await startGateway();
    const client = await connect(gateway, 'c', { protocolVersion });
    await retain(client, 'a/b', 'old');
    await retain(client, 'a/b', 'new');
    await subscribe(client, { topic: 'a/+', qos: 1 });
    expect((await take(client, 1)).map(textOf)).toEqual(['a/b=new qos1 retain']);
    await expectNothing(client);
  });

  test('a message for an established subscription has RETAIN 0 [MQTT-3.3.1-12]', async () => {
    const gateway = await startGateway();
    const [client, publisher] = [
      await connect(gateway, 'c', { protocolVersion }),
      await connect(gateway, 'p', { protocolVersion }),
    ];
    await subscribe(client, { topic: 'a', qos: 1 });
    await retain(publisher, 'a', 'x');
    expect((await take(client, 1)).map(textOf)).toEqual(['a=x qos1']);
  });

  test('an empty message with RETAIN is delivered and leaves nothing retained [MQTT-3.3.1-6] [MQTT-3.3.1-7]', async () => {
    const gateway = await startGateway();
    const client = await connect(gateway, 'c', { protocolVersion });
    await subscribe(client, { topic: 'a', qos: 0 });
    const publisher = await connect(gateway, 'p', { protocolVersion });
    await retain(publisher, 'a', 'x');
    await retain(publisher, 'a', '');
    expect((await take(client, 2)).map(textOf)).toEqual(['a=x qos0', 'a= qos0']);
    await subscribe(publisher, { topic: 'a', qos: 1 });
    await expectNothing(publisher);
  });

  test('a message without RETAIN leaves the retained one in place [MQTT-3.3.1-8]', async () => {
    const gateway = await startGateway();
    const client = await connect(gateway, 'c', { protocolVersion });
    await retain(client, 'a', 'kept');
    await publish(client, 'a', 'passing');
    await publish(client, 'a', '');
    await subscribe(client, { topic: 'a', qos: 1 });
    expect((await take(client, 1)).map(textOf)).toEqual(['a=kept qos1 retain']);
  });

  test('QoS is the lower one of publish and subscription, also for QoS 0 [MQTT-3.8.4-8]', async () => {
    const gateway = await startGateway();
    const client = await connect(gateway, 'c', { protocolVersion });
    await retain(client, 'a', '0', 0);
    await retain(client, 'b', '1', 1);
    await subscribe(client, { topic: '#', qos: 1 });
    expect((await take(client, 2)).map(textOf)).toEqual(['a=0 qos0 retain', 'b=1 qos1 retain']);
    await subscribe(client, { topic: '+', qos: 0 });
    expect((await take(client, 2)).map(textOf)).toEqual(['a=0 qos0 retain', 'b=1 qos0 retain']);
  });

  test('subscribing again to the same filter sends retained messages again [MQTT-3.8.4-3]', async () => {
    const gateway = await startGateway();
    const client = await connect(gateway, 'c', { protocolVersion });
    await retain(client, 'a', 'x');
    for (let i = 0; i < 2; i++) {
      await subscribe(client, { topic: 'a', qos: 0 });
      expect((await take(client, 1)).map(textOf)).toEqual(['a=x qos0 retain']);
    }
  });
});

describe('MQTT 5 options', () => {
  test('Retain Handling 0, 1 and 2 decide what a subscription starts with [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]', async () => {
    const gateway = await startGateway();
    const client = await connect(gateway, 'c');
    await retain(client, 'a', 'x');
    await subscribe(client, { topic: 'a', qos: 0, rh: 2 });
    await expectNothing(client);
    await subscribe(client, { topic: 'a', qos: 0, rh: 1 });
    await expectNothing(client);
    await subscribe(client, { topic: 'a', qos: 0, rh: 0 });
    await take(client, 1);
    await subscribe(client, { topic: '+', qos: 0, rh: 1 });
    await take(client, 1);
    await subscribe(client, { topic: '+', qos: 0, rh: 1 });
    await expectNothing(client);
  });

  test('Retain As Published keeps the flag of a live message and does not change retained ones [MQTT-3.3.1-13]', async () => {
    const gateway = await startGateway();
    const client = await connect(gateway, 'c');
    await retain(client, 'a', '1');
    await subscribe(client, { topic: 'a', qos: 0, rap: true });
    expect((await take(client, 1)).map(textOf)).toEqual(['a=1 qos0 retain']);
    const publisher = await connect(gateway, 'p');
    await retain(publisher, 'a', '2');
    await publish(publisher, 'a', '3');
    expect((await take(client, 2)).map(textOf)).toEqual(['a=2 qos0 retain', 'a=3 qos0']);
  });

  test('properties come back as they were, with the identifier of the subscription that asked [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.4-3]', async () => {
    const gateway = await startGateway();
    const client = await connect(gateway, 'c');
    const properties = {
      payloadFormatIndicator: true,
      contentType: 'text/plain',
      responseTopic: 'answer/here',
      correlationData: Buffer.from([1, 2, 3]),
      userProperties: { b: ['2', '1'], a: '3' },
    };
    await publish(client, 'a', 'x', { retain: true, properties: { ...properties } });
    await subscribe(client, { topic: 'other', qos: 0 }, 4);
    await subscribe(client, { topic: 'a', qos: 0 }, 5);
    const [message] = await take(client, 1);
    expect(message?.properties).toEqual({ ...properties, subscriptionIdentifier: 5 });
  });

  test('Message Expiry Interval shrinks while the message is retained, and ends it [MQTT-3.3.2-6] [MQTT-3.3.2-5]', async () => {
    const clock = { now: 1_000_000, nowMs: () => clock.now };
    const gateway = await startGateway({ clock });
    const client = await connect(gateway, 'c');
    await publish(client, 'a', 'x', { retain: true, properties: { messageExpiryInterval: 60 } });
    clock.now += 20_000;
    await subscribe(client, { topic: 'a', qos: 0 });
    const [message] = await take(client, 1);
    expect(message?.properties?.messageExpiryInterval).toBe(40);
    clock.now += 41_000;
    await subscribe(client, { topic: 'a', qos: 0 });
    await expectNothing(client);
  });

  test('a retained message that is larger than the client takes is not sent, the others are [MQTT-3.1.2-24] [MQTT-3.1.2-25]', async () => {
    const gateway = await startGateway();
    const publisher = await connect(gateway, 'p');
    for (const topic of ['a', 'b', 'c']) await retain(publisher, topic, 'x'.repeat(topic === 'b' ? 500 : 5));
    const client = await connect(gateway, 'c', { properties: { maximumPacketSize: 200 } });
    await subscribe(client, { topic: '+', qos: 1 });
    expect((await take(client, 2)).map(({ topic }) => topic)).toEqual(['a', 'c']);
    await expectNothing(client);
  });

  test('a shared subscription gets no retained messages [broker]', async () => {
    const gateway = await startGateway();
    const client = await connect(gateway, 'c');
    await retain(client, 'a', 'x');
    await subscribe(client, { topic: '$share/group/a', qos: 1 });
    await expectNothing(client);
  });

  test('a queue subscription gets no retained messages [broker]', async () => {
    const gateway = await startGateway();
    const client = await connect(gateway, 'c');
    await retain(client, 'a', 'x');
    await subscribe(client, { topic: '$q/a', qos: 1 });
    await expectNothing(client);
  });
});

describe('$SYS', () => {
  test('a client cannot retain under $SYS [MQTT-4.7.2-1]', async () => {
    const gateway = await startGateway();
    const client = await connect(gateway, 'c');
    await retain(client, '$SYS/broker/forged', 'x');
    await subscribe(client, { topic: '$SYS/broker/forged', qos: 1 });
    await expectNothing(client);
  });

  test('a wildcard in the first level gets nothing retained below "$" [MQTT-4.7.2-1]', async () => {
    const gateway = await startGateway();
    const client = await connect(gateway, 'c');
    await retain(client, '$own/a', 'x');
    await retain(client, 'own/a', 'y');
    for (const topic of ['#', '+/a']) {
      await subscribe(client, { topic, qos: 0 });
      expect((await take(client, 1)).map(textOf)).toEqual(['own/a=y qos0 retain']);
      await expectNothing(client);
    }
  });
});

describe('acknowledgement', () => {
  test('PUBACK comes after the row of the retained message is stored [broker]', async () => {
    const shards = new FakeShards();
    const gateway = await startGateway({ shards });
    const client = await connect(gateway, 'c');
    shards.mode = 'by-hand';
    client.send(publishPacket('a', 'x', { retain: true }));
    await expectNothing(client);
    expect(shards.rowsOf(0, RowStore.retained).size).toBe(1);
    shards.settle();
    expect((await client.expect('puback')).messageId).toBe(1);
  });

  test('QoS 2 as well: PUBREC comes after the row is stored [MQTT-4.3.3-10]', async () => {
    const shards = new FakeShards();
    const gateway = await startGateway({ shards });
    const client = await connect(gateway, 'c');
    shards.mode = 'by-hand';
    client.send(publishPacket('a', 'x', { retain: true, qos: 2 }));
    await expectNothing(client);
    shards.settle();
    expect((await client.expect('pubrec')).messageId).toBe(1);
  });

  test('a row that cannot be stored is told to the publisher [broker]', async () => {
    const shards = new FakeShards();
    const gateway = await startGateway({ shards });
    const client = await connect(gateway, 'c');
    shards.status = PublishStatus.storeError;
    expect(await publish(client, 'a', 'x', { retain: true })).toBe(0x80);
  });

  test('a full ring holds a retained publish back until there is room [broker]', async () => {
    const shards = new FakeShards();
    const gateway = await startGateway({ shards });
    const client = await connect(gateway, 'c');
    shards.roomBytes = 10;
    client.send(publishPacket('a', 'x', { retain: true }));
    const other = await connect(gateway, 'o');
    await expectNothing(other);
    expect([client.inbox.length, shards.rowsOf(0, RowStore.retained).size]).toEqual([0, 0]);
    shards.makeRoom();
    await client.expect('puback');
    expect(shards.rowsOf(0, RowStore.retained).size).toBe(1);
  });
});

describe('large sets', () => {
  const count = 3000;

  test('a wildcard subscriber with a small window gets every message, none dropped [MQTT-3.3.4-9]', async () => {
    const gateway = await filled(count, { SLUICE_SESSION_QUEUE_MAX: '10' });
    const client = await connect(gateway, 'c', { properties: { receiveMaximum: 7 } });
    await subscribe(client, { topic: 't/#', qos: 1 });
    const unanswered: number[] = [];
    const seen = new Set<string>();
    while (seen.size < count) {
      const message = await client.expect('publish');
      seen.add(message.topic);
      unanswered.push(message.messageId ?? 0);
      expect(unanswered.length).toBeLessThanOrEqual(7);
      if (unanswered.length === 7 || seen.size === count) {
        for (const messageId of unanswered.splice(0)) client.send({ cmd: 'puback', messageId });
      }
    }
    await expectNothing(client);
    expect(gateway.counters.total(slotOf('messagesDropped', 'session-queue-full'))).toBe(0);
    expect(gateway.counters.total(slot.retainedFeeds)).toBe(0);
  });

  test('a subscriber that does not read gets everything later, and others are served meanwhile [broker]', async () => {
    const gateway = await startGateway({ env: { SLUICE_OUTBOX_BYTES: '64KB' } });
    const publisher = await connect(gateway, 'publisher');
    const payload = 'x'.repeat(30_000);
    for (let i = 0; i < 400; i++) await retain(publisher, `t/${i}`, payload);
    const slow = await connect(gateway, 'slow');
    slow.socket.pause();
    slow.send({ cmd: 'subscribe', messageId: 9, subscriptions: [{ topic: 't/#', qos: 0 }] });
    const other = await connect(gateway, 'other');
    await subscribe(other, { topic: 'live', qos: 0 });
    for (let i = 0; i < 20; i++) {
      await publish(publisher, 'live', String(i));
      expect((await take(other, 1)).map(textOf)).toEqual([`live=${i} qos0`]);
    }
    slow.socket.resume();
    await slow.expect('suback');
    const topics = (await take(slow, 400)).map(({ topic }) => topic);
    expect(new Set(topics).size).toBe(400);
    await expectNothing(slow);
  });

  test('live messages reach a subscriber that is being fed [broker]', async () => {
    const gateway = await filled(count, { SLUICE_RETAINED_SLICE: '1' });
    const client = await connect(gateway, 'c');
    const publisher = await connect(gateway, 'p');
    await subscribe(client, { topic: '#', qos: 0 });
    await publish(publisher, 'live', 'now');
    let before = 0;
    for (let got = 0, isLive = false; got < count || !isLive;) {
      const message = await client.expect('publish');
      if (message.topic !== 'live') got++;
      else isLive = true;
      if (!isLive) before = got;
    }
    expect(before).toBeLessThan(count);
  });

  test('UNSUBSCRIBE ends the feeding [MQTT-3.10.4-2]', async () => {
    const gateway = await filled(count, { SLUICE_RETAINED_SLICE: '1' });
    const client = await connect(gateway, 'c');
    await subscribe(client, { topic: '#', qos: 0 });
    client.send({ cmd: 'unsubscribe', messageId: 10, unsubscriptions: ['#'] });
    let got = 0;
    for (;;) {
      const packet = await client.next();
      if (packet.cmd === 'unsuback') break;
      got++;
    }
    await expectNothing(client);
    expect(got).toBeLessThan(count);
  });

  test('a session that comes back is fed with the rest [broker]', async () => {
    const gateway = await filled(200);
    const options = { clean: true, properties: { sessionExpiryInterval: 100, receiveMaximum: 5 } };
    const first = await connect(gateway, 'c', options);
    await subscribe(first, { topic: 't/#', qos: 1 });
    const before = (await take(first, 50)).map(({ topic }) => topic);
    first.destroy();
    await first.expectClosed();
    const second = await connect(gateway, 'c', { ...options, clean: false });
    const seen = new Set(before);
    while (seen.size < 200) for (const { topic } of await take(second, 1)) seen.add(topic);
    expect(seen.size).toBe(200);
  });
});
