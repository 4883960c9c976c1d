/**
 * The protocol of one connection: the packet sink of its decoder. Main thread.
 *
 *   connecting ──CONNECT──▶ (authenticating ──▶) connected ──DISCONNECT, error, loss──▶ ended
 *
 * Always true: the first packet is CONNECT and there is only one [MQTT-3.1.0-1] [MQTT-3.1.0-2]; nothing is
 * written after `ended`; a `ProtocolError` ends this connection only, with its reason code where the version
 * has a place for it [MQTT-4.13.1-1]. Gives up: nothing of a session; that is `session.ts`.
 */
import type { IConnectPacket, IDisconnectPacket, Packet } from 'mqtt-packet';

import type { ProtocolError } from '../base/error.js';
import type { PacketSink } from '../mqtt/decoder.js';
import { encodePacket, pingBytes, writePingresp } from '../mqtt/encoder.js';
import { packetType, type AckType, type ProtocolVersion } from '../mqtt/packet-type.js';
import type { PropertyScan } from '../mqtt/property-scan.js';
import { connackReturnCode, reasonCode, reasonName, violation } from '../mqtt/reason-code.js';
import { slot, slotOf } from '../telemetry/counter-layout.js';
import { FIRST_ERROR_REASON_CODE } from '../telemetry/metric-catalogue.js';
import { readConnect, readDisconnectExpiry, type ConnectTerms } from './connect.js';
import type { GatewayContext } from './context.js';
import { Inbound } from './inbound.js';
import type { Session, SessionClient } from './session.js';
import { subscribe, unsubscribe } from './subscribe.js';
import type { Wire } from './wire.js';

/** DISCONNECT reason code that leaves the will in place. */
const disconnectWithWill = 0x04;
const refusedByConnack = slotOf('connectionsRefused', 'connack');

/** See the file header. One per connection. */
export class Client implements PacketSink, SessionClient {
  readonly #context: GatewayContext;
  readonly #wire: Wire;
  readonly #newClientId: () => string;
  #state: 'connecting' | 'authenticating' | 'connected' | 'ended' = 'connecting';
  #version: ProtocolVersion = 4;
  #maximumPacketSize = Number.POSITIVE_INFINITY;
  #terms: ConnectTerms | undefined;
  #session: Session | undefined;
  #inbound: Inbound | undefined;

  constructor(context: GatewayContext, wire: Wire, newClientId: () => string) {
    this.#context = context;
    this.#wire = wire;
    this.#newClientId = newClientId;
  }

  get state(): 'connecting' | 'authenticating' | 'connected' | 'ended' {
    return this.#state;
  }

