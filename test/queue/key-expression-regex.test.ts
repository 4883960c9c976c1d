import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KeyEvaluationError } from '../../src/queue/key-expression/error.js';
import { compileKeyExpression } from '../../src/queue/key-expression/key-expression.js';
import { compilePattern } from '../../src/queue/key-expression/regex.js';
import { keyOf } from './key-expression-context.js';

function isMatch(pattern: string, subject: string): boolean {
  const expression = `regex_match(message.payload, '${pattern}')`;
  return keyOf(expression, { payload: Buffer.from(subject) }) === 'true';
}

function refusal(pattern: string): string {
  try {
    compilePattern(pattern);
  } catch (error) {
    expect(error).toBeInstanceOf(KeyEvaluationError);
    return (error as Error).message;
  }
  return '';
}

describe('functions', () => {
  test('regex_match searches anywhere in the text [queue-5.4]', () => {
    expect(isMatch(String.raw`^\d+$`, '123')).toBe(true);
    expect(isMatch(String.raw`^\d+$`, 'a23')).toBe(false);
    expect(isMatch('b', 'abc')).toBe(true);
  });

  test('regex_replace replaces every match; & and groups refer to it, $ does not [queue-5.4]', () => {
    const replace = (text: string, pattern: string, by: string): string =>
      keyOf(`regex_replace(message.payload, '${pattern}', '${by}')`, { payload: Buffer.from(text) });
    expect(replace('hello 123', String.raw`\d+`, 'world')).toBe('hello world');
    expect(replace('a;b; c', String.raw`;\s*`, ',')).toBe('a,b,c');
    expect(replace('ab', '(a)(b)', String.raw`\2\1-&-\g{1}`)).toBe('ba-ab-a');
    expect(replace('ab', 'a', String.raw`\&\\$&`)).toBe(String.raw`&\$ab`);
    expect(replace('abc', 'x*', '-')).toBe('-a-b-c-');
    expect(replace('abc', 'z', '-')).toBe('abc');
  });

  test('regex_extract answers the groups of the first match [queue-5.4]', () => {
    const extract = (text: string, pattern: string): string =>
      keyOf(`join_to_string('|', regex_extract(message.payload, '${pattern}'))`, {
        payload: Buffer.from(text),
      });
    expect(extract('Number: 12345', String.raw`(\d+)`)).toBe('12345');
    expect(extract('Date: 2021-05-20', String.raw`(\d{4})-(\d{2})-(\d{2})`)).toBe('2021|05|20');
    expect(extract('No numbers here!', String.raw`(\d+)`)).toBe('');
    expect(extract('abc', 'b')).toBe('');
    expect(extract('b', '(a)?(b)(c)?')).toBe('|b');
  });

  test('a pattern may come out of the message [broker]', () => {
    const expression = "regex_match('abc', message.payload)";
    expect(keyOf(expression, { payload: Buffer.from('b') })).toBe('true');
    expect(() => keyOf(expression, { payload: Buffer.from('(') })).toThrow(KeyEvaluationError);
  });

  test('one message does not influence the next [broker]', () => {
    const expression = compileKeyExpression("regex_match(message.payload, 'a')");
    const payload = Buffer.from('xa');
    const keys = [1, 2, 3].map(() =>
      expression.evaluate({ payload } as unknown as Parameters<typeof expression.evaluate>[0]),
    );
    expect(keys).toEqual(['true', 'true', 'true']);
  });
});

