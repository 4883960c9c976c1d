import type { IAuthPacket } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';

import type { Authenticator, AuthExchange, AuthStep } from '../../src/auth/authenticator.js';
import type { RawClient } from '../harness/raw-client.js';
import {
  connectPacket,
  expectNothing,
  open,
  publishPacket,
  startGateway,
  type TestGateway,
} from '../net/test-gateway.js';
import { packetSizes, tap } from './wire.js';

const method = 'TWICE';

/** Says 'more' to the first word and then lets in who says 'right'. */
class Twice implements AuthExchange {
  #heard = 0;
  step(data: Buffer | undefined): AuthStep {
    if (++this.#heard === 1) return { kind: 'continue', data: Buffer.from('more') };
    return data?.toString() === 'right'
      ? { kind: 'success', identity: { username: 'u' }, data: Buffer.from('welcome') }
      : { kind: 'refused', reasonCode: 0x87 };
  }
}

const authenticator: Authenticator = {
  authenticate: ({ username }) =>
    username === 'bad' ? { kind: 'refused', reasonCode: 0x86 } : { kind: 'success', identity: { username } },
  exchange: (asked) => (asked === method ? new Twice() : undefined),
  close: () => undefined,
};

function start(): Promise<TestGateway> {
  // No connection of these tests may end by the time for CONNECT.
  return startGateway({ hooks: { authenticator }, env: { SLUICE_CONNECT_TIMEOUT_MS: '60000' } });
}

/** CONNECT with the method; the broker has asked for more. */
async function begin(target: TestGateway, maximumPacketSize?: number): Promise<[RawClient, IAuthPacket]> {
  const client = await open(target);
  client.send(
    connectPacket({
      clientId: 'a',
      properties: {
        authenticationMethod: method,
        authenticationData: Buffer.from('hello'),
        ...(maximumPacketSize === undefined ? {} : { maximumPacketSize }),
      },
    }),
  );
  return [client, await client.expect('auth')];
}

function auth(reasonCode: number, data: string, name = method): IAuthPacket {
  return {
    cmd: 'auth',
    reasonCode,
    properties: { authenticationMethod: name, authenticationData: Buffer.from(data) },
  };
}

describe('enhanced authentication of MQTT 5.0', () => {
  test('what asks for more is AUTH 0x18 with the method; the good CONNACK has it too, and data [MQTT-4.12.0-2] [MQTT-4.12.0-5] [MQTT-3.2.0-1]', async () => {
    const target = await start();
    const [client, first] = await begin(target);
    expect(first).toMatchObject({
      reasonCode: 0x18,
      properties: { authenticationMethod: method, authenticationData: Buffer.from('more') },
    });
    client.send(auth(0x18, 'right'));
    expect(await client.expect('connack')).toMatchObject({
      reasonCode: 0,
      properties: { authenticationMethod: method, authenticationData: Buffer.from('welcome') },
    });
    await expectNothing(client);
  });

  test('a failed authentication ends the connection, and what came behind is not processed [MQTT-4.12.0-4] [MQTT-3.1.4-6]', async () => {
    const target = await start();
    const [client] = await begin(target);
    client.send(auth(0x18, 'wrong'));
    client.send(publishPacket('t', 'x'));
    expect(await client.expect('connack')).toMatchObject({ reasonCode: 0x87, sessionPresent: false });
    await client.expectClosed();
    expect(client.inbox).toEqual([]);
    expect(target.gateway.sessions.size).toBe(0);
  });

  test('during the exchange anything but AUTH and DISCONNECT ends the connection [MQTT-3.1.2-30]', async () => {
    const target = await start();
    for (const bytes of ['c000', '3004 0001 74 00', '8207 0001 00 0001 74 00']) {
      const [client] = await begin(target);
      client.send(bytes);
      await client.expectClosed(5000);
      expect(client.inbox.filter(({ cmd }) => cmd !== 'connack' && cmd !== 'disconnect')).toEqual([]);
    }
    const [leaving] = await begin(target);
    leaving.send('e000');
    await leaving.expectClosed();
    expect(leaving.inbox).toEqual([]);
    expect(target.gateway.sessions.size).toBe(0);
  });

  test('another method within the exchange, or another reason code, ends the connection [MQTT-4.12.0-5] [MQTT-4.12.0-3] [MQTT-3.15.2-1]', async () => {
    const target = await start();
    for (const packet of [auth(0x18, 'right', 'OTHER'), auth(0x19, 'right'), auth(0x00, 'right')]) {
      const [client] = await begin(target);
      client.send(packet);
      await client.expectClosed();
      expect(client.inbox.some((answer) => answer.cmd === 'connack' && answer.reasonCode === 0)).toBe(false);
    }
  });

  test('an unknown method ends the connection with 0x8C [MQTT-4.12.0-1]', async () => {
    const target = await start();
    const client = await open(target);
    client.send(
      connectPacket({
        clientId: 'a',
        properties: { authenticationMethod: 'OTHER' },
      }),
    );
    expect((await client.expect('connack')).reasonCode).toBe(0x8c);
    await client.expectClosed();
  });

  test('re-authentication on a living connection: the method stays, the connection too [MQTT-4.12.1-1] [MQTT-4.12.0-5]', async () => {
    const target = await start();
    const [client] = await begin(target);
    client.send(auth(0x18, 'right'));
    await client.expect('connack');
    client.send(auth(0x19, 'hello'));
    expect(await client.expect('auth')).toMatchObject({
      reasonCode: 0x18,
      properties: { authenticationMethod: method },
    });
    // The old rights hold meanwhile.
    client.send(publishPacket('t', 'x'));
    await client.expect('puback');
    client.send(auth(0x18, 'right'));
    expect(await client.expect('auth')).toMatchObject({
      reasonCode: 0,
      properties: { authenticationMethod: method },
    });
    await expectNothing(client);
  });

  test('a failed re-authentication ends the connection with its reason code [MQTT-4.12.1-2]', async () => {
    const target = await start();
    const [client] = await begin(target);
    client.send(auth(0x18, 'right'));
    await client.expect('connack');
    client.send(auth(0x19, 'hello'));
    await client.expect('auth');
    client.send(auth(0x18, 'wrong'));
    expect((await client.expect('disconnect')).reasonCode).toBe(0x87);
    await client.expectClosed();
  });

  test('AUTH stays within the Maximum Packet Size of the client [MQTT-3.15.2-2] [MQTT-3.15.2-3] [MQTT-3.1.2-24]', async () => {
    const target = await start();
    const [client, first] = await begin(target, 48);
    const received = tap(client);
    expect((first.length ?? 0) + 2).toBeLessThanOrEqual(48);
    expect([first.properties?.reasonString, first.properties?.userProperties]).toEqual([
      undefined,
      undefined,
    ]);
    client.send(auth(0x18, 'wrong'));
    await client.expectClosed();
    for (const size of packetSizes(received())) expect(size).toBeLessThanOrEqual(48);
  });

  test('a refused user name or password ends the connection [MQTT-3.1.4-2] [MQTT-3.2.2-7]', async () => {
    const target = await start();
    const client = await open(target);
    client.send(
      connectPacket({
        clientId: 'a',
        username: 'bad',
      }),
    );
    expect((await client.expect('connack')).reasonCode).toBe(0x86);
    await client.expectClosed();
  });
});
