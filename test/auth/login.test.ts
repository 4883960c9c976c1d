import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { AccountStore } from '../../src/auth/account-store.js';
import { LoginCheck } from '../../src/auth/login-check.js';
import { LOGIN_FAILURES_MAX, LoginLimiter } from '../../src/auth/login-limiter.js';
import { LoginTokens, TOKENS_PER_ACCOUNT_MAX } from '../../src/auth/login-token.js';
import { Counters, createCounterMemory, CounterReader, MAIN_BLOCK } from '../../src/telemetry/counter.js';
import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import { cheapHash } from '../http/access-fixture.js';

const minuteMs = 60_000;

function from(address: string, username = 'admin', isLoopback = false) {
  return { username, address, isLoopback };
}

/** Fails until a wait begins; gives the number of failures and the wait. */
function failUntilLocked(limiter: LoginLimiter, attempt: ReturnType<typeof from>, nowMs: number) {
  let count = 0;
  while (limiter.waitMs(attempt, nowMs) === 0) {
    limiter.begin(attempt, nowMs);
    count += 1;
  }
  return { count, waitMs: limiter.waitMs(attempt, nowMs) };
}

describe('wrong passwords', () => {
  it('make an address wait from the fifth on, and twice as long with each further one, up to 15 minutes [broker]', () => {
    const limiter = new LoginLimiter();
    let nowMs = 0;
    const first = failUntilLocked(limiter, from('192.0.2.1'), nowMs);
    expect(first).toEqual({ count: LOGIN_FAILURES_MAX, waitMs: 30_000 });
    const waits: number[] = [];
    for (let round = 0; round < 7; round++) {
      nowMs += limiter.waitMs(from('192.0.2.1'), nowMs);
      expect(limiter.waitMs(from('192.0.2.1'), nowMs)).toBe(0);
      waits.push(failUntilLocked(limiter, from('192.0.2.1'), nowMs).waitMs / 1000);
    }
    expect(waits).toEqual([60, 120, 240, 480, 900, 900, 900]);
    // Also for other accounts, and for those that do not exist.
    expect(limiter.waitMs(from('192.0.2.1', 'nobody'), nowMs)).toBeGreaterThan(0);
  });

  it('are counted for a whole IPv6 network, however its addresses are written [broker]', () => {
    const limiter = new LoginLimiter();
    for (let host = 1; host <= LOGIN_FAILURES_MAX; host++)
      limiter.begin(from(`2001:db8::${host}`, `u${host}`), 0);
    expect(limiter.waitMs(from('2001:db8:0:0:ffff::9', 'x'), 0)).toBeGreaterThan(0);
    expect(limiter.waitMs(from('2001:db8:0:1::1', 'x'), 0)).toBe(0);
  });

  it('from many addresses make strangers wait for that account, at most 5 minutes [broker]', () => {
    const limiter = new LoginLimiter();
    for (let host = 0; host < 40; host++) limiter.begin(from(`10.0.0.${host}`), 0);
    expect(limiter.waitMs(from('10.1.0.0'), 0)).toBe(5 * minuteMs);
    expect(limiter.waitMs(from('10.1.0.0', 'other'), 0)).toBe(0);
  });

  it('of strangers never keep out the owner who comes from this machine or from where he has signed in [broker]', () => {
    const limiter = new LoginLimiter();
    limiter.begin(from('198.51.100.7'), 0);
    limiter.succeeded(from('198.51.100.7'));
    for (let host = 0; host < 100; host++) limiter.begin(from(`10.0.0.${host}`), 1);
    expect(limiter.waitMs(from('198.51.100.7'), 1)).toBe(0);
    expect(limiter.waitMs(from('127.0.0.1', 'admin', true), 1)).toBe(0);
    expect(limiter.waitMs(from('203.0.113.1'), 1)).toBeGreaterThan(0);
  });

  it('are taken back by a right one for the same account, and not by one for another account [broker]', () => {
    const limiter = new LoginLimiter();
    const tries = (username: string, count: number) => {
      for (let index = 0; index < count; index++) limiter.begin(from('192.0.2.1', username), 0);
    };
    tries('owner', 4);
    limiter.begin(from('192.0.2.1', 'owner'), 0);
    limiter.succeeded(from('192.0.2.1', 'owner'));
    tries('owner', 4);
    expect(limiter.waitMs(from('192.0.2.1', 'owner'), 0)).toBe(0);
    // An attacker who has an account of his own gains nothing by signing in to it in between.
    const other = new LoginLimiter();
    for (let guess = 0; guess < LOGIN_FAILURES_MAX; guess++) {
      other.begin(from('192.0.2.2', 'victim'), 0);
      other.begin(from('192.0.2.2', 'mallory'), 0);
      other.succeeded(from('192.0.2.2', 'mallory'));
    }
    expect(other.waitMs(from('192.0.2.2', 'victim'), 0)).toBeGreaterThan(0);
  });

  it('are forgotten an hour after the last one [broker]', () => {
    const limiter = new LoginLimiter();
    failUntilLocked(limiter, from('192.0.2.1'), 0);
    const laterMs = 30_000 + 60 * minuteMs;
    expect(failUntilLocked(limiter, from('192.0.2.1'), laterMs).count).toBe(LOGIN_FAILURES_MAX);
  });

  it('never let an address try more often than the waits allow, whatever it does [broker]', () => {
    const step = fc.record({
      username: fc.constantFrom('a', 'b'),
      afterMs: fc.nat({ max: minuteMs }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const limiter = new LoginLimiter();
        let nowMs = 0;
        let heard = 0;
        for (const { username, afterMs } of steps) {
          nowMs += afterMs;
          const attempt = from('192.0.2.1', username);
          if (limiter.waitMs(attempt, nowMs) > 0) continue;
          limiter.begin(attempt, nowMs);
          heard += 1;
        }
        // 30 s, 60 s, … of waiting lie between the attempts after the fifth.
        const further = Math.ceil(Math.log2(nowMs / 30_000 + 2)) + nowMs / (15 * minuteMs);
        expect(heard).toBeLessThanOrEqual(LOGIN_FAILURES_MAX + further);
      }),
    );
  });
});

