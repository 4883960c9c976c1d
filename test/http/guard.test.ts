import { afterEach, describe, expect, it } from 'vitest';

import { isAllowed, type Principal } from '../../src/http/permission.js';
import { basic, bearer, fileKeys } from './access-fixture.js';
import { type Api, type ApiFixtureOptions, createApi } from './fixture.js';

const queues = '/api/v5/queues';
const publish = '/api/v5/publish';
const key: Principal = {
  kind: 'api_key',
  name: 'k',
  role: 'administrator',
  scopes: undefined,
  namespace: undefined,
};

function may(principal: Principal, what: string, username?: string): boolean {
  const [method = '', route = ''] = what.split(' ');
  return isAllowed(principal, { method, route, username });
}

describe('a role', () => {
  const rights = ['GET', 'POST'].flatMap((method) => [`${method} ${queues}`, `${method} ${publish}`]);
  const asked = [...rights, 'GET /api/v5/audit', 'DELETE /api/v5/x', 'PUT /api/v5/users/:username'];
  it.each([
    ['an administrator does everything', key, asked],
    ['a viewer looks', { ...key, role: 'viewer' as const }, [`GET ${queues}`, `GET ${publish}`]],
    ['a publisher publishes', { ...key, role: 'publisher' as const }, [`POST ${publish}`]],
    [
      'a key with the scope of queues does what belongs to queues and clients',
      { ...key, scopes: ['connections'] },
      rights,
    ],
    ['a key whose scopes are all unknown does nothing', { ...key, scopes: [] }, []],
    ['a key of a namespace looks', { ...key, namespace: 'north' }, [`GET ${queues}`, `GET ${publish}`]],
    [
      'a publisher of a namespace does nothing',
      { ...key, role: 'publisher' as const, namespace: 'north' },
      [],
    ],
  ])('%s [ref-7.5]', (_title, principal, allowed) => {
    expect(asked.filter((what) => may(principal, what)).toSorted()).toEqual(allowed.toSorted());
  });

  it.each([
    'GET /metrics',
    'GET /api/v5/prometheus/stats',
    'GET /api/v5/monitor_current',
    'GET /api/v5/stats',
    'GET /api/v5/metrics',
    'GET /api/v5/shards',
    'DELETE /api/v5/clients/:clientid',
    'POST /api/v5/message_queues/queues/:name/purge',
    'DELETE /api/v5/mqtt/retainer/messages',
  ])('with scopes includes %s, unless its scopes are all unknown [ref-7.5]', (what) => {
    expect(may({ ...key, scopes: ['connections'] }, what)).toBe(true);
    expect(may({ ...key, scopes: [] }, what)).toBe(false);
  });

  it.each([
    'POST /api/v5/shards/:id/restart',
    'GET /api/v5/events',
    'GET /api/v5/logs',
    'PUT /api/v5/log_levels',
    'PUT /api/v5/configs',
    'POST /api/v5/data/backup',
    'POST /api/v5/banned',
    'GET /api/v5/users',
    'POST /api/v5/api_key',
    'POST /metrics',
    'GET /something/new',
    'GET /api/v5/something_new',
  ])('with scopes does not include %s [ref-7.5]', (what) => {
    expect(may({ ...key, scopes: ['connections'] }, what)).toBe(false);
    expect(may(key, what)).toBe(true);
  });

  it.each(['POST /api/v5/key_expression/check', 'POST /api/v5/topic_filter/check'])(
    'with one namespace or one scope may ask %s, which changes nothing; a viewer has GET only [ref-7.5]',
    (what) => {
      expect(may({ ...key, role: 'viewer' }, what)).toBe(false);
      expect(may({ ...key, namespace: 'north' }, what)).toBe(true);
      expect(may({ ...key, scopes: ['connections'] }, what)).toBe(true);
      expect(may({ ...key, role: 'publisher' }, what)).toBe(false);
    },
  );

  it('lets everybody ask who he is, sign out, and change his own password, which a key has not [broker]', () => {
    const viewer: Principal = { ...key, kind: 'user', name: 'eve', role: 'viewer' };
    const change = 'POST /api/v5/users/:username/change_pwd';
    expect(may(viewer, change, 'eve')).toBe(true);
    expect(may(viewer, change, 'root')).toBe(false);
    expect(may(viewer, change)).toBe(false);
    expect(may({ ...viewer, kind: 'api_key' }, change, 'eve')).toBe(false);
    for (const principal of [viewer, { ...key, role: 'publisher' as const }, { ...key, scopes: [] }]) {
      expect(may(principal, 'GET /api/v5/current_user')).toBe(true);
      expect(may(principal, 'POST /api/v5/logout')).toBe(true);
    }
  });
});

describe('a request from this machine', () => {
  let api: Api;
  afterEach(() => api.close());

  async function start(options: ApiFixtureOptions): Promise<Api> {
    api = await createApi(options);
    return api;
  }

  function get(headers: Record<string, string> = {}) {
    return api.send({ method: 'GET', url: queues, headers });
  }

  it('needs no key while there is no file of keys, unless a setting or the mark of a proxy says otherwise [broker]', async () => {
    await start({});
    expect(await get()).toMatchObject({ status: 200 });
    for (const header of ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']) {
      expect(await get({ [header]: 'x' }), header).toMatchObject({
        status: 403,
        body: { code: 'FORBIDDEN' },
      });
      const headers = { ...bearer(api.access, 'watcher'), [header]: 'x' };
      expect(await get(headers), header).toMatchObject({ status: 200 });
    }
    await api.close();
    await start({ access: { localAccess: 'false' } });
    expect(await get()).toMatchObject({ status: 401, body: { code: 'AUTHORIZATION_HEADER_ERROR' } });
    expect(await get(bearer(api.access, 'watcher'))).toMatchObject({ status: 200 });
    await api.close();
    await start({ apiKeys: fileKeys('key:secret') });
    expect(await get()).toMatchObject({ status: 401 });
  });

  it('that shows a key or a token is judged by it, and by nothing when the key is unknown [broker]', async () => {
    await start({});
    const wanted = {
      name: 'look',
      role: 'viewer',
      description: '',
      enabled: true,
      expiresAtMs: null,
    } as const;
    const made = await api.access.keys.create(wanted, 0);
    if (typeof made === 'string') throw new Error(made);
    const remove = (headers: Record<string, string>) =>
      api.send({ method: 'DELETE', url: `${queues}/jobs`, headers });
    expect(await remove(basic(`${made.key.key}:${made.secret}`))).toMatchObject({ status: 403 });
    expect(await remove(bearer(api.access, 'watcher'))).toMatchObject({ status: 403 });
    // As curl with the key of an example does against a broker without keys.
    expect(await remove(basic('key:secret'))).toMatchObject({ status: 404 });
  });
});
