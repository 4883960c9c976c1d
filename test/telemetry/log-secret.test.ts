/** Every kind of secret, thrown at the log in every way. Quick tier. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { hideInLine } from '../../src/telemetry/log-secret.js';
import { createLogging } from '../../src/telemetry/logger.js';

const secret = 'S3cr3t-of-the-test';
const token = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLW9m';
const privateKey = '-----BEGIN EC PRIVATE KEY-----\nS3cr3t-of-the-test\n-----END EC PRIVATE KEY-----';
const basic = `Basic ${Buffer.from(`admin:${secret}`).toString('base64')}`;

class ClassWithSecret {
  readonly name = 'visible';
  readonly password = secret;
}

function errorWith(fields: object): Error {
  return Object.assign(new Error('it failed'), fields);
}

/** Field name or shape, and how it is logged. */
const ways: readonly (readonly [string, object | string])[] = [
  ...[
    'password',
    'Password',
    'passwd',
    'passphrase',
    'pwd',
    'secret',
    'api_secret',
    'apiSecret',
    'clientSecret',
    'jwtSecret',
    'token',
    'access_token',
    'accessToken',
    'authorization',
    'Proxy-Authorization',
    'cookie',
    'set-cookie',
    'credentials',
    'privateKey',
    'private_key',
    'serverProof',
  ].map((name) => [`field ${name}`, { [name]: secret }] as const),
  ['deep field', { a: { b: { c: { d: { password: secret } } } } }],
  ['field in a list', { users: [{ name: 'x', password: secret }] }],
  ['list of secrets', { secret: [secret, secret] }],
  ['object of secrets', { credentials: { a: secret } }],
  ['map of headers', { headers: { authorization: basic } }],
  ['bytes', { password: Buffer.from(secret) }],
  ['typed array', { token: new Uint8Array(Buffer.from(secret)) }],
  ['class', { options: new ClassWithSecret() }],
  [
    'error with fields',
    { err: errorWith({ config: { headers: { authorization: basic } }, password: secret }) },
  ],
  ['error with bytes', { err: errorWith({ password: Buffer.from(secret) }) }],
  ['error under another name', { reason: errorWith({ token: secret }) }],
  ['error alone', errorWith({ secret })],
  ['error whose text has a URL', new Error(`cannot reach https://user:${secret}@example.org/x`)],
  ['header in a text', `refused: authorization: ${basic}`],
  ['bearer in a text', `refused: Bearer ${secret}`],
  ['URL in a text', `cannot reach https://user:${secret}@example.org/x`],
  ['URL in a field', { url: `mqtts://${secret}@example.org:8883` }],
  ['query in a field', { url: `https://example.org/?password=${secret}&x=1` }],
  ['bearer in a line of its own', `refused:\nBearer ${secret}`],
  ['header in a line of its own', `refused:\r\n${basic}`],
  ['signed token in a line of its own', `token:\n${token}`],
  ['signed token behind a control character', { value: `\u0001${token}` }],
  ['signed token in a text', `token ${token} is expired`],
  ['signed token in a field', { value: token }],
  ['private key in a field', { pem: privateKey }],
  ['private key in a text', `bad key ${privateKey}`],
  ['private key without end', { pem: privateKey.slice(0, -10) }],
];

const traces = [
  secret,
  Buffer.from(secret).toString('base64'),
  basic.slice(6),
  token,
  'c2lnbmF0dXJl',
  '83,51,99',
];

describe.each(['json', 'text'] as const)('%s', (format) => {
  test.each(ways)('no line and no entry of the recent log shows a secret: %s [broker]', (_, what) => {
    const lines: string[] = [];
    const stream = { write: (line: string) => void lines.push(line) };
    const { logger, recent } = createLogging({ level: 'trace', format, stream });
    const child = typeof what === 'object' && !(what instanceof Error) ? what : { x: 1 };
    for (const log of [logger, logger.child({ module: 'auth' }), logger.child(child)]) {
      if (typeof what === 'string') log.warn(what);
      else log.warn(what, 'a message');
      if (typeof what !== 'string') log.error({ outer: what }, 'a message');
    }
    const shown = lines.join('') + JSON.stringify(recent.entries('warn', 100));
    expect(lines.length).toBeGreaterThan(2);
    for (const trace of traces) expect(shown).not.toContain(trace);
    expect(shown).toContain('[hidden]');
  });
});

