import type { AuthStep, Authenticator } from '../../src/auth/authenticator.js';
import { connectAsync } from 'mqtt';
import { describe, expect, test } from 'vitest';

import { slotOf } from '../../src/telemetry/counter-layout.js';
import { randomFrom, seed } from '../harness/environment.js';
import { until } from '../harness/wait.js';
import { connect, expectNothing, open, publish, publishPacket, startGateway } from './test-gateway.js';

const connect5 = {
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 5,
  clean: true,
  keepalive: 0,
} as const;
const connect4 = { ...connect5, protocolVersion: 4 } as const;

/** Says the same to everybody. */
function answering(step: AuthStep | Promise<AuthStep>): Authenticator {
  return { authenticate: () => step, exchange: () => undefined, close: () => undefined };
}

describe('CONNECT and CONNACK', () => {
  test('CONNACK is the first packet and grants the configured limits [MQTT-3.2.0-1]', async () => {
    const target = await startGateway({
      env: { SLUICE_RECEIVE_MAXIMUM: '20', SLUICE_TOPIC_ALIAS_MAXIMUM: '7' },
    });
    const client = await open(target);
    client.send({ ...connect5, clientId: 'a' });
    const connack = await client.expect('connack');
    expect(connack.reasonCode).toBe(0);
    expect(connack.sessionPresent).toBe(false);
    expect(connack.properties).toEqual({
      serverKeepAlive: 65_535,
      receiveMaximum: 20,
      maximumPacketSize: 1024 * 1024,
      topicAliasMaximum: 7,
    });
  });

  test('a packet before CONNECT closes the connection without an answer [MQTT-3.1.0-1]', async () => {
    const target = await startGateway();
    const client = await open(target);
    client.send(publishPacket('a', 'b'));
    await client.expectClosed();
    expect(client.inbox).toEqual([]);
  });

  test('a second CONNECT is a protocol error [MQTT-3.1.0-2]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    client.send({ ...connect5, clientId: 'a' });
    expect((await client.expect('disconnect')).reasonCode).toBe(0x82);
    await client.expectClosed();
  });

  test('a client without id gets one, and is told which [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]', async () => {
    const target = await startGateway();
    const client = await open(target);
    client.send({ ...connect5, clientId: '' });
    const connack = await client.expect('connack');
    const assigned = connack.properties?.assignedClientIdentifier ?? '';
    expect(assigned).not.toBe('');
    expect(target.gateway.sessions.get(assigned)).toBeDefined();
  });

  test('an MQTT 3.1.1 client without id must ask for a clean session; return code 2 [MQTT-3.1.1 3.1.3-8] [MQTT-3.1.3-8]', async () => {
    const target = await startGateway();
    const client = await open(target, 4);
    client.send('10 0c 0004 4d515454 04 00 0000 0000');
    expect((await client.expect('connack')).returnCode).toBe(2);
    await client.expectClosed();
    const clean = await open(target, 4);
    clean.send({ ...connect4, clientId: '' });
    expect((await clean.expect('connack')).returnCode).toBe(0);
  });

  test('an unknown protocol version is answered with return code 1, then closed [MQTT-3.1.2-2]', async () => {
    const target = await startGateway();
    const client = await open(target, 4);
    client.send('10 0d 0004 4d515454 09 02 003c 0001 61');
    expect((await client.expect('connack')).returnCode).toBe(1);
    await client.expectClosed();
  });

  test('a set reserved flag in CONNECT closes the connection: CONNACK 0x81 for MQTT 5, silence before [MQTT-3.1.2-3]', async () => {
    const target = await startGateway();
    const five = await open(target, 5);
    five.send('10 0e 0004 4d515454 05 03 003c 00 0001 61');
    expect((await five.expect('connack')).reasonCode).toBe(0x81);
    await five.expectClosed();
    const four = await open(target, 4);
    four.send('10 0d 0004 4d515454 04 03 003c 0001 61');
    await four.expectClosed();
    expect(four.inbox).toEqual([]);
  });

  test('extended authentication is refused with 0x8C [MQTT-4.12.0-1]', async () => {
    const target = await startGateway();
    const client = await open(target);
    client.send({ ...connect5, clientId: 'a', properties: { authenticationMethod: 'SCRAM-SHA-1' } });
    const connack = await client.expect('connack');
    expect(connack.reasonCode).toBe(0x8c);
    expect(connack.sessionPresent).toBe(false);
    await client.expectClosed();
  });

  test('AUTH on a connection without authentication method is a protocol error [MQTT-4.12.0-7]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    client.send('f0 00');
    expect((await client.expect('disconnect')).reasonCode).toBe(0x82);
    await client.expectClosed();
  });

  test('a Session Expiry Interval above the limit is cut and announced [broker]', async () => {
    const target = await startGateway({ env: { SLUICE_SESSION_EXPIRY_MAX: '60s' } });
    const client = await open(target);
    client.send({ ...connect5, clientId: 'a', properties: { sessionExpiryInterval: 3600 } });
    expect((await client.expect('connack')).properties?.sessionExpiryInterval).toBe(60);
  });

  test('a Keep Alive above the limit is replaced, and the client told [MQTT-3.2.2-21]', async () => {
    const target = await startGateway({ env: { SLUICE_KEEP_ALIVE_MAX: '30s' } });
    const client = await open(target);
    client.send({ ...connect5, clientId: 'a', keepalive: 600 });
    expect((await client.expect('connack')).properties?.serverKeepAlive).toBe(30);
  });

  test('a refusing authenticator decides the CONNACK; what follows CONNECT is not looked at [MQTT-3.1.4-6]', async () => {
    let decide: (step: AuthStep) => void = () => undefined;
    const verdict = new Promise<AuthStep>((resolve) => {
      decide = resolve;
    });
    const target = await startGateway({ hooks: { authenticator: answering(verdict) } });
    const client = await open(target);
    client.send({ ...connect5, clientId: 'a' });
    client.send(publishPacket('t', 'x'));
    decide({ kind: 'refused', reasonCode: 0x86 });
    expect((await client.expect('connack')).reasonCode).toBe(0x86);
    await client.expectClosed();
    expect(client.inbox).toEqual([]);
    expect(target.gateway.sessions.size).toBe(0);
  });

  test('packets sent right behind CONNECT wait for the authenticator and are processed then [MQTT-3.1.4-5]', async () => {
    let decide: (step: AuthStep) => void = () => undefined;
    const verdict = new Promise<AuthStep>((resolve) => {
      decide = resolve;
    });
    const target = await startGateway({ hooks: { authenticator: answering(verdict) } });
    const client = await open(target);
    client.send({ ...connect5, clientId: 'a' });
    client.send(publishPacket('t', 'x'));
    decide({ kind: 'success', identity: { username: undefined } });
    expect((await client.expect('connack')).reasonCode).toBe(0);
    await client.expect('puback');
  });

  test('one session more than allowed is refused with 0x97 [broker]', async () => {
    const target = await startGateway({ env: { SLUICE_SESSIONS_MAX: '1' } });
    await connect(target, 'a');
    const client = await open(target);
    client.send({ ...connect5, clientId: 'b' });
    expect((await client.expect('connack')).reasonCode).toBe(0x97);
    await client.expectClosed();
  });

  test('one connection more than allowed is closed at once [broker]', async () => {
    const target = await startGateway({ env: { SLUICE_MAX_CONNECTIONS: '1' } });
    await connect(target, 'a');
    const second = await open(target);
    await second.expectClosed();
    expect(target.counters.total(slotOf('connectionsRefused', 'limit'))).toBe(1);
  });

  test('a client that never completes CONNECT is closed after the timeout [MQTT-3.1.4-2]', async () => {
    const target = await startGateway({ env: { SLUICE_CONNECT_TIMEOUT_MS: '100' } });
    const client = await open(target);
    client.send('10 0d 0004 4d51');
    await client.expectClosed();
    expect(target.counters.total(slotOf('connectionsRefused', 'connect-timeout'))).toBe(1);
  });

  test('a silent client is disconnected after one and a half times its Keep Alive [MQTT-3.1.2-22]', async () => {
    let nowMs = 0;
    const target = await startGateway({ clock: { nowMs: () => nowMs } });
    const client = await connect(target, 'a', { keepalive: 10 });
    const busy = await connect(target, 'b', { keepalive: 0 });
    const witness = await connect(target, 'w', { keepalive: 1 });
    nowMs = 15_000;
    // The clocks have been looked at, and the other one was in time.
    expect((await witness.expect('disconnect')).reasonCode).toBe(0x8d);
    await expectNothing(client);
    nowMs = 31_000;
    expect((await client.expect('disconnect')).reasonCode).toBe(0x8d);
    await client.expectClosed();
    await expectNothing(busy);
  });

  test('bytes of an unfinished packet are no sign of life [MQTT-3.1.2-22]', async () => {
    let nowMs = 0;
    const target = await startGateway({ clock: { nowMs: () => nowMs } });
    const client = await connect(target, 'a', { keepalive: 10 });
    client.send('30 7f');
    await until(() => target.gateway.connectionCount === 1, 'the connection');
    nowMs = 14_000;
    client.send('00');
    nowMs = 16_000;
    client.send('05');
    expect((await client.expect('disconnect')).reasonCode).toBe(0x8d);
  });

  test('PINGREQ is answered with PINGRESP [MQTT-3.12.4-1]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a');
    client.send('c000');
    await client.expect('pingresp');
  });

  test('mqtt.js connects in all versions [broker]', async () => {
    const target = await startGateway();
    for (const protocolVersion of [3, 4, 5] as const) {
      const client = await connectAsync({
        host: target.mqttHost,
        port: target.mqttPort,
        protocolVersion,
        protocolId: protocolVersion === 3 ? 'MQIsdp' : 'MQTT',
        reconnectPeriod: 0,
      });
      await client.publishAsync('a', 'b', { qos: 2 });
      await client.endAsync();
    }
  });
});

