import { describe, expect, test } from 'vitest';

import type { AuthExchange } from '../../src/auth/authenticator.js';
import { hashPassword, hashScram, parsePasswordHash } from '../../src/auth/password-hash.js';
import { SCRAM_SHA_256, ScramExchange } from '../../src/auth/scram.js';
import { authenticator, brief, file, request } from './fixture.js';
import { finalOf } from './scram-client.js';

/** The example of RFC 7677 section 3: user "user", password "pencil". */
const rfc = {
  salt: 'W22ZaJ0SNY7soEsUEjb6gQ==',
  clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  clientFinal:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
};

async function example(): Promise<ScramExchange> {
  const text = await hashScram(Buffer.from('pencil'), 4096, Buffer.from(rfc.salt, 'base64'));
  const stored = parsePasswordHash(text);
  return new ScramExchange({
    find: (username) => (username === 'user' ? stored : undefined),
    decoySecret: Buffer.alloc(32),
    makeNonce: () => rfc.serverNonce,
  });
}

function say(exchange: ScramExchange, message: string): string {
  const step = exchange.step(Buffer.from(message));
  return step.kind === 'failed' ? `failed: ${step.reason}` : step.data.toString();
}

/** One whole authentication; what the server says in the end. */
async function login(exchange: AuthExchange, name: string, password: string, header = 'n,,') {
  const first = `${header}n=${name},r=fyko+d2lbbFgONRv9qkxdawL`;
  const challenge = await exchange.step(Buffer.from(first));
  if (challenge.kind !== 'continue') return { step: challenge, expected: '' };
  const { message, serverFinal } = finalOf(password, first, challenge.data.toString());
  return { step: await exchange.step(Buffer.from(message)), expected: serverFinal };
}

async function scramFile(...users: readonly (readonly [string, string])[]): Promise<string> {
  const lines = await Promise.all(
    users.map(
      async ([username, password]) => `${username}:${await hashScram(Buffer.from(password), 4096)}\n`,
    ),
  );
  return file('passwords', lines.join(''));
}

describe('the messages', () => {
  test('the example of RFC 7677 runs byte for byte [ref-7677]', async () => {
    const exchange = await example();
    expect(say(exchange, rfc.clientFirst)).toBe(rfc.serverFirst);
    expect(exchange.step(Buffer.from(rfc.clientFinal))).toEqual({
      kind: 'success',
      identity: { username: 'user' },
      data: Buffer.from(rfc.serverFinal),
    });
    expect(say(exchange, rfc.clientFinal)).toBe('failed: the exchange is over');
  });

  test('a client that waits for the server is asked once, by an empty challenge [ref-5802]', async () => {
    const exchange = await example();
    expect(exchange.step(undefined)).toEqual({ kind: 'continue', data: Buffer.alloc(0) });
    expect(say(exchange, rfc.clientFirst)).toBe(rfc.serverFirst);
    const silent = await example();
    expect(silent.step(undefined).kind).toBe('continue');
    expect(silent.step(Buffer.alloc(0))).toEqual({ kind: 'failed', reason: 'a message is missing' });
  });

  test.each([
    ['', 'a message is missing'],
    ['n', 'the first message cannot be read'],
    ['n,,n=user', 'the first message cannot be read'],
    ['n,,n=user,r=', 'the first message cannot be read'],
    ['n,,n=user,r=a b', 'the first message cannot be read'],
    ['n,,m=x,n=user,r=abc', 'the first message cannot be read'],
    ['x,,n=user,r=abc', 'the first message cannot be read'],
    ['p=tls-unique,,n=user,r=abc', 'channel binding is not offered'],
    ['p=tls-exporter,,n=user,r=abc', 'channel binding is not offered'],
    ['n,a=root,n=user,r=abc', 'acting for another user is not offered'],
    ['n,,n=us=er,r=abc', 'the user name cannot be read'],
    ['n,,n=,r=abc', 'the user name cannot be read'],
    ['n,,n=a\u0000b,r=abc', 'the user name cannot be read'],
    [`n,,n=${'u'.repeat(4096)},r=abc`, 'a message is too long'],
  ])('the first message %j is refused, and the exchange is over [ref-5802]', async (message, reason) => {
    const exchange = await example();
    if (message === '') exchange.step(undefined);
    expect(say(exchange, message)).toBe(`failed: ${reason}`);
    expect(say(exchange, rfc.clientFirst)).toBe('failed: the exchange is over');
  });

  test.each<[string, (final: string) => string, string]>([
    ['nothing', () => '', 'a message is missing'],
    ['no proof', (final: string) => final.replace(/,p=.*/, ''), 'the final message cannot be read'],
    ['text after the proof', (final: string) => `${final},x=y`, 'the final message cannot be read'],
    ['the header of another binding', (final: string) => final.replace('biws', 'eSws'), 'another header'],
    [
      'the nonce of another exchange',
      (final: string) => final.replace('r=rOpr', 'r=rOpq'),
      'the nonce is not',
    ],
    ['a nonce that goes on', (final: string) => final.replace('$k0', '$k0x'), 'the nonce is not'],
    ['only its own nonce', (final: string) => final.replace(rfc.serverNonce, ''), 'the nonce is not'],
    [
      'a proof that is too short',
      (final: string) => final.replace(/p=.*/, 'p=AAAA'),
      'the proof cannot be read',
    ],
    ['a proof of zeros', (final: string) => final.replace(/p=.*/, `p=${'A'.repeat(43)}=`), 'is wrong'],
    ['a proof with one bit changed', (final: string) => final.replace('p=dHz', 'p=dHy'), 'is wrong'],
    [
      'an extension that the proof does not cover',
      (final: string) => final.replace(',p=', ',x=y,p='),
      'is wrong',
    ],
  ])('a final message with %s is refused [ref-5802]', async (_, change, reason) => {
    const exchange = await example();
    say(exchange, rfc.clientFirst);
    expect(say(exchange, change(rfc.clientFinal))).toContain(reason);
    expect(say(exchange, rfc.clientFinal)).toBe('failed: the exchange is over');
  });

  test('a final message of an earlier exchange is worth nothing in the next [ref-5802]', async () => {
    const passwordFile = await scramFile(['user', 'pencil']);
    const { auth } = await authenticator({ passwordFile });
    const first = auth.exchange(SCRAM_SHA_256, request()) as AuthExchange;
    expect(brief((await login(first, 'user', 'pencil')).step)).toBe('yes user');
    const second = auth.exchange(SCRAM_SHA_256, request()) as AuthExchange;
    await second.step(Buffer.from(rfc.clientFirst));
    expect(brief(await second.step(Buffer.from(rfc.clientFinal)))).toBe('0x87');
  });
});

