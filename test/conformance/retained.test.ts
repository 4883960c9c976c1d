import type { ISubscription } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';

import type { RawClient } from '../harness/raw-client.js';
import { connect, expectNothing, publish, startGateway, type TestGateway } from '../net/test-gateway.js';

const four = { protocolVersion: 4 } as const;

/** Subscribes and answers what comes within the turn: payload, RETAIN, QoS of each message, ordered by payload. */
async function retainedOf(client: RawClient, wish: ISubscription): Promise<[string, boolean, number][]> {
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [wish] });
  await client.expect('suback');
  const messages: [string, boolean, number][] = [];
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  client.send({ cmd: 'pingreq' });
  for (;;) {
    const packet = await client.next();
    if (packet.cmd === 'pingresp') break;
    if (packet.cmd !== 'publish') throw new Error(`unexpected ${packet.cmd}`);
    messages.push([packet.payload.toString(), packet.retain, packet.qos]);
    if (packet.qos === 1) client.send({ cmd: 'puback', messageId: packet.messageId ?? 0 });
  }
  return messages.toSorted(([a], [b]) => a.localeCompare(b));
}

/** What a new MQTT 5 subscriber to `topic` finds. */
async function found(target: TestGateway, topic: string): Promise<[string, boolean, number][]> {
  const client = await connect(target, 'finder');
  const messages = await retainedOf(client, { topic, qos: 2 });
  client.send({ cmd: 'disconnect', reasonCode: 0 });
  await client.expectClosed();
  return messages;
}

describe('retained messages of MQTT 5.0', () => {
  test('RETAIN stores the message with its QoS in place of an earlier one [MQTT-3.3.1-5]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', '1', { retain: true });
    expect(await found(target, 't')).toEqual([['1', true, 1]]);
    await publish(publisher, 't', '2', { retain: true });
    expect(await found(target, 't')).toEqual([['2', true, 1]]);
    publisher.send({ cmd: 'publish', topic: 't', payload: '3', qos: 0, dup: false, retain: true });
    publisher.send({ cmd: 'pingreq' });
    await publisher.expect('pingresp');
    expect(await found(target, 't')).toEqual([['3', true, 0]]);
  });

  test('an empty payload is delivered, removes what was retained and is not stored [MQTT-3.3.1-6] [MQTT-3.3.1-7]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'p');
    const witness = await connect(target, 'w');
    await publish(publisher, 't', '1', { retain: true });
    await retainedOf(witness, { topic: 't', qos: 0 });
    await publish(publisher, 't', '', { retain: true });
    expect(await witness.expect('publish')).toMatchObject({ topic: 't', retain: false });
    expect(await found(target, 't')).toEqual([]);
    await publish(publisher, 'never', '', { retain: true });
    expect(await found(target, '#')).toEqual([]);
  });

  test('without RETAIN nothing is stored, replaced or removed [MQTT-3.3.1-8]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'kept', { retain: true });
    for (const payload of ['other', '']) await publish(publisher, 't', payload);
    await publish(publisher, 'u', 'not kept');
    expect(await found(target, '#')).toEqual([['kept', true, 1]]);
  });

  test('Retain Handling 0 sends all that matches each time, 1 for a new subscription, 2 never [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT-3.8.4-4]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'p');
    for (const topic of ['t/1', 't/2', 'u']) await publish(publisher, topic, topic, { retain: true });
    const all = [
      ['t/1', true, 1],
      ['t/2', true, 1],
    ];
    const counts: Record<number, unknown[][]> = { 0: [all, all], 1: [all, []], 2: [[], []] };
    for (const rh of [0, 1, 2]) {
      const client = await connect(target, `c${rh}`);
      expect(await retainedOf(client, { topic: 't/#', qos: 1, rh }), `first ${rh}`).toEqual(counts[rh]?.[0]);
      expect(await retainedOf(client, { topic: 't/#', qos: 1, rh }), `again ${rh}`).toEqual(counts[rh]?.[1]);
    }
  });

  test('while a subscription is replaced no message is lost [MQTT-3.8.4-4]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'p');
    const client = await connect(target, 'a');
    await client.subscribe('t', 0);
    const total = 20;
    for (let i = 1; i <= total; i++) {
      publisher.send({ cmd: 'publish', topic: 't', payload: String(i), qos: 0, dup: false, retain: false });
      client.send({ cmd: 'subscribe', messageId: i, subscriptions: [{ topic: 't', qos: 0 }] });
    }
    const seen: number[] = [];
    while (seen.length < total) {
      const packet = await client.next();
      if (packet.cmd === 'publish') seen.push(Number(packet.payload.toString()));
    }
    expect(seen).toEqual(Array.from({ length: total }, (_, i) => i + 1));
  });

  test('what is sent because of a subscription has RETAIN 1, whatever Retain As Published says; what is forwarded follows it [MQTT-3.3.1-12] [MQTT-3.3.1-13]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'old', { retain: true });
    for (const rap of [false, true]) {
      const client = await connect(target, `c${rap}`);
      expect(await retainedOf(client, { topic: 't', qos: 0, rap })).toEqual([['old', true, 0]]);
      await publish(publisher, 't', 'old', { retain: true });
      expect((await client.expect('publish')).retain).toBe(rap);
      await publish(publisher, 't', 'new', { retain: false });
      expect((await client.expect('publish')).retain).toBe(false);
    }
  });
});

