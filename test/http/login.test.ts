import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { AccountStore } from '../../src/auth/account-store.js';
import { makeFirstAccount, mayWriteWith } from '../../src/http/access.js';
import { CounterReader } from '../../src/telemetry/counter.js';
import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import { basic, bearer, cheapHash, fileKeys, password } from './access-fixture.js';
import { type Api, type ApiFixtureOptions, createApi } from './fixture.js';

let api: Api;
let stop = async (): Promise<void> => {};
afterEach(async () => {
  await stop();
  stop = async () => {};
});

async function start(options: ApiFixtureOptions = {}): Promise<Api> {
  api = await createApi(options);
  stop = () => api.close();
  return api;
}

const list = '/api/v5/queues';

function signIn(username: string, secret: string, headers: Record<string, string> = {}) {
  return api.send({ method: 'POST', url: '/api/v5/login', payload: { username, password: secret }, headers });
}

function get(url: string, headers: Record<string, string> = {}) {
  return api.send({ method: 'GET', url, headers });
}

describe('signing in', () => {
  it('gives a token, the role, the version and the edition, as EMQX does [ref-7.5]', async () => {
    await start({ apiKeys: fileKeys('key:secret') });
    const answer = await signIn('root', password);
    expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
    expect(answer.body).toEqual({
      token: answer.body.token,
      role: 'administrator',
      version: '0.0.0-test',
      license: { edition: 'opensource' },
      password_expire_in_seconds: 0,
    });
    const headers = { authorization: `Bearer ${answer.body.token}` };
    expect(await get(list, headers)).toMatchObject({ status: 200 });
    expect((await get('/api/v5/current_user', headers)).body).toEqual({
      username: 'root',
      role: 'administrator',
      kind: 'user',
    });
    expect(inspect(api.access, { depth: 9, showHidden: true })).not.toContain(answer.body.token);
  });

  it('with a wrong password or an unknown name is answered alike, 401 BAD_USERNAME_OR_PWD [ref-7.5]', async () => {
    await start();
    const [wrong, unknown] = [await signIn('root', 'wrong-wrong'), await signIn('nobody', 'wrong-wrong')];
    expect(wrong).toMatchObject({ status: 401, body: { code: 'BAD_USERNAME_OR_PWD' } });
    expect(unknown.body).toEqual(wrong.body);
    expect(Object.keys(unknown.headers)).toEqual(Object.keys(wrong.headers));
  });

  it('takes nothing but a name and a password [broker]', async () => {
    await start();
    for (const payload of [
      {},
      { username: 'root' },
      { username: 'root', password: '' },
      { username: 'root', password: 1 },
      { username: ['root'], password },
      { username: 'root', password, role: 'administrator' },
      { username: 'r'.repeat(65), password },
      { username: 'root', password: 'x'.repeat(257) },
    ]) {
      expect(await api.call('POST', '/login', payload)).toMatchObject({
        status: 400,
        body: { code: 'BAD_REQUEST' },
      });
    }
  });

  it('is refused for a growing time after five wrong passwords, counted, and says how long to wait [broker]', async () => {
    let nowMs = 1_000_000;
    await start({ access: { now: () => nowMs } });
    const reader = new CounterReader(api.counterMemory);
    for (let round = 0; round < 5; round++) {
      expect((await signIn('root', 'wrong-wrong')).body.code).toBe('BAD_USERNAME_OR_PWD');
    }
    const locked = await signIn('root', password);
    expect(locked).toMatchObject({
      status: 401,
      body: { code: 'LOGIN_LOCKED' },
      headers: { 'retry-after': '30' },
    });
    expect(reader.total(slot.loginLocks)).toBe(1);
    expect(reader.total(slotOf('loginsFailed', 'credentials'))).toBe(5);
    expect(reader.total(slotOf('loginsFailed', 'locked'))).toBe(1);
    // Who is signed in is not concerned.
    expect(await get('/api/v5/current_user', bearer(api.access, 'root'))).toMatchObject({ status: 200 });
    nowMs += 30_000;
    await signIn('root', 'wrong-wrong');
    expect((await signIn('root', password)).headers['retry-after']).toBe('60');
    nowMs += 60_000;
    expect(await signIn('root', password)).toMatchObject({ status: 200 });
    expect(reader.total(slot.loginsSucceeded)).toBe(1);
  });
});

