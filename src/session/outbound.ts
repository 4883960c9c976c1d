/**
 * The server's half of QoS towards one client: packet ids, window, resending, queue deliveries. Main thread.
 *
 * Always true: at most `window` = min(Receive Maximum, server maximum) messages with QoS > 0 are unanswered on
 * a connection [MQTT-3.3.4-9]; no packet exceeds the client's Maximum Packet Size [MQTT-3.1.2-24]; a queue
 * delivery is acked, rejected or returned by `detach`, never resent by the session (the queue does that).
 * What cannot be sent now waits: live messages in `#pending` (oldest dropped and counted past its bound),
 * queue deliveries in `#held` (rejected past its bound, so the queue tries another consumer).
 * Gives up: copies of live QoS > 0 messages for sessions that end with their connection.
 */
import type { Config } from '../config/config.js';
import { dupFlag, packetType } from '../mqtt/packet-type.js';
import { reasonCode, violation } from '../mqtt/reason-code.js';
import type { Attachment, Delivery } from '../shard/link.js';
import { slotOf } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';
import { BoundedQueue } from './bounded-queue.js';
import type { Clock } from './context.js';
import { Awaiting, InFlight } from './in-flight.js';
import { remainingExpiry, type LiveMessage } from './message.js';
import { PublishWriter, type Identifiers, type PublishLimits, type Waiting } from './publish-writer.js';
import type { Wire } from './wire.js';

/** What the client granted in CONNECT. */
export interface ClientLimits extends PublishLimits {
  readonly receiveMaximum: number;
}

interface Held extends Waiting {
  readonly attachment: Attachment;
  readonly tag: number;
}

const dropped = {
  outboxFull: slotOf('messagesDropped', 'outbox-full'),
  sessionQueueFull: slotOf('messagesDropped', 'session-queue-full'),
  packetTooLarge: slotOf('messagesDropped', 'packet-too-large'),
  expired: slotOf('messagesDropped', 'expired'),
  sessionEnded: slotOf('messagesDropped', 'session-ended'),
} as const;

/** How many bytes may wait in a session: this many times the outbox bound. */
const pendingOutboxes = 16;

/** See the file header. */
export class Outbound {
  readonly #inFlightMax: number;
  readonly #counters: Counters;
  readonly #clock: Clock;
  readonly #inFlight = new InFlight<Attachment, Waiting>();
  readonly #pending: BoundedQueue<Waiting>;
  readonly #held: BoundedQueue<Held>;
  /** Packet ids to send again after a resume, oldest first. */
  #resend: number[] = [];
  #resendNext = 0;
  /** Undefined while the client is away. */
  #writer: PublishWriter | undefined;
  #window = 0;
  #sent = 0;
  #heldTurn = false;
  /** Whether live QoS > 0 messages must be kept for another connection. */
  keepsMessages = false;

  constructor(config: Config, counters: Counters, clock: Clock) {
    this.#inFlightMax = config.inFlightMax;
    this.#counters = counters;
    this.#clock = clock;
    this.#pending = new BoundedQueue(config.sessionQueueMax, config.outboxBytesMax * pendingOutboxes);
    this.#held = new BoundedQueue(config.inFlightMax, config.outboxBytesMax);
  }

  /** Most unanswered messages on the present connection. */
  get window(): number {
    return this.#window;
  }

  /** Unanswered messages on the present connection. */
  get sentCount(): number {
    return this.#sent;
  }

  /** Live messages that wait for the window or the connection. */
  get pendingCount(): number {
    return this.#pending.length;
  }

