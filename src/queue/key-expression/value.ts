/**
 * Values inside a key expression, and how they become text. Shard worker, no state.
 *
 * Integers are exact at any size (bigint past 2^53), floats keep being floats (`1.0` is not `1`), and
 * bytes stay bytes until a function asks for text; so two different payloads never share a key because
 * of a conversion. Gives up: raw bytes that are not UTF-8 appear in the key as hexadecimal digits.
 */
import { isUtf8 } from 'node:buffer';
import { KeyEvaluationError } from './error.js';

/** A number written with a fraction or an exponent; its own class because JavaScript has one number type. */
export class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** An integer: `number` while it is safe, `bigint` beyond. */
export type Integer = number | bigint;

/** List value. */
export type ValueList = readonly Value[];

/** Map value: JSON object, user properties, flags. */
export interface ValueMap extends ReadonlyMap<string, Value> {}

/** Any value. `null` is JSON's null and "nothing there" alike. */
export type Value = string | Integer | boolean | null | Float | Uint8Array | ValueList | ValueMap;

/** Longest text or list that a function may build, characters or items: one message must not fill the heap. */
export const textCharsMax = 1_048_576;

/** Longest key, bytes of UTF-8: the longest string MQTT itself can carry. */
export const keyBytesMax = 65_535;

/** True for a list value. (`Array.isArray` forgets `readonly`.) */
export function isList(value: Value | undefined): value is ValueList {
  return Array.isArray(value);
}

/** Word for the type of `value`, with article, for error texts. */
export function typeName(value: Value): string {
  if (value === null) return 'nothing';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number' || typeof value === 'bigint') return 'an integer';
  if (typeof value === 'boolean') return 'a boolean';
  if (value instanceof Float) return 'a float';
  if (value instanceof Uint8Array) return 'bytes';
  return isList(value) ? 'a list' : 'a map';
}

/** Nothing, no characters, no bytes, no elements. Numbers and booleans are never empty. */
export function isEmpty(value: Value): boolean {
  if (value === null) return true;
  if (typeof value === 'string' || value instanceof Uint8Array || isList(value)) return value.length === 0;
  return false;
}

/** Up to this many bytes, ASCII is decoded in a loop: two native calls and two views cost twice as much. */
const loopBytesMax = 24;

/** Text of UTF-8 `bytes[start, end)`, or undefined when that is not UTF-8. */
export function decodeText(bytes: Uint8Array, start = 0, end = bytes.length): string | undefined {
  if (end - start <= loopBytesMax) {
    let text = '';
    let at = start;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte > 127) break;
      text += String.fromCharCode(byte);
    }
    if (at === end) return text;
  }
  const view = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
  return isUtf8(view) ? view.toString('utf8') : undefined;
}

/** Up to ten decimals, trailing zeros cut but for the first: `2.5`, `1.0`. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) throw new KeyEvaluationError('value', 'the float is not finite');
  // From 1e21 on toFixed would switch to an exponent; such a float is a whole number anyway.
  const digits = Math.abs(value) >= 1e21 ? `${BigInt(value)}.0` : value.toFixed(10);
  return digits.replace(/(\.\d+?)0+$/, '$1');
}

/** Text of a scalar: text as is, numbers in decimal, booleans by name, nothing as "". Throws for lists and maps. */
export function scalarText(value: Value): string {
  if (typeof value === 'string') return value;
  if (value === null) return '';
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean')
    return String(value);
  if (value instanceof Float) return floatText(value.value);
  if (value instanceof Uint8Array) return bytesText(value);
  throw new KeyEvaluationError('type', `${typeName(value)} cannot be turned into text`);
}

/** As `scalarText`; lists and maps become JSON, with integers exact at any size. */
export function anyText(value: Value): string {
  return isList(value) || value instanceof Map ? jsonText(value) : scalarText(value);
}

function jsonText(value: Value): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return JSON.stringify(value);
  if (value instanceof Uint8Array) return JSON.stringify(bytesText(value));
  if (isList(value)) return `[${value.map(jsonText).join(',')}]`;
  if (value instanceof Map) {
    return `{${[...value].map(([key, item]) => `${JSON.stringify(key)}:${jsonText(item)}`).join(',')}}`;
  }
  return scalarText(value);
}

