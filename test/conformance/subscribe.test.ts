import { describe, expect, test } from 'vitest';

import { until } from '../harness/wait.js';
import { connect, expectNothing, publish, publishPacket, startGateway } from '../net/test-gateway.js';
import { field, frame } from './wire.js';

describe('SUBSCRIBE of MQTT 5.0', () => {
  test('SUBACK grants each QoS or says why not, with the id of the request [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT-3.9.3-2]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    client.send({
      cmd: 'subscribe',
      messageId: 0xfffe,
      subscriptions: [
        { topic: 'a', qos: 2 },
        { topic: 'b#', qos: 1 },
        { topic: 'c', qos: 0 },
        { topic: '+d', qos: 0 },
        { topic: 'e', qos: 1 },
      ],
    });
    const suback = await client.expect('suback');
    expect(suback.messageId).toBe(0xfffe);
    expect(suback.granted).toEqual([2, 0x8f, 0, 0x8f, 1]);
  });

  test('many filters in one SUBSCRIBE are as many subscriptions [MQTT-3.8.4-5]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    const topics = Array.from({ length: 50 }, (_, i) => `t/${i}`);
    client.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: topics.map((topic) => ({ topic, qos: 1 as const })),
    });
    expect((await client.expect('suback')).granted).toEqual(topics.map(() => 1));
    const publisher = await connect(target, 'p');
    for (const topic of topics) {
      await publish(publisher, topic, topic);
      const message = await client.expect('publish');
      expect([message.topic, message.payload.toString()]).toEqual([topic, topic]);
      client.send({ cmd: 'puback', messageId: message.messageId ?? 0 });
    }
  });

  test('the topic of every delivery matches the filter [MQTT-3.3.2-3] [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-4]', async () => {
    const target = await startGateway();
    const topics = ['a', 'a/', 'a/b', 'a/b/c', '/a', '/', 'A', 'a//b', 'b', 'ä', 'a\u0308', 'a b'];
    const wanted: readonly (readonly [string, readonly string[]])[] = [
      ['#', topics],
      ['a', ['a']],
      ['a/#', ['a', 'a/', 'a/b', 'a/b/c', 'a//b']],
      ['a/+', ['a/', 'a/b']],
      ['+', ['a', 'A', 'b', 'ä', 'a\u0308', 'a b']],
      ['+/+', ['a/', 'a/b', '/a', '/']],
      ['/+', ['/a', '/']],
      ['/#', ['/a', '/']],
      ['a/+/b', ['a//b']],
      ['+/b/#', ['a/b', 'a/b/c']],
      ['ä', ['ä']],
      ['a\u0308', ['a\u0308']],
    ];
    const publisher = await connect(target, 'p');
    for (const [filter, expected] of wanted) {
      const client = await connect(target, 'a');
      await client.subscribe(filter, 0);
      for (const topic of topics) publisher.send(publishPacket(topic, 'x', { qos: 0 }));
      publisher.send({ cmd: 'pingreq' });
      await publisher.expect('pingresp');
      await expectNothingBut(client);
      expect(
        client.inbox.map((packet) => (packet.cmd === 'publish' ? packet.topic : packet.cmd)),
        filter,
      ).toEqual(expected);
      client.destroy();
    }
  });

  test('overlapping subscriptions bring the identifiers of all that match [MQTT-3.3.4-3] [MQTT-3.3.4-4] [MQTT-3.3.4-2]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    for (const [topic, qos, subscriptionIdentifier] of [
      ['t/#', 0, 7],
      ['t/1', 2, 268_435_455],
      ['+/1', 1, 128],
      ['u', 2, 9],
    ] as const) {
      client.send({
        cmd: 'subscribe',
        messageId: 1,
        subscriptions: [{ topic, qos }],
        properties: { subscriptionIdentifier },
      });
      await client.expect('suback');
    }
    const publisher = await connect(target, 'p');
    publisher.send(publishPacket('t/1', 'x', { qos: 2 }));
    const { qos, properties } = await client.expect('publish');
    const identifiers = [properties?.subscriptionIdentifier ?? []].flat();
    expect(qos).toBe(2);
    expect(identifiers.toSorted((a, b) => a - b)).toEqual([7, 128, 268_435_455]);
    await expectNothing(client);
  });

  test('a filter of 65,535 bytes is allowed, as is such a topic [MQTT-4.7.3-3]', async () => {
    const target = await startGateway({ env: { SLUICE_TOPIC_BYTES_MAX: '65535' } });
    const client = await connect(target, 'a');
    const long = 'x'.repeat(65_535);
    client.send(frame(0x82, '0001 00', field(long), '00'));
    expect((await client.expect('suback')).granted).toEqual([0]);
    client.send(publishPacket(long, 'y', { qos: 0 }));
    expect((await client.expect('publish')).topic).toBe(long);
  });

  test('an empty filter, one with U+0000 and one that is no UTF-8 are refused [MQTT-4.7.3-1] [MQTT-4.7.3-2] [MQTT-3.8.3-1]', async () => {
    const target = await startGateway();
    for (const filter of [Buffer.alloc(0), Buffer.from('a\0b'), Buffer.from([0xff])]) {
      const client = await connect(target, 'a');
      client.send(frame(0x82, '0001 00', field(filter), '00'));
      const answer = await client.next();
      if (answer.cmd === 'suback') expect(answer.granted).toEqual([0x8f]);
      else expect(answer).toMatchObject({ cmd: 'disconnect', reasonCode: 0x81 });
      expect(target.router.subscriptionCount).toBe(0);
      client.destroy();
      await until(() => target.gateway.connectionCount === 0, 'the end of the connection');
    }
  });
});

describe('UNSUBSCRIBE of MQTT 5.0', () => {
  test('UNSUBACK has the id and one code per filter, also when nothing was deleted [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] [MQTT-3.11.3-1] [MQTT-3.11.3-2]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    for (const filter of ['a', 'b/+']) await client.subscribe(filter, 0);
    client.send({ cmd: 'unsubscribe', messageId: 0x1234, unsubscriptions: ['x', 'a', 'b/+', 'a'] });
    const unsuback = await client.expect('unsuback');
    expect([unsuback.messageId, unsuback.granted]).toEqual([0x1234, [0x11, 0, 0, 0x11]]);
    client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['a'] });
    expect((await client.expect('unsuback')).messageId).toBe(2);
  });

  test('only the equal filter ends, and no new message is added for it [MQTT-3.10.4-1] [MQTT-3.10.4-2]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    for (const filter of ['t/1', 't/+']) await client.subscribe(filter, 0);
    const publisher = await connect(target, 'p');
    for (const [filter, arrives] of [
      ['t/#', true],
      ['T/1', true],
      ['t/1', true],
      ['t/+', false],
    ] as const) {
      client.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: [filter] });
      await client.expect('unsuback');
      await publish(publisher, 't/1', filter);
      if (arrives) expect((await client.expect('publish')).payload.toString()).toBe(filter);
      else await expectNothing(client);
    }
  });
});

/** Waits for everything that was on its way and leaves it in the inbox. */
async function expectNothingBut(client: Awaited<ReturnType<typeof connect>>): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  client.send({ cmd: 'pingreq' });
  await until(() => client.inbox.at(-1)?.cmd === 'pingresp', 'the answer to a ping');
  client.inbox.pop();
}
