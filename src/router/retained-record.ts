/**
 * A retained message as the bytes of its row in the log. Main thread, pure.
 *
 * | offset | size | field                                                            |
 * | ------ | ---- | ---------------------------------------------------------------- |
 * | 0      | 1    | version: 1                                                       |
 * | 1      | 1    | QoS of the publish, 0 to 2                                       |
 * | 2      | 2    | topic length                                                     |
 * | 4      | 4    | properties length                                                |
 * | 8      | 8    | f64: expires at, Unix ms; Infinity = does not expire             |
 * | 16     |      | topic, properties (in stored form), payload up to the end        |
 *
 * Always true: numbers are little-endian; what `decodeRetained` lets pass can be sent as it is: the topic is a topic
 * name, the properties are well-formed PUBLISH properties, the payload is not empty. Anything else reads as undefined.
 */
import { copyRange } from '../mqtt/bytes.js';
import { packetType } from '../mqtt/packet-type.js';
import { createPropertyScan, isStoredForm, scanProperties } from '../mqtt/property-scan.js';
import { isTopicNameBytes } from '../mqtt/topic.js';
import type { PublishRanges } from '../shard/link.js';

/** Bytes of a row besides topic, properties and payload. */
export const retainedHeaderBytes = 16;
const formatVersion = 1;

/** Writes the row of a message into `target`, which must be large enough, and returns its length. */
export function encodeRetained(message: PublishRanges, expiresAtUnixMs: number, target: Buffer): number {
  const { topicStart, topicEnd, propertiesStart, propertiesEnd } = message;
  target[0] = formatVersion;
  target[1] = message.flags & 3;
  target.writeUInt16LE(topicEnd - topicStart, 2);
  target.writeUInt32LE(propertiesEnd - propertiesStart, 4);
  target.writeDoubleLE(expiresAtUnixMs, 8);
  let at = copyRange(message.topicBuffer, topicStart, topicEnd, target, retainedHeaderBytes);
  at = copyRange(message.propertiesBuffer, propertiesStart, propertiesEnd, target, at);
  return copyRange(message.payloadBuffer, message.payloadStart, message.payloadEnd, target, at);
}

/** A row taken apart; the ranges point into `buffer`. */
export interface RetainedRecord {
  readonly buffer: Buffer;
  readonly qos: number;
  readonly topicStart: number;
  readonly propertiesStart: number;
  readonly payloadStart: number;
  /** Unix ms; Infinity = does not expire. */
  readonly expiresAtUnixMs: number;
}

const scan = createPropertyScan();

/** The inverse of `encodeRetained`; undefined for bytes that are no retained message. */
export function decodeRetained(value: Uint8Array): RetainedRecord | undefined {
  const buffer = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (buffer.length < retainedHeaderBytes || buffer[0] !== formatVersion) return undefined;
  const qos = buffer[1]!;
  const topicStart = retainedHeaderBytes;
  const propertiesStart = topicStart + buffer.readUInt16LE(2);
  const payloadStart = propertiesStart + buffer.readUInt32LE(4);
  const expiresAtUnixMs = buffer.readDoubleLE(8);
  if (qos > 2 || payloadStart >= buffer.length || !(expiresAtUnixMs > 0)) return undefined;
  if (!isTopicNameBytes(buffer, topicStart, propertiesStart)) return undefined;
  if (!areStoredProperties(buffer, propertiesStart, payloadStart)) return undefined;
  return { buffer, qos, topicStart, propertiesStart, payloadStart, expiresAtUnixMs };
}

function areStoredProperties(buffer: Buffer, start: number, end: number): boolean {
  if (start === end) return true;
  try {
    scanProperties(buffer, start, end, packetType.publish, scan);
  } catch {
    return false;
  }
  return isStoredForm(scan);
}
