import { describe, expect, test } from 'vitest';
import { KeyEvaluationError, KeyExpressionError } from '../../src/queue/key-expression/error.js';
import { compileKeyExpression, defaultKeyExpression } from '../../src/queue/key-expression/key-expression.js';
import { keyOf, propertyBytes, publish } from './key-expression-context.js';

function refusal(source: string): KeyExpressionError {
  try {
    compileKeyExpression(source, {});
  } catch (error) {
    expect(error).toBeInstanceOf(KeyExpressionError);
    return error as KeyExpressionError;
  }
  throw new Error(`accepted: ${source}`);
}

function failure(source: string, changes: Parameters<typeof publish>[0] = {}): KeyEvaluationError {
  const expression = compileKeyExpression(source, {});
  try {
    expression.evaluate(publish(changes));
  } catch (error) {
    expect(error).toBeInstanceOf(KeyEvaluationError);
    return error as KeyEvaluationError;
  }
  throw new Error(`has a key: ${source}`);
}

describe('writing', () => {
  test('a dotted path with minus signs is one token and needs no quoting [queue-5.4]', () => {
    const properties = propertyBytes([['mq-key', 'k9']]);
    expect(keyOf('message.headers.properties.User-Property.mq-key', { propertyBytes: properties })).toBe(
      'k9',
    );
    expect(refusal("message.headers.properties.'User-Property'.key").position).toBe(42);
  });

  test('white space between tokens is skipped, inside of strings it stays [queue-5.4]', () => {
    expect(keyOf("  concat ( \t[ 'a b' ,\r\n message.from ] ) ")).toBe('a bpump-7');
  });

  test('a string is quoted by either mark and has no escapes [queue-5.4]', () => {
    expect(keyOf(`concat('say "hi"', "it's")`)).toBe(`say "hi"it's`);
    expect(keyOf(String.raw`'a\n'`)).toBe(String.raw`a\n`);
    expect(keyOf(`''`)).toBe('');
    expect(keyOf(`'grün 你好'`)).toBe('grün 你好');
    expect(refusal(`concat('a, 'b')`).message).toContain('closing');
  });

  test('integers and floats may have a sign [queue-5.4]', () => {
    expect(keyOf('42')).toBe('42');
    expect(keyOf('-42')).toBe('-42');
    expect(keyOf('+42')).toBe('42');
    expect(keyOf('-0.50')).toBe('-0.5');
    expect(keyOf('+1.25')).toBe('1.25');
  });

  test('integers are exact at any size [broker]', () => {
    expect(keyOf('123456789012345678901234567890')).toBe('123456789012345678901234567890');
  });

  test('true and false are booleans, and only when they stand alone [queue-5.4]', () => {
    expect(keyOf('true')).toBe('true');
    expect(keyOf("iif(false, 'a', 'b')")).toBe('b');
    expect(refusal('truely').message).toContain('unknown variable');
  });

  test('there are no operators [queue-5.4]', () => {
    for (const source of ['1 + 2', '1 - 2', "'a' = 'b'", '!true', 'message.qos > 0', '-message.qos'])
      refusal(source);
  });

  test('an array is an argument, never the root, and never empty [queue-5.4]', () => {
    expect(keyOf("concat(['a', 'b'])")).toBe('ab');
    expect(refusal("['a']").message).toContain('only be an argument');
    expect(refusal('concat([])').message).toContain('at least one');
  });

  test('arrays nest [broker]', () => {
    expect(keyOf("nth(1, nth(2, ['a', ['b', 'c']]))")).toBe('b');
  });

  test('a syntax error tells its position [broker]', () => {
    expect(refusal("concat('a', )").position).toBe(12);
    expect(refusal("concat('a' 'b')").position).toBe(11);
    expect(refusal('message.from message.topic').position).toBe(13);
    expect(refusal('').position).toBe(0);
    expect(refusal('concat(').position).toBe(7);
    expect(refusal('message.from;').position).toBe(12);
    expect(refusal('message.from;').message).toBe('unexpected character ";" (at position 12)');
  });

  test('source length and nesting are bounded [broker]', () => {
    expect(refusal(`'${'x'.repeat(9_000)}'`).message).toContain('longer than');
    expect(refusal('upper('.repeat(1_000)).message).toContain('deep');
    expect(keyOf(`${'upper('.repeat(60)}'a'${')'.repeat(60)}`)).toBe('A');
  });
});

