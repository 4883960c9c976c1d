/**
 * Brings user names and passwords of SCRAM into one form, whichever keyboard they were typed on. Any thread, pure.
 *
 * Always true: text of printable ASCII comes back as it is, and preparing twice equals preparing once.
 * Gives up: the check of RFC 3454 against mixing writing directions, which refuses texts and never changes one, and
 * the frozen Unicode 3.2: unassigned characters are those of the running Node.js. Source: RFC 4013.
 */

/** Mapped to nothing: soft hyphen, joiners, variation selectors and the like (RFC 3454 table B.1). */
const mappedToNothing =
  /\u{AD}|\u{34F}|\u{1806}|[\u{180B}-\u{180D}]|\u{200C}|\u{200D}|\u{2060}|[\u{FE00}-\u{FE0F}]|\u{FEFF}/gu;
/** Spaces other than U+0020 (table C.1.2). */
const otherSpaces = /[\u{A0}\u{1680}\u{2000}-\u{200B}\u{202F}\u{205F}\u{3000}]/gu;
/** Controls, private use, surrogates, non-characters, tags and direction marks, unassigned (tables C.2 to C.9, A.1). */
const prohibited =
  /[\p{Cc}\p{Co}\p{Cs}\p{Cn}\u{340}\u{341}\u{6DD}\u{70F}\u{180E}\u{200E}\u{200F}\u{2028}-\u{202E}\u{2061}-\u{2063}\u{206A}-\u{206F}\u{2FF0}-\u{2FFB}\u{FFF9}-\u{FFFD}\u{1D173}-\u{1D17A}\u{E0001}\u{E0020}-\u{E007F}]/u;

const printableAscii = /^[\x20-\x7E]*$/;

/** The prepared form of `text`; undefined when it holds a character that is not allowed, or nothing is left. */
export function saslPrep(text: string): string | undefined {
  if (text === '') return undefined;
  if (printableAscii.test(text)) return text;
  const prepared = text.replace(otherSpaces, ' ').replace(mappedToNothing, '').normalize('NFKC');
  return prepared === '' || prohibited.test(prepared) ? undefined : prepared;
}