describe('the method SCRAM-SHA-256', () => {
  test('the right password succeeds, and the server proves that it knows it as well [MQTT-4.12.0-2]', async () => {
    const { auth, succeeded } = await authenticator({ passwordFile: await scramFile(['user', 'pencil']) });
    const { step, expected } = await login(
      auth.exchange(SCRAM_SHA_256, request()) as AuthExchange,
      'user',
      'pencil',
    );
    expect(step).toEqual({ kind: 'success', identity: { username: 'user' }, data: Buffer.from(expected) });
    expect(succeeded('scram')).toBe(1);
  });

  test.each([
    ['a wrong password', 'user', 'pen', 'n,,'],
    ['an unknown user', 'nobody', 'pencil', 'n,,'],
    ['a user without a SCRAM line', 'plain', 'pencil', 'n,,'],
    ['a wrong password when the client could bind', 'user', 'pen', 'y,,'],
  ])(
    '%s gets a challenge like any other and is refused at the end [broker]',
    async (_, name, password, header) => {
      const plain = `plain:${await hashPassword(Buffer.from('pencil'), { ln: 10, r: 8, p: 1 })}\n`;
      const scram = `user:${await hashScram(Buffer.from('pencil'))}\n`;
      const { auth, failed } = await authenticator({ passwordFile: file('passwords', plain + scram) });
      const { step, expected } = await login(
        auth.exchange(SCRAM_SHA_256, request()) as AuthExchange,
        name,
        password,
        header,
      );
      expect(expected).not.toBe('');
      expect(step).toEqual({ kind: 'refused', reasonCode: 0x87 });
      expect(failed('scram')).toBe(1);
    },
  );

  test('a client that could bind and one that names itself twice are served [ref-5802]', async () => {
    const { auth } = await authenticator({ passwordFile: await scramFile(['a,b=c', 'pencil']) });
    for (const header of ['y,,', 'n,a=a=2Cb=3Dc,']) {
      const exchange = auth.exchange(SCRAM_SHA_256, request()) as AuthExchange;
      expect(brief((await login(exchange, 'a=2Cb=3Dc', 'pencil', header)).step)).toBe('yes a,b=c');
    }
  });

  test('the salt of an unknown user stays the same, and nonces do not [broker]', async () => {
    const { auth } = await authenticator({ passwordFile: await scramFile(['user', 'pencil']) });
    const ask = async (name: string) => {
      const step = await (auth.exchange(SCRAM_SHA_256, request()) as AuthExchange).step(
        Buffer.from(`n,,n=${name},r=abc`),
      );
      return step.kind === 'continue' ? step.data.toString().split(',') : [];
    };
    const [one, two, other] = [await ask('nobody'), await ask('nobody'), await ask('nobody2')];
    expect(one[1]).toBe(two[1]);
    expect(one[1]).not.toBe(other[1]);
    expect(one[0]).not.toBe(two[0]);
    expect(one[0]).toMatch(/^r=abc[\x21-\x2b\x2d-\x7e]{24}$/);
  });

  test('another method, and SCRAM without a user who has it, are unknown [broker]', async () => {
    const { auth } = await authenticator({ passwordFile: await scramFile(['user', 'pencil']) });
    expect(auth.exchange('SCRAM-SHA-1', request())).toBeUndefined();
    expect(auth.exchange('scram-sha-256', request())).toBeUndefined();
    const plain = await authenticator({
      passwordFile: file('p', `a:${await hashPassword(Buffer.from('b'), { ln: 10, r: 8, p: 1 })}`),
    });
    expect(plain.auth.exchange(SCRAM_SHA_256, request())).toBeUndefined();
    expect((await authenticator()).auth.exchange(SCRAM_SHA_256, request())).toBeUndefined();
  });

  test('wrong proofs count against the address, and a blocked one is refused at its first message [broker]', async () => {
    const { auth } = await authenticator({
      passwordFile: await scramFile(['user', 'pencil']),
      authFailuresMax: 2,
    });
    const exchange = () => auth.exchange(SCRAM_SHA_256, request()) as AuthExchange;
    expect(brief((await login(exchange(), 'user', 'a')).step)).toBe('0x87');
    expect(brief((await login(exchange(), 'user', 'b')).step)).toBe('0x87');
    expect(brief((await login(exchange(), 'user', 'pencil')).step)).toBe('0x97');
  });
});
