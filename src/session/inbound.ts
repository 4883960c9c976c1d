/**
 * The client's PUBLISH on its way in: QoS 0, 1 and 2, routing, queues, acknowledgement. Main thread.
 *
 *   PUBLISH ─▶ topic (alias) ─▶ route ─▶ room in every ring? ─no─▶ false: the decoder keeps it, reading pauses
 *                                         │yes
 *                                         ├─▶ live subscribers, share groups: now
 *                                         ╰─▶ queues, session queues, retained ═▶ onSettled ─▶ PUBACK / PUBREC in order
 *
 * Always true: a QoS 1 or 2 publish is acknowledged only after every shard that stores something of it has settled it,
 * and in order [MQTT-4.6.0-2]; a failure is told by reason code, to MQTT 3 by closing without acknowledgement. The
 * packet id of a QoS 2 publish of a durable session is committed with the message, so a restart cannot make two of it.
 * Gives up: nothing per message is allocated, so a message is a set of ranges that die with the call.
 */
import { assert, ProtocolError } from '../base/error.js';
import { ackBytesMax, writeAck } from '../mqtt/encoder.js';
import { packetType, type ProtocolVersion } from '../mqtt/packet-type.js';
import { publishFrameStart } from '../mqtt/publish-frame.js';
import { copyStoredProperties, isStoredForm, type PropertyScan } from '../mqtt/property-scan.js';
import { reasonCode, violation } from '../mqtt/reason-code.js';
import type { Route, ShardQueues } from '../router/route.js';
import {
  MessageFlag,
  NO_TOKEN,
  PublishStatus,
  RowStore,
  type Publisher,
  type PublisherHandle,
} from '../shard/link.js';
import { slot } from '../telemetry/counter-layout.js';
import { FIRST_ERROR_REASON_CODE } from '../telemetry/metric-catalogue.js';
import type { ClientIdentity, GatewayContext } from './context.js';
import type { Congestion } from './congestion.js';
import type { LiveMessage } from './message.js';
import type { RowPlace } from './durable-session.js';
import { OpenTraces } from './open-traces.js';
import { AckKind, PendingAcks, type AckSink } from './pending-acks.js';
import { encodeReceived } from './session-record.js';
import type { ReceivedQos2, Session } from './session.js';
import { ShareRound } from './share-round.js';
import { InboundAliases } from './topic-alias.js';
import { limitExceeded, topicBytesLimitFault } from './topic-limit.js';
import type { Wire } from './wire.js';
import { freeSubscribers, workUnits, type WorkLimit } from './work-limit.js';

/** Asked of a ring beyond the message and twice the client id: headers of frame, record and row, padding; each queue id. */
const frameBytesMax = 256;
const queueIdBytes = 4;
/** Pause before a shard that is down is asked again what it has. */
const doubtRetryMs = 250;

/** One publish in 64 is timed: both clock reads together cost the others less than a nanosecond each. */
const sampleMask = 63;

/** What the inbound half tells its client object. */
export interface InboundOwner {
  /** A QoS > 0 publish failed and MQTT 3 has no word for it: close without acknowledgement. */
  closeUnacknowledged(): void;
}

/** See the file header. One per connection. */
export class Inbound implements Publisher, AckSink {
  #context: ClientIdentity;
  readonly #gateway: GatewayContext;
  readonly #session: Session;
  readonly #wire: Wire;
  readonly #owner: InboundOwner;
  readonly #work: WorkLimit;
  readonly #version: ProtocolVersion;
  readonly #receiveMaximum: number;
  readonly #acks: PendingAcks;
  readonly #frameBytes: number;
  readonly #aliases = new InboundAliases();
  /** Undefined while tracing is off. */
  readonly #traces: OpenTraces | undefined;
  /** Made with the first message for a share group. */
  #round: ShareRound | undefined;
  #handle: PublisherHandle | undefined;
  /** Route of the last publish: most clients stay on one topic. */
  #route: Route<Session> | undefined;
  /** QoS > 0 publishes of this connection that are not answered to the end. */
  #open = 0;
  #state: 'open' | 'settling-qos2' | 'closed' = 'open';
  /** Packet id of the publish whose time to its acknowledgement is taken; 0 = none. */
  #sampledId = 0;
  #sampledAtMs = 0;
  #waits: 'nothing' | 'ring' | 'acks' | 'turn' | 'subscriber' | 'doubt' = 'nothing';
  readonly #goOn = (): void => this.#resume();

