/**
 * The PUBLISH that decoder and encoder are measured with: 256 B of payload, a topic of 34 bytes, QoS 1. Bench process.
 *
 * Always true: the bytes are made by `mqtt-packet`, which is the other side of the comparison.
 */
import mqttPacket from 'mqtt-packet';
import type { IPublishPacket } from 'mqtt-packet';
import type { ProtocolVersion } from '../../../src/mqtt/packet-type.js';

/** Bytes of a read from a busy socket. */
export const chunkBytes = 65_536;
export const topicName = 'plant/7/line/3/sensor/temperature';
export const payloadBytes = 256;

/** The packet as `mqtt-packet` sees it. */
export function publishPacket(version: ProtocolVersion, hasProperties: boolean): IPublishPacket {
  return {
    cmd: 'publish',
    topic: topicName,
    payload: Buffer.alloc(payloadBytes, 0x61),
    qos: 1,
    dup: false,
    retain: false,
    messageId: 4711,
    ...(version === 5 && hasProperties
      ? { properties: { messageExpiryInterval: 60, userProperties: { unit: 'celsius' } } }
      : {}),
  };
}

/** The same as bytes. */
export function publishBytes(version: ProtocolVersion, hasProperties: boolean): Buffer {
  return mqttPacket.generate(publishPacket(version, hasProperties), { protocolVersion: version });
}

/** As many whole packets as fit a read. */
export function chunkOf(packet: Buffer): Buffer {
  return Buffer.concat(Array.from({ length: packetsPerChunk(packet) }, () => packet));
}

/** How many that are. */
export function packetsPerChunk(packet: Buffer): number {
  return Math.floor(chunkBytes / packet.length);
}