  get session(): Session | undefined {
    return this.#session;
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
    if (this.#inbound === undefined || this.#state !== 'connected') return this.#state !== 'authenticating';
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
    if (this.#session === undefined || this.#state !== 'connected') return true;
    this.#context.counters.add(slot.packetsReceived + type, 1);
    const { outbound } = this.#session;
    if (type === packetType.puback) outbound.onPuback(packetId, reason);
    else if (type === packetType.pubrec) outbound.onPubrec(packetId, reason);
    else if (type === packetType.pubcomp) outbound.onPubcomp(packetId);
    else this.#inbound?.pubrel(packetId);
    return true;
  }

  onPing(): boolean {
    this.#context.counters.add(slot.packetsReceived + packetType.pingreq, 1);
    const { outbox } = this.#wire;
    outbox.ensure(pingBytes);
    outbox.offset = writePingresp(outbox.buffer, outbox.offset);
    this.#context.counters.add(slot.packetsSent + packetType.pingresp, 1);
    return true;
  }

  onPacket(packet: Packet): boolean {
    if (this.#state === 'ended') return true;
    // Behind a CONNECT whose authentication is under way: offered again once it is decided.
    if (this.#state === 'authenticating') return false;
    switch (packet.cmd) {
      case 'connect':
        this.#count(packetType.connect);
        this.#connect(packet);
        return true;
      case 'subscribe': {
        this.#count(packetType.subscribe);
        const session = this.#connected();
        const { granted, started } = subscribe(
          packet,
          this.#version,
          this.#identity(),
          session,
          this.#context,
        );
        this.#send({ cmd: 'suback', messageId: packet.messageId ?? 0, granted }, packetType.suback);
        if (this.#isConnected()) for (const queueSubscription of started) queueSubscription.connected();
        return true;
      }
      case 'unsubscribe': {
        this.#count(packetType.unsubscribe);
        const granted = unsubscribe(packet, this.#connected());
        this.#send({ cmd: 'unsuback', messageId: packet.messageId ?? 0, granted }, packetType.unsuback);
        return true;
      }
      case 'disconnect':
        this.#count(packetType.disconnect);
        this.#disconnect(packet);
        return true;
      case 'auth':
        this.#count(packetType.auth);
        throw violation('AUTH without Authentication Method in CONNECT', 'MQTT-4.12.0-7');
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
    if (this.#state === 'connected') this.#sendDisconnect(error.reasonCode, error.message);
    else this.#refuse(error.reasonCode, asked, error.message);
    this.#end();
  }

  /** Ends the connection by our own decision: DISCONNECT with `reason` for MQTT 5, then close. */
  close(reason: number): void {
    if (this.#state === 'ended') return;
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
    if (this.#state === 'connected') this.#session?.outbound.pump();
  }

  #connect(packet: IConnectPacket): void {
    if (this.#state !== 'connecting') throw violation('a second CONNECT', 'MQTT-3.1.0-2');
    const version = packet.protocolVersion ?? 4;
    this.#version = version;
    const terms = readConnect(packet, this.#context.config, this.#newClientId);
    this.#maximumPacketSize = terms.maximumPacketSize;
    this.#wire.setVersion(version);
    const verdict =
      this.#context.hooks.authenticate?.({ packet, peername: this.#wire.peername }) ?? reasonCode.success;
    if (typeof verdict === 'number') {
      this.#decide(verdict, packet, terms);
      return;
    }
    this.#state = 'authenticating';
    this.#wire.hold();
    verdict
      .catch((error: unknown) => {
        this.#context.logger.error({ err: error }, 'the authenticator failed');
        return reasonCode.serverUnavailable;
      })
      .then((code) => {
        if (this.#state !== 'authenticating') return;
        this.#decide(code, packet, terms);
        this.#wire.resume();
      })
      .catch((error: unknown) => this.#context.logger.error({ err: error }, 'CONNECT failed'));
  }

  #decide(verdict: number, packet: IConnectPacket, terms: ConnectTerms): void {
    const opened =
      verdict === reasonCode.success
        ? this.#context.registry.open(terms.clientId, terms.cleanStart, this.#context)
        : undefined;
    if (opened === undefined) {
      const code = verdict === reasonCode.success ? reasonCode.quotaExceeded : verdict;
      this.#refuse(code, terms.version, undefined);
      this.#end();
      return;
    }
    const { session, sessionPresent } = opened;
    this.#terms = terms;
    this.#session = session;
    this.#state = 'connected';
    session.expiryIntervalS = terms.expiryIntervalS;
    session.will = packet.will;
    this.#inbound = new Inbound(this.#context, session, this.#wire, this, terms.version, packet.username);
    this.#wire.setKeepAlive(terms.keepAliveS * 1500); // [MQTT-3.1.2-22]: one and a half times
    this.#send(
      terms.version === 5
        ? { cmd: 'connack', sessionPresent, reasonCode: reasonCode.success, properties: terms.connack }
        : { cmd: 'connack', sessionPresent: terms.version === 4 && sessionPresent, returnCode: 0 },
      packetType.connack,
    );
    if (this.#isConnected()) session.connect(this, this.#wire, terms);
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
    // Only a DISCONNECT that asks for the will leaves it in place [MQTT-3.1.2-10].
    if (packet.reasonCode !== disconnectWithWill) session.will = undefined;
    this.#end();
  }

  #connected(): Session {
    if (this.#session === undefined) throw violation('the first packet is not CONNECT', 'MQTT-3.1.0-1');
    return this.#session;
  }

  #identity(): Inbound['context'] {
    if (this.#inbound === undefined) throw violation('the first packet is not CONNECT', 'MQTT-3.1.0-1');
    return this.#inbound.context;
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
  #send(packet: Packet, type: number, reasonString?: string): void {
    let bytes = encodePacket(
      reasonString === undefined ? packet : ({ ...packet, properties: { reasonString } } as Packet),
      this.#version,
    );
    if (bytes.length > this.#maximumPacketSize && reasonString !== undefined) {
      bytes = encodePacket(packet, this.#version);
    }
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
    this.#state = 'ended';
    const session = this.#session;
    this.#inbound?.close();
    session?.disconnect(this);
  }
}
