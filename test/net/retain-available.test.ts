import { describe, expect, test } from 'vitest';

import { connect, connectPacket, open, publish, publishPacket, startGateway } from './test-gateway.js';

const start = (): ReturnType<typeof startGateway> => startGateway({ env: { SLUICE_RETAINED_MAX: '0' } });

describe('a broker that retains nothing', () => {
  test('says so in CONNACK, and nothing where it retains [MQTT-3.2.2-14]', async () => {
    for (const [target, told] of [
      [await start(), false],
      [await startGateway(), undefined],
    ] as const) {
      const client = await open(target);
      client.send(
        connectPacket({
          clientId: 'a',
        }),
      );
      expect((await client.expect('connack')).properties?.retainAvailable).toBe(told);
    }
  });

  test('ends a connection that asks for it with 0x9a [MQTT-3.2.2-14]', async () => {
    const target = await start();
    const client = await connect(target, 'a');
    client.send(publishPacket('t', 'x', { qos: 0, retain: true }));
    expect((await client.expect('disconnect')).reasonCode).toBe(0x9a);
  });

  test('refuses a will that is to be retained with 0x9a [MQTT-3.2.2-13]', async () => {
    const target = await start();
    const client = await open(target);
    const will = { topic: 't', payload: Buffer.from('x'), qos: 0, retain: true } as const;
    client.send(
      connectPacket({
        clientId: 'a',
        will,
      }),
    );
    expect((await client.expect('connack')).reasonCode).toBe(0x9a);
    await client.expectClosed();
  });

  test('delivers the message of a 3.1.1 client, who cannot be told [broker]', async () => {
    const target = await start();
    const subscriber = await connect(target, 's');
    await subscriber.subscribe('t', 1);
    const client = await connect(target, 'a', { protocolVersion: 4 });
    client.send(publishPacket('t', 'x', { qos: 1, messageId: 1, retain: true }));
    await client.expect('puback');
    expect((await subscriber.expect('publish')).payload.toString()).toBe('x');
    expect(await publish(subscriber, 'other', 'y')).toBe(0x10);
  });
});
