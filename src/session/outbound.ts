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
import { Congestion } from './congestion.js';
import type { Clock } from './context.js';
import { Awaiting, idOfOffset, InFlight } from './in-flight.js';
import type { MemoryBudget } from './memory-limit.js';
import { copyOf, ownMemory, remainingExpiry, type LiveMessage } from './message.js';
import type { OpenTraces } from './open-traces.js';
import { PublishWriter, type Identifiers, type PublishLimits, type Waiting } from './publish-writer.js';
import type { Wire } from './wire.js';

/** What the client granted in CONNECT. */
export interface ClientLimits extends PublishLimits {
  readonly receiveMaximum: number;
}

interface Held extends Waiting {
  readonly attachment: Attachment;
  readonly tag: number;
  /** Offset in the session's own queue, which decides its packet id; -1 for other queues. */
  readonly offset: number;
}

/** Makes durable that QoS 2 messages of the session's own queue have arrived. Implemented by the durable session. */
export interface Releases {
  /** PUBREC has come for the message at `offset`: call `done` when that is safe. */
  release(offset: number, done: () => void): void;
  /** PUBCOMP has come. */
  complete(offset: number): void;
}

const dropped = {
  outboxFull: slotOf('messagesDropped', 'outbox-full'),
  sessionQueueFull: slotOf('messagesDropped', 'session-queue-full'),
  packetTooLarge: slotOf('messagesDropped', 'packet-too-large'),
  expired: slotOf('messagesDropped', 'expired'),
  sessionEnded: slotOf('messagesDropped', 'session-ended'),
} as const;

/**
 * Half of the packet ids that a session with a queue of its own has for everything else: as many as are sent on one
 * connection may wait for being sent again on the next, and so many come besides.
 */
const windowBesideQueueMax = 16_383;

/** See the file header. */
export class Outbound {
  /** Publishers of its live messages wait here. */
  readonly congestion = new Congestion();
  readonly #inFlightMax: number;
  readonly #highWaterBytes: number;
  readonly #counters: Counters;
  readonly #clock: Clock;
  readonly #traces: OpenTraces | undefined;
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
  #releases: Releases | undefined;
  #onReady: (() => void) | undefined;
  /** Whether live QoS > 0 messages must be kept for another connection. */
  keepsMessages = false;

