/**
 * What a will brings along as MQTT 5 properties, from the form of CONNECT to the form of a stored message. Main thread,
 * pure.
 *
 * Always true: what a subscriber gets is what the client gave, byte for byte and in its order [MQTT-3.1.3-10], without
 * Will Delay Interval and Message Expiry Interval, which travel as numbers. When only the decoded object is there, its
 * user properties come name by name. Source: MQTT 5.0 section 3.1.3.2.
 */
import type { IConnectPacket } from 'mqtt-packet';

import { nextProperty } from '../mqtt/property-scan.js';
import { propertyId } from '../mqtt/property.js';

/** A will as CONNECT decodes to it. */
export type Will = NonNullable<IConnectPacket['will']>;

/** A will whose property bytes, as they stood in CONNECT, are at hand. */
export type WillWithBytes = Will & {
  /** All will properties without their length, checked by the decoder. */
  readonly propertyBytes?: Buffer;
};

/** Longest text or binary value of a property. */
const valueBytesMax = 65_535;

/** The properties of a will in stored form; a new buffer. Empty for a client before MQTT 5. */
export function storedWillProperties(will: WillWithBytes): Buffer {
  return will.propertyBytes === undefined ? encoded(will) : filtered(will.propertyBytes);
}

function filtered(bytes: Buffer): Buffer {
  const kept: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const next = nextProperty(bytes, at, bytes.length);
    const id = bytes[at];
    if (id !== propertyId.willDelayInterval && id !== propertyId.messageExpiryInterval) {
      kept.push(bytes.subarray(at, next));
    }
    at = next;
  }
  return Buffer.concat(kept);
}

function encoded({ properties }: Will): Buffer {
  if (properties === undefined) return Buffer.alloc(0);
  const parts: Buffer[] = [];
  const { payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties } = properties;
  if (payloadFormatIndicator !== undefined) {
    parts.push(Buffer.from([propertyId.payloadFormatIndicator, Number(payloadFormatIndicator)]));
  }
  if (contentType !== undefined) parts.push(tag(propertyId.contentType), field(contentType));
  if (responseTopic !== undefined) parts.push(tag(propertyId.responseTopic), field(responseTopic));
  if (correlationData !== undefined) parts.push(tag(propertyId.correlationData), field(correlationData));
  for (const [name, values] of Object.entries(userProperties ?? {})) {
    for (const value of Array.isArray(values) ? values : [values]) {
      parts.push(tag(propertyId.userProperty), field(name), field(value));
    }
  }
  return Buffer.concat(parts);
}

function tag(id: number): Buffer {
  return Buffer.from([id]);
}

function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string).subarray(0, valueBytesMax);
  const sized = Buffer.allocUnsafe(2 + bytes.length);
  sized.writeUInt16BE(bytes.length, 0);
  bytes.copy(sized, 2);
  return sized;
}
