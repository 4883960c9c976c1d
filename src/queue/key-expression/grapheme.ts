/**
 * Lengths and positions in user-perceived characters, as Erlang's string module counts them. No state.
 *
 * `e` followed by a combining accent is one, and so is `\r\n`. ASCII without `\r` takes the short way, in
 * which string indexes are grapheme indexes. Gives up: the rules are those of the Unicode version that
 * Node.js was built with, which may differ from that of an Erlang release for recent emoji.
 */

/** Every string in which each UTF-16 unit is a grapheme. */
const simple = /^[\0-\x0c\x0e-\x7f]*$/;

const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' });

/** True when string indexes are grapheme indexes. */
export function isSimple(text: string): boolean {
  return simple.test(text);
}

/** The graphemes of `text`. */
export function graphemes(text: string): string[] {
  if (isSimple(text)) return text.split('');
  return Array.from(segmenter.segment(text), (part) => part.segment);
}

/** Number of graphemes. */
export function graphemeCount(text: string): number {
  return isSimple(text) ? text.length : graphemes(text).length;
}
