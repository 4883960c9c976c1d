/**
 * The incremental decoder of one connection: bytes in, sink calls out. Main thread (and any
 * client in this process).
 *
 * Invariant: every byte given to `write` is delivered exactly once, in order, or waits in the
 * carry-over buffer; nothing of a chunk is referenced after `write` returns. Hot packets are
 * numbers and byte ranges, no object per packet; the plain equivalent, `mqtt-packet`, is
 * the oracle of its test (4 to 10 times slower, bench/micro/mqtt/decoder.ts). It gives up nothing of the
 * checks: a breach throws `ProtocolError` and closes the decoder.
 * Source: MQTT 5.0 chapters 2 and 3, 3.1.1, 3.1.
 */
import { assert, ProtocolError } from '../base/error.js';
import { CarryOver, type BufferPool } from './carry-over.js';
import { connectLevel, parseControlFrame } from './control-frame.js';
import type { ControlPacket } from './control-frame.js';
import {
  fixedFlags,
  flagsClause,
  frameKind,
  kindsBeforeConnect,
  kindsFor,
  packetName,
  packetType,
} from './packet-type.js';
import type { AckType, ProtocolVersion, Role } from './packet-type.js';
import { createPropertyScan, scanProperties } from './property-scan.js';
import type { PropertyScan } from './property-scan.js';
import { malformed, mayCarry, reasonCode, violation } from './reason-code.js';
import { isTopicNameBytes, topicNameBytesFault } from './topic.js';
import { readVarint, varintSize } from './varint.js';

/**
 * Whom the decoder calls. `true` means the packet was taken; `false` means it was not and must be
 * offered again, unchanged, by the next `resume()`. The scan is valid only during the call, a buffer until
 * `onRunEnd`; of a packet that it takes, a sink may overwrite the bytes. A sink may call `stop`, `close` and `setVersion`,
 * not `write` or `resume`.
 */
export interface PacketSink {
  /**
   * `flags` is the low nibble of the first byte (DUP, QoS, RETAIN). An empty topic range means that
   * `properties.topicAlias` names the topic; otherwise it is a valid topic name. `packetId` is 0
   * at QoS 0. The property range excludes its length and has been checked; it is empty before MQTT 5.
   */
  onPublish(
    buffer: Buffer,
    flags: number,
    topicStart: number,
    topicEnd: number,
    packetId: number,
    propertiesStart: number,
    propertiesEnd: number,
    payloadStart: number,
    payloadEnd: number,
    properties: Readonly<PropertyScan>,
  ): boolean;
  /** PUBACK, PUBREC, PUBREL or PUBCOMP; `reasonCode` is 0 where the packet has none. */
  onAck(
    type: AckType,
    packetId: number,
    reasonCode: number,
    buffer: Buffer,
    propertiesStart: number,
    propertiesEnd: number,
  ): boolean;
  /** PINGREQ at a server, PINGRESP at a client. */
  onPing(): boolean;
  /** Any other packet. `frame` is a copy of its bytes that the sink may keep. */
  onPacket(packet: ControlPacket, frame: Buffer): boolean;
  /** The buffer of the calls since the last `onRunEnd` is no longer valid. Must not throw. */
  onRunEnd(): void;
}

/**
 * `ready`: all complete packets are delivered, more bytes are welcome. `held`: the sink refused a
 * packet. `stopped`: the sink called `stop`. `slice-used`: the packet bound of one call was reached;
 * call `resume` in a later turn. `closed`: nothing is delivered any more.
 * In `held`, `stopped` and `slice-used` the reader should pause: what still comes in is carried over.
 */
export type DecoderState = 'ready' | 'held' | 'stopped' | 'slice-used' | 'closed';

