import type { IConnectPacket } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';

import { hashPassword, hashScram } from '../../src/auth/password-hash.js';
import type { AuthSettings } from '../../src/config/auth-settings.js';
import type { RawClient } from '../harness/raw-client.js';
import { expectNothing, open, startGateway, type TestGateway } from '../net/test-gateway.js';
import { authenticator, file } from './fixture.js';
import { finalOf } from './scram-client.js';

async function gateway(changes: Partial<AuthSettings> = {}): Promise<TestGateway> {
  const alice = `alice:${await hashPassword(Buffer.from('secret'), { ln: 10, r: 8, p: 1 })}\n`;
  const user = `user:${await hashScram(Buffer.from('pencil'), 4096)}\n`;
  const { auth } = await authenticator({ passwordFile: file('passwords', alice + user), ...changes });
  return startGateway({ hooks: { authenticator: auth } });
}

function connectPacket(version: 4 | 5, more: Partial<IConnectPacket> = {}): IConnectPacket {
  return {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: version,
    clean: true,
    keepalive: 0,
    clientId: 'c',
    ...more,
  };
}

const method = 'SCRAM-SHA-256';
const first = 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO';

/** CONNECT or AUTH with the first message, then the proof; the final packet is left to the caller. */
async function prove(client: RawClient, password: string): Promise<string> {
  const challenge = await client.expect('auth');
  expect(challenge.reasonCode).toBe(0x18);
  expect(challenge.properties?.authenticationMethod).toBe(method);
  const { message, serverFinal } = finalOf(password, first, String(challenge.properties?.authenticationData));
  client.send({
    cmd: 'auth',
    reasonCode: 0x18,
    properties: { authenticationMethod: method, authenticationData: Buffer.from(message) },
  });
  return serverFinal;
}

function scramConnect(authenticationMethod = method): IConnectPacket {
  return connectPacket(5, {
    properties: { authenticationMethod, authenticationData: Buffer.from(first) },
  });
}

describe('CONNECT with user name and password', () => {
  test.each([
    [5, 'alice', 'secret', 0],
    [5, 'alice', 'wrong', 0x86],
    [5, 'nobody', 'secret', 0x86],
    [5, undefined, undefined, 0x87],
    [4, 'alice', 'secret', 0],
    [4, 'alice', 'wrong', 4],
    [4, 'nobody', 'secret', 4],
    [4, undefined, undefined, 5],
  ] as const)(
    'MQTT %i, user %s, password %s: CONNACK %i, without a method, and the connection is closed unless it is 0 [MQTT-3.1.4-2] [MQTT-3.2.2-7] [MQTT-4.12.0-6]',
    async (version, username, password, code) => {
      const client = await open(await gateway(), version);
      client.send(
        connectPacket(version, username === undefined ? {} : { username, password: Buffer.from(password) }),
      );
      const connack = await client.expect('connack');
      expect(version === 5 ? connack.reasonCode : connack.returnCode).toBe(code);
      expect(connack.properties?.authenticationMethod).toBeUndefined();
      if (code === 0) await expectNothing(client);
      else await client.expectClosed();
    },
  );

  test('packets sent right behind CONNECT wait for the answer and are dropped when it is no [MQTT-3.1.4-6]', async () => {
    const target = await gateway();
    const watcher = await open(target);
    watcher.send(connectPacket(5, { clientId: 'w', username: 'alice', password: Buffer.from('secret') }));
    await watcher.expect('connack');
    await watcher.subscribe('t', 0);
    for (const password of ['wrong', 'secret']) {
      const client = await open(target);
      client.send(connectPacket(5, { username: 'alice', password: Buffer.from(password) }));
      client.send({ cmd: 'publish', topic: 't', payload: password, qos: 0, dup: false, retain: false });
      expect((await client.expect('connack')).reasonCode).toBe(password === 'secret' ? 0 : 0x86);
    }
    expect((await watcher.expect('publish')).payload.toString()).toBe('secret');
    await expectNothing(watcher);
  });

  test('a client that guesses is refused with 0x97 at last, and its next connection as well [broker]', async () => {
    const target = await gateway({ authFailuresMax: 3 });
    const codes: (number | undefined)[] = [];
    for (const password of ['a', 'b', 'c', 'd', 'secret']) {
      const client = await open(target);
      client.send(connectPacket(5, { username: 'alice', password: Buffer.from(password) }));
      codes.push((await client.expect('connack')).reasonCode);
    }
    expect(codes).toEqual([0x86, 0x86, 0x86, 0x97, 0x97]);
  });
});

describe('CONNECT with Authentication Method', () => {
  test('SCRAM-SHA-256 runs over AUTH, and CONNACK carries method and server signature [MQTT-4.12.0-2] [MQTT-4.12.0-5]', async () => {
    const client = await open(await gateway());
    client.send(scramConnect());
    const serverFinal = await prove(client, 'pencil');
    const connack = await client.expect('connack');
    expect(connack.reasonCode).toBe(0);
    expect(connack.properties?.authenticationMethod).toBe(method);
    expect(String(connack.properties?.authenticationData)).toBe(serverFinal);
    await expectNothing(client);
  });

  test('a wrong proof is refused in CONNACK, and the connection is closed [MQTT-4.12.0-4]', async () => {
    const client = await open(await gateway());
    client.send(scramConnect());
    await prove(client, 'pen');
    expect((await client.expect('connack')).reasonCode).toBe(0x87);
    await client.expectClosed();
  });

  test.each(['SCRAM-SHA-1', 'GS2-KRB5', ''])(
    'the unknown method %j is 0x8C [MQTT-4.12.0-1]',
    async (unknown) => {
      const client = await open(await gateway());
      client.send(scramConnect(unknown));
      expect((await client.expect('connack')).reasonCode).toBe(0x8c);
      await client.expectClosed();
    },
  );

  test('a client may prove itself again, and keeps its connection when it does [MQTT-4.12.1-1]', async () => {
    const client = await open(await gateway());
    client.send(scramConnect());
    await prove(client, 'pencil');
    await client.expect('connack');
    for (let round = 0; round < 2; round++) {
      client.send({
        cmd: 'auth',
        reasonCode: 0x19,
        properties: { authenticationMethod: method, authenticationData: Buffer.from(first) },
      });
      const serverFinal = await prove(client, 'pencil');
      const done = await client.expect('auth');
      expect(done.reasonCode).toBe(0);
      expect(String(done.properties?.authenticationData)).toBe(serverFinal);
      await expectNothing(client);
    }
  });

  test('a client that fails to prove itself again is told and closed [MQTT-4.12.1-2]', async () => {
    const client = await open(await gateway());
    client.send(scramConnect());
    await prove(client, 'pencil');
    await client.expect('connack');
    client.send({
      cmd: 'auth',
      reasonCode: 0x19,
      properties: { authenticationMethod: method, authenticationData: Buffer.from(first) },
    });
    await prove(client, 'pen');
    expect((await client.expect('disconnect')).reasonCode).toBe(0x87);
    await client.expectClosed();
  });
});
