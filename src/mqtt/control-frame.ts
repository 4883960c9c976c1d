/**
 * Control frames: complete packets that are not hot, checked byte by byte and then turned
 * into an object by `mqtt-packet`. Every thread, no state.
 *
 * `mqtt-packet` reads what it finds; the walk before it holds the packet to the
 * specification: lengths that add up to the last byte, flags, UTF-8, packet ids, properties,
 * reason codes. So a frame that reaches `mqtt-packet` is known to be well-formed, and a
 * refusal there is our own fault. It gives up speed: these packets come once per connection
 * or subscription. Source: MQTT 5.0 chapter 3, 3.1.1 chapter 3, 3.1 chapter 3.
 */
import mqttPacket from 'mqtt-packet';
import type { Packet } from 'mqtt-packet';
import { AssertionError, assert, ProtocolError } from '../base/error.js';
import { dupFlag, packetName, packetType } from './packet-type.js';
import type { ProtocolVersion } from './packet-type.js';
import { createPropertyScan, hasProperty, scanProperties } from './property-scan.js';
import { propertyId, willProperties } from './property.js';
import { malformed, mayCarry, reasonCode, violation } from './reason-code.js';
import { isTopicNameBytes, sharePrefix, topicNameBytesFault } from './topic.js';
import { hasControlCharacter, isMqttUtf8 } from './utf8.js';
import { readVarint, varintSize } from './varint.js';

/** A control packet as an object, in the shape of `mqtt-packet`. */
export type ControlPacket = Packet;

const connectFlag = {
  reserved: 0x01,
  will: 0x04,
  willQos: 0x18,
  willRetain: 0x20,
  password: 0x40,
  userName: 0x80,
} as const;

/**
 * Checks and parses one complete frame. `frame` must begin at the fixed header, end with the
 * packet and belong to the caller: Buffers in the result are views of it, and the DUP bit of
 * MQTT 3.1 is cleared in place. `version` is the connection's; a CONNECT brings its own.
 * Throws `ProtocolError` for every breach.
 */
export function parseControlFrame(frame: Buffer, version: ProtocolVersion): ControlPacket {
  const type = (frame[0] as number) >> 4;
  const reader = new FrameReader(frame, version);
  let parseVersion = version;
  if (type === packetType.connect) parseVersion = checkConnect(reader);
  else check(type, reader);
  reader.checkEnd(packetName(type));

  if (type === packetType.auth && reader.isEmpty) {
    // A bare AUTH means success [MQTT-3.15.2-1], which mqtt-packet cannot read.
    return { cmd: 'auth', reasonCode: reasonCode.success };
  }
  // MQTT 3.1 allows DUP on these three; mqtt-packet knows only the later rule.
  if (parseVersion === 3) frame[0] = (frame[0] as number) & ~dupFlag;
  const packet = parseChecked(frame, parseVersion);
  if (packet.cmd === 'connect' && packet.will !== undefined && reader.willPropertyBytes !== undefined) {
    // Not enumerable: the packet stays what mqtt-packet would write; only the bytes keep the order [MQTT-3.1.3-10].
    Object.defineProperty(packet.will, 'propertyBytes', { value: reader.willPropertyBytes });
  }
  return packet;
}

/**
 * The protocol level byte of a CONNECT frame that may be incomplete or wrong, or 0 when it cannot be told or the
 * protocol is another one. A server uses it to choose the form of the CONNACK that refuses the frame.
 */
export function connectLevel(frame: Buffer): ProtocolVersion | 0 {
  const at = headerSize(frame);
  if ((frame[0] as number) >> 4 !== packetType.connect || at === 0 || at + 2 > frame.length) return 0;
  const nameEnd = at + 2 + frame.readUInt16BE(at);
  if (!isProtocolName(frame.toString('latin1', at + 2, nameEnd))) return 0;
  const level = frame[nameEnd];
  return level === 3 || level === 4 || level === 5 ? level : 0;
}

function isProtocolName(name: string): boolean {
  return name === 'MQTT' || name === 'MQIsdp';
}

function headerSize(frame: Buffer): number {
  for (let at = 1; at < frame.length && at <= 4; at++) {
    if ((frame[at] as number) < 128) return at + 1;
  }
  return 0;
}

