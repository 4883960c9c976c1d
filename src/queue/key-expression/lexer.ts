/**
 * Characters to tokens. Runs once per expression, on the thread that compiles it.
 *
 * Longest match wins; white space separates and is dropped. A dotted path is one token, minus signs
 * included (`message.headers.properties.User-Property.mq-key`). Strings have no escapes, so a string
 * cannot hold its own quote. A sign belongs to a number only when a digit follows; there are no operators.
 */
import { KeyExpressionError } from './error.js';
import { Float, integerDigitsMax, parseInteger, type Value } from './value.js';

/** A token; `position` is the offset of its first character. */
export type Token =
  | { readonly kind: 'literal'; readonly position: number; readonly value: Value }
  | { readonly kind: 'identifier'; readonly position: number; readonly text: string }
  | { readonly kind: '(' | ')' | '[' | ']' | ',' | 'end'; readonly position: number };

const whiteSpace = /[ \t\r\n]+/y;
const identifier = /[A-Za-z][-A-Za-z0-9_.]*/y;
const number = /[-+]?\d+(\.\d+(?:[eE][-+]?\d+)?)?/y;

/** Tokens of `source`, closed by one `end`. Throws `KeyExpressionError`. */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let position = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position;
    return pattern.exec(source);
  };
  while (position < source.length) {
    const character = source.charAt(position);
    if (
      character === '(' ||
      character === ')' ||
      character === '[' ||
      character === ']' ||
      character === ','
    ) {
      tokens.push({ kind: character, position });
      position += 1;
      continue;
    }
    if (character === "'" || character === '"') {
      const close = source.indexOf(character, position + 1);
      if (close === -1) throw new KeyExpressionError(`string without closing ${character}`, position);
      tokens.push({ kind: 'literal', position, value: source.slice(position + 1, close) });
      position = close + 1;
      continue;
    }
    let found = match(whiteSpace);
    if (found !== null) {
      position += found[0].length;
      continue;
    }
    found = match(identifier);
    if (found !== null) {
      const text = found[0];
      tokens.push(
        text === 'true' || text === 'false'
          ? { kind: 'literal', position, value: text === 'true' }
          : { kind: 'identifier', position, text },
      );
      position += text.length;
      continue;
    }
    found = match(number);
    if (found !== null) {
      const text = found[0];
      tokens.push({ kind: 'literal', position, value: numberValue(text, found[1] !== undefined, position) });
      position += text.length;
      continue;
    }
    throw new KeyExpressionError(`unexpected character ${JSON.stringify(character)}`, position);
  }
  tokens.push({ kind: 'end', position });
  return tokens;
}

function numberValue(text: string, isFloat: boolean, position: number): Value {
  if (text.length > integerDigitsMax) throw new KeyExpressionError('the number is too long', position);
  if (!isFloat) return parseInteger(text);
  const value = Number(text);
  if (!Number.isFinite(value)) throw new KeyExpressionError('the number is too large', position);
  return new Float(value);
}
