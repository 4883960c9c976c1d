import type { IPublishPacket, ISubscription } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';

import { PublishStatus } from '../../src/shard/link.js';
import type { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/wait.js';
import { FakeShards } from '../session/fake-shards.js';
import { connect, expectNothing, open, publish, publishPacket, startGateway } from './test-gateway.js';

async function consume(
  client: RawClient,
  topic: string,
  options: Partial<ISubscription> = {},
  properties = {},
): Promise<number> {
  client.send({ cmd: 'subscribe', messageId: 7, subscriptions: [{ topic, qos: 1, ...options }], properties });
  return (await client.expect('suback')).granted[0] as number;
}

function text({ topic, payload, qos }: IPublishPacket): [string, string, number] {
  return [topic, payload.toString(), qos];
}

describe('publishing to queues', () => {
  test('PUBACK waits until every matching queue of every shard has the message [broker]', async () => {
    const target = await startGateway({ shards: new FakeShards(2) });
    // The fake places by the sum of the characters: these two differ in parity.
    target.addQueue('+/b');
    target.addQueue('a/#');
    target.shards.mode = 'by-hand';
    const client = await connect(target, 'p');
    client.send(publishPacket('a/b', 'x', { messageId: 4 }));
    await expectNothing(client);
    expect(target.shards.unsettledCount).toBe(2);
    target.shards.settle(1, PublishStatus.stored, 1);
    await expectNothing(client);
    target.shards.settle();
    expect((await client.expect('puback')).reasonCode).toBe(0);
  });

  test('stored in a queue counts as taken: no 0x10 without a live subscriber [queue-2.6]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    const client = await connect(target, 'p');
    expect(await publish(client, 't', 'x')).toBe(0);
  });

  test('a queue that cannot store tells the MQTT 5 publisher why [MQTT-3.4.2-1]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    const client = await connect(target, 'p');
    const codes: [PublishStatus, number][] = [
      [PublishStatus.storeError, 0x80],
      [PublishStatus.shardDown, 0x80],
      [PublishStatus.quotaExceeded, 0x97],
      [PublishStatus.keyError, 0x99],
      [PublishStatus.stored, 0],
    ];
    for (const [status, reason] of codes) {
      target.shards.status = status;
      expect(await publish(client, 't', 'x')).toBe(reason);
      client.send(publishPacket('t', 'x', { qos: 2, messageId: 2 }));
      expect((await client.expect('pubrec')).reasonCode).toBe(reason);
    }
    // A refused QoS 2 id is free; the last one was taken and is not.
    client.send({ cmd: 'pubrel', messageId: 2 });
    expect((await client.expect('pubcomp')).reasonCode).toBe(0);
  });

  test('before MQTT 5 a failed publish closes the connection without PUBACK, after those before it [broker]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    target.shards.mode = 'by-hand';
    const client = await connect(target, 'p', { protocolVersion: 4 });
    for (const messageId of [1, 2, 3]) client.send(publishPacket('t', 'x', { messageId }));
    await expectNothing(client);
    target.shards.settle(1);
    target.shards.settle(1, PublishStatus.storeError);
    target.shards.settle(1);
    expect((await client.expect('puback')).messageId).toBe(1);
    await client.expectClosed();
    expect(client.inbox).toEqual([]);
  });

  test('onStoreError `ignore` acknowledges what the log refused, as EMQX does [queue-2.3]', async () => {
    const target = await startGateway({ env: { SLUICE_MQ_ON_STORE_ERROR: 'ignore' } });
    target.addQueue('t');
    target.shards.status = PublishStatus.storeError;
    const client = await connect(target, 'p');
    expect(await publish(client, 't', 'x')).toBe(0);
    target.shards.status = PublishStatus.quotaExceeded;
    expect(await publish(client, 't', 'x')).toBe(0x97);
  });

  test('a publisher without room in a ring is paused and goes on where it stopped [broker]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    target.shards.roomBytes = 0;
    const client = await connect(target, 'p');
    const other = await connect(target, 'o');
    for (const messageId of [1, 2, 3]) client.send(publishPacket('t', String(messageId), { messageId }));
    await until(() => target.shards.waitingForRoomCount === 1, 'the pause');
    expect(target.shards.publishCount).toBe(0);
    // Others, and publishes to no queue, are not affected.
    await publish(other, 'elsewhere', 'x');
    target.shards.makeRoom();
    for (const messageId of [1, 2, 3]) expect((await client.expect('puback')).messageId).toBe(messageId);
    expect(target.shards.queue(1).map(({ payload }) => payload.toString())).toEqual(['1', '2', '3']);
  });

  test('a paused publisher is not timed out by its Keep Alive [broker]', async () => {
    let nowMs = 0;
    const target = await startGateway({ clock: { nowMs: () => nowMs } });
    target.addQueue('t');
    target.shards.roomBytes = 0;
    const client = await connect(target, 'p', { keepalive: 1 });
    const watched = await connect(target, 'w', { keepalive: 1 });
    client.send(publishPacket('t', 'x'));
    await until(() => target.shards.waitingForRoomCount === 1, 'the pause');
    nowMs = 60_000;
    expect((await watched.expect('disconnect')).reasonCode).toBe(0x8d);
    target.shards.makeRoom();
    await client.expect('puback');
  });

  test('the stored properties lack what belongs to one hop, and expiry travels as a number [queue-2.4]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    const client = await connect(target, 'p');
    await publish(client, 't', 'x', {
      properties: { topicAlias: 1, messageExpiryInterval: 77, contentType: 'c', userProperties: { a: 'b' } },
    });
    const [message] = target.shards.queue(1);
    expect(message?.messageExpiryInterval).toBe(77);
    expect(message?.properties.toString('hex')).toBe('0300016326000161000162');
    expect(message?.payload.toString()).toBe('x');
  });

  test('a message whose topic came by alias is stored under its topic [MQTT-3.3.2-12]', async () => {
    const target = await startGateway();
    target.addQueue('t/+');
    const client = await connect(target, 'p');
    await publish(client, 't/1', 'a', { properties: { topicAlias: 1 } });
    await publish(client, '', 'b', { properties: { topicAlias: 1 } });
    expect(target.shards.queue(1).map(({ topic, payload }) => [topic, payload.toString()])).toEqual([
      ['t/1', 'a'],
      ['t/1', 'b'],
    ]);
  });

  test('a live subscriber and the queue both get the message, also one client both ways [queue-1.5]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    const client = await connect(target, 'c');
    await consume(client, '$q/t');
    await consume(client, 't');
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'x');
    const both = [await client.expect('publish'), await client.expect('publish')];
    expect(both.map(text)).toEqual([
      ['t', 'x', 1],
      ['t', 'x', 1],
    ]);
  });

  test('a publish to a topic named like a queue is a plain live publish [queue-1.3]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    const client = await connect(target, 'c');
    expect(await publish(client, '$q/t', 'x')).toBe(0x10);
    expect(target.shards.publishCount).toBe(0);
  });
});

