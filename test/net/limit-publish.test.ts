/** Limits of what a client publishes: how fast, and on what topics. Quick tier. */
import { describe, expect, test } from 'vitest';

import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import { FIRST_ERROR_REASON_CODE } from '../../src/telemetry/metric-catalogue.js';
import type { RawClient } from '../harness/raw-client.js';
import { sleep, until } from '../harness/wait.js';
import {
  connect,
  connectPacket,
  expectNothing,
  open,
  publish,
  publishPacket,
  startGateway,
} from './test-gateway.js';

const slowedDown = slotOf('publishRateExceeded', 'slow-down');
const disconnected = slotOf('publishRateExceeded', 'disconnect');

/** A clock that goes when it is told to. */
class HandClock {
  ms = 0;

  nowMs(): number {
    return this.ms;
  }
}

/** Sends `count` publishes with QoS 1 at once. */
function flood(client: RawClient, count: number, payload = ''): void {
  for (let i = 1; i <= count; i++) client.send(publishPacket('t', payload, { messageId: i }));
}

async function pubacks(client: RawClient, first: number, count: number): Promise<void> {
  for (let i = first; i < first + count; i++) expect((await client.expect('puback')).messageId).toBe(i);
}

/** Several pauses of a connection that is slowed down pass, and nothing comes. */
async function expectSilence(client: RawClient): Promise<void> {
  await sleep(100);
  expect(client.inbox).toEqual([]);
}

describe('a client that publishes faster than it may', () => {
  test('is read more slowly: the burst at once, the rest in time, in order and complete [broker]', async () => {
    const clock = new HandClock();
    const target = await startGateway({ clock, env: { SLUICE_PUBLISH_RATE: '5' } });
    const client = await connect(target, 'a');
    const other = await connect(target, 'b');
    flood(client, 12);
    await pubacks(client, 1, 5);
    await expectSilence(client);
    expect(target.counters.total(slowedDown)).toBeGreaterThan(0);
    // Nobody else waits.
    await publish(other, 't', 'x');
    await expectNothing(other);
    clock.ms += 1001;
    await pubacks(client, 6, 5);
    await expectSilence(client);
    clock.ms += 1001;
    await pubacks(client, 11, 2);
    await expectNothing(client);
  });

  test('is closed with 0x96 when that is asked for, MQTT 3 without a word [broker]', async () => {
    const env = { SLUICE_PUBLISH_RATE: '5', SLUICE_PUBLISH_RATE_ACTION: 'disconnect' };
    const target = await startGateway({ clock: new HandClock(), env });
    const client = await connect(target, 'a');
    flood(client, 6);
    await pubacks(client, 1, 5);
    expect((await client.expect('disconnect')).reasonCode).toBe(0x96);
    await client.expectClosed();
    const old = await connect(target, 'b', { protocolVersion: 4 });
    flood(old, 6);
    await old.expectClosed();
    expect(old.inbox.map(({ cmd }) => cmd)).not.toContain('disconnect');
    expect(target.counters.total(disconnected)).toBe(2);
    expect(target.counters.total(slot.protocolErrors + 0x96 - FIRST_ERROR_REASON_CODE)).toBe(2);
  });

  test('a rate in bytes counts topics and payloads; a message above it is paid back later [broker]', async () => {
    const clock = new HandClock();
    const target = await startGateway({ clock, env: { SLUICE_PUBLISH_BYTES_RATE: '1000' } });
    const client = await connect(target, 'a');
    flood(client, 2, 'x'.repeat(2996));
    // 3000 bytes of 1000: two seconds are owed.
    await pubacks(client, 1, 1);
    clock.ms += 1990;
    await expectSilence(client);
    clock.ms += 20;
    await pubacks(client, 2, 1);
  });

  test('its other packets have no rate [broker]', async () => {
    const target = await startGateway({ clock: new HandClock(), env: { SLUICE_PUBLISH_RATE: '1' } });
    const client = await connect(target, 'a');
    for (let i = 0; i < 100; i++) client.send({ cmd: 'pingreq' });
    for (let i = 0; i < 100; i++) await client.expect('pingresp');
    await client.subscribe('t', 1);
    expect(target.counters.total(slowedDown)).toBe(0);
  });

  test('may go away while it is not read [broker]', async () => {
    const clock = new HandClock();
    const target = await startGateway({ clock, env: { SLUICE_PUBLISH_RATE: '1' } });
    const client = await connect(target, 'a');
    flood(client, 3);
    await client.expect('puback');
    client.socket.destroy();
    await until(() => {
      clock.ms += 1000;
      return target.gateway.connectionCount === 0;
    }, 'its end');
  });
});

