/**
 * Properties as bytes: one pass that checks a range and notes what routing needs, and the
 * copy that drops what must not be stored. Every thread; no state but the given result object.
 *
 * A range that `scanProperties` let pass is well-formed, so later walks over it check nothing.
 * Nothing is decoded into objects: user properties keep their bytes and thus their order
 * [MQTT-3.3.2-18]. Source: MQTT 5.0 section 2.2.2 and the property rules of chapter 3.
 */
import { assert, ProtocolError } from '../base/error.js';
import { copyRange } from './bytes.js';
import { packetType } from './packet-type.js';
import { carriersById, nonZeroById, propertyId, propertyName, propertyType, typeById } from './property.js';
import { malformed, reasonCode, violation } from './reason-code.js';
import { isTopicNameBytes } from './topic.js';
import { isMqttUtf8 } from './utf8.js';
import { readVarint, varintSize } from './varint.js';

/** What one pass noted. One object is reused for all packets of a decoder: read it at once, keep nothing. */
export interface PropertyScan {
  /** Topic Alias, 1..65535; 0 when absent. */
  topicAlias: number;
  /** Message Expiry Interval in seconds, 0..4294967295; -1 when absent. */
  messageExpiryInterval: number;
  /** How many Subscription Identifiers there are; only a server sends them in PUBLISH. */
  subscriptionIdentifierCount: number;
  /** Bit n: a property with identifier n (below 32) is there. */
  seenLow: number;
  /** Bit n: a property with identifier 32 + n is there. */
  seenHigh: number;
}

/** A new result object in the state "no properties". */
export function createPropertyScan(): PropertyScan {
  return {
    topicAlias: 0,
    messageExpiryInterval: -1,
    subscriptionIdentifierCount: 0,
    seenLow: 0,
    seenHigh: 0,
  };
}

/** True when the scanned range had a property with this identifier. */
export function hasProperty(scan: PropertyScan, identifier: number): boolean {
  return (((identifier < 32 ? scan.seenLow : scan.seenHigh) >>> (identifier & 31)) & 1) === 1;
}

/**
 * Checks every property in `buffer[start, end)` for a `carrier` (a packet type, or
 * `willProperties`) and fills `scan`. Identifiers, types, repetition, lengths, UTF-8, value ranges
 * and the wildcards of a Response Topic are checked; who may send what is not.
 * Throws `ProtocolError`: 0x81 for what cannot be read, 0x82 for what is not allowed, 0x94 for
 * Topic Alias 0.
 */
export function scanProperties(
  buffer: Buffer,
  start: number,
  end: number,
  carrier: number,
  scan: PropertyScan,
): void {
  scan.topicAlias = 0;
  scan.messageExpiryInterval = -1;
  scan.subscriptionIdentifierCount = 0;
  let seenLow = 0;
  let seenHigh = 0;
  let pos = start;
  while (pos < end) {
    const identifier = buffer[pos++] as number;
    const type = typeById[identifier] as number;
    if (type === 0 || (((carriersById[identifier] as number) >> carrier) & 1) === 0) {
      throw malformed(`${propertyName(identifier)} is not a property of this packet`);
    }
    // User Property repeats anywhere, Subscription Identifier in PUBLISH.
    const bit = 1 << (identifier & 31);
    if (identifier < 32) {
      if ((seenLow & bit) !== 0) {
        if (identifier !== propertyId.subscriptionIdentifier || carrier !== packetType.publish) {
          throw violation(`${propertyName(identifier)} is there twice`);
        }
      }
      seenLow |= bit;
    } else {
      if ((seenHigh & bit) !== 0 && identifier !== propertyId.userProperty) {
        throw violation(`${propertyName(identifier)} is there twice`);
      }
      seenHigh |= bit;
    }
    let next: number;
    let value = -1;
    switch (type) {
      case propertyType.flag:
        next = pos + 1;
        if (next > end) throw cutOff(identifier);
        if ((buffer[pos] as number) > 1) throw violation(`${propertyName(identifier)} is neither 0 nor 1`);
        break;
      case propertyType.uint16:
        next = pos + 2;
        if (next > end) throw cutOff(identifier);
        value = ((buffer[pos] as number) << 8) | (buffer[pos + 1] as number);
        break;
      case propertyType.uint32:
        next = pos + 4;
        if (next > end) throw cutOff(identifier);
        value = readUint32(buffer, pos);
        break;
      case propertyType.varint:
        value = readVarint(buffer, pos, end);
        next = pos + varintSize(value);
        break;
      case propertyType.binary:
        next = fieldEnd(buffer, pos, end, identifier);
        break;
      case propertyType.string:
        next = fieldEnd(buffer, pos, end, identifier);
        checkString(buffer, pos + 2, next, identifier);
        break;
      default: {
        const middle = fieldEnd(buffer, pos, end, identifier);
        next = fieldEnd(buffer, middle, end, identifier);
        if (!isMqttUtf8(buffer, pos + 2, middle) || !isMqttUtf8(buffer, middle + 2, next)) {
          throw malformed('User Property is not a pair of well-formed UTF-8 strings', 'MQTT-1.5.7-1');
        }
      }
    }
    if (value === 0 && nonZeroById[identifier] === 1) throw zeroValue(identifier);
    if (identifier === propertyId.topicAlias) scan.topicAlias = value;
    else if (identifier === propertyId.messageExpiryInterval) scan.messageExpiryInterval = value;
    else if (identifier === propertyId.subscriptionIdentifier) scan.subscriptionIdentifierCount++;
    pos = next;
  }
  scan.seenLow = seenLow;
  scan.seenHigh = seenHigh;
}

