/** One connection's share of a turn: what is expensive is spread over turns, and nothing is lost or overtaken. Quick tier. */
import mqttPacket from 'mqtt-packet';
import { describe, expect, test } from 'vitest';

import { packetType } from '../../src/mqtt/packet-type.js';
import { slot } from '../../src/telemetry/counter-layout.js';
import { until } from '../harness/wait.js';
import { connect, expectNothing, publishPacket, startGateway, type TestGateway } from './test-gateway.js';

/** Filters and SUBSCRIBEs in one turn, with room for the end of one slice and the beginning of the next. */
const subscriptionsPerTurnMax = 64;
const deliveriesPerTurnMax = 8192;

/** The most that `total` grows between two turns of the event loop while `work` goes on. */
async function mostPerTurn(total: () => number, work: () => Promise<void>): Promise<number> {
  let most = 0;
  let before = total();
  let isDone = false;
  const look = (): void => {
    const now = total();
    most = Math.max(most, now - before);
    before = now;
    if (!isDone) setImmediate(look);
  };
  look();
  try {
    await work();
  } finally {
    isDone = true;
  }
  return most;
}

function subscribes(count: number): Buffer {
  return Buffer.concat(
    Array.from({ length: count }, (_, i) =>
      mqttPacket.generate(
        { cmd: 'subscribe', messageId: 1 + (i % 60_000), subscriptions: [{ topic: `s/${i}`, qos: 0 }] },
        { protocolVersion: 5 },
      ),
    ),
  );
}

const filters = (count: number): string[] => Array.from({ length: count }, (_, i) => `w/${i}`);

function subscriptionCount(target: TestGateway): () => number {
  return () => target.counters.total(slot.subscriptions);
}

describe('expensive packets of one connection', () => {
  test('5,000 SUBSCRIBEs at once are carried out some per turn, all and in order [broker]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    const most = await mostPerTurn(subscriptionCount(target), async () => {
      client.send(subscribes(5000));
      client.send(publishPacket('x', 'behind'));
      for (let i = 0; i < 5000; i++) expect((await client.expect('suback')).messageId).toBe(i + 1);
      await client.expect('puback');
    });
    expect(most).toBeLessThanOrEqual(subscriptionsPerTurnMax);
    expect(subscriptionCount(target)()).toBe(5000);
  });

  test('one SUBSCRIBE with 5,000 filters and its UNSUBSCRIBE the same, and nothing overtakes them [broker]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    const most = await mostPerTurn(subscriptionCount(target), async () => {
      const subscriptions = filters(5000).map((topic) => ({ topic, qos: 1 as const }));
      client.send({ cmd: 'subscribe', messageId: 1, subscriptions });
      client.send(publishPacket('x', 'behind', { messageId: 2 }));
      const { granted } = await client.expect('suback');
      expect(granted).toEqual(Array.from({ length: 5000 }, () => 1));
      await client.expect('puback');
    });
    expect(most).toBeLessThanOrEqual(subscriptionsPerTurnMax);
    const shrinks = await mostPerTurn(
      () => -subscriptionCount(target)(),
      async () => {
        client.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: [...filters(4999), 'none'] });
        client.send({ cmd: 'pingreq' });
        const { granted } = await client.expect('unsuback');
        expect(granted).toEqual(Array.from({ length: 5000 }, (_, i) => (i < 4999 ? 0 : 0x11)));
        await client.expect('pingresp');
      },
    );
    expect(shrinks).toBeLessThanOrEqual(subscriptionsPerTurnMax);
    expect(subscriptionCount(target)()).toBe(1);
  });

  test('a session that is kept answers when all of it is safe [MQTT-3.8.4-1]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a', { properties: { sessionExpiryInterval: 100 } });
    const subscriptions = filters(500).map((topic) => ({ topic, qos: 1 as const }));
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions });
    client.send({ cmd: 'pingreq' });
    expect((await client.expect('suback')).granted.length).toBe(500);
    await client.expect('pingresp');
  });

  test('a takeover in the midst of a SUBSCRIBE ends it [MQTT-3.1.4-3]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    const subscriptions = filters(30_000).map((topic) => ({ topic, qos: 1 as const }));
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions });
    await until(() => subscriptionCount(target)() > 0, 'its beginning');
    const other = await connect(target, 'a');
    expect((await client.expect('disconnect')).reasonCode).toBe(0x8e);
    await expectNothing(other);
    expect(subscriptionCount(target)()).toBe(0);
  });

  test('publishes to many subscribers are delivered some per turn, all of them [broker]', async () => {
    const target = await startGateway();
    const subscribers = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const client = await connect(target, `s${i}`);
        await client.subscribe('t', 0);
        return client;
      }),
    );
    const publisher = await connect(target, 'p');
    const sent = (): number => target.counters.total(slot.publishesSent);
    const packet = mqttPacket.generate(publishPacket('t', 'x', { qos: 0 }), { protocolVersion: 5 });
    const most = await mostPerTurn(sent, async () => {
      publisher.send(Buffer.concat(Array.from({ length: 300 }, () => packet)));
      await until(() => subscribers.every(({ inbox }) => inbox.length === 300), 'all messages');
    });
    expect(sent()).toBe(30_000);
    expect(most).toBeLessThanOrEqual(deliveriesPerTurnMax);
  });

  test('publishes on ever new topics are taken some per turn, all of them [broker]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    const taken = (): number => target.counters.total(slot.packetsReceived + packetType.publish);
    const packets = Array.from({ length: 4000 }, (_, i) =>
      mqttPacket.generate(publishPacket(`t/${i}`, '', { qos: 0 }), { protocolVersion: 5 }),
    );
    const most = await mostPerTurn(taken, async () => {
      client.send(Buffer.concat(packets));
      await until(() => taken() === 4000, 'all messages');
    });
    expect(most).toBeLessThanOrEqual(1100);
  });

  test('while one subscribes without end another is answered [broker]', async () => {
    const target = await startGateway();
    const greedy = await connect(target, 'greedy');
    const other = await connect(target, 'other');
    greedy.socket.removeAllListeners('data');
    greedy.socket.resume();
    greedy.send(subscribes(20_000));
    let answered = 0;
    while (subscriptionCount(target)() < 20_000) {
      other.send({ cmd: 'pingreq' });
      await other.expect('pingresp');
      answered++;
    }
    // A turn of the greedy one is a few dozen subscriptions: 20,000 of them leave hundreds of turns.
    expect(answered).toBeGreaterThan(50);
  });
});