describe('what creation refuses', () => {
  test('an unknown function is refused when the expression is compiled [broker]', () => {
    expect(refusal("concat(foo('a'))").message).toBe('unknown function "foo" (at position 7)');
    expect(refusal("Upper('a')").message).toContain('unknown function');
    expect(refusal("os.cmd('ls')").message).toContain('unknown function');
    expect(refusal("lists.map('a', ['b'])").message).toContain('unknown function');
    expect(refusal("coalesce(message.from, nope('x'))").message).toContain('unknown function "nope"');
  });

  test('a wrong number of arguments is refused when the expression is compiled [broker]', () => {
    expect(refusal("concat('a', 'b', 'c')").message).toBe(
      'concat takes 1 or 2 arguments, not 3 (at position 0)',
    );
    expect(refusal('upper()').message).toContain('upper takes 1 argument, not 0');
    expect(refusal("pad('a')").message).toContain('pad takes 2, 3 or 4 arguments');
    expect(refusal('timestamp_s(1)').message).toContain('takes 0 arguments');
    expect(refusal("iif(true, 'a')").message).toContain('iif takes 3 arguments');
    expect(refusal('is_empty()').message).toContain('is_empty takes 1 argument');
    expect(refusal('coalesce()').message).toContain('at least one');
  });

  test('an unknown variable is refused when the expression is compiled [broker]', () => {
    expect(refusal('clientid').message).toContain('begins with "message."');
    expect(refusal('messages.from').message).toContain('begins with "message."');
    expect(refusal('message.form').message).toContain('unknown variable "message.form"');
    expect(refusal('message.headers.properties.Topic-Alias').message).toContain('Content-Type');
    expect(refusal('message.flags.sys').message).toContain('unknown variable');
    for (const path of [
      'message.',
      'message..from',
      'message.from.',
      'message.payload.a..b',
      'message.payload.',
    ]) {
      expect(refusal(path).message).toContain('empty part');
    }
  });

  test('a map has no text and is refused at the root [queue-5.4]', () => {
    for (const path of [
      'message',
      'message.flags',
      'message.headers',
      'message.headers.properties',
      'message.headers.properties.User-Property',
      'message.headers.client_attrs',
    ]) {
      refusal(path);
    }
  });

  test('a constant that a function can never use is refused when the expression is compiled [broker]', () => {
    expect(refusal("hash('md17', message.from)").message).toContain('"md17" is not one of');
    expect(refusal("find(message.from, 'a', 'middle')").message).toContain('leading, trailing');
    expect(refusal("regex_match(message.from, '(')").message).toContain('regular expression');
    expect(refusal("sprintf_s('~q', [message.from])").message).toContain('~q');
    expect(refusal("hexstr2bin('xy')").message).toContain('hexstr2bin: argument 1 is not hexadecimal');
    expect(refusal("tokens('a b', ' ')").message).toContain('list');
  });
});

