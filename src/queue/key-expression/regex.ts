/**
 * PCRE patterns on JavaScript's engine: translation, and a check that they end. Shard worker.
 *
 * EMQX matches with PCRE. Every construct is parsed and rewritten to mean the same under the `u` flag
 * (`$` before a final newline, ASCII `\s`, POSIX classes, `\A`, `\z`, `\h`, `(?P<name>…)`); what has no
 * counterpart (possessive, atomic, recursion, conditionals, flags in mid-pattern) is refused by name.
 * JavaScript backtracks without a limit, therefore: a repetition whose body can match the same text in two
 * ways takes exponential time and is refused, and subjects are capped. Gives up: a pattern like
 * `.*.*.*x` is still polynomial in the capped length; patterns come from operators, not from publishers.
 */
import { KeyEvaluationError } from './error.js';
import {
  alternativeParts,
  joinedParts,
  otherCharacters,
  referencePart,
  repeatedPart,
  setPart,
  zeroWidthPart,
  type Part,
} from './regex-part.js';

/** Longest pattern, characters. */
export const patternCharsMax = 1_024;

/** Longest text that a pattern is matched against, characters. */
export const subjectCharsMax = 4_096;

const groupDepthMax = 32;

const posixClasses: Readonly<Record<string, string>> = {
  alpha: 'A-Za-z',
  digit: '0-9',
  alnum: '0-9A-Za-z',
  upper: 'A-Z',
  lower: 'a-z',
  space: '\\t-\\r ',
  blank: '\\t ',
  punct: '!-\\/:-@\\[-`\\{-~',
  xdigit: '0-9A-Fa-f',
  word: '\\w',
  cntrl: '\\x00-\\x1f\\x7f',
  print: ' -~',
  graph: '!-~',
};

/** The first 256 characters: a set's matches in it are its members. */
const latin1 = String.fromCodePoint(...Array.from({ length: 256 }, (_, code) => code));

function refuse(text: string): KeyEvaluationError {
  return new KeyEvaluationError('value', `regular expression: ${text}`);
}

/** Pattern text to `RegExp` (flags `u`, `g` and those of the pattern). Throws `KeyEvaluationError`. */
export function compilePattern(pattern: string): RegExp {
  if (pattern.length > patternCharsMax) throw refuse(`longer than ${patternCharsMax} characters`);
  const translation = new PatternTranslator(pattern);
  const source = translation.translate();
  try {
    return new RegExp(source, translation.ignoreCase ? 'giu' : 'gu');
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : 'invalid');
  }
}

/** `subject`, checked against the cap. */
export function checkSubject(subject: string): string {
  if (subject.length > subjectCharsMax) {
    throw new KeyEvaluationError(
      'limit',
      `text for a regular expression is longer than ${subjectCharsMax} characters`,
    );
  }
  return subject;
}

class PatternTranslator {
  ignoreCase = false;
  private dotAll = false;
  private multiline = false;
  private readonly characters: readonly string[];
  private at = 0;
  private groups = 0;
  private highestReference = 0;
  private readonly classMasks = new Map<string, bigint>();

  constructor(pattern: string) {
    this.characters = Array.from(pattern);
  }

  translate(): string {
    this.leadingFlags();
    const part = this.alternatives(0);
    if (this.at < this.characters.length) throw refuse('unmatched ")"');
    if (this.highestReference > this.groups) throw refuse(`there is no group ${this.highestReference}`);
    return part.source;
  }

  private leadingFlags(): void {
    const found = /^\(\?([a-zA-Z]+)\)/.exec(this.characters.slice(0, 8).join(''));
    if (found === null) return;
    for (const flag of found[1] ?? '') {
      if (flag === 'i') this.ignoreCase = true;
      else if (flag === 's') this.dotAll = true;
      else if (flag === 'm') this.multiline = true;
      else throw refuse(`the flag "${flag}" is not supported`);
    }
    this.at = found[0].length;
  }

  private peek(offset = 0): string {
    return this.characters[this.at + offset] ?? '';
  }

  private take(): string {
    const character = this.characters[this.at];
    if (character === undefined) throw refuse('ends too early');
    this.at += 1;
    return character;
  }

