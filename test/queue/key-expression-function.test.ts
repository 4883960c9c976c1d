import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { KeyEvaluationError, KeyExpressionError } from '../../src/queue/key-expression/error.js';
import { hashAlgorithms } from '../../src/queue/key-expression/function-encoding.js';
import { compileKeyExpression } from '../../src/queue/key-expression/key-expression.js';
import { keyOf, propertyBytes, publish } from './key-expression-context.js';

/** Source and key; `P` stands for the payload, so that arguments are not constants. */
type Example = readonly [source: string, payload: string, key: string];

function check(examples: readonly Example[]): void {
  for (const [source, payload, key] of examples) {
    const dynamic = source.replaceAll(/\bP\b/g, 'message.payload');
    expect(keyOf(dynamic, { payload: Buffer.from(payload) }), `${source} of ${JSON.stringify(payload)}`).toBe(
      key,
    );
  }
}

function fails(source: string, payload: string | Uint8Array, reason: string): void {
  const expression = compileKeyExpression(source.replaceAll(/\bP\b/g, 'message.payload'), {});
  let caught: unknown;
  try {
    expression.evaluate(publish({ payload: Buffer.from(payload) }));
  } catch (error) {
    caught = error;
  }
  expect(caught, source).toBeInstanceOf(KeyEvaluationError);
  expect((caught as KeyEvaluationError).reason, source).toBe(reason);
}

describe('case and trim', () => {
  test('lower and upper convert all of Unicode [queue-5.4]', () => {
    check([
      ['lower(P)', 'ÄBC', 'äbc'],
      ['upper(P)', 'straße', 'STRASSE'],
    ]);
  });

  test('reverse keeps what the reader sees as one character together [queue-5.4]', () => {
    check([
      ['reverse(P)', 'hello', 'olleh'],
      ['reverse(P)', 'ae\u0301b', 'be\u0301a'],
    ]);
  });

  test('trim, ltrim and rtrim remove white space, line ends included [queue-5.4]', () => {
    check([
      ['trim(P)', '\t hello \r\n', 'hello'],
      ['ltrim(P)', '\t  hello  \n', 'hello  \n'],
      ['rtrim(P)', '\t  hello \r\n', '\t  hello'],
      ['trim(P)', ' \n ', ''],
    ]);
  });

  test('a second argument of trim is the set of characters to remove [queue-5.4]', () => {
    check([
      ["trim(P, '/-')", '-/a/b/-', 'a/b'],
      ["ltrim(P, '0')", '00100', '100'],
      ["rtrim(P, '0')", '00100', '001'],
    ]);
  });
});

describe('slices', () => {
  test('substr counts from 0 and takes at most the length given [queue-5.4]', () => {
    check([
      ['substr(P, 0)', 'hello', 'hello'],
      ['substr(P, 6)', 'hello world', 'world'],
      ['substr(P, 6, 5)', 'hello world!', 'world'],
      ['substr(P, 3, 99)', 'hello', 'lo'],
      ['substr(P, 99)', 'hello', ''],
      ['substr(P, 1, 1)', 'x😀y', '😀'],
    ]);
    fails('substr(P, message.qos, message.payload)', 'a', 'type');
  });

  test('strlen counts what the reader sees as characters [queue-5.4]', () => {
    check([
      ['strlen(P)', 'hello', '5'],
      ['strlen(P)', 'hello\n', '6'],
      ['strlen(P)', 'e\u0301', '1'],
      ['strlen(P)', '\r\n', '1'],
      ['strlen(P)', '', '0'],
    ]);
  });

  test('rm_prefix removes a prefix that is there [queue-5.4]', () => {
    check([
      ["rm_prefix(P, 'foo/')", 'foo/bar', 'bar'],
      ["rm_prefix(P, 'xxx/')", 'foo/bar', 'foo/bar'],
    ]);
  });

  test('find answers the rest from the match on, "" without a match [queue-5.4]', () => {
    check([
      ["find(P, 'Value:')", '..., Value: 1.2', 'Value: 1.2'],
      ["find(P, 'Data')", '..., Value: 1.2', ''],
      ["find(P, ', ', 'leading')", 'Front, Middle, End', ', Middle, End'],
      ["find(P, ', ', 'trailing')", 'Front, Middle, End', ', End'],
    ]);
  });

  test('ascii answers the first byte [queue-5.4]', () => {
    check([
      ['ascii(P)', 'abc', '97'],
      ['ascii(P)', 'é', '195'],
    ]);
    fails('ascii(P)', '', 'value');
  });
});