/** Bounds and role of a decoder. */
export interface DecoderOptions {
  /** Default `server`: reads what clients send. */
  readonly role?: Role;
  /** Largest packet in bytes with its fixed header, after CONNECT; 0x95 beyond. */
  readonly maximumPacketSize: number;
  /** Largest CONNECT in bytes; default 64 KiB, never above `maximumPacketSize`. */
  readonly connectBytesMax?: number;
  /** Largest Topic Alias that is accepted; default 0, none. */
  readonly topicAliasMaximum?: number;
  /** Largest QoS of PUBLISH that is accepted; default 2. */
  readonly maximumQos?: number;
  /** Where buffers for what a pause keeps back come from; default: the heap. */
  readonly pool?: BufferPool;
  /** Packets delivered by one `write` or `resume`; default 512. */
  readonly packetsPerSliceMax?: number;
}

const defaultConnectBytesMax = 65_536;
const defaultPacketsPerSliceMax = 512;
const noProperties: Readonly<PropertyScan> = Object.freeze(createPropertyScan());

/** See the header. One per connection. */
export class Decoder {
  private readonly sink: PacketSink;
  private readonly role: Role;
  private readonly maximumPacketSize: number;
  private readonly topicAliasMaximum: number;
  private readonly packetsPerSliceMax: number;
  private readonly maximumQos: number;
  private readonly scan = createPropertyScan();
  private currentState: DecoderState = 'ready';
  private running = false;
  private version: ProtocolVersion = 4;
  private kinds: Uint8Array = kindsBeforeConnect;
  private frameBytesMax: number;
  private packetsLeft = 0;
  /** Undelivered bytes; in state `ready` they are one incomplete packet. */
  private readonly carry: CarryOver;
  private levelSeen: ProtocolVersion | 0 = 0;

  constructor(sink: PacketSink, options: DecoderOptions) {
    this.sink = sink;
    this.carry = new CarryOver(options.pool);
    this.role = options.role ?? 'server';
    this.maximumPacketSize = options.maximumPacketSize;
    this.topicAliasMaximum = options.topicAliasMaximum ?? 0;
    this.maximumQos = options.maximumQos ?? 2;
    this.packetsPerSliceMax = options.packetsPerSliceMax ?? defaultPacketsPerSliceMax;
    this.frameBytesMax = Math.min(options.connectBytesMax ?? defaultConnectBytesMax, this.maximumPacketSize);
    assert(this.maximumPacketSize >= 2, 'maximumPacketSize is below the smallest packet');
    assert(this.packetsPerSliceMax >= 1, 'packetsPerSliceMax is below 1');
  }

  /** What the last `write` or `resume` answered, or `closed`. */
  get state(): DecoderState {
    return this.currentState;
  }

  /** Bytes that are carried over: a partial packet, or all that a pause keeps back. */
  get carriedBytes(): number {
    return this.carry.length;
  }

  /**
   * The protocol version that a CONNECT asked for, also when the CONNECT was refused as malformed;
   * 0 before one was seen. A CONNACK that refuses it is written in this version.
   */
  get connectVersion(): ProtocolVersion | 0 {
    return this.levelSeen;
  }

  /** Leaves the state in which only CONNECT is accepted. A client calls it before the first byte. */
  setVersion(version: ProtocolVersion): void {
    this.version = version;
    this.kinds = kindsFor(this.role, version, this.maximumQos);
    this.frameBytesMax = this.maximumPacketSize;
  }

  /** Within a sink call: deliver nothing after this packet until `resume`. */
  stop(): void {
    if (this.currentState !== 'closed') this.currentState = 'stopped';
  }

  /** Delivers nothing any more and gives back all memory. */
  close(): void {
    this.currentState = 'closed';
    this.carry.clear();
  }

  /**
   * Takes `chunk[start, end)`, which may be overwritten as soon as this returns. Throws the
   * `ProtocolError` of the first breach (what came before it has been delivered) and what the sink
   * throws; the decoder is closed then.
   */
  write(chunk: Buffer, start = 0, end = chunk.length): DecoderState {
    if (this.currentState === 'closed') return 'closed';
    if (this.currentState !== 'ready') {
      this.append(chunk, start, end);
      return this.currentState;
    }
    this.enter();
    try {
      let pos = start;
      if (this.carry.length > 0) pos = this.completeCarry(chunk, start, end);
      if (this.isReady() && this.carry.length === 0) pos = this.deliver(chunk, pos, end);
      if (this.isOpen() && pos < end) this.append(chunk, pos, end);
      return this.currentState;
    } catch (error) {
      this.close();
      throw error;
    } finally {
      this.running = false;
    }
  }

