/** A broker that is configured to offer less than all of MQTT: Maximum QoS, no empty client ids. Quick tier. */
import type { IConnectPacket } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';

import { connect, open, publish, publishPacket, startGateway, type TestGateway } from './test-gateway.js';

const limited = (qos: number): Promise<TestGateway> => startGateway({ env: { SLUICE_MAX_QOS: String(qos) } });

function connectPacket(more: Partial<IConnectPacket>): IConnectPacket {
  return {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    clean: true,
    clientId: 'a',
    keepalive: 0,
    ...more,
  };
}

describe('a broker with a Maximum QoS', () => {
  test.each([
    [0, 0],
    [1, 1],
    [2, undefined],
  ])('of %i tells it in CONNACK as %s [MQTT-3.2.2-9]', async (maximum, told) => {
    const client = await open(await limited(maximum));
    client.send(connectPacket({}));
    expect((await client.expect('connack')).properties?.maximumQoS).toBe(told);
  });

  test('grants each subscription, with at most that QoS [MQTT-3.2.2-10]', async () => {
    for (const maximum of [0, 1]) {
      const target = await limited(maximum);
      for (const protocolVersion of [4, 5] as const) {
        const client = await connect(target, `c${protocolVersion}`, { protocolVersion });
        for (const qos of [0, 1, 2] as const) {
          client.send({
            cmd: 'subscribe',
            messageId: qos + 1,
            subscriptions: [{ topic: `t/${qos}`, qos }],
          });
          expect((await client.expect('suback')).granted).toEqual([Math.min(qos, maximum)]);
        }
      }
    }
  });

  test('takes what is within it and ends the connection of a client that goes beyond with 0x9b [MQTT-3.2.2-11]', async () => {
    const target = await limited(1);
    const subscriber = await connect(target, 's');
    await subscriber.subscribe('#', 2);
    const client = await connect(target, 'a');
    expect(await publish(client, 't', 'one')).toBe(0);
    client.send(publishPacket('t', 'two', { qos: 2, messageId: 2 }));
    expect((await client.expect('disconnect')).reasonCode).toBe(0x9b);
    await client.expectClosed();
    const old = await connect(target, 'b', { protocolVersion: 4 });
    old.send(publishPacket('t', 'two', { qos: 2, messageId: 2 }));
    await old.expectClosed();
    expect(old.inbox).toEqual([]);
    const last = await connect(target, 'c');
    expect(await publish(last, 't', 'three')).toBe(0);
    const got = [await subscriber.expect('publish'), await subscriber.expect('publish')];
    expect(got.map(({ payload, qos }) => [payload.toString(), qos])).toEqual([
      ['one', 1],
      ['three', 1],
    ]);
  });

  test('QoS 3 stays a malformed packet [MQTT-3.3.1-4]', async () => {
    const client = await connect(await limited(0), 'a');
    client.send('36 06 0001 74 0001 00');
    expect((await client.expect('disconnect')).reasonCode).toBe(0x81);
  });

  test('refuses a will beyond it with 0x9b [MQTT-3.2.2-12]', async () => {
    const target = await limited(1);
    for (const qos of [0, 1, 2] as const) {
      const client = await open(target);
      client.send(connectPacket({ will: { topic: 't', payload: Buffer.from('x'), qos, retain: false } }));
      expect((await client.expect('connack')).reasonCode).toBe(qos === 2 ? 0x9b : 0);
      if (qos === 2) await client.expectClosed();
    }
  });
});

describe('a broker that gives no client ids', () => {
  const strict = (): Promise<TestGateway> => startGateway({ env: { SLUICE_ALLOW_EMPTY_CLIENT_ID: 'false' } });

  test('refuses a client without one with 0x85, of MQTT 3.1.1 with 2 [MQTT-3.1.3-8]', async () => {
    const target = await strict();
    const five = await open(target);
    five.send(connectPacket({ clientId: '' }));
    expect((await five.expect('connack')).reasonCode).toBe(0x85);
    await five.expectClosed();
    const four = await open(target, 4);
    four.send(connectPacket({ clientId: '', protocolVersion: 4 }));
    expect((await four.expect('connack')).returnCode).toBe(2);
    await four.expectClosed();
    expect(target.gateway.sessions.size).toBe(0);
  });

  test('lets in who has one; by default each client without one is given another [MQTT-3.1.3-6]', async () => {
    await connect(await strict(), 'a');
    const target = await startGateway();
    const ids = [];
    for (let i = 0; i < 2; i++) {
      const client = await open(target);
      client.send(connectPacket({ clientId: '' }));
      ids.push((await client.expect('connack')).properties?.assignedClientIdentifier);
    }
    expect(ids[0]).toMatch(/./);
    expect(ids[1]).not.toBe(ids[0]);
  });
});

test('filters and topics may be as deep as is allowed, up to 1024 levels [MQTT-4.7.3-3]', async () => {
  const target = await startGateway({ env: { SLUICE_TOPIC_LEVELS_MAX: '2000' } });
  const subscriber = await connect(target, 's');
  const deep = 'a/'.repeat(1023);
  await subscriber.subscribe(`${deep}b`, 1);
  await subscriber.subscribe(`${'+/'.repeat(1023)}c`, 1);
  const client = await connect(target, 'a');
  for (const topic of [`${deep}b`, `${deep}c`]) {
    expect(await publish(client, topic, 'x')).toBe(0);
    expect((await subscriber.expect('publish')).topic).toBe(topic);
  }
  subscriber.send({
    cmd: 'subscribe',
    messageId: 9,
    subscriptions: [{ topic: `${deep}a/b`, qos: 0 }],
  });
  expect((await subscriber.expect('suback')).granted).toEqual([0x8f]);
});
