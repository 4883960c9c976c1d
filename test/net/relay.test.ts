/** Packets that are sent on as they came, beside those that are written anew. Quick tier. */
import * as mqttPacket from 'mqtt-packet';
import type { IPublishPacket } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';

import type { RawClient } from '../harness/raw-client.js';
import { Random, testSeed } from '../mqtt/random.js';
import { connect, publishPacket, startGateway } from './test-gateway.js';

const seed = testSeed();

/** The same packet with more bytes for its length than it needs, as some small clients send it before MQTT 5. */
function withLongLength(packet: Buffer): Buffer {
  const body = packet[1]! < 128 ? 2 : 3;
  const remaining = packet.length - body;
  const length = [(remaining & 0x7f) | 0x80, ((remaining >> 7) & 0x7f) | 0x80, (remaining >> 14) | 0x80, 0];
  return Buffer.concat([packet.subarray(0, 1), Buffer.from(length), packet.subarray(body)]);
}

/** Random publishes of one client, each with its number in front of the payload. */
function publishes(random: Random, protocolVersion: 4 | 5, count: number) {
  const packets: Buffer[] = [];
  const expected: { topic: string; payload: Buffer; retain: boolean; qos: number }[] = [];
  for (let number = 0; number < count; number++) {
    const topic = random.pick(['a/b', 'a/b', 'a/a-longer-topic']);
    const filler = random.bytes(random.pick([0, 10, 100, 125, 300, random.below(3000)]));
    const payload = Buffer.concat([Buffer.from(`${number} `), filler]);
    const qos = random.pick([0, 0, 0, 1] as const);
    const retain = random.chance(0.1);
    const properties = {
      ...(random.chance(0.3) ? { userProperties: { k: ['v', 'w'] } } : {}),
      ...(random.chance(0.1) ? { messageExpiryInterval: 1000 } : {}),
      ...(random.chance(0.2) ? { topicAlias: topic.length } : {}),
    };
    const packet: IPublishPacket = {
      cmd: 'publish',
      topic,
      payload,
      qos,
      retain,
      dup: false,
      ...(qos === 0 ? {} : { messageId: (number % 60_000) + 1 }),
      ...(protocolVersion === 5 ? { properties } : {}),
    };
    const bytes = mqttPacket.generate(packet, { protocolVersion });
    packets.push(protocolVersion === 4 && random.chance(0.1) ? withLongLength(bytes) : bytes);
    expected.push({ topic, payload, retain, qos });
  }
  return { bytes: Buffer.concat(packets), expected };
}

async function next(client: RawClient, protocolVersion: number, aliases: Map<number, string>) {
  const message = await client.expect('publish');
  if (message.qos === 1) client.send({ cmd: 'puback', messageId: message.messageId! });
  const alias = message.properties?.topicAlias;
  if (alias !== undefined && message.topic !== '') aliases.set(alias, message.topic);
  const topic = message.topic === '' ? aliases.get(alias!) : message.topic;
  return { topic, payload: message.payload as Buffer, retain: message.retain, qos: message.qos };
}

describe('packets of QoS 0 that go out as they came in', () => {
  test.each([4, 5] as const)(
    `every subscriber gets every message of an MQTT %i client once, whole and in order, seed ${seed} [MQTT-4.6.0-5]`,
    async (protocolVersion) => {
      const random = new Random(seed + protocolVersion);
      const target = await startGateway();
      const publisher = await connect(target, 'p', { protocolVersion });
      // Read in the same turn, into the same buffer.
      const other = await connect(target, 'other', { protocolVersion: 4 });
      const noise = mqttPacket.generate(publishPacket('other', 'x'.repeat(3000), { qos: 0 }));
      const kinds = [
        { protocolVersion: 4, qos: 0 },
        { protocolVersion: 4, qos: 1 },
        { protocolVersion: 5, qos: 0 },
        { protocolVersion: 5, qos: 0, rap: true },
        { protocolVersion: 5, qos: 1, properties: { subscriptionIdentifier: 7 } },
        { protocolVersion: 5, qos: 0, connect: { properties: { topicAliasMaximum: 1 } } },
      ] as const;
      const subscribers = [];
      for (const [index, kind] of kinds.entries()) {
        const { connect: more, properties, ...grant } = { connect: {}, properties: {}, ...kind };
        const client = await connect(target, `s${index}`, {
          protocolVersion: kind.protocolVersion,
          ...more,
        });
        const subscriptions = [{ topic: 'a/#', rap: false, nl: false, rh: 2, ...grant }];
        client.send({ cmd: 'subscribe', messageId: 1, subscriptions, properties });
        await client.expect('suback');
        subscribers.push({ client, rap: false, ...kind });
      }
      const { bytes, expected } = publishes(random, protocolVersion, 400);
      for (let at = 0; at < bytes.length;) {
        const end = at + 1 + random.below(random.pick([5, 500, 60_000]));
        publisher.send(bytes.subarray(at, end));
        other.send(noise);
        at = end;
        if (random.chance(0.3)) await new Promise((resolve) => setImmediate(resolve));
      }
      for (const { client, qos, rap, protocolVersion: version } of subscribers) {
        const aliases = new Map<number, string>();
        for (const wanted of expected) {
          const got = await next(client, version, aliases);
          const retain = rap && wanted.retain;
          const label = `${wanted.payload.toString('latin1', 0, 4)} to MQTT ${version}, QoS ${qos}`;
          expect(got.payload.equals(wanted.payload), label).toBe(true);
          expect([got.topic, got.retain, got.qos], label).toEqual([
            wanted.topic,
            retain,
            Math.min(qos, wanted.qos),
          ]);
        }
      }
    },
  );
});