  constructor(
    gateway: GatewayContext,
    session: Session,
    wire: Wire,
    owner: InboundOwner,
    work: WorkLimit,
    version: ProtocolVersion,
    identity: ClientIdentity,
  ) {
    this.#gateway = gateway;
    this.#session = session;
    this.#wire = wire;
    this.#owner = owner;
    this.#work = work;
    this.#version = version;
    this.#context = identity;
    // MQTT 3 knows no Receive Maximum: there, reading pauses when there are no packet ids left.
    this.#receiveMaximum = version === 5 ? gateway.config.receiveMaximum : Number.POSITIVE_INFINITY;
    this.#acks = new PendingAcks(this);
    this.#traces = gateway.tracer && new OpenTraces(gateway.tracer, session.clientId);
    this.#frameBytes = frameBytesMax + 2 * Buffer.byteLength(session.clientId);
  }

  get context(): ClientIdentity {
    return this.#context;
  }

  /** The client has authenticated anew: its rights may be others now. */
  proveAnew(identity: ClientIdentity['identity']): void {
    this.#context = { ...this.#context, identity };
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
    /** What a restart has left of this very message: some shards have it. */
    let repeated: ReceivedQos2 | undefined;
    if (qos === 2) {
      const { received } = this.#session;
      const entry = received.get(packetId);
      switch (entry?.state) {
        case undefined:
          break;
        case 'partial':
          repeated = entry;
          break;
        case 'releasing':
          // A client that does not wait for PUBCOMP.
          received.delete(packetId);
          break;
        case 'doubtful':
          this.#waits = 'doubt';
          this.#settleDoubts();
          return false;
        case 'settling':
        case 'received':
          this.#repeatQos2(packetId, entry);
          return true;
      }
    }
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
      const refusal = refusalOf(topic, topicFrom, topicTo, this.#version);
      if (refusal >= 0) return this.#refuse(qos, packetId, refusal);
    }
    const { access, router, shards, live, counters, pace, retained } = this.#gateway;
    const isRetain = (flags & 1) !== 0;
    if (isRetain && this.#version === 5 && this.#gateway.config.retainedMax === 0) {
      throw new ProtocolError(reasonCode.retainNotSupported, 'nothing is retained', 'MQTT-3.2.2-14');
    }
    if (
      access !== undefined &&
      !access.mayPublishBytes(this.#context, topic, topicFrom, topicTo, qos, isRetain)
    ) {
      return this.#refuse(qos, packetId, reasonCode.notAuthorized);
    }
    const route = router.lookupBytes(topic, topicFrom, topicTo, this.#route);
    const isOtherTopic = route !== this.#route;
    if (isOtherTopic) {
      const fault = topicBytesLimitFault(topic, topicFrom, topicTo, this.#gateway.config);
      if (fault !== undefined) {
        counters.add(limitExceeded[fault], 1);
        return this.#refuse(qos, packetId, reasonCode.topicNameInvalid);
      }
      this.#route = route;
    }
    // QoS 0 is not for those who are away; what else matches a durable session goes into its queue.
    let queues = qos === 0 ? route.queues : route.ackedQueues;
    if (queues !== route.queues && this.#session.noLocalCount > 0) queues = withoutOwn(route, this.#session);
    const retainShard = isRetain ? retained.shardIdFor(topic, topicFrom, topicTo) : -1;
    const bytes = topicTo - topicFrom + (payloadEnd - propertiesStart) + this.#frameBytes;
    if (queues.length > 0) {
      // Opened before anybody asks for room: the frame that opens it needs some as well.
      this.#handle ??= shards.openPublisher(this);
      if (pace.publishesLeft <= 0) {
        this.#waits = 'turn';
        this.#resume();
        return false;
      }
      for (let i = 0; i < queues.length; i++) {
        const target = queues[i]!;
        if (!shards.hasRoom(target.shardId, bytes + queueIdBytes * target.queueIds.length)) {
          this.#waitForRing(target.shardId);
          return false;
        }
      }
    }
    if (retainShard >= 0 && !shards.hasRoom(retainShard, 2 * bytes)) {
      this.#waitForRing(retainShard);
      return false;
    }
    if (route.shares.length > 0 && qos > 0 && !this.#shardsHaveRoom(route, bytes)) return false;

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
    counters.add(slot.publishBytesReceived, payloadEnd - payloadStart);
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

    if (qos === 0 && expiry === 0 && propertiesTo === propertiesEnd && topic === buffer) {
      live.frameStart = publishFrameStart(
        buffer,
        (packetType.publish << 4) | flags,
        topicStart,
        topicEnd,
        propertiesStart,
        propertiesEnd,
        payloadEnd,
      );
      live.isFrameOfMqtt5 = this.#version === 5;
    }
    const traces = this.#traces;
    const isTraced = traces !== undefined && traces.begin(buffer, propertiesStart, propertiesTo, packetId);
    if (qos < 2) this.#deliver(live, route, qos, isRetain);
    if (isOtherTopic || route.subscribers.length > freeSubscribers) {
      this.#work.spend(workUnits.topic + route.subscribers.length);
    }
    if (route.shares.length > 0 && repeated === undefined) {
      queues = (this.#round ??= new ShareRound()).give(live, route, this.#session, qos, queues);
    }
    if (qos === 0) {
      this.#publishUnacknowledged(live, queues, isRetain);
    } else {
      this.#publishAcknowledged(live, route, queues, qos, packetId, repeated, isRetain);
      // Clients that hear their own messages expect the PUBREC first, as nearly all brokers send it.
      if (qos === 2 && repeated === undefined) this.#deliver(live, route, qos, isRetain);
    }
    if (isTraced) {
      traces.turn('publish', topic, topicFrom, topicTo, {
        'messaging.message.body.size': payloadEnd - payloadStart,
        'mqtt.qos': qos,
        'sluice.subscribers': route.subscribers.length,
        'sluice.queues': countQueues(queues),
      });
    }
    if (live.congestion !== undefined) this.#waitForSubscriber(live, live.congestion);
    return true;
  }

  /** To the subscribers that are not reached through a queue. */
  #deliver(live: LiveMessage, route: Route<Session>, qos: number, isRetain: boolean): void {
    const subscribers = qos === 0 ? route.subscribers : route.directSubscribers;
    for (let i = 0; i < subscribers.length; i++) {
      const target = subscribers[i]!;
      const grant = target.subscriber === this.#session ? target.ownGrant : target.grant;
      if (grant === undefined) continue; // [MQTT-3.8.3-3]
      target.subscriber.deliver(
        live,
        grant.qos < qos ? grant.qos : qos, // [MQTT-3.8.4-8]
        grant.retainAsPublished && isRetain, // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
        grant.subscriptionIdentifiers,
      );
    }
  }

  #publishUnacknowledged(live: LiveMessage, queues: readonly ShardQueues[], isRetain: boolean): void {
    const { shards, pace, retained } = this.#gateway;
    if (queues.length > 0) pace.publishesLeft--;
    for (let i = 0; i < queues.length; i++) {
      const target = queues[i]!;
      this.#handle ??= shards.openPublisher(this);
      shards.publish(target.shardId, this.#handle, NO_TOKEN, target.queueIds, live);
    }
    if (isRetain) retained.publish(live, (this.#handle ??= shards.openPublisher(this)), NO_TOKEN);
  }

  #publishAcknowledged(
    live: LiveMessage,
    route: Route<Session>,
    queues: readonly ShardQueues[],
    qos: number,
    packetId: number,
    repeated: ReceivedQos2 | undefined,
    isRetain: boolean,
  ): void {
    const { shards, pace, retained, sessions } = this.#gateway;
    const { clientId, received } = this.#session;
    this.#open++;
    const isKnown = route.subscribers.length > 0 || route.shares.length > 0 || queues.length > 0;
    let entry: ReceivedQos2 | undefined;
    if (qos === 2) {
      entry = {
        state: 'settling',
        countedBy: this,
        repeatedBy: undefined,
        rows: repeated === undefined ? [] : repeated.rows,
      };
      received.set(packetId, entry);
    }
    // Its rows go with the message into each shard; with no queue at all, one into the session's shard.
    const rows = entry !== undefined && this.#session.durable !== undefined ? entry.rows : undefined;
    const shardCount = Math.max(1, queues.length);
    let settlements = isRetain ? 1 : 0;
    if (rows === undefined) {
      settlements += queues.length;
    } else {
      for (const { shardId } of queues) if (isMissing(rows, shardId)) settlements += 2;
      if (queues.length === 0 && rows.length === 0) settlements += 1;
    }
    const token = this.#acks.add(
      qos === 1 ? AckKind.puback : AckKind.pubrec,
      packetId,
      // PUBREC leaves the missing subscribers out, as the server may: hardly a client expects them there.
      isKnown || qos === 2 ? reasonCode.success : reasonCode.noMatchingSubscribers,
      settlements,
    );
    if (settlements === 0) return;
    // While one is being timed no other is, or a client with many in flight would never see one answered.
    if ((token & sampleMask) === 0 && this.#sampledId === 0) {
      this.#sampledId = packetId;
      this.#sampledAtMs = this.#gateway.clock.nowMs();
    }
    const handle = (this.#handle ??= shards.openPublisher(this));
    if (queues.length > 0) pace.publishesLeft--;
    for (let i = 0; i < queues.length; i++) {
      const { shardId, queueIds } = queues[i]!;
      if (rows !== undefined && !isMissing(rows, shardId)) continue;
      shards.publish(shardId, handle, token, queueIds, live);
      if (rows !== undefined) this.#mark(rows, shardId, packetId, shardCount, token, true);
    }
    if (rows?.length === 0 && queues.length === 0) {
      this.#mark(rows, sessions.shardOf(clientId), packetId, shardCount, token, false);
    }
    if (isRetain && !retained.publish(live, handle, token)) this.#acks.settle(token, 1, 0);
  }

  /** The row by which a restart knows this packet id; `joins`: committed together with the frame written before it. */
  #mark(
    rows: RowPlace[],
    shardId: number,
    packetId: number,
    shardCount: number,
    token: number,
    joins: boolean,
  ): void {
    const { shards } = this.#gateway;
    const rowId = shards.nextRowId();
    const value = encodeReceived(this.#session.clientId, packetId, shardCount);
    shards.putRow(shardId, this.#handle!, token, RowStore.received, rowId, value, joins);
    rows.push({ shardId, rowId });
  }

  /**
   * Any shard may hold the queues of the members that will be chosen: one record per shard, the retained row and a row of
   * QoS 2 beside it, and ids for all of them.
   */
  #shardsHaveRoom(route: Route<Session>, bytes: number): boolean {
    const { shards } = this.#gateway;
    let ids = route.shares.length;
    for (let i = 0; i < route.ackedQueues.length; i++) ids += route.ackedQueues[i]!.queueIds.length;
    const wanted = 2 * bytes + queueIdBytes * ids;
    for (let shardId = 0; shardId < shards.shardCount; shardId++) {
      if (shards.hasRoom(shardId, wanted)) continue;
      this.#waitForRing(shardId);
      return false;
    }
    return true;
  }

  /** PUBREL from the client: the id is free again, PUBCOMP says so [MQTT-4.3.3-11]. */
  pubrel(packetId: number): void {
    const entry = this.#session.received.get(packetId);
    if (entry === undefined) {
      // After a resume this may repeat a PUBREL whose PUBCOMP was lost: then it is no fault.
      const reason = this.#session.isResumed ? reasonCode.success : reasonCode.packetIdentifierNotFound;
      this.#write(packetType.pubcomp, packetId, reason);
      return;
    }
    if (entry.state === 'settling') throw violation('PUBREL before PUBREC', 'MQTT-4.3.3-7');
    if (entry.countedBy === this) this.#open--;
    entry.countedBy = undefined;
    entry.repeatedBy = this;
    if (entry.state === 'releasing') return;
    if (entry.rows.length === 0) {
      this.#complete(packetId, entry);
      return;
    }
    // PUBCOMP frees the id for another message: first the log must have forgotten this one, on whatever connection.
    entry.state = 'releasing';
    this.#gateway.sessions.forgetReceived(entry.rows, () => this.#complete(packetId, entry));
  }

  #complete(packetId: number, entry: ReceivedQos2): void {
    const { received } = this.#session;
    if (received.get(packetId) === entry) received.delete(packetId);
    const asking = entry.repeatedBy;
    if (asking !== undefined && asking.#state === 'open')
      asking.#write(packetType.pubcomp, packetId, reasonCode.success);
  }

  onSettled(firstToken: number, count: number, status: PublishStatus): void {
    this.#acks.settle(firstToken, count, this.#reasonOf(status));
    if (this.#state === 'settling-qos2' && this.#acks.size === 0) this.#closePublisher();
    if (this.#waits === 'acks' && this.#acks.hasRoom) this.#resume();
  }

  onAcknowledge(kind: number, packetId: number, reason: number): void {
    if (this.#traces !== undefined) this.#traces.answered(packetId, 'store', reason);
    const failed = reason >= FIRST_ERROR_REASON_CODE;
    if (failed) this.#gateway.counters.add(slot.publishesRefused + reason - FIRST_ERROR_REASON_CODE, 1);
    let isDoubtful = false;
    if (kind === AckKind.pubrec) isDoubtful = this.#settleQos2(packetId, reason);
    else this.#open--;
    if (this.#state !== 'open') return;
    // A reason code would free a packet id that the log may still know, or be lost with the connection.
    if (isDoubtful || (failed && this.#version !== 5)) {
      this.#owner.closeUnacknowledged();
      return;
    }
    this.#write(kind === AckKind.puback ? packetType.puback : packetType.pubrec, packetId, reason);
    if (packetId === this.#sampledId) {
      this.#sampledId = 0;
      const { clock, counters } = this.#gateway;
      // How soon something failed says nothing about the time that storing takes.
      if (!failed) counters.observe('publishAckSeconds', (clock.nowMs() - this.#sampledAtMs) / 1000);
    }
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
    this.#traces?.lost('store');
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
  #repeatQos2(packetId: number, entry: ReceivedQos2): void {
    if (entry.countedBy !== this) {
      entry.countedBy = this;
      this.#open++;
      if (entry.state === 'settling') entry.repeatedBy = this;
    }
    if (entry.state === 'received') this.#acks.add(AckKind.pubrec, packetId, reasonCode.success, 0);
  }

  /** Asks the shards, once they are all up, which messages they have whose publisher could not be told how they ended. */
  #settleDoubts(): void {
    this.#gateway.sessions.storedReceived().then(
      (rowIds) => {
        if (this.#waits !== 'doubt') return;
        this.#session.settleDoubts(rowIds);
        this.#resume();
      },
      () => {
        const again = setTimeout(() => {
          if (this.#waits === 'doubt') this.#settleDoubts();
        }, doubtRetryMs);
        again.unref();
      },
    );
  }

  /** True when the shards are to be asked what they have of it. */
  #settleQos2(packetId: number, reason: number): boolean {
    const failed = reason >= FIRST_ERROR_REASON_CODE;
    const { received } = this.#session;
    const entry = received.get(packetId);
    // Refused before it was booked (see #refuse), or the session has ended.
    if (entry === undefined) {
      this.#open--;
      return false;
    }
    const { repeatedBy } = entry;
    let isDoubtful = false;
    entry.repeatedBy = undefined;
    if (failed) {
      if (entry.countedBy === this) this.#open--;
      isDoubtful = reason === reasonCode.unspecifiedError && entry.rows.length > 0;
      if (isDoubtful) {
        // The shard may have stored it before it failed, and the client sends it again under this id.
        entry.state = 'doubtful';
        entry.countedBy = undefined;
      } else {
        received.delete(packetId);
        this.#gateway.sessions.forgetReceived(entry.rows);
      }
    } else {
      entry.state = 'received';
    }
    if (repeatedBy !== undefined && repeatedBy !== this) {
      repeatedBy.answerRepeated(packetId, failed ? reasonCode.unspecifiedError : reasonCode.success);
    }
    return isDoubtful;
  }

  /** The message goes nowhere and the client is told so, as far as its version and QoS allow. */
  #refuse(qos: number, packetId: number, why: number): boolean {
    const { counters } = this.#gateway;
    counters.add(slot.publishesReceived + qos, 1);
    if (qos === 0) return true;
    let reason = why;
    if (this.#version !== 5 && why >= FIRST_ERROR_REASON_CODE) {
      // It would be refused again for ever: cut off, the client would never get rid of it [MQTT-3.1.1 3.3.5-2].
      counters.add(slot.publishesRefused + why - FIRST_ERROR_REASON_CODE, 1);
      reason = reasonCode.success;
    }
    this.#open++;
    if (qos === 2 && reason < FIRST_ERROR_REASON_CODE) {
      this.#session.received.set(packetId, {
        state: 'settling',
        countedBy: this,
        repeatedBy: undefined,
        rows: [],
      });
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

  /** A subscriber of this message is half full: no packet after this one until it is relieved, or given up. */
  #waitForSubscriber(live: LiveMessage, congestion: Congestion): void {
    live.congestion = undefined;
    // A client that floods itself must be heard to take its own messages.
    if (congestion === this.#session.outbound.congestion || !congestion.isOn) return;
    this.#gateway.counters.add(slot.subscriberPauses, 1);
    this.#waits = 'subscriber';
    this.#wire.hold();
    congestion.whenRelieved(this.#goOn);
  }

  #waitForRing(shardId: number): void {
    const { shards, counters } = this.#gateway;
    counters.add(slot.ringPauses, 1);
    counters.add(slot.connectionsPaused, 1);
    this.#waits = 'ring';
    shards.whenRoom(shardId, this.#goOn);
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

function countQueues(queues: readonly ShardQueues[]): number {
  let count = 0;
  for (const { queueIds } of queues) count += queueIds.length;
  return count;
}

function isMissing(rows: readonly RowPlace[], shardId: number): boolean {
  return rows.every((row) => row.shardId !== shardId);
}

/** The queues of a publish without the publisher's own session queue, unless it wants its own messages [MQTT-3.8.3-3]. */
function withoutOwn(route: Route<Session>, session: Session): readonly ShardQueues[] {
  const target = session.durable?.target;
  const own = route.grantOf(session);
  if (target === undefined || own === undefined || (own.ownGrant?.qos ?? 0) > 0) return route.ackedQueues;
  return route.ackedQueues
    .map(({ shardId, queueIds }) => ({
      shardId,
      queueIds: shardId === target.shardId ? queueIds.filter((id) => id !== target.queueId) : queueIds,
    }))
    .filter(({ queueIds }) => queueIds.length > 0);
}

const sysPrefix = Buffer.from('$SYS/');
const sharePrefix = Buffer.from('$share/');

const bridgePrefix = Buffer.from('$SYS/broker/connection/');
const bridgeSuffix = Buffer.from('/state');

/** Reason code for topics that clients cannot publish to, -1 for all others. */
function refusalOf(topic: Buffer, start: number, end: number, version: ProtocolVersion): number {
  // What the server says about itself is not for clients to say [MQTT-4.7.2-1]. It is ignored from MQTT 3 clients, who
  // could only be cut off [MQTT-3.1.1 3.3.5-2], and from bridges, which announce themselves to any broker.
  if (startsWith(topic, start, end, sysPrefix)) {
    const isBridge =
      startsWith(topic, start, end, bridgePrefix) &&
      startsWith(topic, Math.max(start, end - bridgeSuffix.length), end, bridgeSuffix);
    return version !== 5 || isBridge ? reasonCode.noMatchingSubscribers : reasonCode.notAuthorized;
  }
  if (startsWith(topic, start, end, sharePrefix)) return reasonCode.notAuthorized;
  return -1;
}

function startsWith(buffer: Buffer, start: number, end: number, prefix: Buffer): boolean {
  if (end - start < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (buffer[start + i] !== prefix[i]) return false;
  return true;
}