describe('queue subscriptions', () => {
  test('SUBACK echoes the requested QoS, deliveries are QoS 1 with the original topic [queue-1.4]', async () => {
    for (const protocolVersion of [3, 4, 5] as const) {
      const target = await startGateway();
      target.addQueue('jobs/#', 'tasks');
      const publisher = await connect(target, 'p');
      await publish(publisher, 'jobs/1', 'x');
      const [q0, q2] = [
        await connect(target, 'c0', {
          protocolVersion,
          ...(protocolVersion === 3 ? { protocolId: 'MQIsdp' } : {}),
        }),
        await connect(target, 'c2'),
      ];
      expect(await consume(q0, '$queue/tasks', { qos: 0 })).toBe(0);
      const message = await q0.expect('publish');
      expect(text(message)).toEqual(['jobs/1', 'x', 1]);
      q0.send({ cmd: 'puback', messageId: message.messageId ?? 0 });
      expect(await consume(q2, '$queue/tasks/jobs/#', { qos: 2 })).toBe(2);
      await publish(publisher, 'jobs/2', 'y');
      await publish(publisher, 'jobs/3', 'z');
      expect((await q2.expect('publish')).qos).toBe(1);
    }
  });

  test('a subscription to a missing queue waits and wakes at once when it is created [queue-21]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'c');
    expect(await consume(client, '$queue/later')).toBe(1);
    expect(await consume(client, '$q/x/#')).toBe(1);
    target.addQueue('t', 'later');
    target.addQueue('x/#');
    expect(target.shards.attachments.map(({ queueId }) => queueId)).toEqual([1, 2]);
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'found');
    expect((await client.expect('publish')).payload.toString()).toBe('found');
  });

  test('missingQueue `reject` fails the subscription with 0x8F [broker]', async () => {
    const target = await startGateway({ env: { SLUICE_MQ_MISSING_QUEUE: 'reject' } });
    target.addQueue('t', 'there');
    const client = await connect(target, 'c');
    expect(await consume(client, '$queue/missing')).toBe(0x8f);
    expect(await consume(client, '$queue/there/other')).toBe(0x8f);
    expect(await consume(client, '$queue/there')).toBe(1);
    expect(await consume(client, '$q/t')).toBe(1);
  });

  test('a name or filter that can never exist fails with 0x8F [broker]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'c');
    for (const topic of [
      '$queue/-x',
      '$queue/',
      '$queue/a b',
      '$q/',
      '$q/a/#/b',
      '$queue/n/a+',
      '$q/$share/g/t',
      '$q/$q/t',
    ]) {
      expect([topic, await consume(client, topic)]).toEqual([topic, 0x8f]);
    }
    expect(await consume(client, '$share/g/$q/t')).toBe(0x8f);
  });

  test('requireMqtt5 refuses older clients and takes MQTT 5 [queue-31]', async () => {
    const target = await startGateway({ env: { SLUICE_MQ_REQUIRE_MQTT5: 'true' } });
    const old = await connect(target, 'old', { protocolVersion: 4 });
    const client = await connect(target, 'new');
    expect(await consume(old, '$q/t')).toBe(0x80);
    expect(await consume(client, '$q/t')).toBe(1);
  });

  test('the Subscription Identifier of the queue subscription is on its deliveries [queue-33]', async () => {
    const target = await startGateway();
    target.addQueue('t/#', 'n');
    const client = await connect(target, 'c');
    await consume(client, '$queue/n/t/#', {}, { subscriptionIdentifier: 42 });
    const publisher = await connect(target, 'p');
    await publish(publisher, 't/0', 'x');
    const message = await client.expect('publish');
    expect([message.topic, message.properties?.subscriptionIdentifier]).toEqual(['t/0', 42]);
  });

  test('Retain As Published keeps the flag of a retained publish, its absence clears it [queue-1.4]', async () => {
    const target = await startGateway();
    target.addQueue('a');
    target.addQueue('b');
    const client = await connect(target, 'c');
    await consume(client, '$q/a', { rap: true });
    await consume(client, '$q/b');
    const publisher = await connect(target, 'p');
    for (const topic of ['a', 'b']) {
      await publish(publisher, topic, 'x', { retain: true });
      expect((await client.expect('publish')).retain).toBe(topic === 'a');
    }
  });

  test('No Local leaves own messages to other consumers [queue-1.4]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    const own = await connect(target, 'own');
    const other = await connect(target, 'other');
    await consume(own, '$q/t', { nl: true });
    await consume(other, '$q/t');
    for (const payload of ['1', '2']) {
      await publish(own, 't', payload);
      expect((await other.expect('publish')).payload.toString()).toBe(payload);
    }
    await expectNothing(own);
  });

  test('two strings of one client to the same queue are two consumers [queue-1.2]', async () => {
    const target = await startGateway();
    target.addQueue('t', 'n');
    const client = await connect(target, 'c');
    await consume(client, '$queue/n');
    await consume(client, '$queue/n/t');
    await consume(client, '$q/t');
    expect(target.shards.attachments).toHaveLength(3);
  });

  test('SUBSCRIBE to a string already held replaces options only [queue-1.2]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    const client = await connect(target, 'c');
    await consume(client, '$q/t', {}, { subscriptionIdentifier: 1 });
    const [attachment] = target.shards.attachments;
    await consume(client, '$q/t', {}, { subscriptionIdentifier: 2 });
    expect(target.shards.attachments).toEqual([attachment]);
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'x');
    expect((await client.expect('publish')).properties?.subscriptionIdentifier).toBe(2);
  });

  test('auto-create is asked for a missing `$queue/<name>/<filter>` only [queue-28] [queue-29]', async () => {
    const asked: string[] = [];
    const target = await startGateway({
      hooks: {
        autoCreate: (name, filter) => {
          asked.push(`${name} ${filter}`);
          target.addQueue(filter, name);
        },
      },
    });
    const client = await connect(target, 'c');
    for (const topic of ['$queue/auto/t/#', '$queue/auto/t/#', '$queue/none', '$q/y'])
      await consume(client, topic);
    expect(asked).toEqual(['auto t/#']);
    const publisher = await connect(target, 'p');
    await publish(publisher, 't/1', 'x');
    await client.expect('publish');
  });

  test('a deleted queue lets its subscribers wait for the next of that name and filter [queue-15] [queue-30]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'c');
    await consume(client, '$queue/cq/t1/#');
    await consume(client, '$queue/cq/t2/#');
    const first = target.addQueue('t1/#', 'cq');
    expect(target.shards.attachments.map(({ queueId }) => queueId)).toEqual([first.id]);
    target.catalogue.remove(first);
    expect(target.shards.attachments).toEqual([]);
    const second = target.addQueue('t2/#', 'cq');
    expect(target.shards.attachments.map(({ queueId }) => queueId)).toEqual([second.id]);
    const publisher = await connect(target, 'p');
    await publish(publisher, 't2/x', 'new');
    expect((await client.expect('publish')).payload.toString()).toBe('new');
  });

  test('`$q/<filter>` prefers the nameless queue, takes a single named one, and keeps what it has [queue-15.2]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'c');
    await consume(client, '$q/t');
    const named = target.addQueue('t', 'named');
    expect(target.shards.attachments.map(({ queueId }) => queueId)).toEqual([named.id]);
    target.addQueue('t', 'second');
    expect(target.shards.attachments.map(({ queueId }) => queueId)).toEqual([named.id]);
    const nameless = target.addQueue('t');
    expect(target.shards.attachments.map(({ queueId }) => queueId)).toEqual([nameless.id]);
  });
});