describe('PCRE on JavaScript', () => {
  test.each([
    ['^a$', 'a\n', true],
    ['^a$', 'a\nb', false],
    [String.raw`a\z`, 'a\n', false],
    [String.raw`a\Z`, 'a\n', true],
    [String.raw`\Aa`, 'ba', false],
    ['(?m)^b$', 'a\nb\nc', true],
    ['a.c', 'a\nc', false],
    ['a.c', 'a\u2028c', true],
    ['(?s)a.c', 'a\nc', true],
    ['(?i)ÄB', 'äb', true],
    [String.raw`^\s$`, '\u00a0', false],
    [String.raw`^\S$`, '\u00a0', true],
    [String.raw`^\h$`, '\t', true],
    [String.raw`^\R$`, '\r\n', true],
    [String.raw`\Qa.b\E`, 'a.b', true],
    [String.raw`\Qa.b\E`, 'axb', false],
    ['^[[:alpha:]]+[[:digit:]]$', 'ab1', true],
    ['^[]a]+$', ']a', true],
    ['^[^]a]$', ']', false],
    [String.raw`^[\w-]+$`, 'a-b', true],
    ['^[a-c-]+$', 'b-', true],
    [String.raw`^[\d.]+$`, '1.2', true],
    [String.raw`^a\-b\/c\_$`, 'a-b/c_', true],
    ['^a{,2}$', 'a{,2}', true],
    ['^{x}$', '{x}', true],
    [String.raw`^(?P<y>a)(?P=y)\k<y>\1\g{1}$`, 'aaaaa', true],
    [String.raw`^\x41\x{1F600}\101\e$`, 'A😀A\u001b', true],
    ['^.$', '😀', true],
    ['^[😀]$', '😀', true],
    [String.raw`^\p{Lu}\p{Greek}\pN\P{L}$`, 'Aα1-', true],
    ['^a(?#comment)b$', 'ab', true],
    ['^(?:a|b)(?=c)', 'bc', true],
    ['(?<!a)b', 'ab', false],
    ['^a+?b', 'aab', true],
    ['', 'x', true],
    ['a|', 'x', true],
    ['^-$', '-', true],
  ])('%j on %j is %j [queue-5.4]', (pattern, subject, expected) => {
    expect(compilePattern(pattern).test(subject)).toBe(expected);
  });

  test.each([
    ['a++', 'possessive'],
    ['(?>a)', 'not supported'],
    ['(?R)', 'not supported'],
    ['(?(1)a)', 'not supported'],
    ['a(?i)b', 'not supported'],
    ['(?x)a', 'flag "x"'],
    ['(*UTF8)a', 'verbs'],
    [String.raw`\K`, 'not supported'],
    [String.raw`\G`, 'not supported'],
    [String.raw`(a)\2`, 'no group 2'],
    [String.raw`\k<n>`, ''],
    ['(', 'not closed'],
    [')', 'unmatched'],
    ['[a', 'ends too early'],
    ['[b-a]', 'out of order'],
    ['*a', 'nothing to repeat'],
    ['a**', 'nothing to repeat'],
    ['^*', 'nothing to repeat'],
    ['a{3,2}', 'bad repetition'],
    ['\\', 'ends too early'],
    [String.raw`\x{110000}`, 'bad escape'],
    ['[[:foo:]]', 'not supported'],
    ['(?<1>a)', 'group name'],
    ['('.repeat(40), 'nested'],
    ['a'.repeat(2_000), 'longer than'],
  ])('%j is refused with a reason [broker]', (pattern, reason) => {
    const text = refusal(pattern);
    expect(text).toContain('regular expression: ');
    expect(text).toContain(reason);
  });

  test('characters without meaning in a pattern match themselves and nothing else [broker]', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }), (text) => {
        const quoted = text.replaceAll(/[\^$\\.*+?()[\]{}|]/g, String.raw`\$&`);
        const pattern = compilePattern(`${String.raw`\A`}${quoted}${String.raw`\z`}`);
        expect(pattern.exec(text)?.[0]).toBe(text);
        pattern.lastIndex = 0;
        expect(pattern.test(`${text}x`)).toBe(false);
      }),
    );
  });

  test('any text is either a pattern or refused with a reason [broker]', () => {
    const piece = fc.constantFrom(
      ...Array.from('ab1()[]{}|*+?^$.\\-,:=!<>PdwsxQEkgpA\n'),
      '[:alpha:]',
      '(?',
      '{2,}',
      '\\x{41}',
      '😀',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
        const pattern = pieces.join('');
        const text = refusal(pattern);
        expect(text === '' || text.startsWith('regular expression: ')).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});

/** A small pattern language of our own, to count the ways in which a text can match. */
type Part =
  | { readonly kind: 'set'; readonly set: string }
  | { readonly kind: 'sequence'; readonly parts: readonly Part[] }
  | { readonly kind: 'alternatives'; readonly parts: readonly Part[] }
  | { readonly kind: 'repeat'; readonly sign: '*' | '+' | '?'; readonly part: Part };

describe('time', () => {
  test('the repetition of something ambiguous is refused [broker]', () => {
    for (const pattern of [
      '(a+)+$',
      '(a*)*',
      '(a|a)*',
      '(a|aa)+',
      '(aa?)+',
      '(a+a)+',
      '(.*,)*',
      '([a-z]+/?)+',
      '(a*a*,)+',
      '(?:x|(?:a|a),)+',
      '((a+)b?)+',
      String.raw`(\w+\d)*`,
      '(a|b|ab)+',
      String.raw`(a)(\1)*x(\1b?)*`,
      '(a+){20}',
      '(.|x)+',
      '(é|[à-ü])+',
    ]) {
      expect(refusal(pattern), pattern).toContain('exponential');
    }
  });

  test('the repetition of something unambiguous is accepted [broker]', () => {
    for (const pattern of [
      String.raw`^(\d+,)+$`,
      String.raw`^\d+(\.\d+)*$`,
      '^([a-z]+/)*x$',
      '(foo|bar)+',
      '(ab?)+',
      String.raw`^(\w+=\w*;)+$`,
      '(?:[^,]*,)*',
      '.*a.*b',
      '(a|b)*c',
      '(ab){2,}',
      '(a+){3}',
      '((a,)*;)*',
    ]) {
      expect(refusal(pattern), pattern).toBe('');
    }
  });

  test('no accepted repetition can match a text in two ways [broker]', () => {
    const { part } = fc.letrec<{ part: Part }>((tie) => ({
      part: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.record({ kind: fc.constant('set' as const), set: fc.constantFrom('a', 'b', 'c', 'ab', 'bc') }),
        fc.record({
          kind: fc.constantFrom('sequence' as const, 'alternatives' as const),
          parts: fc.array(tie('part'), { minLength: 1, maxLength: 3 }),
        }),
        fc.record({
          kind: fc.constant('repeat' as const),
          sign: fc.constantFrom('*' as const, '+' as const, '?' as const),
          part: tie('part'),
        }),
      ),
    }));
    const source = (node: Part): string => {
      if (node.kind === 'set') return `[${node.set}]`;
      if (node.kind === 'repeat') return `(?:${source(node.part)})${node.sign}`;
      return `(?:${node.parts.map(source).join(node.kind === 'alternatives' ? '|' : '')})`;
    };
    /** Every way to match from `at`, as the offset where it ends; one entry per way. */
    const ways = (node: Part, text: string, at: number): number[] => {
      if (node.kind === 'set') return at < text.length && node.set.includes(text.charAt(at)) ? [at + 1] : [];
      if (node.kind === 'alternatives') return node.parts.flatMap((inner) => ways(inner, text, at));
      if (node.kind === 'sequence') {
        let ends = [at];
        for (const inner of node.parts) ends = ends.flatMap((end) => ways(inner, text, end));
        return ends;
      }
      const once = ways(node.part, text, at);
      // A round of `?` that takes nothing counts as no round (ECMA-262, RepeatMatcher, step 2.b).
      if (node.sign === '?') return [at, ...once.filter((end) => end !== at)];
      // The bodies of accepted repetitions always consume something, so this ends.
      const more = once.flatMap((end) => [end, ...ways({ ...node, sign: '+' }, text, end)]);
      return node.sign === '*' ? [at, ...more] : more;
    };
    const letter = (set: string): Part => ({ kind: 'set', set });
    const optionalRepeat: Part = {
      kind: 'sequence',
      parts: [
        letter('a'),
        { kind: 'repeat', sign: '?', part: { kind: 'repeat', sign: '*', part: letter('b') } },
      ],
    };
    const nothingOrLetter: Part = {
      kind: 'sequence',
      parts: [
        {
          kind: 'alternatives',
          parts: [{ kind: 'repeat', sign: '*', part: letter('c') }, letter('ab')],
        },
        letter('b'),
      ],
    };
    let accepted = 0;
    fc.assert(
      fc.property(part, fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 7 }), (node, text) => {
        if (refusal(`(?:${source(node)})+`) !== '') return;
        accepted += 1;
        const ends = ways({ kind: 'repeat', sign: '+', part: node }, text, 0);
        expect(new Set(ends).size, source(node)).toBe(ends.length);
      }),
      {
        numRuns: 1_500,
        examples: [
          [optionalRepeat, 'a'],
          [nothingOrLetter, 'bb'],
        ],
      },
    );
    expect(accepted).toBeGreaterThan(150);
  });

  test('the text that a pattern is matched against is capped [broker]', () => {
    const evaluate = (length: number): string =>
      keyOf("regex_match(message.payload, 'x$')", { payload: Buffer.alloc(length, 'x') });
    expect(evaluate(4_096)).toBe('true');
    expect(() => evaluate(4_097)).toThrow('longer than 4096 characters');
  });
});
