/**
 * MQTT 5 properties of a message as REST takes them, and their stored form. Main thread; pure.
 *
 * Always true: what is stored could have come in a PUBLISH: texts are well-formed, without U+0000 and at most 65535 bytes,
 * a response topic has no wildcard [MQTT-3.3.2-14]. Topic Alias and Subscription Identifier have no place here.
 */
import Type, { type Static } from 'typebox';

import { invalidField } from '../broker/operator-error.js';
import { propertyId } from '../mqtt/property.js';
import { topicNameFault } from '../mqtt/topic.js';

const textMax = 65_535;

/** User properties: a list keeps order and repeats, an object is EMQX's form. */
export const UserProperties = Type.Union(
  [
    Type.Array(Type.Object({ key: Type.String(), value: Type.String() }, { additionalProperties: false }), {
      maxItems: 1000,
    }),
    Type.Record(Type.String(), Type.Union([Type.String(), Type.Array(Type.String(), { maxItems: 1000 })])),
  ],
  {
    description: 'a list of {"key","value"}, or an object with a text or a list of texts per name',
    examples: [{ key: 'red' }],
  },
);

/** The field `properties` of a message to publish. */
export const PublishProperties = Type.Object(
  {
    payload_format_indicator: Type.Optional(Type.Integer({ minimum: 0, maximum: 1 })),
    message_expiry_interval: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 0xffff_ffff, description: 'Seconds.' }),
    ),
    response_topic: Type.Optional(Type.String()),
    correlation_data: Type.Optional(Type.String({ description: 'Stored as UTF-8.' })),
    content_type: Type.Optional(Type.String()),
    user_properties: Type.Optional(UserProperties),
  },
  { additionalProperties: false },
);
type PublishProperties = Static<typeof PublishProperties>;

/** The properties in stored form, and the expiry, which travels as a number. Throws BAD_REQUEST with the field below `path`. */
export function storedProperties(
  properties: PublishProperties,
  path: string,
): { properties: Buffer; messageExpiryInterval: number } {
  const parts: Buffer[] = [];
  const add = (id: number, field: string, ...texts: string[]): void => {
    parts.push(Buffer.from([id]), ...texts.map((text) => sized(text, `${path}${field}`)));
  };
  const {
    payload_format_indicator: format,
    message_expiry_interval: expiry,
    response_topic: topic,
  } = properties;
  const { content_type: type, correlation_data: correlation, user_properties: pairs } = properties;
  if (format !== undefined) parts.push(Buffer.from([propertyId.payloadFormatIndicator, format]));
  if (type !== undefined) add(propertyId.contentType, 'content_type', type);
  if (topic !== undefined) {
    const fault = topicNameFault(topic);
    if (fault !== undefined) throw invalidField(`${path}response_topic`, fault.message, topic);
    add(propertyId.responseTopic, 'response_topic', topic);
  }
  if (correlation !== undefined) add(propertyId.correlationData, 'correlation_data', correlation);
  for (const [key, value] of pairsOf(pairs)) add(propertyId.userProperty, 'user_properties', key, value);
  return {
    properties: Buffer.concat(parts),
    // 0 seconds is the shortest life there is.
    messageExpiryInterval: expiry === undefined ? 0 : Math.max(1, expiry),
  };
}

function* pairsOf(given: PublishProperties['user_properties']): IterableIterator<[string, string]> {
  if (Array.isArray(given)) {
    for (const { key, value } of given) yield [key, value];
    return;
  }
  for (const [key, values] of Object.entries(given ?? {})) {
    for (const value of [values].flat()) yield [key, value];
  }
}

function sized(text: string, path: string): Buffer {
  if (/\0|\p{Surrogate}/u.test(text)) throw invalidField(path, 'is not text that MQTT can carry');
  const bytes = Buffer.from(text);
  if (bytes.length > textMax) throw invalidField(path, `is longer than ${textMax} bytes`);
  const part = Buffer.allocUnsafe(2 + bytes.length);
  part.writeUInt16BE(bytes.length, 0);
  bytes.copy(part, 2);
  return part;
}
