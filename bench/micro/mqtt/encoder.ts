/**
 * Generating on one thread: PUBLISH and PUBACK into a write of 64 KiB, ours beside `mqtt-packet`. Bench process.
 *
 * Always true: the first and the last packet of every task are read back with `mqtt-packet` before it is timed. "From a
 * packet" means that the source still lies as it was received, so that topic to payload is one copy.
 */
import mqttPacket from 'mqtt-packet';
import type { Packet } from 'mqtt-packet';
import {
  createPublishExtras,
  noExtras,
  publishSize,
  writeAck,
  writePublish,
  type PublishExtras,
} from '../../../src/mqtt/encoder.js';
import { packetType, type ProtocolVersion } from '../../../src/mqtt/packet-type.js';
import { measure, same, type Figure, type Task } from '../measure.js';
import { chunkBytes, chunkOf, payloadBytes, publishBytes, publishPacket, topicName } from './packet.js';

const topicBytes = topicName.length;
/** First byte, two bytes of remaining length, two of topic length. */
const topicAt = 5;
/** A user property: identifier, two lengths, `unit` and `celsius`. */
const userPropertyBytes = 1 + 2 + 4 + 2 + 7;

interface Case {
  readonly name: string;
  readonly version: ProtocolVersion;
  /** The source lies as received. */
  readonly isInPlace: boolean;
  readonly hasProperties: boolean;
  readonly extras: Readonly<PublishExtras>;
}

function ours({ name, version, isInPlace, hasProperties, extras }: Case): Task {
  const packet = publishBytes(version, hasProperties);
  const source = chunkOf(packet);
  const topic = isInPlace ? source : Buffer.from(source);
  const propertyBytes = hasProperties ? userPropertyBytes : 0;
  const size = publishSize(version, 1, topicBytes, propertyBytes, payloadBytes, extras);
  const packets = Math.min(Math.floor(chunkBytes / size), source.length / packet.length);
  const target = Buffer.alloc(chunkBytes);
  const run = (): void => {
    let offset = 0;
    for (let i = 0; i < packets; i++) {
      const topicStart = i * packet.length + topicAt;
      const payloadStart = (i + 1) * packet.length - payloadBytes;
      const payloadEnd = payloadStart + payloadBytes;
      offset = writePublish(
        target,
        offset,
        version,
        2,
        i + 1,
        topic,
        topicStart,
        topicStart + topicBytes,
        source,
        payloadStart - propertyBytes,
        payloadStart,
        payloadStart,
        payloadEnd,
        extras,
      );
    }
    same(`${name}: bytes`, offset, packets * size);
  };
  run();
  const read = parsed(target.subarray(0, packets * size), version);
  same(`${name}: packets`, read.length, packets);
  for (const [index, id] of [
    [0, 1],
    [-1, packets],
  ] as const) {
    const found = read.at(index);
    if (found?.cmd !== 'publish') throw new Error(`${name}: not a PUBLISH`);
    same(`${name}: topic`, found.topic, topicName);
    same(`${name}: payload`, found.payload.toString(), 'a'.repeat(payloadBytes));
    same(`${name}: packet id`, found.messageId, id);
    same(
      `${name}: user property`,
      found.properties?.userProperties?.['unit'],
      hasProperties ? 'celsius' : undefined,
    );
  }
  return { name, operations: packets, run };
}

function parsed(bytes: Buffer, version: ProtocolVersion): Packet[] {
  const packets: Packet[] = [];
  const parser = mqttPacket.parser({ protocolVersion: version });
  parser.on('packet', (packet) => packets.push(packet));
  parser.parse(bytes);
  return packets;
}

function theirs(name: string, packet: Packet, version: ProtocolVersion): Task {
  const operations = 100;
  const settings = { protocolVersion: version };
  const bytes = mqttPacket.generate(packet, settings).length;
  return {
    name: `mqtt-packet: ${name}`,
    operations,
    run() {
      let sum = 0;
      for (let i = 0; i < operations; i++) sum += mqttPacket.generate(packet, settings).length;
      same(`mqtt-packet: ${name}: bytes`, sum, operations * bytes);
    },
  };
}

function acks(): Task {
  const target = Buffer.alloc(chunkBytes);
  const operations = chunkBytes / 4 - 1;
  return {
    name: 'generate PUBACK',
    operations,
    run() {
      let offset = 0;
      for (let i = 1; i <= operations; i++) offset = writeAck(target, offset, packetType.puback, 4, i, 0);
      same('PUBACK: packet id of the last', target.readUInt16BE(offset - 2), operations);
    },
  };
}

/** Operations are packets. */
export function benchEncoder(scale: number): Figure[] {
  const identified = createPublishExtras();
  identified.subscriptionIdentifiers = [5];
  identified.messageExpiryInterval = 60;
  const plain = { hasProperties: false, extras: noExtras };
  const cases: readonly Case[] = [
    {
      name: 'generate PUBLISH 256 B QoS 1, 3.1.1, from a packet',
      version: 4,
      isInPlace: true,
      ...plain,
    },
    { name: 'generate PUBLISH 256 B QoS 1, 3.1.1', version: 4, isInPlace: false, ...plain },
    { name: 'generate PUBLISH 256 B QoS 1, 5.0, from a packet', version: 5, isInPlace: true, ...plain },
    { name: 'generate PUBLISH 256 B QoS 1, 5.0', version: 5, isInPlace: false, ...plain },
    {
      name: 'generate PUBLISH 256 B QoS 1, 5.0, user property, expiry, identifier',
      version: 5,
      isInPlace: true,
      hasProperties: true,
      extras: identified,
    },
  ];
  return measure(scale, [
    ...cases.map((one) => ours(one)),
    theirs('generate PUBLISH 256 B QoS 1, 3.1.1', publishPacket(4, false), 4),
    theirs('generate PUBLISH 256 B QoS 1, 5.0', publishPacket(5, false), 5),
    theirs('generate PUBLISH 256 B QoS 1, 5.0, user property, expiry', publishPacket(5, true), 5),
    acks(),
    theirs('generate PUBACK', { cmd: 'puback', messageId: 4711 }, 4),
  ]);
}