describe('acknowledging queue deliveries', () => {
  test('PUBACK is an ack; a code from 0x80 on or 0x10 is a refusal [queue-5] [queue-3.5]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    const client = await connect(target, 'c');
    await consume(client, '$q/t');
    const [attachment] = target.shards.attachments;
    const publisher = await connect(target, 'p');
    for (const reasonCode of [0x10, 0x80, 0x99, 0]) {
      if (reasonCode === 0x10) await publish(publisher, 't', 'x');
      const { messageId = 0 } = await client.expect('publish');
      client.send({ cmd: 'puback', messageId, reasonCode });
    }
    await expectNothing(client);
    expect(attachment?.rejected.map(([, code]) => code)).toEqual([0x10, 0x80, 0x99]);
    expect(attachment?.acked).toHaveLength(1);
  });

  test('a refused message goes to the other consumer first [queue-5]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    const clients = [await connect(target, 'a'), await connect(target, 'b')] as const;
    for (const client of clients) await consume(client, '$q/t');
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'x');
    const { messageId = 0 } = await clients[0].expect('publish');
    clients[0].send({ cmd: 'puback', messageId, reasonCode: 0x80 });
    expect((await clients[1].expect('publish')).payload.toString()).toBe('x');
  });

  test('on UNSUBSCRIBE, disconnect and takeover the unacked messages return at once [queue-8] [queue-26]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    const publisher = await connect(target, 'p');
    const other = await connect(target, 'other');
    const ways: ((client: RawClient) => Promise<unknown>)[] = [
      async (client) => {
        client.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['$q/t'] });
        await client.expect('unsuback');
      },
      (client) => Promise.resolve(client.destroy()),
      () => connect(target, 'c'),
    ];
    for (const leave of ways) {
      const client = await connect(target, 'c');
      await consume(client, '$q/t');
      await publish(publisher, 't', 'x');
      await client.expect('publish');
      await leave(client);
      await until(() => target.shards.attachments.length === 0, 'the detach');
      await consume(other, '$q/t');
      const { messageId = 0, payload } = await other.expect('publish');
      expect(payload.toString()).toBe('x');
      other.send({ cmd: 'puback', messageId });
      other.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['$q/t'] });
      await other.expect('unsuback');
    }
  });

  test('a PUBACK that comes after UNSUBSCRIBE is tolerated and frees its id [queue-27]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    const client = await connect(target, 'c', { properties: { receiveMaximum: 1 } });
    await consume(client, '$q/t');
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'x');
    const { messageId = 0 } = await client.expect('publish');
    client.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['$q/t'] });
    await client.expect('unsuback');
    client.send({ cmd: 'puback', messageId });
    await expectNothing(client);
    await consume(client, '$q/t');
    await client.expect('publish');
  });

  test('a session whose client is away gets nothing from queues; on resume it is attached again [queue-17] [queue-23]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    const lasting = { clean: false, properties: { sessionExpiryInterval: 100 } };
    const first = await connect(target, 'c', lasting);
    await consume(first, '$q/t');
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', '1');
    await first.expect('publish');
    first.destroy();
    await until(() => target.shards.attachments.length === 0, 'the detach');
    await publish(publisher, 't', '2');
    expect(target.shards.queue(1)).toHaveLength(2);
    const second = await open(target, 5);
    second.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 5,
      keepalive: 0,
      clientId: 'c',
      ...lasting,
    });
    expect((await second.expect('connack')).sessionPresent).toBe(true);
    // Not the session resends the first one but the queue: without DUP.
    const messages = [await second.expect('publish'), await second.expect('publish')];
    expect(messages.map(({ payload, dup }) => [payload.toString(), dup])).toEqual([
      ['1', false],
      ['2', false],
    ]);
  });

  test('qos0Delivery `auto_ack` sends QoS 0 and acks at once [queue-3]', async () => {
    const target = await startGateway({ env: { SLUICE_MQ_QOS0_DELIVERY: 'auto_ack' } });
    target.addQueue('t');
    target.shards.window = 2;
    const publisher = await connect(target, 'p');
    for (const payload of ['1', '2', '3']) await publish(publisher, 't', payload);
    const client = await connect(target, 'c');
    expect(await consume(client, '$q/t', { qos: 0 })).toBe(0);
    for (const payload of ['1', '2', '3']) {
      const message = await client.expect('publish');
      expect([message.payload.toString(), message.qos]).toEqual([payload, 0]);
    }
    expect(target.shards.attachments[0]?.acked).toHaveLength(3);
  });

  test("a delivery above the client's Maximum Packet Size is refused with 0x95, the next one flows [MQTT-3.1.2-24]", async () => {
    const target = await startGateway();
    target.addQueue('t');
    const small = await connect(target, 'small', { properties: { maximumPacketSize: 100 } });
    await consume(small, '$q/t');
    const [attachment] = target.shards.attachments;
    const large = await connect(target, 'large');
    await consume(large, '$q/t');
    const publisher = await connect(target, 'p');
    for (const payload of ['x'.repeat(200), 'y'.repeat(200), 'z']) await publish(publisher, 't', payload);
    expect((await large.expect('publish')).payload.toString()[0]).toBe('x');
    expect(attachment?.rejected.map(([, code]) => code)).toContain(0x95);
  });

  test("the credit of a consumer is the lower of Receive Maximum and the server's maximum [queue-3.8]", async () => {
    const target = await startGateway({ env: { SLUICE_MAX_INFLIGHT: '20' } });
    target.addQueue('t');
    const five = await connect(target, 'five', { properties: { receiveMaximum: 5 } });
    const four = await connect(target, 'four', { protocolVersion: 4 });
    await consume(five, '$q/t');
    await consume(four, '$q/t');
    expect(target.shards.attachments.map(({ consumer }) => consumer.inFlightMax)).toEqual([5, 20]);
  });

  test('deliveries of several queues stay within one Receive Maximum; the rest is held and sent in turn [MQTT-3.3.4-9]', async () => {
    const target = await startGateway();
    target.addQueue('a');
    target.addQueue('b');
    const client = await connect(target, 'c', { properties: { receiveMaximum: 2 } });
    await consume(client, '$q/a');
    await consume(client, '$q/b');
    await consume(client, 'live');
    const publisher = await connect(target, 'p');
    for (const topic of ['a', 'a', 'b', 'b', 'live', 'live']) await publish(publisher, topic, topic);
    const seen: string[] = [];
    for (let i = 0; i < 6; i++) {
      const { messageId = 0, payload } = await client.expect('publish');
      seen.push(payload.toString());
      if (i >= 1) {
        // Two are open now.
        await expectNothing(client);
        expect(target.gateway.sessions.get('c')?.outbound.sentCount).toBe(2);
      }
      if (i === 0) continue;
      client.send({ cmd: 'puback', messageId });
    }
    expect(seen.toSorted()).toEqual(['a', 'a', 'b', 'b', 'live', 'live']);
  });

  test('what is held for an attachment is forgotten with it [broker]', async () => {
    const target = await startGateway();
    target.addQueue('a');
    target.addQueue('b');
    const client = await connect(target, 'c', { properties: { receiveMaximum: 1 } });
    const publisher = await connect(target, 'p');
    await publish(publisher, 'a', 'a');
    await publish(publisher, 'b', 'b');
    await consume(client, '$q/a');
    const { messageId = 0 } = await client.expect('publish');
    await consume(client, '$q/b');
    await expectNothing(client);
    expect(target.shards.attachments[1]?.inFlight.size).toBe(1);
    client.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['$q/b'] });
    await client.expect('unsuback');
    client.send({ cmd: 'puback', messageId });
    await expectNothing(client);
    expect(target.shards.queue(2)).toHaveLength(1);
  });

  test('PUBREC for a queue delivery is a protocol error and the message returns [MQTT-4.3.2-3]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    const client = await connect(target, 'c');
    await consume(client, '$q/t');
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'x');
    const { messageId = 0 } = await client.expect('publish');
    client.send({ cmd: 'pubrec', messageId });
    expect((await client.expect('disconnect')).reasonCode).toBe(0x82);
    await until(() => target.shards.queue(1).length === 1, 'the message in the queue');
  });

  test('a delivery carries what is left of its Message Expiry Interval [MQTT-3.3.2-6]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    const client = await connect(target, 'c');
    await consume(client, '$q/t');
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'x', {
      properties: { messageExpiryInterval: 33, userProperties: { a: '1' } },
    });
    const { properties } = await client.expect('publish');
    expect(properties?.messageExpiryInterval).toBe(33);
    expect(properties?.userProperties?.['a']).toBe('1');
  });
});
