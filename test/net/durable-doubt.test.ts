/**
 * A QoS 2 publish whose shard fails before it could say how the publish ended: a gateway over fake shards, whose answers
 * the test decides.
 */
import { expect, test } from 'vitest';
import type { RawClient } from '../harness/raw-client.js';
import { PublishStatus, RowStore } from '../../src/shard/link.js';
import { connect, expectNothing, publishPacket, startGateway, type TestGateway } from './test-gateway.js';

const publisher = (target: TestGateway, protocolVersion: 4 | 5 = 4): Promise<RawClient> =>
  connect(target, 'publisher', {
    clean: false,
    protocolVersion,
    ...(protocolVersion === 5 && { properties: { sessionExpiryInterval: 3600 } }),
  });

/** A shard with a queue that has failed behind a QoS 2 publish, which it had stored or not. */
async function failed(
  isStored: boolean,
  version: 4 | 5,
): Promise<{ target: TestGateway; payloads: () => string[] }> {
  const target = await startGateway();
  const { id } = target.addQueue('t');
  const client = await publisher(target, version);
  await expectNothing(client);
  target.shards.mode = 'by-hand';
  target.shards.status = isStored ? PublishStatus.stored : PublishStatus.shardDown;
  client.send(publishPacket('t', 'once', { qos: 2 }));
  await expect.poll(() => target.shards.unsettledCount).toBeGreaterThan(1);
  target.shards.mode = 'at-once';
  target.shards.status = PublishStatus.stored;
  target.shards.settle(Number.POSITIVE_INFINITY, PublishStatus.shardDown);
  await client.expectClosed();
  const payloads = (): string[] => target.shards.queue(id).map(({ payload }) => String(payload));
  return { target, payloads };
}

for (const [version, isStored] of [
  [4, true],
  [4, false],
  [5, true],
  [5, false],
] as const) {
  test(`version ${version}: a QoS 2 publish that a shard had ${isStored ? '' : 'not '}stored when it failed is there once when its client repeats it [MQTT-4.3.3-10]`, async () => {
    const { target, payloads } = await failed(isStored, version);
    expect(payloads()).toEqual(isStored ? ['once'] : []);
    const client = await publisher(target, version);
    client.send(publishPacket('t', 'once', { qos: 2, dup: true }));
    expect((await client.expect('pubrec')).messageId).toBe(1);
    expect(payloads()).toEqual(['once']);
    client.send({ cmd: 'pubrel', messageId: 1 });
    await client.expect('pubcomp');
    expect(target.shards.rowsOf(0, RowStore.received).size).toBe(0);
    // The id is free for another message.
    client.send(publishPacket('t', 'other', { qos: 2 }));
    await client.expect('pubrec');
    expect(payloads()).toEqual(['once', 'other']);
  });
}

test('PUBREL on the next connection waits, too, until the log has forgotten the packet id [MQTT-4.3.3-11]', async () => {
  const target = await startGateway();
  target.addQueue('t');
  const first = await publisher(target);
  first.send(publishPacket('t', 'once', { qos: 2 }));
  await first.expect('pubrec');
  target.shards.mode = 'by-hand';
  first.send({ cmd: 'pubrel', messageId: 1 });
  await expectNothing(first);
  first.destroy();
  await first.expectClosed();
  const second = await publisher(target);
  second.send({ cmd: 'pubrel', messageId: 1 });
  await expectNothing(second);
  target.shards.mode = 'at-once';
  target.shards.settle();
  expect((await second.expect('pubcomp')).messageId).toBe(1);
});
