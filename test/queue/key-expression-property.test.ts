import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KeyEvaluationError, KeyExpressionError } from '../../src/queue/key-expression/error.js';
import { keyFunctions } from '../../src/queue/key-expression/function-table.js';
import { jsonPath, jsonValue } from '../../src/queue/key-expression/json-path.js';
import { compileKeyExpression } from '../../src/queue/key-expression/key-expression.js';
import { tokenize } from '../../src/queue/key-expression/lexer.js';
import { userProperty, userPropertyMap } from '../../src/queue/key-expression/property.js';
import { anyText, type Value } from '../../src/queue/key-expression/value.js';
import { propertyBytes, publish } from './key-expression-context.js';

/** Outcome as text, so that two can be compared; anything but the two error classes escapes. */
function outcome(source: string, payload: Uint8Array): string {
  try {
    const key = compileKeyExpression(source, {}).evaluate(publish({ payload }));
    expect(typeof key).toBe('string');
    return `key ${key}`;
  } catch (error) {
    if (error instanceof KeyExpressionError) {
      expect(error.position).toBeGreaterThanOrEqual(0);
      expect(error.position).toBeLessThanOrEqual(source.length);
      return `refused ${error.message}`;
    }
    if (error instanceof KeyEvaluationError) return `failed ${error.reason} ${error.message}`;
    throw error;
  }
}

/** No unpaired surrogates: what UTF-8 can carry. */
function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

const fragment = fc.constantFrom(
  ...[
    "'",
    '"',
    '(',
    ')',
    '[',
    ']',
    ',',
    ' ',
    '.',
    '-',
    '+',
    '1',
    '1.5',
    'true',
    'message.from',
    'message.payload.a',
  ],
  ...["'a'", 'concat', 'coalesce', 'iif', 'is_empty', 'upper(', 'nth(', '\n', 'é', '\\', 'e9', 'message'],
);

describe('lexer and parser', () => {
  test('any text is compiled or refused with a position, the same way each time [broker]', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.array(fragment, { maxLength: 20 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (source) => {
        const payload = Buffer.from('{"a":1}');
        expect(outcome(source, payload)).toBe(outcome(source, payload));
      }),
      { numRuns: 3_000 },
    );
  });

  test('tokens cover the source from left to right and leave out only white space [broker]', () => {
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 20 }), (parts) => {
        const source = parts.join('');
        let tokens: ReturnType<typeof tokenize>;
        try {
          tokens = tokenize(source);
        } catch (error) {
          expect(error).toBeInstanceOf(KeyExpressionError);
          return;
        }
        expect(tokens.at(-1)).toEqual({ kind: 'end', position: source.length });
        for (const [index, token] of tokens.slice(0, -1).entries()) {
          const next = tokens[index + 1]!.position;
          expect(next).toBeGreaterThan(token.position);
          expect(source.slice(token.position, next).trim()).not.toBe('');
          expect(source.charAt(token.position)).not.toMatch(/\s/);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test('a tree that is written down is read back, whatever the white space [broker]', () => {
    type Tree = { readonly source: string; readonly key: string };
    const space = fc.constantFrom('', ' ', '\n\t');
    const literal = fc.oneof(
      fc
        .string({ unit: 'grapheme', maxLength: 5 })
        .filter((text) => !/['\0]/.test(text) && isWellFormed(text))
        .map((text): Tree => ({ source: `'${text}'`, key: text })),
      fc.maxSafeInteger().map((value): Tree => ({ source: String(value), key: String(value) })),
      fc.boolean().map((value): Tree => ({ source: String(value), key: String(value) })),
      fc.constant<Tree>({ source: 'message.from', key: 'pump-7' }),
    );
    const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        literal,
        fc
          .tuple(fc.array(tie('tree'), { minLength: 1, maxLength: 4 }), space)
          .map(([items, blank]): Tree => ({
            source: `concat${blank}([${blank}${items.map((item) => item.source).join(`${blank},`)}]${blank})`,
            key: items.map((item) => item.key).join(''),
          })),
      ),
    }));
    fc.assert(
      fc.property(tree, ({ source, key }) => {
        expect(compileKeyExpression(source, {}).evaluate(publish())).toBe(key);
      }),
    );
  });
});