/** Offset after the property that begins at `pos` (its identifier byte) in an already checked range. */
export function nextProperty(buffer: Buffer, pos: number, end: number): number {
  const at = pos + 1;
  const type = typeById[buffer[pos] as number];
  assert(type !== 0, 'walked properties that were not checked');
  switch (type) {
    case propertyType.flag:
      return at + 1;
    case propertyType.uint16:
      return at + 2;
    case propertyType.uint32:
      return at + 4;
    case propertyType.varint:
      return at + varintSize(readVarint(buffer, at, end));
    case propertyType.string:
    case propertyType.binary:
      return at + 2 + readUint16(buffer, at);
    default: {
      const middle = at + 2 + readUint16(buffer, at);
      return middle + 2 + readUint16(buffer, middle);
    }
  }
}

/**
 * Copies a checked range without Topic Alias (belongs to one connection [MQTT-3.3.2-7]), Subscription
 * Identifier (belongs to one delivery) and Message Expiry Interval (travels as a number, because it
 * shrinks while the message waits). The rest keeps its bytes and order. Writes at most `end - start`
 * bytes at `offset` and returns the offset after them. In place, with `offset` = `start`, is allowed.
 */
export function copyStoredProperties(
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  offset: number,
): number {
  let kept = start;
  let at = offset;
  for (let pos = start; pos < end;) {
    const next = nextProperty(source, pos, end);
    if (isDropped(source[pos] as number)) {
      at = copyRange(source, kept, pos, target, at);
      kept = next;
    }
    pos = next;
  }
  return copyRange(source, kept, end, target, at);
}

/** True when `copyStoredProperties` would drop nothing, so the range can be used as it is. */
export function isStoredForm(scan: PropertyScan): boolean {
  return scan.topicAlias === 0 && scan.messageExpiryInterval === -1 && scan.subscriptionIdentifierCount === 0;
}

/** `copyStoredProperties` into a new buffer of the exact size, for paths that are not hot. */
export function stripForStore(properties: Buffer): Buffer {
  const target = Buffer.allocUnsafe(properties.length);
  const end = copyStoredProperties(properties, 0, properties.length, target, 0);
  return target.subarray(0, end);
}

function isDropped(identifier: number): boolean {
  return (
    identifier === propertyId.topicAlias ||
    identifier === propertyId.messageExpiryInterval ||
    identifier === propertyId.subscriptionIdentifier
  );
}

function checkString(buffer: Buffer, start: number, end: number, identifier: number): void {
  if (!isMqttUtf8(buffer, start, end)) {
    throw malformed(`${propertyName(identifier)} is not well-formed UTF-8`, 'MQTT-1.5.4-1');
  }
  if (identifier === propertyId.responseTopic && !isTopicNameBytes(buffer, start, end)) {
    throw violation('Response Topic is empty or has a wildcard', 'MQTT-3.3.2-14');
  }
}

function fieldEnd(buffer: Buffer, pos: number, end: number, identifier: number): number {
  if (pos + 2 > end) throw cutOff(identifier);
  const next = pos + 2 + readUint16(buffer, pos);
  if (next > end) throw cutOff(identifier);
  return next;
}

function cutOff(identifier: number): ProtocolError {
  return malformed(`${propertyName(identifier)} is cut off`);
}

function zeroValue(identifier: number): ProtocolError {
  return identifier === propertyId.topicAlias
    ? new ProtocolError(reasonCode.topicAliasInvalid, 'Topic Alias is 0', 'MQTT-3.3.2-8')
    : violation(`${propertyName(identifier)} is 0`);
}

function readUint16(buffer: Buffer, at: number): number {
  return ((buffer[at] as number) << 8) | (buffer[at + 1] as number);
}

function readUint32(buffer: Buffer, at: number): number {
  return (
    (((buffer[at] as number) << 24) |
      ((buffer[at + 1] as number) << 16) |
      ((buffer[at + 2] as number) << 8) |
      (buffer[at + 3] as number)) >>>
    0
  );
}