describe('the check of a password', () => {
  it('looks at no more than five at the same time from one address, and counts what came of them [broker]', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
    try {
      const accounts = new AccountStore(join(folder, 'accounts.json'), cheapHash);
      await accounts.create({ username: 'admin', role: 'administrator', description: '' }, 'right-right');
      const memory = createCounterMemory(0);
      const reader = new CounterReader(memory);
      const check = new LoginCheck({ accounts, counters: new Counters(memory, MAIN_BLOCK), now: () => 0 });
      const guesses = Array.from({ length: 12 }, () => check.check(from('192.0.2.1'), 'wrong-wrong'));
      const outcomes = (await Promise.all(guesses)).map(({ outcome }) => outcome);
      expect(outcomes.filter((one) => one === 'wrong')).toHaveLength(LOGIN_FAILURES_MAX);
      expect(outcomes.filter((one) => one === 'locked')).toHaveLength(7);
      expect(reader.total(slotOf('loginsFailed', 'credentials'))).toBe(LOGIN_FAILURES_MAX);
      expect(reader.total(slotOf('loginsFailed', 'locked'))).toBe(7);
      expect(reader.total(slot.loginLocks)).toBe(1);
      // The right password does not help where one has to wait; elsewhere it does.
      expect((await check.check(from('192.0.2.1'), 'right-right')).outcome).toBe('locked');
      expect((await check.check(from('127.0.0.1', 'admin', true), 'right-right')).outcome).toBe('right');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('turns away what nobody has room for, and does not count it against anybody [broker]', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
    try {
      const accounts = new AccountStore(join(folder, 'accounts.json'), cheapHash);
      await accounts.create({ username: 'admin', role: 'administrator', description: '' }, 'right-right');
      let release = () => {};
      const gate = new Promise<void>((resolve) => (release = resolve));
      accounts.verify = async () => {
        await gate;
        return undefined;
      };
      const counters = new Counters(createCounterMemory(0), MAIN_BLOCK);
      const check = new LoginCheck({ accounts, counters, now: () => 0 });
      const waiting = Array.from({ length: 34 }, (_, host) =>
        check.check(from(`10.0.1.${host}`, `u${host}`), 'x'),
      );
      const surplus = Array.from({ length: 20 }, () => check.check(from('10.0.2.1'), 'x'));
      expect((await Promise.all(surplus)).map(({ outcome }) => outcome)).toEqual(surplus.map(() => 'busy'));
      release();
      await Promise.all(waiting);
      expect((await check.check(from('10.0.2.1'), 'x')).outcome).toBe('wrong');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('tokens', () => {
  const idleMs = 60 * minuteMs;

  it('last while they are used, and end an hour after the last use [broker]', () => {
    const tokens = new LoginTokens(idleMs);
    const token = tokens.issue('admin', 0);
    expect(token).toMatch(/^[\w-]{43}$/);
    for (let nowMs = 0; nowMs < 5 * idleMs; nowMs += idleMs - 1) {
      expect(tokens.check(token, nowMs).outcome).toBe('accepted');
    }
    const lastMs = 5 * (idleMs - 1);
    expect(tokens.check(token, lastMs + idleMs).outcome).toBe('expired');
    expect(tokens.check(token, lastMs + idleMs).outcome).toBe('unknown');
    expect(tokens.size).toBe(0);
  });

  it('end by themselves, or all of an account at once, and with them their streams [broker]', () => {
    const tokens = new LoginTokens(idleMs);
    const [first, second, other] = [tokens.issue('a', 0), tokens.issue('a', 0), tokens.issue('b', 0)];
    const destroyed: string[] = [];
    for (const token of [first, second, other]) {
      const answer = tokens.check(token, 0);
      if (answer.outcome !== 'accepted') throw new Error('not accepted');
      tokens.hold(answer.session, { destroy: () => destroyed.push(token) }, () => 0);
      if (token === first) tokens.end(answer.session);
    }
    expect(tokens.check(first, 0).outcome).toBe('unknown');
    tokens.endAll('a');
    expect(tokens.check(second, 0).outcome).toBe('unknown');
    expect(tokens.check(other, 0).outcome).toBe('accepted');
    expect(destroyed).toEqual([first, second]);
  });

  it('are kept alive by an open stream, and end the time without use after it is closed [broker]', () => {
    const tokens = new LoginTokens(idleMs);
    const token = tokens.issue('a', 0);
    const answer = tokens.check(token, 0);
    if (answer.outcome !== 'accepted') throw new Error('not accepted');
    const release = tokens.hold(answer.session, { destroy: () => {} }, () => 10 * idleMs);
    expect(tokens.check(token, 5 * idleMs).outcome).toBe('accepted');
    release();
    expect(tokens.check(token, 11 * idleMs - 1).outcome).toBe('accepted');
    expect(tokens.check(token, 13 * idleMs).outcome).toBe('expired');
  });

  it('of one account are bounded: the one unused for the longest gives way, others are not touched [broker]', () => {
    const tokens = new LoginTokens(idleMs);
    const other = tokens.issue('b', 0);
    const own = Array.from({ length: TOKENS_PER_ACCOUNT_MAX }, (_, index) => tokens.issue('a', index));
    tokens.check(own[0] ?? '', 1000);
    const more = tokens.issue('a', 1001);
    expect(tokens.size).toBe(TOKENS_PER_ACCOUNT_MAX + 1);
    expect(tokens.check(own[1] ?? '', 1002).outcome).toBe('unknown');
    for (const token of [own[0] ?? '', more, other]) {
      expect(tokens.check(token, 1002).outcome).toBe('accepted');
    }
  });
});
