/** Shared subscriptions over the wire: groups, choice, what happens when a member goes. Quick tier. */
import type { IPublishPacket, ISubscribePacket } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';

import { slot } from '../../src/telemetry/counter-layout.js';
import type { RawClient } from '../harness/raw-client.js';
import {
  connect,
  connectPacket,
  expectNothing,
  open,
  publish,
  publishPacket,
  startGateway,
} from './test-gateway.js';

/** A SUBSCRIBE to one filter. */
function subscribePacket(
  topic: string,
  qos: 0 | 1 | 2 = 1,
  more: Partial<ISubscribePacket['subscriptions'][number]> = {},
): ISubscribePacket {
  return { cmd: 'subscribe', messageId: 9, subscriptions: [{ topic, qos, ...more }] };
}

/** The next message of a client, answered when it has QoS 1. */
async function take(client: RawClient): Promise<IPublishPacket> {
  const message = await client.expect('publish');
  if (message.qos === 1) client.send({ cmd: 'puback', messageId: message.messageId!, reasonCode: 0 });
  return message;
}

/** What has arrived at a client so far, as text. */
function arrived(client: RawClient): string[] {
  return client.inbox
    .splice(0)
    .flatMap((packet) => (packet.cmd === 'publish' ? [packet.payload.toString()] : []));
}

describe('a group', () => {
  test('groups of a durable member do not multiply what a publish asks of a ring [broker]', async () => {
    const target = await startGateway();
    const stay = { clean: false, properties: { sessionExpiryInterval: 600 } };
    const anna = await connect(target, 'anna', stay);
    for (let i = 0; i < 20; i++) await anna.subscribe(`$share/g${i}/a`);
    const publisher = await connect(target, 'publisher');
    const before = target.shards.publishCount;
    expect(await publish(publisher, 'a', 'x')).toBe(0);
    expect(target.shards.publishCount).toBe(before + 1);
    for (let i = 0; i < 20; i++) expect((await take(anna)).payload.toString()).toBe('x');
  });

  test('each message goes to one member in turn, and to every other subscriber as well [broker]', async () => {
    const target = await startGateway();
    const members = [await connect(target, 'm1'), await connect(target, 'm2'), await connect(target, 'm3')];
    for (const member of members) await member.subscribe('$share/g/jobs/+');
    const plain = await connect(target, 'plain');
    await plain.subscribe('jobs/#', 0);
    const publisher = await connect(target, 'publisher');
    for (let i = 0; i < 6; i++) expect(await publish(publisher, 'jobs/a', `${i}`)).toBe(0);
    for (const client of [...members, plain]) await settle(client);
    expect(members.map(arrived)).toEqual([
      ['0', '3'],
      ['1', '4'],
      ['2', '5'],
    ]);
    expect(arrived(plain)).toEqual(['0', '1', '2', '3', '4', '5']);
  });

  test('members of MQTT 3.1.1 and 5.0 share a group [broker]', async () => {
    const target = await startGateway();
    const old = await connect(target, 'old', { protocolVersion: 4 });
    const modern = await connect(target, 'modern');
    await old.subscribe('$share/g/jobs');
    await modern.subscribe('$share/g/jobs');
    const publisher = await connect(target, 'publisher');
    for (const payload of ['1', '2']) await publish(publisher, 'jobs', payload, { qos: 1 });
    expect((await take(old)).payload.toString()).toBe('1');
    expect((await take(modern)).payload.toString()).toBe('2');
  });

  test('other names and other filters are other groups, and each gets the message once [broker]', async () => {
    const target = await startGateway();
    const anna = await connect(target, 'anna');
    for (const text of ['$share/g/a/+', '$share/g/a/#', '$share/h/a/+']) await anna.subscribe(text);
    const bert = await connect(target, 'bert');
    await bert.subscribe('$share/g/a/+');
    const publisher = await connect(target, 'publisher');
    await publish(publisher, 'a/b', '1');
    await publish(publisher, 'a/b', '2');
    for (const client of [anna, bert]) await settle(client);
    expect(arrived(anna).sort()).toEqual(['1', '1', '1', '2', '2']);
    expect(arrived(bert)).toEqual(['2']);
  });

  test('each member gets the QoS and the Subscription Identifier of its own subscription [MQTT-4.8.2-3]', async () => {
    const target = await startGateway();
    const anna = await connect(target, 'anna');
    anna.send({ ...subscribePacket('$share/g/a', 1), properties: { subscriptionIdentifier: 5 } });
    expect((await anna.expect('suback')).granted).toEqual([1]);
    const bert = await connect(target, 'bert');
    await bert.subscribe('$share/g/a', 0);
    const publisher = await connect(target, 'publisher');
    for (const payload of ['1', '2']) {
      publisher.send(publishPacket('a', payload, { qos: 2, messageId: Number(payload) }));
      expect((await publisher.expect('pubrec')).reasonCode ?? 0).toBe(0);
    }
    const first = await take(anna);
    expect([first.qos, first.properties?.subscriptionIdentifier]).toEqual([1, 5]);
    const second = await take(bert);
    expect([second.qos, second.properties?.subscriptionIdentifier]).toEqual([0, undefined]);
  });

  test('a group alone is enough for a publish to have matched [broker]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'publisher');
    expect(await publish(publisher, 'a', '1')).toBe(0x10);
    const anna = await connect(target, 'anna');
    await anna.subscribe('$share/g/a');
    expect(await publish(publisher, 'a', '2')).toBe(0);
    expect((await take(anna)).payload.toString()).toBe('2');
  });

  test('a member publishes to its own group, and it may get that message itself [broker]', async () => {
    const target = await startGateway();
    const anna = await connect(target, 'anna');
    await anna.subscribe('$share/g/a');
    anna.send(publishPacket('a', '1', { qos: 0 }));
    expect((await take(anna)).payload.toString()).toBe('1');
  });

  test('a member that has left gets nothing more, and leaving twice says so [MQTT-3.10.4-1]', async () => {
    const target = await startGateway();
    const anna = await connect(target, 'anna');
    await anna.subscribe('$share/g/a');
    const unsubscribe = { cmd: 'unsubscribe', messageId: 7, unsubscriptions: ['$share/g/a'] } as const;
    anna.send({ ...unsubscribe, unsubscriptions: ['$share/h/a'] });
    expect((await anna.expect('unsuback')).granted).toEqual([0x11]);
    anna.send({ ...unsubscribe, unsubscriptions: ['$share/g/a'] });
    expect((await anna.expect('unsuback')).granted).toEqual([0]);
    anna.send({ ...unsubscribe, unsubscriptions: ['$share/g/a'] });
    expect((await anna.expect('unsuback')).granted).toEqual([0x11]);
    const publisher = await connect(target, 'publisher');
    expect(await publish(publisher, 'a', '1')).toBe(0x10);
    await expectNothing(anna);
  });

  test('retained messages are not sent to a new member, even with Retain Handling 0 [broker]', async () => {
    const target = await startGateway();
    const publisher = await connect(target, 'publisher');
    await publish(publisher, 'a', 'kept', { retain: true });
    const anna = await connect(target, 'anna');
    anna.send(subscribePacket('$share/g/a', 1, { rh: 0 }));
    await anna.expect('suback');
    await expectNothing(anna);
    await anna.subscribe('a');
    expect((await take(anna)).payload.toString()).toBe('kept');
  });

  test('CONNACK does not deny shared subscriptions [broker]', async () => {
    const target = await startGateway();
    const client = await open(target);
    client.send(
      connectPacket({
        clientId: 'a',
      }),
    );
    const connack = await client.expect('connack');
    expect(connack.properties?.sharedSubscriptionAvailable ?? true).toBe(true);
  });
});

