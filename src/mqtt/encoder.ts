/**
 * The encoder: hot packets straight into a given buffer, everything else by `mqtt-packet`.
 * Main thread (and any client in this process); no state.
 *
 * Invariant: every `write…` writes exactly as many bytes as its `…Size` said and returns the
 * offset after them, so that the caller reserves once and a turn's packets share one write.
 * Topic, properties and payload are copied as byte ranges; only the header, the packet id
 * and the properties of this one delivery are made here. It gives up checks: ranges come from
 * the decoder or the log and are trusted. Source: MQTT 5.0 sections 3.3 to 3.7.
 */
import mqttPacket from 'mqtt-packet';
import { assert } from '../base/error.js';
import { copyRange } from './bytes.js';
import type { ControlPacket } from './control-frame.js';
import { packetType } from './packet-type.js';
import type { AckType, ProtocolVersion } from './packet-type.js';
import { propertyId } from './property.js';
import { varintSize, writeVarint } from './varint.js';

// The cache would cost 65536 buffers per thread, for packets that are not hot.
mqttPacket.writeToStream.cacheNumbers = false;

/**
 * The MQTT 5 properties that belong to one delivery. Reuse one object: its fields are read
 * during the call only. Ignored before MQTT 5.
 */
export interface PublishExtras {
  /** Topic Alias to send, 0 for none. With an alias the topic range may be empty [MQTT-3.3.2-8]. */
  topicAlias: number;
  /** What is left of the Message Expiry Interval in seconds [MQTT-3.3.2-6]; -1 for none. */
  messageExpiryInterval: number;
  /** All Subscription Identifiers of the matching subscriptions, each at least 1 [MQTT-3.3.4-4]. */
  subscriptionIdentifiers: ArrayLike<number>;
  /** Encoded properties to add after the message's own ones; empty for none. */
  appended: Buffer;
}

const noIdentifiers: ArrayLike<number> = [];
const noBytes = Buffer.alloc(0);

/** A new object that adds nothing. */
export function createPublishExtras(): PublishExtras {
  return {
    topicAlias: 0,
    messageExpiryInterval: -1,
    subscriptionIdentifiers: noIdentifiers,
    appended: noBytes,
  };
}

/** `PublishExtras` that adds nothing, for the common delivery. */
export const noExtras: Readonly<PublishExtras> = Object.freeze(createPublishExtras());

/** Bytes of one Subscription Identifier property. */
function identifierSize(identifier: number): number {
  return 1 + varintSize(identifier);
}

function extrasSize(extras: Readonly<PublishExtras>): number {
  let size = extras.appended.length;
  if (extras.topicAlias !== 0) size += 3;
  if (extras.messageExpiryInterval >= 0) size += 5;
  const identifiers = extras.subscriptionIdentifiers;
  for (let i = 0; i < identifiers.length; i++) size += identifierSize(identifiers[i] as number);
  return size;
}

function publishRemaining(
  version: ProtocolVersion,
  qos: number,
  topicBytes: number,
  propertyBytes: number,
  payloadBytes: number,
  extras: Readonly<PublishExtras>,
): number {
  let size = 2 + topicBytes + payloadBytes;
  if (qos !== 0) size += 2;
  if (version === 5) {
    const properties = extras === noExtras ? propertyBytes : propertyBytes + extrasSize(extras);
    size += varintSize(properties) + properties;
  }
  return size;
}

/**
 * Whole size in bytes of the PUBLISH that `writePublish` would write. Compare it with the client's
 * Maximum Packet Size before anything else [MQTT-3.1.2-24].
 */
export function publishSize(
  version: ProtocolVersion,
  qos: number,
  topicBytes: number,
  propertyBytes: number,
  payloadBytes: number,
  extras: Readonly<PublishExtras>,
): number {
  const remaining = publishRemaining(version, qos, topicBytes, propertyBytes, payloadBytes, extras);
  return 1 + varintSize(remaining) + remaining;
}

/**
 * Writes a PUBLISH at `offset` and returns the offset after it. `flags` is the low nibble of the
 * first byte; its QoS decides whether `packetId` is written. The property range must be in the form
 * that `copyStoredProperties` leaves; it is left out before MQTT 5. `source` holds properties
 * and payload; the topic may come from another buffer. None of them may overlap `target`.
 */
