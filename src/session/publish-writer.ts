/**
 * Writes PUBLISH and PUBREL into the outbox of one connection, within what its client takes. Main thread.
 *
 * Always true: one size question before, one reservation, one pass of bytes; Topic Aliases are set only by
 * packets that are certainly sent, so both ends agree on them [MQTT-3.3.2-7]. Lives as long as the connection.
 * Gives up: checks; callers have asked `isTooLarge` and `hasRoom` where their rules want it.
 */
import {
  ackBytesMax,
  createPublishExtras,
  noExtras,
  publishSize,
  writeAck,
  writePublish,
} from '../mqtt/encoder.js';
import { packetType, type ProtocolVersion } from '../mqtt/packet-type.js';
import type { Delivery } from '../shard/link.js';
import { slot } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';
import type { LiveMessage, StoredMessage } from './message.js';
import { OutboundAliases } from './topic-alias.js';
import type { Wire } from './wire.js';

/** Subscription Identifiers of a delivery; empty for none. */
export type Identifiers = ArrayLike<number>;

/** What a client takes. */
export interface PublishLimits {
  readonly version: ProtocolVersion;
  readonly maximumPacketSize: number;
  readonly topicAliasMaximum: number;
}

/** A kept message with what its delivery needs. */
export interface Waiting {
  readonly message: StoredMessage;
  /** QoS and retain bits of the PUBLISH header. */
  readonly flags: number;
  readonly identifiers: Identifiers;
  /** The share group that the client takes it for. */
  readonly group?: object | undefined;
}

/** More than header, packet id, lengths, alias and expiry take: a message this far below the maximum needs no exact count. */
const headerBytesMax = 32;
const identifierBytesMax = 5;

/** See the file header. */
export class PublishWriter {
  readonly #wire: Wire;
  readonly #version: ProtocolVersion;
  readonly #maximumPacketSize: number;
  readonly #aliases: OutboundAliases | undefined;
  readonly #counters: Counters;
  readonly #extras = createPublishExtras();

  constructor(wire: Wire, limits: PublishLimits, counters: Counters) {
    this.#wire = wire;
    this.#version = limits.version;
    this.#maximumPacketSize = limits.maximumPacketSize;
    this.#aliases = limits.topicAliasMaximum > 0 ? new OutboundAliases(limits.topicAliasMaximum) : undefined;
    this.#counters = counters;
  }

  /** True while a message of so many bytes stays within the outbox bound. */
  hasRoom(bytes: number): boolean {
    return this.#wire.outbox.hasRoom(bytes + headerBytesMax);
  }

  notifyWhenDrained(): void {
    this.#wire.notifyWhenDrained();
  }