describe('what is not allowed', () => {
  test('No Local on a shared subscription is a protocol error [MQTT-3.8.3-4]', async () => {
    const target = await startGateway();
    const anna = await connect(target, 'anna');
    anna.send(subscribePacket('$share/g/a', 1, { nl: true }));
    expect((await anna.expect('disconnect')).reasonCode).toBe(0x82);
    await anna.expectClosed();
  });

  test.each(['$share/', '$share//a', '$share/g', '$share/g/', '$share/+/a', '$share/#/a', '$share/g+/a'])(
    'a shared subscription needs a name without wildcards and a filter: %s [MQTT-4.8.2-1] [MQTT-4.8.2-2]',
    async (text) => {
      const target = await startGateway();
      const anna = await connect(target, 'anna');
      anna.send(subscribePacket(text));
      const answer = await anna.next();
      if (answer.cmd === 'disconnect') expect([0x81, 0x82, 0x8f]).toContain(answer.reasonCode);
      else expect(answer).toMatchObject({ cmd: 'suback', granted: [0x8f] });
      expect(target.router.shareGroupCount).toBe(0);
    },
  );

  test.each(['$share/g/$share/h/a', '$share/g/$queue/jobs', '$share/g/$q/jobs'])(
    'a group on a group or on a queue is refused: %s [broker]',
    async (text) => {
      const target = await startGateway();
      const anna = await connect(target, 'anna');
      anna.send(subscribePacket(text));
      expect((await anna.expect('suback')).granted).toEqual([0x8f]);
      expect(target.router.shareGroupCount).toBe(0);
    },
  );
});