describe('a topic longer than allowed', () => {
  const long = 't'.repeat(65);
  const env = { SLUICE_TOPIC_BYTES_MAX: '64' };
  const refused = slotOf('limitExceeded', 'topic-bytes');

  test('is refused with 0x90 in PUBACK and PUBREC, and dropped at QoS 0 [broker]', async () => {
    const target = await startGateway({ env });
    const client = await connect(target, 'a');
    await client.subscribe('#', 0);
    expect(await publish(client, long, 'x')).toBe(0x90);
    client.send(publishPacket(long, 'x', { qos: 2 }));
    expect((await client.expect('pubrec')).reasonCode).toBe(0x90);
    client.send(publishPacket(long, 'x', { qos: 0 }));
    await expectNothing(client);
    expect(target.counters.total(refused)).toBe(3);
    client.send(publishPacket(long.slice(1), 'x', { qos: 0 }));
    await client.expect('publish');
  });

  test('is acknowledged to an MQTT 3 client, which would send it again for ever, and dropped [MQTT-3.1.1 3.3.5-2]', async () => {
    const target = await startGateway({ env });
    const client = await connect(target, 'a', { protocolVersion: 4 });
    await client.subscribe('#', 0);
    client.send(publishPacket(long, 'x'));
    await client.expect('puback');
    await expectNothing(client);
    expect(target.counters.total(refused)).toBe(1);
  });

  test('is refused with 0x8F as a filter; its length is that of its bytes [broker]', async () => {
    const target = await startGateway({ env });
    const client = await connect(target, 'a');
    const topics = [long, '€'.repeat(22), '€'.repeat(21), long.slice(1)];
    client.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: topics.map((topic) => ({ topic, qos: 0 })),
    });
    expect((await client.expect('suback')).granted).toEqual([0x8f, 0x8f, 0, 0]);
    expect(target.counters.total(refused)).toBe(2);
  });

  test('is refused with 0x90 as that of a will [broker]', async () => {
    const target = await startGateway({ env });
    const client = await open(target);
    client.send(
      connectPacket({
        clientId: 'w',
        will: { topic: long, payload: Buffer.from('x'), qos: 0, retain: false },
      }),
    );
    expect((await client.expect('connack')).reasonCode).toBe(0x90);
    await client.expectClosed();
  });

  test('all filters of a client together have a bound, and give it back [broker]', async () => {
    const target = await startGateway({ env: { SLUICE_SUBSCRIPTION_BYTES: '64KB' } });
    const client = await connect(target, 'a');
    const [one, two] = [`1${'x'.repeat(39_999)}`, `2${'x'.repeat(39_999)}`];
    const granted = async (topic: string): Promise<unknown> => {
      client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 0 }] });
      return (await client.expect('suback')).granted[0];
    };
    expect(await granted(one)).toBe(0);
    expect(await granted(two)).toBe(0x97);
    expect(await granted(one)).toBe(0);
    expect(await granted('short')).toBe(0);
    client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: [one] });
    await client.expect('unsuback');
    expect(await granted(`$share/g/${two}`)).toBe(0);
    expect(await granted(`$q/${one}`)).toBe(0x97);
    client.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: [`$share/g/${two}`] });
    await client.expect('unsuback');
    expect(await granted(`$q/${one}`)).toBe(0);
    expect(target.counters.total(slotOf('limitExceeded', 'subscriptions'))).toBe(2);
  });

  test('other limits of subscriptions and sessions are counted by name [broker]', async () => {
    const target = await startGateway({
      env: { SLUICE_SUBSCRIPTIONS_MAX: '1', SLUICE_SESSIONS_MAX: '1', SLUICE_TOPIC_LEVELS_MAX: '2' },
    });
    const client = await connect(target, 'a');
    client.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: ['a', 'b', 'a/b/c'].map((topic) => ({ topic, qos: 0 })),
    });
    expect((await client.expect('suback')).granted).toEqual([0, 0x97, 0x8f]);
    expect(await publish(client, 'a/b/c', 'x')).toBe(0x90);
    await expect(connect(target, 'b')).rejects.toThrow('CONNACK 151');
    const counts = (['subscriptions', 'topic-levels', 'sessions'] as const).map((limit) =>
      target.counters.total(slotOf('limitExceeded', limit)),
    );
    expect(counts).toEqual([1, 2, 1]);
  });
});