describe('variables', () => {
  test.each([
    ['message.id', '000629A1'],
    ['message.qos', '1'],
    ['message.from', 'pump-7'],
    ['message.topic', 'plant/a/pump/7'],
    ['message.timestamp', '1700000000123'],
    ['message.flags.dup', 'false'],
    ['message.flags.retain', 'true'],
    ['message.headers.peername', '10.0.0.9:51000'],
    ['message.headers.peerhost', '10.0.0.9'],
    ['message.headers.proto_ver', '5'],
    ['message.headers.protocol', 'mqtt'],
    ['message.headers.username', 'ann'],
    ['message.headers.client_attrs.site', 'north'],
    ['message.extra', ''],
  ])('%s is bound [queue-5.3]', (path, text) => {
    expect(keyOf(path)).toBe(text);
  });

  test('the payload is opaque text of its own [queue-5.3]', () => {
    expect(keyOf('message.payload', { payload: Buffer.from('plain text') })).toBe('plain text');
  });

  test('a payload that is not UTF-8 makes a key of its own, in hexadecimal [broker]', () => {
    expect(keyOf('message.payload', { payload: Uint8Array.of(0xff, 0x00) })).toBe('\0ff00');
    expect(keyOf('message.payload', { payload: Uint8Array.of(0xfe, 0x00) })).toBe('\0fe00');
    expect(keyOf('message.payload', { payload: Buffer.from('\0ff00') })).not.toBe('\0ff00');
  });

  test('MQTT 5 properties have their EMQX names [queue-5.3]', () => {
    const raw = [
      ...[0x01, 1],
      ...[0x02, 0, 0, 1, 44],
      ...[0x03, 0, 4, 0x74, 0x65, 0x78, 0x74],
      ...[0x08, 0, 3, 0x61, 0x2f, 0x62],
      ...[0x09, 0, 2, 0x68, 0x69],
      ...[0x0b, 0x80, 0x01],
      ...[0x23, 0, 7],
    ];
    const changes = { propertyBytes: propertyBytes([], raw) };
    expect(keyOf('message.headers.properties.Payload-Format-Indicator', changes)).toBe('1');
    expect(keyOf('message.headers.properties.Message-Expiry-Interval', changes)).toBe('300');
    expect(keyOf('message.headers.properties.Content-Type', changes)).toBe('text');
    expect(keyOf('message.headers.properties.Response-Topic', changes)).toBe('a/b');
    expect(keyOf('message.headers.properties.Correlation-Data', changes)).toBe('hi');
  });

  test('other properties stay visible beside user properties [broker]', () => {
    const changes = { propertyBytes: propertyBytes([['key', 'v']], [0x03, 0, 1, 0x74]) };
    expect(keyOf('message.headers.properties.Content-Type', changes)).toBe('t');
    expect(keyOf('message.headers.properties.User-Property.key', changes)).toBe('v');
  });

  test('of user properties with one key the last one counts [queue-5.3]', () => {
    const changes = {
      propertyBytes: propertyBytes([
        ['key', 'one'],
        ['other', 'x'],
        ['key', 'two'],
        ['keys', 'y'],
      ]),
    };
    expect(keyOf('message.headers.properties.User-Property.key', changes)).toBe('two');
    expect(keyOf("maps.get('key', message.headers.properties.User-Property)", changes)).toBe('two');
  });

  test('the last-value key of the command queue comes from a user property [queue-69]', () => {
    expect(keyOf('message.headers.properties.User-Property.key')).toBe('set-color');
  });

  test('message.user_property.k is short for the user property k [broker]', () => {
    expect(keyOf('message.user_property.key')).toBe('set-color');
    const dotted = { propertyBytes: propertyBytes([['a.b', 'dots']]) };
    expect(keyOf('message.user_property.a.b', dotted)).toBe('dots');
  });

  test('a user property that no path can spell is reached through maps.get [broker]', () => {
    const changes = { propertyBytes: propertyBytes([['schlüssel eins', 'wert']]) };
    expect(keyOf("maps.get('schlüssel eins', message.headers.properties.User-Property)", changes)).toBe(
      'wert',
    );
    expect(
      keyOf("maps.get('schlüssel eins', maps.get('User-Property', message.headers.properties))", changes),
    ).toBe('wert');
  });

  test('message.payload.path reads one member of a JSON payload [broker]', () => {
    expect(keyOf('message.payload.device.name')).toBe('pump');
    expect(keyOf('message.payload.device.id')).toBe('42');
    expect(keyOf('message.payload.on')).toBe('true');
    expect(failure('message.payload.device').reason).toBe('type');
    expect(failure('message.payload.device', { payload: Buffer.from('{"device":[1]}') }).reason).toBe('type');
  });

  test('a 64-bit id in a JSON payload keeps all its digits [broker]', () => {
    const payload = Buffer.from('{"id":9007199254740993,"big":18446744073709551615}');
    expect(keyOf('message.payload.id', { payload })).toBe('9007199254740993');
    expect(keyOf('message.payload.big', { payload })).toBe('18446744073709551615');
  });

  test('a variable without a value in the message is an unbound error [queue-5.4]', () => {
    const bare = { propertyBytes: new Uint8Array(), clientAttrs: undefined };
    for (const source of [
      'message.headers.properties.User-Property.key',
      'message.user_property.key',
      'message.headers.properties.Content-Type',
      'message.headers.client_attrs.site',
      'message.payload.missing',
      'message.payload.device.id.deeper',
      "concat('a', message.user_property.key)",
    ]) {
      expect(failure(source, bare).reason).toBe('unbound');
    }
    expect(failure('message.user_property.key', bare).message).toBe(
      'the message has no message.user_property.key',
    );
  });

  test('a member that every object has is no client attribute [broker]', () => {
    expect(failure('message.headers.client_attrs.constructor').reason).toBe('unbound');
  });

  test('a variable that is there but has no value is "" [queue-5.4]', () => {
    expect(keyOf('message.headers.username', { username: undefined })).toBe('');
    expect(keyOf('message.headers.peerhost', { peerhost: undefined })).toBe('');
    expect(keyOf('message.payload.none')).toBe('');
    expect(keyOf('message.user_property.key', { propertyBytes: propertyBytes([['key', '']]) })).toBe('');
  });

  test('malformed property bytes are an evaluation error [broker]', () => {
    for (const bytes of [
      [0x26],
      [0x26, 0, 9, 1],
      [0x26, 0, 1, 0x61, 0, 5],
      [0xff, 1],
      [0x02, 0],
      [0x0b, 0x80],
    ]) {
      expect(failure('message.user_property.key', { propertyBytes: Uint8Array.from(bytes) }).reason).toBe(
        'value',
      );
      expect(
        failure('message.headers.properties.Content-Type', { propertyBytes: Uint8Array.from(bytes) }).reason,
      ).toBe('value');
    }
  });
});

