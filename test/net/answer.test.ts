import { describe, expect, test } from 'vitest';

import { tap } from '../conformance/wire.js';
import { connect, publishPacket, startGateway } from './test-gateway.js';

describe('answers where the specification leaves the choice', () => {
  test.each([4, 5] as const)(
    'a client of version %i that hears its own QoS 2 message gets PUBREC before its copy [MQTT-4.3.3-8]',
    async (protocolVersion) => {
      const target = await startGateway();
      const client = await connect(target, 'a', { protocolVersion });
      await client.subscribe('t', 2);
      client.send(publishPacket('t', 'x', { qos: 2, messageId: 7 }));
      expect(await client.next()).toMatchObject({ cmd: 'pubrec', messageId: 7 });
      expect(await client.next()).toMatchObject({ cmd: 'publish', topic: 't', qos: 2 });
    },
  );

  test('PUBREC does not say that nobody subscribes [MQTT-3.5.2-1]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    client.send(publishPacket('nobody', 'x', { qos: 2, messageId: 1 }));
    expect((await client.expect('pubrec')).reasonCode).toBe(0);
  });

  test.each([
    [true, 'string'],
    [undefined, 'undefined'],
    [false, 'undefined'],
  ])(
    'with Request Problem Information %s the Reason String of DISCONNECT is of type %s [MQTT-3.1.2-29]',
    async (requestProblemInformation, type) => {
      const target = await startGateway();
      const properties = requestProblemInformation === undefined ? {} : { requestProblemInformation };
      const client = await connect(target, 'a', { properties });
      client.send('36 05 0001 61 0001');
      const disconnect = await client.expect('disconnect');
      expect(disconnect.reasonCode).toBe(0x81);
      expect(typeof disconnect.properties?.reasonString).toBe(type);
    },
  );

  test('DISCONNECT without properties is three bytes [MQTT-4.13.1-1]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    const received = tap(client);
    client.send('36 05 0001 61 0001');
    await client.expectClosed();
    expect(received().toString('hex')).toBe('e00181');
  });

  test('what a bridge says of itself under $SYS is ignored, from MQTT 3 clients all of $SYS [MQTT-3.1.1 3.3.5-2]', async () => {
    const target = await startGateway();
    const five = await connect(target, 'a');
    five.send(publishPacket('$SYS/broker/connection/b/state', '1', { qos: 1, messageId: 1, retain: true }));
    expect((await five.expect('puback')).reasonCode).toBe(0x10);
    five.send(publishPacket('$SYS/broker/connection/b', '1', { qos: 1, messageId: 2 }));
    expect((await five.expect('puback')).reasonCode).toBe(0x87);
    const four = await connect(target, 'b', { protocolVersion: 4 });
    for (const topic of ['$SYS/broker/connection/b/state', '$SYS/x']) {
      four.send(publishPacket(topic, '1', { qos: 1, messageId: 3, retain: true }));
      expect((await four.expect('puback')).messageId).toBe(3);
    }
    expect(target.shards.publishCount).toBe(0);
  });

  test('what an MQTT 3 client may not publish is acknowledged and reaches nobody [MQTT-3.1.1 3.3.5-2]', async () => {
    const target = await startGateway({ env: { SLUICE_TOPIC_LEVELS_MAX: '2' } });
    const subscriber = await connect(target, 's');
    await subscriber.subscribe('#', 2);
    const client = await connect(target, 'a', { protocolVersion: 4 });
    for (const qos of [1, 2] as const) {
      client.send(publishPacket('a/b/c', 'no', { qos, messageId: qos }));
      expect((await client.expect(qos === 1 ? 'puback' : 'pubrec')).messageId).toBe(qos);
    }
    client.send({ cmd: 'pubrel', messageId: 2 });
    await client.expect('pubcomp');
    client.send(publishPacket('a/b', 'yes', { qos: 1, messageId: 3 }));
    expect((await subscriber.expect('publish')).payload.toString()).toBe('yes');
  });

  test.each(['$SYS/x', '$share/g/t'])('publishing to %s is not authorized [broker]', async (topic) => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    client.send(publishPacket(topic, 'x', { qos: 1, messageId: 1 }));
    expect((await client.expect('puback')).reasonCode).toBe(0x87);
  });
});
