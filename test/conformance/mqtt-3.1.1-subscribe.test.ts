import { describe, expect, test } from 'vitest';

import { connect, expectNothing, publish, publishPacket, startGateway } from '../net/test-gateway.js';
import { badStrings, field, frame, tap } from './wire.js';

const four = { protocolVersion: 4 } as const;

describe('SUBSCRIBE of MQTT 3.1.1', () => {
  test('SUBACK has the id and, in order, the granted QoS or 0x80 for each filter [MQTT-3.1.1 3.8.4-1] [MQTT-3.1.1 3.8.4-2] [MQTT-3.1.1 3.8.4-4] [MQTT-3.1.1 3.8.4-5] [MQTT-3.1.1 3.9.3-1] [MQTT-3.1.1 3.9.3-2] [MQTT-3.1.1 2.3.1-7]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a', four);
    const received = tap(client);
    const filters = [field('a'), '02', field('b#'), '01', field('c'), '00', field('d'), '01'];
    client.send(frame(0x82, 'fffe', ...filters));
    await client.expect('suback');
    expect(received().toString('hex')).toBe('9006fffe02800001');
    const publisher = await connect(target, 'p', four);
    for (const topic of ['a', 'c', 'd']) {
      await publish(publisher, topic, 'x');
      expect((await client.expect('publish')).topic).toBe(topic);
    }
  });

  test('delivery is at the lower of published and granted QoS [MQTT-3.1.1 3.8.4-6]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'p', four);
    for (const granted of [0, 1, 2] as const) {
      const client = await connect(target, 'a', four);
      await client.subscribe('t', granted);
      for (const qos of [0, 1, 2] as const) {
        publisher.send(publishPacket('t', 'x', { qos, messageId: 10 * granted + qos + 1 }));
        expect((await client.expect('publish')).qos).toBe(Math.min(granted, qos));
      }
    }
  });

  test('the same filter again replaces the subscription without a gap [MQTT-3.1.1 3.8.4-3]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a', four);
    const publisher = await connect(target, 'p', four);
    await client.subscribe('t', 1);
    await publish(publisher, 't', '1', { messageId: 1 });
    expect((await client.expect('publish')).qos).toBe(1);
    await client.subscribe('t', 0);
    await publish(publisher, 't', '2', { messageId: 2 });
    expect(await client.expect('publish')).toMatchObject({ qos: 0, payload: Buffer.from('2') });
    await expectNothing(client);
    expect(target.router.subscriptionCount).toBe(1);
  });

  test('overlapping subscriptions deliver at the highest QoS [MQTT-3.1.1 3.3.5-1]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a', four);
    await client.subscribe('t/#', 0);
    await client.subscribe('t/+', 2);
    await client.subscribe('t/1', 1);
    const publisher = await connect(target, 'p', four);
    publisher.send(publishPacket('t/1', 'x', { qos: 2 }));
    expect((await client.expect('publish')).qos).toBe(2);
  });

  test('the topic of every delivery matches the filter; "$" is not matched by a wildcard in the first level [MQTT-3.1.1 3.3.2-3] [MQTT-3.1.1 4.7.1-2] [MQTT-3.1.1 4.7.1-3] [MQTT-3.1.1 4.7.2-1] [MQTT-3.1.1 4.7.3-4]', async () => {
    const target = await startGateway();
    const topics = ['a', 'a/', 'a/b', 'a/b/c', '/a', 'A', 'a//b', '$a', '$a/b', 'ä', 'a\u0308'];
    const plain = topics.filter((topic) => !topic.startsWith('$'));
    const wanted: readonly (readonly [string, readonly string[]])[] = [
      ['#', plain],
      ['a/#', ['a', 'a/', 'a/b', 'a/b/c', 'a//b']],
      ['+', ['a', 'A', 'ä', 'a\u0308']],
      ['+/b', ['a/b']],
      ['/+', ['/a']],
      ['$a/#', ['$a', '$a/b']],
      ['$a/+', ['$a/b']],
      ['ä', ['ä']],
    ];
    const publisher = await connect(target, 'p', four);
    for (const [filter, expected] of wanted) {
      const client = await connect(target, 'a', four);
      await client.subscribe(filter, 0);
      for (const topic of topics) publisher.send(publishPacket(topic, 'x', { qos: 0 }));
      publisher.send({ cmd: 'pingreq' });
      await publisher.expect('pingresp');
      for (const topic of expected) expect((await client.expect('publish')).topic, filter).toBe(topic);
      await expectNothing(client);
    }
  });

  test('a filter of 65,535 bytes is allowed, as is such a topic [MQTT-3.1.1 4.7.3-3]', async () => {
    const target = await startGateway({ env: { SLUICE_TOPIC_BYTES_MAX: '65535' } });
    const client = await connect(target, 'a', four);
    const long = 'x'.repeat(65_535);
    client.send(frame(0x82, '0001', field(long), '00'));
    expect((await client.expect('suback')).granted).toEqual([0]);
    client.send(frame(0x30, field(long), '79'));
    expect((await client.expect('publish')).topic).toBe(long);
  });

  test('no filter, reserved bits, QoS 3 and bad strings end the connection [MQTT-3.1.1 3.8.3-1] [MQTT-3.1.1 3.8.3-3] [MQTT-3.1.1 3.8.3-4] [MQTT-3.1.1 3.10.3-1] [MQTT-3.1.1 3.10.3-2]', async () => {
    const target = await startGateway();
    const frames = [
      frame(0x82, '0001'),
      frame(0xa2, '0001'),
      frame(0x82, '0000', field('a'), '00'),
      frame(0x82, '0001', field('a')),
      frame(0x82, '0001', field('a'), '03'),
      frame(0x82, '0001', field('a'), '04'),
      frame(0x82, '0001', field('a'), '80'),
      ...badStrings.map(([, bytes]) => frame(0x82, '0001', field(bytes), '00')),
      ...badStrings.map(([, bytes]) => frame(0xa2, '0001', field(bytes))),
    ];
    for (const bytes of frames) {
      const client = await connect(target, 'a', four);
      client.send(bytes);
      await client.expectClosed();
      expect(client.inbox, bytes.toString('hex')).toEqual([]);
    }
    expect(target.router.subscriptionCount).toBe(0);
  });
});