function check(type: number, reader: FrameReader): void {
  switch (type) {
    case packetType.subscribe:
      return checkSubscribe(reader);
    case packetType.unsubscribe:
      return checkUnsubscribe(reader);
    case packetType.disconnect:
      return checkReasonAndProperties(reader, packetType.disconnect, 'MQTT-3.14.2-1');
    case packetType.auth:
      return checkAuth(reader);
    case packetType.connack:
      return checkConnack(reader);
    case packetType.suback:
      return checkSuback(reader);
    case packetType.unsuback:
      return checkUnsuback(reader);
    default:
      assert(false, 'a control frame of a type that has no walk');
  }
}

/** Answers the version, which decides how the rest of the connection is read. */
function checkConnect(reader: FrameReader): ProtocolVersion {
  const name = reader.text('protocol name');
  // Another protocol gets no answer: its client would not understand it.
  if (!isProtocolName(name)) throw malformed('protocol name is not "MQTT"', 'MQTT-3.1.2-1');
  const level = reader.uint8('protocol version');
  if (name === 'MQIsdp' ? level !== 3 : level !== 4 && level !== 5) {
    throw unsupported(`protocol version ${level} is not supported`, 'MQTT-3.1.2-2');
  }
  const version = level as ProtocolVersion;
  reader.setVersion(version);
  const flags = reader.uint8('connect flags');
  checkConnectFlags(flags, version);
  reader.skip(2, 'keep alive');
  if (version === 5) {
    const scan = reader.properties(packetType.connect);
    if (
      hasProperty(scan, propertyId.authenticationData) &&
      !hasProperty(scan, propertyId.authenticationMethod)
    ) {
      throw violation('Authentication Data without Authentication Method');
    }
  }
  if (!reader.isName('client identifier', 'MQTT-3.1.3-4')) {
    const message = 'client identifier is not well-formed UTF-8 or has a control character';
    if (version < 5) throw malformed(message, 'MQTT-3.1.3-4');
    throw new ProtocolError(reasonCode.clientIdentifierNotValid, message, 'MQTT-3.1.3-4');
  }
  if ((flags & connectFlag.will) !== 0) {
    if (version === 5) reader.properties(willProperties);
    reader.topicName('will topic', 'MQTT-3.1.3-11');
    reader.binary('will payload', 'MQTT-3.1.2-9');
  }
  if ((flags & connectFlag.userName) !== 0) reader.name('user name', 'MQTT-3.1.3-12');
  if ((flags & connectFlag.password) !== 0) reader.binary('password', 'MQTT-3.1.2-19');
  return version;
}

function checkConnectFlags(flags: number, version: ProtocolVersion): void {
  if ((flags & connectFlag.reserved) !== 0) {
    throw malformed('reserved connect flag is set', 'MQTT-3.1.2-3');
  }
  if ((flags & connectFlag.will) === 0) {
    if ((flags & connectFlag.willQos) !== 0) {
      throw malformed('Will QoS without will', 'MQTT-3.1.2-11');
    }
    if ((flags & connectFlag.willRetain) !== 0) {
      throw malformed('Will Retain without will', 'MQTT-3.1.2-13');
    }
  } else if ((flags & connectFlag.willQos) === connectFlag.willQos) {
    throw malformed('Will QoS is 3', 'MQTT-3.1.2-12');
  }
  if (version < 5 && (flags & connectFlag.password) !== 0 && (flags & connectFlag.userName) === 0) {
    // MQTT 5 gave this up; 3.1 and 3.1.1 demand it (3.1.1 section 3.1.2.9).
    throw malformed('password without user name', 'MQTT-3.1.4-1');
  }
}

function checkSubscribe(reader: FrameReader): void {
  reader.packetId('MQTT-2.2.1-3');
  if (reader.version === 5) reader.properties(packetType.subscribe);
  if (reader.isAtEnd) throw violation('SUBSCRIBE without a topic filter', 'MQTT-3.8.3-2');
  const reserved = reader.version === 5 ? 0xc0 : 0xfc;
  while (!reader.isAtEnd) {
    const filterStart = reader.topicFilter('MQTT-3.8.3-1');
    const options = reader.uint8('subscription options');
    if ((options & reserved) !== 0) {
      throw malformed('reserved bits of the subscription options are set', 'MQTT-3.8.3-5');
    }
    if ((options & 3) === 3) throw violation('subscription asks for QoS 3');
    if (((options >> 4) & 3) === 3) throw violation('Retain Handling is 3');
    if ((options & 4) !== 0 && reader.startsWith(filterStart, sharePrefix)) {
      throw violation('No Local on a shared subscription', 'MQTT-3.8.3-4');
    }
  }
}

