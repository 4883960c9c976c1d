import type { IConnectPacket } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';

import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import type { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/wait.js';
import {
  connect,
  connectPacket,
  expectNothing,
  open,
  publish,
  publishPacket,
  startGateway,
  type TestGateway,
} from './test-gateway.js';

const lasting = { clean: false, properties: { sessionExpiryInterval: 1000 } };

async function resume(
  target: TestGateway,
  clientId: string,
  options: Partial<IConnectPacket> = {},
): Promise<[RawClient, boolean]> {
  const client = await open(target, 5);
  client.send({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    keepalive: 0,
    clientId,
    ...lasting,
    ...options,
  });
  const connack = await client.expect('connack');
  expect(connack.reasonCode).toBe(0);
  return [client, connack.sessionPresent];
}

async function leave(target: TestGateway, client: RawClient): Promise<void> {
  const before = target.gateway.connectionCount;
  client.send({ cmd: 'disconnect', reasonCode: 0 });
  await client.expectClosed();
  await until(() => target.gateway.connectionCount < before, 'the end of the connection');
}

describe('takeover', () => {
  test('a second connection with the same client id ends the first with 0x8E [MQTT-3.1.4-3]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a');
    const second = await connect(target, 'a');
    expect((await first.expect('disconnect')).reasonCode).toBe(0x8e);
    await first.expectClosed();
    await expectNothing(second);
    expect(target.counters.total(slot.sessionTakeovers)).toBe(1);
    expect(target.gateway.sessions.size).toBe(1);
  });

  test('before MQTT 5 the first connection is closed without a packet [MQTT-3.1.4-3]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', { protocolVersion: 4 });
    await connect(target, 'a', { protocolVersion: 4 });
    await first.expectClosed();
    expect(first.inbox).toEqual([]);
  });

  test('the session goes over to the new connection [MQTT-3.1.2-5]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', lasting);
    await first.subscribe('t', 1);
    const [second, sessionPresent] = await resume(target, 'a');
    expect(sessionPresent).toBe(true);
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'x');
    expect((await second.expect('publish')).payload.toString()).toBe('x');
  });
});

