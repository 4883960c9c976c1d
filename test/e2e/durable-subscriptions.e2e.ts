/**
 * Many subscriptions of a session that is kept: a real broker process over kill -9 and with another number of shards.
 */
import { expect, test } from 'vitest';
import { startBroker, type Broker } from '../harness/broker.js';
import { RawClient } from '../harness/raw-client.js';
import { testScope, type Scope } from '../harness/scope.js';

const count = 2000;
const topicOf = (at: number): string => `site/${at}/sensor`;

async function resume(scope: Scope, broker: Broker): Promise<RawClient> {
  return RawClient.connect(scope, broker, {
    clientId: 'device',
    protocolVersion: 5,
    clean: false,
    properties: { sessionExpiryInterval: 3600 },
  });
}

/** Subscribes to the filters with these numbers; the identifier tells which SUBSCRIBE it was. */
async function subscribe(client: RawClient, numbers: readonly number[], identifier: number): Promise<void> {
  client.send({
    cmd: 'subscribe',
    messageId: 1,
    subscriptions: numbers.map((at) => ({ topic: topicOf(at), qos: 1 })),
    properties: { subscriptionIdentifier: identifier },
  });
  expect((await client.expect('suback')).granted).toEqual(numbers.map(() => 1));
}

test('of many subscriptions each is there as it was acknowledged, after kill -9 and with other shards [MQTT-3.1.2-5]', async () => {
  const scope = testScope();
  const broker = await startBroker(scope, { env: { SLUICE_SHARDS: '1' } });
  const client = await resume(scope, broker);
  const all = Array.from({ length: count }, (_, at) => at);
  await subscribe(client, all, 1);
  const changed = all.filter((at) => at % 50 === 0);
  for (const at of changed) await subscribe(client, [at], 2);
  const dropped = all.filter((at) => at % 50 === 1);
  client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: dropped.map(topicOf) });
  expect((await client.expect('unsuback')).granted).toEqual(dropped.map(() => 0));
  for (const [round, env] of [{}, { SLUICE_SHARDS: '3' }].entries()) {
    await broker.kill();
    await broker.restart(env);
    const sender = await RawClient.connect(scope, broker, { clientId: '', protocolVersion: 5 });
    const asked = all.filter((at) => at % 50 < 3);
    for (const at of asked) {
      sender.send({
        cmd: 'publish',
        topic: topicOf(at),
        payload: String(round),
        qos: 1,
        messageId: at + 1,
        dup: false,
        retain: false,
      });
      expect((await sender.expect('puback')).reasonCode ?? 0).toBe(at % 50 === 1 ? 0x10 : 0);
    }
    const again = await resume(scope, broker);
    const expected = asked.filter((at) => at % 50 !== 1);
    while (expected.length > 0) {
      const packet = await again.expect('publish');
      again.send({ cmd: 'puback', messageId: packet.messageId! });
      // An answer that the log did not have yet: the message comes again.
      if (String(packet.payload) !== String(round)) continue;
      const at = expected.shift()!;
      const identifier = at % 50 === 0 ? 2 : 1;
      expect([packet.topic, packet.properties?.subscriptionIdentifier]).toEqual([topicOf(at), identifier]);
    }
  }
});
