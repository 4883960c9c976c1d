/** What the load generator writes, read by mqtt-packet; what it reads, cut at every place. */
import mqttPacket from 'mqtt-packet';
import type { Packet } from 'mqtt-packet';
import { expect, test } from 'vitest';
import {
  connectPacket,
  PacketReader,
  publishSlots,
  receiveMaximumOf,
  subscribePacket,
} from '../../bench/load/wire.mjs';

function parsed(bytes: Uint8Array, protocolVersion: number): Packet[] {
  const packets: Packet[] = [];
  const parser = mqttPacket.parser({ protocolVersion });
  parser.on('packet', (packet: Packet) => packets.push(packet));
  parser.on('error', (error: Error) => {
    throw error;
  });
  parser.parse(Buffer.from(bytes));
  return packets;
}

test.each([
  [4, 0],
  [4, 2],
  [5, 1],
])('pre-encoded publishes of MQTT %i with QoS %i are well-formed [bench]', (version, qos) => {
  const keys = version === 5 ? 2 : 0;
  const { buffer, packetBytes, stampOffset } = publishSlots('a/b', 20, qos, version, 4, keys);
  const packets = parsed(buffer, version);
  expect(packets).toHaveLength(4);
  for (const [index, packet] of packets.entries()) {
    expect(packet).toMatchObject({ cmd: 'publish', topic: 'a/b', qos });
    if (qos > 0) expect(packet.messageId).toBe(index + 1);
    if (keys > 0)
      expect(packet).toMatchObject({ properties: { userProperties: { key: `key-000000${index % keys}` } } });
  }
  expect(packetBytes - stampOffset).toBe(20);
});

test('CONNECT asks for a lasting session or a clean one, SUBSCRIBE for its filters [bench]', () => {
  expect(parsed(connectPacket('me', 5, true), 5)).toMatchObject([
    { clientId: 'me', clean: false, properties: { sessionExpiryInterval: 3600, receiveMaximum: 65535 } },
  ]);
  expect(parsed(connectPacket('me', 4), 4)).toMatchObject([{ clientId: 'me', clean: true }]);
  expect(parsed(subscribePacket(['a/#', 'b'], 1, 5), 5)).toMatchObject([
    {
      subscriptions: [
        { topic: 'a/#', qos: 1 },
        { topic: 'b', qos: 1 },
      ],
    },
  ]);
});

test('Receive Maximum is found among the other properties of CONNACK [bench]', () => {
  const body = (properties: object): Buffer =>
    mqttPacket
      .generate({ cmd: 'connack', sessionPresent: false, reasonCode: 0, properties }, { protocolVersion: 5 })
      .subarray(2);
  const many = {
    assignedClientIdentifier: 'x',
    receiveMaximum: 7,
    userProperties: { a: 'b' },
    maximumQoS: 1,
  };
  for (const [properties, value] of [
    [many, 7],
    [{ reasonString: 'hello', sessionExpiryInterval: 9 }, 65535],
  ] as const) {
    const bytes = body(properties);
    expect(receiveMaximumOf(bytes, 0, bytes.length)).toBe(value);
  }
});

test('a stream is cut into the same packets wherever its chunks end [bench]', () => {
  const { buffer } = publishSlots('topic', 150, 1, 4, 5);
  const stream = Buffer.concat([Buffer.of(0xd0, 0), buffer, Buffer.of(0x40, 2, 0, 9)]);
  const cutAt = (sizes: number): string[] => {
    const seen: string[] = [];
    const reader = new PacketReader((first: number, bytes: Buffer, start: number, end: number) => {
      seen.push(`${first} ${bytes.toString('hex', start, end)}`);
    });
    for (let at = 0; at < stream.length; at += sizes) {
      const chunk = stream.subarray(at, at + sizes);
      reader.push(chunk, chunk.length);
    }
    return seen;
  };
  const whole = cutAt(stream.length);
  expect(whole).toHaveLength(7);
  for (const size of [1, 2, 3, 7, 64, 155, 156, 157, 500]) expect(cutAt(size)).toEqual(whole);
});