describe('functions', () => {
  test('every function answers a value or one of the two errors for any arguments and payload [broker]', () => {
    const argument = fc.constantFrom(
      ...[
        "'a'",
        "''",
        "'/'",
        '0',
        '1',
        '-1',
        '99999999999999999999',
        '1.5',
        'true',
        "['a', 1]",
        'message.payload',
      ],
      ...[
        "json_value(message.payload, 'a')",
        'message.flags',
        'message.headers.username',
        'message.user_property.no',
      ],
      ...["'trailing'", "'md5'", "'(a)'", "'~s'", "tokens(message.topic, '/')"],
    );
    const payload = fc
      .constantFrom('', 'text', '{"a":"b"}', '{"a":[1]}', '\u0000', '(', '12')
      .map((text) => Buffer.from(text));
    fc.assert(
      fc.property(
        fc.constantFrom(...keyFunctions),
        fc.array(argument, { maxLength: 4 }),
        payload,
        (f, given, bytes) => {
          const count = f.arities.includes(given.length) ? given.length : (f.arities[0] ?? 0);
          const args = Array.from({ length: count }, (_, index) => given[index] ?? "'a'");
          for (const source of [
            `${f.name}(${args.join(', ')})`,
            `any_to_str(${f.name}(${args.join(', ')}))`,
          ]) {
            expect(outcome(source, bytes)).toBe(outcome(source, bytes));
          }
        },
      ),
      { numRuns: 4_000 },
    );
  });
});

describe('JSON', () => {
  /** A value of ours as JavaScript's own, to compare with `JSON.parse`. */
  const native = (value: Value | undefined): unknown =>
    value === undefined
      ? undefined
      : JSON.parse(
          `[${typeof value === 'string' ? JSON.stringify(value) : value === null ? 'null' : anyText(value)}]`,
        );

  test('a member is what JSON.parse finds there [broker]', () => {
    const name = fc.constantFrom('a', 'b', 'é', '"', '');
    const leaf = fc.oneof(fc.constant(null), fc.boolean(), fc.integer(), fc.string({ unit: 'grapheme' }));
    const { json } = fc.letrec<{ json: unknown }>((tie) => ({
      json: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        leaf,
        fc.array(tie('json'), { maxLength: 3 }),
        fc.dictionary(name, tie('json'), { maxKeys: 4, noNullPrototype: true }),
      ),
    }));
    fc.assert(
      fc.property(
        fc.dictionary(name, json, { noNullPrototype: true }),
        fc.array(name, { minLength: 1, maxLength: 3 }),
        fc.nat(2),
        (document, path, indent) => {
          const text = JSON.stringify(document, undefined, indent);
          if (!isWellFormed(text) || /\\ud[89a-f]/i.test(text)) return;
          let expected: unknown = JSON.parse(text);
          for (const segment of path) {
            const isObject = typeof expected === 'object' && expected !== null && !Array.isArray(expected);
            expected =
              isObject && Object.hasOwn(expected as object, segment)
                ? (expected as Record<string, unknown>)[segment]
                : undefined;
          }
          const found = native(jsonValue(Buffer.from(text), jsonPath(path.join('.'))));
          expect(found).toEqual(expected === undefined ? undefined : [expected]);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('text is accepted exactly when JSON.parse accepts it [broker]', () => {
    const piece = fc.constantFrom(
      ...[
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"a"',
        '"',
        '1',
        '0',
        '-',
        '.',
        'e',
        '+',
        'true',
        'null',
        'false',
        ' ',
        '\t',
        '\\',
        'u00e9',
        '\u0001',
      ],
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 9 }), (pieces) => {
        const text = pieces.join('');
        const accepts = (parse: () => unknown): boolean => {
          try {
            parse();
            return true;
          } catch {
            return false;
          }
        };
        // The name never occurs, so nothing is decoded: only the grammar decides.
        expect(
          accepts(() => jsonValue(Buffer.from(text), jsonPath('zz'))),
          text,
        ).toBe(accepts(() => JSON.parse(text)));
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('properties', () => {
  test('the last user property of a name is found wherever it stands [broker]', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 4 }).filter((value) => isWellFormed(value));
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { maxLength: 6 }), text, (pairs, name) => {
        const bytes = propertyBytes(pairs, [0x02, 0, 0, 0, 9]);
        const expected = new Map(pairs);
        expect(userPropertyMap(bytes)).toEqual(expected);
        for (const key of [name, ...expected.keys()]) {
          expect(userProperty(bytes, Buffer.from(key))).toBe(expected.get(key));
        }
      }),
    );
  });

  test('any bytes are properties or an evaluation error [broker]', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
        for (const read of [() => userProperty(bytes, Buffer.from('a')), () => userPropertyMap(bytes)]) {
          try {
            read();
          } catch (error) {
            expect(error).toBeInstanceOf(KeyEvaluationError);
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
