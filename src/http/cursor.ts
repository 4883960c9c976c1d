/**
 * Cursors of paged answers: a small JSON value, written in base62. Main thread; pure.
 *
 * Always true: a cursor says where the next page begins by content, not by number, so pages neither repeat nor skip
 * entries that stay while others come and go. Clients must not look inside. A text that was not made here is
 * refused; so is a long one, because reading base62 costs the square of its length.
 * Source: REF 7.3.
 */
import { badRequest } from '../broker/operator-error.js';

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** Longest cursor that is read; the longest topic filter of a queue needs about 6000. */
export const cursorCharsMax = 16_384;

/** Writes `value` as a cursor. */
export function encodeCursor(value: unknown): string {
  // The leading 1 keeps zero bytes in front.
  let rest = BigInt(`0x01${Buffer.from(JSON.stringify(value)).toString('hex')}`);
  let text = '';
  while (rest > 0n) {
    text = `${digits[Number(rest % 62n)] ?? ''}${text}`;
    rest /= 62n;
  }
  return text;
}

/** Reads a cursor whose value `check` accepts. Throws `OperatorError` BAD_REQUEST "Invalid cursor". */
export function decodeCursor<T>(text: string, check: (value: unknown) => value is T): T {
  const value = read(text);
  if (!check(value)) throw badRequest('Invalid cursor');
  return value;
}

function read(text: string): unknown {
  if (text === '' || text.length > cursorCharsMax) return undefined;
  let number = 0n;
  for (const char of text) {
    const digit = digits.indexOf(char);
    if (digit < 0) return undefined;
    number = number * 62n + BigInt(digit);
  }
  const hex = number.toString(16);
  // What `encodeCursor` writes begins with the byte 01.
  if (!hex.startsWith('1') || hex.length % 2 === 0) return undefined;
  try {
    return JSON.parse(Buffer.from(hex.slice(1), 'hex').toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}
