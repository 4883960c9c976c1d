/**
 * A packet sink that writes down what it is given, in the shape in which `mqtt-packet` reports the
 * same packets. Test process only. Everything is copied at once, because the decoder's ranges are
 * valid only during the call; an overwritten chunk would show in the record.
 */
import type { ControlPacket } from '../../src/mqtt/control-frame.js';
import type { PacketSink } from '../../src/mqtt/decoder.js';
import { packetName, qosOfFlags } from '../../src/mqtt/packet-type.js';
import type { PropertyScan } from '../../src/mqtt/property-scan.js';

/** One delivered packet. */
export type Seen =
  | {
      readonly cmd: 'publish';
      readonly qos: number;
      readonly dup: boolean;
      readonly retain: boolean;
      readonly topic: string;
      readonly packetId: number;
      readonly properties: string;
      readonly payload: string;
      readonly topicAlias: number;
      readonly messageExpiryInterval: number;
    }
  | {
      readonly cmd: 'ack';
      readonly type: string;
      readonly packetId: number;
      readonly reasonCode: number;
      readonly properties: string;
    }
  | { readonly cmd: 'ping' }
  | { readonly cmd: 'control'; readonly packet: ControlPacket; readonly frame: string };

/** What a test wants the sink to answer for the n-th offer; default: take it. */
export type Answer = (offer: number) => boolean;

/** Records every packet that it takes. */
export class RecordingSink implements PacketSink {
  readonly seen: Seen[] = [];
  offers = 0;
  answer: Answer = () => true;
  onSeen: (seen: Seen) => void = () => {};

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
  ): boolean {
    return this.#take({
      cmd: 'publish',
      qos: qosOfFlags(flags),
      dup: (flags & 8) !== 0,
      retain: (flags & 1) !== 0,
      topic: buffer.toString('utf8', topicStart, topicEnd),
      packetId,
      properties: buffer.toString('hex', propertiesStart, propertiesEnd),
      payload: buffer.toString('hex', payloadStart, payloadEnd),
      topicAlias: properties.topicAlias,
      messageExpiryInterval: properties.messageExpiryInterval,
    });
  }

  onAck(
    type: number,
    packetId: number,
    reasonCode: number,
    buffer: Buffer,
    propertiesStart: number,
    propertiesEnd: number,
  ): boolean {
    return this.#take({
      cmd: 'ack',
      type: packetName(type),
      packetId,
      reasonCode,
      properties: buffer.toString('hex', propertiesStart, propertiesEnd),
    });
  }

  onRunEnd(): void {}

  onPing(): boolean {
    return this.#take({ cmd: 'ping' });
  }

  onPacket(packet: ControlPacket, frame: Buffer): boolean {
    return this.#take({ cmd: 'control', packet, frame: frame.toString('hex') });
  }

  #take(seen: Seen): boolean {
    if (!this.answer(this.offers++)) return false;
    this.seen.push(seen);
    this.onSeen(seen);
    return true;
  }
}
