/**
 * A will as a row of the log: the message, who it belongs to, and when it is due. Main thread, pure.
 *
 * | at | bytes | field |
 * | --- | --- | --- |
 * | 0 | 1 | version, 1 |
 * | 1 | 1 | bits 0 and 1 QoS, bit 2 retain, bit 3 there is a user name |
 * | 2 | 1 | protocol version of the client |
 * | 3 | 1 | 0 |
 * | 4 | 4 | Will Delay Interval, seconds |
 * | 8 | 4 | Session Expiry Interval, seconds; 4294967295 for ever |
 * | 12 | 4 | Message Expiry Interval, seconds; 0 does not expire |
 * | 16 | 8 | due, Unix ms as float64; 0 while the client is connected |
 * | 24 | 8 | lengths of client id, user name, peer name, topic, 2 each |
 * | 32 | 4 | length of the properties |
 * | 36 | … | client id, user name, peer name, topic, properties, payload |
 *
 * All numbers are big-endian. Always true: what `decodeWill` answers is within the bytes it was given, and bytes that
 * are no record of a known version answer undefined. It is not checked again what the decoder of CONNECT has checked.
 */
import type { LocalMessage } from './local-publisher.js';

/** A will with what decides its time. */
export interface WillRecord extends LocalMessage {
  /** Will Delay Interval, seconds. */
  readonly delayS: number;
  /** Session Expiry Interval as granted, seconds; Infinity = for ever. */
  readonly sessionExpiryS: number;
  /** Unix ms; 0 while the client is connected. */
  readonly dueUnixMs: number;
}

const formatVersion = 1;
const dueAt = 16;
const headerBytes = 36;
const never = 0xffff_ffff;
const textBytesMax = 0xffff;
const flag = { qosMask: 3, retain: 4, username: 8 } as const;

/** The row of a will; a new buffer. */
export function encodeWill(will: WillRecord): Buffer {
  const clientId = textOf(will.clientId);
  const username = textOf(will.username ?? '');
  const peername = textOf(will.peername);
  const topic = textOf(will.topic);
  const header = Buffer.alloc(headerBytes);
  header[0] = formatVersion;
  header[1] = will.qos | (will.retain ? flag.retain : 0) | (will.username === undefined ? 0 : flag.username);
  header[2] = will.protocolVersion;
  header.writeUInt32BE(will.delayS, 4);
  header.writeUInt32BE(Math.min(will.sessionExpiryS, never), 8);
  header.writeUInt32BE(will.messageExpiryInterval, 12);
  header.writeDoubleBE(will.dueUnixMs, dueAt);
  header.writeUInt16BE(clientId.length, 24);
  header.writeUInt16BE(username.length, 26);
  header.writeUInt16BE(peername.length, 28);
  header.writeUInt16BE(topic.length, 30);
  header.writeUInt32BE(will.properties.length, 32);
  const parts = [header, clientId, username, peername, topic, will.properties, will.payload];
  // Not from the pool: the row is kept as long as the client is connected.
  const row = Buffer.allocUnsafeSlow(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) at += part.copy(row, at);
  return row;
}

/** What is longer than its length field can say did not come from a packet; its beginning will do. */
function textOf(text: string): Buffer {
  return Buffer.from(text).subarray(0, textBytesMax);
}

/** The will of a row, as views of `row`; undefined when the bytes are not one. */
export function decodeWill(row: Uint8Array): WillRecord | undefined {
  const bytes = Buffer.from(row.buffer, row.byteOffset, row.length);
  if (bytes.length < headerBytes || bytes[0] !== formatVersion) return undefined;
  const flags = bytes[1] as number;
  const clientIdEnd = headerBytes + bytes.readUInt16BE(24);
  const usernameEnd = clientIdEnd + bytes.readUInt16BE(26);
  const peernameEnd = usernameEnd + bytes.readUInt16BE(28);
  const topicEnd = peernameEnd + bytes.readUInt16BE(30);
  const propertiesEnd = topicEnd + bytes.readUInt32BE(32);
  const dueUnixMs = bytes.readDoubleBE(dueAt);
  const qos = flags & flag.qosMask;
  if (propertiesEnd > bytes.length || topicEnd === peernameEnd || qos === 3 || !(dueUnixMs >= 0)) {
    return undefined;
  }
  const sessionExpiryS = bytes.readUInt32BE(8);
  return {
    clientId: bytes.toString('utf8', headerBytes, clientIdEnd),
    username: (flags & flag.username) === 0 ? undefined : bytes.toString('utf8', clientIdEnd, usernameEnd),
    peername: bytes.toString('utf8', usernameEnd, peernameEnd),
    protocolVersion: bytes[2] as number,
    topic: bytes.toString('utf8', peernameEnd, topicEnd),
    payload: bytes.subarray(propertiesEnd),
    qos,
    retain: (flags & flag.retain) !== 0,
    properties: bytes.subarray(topicEnd, propertiesEnd),
    messageExpiryInterval: bytes.readUInt32BE(12),
    delayS: bytes.readUInt32BE(4),
    sessionExpiryS: sessionExpiryS === never ? Number.POSITIVE_INFINITY : sessionExpiryS,
    dueUnixMs,
  };
}
