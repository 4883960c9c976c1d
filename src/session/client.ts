/**
 * The protocol of one connection: the packet sink of its decoder. Main thread.
 *
 *   connecting ──CONNECT──▶ (authenticating ◀──AUTH──▶) connected ──DISCONNECT, error, loss──▶ ended
 *
 * Always true: the first packet is CONNECT and there is only one [MQTT-3.1.0-1] [MQTT-3.1.0-2]; nothing is
 * written after `ended`; a `ProtocolError` ends this connection only, with its reason code where the version
 * has a place for it [MQTT-4.13.1-1]. Gives up: nothing of a session; that is `session.ts`.
 */
import type {
  IConnectPacket,
  IDisconnectPacket,
  ISubscribePacket,
  IUnsubscribePacket,
  Packet,
} from 'mqtt-packet';

import type { ProtocolError } from '../base/error.js';
import type { PacketSink } from '../mqtt/decoder.js';
import { encodePacket, pingBytes, writePingresp } from '../mqtt/encoder.js';
import { packetType, type AckType, type ProtocolVersion } from '../mqtt/packet-type.js';
import type { PropertyScan } from '../mqtt/property-scan.js';
import { connackReturnCode, reasonCode, reasonName, violation } from '../mqtt/reason-code.js';
import { slot, slotOf } from '../telemetry/counter-layout.js';
import { FIRST_ERROR_REASON_CODE } from '../telemetry/metric-catalogue.js';
import { readConnect, readDisconnectExpiry, type ConnectTerms } from './connect.js';
import type { AuthStep, Identity } from '../auth/authenticator.js';
import { Authentication, type AuthenticationOwner } from './authentication.js';
import type { ClientFacts, ClientIdentity, GatewayContext } from './context.js';
import { Inbound } from './inbound.js';
import type { Session, SessionClient } from './session.js';
import { Subscribing, unsubscribe } from './subscribe.js';
import { limitExceeded } from './topic-limit.js';
import type { Wire } from './wire.js';
import { WorkLimit, workUnits } from './work-limit.js';

/** The longest that a timer takes. */
const timerMsMax = 2_147_483_647;
const refusedByConnack = slotOf('connectionsRefused', 'connack');

/** See the file header. One per connection. */
export class Client implements PacketSink, SessionClient, AuthenticationOwner {
  readonly #context: GatewayContext;
  readonly #wire: Wire;
  readonly #newClientId: () => string;
  readonly #work: WorkLimit;
  #state: 'connecting' | 'authenticating' | 'connected' | 'ended' = 'connecting';
  #version: ProtocolVersion = 4;
  #maximumPacketSize = Number.POSITIVE_INFINITY;
  /** Set Request Problem Information to 1 itself: others are spared the Reason Strings [MQTT-3.1.2-29]. */
  #wantsReasons = false;
  #terms: ConnectTerms | undefined;
  #session: Session | undefined;
  #inbound: Inbound | undefined;
  readonly #authentication: Authentication;
  #expiryTimer: NodeJS.Timeout | undefined;
  #endReason: number = reasonCode.unspecifiedError;
  #facts: ClientFacts | undefined;

  constructor(context: GatewayContext, wire: Wire, newClientId: () => string) {
    this.#context = context;
    this.#wire = wire;
    this.#newClientId = newClientId;
    this.#work = new WorkLimit(wire);
    this.#authentication = new Authentication(this, context.hooks.authenticator);
  }

  get state(): 'connecting' | 'authenticating' | 'connected' | 'ended' {
    return this.#state;
  }

  /** Undefined until the client is let in. */
  get identity(): ClientIdentity | undefined {
    return this.#inbound?.context;
  }

  get session(): Session | undefined {
    return this.#session;
  }

  get facts(): ClientFacts | undefined {
    return this.#facts;
  }

  get traffic(): Pick<Wire, 'bytesReceived' | 'bytesSent'> {
    return this.#wire;
  }

