/** Revocation lists for client certificates: who is turned away, and how a list changes. Quick tier. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { describe, expect, onTestFinished, test } from 'vitest';

import { Authority } from './certificate.js';
import { expectRefused, login } from './tls-client.js';
import { authority, startTransports, type Transports } from './transports.js';

const kinds = ['tls', 'wss'] as const;
const good = authority.issue({ commonName: 'good' });
const bad = authority.issue({ commonName: 'bad' });

async function start(
  list: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ at: Transports; file: string }> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'sluice-crl-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = path.join(directory, 'list.pem');
  writeFileSync(file, list);
  const at = await startTransports({
    env: { SLUICE_TLS_CLIENT_AUTH: 'require', SLUICE_TLS_CRL_FILE: file, ...env },
  });
  return { at, file };
}

describe('a revocation list', () => {
  test('turns away whom it names and nobody else, also where no certificate is needed [broker]', async () => {
    for (const auth of ['require', 'request']) {
      const { at } = await start(authority.revoke([bad]), { SLUICE_TLS_CLIENT_AUTH: auth });
      for (const kind of kinds) await expectRefused(at, kind, bad);
      await login(at, 'a', good);
      if (auth === 'request') await login(at, 'b');
    }
  });

  test('of another authority lets nobody in: what cannot be looked up counts as revoked [broker]', async () => {
    const { at } = await start(new Authority('Another').revoke([]));
    await expectRefused(at, 'tls', good);
  });

  test('is read again with the certificate; one that is unusable leaves the old one in force [broker]', async () => {
    const { at, file } = await start(authority.revoke([]));
    const client = await login(at, 'a', bad);
    writeFileSync(file, authority.revoke([bad]));
    expect(at.target.gateway.reloadCertificates()).toBe(true);
    await expectRefused(at, 'tls', bad);
    expect(await client.subscribe('t', 0)).toBe(0);
    writeFileSync(file, 'no list');
    expect(at.target.gateway.reloadCertificates()).toBe(false);
    await expectRefused(at, 'tls', bad);
    await login(at, 'b', good);
  });

  test('that cannot be read keeps the broker from starting, naming the file [broker]', async () => {
    await expect(start('no list')).rejects.toThrow(/list\.pem/);
  });
});
