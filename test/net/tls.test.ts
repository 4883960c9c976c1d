/** TLS: who is let in by a certificate, as whom, and how certificates change while connections stay. Quick tier. */
import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, test } from 'vitest';

import { slotOf } from '../../src/telemetry/counter-layout.js';
import { until } from '../harness/wait.js';
import { Authority, type Pem } from './certificate.js';
import { FactsCollector } from './facts.js';
import { expectRefused, login } from './tls-client.js';
import { authority, openRaw, openTls, startTransports, type Transports } from './transports.js';

const failed = slotOf('connectionsRefused', 'tls-handshake');
const kinds = ['tls', 'wss'] as const;

interface Started {
  readonly at: Transports;
  readonly facts: FactsCollector;
}

async function start(env: Readonly<Record<string, string>>): Promise<Started> {
  const facts = new FactsCollector();
  return { at: await startTransports({ env, hooks: { authenticator: facts } }), facts };
}

describe('client certificates', () => {
  const good = authority.issue({ commonName: 'device-1', organization: 'Plant, North' });

  test('the facts of a connection name the verified certificate [broker]', async () => {
    const { at, facts } = await start({ SLUICE_TLS_CLIENT_AUTH: 'require', SLUICE_TLS_IDENTITY: 'cn' });
    await login(at, 'a', good);
    expect(facts.of('a')).toEqual({
      peername: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      listener: 'tls',
      isLoopback: true,
      secure: true,
      certificate: {
        commonName: 'device-1',
        subject: String.raw`CN=device-1,O=Plant\, North`,
        fingerprint256: expect.stringMatching(/^(?:[\dA-F]{2}:){31}[\dA-F]{2}$/),
      },
      certificateUsername: 'device-1',
    });
  });

  test.each([
    ['none', undefined],
    ['cn', 'device-1'],
    ['dn', String.raw`CN=device-1,O=Plant\, North`],
  ])('with identity %s the user is %s [broker]', async (identity, username) => {
    const { at, facts } = await start({ SLUICE_TLS_CLIENT_AUTH: 'request', SLUICE_TLS_IDENTITY: identity });
    await login(at, 'a', good);
    expect(facts.of('a').certificateUsername).toBe(username);
  });

  test('a certificate without Common Name makes no user [broker]', async () => {
    const { at, facts } = await start({ SLUICE_TLS_CLIENT_AUTH: 'require', SLUICE_TLS_IDENTITY: 'cn' });
    await login(at, 'a', authority.issue({ organization: 'Plant' }));
    expect(facts.of('a').certificate?.commonName).toBe('');
    expect(facts.of('a').certificateUsername).toBeUndefined();
  });

  test('one is not looked at unless it is asked for [broker]', async () => {
    const { at, facts } = await start({});
    await login(at, 'a', good);
    expect(facts.of('a')).toEqual({
      peername: expect.any(String),
      listener: 'tls',
      isLoopback: true,
      secure: true,
    });
  });

  test('asked for, a client may come without one; required, it may not [broker]', async () => {
    const { at, facts } = await start({ SLUICE_TLS_CLIENT_AUTH: 'request' });
    await login(at, 'a');
    expect(facts.of('a').certificate).toBeUndefined();
    const { at: strict } = await start({ SLUICE_TLS_CLIENT_AUTH: 'require' });
    for (const kind of kinds) await expectRefused(strict, kind, {});
    expect(strict.target.gateway.connectionCount).toBe(0);
  });

  test.each([
    ['expired', () => authority.issue({ commonName: 'device-1', days: [-3, -1] })],
    ['not yet good', () => authority.issue({ commonName: 'device-1', days: [1, 3] })],
    ['of another authority', () => new Authority('Test Authority').issue({ commonName: 'device-1' })],
  ])('one that is %s is refused, also where none is needed [broker]', async (_, issue) => {
    const pem = issue();
    for (const clientAuth of ['request', 'require']) {
      const { at } = await start({ SLUICE_TLS_CLIENT_AUTH: clientAuth, SLUICE_TLS_IDENTITY: 'cn' });
      for (const kind of kinds) {
        await expectRefused(at, kind, { ...pem });
        await expectRefused(at, kind, { ...pem, maxVersion: 'TLSv1.2' });
      }
    }
  });
});

