/**
 * The MQTT 5 property table: id, name, type, packets that may carry it. Every thread;
 * constant after load.
 *
 * The rows are for people; the byte arrays derived from them are what the scanner reads, one
 * load per question. Source: MQTT 5.0 section 2.2.2.2 and the property tables of chapter 3.
 */
import { packetType } from './packet-type.js';

/** Wire types of properties. `flag` is a byte that must be 0 or 1, which all MQTT 5 bytes are. */
export const propertyType = {
  flag: 1,
  uint16: 2,
  uint32: 3,
  varint: 4,
  string: 5,
  binary: 6,
  pair: 7,
} as const;

/** Property identifiers by name. */
export const propertyId = {
  payloadFormatIndicator: 0x01,
  messageExpiryInterval: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  sessionExpiryInterval: 0x11,
  assignedClientIdentifier: 0x12,
  serverKeepAlive: 0x13,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  requestProblemInformation: 0x17,
  willDelayInterval: 0x18,
  requestResponseInformation: 0x19,
  responseInformation: 0x1a,
  serverReference: 0x1c,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  maximumQos: 0x24,
  retainAvailable: 0x25,
  userProperty: 0x26,
  maximumPacketSize: 0x27,
  wildcardSubscriptionAvailable: 0x28,
  subscriptionIdentifierAvailable: 0x29,
  sharedSubscriptionAvailable: 0x2a,
} as const;

/** Carrier number of will properties; all other carriers are packet type numbers. */
export const willProperties = 0;

const { connect, connack, publish, puback, pubrec, pubrel, pubcomp } = packetType;
const { subscribe, suback, unsubscribe, unsuback, disconnect, auth } = packetType;
const answers = [connack, puback, pubrec, pubrel, pubcomp, suback, unsuback, disconnect, auth];
const id = propertyId;
const type = propertyType;

interface PropertyRow {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  readonly carriers: readonly number[];
  readonly nonZero: boolean;
}

/** All properties, ordered by identifier. */
export const propertyTable: readonly PropertyRow[] = [
  row(id.payloadFormatIndicator, 'Payload Format Indicator', type.flag, [publish, willProperties]),
  row(id.messageExpiryInterval, 'Message Expiry Interval', type.uint32, [publish, willProperties]),
  row(id.contentType, 'Content Type', type.string, [publish, willProperties]),
  row(id.responseTopic, 'Response Topic', type.string, [publish, willProperties]),
  row(id.correlationData, 'Correlation Data', type.binary, [publish, willProperties]),
  row(id.subscriptionIdentifier, 'Subscription Identifier', type.varint, [publish, subscribe], true),
  row(id.sessionExpiryInterval, 'Session Expiry Interval', type.uint32, [connect, connack, disconnect]),
  row(id.assignedClientIdentifier, 'Assigned Client Identifier', type.string, [connack]),
  row(id.serverKeepAlive, 'Server Keep Alive', type.uint16, [connack]),
  row(id.authenticationMethod, 'Authentication Method', type.string, [connect, connack, auth]),
  row(id.authenticationData, 'Authentication Data', type.binary, [connect, connack, auth]),
  row(id.requestProblemInformation, 'Request Problem Information', type.flag, [connect]),
  row(id.willDelayInterval, 'Will Delay Interval', type.uint32, [willProperties]),
  row(id.requestResponseInformation, 'Request Response Information', type.flag, [connect]),
  row(id.responseInformation, 'Response Information', type.string, [connack]),
  row(id.serverReference, 'Server Reference', type.string, [connack, disconnect]),
  row(id.reasonString, 'Reason String', type.string, answers),
  row(id.receiveMaximum, 'Receive Maximum', type.uint16, [connect, connack], true),
  row(id.topicAliasMaximum, 'Topic Alias Maximum', type.uint16, [connect, connack]),
  row(id.topicAlias, 'Topic Alias', type.uint16, [publish], true),
  row(id.maximumQos, 'Maximum QoS', type.flag, [connack]),
  row(id.retainAvailable, 'Retain Available', type.flag, [connack]),
  row(id.userProperty, 'User Property', type.pair, [
    connect,
    publish,
    willProperties,
    subscribe,
    unsubscribe,
    ...answers,
  ]),
  row(id.maximumPacketSize, 'Maximum Packet Size', type.uint32, [connect, connack], true),
  row(id.wildcardSubscriptionAvailable, 'Wildcard Subscription Available', type.flag, [connack]),
  row(id.subscriptionIdentifierAvailable, 'Subscription Identifier Available', type.flag, [connack]),
  row(id.sharedSubscriptionAvailable, 'Shared Subscription Available', type.flag, [connack]),
];

/** Type by identifier; 0 means no such property. */
export const typeById = new Uint8Array(256);
/** Carrier bits by identifier: bit n is packet type n, bit 0 will properties. */
export const carriersById = new Uint16Array(256);
/** 1 where the value zero is forbidden. */
export const nonZeroById = new Uint8Array(256);

const namesById: (string | undefined)[] = [];
for (const entry of propertyTable) {
  typeById[entry.id] = entry.type;
  nonZeroById[entry.id] = entry.nonZero ? 1 : 0;
  namesById[entry.id] = entry.name;
  for (const carrier of entry.carriers)
    carriersById[entry.id] = (carriersById[entry.id] as number) | (1 << carrier);
}

/** The specification's name of an identifier, for messages. */
export function propertyName(identifier: number): string {
  return namesById[identifier] ?? `property 0x${identifier.toString(16).padStart(2, '0')}`;
}

function row(
  identifier: number,
  name: string,
  wireType: number,
  carriers: readonly number[],
  nonZero = false,
): PropertyRow {
  return { id: identifier, name, type: wireType, carriers, nonZero };
}