describe('session state', () => {
  test('Clean Start discards an existing session and says so [MQTT-3.1.2-4] [MQTT-3.2.2-2]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', lasting);
    await first.subscribe('t', 1);
    await leave(target, first);
    const [second, sessionPresent] = await resume(target, 'a', { clean: true });
    expect(sessionPresent).toBe(false);
    const publisher = await connect(target, 'p');
    expect(await publish(publisher, 't', 'x')).toBe(0x10);
    await expectNothing(second);
  });

  test('a session that lasts collects QoS 1 and 2 in order while its client is away, QoS 0 not [MQTT-3.1.2-5] [MQTT-3.2.2-3]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', lasting);
    await first.subscribe('t', 2);
    await leave(target, first);
    const publisher = await connect(target, 'p');
    publisher.send(publishPacket('t', '0', { qos: 0 }));
    await publish(publisher, 't', '1');
    publisher.send(publishPacket('t', '2', { qos: 2, messageId: 2 }));
    await publisher.expect('pubrec');
    const [second, sessionPresent] = await resume(target, 'a');
    expect(sessionPresent).toBe(true);
    const messages = [await second.expect('publish'), await second.expect('publish')];
    expect(messages.map(({ payload, qos, dup }) => [payload.toString(), qos, dup])).toEqual([
      ['1', 1, false],
      ['2', 2, false],
    ]);
  });

  test('a session without expiry ends with its connection [MQTT-3.1.2-23]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a');
    await first.subscribe('t', 1);
    await leave(target, first);
    expect(target.gateway.sessions.size).toBe(0);
    expect(target.router.subscriptionCount).toBe(0);
    expect((await resume(target, 'a'))[1]).toBe(false);
  });

  test('an MQTT 3.1.1 session without Clean Session stays [MQTT-3.1.2-5]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', { protocolVersion: 4, clean: false });
    await first.subscribe('t', 1);
    await leave(target, first);
    const again = await open(target, 4);
    again.send(
      connectPacket({
        protocolVersion: 4,
        clientId: 'a',
        clean: false,
      }),
    );
    expect((await again.expect('connack')).sessionPresent).toBe(true);
  });

  test('a session ends when its expiry interval has passed, not before [MQTT-3.1.2-23]', async () => {
    let nowMs = 1000;
    const target = await startGateway({ clock: { nowMs: () => nowMs } });
    const first = await connect(target, 'a', { clean: false, properties: { sessionExpiryInterval: 10 } });
    await leave(target, first);
    nowMs += 9_900;
    target.gateway.sessions.tick(nowMs);
    expect(target.gateway.sessions.size).toBe(1);
    nowMs += 1_200;
    target.gateway.sessions.tick(nowMs);
    expect(target.gateway.sessions.size).toBe(0);
    expect(target.counters.total(slot.sessions)).toBe(0);
  });

  test('a session that was resumed in time does not end [MQTT-3.1.2-23]', async () => {
    let nowMs = 1000;
    const target = await startGateway({ clock: { nowMs: () => nowMs } });
    const first = await connect(target, 'a', { clean: false, properties: { sessionExpiryInterval: 10 } });
    await leave(target, first);
    await resume(target, 'a', { properties: { sessionExpiryInterval: 10 } });
    nowMs += 60_000;
    target.gateway.sessions.tick(nowMs);
    expect(target.gateway.sessions.size).toBe(1);
  });

  test('DISCONNECT may change the expiry interval, but not from 0 [broker]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', lasting);
    first.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 0 } });
    await first.expectClosed();
    await until(() => target.gateway.sessions.size === 0, 'the end of the session');
    const second = await connect(target, 'b');
    second.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 5 } });
    expect((await second.expect('disconnect')).reasonCode).toBe(0x82);
  });

  test('after DISCONNECT the connection is closed and nothing behind it is processed [broker]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's');
    await subscriber.subscribe('t');
    const client = await connect(target, 'a');
    client.send('e0 00 30 04 0001 74 00');
    await client.expectClosed();
    await expectNothing(subscriber);
  });

  test('past its bound a session drops its oldest messages and counts them [broker]', async () => {
    const target = await startGateway({ env: { SLUICE_SESSION_QUEUE_MAX: '2' } });
    const first = await connect(target, 'a', lasting);
    await first.subscribe('t', 1);
    await leave(target, first);
    const publisher = await connect(target, 'p');
    for (const payload of ['1', '2', '3']) await publish(publisher, 't', payload);
    const [second] = await resume(target, 'a');
    expect((await second.expect('publish')).payload.toString()).toBe('2');
    expect((await second.expect('publish')).payload.toString()).toBe('3');
    expect(target.counters.total(slotOf('messagesDropped', 'session-queue-full'))).toBe(1);
  });

  test('a message that waits loses what it waited from its expiry, and is not delivered after it [MQTT-3.3.2-5] [MQTT-3.3.2-6]', async () => {
    let nowMs = 1000;
    const target = await startGateway({ clock: { nowMs: () => nowMs } });
    const first = await connect(target, 'a', lasting);
    await first.subscribe('t', 1);
    await leave(target, first);
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'short', { properties: { messageExpiryInterval: 5 } });
    await publish(publisher, 't', 'long', { properties: { messageExpiryInterval: 60 } });
    nowMs += 10_000;
    const [second] = await resume(target, 'a');
    const message = await second.expect('publish');
    expect([message.payload.toString(), message.properties?.messageExpiryInterval]).toEqual(['long', 50]);
    await expectNothing(second);
    expect(target.counters.total(slotOf('messagesDropped', 'expired'))).toBe(1);
  });
});