describe('the handshake', () => {
  test('bytes that are no TLS end it, counted [broker]', async () => {
    const { at } = await start({});
    for (const kind of kinds) {
      const before = at.target.counters.total(failed);
      const socket = await openRaw(at, kind);
      socket.on('error', () => undefined);
      socket.write('GET / HTTP/1.1\r\n\r\n');
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
      await until(() => at.target.counters.total(failed) === before + 1, 'the count');
    }
  });

  test('a version of TLS that is too old is refused [broker]', async () => {
    const { at } = await start({ SLUICE_TLS_MIN_VERSION: '1.3' });
    await expectRefused(at, 'tls', { maxVersion: 'TLSv1.2' });
    await openTls(at, 'tls', { tls: { minVersion: 'TLSv1.3' } });
  });

  test('one that is slow ends with the time for CONNECT, counted once [broker]', async () => {
    const { at } = await start({ SLUICE_CONNECT_TIMEOUT_MS: '100' });
    for (const kind of kinds) {
      const socket = await openRaw(at, kind);
      socket.on('error', () => undefined);
      socket.write(Buffer.from('16030102000100', 'hex'));
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
    }
    expect(at.target.counters.total(slotOf('connectionsRefused', 'connect-timeout'))).toBe(2);
    expect(at.target.counters.total(failed)).toBe(0);
  });

  test('connections in it count for the limit of all [broker]', async () => {
    const { at } = await start({ SLUICE_MAX_CONNECTIONS: '1' });
    const first = await openRaw(at, 'tls');
    await until(() => at.target.gateway.connectionCount === 1, 'the first');
    const second = await openRaw(at, 'ws');
    second.on('error', () => undefined);
    second.resume();
    await new Promise((resolve) => second.once('close', resolve));
    expect(at.target.counters.total(slotOf('connectionsRefused', 'limit'))).toBe(1);
    first.destroy();
    await until(() => at.target.counters.total(failed) === 1, 'the end of the first');
    await login(at, 'a');
  });
});

describe('a certificate that is replaced', () => {
  function replace(at: Transports, { cert, key }: Pem): void {
    for (const [name, text] of [
      ['server.crt', cert],
      ['server.key', key],
    ] as const) {
      const file = path.join(at.directory, name);
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    }
  }

  async function shownBy(at: Transports, kind: 'tls' | 'wss'): Promise<string> {
    const socket = await openTls(at, kind);
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return String(CN);
  }

  test('holds for new connections, and those that are open go on [broker]', async () => {
    const { at } = await start({});
    const before = await login(at, 'before');
    await before.subscribe('t', 0);
    replace(at, authority.issue({ commonName: 'renewed' }));
    for (const kind of kinds) expect(await shownBy(at, kind)).toBe('localhost');
    expect(at.target.gateway.reloadCertificates()).toBe(true);
    for (const kind of kinds) expect(await shownBy(at, kind)).toBe('renewed');
    const after = await login(at, 'after');
    after.send({ cmd: 'publish', topic: 't', payload: 'x', qos: 0, dup: false, retain: false });
    expect((await before.expect('publish')).payload.toString()).toBe('x');
  });

  test('stays away when it is unusable: no file, no certificate, a key that does not fit [broker]', async () => {
    const { at } = await start({});
    const other = authority.issue({ commonName: 'renewed' });
    for (const bad of [
      { cert: 'nothing', key: other.key },
      { cert: other.cert, key: authority.issue({ commonName: 'x' }).key },
    ]) {
      replace(at, bad);
      expect(at.target.gateway.reloadCertificates()).toBe(false);
      for (const kind of kinds) expect(await shownBy(at, kind)).toBe('localhost');
    }
    renameSync(path.join(at.directory, 'server.key'), path.join(at.directory, 'gone.key'));
    expect(at.target.gateway.reloadCertificates()).toBe(false);
    expect(await shownBy(at, 'tls')).toBe('localhost');
    replace(at, other);
    expect(at.target.gateway.reloadCertificates()).toBe(true);
    expect(await shownBy(at, 'tls')).toBe('renewed');
  });

  test('an authority that is replaced holds for new connections, resumed sessions too [broker]', async () => {
    const { at } = await start({ SLUICE_TLS_CLIENT_AUTH: 'require' });
    const pem = authority.issue({ commonName: 'device-1' });
    const first = await openTls(at, 'tls', { tls: { ...pem, maxVersion: 'TLSv1.2' } });
    const session = first.getSession();
    expect(session).toBeDefined();
    const resumed = await openTls(at, 'tls', { tls: { ...pem, maxVersion: 'TLSv1.2', session: session! } });
    expect(resumed.isSessionReused()).toBe(true);
    writeFileSync(path.join(at.directory, 'ca.crt'), new Authority('Another').cert);
    expect(at.target.gateway.reloadCertificates()).toBe(true);
    await expectRefused(at, 'tls', { ...pem, maxVersion: 'TLSv1.2', session: session! });
  });
});

test('a certificate that cannot be used ends the start with ERR_TLS [broker]', async () => {
  await expect(start({ SLUICE_TLS_CERT: path.resolve('missing.crt') })).rejects.toMatchObject({
    code: 'ERR_TLS',
    message: expect.stringContaining('missing.crt') as string,
  });
});
