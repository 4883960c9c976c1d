/**
 * Functions on text: case, trim, slices, building. Shard worker, no state.
 *
 * Positions and lengths count graphemes, as Erlang's string module does. Whatever could grow is bounded by
 * `textCharsMax`, and checked before it grows where the growth is a product. Words that choose a variant
 * (`leading`, `all`) are checked at compile time when they are constants.
 */
import { KeyEvaluationError } from './error.js';
import { parseFormat, runFormat } from './format.js';
import { remembered, withOption, type KeyFunction } from './function.js';
import { graphemeCount, graphemes, isSimple } from './grapheme.js';
import {
  anyText,
  bounded,
  bytesArg,
  countArg,
  listArg,
  textArg,
  textCharsMax,
  type ValueList,
} from './value.js';

/** What Erlang's string:trim/1 takes for white space. */
const whiteSpace: ReadonlySet<string> = new Set([
  ...Array.from('\t\n\v\f\r \u0085\u200e\u200f\u2028\u2029'),
  '\r\n',
]);

function trimmed(args: ValueList, isLeading: boolean, isTrailing: boolean): string {
  const text = textArg(args, 0);
  const set = args.length > 1 ? new Set(graphemes(textArg(args, 1))) : whiteSpace;
  const parts = graphemes(text);
  let start = 0;
  let end = parts.length;
  while (isLeading && start < end && set.has(parts[start] ?? '')) start += 1;
  while (isTrailing && end > start && set.has(parts[end - 1] ?? '')) end -= 1;
  return parts.slice(start, end).join('');
}

const directions = ['leading', 'trailing'] as const;

function padded(args: ValueList, direction: 'leading' | 'trailing' | 'both' | undefined): string {
  const text = textArg(args, 0);
  const missing = countArg(args, 1, 0, textCharsMax) - graphemeCount(text);
  const fill = args.length > 3 ? textArg(args, 3) : ' ';
  if (missing <= 0) return text;
  if (missing * fill.length > textCharsMax) {
    throw new KeyEvaluationError('limit', `the text is longer than ${textCharsMax} characters`);
  }
  if (direction === 'leading') return bounded(fill.repeat(missing) + text);
  if (direction === 'both') {
    const before = Math.floor(missing / 2);
    return bounded(fill.repeat(before) + text + fill.repeat(missing - before));
  }
  return bounded(text + fill.repeat(missing));
}

function replaced(args: ValueList, where: 'all' | 'leading' | 'trailing' | undefined): string {
  const text = textArg(args, 0);
  const pattern = textArg(args, 1);
  const replacement = textArg(args, 2);
  if (pattern === '') return text;
  if (where === 'leading' || where === 'trailing') {
    const at = where === 'leading' ? text.indexOf(pattern) : text.lastIndexOf(pattern);
    if (at === -1) return text;
    return bounded(text.slice(0, at) + replacement + text.slice(at + pattern.length));
  }
  const parts = text.split(pattern);
  if (text.length + (parts.length - 1) * (replacement.length - pattern.length) > textCharsMax) {
    throw new KeyEvaluationError('limit', `the text is longer than ${textCharsMax} characters`);
  }
  return parts.join(replacement);
}

function concatenated(items: ValueList): string {
  let text = '';
  for (const item of items) text += anyText(item);
  return bounded(text);
}

function joined(separator: string, items: ValueList): string {
  if (items.length * separator.length > textCharsMax) {
    throw new KeyEvaluationError('limit', `the text is longer than ${textCharsMax} characters`);
  }
  return bounded(items.map(anyText).join(separator));
}

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  b: '\b',
  f: '\f',
  v: '\v',
  a: '\u0007',
  "'": "'",
  '"': '"',
  '\\': '\\',
  '?': '?',
};

function unescaped(text: string): string {
  return text.replace(/\\(?:x([0-9A-Fa-f]*)|([\s\S])?)/g, (sequence, digits?: string, letter?: string) => {
    if (digits !== undefined) {
      const code = digits === '' || digits.length > 8 ? -1 : Number.parseInt(digits, 16);
      if (code >= 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff))
        return String.fromCodePoint(code);
    } else if (letter !== undefined && Object.hasOwn(escapes, letter)) {
      return escapes[letter] ?? '';
    }
    throw new KeyEvaluationError('value', `the escape sequence ${sequence} is not supported`);
  });
}

function substring(args: ValueList): string {
  const text = textArg(args, 0);
  const start = countArg(args, 1, 0, Number.MAX_SAFE_INTEGER);
  const length = args.length > 2 ? countArg(args, 2, 0, Number.MAX_SAFE_INTEGER) : Number.MAX_SAFE_INTEGER;
  if (isSimple(text)) return text.slice(start, start + length);
  return graphemes(text)
    .slice(start, start + length)
    .join('');
}