  /** True when the packet would exceed the client's Maximum Packet Size. `bytes` is topic, properties and payload together. */
  isTooLarge(
    bytes: number,
    qos: number,
    topicBytes: number,
    payloadBytes: number,
    expires: boolean,
    identifiers: Identifiers,
  ): boolean {
    if (bytes + headerBytesMax + identifiers.length * identifierBytesMax <= this.#maximumPacketSize)
      return false;
    const extras = this.#extras;
    extras.topicAlias = 0;
    extras.messageExpiryInterval = expires ? 1 : -1;
    extras.subscriptionIdentifiers = identifiers;
    const propertyBytes = bytes - topicBytes - payloadBytes;
    return (
      publishSize(this.#version, qos, topicBytes, propertyBytes, payloadBytes, extras) >
      this.#maximumPacketSize
    );
  }

  /** The same for a kept message. */
  isStoredTooLarge(waiting: Waiting): boolean {
    const { bytes, topicEnd, propertiesEnd, expiresAtMs } = waiting.message;
    return this.isTooLarge(
      bytes.length,
      (waiting.flags >> 1) & 3,
      topicEnd,
      bytes.length - propertiesEnd,
      expiresAtMs !== Number.POSITIVE_INFINITY,
      waiting.identifiers,
    );
  }

  /** The same for a delivery of a queue. */
  isDeliveryTooLarge(delivery: Delivery, qos: number, identifiers: Identifiers): boolean {
    const topicBytes = delivery.topicEnd - delivery.topicStart;
    const payloadBytes = delivery.payloadEnd - delivery.payloadStart;
    const bytes = topicBytes + payloadBytes + (delivery.propertiesEnd - delivery.propertiesStart);
    return this.isTooLarge(
      bytes,
      qos,
      topicBytes,
      payloadBytes,
      delivery.messageExpiryInterval > 0,
      identifiers,
    );
  }

  /** Writes a delivery of a queue. */
  publishDelivery(delivery: Delivery, flags: number, packetId: number, identifiers: Identifiers): void {
    this.publish(
      flags,
      packetId,
      delivery.buffer,
      delivery.topicStart,
      delivery.topicEnd,
      delivery.buffer,
      delivery.propertiesStart,
      delivery.propertiesEnd,
      delivery.payloadStart,
      delivery.payloadEnd,
      delivery.messageExpiryInterval === 0 ? -1 : delivery.messageExpiryInterval,
      identifiers,
    );
  }

  /** Writes a kept message; `flags` may add DUP, `expiry` is what is left of its life in seconds or -1. */
  publishStored(waiting: Waiting, flags: number, packetId: number, expiry: number): void {
    const { bytes, topicEnd, propertiesEnd } = waiting.message;
    this.publish(
      flags,
      packetId,
      bytes,
      0,
      topicEnd,
      bytes,
      topicEnd,
      propertiesEnd,
      propertiesEnd,
      bytes.length,
      expiry,
      waiting.identifiers,
    );
  }

  /** Sends a PUBLISH with QoS 0 on as it came, if this client would get the very same bytes; else answers false. */
  relay(message: LiveMessage, flags: number, identifiers: Identifiers): boolean {
    const { frameStart, payloadBuffer, payloadEnd } = message;
    if (
      frameStart < 0 ||
      message.isFrameOfMqtt5 !== (this.#version === 5) ||
      this.#aliases !== undefined ||
      identifiers.length > 0 ||
      payloadBuffer[frameStart] !== ((packetType.publish << 4) | flags)
    ) {
      return false;
    }
    this.#wire.outbox.relay(payloadBuffer, frameStart, payloadEnd);
    this.#count(0, payloadEnd - message.payloadStart);
    return true;
  }

  /** Writes a PUBLISH whose ranges are in stored form; `expiry` in seconds or -1. */
  publish(
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
    expiry: number,
    identifiers: Identifiers,
  ): void {
    const version = this.#version;
    let topicStop = topicEnd;
    let extras: typeof noExtras = noExtras;
    if (version === 5 && (this.#aliases !== undefined || expiry >= 0 || identifiers.length > 0)) {
      const own = this.#extras;
      own.topicAlias = 0;
      own.messageExpiryInterval = expiry;
      own.subscriptionIdentifiers = identifiers;
      const aliases = this.#aliases;
      const bytes = topicEnd - topicStart + (propertiesEnd - propertiesStart) + (payloadEnd - payloadStart);
      if (
        aliases !== undefined &&
        bytes + headerBytesMax + identifiers.length * identifierBytesMax <= this.#maximumPacketSize
      ) {
        own.topicAlias = aliases.aliasOf(topic, topicStart, topicEnd);
        if (own.topicAlias !== 0 && aliases.isKnown) topicStop = topicStart;
      }
      extras = own;
    }
    const qos = (flags >> 1) & 3;
    const { outbox } = this.#wire;
    outbox.ensure(
      publishSize(
        version,
        qos,
        topicStop - topicStart,
        propertiesEnd - propertiesStart,
        payloadEnd - payloadStart,
        extras,
      ),
    );
    outbox.offset = writePublish(
      outbox.buffer,
      outbox.offset,
      version,
      flags,
      packetId,
      topic,
      topicStart,
      topicStop,
      source,
      propertiesStart,
      propertiesEnd,
      payloadStart,
      payloadEnd,
      extras,
    );
    this.#count(qos, payloadEnd - payloadStart);
  }

  /** Writes a PUBREL. */
  acknowledge(type: typeof packetType.pubrel, packetId: number, reason: number): void {
    const { outbox } = this.#wire;
    outbox.ensure(ackBytesMax);
    outbox.offset = writeAck(outbox.buffer, outbox.offset, type, this.#version, packetId, reason);
    this.#counters.add(slot.packetsSent + type, 1);
  }

  #count(qos: number, payloadBytes: number): void {
    this.#counters.add(slot.packetsSent + packetType.publish, 1);
    this.#counters.add(slot.publishesSent + qos, 1);
    this.#counters.add(slot.publishBytesSent, payloadBytes);
  }
}
