/**
 * A real broker with every kind of listener, a user `alice` whose password is `wonder land`, and certificates for clients. Runs in the test process.
 *
 * Always true: the certificates are made for this run and good for 127.0.0.1; clients without a name are let in as well,
 * so that one broker serves the tests with and without users. Ports are free ones, told by the ready line.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { hashPassword } from '../../src/auth/password-hash.js';
import { Authority, type Pem } from '../net/certificate.js';
import { startBroker, temporaryDirectory, type Broker } from './broker.js';
import type { Scope } from './scope.js';

/** The user of the broker. */
export const alice = { username: 'alice', password: 'wonder land' };

/** Files of a client certificate, and what is in them. */
export interface ClientFiles extends Pem {
  readonly certFile: string;
  readonly keyFile: string;
}

/** The broker and how to reach it. */
export interface SecuredBroker {
  readonly broker: Broker;
  /** File with the authority that its certificate comes from. */
  readonly caFile: string;
  readonly ca: string;
  readonly unixSocket: string;
  /** A certificate whose Common Name is `device-7`, which is its user name, and one that has expired. */
  readonly device: ClientFiles;
  readonly expired: ClientFiles;
  readonly ports: Readonly<Record<'mqtt' | 'mqtts' | 'ws' | 'wss', number>>;
}

/** Starts it; it ends with `scope`. */
export async function startSecuredBroker(
  scope: Scope,
  env: Readonly<Record<string, string>> = {},
): Promise<SecuredBroker> {
  const folder = await temporaryDirectory(scope);
  const at = (name: string): string => path.join(folder, name);
  const authority = new Authority('Sluice tests');
  const { cert, key } = authority.issue({ commonName: 'localhost' });
  await writeFile(at('ca.pem'), authority.cert);
  await writeFile(at('cert.pem'), cert);
  await writeFile(at('key.pem'), key, { mode: 0o600 });
  const issue = async (name: string, days: [number, number]): Promise<ClientFiles> => {
    const pem = authority.issue({ commonName: name, days });
    const files = { certFile: at(`${name}.pem`), keyFile: at(`${name}.key`) };
    await writeFile(files.certFile, pem.cert);
    await writeFile(files.keyFile, pem.key, { mode: 0o600 });
    return { ...pem, ...files };
  };
  const device = await issue('device-7', [-1, 1]);
  const expired = await issue('device-6', [-3, -2]);
  await writeFile(at('users'), `${alice.username}:${await hashPassword(Buffer.from(alice.password))}\n`, {
    mode: 0o600,
  });
  const broker = await startBroker(scope, {
    env: {
      SLUICE_TLS_CERT: at('cert.pem'),
      SLUICE_TLS_KEY: at('key.pem'),
      SLUICE_TLS_PORT: '0',
      SLUICE_TLS_CA: at('ca.pem'),
      SLUICE_TLS_CLIENT_AUTH: 'request',
      SLUICE_TLS_IDENTITY: 'cn',
      SLUICE_WS_PORT: '0',
      SLUICE_WSS_PORT: '0',
      SLUICE_UNIX_SOCKET: at('mqtt.sock'),
      SLUICE_PASSWORD_FILE: at('users'),
      SLUICE_ALLOW_ANONYMOUS: 'true',
      ...env,
    },
  });
  const port = (name: string): number => Number(broker.facts[name]?.split(':').at(-1));
  return {
    broker,
    caFile: at('ca.pem'),
    ca: authority.cert,
    unixSocket: at('mqtt.sock'),
    device,
    expired,
    ports: { mqtt: port('mqtt'), mqtts: port('mqtts'), ws: port('ws'), wss: port('wss') },
  };
}
