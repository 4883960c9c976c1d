import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { basic, bearer, fileKeys, password } from './access-fixture.js';
import { type Api, createApi } from './fixture.js';

let api: Api;
let root: { authorization: string };
beforeEach(async () => {
  api = await createApi({ apiKeys: fileKeys('key:secret') });
  root = bearer(api.access, 'root');
});
afterEach(() => api.close());

function call(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  payload?: object,
  headers: Record<string, string> = root,
) {
  const url = `/api/v5/users${path}`;
  return api.send({ method, url, headers, ...(payload !== undefined && { payload }) });
}

const eve = { username: 'eve', password: 'eve-password', role: 'viewer', description: 'looks' };

describe('users', () => {
  it('are listed, made, changed and removed, and no answer has a password [broker]', async () => {
    const made = await call('POST', '', eve);
    const shown = { username: 'eve', role: 'viewer', description: 'looks', backend: 'local' };
    expect(made).toMatchObject({ status: 200, body: shown });
    expect((await call('GET', '')).body).toEqual([
      shown,
      { username: 'root', role: 'administrator', description: '', backend: 'local' },
      { username: 'watcher', role: 'viewer', description: '', backend: 'local' },
    ]);
    const changed = await call('PUT', '/eve', { description: 'acts', role: 'administrator' });
    expect(changed.body).toEqual({ ...shown, description: 'acts', role: 'administrator' });
    expect(await call('DELETE', '/eve')).toMatchObject({ status: 204 });
    expect(await call('DELETE', '/eve')).toMatchObject({ status: 404 });
    expect(await call('PUT', '/eve', {})).toMatchObject({ status: 404 });
  });

  it('need a name and a password that fit, and a name of their own [broker]', async () => {
    for (const change of [
      { username: '' },
      { username: '../eve' },
      { username: 'a b' },
      { username: '__proto__' },
      { username: 'e\r\nx: y' },
      { username: 'x'.repeat(65) },
      { password: 'short' },
      { password: 'x'.repeat(300) },
      { username: 'evelyn-x', password: 'Evelyn-X' },
      { role: 'publisher' },
      { role: 'king' },
      { tags: [] },
    ]) {
      expect(await call('POST', '', { ...eve, ...change }), JSON.stringify(change)).toMatchObject({
        status: 400,
        body: { code: 'BAD_REQUEST' },
      });
    }
    expect(await call('POST', '', { username: 'eve', password: 'eve-password' })).toMatchObject({
      body: { role: 'viewer' },
    });
    expect(await call('POST', '', eve)).toMatchObject({ status: 400, body: { code: 'ALREADY_EXISTS' } });
  });

  it('keep an administrator, and nobody removes himself [broker]', async () => {
    const refused = { status: 400, body: { code: 'NOT_ALLOWED' } };
    expect(await call('DELETE', '/root')).toMatchObject(refused);
    expect(await call('PUT', '/root', { role: 'viewer' })).toMatchObject(refused);
    expect(await call('DELETE', '/root', undefined, basic('key:secret'))).toMatchObject(refused);
    await call('POST', '', { ...eve, role: 'administrator' });
    expect(await call('DELETE', '/root')).toMatchObject(refused);
    expect(await call('DELETE', '/root', undefined, bearer(api.access, 'eve'))).toMatchObject({
      status: 204,
    });
  });

  it('change their own passwords, knowing the old one, and nobody elses unless they administer [broker]', async () => {
    const watcher = bearer(api.access, 'watcher');
    const change = (username: string, headers: Record<string, string>, old = password) =>
      call('POST', `/${username}/change_pwd`, { old_pwd: old, new_pwd: 'battery staple' }, headers);
    expect(await change('root', watcher)).toMatchObject({ status: 403, body: { code: 'UNAUTHORIZED_ROLE' } });
    expect(await change('%72oot', watcher)).toMatchObject({ status: 403 });
    expect(await change('watcher', watcher, 'not the old one')).toMatchObject({
      status: 400,
      body: { code: 'ERROR_PWD_NOT_MATCH' },
    });
    expect(await change('watcher', watcher)).toMatchObject({ status: 204 });
    expect(await change('nobody', root)).toMatchObject({ status: 404 });
    expect(await change('root', root, 'not the old one')).toMatchObject({ status: 400 });
  });

  it('are guarded against guessing the old password as at the login [broker]', async () => {
    const watcher = bearer(api.access, 'watcher');
    const codes: string[] = [];
    for (let round = 0; round < 6; round++) {
      const body = { old_pwd: `guess-${round}`, new_pwd: 'battery staple' };
      codes.push((await call('POST', '/watcher/change_pwd', body, watcher)).body.code);
    }
    expect(codes).toEqual([...codes.slice(0, 5).map(() => 'ERROR_PWD_NOT_MATCH'), 'LOGIN_LOCKED']);
  });

  it('lose all their tokens when password or role change and when they are removed [broker]', async () => {
    const lost = { status: 401, body: { code: 'BAD_TOKEN' } };
    const changes = [
      () => call('POST', '/watcher/change_pwd', { old_pwd: password, new_pwd: 'battery staple' }, token()),
      () => call('PUT', '/watcher', { password: 'another staple' }),
      () => call('PUT', '/watcher', { role: 'administrator' }),
      () => call('DELETE', '/watcher'),
    ];
    const token = () => bearer(api.access, 'watcher');
    for (const change of changes) {
      const before = token();
      expect(await call('GET', '', undefined, before)).toMatchObject({ status: 200 });
      expect((await change()).status).toBeLessThan(300);
      expect(await call('GET', '', undefined, before)).toMatchObject(lost);
    }
    // A description is no reason.
    const before = bearer(api.access, 'root');
    await call('PUT', '/root', { description: 'x' });
    expect(await call('GET', '', undefined, before)).toMatchObject({ status: 200 });
  });
});