  /** `budget` is shared by all sessions; without `traces` nothing is traced. */
  constructor(config: Config, counters: Counters, clock: Clock, budget: MemoryBudget, traces?: OpenTraces) {
    this.#traces = traces;
    this.#inFlightMax = config.inFlightMax;
    this.#highWaterBytes = config.outboxBytesMax / 2;
    this.#counters = counters;
    this.#clock = clock;
    this.#pending = new BoundedQueue(config.sessionQueueMax, config.sessionQueueBytesMax, budget);
    // A delivery that is sent back comes out of its order, so there is as much room as for live messages.
    this.#held = new BoundedQueue(
      config.inFlightMax,
      Math.max(config.outboxBytesMax, config.sessionQueueBytesMax),
      budget,
    );
  }

  /** Most unanswered messages on the present connection. */
  get window(): number {
    return this.#window;
  }

  /** Unanswered messages on the present connection. */
  get sentCount(): number {
    return this.#sent;
  }

  /** Messages of the session's own queue that were sent and are not answered. */
  get unansweredOfQueue(): number {
    const { kinds, offsets } = this.#inFlight;
    let count = 0;
    for (let at = 0; at < kinds.length; at++) {
      if (offsets[at]! >= 0 && (kinds[at] === Awaiting.queueAck || kinds[at] === Awaiting.queueRec)) count++;
    }
    return count;
  }

  /** Live messages that wait for the window or the connection. */
  get pendingCount(): number {
    return this.#pending.length;
  }

  /** The session has a queue of its own: its messages keep their packet ids over connections and restarts. */
  ownsQueue(releases: Releases): void {
    this.#releases = releases;
    this.#inFlight.reserveOffsetIds();
  }

  /** A message of the session's own queue had its PUBREC before a restart: PUBREL follows on the next connection. */
  restoreReleased(offset: number): void {
    const at = this.#inFlight.takeAt(idOfOffset(offset), Awaiting.queueComp);
    if (at >= 0) this.#inFlight.tags[at] = offset;
  }

  /** A connection has taken the session over: what it was sent before goes out again first, with DUP [MQTT-4.4.0-1]. */
  connected(wire: Wire, limits: ClientLimits): void {
    const writer = new PublishWriter(wire, limits, this.#counters);
    this.#writer = writer;
    this.#window = Math.min(limits.receiveMaximum, this.#inFlightMax);
    if (this.#releases !== undefined) this.#window = Math.min(this.#window, windowBesideQueueMax);
    this.#sent = 0;
    this.#resend = [];
    this.#resendNext = 0;
    const inFlight = this.#inFlight;
    for (const at of inFlight.inOrder()) {
      const kind = inFlight.kinds[at];
      if (kind === Awaiting.queueRelease) {
        inFlight.sent[at] = 1;
        this.#sent++;
      } else if (kind === Awaiting.pubcomp || kind === Awaiting.queueComp) {
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
    this.#traces?.lost('acknowledge');
    this.congestion.relieve();
    this.#held.clear();
    this.#resend = [];
    this.#resendNext = 0;
    this.#sent = 0;
    const inFlight = this.#inFlight;
    for (const at of inFlight.inOrder()) {
      const kind = inFlight.kinds[at];
      const isKept =
        kind === Awaiting.pubcomp ||
        kind === Awaiting.queueComp ||
        kind === Awaiting.queueRelease ||
        inFlight.messages[at] !== undefined;
      if (!isKept) inFlight.free(at);
    }
  }

  /** The session is over: what waits is dropped and counted. */
  end(): void {
    this.#counters.add(dropped.sessionEnded, this.#pending.length);
    this.#pending.clear();
    this.#held.clear();
    this.#inFlight.clear();
    this.congestion.relieve();
  }

  /**
   * Sends a live message with `qos` and `retain` as the subscription wants them, or lets it wait, or drops and
   * counts it: QoS 0 when there is no connection or its outbox is full, anything too large for the client.
   * `group`: the share group whose member this is; see `takeUnanswered`.
   */
  deliverLive(
    message: LiveMessage,
    qos: number,
    retain: boolean,
    identifiers: Identifiers,
    group?: object,
  ): void {
    const flags = (qos << 1) | (retain ? 1 : 0);
    const writer = this.#writer;
    if (writer === undefined) {
      // QoS 0 is for those who are there.
      if (qos > 0) this.#wait(message, flags, identifiers, group);
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
    const isRoomy = writer.hasRoom(bytes + this.#highWaterBytes);
    if (!isRoomy) this.#congest(message, writer);
    const hasRoom = isRoomy || writer.hasRoom(bytes);
    let packetId = 0;
    if (qos === 0) {
      if (!hasRoom) {
        this.#counters.add(dropped.outboxFull, 1);
        return;
      }
      if (writer.relay(message, flags, identifiers)) return;
    } else {
      if (!hasRoom || this.#sent >= this.#window || this.#isWaiting()) {
        this.#wait(message, flags, identifiers, group);
        if (!hasRoom) writer.notifyWhenDrained();
        return;
      }
      const kept =
        this.keepsMessages || group !== undefined
          ? { message: message.keepInFlight(this.#clock), flags, identifiers, group }
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

  /** Sends a queue delivery with QoS 0 or 1, holds it until the window has room, or rejects it when it can never be sent. */
  deliverFromQueue(
    attachment: Attachment,
    tag: number,
    delivery: Delivery,
    flags: number,
    identifiers: Identifiers,
  ): void {
    const writer = this.#writer;
    if (writer === undefined) {
      // Between the loss of a connection and the shard's knowledge of it.
      attachment.release(tag);
    } else if (writer.isDeliveryTooLarge(delivery, (flags >> 1) & 3, identifiers)) {
      attachment.reject(tag, reasonCode.packetTooLarge);
    } else {
      this.#sendOrHold(writer, attachment, tag, delivery, flags, identifiers, -1);
    }
  }

  /**
   * The same from the session's own queue, with any QoS and with DUP in `flags` when it may have been sent before, on this
   * or an earlier connection [MQTT-3.3.1-1]. What is too large for the client counts as delivered [MQTT-3.1.2-25].
   */
  deliverFromSessionQueue(
    attachment: Attachment,
    tag: number,
    delivery: Delivery,
    flags: number,
    identifiers: Identifiers,
  ): void {
    const writer = this.#writer;
    if (writer === undefined) {
      attachment.release(tag);
    } else if (this.#isUnanswered(attachment, tag, delivery.offset)) {
      // The answer to what was sent before counts for this one.
    } else if (writer.isDeliveryTooLarge(delivery, (flags >> 1) & 3, identifiers)) {
      this.#counters.add(dropped.packetTooLarge, 1);
      attachment.ack(tag);
    } else {
      this.#sendOrHold(writer, attachment, tag, delivery, flags, identifiers, delivery.offset);
    }
  }

  /** True when a message of `bytes` would leave at once; else `onReady` tells when to ask again. */
  canTake(bytes: number, qos: number): boolean {
    const writer = this.#writer;
    if (writer === undefined) return false;
    if (!writer.hasRoom(bytes)) {
      writer.notifyWhenDrained();
      return false;
    }
    return qos === 0 || (this.#sent < this.#window && !this.#isWaiting());
  }

  /** Calls `listener` whenever `canTake` may have become true, until it is taken back with undefined. */
  onReady(listener: (() => void) | undefined): void {
    this.#onReady = listener;
  }

  /**
   * Takes out what this client has not answered of the share group `group`, oldest first: QoS 1 messages that were sent,
   * and all that wait; `waitingOnly` leaves alone what was sent. QoS 2 messages that were sent stay with this client
   * [MQTT-4.8.2-5].
   */
  takeUnanswered(group: object, waitingOnly: boolean): Waiting[] {
    const taken: Waiting[] = [];
    const inFlight = this.#inFlight;
    for (const at of waitingOnly ? [] : inFlight.inOrder()) {
      const kept = inFlight.messages[at];
      if (kept?.group !== group || inFlight.kinds[at] !== Awaiting.puback) continue;
      taken.push(kept);
      // On a living connection the id stays in use until its PUBACK comes.
      if (this.#writer === undefined) inFlight.free(at);
      else inFlight.messages[at] = undefined;
    }
    this.#pending.filter((waiting) => {
      if (waiting.group !== group) return true;
      taken.push(waiting);
      return false;
    });
    return taken;
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
      if (this.#traces !== undefined) this.#traces.answered(packetId, 'acknowledge', reason);
      // Nobody else could take what waits for this session: a refusal ends it.
      const isOwn = this.#inFlight.offsets[at]! >= 0;
      const attachment = this.#inFlight.owners[at]!;
      const tag = this.#inFlight.tags[at]!;
      this.#free(at);
      // 0x10 is a refusal too (REF 3.5).
      if (!isOwn && (reason >= 0x80 || reason === reasonCode.noMatchingSubscribers)) {
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
    if (kind === Awaiting.puback || kind === Awaiting.queueAck) {
      throw violation('PUBREC for a QoS 1 message', 'MQTT-4.3.2-3');
    }
    if (kind === Awaiting.queueRec) this.#traces?.answered(packetId, 'acknowledge', reason);
    // On its way to the store: PUBREL follows by itself.
    if (kind === Awaiting.queueRelease) return;
    if (reason >= 0x80) {
      if (kind === Awaiting.queueRec) this.#inFlight.owners[at]!.ack(this.#inFlight.tags[at]!);
      if (kind === Awaiting.queueComp) this.#releases?.complete(this.#inFlight.tags[at]!);
      this.#free(at);
      this.pump();
      return;
    }
    if (kind === Awaiting.queueRec) {
      this.#release(at, packetId);
      return;
    }
    if (kind === Awaiting.queueComp) {
      this.#writer?.acknowledge(packetType.pubrel, packetId, reasonCode.success);
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
    const kind = this.#inFlight.kinds[at];
    if (kind === Awaiting.queueComp) {
      this.#releases?.complete(this.#inFlight.tags[at]!);
    } else if (kind !== Awaiting.pubcomp) {
      throw violation('PUBCOMP before PUBREL', 'MQTT-4.3.3-7');
    }
    this.#free(at);
    this.pump();
  }

  /** Sends what waits, as far as the window and the outbox allow: resends, then held and pending in turns. */
  pump(): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    this.#send(writer);
    if (this.congestion.isOn && !this.#isCongested(writer)) this.congestion.relieve();
  }

  #send(writer: PublishWriter): void {
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
      if (takesHeld) {
        if (!this.#sendHeld(writer, this.#held.peek()!)) return;
        this.#held.shift();
      } else this.#sendPending(writer, this.#pending.shift()!);
    }
    this.#onReady?.();
  }

  /** More than half of the outbox or of what may wait is used: the publisher is asked to wait. */
  #congest(message: LiveMessage, writer: PublishWriter): void {
    if (this.congestion.note(this.#clock.nowMs())) message.congestion = this.congestion;
    writer.notifyWhenDrained();
  }

  #isCongested(writer: PublishWriter): boolean {
    return !writer.hasRoom(this.#highWaterBytes) || this.#pending.fullness > 0.25;
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

  /** False when the packet id of its offset is still in use. */
  #sendHeld(writer: PublishWriter, held: Held): boolean {
    const qos = (held.flags >> 1) & 3;
    const packetId = this.#takeForDelivery(held.attachment, held.tag, qos, held.offset);
    if (packetId < 0) return false;
    // The queue enforces expiry; what it has handed out is delivered with at least one second left.
    const left = remainingExpiry(held.message.expiresAtMs, this.#clock.nowMs());
    const { bytes, topicEnd, propertiesEnd } = held.message;
    const traces = this.#traces;
    const isTraced = traces !== undefined && traces.begin(bytes, topicEnd, propertiesEnd, packetId);
    writer.publishStored(held, held.flags, packetId, left === 0 ? 1 : left);
    if (isTraced) traces.turn('deliver', bytes, 0, topicEnd, deliveryFacts(held.attachment, qos, undefined));
    if (qos === 0) held.attachment.ack(held.tag);
    return true;
  }

  /** PUBREC has come: PUBREL may leave only when a restart would know of it, or the message would be sent again. */
  #release(at: number, packetId: number): void {
    const inFlight = this.#inFlight;
    const attachment = inFlight.owners[at]!;
    const tag = inFlight.tags[at]!;
    const offset = inFlight.offsets[at]!;
    inFlight.kinds[at] = Awaiting.queueRelease;
    inFlight.owners[at] = undefined;
    inFlight.tags[at] = offset;
    this.#releases?.release(offset, () => {
      attachment.ack(tag);
      const found = inFlight.find(packetId);
      if (found < 0 || inFlight.kinds[found] !== Awaiting.queueRelease) return;
      inFlight.kinds[found] = Awaiting.queueComp;
      this.#writer?.acknowledge(packetType.pubrel, packetId, reasonCode.success);
    });
  }

  #wait(message: LiveMessage, flags: number, identifiers: Identifiers, group: object | undefined): void {
    const stored = message.keep(this.#clock);
    const bytes = stored.bytes.length;
    while (!this.#pending.hasRoom(bytes)) {
      // The newest messages are worth most to a client that has been away; the oldest gives way.
      this.#counters.add(dropped.sessionQueueFull, 1);
      if (this.#pending.shift() === undefined) return;
    }
    this.#pending.push({ message: stored, flags, identifiers, group }, bytes);
    const writer = this.#writer;
    if (writer !== undefined && this.#pending.fullness > 0.5) this.#congest(message, writer);
  }

  /** `offset` as in `Held`. */
  #sendOrHold(
    writer: PublishWriter,
    attachment: Attachment,
    tag: number,
    delivery: Delivery,
    flags: number,
    identifiers: Identifiers,
    offset: number,
  ): void {
    const qos = (flags >> 1) & 3;
    const bytes =
      delivery.topicEnd -
      delivery.topicStart +
      (delivery.propertiesEnd - delivery.propertiesStart) +
      (delivery.payloadEnd - delivery.payloadStart);
    const mayGo = this.#held.length === 0 && (qos === 0 ? writer.hasRoom(bytes) : this.#sent < this.#window);
    const packetId = mayGo ? this.#takeForDelivery(attachment, tag, qos, offset) : -1;
    if (packetId < 0) {
      this.#hold({ attachment, tag, delivery, flags, identifiers, offset }, bytes);
      if (qos === 0) writer.notifyWhenDrained();
      return;
    }
    const { buffer, propertiesStart, propertiesEnd, topicStart, topicEnd } = delivery;
    const traces = this.#traces;
    const isTraced = traces !== undefined && traces.begin(buffer, propertiesStart, propertiesEnd, packetId);
    writer.publishDelivery(delivery, flags, packetId, identifiers);
    if (isTraced) {
      const attempt = delivery.deliveryAttempt;
      traces.turn('deliver', buffer, topicStart, topicEnd, deliveryFacts(attachment, qos, attempt));
    }
    if (qos === 0) attachment.ack(tag);
  }

  #hold({ delivery, ...rest }: Omit<Held, 'message'> & { delivery: Delivery }, bytes: number): void {
    if (!this.#held.hasRoom(bytes)) {
      rest.attachment.reject(rest.tag, reasonCode.quotaExceeded);
      return;
    }
    const message = copyOf(delivery, delivery.buffer, delivery.buffer, this.#clock, ownMemory);
    this.#held.push({ ...rest, message, group: undefined }, bytes);
  }

  #take(kind: number, kept: Waiting | undefined): number {
    const at = this.#inFlight.take(kind);
    this.#inFlight.messages[at] = kept;
    this.#inFlight.sent[at] = 1;
    this.#sent++;
    return this.#inFlight.idOf(at);
  }

  /** Packet id of a delivery: 0 with QoS 0, -1 while an older message of the session's own queue uses it. */
  #takeForDelivery(attachment: Attachment, tag: number, qos: number, offset: number): number {
    if (qos === 0) return 0;
    const inFlight = this.#inFlight;
    const kind = qos === 1 ? Awaiting.queueAck : Awaiting.queueRec;
    const at = offset < 0 ? inFlight.take(kind) : inFlight.takeAt(idOfOffset(offset), kind);
    if (at < 0) return -1;
    inFlight.owners[at] = attachment;
    inFlight.tags[at] = tag;
    inFlight.offsets[at] = offset;
    inFlight.sent[at] = 1;
    this.#sent++;
    return inFlight.idOf(at);
  }

  /**
   * The client has this message on this connection and owes the answer: a worker that was restarted offers it once more.
   * It is not sent again [MQTT-4.4.0-1]; the answer goes to the new tag.
   */
  #isUnanswered(attachment: Attachment, tag: number, offset: number): boolean {
    const inFlight = this.#inFlight;
    const at = inFlight.find(idOfOffset(offset));
    if (at < 0 || inFlight.offsets[at] !== offset) return false;
    const kind = inFlight.kinds[at];
    if (kind !== Awaiting.queueAck && kind !== Awaiting.queueRec) return false;
    inFlight.owners[at] = attachment;
    inFlight.tags[at] = tag;
    return true;
  }

  #free(at: number): void {
    if (this.#inFlight.sent[at] === 1) this.#sent--;
    this.#inFlight.free(at);
  }
}

/** What a span tells about a delivery; the attempt is not kept of what had to wait for the window. */
function deliveryFacts(
  attachment: Attachment,
  qos: number,
  attempt: number | undefined,
): Readonly<Record<string, number>> {
  return {
    'mqtt.qos': qos,
    'sluice.shard': attachment.shardId,
    'sluice.queue_id': attachment.queueId,
    ...(attempt !== undefined && { 'sluice.delivery_attempt': attempt }),
  };
}
