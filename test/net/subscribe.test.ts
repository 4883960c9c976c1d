import { accessWithout } from './access.js';
import { describe, expect, test } from 'vitest';

import type { RawClient } from '../harness/raw-client.js';
import { connect, expectNothing, publish, publishPacket, startGateway } from './test-gateway.js';

async function subscribe(client: RawClient, ...topics: string[]): Promise<readonly unknown[]> {
  client.send({
    cmd: 'subscribe',
    messageId: 7,
    subscriptions: topics.map((topic) => ({ topic, qos: 1 as const })),
  });
  const suback = await client.expect('suback');
  expect(suback.messageId).toBe(7);
  return suback.granted;
}

async function unsubscribe(
  client: RawClient,
  ...unsubscriptions: string[]
): Promise<readonly number[] | undefined> {
  client.send({ cmd: 'unsubscribe', messageId: 8, unsubscriptions });
  const unsuback = await client.expect('unsuback');
  expect(unsuback.messageId).toBe(8);
  return unsuback.granted;
}

describe('SUBSCRIBE', () => {
  test('SUBACK has the packet id and one code per filter, in order [MQTT-3.8.4-2] [MQTT-3.8.4-6] [MQTT-3.9.3-1]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    client.send({
      cmd: 'subscribe',
      messageId: 7,
      subscriptions: [
        { topic: 'a', qos: 2 },
        { topic: 'b/#/c', qos: 1 },
        { topic: 'c', qos: 0 },
        { topic: 'd+', qos: 0 },
        { topic: '$share/g/d', qos: 1 },
        { topic: 'e', qos: 1 },
      ],
    });
    const suback = await client.expect('suback');
    expect(suback.granted).toEqual([2, 0x8f, 0, 0x8f, 1, 1]);
  });

  test('before MQTT 5 every failure is 0x80 [MQTT-3.9.3-2]', async () => {
    const target = await startGateway({ env: { SLUICE_MQ_REQUIRE_MQTT5: 'true' } });
    const client = await connect(target, 'a', { protocolVersion: 4 });
    expect(await subscribe(client, 'b/#/c', '$queue/!', '$q/x', 'e')).toEqual([0x80, 0x80, 0x80, 1]);
  });

  test('a subscription to the same filter replaces the first one [MQTT-3.8.4-3]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    const publisher = await connect(target, 'p');
    for (const [qos, subscriptionIdentifier] of [
      [1, 5],
      [0, 6],
    ] as const) {
      client.send({
        cmd: 'subscribe',
        messageId: 1,
        subscriptions: [{ topic: 't', qos }],
        properties: { subscriptionIdentifier },
      });
      await client.expect('suback');
    }
    await publish(publisher, 't', 'x');
    const message = await client.expect('publish');
    expect([message.qos, message.properties?.subscriptionIdentifier]).toEqual([0, 6]);
    await expectNothing(client);
    expect(target.router.subscriptionCount).toBe(1);
  });

  test('one subscription more than allowed fails with 0x97, a held one does not [broker]', async () => {
    const target = await startGateway({ env: { SLUICE_SUBSCRIPTIONS_MAX: '2' } });
    const client = await connect(target, 'a');
    expect(await subscribe(client, 'a', '$q/b', 'c', 'a', '$q/b')).toEqual([1, 1, 0x97, 1, 1]);
  });

  test('a filter with more levels than allowed is invalid [broker]', async () => {
    const target = await startGateway({ env: { SLUICE_TOPIC_LEVELS_MAX: '3' } });
    const client = await connect(target, 'a');
    expect(await subscribe(client, 'a/b/c', 'a/b/c/d')).toEqual([1, 0x8f]);
  });

  test('a subscription that the permission hook denies fails with 0x87 [MQTT-3.8.4-5]', async () => {
    const target = await startGateway({ hooks: { access: accessWithout('$q/a') } });
    const client = await connect(target, 'a');
    expect(await subscribe(client, 'a', '$q/a')).toEqual([1, 0x87]);
  });

  test('the subscription is known before the first message: SUBACK comes first [broker]', async () => {
    const target = await startGateway();
    target.addQueue('t');
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'x');
    const client = await connect(target, 'a');
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '$q/t', qos: 1 }] });
    await client.expect('suback');
    await client.expect('publish');
  });
});

describe('UNSUBSCRIBE', () => {
  test('ends exactly the subscription with that text; unknown ones get 0x11 [MQTT-3.10.4-1] [MQTT-3.11.3-1]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    await subscribe(client, 'a/+', 'a/b', '$q/a');
    expect(await unsubscribe(client, 'a/#', 'a/+', '$q/a', '$q/b')).toEqual([0x11, 0, 0, 0x11]);
    const publisher = await connect(target, 'p');
    publisher.send(publishPacket('a/c', 'no', { qos: 0 }));
    publisher.send(publishPacket('a/b', 'yes', { qos: 0 }));
    expect((await client.expect('publish')).payload.toString()).toBe('yes');
  });

  test('messages of the subscription that are in flight are completed [MQTT-3.10.4-3]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    await subscribe(client, 't');
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', '1');
    const { messageId = 0 } = await client.expect('publish');
    await unsubscribe(client, 't');
    await publish(publisher, 't', '2');
    client.send({ cmd: 'puback', messageId });
    await expectNothing(client);
    expect(target.gateway.sessions.get('a')?.outbound.sentCount).toBe(0);
  });

  test('before MQTT 5 UNSUBACK has no reason codes [MQTT-3.10.4-4]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a', { protocolVersion: 4 });
    expect(await unsubscribe(client, 'nothing')).toBeUndefined();
  });
});