export function writePublish(
  target: Buffer,
  offset: number,
  version: ProtocolVersion,
  flags: number,
  packetId: number,
  topic: Buffer,
  topicStart: number,
  topicEnd: number,
  source: Buffer,
  propertiesStart: number,
  propertiesEnd: number,
  payloadStart: number,
  payloadEnd: number,
  extras: Readonly<PublishExtras>,
): number {
  const qos = (flags >> 1) & 3;
  const topicBytes = topicEnd - topicStart;
  let at = offset;
  target[at++] = (packetType.publish << 4) | flags;
  at = writeVarint(
    target,
    at,
    publishRemaining(
      version,
      qos,
      topicBytes,
      propertiesEnd - propertiesStart,
      payloadEnd - payloadStart,
      extras,
    ),
  );
  target[at++] = topicBytes >> 8;
  target[at++] = topicBytes;
  const propertyBytes = propertiesEnd - propertiesStart;
  if (topic === source && extras === noExtras && propertiesEnd === payloadStart) {
    // When the gap between topic and properties is as wide as it must become, everything is already in
    // place: one copy instead of two, 11 instead of 7.5 M/s (bench/micro/mqtt/encoder.ts).
    let gap = qos === 0 ? 0 : 2;
    if (version === 5) gap += varintSize(propertyBytes);
    const kept = version === 5 ? propertiesStart : payloadStart;
    if (kept - topicEnd === gap) {
      const after = copyRange(source, topicStart, payloadEnd, target, at);
      at += topicBytes;
      if (qos !== 0) at = writeUint16(target, at, packetId);
      if (version === 5) writeVarint(target, at, propertyBytes);
      return after;
    }
  }
  at = copyRange(topic, topicStart, topicEnd, target, at);
  if (qos !== 0) at = writeUint16(target, at, packetId);
  if (version === 5) {
    if (extras === noExtras) {
      at = writeVarint(target, at, propertyBytes);
    } else {
      at = writeVarint(target, at, propertyBytes + extrasSize(extras));
      at = writeExtras(target, at, extras);
    }
    at = copyRange(source, propertiesStart, propertiesEnd, target, at);
    if (extras.appended.length > 0) {
      at = copyRange(extras.appended, 0, extras.appended.length, target, at);
    }
  }
  return copyRange(source, payloadStart, payloadEnd, target, at);
}

function writeUint16(target: Buffer, offset: number, value: number): number {
  target[offset] = value >> 8;
  target[offset + 1] = value;
  return offset + 2;
}

function writeExtras(target: Buffer, offset: number, extras: Readonly<PublishExtras>): number {
  let at = offset;
  if (extras.topicAlias !== 0) {
    target[at++] = propertyId.topicAlias;
    target[at++] = extras.topicAlias >> 8;
    target[at++] = extras.topicAlias;
  }
  if (extras.messageExpiryInterval >= 0) {
    target[at++] = propertyId.messageExpiryInterval;
    at = target.writeUInt32BE(extras.messageExpiryInterval, at);
  }
  const identifiers = extras.subscriptionIdentifiers;
  for (let i = 0; i < identifiers.length; i++) {
    target[at++] = propertyId.subscriptionIdentifier;
    at = writeVarint(target, at, identifiers[i] as number);
  }
  return at;
}

/** The largest size that `ackSize` answers. */
export const ackBytesMax = 5;

/** Size in bytes of what `writeAck` would write: 4, or 5 with a reason code other than success. */
export function ackSize(version: ProtocolVersion, reasonCode: number): number {
  return version === 5 && reasonCode !== 0 ? 5 : 4;
}

/**
 * Writes PUBACK, PUBREC, PUBREL or PUBCOMP at `offset` and returns the offset after it. The reason
 * code is left out when it is 0 and before MQTT 5, which knows no failure here.
 */
export function writeAck(
  target: Buffer,
  offset: number,
  type: AckType,
  version: ProtocolVersion,
  packetId: number,
  reasonCode: number,
): number {
  const withReason = version === 5 && reasonCode !== 0;
  target[offset] = type === packetType.pubrel ? (type << 4) | 2 : type << 4; // [MQTT-3.6.1-1]
  target[offset + 1] = withReason ? 3 : 2;
  target[offset + 2] = packetId >> 8;
  target[offset + 3] = packetId;
  if (!withReason) return offset + 4;
  target[offset + 4] = reasonCode;
  return offset + 5;
}

/** Size in bytes of a PINGREQ or PINGRESP. */
export const pingBytes = 2;

/** Writes a PINGRESP at `offset` and returns the offset after it [MQTT-3.12.4-1]. */
export function writePingresp(target: Buffer, offset: number): number {
  target[offset] = packetType.pingresp << 4;
  target[offset + 1] = 0;
  return offset + pingBytes;
}

/** Writes a PINGREQ at `offset` and returns the offset after it. */
export function writePingreq(target: Buffer, offset: number): number {
  target[offset] = packetType.pingreq << 4;
  target[offset + 1] = 0;
  return offset + pingBytes;
}

/**
 * Any packet, through `mqtt-packet`; a new buffer each time. CONNACK carries `returnCode` before
 * MQTT 5 and `reasonCode` in it. A packet that it cannot encode is our own fault and throws.
 */
export function encodePacket(packet: ControlPacket, version: ProtocolVersion): Buffer {
  const encoded = mqttPacket.generate(packet, { protocolVersion: version });
  assert(encoded.length >= 2, 'a packet that mqtt-packet cannot encode');
  return encoded;
}
