/**
 * Finds one value in JSON bytes without building the rest. Shard worker, no state.
 *
 * Always true: the whole text is checked against RFC 8259, only the value found is decoded, integers
 * are exact at any size (`JSON.parse` would round 64-bit device ids and so merge keys), and depth is
 * bounded. Of several members with one name the last counts. Path segments name object members only.
 * Gives up: UTF-8 is checked only in what is decoded.
 */
import { KeyEvaluationError } from './error.js';
import { decodeText, Float, parseInteger, type Value } from './value.js';

/** Deepest nesting accepted. */
export const jsonDepthMax = 128;

const quote = 0x22;
const backslash = 0x5c;

function malformed(at: number): KeyEvaluationError {
  return new KeyEvaluationError('value', `not valid JSON (at byte ${at})`);
}

/** A dotted path, ready to search for. */
export function jsonPath(path: string): readonly Uint8Array[] {
  return path.split('.').map((segment) => Buffer.from(segment, 'utf8'));
}

/** Value at `path` in `json`, or undefined when a segment is missing. Throws `KeyEvaluationError` for text that is not JSON. */
export function jsonValue(json: Uint8Array, path: readonly Uint8Array[]): Value | undefined {
  const scanner = new Scanner(json);
  const start = scanner.find(path);
  return start === -1 ? undefined : scanner.decode(start);
}

class Scanner {
  private readonly bytes: Uint8Array;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Offset of the value at `path`, or -1. Checks the whole text. */
  find(path: readonly Uint8Array[]): number {
    const found = this.value(path, 0, 0);
    this.space();
    if (this.at !== this.bytes.length) throw malformed(this.at);
    return found;
  }

  /** The value that starts at `start`, which `find` has checked. */
  decode(start: number): Value {
    this.at = start;
    return this.build();
  }

  /** Skips one value; answers where the rest of `path`, from segment `level` on, leads within it. Level -1: nowhere. */
  private value(path: readonly Uint8Array[], level: number, depth: number): number {
    this.space();
    const start = this.at;
    let found = level === path.length ? start : -1;
    switch (this.bytes[start]) {
      case 0x7b: {
        const inner = this.object(path, found === -1 ? level : -1, depth + 1);
        if (found === -1) found = inner;
        break;
      }
      case 0x5b:
        this.array(path, depth + 1);
        break;
      case quote:
        this.string();
        break;
      case 0x74:
        this.word('true');
        break;
      case 0x66:
        this.word('false');
        break;
      case 0x6e:
        this.word('null');
        break;
      default:
        this.number();
    }
    return found;
  }

  private object(path: readonly Uint8Array[], level: number, depth: number): number {
    if (depth > jsonDepthMax)
      throw new KeyEvaluationError('limit', `JSON deeper than ${jsonDepthMax} levels`);
    let found = -1;
    this.at += 1;
    this.space();
    if (this.bytes[this.at] === 0x7d) {
      this.at += 1;
      return found;
    }
    for (;;) {
      this.space();
      const nameAt = this.at;
      if (this.bytes[nameAt] !== quote) throw malformed(nameAt);
      const isPlain = this.string();
      const segment = level === -1 ? undefined : path[level];
      const isMatch = segment !== undefined && this.isName(nameAt, this.at, isPlain, segment);
      this.space();
      this.expect(0x3a);
      const inner = this.value(path, isMatch ? level + 1 : -1, depth);
      // A later member of the same name replaces an earlier one, even by something without the rest of the path.
      if (isMatch) found = inner;
      this.space();
      if (this.bytes[this.at] === 0x7d) {
        this.at += 1;
        return found;
      }
      this.expect(0x2c);
    }
  }

  private array(path: readonly Uint8Array[], depth: number): void {
    if (depth > jsonDepthMax)
      throw new KeyEvaluationError('limit', `JSON deeper than ${jsonDepthMax} levels`);
    this.at += 1;
    this.space();
    if (this.bytes[this.at] === 0x5d) {
      this.at += 1;
      return;
    }
    for (;;) {
      this.value(path, -1, depth);
      this.space();
      if (this.bytes[this.at] === 0x5d) {
        this.at += 1;
        return;
      }
      this.expect(0x2c);
    }
  }

