/**
 * SUBSCRIBE of a session that is kept, when its rows are refused: a gateway whose row writer gives up.
 */
import { expect, test, vi } from 'vitest';
import type { SubscriptionOptions } from '../../src/router/route.js';
import type { RowDone } from '../../src/session/row-writer.js';
import type { RawClient } from '../harness/raw-client.js';
import { connect, expectNothing, publish, startGateway, type TestGateway } from '../net/test-gateway.js';

/** Subscribes to each filter with its QoS; returns the reason codes. */
async function subscribe(
  client: RawClient,
  wishes: readonly (readonly [topic: string, qos: 0 | 1 | 2])[],
  subscriptionIdentifier: number,
): Promise<readonly unknown[]> {
  client.send({
    cmd: 'subscribe',
    messageId: 1,
    subscriptions: wishes.map(([topic, qos]) => ({ topic, qos })),
    properties: { subscriptionIdentifier },
  });
  return (await client.expect('suback')).granted;
}

/** Rows that are put are refused from now on, or taken again. */
function refusing({ gateway }: TestGateway): { stop: () => void } {
  const refuse = vi
    .spyOn(gateway.context.rows, 'put')
    .mockImplementation((_shardId, _store, _rowId, _value, done?: RowDone) => {
      if (done !== undefined) setImmediate(done, false);
    });
  return { stop: () => refuse.mockRestore() };
}

function subscriptionsOf({ gateway }: TestGateway): Record<string, [qos: number, identifier: number]> {
  const session = gateway.sessions.get('device')!;
  const entry = ([filter, options]: [string, SubscriptionOptions]): [string, [number, number]] => [
    filter,
    [options.qos, options.subscriptionIdentifier],
  ];
  return Object.fromEntries([...session.allSubscriptions()].map(entry));
}

test('a SUBSCRIBE that the store refuses is answered 0x80 and leaves what the session had as it was [MQTT-3.8.4-3]', async () => {
  const target = await startGateway();
  target.addQueue('q', 'jobs');
  const client = await connect(target, 'device', { properties: { sessionExpiryInterval: 3600 } });
  const had = [
    ['live', 1],
    ['$share/g/shared', 1],
    ['$queue/jobs', 1],
    ['other', 0],
  ] as const;
  expect(await subscribe(client, had, 1)).toEqual([1, 1, 1, 0]);
  const before = subscriptionsOf(target);
  const { filterLength, subscriptionCount } = target.gateway.sessions.get('device')!;
  const refused = refusing(target);
  const wishes = [
    ['live', 2],
    ['new', 1],
    ['$share/g/shared', 0],
    ['$share/h/new', 1],
    ['$queue/jobs', 0],
    ['new', 0],
    ['live', 0],
    ['bad/#/filter', 1],
  ] as const;
  expect(await subscribe(client, wishes, 2)).toEqual([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x8f]);
  expect(subscriptionsOf(target)).toEqual(before);
  expect(target.gateway.sessions.get('device')).toMatchObject({ filterLength, subscriptionCount });
  refused.stop();
  const publisher = await connect(target, 'publisher');
  await publish(publisher, 'live', 'x');
  const packet = await client.expect('publish');
  expect([packet.qos, packet.properties?.subscriptionIdentifier]).toEqual([1, 1]);
  client.send({ cmd: 'puback', messageId: packet.messageId! });
  await publish(publisher, 'new', 'x');
  await expectNothing(client);
});

test('what was refused is stored as it was with the next row that is taken [broker]', async () => {
  const target = await startGateway();
  const client = await connect(target, 'device', { properties: { sessionExpiryInterval: 3600 } });
  await subscribe(client, [['a', 1]], 1);
  const refused = refusing(target);
  await subscribe(
    client,
    [
      ['a', 2],
      ['b', 1],
    ],
    2,
  );
  refused.stop();
  expect(await subscribe(client, [['c', 1]], 3)).toEqual([1]);
  const again = await startGateway({ shards: target.shards });
  await again.gateway.load([]);
  expect(subscriptionsOf(again)).toEqual({ a: [1, 1], c: [1, 3] });
});