describe('lists', () => {
  test('split drops empty parts unless told notrim [queue-5.4]', () => {
    check([
      ["join_to_string('|', split(P, ';'))", 'a;;b;;c', 'a|b|c'],
      ["join_to_string('|', split(P, ';', 'notrim'))", 'a;;b;;c', 'a||b||c'],
      ["join_to_string('|', split(P, '; '))", 'Sienna; Howell;x', 'Sienna|Howell;x'],
    ]);
  });

  test('split leading and trailing split once [queue-5.4]', () => {
    check([
      ["join_to_string('|', split(P, ';', 'leading'))", 'a;b;c', 'a|b;c'],
      ["join_to_string('|', split(P, ';', 'trailing'))", 'a;b;c', 'a;b|c'],
      ["join_to_string('|', split(P, ';', 'leading'))", ';a;b', 'a;b'],
      ["join_to_string('|', split(P, ';', 'leading_notrim'))", ';a;b;c', '|a;b;c'],
      ["join_to_string('|', split(P, ';', 'trailing_notrim'))", 'a;b;c;', 'a;b;c|'],
      ["join_to_string('|', split(P, 'x', 'leading'))", 'abc', 'abc'],
    ]);
  });

  test('tokens splits at any of the characters and drops empty parts [queue-5.4]', () => {
    check([
      ["join_to_string('|', tokens(P, ',;'))", 'a,b;c,d', 'a|b|c|d'],
      ["join_to_string('|', tokens(P, ';'))", ';a;;b', 'a|b'],
      ["join_to_string('|', tokens(P, ';', 'nocrlf'))", 'a\rb\nc\r\nd', 'a|b|c|d'],
      ["join_to_string('|', tokens(P, '→'))", 'ä→ö', 'ä|ö'],
      ["join_to_string('|', tokens(P, ''))", 'ab', 'ab'],
    ]);
  });

  test('nth counts from 1 and answers "" beyond the end [queue-5.4]', () => {
    check([
      ["nth(1, tokens(P, '/'))", 'a/b', 'a'],
      ["nth(2, tokens(P, '/'))", 'a/b', 'b'],
      ["nth(3, tokens(P, '/'))", 'a/b', ''],
    ]);
    fails("nth(message.headers.client_attrs.site, tokens(P, '/'))", 'a', 'type');
    expect(() => compileKeyExpression("nth(0, ['a'])")).toThrow(KeyExpressionError);
  });

  test('of the modules lists and maps those functions exist that a key can use [queue-5.4]', () => {
    check([
      ["lists.last(tokens(P, '/'))", 'a/b', 'b'],
      ["lists.nth(1, tokens(P, '/'))", 'a/b', 'a'],
      ["concat(lists.reverse(tokens(P, '/')))", 'a/b', 'ba'],
      ["concat(lists.sublist(tokens(P, '/'), 2))", 'a/b/c', 'ab'],
      ["concat(lists.sublist(tokens(P, '/'), 2, 2))", 'a/b/c/d', 'bc'],
      ["lists.member('b', tokens(P, '/'))", 'a/b', 'true'],
      ["lists.member(message.payload, ['x', message.payload])", 'a', 'true'],
      ["concat(lists.append(tokens(P, '/'), ['z']))", 'a/b', 'abz'],
      ["maps.get('b', json_value(P, 'a'))", '{"a":{"b":7}}', '7'],
      ["maps.get('c', json_value(P, 'a'), 'none')", '{"a":{"b":7}}', 'none'],
      ["maps.is_key('c', json_value(P, 'a'))", '{"a":{"b":7}}', 'false'],
      ["maps.size(json_value(P, 'a'))", '{"a":{"b":7}}', '1'],
    ]);
    fails("lists.nth(3, tokens(P, '/'))", 'a/b', 'value');
    fails("maps.get('c', json_value(P, 'a'))", '{"a":{}}', 'value');
  });
});