describe('faults of the peer', () => {
  test('a malformed packet ends only its own connection, with the reason code [MQTT-4.13.1-1]', async () => {
    const target = await startGateway();
    const good = await connect(target, 'good');
    const bad = await connect(target, 'bad');
    bad.send('36 05 0001 61 0001');
    const disconnect = await bad.expect('disconnect');
    expect(disconnect.reasonCode).toBe(0x81);
    await bad.expectClosed();
    await expectNothing(good);
  });

  test('random and damaged bytes end their connection at most, whatever they are [broker]', async () => {
    console.log(`seed ${seed}`);
    const random = randomFrom(seed);
    const target = await startGateway({ env: { SLUICE_CONNECT_TIMEOUT_MS: '100' } });
    target.addQueue('t/#');
    const good = await connect(target, 'good');
    const packets = [
      '82 09 0001 00 0003 742f61 01',
      '32 0a 0003 742f61 0001 00 7878',
      '34 0a 0003 742f61 0002 00 7878',
      '62 02 0002',
      'a2 08 0001 00 0003 742f61',
      '40 02 0001',
      'c0 00',
      'e0 00',
    ].map((hex) => Buffer.from(hex.replaceAll(' ', ''), 'hex'));
    for (let round = 0; round < 150; round++) {
      const bad = round % 3 === 0 ? await open(target) : await connect(target, `bad${round % 7}`);
      const parts = Array.from({ length: 8 }, () => packets[Math.floor(random() * packets.length)]!);
      const bytes = Buffer.concat(parts);
      for (let damage = 0; damage < 3; damage++) {
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      }
      bad.send(bytes);
      if (random() < 0.5) bad.destroy();
    }
    await expectNothing(good);
    expect(await publish(good, 'nowhere', 'x')).toBe(0x10);
  });

  test('a packet above the Maximum Packet Size is answered with 0x95 [MQTT-3.2.2-15]', async () => {
    const target = await startGateway({ env: { SLUICE_MAX_PACKET_SIZE: '1KB' } });
    const client = await connect(target, 'a');
    client.send(publishPacket('a', 'x'.repeat(2000)));
    expect((await client.expect('disconnect')).reasonCode).toBe(0x95);
  });

  test('before MQTT 5 a malformed packet closes the connection without a packet [MQTT-3.14.0-1]', async () => {
    const target = await startGateway();
    const client = await connect(target, 'a', { protocolVersion: 4 });
    client.send('36 05 0001 61 0001');
    await client.expectClosed();
    expect(client.inbox).toEqual([]);
  });

  test("a Reason String gives way to the client's Maximum Packet Size [MQTT-3.2.2-19]", async () => {
    const target = await startGateway();
    const client = await connect(target, 'a', { properties: { maximumPacketSize: 20 } });
    client.send('36 05 0001 61 0001');
    const disconnect = await client.expect('disconnect');
    expect(disconnect.reasonCode).toBe(0x81);
    expect(disconnect.properties?.reasonString).toBeUndefined();
  });
});
