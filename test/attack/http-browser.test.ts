import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ApiKeys } from '../../src/auth/api-key.js';
import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import { Scope } from '../harness/scope.js';
import { password } from '../http/access-fixture.js';
import { exchange, type HttpTarget, requestOf, startHttpTarget, statusOf } from './http-target.js';

const admin = `Authorization: Basic ${Buffer.from('admin:1').toString('base64')}`;
const json = 'Content-Type: application/json';
const body = '{"topic_filter":"evil","is_lastvalue":false}';
const length = `Content-Length: ${body.length}`;

function create(headers: readonly string[]): string {
  return requestOf('POST /api/v5/queues HTTP/1.1', [length, ...headers], body);
}

function codeOf(text: string): string {
  return /"code":"(\w+)"/.exec(text)?.[1] ?? '';
}

async function signIn(target: HttpTarget, username: string, secret: string, headers: readonly string[] = []) {
  const content = JSON.stringify({ username, password: secret });
  const all = [json, `Content-Length: ${content.length}`, ...headers];
  return await exchange(target, requestOf('POST /api/v5/login HTTP/1.1', all, content));
}

describe('a page of another site', () => {
  const scope = new Scope();
  let open: HttpTarget;
  let guarded: HttpTarget;
  beforeAll(async () => {
    open = await startHttpTarget({ apiKeys: ApiKeys.none() }, scope);
    guarded = await startHttpTarget({}, scope);
  });
  afterAll(() => scope.release());

  test.each([
    ['its origin', ['Origin: http://evil.example', json]],
    ['no origin that it would name', ['Origin: null', json]],
    ['another port of this machine', ['Origin: http://localhost:3000', 'Sec-Fetch-Site: same-site', json]],
    ['what its browser says', ['Sec-Fetch-Site: cross-site', json]],
    ['a form', ['Origin: http://evil.example', 'Content-Type: text/plain']],
    ['a proxy in front', ['X-Forwarded-For: 192.0.2.1', json]],
    ['its own name for this machine', ['Host: evil.example', 'Origin: http://evil.example', json]],
    ['a name that begins like ours', ['Host: localhost.evil.example', json]],
    ['our address in its name', ['Host: 127.0.0.1.evil.example', json]],
    ['no name', ['Host:', json]],
    ['a user in the name', ['Host: localhost@evil.example', json]],
    ['the address of all interfaces', ['Host: 0.0.0.0', json]],
  ])('with %s changes nothing where no key is asked for [broker]', async (_what, headers) => {
    const before = open.counters.total(slotOf('restRefused', 'origin'));
    const text = await exchange(open, create(headers));
    expect([statusOf(text), codeOf(text)]).toEqual([403, 'FORBIDDEN']);
    expect(open.calls).toEqual([]);
    expect(open.counters.total(slotOf('restRefused', 'origin'))).toBe(before + 1);
  });

  test.each([
    ['Sec-Fetch-Site: cross-site'],
    ['Sec-Fetch-Site: same-site'],
    ['Origin: http://evil.example'],
    ['Origin: null'],
  ])('changes nothing with a key that the browser knows: %s [broker]', async (header) => {
    const text = await exchange(guarded, create([admin, json, header]));
    expect([statusOf(text), codeOf(text)]).toEqual([403, 'FORBIDDEN']);
    expect(guarded.calls).toEqual([]);
  });

  test('is told nothing that would let it read an answer, and a simple form is no JSON [broker]', async () => {
    const target = await startHttpTarget({ apiKeys: ApiKeys.none() });
    const origin = 'Origin: http://evil.example';
    const read = await exchange(target, requestOf('GET /api/v5/queues HTTP/1.1', [origin]));
    expect(read).not.toMatch(/access-control-/i);
    const preflight = [
      'Access-Control-Request-Method: POST',
      'Access-Control-Request-Headers: authorization',
    ];
    const asked = await exchange(
      target,
      requestOf('OPTIONS /api/v5/queues HTTP/1.1', [origin, ...preflight]),
    );
    expect(statusOf(asked)).toBeGreaterThanOrEqual(400);
    expect(asked).not.toMatch(/access-control-/i);
    const form = await exchange(target, create(['Content-Type: text/plain']));
    expect([statusOf(form), codeOf(form)]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
    expect(target.calls).toEqual([]);
  });

  test('cannot guess passwords from within the browser of the owner [broker]', async () => {
    for (const apiKeys of [ApiKeys.none(), undefined]) {
      const target = await startHttpTarget(apiKeys === undefined ? {} : { apiKeys });
      const text = await signIn(target, 'root', password, ['Sec-Fetch-Site: cross-site']);
      expect([statusOf(text), codeOf(text)]).toEqual([403, 'FORBIDDEN']);
      expect(target.access.tokens.size).toBe(0);
    }
  });

  test('that pretends to be the dashboard of this machine does what the dashboard does [broker]', async () => {
    const target = await startHttpTarget({ apiKeys: ApiKeys.none() });
    const same = [`Host: localhost:${target.port}`, `Origin: http://localhost:${target.port}`];
    expect(statusOf(await exchange(target, create([...same, 'Sec-Fetch-Site: same-origin', json])))).toBe(
      200,
    );
    expect(target.calls).not.toEqual([]);
  });
});

describe('guessing', () => {
  test('a password is heard five times, then locked for that address, counted, and the owner is not kept out [broker]', async () => {
    const target = await startHttpTarget();
    const { counters } = target;
    // Through a proxy, so that the requests do not count as coming from this machine.
    const far = ['X-Forwarded-For: 192.0.2.1'];
    const codes: string[] = [];
    for (let round = 0; round < 8; round++) {
      const text = await signIn(target, 'root', `guess-${round}`, far);
      codes.push(codeOf(text));
      if (round >= 5) expect(text).toMatch(/\r\nretry-after: \d+\r\n/i);
    }
    expect(codes).toEqual([
      ...Array.from({ length: 5 }, () => 'BAD_USERNAME_OR_PWD'),
      ...Array.from({ length: 3 }, () => 'LOGIN_LOCKED'),
    ]);
    expect(counters.total(slotOf('loginsFailed', 'credentials'))).toBe(5);
    expect(counters.total(slotOf('loginsFailed', 'locked'))).toBe(3);
    expect(counters.total(slot.loginLocks)).toBe(1);
    expect(codeOf(await signIn(target, 'root', password, far))).toBe('LOGIN_LOCKED');
    // Keys and tokens that are right go on meanwhile.
    expect(statusOf(await exchange(target, requestOf('GET /api/v5/queues HTTP/1.1', [admin])))).toBe(200);
  });

  test('many passwords at the same time are heard five times all the same [broker]', async () => {
    const target = await startHttpTarget();
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => signIn(target, 'root', `guess-${index}`)),
    );
    const codes = answers.map(codeOf);
    expect(codes.filter((code) => code === 'BAD_USERNAME_OR_PWD')).toHaveLength(5);
    expect(codes.filter((code) => code === 'LOGIN_LOCKED')).toHaveLength(35);
  });

  test('keys is refused for the rest of the minute, counted, and those who are signed in go on [broker]', async () => {
    const target = await startHttpTarget({ keyFailuresMax: 20 });
    const ask = (authorization: string) =>
      fetch(`${target.origin}/api/v5/queues`, { headers: { authorization } }).then(({ status }) => status);
    const basicOf = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
    const statuses: number[] = [];
    for (let guess = 0; guess < 25; guess++) statuses.push(await ask(basicOf(`admin:${guess + 2}`)));
    expect(statuses).toEqual([
      ...Array.from({ length: 20 }, () => 401),
      ...Array.from({ length: 5 }, () => 429),
    ]);
    expect(await ask(basicOf('admin:1'))).toBe(429);
    expect(await ask(`Bearer ${target.access.tokens.issue('root', Date.now())}`)).toBe(200);
    expect(target.counters.total(slotOf('restRefused', 'blocked'))).toBe(6);
    expect(target.counters.total(slotOf('restRefused', 'credentials'))).toBe(20);
  });
});