describe('build', () => {
  test('concat joins a list or two values of any scalar type [queue-5.4]', () => {
    check([
      ["concat([P, '-', 1, '-', 2.5, '-', true])", 'x', 'x-1-2.5-true'],
      ['concat(P, message.qos)', 'x', 'x1'],
      ["concat(['a', json_value(P, 'nope'), 'b'])", '{}', 'ab'],
    ]);
    fails('concat(P)', 'x', 'type');
  });

  test('join_to_string takes the separator first, and ", " without one [queue-5.4]', () => {
    check([
      ["join_to_string(', ', ['a', P, 'c'])", 'b', 'a, b, c'],
      ["join_to_string(['a', P])", 'b', 'a, b'],
    ]);
  });

  test('pad fills to a length at either end or both [queue-5.4]', () => {
    check([
      ['pad(P, 8)', 'hello', 'hello   '],
      ["pad(P, 8, 'leading')", 'hello', '   hello'],
      ["pad(P, 8, 'both')", 'hello', ' hello  '],
      ["pad(P, 8, 'trailing', '!')", 'hello', 'hello!!!'],
      ["pad(P, 8, 'trailing', 'abc')", 'hello', 'helloabcabcabc'],
      ['pad(P, 3)', 'hello', 'hello'],
    ]);
  });

  test('replace replaces all, the first or the last occurrence [queue-5.4]', () => {
    check([
      ["replace(P, '..', '**')", 'ab..cd..ef', 'ab**cd**ef'],
      ["replace(P, '..', '')", 'ab..cd..ef', 'abcdef'],
      ["replace(P, '..', '**', 'all')", 'ab..cd..ef', 'ab**cd**ef'],
      ["replace(P, '..', '**', 'leading')", 'ab..cd..ef', 'ab**cd..ef'],
      ["replace(P, '..', '**', 'trailing')", 'ab..cd..ef', 'ab..cd**ef'],
      ["replace(P, 'a', '$&')", 'ab', '$&b'],
      ["replace(P, '', 'x')", 'ab', 'ab'],
    ]);
  });

  test('unescape knows the C escapes and hexadecimal code points, and refuses others [queue-5.4]', () => {
    expect(keyOf(String.raw`unescape('a\n\t\r\b\f\v\a\\\?b')`)).toBe('a\n\t\r\b\f\v\u0007\\?b');
    expect(keyOf(String.raw`unescape("\'")`)).toBe("'");
    expect(keyOf(String.raw`unescape('\x41-\x1F600')`)).toBe('A-😀');
    for (const bad of [String.raw`\q`, String.raw`\x`, String.raw`\xD800`, String.raw`\x110000`, '\\']) {
      expect(() => compileKeyExpression(`unescape('${bad}')`), bad).toThrow(KeyExpressionError);
      fails('unescape(P)', bad, 'value');
    }
    check([[String.raw`nth(2, tokens(P, unescape('\n')))`, 'a\nb', 'b']]);
  });

  test('any_to_str makes text of anything, JSON of lists and maps [queue-5.4]', () => {
    check([
      ['any_to_str(12)', '', '12'],
      [
        "any_to_str(json_value(P, 'a'))",
        '{"a":{"b":[1,2.50,null,"x",true,9007199254740993]}}',
        '{"b":[1,2.5,null,"x",true,9007199254740993]}',
      ],
      ["any_to_str(json_value(P, 'nope'))", '{}', ''],
    ]);
  });

  test('what a function builds is bounded [broker]', () => {
    fails("replace(P, 'a', message.payload)", 'a'.repeat(2_000), 'limit');
    fails("pad(P, 1048576, 'leading', 'ab')", 'x', 'limit');
    fails('concat(P, message.payload)', 'x'.repeat(600_000), 'limit');
    fails("join_to_string(P, split(message.payload, ' '))", 'a '.repeat(2_000), 'limit');
    fails("regex_replace(substr(P, 0, 1000), 'a', message.payload)", 'a'.repeat(4_000), 'limit');
  });
});