describe('a token', () => {
  it('is asked for again, by a code of its own, when it was not used for too long [ref-7.5]', async () => {
    let nowMs = 0;
    await start({ apiKeys: fileKeys('key:secret'), access: { now: () => nowMs, idleMs: 60_000 } });
    const headers = bearer(api.access, 'root');
    for (; nowMs < 300_000; nowMs += 59_999) expect(await get(list, headers)).toMatchObject({ status: 200 });
    nowMs += 60_000;
    expect(await get(list, headers)).toMatchObject({ status: 401, body: { code: 'TOKEN_TIME_OUT' } });
    expect(await get(list, headers)).toMatchObject({ status: 401, body: { code: 'BAD_TOKEN' } });
  });

  it('is worth nothing after signing out, and others of the account go on [ref-7.5]', async () => {
    await start({ apiKeys: fileKeys('key:secret') });
    const [first, second] = [bearer(api.access, 'watcher'), bearer(api.access, 'watcher')];
    const logout = { method: 'POST', url: '/api/v5/logout', headers: first } as const;
    expect(await api.send({ ...logout, payload: { username: 'watcher' } })).toMatchObject({ status: 204 });
    expect(await get(list, first)).toMatchObject({ status: 401, body: { code: 'BAD_TOKEN' } });
    expect(await api.send(logout)).toMatchObject({ status: 401 });
    expect(await get(list, second)).toMatchObject({ status: 200 });
  });

  it('that is wrong is refused also from this machine, where none is needed, so that the dashboard asks again [broker]', async () => {
    await start();
    expect(await get(list)).toMatchObject({ status: 200 });
    expect(await get(list, { authorization: 'Bearer nonsense' })).toMatchObject({
      status: 401,
      body: { code: 'BAD_TOKEN' },
    });
    expect((await get('/api/v5/current_user')).body).toEqual({
      username: 'local',
      role: 'administrator',
      kind: 'local',
    });
  });

  it('that a script of a page lacks is asked for without making the browser ask its user [broker]', async () => {
    await start({ apiKeys: fileKeys('key:secret') });
    const asked = async (headers: Record<string, string>) =>
      (await get(list, headers)).headers['www-authenticate'];
    expect(await asked({})).toBe('Basic Realm="emqx-dashboard"');
    expect(await asked({ 'sec-fetch-mode': 'navigate' })).toBe('Basic Realm="emqx-dashboard"');
    expect(await asked({ 'sec-fetch-mode': 'cors' })).toBe('Bearer realm="sluice"');
  });

  it('opens the MQTT client of the dashboard to administrators, while it lasts [broker]', async () => {
    await start();
    const token = (username: string) => api.access.tokens.issue(username, api.access.now());
    const right = token('root');
    expect(mayWriteWith(api.access, right)).toBe(true);
    expect(mayWriteWith(api.access, token('watcher'))).toBe(false);
    expect(mayWriteWith(api.access, 'nonsense')).toBe(false);
    api.access.tokens.endAll('root');
    expect(mayWriteWith(api.access, right)).toBe(false);
  });

  it('of the dashboard is no API key, and the password of an account is none either [ref-7.5]', async () => {
    await start({ apiKeys: fileKeys('key:secret') });
    expect(await get(list, basic(`root:${password}`))).toMatchObject({
      status: 401,
      body: { code: 'BAD_API_KEY_OR_SECRET' },
    });
  });
});

describe('the first account', () => {
  const settings = {
    dashboardUsername: 'boss',
    dashboardPassword: undefined,
    dashboardPasswordFile: undefined,
  };
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function accounts(): AccountStore {
    return new AccountStore(join(folder, 'accounts.json'), cheapHash);
  }

  it('is made once, with a password that is made up and told to nobody but the caller [broker]', async () => {
    const made = await makeFirstAccount(accounts(), settings);
    expect(made).toEqual({ username: 'boss', madeUp: expect.stringMatching(/^[0-9a-f]{24}$/) as string });
    const store = accounts();
    expect(await store.verify('boss', made?.madeUp ?? '')).toMatchObject({ role: 'administrator' });
    expect(await makeFirstAccount(store, { ...settings, dashboardPassword: 'other' })).toBeUndefined();
    expect(await store.verify('boss', 'other')).toBeUndefined();
  });

  it('takes the password of the setting or of its file, and does not start with a file that has none [broker]', async () => {
    const given = { ...settings, dashboardPassword: 'public' };
    expect(await makeFirstAccount(accounts(), given)).toEqual({ username: 'boss', madeUp: undefined });
    expect(await accounts().verify('boss', 'public')).toBeDefined();
    rmSync(join(folder, 'accounts.json'));
    const file = join(folder, 'secret');
    const fromFile = { ...settings, dashboardPasswordFile: file };
    await expect(makeFirstAccount(accounts(), fromFile)).rejects.toMatchObject({ code: 'ERR_CONFIG' });
    writeFileSync(file, '\n');
    await expect(makeFirstAccount(accounts(), fromFile)).rejects.toMatchObject({ code: 'ERR_CONFIG' });
    writeFileSync(file, 'from a file \n');
    await makeFirstAccount(accounts(), fromFile);
    expect(await accounts().verify('boss', 'from a file ')).toBeDefined();
  });
});
