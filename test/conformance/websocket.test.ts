import mqttPacket from 'mqtt-packet';
import type { Packet } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';

import { within } from '../harness/wait.js';
import { startGateway, type TestGateway } from '../net/test-gateway.js';
import { connectFrame, field, frame } from './wire.js';

interface WsClient {
  readonly socket: WebSocket;
  /** Packets so far. */
  readonly packets: Packet[];
  /** Text frames that came from the broker. */
  readonly texts: string[];
  /** Resolves with the close code. */
  readonly closed: Promise<number>;
  next(count: number): Promise<void>;
}

/** A client that has sent nothing; `version` decides how answers are read. */
async function openWs(target: TestGateway, version: 4 | 5, protocols = ['mqtt']): Promise<WsClient> {
  const address = target.listeners.find(({ kind }) => kind === 'ws')?.address;
  const socket = new WebSocket(`ws://${address?.address}:${address?.port}/mqtt`, protocols);
  target.scope.add(() => socket.terminate());
  const packets: Packet[] = [];
  const texts: string[] = [];
  let wake = (): void => undefined;
  const parser = mqttPacket.parser({ protocolVersion: version });
  parser.on('packet', (packet) => {
    packets.push(packet);
    wake();
  });
  socket.on('message', (data: Buffer, isBinary) => {
    if (isBinary) parser.parse(data);
    else texts.push(data.toString());
  });
  const closed = new Promise<number>((resolve) => {
    socket.once('close', (code) => {
      wake();
      resolve(code);
    });
  });
  await within(
    new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    }),
    'a WebSocket',
  );
  socket.on('error', () => undefined);
  const next = async (count: number): Promise<void> => {
    await within(
      (async () => {
        while (packets.length < count) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      })(),
      `packet ${count}`,
    );
  };
  return { socket, packets, texts, closed, next };
}

describe.each([4, 5] as const)('MQTT version %i over WebSocket', (version) => {
  const connect = connectFrame(version, 0x02, field('a'));
  const none = version === 5 ? '00' : '';
  const subscribe = frame(0x82, '0001', none, field('t'), '01');
  const publish = frame(0x32, field('t'), '0002', none, '78');

  test('the selected subprotocol is mqtt [MQTT-6.0.0-4] [MQTT-3.1.1 6.0.0-4]', async () => {
    const target = await startGateway();
    for (const offered of [['mqtt'], ['other', 'mqtt']]) {
      const client = await openWs(target, version, offered);
      expect(client.socket.protocol).toBe('mqtt');
    }
  });

  test('packets may be cut into frames anywhere, and share a frame [MQTT-6.0.0-2] [MQTT-3.1.1 6.0.0-2]', async () => {
    const target = await startGateway();
    const all = Buffer.concat([connect, subscribe, publish, Buffer.from([0xc0, 0])]);
    for (const size of [all.length, 1, 5]) {
      const client = await openWs(target, version);
      for (let at = 0; at < all.length; at += size) client.socket.send(all.subarray(at, at + size));
      await client.next(5);
      expect(client.packets.map(({ cmd }) => cmd).toSorted()).toEqual([
        'connack',
        'pingresp',
        'puback',
        'publish',
        'suback',
      ]);
      expect(client.texts).toEqual([]);
      client.socket.terminate();
    }
  });

  test('one message may come in fragments [MQTT-6.0.0-2] [MQTT-3.1.1 6.0.0-2]', async () => {
    const target = await startGateway();
    const client = await openWs(target, version);
    client.socket.send(connect.subarray(0, 3), { binary: true, fin: false });
    client.socket.send(connect.subarray(3, 9), { binary: true, fin: false });
    client.socket.send(connect.subarray(9), { binary: true, fin: true });
    await client.next(1);
    expect(client.packets[0]?.cmd).toBe('connack');
  });

  test('a text frame ends the connection, and its bytes are not MQTT [MQTT-6.0.0-1] [MQTT-3.1.1 6.0.0-1]', async () => {
    const target = await startGateway();
    const first = await openWs(target, version);
    first.socket.send(connect.toString('latin1'), { binary: false });
    await within(first.closed, 'the end of the connection');
    expect(first.packets).toEqual([]);
    const second = await openWs(target, version);
    second.socket.send(connect);
    await second.next(1);
    second.socket.send('hello', { binary: false });
    await within(second.closed, 'the end of the connection');
    expect(target.gateway.clientCount).toBe(0);
  });
});
