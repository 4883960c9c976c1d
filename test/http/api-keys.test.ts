import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { basic, bearer, fileKeys } from './access-fixture.js';
import { type Api, createApi } from './fixture.js';

let api: Api;
let nowMs: number;
beforeEach(async () => {
  nowMs = Date.parse('2026-01-01T00:00:00Z');
  api = await createApi({ apiKeys: fileKeys('key:secret'), access: { now: () => nowMs } });
});
afterEach(() => api.close());

function call(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, payload?: object) {
  const headers = bearer(api.access, 'root');
  return api.send({
    method,
    url: `/api/v5/api_key${path}`,
    headers,
    ...(payload !== undefined && { payload }),
  });
}

async function statusWith(credentials: string): Promise<number> {
  const answer = await api.send({ method: 'GET', url: '/api/v5/queues', headers: basic(credentials) });
  return answer.status;
}

describe('API keys that are made by REST', () => {
  it('show their secret once, and work beside those of the file [broker]', async () => {
    const { status, body, headers } = await call('POST', '', { name: 'ci', desc: 'builds', role: 'viewer' });
    expect([status, headers['cache-control']]).toEqual([200, 'no-store']);
    const { api_secret: secret, ...shown } = body;
    expect(shown).toEqual({
      name: 'ci',
      api_key: shown.api_key,
      role: 'viewer',
      desc: 'builds',
      enable: true,
      expired: false,
      expired_at: 'infinity',
      created_at: '2026-01-01T00:00:00.000Z',
    });
    expect((await call('GET', '')).body).toEqual([shown]);
    expect((await call('GET', '/ci')).body).toEqual(shown);
    expect(await statusWith(`${shown.api_key}:${secret}`)).toBe(200);
    expect(await statusWith('key:secret')).toBe(200);
    expect(await statusWith(`${shown.api_key}:${secret}x`)).toBe(401);
    expect(api.audited.map(({ fields }) => JSON.stringify(fields)).join()).not.toContain(secret);
  });

  it('end when they expire, are switched off or removed, and may do what their role says [broker]', async () => {
    const { body } = await call('POST', '', { name: 'ci', expired_at: '2026-01-01T01:00:00+00:00' });
    const credentials = `${body.api_key}:${body.api_secret}`;
    expect(await statusWith(credentials)).toBe(200);
    nowMs += 3_600_000;
    expect(await statusWith(credentials)).toBe(401);
    expect((await call('GET', '/ci')).body.expired).toBe(true);
    await call('PUT', '/ci', { expired_at: 'infinity', role: 'publisher' });
    expect(await statusWith(credentials)).toBe(403);
    await call('PUT', '/ci', { role: 'viewer' });
    expect(await statusWith(credentials)).toBe(200);
    expect((await call('PUT', '/ci', { enable: false })).body).toMatchObject({
      enable: false,
      role: 'viewer',
    });
    expect(await statusWith(credentials)).toBe(401);
    expect(await call('DELETE', '/ci')).toMatchObject({ status: 204 });
    for (const answer of [
      await call('DELETE', '/ci'),
      await call('GET', '/ci'),
      await call('PUT', '/ci', {}),
    ]) {
      expect(answer).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
    }
  });

  it('need a name of their own and a time that is one [broker]', async () => {
    for (const change of [
      { name: '' },
      { name: '1x' },
      { name: 'a/b' },
      { name: '__proto__' },
      { expired_at: 'tomorrow' },
      { expired_at: '2026-13-01T00:00:00Z' },
      { expired_at: -1 },
      { role: 'king' },
      { api_secret: 'mine' },
    ]) {
      expect(await call('POST', '', { name: 'ci', ...change }), JSON.stringify(change)).toMatchObject({
        status: 400,
      });
    }
    await call('POST', '', { name: 'ci', expired_at: 4_000_000_000 });
    expect(await call('POST', '', { name: 'ci' })).toMatchObject({ body: { code: 'ALREADY_EXISTS' } });
  });

  it('are not there when they could not be stored: 503, and nothing has changed [broker]', async () => {
    mkdirSync(join(api.accessFolder, 'api-keys.json.tmp'));
    expect(await call('POST', '', { name: 'ci' })).toMatchObject({
      status: 503,
      body: { code: 'SERVICE_UNAVAILABLE' },
    });
    expect((await call('GET', '')).body).toEqual([]);
  });
});