function checkUnsubscribe(reader: FrameReader): void {
  reader.packetId('MQTT-2.2.1-3');
  if (reader.version === 5) reader.properties(packetType.unsubscribe);
  if (reader.isAtEnd) throw violation('UNSUBSCRIBE without a topic filter', 'MQTT-3.10.3-2');
  while (!reader.isAtEnd) reader.topicFilter('MQTT-3.10.3-1');
}

function checkReasonAndProperties(reader: FrameReader, type: number, clause: string): void {
  // Before MQTT 5 the packet has no body, which `checkEnd` sees to.
  if (reader.version !== 5 || reader.isAtEnd) return;
  reader.reason(type, clause);
  if (!reader.isAtEnd) reader.properties(type);
}

function checkAuth(reader: FrameReader): void {
  if (reader.isAtEnd) return;
  reader.reason(packetType.auth, 'MQTT-3.15.2-1');
  const scan = reader.properties(packetType.auth);
  if (!hasProperty(scan, propertyId.authenticationMethod)) {
    throw violation('AUTH without Authentication Method');
  }
}

function checkConnack(reader: FrameReader): void {
  const flags = reader.uint8('acknowledge flags');
  if (flags > 1) throw malformed('reserved acknowledge flags are set', 'MQTT-3.2.2-1');
  if (reader.version === 5) {
    reader.reason(packetType.connack, 'MQTT-3.2.2-8');
    reader.properties(packetType.connack);
  } else if (reader.uint8('return code') > 5) {
    throw malformed('return code is reserved');
  }
}

function checkSuback(reader: FrameReader): void {
  reader.packetId('MQTT-3.8.4-2');
  if (reader.version === 5) reader.properties(packetType.suback);
  if (reader.isAtEnd) throw malformed('SUBACK without a reason code', 'MQTT-3.8.4-6');
  while (!reader.isAtEnd) {
    if (reader.version === 5) {
      reader.reason(packetType.suback, 'MQTT-3.9.3-2');
    } else {
      const code = reader.uint8('return code');
      if (code > 2 && code !== 0x80) throw malformed('return code is reserved', 'MQTT-3.9.3-2');
    }
  }
}

function checkUnsuback(reader: FrameReader): void {
  reader.packetId('MQTT-3.10.4-5');
  if (reader.version !== 5) return;
  reader.properties(packetType.unsuback);
  if (reader.isAtEnd) throw malformed('UNSUBACK without a reason code', 'MQTT-3.11.3-2');
  while (!reader.isAtEnd) reader.reason(packetType.unsuback, 'MQTT-3.11.3-2');
}

function parseChecked(frame: Buffer, version: ProtocolVersion): ControlPacket {
  let parsed: ControlPacket | undefined;
  let fault: unknown;
  const parser = mqttPacket.parser({ protocolVersion: version });
  parser.on('packet', (packet) => {
    parsed = packet;
  });
  parser.on('error', (error) => {
    fault = error;
  });
  parser.parse(frame);
  if (parsed === undefined || fault !== undefined) {
    throw new AssertionError('mqtt-packet refused a frame that passed the checks', {
      cause: fault,
    });
  }
  return parsed;
}

function unsupported(message: string, clause: string): ProtocolError {
  return new ProtocolError(reasonCode.unsupportedProtocolVersion, message, clause);
}

/** A cursor over the body of one frame; every read checks the bound first. */
class FrameReader {
  /** True when the packet has no body. */
  readonly isEmpty: boolean;
  /** The will properties of a CONNECT as they stand in the frame, copied. */
  willPropertyBytes: Buffer | undefined;
  private readonly frame: Buffer;
  private readonly header: number;
  private pos: number;
  /** Where the bytes of the last length-prefixed field begin. */
  private fieldStart = 0;
  private currentVersion: ProtocolVersion;