describe('sprintf_s', () => {
  test('it fills in text, terms, integers, characters and floats [queue-5.4]', () => {
    check([
      ["sprintf_s('~s/~s', [P, message.from])", 'a', 'a/pump-7'],
      ["sprintf_s('~b ~B ~.16b ~.16B', [10, 10, 255, 255])", '', '10 10 ff FF'],
      ["sprintf_s('~c~c', [72, 105])", '', 'Hi'],
      ["sprintf_s('~f ~.2f', [1.5, 2.345])", '', '1.500000 2.35'],
      ["sprintf_s('~e ~.3e', [3.14, 31.4])", '', '3.14000e+0 3.14e+1'],
      ["sprintf_s('~g ~g ~g', [3.14, 0.05, 123456.0])", '', '3.14000 5.00000e-2 1.23456e+5'],
      ["sprintf_s('~w ~w ~w', [1, 2.0, true])", '', '1 2.0 true'],
      ["sprintf_s('~p ~w', ['ab', 'ab'])", '', '<<"ab">> <<97,98>>'],
      ["sprintf_s('~p', [['a', 1]])", '', '[<<"a">>,1]'],
      ["sprintf_s('100~~~n', split(P, ','))", '', '100~\n'],
    ]);
  });

  test('width justifies, precision cuts, the pad character fills, and stars show what does not fit [queue-5.4]', () => {
    check([
      ["sprintf_s('|~5s|~-5s|', [P, message.payload])", 'abc', '|  abc|abc  |'],
      ["sprintf_s('|~2s|~10.2s|', [P, message.payload])", 'abc', '|ab|        ab|'],
      ["sprintf_s('~5..0b ~-5b|', [42, 42])", '', '00042 42   |'],
      ["sprintf_s('~2b', [12345])", '', '**'],
      ["sprintf_s('~8.2f', [3.14159])", '', '    3.14'],
      ["sprintf_s('~*b', [4, 7])", '', '   7'],
      ["sprintf_s('~3c', [120])", '', 'xxx'],
    ]);
  });

  test('wrong types and wrong numbers of arguments are errors [queue-5.4]', () => {
    fails("sprintf_s('~s', [message.qos])", '', 'type');
    fails("sprintf_s('~b', [message.from])", '', 'value');
    fails("sprintf_s('~s ~s', [message.from])", '', 'value');
    fails("sprintf_s('~s', [message.from, message.from])", '', 'value');
    fails('sprintf_s(P, [message.from])', '~q', 'value');
    expect(() => compileKeyExpression("sprintf_s('~', [message.from])")).toThrow(
      /middle of a control sequence/,
    );
    expect(() => compileKeyExpression("sprintf_s('~99999s', [message.from])")).toThrow(/wider/);
  });
});

describe('encoding', () => {
  test('bin2hexstr writes upper case and hexstr2bin reads either [queue-5.4]', () => {
    check([
      ['bin2hexstr(P)', 'hi\xff', '6869C3BF'],
      ['hexstr2bin(P)', '6a4B', 'jK'],
      ['bin2hexstr(hexstr2bin(P))', 'abc', '0ABC'],
      ['int2hexstr(255)', '', 'FF'],
      ["int2hexstr(json_value(P, 'n'))", '{"n":18446744073709551615}', 'FFFFFFFFFFFFFFFF'],
    ]);
    fails('hexstr2bin(P)', 'zz', 'value');
  });

  test('bytes stay bytes between functions [queue-5.4]', () => {
    expect(keyOf('bin2hexstr(message.payload)', { payload: Uint8Array.of(0xff, 0x00, 0x80) })).toBe('FF0080');
    expect(keyOf("bin2hexstr(hexstr2bin('ff00'))")).toBe('FF00');
    fails('upper(P)', Uint8Array.of(0xff), 'type');
  });

  test('base64 comes with and without padding, in the plain and the URL alphabet [queue-5.4]', () => {
    check([
      ['base64_encode(P)', 'some val', 'c29tZSB2YWw='],
      ["base64_encode(P, 'no_padding')", 'some val', 'c29tZSB2YWw'],
      ["base64_encode(P, 'urlsafe')", 'a??>', 'YT8_Pg=='],
      ["base64_encode(P, 'no_padding', 'urlsafe')", 'a??>', 'YT8_Pg'],
      ["base64_encode(P, 'urlsafe', 'no_padding')", 'a??>', 'YT8_Pg'],
      ['base64_encode(P)', 'a??>', 'YT8/Pg=='],
      ['base64_decode(P)', 'c29tZSB2YWw=', 'some val'],
      ["base64_decode(P, 'no_padding')", 'c29tZSB2YWw', 'some val'],
      ["base64_decode(P, 'no_padding', 'urlsafe')", 'YT8_Pg', 'a??>'],
    ]);
    for (const bad of ['c29tZSB2YWw', 'c29t*', 'YT8_Pg==', 'a']) fails('base64_decode(P)', bad, 'value');
    fails("base64_decode(P, 'urlsafe')", 'YT8/Pg==', 'value');
    expect(() => compileKeyExpression("base64_encode(message.from, 'fast')")).toThrow(/no_padding, urlsafe/);
  });
});

