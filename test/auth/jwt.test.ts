import { type KeyObject, createHmac, generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';

import { SignJWT, exportJWK } from 'jose';
import { describe, expect, test } from 'vitest';

import { authenticator, brief, file, request, serve } from './fixture.js';

const secret = 'a secret of at least 32 bytes, ok';
const nowS = 1_000_000_000;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const otherEc = generateKeyPairSync('ec', { namedCurve: 'P-256' });

function pem({ publicKey }: { publicKey: KeyObject }): string {
  return publicKey.export({ type: 'spki', format: 'pem' }).toString();
}

/** A token with an hour to live, unless `claims` says otherwise. */
function sign(
  claims: Record<string, unknown> = {},
  key: KeyObject | Uint8Array = Buffer.from(secret),
  header: { alg: string; kid?: string } = { alg: 'HS256' },
): Promise<string> {
  return new SignJWT({ exp: nowS + 3600, ...claims }).setProtectedHeader(header).sign(key);
}

/** A token that is put together by hand, as an attacker would. */
function forge(header: object, payload: object, key?: string | Buffer): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part(header)}.${part(payload)}`;
  return `${signed}.${key === undefined ? '' : createHmac('sha256', key).update(signed).digest('base64url')}`;
}

async function keySet(...keys: readonly (readonly [string, KeyObject])[]): Promise<string> {
  return JSON.stringify({
    keys: await Promise.all(keys.map(async ([kid, key]) => ({ ...(await exportJWK(key)), kid, use: 'sig' }))),
  });
}

const withSecret = { jwtSecret: secret } as const;

describe('signatures', () => {
  test('HS256, RS256 and ES256 are checked with the key that is configured [ref-7518]', async () => {
    const { auth } = await authenticator({ ...withSecret });
    expect(brief(await auth.authenticate(request({ password: await sign({ sub: 'a' }) })))).toBe('yes a');

    const byRsa = await authenticator({ jwtPublicKeyFile: file('rsa.pem', pem(rsa)) });
    const rsaToken = await sign({ sub: 'b' }, rsa.privateKey, { alg: 'RS256' });
    expect(brief(await byRsa.auth.authenticate(request({ password: rsaToken })))).toBe('yes b');

    const byEc = await authenticator({ jwtPublicKeyFile: file('ec.pem', pem(ec)) });
    const ecToken = await sign({ sub: 'c' }, ec.privateKey, { alg: 'ES256' });
    expect(brief(await byEc.auth.authenticate(request({ password: ecToken })))).toBe('yes c');
    const stranger = await sign({ sub: 'c' }, otherEc.privateKey, { alg: 'ES256' });
    expect(brief(await byEc.auth.authenticate(request({ password: stranger })))).toBe('0x86');
    expect(byEc.succeeded('jwt')).toBe(1);
    expect(byEc.failed('token')).toBe(1);
  });

  test('a public key is never taken for a secret, and a secret never for a public key [ref-8725]', async () => {
    const publicPem = pem(rsa);
    const { auth } = await authenticator({ jwtPublicKeyFile: file('rsa.pem', publicPem) });
    const payload = { sub: 'root', exp: nowS + 3600 };
    for (const alg of ['HS256', 'HS384', 'HS512']) {
      expect(brief(await auth.authenticate(request({ password: forge({ alg }, payload, publicPem) })))).toBe(
        '0x86',
      );
    }
    const withBoth = await authenticator({ ...withSecret, jwtPublicKeyFile: file('rsa.pem', publicPem) });
    const confused = request({ password: forge({ alg: 'HS256' }, payload, publicPem) });
    expect(brief(await withBoth.auth.authenticate(confused))).toBe('0x86');
  });

  test('a token without a signature is refused, however it says so [ref-8725]', async () => {
    const { auth } = await authenticator({ ...withSecret, authFailuresMax: 0 });
    const payload = { sub: 'root', exp: nowS + 3600 };
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
      const password = forge({ alg }, payload);
      expect([alg, brief(await auth.authenticate(request({ password })))]).toEqual([alg, '0x86']);
    }
    const stripped = (await sign({ sub: 'root' })).replace(/[^.]*$/, '');
    expect(brief(await auth.authenticate(request({ password: stripped })))).toBe('0x86');
  });

  test('a key that the token brings along or points to is not used [ref-8725]', async () => {
    let asked = 0;
    const url = await serve((_, response) => {
      asked += 1;
      response.end('{"keys":[]}');
    });
    const { auth } = await authenticator({ jwtPublicKeyFile: file('ec.pem', pem(ec)) });
    const jwk = await exportJWK(otherEc.publicKey);
    for (const extra of [{ jwk }, { jku: url }, { x5u: url }]) {
      const password = await new SignJWT({ sub: 'root', exp: nowS + 3600 })
        .setProtectedHeader({ alg: 'ES256', ...extra })
        .sign(otherEc.privateKey);
      expect(brief(await auth.authenticate(request({ password })))).toBe('0x86');
    }
    expect(asked).toBe(0);
  });

  test('a token with a changed claim is refused [ref-7519]', async () => {
    const { auth } = await authenticator({ ...withSecret });
    const [header = '', , signature = ''] = (await sign({ sub: 'bob' })).split('.');
    const claims = Buffer.from(JSON.stringify({ sub: 'root', exp: nowS + 3600 })).toString('base64url');
    expect(brief(await auth.authenticate(request({ password: `${header}.${claims}.${signature}` })))).toBe(
      '0x86',
    );
  });

  test.each([
    [{ jwtSecret: 'short' }, 'shorter than 32 bytes'],
    [{ jwtPublicKeyFile: 'missing.pem' }, 'ENOENT'],
    [{ jwtJwks: 'missing.json' }, 'ENOENT'],
  ])('the start fails with ERR_AUTH for the key %j [broker]', async (changes, reason) => {
    await expect(authenticator(changes)).rejects.toMatchObject({
      code: 'ERR_AUTH',
      message: expect.stringContaining(reason),
    });
  });

  test('a small RSA key and a curve that no algorithm uses are refused at the start [ref-7518]', async () => {
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 });
    await expect(authenticator({ jwtPublicKeyFile: file('k', pem(small)) })).rejects.toThrow(
      'fewer than 2048',
    );
    const odd = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
    await expect(authenticator({ jwtPublicKeyFile: file('k', pem(odd)) })).rejects.toThrow('is not RSA');
  });

  test('a secret may stand in a file and in Base64, and a new one counts after a reload [broker]', async () => {
    const path = file('secret', `${Buffer.from(secret).toString('base64')}\n`);
    const { auth, log } = await authenticator({ jwtSecretFile: path, jwtSecretBase64: true });
    const old = request({ password: await sign({ sub: 'a' }) });
    expect(brief(await auth.authenticate(old))).toBe('yes a');
    writeFileSync(path, 'c2hvcnQ=');
    await auth.reload();
    expect(brief(await auth.authenticate(old))).toBe('yes a');
    expect(log.lines.join()).toContain('the old keys stay');
    const next = 'another secret of at least 32 bytes';
    writeFileSync(path, Buffer.from(next).toString('base64'));
    await auth.reload();
    expect(brief(await auth.authenticate(old))).toBe('0x86');
    const fresh = request({ password: await sign({ sub: 'a' }, Buffer.from(next)) });
    expect(brief(await auth.authenticate(fresh))).toBe('yes a');
  });
});

describe('claims', () => {
  test('an expired token, also one that was good before, and one of the future are refused [ref-7519]', async () => {
    const { auth, clock } = await authenticator({ ...withSecret, jwtClockToleranceS: 5 });
    const token = request({ password: await sign({ sub: 'a', exp: nowS + 60 }) });
    expect(await auth.authenticate(token)).toEqual({
      kind: 'success',
      identity: { username: 'a', expiresAtMs: (nowS + 65) * 1000 },
    });
    clock.nowMs += 64_000;
    expect(brief(await auth.authenticate(token))).toBe('yes a');
    clock.nowMs += 2000;
    expect(brief(await auth.authenticate(token))).toBe('0x86');
    const early = request({ password: await sign({ sub: 'a', nbf: nowS + 100 }) });
    expect(brief(await auth.authenticate(early))).toBe('0x86');
  });

  test('a token that never expires is taken unless an expiry is asked for [broker]', async () => {
    const password = await sign({ sub: 'a', exp: undefined });
    const lax = await authenticator({ ...withSecret });
    expect(await lax.auth.authenticate(request({ password }))).toEqual({
      kind: 'success',
      identity: { username: 'a' },
    });
    const strict = await authenticator({ ...withSecret, jwtRequireExpiry: true });
    expect(brief(await strict.auth.authenticate(request({ password })))).toBe('0x86');
  });

  test.each([
    [{ iss: 'me', aud: 'mqtt' }, 'yes a'],
    [{ iss: 'me', aud: ['web', 'mqtt'] }, 'yes a'],
    [{ iss: 'you', aud: 'mqtt' }, '0x86'],
    [{ iss: 'me', aud: 'web' }, '0x86'],
    [{ aud: 'mqtt' }, '0x86'],
    [{ iss: 'me' }, '0x86'],
  ])('issuer and audience must be those that are asked for: %j [ref-7519]', async (claims, expected) => {
    const { auth } = await authenticator({ ...withSecret, jwtIssuer: 'me', jwtAudience: 'mqtt' });
    expect(brief(await auth.authenticate(request({ password: await sign({ sub: 'a', ...claims }) })))).toBe(
      expected,
    );
  });

  test.each([
    [{ cid: 'client', name: 'bob', v: 1 }, 'bob', 'yes bob'],
    [{ cid: 'other', name: 'bob', v: 1 }, 'bob', '0x86'],
    [{ cid: 'client', name: 'bob', v: 1 }, 'root', '0x86'],
    [{ cid: 'client', name: 'bob', v: 1 }, undefined, '0x86'],
    [{ cid: 'client', name: 'bob', v: '1' }, 'bob', '0x86'],
    [{ name: 'bob', v: 1 }, 'bob', '0x86'],
  ])(
    '%j with the user name %j: %s, when claims must fit the client [broker]',
    async (claims, username, expected) => {
      const { auth } = await authenticator({
        ...withSecret,
        jwtClaims: { cid: '%c', name: '${username}', v: 1 },
      });
      const password = await sign(claims);
      expect(brief(await auth.authenticate(request({ username, password })))).toBe(expected);
    },
  );

  test('a client id that looks like a placeholder stays what it is [broker]', async () => {
    const { auth } = await authenticator({ ...withSecret, jwtClaims: { cid: '%c' } });
    const password = await sign({ sub: 'a', cid: 'root' });
    expect(brief(await auth.authenticate(request({ clientId: '%u', username: 'root', password })))).toBe(
      '0x86',
    );
  });

  test('the user is never a name that nothing proves [broker]', async () => {
    const { auth } = await authenticator({ ...withSecret });
    const claimed = request({ username: 'root', password: await sign({ sub: 'bob' }) });
    expect(brief(await auth.authenticate(claimed))).toBe('yes bob');
    const nameless = request({ username: 'root', password: await sign() });
    expect(brief(await auth.authenticate(nameless))).toBe('yes anonymous');

    const byClaim = await authenticator({ ...withSecret, jwtUsernameClaim: 'who' });
    const who = request({ username: 'root', password: await sign({ sub: 'bob', who: 'carol' }) });
    expect(brief(await byClaim.auth.authenticate(who))).toBe('yes carol');
    expect(brief(await byClaim.auth.authenticate(request({ password: await sign({ sub: 'bob' }) })))).toBe(
      '0x86',
    );
  });

  test('a token in the user name is no name [broker]', async () => {
    const { auth } = await authenticator({ ...withSecret, jwtFrom: 'username' });
    const token = await sign({ sub: 'bob' });
    expect(brief(await auth.authenticate(request({ username: token })))).toBe('yes bob');
    expect(brief(await auth.authenticate(request({ username: 'bob', password: token })))).toBe('0x86');
  });

  test('a one-time token is taken once, and one that could not be told apart is not taken [broker]', async () => {
    const { auth } = await authenticator({ ...withSecret, jwtSingleUse: true, authFailuresMax: 0 });
    const password = await sign({ sub: 'a', jti: '1' });
    expect(brief(await auth.authenticate(request({ password })))).toBe('yes a');
    expect(brief(await auth.authenticate(request({ password })))).toBe('0x86');
    expect(brief(await auth.authenticate(request({ password: await sign({ sub: 'a' }) })))).toBe('0x86');
    expect(brief(await auth.authenticate(request({ password: await sign({ sub: 'a', jti: 1 }) })))).toBe(
      '0x86',
    );
    const endless = await sign({ sub: 'a', jti: '2', exp: undefined });
    expect(brief(await auth.authenticate(request({ password: endless })))).toBe('0x86');
    expect(brief(await auth.authenticate(request({ password: await sign({ sub: 'a', jti: '3' }) })))).toBe(
      'yes a',
    );
  });

  test('rules and the rank of a superuser come along [broker]', async () => {
    const { auth } = await authenticator({ ...withSecret });
    const acl = [
      { permission: 'allow', action: 'publish', topic: 't/${clientid}', qos: [0, 1], retain: false },
      { permission: 'deny', action: 'all', topic: 'eq t/#' },
    ];
    const password = await sign({ sub: 'a', exp: undefined, is_superuser: true, acl });
    expect(await auth.authenticate(request({ password }))).toEqual({
      kind: 'success',
      identity: { username: 'a', isSuperuser: true, rules: acl },
    });
    const lists = await sign({ sub: 'a', exp: undefined, acl: { pub: ['p'], sub: ['s'], all: ['x/%u'] } });
    expect(await auth.authenticate(request({ password: lists }))).toMatchObject({
      identity: {
        rules: [
          { permission: 'allow', action: 'publish', topic: 'p' },
          { permission: 'allow', action: 'subscribe', topic: 's' },
          { permission: 'allow', action: 'all', topic: 'x/%u' },
          { permission: 'deny', action: 'all', topic: '' },
        ],
      },
    });
  });

  test.each([
    [7],
    ['all'],
    [[7]],
    [[{ permission: 'allow', action: 'publish' }]],
    [[{ permission: 'permit', action: 'publish', topic: 't' }]],
    [[{ permission: 'allow', action: 'pub', topic: 't' }]],
    [[{ permission: 'allow', action: 'all', topic: 't', qos: [3] }]],
    [[{ permission: 'allow', action: 'all', topic: 't', qos: [] }]],
    [[{ permission: 'allow', action: 'all', topic: 't', retain: 'no' }]],
    [[{ permission: 'allow', action: 'all', topic: 't', ipaddr: '10.0.0.0/8' }]],
    [{ pub: 't' }],
    [{ publish: ['t'] }],
    [{ pub: [''] }],
    [Array.from({ length: 1001 }, () => ({ permission: 'allow', action: 'all', topic: 't' }))],
  ])('rules that are not understood refuse the token: %j [broker]', async (acl) => {
    const { auth } = await authenticator({ ...withSecret });
    expect(brief(await auth.authenticate(request({ password: await sign({ sub: 'a', acl }) })))).toBe('0x86');
  });

  test('what is no token goes on to the password file, and a bad token does not [broker]', async () => {
    const passwordFile = file(
      'p',
      'carol:$6$JDTxZpqzY5CwuSxl$zSeOo97m5PaSTVfn2dbnQ991S81Ph7ObebPgjjdzA1j1uBxnPDENeNA2P9W6L+TsnSnH5E1PCD+TdsWk7YORsw==\n',
    );
    const { auth, failed } = await authenticator({ ...withSecret, passwordFile });
    expect(brief(await auth.authenticate(request({ username: 'carol', password: 'old' })))).toBe('yes carol');
    expect(brief(await auth.authenticate(request({ username: 'carol', password: 'a.b.c' })))).toBe('0x86');
    expect(failed('credentials')).toBe(1);
    const bad = `${await sign({ sub: 'a' })}x`;
    expect(brief(await auth.authenticate(request({ username: 'carol', password: bad })))).toBe('0x86');
    expect(failed('token')).toBe(1);
    const huge = `${'a'.repeat(20_000)}.b.c`;
    expect(brief(await auth.authenticate(request({ password: huge })))).toBe('0x86');
  });
});

describe('key sets', () => {
  test('a file with several keys serves each by its id, and tokens without an id by trying [ref-7517]', async () => {
    const jwtJwks = file(
      'keys.json',
      await keySet(['one', ec.publicKey], ['two', otherEc.publicKey], ['three', rsa.publicKey]),
    );
    const { auth } = await authenticator({ jwtJwks });
    const one = await sign({ sub: 'a' }, ec.privateKey, { alg: 'ES256', kid: 'one' });
    expect(brief(await auth.authenticate(request({ password: one })))).toBe('yes a');
    const wrongId = await sign({ sub: 'a' }, ec.privateKey, { alg: 'ES256', kid: 'two' });
    expect(brief(await auth.authenticate(request({ password: wrongId })))).toBe('0x86');
    const noId = await sign({ sub: 'b' }, otherEc.privateKey, { alg: 'ES256' });
    expect(brief(await auth.authenticate(request({ password: noId })))).toBe('yes b');
    const byRsa = await sign({ sub: 'c' }, rsa.privateKey, { alg: 'RS256', kid: 'three' });
    expect(brief(await auth.authenticate(request({ password: byRsa })))).toBe('yes c');
  });

  test('a file that became unusable keeps the keys [broker]', async () => {
    const jwtJwks = file('keys.json', await keySet(['one', ec.publicKey]));
    const { auth, log } = await authenticator({ jwtJwks });
    writeFileSync(jwtJwks, '{"keys":');
    await auth.reload();
    const token = await sign({ sub: 'a' }, ec.privateKey, { alg: 'ES256', kid: 'one' });
    expect(brief(await auth.authenticate(request({ password: token })))).toBe('yes a');
    expect(log.lines.join()).toContain('the keys stay');
    writeFileSync(jwtJwks, await keySet(['two', otherEc.publicKey]));
    await auth.reload();
    expect(brief(await auth.authenticate(request({ password: token })))).toBe('0x86');
  });

  /** A server of key sets whose answer can be exchanged. */
  async function keyServer(first: RequestListener) {
    const state = { answer: first, asked: 0 };
    const url = await serve((incoming, response) => {
      state.asked += 1;
      state.answer(incoming, response);
    });
    return { state, url };
  }

  const sends =
    (body: string): RequestListener =>
    (_, response) =>
      void response.end(body);

  test('a key that the URL shows later is found at once, but not asked for by every made-up id [broker]', async () => {
    const { state, url } = await keyServer(sends(await keySet(['one', ec.publicKey])));
    const { auth, clock } = await authenticator({ jwtJwks: url, authFailuresMax: 0 });
    expect(state.asked).toBe(1);
    const one = request({ password: await sign({ sub: 'a' }, ec.privateKey, { alg: 'ES256', kid: 'one' }) });
    const two = request({
      password: await sign({ sub: 'b' }, otherEc.privateKey, { alg: 'ES256', kid: 'two' }),
    });
    expect(brief(await auth.authenticate(one))).toBe('yes a');
    expect(state.asked).toBe(1);

    state.answer = sends(await keySet(['two', otherEc.publicKey]));
    expect(brief(await auth.authenticate(two))).toBe('0x86');
    expect(state.asked).toBe(1);
    clock.nowMs += 10_000;
    expect(brief(await auth.authenticate(two))).toBe('yes b');
    expect(state.asked).toBe(2);
    expect(brief(await auth.authenticate(one))).toBe('0x86');
    for (let count = 0; count < 20; count++) {
      const password = await sign({}, ec.privateKey, { alg: 'ES256', kid: `made-up ${count}` });
      expect(brief(await auth.authenticate(request({ password })))).toBe('0x86');
    }
    expect(state.asked).toBe(2);
  });

  test('a set that cannot be renewed serves for a while and then no more [broker]', async () => {
    const { state, url } = await keyServer(sends(await keySet(['one', ec.publicKey])));
    const { auth, clock, log } = await authenticator({ jwtJwks: url, jwtJwksRefreshMs: 60_000 });
    const long = { sub: 'a', exp: nowS + 100_000 };
    const one = request({ password: await sign(long, ec.privateKey, { alg: 'ES256', kid: 'one' }) });
    state.answer = (_, response) => void response.writeHead(500).end();
    clock.nowMs += 60_000;
    expect(brief(await auth.authenticate(one))).toBe('yes a');
    await expect.poll(() => log.lines.join()).toContain('the answer has status 500');
    clock.nowMs += 11 * 60_000;
    expect(brief(await auth.authenticate(one))).toBe('0x86');
    state.answer = sends(await keySet(['one', ec.publicKey]));
    clock.nowMs += 10_000;
    expect(brief(await auth.authenticate(one))).toBe('yes a');
  });

  test('a set that does not come holds up no token whose key is there [broker]', async () => {
    const { state, url } = await keyServer(sends(await keySet(['one', ec.publicKey])));
    const { auth, clock } = await authenticator({
      jwtJwks: url,
      authHttpTimeoutMs: 60_000,
      authFailuresMax: 0,
    });
    state.answer = () => {};
    clock.nowMs += 10_000;
    const made = await sign({ sub: 'x' }, ec.privateKey, { alg: 'ES256', kid: 'made-up' });
    const waiting = Array.from({ length: 100 }, async () => auth.authenticate(request({ password: made })));
    const one = await sign({ sub: 'a' }, ec.privateKey, { alg: 'ES256', kid: 'one' });
    expect(brief(await auth.authenticate(request({ password: one })))).toBe('yes a');
    expect(state.asked).toBe(2);
    auth.close();
    expect(new Set((await Promise.all(waiting)).map(brief))).toEqual(new Set(['0x86']));
  });

  test.each<[string, RequestListener, string]>([
    ['is no key set', sends('{"keys":7}'), 'malformed'],
    ['is no JSON', sends('<html>'), 'JSON'],
    ['is endless', (_, response) => void response.end('x'.repeat(2_000_000)), 'longer than'],
    ['redirects', (_, response) => void response.writeHead(302, { location: '/x' }).end(), 'status 302'],
    ['does not come', () => {}, 'timeout'],
  ])(
    'an answer that %s gives no keys, is logged, and does not end the start [broker]',
    async (_, answer, reason) => {
      const { url } = await keyServer(answer);
      const { auth, log } = await authenticator({ jwtJwks: url, authHttpTimeoutMs: 300 });
      expect(log.lines.join()).toContain(reason);
      const token = await sign({ sub: 'a' }, ec.privateKey, { alg: 'ES256', kid: 'one' });
      expect(brief(await auth.authenticate(request({ password: token })))).toBe('0x86');
    },
  );

  test('private keys and shared secrets in a set are of no use [ref-8725]', async () => {
    const jwk = { kty: 'oct', k: Buffer.from(secret).toString('base64url'), kid: 'one', alg: 'HS256' };
    const { auth } = await authenticator({ jwtJwks: file('keys.json', JSON.stringify({ keys: [jwk] })) });
    const password = await sign({ sub: 'a' }, Buffer.from(secret), { alg: 'HS256', kid: 'one' });
    expect(brief(await auth.authenticate(request({ password })))).toBe('0x86');
  });
});