  private looksAt(text: string): boolean {
    return this.characters.slice(this.at, this.at + text.length).join('') === text;
  }

  /** Text up to `close`, which is consumed. */
  private until(close: string): string {
    const start = this.at;
    while (this.peek() !== close) this.take();
    this.at += 1;
    return this.characters.slice(start, this.at - 1).join('');
  }

  private alternatives(depth: number): Part {
    if (depth > groupDepthMax) throw refuse(`groups nested more than ${groupDepthMax} deep`);
    const parts = [this.sequence(depth)];
    while (this.peek() === '|') {
      this.at += 1;
      parts.push(this.sequence(depth));
    }
    return alternativeParts(parts);
  }

  private sequence(depth: number): Part {
    const parts: Part[] = [];
    while (this.peek() !== '' && this.peek() !== '|' && this.peek() !== ')') {
      if (this.looksAt('\\Q')) {
        this.at += 2;
        while (this.peek() !== '' && !this.looksAt('\\E'))
          parts.push(this.quantified(this.character(this.take())));
        if (this.looksAt('\\E')) this.at += 2;
      } else if (this.looksAt('(?#')) {
        this.until(')');
      } else {
        parts.push(this.quantified(this.atom(depth)));
      }
    }
    return joinedParts(parts);
  }

  /** `part` with the quantifier that follows it, if any. */
  private quantified(part: Part): Part {
    const rest = this.characters.slice(this.at, this.at + 24).join('');
    const found = /^(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})/.exec(rest);
    if (found === null) return part;
    if (!part.isQuantifiable) throw refuse('a quantifier with nothing to repeat');
    this.at += found[0].length;
    let min = found[0] === '+' ? 1 : 0;
    let max = found[0] === '?' ? 1 : Number.POSITIVE_INFINITY;
    if (found[1] !== undefined) {
      min = Number(found[1]);
      max = found[2] === undefined ? min : found[3] === '' ? Number.POSITIVE_INFINITY : Number(found[3]);
      if (min > 65_535 || (max > 65_535 && max !== Number.POSITIVE_INFINITY) || min > max) {
        throw refuse(`bad repetition ${found[0]}`);
      }
    }
    let source = part.source + found[0];
    if (this.peek() === '+') throw refuse('possessive quantifiers are not supported');
    if (this.peek() === '?') {
      this.at += 1;
      source += '?';
    }
    if (/^[*+?]/.test(this.peek())) throw refuse('a quantifier with nothing to repeat');
    const repeated = repeatedPart(part, source, min, max);
    if (repeated === undefined) {
      throw refuse(
        `the repetition ${found[0]} of something that matches the same text in several ways can take exponential time`,
      );
    }
    return repeated;
  }

  private atom(depth: number): Part {
    const character = this.take();
    if (character === '(') return this.group(depth);
    if (character === '[') return this.characterClass();
    if (character === '.') return this.set(this.dotAll ? '[\\s\\S]' : '[^\\n]');
    if (character === '^') return zeroWidthPart(this.multiline ? '(?<![^\\n])' : '^');
    if (character === '$') return zeroWidthPart(this.multiline ? '(?![^\\n])' : '(?=\\n?$)');
    if (character === '*' || character === '+' || character === '?') {
      throw refuse('a quantifier with nothing to repeat');
    }
    if (character === '\\') return this.escape();
    return this.character(character);
  }

  private group(depth: number): Part {
    let open = '(';
    let isLookaround = false;
    if (this.peek() === '?') {
      this.at += 1;
      if (this.looksAt(':')) {
        this.at += 1;
        open = '(?:';
      } else if (this.looksAt('=') || this.looksAt('!') || this.looksAt('<=') || this.looksAt('<!')) {
        isLookaround = true;
        open = '(?';
        if (this.peek() === '<') open += this.take();
        open += this.take();
      } else if (this.looksAt('<') || this.looksAt('P<') || this.looksAt("'")) {
        if (this.peek() === 'P') this.at += 1;
        const close = this.take() === '<' ? '>' : "'";
        open = `(?<${this.groupName(this.until(close))}>`;
        this.groups += 1;
      } else if (this.looksAt('P=')) {
        this.at += 2;
        return referencePart(`\\k<${this.groupName(this.until(')'))}>`);
      } else {
        throw refuse(`(?${this.peek()} is not supported`);
      }
    } else if (this.peek() === '*') {
      throw refuse('(* verbs are not supported');
    } else {
      this.groups += 1;
    }
    const inner = this.alternatives(depth + 1);
    if (this.peek() !== ')') throw refuse('a group is not closed');
    this.at += 1;
    if (isLookaround) return zeroWidthPart(`${open}${inner.source})`);
    return { ...inner, source: `${open}${inner.source})` };
  }

  private groupName(name: string): string {
    if (!/^[A-Za-z_]\w*$/.test(name)) throw refuse(`bad group name "${name}"`);
    return name;
  }

  private escape(): Part {
    const character = this.take();
    switch (character) {
      case 'd':
      case 'D':
      case 'w':
      case 'W':
        return this.set(`\\${character}`);
      case 's':
        return this.set('[\\t-\\r ]');
      case 'S':
        return this.set('[^\\t-\\r ]');
      case 'h':
        return this.set('[\\t ]');
      case 'H':
        return this.set('[^\\t ]');
      case 'v':
        return this.set('[\\n-\\r\\u0085\\u2028\\u2029]');
      case 'N':
        return this.set('[^\\n]');
      case 'R':
        return {
          ...this.set('[\\n-\\r\\u0085\\u2028\\u2029]'),
          source: '(?:\\r\\n|[\\n-\\r\\u0085\\u2028\\u2029])',
        };
      case 'p':
      case 'P':
        return this.set(this.property(character));
      case 'b':
      case 'B':
        return zeroWidthPart(`\\${character}`);
      case 'A':
        return zeroWidthPart('^');
      case 'z':
        return zeroWidthPart('$');
      case 'Z':
        return zeroWidthPart('(?=\\n?$)');
      case 'k': {
        const open = this.take();
        const close = open === '<' ? '>' : open === '{' ? '}' : open === "'" ? "'" : '';
        if (close === '') throw refuse('\\k needs a group name');
        return referencePart(`\\k<${this.groupName(this.until(close))}>`);
      }
      case 'g':
        return this.numbered(this.peek() === '{' ? this.braced() : this.take());
      default:
        if (/[1-9]/.test(character) && !/^[0-7]{2}$/.test(this.peek() + this.peek(1))) {
          let digits = character;
          if (/[0-9]/.test(this.peek())) digits += this.take();
          return this.numbered(digits);
        }
        return this.character(this.escapedCharacter(character));
    }
  }

  private numbered(digits: string): Part {
    if (!/^[1-9]\d?$/.test(digits)) throw refuse(`bad group reference "${digits}"`);
    this.highestReference = Math.max(this.highestReference, Number(digits));
    // The group keeps a digit that follows from joining the number.
    return referencePart(`(?:\\${digits})`);
  }

  private braced(): string {
    this.at += 1;
    return this.until('}');
  }

  private property(letter: string): string {
    const name = this.peek() === '{' ? this.braced() : this.take();
    const isNegated = name.startsWith('^');
    const plain = isNegated ? name.slice(1) : name;
    if (!/^\w+$/.test(plain)) throw refuse(`bad property "${name}"`);
    const known = plain.length <= 2 || plain === 'Any' ? plain : `Script=${plain}`;
    const flipped = isNegated ? (letter === 'p' ? 'P' : 'p') : letter;
    return `\\${flipped}{${known}}`;
  }

  /** The one character that an escape beginning with `character` stands for. */
  private escapedCharacter(character: string): string {
    switch (character) {
      case 'n':
        return '\n';
      case 't':
        return '\t';
      case 'r':
        return '\r';
      case 'f':
        return '\f';
      case 'a':
        return '\u0007';
      case 'e':
        return '\u001b';
      case 'x': {
        let digits = '';
        if (this.peek() === '{') digits = this.braced();
        else while (digits.length < 2 && /[0-9A-Fa-f]/.test(this.peek())) digits += this.take();
        const code = digits === '' ? 0 : Number.parseInt(digits, 16);
        if (!/^[0-9A-Fa-f]{0,6}$/.test(digits) || code > 0x10ffff) throw refuse(`bad escape \\x{${digits}}`);
        return String.fromCodePoint(code);
      }
      default: {
        if (/[0-7]/.test(character)) {
          let digits = character;
          while (digits.length < 3 && /[0-7]/.test(this.peek())) digits += this.take();
          return String.fromCodePoint(Number.parseInt(digits, 8));
        }
        if (/[A-Za-z0-9]/.test(character)) throw refuse(`the escape \\${character} is not supported`);
        return character;
      }
    }
  }

  private characterClass(): Part {
    let source = '[';
    if (this.peek() === '^') {
      this.at += 1;
      source += '^';
    }
    let isFirst = true;
    while (isFirst || this.peek() !== ']') {
      isFirst = false;
      const low = this.classItem();
      if (!low.isSingle || this.peek() !== '-' || this.peek(1) === ']' || this.peek(1) === '') {
        source += low.source;
        continue;
      }
      this.at += 1;
      const high = this.classItem();
      if (!high.isSingle) {
        source += `${low.source}\\-${high.source}`;
      } else {
        if ((low.code ?? 0) > (high.code ?? 0)) throw refuse('range out of order in a character class');
        source += `${low.source}-${high.source}`;
      }
    }
    this.at += 1;
    return this.set(`${source}]`);
  }

  private classItem(): { readonly source: string; readonly isSingle: boolean; readonly code?: number } {
    if (this.looksAt('[:')) {
      const found = /^\[:(\^?)([a-z]+):\]/.exec(this.characters.slice(this.at, this.at + 16).join(''));
      const members = found === null ? undefined : posixClasses[found[2] ?? ''];
      if (found !== null) {
        if (members === undefined || found[1] !== '') throw refuse(`the class ${found[0]} is not supported`);
        this.at += found[0].length;
        return { source: members, isSingle: false };
      }
    }
    const character = this.take();
    if (character !== '\\') return single(character);
    const escaped = this.take();
    if (/[dDwWS]/.test(escaped)) return { source: `\\${escaped}`, isSingle: false };
    if (escaped === 's') return { source: '\\t-\\r ', isSingle: false };
    if (escaped === 'h') return { source: '\\t ', isSingle: false };
    if (escaped === 'p' || escaped === 'P') return { source: this.property(escaped), isSingle: false };
    return single(escaped === 'b' ? '\b' : this.escapedCharacter(escaped));
  }

  private character(character: string): Part {
    return this.set(single(character).source);
  }

  /** A part that consumes exactly one character out of the set with JavaScript source `source`. */
  private set(source: string): Part {
    return setPart(source, this.mask(source));
  }

  private mask(source: string): bigint {
    const known = this.classMasks.get(source);
    if (known !== undefined) return known;
    let matcher: RegExp;
    try {
      matcher = new RegExp(source, this.ignoreCase ? 'giu' : 'gu');
    } catch (error) {
      throw refuse(error instanceof Error ? error.message : 'invalid');
    }
    let mask = 0n;
    for (const found of latin1.matchAll(matcher)) mask |= 1n << BigInt(found.index);
    // Sets with members past Latin-1 share one bit: when in doubt two of them overlap.
    const isPlainAscii = /^(?:\\[dw]|\[[ -~]*\]|[ -~])$/.test(source) && !/\\[DWSpPu]|^\[\^/.test(source);
    if (!isPlainAscii || source.includes('\\u')) mask |= otherCharacters;
    this.classMasks.set(source, mask);
    return mask;
  }
}

/** JavaScript source of one literal character, safe inside and outside of a class. */
function single(character: string): { source: string; isSingle: true; code: number } {
  const code = character.codePointAt(0) ?? 0;
  const source = /[\^$\\.*+?()[\]{}|/]/.test(character)
    ? `\\${character}`
    : character === '-' || code < 0x20 || code > 0x7e
      ? `\\u{${code.toString(16)}}`
      : character;
  return { source, isSingle: true, code };
}