  /** Goes on after `held`, `stopped` or `slice-used`; throws as `write` does. */
  resume(): DecoderState {
    if (this.currentState === 'closed') return 'closed';
    this.enter();
    try {
      this.currentState = 'ready';
      this.runCarry();
      return this.currentState;
    } catch (error) {
      this.close();
      throw error;
    } finally {
      this.running = false;
    }
  }

  private enter(): void {
    assert(!this.running, 'a sink called back into the decoder');
    this.running = true;
    this.packetsLeft = this.packetsPerSliceMax;
  }

  // Sink calls change the state behind the compiler's narrowing; these two look afresh.
  private isReady(): boolean {
    return this.currentState === 'ready';
  }

  private isOpen(): boolean {
    return this.currentState !== 'closed';
  }

  private deliver(buffer: Buffer, start: number, end: number): number {
    try {
      return this.run(buffer, start, end);
    } finally {
      this.sink.onRunEnd();
    }
  }

  /**
   * Delivers the complete packets of `buffer[start, end)` while the state is `ready`, and returns
   * the offset of the first byte that was not consumed. The loop of the hot path (bench/micro/mqtt/decoder.ts).
   */
  private run(buffer: Buffer, start: number, end: number): number {
    let pos = start;
    while (pos < end) {
      const first = buffer[pos] as number;
      const kind = this.kinds[first] as number;
      if (kind === frameKind.invalid) throw this.refuseFirstByte(first);
      let body = pos + 2;
      if (body > end) break;
      let next = body + (buffer[pos + 1] as number);
      if ((buffer[pos + 1] as number) > 127) {
        const size = this.frameSize(buffer, pos, end);
        if (size === 0) break;
        body = pos + this.headerSize(buffer, pos);
        next = pos + size;
      }
      if (next - pos > this.frameBytesMax) throw this.tooLarge(next - pos);
      if (next > end) break;
      if (this.packetsLeft === 0) {
        this.currentState = 'slice-used';
        break;
      }
      this.packetsLeft--;
      let taken: boolean;
      if (kind === frameKind.publish) taken = this.publish(buffer, first, body, next);
      else if (kind === frameKind.ack) taken = this.ack(buffer, first, body, next);
      else if (kind === frameKind.ping) taken = this.ping(body, next);
      else taken = this.control(buffer, pos, next);
      if (!taken) {
        if (this.isOpen()) this.currentState = 'held';
        break;
      }
      pos = next;
      if (!this.isReady()) break;
    }
    return pos;
  }

  private publish(buffer: Buffer, first: number, body: number, next: number): boolean {
    const topicStart = body + 2;
    if (topicStart > next) throw malformed('PUBLISH is cut off', 'MQTT-3.3.2-1');
    const topicEnd = topicStart + (((buffer[body] as number) << 8) | (buffer[body + 1] as number));
    let pos = topicEnd;
    let packetId = 0;
    if ((first & 6) !== 0) {
      pos += 2;
      if (pos > next) throw malformed('PUBLISH is cut off');
      packetId = ((buffer[topicEnd] as number) << 8) | (buffer[topicEnd + 1] as number);
      if (packetId === 0) throw violation('packet identifier is 0', 'MQTT-2.2.1-3');
    } else {
      if (pos > next) throw malformed('PUBLISH is cut off', 'MQTT-3.3.2-1');
      if ((first & 8) !== 0) throw malformed('DUP is set at QoS 0', 'MQTT-3.3.1-2');
    }
    let propertiesStart = pos;
    let properties = noProperties;
    if (this.version === 5) {
      if (pos < next && buffer[pos] === 0) {
        propertiesStart = ++pos;
      } else {
        const length = readVarint(buffer, pos, next);
        propertiesStart = pos + varintSize(length);
        pos = propertiesStart + length;
        if (pos > next) throw malformed('properties are cut off');
        properties = this.publishProperties(buffer, propertiesStart, pos);
      }
    }
    if (!isTopicNameBytes(buffer, topicStart, topicEnd)) {
      this.checkOddTopic(buffer, topicStart, topicEnd, properties);
    }
    return this.sink.onPublish(
      buffer,
      first & 15,
      topicStart,
      topicEnd,
      packetId,
      propertiesStart,
      pos,
      pos,
      next,
      properties,
    );
  }

