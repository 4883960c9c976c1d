/**
 * Reads single properties out of the raw property bytes of a PUBLISH. Shard worker, no state.
 *
 * The bytes are walked in place: no object per property, and only the value asked for is decoded. Of
 * several user properties with one key the last one counts, as in EMQX's map. The bytes were checked
 * when the PUBLISH came in; what does not parse here is still an evaluation error and never a crash.
 * Layout: MQTT 5.0 section 2.2.2; the identifiers are those a PUBLISH may carry (section 3.3.2.3).
 */
import { KeyEvaluationError } from './error.js';
import { decodeText, type Value } from './value.js';

/** Identifier of User Property [MQTT-3.3.2-17]. */
const userPropertyId = 0x26;

/** How the value after an identifier is written. */
type PropertyForm = 'byte' | 'uint16' | 'uint32' | 'varint' | 'text' | 'bytes' | 'pair';

const formById: readonly (PropertyForm | undefined)[] = (() => {
  const forms: (PropertyForm | undefined)[] = Array.from({ length: 256 });
  forms[0x01] = 'byte'; // Payload Format Indicator
  forms[0x02] = 'uint32'; // Message Expiry Interval
  forms[0x03] = 'text'; // Content Type
  forms[0x08] = 'text'; // Response Topic
  forms[0x09] = 'bytes'; // Correlation Data
  forms[0x0b] = 'varint'; // Subscription Identifier
  forms[0x23] = 'uint16'; // Topic Alias
  forms[userPropertyId] = 'pair';
  return forms;
})();

/** Properties of a message by the names they have in expressions. */
export const propertyIdByName: ReadonlyMap<string, number> = new Map([
  ['Payload-Format-Indicator', 0x01],
  ['Message-Expiry-Interval', 0x02],
  ['Content-Type', 0x03],
  ['Response-Topic', 0x08],
  ['Correlation-Data', 0x09],
]);

function malformed(): KeyEvaluationError {
  return new KeyEvaluationError('value', 'the properties of the message are malformed');
}

function lengthAt(bytes: Uint8Array, at: number): number {
  if (at + 2 > bytes.length) throw malformed();
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** Offset after the value that starts at `at`. */
function skip(bytes: Uint8Array, at: number, form: PropertyForm | undefined): number {
  let end: number;
  switch (form) {
    case 'byte':
      end = at + 1;
      break;
    case 'uint16':
      end = at + 2;
      break;
    case 'uint32':
      end = at + 4;
      break;
    case 'text':
    case 'bytes':
      end = at + 2 + lengthAt(bytes, at);
      break;
    case 'pair':
      end = at + 2 + lengthAt(bytes, at);
      end += 2 + lengthAt(bytes, end);
      break;
    case 'varint':
      end = at + 1;
      while (end - at < 4 && (bytes[end - 1] ?? 0) > 127) end += 1;
      break;
    case undefined:
      throw malformed();
  }
  if (end > bytes.length) throw malformed();
  return end;
}

function textAt(bytes: Uint8Array, start: number, end: number): string {
  const text = decodeText(bytes, start, end);
  if (text === undefined) throw malformed();
  return text;
}

/** Last value of user property `key` (UTF-8), or undefined. Cost: one pass over the property bytes. */
export function userProperty(bytes: Uint8Array, key: Uint8Array): string | undefined {
  const end = bytes.length;
  let valueAt = -1;
  let at = 0;
  while (at < end) {
    const id = bytes[at]!;
    at += 1;
    if (id !== userPropertyId) {
      at = skip(bytes, at, formById[id]);
      continue;
    }
    const keyLength = lengthAt(bytes, at);
    const keyEnd = at + 2 + keyLength;
    const next = keyEnd + 2 + lengthAt(bytes, keyEnd);
    if (next > end) throw malformed();
    if (keyLength === key.length && startsWith(bytes, at + 2, key)) valueAt = keyEnd;
    at = next;
  }
  if (valueAt === -1) return undefined;
  return textAt(bytes, valueAt + 2, valueAt + 2 + lengthAt(bytes, valueAt));
}

function startsWith(bytes: Uint8Array, at: number, prefix: Uint8Array): boolean {
  for (let index = 0; index < prefix.length; index++) {
    if (bytes[at + index] !== prefix[index]) return false;
  }
  return true;
}

/** Value of the property with identifier `id`, or undefined. Not for user properties. */
export function property(bytes: Uint8Array, id: number): Value | undefined {
  let at = 0;
  let value: Value | undefined;
  while (at < bytes.length) {
    const form = formById[bytes[at]!];
    const next = skip(bytes, at + 1, form);
    if (bytes[at] === id) value = valueAt(bytes, at + 1, next, form);
    at = next;
  }
  return value;
}

function valueAt(bytes: Uint8Array, start: number, end: number, form: PropertyForm | undefined): Value {
  if (form === 'text') return textAt(bytes, start + 2, end);
  if (form === 'bytes') return bytes.subarray(start + 2, end);
  let value = 0;
  for (let at = start; at < end; at++) value = value * 256 + bytes[at]!;
  return value;
}

/** All user properties as a map; the last one of a key counts. */
export function userPropertyMap(bytes: Uint8Array): Map<string, Value> {
  const map = new Map<string, Value>();
  let at = 0;
  while (at < bytes.length) {
    const id = bytes[at]!;
    const next = skip(bytes, at + 1, formById[id]);
    if (id === userPropertyId) {
      const keyEnd = at + 3 + lengthAt(bytes, at + 1);
      map.set(textAt(bytes, at + 3, keyEnd), textAt(bytes, keyEnd + 2, next));
    }
    at = next;
  }
  return map;
}

/** All properties as a map under their names, user properties as a map in it. */
export function propertyMap(bytes: Uint8Array): Map<string, Value> {
  const map = new Map<string, Value>();
  for (const [name, id] of propertyIdByName) {
    const value = property(bytes, id);
    if (value !== undefined) map.set(name, value);
  }
  const user = userPropertyMap(bytes);
  if (user.size > 0) map.set('User-Property', user);
  return map;
}
