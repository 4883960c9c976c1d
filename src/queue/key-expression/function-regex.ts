/**
 * Regular expression functions. Shard worker; compiled patterns live in the place that calls.
 *
 * A constant pattern is compiled once, when the expression is; one that comes out of a message is compiled
 * on first sight and kept for a while. The bounds on patterns and subjects are those of `regex.ts`.
 */
import { remembered, type FunctionCall, type KeyFunction } from './function.js';
import { checkSubject, compilePattern } from './regex.js';
import { bounded, textArg, type Value, type ValueList } from './value.js';

function withPattern(
  call: (pattern: RegExp, subject: string, args: ValueList) => Value,
): KeyFunction['prepare'] {
  return (constants): FunctionCall => {
    const constant = constants[1];
    const compile = remembered(compilePattern);
    if (constant !== undefined) compile(textArg([null, constant], 1));
    return (args) => {
      const pattern = compile(textArg(args, 1));
      // Patterns are global, and a global pattern remembers where it stopped.
      pattern.lastIndex = 0;
      return call(pattern, checkSubject(textArg(args, 0)), args);
    };
  };
}

/** A replacement in PCRE's spelling: `&` is the match, `\N` and `\g{N}` a group, `\\` and `\&` themselves. */
type Replacement = readonly (string | number)[];

function parseReplacement(text: string): Replacement {
  const parts: (string | number)[] = [];
  for (const found of text.matchAll(/\\g\{(\d{1,2})\}|\\(\d{1,2})|\\([\s\S])|(&)|([^\\&]+|\\$)/g)) {
    const group = found[1] ?? found[2];
    if (group !== undefined) parts.push(Number(group));
    else if (found[4] !== undefined) parts.push(0);
    else parts.push(found[3] ?? found[5] ?? '');
  }
  return parts;
}

function replaceAll(pattern: RegExp, subject: string, args: ValueList): string {
  const replacement = parseReplacement(textArg(args, 2));
  let text = '';
  let from = 0;
  for (const match of subject.matchAll(pattern)) {
    const filled = replacement
      .map((part) => (typeof part === 'number' ? (match[part] ?? '') : part))
      .join('');
    text = bounded(text + subject.slice(from, match.index) + filled);
    from = match.index + match[0].length;
  }
  return bounded(text + subject.slice(from));
}

/** Captured groups of the first match: unset ones are "", unset ones at the end are left out, as PCRE does. */
function captures(pattern: RegExp, subject: string): string[] {
  const groups = pattern.exec(subject)?.slice(1) ?? [];
  const last = groups.findLastIndex((group) => group !== undefined);
  return groups.slice(0, last + 1).map((group) => group ?? '');
}

/** Regular expressions. */
export const regexFunctions: readonly KeyFunction[] = [
  {
    name: 'regex_match',
    arities: [2],
    group: 'Regular expressions',
    parameters: '(text, pattern)',
    help: 'Does the pattern match anywhere in the text?',
    prepare: withPattern((pattern, subject) => pattern.test(subject)),
  },
  {
    name: 'regex_replace',
    arities: [3],
    group: 'Regular expressions',
    parameters: '(text, pattern, replacement)',
    help: 'Every match replaced; `&` stands for the match, `\\1` or `\\g{1}` for a group.',
    prepare: withPattern(replaceAll),
  },
  {
    name: 'regex_extract',
    arities: [2],
    group: 'Regular expressions',
    parameters: '(text, pattern)',
    help: 'List of the groups captured by the first match; an empty list when nothing matches.',
    prepare: withPattern(captures),
  },
];