describe('lazy forms', () => {
  test('coalesce answers the first argument that is not empty [queue-5.4]', () => {
    expect(keyOf("coalesce('', message.from, 'x')")).toBe('pump-7');
    expect(keyOf("coalesce(['', message.from, 'x'])")).toBe('pump-7');
    expect(keyOf("coalesce('', '')")).toBe('');
    expect(keyOf("coalesce(message.headers.username, 'nobody')", { username: undefined })).toBe('nobody');
  });

  test('coalesce takes an unbound variable for "", also inside of other calls [queue-5.4]', () => {
    expect(keyOf('coalesce(message.user_property.nope, message.from)')).toBe('pump-7');
    expect(keyOf('coalesce([message.user_property.nope, message.from])')).toBe('pump-7');
    expect(keyOf('coalesce(upper(message.user_property.nope), message.from)')).toBe('pump-7');
    expect(keyOf("coalesce(concat(['x', message.user_property.nope]), message.from)")).toBe('pump-7');
  });

  test('coalesce does not look at arguments after the first that is not empty [queue-5.4]', () => {
    expect(
      keyOf("coalesce('a', json_value(message.payload, 'x'))", { payload: Buffer.from('no json') }),
    ).toBe('a');
    expect(
      failure("coalesce('', json_value(message.payload, 'x'))", { payload: Buffer.from('no json') }).reason,
    ).toBe('value');
  });

  test('coalesce of a list made by a function answers its first item that is not empty [broker]', () => {
    expect(keyOf("coalesce(split(message.topic, '/', 'notrim'))", { topic: '/a/b' })).toBe('a');
  });

  test('iif chooses by a boolean, else by "not empty" [queue-5.4]', () => {
    expect(keyOf("iif(message.flags.retain, 'r', 'n')")).toBe('r');
    expect(keyOf("iif('', 'yes', 'no')")).toBe('no');
    expect(keyOf("iif('hello', 'yes', 'no')")).toBe('yes');
    expect(keyOf("iif(0, 'yes', 'no')")).toBe('yes');
    expect(keyOf("iif(str_eq(message.from, 'pump-7'), 'yes', 'no')")).toBe('yes');
  });

  test('iif takes an unbound condition for "" and leaves its branches unprotected [queue-5.4]', () => {
    expect(keyOf("iif(message.user_property.nope, 'yes', 'no')")).toBe('no');
    expect(failure("iif('x', message.user_property.nope, 'no')").reason).toBe('unbound');
  });

  test('iif evaluates only the branch it chooses [queue-5.4]', () => {
    expect(keyOf("iif(true, 'a', message.user_property.nope)")).toBe('a');
    expect(keyOf("iif(false, upper(message.qos), 'b')")).toBe('b');
  });

  test('is_empty tells whether a value is missing, nothing or "" [queue-5.4]', () => {
    expect(keyOf('is_empty(message.user_property.nope)')).toBe('true');
    expect(keyOf('is_empty(message.headers.username)', { username: undefined })).toBe('true');
    expect(keyOf("is_empty('')")).toBe('true');
    expect(keyOf('is_empty(message.from)')).toBe('false');
    expect(keyOf('is_empty(0)')).toBe('false');
  });
});

