import { createHook } from 'node:async_hooks';
import { renameSync, writeFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { createAuthenticator } from '../../src/auth/chain.js';
import { FailureLimiter } from '../../src/auth/failure-limiter.js';
import { hashPassword } from '../../src/auth/password-hash.js';
import { Counters, MAIN_BLOCK, createCounterMemory } from '../../src/telemetry/counter.js';
import { afterwards, authenticator, brief, file, memoryLog, request, settings } from './fixture.js';

const cheap = { ln: 10, r: 8, p: 1 };
const elsewhere = '192.0.2.7:40000';

async function line(username: string, password: string): Promise<string> {
  return `${username}:${await hashPassword(Buffer.from(password), cheap)}\n`;
}

async function passwordFile(...users: readonly (readonly [string, string])[]): Promise<string> {
  const lines = await Promise.all(users.map(([username, password]) => line(username, password)));
  return file('passwords', lines.join(''));
}

describe('anonymous clients', () => {
  test.each([
    ['auto', false, 'local', 'yes anonymous'],
    ['auto', false, 'remote', '0x87'],
    ['auto', true, 'local', '0x87'],
    ['auto', true, 'remote', '0x87'],
    ['true', false, 'remote', 'yes anonymous'],
    ['true', true, 'remote', 'yes anonymous'],
    ['false', false, 'local', '0x87'],
    ['false', true, 'local', '0x87'],
  ] as const)(
    'SLUICE_ALLOW_ANONYMOUS=%s, password file %s, from a %s address: %s [MQTT-3.1.4-2]',
    async (allowAnonymous, hasFile, from, expected) => {
      const { auth } = await authenticator({
        allowAnonymous,
        passwordFile: hasFile ? await passwordFile(['alice', 'secret']) : undefined,
      });
      const step = await auth.authenticate(request(from === 'local' ? {} : { from: elsewhere }));
      expect(brief(step)).toBe(expected);
    },
  );

  test('without any method a user name is what the client says it is, and the answer comes at once [broker]', async () => {
    const { auth, succeeded } = await authenticator();
    expect(auth.authenticate(request({ username: 'bob', password: 'whatever' }))).toEqual({
      kind: 'success',
      identity: { username: 'bob' },
    });
    expect(succeeded('anonymous')).toBe(1);
  });

  test('a password without a user name is not anonymous when there are methods [broker]', async () => {
    const { auth, failed } = await authenticator({
      allowAnonymous: 'true',
      passwordFile: await passwordFile(['alice', 'secret']),
    });
    expect(brief(await auth.authenticate(request({ password: 'secret' })))).toBe('0x86');
    expect(failed('credentials')).toBe(1);
  });
});

describe('the password file', () => {
  test('the right password lets a user in, anything else is 0x86 whoever it is for [MQTT-3.1.4-2]', async () => {
    const { auth, succeeded, failed } = await authenticator({
      allowAnonymous: 'true',
      passwordFile: await passwordFile(['alice', 'secret'], ['bob', 'other']),
    });
    const ask = async (username: string, password?: string) =>
      brief(await auth.authenticate(request({ username, ...(password === undefined ? {} : { password }) })));
    expect(await ask('alice', 'secret')).toBe('yes alice');
    expect(await ask('alice', 'other')).toBe('0x86');
    expect(await ask('alice', '')).toBe('0x86');
    expect(await ask('alice')).toBe('0x86');
    expect(await ask('Alice', 'secret')).toBe('0x86');
    expect(await ask('carol', 'secret')).toBe('0x86');
    expect(await ask('', 'secret')).toBe('0x86');
    expect(await ask('carol')).toBe('0x86');
    expect(await ask('__proto__', 'secret')).toBe('0x86');
    expect(succeeded('password')).toBe(1);
    expect(failed('credentials')).toBe(8);
  });

  test('an unknown user costs one slow hash, as a known one with a wrong password does [broker]', async () => {
    const { auth } = await authenticator({
      passwordFile: await passwordFile(['alice', 'secret'], ['bob', 'x']),
    });
    let hashes = 0;
    const hook = createHook({
      init: (_, type) => void (hashes += type === 'SCRYPTREQUEST' ? 1 : 0),
    }).enable();
    afterwards(() => hook.disable());
    const costs: number[] = [];
    for (const username of ['alice', 'nobody', 'bob', 'nobody-2', '']) {
      hashes = 0;
      await auth.authenticate(request({ username, password: 'wrong' }));
      costs.push(hashes);
    }
    expect(costs).toEqual([1, 1, 1, 1, 1]);
  });

  test('a password that was right is remembered for a time, a wrong one never [broker]', async () => {
    const { auth, clock, cacheHits } = await authenticator({
      passwordFile: await passwordFile(['alice', 'secret']),
      authCacheMs: 1000,
    });
    const good = request({ username: 'alice', password: 'secret' });
    const bad = request({ username: 'alice', password: 'wrong' });
    expect(brief(await auth.authenticate(good))).toBe('yes alice');
    expect(auth.authenticate(good)).not.toBeInstanceOf(Promise);
    expect(cacheHits('password')).toBe(1);
    expect(brief(await auth.authenticate(bad))).toBe('0x86');
    expect(auth.authenticate(bad)).toBeInstanceOf(Promise);
    clock.nowMs += 1000;
    expect(auth.authenticate(good)).toBeInstanceOf(Promise);
  });

  test('a changed file counts after a reload, and what was remembered of the old line is gone [broker]', async () => {
    const path = await passwordFile(['alice', 'secret']);
    const { auth } = await authenticator({ passwordFile: path });
    const old = request({ username: 'alice', password: 'secret' });
    expect(brief(await auth.authenticate(old))).toBe('yes alice');
    writeFileSync(path, await line('alice', 'changed'));
    await auth.reload();
    expect(brief(await auth.authenticate(old))).toBe('0x86');
    expect(brief(await auth.authenticate(request({ username: 'alice', password: 'changed' })))).toBe(
      'yes alice',
    );
  });

  test('a file that became unusable changes nothing and is logged with its line, never with its content [broker]', async () => {
    const path = await passwordFile(['alice', 'secret']);
    const { auth, log } = await authenticator({ passwordFile: path });
    writeFileSync(path, `${await line('alice', 'changed')}bob:plain-text\n`);
    await auth.reload();
    expect(brief(await auth.authenticate(request({ username: 'alice', password: 'secret' })))).toBe(
      'yes alice',
    );
    expect(log.lines.join('\n')).toContain('line 2: what follows the colon is not a hash');
    expect(log.lines.join('\n')).not.toContain('plain-text');
  });

  test('a file that another one replaces is read without being told [broker]', async () => {
    const path = await passwordFile(['alice', 'secret']);
    const { auth } = await authenticator({ passwordFile: path, authFailuresMax: 0 });
    const next = `${path}.new`;
    writeFileSync(next, await line('alice', 'changed'));
    renameSync(next, path);
    const changed = request({ username: 'alice', password: 'changed' });
    await expect
      .poll(async () => brief(await auth.authenticate(changed)), { timeout: 20_000 })
      .toBe('yes alice');
  });

  test('comments, empty lines, a mark of UTF-8 and Windows line ends are passed over [broker]', async () => {
    const { auth } = await authenticator({
      passwordFile: file('passwords', `\uFEFF# users\r\n\r\n${(await line('alice', 'secret')).trim()}\r\n`),
    });
    expect(brief(await auth.authenticate(request({ username: 'alice', password: 'secret' })))).toBe(
      'yes alice',
    );
  });

  test.each([
    ['alice', 'line 1: a line is username:hash'],
    ['# a\n:x', 'line 2: a line is username:hash'],
    ['a:$6$x$y', 'line 1: a salt or key'],
  ])('the start fails with ERR_AUTH for the file %j [broker]', async (content, reason) => {
    const start = authenticator({ passwordFile: file('passwords', content) });
    await expect(start).rejects.toMatchObject({ code: 'ERR_AUTH', message: expect.stringContaining(reason) });
  });

  test('the start fails with ERR_AUTH for a user who is there twice, and for a file that is missing [broker]', async () => {
    const twice = authenticator({ passwordFile: await passwordFile(['alice', 'a'], ['alice', 'b']) });
    await expect(twice).rejects.toThrow('line 2: the user is there twice');
    const missing = authenticator({ passwordFile: `${file('x', '')}.missing` });
    await expect(missing).rejects.toMatchObject({ code: 'ERR_AUTH' });
  });
});

describe('certificates', () => {
  test('the user of a verified certificate is let in without a password, before all other methods [broker]', async () => {
    const { auth, succeeded } = await authenticator({
      allowAnonymous: 'false',
      passwordFile: await passwordFile(['alice', 'secret']),
    });
    const step = auth.authenticate(
      request({
        username: 'root',
        password: 'x',
        from: elsewhere,
        facts: { certificateUsername: 'device-7' },
      }),
    );
    expect(step).toEqual({ kind: 'success', identity: { username: 'device-7' } });
    expect(succeeded('certificate')).toBe(1);
    const nameless = auth.authenticate(request({ from: elsewhere, facts: { certificateUsername: '' } }));
    expect(nameless).toEqual({ kind: 'refused', reasonCode: 0x87 });
  });
});

describe('too many failures', () => {
  test('an address with too many wrong passwords in a minute is refused unheard, right ones as well [broker]', async () => {
    const { auth, clock, failed, log } = await authenticator({
      passwordFile: await passwordFile(['alice', 'secret']),
      authFailuresMax: 3,
    });
    const good = request({ username: 'alice', password: 'secret', from: elsewhere });
    expect(brief(await auth.authenticate(good))).toBe('yes alice');
    for (let count = 0; count < 3; count++) {
      const bad = request({ username: 'alice', password: `${count}`, from: `192.0.2.7:${count + 1}` });
      expect(brief(await auth.authenticate(bad))).toBe('0x86');
    }
    expect(log.lines.filter((one) => one.startsWith('warn'))).toEqual([
      expect.stringContaining('"address":"192.0.2.7"'),
    ]);
    // At once: neither a hash nor the memory of right passwords is asked.
    expect(auth.authenticate(good)).toEqual({ kind: 'refused', reasonCode: 0x97 });
    expect(failed('blocked')).toBe(1);
    const neighbour = request({ username: 'alice', password: 'secret', from: '192.0.2.8:1' });
    expect(brief(await auth.authenticate(neighbour))).toBe('yes alice');
    clock.nowMs += 60_000;
    expect(brief(await auth.authenticate(good))).toBe('yes alice');
  });

  test('loopback is no exception, and guesses sent at once are counted before their turn [broker]', async () => {
    const { auth, failed } = await authenticator({
      passwordFile: await passwordFile(['alice', 'secret']),
      authFailuresMax: 5,
      authHashesMax: 1,
    });
    const guesses = Array.from({ length: 40 }, async (_, index) =>
      auth.authenticate(request({ username: 'alice', password: `guess ${index}` })),
    );
    const answers = (await Promise.all(guesses)).map(brief);
    expect(answers.filter((answer) => answer === '0x97').length).toBeGreaterThanOrEqual(34);
    expect(failed('credentials') + failed('blocked')).toBe(40);
    expect(brief(await auth.authenticate(request({ username: 'alice', password: 'secret' })))).toBe('0x97');
  });

  test('clients that prove nothing are refused and do not count as wrong credentials [broker]', async () => {
    const { auth, failed } = await authenticator({ allowAnonymous: 'false', authFailuresMax: 1 });
    for (let count = 0; count < 3; count++) expect(brief(await auth.authenticate(request()))).toBe('0x87');
    expect(failed('anonymous')).toBe(3);
  });

  test('with 0 there is no limit, and a limiter can be shared with the listener [broker]', async () => {
    const free = new FailureLimiter(0);
    for (let count = 0; count < 1000; count++) expect(free.add(elsewhere, 0)).toBe(false);
    expect(free.isBlocked(elsewhere, 0)).toBe(false);

    const failures = new FailureLimiter(1);
    const auth = await createAuthenticator(settings({ passwordFile: await passwordFile(['a', 'b']) }), {
      logger: memoryLog(),
      counters: new Counters(createCounterMemory(0), MAIN_BLOCK),
      now: () => 5,
      failures,
    });
    expect(brief(await auth.authenticate(request({ username: 'a', password: 'c' })))).toBe('0x86');
    expect(failures.isBlocked('127.0.0.1:9', 5)).toBe(true);
    auth.close();
  });

  test.each([
    ['192.0.2.7:1', '192.0.2.7:2', true],
    ['192.0.2.7:1', '192.0.2.8:1', false],
    ['[2001:db8::1]:1', '[2001:db8::2]:2', true],
    ['[2001:db8:0:1::1]:1', '[2001:db8:0:2::1]:1', false],
    ['[2001:db8::1]:1', '[2001:0db8:0000:0000:ffff::]:1', true],
    ['[::ffff:192.0.2.7]:1', '192.0.2.7:1', true],
    ['[::ffff:192.0.2.7]:1', '[::ffff:192.0.2.8]:1', false],
    ['[fe80::1%eth0]:1', '[fe80::2%eth1]:1', true],
    ['[::1]:1', '127.0.0.1:1', false],
    ['unix:', 'unix:', true],
    ['unix:', '127.0.0.1:1', false],
  ])('%s and %s are one address: %s [broker]', (one, other, same) => {
    const limiter = new FailureLimiter(1);
    expect(limiter.add(one, 0)).toBe(true);
    expect(limiter.isBlocked(one, 0)).toBe(true);
    expect(limiter.isBlocked(other, 0)).toBe(same);
  });

  test('the number of addresses that are remembered is bounded [broker]', () => {
    const limiter = new FailureLimiter(1);
    limiter.add('192.0.2.7:1', 0);
    for (let index = 0; index < 65_536; index++) {
      limiter.add(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:1`, 0);
    }
    expect(limiter.isBlocked('192.0.2.7:1', 0)).toBe(false);
    expect(limiter.isBlocked('10.0.255.255:1', 0)).toBe(true);
  });
});

describe('settings', () => {
  test.each([
    [{ jwtIssuer: 'me' }, 'need a key'],
    [{ jwtClaims: { sub: '%u' } }, 'need a key'],
    [{ jwtSecret: 'x'.repeat(32), jwtSecretFile: 'y' }, 'excludes'],
    [{ authHttpUrl: 'http://localhost/', authHttpHeaders: { a: 1 } }, 'the header a is not a text'],
  ])('%j would have no effect or no meaning, and ends the start [broker]', async (changes, reason) => {
    await expect(authenticator(changes)).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining(reason),
    });
  });
});
