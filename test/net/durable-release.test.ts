/**
 * QoS 1 and 2 towards a durable session when its shard's worker restarts or its connection changes at the worst moment:
 * a gateway over fake shards, whose commits and deliveries the test decides.
 */
import { expect, test } from 'vitest';
import type { RawClient } from '../harness/raw-client.js';
import { connect, expectNothing, publishPacket, startGateway, type TestGateway } from './test-gateway.js';

const properties = { sessionExpiryInterval: 3600 };

async function durable(target: TestGateway, clean = false): Promise<RawClient> {
  return connect(target, 'durable', { clean, properties });
}

/** A session with a subscription and a QoS 2 message that it has been sent; returns its packet id. */
async function withMessage(
  target: TestGateway,
  qos: 1 | 2,
): Promise<{ client: RawClient; messageId: number }> {
  const client = await durable(target);
  await client.subscribe('t', qos);
  const publisher = await connect(target, 'publisher');
  publisher.send(publishPacket('t', 'once', { qos }));
  const { messageId = 0, dup } = await client.expect('publish');
  expect(dup).toBe(false);
  return { client, messageId };
}

test('what the client has and has not answered is not sent again when its worker restarts [MQTT-4.4.0-1]', async () => {
  const target = await startGateway({ hasSessionQueues: true });
  const { client, messageId } = await withMessage(target, 1);
  target.shards.restart();
  await expectNothing(client);
  client.send({ cmd: 'puback', messageId });
  await expectNothing(client);
  // The answer has reached the queue, under the new tag.
  const [attachment] = target.shards.attachments;
  expect(attachment?.inFlight.size).toBe(0);
});

test('after PUBREL a QoS 2 message does not come again, though its worker restarted before PUBREC [MQTT-4.3.3-6]', async () => {
  const target = await startGateway({ hasSessionQueues: true });
  const { client, messageId } = await withMessage(target, 2);
  target.shards.restart();
  await expectNothing(client);
  client.send({ cmd: 'pubrec', messageId });
  expect((await client.expect('pubrel')).messageId).toBe(messageId);
  client.send({ cmd: 'pubcomp', messageId });
  await expectNothing(client);
  target.shards.restart();
  await expectNothing(client);
});

test('PUBCOMP on the next connection may be faster than the queue, which took the message back before it was released [MQTT-4.3.3-6]', async () => {
  const target = await startGateway({ hasSessionQueues: true });
  const { client, messageId } = await withMessage(target, 2);
  const { queueId } = target.shards.attachments[0]!;
  target.shards.mode = 'by-hand';
  client.send({ cmd: 'pubrec', messageId });
  await expectNothing(client);
  client.destroy();
  await client.expectClosed();
  await expectDetached(target);
  target.shards.mode = 'at-once';
  target.shards.settle();
  target.shards.window = 0;
  const next = await durable(target);
  expect((await next.expect('pubrel')).messageId).toBe(messageId);
  next.send({ cmd: 'pubcomp', messageId });
  await expectNothing(next);
  target.shards.window = 10;
  target.shards.pumpLater(queueId);
  await expectNothing(next);
  // And the queue is told that it is over.
  expect(target.shards.queue(queueId)).toEqual([]);
});

async function expectDetached({ shards }: TestGateway): Promise<void> {
  await expect.poll(() => shards.attachments.length).toBe(0);
}

test('a durable session has packet ids for its whole window, however large the client and the settings make it [MQTT-2.2.1-4]', async () => {
  const target = await startGateway({
    env: { SLUICE_MAX_INFLIGHT: '65535', SLUICE_RECEIVE_MAXIMUM: '65535' },
  });
  const receiveMaximum = 65_535;
  const client = await connect(target, 'durable', { properties: { ...properties, receiveMaximum } });
  await client.subscribe('t', 1);
  const publisher = await connect(target, 'publisher');
  const count = 17_000;
  for (let messageId = 1; messageId <= count; messageId++) {
    publisher.send(publishPacket('t', '', { messageId }));
    if (messageId % 1000 === 0) await expect.poll(() => publisher.inbox.length).toBe(messageId);
  }
  await expectAnswered(client);
  const ids = new Set(client.inbox.map((packet) => packet.messageId));
  expect(ids.size).toBe(client.inbox.length);
  expect(ids.size).toBe(16_383);
});

/** Everything that was on its way has come. */
async function expectAnswered(client: RawClient): Promise<void> {
  client.send({ cmd: 'pingreq' });
  await expect.poll(() => client.inbox.at(-1)?.cmd).toBe('pingresp');
  client.inbox.pop();
}
