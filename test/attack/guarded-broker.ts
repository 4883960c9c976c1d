/**
 * A broker process with the users and rights of fixture.ts. Runs in the test process.
 *
 * Always true: its files and the process are gone when the running test ends.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { hashPassword } from '../../src/auth/password-hash.js';
import { startBroker, temporaryDirectory, type Broker } from '../harness/broker.js';
import { RawClient } from '../harness/raw-client.js';
import { testScope, type Scope } from '../harness/scope.js';
import { acl, credentials, passwords } from './fixture.js';

/** What a test needs of it. */
export interface GuardedBroker {
  readonly scope: Scope;
  readonly broker: Broker;
  readonly aclFile: string;
  readonly connect: (user: string, options?: Parameters<typeof RawClient.connect>[2]) => Promise<RawClient>;
}

/** Starts it; `env` is added to its settings. */
export async function startGuardedBroker(env: Readonly<Record<string, string>> = {}): Promise<GuardedBroker> {
  const scope = testScope();
  const folder = await temporaryDirectory(scope);
  const lines = Object.entries(passwords).map(
    async ([user, password]) =>
      `${user}:${await hashPassword(Buffer.from(password), { ln: 10, r: 8, p: 1 })}\n`,
  );
  const passwordFile = join(folder, 'passwords');
  const aclFile = join(folder, 'acl');
  writeFileSync(passwordFile, (await Promise.all(lines)).join(''), { mode: 0o600 });
  writeFileSync(aclFile, acl);
  const broker = await startBroker(scope, {
    env: { SLUICE_PASSWORD_FILE: passwordFile, SLUICE_ACL_FILE: aclFile, ...env },
  });
  return {
    scope,
    broker,
    aclFile,
    connect: (user, options = { clientId: user }) =>
      RawClient.connect(scope, broker, { protocolVersion: 5, ...credentials(user), ...options }),
  };
}
