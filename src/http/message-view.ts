/**
 * A stored message as operators see it: names, decoded properties, payload as text or base64. Main thread; pure.
 *
 * Always true: every byte of the payload can be recovered: text is only used when it is well-formed UTF-8, otherwise
 * the message says `base64` whatever was asked. User properties keep order and duplicates [MQTT-3.3.2-18].
 */
import Type, { type Static } from 'typebox';

import { nextProperty } from '../mqtt/property-scan.js';
import { propertyId } from '../mqtt/property.js';
import type { PeekedMessage } from '../queue/definition.js';

/** How a payload is written into JSON. */
export const PayloadEncoding = Type.Enum(['base64', 'text']);
export type PayloadEncoding = Static<typeof PayloadEncoding>;

/** MQTT 5 properties of a message. */
export const MessageProperties = Type.Object({
  payload_format_indicator: Type.Optional(Type.Integer()),
  content_type: Type.Optional(Type.String()),
  response_topic: Type.Optional(Type.String()),
  correlation_data: Type.Optional(Type.String({ description: 'Base64.' })),
  user_properties: Type.Optional(
    Type.Array(Type.Object({ key: Type.String(), value: Type.String() }), { description: 'In order.' }),
  ),
});
type MessageProperties = Static<typeof MessageProperties>;

/** A message in the answer of `GET …/messages`. */
export const MessageObject = Type.Object({
  offset: Type.Integer({ description: 'Grows with the order of arrival.' }),
  topic: Type.String(),
  from: Type.String({ description: 'Client id of the publisher.' }),
  qos: Type.Integer(),
  retain: Type.Boolean(),
  timestamp: Type.Integer({ description: 'Arrival, ms since 1970.' }),
  message_expiry_interval: Type.Optional(Type.Integer({ description: 'Remaining life, s.' })),
  delivery_attempt: Type.Integer(),
  state: Type.Enum(['ready', 'in_flight']),
  key: Type.Optional(Type.String({ description: 'Last-value queues only.' })),
  properties: MessageProperties,
  payload: Type.String(),
  payload_encoding: PayloadEncoding,
  payload_size: Type.Integer({ description: 'Bytes.' }),
});
export type MessageObject = Static<typeof MessageObject>;

/** Makes the view of one message. */
export function messageObject(message: PeekedMessage, encoding: PayloadEncoding): MessageObject {
  const text = encoding === 'text' ? utf8(message.payload) : undefined;
  return {
    offset: message.offset,
    topic: message.topicName,
    from: message.from,
    qos: message.qos,
    retain: message.retain,
    timestamp: message.timestampMs,
    ...(message.messageExpiryInterval === undefined
      ? {}
      : { message_expiry_interval: message.messageExpiryInterval }),
    delivery_attempt: message.deliveryAttempt,
    state: message.state === 'ready' ? 'ready' : 'in_flight',
    ...(message.key === undefined ? {} : { key: message.key }),
    properties: propertiesOf(message.properties),
    payload: text ?? bufferOf(message.payload).toString('base64'),
    payload_encoding: text === undefined ? 'base64' : 'text',
    payload_size: message.payload.byteLength,
  };
}

/** Properties in stored form, decoded. */
export function propertiesOf(bytes: Uint8Array): MessageProperties {
  const buffer = bufferOf(bytes);
  const view: MessageProperties = {};
  const pairs: { key: string; value: string }[] = [];
  for (let at = 0; at < buffer.length;) {
    const end = nextProperty(buffer, at, buffer.length);
    switch (buffer[at]) {
      case propertyId.payloadFormatIndicator:
        view.payload_format_indicator = buffer.readUInt8(at + 1);
        break;
      case propertyId.contentType:
        view.content_type = buffer.toString('utf8', at + 3, end);
        break;
      case propertyId.responseTopic:
        view.response_topic = buffer.toString('utf8', at + 3, end);
        break;
      case propertyId.correlationData:
        view.correlation_data = buffer.toString('base64', at + 3, end);
        break;
      case propertyId.userProperty: {
        const middle = at + 3 + buffer.readUInt16BE(at + 1);
        pairs.push({
          key: buffer.toString('utf8', at + 3, middle),
          value: buffer.toString('utf8', middle + 2, end),
        });
        break;
      }
      default:
    }
    at = end;
  }
  if (pairs.length > 0) view.user_properties = pairs;
  return view;
}

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