  /** A connection has taken the session over: what it was sent before goes out again first, with DUP [MQTT-4.4.0-1]. */
  connected(wire: Wire, limits: ClientLimits): void {
    const writer = new PublishWriter(wire, limits, this.#counters);
    this.#writer = writer;
    this.#window = Math.min(limits.receiveMaximum, this.#inFlightMax);
    this.#sent = 0;
    this.#resend = [];
    this.#resendNext = 0;
    const inFlight = this.#inFlight;
    for (const at of inFlight.inOrder()) {
      if (inFlight.kinds[at] === Awaiting.pubcomp) {
        inFlight.sent[at] = 1;
        this.#sent++;
        writer.acknowledge(packetType.pubrel, inFlight.idOf(at), reasonCode.success);
      } else {
        inFlight.sent[at] = 0;
        this.#resend.push(inFlight.idOf(at));
      }
    }
    this.pump();
  }

  /** The connection is gone. Queue deliveries are forgotten: their attachments have been detached. */
  disconnected(): void {
    this.#writer = undefined;
    this.#held.clear();
    this.#resend = [];
    this.#resendNext = 0;
    this.#sent = 0;
    const inFlight = this.#inFlight;
    for (const at of inFlight.inOrder()) {
      const kind = inFlight.kinds[at];
      const isKept =
        kind === Awaiting.pubcomp || (kind !== Awaiting.queueAck && inFlight.messages[at] !== undefined);
      if (!isKept) inFlight.free(at);
    }
  }

  /** The session is over: what waits is dropped and counted. */
  end(): void {
    this.#counters.add(dropped.sessionEnded, this.#pending.length);
    this.#pending.clear();
    this.#held.clear();
  }

  /**
   * Sends a live message with `qos` and `retain` as the subscription wants them, or lets it wait, or drops and
   * counts it: QoS 0 when there is no connection or its outbox is full, anything too large for the client.
   */
  deliverLive(message: LiveMessage, qos: number, retain: boolean, identifiers: Identifiers): void {
    const flags = (qos << 1) | (retain ? 1 : 0);
    const writer = this.#writer;
    if (writer === undefined) {
      // QoS 0 is for those who are there.
      if (qos > 0) this.#wait(message, flags, identifiers);
      return;
    }
    const bytes =
      message.topicEnd -
      message.topicStart +
      (message.propertiesEnd - message.propertiesStart) +
      (message.payloadEnd - message.payloadStart);
    if (
      writer.isTooLarge(
        bytes,
        qos,
        message.topicEnd - message.topicStart,
        message.payloadEnd - message.payloadStart,
        message.messageExpiryInterval > 0,
        identifiers,
      )
    ) {
      this.#counters.add(dropped.packetTooLarge, 1);
      return;
    }
    const hasRoom = writer.hasRoom(bytes);
    let packetId = 0;
    if (qos === 0) {
      if (!hasRoom) {
        this.#counters.add(dropped.outboxFull, 1);
        return;
      }
    } else {
      if (!hasRoom || this.#sent >= this.#window || this.#isWaiting()) {
        this.#wait(message, flags, identifiers);
        if (!hasRoom) writer.notifyWhenDrained();
        return;
      }
      const kept = this.keepsMessages
        ? { message: message.keep(this.#clock.nowMs()), flags, identifiers }
        : undefined;
      packetId = this.#take(qos === 1 ? Awaiting.puback : Awaiting.pubrec, kept);
    }
    writer.publish(
      flags,
      packetId,
      message.topicBuffer,
      message.topicStart,
      message.topicEnd,
      message.payloadBuffer,
      message.propertiesStart,
      message.propertiesEnd,
      message.payloadStart,
      message.payloadEnd,
      message.messageExpiryInterval === 0 ? -1 : message.messageExpiryInterval,
      identifiers,
    );
  }

  /** Sends a queue delivery, holds it until the window has room, or rejects it when it can never be sent. */
  deliverFromQueue(
    attachment: Attachment,
    tag: number,
    delivery: Delivery,
    qos: number,
    retain: boolean,
    identifiers: Identifiers,
  ): void {
    const writer = this.#writer;
    if (writer === undefined) {
      // Between the loss of a connection and the shard's knowledge of it.
      attachment.release(tag);
      return;
    }
    const topicBytes = delivery.topicEnd - delivery.topicStart;
    const payloadBytes = delivery.payloadEnd - delivery.payloadStart;
    const bytes = topicBytes + payloadBytes + (delivery.propertiesEnd - delivery.propertiesStart);
    if (
      writer.isTooLarge(bytes, qos, topicBytes, payloadBytes, delivery.messageExpiryInterval > 0, identifiers)
    ) {
      attachment.reject(tag, reasonCode.packetTooLarge);
      return;
    }
    const flags = (qos << 1) | (retain ? 1 : 0);
    const mayGo = qos === 0 ? writer.hasRoom(bytes) : this.#sent < this.#window;
    if (!mayGo || this.#held.length > 0) {
      this.#hold(attachment, tag, delivery, flags, identifiers, bytes);
      if (qos === 0) writer.notifyWhenDrained();
      return;
    }
    const packetId = qos === 0 ? 0 : this.#takeForQueue(attachment, tag);
    writer.publish(
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
    if (qos === 0) attachment.ack(tag);
  }

  /** Forgets what is held back for an attachment that has been detached. Packet ids in use stay until the client answers. */
  forget(attachment: Attachment): void {
    if (this.#held.length > 0) this.#held.filter((held) => held.attachment !== attachment);
  }

  /** PUBACK from the client. Throws ProtocolError when the id belongs to a QoS 2 exchange. */
  onPuback(packetId: number, reason: number): void {
    const at = this.#inFlight.find(packetId);
    if (at < 0) return;
    const kind = this.#inFlight.kinds[at];
    if (kind === Awaiting.queueAck) {
      const attachment = this.#inFlight.owners[at]!;
      const tag = this.#inFlight.tags[at]!;
      this.#free(at);
      // 0x10 is a refusal too (REF 3.5).
      if (reason >= 0x80 || reason === reasonCode.noMatchingSubscribers) {
        attachment.reject(tag, reason);
      } else {
        attachment.ack(tag);
      }
    } else if (kind === Awaiting.puback) {
      this.#free(at);
    } else {
      throw violation('PUBACK for a QoS 2 message', 'MQTT-4.3.3-4');
    }
    this.pump();
  }

  /** PUBREC from the client: answered with PUBREL, unless it is a refusal [MQTT-4.3.3-4]. */
  onPubrec(packetId: number, reason: number): void {
    const at = this.#inFlight.find(packetId);
    if (at < 0) {
      if (reason < 0x80)
        this.#writer?.acknowledge(packetType.pubrel, packetId, reasonCode.packetIdentifierNotFound);
      return;
    }
    const kind = this.#inFlight.kinds[at];
    if (kind !== Awaiting.pubrec && kind !== Awaiting.pubcomp) {
      throw violation('PUBREC for a QoS 1 message', 'MQTT-4.3.2-3');
    }
    if (reason >= 0x80) {
      this.#free(at);
      this.pump();
      return;
    }
    this.#inFlight.kinds[at] = Awaiting.pubcomp;
    // The message has arrived: it is not sent again [MQTT-4.3.3-6].
    this.#inFlight.messages[at] = undefined;
    this.#writer?.acknowledge(packetType.pubrel, packetId, reasonCode.success);
  }

  /** PUBCOMP from the client ends the exchange. */
  onPubcomp(packetId: number): void {
    const at = this.#inFlight.find(packetId);
    if (at < 0) return;
    if (this.#inFlight.kinds[at] !== Awaiting.pubcomp) {
      throw violation('PUBCOMP before PUBREL', 'MQTT-4.3.3-7');
    }
    this.#free(at);
    this.pump();
  }

  /** Sends what waits, as far as the window and the outbox allow: resends, then held and pending in turns. */
  pump(): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    while (this.#isWaiting() || this.#held.length > 0) {
      if (this.#resendNext < this.#resend.length) {
        if (this.#sent >= this.#window) return;
        this.#sendAgain(writer, this.#resend[this.#resendNext++]!);
        continue;
      }
      // In turns, so that neither a flood of live messages nor a fast queue keeps the other waiting.
      const takesHeld = this.#held.length > 0 && (this.#heldTurn || this.#pending.length === 0);
      const next = takesHeld ? this.#held.peek()! : this.#pending.peek()!;
      const qos = (next.flags >> 1) & 3;
      if (qos > 0 && this.#sent >= this.#window) return;
      if (!writer.hasRoom(next.message.bytes.length)) {
        writer.notifyWhenDrained();
        return;
      }
      this.#heldTurn = !takesHeld;
      if (takesHeld) this.#sendHeld(writer, this.#held.shift()!);
      else this.#sendPending(writer, this.#pending.shift()!);
    }
  }

  #isWaiting(): boolean {
    return this.#pending.length > 0 || this.#resendNext < this.#resend.length;
  }

  #sendAgain(writer: PublishWriter, packetId: number): void {
    const at = this.#inFlight.find(packetId);
    const kept = at < 0 ? undefined : this.#inFlight.messages[at];
    if (kept === undefined) return;
    this.#inFlight.sent[at] = 1;
    this.#sent++;
    if (writer.isStoredTooLarge(kept)) {
      // The new connection takes less than the old one: treat it as sent and done [MQTT-3.1.2-25].
      this.#counters.add(dropped.packetTooLarge, 1);
      this.#free(at);
      return;
    }
    const left = remainingExpiry(kept.message.expiresAtMs, this.#clock.nowMs());
    writer.publishStored(kept, kept.flags | dupFlag, packetId, left === 0 ? 1 : left);
  }

  #sendPending(writer: PublishWriter, waiting: Waiting): void {
    const left = remainingExpiry(waiting.message.expiresAtMs, this.#clock.nowMs());
    if (left === 0) {
      this.#counters.add(dropped.expired, 1);
      return;
    }
    if (writer.isStoredTooLarge(waiting)) {
      this.#counters.add(dropped.packetTooLarge, 1);
      return;
    }
    const qos = (waiting.flags >> 1) & 3;
    const packetId = this.#take(
      qos === 1 ? Awaiting.puback : Awaiting.pubrec,
      this.keepsMessages ? waiting : undefined,
    );
    writer.publishStored(waiting, waiting.flags, packetId, left);
  }

  #sendHeld(writer: PublishWriter, held: Held): void {
    const qos = (held.flags >> 1) & 3;
    const packetId = qos === 0 ? 0 : this.#takeForQueue(held.attachment, held.tag);
    // The queue enforces expiry; what it has handed out is delivered with at least one second left.
    const left = remainingExpiry(held.message.expiresAtMs, this.#clock.nowMs());
    writer.publishStored(held, held.flags, packetId, left === 0 ? 1 : left);
    if (qos === 0) held.attachment.ack(held.tag);
  }

  #wait(message: LiveMessage, flags: number, identifiers: Identifiers): void {
    const stored = message.keep(this.#clock.nowMs());
    const bytes = stored.bytes.length;
    while (!this.#pending.hasRoom(bytes)) {
      // The newest messages are worth most to a client that has been away; the oldest gives way.
      this.#counters.add(dropped.sessionQueueFull, 1);
      if (this.#pending.shift() === undefined) return;
    }
    this.#pending.push({ message: stored, flags, identifiers }, bytes);
  }

  #hold(
    attachment: Attachment,
    tag: number,
    delivery: Delivery,
    flags: number,
    identifiers: Identifiers,
    bytes: number,
  ): void {
    if (!this.#held.hasRoom(bytes)) {
      attachment.reject(tag, reasonCode.quotaExceeded);
      return;
    }
    const copy = Buffer.allocUnsafeSlow(bytes);
    const topicEnd = delivery.topicEnd - delivery.topicStart;
    const propertiesEnd = topicEnd + delivery.propertiesEnd - delivery.propertiesStart;
    delivery.buffer.copy(copy, 0, delivery.topicStart, delivery.topicEnd);
    delivery.buffer.copy(copy, topicEnd, delivery.propertiesStart, delivery.propertiesEnd);
    delivery.buffer.copy(copy, propertiesEnd, delivery.payloadStart, delivery.payloadEnd);
    const expiresAtMs =
      delivery.messageExpiryInterval === 0
        ? Number.POSITIVE_INFINITY
        : this.#clock.nowMs() + delivery.messageExpiryInterval * 1000;
    const message = { bytes: copy, topicEnd, propertiesEnd, expiresAtMs };
    this.#held.push({ attachment, tag, message, flags, identifiers }, bytes);
  }

  #take(kind: number, kept: Waiting | undefined): number {
    const at = this.#inFlight.take(kind);
    this.#inFlight.messages[at] = kept;
    this.#inFlight.sent[at] = 1;
    this.#sent++;
    return this.#inFlight.idOf(at);
  }

  #takeForQueue(attachment: Attachment, tag: number): number {
    const at = this.#inFlight.take(Awaiting.queueAck);
    this.#inFlight.owners[at] = attachment;
    this.#inFlight.tags[at] = tag;
    this.#inFlight.sent[at] = 1;
    this.#sent++;
    return this.#inFlight.idOf(at);
  }

  #free(at: number): void {
    if (this.#inFlight.sent[at] === 1) this.#sent--;
    this.#inFlight.free(at);
  }
}
