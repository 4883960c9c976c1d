/**
 * Random valid packets as `mqtt-packet` objects and as bytes, for the differential tests. Test
 * process only. The bytes come from `mqtt-packet`, so our encoder has no part in testing our decoder.
 */
import mqttPacket from 'mqtt-packet';
import type { Packet } from 'mqtt-packet';
import type { ProtocolVersion } from '../../src/mqtt/packet-type.js';
import type { Random } from './random.js';

const words = ['a', 'jobs', 'sensor', 'температура', '溫度', '🚀', '', 'x'.repeat(40), '$SYS', ' '];

/** A valid topic name. */
export function randomTopic(random: Random): string {
  const levels = Array.from({ length: 1 + random.below(5) }, () => random.pick(words));
  return levels.join('/') || 'empty';
}

/** A valid topic filter. */
export function randomFilter(random: Random): string {
  const levels = Array.from({ length: 1 + random.below(4) }, () =>
    random.chance(0.2) ? '+' : random.pick(words),
  );
  if (random.chance(0.2)) levels.push('#');
  return levels.join('/') || '+';
}

function maybe<T>(random: Random, value: T): T | undefined {
  return random.chance(0.4) ? value : undefined;
}

/** The object without its undefined members, or undefined when nothing is left. */
function compact(members: Record<string, unknown>): Record<string, unknown> | undefined {
  const kept = Object.entries(members).filter(([, value]) => value !== undefined);
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

function userProperties(random: Random): Record<string, string | string[]> {
  const many = Object.create(null) as Record<string, string | string[]>;
  many['k'] = random.chance(0.5) ? ['1', '2', ''] : 'ü';
  many[random.pick(words)] = random.pick(words);
  return many;
}

/** Random properties that a PUBLISH from a client may carry. */
export function publishProperties(random: Random): Record<string, unknown> | undefined {
  return compact({
    payloadFormatIndicator: maybe(random, random.chance(0.5)),
    messageExpiryInterval: maybe(random, random.below(4_294_967_296)),
    topicAlias: maybe(random, 1 + random.below(10)),
    responseTopic: maybe(random, randomTopic(random)),
    correlationData: maybe(random, random.bytes(random.below(20))),
    userProperties: maybe(random, userProperties(random)),
    contentType: maybe(random, random.pick(words)),
  });
}

function answerProperties(random: Random): Record<string, unknown> | undefined {
  return compact({
    reasonString: maybe(random, 'because'),
    userProperties: maybe(random, userProperties(random)),
  });
}

function withProperties(
  packet: object,
  version: ProtocolVersion,
  properties: Record<string, unknown> | undefined,
): Packet {
  const all = version === 5 && properties !== undefined ? { ...packet, properties } : packet;
  return all as Packet;
}

/** A random valid CONNECT. */
export function randomConnect(random: Random, version: ProtocolVersion): Packet {
  const userName = random.chance(0.5) ? random.pick(words) : undefined;
  const password = userName === undefined && version < 5 ? undefined : maybe(random, random.bytes(9));
  const will = compact({
    topic: randomTopic(random),
    payload: random.bytes(random.below(50)),
    qos: random.below(3),
    retain: random.chance(0.5),
    properties:
      version === 5
        ? compact({
            willDelayInterval: maybe(random, random.below(100)),
            messageExpiryInterval: maybe(random, random.below(100)),
            contentType: maybe(random, 'text'),
            userProperties: maybe(random, userProperties(random)),
          })
        : undefined,
  });
  return withProperties(
    compact({
      cmd: 'connect',
      protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
      protocolVersion: version,
      clean: random.chance(0.5),
      clientId: `c${random.below(1000)}`,
      keepalive: random.below(65_536),
      username: userName,
      // mqtt-packet cannot write a password without a user name.
      password: userName === undefined ? undefined : password,
      will: random.chance(0.5) ? will : undefined,
    })!,
    version,
    compact({
      sessionExpiryInterval: maybe(random, random.below(4_294_967_296)),
      receiveMaximum: maybe(random, 1 + random.below(65_535)),
      maximumPacketSize: maybe(random, 1 + random.below(1_000_000)),
      topicAliasMaximum: maybe(random, random.below(65_536)),
      requestResponseInformation: maybe(random, random.chance(0.5)),
      requestProblemInformation: maybe(random, random.chance(0.5)),
      userProperties: maybe(random, userProperties(random)),
    }),
  );
}

/** A random valid packet that a client sends after CONNECT. */
export function randomPacket(random: Random, version: ProtocolVersion): Packet {
  const messageId = 1 + random.below(65_535);
  switch (random.below(8)) {
    case 0:
      return { cmd: 'pingreq' };
    case 1:
      return withProperties(
        {
          cmd: 'subscribe',
          messageId,
          subscriptions: Array.from({ length: 1 + random.below(4) }, () => ({
            topic: randomFilter(random),
            qos: random.below(3),
            ...(version === 5
              ? { nl: random.chance(0.5), rap: random.chance(0.5), rh: random.below(3) }
              : {}),
          })),
        },
        version,
        compact({
          subscriptionIdentifier: maybe(random, 1 + random.below(268_435_455)),
          userProperties: maybe(random, userProperties(random)),
        }),
      );
    case 2:
      return withProperties(
        {
          cmd: 'unsubscribe',
          messageId,
          unsubscriptions: Array.from({ length: 1 + random.below(4) }, () => randomFilter(random)),
        },
        version,
        compact({ userProperties: maybe(random, userProperties(random)) }),
      );
    case 3:
    case 4: {
      const cmd = random.pick(['puback', 'pubrec', 'pubrel', 'pubcomp']);
      const failure = cmd === 'puback' || cmd === 'pubrec' ? 0x97 : 0x92;
      const reasonCode = version === 5 && random.chance(0.5) ? failure : 0;
      return withProperties(
        { cmd, messageId, ...(version === 5 ? { reasonCode } : {}) },
        version,
        answerProperties(random),
      );
    }
    default: {
      const qos = random.below(3);
      const payload = random.bytes(random.chance(0.05) ? 20_000 : random.below(400));
      return withProperties(
        {
          cmd: 'publish',
          topic: randomTopic(random),
          qos,
          dup: qos > 0 && random.chance(0.3),
          retain: random.chance(0.3),
          payload,
          ...(qos > 0 ? { messageId } : {}),
        },
        version,
        publishProperties(random),
      );
    }
  }
}

/** The packet as bytes. */
export function toBytes(packet: Packet, version: ProtocolVersion): Buffer {
  return mqttPacket.generate(packet, { protocolVersion: version });
}

/** All packets in `bytes` as `mqtt-packet` reads them. */
export function readAll(bytes: Buffer, version: ProtocolVersion): Packet[] {
  const parser = mqttPacket.parser({ protocolVersion: version });
  const packets: Packet[] = [];
  parser.on('packet', (packet) => packets.push(packet));
  parser.on('error', (error) => {
    throw error;
  });
  parser.parse(bytes);
  return packets;
}