  private publishProperties(buffer: Buffer, start: number, end: number): PropertyScan {
    const { scan } = this;
    scanProperties(buffer, start, end, packetType.publish, scan);
    if (scan.topicAlias > this.topicAliasMaximum) {
      throw new ProtocolError(
        reasonCode.topicAliasInvalid,
        `Topic Alias ${scan.topicAlias} is above ${this.topicAliasMaximum}`,
        this.role === 'server' ? 'MQTT-3.3.2-9' : 'MQTT-3.3.2-11',
      );
    }
    if (scan.subscriptionIdentifierCount > 0 && this.role === 'server') {
      throw violation('a client sent a Subscription Identifier in PUBLISH', 'MQTT-3.3.4-6');
    }
    return scan;
  }

  private checkOddTopic(
    buffer: Buffer,
    start: number,
    end: number,
    properties: Readonly<PropertyScan>,
  ): void {
    if (start === end && this.version === 5) {
      if (properties.topicAlias !== 0) return;
      throw violation('PUBLISH with neither topic name nor Topic Alias', 'MQTT-3.3.2-1');
    }
    // 0x90 is for topic names that are correctly formed and not accepted all the same.
    const { message, clause } = topicNameBytesFault(buffer, start, end);
    throw malformed(message, clause);
  }

  private ack(buffer: Buffer, first: number, body: number, next: number): boolean {
    const type = (first >> 4) as AckType;
    const length = next - body;
    if (length < 2) throw malformed(`${packetName(type)} is cut off`, 'MQTT-2.2.1-5');
    const packetId = ((buffer[body] as number) << 8) | (buffer[body + 1] as number);
    if (packetId === 0) throw violation('packet identifier is 0', 'MQTT-2.2.1-5');
    if (length === 2) return this.sink.onAck(type, packetId, 0, buffer, next, next);
    if (this.version !== 5) throw malformed(`${packetName(type)} has bytes after its last field`);
    const reason = buffer[body + 2] as number;
    if (!mayCarry(type, reason)) {
      throw violation(`reason code ${reason} is not one of ${packetName(type)}`, ackReasonClause[type]);
    }
    let propertiesStart = next;
    if (length > 3) {
      const propertyBytes = readVarint(buffer, body + 3, next);
      propertiesStart = body + 3 + varintSize(propertyBytes);
      if (propertiesStart + propertyBytes !== next) {
        throw malformed(`properties of ${packetName(type)} do not end with the packet`);
      }
      if (propertyBytes > 0) scanProperties(buffer, propertiesStart, next, type, this.scan);
    }
    return this.sink.onAck(type, packetId, reason, buffer, propertiesStart, next);
  }

  private ping(body: number, next: number): boolean {
    if (next !== body) throw malformed('a ping has a body');
    return this.sink.onPing();
  }

  private control(buffer: Buffer, pos: number, next: number): boolean {
    const frame = Buffer.allocUnsafeSlow(next - pos);
    buffer.copy(frame, 0, pos, next);
    if ((frame[0] as number) >> 4 === packetType.connect && this.levelSeen === 0) {
      this.levelSeen = connectLevel(frame);
    }
    const packet = parseControlFrame(frame, this.version);
    if (
      packet.cmd === 'disconnect' &&
      this.role === 'client' &&
      packet.properties?.sessionExpiryInterval !== undefined
    ) {
      throw violation('a server sent a Session Expiry Interval in DISCONNECT', 'MQTT-3.14.2-2');
    }
    return this.sink.onPacket(packet, frame);
  }

