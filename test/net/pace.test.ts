/** Publishes to queues are spread over turns while deliveries flow. Quick tier. */
import mqttPacket from 'mqtt-packet';
import { expect, test } from 'vitest';
import { FakeShards } from '../session/fake-shards.js';
import { connect, expectNothing, publishPacket, startGateway } from './test-gateway.js';

const COUNT = 900;

/** Counts publishes between two looks, one per turn of the event loop. */
class CountingShards extends FakeShards {
  handOut: (deliveries: number, isTurnOver: boolean) => void = () => {};
  mostPerTurn = 0;
  #before = 0;

  override onHandedOut(listener: (deliveries: number, isTurnOver: boolean) => void): void {
    this.handOut = listener;
  }

  look(): void {
    this.mostPerTurn = Math.max(this.mostPerTurn, this.publishCount - this.#before);
    this.#before = this.publishCount;
  }
}

/** Sends `COUNT` publishes at once and waits until all are acknowledged; returns the most in one turn. */
async function flood(topic: string, deliveries: number): Promise<CountingShards> {
  const shards = new CountingShards();
  // A clock that stands: what the first deliveries decided stays as it is.
  const target = await startGateway({ shards, clock: { nowMs: () => 0 } });
  target.addQueue('q/#');
  const client = await connect(target, 'a');
  if (deliveries > 0) for (const count of [999, 1]) shards.handOut(count, true);
  await expectNothing(client);
  const packets = Array.from({ length: COUNT }, (_, i) =>
    mqttPacket.generate(publishPacket(topic, String(i), { messageId: i + 1 }), { protocolVersion: 5 }),
  );
  client.send(Buffer.concat(packets));
  let isDone = false;
  const look = (): void => {
    shards.look();
    if (deliveries > 0) shards.handOut(deliveries, true);
    if (!isDone) setImmediate(look);
  };
  look();
  try {
    for (let i = 1; i <= COUNT; i++) expect((await client.expect('puback')).messageId).toBe(i);
  } finally {
    isDone = true;
  }
  return shards;
}

test('a flood to queues goes on turn by turn while messages are delivered, and none is lost or overtaken [broker]', async () => {
  const shards = await flood('q/1', 1);
  expect(shards.publishCount).toBe(COUNT);
  // A budget worth a turn and what ticks add to it may fall between two looks.
  expect(shards.mostPerTurn).toBeLessThanOrEqual(128);
});

test('without deliveries a flood is taken as it comes [broker]', async () => {
  const shards = await flood('q/1', 0);
  expect(shards.publishCount).toBe(COUNT);
  expect(shards.mostPerTurn).toBeGreaterThan(128);
});
