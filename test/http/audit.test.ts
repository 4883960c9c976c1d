import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { AUDIT_ENTRIES_MAX } from '../../src/http/audit.js';
import { basic, bearer, fileKeys, password } from './access-fixture.js';
import { type Api, createApi } from './fixture.js';

let api: Api;
async function open(): Promise<void> {
  api = await createApi({ apiKeys: fileKeys('key:top-secret\nreader:top-secret:viewer') });
}

function lines() {
  return api.audited.map(({ message, fields }) => ({ message, ...fields }));
}

describe('the audit log', () => {
  beforeEach(open);
  afterEach(() => api.close());

  it('has one line for each change, with who, from where, what, how it went and the id of the request [broker]', async () => {
    const headers = { ...basic('key:top-secret'), 'x-request-id': 'my-id.1' };
    const payload = { name: 'jobs', topic_filter: 'jobs', is_lastvalue: false };
    await api.send({ method: 'POST', url: '/api/v5/queues?x=hidden', headers, payload });
    await api.send({ method: 'GET', url: '/api/v5/queues', headers });
    const question = { filter: '#', topics: [] };
    const check = { method: 'POST', url: '/api/v5/topic_filter/check', payload: question } as const;
    expect(await api.send({ ...check, headers })).toMatchObject({ status: 200 });
    await api.send({ method: 'DELETE', url: '/api/v5/queues/nothing', headers: bearer(api.access, 'root') });
    await api.send({ method: 'DELETE', url: '/api/v5/queues/jobs', headers: basic('reader:top-secret') });
    expect(lines()).toMatchObject([
      {
        message: 'change',
        who: 'key',
        kind: 'api_key',
        from: '127.0.0.1',
        method: 'POST',
        path: '/api/v5/queues',
        status: 200,
        outcome: 'done',
        request_id: 'my-id.1',
      },
      { who: 'root', kind: 'user', path: '/api/v5/queues/nothing', status: 404, outcome: 'refused' },
      { who: 'reader', status: 403, outcome: 'refused' },
    ]);
  });

  it('has one line for each attempt to sign in, which names accounts that exist and nothing else that was typed [broker]', async () => {
    const attempt = (username: string, secret: string) => {
      const payload = { username, password: secret };
      return api.send({ method: 'POST', url: '/api/v5/login', payload });
    };
    await attempt('root', password);
    await attempt('root', 'wrong-wrong');
    await attempt('my-password-by-mistake', 'x');
    expect(lines()).toMatchObject([
      { message: 'login', who: 'root', kind: 'user', status: 200, outcome: 'done' },
      { message: 'login', who: '', kind: 'none', account: 'root', status: 401, outcome: 'refused' },
      { message: 'login', who: '', kind: 'none', status: 401 },
    ]);
    expect(JSON.stringify([lines(), api.logged])).not.toMatch(
      /my-password|wrong-wrong|correct horse|top-secret/,
    );
  });

  it('is read by administrators, by pages, the newest first [broker]', async () => {
    const headers = basic('key:top-secret');
    for (const name of ['a', 'b', 'c']) {
      await api.send({ method: 'DELETE', url: `/api/v5/queues/${name}`, headers });
    }
    const { body } = await api.send({ method: 'GET', url: '/api/v5/audit?limit=2', headers });
    expect(body.data.map(({ path }: { path: string }) => path)).toEqual([
      '/api/v5/queues/c',
      '/api/v5/queues/b',
    ]);
    expect(body.meta).toEqual({ page: 1, limit: 2, count: 3, hasnext: true });
    for (const other of [basic('reader:top-secret'), bearer(api.access, 'watcher')]) {
      expect(await api.send({ method: 'GET', url: '/api/v5/audit', headers: other })).toMatchObject({
        status: 403,
      });
    }
  });

  it('keeps what members of the house did when strangers make noise, and bounds their lines [broker]', async () => {
    await api.send({ method: 'DELETE', url: '/api/v5/queues/x', headers: basic('key:top-secret') });
    const { audit } = api.access;
    const noise = {
      who: '',
      kind: 'none',
      from: '192.0.2.1',
      action: 'login',
      method: 'POST',
      path: '/api/v5/login',
      status: 401,
      outcome: 'refused',
      request_id: 'x',
    } as const;
    for (let index = 0; index < 3 * AUDIT_ENTRIES_MAX; index++) audit.note({ ...noise, time_ms: 1000 });
    expect(audit.entries()).toHaveLength(AUDIT_ENTRIES_MAX + 1);
    expect(audit.entries()[0]?.who).toBe('key');
    expect(api.audited.length).toBe(121);
    audit.note({ ...noise, time_ms: 61_000 });
    expect(api.audited.at(-1)?.fields).toMatchObject({ left_out: 3 * AUDIT_ENTRIES_MAX - 120 });
  });
});

describe('the id of a request', () => {
  beforeAll(open);
  afterAll(() => api.close());

  it.each(['a', 'A-1_b.c', 'x'.repeat(64)])('%j is taken over and given back [broker]', async (id) => {
    const answer = await api.send({ method: 'GET', url: '/api/v5/status', headers: { 'x-request-id': id } });
    expect(answer.headers['x-request-id']).toBe(id);
  });

  it.each(['', 'x'.repeat(65), 'a b', 'a/b', 'é', '<script>'])(
    '%j is replaced by one of ours [broker]',
    async (id) => {
      const answer = await api.send({
        method: 'GET',
        url: '/api/v5/status',
        headers: { 'x-request-id': id },
      });
      expect(answer.headers['x-request-id']).toMatch(/^[\w-]{12}$/);
    },
  );

  it('stands in every log line about it [broker]', async () => {
    api.shards.queueStats = () => Promise.reject(new Error('broken inside'));
    const headers = { ...basic('key:top-secret'), 'x-request-id': 'find-me' };
    const payload = { name: 'jobs', topic_filter: 'jobs', is_lastvalue: false };
    await api.send({ method: 'POST', url: '/api/v5/queues', headers, payload });
    expect(await api.send({ method: 'GET', url: '/api/v5/queues/jobs/stats', headers })).toMatchObject({
      status: 500,
    });
    expect(JSON.parse(api.logged.at(-1) ?? '{}')).toMatchObject({
      request_id: 'find-me',
      msg: 'a request failed',
    });
  });
});
