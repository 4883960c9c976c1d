/**
 * Functions on lists, and the few of Erlang's `lists` and `maps` that make sense for a key. No state.
 *
 * EMQX lets an expression call any function of these two modules; those that need functions, tuples or
 * side effects cannot be written in the language, and of the rest these are the ones a key can use.
 */
import { KeyEvaluationError } from './error.js';
import { withOption, type KeyFunction } from './function.js';
import { graphemes, isSimple } from './grapheme.js';
import {
  countArg,
  Float,
  listArg,
  mapArg,
  scalarText,
  textArg,
  type Value,
  type ValueList,
} from './value.js';

const splitWords = ['notrim', 'leading', 'trailing', 'leading_notrim', 'trailing_notrim'] as const;

function split(text: string, separator: string, word: (typeof splitWords)[number] | undefined): string[] {
  if (separator === '') return [text];
  const isLeading = word === 'leading' || word === 'leading_notrim';
  const isTrailing = word === 'trailing' || word === 'trailing_notrim';
  if (!isLeading && !isTrailing) return text.split(separator);
  const at = isLeading ? text.indexOf(separator) : text.lastIndexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}

function tokens(args: ValueList, isCrLf: boolean): string[] {
  const text = textArg(args, 0);
  const separators = textArg(args, 1);
  // The usual case, one plain separator, is what native split does: about three times as fast as the loop.
  if (!isCrLf && separators.length === 1 && isSimple(separators) && isSimple(text)) {
    return text.split(separators).filter((token) => token !== '');
  }
  const set = new Set(graphemes(separators));
  if (isCrLf) for (const lineEnd of ['\r', '\n', '\r\n']) set.add(lineEnd);
  const found: string[] = [];
  let token = '';
  for (const part of graphemes(text)) {
    if (!set.has(part)) {
      token += part;
    } else if (token !== '') {
      found.push(token);
      token = '';
    }
  }
  if (token !== '') found.push(token);
  return found;
}

function nth(args: ValueList): Value | undefined {
  return listArg(args, 1)[countArg(args, 0, 1, Number.MAX_SAFE_INTEGER) - 1];
}

function item(value: Value | undefined): Value {
  if (value === undefined) throw new KeyEvaluationError('value', 'there is no such item');
  return value;
}

function isEqual(a: Value, b: Value): boolean {
  if (a instanceof Float && b instanceof Float) return a.value === b.value;
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    return isTextual(a) && isTextual(b) && scalarText(a) === scalarText(b);
  }
  return a === b;
}

function isTextual(value: Value): boolean {
  return typeof value === 'string' || value instanceof Uint8Array;
}

const { MAX_SAFE_INTEGER: anyCount } = Number;

/** Lists, and Erlang's modules. */
export const listFunctions: readonly KeyFunction[] = [
  {
    name: 'split',
    arities: [2, 3],
    group: 'Lists',
    parameters: "(text, separator[, 'notrim'|'leading'|'trailing'|'leading_notrim'|'trailing_notrim'])",
    help: 'Parts between separators, empty parts dropped unless `notrim`; `leading` and `trailing` split once.',
    prepare: withOption(2, splitWords, (args, word) => {
      const parts = split(textArg(args, 0), textArg(args, 1), word);
      return word?.endsWith('notrim') === true ? parts : parts.filter((part) => part !== '');
    }),
  },
  {
    name: 'tokens',
    arities: [2, 3],
    group: 'Lists',
    parameters: "(text, separators[, 'nocrlf'])",
    help: 'Parts between any of the separator characters, empty parts dropped; `nocrlf` also splits at line ends.',
    prepare: withOption(2, ['nocrlf'], (args, word) => tokens(args, word === 'nocrlf')),
  },
  {
    name: 'nth',
    arities: [2],
    group: 'Lists',
    parameters: '(n, list)',
    help: 'Item number `n` (the first is 1), "" beyond the end.',
    prepare: () => (args) => nth(args) ?? '',
  },
  {
    name: 'lists.nth',
    arities: [2],
    group: 'Erlang modules',
    parameters: '(n, list)',
    help: 'As `nth`, but an error beyond the end.',
    prepare: () => (args) => item(nth(args)),
  },
  {
    name: 'lists.last',
    arities: [1],
    group: 'Erlang modules',
    parameters: '(list)',
    help: 'The last item.',
    prepare: () => (args) => item(listArg(args, 0).at(-1)),
  },
  {
    name: 'lists.reverse',
    arities: [1],
    group: 'Erlang modules',
    parameters: '(list)',
    help: 'Items in reverse order.',
    prepare: () => (args) => [...listArg(args, 0)].reverse(),
  },
  {
    name: 'lists.sublist',
    arities: [2, 3],
    group: 'Erlang modules',
    parameters: '(list[, start], length)',
    help: 'At most `length` items, from item `start` (the first is 1) on.',
    prepare: () => (args) => {
      const list = listArg(args, 0);
      const start = args.length > 2 ? countArg(args, 1, 1, anyCount) - 1 : 0;
      return list.slice(start, start + countArg(args, args.length - 1, 0, anyCount));
    },
  },
  {
    name: 'lists.member',
    arities: [2],
    group: 'Erlang modules',
    parameters: '(value, list)',
    help: 'Is the value one of the items?',
    prepare: () => (args) => listArg(args, 1).some((candidate) => isEqual(candidate, args[0] ?? null)),
  },
  {
    name: 'lists.append',
    arities: [2],
    group: 'Erlang modules',
    parameters: '(list, list)',
    help: 'Both lists as one.',
    prepare: () => (args) => [...listArg(args, 0), ...listArg(args, 1)],
  },
  {
    name: 'maps.get',
    arities: [2, 3],
    group: 'Erlang modules',
    parameters: '(key, map[, default])',
    help: 'Value of `key`; without a default a missing key is an error. Reaches keys that a path cannot spell.',
    prepare: () => (args) => mapArg(args, 1).get(textArg(args, 0)) ?? item(args[2]),
  },
  {
    name: 'maps.is_key',
    arities: [2],
    group: 'Erlang modules',
    parameters: '(key, map)',
    help: 'Does the map have the key?',
    prepare: () => (args) => mapArg(args, 1).has(textArg(args, 0)),
  },
  {
    name: 'maps.size',
    arities: [1],
    group: 'Erlang modules',
    parameters: '(map)',
    help: 'Number of keys.',
    prepare: () => (args) => mapArg(args, 0).size,
  },
];