describe('a member that goes', () => {
  test('what it has not acknowledged goes to another when its session ends with the connection [broker]', async () => {
    const target = await startGateway();
    const anna = await connect(target, 'anna');
    await anna.subscribe('$share/g/a');
    const publisher = await connect(target, 'publisher');
    for (const payload of ['1', '2', '3']) await publish(publisher, 'a', payload);
    const first = await anna.expect('publish');
    anna.send({ cmd: 'puback', messageId: first.messageId!, reasonCode: 0 });
    for (const payload of ['2', '3']) expect((await anna.expect('publish')).payload.toString()).toBe(payload);
    const bert = await connect(target, 'bert');
    await bert.subscribe('$share/g/a');
    anna.destroy();
    for (const payload of ['2', '3']) {
      const message = await take(bert);
      expect([message.payload.toString(), message.qos, message.dup]).toEqual([payload, 1, false]);
    }
    expect(target.counters.total(slot.sharedRedispatched)).toBe(2);
    expect(await publish(publisher, 'a', '4')).toBe(0);
    expect((await take(bert)).payload.toString()).toBe('4');
  });

  test('what waits for its window goes to another, too, in order behind what was sent [broker]', async () => {
    const target = await startGateway();
    const anna = await connect(target, 'anna', { properties: { receiveMaximum: 2 } });
    await anna.subscribe('$share/g/a');
    const publisher = await connect(target, 'publisher');
    for (const payload of ['1', '2', '3', '4']) await publish(publisher, 'a', payload);
    for (const payload of ['1', '2']) expect((await anna.expect('publish')).payload.toString()).toBe(payload);
    const bert = await connect(target, 'bert');
    await bert.subscribe('$share/g/a');
    anna.send({ cmd: 'disconnect', reasonCode: 0 });
    for (const payload of ['1', '2', '3', '4']) expect((await take(bert)).payload.toString()).toBe(payload);
  });

  test('a QoS 2 message that was sent goes to nobody else when the session ends [MQTT-4.8.2-5]', async () => {
    const target = await startGateway();
    const anna = await connect(target, 'anna');
    await anna.subscribe('$share/g/a', 2);
    const publisher = await connect(target, 'publisher');
    publisher.send(publishPacket('a', 'once', { qos: 2, messageId: 1 }));
    await publisher.expect('pubrec');
    expect((await anna.expect('publish')).qos).toBe(2);
    const bert = await connect(target, 'bert');
    await bert.subscribe('$share/g/a', 2);
    anna.destroy();
    await anna.expectClosed();
    // The end of anna's session is seen by the first message that bert gets.
    for (let i = 0; target.gateway.connectionCount > 2 && i < 1000; i++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await publish(publisher, 'a', 'later', { messageId: 2 });
    expect((await take(bert)).payload.toString()).toBe('later');
    await expectNothing(bert);
  });

  test('a QoS 2 message is completed with its member when it returns, and goes to nobody else [MQTT-4.8.2-4]', async () => {
    const target = await startGateway();
    const stay = { clean: false, properties: { sessionExpiryInterval: 600 } };
    const anna = await connect(target, 'anna', stay);
    await anna.subscribe('$share/g/a', 2);
    const publisher = await connect(target, 'publisher');
    publisher.send(publishPacket('a', 'once', { qos: 2, messageId: 1 }));
    await publisher.expect('pubrec');
    const first = await anna.expect('publish');
    expect(first.qos).toBe(2);
    anna.destroy();
    const bert = await connect(target, 'bert');
    await bert.subscribe('$share/g/a', 2);
    const again = await connect(target, 'anna', stay);
    const repeated = await again.expect('publish');
    expect([repeated.payload.toString(), repeated.dup, repeated.messageId]).toEqual([
      'once',
      true,
      first.messageId,
    ]);
    again.send({ cmd: 'pubrec', messageId: repeated.messageId!, reasonCode: 0 });
    expect((await again.expect('pubrel')).messageId).toBe(first.messageId);
    again.send({ cmd: 'pubcomp', messageId: first.messageId!, reasonCode: 0 });
    await expectNothing(bert);
    await expectNothing(again);
  });

  test.each([1, 2] as const)(
    'a QoS %i message that a member refuses by reason code goes to nobody else [MQTT-4.8.2-6]',
    async (qos) => {
      const target = await startGateway();
      const anna = await connect(target, 'anna');
      await anna.subscribe('$share/g/a', qos);
      const bert = await connect(target, 'bert');
      await bert.subscribe('$share/g/a', qos);
      const publisher = await connect(target, 'publisher');
      publisher.send(publishPacket('a', 'unwanted', { qos, messageId: 1 }));
      await publisher.expect(qos === 1 ? 'puback' : 'pubrec');
      const message = await anna.expect('publish');
      anna.send({ cmd: qos === 1 ? 'puback' : 'pubrec', messageId: message.messageId!, reasonCode: 0x83 });
      await expectNothing(anna);
      await expectNothing(bert);
      anna.destroy();
      await anna.expectClosed();
      await expectNothing(bert);
    },
  );

  test('after UNSUBSCRIBE the client answers what it was sent, and only what waited goes to another [MQTT-3.10.4-3]', async () => {
    const target = await startGateway();
    const anna = await connect(target, 'anna', { properties: { receiveMaximum: 1 } });
    await anna.subscribe('$share/g/a');
    const publisher = await connect(target, 'publisher');
    for (const payload of ['sent', 'waits']) await publish(publisher, 'a', payload);
    const sent = await anna.expect('publish');
    const bert = await connect(target, 'bert');
    await bert.subscribe('$share/g/a');
    anna.send({ cmd: 'unsubscribe', messageId: 7, unsubscriptions: ['$share/g/a'] });
    await anna.expect('unsuback');
    expect((await take(bert)).payload.toString()).toBe('waits');
    anna.send({ cmd: 'puback', messageId: sent.messageId!, reasonCode: 0 });
    await expectNothing(anna);
    await expectNothing(bert);
  });

  test('a member that is away with its session gets nothing while another is there, and everything when none is [broker]', async () => {
    const target = await startGateway();
    const stay = { clean: false, properties: { sessionExpiryInterval: 600 } };
    const anna = await connect(target, 'anna', stay);
    await anna.subscribe('$share/g/a');
    const bert = await connect(target, 'bert');
    await bert.subscribe('$share/g/a');
    anna.send({ cmd: 'disconnect', reasonCode: 0 });
    await anna.expectClosed();
    const publisher = await connect(target, 'publisher');
    for (const payload of ['1', '2', '3']) await publish(publisher, 'a', payload);
    for (const payload of ['1', '2', '3']) expect((await take(bert)).payload.toString()).toBe(payload);
    bert.send({ cmd: 'unsubscribe', messageId: 7, unsubscriptions: ['$share/g/a'] });
    await bert.expect('unsuback');
    for (const payload of ['4', '5']) expect(await publish(publisher, 'a', payload)).toBe(0);
    const again = await connect(target, 'anna', stay);
    for (const payload of ['4', '5']) expect((await take(again)).payload.toString()).toBe(payload);
  });
});

describe('a group as a queue', () => {
  test('the queue is asked for by its name, and what comes while nobody is there is kept [broker]', async () => {
    const asked: string[][] = [];
    const target = await startGateway({
      env: { SLUICE_SHARE_QUEUE: 'jobs/*' },
      hooks: { createShareQueue: (name, topicFilter) => void asked.push([name, topicFilter]) },
    });
    const anna = await connect(target, 'anna');
    await anna.subscribe('$share/jobs/a/#');
    await anna.subscribe('$share/other/a/#');
    expect(asked).toEqual([['$share/jobs/a/#', 'a/#']]);
    expect(target.router.shareGroupCount).toBe(1);
    target.addQueue('a/#', '$share/jobs/a/#');
    const publisher = await connect(target, 'publisher');
    await publish(publisher, 'a/1', 'both');
    const got = [await take(anna), await take(anna)];
    expect(got.map(({ payload }) => payload.toString())).toEqual(['both', 'both']);
    anna.send({ cmd: 'disconnect', reasonCode: 0 });
    await anna.expectClosed();
    expect(await publish(publisher, 'a/1', 'kept')).toBe(0);
    const bert = await connect(target, 'bert');
    await bert.subscribe('$share/jobs/a/#');
    expect((await take(bert)).payload.toString()).toBe('kept');
    expect(asked.length).toBe(1);
  });
});

/** Waits until all that is on its way to `client` has arrived: the answer to a ping comes after it. */
async function settle(client: RawClient): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  client.send({ cmd: 'pingreq' });
  for (;;) {
    const index = client.inbox.findIndex(({ cmd }) => cmd === 'pingresp');
    if (index >= 0) {
      client.inbox.splice(index, 1);
      return;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}