function bytesText(bytes: Uint8Array): string {
  const text = decodeText(bytes);
  if (text === undefined) {
    throw new KeyEvaluationError(
      'type',
      'the bytes are not UTF-8 text; bin2hexstr or base64_encode makes text of them',
    );
  }
  return text;
}

/**
 * The key that `value` stands for. Raw bytes that are not UTF-8 become U+0000 and lower-case hexadecimal
 * digits, and so does text that itself begins with U+0000: different values keep different keys.
 */
export function keyText(value: Value): string {
  let text = value instanceof Uint8Array ? decodeText(value) : scalarText(value);
  if (text === undefined || text.charCodeAt(0) === 0) text = hexKey(bytesArg([value], 0));
  // A UTF-16 unit needs at most three bytes, so most keys are cleared without counting.
  if (text.length * 3 > keyBytesMax && Buffer.byteLength(text, 'utf8') > keyBytesMax) {
    throw new KeyEvaluationError('limit', `the key is longer than ${keyBytesMax} bytes`);
  }
  return text;
}

function hexKey(bytes: Uint8Array): string {
  if (bytes.length > keyBytesMax) {
    throw new KeyEvaluationError('limit', `the key is longer than ${keyBytesMax} bytes`);
  }
  return `\u0000${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`;
}

/** `text` unless it is longer than functions may make it. */
export function bounded(text: string): string {
  if (text.length > textCharsMax) {
    throw new KeyEvaluationError('limit', `the text is longer than ${textCharsMax} characters`);
  }
  return text;
}

function wrong(args: ValueList, index: number, wanted: string): KeyEvaluationError {
  return new KeyEvaluationError(
    'type',
    `argument ${index + 1} is ${typeName(args[index] ?? null)}, not ${wanted}`,
  );
}

/** Argument `index` as text. Bytes count as text when they are UTF-8. */
export function textArg(args: ValueList, index: number): string {
  const value = args[index];
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return bytesText(value);
  throw wrong(args, index, 'text');
}

/** Argument `index` as bytes; text in UTF-8. */
export function bytesArg(args: ValueList, index: number): Uint8Array {
  const value = args[index];
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return Buffer.from(value, 'utf8');
  throw wrong(args, index, 'text or bytes');
}

/** Argument `index` as an integer of any size. */
export function integerArg(args: ValueList, index: number): Integer {
  const value = args[index];
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  throw wrong(args, index, 'an integer');
}

/** Argument `index` as an integer within `min`..`max`. */
export function countArg(args: ValueList, index: number, min: number, max: number): number {
  const value = integerArg(args, index);
  if (typeof value === 'bigint' || value < min || value > max) {
    throw new KeyEvaluationError('value', `argument ${index + 1} is ${value}, not within ${min} to ${max}`);
  }
  return value;
}

/** Argument `index` as a list. */
export function listArg(args: ValueList, index: number): ValueList {
  const value = args[index];
  if (isList(value)) return value;
  throw wrong(args, index, 'a list');
}

/** Argument `index` as a map. */
export function mapArg(args: ValueList, index: number): ValueMap {
  const value = args[index];
  if (value instanceof Map) return value;
  throw wrong(args, index, 'a map');
}

const decimalInteger = /^[-+]?\d+$/;
const decimalNumber = /^[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?$/;

/** Most digits that an integer may have: reading and writing huge ones costs more than linear time. */
export const integerDigitsMax = 1_000;

/** Integer written in decimal `digits`, exact. */
export function parseInteger(digits: string): Integer {
  if (digits.length > integerDigitsMax) {
    throw new KeyEvaluationError('limit', `the integer has more than ${integerDigitsMax} digits`);
  }
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value + 0 : BigInt(digits.startsWith('+') ? digits.slice(1) : digits);
}

/** Argument `index` as a number to compare with; text counts when it spells a number. */
export function numberArg(args: ValueList, index: number): Integer {
  const value = args[index];
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  if (value instanceof Float) return value.value;
  if (typeof value === 'string' || value instanceof Uint8Array) {
    const text = textArg(args, index);
    if (decimalInteger.test(text)) return parseInteger(text);
    if (decimalNumber.test(text)) return Number(text);
  }
  throw wrong(args, index, 'a number');
}