describe('from result to key', () => {
  test('a float has up to ten decimals with trailing zeros cut [queue-5.4]', () => {
    expect(keyOf('1.0')).toBe('1.0');
    expect(keyOf('2.50')).toBe('2.5');
    expect(keyOf('0.12345678901')).toBe('0.123456789');
    expect(keyOf('1.5e3')).toBe('1500.0');
    expect(keyOf('1.0e22')).toBe('10000000000000000000000.0');
    expect(keyOf('message.payload.t', { payload: Buffer.from('{"t":21.50}') })).toBe('21.5');
    expect(keyOf('message.payload.t', { payload: Buffer.from('{"t":1.0}') })).toBe('1.0');
  });

  test('nothing gives "" [queue-5.4]', () => {
    expect(keyOf("json_value(message.payload, 'nope')")).toBe('');
  });

  test('a list or a map is an error [queue-5.4]', () => {
    expect(failure("tokens(message.topic, '/')").reason).toBe('type');
    expect(failure("json_value(message.payload, 'device')").reason).toBe('type');
    expect(failure("regex_extract(message.topic, '(zzz)')").reason).toBe('type');
  });

  test('a key is at most 65,535 bytes long [broker]', () => {
    expect(keyOf('message.payload', { payload: Buffer.alloc(65_535, 'k') })).toHaveLength(65_535);
    expect(failure('message.payload', { payload: Buffer.alloc(65_536, 'k') }).reason).toBe('limit');
    expect(failure('message.payload', { payload: Buffer.from('ü'.repeat(32_768)) }).reason).toBe('limit');
    expect(failure('message.payload', { payload: Buffer.alloc(65_536, 0xff) }).reason).toBe('limit');
  });

  test('the documented expressions give the documented keys [queue-5.4]', () => {
    expect(keyOf('concat([message.from, message.topic])')).toBe('pump-7plant/a/pump/7');
    expect(keyOf('concat(message.topic, message.headers.properties.User-Property.key)')).toBe(
      'plant/a/pump/7set-color',
    );
    expect(keyOf("nth(2, tokens(message.topic,'/'))")).toBe('a');
  });
});

describe('what an expression needs', () => {
  test('it lists exactly the parts that it may read, and reads no others [broker]', () => {
    const cases: readonly (readonly [string, readonly string[]])[] = [
      ["'x'", []],
      ['message.from', ['from']],
      ['concat(message.topic, message.payload.id)', ['payload', 'topic']],
      ['coalesce(message.user_property.k, message.from)', ['from', 'properties']],
      ['timestamp_ms()', ['clock']],
      ["concat(rand_int(3), getenv('X'))", ['random']],
      ['message.headers.peername', ['peer']],
    ];
    for (const [source, parts] of cases) {
      const expression = compileKeyExpression(source, {});
      expect([...expression.needs].sort(), source).toEqual(parts);
      expect(expression.needsPayload).toBe(parts.includes('payload'));
      expect(expression.needsProperties).toBe(parts.includes('properties'));
    }
  });

  test('a part that is not listed is never touched [broker]', () => {
    const expression = compileKeyExpression('message.user_property.key', {});
    const context = publish();
    Object.defineProperty(context, 'payload', {
      get: () => {
        throw new Error('the payload was read');
      },
    });
    expect(expression.evaluate(context)).toBe('set-color');
  });

  test('the shape names the cases that need no evaluation [broker]', () => {
    const shape = (source: string): string => compileKeyExpression(source, {}).shape;
    expect(shape('message.from')).toBe('from');
    expect(shape('message.topic')).toBe('topic');
    expect(shape("concat('a', upper('b'))")).toBe('constant');
    expect(shape('message.headers.properties.User-Property.k')).toBe('user-property');
    expect(shape('message.user_property.k')).toBe('user-property');
    expect(shape('message.payload')).toBe('general');
    expect(shape('rand_int(3)')).toBe('general');
    expect(keyOf("concat('a', upper('b'))")).toBe('aB');
  });

  test('the default key is the client id of the publisher [queue-5.2]', () => {
    expect(compileKeyExpression(defaultKeyExpression).evaluate(publish())).toBe('pump-7');
  });

  test('time and chance come from the context [broker]', () => {
    expect(keyOf('timestamp_ms()')).toBe('1800000000999');
    expect(keyOf('timestamp_s()')).toBe('1800000000');
    expect(keyOf('rand_int(10)', { random: () => 0 })).toBe('1');
    expect(keyOf('rand_int(10)', { random: () => 0.999_999 })).toBe('10');
    expect(keyOf('rand_str(3)', { random: () => 0 })).toBe('000');
    expect(keyOf('rand_str(2)', { random: () => 0.999_999 })).toBe('zz');
  });
});
