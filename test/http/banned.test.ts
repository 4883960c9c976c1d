import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type Api, createApi } from './fixture.js';

let api: Api;
let nowMs: number;
beforeEach(async () => {
  nowMs = Date.parse('2026-01-01T00:00:00Z');
  api = await createApi({ access: { now: () => nowMs } });
});
afterEach(() => api.close());

describe('bans', () => {
  it('are made, listed by pages, found, and lifted, with the fields of EMQX [broker]', async () => {
    const made = await api.call('POST', '/banned', {
      as: 'clientid',
      who: 'a/b c',
      reason: 'noise',
      by: 'ops',
      until: '2026-01-02T00:00:00Z',
    });
    const shown = {
      as: 'clientid',
      who: 'a/b c',
      by: 'ops',
      reason: 'noise',
      at: '2026-01-01T00:00:00.000Z',
      until: '2026-01-02T00:00:00.000Z',
    };
    expect(made).toMatchObject({ status: 200, body: shown });
    for (const who of ['10.0.0.0/8', '2001:db8::1', '192.0.2.7']) {
      await api.call('POST', '/banned', { as: 'peerhost', who });
    }
    expect((await api.call('GET', '/banned?limit=2&page=2')).body).toMatchObject({
      data: [{ who: '10.0.0.0/8', until: 'infinity', by: 'local' }, { who: 'a/b c' }],
      meta: { page: 2, limit: 2, count: 4, hasnext: false },
    });
    expect((await api.call('GET', '/banned?as=clientid')).body.data).toEqual([shown]);
    expect(await api.call('DELETE', '/banned/peerhost/10.0.0.0%2F8')).toMatchObject({ status: 204 });
    expect(await api.call('DELETE', '/banned/clientid/a%2Fb%20c')).toMatchObject({ status: 204 });
    expect(await api.call('DELETE', '/banned/clientid/a%2Fb%20c')).toMatchObject({ status: 404 });
    expect(await api.call('DELETE', '/banned/regex/x')).toMatchObject({ status: 400 });
    await api.call('DELETE', '/banned');
    expect((await api.call('GET', '/banned')).body.data).toEqual([]);
  });

  it('run out by themselves, and the same may then be made again [broker]', async () => {
    const ban = { as: 'username', who: 'eve', until: nowMs / 1000 + 60 };
    await api.call('POST', '/banned', ban);
    expect(await api.call('POST', '/banned', ban)).toMatchObject({ body: { code: 'ALREADY_EXISTS' } });
    nowMs += 60_000;
    expect((await api.call('GET', '/banned')).body.meta.count).toBe(0);
    expect(await api.call('POST', '/banned', { ...ban, until: 'infinity' })).toMatchObject({ status: 200 });
  });

  it('must mean somebody, and end later than now [broker]', async () => {
    for (const ban of [
      { as: 'clientid', who: '' },
      { as: 'clientid' },
      { as: 'clientid_re', who: '.*' },
      { as: 'peerhost', who: 'example.org' },
      { as: 'peerhost', who: '10.0.0.0/33' },
      { as: 'peerhost_net', who: '10.0.0.1' },
      { as: 'clientid', who: 'x', until: '2025-01-01T00:00:00Z' },
      { as: 'clientid', who: 'x', until: 'never' },
      { as: 'clientid', who: 'x', at: 'infinity' },
      { as: 'clientid', who: 'x'.repeat(1025) },
    ]) {
      expect(await api.call('POST', '/banned', ban), JSON.stringify(ban)).toMatchObject({ status: 400 });
    }
  });
});