  constructor(frame: Buffer, version: ProtocolVersion) {
    this.frame = frame;
    this.header = headerSize(frame);
    assert(this.header !== 0, 'a control frame without a complete header');
    this.pos = this.header;
    this.isEmpty = this.pos === frame.length;
    this.currentVersion = version;
  }

  get version(): ProtocolVersion {
    return this.currentVersion;
  }

  /** A CONNECT tells its version late; only then the length rule of MQTT 5 can be applied to it. */
  setVersion(version: ProtocolVersion): void {
    this.currentVersion = version;
    if (version === 5) readVarint(this.frame, 1, this.header);
  }

  get isAtEnd(): boolean {
    return this.pos === this.frame.length;
  }

  checkEnd(name: string): void {
    if (!this.isAtEnd) throw malformed(`${name} has bytes after its last field`);
  }

  skip(bytes: number, field: string): void {
    if (this.pos + bytes > this.frame.length) throw malformed(`${field} is cut off`);
    this.pos += bytes;
  }

  uint8(field: string): number {
    this.skip(1, field);
    return this.frame[this.pos - 1] as number;
  }

  packetId(clause: string): void {
    this.skip(2, 'packet identifier');
    if (this.frame.readUInt16BE(this.pos - 2) === 0) {
      throw malformed('packet identifier is 0', clause);
    }
  }

  reason(type: number, clause: string): void {
    const code = this.uint8('reason code');
    if (!mayCarry(type, code)) {
      throw violation(`reason code ${code} is not one of ${packetName(type)}`, clause);
    }
  }

  /** Checks a length-prefixed string and answers where its bytes begin. */
  string(field: string, clause: string): number {
    const start = this.binary(field, clause);
    if (!isMqttUtf8(this.frame, start, this.pos)) {
      throw malformed(`${field} is not well-formed UTF-8`, clause);
    }
    return start;
  }

  /** Reads a string; false when it is not well-formed or has a control character. */
  isName(field: string, clause: string): boolean {
    const start = this.binary(field, clause);
    return isMqttUtf8(this.frame, start, this.pos) && !hasControlCharacter(this.frame, start, this.pos);
  }

  name(field: string, clause: string): void {
    if (!this.isName(field, clause)) {
      throw malformed(`${field} is not well-formed UTF-8 or has a control character`, clause);
    }
  }

  /** Checks a topic filter as a string, not its wildcards, and answers where its bytes begin. */
  topicFilter(clause: string): number {
    this.name('topic filter', clause);
    const start = this.fieldStart;
    if (start === this.pos) throw malformed('topic filter is empty', 'MQTT-4.7.3-1');
    return start;
  }

  text(field: string): string {
    return this.frame.toString('utf8', this.string(field, 'MQTT-1.5.4-1'), this.pos);
  }

  topicName(field: string, clause: string): void {
    const start = this.string(field, clause);
    if (start === this.pos) throw violation(`${field} is empty`, 'MQTT-4.7.3-1');
    if (!isTopicNameBytes(this.frame, start, this.pos)) {
      const fault = topicNameBytesFault(this.frame, start, this.pos);
      throw malformed(`${field}: ${fault.message}`, fault.clause);
    }
  }

  /** Checks a length-prefixed field and answers where its bytes begin. */
  binary(field: string, clause: string): number {
    this.skip(2, field);
    const start = this.pos;
    this.fieldStart = start;
    const length = this.frame.readUInt16BE(start - 2);
    if (start + length > this.frame.length) throw malformed(`${field} is cut off`, clause);
    this.pos = start + length;
    return start;
  }

  properties(carrier: number): ReturnType<typeof createPropertyScan> {
    const length = readVarint(this.frame, this.pos, this.frame.length);
    const start = this.pos + varintSize(length);
    if (start + length > this.frame.length) throw malformed('properties are cut off');
    const scan = createPropertyScan();
    scanProperties(this.frame, start, start + length, carrier, scan);
    if (carrier === willProperties) {
      this.willPropertyBytes = Buffer.from(this.frame.subarray(start, start + length));
    }
    this.pos = start + length;
    return scan;
  }

  startsWith(start: number, prefix: string): boolean {
    return this.frame.toString('latin1', start, start + prefix.length) === prefix;
  }
}
