import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ApiKeyStore } from '../../src/auth/api-key-store.js';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  file = join(folder, 'api-keys.json');
});
afterEach(() => rmSync(folder, { recursive: true }));

const wanted = {
  name: 'ci',
  role: 'viewer',
  description: 'builds',
  enabled: true,
  expiresAtMs: null,
} as const;

async function make(store: ApiKeyStore, change: object = {}) {
  const made = await store.create({ ...wanted, ...change }, 1000);
  if (typeof made === 'string') throw new Error(made);
  return made;
}

describe('API keys that are made while the broker runs', () => {
  it('are known by their secret after a restart, and the file does not hold it [broker]', async () => {
    const { key, secret } = await make(new ApiKeyStore(file));
    expect(key).toEqual({ ...wanted, key: key.key, createdAtMs: 1000 });
    expect(readFileSync(file, 'utf8')).not.toContain(secret);
    const again = new ApiKeyStore(file);
    expect(again.find(key.key, secret, 2000)).toEqual({
      key: 'ci',
      role: 'viewer',
      scopes: undefined,
      namespace: undefined,
    });
    expect(again.find(key.key, `${secret}0`, 2000)).toBeUndefined();
    expect(again.find('nobody', secret, 2000)).toBeUndefined();
    // Neither the name nor the digest stands for key or secret.
    expect(again.find('ci', secret, 2000)).toBeUndefined();
  });

  it('are nobodys while they are switched off, after their time, and once they are removed [broker]', async () => {
    const store = new ApiKeyStore(file);
    const { key, secret } = await make(store, { expiresAtMs: 5000 });
    expect(store.find(key.key, secret, 4999)?.key).toBe('ci');
    expect(store.find(key.key, secret, 5000)).toBeUndefined();
    expect(await store.change('ci', { expiresAtMs: null, enabled: false })).toBe('done');
    expect(store.find(key.key, secret, 4999)).toBeUndefined();
    await store.change('ci', { enabled: true, role: 'publisher' });
    expect(store.find(key.key, secret, 9999)?.role).toBe('publisher');
    expect(await store.remove('ci')).toBe('done');
    expect(store.find(key.key, secret, 4999)).toBeUndefined();
    expect(await store.remove('ci')).toBe('not-found');
    expect(await store.change('ci', {})).toBe('not-found');
  });

  it('of one name exist once, and differ from each other in key and secret [broker]', async () => {
    const store = new ApiKeyStore(file);
    const first = await make(store);
    expect(await store.create(wanted, 1000)).toBe('exists');
    const second = await make(store, { name: 'other' });
    expect(second.key.key).not.toBe(first.key.key);
    expect(second.secret).not.toBe(first.secret);
    expect(store.list().map(({ name }) => name)).toEqual(['ci', 'other']);
  });

  it('in a damaged file end the start [broker]', () => {
    writeFileSync(file, '{"version":1,"records":[{"name":"ci"}]}');
    expect(() => new ApiKeyStore(file)).toThrow(expect.objectContaining({ code: 'ERR_ACCESS_FILE' }));
  });
});
