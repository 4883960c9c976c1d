/**
 * What a CONNECT asks for and what CONNACK grants. Main thread, pure.
 *
 * Always true: a granted value is never more than the client asked for and never more than the configuration
 * allows; where it differs from the request, CONNACK says so [MQTT-3.2.2-21]. Retain Available is
 * sent only where nothing is retained, Maximum QoS only where it is not 2 [MQTT-3.2.2-9].
 */
import type { IConnackPacket, IConnectPacket } from 'mqtt-packet';

import type { Config } from '../config/config.js';
import { ProtocolError } from '../base/error.js';
import { reasonCode } from '../mqtt/reason-code.js';
import type { ClientLimits } from './outbound.js';

/** `Session Expiry Interval` that means for ever. */
const neverExpires = 0xffff_ffff;
/** MQTT 3.1 allows client ids of 1 to 23 characters; longer ones are accepted, as nearly everybody does. */
const mqtt31 = 3;

/** A CONNECT in the terms of the session. */
export interface ConnectTerms extends ClientLimits {
  readonly clientId: string;
  /** True when the server has chosen `clientId` [MQTT-3.1.3-6]. */
  readonly isAssigned: boolean;
  readonly cleanStart: boolean;
  /** Seconds; Infinity = for ever. */
  readonly expiryIntervalS: number;
  /** As the client asked, for the DISCONNECT rule. */
  readonly expiryAsked: number;
  /** Seconds; 0 = none. */
  readonly keepAliveS: number;
  readonly connack: NonNullable<IConnackPacket['properties']>;
}

/** Reads a CONNECT; `newClientId` makes an id for a client without one. Throws ProtocolError with the CONNACK code. */
export function readConnect(packet: IConnectPacket, config: Config, newClientId: () => string): ConnectTerms {
  const version = packet.protocolVersion ?? 4;
  const properties = packet.properties ?? {};
  const cleanStart = packet.clean === true;
  const isAssigned = packet.clientId === '';
  if (isAssigned && (version === mqtt31 || (version === 4 && !cleanStart))) {
    // MQTT 3.1.1 [MQTT-3.1.3-8]: an empty client id only with Clean Session.
    throw new ProtocolError(reasonCode.clientIdentifierNotValid, 'client id is empty', 'MQTT-3.1.3-8');
  }
  if (isAssigned && !config.allowsEmptyClientId) {
    throw new ProtocolError(reasonCode.clientIdentifierNotValid, 'client id is empty', 'MQTT-3.1.3-6');
  }
  const clientId = isAssigned ? newClientId() : packet.clientId;

  // Written in this order.
  const connack: NonNullable<IConnackPacket['properties']> = {
    topicAliasMaximum: config.topicAliasMaximum,
  };
  // Before MQTT 5 a session without Clean Session has no stated end: it gets the longest that is granted.
  const expiryAsked = version === 5 ? (properties.sessionExpiryInterval ?? 0) : cleanStart ? 0 : neverExpires;
  const expiryGranted = Math.min(expiryAsked, config.sessionExpiryMaxS);
  if (expiryGranted !== expiryAsked) connack.sessionExpiryInterval = expiryGranted;

  let keepAliveS = packet.keepalive ?? 0;
  if (version === 5 && config.keepAliveMaxS > 0 && (keepAliveS === 0 || keepAliveS > config.keepAliveMaxS)) {
    // An MQTT 3 client cannot be told another interval and keeps its own [MQTT-3.1.2-21].
    keepAliveS = config.keepAliveMaxS;
    connack.serverKeepAlive = keepAliveS;
  }
  if (isAssigned) connack.assignedClientIdentifier = clientId;
  connack.maximumPacketSize = config.maximumPacketSize;
  connack.receiveMaximum = config.receiveMaximum;
  if (config.retainedMax === 0) {
    connack.retainAvailable = false;
    if (version === 5 && packet.will?.retain === true) {
      throw new ProtocolError(reasonCode.retainNotSupported, 'nothing is retained', 'MQTT-3.2.2-13');
    }
  }
  if (config.maximumQos < 2) {
    connack.maximumQoS = config.maximumQos;
    if ((packet.will?.qos ?? 0) > config.maximumQos) {
      throw new ProtocolError(reasonCode.qosNotSupported, 'Will QoS is above Maximum QoS', 'MQTT-3.2.2-12');
    }
  }
  // Wildcards and Subscription Identifiers are available, which is what leaving them out says.

  return {
    clientId,
    isAssigned,
    cleanStart,
    version,
    expiryIntervalS: expiryGranted === neverExpires ? Number.POSITIVE_INFINITY : expiryGranted,
    expiryAsked,
    keepAliveS,
    receiveMaximum: properties.receiveMaximum ?? 65_535,
    maximumPacketSize: properties.maximumPacketSize ?? Number.POSITIVE_INFINITY,
    topicAliasMaximum: properties.topicAliasMaximum ?? 0,
    connack,
  };
}

/** Seconds that a Session Expiry Interval in DISCONNECT grants. Throws when it may not be given [MQTT-3.14.2-2]. */
export function readDisconnectExpiry(asked: number, expiryAsked: number, config: Config): number {
  if (expiryAsked === 0 && asked !== 0) {
    throw new ProtocolError(
      reasonCode.protocolError,
      'Session Expiry Interval in DISCONNECT after 0 in CONNECT',
      'MQTT-3.1.2-11',
    );
  }
  const granted = Math.min(asked, config.sessionExpiryMaxS);
  return granted === neverExpires ? Number.POSITIVE_INFINITY : granted;
}