describe('hashing', () => {
  test('hash answers lower-case hexadecimal [queue-5.4]', () => {
    check([
      ["hash('md5', P)", 'some val', '1b68352b3e9c2de52ffd322e30bffcc4'],
      ["hash('sha', P)", 'some val', 'f85ba28ff5ea84a0cbfa118319acb0c5e58ee2b9'],
      ["hash('sha1', P)", 'some val', 'f85ba28ff5ea84a0cbfa118319acb0c5e58ee2b9'],
      ["hash('sha256', P)", 'some val', '67f97635d8a0e064f60ba6e8846a0ac0be664f18f0c1dc6445cd3542d2b71993'],
      ["hash('sha3_256', P)", '', 'a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a'],
      ["hash('shake128', P)", '', '7f9c2ba4e88f827d616045507605853e'],
      ["hash('blake2s', P)", '', '69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9'],
    ]);
  });

  test('an algorithm that OpenSSL lacks is refused by name when the expression is compiled [broker]', () => {
    const openSslNames: Readonly<Record<string, string>> = {
      sha: 'sha1',
      blake2b: 'blake2b512',
      blake2s: 'blake2s256',
    };
    for (const name of hashAlgorithms) {
      let isThere = true;
      try {
        // The SHAKE functions have no length of their own.
        const options = name.startsWith('shake') ? { outputLength: 16 } : {};
        createHash(openSslNames[name] ?? name.replace('_', '-'), options).digest('hex');
      } catch {
        isThere = false;
      }
      const compile = (): unknown => compileKeyExpression(`hash('${name}', message.payload)`);
      if (isThere) expect(compile, name).not.toThrow();
      else expect(compile, name).toThrow(`"${name}" is not in this build of OpenSSL`);
    }
    fails('hash(P, message.from)', 'md17', 'value');
  });

  test('hash_to_range is the SHA-256 modulo the size of the range [queue-5.4]', () => {
    const number = BigInt(`0x${createHash('sha256').update('pump-7').digest('hex')}`);
    expect(keyOf('hash_to_range(message.from, 1, 10)')).toBe(String(1n + (number % 10n)));
    expect(keyOf('hash_to_range(message.from, -5, 5)')).toBe(String(-5n + (number % 11n)));
    expect(keyOf('hash_to_range(message.from, 0, 99999999999999999999)')).toBe(String(number % 10n ** 20n));
    expect(() => compileKeyExpression("hash_to_range('a', 2, 1)")).toThrow(/empty/);
  });

  test('map_to_range reads bytes as a big-endian integer [queue-5.4]', () => {
    expect(keyOf('map_to_range(message.payload, 0, 999)', { payload: Uint8Array.of(1, 0) })).toBe('256');
    expect(keyOf('map_to_range(message.payload, 10, 12)', { payload: Uint8Array.of(1, 0) })).toBe('11');
    expect(keyOf('map_to_range(256, 10, 12)')).toBe('11');
    expect(keyOf("map_to_range('', 3, 12)")).toBe('3');
  });
});

