/**
 * The one table of reason codes: wire byte, name, and the packets that may carry it. Every
 * thread; constant after load.
 *
 * The same byte is what goes on the wire and what `ProtocolError.reasonCode` holds, so an
 * error needs no translation until a 3.1.1 client must be told, who knows six return codes.
 * Source: MQTT 5.0 section 2.4, and the tables of each packet in chapter 3.
 */
import { ProtocolError } from '../base/error.js';

type Carrier =
  | 'connack'
  | 'puback'
  | 'pubrec'
  | 'pubrel'
  | 'pubcomp'
  | 'suback'
  | 'unsuback'
  | 'disconnect'
  | 'auth';

const typeOf: Record<Carrier, number> = {
  connack: 2,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  suback: 9,
  unsuback: 11,
  disconnect: 14,
  auth: 15,
};

/** Wire bytes by name. Names that share a byte (0x00) are separate entries. */
export const reasonCode = {
  success: 0x00,
  normalDisconnection: 0x00,
  grantedQos0: 0x00,
  grantedQos1: 0x01,
  grantedQos2: 0x02,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  continueAuthentication: 0x18,
  reAuthenticate: 0x19,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecificError: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierInUse: 0x91,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  serverMoved: 0x9d,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
  subscriptionIdentifiersNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const;

const all: readonly Carrier[] = ['puback', 'pubrec', 'suback', 'unsuback', 'connack', 'disconnect'];

const rows: readonly (readonly [byte: number, name: string, packets: readonly Carrier[]])[] = [
  [
    0x00,
    'Success',
    ['connack', 'puback', 'pubrec', 'pubrel', 'pubcomp', 'suback', 'unsuback', 'disconnect', 'auth'],
  ],
  [0x01, 'Granted QoS 1', ['suback']],
  [0x02, 'Granted QoS 2', ['suback']],
  [0x04, 'Disconnect with Will Message', ['disconnect']],
  [0x10, 'No matching subscribers', ['puback', 'pubrec']],
  [0x11, 'No subscription existed', ['unsuback']],
  [0x18, 'Continue authentication', ['auth']],
  [0x19, 'Re-authenticate', ['auth']],
  [0x80, 'Unspecified error', all],
  [0x81, 'Malformed Packet', ['connack', 'disconnect']],
  [0x82, 'Protocol Error', ['connack', 'disconnect']],
  [0x83, 'Implementation specific error', all],
  [0x84, 'Unsupported Protocol Version', ['connack']],
  [0x85, 'Client Identifier not valid', ['connack']],
  [0x86, 'Bad User Name or Password', ['connack']],
  [0x87, 'Not authorized', all],
  [0x88, 'Server unavailable', ['connack']],
  [0x89, 'Server busy', ['connack', 'disconnect']],
  [0x8a, 'Banned', ['connack']],
  [0x8b, 'Server shutting down', ['disconnect']],
  [0x8c, 'Bad authentication method', ['connack', 'disconnect']],
  [0x8d, 'Keep Alive timeout', ['disconnect']],
  [0x8e, 'Session taken over', ['disconnect']],
  [0x8f, 'Topic Filter invalid', ['suback', 'unsuback', 'disconnect']],
  [0x90, 'Topic Name invalid', ['connack', 'puback', 'pubrec', 'disconnect']],
  [0x91, 'Packet Identifier in use', ['puback', 'pubrec', 'suback', 'unsuback']],
  [0x92, 'Packet Identifier not found', ['pubrel', 'pubcomp']],
  [0x93, 'Receive Maximum exceeded', ['disconnect']],
  [0x94, 'Topic Alias invalid', ['disconnect']],
  [0x95, 'Packet too large', ['connack', 'disconnect']],
  [0x96, 'Message rate too high', ['disconnect']],
  [0x97, 'Quota exceeded', ['connack', 'puback', 'pubrec', 'suback', 'disconnect']],
  [0x98, 'Administrative action', ['disconnect']],
  [0x99, 'Payload format invalid', ['connack', 'puback', 'pubrec', 'disconnect']],
  [0x9a, 'Retain not supported', ['connack', 'disconnect']],
  [0x9b, 'QoS not supported', ['connack', 'disconnect']],
  [0x9c, 'Use another server', ['connack', 'disconnect']],
  [0x9d, 'Server moved', ['connack', 'disconnect']],
  [0x9e, 'Shared Subscriptions not supported', ['suback', 'disconnect']],
  [0x9f, 'Connection rate exceeded', ['connack', 'disconnect']],
  [0xa0, 'Maximum connect time', ['disconnect']],
  [0xa1, 'Subscription Identifiers not supported', ['suback', 'disconnect']],
  [0xa2, 'Wildcard Subscriptions not supported', ['suback', 'disconnect']],
];

const names: (string | undefined)[] = [];
/** Bit n of entry b: packet type n may carry byte b. */
const carriers = new Uint16Array(256);
for (const [byte, name, packets] of rows) {
  names[byte] = name;
  for (const packet of packets) carriers[byte] = (carriers[byte] as number) | (1 << typeOf[packet]);
}

/** The specification's name of a wire byte, for logs and Reason Strings. */
export function reasonName(code: number): string {
  return names[code] ?? `0x${code.toString(16).padStart(2, '0')}`;
}

/** True when a packet of `type` (see `packetType`) may carry `code`. */
export function mayCarry(type: number, code: number): boolean {
  return (((carriers[code & 0xff] as number) >> type) & 1) === 1;
}

/** The 3.1 and 3.1.1 CONNACK return code (0 to 5) that says most nearly what `code` says. */
export function connackReturnCode(code: number): number {
  switch (code) {
    case reasonCode.success:
      return 0;
    case reasonCode.unsupportedProtocolVersion:
      return 1;
    case reasonCode.clientIdentifierNotValid:
      return 2;
    case reasonCode.badUserNameOrPassword:
      return 4;
    case reasonCode.notAuthorized:
    case reasonCode.banned:
    case reasonCode.badAuthenticationMethod:
      return 5;
    default:
      return 3;
  }
}

/** A packet that cannot be parsed (0x81). Without a numbered statement the general one is meant. */
export function malformed(message: string, clause = 'MQTT-4.13.1-1'): ProtocolError {
  return new ProtocolError(reasonCode.malformedPacket, message, clause);
}

/** A packet that can be parsed and is not allowed (0x82). */
export function violation(message: string, clause = 'MQTT-4.13.1-1'): ProtocolError {
  return new ProtocolError(reasonCode.protocolError, message, clause);
}