describe('UNSUBSCRIBE of MQTT 3.1.1', () => {
  test('UNSUBACK has the id and comes also when nothing was deleted [MQTT-3.1.1 3.10.4-4] [MQTT-3.1.1 3.10.4-5] [MQTT-3.1.1 3.10.4-6] [MQTT-3.1.1 2.3.1-7]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a', four);
    for (const filter of ['a', 'b']) await client.subscribe(filter, 0);
    const received = tap(client);
    client.send(frame(0xa2, '1234', field('a'), field('x'), field('b')));
    await client.expect('unsuback');
    client.send(frame(0xa2, '4321', field('a')));
    await client.expect('unsuback');
    expect(received().toString('hex')).toBe('b0021234b0024321');
    expect(target.router.subscriptionCount).toBe(0);
  });

  test('only the equal filter ends; nothing new is added, what was begun is completed [MQTT-3.1.1 3.10.4-1] [MQTT-3.1.1 3.10.4-2] [MQTT-3.1.1 3.10.4-3]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a', four);
    await client.subscribe('t/+', 2);
    const publisher = await connect(target, 'p', four);
    client.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['t/#', 't/1', 'T/+'] });
    await client.expect('unsuback');
    publisher.send(publishPacket('t/1', 'x', { qos: 2 }));
    const { messageId = 0 } = await client.expect('publish');
    client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['t/+'] });
    await client.expect('unsuback');
    await publisher.expect('pubrec');
    publisher.send(publishPacket('t/1', 'y', { qos: 2, messageId: 2 }));
    await publisher.expect('pubrec');
    client.send({ cmd: 'pubrec', messageId });
    expect((await client.expect('pubrel')).messageId).toBe(messageId);
    client.send({ cmd: 'pubcomp', messageId });
    await expectNothing(client);
  });
});