test('what only counts, names or places a secret is shown, and lines stay what they are [broker]', () => {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  const { logger } = createLogging({ level: 'info', format: 'json', stream });
  const fields = {
    passwordFile: 'users.txt',
    tokens: 5,
    secretsRead: 3,
    url: 'https://example.org:8080/path?x=1',
    topic: 'a/b@c',
    text: String.raw`quotes " and \ backslashes`,
    date: new Date(0),
    none: null,
    token: null,
    list: [1, 'two', { three: 3 }],
  };
  logger.warn(fields, 'a basic message about passwords');
  expect(JSON.parse(lines[0]!)).toMatchObject({
    ...fields,
    date: '1970-01-01T00:00:00.000Z',
    msg: 'a basic message about passwords',
  });
});

/** What the patterns look for, and what a line of JSON escapes or is made of. */
const pieces = [
  ...[
    '-----BEGIN PRIVATE KEY-----',
    '-----BEGIN RSA PRIVATE KEY-----',
    'password',
    'token',
    'secret',
    'bearer ',
  ],
  ...[
    'Basic ',
    'Digest A',
    'eyJhbGciOiJ',
    '.eyJzdWIiOiJ4',
    '.c2ln',
    'mqtt://',
    'user:',
    '@',
    '?token=',
    '&',
    '=',
  ],
  ...[
    '"',
    '\\',
    '/',
    '\n',
    '\u0000',
    '\ud800',
    ':',
    ',',
    '[',
    ']',
    '{',
    '}',
    ' ',
    '1',
    '-',
    '.',
    'e',
    'x',
    'ü',
  ],
];
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((parts) => parts.join('')),
);
const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    text,
    fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer(), fc.constantFrom(null, true)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(text, tie('value'), { maxKeys: 4 }),
  ),
})).value;

test('whatever a line holds, it is JSON when what looks like a secret is gone [broker]', () => {
  fc.assert(
    fc.property(value, (what) => {
      const line = JSON.stringify({ what, password: what });
      expect(() => void JSON.parse(hideInLine(line))).not.toThrow();
    }),
    { numRuns: 2000 },
  );
});

test.each([
  { pem: '-----BEGIN PRIVATE KEY-----x"y' },
  { pem: '-----BEGIN PRIVATE KEY-----x\\' },
  { token: 1.5 },
  { token: -2e-9 },
  { secret: ['a]b', '"', '\\'] },
  { secret: { a: '}"{', b: '\\' } },
])('an escape, a number or a bracket in a secret does not break the line: %j [broker]', (fields) => {
  const shown = hideInLine(JSON.stringify({ ...fields, last: 1 }));
  const [name] = Object.keys(fields);
  expect(JSON.parse(shown)).toEqual({ [name!]: '[hidden]', last: 1 });
});

test('a private key is hidden to the end of its text, also behind a quotation mark [broker]', () => {
  const shown = hideInLine(
    JSON.stringify({ msg: `bad "-----BEGIN PRIVATE KEY-----\n"${secret}"`, x: 'seen' }),
  );
  expect(JSON.parse(shown)).toEqual({ msg: 'bad "[hidden]', x: 'seen' });
});

test('a line is looked through in time that grows with its length, whatever is in it [broker]', () => {
  const count = 30_000;
  // Each of these would take many seconds with a pattern that starts over at every character.
  for (const text of [
    'a.',
    'eyJ-',
    '"',
    '":"',
    'Basic ',
    '://',
    '?token=',
    'secret',
    '-----BEGIN PRIVATE KEY-----',
    '"token":["',
    '"token":["",',
    '"token":{"\\"',
  ]) {
    const startMs = performance.now();
    hideInLine(JSON.stringify({ text: text.repeat(count) }));
    hideInLine(text.repeat(count));
    expect([text, performance.now() - startMs < 5000]).toEqual([text, true]);
  }
});