describe('unanswered messages after a resume', () => {
  test('PUBLISH is sent again with DUP and the same id, in order, then what waited [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-4.6.0-1]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', {
      ...lasting,
      properties: { sessionExpiryInterval: 1000, receiveMaximum: 3 },
    });
    await first.subscribe('t', 2);
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', '1');
    publisher.send(publishPacket('t', '2', { qos: 2, messageId: 2 }));
    await publisher.expect('pubrec');
    await publish(publisher, 't', '3');
    await publish(publisher, 't', '4');
    const ids = [
      await first.expect('publish'),
      await first.expect('publish'),
      await first.expect('publish'),
    ].map(({ messageId }) => messageId);
    first.destroy();
    await until(() => target.gateway.clientCount === 1, 'the loss of the connection');
    const [second] = await resume(target, 'a');
    const again = [];
    for (let i = 0; i < 4; i++) again.push(await second.expect('publish'));
    expect(again.map(({ payload, dup, qos }) => [payload.toString(), dup, qos])).toEqual([
      ['1', true, 1],
      ['2', true, 2],
      ['3', true, 1],
      ['4', false, 1],
    ]);
    expect(again.slice(0, 3).map(({ messageId }) => messageId)).toEqual(ids);
  });

  test('a smaller Receive Maximum of the new connection holds for what is sent again [MQTT-3.3.4-9]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', lasting);
    await first.subscribe('t', 1);
    const publisher = await connect(target, 'p');
    for (const payload of ['1', '2', '3']) await publish(publisher, 't', payload);
    first.destroy();
    await until(() => target.gateway.clientCount === 1, 'the loss of the connection');
    const [second] = await resume(target, 'a', {
      properties: { sessionExpiryInterval: 1000, receiveMaximum: 1 },
    });
    for (const payload of ['1', '2', '3']) {
      const message = await second.expect('publish');
      expect(message.payload.toString()).toBe(payload);
      await expectNothing(second);
      second.send({ cmd: 'puback', messageId: message.messageId ?? 0 });
    }
  });

  test('after PUBREC only PUBREL is sent again [MQTT-4.3.3-6] [MQTT-4.4.0-1]', async () => {
    const target = await startGateway();
    const first = await connect(target, 'a', lasting);
    await first.subscribe('t', 2);
    const publisher = await connect(target, 'p');
    publisher.send(publishPacket('t', 'x', { qos: 2, messageId: 2 }));
    const { messageId = 0 } = await first.expect('publish');
    first.send({ cmd: 'pubrec', messageId });
    await first.expect('pubrel');
    first.destroy();
    await until(() => target.gateway.clientCount === 1, 'the loss of the connection');
    const [second] = await resume(target, 'a');
    expect((await second.expect('pubrel')).messageId).toBe(messageId);
    second.send({ cmd: 'pubcomp', messageId });
    await expectNothing(second);
    expect(target.gateway.sessions.get('a')?.outbound.sentCount).toBe(0);
  });

  test('a QoS 2 id received before the loss is not published again after it [MQTT-4.3.3-10]', async () => {
    const target = await startGateway();
    const subscriber = await connect(target, 's');
    await subscriber.subscribe('t', 0);
    const first = await connect(target, 'a', lasting);
    first.send(publishPacket('t', 'x', { qos: 2, messageId: 6 }));
    await first.expect('pubrec');
    first.destroy();
    await until(() => target.gateway.clientCount === 1, 'the loss of the connection');
    const [second] = await resume(target, 'a');
    second.send(publishPacket('t', 'x', { qos: 2, messageId: 6, dup: true }));
    await second.expect('pubrec');
    second.send({ cmd: 'pubrel', messageId: 6 });
    expect((await second.expect('pubcomp')).reasonCode).toBe(0);
    await subscriber.expect('publish');
    await expectNothing(subscriber);
  });

  test('a QoS 2 publish that settles after its connection was lost is known to the next one [MQTT-4.3.3-10]', async () => {
    const target = await startGateway();
    target.addQueue('q');
    target.shards.mode = 'by-hand';
    const first = await connect(target, 'a', lasting);
    first.send(publishPacket('q', 'x', { qos: 2, messageId: 6 }));
    await expectNothing(first);
    first.destroy();
    await until(() => target.gateway.clientCount === 0, 'the loss of the connection');
    const [second] = await resume(target, 'a');
    second.send(publishPacket('q', 'x', { qos: 2, messageId: 6, dup: true }));
    await expectNothing(second);
    expect(target.shards.publishCount).toBe(1);
    target.shards.settle();
    expect((await second.expect('pubrec')).messageId).toBe(6);
    second.send({ cmd: 'pubrel', messageId: 6 });
    // PUBCOMP waits until the log has forgotten the packet id.
    await expectNothing(second);
    target.shards.mode = 'at-once';
    target.shards.settle();
    await second.expect('pubcomp');
    const ofClients = [...target.shards.openPublishers].filter(
      ({ isOpen, publisher }) => isOpen && publisher.context.clientId !== '',
    );
    expect(ofClients).toEqual([]);
  });
});

describe('drain', () => {
  test('publishes under way settle, then MQTT 5 clients are told 0x8B and all connections end [broker]', async () => {
    const target = await startGateway();
    target.addQueue('q');
    target.shards.mode = 'by-hand';
    const five = await connect(target, 'five');
    const four = await connect(target, 'four', { protocolVersion: 4 });
    five.send(publishPacket('q', 'x', { messageId: 3 }));
    await expectNothing(five);
    const drained = target.gateway.drain();
    target.shards.settle();
    expect((await five.expect('puback')).messageId).toBe(3);
    expect((await five.expect('disconnect')).reasonCode).toBe(0x8b);
    await four.expectClosed();
    five.destroy();
    await drained;
    expect(target.gateway.connectionCount).toBe(0);
    await expect(open(target)).rejects.toThrow('ECONNREFUSED');
  });
});
