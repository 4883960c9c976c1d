import type { IConnectPacket } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';

import type { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/wait.js';
import {
  connect,
  connectPacket,
  expectNothing,
  open,
  startGateway,
  type TestGateway,
} from './test-gateway.js';

type Will = NonNullable<IConnectPacket['will']>;

function will(options: Partial<Will> = {}): { will: Will } {
  return { will: { topic: 'will/a', payload: Buffer.from('gone'), qos: 1, retain: false, ...options } };
}

/** A connection without Clean Start whose session lives on, with a will that waits. */
function lasting(willDelayInterval: number, sessionExpiryInterval = 1000): Partial<IConnectPacket> {
  return {
    clean: false,
    properties: { sessionExpiryInterval },
    ...will({ properties: { willDelayInterval } }),
  };
}

async function listener(target: TestGateway, filter = 'will/#'): Promise<RawClient> {
  const client = await connect(target, 'listener');
  await client.subscribe(filter, 2);
  return client;
}

/** The next PUBLISH, answered if it has to be. */
async function received(client: RawClient): Promise<{ topic: string; payload: string; retain: boolean }> {
  const { topic, payload, qos, messageId = 0, retain } = await client.expect('publish');
  if (qos === 1) client.send({ cmd: 'puback', messageId });
  return { topic, payload: payload.toString(), retain };
}

async function ended(target: TestGateway, count: number): Promise<void> {
  await until(() => target.gateway.connectionCount === count, 'the end of a connection');
}

describe('a will over the wire', () => {
  test.each([3, 4, 5] as const)(
    'the loss of a connection of version %i publishes it [MQTT-3.1.2-8]',
    async (protocolVersion) => {
      const target = await startGateway();
      const watcher = await listener(target);
      const protocolId = protocolVersion === 3 ? 'MQIsdp' : 'MQTT';
      const client = await connect(target, 'a', { protocolId, protocolVersion, ...will() });
      client.destroy();
      expect(await received(watcher)).toEqual({ topic: 'will/a', payload: 'gone', retain: false });
    },
  );

  test('DISCONNECT discards it [MQTT-3.14.4-3] [MQTT-3.1.2-10]', async () => {
    const target = await startGateway();
    const watcher = await listener(target);
    for (const protocolVersion of [4, 5] as const) {
      const client = await connect(target, 'a', { protocolVersion, ...will() });
      client.send({ cmd: 'disconnect', reasonCode: 0 });
      await client.expectClosed();
    }
    await ended(target, 1);
    await expectNothing(watcher);
  });

  test('DISCONNECT with reason code 0x04 publishes it [MQTT-3.1.2-8]', async () => {
    const target = await startGateway();
    const watcher = await listener(target);
    const client = await connect(target, 'a', will());
    client.send({ cmd: 'disconnect', reasonCode: 0x04 });
    expect((await received(watcher)).payload).toBe('gone');
  });

  test('a protocol error of the client publishes it [MQTT-3.1.2-8]', async () => {
    const target = await startGateway();
    const watcher = await listener(target);
    const client = await connect(target, 'a', will());
    client.send('30 03 00 01 23');
    expect((await received(watcher)).payload).toBe('gone');
    await client.expect('disconnect');
  });

  test('a keep alive that ran out publishes it [MQTT-3.1.2-22]', async () => {
    let atMs = 0;
    const target = await startGateway({ clock: { nowMs: () => atMs } });
    const watcher = await listener(target);
    await connect(target, 'a', { keepalive: 10, ...will() });
    atMs = 60_000;
    expect((await received(watcher)).payload).toBe('gone');
  });

  test('all will properties reach the subscriber [MQTT-3.1.3-10]', async () => {
    const target = await startGateway();
    const watcher = await listener(target);
    const properties = {
      payloadFormatIndicator: true,
      messageExpiryInterval: 60,
      contentType: 'text',
      responseTopic: 'r',
      correlationData: Buffer.from([1, 2]),
      userProperties: { a: ['1', '2'], b: '3' },
    };
    const client = await connect(target, 'a', will({ qos: 2, properties }));
    client.destroy();
    const publish = await watcher.expect('publish');
    expect(publish.qos).toBe(2);
    expect({ ...publish.properties }).toMatchObject({
      ...properties,
      userProperties: expect.objectContaining(properties.userProperties) as unknown,
    });
    expect(publish.properties).not.toHaveProperty('willDelayInterval');
  });

  test('Will Retain makes it a retained message [MQTT-3.1.2-15]', async () => {
    const target = await startGateway();
    const watcher = await listener(target);
    const client = await connect(target, 'a', will({ retain: true }));
    client.destroy();
    expect((await received(watcher)).retain).toBe(false);
    const late = await connect(target, 'late');
    await late.subscribe('will/a', 1);
    expect(await received(late)).toEqual({ topic: 'will/a', payload: 'gone', retain: true });
  });

  test('without Will Retain it is not retained [MQTT-3.1.2-14]', async () => {
    const target = await startGateway();
    const watcher = await listener(target);
    const client = await connect(target, 'a', will());
    client.destroy();
    await received(watcher);
    const late = await connect(target, 'late');
    await late.subscribe('will/a', 1);
    await expectNothing(late);
  });

  test('a queue stores it in the name of its owner [broker]', async () => {
    const target = await startGateway();
    const { id } = target.addQueue('will/#');
    const client = await connect(target, 'owner', will());
    client.destroy();
    await until(() => target.shards.queue(id).length === 1, 'the will in the queue');
    expect(target.shards.queue(id)[0]).toMatchObject({ topic: 'will/a', from: 'owner' });
  });

  test.each([
    ['$SYS/broker/x', 0x87],
    ['$queue/x', 0x87],
    ['$share/g/x', 0x90],
  ])('a CONNECT with a will on %s is refused with %i [broker]', async (topic, code) => {
    const target = await startGateway();
    const client = await open(target, 5);
    client.send(
      connectPacket({
        clientId: 'a',
        ...will({ topic }),
      }),
    );
    expect((await client.expect('connack')).reasonCode).toBe(code);
    await client.expectClosed();
  });
});

describe('Will Delay Interval over the wire', () => {
  test('it puts the will off [MQTT-3.1.2-8]', async () => {
    let atMs = 0;
    const target = await startGateway({ clock: { nowMs: () => atMs } });
    const watcher = await listener(target);
    const client = await connect(target, 'a', lasting(30));
    client.destroy();
    await ended(target, 1);
    atMs = 29_000;
    await new Promise((resolve) => setTimeout(resolve, 600));
    await expectNothing(watcher);
    atMs = 31_000;
    expect((await received(watcher)).payload).toBe('gone');
  });

  test('a resumed session cancels it, a Clean Start sends it [MQTT-3.1.3-9]', async () => {
    const target = await startGateway();
    const watcher = await listener(target);
    const first = await connect(target, 'a', lasting(1000));
    first.destroy();
    await ended(target, 1);
    const second = await connect(target, 'a', lasting(1000));
    await expectNothing(watcher);
    second.destroy();
    await ended(target, 1);
    await connect(target, 'a', { clean: true });
    expect((await received(watcher)).payload).toBe('gone');
    await expectNothing(watcher);
  });

  test('a session that ends with its connection sends it at once [MQTT-3.1.2-8]', async () => {
    const target = await startGateway();
    const watcher = await listener(target);
    const client = await connect(target, 'a', lasting(1000, 0));
    client.destroy();
    expect((await received(watcher)).payload).toBe('gone');
  });

  test('a DISCONNECT 0x04 that ends the session sends it at once [MQTT-3.1.2-8]', async () => {
    const target = await startGateway();
    const watcher = await listener(target);
    const client = await connect(target, 'a', lasting(1000));
    client.send({ cmd: 'disconnect', reasonCode: 4, properties: { sessionExpiryInterval: 0 } });
    expect((await received(watcher)).payload).toBe('gone');
  });

  test('a takeover sends a will without delay and not one with a delay [MQTT-3.1.4-3]', async () => {
    const target = await startGateway();
    const watcher = await listener(target);
    await connect(target, 'a', lasting(1000));
    await connect(target, 'a', lasting(0));
    await expectNothing(watcher);
    await connect(target, 'a', { clean: false });
    expect((await received(watcher)).payload).toBe('gone');
    await expectNothing(watcher);
  });

  test('a takeover by a Clean Start sends a will with a delay too [MQTT-3.1.2-8]', async () => {
    const target = await startGateway();
    const watcher = await listener(target);
    await connect(target, 'a', lasting(1000));
    await connect(target, 'a', { clean: true });
    expect((await received(watcher)).payload).toBe('gone');
  });
});
