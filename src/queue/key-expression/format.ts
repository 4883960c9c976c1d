/**
 * The part of Erlang's format language that `sprintf_s` offers. Shard worker, no state.
 *
 * A control sequence is `~F.P.PadC`: field width (negative: left-justified), precision, pad character,
 * control character; `*` takes F or P from the arguments. A format is parsed once into steps and then run
 * per message. Gives up: `~p` never breaks lines, and `~s` takes UTF-8 text where Erlang needs `~ts`.
 * Source: documentation of Erlang/OTP's io:fwrite/1.
 */
import { KeyEvaluationError } from './error.js';
import {
  bounded,
  Float,
  isList,
  textArg,
  textCharsMax,
  typeName,
  type Value,
  type ValueList,
} from './value.js';

/** Widest field, characters. */
const widthMax = 1_024;

type Control = 's' | 'p' | 'w' | 'b' | 'B' | 'c' | 'f' | 'e' | 'g' | 'n' | '~' | 'i';

const controls = new Set<string>(['s', 'p', 'w', 'b', 'B', 'c', 'f', 'e', 'g', 'n', '~', 'i']);

/** A number in the format, `*`, or left out. */
type Size = number | '*' | undefined;

interface Sequence {
  readonly control: Control;
  readonly width: Size;
  readonly precision: Size;
  readonly pad: string;
}

/** A parsed format: literal texts and control sequences in order. */
export type Format = readonly (string | Sequence)[];

function bad(text: string): KeyEvaluationError {
  return new KeyEvaluationError('value', `format: ${text}`);
}

const sequencePattern = /~(-?\d+|\*)?(?:\.(\d+|\*)?(?:\.(.))?)?([tlkK]*)(.)/suy;

/** Parses `source`. Throws `KeyEvaluationError` for control characters outside of the supported ones. */
export function parseFormat(source: string): Format {
  const steps: (string | Sequence)[] = [];
  let at = 0;
  while (at < source.length) {
    const tilde = source.indexOf('~', at);
    if (tilde !== at) {
      const end = tilde === -1 ? source.length : tilde;
      steps.push(source.slice(at, end));
      at = end;
      continue;
    }
    sequencePattern.lastIndex = at;
    const found = sequencePattern.exec(source);
    if (found === null) throw bad('ends in the middle of a control sequence');
    const control = found[5] ?? '';
    if (!isControl(control)) throw bad(`the control sequence ~${control} is not supported`);
    steps.push({ control, width: size(found[1]), precision: size(found[2]), pad: found[3] ?? ' ' });
    at += found[0].length;
  }
  return steps;
}

function isControl(text: string): text is Control {
  return controls.has(text);
}

function size(digits: string | undefined): Size {
  if (digits === undefined || digits === '*') return digits;
  return checkedSize(Number(digits));
}

function checkedSize(value: number): number {
  if (Math.abs(value) > widthMax) throw bad(`a field is wider than ${widthMax}`);
  return value;
}

/** Text of `format` with `args` filled in; there must be exactly as many as it uses. */
export function runFormat(format: Format, args: ValueList): string {
  let next = 0;
  const take = (): Value => {
    const value = args[next];
    if (value === undefined) throw bad('more control sequences than arguments');
    next += 1;
    return value;
  };
  const number = (given: Size): number | undefined => {
    if (given !== '*') return given;
    const value = take();
    if (typeof value !== 'number') throw bad('a "*" needs an integer');
    return checkedSize(value);
  };
  let text = '';
  for (const step of format) {
    if (typeof step === 'string') {
      text += step;
      continue;
    }
    const width = number(step.width);
    const precision = number(step.precision);
    text += control(step, width, precision, take);
    if (text.length > textCharsMax) bounded(text);
  }
  if (next !== args.length) throw bad('more arguments than control sequences');
  return text;
}

