import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { passwordFault } from '../../src/auth/account.js';
import { AccountStore } from '../../src/auth/account-store.js';
import { cheapHash } from '../http/access-fixture.js';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  file = join(folder, 'accounts.json');
});
afterEach(() => rmSync(folder, { recursive: true }));

const admin = { username: 'admin', role: 'administrator', description: '' } as const;
const viewer = { username: 'eve', role: 'viewer', description: 'looks' } as const;

describe('accounts', () => {
  it('outlive the process, without their passwords in the file, which only its owner may read [broker]', async () => {
    const store = new AccountStore(file, cheapHash);
    expect(store.size).toBe(0);
    expect(await store.create(admin, 'hunter2-hunter2')).toBe('done');
    expect(await store.create(viewer, 'hunter3-hunter3')).toBe('done');
    expect(readFileSync(file, 'utf8')).not.toContain('hunter');
    if (process.platform !== 'win32') expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['accounts.json']);
    const again = new AccountStore(file, cheapHash);
    expect(again.list()).toEqual([admin, viewer]);
    expect(await again.verify('eve', 'hunter3-hunter3')).toEqual(viewer);
    expect(await again.verify('eve', 'hunter2-hunter2')).toBeUndefined();
    expect(await again.verify('nobody', 'hunter2-hunter2')).toBeUndefined();
  });

  it('have an administrator among them, whatever is changed or removed, also at the same time [broker]', async () => {
    const store = new AccountStore(file, cheapHash);
    await store.create(admin, 'password-1');
    await store.create({ ...admin, username: 'second' }, 'password-2');
    await store.create(viewer, 'password-3');
    const outcomes = await Promise.all([
      store.remove('admin'),
      store.change('second', { role: 'viewer' }),
      store.remove('eve'),
    ]);
    expect(outcomes).toEqual(['done', 'last-administrator', 'done']);
    expect(await store.remove('second')).toBe('last-administrator');
    expect(store.list()).toEqual([{ ...admin, username: 'second' }]);
  });

  it('of one name exist once, and changes of others are told so [broker]', async () => {
    const store = new AccountStore(file, cheapHash);
    const outcomes = await Promise.all([
      store.create(admin, 'password-1'),
      store.create(admin, 'password-2'),
    ]);
    expect(outcomes.toSorted()).toEqual(['done', 'exists']);
    expect(await store.create(admin, 'password-3')).toBe('exists');
    expect(await store.change('nobody', {})).toBe('not-found');
    expect(await store.remove('nobody')).toBe('not-found');
  });

  it('tell watchers of a changed password or role and of a removal, and of nothing else [broker]', async () => {
    const store = new AccountStore(file, cheapHash);
    const heard: string[] = [];
    store.watch((username) => heard.push(username));
    await store.create(admin, 'password-1');
    await store.create(viewer, 'password-2');
    await store.change('eve', { description: 'still looks' });
    expect(heard).toEqual([]);
    await store.change('eve', { password: 'password-3' });
    await store.change('eve', { role: 'administrator' });
    await store.remove('eve');
    expect(heard).toEqual(['eve', 'eve', 'eve']);
  });

  it('let nobody in by the old password once it is changed [broker]', async () => {
    const store = new AccountStore(file, cheapHash);
    await store.create(admin, 'password-1');
    expect(await store.verify('admin', 'password-1')).toEqual(admin);
    expect(await store.change('admin', { password: 'password-2' })).toBe('done');
    expect(await store.verify('admin', 'password-1')).toBeUndefined();
    expect(await store.verify('admin', 'password-2')).toEqual(admin);
  });

  it('stay as they were when the file cannot be written, and the caller is told [broker]', async () => {
    const store = new AccountStore(file, cheapHash);
    await store.create(admin, 'password-1');
    // A folder in the place of the file that is written aside.
    mkdirSync(`${file}.tmp`);
    await expect(store.create(viewer, 'password-2')).rejects.toMatchObject({ code: 'ERR_ACCESS_FILE' });
    expect(store.list()).toEqual([admin]);
    rmSync(`${file}.tmp`, { recursive: true });
    expect(await store.create(viewer, 'password-2')).toBe('done');
  });

  it.each([
    ['no JSON', '{"version":1,"secret":'],
    ['another version', '{"version":2,"records":[]}'],
    [
      'an unknown role',
      '{"version":1,"records":[{"username":"a","role":"king","description":"","password":"x"}]}',
    ],
    [
      'no hash',
      '{"version":1,"records":[{"username":"a","role":"viewer","description":"","password":"hunter2"}]}',
    ],
    [
      'a name that is a path',
      '{"version":1,"records":[{"username":"../a","role":"viewer","description":"","password":"x"}]}',
    ],
  ])('in a file with %s end the start with a message that repeats nothing of it [broker]', (_what, text) => {
    writeFileSync(file, text);
    expect(() => new AccountStore(file, cheapHash)).toThrow(
      expect.objectContaining({ code: 'ERR_ACCESS_FILE' }),
    );
    expect(() => new AccountStore(file, cheapHash)).not.toThrow(/hunter2|secret/);
  });

  it.each([
    ['short', 'a', false],
    ['12345678', 'a', true],
    ['ünïcödé', 'a', false],
    ['ünïcödéé', 'a', true],
    ['x'.repeat(257), 'a', false],
    ['Administrator', 'administrator', false],
  ])('take the new password %j of %s: %s [broker]', (password, username, isTaken) => {
    expect(passwordFault(password, username) === undefined).toBe(isTaken);
  });
});