describe('retained messages of MQTT 3.1.1', () => {
  test('each matching topic gives its last retained message, with RETAIN, at the lower QoS [MQTT-3.1.1 3.3.1-5] [MQTT-3.1.1 3.3.1-6] [MQTT-3.1.1 3.3.1-8] [MQTT-3.1.1 3.8.4-3]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'p', four);
    await publish(publisher, 't/1', 'x', { retain: true });
    await publish(publisher, 't/1', 'a', { retain: true });
    await publish(publisher, 't/2', 'b', { retain: true });
    const client = await connect(target, 'a', four);
    const low = [
      ['a', true, 0],
      ['b', true, 0],
    ];
    expect(await retainedOf(client, { topic: 't/+', qos: 0 })).toEqual(low);
    // The same filter again: they are sent again.
    expect(await retainedOf(client, { topic: 't/+', qos: 1 })).toEqual([
      ['a', true, 1],
      ['b', true, 1],
    ]);
  });

  test('RETAIN at QoS 0 discards what was retained before [MQTT-3.1.1 3.3.1-7]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'p', four);
    await publish(publisher, 't', 'old', { retain: true });
    publisher.send({ cmd: 'publish', topic: 't', payload: 'new', qos: 0, dup: false, retain: true });
    publisher.send({ cmd: 'pingreq' });
    await publisher.expect('pingresp');
    const client = await connect(target, 'a', four);
    expect((await retainedOf(client, { topic: 't', qos: 1 })).map(([payload]) => payload)).not.toContain(
      'old',
    );
  });

  test('an established subscription gets RETAIN 0; an empty payload removes and is not stored [MQTT-3.1.1 3.3.1-9] [MQTT-3.1.1 3.3.1-10] [MQTT-3.1.1 3.3.1-11]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'p', four);
    const client = await connect(target, 'a', four);
    await client.subscribe('t', 0);
    for (const payload of ['x', '']) {
      await publish(publisher, 't', payload, { retain: true });
      expect(await client.expect('publish')).toMatchObject({ retain: false });
    }
    const late = await connect(target, 'b', four);
    expect(await retainedOf(late, { topic: '#', qos: 0 })).toEqual([]);
  });

  test('without RETAIN nothing is stored, replaced or removed [MQTT-3.1.1 3.3.1-12]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'p', four);
    await publish(publisher, 't', 'kept', { retain: true });
    for (const payload of ['other', '']) await publish(publisher, 't', payload);
    const client = await connect(target, 'a', four);
    expect(await retainedOf(client, { topic: '#', qos: 1 })).toEqual([['kept', true, 1]]);
  });

  test('retained messages outlive the session that published them [MQTT-3.1.1 3.1.2-7]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'p', four);
    await publish(publisher, 't', 'x', { retain: true });
    publisher.send({ cmd: 'disconnect' });
    await publisher.expectClosed();
    const again = await connect(target, 'p', four);
    expect(await retainedOf(again, { topic: 't', qos: 1 })).toEqual([['x', true, 1]]);
    await expectNothing(again);
  });
});