  /** QoS > 0 publishes that are not acknowledged yet. */
  get unsettledCount(): number {
    return this.#state === 'connected' ? (this.#inbound?.pendingCount ?? 0) : 0;
  }

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
    // Before CONNECT the decoder lets nothing else pass; behind an undecided one it waits.
    if (this.#inbound === undefined || this.#state !== 'connected') return this.#isOver();
    return this.#inbound.publish(
      buffer,
      flags,
      topicStart,
      topicEnd,
      packetId,
      propertiesStart,
      propertiesEnd,
      payloadStart,
      payloadEnd,
      properties,
    );
  }

  onAck(type: AckType, packetId: number, reason: number): boolean {
    if (this.#session === undefined || this.#state !== 'connected') return this.#isOver();
    this.#context.counters.add(slot.packetsReceived + type, 1);
    const { outbound } = this.#session;
    if (type === packetType.puback) outbound.onPuback(packetId, reason);
    else if (type === packetType.pubrec) outbound.onPubrec(packetId, reason);
    else if (type === packetType.pubcomp) outbound.onPubcomp(packetId);
    else this.#inbound?.pubrel(packetId);
    this.#session.noteRelief();
    return true;
  }

  onPing(): boolean {
    if (this.#state !== 'connected') return this.#isOver();
    this.#context.counters.add(slot.packetsReceived + packetType.pingreq, 1);
    const { outbox } = this.#wire;
    outbox.ensure(pingBytes);
    outbox.offset = writePingresp(outbox.buffer, outbox.offset);
    this.#context.counters.add(slot.packetsSent + packetType.pingresp, 1);
    return true;
  }

  onRunEnd(): void {
    this.#wire.endRelays();
  }

  /**
   * For packets that only a connected client sends: true when they mean nothing any more, false when they wait for the
   * decision about CONNECT. Within an exchange they are a breach [MQTT-3.1.2-30].
   */
  #isOver(): boolean {
    if (this.#state !== 'authenticating') return true;
    if (this.#authentication.isExchanging)
      throw violation('a packet within an authentication', 'MQTT-3.1.2-30');
    return false;
  }

  onPacket(packet: Packet): boolean {
    if (this.#state === 'ended') return true;
    if (this.#state === 'authenticating') {
      // Behind a CONNECT whose authentication is under way: offered again once it is decided.
      if (!this.#authentication.isExchanging) return false;
      this.#authenticateFurther(packet);
      return true;
    }
    switch (packet.cmd) {
      case 'connect':
        this.#count(packetType.connect);
        this.#connect(packet);
        return true;
      case 'subscribe':
        this.#count(packetType.subscribe);
        this.#subscribe(packet, this.#connected());
        return true;
      case 'unsubscribe':
        this.#count(packetType.unsubscribe);
        this.#unsubscribe(packet, this.#connected());
        return true;
      case 'disconnect':
        this.#count(packetType.disconnect);
        this.#disconnect(packet);
        return true;
      case 'auth':
        this.#count(packetType.auth);
        this.#connected();
        this.#authentication.anew(packet);
        return true;
      default:
        throw violation(`a client does not send ${packet.cmd}`);
    }
  }

  /**
   * The connection ends by a fault of the peer. `asked` is the version that its CONNECT named, 0 when there was
   * none: it decides the form of the last packet.
   */
  fail(error: ProtocolError, asked: ProtocolVersion | 0): void {
    if (this.#state === 'ended') return;
    const { counters, logger } = this.#context;
    logger.debug(
      { peername: this.#wire.peername, clientId: this.#session?.clientId, err: error },
      'protocol error',
    );
    if (error.reasonCode >= FIRST_ERROR_REASON_CODE) {
      counters.add(slot.protocolErrors + error.reasonCode - FIRST_ERROR_REASON_CODE, 1);
    }
    this.#endReason = error.reasonCode;
    if (this.#state === 'connected') this.#sendDisconnect(error.reasonCode, error.message);
    else this.#refuse(error.reasonCode, asked, error.message);
    this.#end();
  }

  /** Ends the connection by our own decision: DISCONNECT with `reason` for MQTT 5, then close. */
  close(reason: number): void {
    if (this.#state === 'ended') return;
    this.#endReason = reason;
    if (this.#state === 'connected') this.#sendDisconnect(reason, undefined);
    this.#end();
  }

  takenOver(): void {
    this.#context.counters.add(slot.sessionTakeovers, 1);
    this.close(reasonCode.sessionTakenOver); // [MQTT-3.1.4-3]
  }

  /** A failed QoS > 0 publish of an MQTT 3 client: it keeps the message and sends it again on its next connection. */
  closeUnacknowledged(): void {
    this.close(reasonCode.unspecifiedError);
  }

  /** The network connection is gone. */
  lost(): void {
    if (this.#state === 'ended') return;
    this.#leave();
  }

  /** The kernel has taken the whole outbox. */
  drained(): void {
    if (this.#state !== 'connected' || this.#session === undefined) return;
    this.#session.outbound.pump();
    this.#session.noteRelief();
  }

  #connect(packet: IConnectPacket): void {
    if (this.#state !== 'connecting') throw violation('a second CONNECT', 'MQTT-3.1.0-2');
    const version = packet.protocolVersion ?? 4;
    this.#version = version;
    const terms = readConnect(packet, this.#context.config, this.#newClientId);
    this.#maximumPacketSize = terms.maximumPacketSize;
    this.#wantsReasons = packet.properties?.requestProblemInformation === true;
    this.#wire.setVersion(version);
    this.#terms = terms;
    this.#state = 'authenticating';
    this.#authentication.begin(packet, {
      clientId: terms.clientId,
      username: packet.username,
      password: packet.password === undefined ? undefined : Buffer.from(packet.password),
      protocolVersion: version,
      facts: this.#wire.facts,
    });
  }

  // ── what its authentication asks for ──

  hold(): void {
    this.#wire.hold();
  }

  resume(): void {
    this.#wire.resume();
  }

  get isWaiting(): boolean {
    return this.#state === 'authenticating' || this.#state === 'connected';
  }

  failed(error: unknown): void {
    this.#context.logger.error({ err: error }, 'the authenticator failed');
  }

  sendAuth(code: number, authenticationMethod: string, data: Buffer | undefined): void {
    const properties = { authenticationMethod, ...(data && { authenticationData: data }) };
    this.#send({ cmd: 'auth', reasonCode: code, properties }, packetType.auth);
  }

  renewed(step: AuthStep): void {
    if (step.kind !== 'success') {
      this.close(step.kind === 'refused' ? step.reasonCode : reasonCode.unspecifiedError); // [MQTT-4.12.1-2]
    } else if (step.identity.username !== this.identity?.identity.username) {
      // A connection stays with the user that opened it.
      this.close(reasonCode.notAuthorized);
    } else {
      this.#inbound?.proveAnew(step.identity);
      if (this.#session !== undefined) this.#context.rights.review(this.#session);
      this.#expireAt(step.identity.expiresAtMs);
      this.sendAuth(reasonCode.success, this.#authentication.method ?? '', step.data);
    }
  }

  /** The client's next packet in an enhanced authentication: AUTH, or it gives up [MQTT-3.1.2-30]. */
  #authenticateFurther(packet: Packet): void {
    if (packet.cmd === 'disconnect') {
      this.#count(packetType.disconnect);
      this.#end();
      return;
    }
    if (packet.cmd !== 'auth') throw violation('a packet within an authentication', 'MQTT-3.1.2-30');
    this.#count(packetType.auth);
    this.#authentication.further(packet);
  }

  #refuseAndEnd(code: number): void {
    this.#endReason = code;
    this.#refuse(code, this.#version, undefined);
    this.#end();
  }

  decided(step: AuthStep, packet: IConnectPacket): void {
    const terms = this.#terms!;
    const { registry, wills, hooks, access } = this.#context;
    if (step.kind !== 'success') {
      this.#refuseAndEnd(step.kind === 'refused' ? step.reasonCode : reasonCode.unspecifiedError);
      return;
    }
    const identity = this.#identityOf(step.identity, packet.username);
    const { will } = packet;
    const refusal = will === undefined ? 0 : this.#willRefusal(will, identity);
    if (refusal !== 0) {
      this.#refuseAndEnd(refusal);
      return;
    }
    const opened = registry.open(terms.clientId, identity.username, terms.cleanStart, this.#context);
    if (opened === undefined) {
      this.#context.counters.add(limitExceeded.sessions, 1);
      this.#refuseAndEnd(reasonCode.quotaExceeded);
      return;
    }
    const { session, sessionPresent } = opened;
    wills.reconnected(terms.clientId, sessionPresent);
    this.#session = session;
    this.#state = 'connected';
    session.expiryIntervalS = terms.expiryIntervalS;
    if (will !== undefined) wills.arm(terms.clientId, will, identity, terms.expiryIntervalS);
    if (sessionPresent && access !== undefined) {
      session.keepAllowed((filter, qos) => access.maySubscribe(identity, filter, qos));
    }
    if (terms.expiryIntervalS > 0) session.makeDurable();
    this.#inbound = new Inbound(
      this.#context,
      session,
      this.#wire,
      this,
      this.#work,
      terms.version,
      identity,
    );
    this.#wire.setKeepAlive(terms.keepAliveS * 1500); // [MQTT-3.1.2-22]: one and a half times
    this.#expireAt(step.identity.expiresAtMs);
    const { method } = this.#authentication;
    const properties = {
      ...terms.connack,
      ...(method !== undefined && { authenticationMethod: method }),
      ...(step.data !== undefined && { authenticationData: step.data }),
    };
    this.#send(
      terms.version === 5
        ? { cmd: 'connack', sessionPresent, reasonCode: reasonCode.success, properties }
        : { cmd: 'connack', sessionPresent: terms.version === 4 && sessionPresent, returnCode: 0 },
      packetType.connack,
    );
    if (!this.#isConnected()) {
      session.abandon();
      return;
    }
    session.connect(this, this.#wire, terms);
    session.durable?.save();
    this.#facts = {
      clientId: terms.clientId,
      username: identity.username,
      peername: identity.peername,
      protocolVersion: terms.version,
      keepAliveS: terms.keepAliveS,
      cleanStart: terms.cleanStart,
      expiryIntervalS: terms.expiryIntervalS,
      connectedAtMs: Date.now(),
      listener: this.#wire.facts.listener,
    };
    hooks.clients?.connected(this.#facts);
  }

  #identityOf(identity: Identity, username: string | undefined): ClientIdentity {
    const terms = this.#terms!;
    return {
      clientId: terms.clientId,
      username: identity.username ?? username,
      peername: this.#wire.peername,
      protocolVersion: terms.version,
      identity,
    };
  }

  /** Reason code for CONNACK when a will cannot be, 0 when it can. */
  #willRefusal(will: NonNullable<IConnectPacket['will']>, identity: ClientIdentity): number {
    const { wills, access } = this.#context;
    const fault = wills.fault(will);
    if (fault !== 0) return fault;
    const mayPublish =
      access === undefined || access.mayPublish(identity, will.topic, will.qos ?? 0, will.retain ?? false);
    return mayPublish ? 0 : reasonCode.notAuthorized;
  }

  /** What proved the identity is valid until then. */
  #expireAt(expiresAtMs: number | undefined): void {
    clearTimeout(this.#expiryTimer);
    this.#expiryTimer = undefined;
    if (expiresAtMs === undefined) return;
    const leftMs = Math.min(Math.max(expiresAtMs - Date.now(), 0), timerMsMax);
    this.#expiryTimer = setTimeout(() => {
      if (Date.now() < expiresAtMs) this.#expireAt(expiresAtMs);
      else this.close(reasonCode.notAuthorized);
    }, leftMs);
    this.#expiryTimer.unref();
  }

  #subscribe(packet: ISubscribePacket, session: Session): void {
    const { subscriptions } = packet;
    const subscribing = new Subscribing(
      packet,
      this.#version,
      this.#inbound!.context,
      session,
      this.#context,
    );
    const { granted, started, retained } = subscribing;
    const answer = (isSafe: boolean): void => {
      // What cannot be kept is not promised.
      if (!isSafe) subscribing.undo();
      const codes = isSafe
        ? granted
        : granted.map((code) => (code < 0x80 ? reasonCode.unspecifiedError : code));
      this.#send({ cmd: 'suback', messageId: packet.messageId ?? 0, granted: codes }, packetType.suback);
      if (!this.#isConnected() || !isSafe) return;
      for (const queueSubscription of started) queueSubscription.connected();
      for (const { filter, options, isNew, handling } of retained) {
        this.#context.retained.subscribed(session, filter, options, isNew, handling);
      }
    };
    this.#inSlices(session, subscriptions.length, (at) => subscribing.subscribe(at), answer);
  }

  #unsubscribe({ messageId = 0, unsubscriptions }: IUnsubscribePacket, session: Session): void {
    const granted: number[] = [];
    const each = (at: number): void => void granted.push(unsubscribe(unsubscriptions[at]!, session));
    this.#inSlices(session, unsubscriptions.length, each, () => {
      this.#send({ cmd: 'unsuback', messageId, granted }, packetType.unsuback);
    });
  }

  /** `each` for all filters of a packet, as many per turn as one connection may have; then the answer. */
  #inSlices(
    session: Session,
    count: number,
    each: (at: number) => void,
    answer: (isSafe: boolean) => void,
  ): void {
    this.#work.inSlices(
      count,
      each,
      () => this.#state !== 'connected' || this.#session !== session,
      (isHeld) => {
        this.#whenSafe(session, isHeld, answer);
        if (!isHeld && session.durable === undefined) this.#work.spend(count * workUnits.subscription);
      },
      (error) => {
        this.#context.logger.error({ err: error, peername: this.#wire.peername }, 'a subscription failed');
        this.close(reasonCode.unspecifiedError);
      },
    );
  }

  /** Answers at once, or for a session that is kept when a restart would know of it; nothing overtakes the answer. */
  #whenSafe(session: Session, isHeld: boolean, answer: (isSafe: boolean) => void): void {
    if (session.durable === undefined) {
      answer(true);
      if (isHeld) this.#wire.resume();
      return;
    }
    this.#wire.hold();
    session.durable.save((stored) => {
      if (this.#state !== 'connected' || this.#session !== session) return;
      answer(stored);
      this.#wire.resume();
    });
  }

  #disconnect(packet: IDisconnectPacket): void {
    const session = this.#connected();
    const asked = packet.properties?.sessionExpiryInterval;
    if (asked !== undefined) {
      session.expiryIntervalS = readDisconnectExpiry(
        asked,
        this.#terms?.expiryAsked ?? 0,
        this.#context.config,
      );
    }
    // Only a normal DISCONNECT takes the will back [MQTT-3.1.2-10] [MQTT-3.14.4-3].
    this.#endReason = packet.reasonCode ?? reasonCode.normalDisconnection;
    if (this.#endReason === reasonCode.normalDisconnection) this.#context.wills.disarm(session.clientId);
    this.#end();
  }

  #connected(): Session {
    if (this.#session === undefined) throw violation('the first packet is not CONNECT', 'MQTT-3.1.0-1');
    return this.#session;
  }

  /** CONNACK with a failure, where there is a version to say it in. */
  #refuse(code: number, asked: ProtocolVersion | 0, message: string | undefined): void {
    this.#context.counters.add(refusedByConnack, 1);
    if (asked === 5) {
      this.#version = 5;
      this.#send({ cmd: 'connack', sessionPresent: false, reasonCode: code }, packetType.connack, message);
      return;
    }
    // MQTT 3 closes silently on what it has no code for; an unknown version is answered as 3.1.1 demands.
    const hasCode =
      (code >= reasonCode.unsupportedProtocolVersion && code <= reasonCode.badAuthenticationMethod) ||
      code === reasonCode.quotaExceeded;
    if (!hasCode || (asked === 0 && code !== reasonCode.unsupportedProtocolVersion)) return;
    this.#version = 4;
    this.#send(
      { cmd: 'connack', sessionPresent: false, returnCode: connackReturnCode(code) },
      packetType.connack,
    );
  }

  #sendDisconnect(reason: number, message: string | undefined): void {
    if (this.#version !== 5) return;
    const code = reason < FIRST_ERROR_REASON_CODE ? reasonCode.unspecifiedError : reason;
    this.#send({ cmd: 'disconnect', reasonCode: code }, packetType.disconnect, message ?? reasonName(code));
  }

  /**
   * Writes a packet that is not hot. A Reason String gives way when the client takes only smaller packets
   * [MQTT-3.2.2-19]; a client that cannot take the packet even so loses the connection [MQTT-3.1.2-24].
   */
  #send(packet: Packet, type: number, reason?: string): void {
    const reasonString = this.#wantsReasons ? reason : undefined;
    let bytes = encodePacket(
      reasonString === undefined ? packet : ({ ...packet, properties: { reasonString } } as Packet),
      this.#version,
    );
    if (bytes.length > this.#maximumPacketSize && reasonString !== undefined) {
      bytes = encodePacket(packet, this.#version);
    }
    // A reason code alone: the length of no properties may be left out (5.0 section 3.14.2.2.1).
    if (packet.cmd === 'disconnect' && bytes.length === 4) bytes = Buffer.from([bytes[0]!, 1, bytes[2]!]);
    if (bytes.length > this.#maximumPacketSize) {
      this.#end();
      return;
    }
    const { outbox } = this.#wire;
    outbox.ensure(bytes.length);
    outbox.offset += bytes.copy(outbox.buffer, outbox.offset);
    this.#context.counters.add(slot.packetsSent + type, 1);
  }

  // Sending may have ended the connection behind the compiler's narrowing.
  #isConnected(): boolean {
    return this.#state === 'connected';
  }

  #count(type: number): void {
    this.#context.counters.add(slot.packetsReceived + type, 1);
  }

  #end(): void {
    if (this.#state === 'ended') return;
    this.#leave();
    this.#wire.end();
  }

  #leave(): void {
    const wasConnected = this.#state === 'connected';
    this.#state = 'ended';
    clearTimeout(this.#expiryTimer);
    const session = this.#session;
    this.#inbound?.close();
    if (session === undefined || !wasConnected) return;
    const { clientId, expiryIntervalS } = session;
    // First the session goes: no share group is to choose it for its own will.
    session.disconnect(this);
    this.#context.wills.connectionLost(clientId, expiryIntervalS);
    if (this.#facts !== undefined) this.#context.hooks.clients?.disconnected(this.#facts, this.#endReason);
  }
}
