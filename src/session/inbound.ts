/**
 * The client's PUBLISH on its way in: QoS 0, 1 and 2, routing, queues, acknowledgement. Main thread.
 *
 *   PUBLISH ─▶ topic (alias) ─▶ route ─▶ room in every ring? ─no─▶ false: the decoder keeps it, reading pauses
 *                                         │yes
 *                                         ├─▶ live subscribers, now
 *                                         ╰─▶ shards.publish ═▶ onSettled ─▶ PUBACK / PUBREC in order
 *
 * Always true: a QoS 1 or 2 publish is acknowledged only after every shard with a matching queue has settled it,
 * and in order [MQTT-4.6.0-2]; a failure is told by reason code, to MQTT 3 by closing without acknowledgement.
 * Gives up: nothing per message is allocated, so a message is a set of ranges that die with the call.
 */
import { assert, ProtocolError } from '../base/error.js';
import { ackBytesMax, writeAck } from '../mqtt/encoder.js';
import { packetType, type ProtocolVersion } from '../mqtt/packet-type.js';
import { copyStoredProperties, isStoredForm, type PropertyScan } from '../mqtt/property-scan.js';
import { reasonCode, violation } from '../mqtt/reason-code.js';
import type { Route } from '../router/route.js';
import {
  MessageFlag,
  NO_TOKEN,
  PublishStatus,
  type Publisher,
  type PublisherContext,
  type PublisherHandle,
} from '../shard/link.js';
import { slot } from '../telemetry/counter-layout.js';
import { FIRST_ERROR_REASON_CODE } from '../telemetry/metric-catalogue.js';
import type { ClientIdentity, GatewayContext } from './context.js';
import { AckKind, PendingAcks, type AckSink } from './pending-acks.js';
import type { Session } from './session.js';
import { InboundAliases } from './topic-alias.js';
import type { Wire } from './wire.js';

/** Asked of a ring beyond the message and the client id: headers of frame and record, padding; and each queue id. */
const frameBytesMax = 128;
const queueIdBytes = 4;

/** What the inbound half tells its client object. */
export interface InboundOwner {
  /** A QoS > 0 publish failed and MQTT 3 has no word for it: close without acknowledgement. */
  closeUnacknowledged(): void;
}

/** See the file header. One per connection. */
export class Inbound implements Publisher, AckSink {
  readonly context: PublisherContext & ClientIdentity;
  readonly #gateway: GatewayContext;
  readonly #session: Session;
  readonly #wire: Wire;
  readonly #owner: InboundOwner;
  readonly #version: ProtocolVersion;
  readonly #receiveMaximum: number;
  readonly #acks: PendingAcks;
  readonly #frameBytes: number;
  readonly #aliases = new InboundAliases();
  #handle: PublisherHandle | undefined;
  /** Route of the last publish: most clients stay on one topic. */
  #route: Route<Session> | undefined;
  /** QoS > 0 publishes of this connection that are not answered to the end. */
  #open = 0;
  #state: 'open' | 'settling-qos2' | 'closed' = 'open';
  #waits: 'nothing' | 'ring' | 'acks' | 'turn' = 'nothing';
  readonly #resumeFromRing = (): void => this.#resume();

  constructor(
    gateway: GatewayContext,
    session: Session,
    wire: Wire,
    owner: InboundOwner,
    version: ProtocolVersion,
    username: string | undefined,
  ) {
    this.#gateway = gateway;
    this.#session = session;
    this.#wire = wire;
    this.#owner = owner;
    this.#version = version;
    this.context = {
      clientId: session.clientId,
      username,
      peername: wire.peername,
      protocolVersion: version,
    };
    // MQTT 3 knows no Receive Maximum: there, reading pauses when there are no packet ids left.
    this.#receiveMaximum = version === 5 ? gateway.config.receiveMaximum : Number.POSITIVE_INFINITY;
    this.#acks = new PendingAcks(this);
    this.#frameBytes = frameBytesMax + Buffer.byteLength(session.clientId);
  }