function control(
  step: Sequence,
  width: number | undefined,
  precision: number | undefined,
  take: () => Value,
): string {
  switch (step.control) {
    case '~':
      return '~'.repeat(Math.abs(width ?? 1));
    case 'n':
      return '\n'.repeat(Math.abs(width ?? 1));
    case 'i':
      take();
      return '';
    case 's': {
      const value = take();
      const text = typeof value === 'boolean' ? String(value) : textArg([value], 0);
      const limit = precision ?? (width === undefined ? undefined : Math.abs(width));
      return justify(limit === undefined ? text : Array.from(text).slice(0, limit).join(''), width, step.pad);
    }
    case 'w':
    case 'p':
      return filled(term(take(), step.control === 'p'), step.control === 'p' ? undefined : width, step.pad);
    case 'b':
    case 'B':
      return filled(integerText(take(), precision ?? 10, step.control === 'B'), width, step.pad);
    case 'c': {
      const code = take();
      if (typeof code !== 'number' || code < 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        throw bad('~c needs the code of a character');
      }
      return justify(String.fromCodePoint(code).repeat(precision ?? Math.abs(width ?? 1)), width, step.pad);
    }
    case 'f':
    case 'e':
    case 'g':
      return filled(floatFormat(step.control, floatOf(take()), precision), width, step.pad);
  }
}

function justify(text: string, width: number | undefined, pad: string): string {
  if (width === undefined) return text;
  const padding = pad.repeat(Math.max(0, Math.abs(width) - Array.from(text).length));
  return width < 0 ? text + padding : padding + text;
}

/** As `justify`; a text that does not fit shows as stars, as Erlang does for numbers and terms. */
function filled(text: string, width: number | undefined, pad: string): string {
  if (width !== undefined && Array.from(text).length > Math.abs(width)) return '*'.repeat(Math.abs(width));
  return justify(text, width, pad);
}

function integerText(value: Value, base: number, isUpper: boolean): string {
  if (typeof value !== 'number' && typeof value !== 'bigint')
    throw bad(`~b needs an integer, not ${typeName(value)}`);
  if (base < 2 || base > 36) throw bad('the base of ~b is not within 2 to 36');
  const digits = value.toString(base);
  return isUpper ? digits.toUpperCase() : digits;
}

function floatOf(value: Value): number {
  if (value instanceof Float) return value.value;
  if (typeof value === 'number' || typeof value === 'bigint') return Number(value);
  throw bad(`~f, ~e and ~g need a number, not ${typeName(value)}`);
}

function floatFormat(kind: 'f' | 'e' | 'g', value: number, precision: number | undefined): string {
  const digits = precision ?? 6;
  if (digits > 100) throw bad('more than 100 digits');
  if (kind === 'f') {
    if (digits < 1) throw bad('~f needs a precision of 1 or more');
    return Math.abs(value) >= 1e21 ? `${BigInt(value)}.${'0'.repeat(digits)}` : value.toFixed(digits);
  }
  if (digits < 2 && kind === 'e') throw bad('~e needs a precision of 2 or more');
  if (digits < 1) throw bad('~g needs a precision of 1 or more');
  const size = Math.abs(value);
  if (kind === 'g' && size >= 0.1 && size < 10_000) {
    // ~g counts significant digits: those before the point are taken from those after it.
    const before = size < 1 ? 0 : size < 10 ? 1 : size < 100 ? 2 : size < 1000 ? 3 : 4;
    if (digits > before) return value.toFixed(digits - before);
  }
  return value.toExponential(Math.max(1, digits - 1));
}

/** `value` as an Erlang term; `isPretty` shows printable text as text. */
function term(value: Value, isPretty: boolean): string {
  if (value === null) return 'undefined';
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean')
    return String(value);
  if (value instanceof Float) return shortestFloat(value.value);
  if (typeof value === 'string' || value instanceof Uint8Array) return binaryTerm(value, isPretty);
  if (isList(value)) return `[${value.map((item) => term(item, isPretty)).join(',')}]`;
  const members = [...value].map(([key, item]) => `${term(key, isPretty)} => ${term(item, isPretty)}`);
  return `#{${members.join(',')}}`;
}

/** Digits that read back as the same float, always with a point. */
function shortestFloat(value: number): string {
  const text = String(value);
  if (text.includes('.')) return text;
  const exponent = text.indexOf('e');
  return exponent === -1
    ? `${text}.0`
    : `${text.slice(0, exponent)}.0${text.slice(exponent).replace('+', '')}`;
}

function binaryTerm(value: string | Uint8Array, isPretty: boolean): string {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  if (isPretty && bytes.length > 0 && bytes.every((byte) => byte >= 0x20 && byte < 0x7f)) {
    return `<<"${Buffer.from(bytes).toString('latin1').replace(/["\\]/g, '\\$&')}">>`;
  }
  return `<<${Array.from(bytes, String).join(',')}>>`;
}