  /**
   * Size of the packet at `pos`, or 0 when its length field is not complete. Throws as soon as the
   * bytes at hand tell that the packet cannot be accepted, so nothing is buffered for it.
   */
  private frameSize(buffer: Buffer, pos: number, end: number): number {
    let remaining = 0;
    for (let width = 1; width <= 4; width++) {
      if (pos + width >= end) return 0;
      const byte = buffer[pos + width] as number;
      remaining |= (byte & 127) << (7 * (width - 1));
      if (byte > 127) continue;
      // Before MQTT 5 a longer form was never forbidden, and some small clients reserve four bytes.
      if (byte === 0 && width > 1 && this.version === 5) {
        throw malformed('remaining length is not in its shortest form', 'MQTT-1.5.5-1');
      }
      const size = 1 + width + remaining;
      if (size > this.frameBytesMax) throw this.tooLarge(size);
      return size;
    }
    throw malformed('remaining length is longer than four bytes', 'MQTT-1.5.5-1');
  }

  private headerSize(buffer: Buffer, pos: number): number {
    let at = pos + 1;
    while ((buffer[at] as number) > 127) at++;
    return at + 1 - pos;
  }

  private refuseFirstByte(first: number): ProtocolError {
    const type = first >> 4;
    const flags = first & 15;
    if (this.kinds === kindsBeforeConnect && type !== packetType.connect) {
      return violation(`${packetName(type)} before CONNECT`, 'MQTT-3.1.0-1');
    }
    if (type === packetType.publish) {
      return (flags & 6) === 6
        ? malformed('QoS is 3', 'MQTT-3.3.1-4')
        : new ProtocolError(reasonCode.qosNotSupported, 'QoS is above Maximum QoS', 'MQTT-3.2.2-11');
    }
    if (type === 0) return violation('packet type 0 is forbidden');
    if (type === packetType.auth && this.version < 5) return malformed(`packet type ${type} is reserved`);
    if (flags !== fixedFlags(type)) {
      return malformed(`flags ${flags} are reserved in ${packetName(type)}`, flagsClause(type));
    }
    return violation(`${packetName(type)} is not for a ${this.role} to receive`);
  }

  private tooLarge(size: number): ProtocolError {
    return new ProtocolError(
      reasonCode.packetTooLarge,
      `packet of ${size} bytes is above the maximum of ${this.frameBytesMax}`,
      this.role === 'server' ? 'MQTT-3.2.2-15' : 'MQTT-3.1.2-24',
    );
  }

  /**
   * Completes the partial packet in the carry-over buffer with as few bytes of the chunk as it
   * takes, and delivers it. Returns the offset of the first byte of the chunk that was not taken.
   */
  private completeCarry(chunk: Buffer, start: number, end: number): number {
    let pos = start;
    for (;;) {
      const carried = this.carry.length;
      let size = this.frameSize(this.carry.bytes, this.carry.start, this.carry.end);
      if (size === 0) size = carried + 1; // the length field is not complete: one byte more
      else if (size === carried) break;
      if (pos === end) return pos;
      const taken = Math.min(size - carried, end - pos);
      this.append(chunk, pos, pos + taken);
      pos += taken;
    }
    this.runCarry();
    return pos;
  }

  private runCarry(): void {
    const { carry } = this;
    const consumed = this.deliver(carry.bytes, carry.start, carry.end);
    if (this.isOpen()) carry.consumeTo(consumed);
  }

  private append(chunk: Buffer, start: number, end: number): void {
    this.carry.append(chunk, start, end, this.frameBytesMax);
  }
}

const ackReasonClause: Record<AckType, string> = {
  4: 'MQTT-3.4.2-1',
  5: 'MQTT-3.5.2-1',
  6: 'MQTT-3.6.2-1',
  7: 'MQTT-3.7.2-1',
};