describe('compare and logic', () => {
  test('text compares in the order of its UTF-8 bytes [queue-5.4]', () => {
    check([
      ["str_comp(P, 'b')", 'a', 'lt'],
      ["str_comp(P, 'b')", 'b', 'eq'],
      ["str_comp(P, 'b')", 'c', 'gt'],
      ["str_comp(P, '\uffee')", '😀', 'gt'],
      ["str_eq(P, 'a')", 'a', 'true'],
      ["str_neq(P, 'a')", 'a', 'false'],
      ["str_lt(P, 'B')", 'a', 'false'],
      ["str_lte(P, 'a')", 'a', 'true'],
      ["str_gt(P, 'a')", 'aa', 'true'],
      ["str_gte(P, 'b')", 'a', 'false'],
      ["str_lt(P, '9')", '10', 'true'],
    ]);
  });

  test('numbers compare exactly, and text that spells one counts [queue-5.4]', () => {
    check([
      ['num_comp(P, 9)', '10', 'gt'],
      ['num_eq(1, 1.0)', '', 'true'],
      ['num_neq(P, 1)', '1', 'false'],
      ['num_lt(P, 2)', '-1.5', 'true'],
      ['num_lte(P, 2)', '2', 'true'],
      ['num_gt(P, 9007199254740992)', '9007199254740993', 'true'],
      ['num_gte(P, 3)', '2', 'false'],
    ]);
    fails('num_eq(P, 1)', 'one', 'type');
    fails('num_eq(P, 1)', '', 'type');
  });

  test('not answers in the type it was asked in; is_empty_val does not forgive unbound [queue-5.4]', () => {
    check([["not(str_eq(P, 'a'))", 'a', 'false']]);
    expect(keyOf("not('true')")).toBe('false');
    expect(keyOf('not(false)')).toBe('true');
    expect(keyOf("is_empty_val('')")).toBe('true');
    expect(keyOf("is_empty_val(json_value(message.payload, 'nope'))")).toBe('true');
    expect(keyOf('is_empty_val(0)')).toBe('false');
    fails('is_empty_val(message.user_property.nope)', '', 'unbound');
    fails('not(message.from)', '', 'type');
  });

  test('nothing given to a text function is an error [queue-5.4]', () => {
    for (const call of ['upper(N)', 'strlen(N)', "tokens(N, '/')", 'regex_match(N, "a")', "hash('md5', N)"]) {
      fails(call.replace('N', "json_value(message.payload, 'nope')"), '{}', 'type');
    }
  });

  test('an error names the function and the argument [broker]', () => {
    const expression = compileKeyExpression("concat('a', upper(message.qos))");
    expect(() => expression.evaluate(publish())).toThrow('upper: argument 1 is an integer, not text');
  });
});

describe('JSON and JWT', () => {
  test('json_value follows a dotted path and answers nothing where it ends [queue-5.4]', () => {
    check([
      ["json_value(P, 'a.b.c')", '{"a":{"b":{"c":"deep"}}}', 'deep'],
      ["json_value(P, 'a.b.x')", '{"a":{"b":{"c":"deep"}}}', ''],
      ["json_value(P, 'a.b')", '{"a":[1]}', ''],
      ["json_value(P, 'a')", ' { "b" : [ {"a":1} ] , "a" : -2.50e1 } ', '-25.0'],
      ["json_value(P, 'a')", '{"a":null}', ''],
      ["json_value(P, 'a')", '{"a":false}', 'false'],
      ["json_value(P, 'ab')", String.raw`{"\u0061b":"x\n\u00e9\ud83d\ude00"}`, 'x\né😀'],
      ["nth(2, json_value(P, 'a'))", '{"a":["x","y"]}', 'y'],
      ["concat(json_value(P, 'a.b'))", '{"a":{"b":[]}}', ''],
    ]);
  });

  test('of members with one name the last counts, at every level [broker]', () => {
    check([
      ["json_value(P, 'a')", '{"a":1,"a":2}', '2'],
      ["json_value(P, 'a.b')", '{"a":{"b":1},"a":{"b":2}}', '2'],
      ["json_value(P, 'a.b')", '{"a":{"b":1},"a":{}}', ''],
      ["json_value(P, 'a.b')", '{"a":{"b":1},"a":3}', ''],
    ]);
  });

  test('text that is not JSON is an error wherever the fault is [broker]', () => {
    const faults = [
      '',
      '{',
      '{"a":1',
      '{"a":1}}',
      '{"a":1,}',
      '{a:1}',
      "{'a':1}",
      '{"a":01}',
      '{"a":1.}',
      '{"a":+1}',
      '{"a":.5}',
      '{"a":tru}',
      '{"a":"\n"}',
      '{"a":1 "b":2}',
      '[1,]',
      'nul',
      '{"a":"\\q"}',
      '{"a":"\\u12g4"}',
      '{"a" 1}',
      '{"a":1e}',
      '-',
      '{"a":"\\ud800"}',
      '\ufeff{}',
    ];
    for (const text of faults) fails("json_value(P, 'a')", text, 'value');
    fails("json_value(P, 'a')", Uint8Array.of(...Buffer.from('{"a":"'), 0xff, ...Buffer.from('"}')), 'value');
  });

  test('depth of JSON is bounded [broker]', () => {
    fails("json_value(P, 'a')", '['.repeat(100_000), 'limit');
    check([["json_value(P, 'a')", `{"b":${'['.repeat(100)}${']'.repeat(100)},"a":1}`, '1']]);
  });

  test('jwt_value reads a claim without checking the signature [queue-5.4]', () => {
    const claims = Buffer.from('{"sub":"ann","client_attrs":{"unitid":7}}').toString('base64url');
    check([
      ["jwt_value(P, 'client_attrs.unitid')", `eyJ.${claims}.c2ln`, '7'],
      ["jwt_value(P, 'sub')", `eyJ.${claims}.`, 'ann'],
      ["jwt_value(P, 'nope')", `eyJ.${claims}.x`, ''],
    ]);
    for (const bad of ['', 'a.b', `eyJ.${claims}`, 'eyJ.%%.x', 'eyJ.bm9wZQ.x'])
      fails("jwt_value(P, 'sub')", bad, 'value');
  });
});