  /** Skips a string; true when it holds no escapes. */
  private string(): boolean {
    const { bytes } = this;
    let isPlain = true;
    let at = this.at + 1;
    for (;;) {
      const byte = bytes[at];
      if (byte === undefined || byte < 0x20) throw malformed(at);
      at += 1;
      if (byte === quote) break;
      if (byte === backslash) {
        isPlain = false;
        const escaped = bytes[at];
        if (escaped === 0x75) {
          for (let digit = 1; digit <= 4; digit++) if (!isHexDigit(bytes[at + digit])) throw malformed(at);
          at += 5;
        } else if (escaped !== undefined && '"\\/bfnrt'.includes(String.fromCharCode(escaped))) {
          at += 1;
        } else {
          throw malformed(at);
        }
      }
    }
    this.at = at;
    return isPlain;
  }

  private number(): void {
    const { bytes } = this;
    if (bytes[this.at] === 0x2d) this.at += 1;
    if (bytes[this.at] === 0x30) this.at += 1;
    else this.digits();
    if (bytes[this.at] === 0x2e) {
      this.at += 1;
      this.digits();
    }
    if (bytes[this.at] === 0x65 || bytes[this.at] === 0x45) {
      this.at += 1;
      if (bytes[this.at] === 0x2b || bytes[this.at] === 0x2d) this.at += 1;
      this.digits();
    }
  }

  private digits(): void {
    const start = this.at;
    while (isDigit(this.bytes[this.at])) this.at += 1;
    if (this.at === start) throw malformed(start);
  }

  private word(word: string): void {
    for (let index = 0; index < word.length; index++) {
      if (this.bytes[this.at + index] !== word.charCodeAt(index)) throw malformed(this.at + index);
    }
    this.at += word.length;
  }

  private expect(byte: number): void {
    if (this.bytes[this.at] !== byte) throw malformed(this.at);
    this.at += 1;
  }

  private space(): void {
    for (;;) {
      const byte = this.bytes[this.at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.at += 1;
    }
  }

  /** Is the string with quotes at `start`..`end` the name `segment`? */
  private isName(start: number, end: number, isPlain: boolean, segment: Uint8Array): boolean {
    if (!isPlain) return Buffer.from(segment).equals(Buffer.from(this.text(start, end), 'utf8'));
    if (end - start - 2 !== segment.length) return false;
    for (let index = 0; index < segment.length; index++) {
      if (this.bytes[start + 1 + index] !== segment[index]) return false;
    }
    return true;
  }

  /** Text of the string with quotes at `start`..`end`. */
  private text(start: number, end: number): string {
    const raw = decodeText(this.bytes, start, end);
    if (raw === undefined) throw malformed(start);
    if (!raw.includes('\\')) return raw.slice(1, -1);
    const text = JSON.parse(raw) as string;
    // An unpaired surrogate has no UTF-8 form: different texts would end as the same key.
    if (/\p{Surrogate}/u.test(text)) throw malformed(start);
    return text;
  }

  private build(): Value {
    this.space();
    const start = this.at;
    switch (this.bytes[start]) {
      case 0x7b:
        return this.buildObject();
      case 0x5b:
        return this.buildArray();
      case quote:
        this.string();
        return this.text(start, this.at);
      case 0x74:
        this.at += 4;
        return true;
      case 0x66:
        this.at += 5;
        return false;
      case 0x6e:
        this.at += 4;
        return null;
      default: {
        this.number();
        const digits = decodeText(this.bytes, start, this.at) ?? '';
        if (/^-?\d+$/.test(digits)) return parseInteger(digits);
        const value = Number(digits);
        if (!Number.isFinite(value)) throw malformed(start);
        return new Float(value);
      }
    }
  }

  private buildObject(): Value {
    const map = new Map<string, Value>();
    this.at += 1;
    this.space();
    while (this.bytes[this.at] !== 0x7d) {
      const start = this.at;
      this.string();
      const name = this.text(start, this.at);
      this.space();
      this.expect(0x3a);
      map.set(name, this.build());
      this.separator();
    }
    this.at += 1;
    return map;
  }

  private buildArray(): Value {
    const list: Value[] = [];
    this.at += 1;
    this.space();
    while (this.bytes[this.at] !== 0x5d) {
      list.push(this.build());
      this.separator();
    }
    this.at += 1;
    return list;
  }

  private separator(): void {
    this.space();
    if (this.bytes[this.at] === 0x2c) this.at += 1;
    this.space();
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function isHexDigit(byte: number | undefined): boolean {
  return isDigit(byte) || (byte !== undefined && (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
}