/** Case, trim, slices. */
export const textFunctions: readonly KeyFunction[] = [
  {
    name: 'lower',
    arities: [1],
    group: 'Case and trim',
    parameters: '(text)',
    help: 'Lower case.',
    prepare: () => (args) => textArg(args, 0).toLowerCase(),
  },
  {
    name: 'upper',
    arities: [1],
    group: 'Case and trim',
    parameters: '(text)',
    help: 'Upper case.',
    prepare: () => (args) => textArg(args, 0).toUpperCase(),
  },
  {
    name: 'reverse',
    arities: [1],
    group: 'Case and trim',
    parameters: '(text)',
    help: 'Characters in reverse order.',
    prepare: () => (args) => graphemes(textArg(args, 0)).reverse().join(''),
  },
  {
    name: 'trim',
    arities: [1, 2],
    group: 'Case and trim',
    parameters: '(text[, characters])',
    help: 'Without white space, or any of the characters given, at both ends.',
    prepare: () => (args) => trimmed(args, true, true),
  },
  {
    name: 'ltrim',
    arities: [1, 2],
    group: 'Case and trim',
    parameters: '(text[, characters])',
    help: 'As `trim`, at the start only.',
    prepare: () => (args) => trimmed(args, true, false),
  },
  {
    name: 'rtrim',
    arities: [1, 2],
    group: 'Case and trim',
    parameters: '(text[, characters])',
    help: 'As `trim`, at the end only.',
    prepare: () => (args) => trimmed(args, false, true),
  },
  {
    name: 'substr',
    arities: [2, 3],
    group: 'Slices',
    parameters: '(text, start[, length])',
    help: 'From position `start` (the first is 0), at most `length` characters.',
    prepare: () => substring,
  },
  {
    name: 'strlen',
    arities: [1],
    group: 'Slices',
    parameters: '(text)',
    help: 'Number of characters.',
    prepare: () => (args) => graphemeCount(textArg(args, 0)),
  },
  {
    name: 'rm_prefix',
    arities: [2],
    group: 'Slices',
    parameters: '(text, prefix)',
    help: 'Without `prefix`, when the text begins with it.',
    prepare: () => (args) => {
      const text = textArg(args, 0);
      const prefix = textArg(args, 1);
      return text.startsWith(prefix) ? text.slice(prefix.length) : text;
    },
  },
  {
    name: 'find',
    arities: [2, 3],
    group: 'Slices',
    parameters: "(text, pattern[, 'leading'|'trailing'])",
    help: 'The text from the first (or last) occurrence of `pattern` on, "" when there is none.',
    prepare: withOption(2, directions, (args, direction) => {
      const text = textArg(args, 0);
      const pattern = textArg(args, 1);
      if (pattern === '') return text;
      const at = direction === 'trailing' ? text.lastIndexOf(pattern) : text.indexOf(pattern);
      return at === -1 ? '' : text.slice(at);
    }),
  },
  {
    name: 'ascii',
    arities: [1],
    group: 'Slices',
    parameters: '(text)',
    help: 'Number of the first byte.',
    prepare: () => (args) => {
      const first = bytesArg(args, 0)[0];
      if (first === undefined) throw new KeyEvaluationError('value', 'argument 1 is empty');
      return first;
    },
  },
];

/** Functions that make text out of other values. */
export const buildFunctions: readonly KeyFunction[] = [
  {
    name: 'concat',
    arities: [1, 2],
    group: 'Build',
    parameters: '(list) or (a, b)',
    help: 'All items, or both values, as text one after the other. There is no form with three arguments.',
    prepare: () => (args) => concatenated(args.length === 1 ? listArg(args, 0) : args),
  },
  {
    name: 'join_to_string',
    arities: [1, 2],
    group: 'Build',
    parameters: '([separator, ]list)',
    help: 'All items as text with the separator between them; without one, ", ".',
    prepare: () => (args) =>
      args.length === 1 ? joined(', ', listArg(args, 0)) : joined(textArg(args, 0), listArg(args, 1)),
  },
  {
    name: 'pad',
    arities: [2, 3, 4],
    group: 'Build',
    parameters: "(text, length[, 'leading'|'trailing'|'both'[, fill]])",
    help: 'Filled to `length` characters, with blanks at the end unless told otherwise. `fill` counts as one character.',
    prepare: withOption(2, ['leading', 'trailing', 'both'], padded),
  },
  {
    name: 'replace',
    arities: [3, 4],
    group: 'Build',
    parameters: "(text, pattern, replacement[, 'all'|'leading'|'trailing'])",
    help: 'All occurrences of `pattern`, the first or the last one replaced.',
    prepare: withOption(3, ['all', 'leading', 'trailing'], replaced),
  },
  {
    name: 'sprintf_s',
    arities: [2],
    group: 'Build',
    parameters: '(format, list)',
    help: 'Erlang format: `~s ~p ~w ~b ~B ~c ~f ~e ~g ~n ~i ~~`, with width, precision and pad character.',
    prepare: (constants) => {
      const [format] = constants;
      if (format !== undefined) {
        const parsed = parseFormat(textArg([format], 0));
        return (args) => runFormat(parsed, listArg(args, 1));
      }
      const parsedBySource = remembered(parseFormat);
      return (args) => runFormat(parsedBySource(textArg(args, 0)), listArg(args, 1));
    },
  },
  {
    name: 'unescape',
    arities: [1],
    group: 'Build',
    parameters: '(text)',
    help: 'C escapes resolved: `\\n \\t \\r \\b \\f \\v \\a \\\\ \\\' \\" \\?` and `\\xH…`.',
    prepare: () => (args) => unescaped(textArg(args, 0)),
  },
  {
    name: 'any_to_str',
    arities: [1],
    group: 'Build',
    parameters: '(value)',
    help: 'Any value as text; lists and maps as JSON.',
    prepare: () => (args) => bounded(anyText(args[0] ?? null)),
  },
];
