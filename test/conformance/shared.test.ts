import { describe, expect, test } from 'vitest';

import { until } from '../harness/wait.js';
import { connect, expectNothing, publish, publishPacket, startGateway } from '../net/test-gateway.js';

const lasting = { clean: false, properties: { sessionExpiryInterval: 1000 } };

describe('shared subscriptions of MQTT 5.0', () => {
  test('a filter without name, or with a wildcard in it, is refused; nothing is subscribed [MQTT-4.8.2-1] [MQTT-4.8.2-2]', async () => {
    const target = await startGateway();
    for (const topic of ['$share//t', '$share/+/t', '$share/a#/t', '$share/a', '$share/a/', '$share/']) {
      const client = await connect(target, 'a');
      client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 0 }] });
      const answer = await client.next();
      if (answer.cmd === 'suback') expect(answer.granted, topic).toEqual([0x8f]);
      else expect(answer, topic).toMatchObject({ cmd: 'disconnect', reasonCode: 0x82 });
      client.destroy();
    }
  });

  test('No Local on a shared subscription is a protocol error [MQTT-3.8.3-4]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    client.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: [{ topic: '$share/g/t', qos: 0, nl: true }],
    });
    expect((await client.expect('disconnect')).reasonCode).toBe(0x82);
    await client.expectClosed();
  });

  test('each message goes to one member, at the QoS that this member was granted [MQTT-4.8.2-3]', async () => {
    const target = await startGateway();
    const members = [];
    for (const qos of [0, 1, 2] as const) {
      const member = await connect(target, `m${qos}`);
      await member.subscribe('$share/g/t/#', qos);
      members.push({ member, qos });
    }
    const publisher = await connect(target, 'p');
    for (let i = 1; i <= 9; i++) {
      publisher.send(publishPacket('t/1', String(i), { qos: 2, messageId: i }));
      await publisher.expect('pubrec');
    }
    const seen: string[] = [];
    for (const { member, qos } of members) {
      member.send({ cmd: 'pingreq' });
      for (let packet = await member.next(); packet.cmd !== 'pingresp'; packet = await member.next()) {
        expect(packet).toMatchObject({ cmd: 'publish', topic: 't/1', qos });
        if (packet.cmd === 'publish') seen.push(packet.payload.toString());
      }
    }
    expect(seen.toSorted()).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9']);
  });

  test('a QoS 2 message that was begun with a member is completed with it when it returns [MQTT-4.8.2-4]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', lasting);
    await first.subscribe('$share/g/t', 2);
    const publisher = await connect(target, 'p');
    publisher.send(publishPacket('t', 'x', { qos: 2 }));
    await publisher.expect('pubrec');
    const { messageId = 0 } = await first.expect('publish');
    const other = await connect(target, 'b');
    await other.subscribe('$share/g/t', 2);
    first.destroy();
    await until(() => target.gateway.clientCount === 2, 'the loss of the connection');
    await expectNothing(other);
    const again = await connect(target, 'a', lasting);
    expect(await again.expect('publish')).toMatchObject({ messageId, dup: true, qos: 2 });
    again.send({ cmd: 'pubrec', messageId });
    expect((await again.expect('pubrel')).messageId).toBe(messageId);
    await expectNothing(other);
  });

  test('when the session of that member ends first, the message goes to nobody else [MQTT-4.8.2-5]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a');
    await first.subscribe('$share/g/t', 2);
    const publisher = await connect(target, 'p');
    publisher.send(publishPacket('t', 'x', { qos: 2 }));
    await publisher.expect('pubrec');
    await first.expect('publish');
    const other = await connect(target, 'b');
    await other.subscribe('$share/g/t', 2);
    first.destroy();
    await until(() => target.gateway.sessions.get('a') === undefined, 'the end of the session');
    await expectNothing(other);
  });

  test('a message that a member refuses with an error goes to no other member [MQTT-4.8.2-6]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a');
    await first.subscribe('$share/g/t', 2);
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', '1');
    publisher.send(publishPacket('t', '2', { qos: 2, messageId: 2 }));
    await publisher.expect('pubrec');
    const [one, two] = [await first.expect('publish'), await first.expect('publish')];
    const other = await connect(target, 'b');
    await other.subscribe('$share/g/t', 2);
    first.send({ cmd: 'puback', messageId: one.messageId ?? 0, reasonCode: 0x80 });
    first.send({ cmd: 'pubrec', messageId: two.messageId ?? 0, reasonCode: 0x80 });
    await expectNothing(first);
    await expectNothing(other);
  });

  test('retained messages are not sent for a shared subscription [broker]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'x', { retain: true });
    const member = await connect(target, 'a');
    await member.subscribe('$share/g/t', 1);
    await expectNothing(member);
  });
});
