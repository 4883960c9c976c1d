import type { IConnectPacket } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';

import type { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/wait.js';
import { connect, expectNothing, startGateway, type TestGateway } from '../net/test-gateway.js';

const four = { protocolVersion: 4 } as const;
type Will = NonNullable<IConnectPacket['will']>;

function willOf(options: Partial<Will> = {}): Will {
  return { topic: 'will', payload: Buffer.from('gone'), qos: 1, retain: false, ...options };
}

async function watcherOf(target: TestGateway, options: Partial<IConnectPacket> = {}): Promise<RawClient> {
  const watcher = await connect(target, 'watcher', options);
  await watcher.subscribe('will', 2);
  return watcher;
}

/** Lets the broker see that the connection is gone. */
async function lose(target: TestGateway, client: RawClient): Promise<void> {
  const before = target.gateway.connectionCount;
  client.destroy();
  await until(() => target.gateway.connectionCount < before, 'the loss of the connection');
}

/** A gateway whose clock is turned by the test. */
async function startTimed(): Promise<{ target: TestGateway; pass: (seconds: number) => Promise<void> }> {
  let nowMs = 1_000_000;
  const target = await startGateway({ clock: { nowMs: () => nowMs } });
  const pass = async (seconds: number): Promise<void> => {
    nowMs += seconds * 1000;
    // Longer than the time between two looks at the clocks.
    await new Promise((resolve) => setTimeout(resolve, 1200));
  };
  return { target, pass };
}

describe('wills of MQTT 5.0', () => {
  test('a will is kept and published when the connection is lost, once [MQTT-3.1.2-7] [MQTT-3.1.2-8] [MQTT-3.1.2-10]', async () => {
    const target = await startGateway();
    const watcher = await watcherOf(target);
    await lose(target, await connect(target, 'a', { will: willOf() }));
    expect(await watcher.expect('publish')).toMatchObject({ topic: 'will', payload: Buffer.from('gone') });
    await lose(target, await connect(target, 'a'));
    await expectNothing(watcher);
  });

  test('DISCONNECT 0x00 deletes the will, DISCONNECT 0x04 asks for it [MQTT-3.1.2-10] [MQTT-3.14.4-3] [MQTT-3.1.2-8]', async () => {
    const target = await startGateway();
    const watcher = await watcherOf(target);
    for (const [reasonCode, isSent] of [
      [0x00, false],
      [0x04, true],
    ] as const) {
      const client = await connect(target, 'a', { will: willOf() });
      client.send({ cmd: 'disconnect', reasonCode });
      await client.expectClosed();
      if (isSent) expect((await watcher.expect('publish')).payload.toString()).toBe('gone');
      else await expectNothing(watcher);
    }
  });

  test('a breach of the protocol and a takeover of the ended session send the will [MQTT-3.1.2-8]', async () => {
    const target = await startGateway();
    const watcher = await watcherOf(target);
    const breaking = await connect(target, 'a', { will: willOf({ payload: Buffer.from('breach') }) });
    breaking.send('0000');
    await breaking.expectClosed();
    expect((await watcher.expect('publish')).payload.toString()).toBe('breach');
    await connect(target, 'b', { will: willOf({ payload: Buffer.from('taken over') }) });
    await connect(target, 'b');
    expect((await watcher.expect('publish')).payload.toString()).toBe('taken over');
  });

  test('QoS, RETAIN, properties and the order of user properties are those of CONNECT [MQTT-3.1.2-9] [MQTT-3.1.2-14] [MQTT-3.1.2-15] [MQTT-3.1.3-10]', async () => {
    const target = await startGateway();
    for (const retain of [false, true]) {
      const watcher = await watcherOf(target);
      const properties = {
        payloadFormatIndicator: true,
        contentType: 'text/plain',
        responseTopic: 'answer',
        correlationData: Buffer.from([1, 2]),
        userProperties: { z: '1', a: ['2', '1'] },
      };
      await lose(target, await connect(target, 'a', { will: willOf({ qos: 2, retain, properties }) }));
      const message = await watcher.expect('publish');
      expect([message.qos, message.retain]).toEqual([2, false]);
      expect(message.properties).toMatchObject({ ...properties, userProperties: expect.anything() });
      expect(Object.entries(message.properties?.userProperties ?? {})).toEqual(
        Object.entries(properties.userProperties),
      );
      const late = await connect(target, 'late');
      await late.subscribe('will', 2);
      if (retain) {
        expect(await late.expect('publish')).toMatchObject({ retain: true, payload: Buffer.from('gone') });
      } else {
        await expectNothing(late);
      }
    }
  });

  test('a delayed will waits, and is not sent when the session is resumed before [MQTT-3.1.3-9]', async () => {
    const { target, pass } = await startTimed();
    const watcher = await watcherOf(target);
    const lasting = { clean: false, properties: { sessionExpiryInterval: 1000 } };
    const will = willOf({ properties: { willDelayInterval: 10 } });
    await lose(target, await connect(target, 'a', { ...lasting, will }));
    await pass(8);
    await expectNothing(watcher);
    const again = await connect(target, 'a', lasting);
    await pass(30);
    await expectNothing(watcher);
    await expectNothing(again);
  });

  test('a delayed will is sent when its delay has passed, or the session ends before [MQTT-3.1.2-8]', async () => {
    const { target, pass } = await startTimed();
    const watcher = await watcherOf(target);
    const lasting = { clean: false, properties: { sessionExpiryInterval: 1000 } };
    const short = { clean: false, properties: { sessionExpiryInterval: 5 } };
    const after = willOf({ payload: Buffer.from('after its delay'), properties: { willDelayInterval: 10 } });
    const atEnd = willOf({
      payload: Buffer.from('with its session'),
      properties: { willDelayInterval: 500 },
    });
    await lose(target, await connect(target, 'a', { ...lasting, will: after }));
    await pass(12);
    expect((await watcher.expect('publish')).payload.toString()).toBe('after its delay');
    await lose(target, await connect(target, 'b', { ...short, will: atEnd }));
    await expectNothing(watcher);
    await pass(8);
    expect((await watcher.expect('publish')).payload.toString()).toBe('with its session');
  });
});

describe('wills of MQTT 3.1.1', () => {
  test('a will is published when the connection ends without DISCONNECT, once, with its QoS [MQTT-3.1.1 3.1.2-8] [MQTT-3.1.1 3.1.2-9] [MQTT-3.1.1 3.1.2-10]', async () => {
    const target = await startGateway();
    const watcher = await watcherOf(target, four);
    for (const qos of [0, 1, 2] as const) {
      await lose(target, await connect(target, 'a', { ...four, will: willOf({ qos }) }));
      expect(await watcher.expect('publish')).toMatchObject({
        qos,
        topic: 'will',
        payload: Buffer.from('gone'),
      });
    }
    await lose(target, await connect(target, 'a', four));
    await expectNothing(watcher);
  });

  test('DISCONNECT deletes the will [MQTT-3.1.1 3.14.4-3] [MQTT-3.1.1 3.1.2-10]', async () => {
    const target = await startGateway();
    const watcher = await watcherOf(target, four);
    const client = await connect(target, 'a', { ...four, will: willOf() });
    client.send({ cmd: 'disconnect' });
    await client.expectClosed();
    await expectNothing(watcher);
  });

  test('without a will none is published [MQTT-3.1.1 3.1.2-12]', async () => {
    const target = await startGateway();
    const watcher = await connect(target, 'watcher', four);
    await watcher.subscribe('#', 1);
    await lose(target, await connect(target, 'a', four));
    const five = await connect(target, 'b');
    five.send('0000');
    await five.expectClosed();
    await expectNothing(watcher);
  });

  test('Will Retain decides whether it is retained [MQTT-3.1.1 3.1.2-16] [MQTT-3.1.1 3.1.2-17]', async () => {
    const target = await startGateway();
    for (const retain of [false, true]) {
      const watcher = await watcherOf(target, four);
      await lose(target, await connect(target, 'a', { ...four, will: willOf({ retain }) }));
      expect((await watcher.expect('publish')).retain).toBe(false);
      const late = await connect(target, 'late', four);
      await late.subscribe('will', 1);
      if (retain) expect((await late.expect('publish')).retain).toBe(true);
      else await expectNothing(late);
    }
  });
});