describe('environment and topics', () => {
  test('getenv reads SLUICEVAR_ before EMQXVAR_, "" for neither, and nothing else [queue-5.4]', () => {
    const environment = { EMQXVAR_SITE: 'emqx', SLUICEVAR_SITE: 'sluice', EMQXVAR_ZONE: 'z1', SECRET: 'no' };
    const key = (source: string): string => compileKeyExpression(source, environment).evaluate(publish());
    expect(key("getenv('SITE')")).toBe('sluice');
    expect(key("getenv('ZONE')")).toBe('z1');
    expect(key("getenv('SECRET')")).toBe('');
    expect(key("concat(getenv('ZONE'), message.from)")).toBe('z1pump-7');
  });

  test('a variable read once keeps its value [queue-5.4]', () => {
    const environment: Record<string, string> = { EMQXVAR_X: 'one' };
    const constant = compileKeyExpression("getenv('X')", environment);
    const computed = compileKeyExpression('getenv(upper(message.headers.username))', environment);
    const x = publish({ username: 'x' });
    expect([constant.evaluate(x), computed.evaluate(x)]).toEqual(['one', 'one']);
    environment['EMQXVAR_X'] = 'two';
    expect([constant.evaluate(x), computed.evaluate(x)]).toEqual(['one', 'one']);
  });

  test("topic_join and topic_split are each other's opposite [queue-5.4]", () => {
    check([
      ["topic_join([message.from, 'x', 1])", '', 'pump-7/x/1'],
      ["topic_join('a', P)", 'b', 'a/b'],
      ['topic_join(topic_split(P))', '/a//b/', '/a//b/'],
      ['nth(2, topic_split(P))', '/a', 'a'],
    ]);
  });

  test('topic_match follows the rules of MQTT filters [queue-5.4]', () => {
    const cases: readonly (readonly [string, string, boolean])[] = [
      ['a/b', 'a/b', true],
      ['a/b', 'a/+', true],
      ['a/b', '#', true],
      ['a', 'a/#', true],
      ['a/b/c', 'a/+', false],
      ['a', 'a/+', false],
      ['a/', 'a/+', true],
      ['$SYS/x', '#', false],
      ['$SYS/x', '+/x', false],
      ['$SYS/x', '$SYS/#', true],
    ];
    for (const [topic, filter, isMatch] of cases) {
      expect(keyOf(`topic_match(message.topic, '${filter}')`, { topic }), `${topic} ${filter}`).toBe(
        String(isMatch),
      );
    }
  });

  test('user properties are text for every function [queue-5.4]', () => {
    const changes = { propertyBytes: propertyBytes([['n', '12']]) };
    expect(keyOf("pad(message.user_property.n, 4, 'leading', '0')", changes)).toBe('0012');
    expect(keyOf('num_gt(message.user_property.n, 9)', changes)).toBe('true');
  });
});