  /** Publishes that wait for their acknowledgement. */
  get pendingCount(): number {
    return this.#acks.size;
  }

  /** One PUBLISH; see `PacketSink.onPublish`. False: not taken, offer it again on resume. */
  publish(
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
    const qos = (flags >> 1) & 3;
    if (qos === 2 && this.#repeatedQos2(packetId)) return true;
    if (qos !== 0) {
      if (this.#open >= this.#receiveMaximum) {
        throw new ProtocolError(
          reasonCode.receiveMaximumExceeded,
          'more publishes than Receive Maximum',
          'MQTT-3.3.4-9',
        );
      }
      if (!this.#acks.hasRoom) {
        this.#waits = 'acks';
        return false;
      }
    }

    let topic = buffer;
    let topicFrom = topicStart;
    let topicTo = topicEnd;
    if (properties.topicAlias !== 0) {
      if (topicStart !== topicEnd) {
        this.#aliases.set(properties.topicAlias, buffer, topicStart, topicEnd);
      } else {
        const known = this.#aliases.get(properties.topicAlias);
        if (known === undefined) throw violation('Topic Alias was never set', 'MQTT-3.3.2-8');
        topic = known;
        topicFrom = 0;
        topicTo = known.length;
      }
    }
    if (topic[topicFrom] === 0x24) {
      const refusal = refusalOf(topic, topicFrom, topicTo);
      if (refusal >= 0) return this.#refuse(qos, packetId, refusal);
    }
    const { hooks, router, shards, live, counters, pace } = this.#gateway;
    if (
      hooks.mayPublish !== undefined &&
      !hooks.mayPublish(this.context, topic.toString('utf8', topicFrom, topicTo))
    ) {
      return this.#refuse(qos, packetId, reasonCode.notAuthorized);
    }

    const route = router.lookupBytes(topic, topicFrom, topicTo, this.#route);
    if (route !== this.#route) {
      // A topic has at most one level more than bytes: most need no count, and only a new one is counted.
      const { topicLevelsMax } = this.#gateway.config;
      if (topicTo - topicFrom >= topicLevelsMax && levelsOf(topic, topicFrom, topicTo) > topicLevelsMax) {
        return this.#refuse(qos, packetId, reasonCode.topicNameInvalid);
      }
      this.#route = route;
    }
    const queues = route.queues;
    if (queues.length > 0) {
      if (pace.publishesLeft <= 0) {
        this.#waits = 'turn';
        this.#resume();
        return false;
      }
      const bytes = topicTo - topicFrom + (payloadEnd - propertiesStart) + this.#frameBytes;
      for (let i = 0; i < queues.length; i++) {
        const target = queues[i]!;
        if (!shards.hasRoom(target.shardId, bytes + queueIdBytes * target.queueIds.length)) {
          this.#waitForRing(target.shardId);
          return false;
        }
      }
    }

    // From here on the message is taken; its properties may be brought into stored form in place, because the
    // decoder does not read them again.
    let propertiesTo = propertiesEnd;
    let expiry = 0;
    if (propertiesStart !== propertiesEnd && !isStoredForm(properties)) {
      propertiesTo = copyStoredProperties(buffer, propertiesStart, propertiesEnd, buffer, propertiesStart);
      // 0 seconds is the shortest life there is: for the queues that is one second.
      if (properties.messageExpiryInterval >= 0) expiry = Math.max(1, properties.messageExpiryInterval);
    }
    counters.add(slot.packetsReceived + packetType.publish, 1);
    counters.add(slot.publishesReceived + qos, 1);
    const messageFlags = qos | ((flags & 1) !== 0 ? MessageFlag.retain : 0);
    live.set(
      topic,
      topicFrom,
      topicTo,
      buffer,
      propertiesStart,
      propertiesTo,
      payloadStart,
      payloadEnd,
      messageFlags,
      expiry,
    );

    const subscribers = route.subscribers;
    for (let i = 0; i < subscribers.length; i++) {
      const target = subscribers[i]!;
      const grant = target.subscriber === this.#session ? target.ownGrant : target.grant;
      if (grant === undefined) continue; // [MQTT-3.8.3-3]
      target.subscriber.deliver(
        live,
        grant.qos < qos ? grant.qos : qos, // [MQTT-3.8.4-8]
        grant.retainAsPublished && (flags & 1) !== 0, // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
        grant.subscriptionIdentifiers,
      );
    }

    let token = NO_TOKEN;
    if (qos !== 0) {
      this.#open++;
      const reason =
        subscribers.length === 0 && queues.length === 0
          ? reasonCode.noMatchingSubscribers
          : reasonCode.success;
      if (qos === 2) {
        this.#session.received.set(packetId, { state: 'settling', countedBy: this, repeatedBy: undefined });
      }
      token = this.#acks.add(qos === 1 ? AckKind.puback : AckKind.pubrec, packetId, reason, queues.length);
    }
    if (queues.length > 0) pace.publishesLeft--;
    for (let i = 0; i < queues.length; i++) {
      const target = queues[i]!;
      this.#handle ??= shards.openPublisher(this);
      shards.publish(target.shardId, this.#handle, token, target.queueIds, live);
    }
    return true;
  }

  /** PUBREL from the client: the id is free again, PUBCOMP says so [MQTT-4.3.3-11]. */
  pubrel(packetId: number): void {
    const entry = this.#session.received.get(packetId);
    if (entry === undefined) {
      this.#write(packetType.pubcomp, packetId, reasonCode.packetIdentifierNotFound);
      return;
    }
    if (entry.state === 'settling') throw violation('PUBREL before PUBREC', 'MQTT-4.3.3-7');
    this.#session.received.delete(packetId);
    if (entry.countedBy === this) this.#open--;
    this.#write(packetType.pubcomp, packetId, reasonCode.success);
  }

  onSettled(firstToken: number, count: number, status: PublishStatus): void {
    this.#acks.settle(firstToken, count, this.#reasonOf(status));
    if (this.#state === 'settling-qos2' && this.#acks.size === 0) this.#closePublisher();
    if (this.#waits === 'acks' && this.#acks.hasRoom) this.#resume();
  }

  onAcknowledge(kind: number, packetId: number, reason: number): void {
    const failed = reason >= FIRST_ERROR_REASON_CODE;
    if (failed) this.#gateway.counters.add(slot.publishesRefused + reason - FIRST_ERROR_REASON_CODE, 1);
    if (kind === AckKind.pubrec) this.#settleQos2(packetId, failed);
    else this.#open--;
    if (this.#state !== 'open') return;
    if (failed && this.#version !== 5) {
      this.#owner.closeUnacknowledged();
      return;
    }
    this.#write(kind === AckKind.puback ? packetType.puback : packetType.pubrec, packetId, reason);
  }

  /** A PUBREC for a message that an earlier connection of this session has sent. */
  answerRepeated(packetId: number, reason: number): void {
    if (this.#state === 'open') this.#acks.add(AckKind.pubrec, packetId, reason, 0);
  }

  /**
   * The connection is gone: nothing is written any more. QoS 2 publishes that are still on their way to the log
   * keep the publisher open, because the session must know whether to publish them again [MQTT-4.3.3-10].
   */
  close(): void {
    if (this.#state !== 'open') return;
    this.#leaveRing();
    let settling = false;
    if (this.#session.state !== 'ended') {
      this.#acks.forEach((kind) => {
        if (kind === AckKind.pubrec) settling = true;
      });
    }
    this.#state = 'settling-qos2';
    if (!settling) this.#closePublisher();
  }

  #closePublisher(): void {
    this.#state = 'closed';
    this.#handle?.close();
    this.#handle = undefined;
  }

  /** A QoS 2 id that is not released yet: not published again; PUBREC repeats once the first one has settled. */
  #repeatedQos2(packetId: number): boolean {
    const entry = this.#session.received.get(packetId);
    if (entry === undefined) return false;
    if (entry.countedBy !== this) {
      entry.countedBy = this;
      this.#open++;
      if (entry.state === 'settling') entry.repeatedBy = this;
    }
    if (entry.state === 'received') this.#acks.add(AckKind.pubrec, packetId, reasonCode.success, 0);
    return true;
  }

  #settleQos2(packetId: number, failed: boolean): void {
    const { received } = this.#session;
    const entry = received.get(packetId);
    // Refused before it was booked (see #refuse), or the session has ended.
    if (entry === undefined) {
      this.#open--;
      return;
    }
    const { repeatedBy } = entry;
    entry.repeatedBy = undefined;
    if (failed) {
      received.delete(packetId);
      if (entry.countedBy === this) this.#open--;
    } else {
      entry.state = 'received';
    }
    if (repeatedBy !== undefined && repeatedBy !== this) {
      repeatedBy.answerRepeated(packetId, failed ? reasonCode.unspecifiedError : reasonCode.success);
    }
  }

  /** The message goes nowhere and the client is told so, as far as its version and QoS allow. */
  #refuse(qos: number, packetId: number, reason: number): boolean {
    this.#gateway.counters.add(slot.publishesReceived + qos, 1);
    if (qos === 0) return true;
    this.#open++;
    if (qos === 2 && reason < FIRST_ERROR_REASON_CODE) {
      this.#session.received.set(packetId, { state: 'settling', countedBy: this, repeatedBy: undefined });
    }
    this.#acks.add(qos === 1 ? AckKind.puback : AckKind.pubrec, packetId, reason, 0);
    return true;
  }

  #reasonOf(status: PublishStatus): number {
    switch (status) {
      case PublishStatus.stored:
        return 0;
      case PublishStatus.quotaExceeded:
        return reasonCode.quotaExceeded;
      case PublishStatus.keyError:
        return reasonCode.payloadFormatInvalid;
      case PublishStatus.storeError:
      case PublishStatus.shardDown:
        return this.#gateway.config.mq.onStoreError === 'ignore' ? 0 : reasonCode.unspecifiedError;
    }
  }

  #write(type: 4 | 5 | 7, packetId: number, reason: number): void {
    const { outbox } = this.#wire;
    outbox.ensure(ackBytesMax);
    outbox.offset = writeAck(outbox.buffer, outbox.offset, type, this.#version, packetId, reason);
    this.#gateway.counters.add(slot.packetsSent + type, 1);
  }

  #waitForRing(shardId: number): void {
    const { shards, counters } = this.#gateway;
    counters.add(slot.ringPauses, 1);
    counters.add(slot.connectionsPaused, 1);
    this.#waits = 'ring';
    shards.whenRoom(shardId, this.#resumeFromRing);
  }

  #leaveRing(): void {
    if (this.#waits === 'ring') this.#gateway.counters.add(slot.connectionsPaused, -1);
    this.#waits = 'nothing';
  }

  #resume(): void {
    if (this.#waits === 'nothing') return;
    this.#leaveRing();
    assert(this.#state === 'open', 'a closed connection waits for nothing');
    this.#wire.resume();
  }
}

const sysPrefix = Buffer.from('$SYS/');
const sharePrefix = Buffer.from('$share/');

/** Reason code for topics that clients cannot publish to, -1 for all others. */
function refusalOf(topic: Buffer, start: number, end: number): number {
  // What the server says about itself is not for clients to say [MQTT-4.7.2-1]: ignored.
  if (startsWith(topic, start, end, sysPrefix)) return reasonCode.noMatchingSubscribers;
  if (startsWith(topic, start, end, sharePrefix)) return reasonCode.topicNameInvalid;
  return -1;
}

function levelsOf(topic: Buffer, start: number, end: number): number {
  let levels = 1;
  for (let i = start; i < end; i++) if (topic[i] === 0x2f) levels++;
  return levels;
}

function startsWith(buffer: Buffer, start: number, end: number, prefix: Buffer): boolean {
  if (end - start < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (buffer[start + i] !== prefix[i]) return false;
  return true;
}
