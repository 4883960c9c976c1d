/**
 * Everything that decides who may use the REST API: accounts, tokens, keys, bans, the audit log. Main thread.
 *
 * Always true: what is stored lies in the data directory, in one file per kind; a change of an account's password or role, and
 * its removal, ends its tokens at once. Gives up: several brokers over one directory, which the store refuses anyway.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { AccountStore, type PasswordHasher } from '../auth/account-store.js';
import type { ApiKeys } from '../auth/api-key.js';
import { ApiKeyStore } from '../auth/api-key-store.js';
import { FailureLimiter } from '../auth/failure-limiter.js';
import { LoginCheck } from '../auth/login-check.js';
import { LoginTokens } from '../auth/login-token.js';
import { OperationalError } from '../base/error.js';
import type { BannedAdmin } from '../broker/banned-admin.js';
import { unavailable } from '../broker/operator-error.js';
import type { Config } from '../config/config.js';
import type { Counters } from '../telemetry/counter.js';
import { AuditLog, type AuditLogger } from './audit.js';

/** See the file header. */
export interface HttpAccess {
  /** Keys of the bootstrap file. */
  readonly fileKeys: ApiKeys;
  /** Keys that were made while the broker ran. */
  readonly keys: ApiKeyStore;
  readonly accounts: AccountStore;
  readonly tokens: LoginTokens;
  readonly logins: LoginCheck;
  readonly banned: BannedAdmin;
  readonly audit: AuditLog;
  /** Wrong keys by address. */
  readonly keyFailures: FailureLimiter;
  readonly counters: Pick<Counters, 'add'>;
  /** Requests from this machine may administer without a key or token. */
  readonly letsLocalIn: boolean;
  /** Unix time in ms. */
  readonly now: () => number;
}

/** What the access is opened with. */
export interface HttpAccessOptions {
  readonly directory: string;
  readonly apiKeys: ApiKeys;
  readonly banned: BannedAdmin;
  readonly counters: Pick<Counters, 'add'>;
  /** Takes the lines of the audit log. */
  readonly auditLogger: AuditLogger;
  readonly now: () => number;
  /** Default: scrypt at its usual cost. */
  readonly hashPassword?: PasswordHasher;
  readonly settings: Pick<Config, 'dashboardIdleMs' | 'httpLocalAccess' | 'authFailuresMax'>;
}

/** Reads the files. Throws `OperationalError` ERR_ACCESS_FILE. */
export function openHttpAccess(options: HttpAccessOptions): HttpAccess {
  const { directory, apiKeys, banned, counters, auditLogger, now, settings } = options;
  const accounts = new AccountStore(join(directory, 'accounts.json'), options.hashPassword);
  const tokens = new LoginTokens(settings.dashboardIdleMs);
  accounts.watch((username) => tokens.endAll(username));
  return {
    fileKeys: apiKeys,
    keys: new ApiKeyStore(join(directory, 'api-keys.json')),
    accounts,
    tokens,
    logins: new LoginCheck({ accounts, counters, now }),
    banned,
    audit: new AuditLog(auditLogger),
    keyFailures: new FailureLimiter(settings.authFailuresMax),
    counters,
    letsLocalIn: !apiKeys.required && settings.httpLocalAccess === 'auto',
    now,
  };
}

/** A file that cannot be written is the disk's fault: 503. */
export async function stored<T>(change: Promise<T>): Promise<T> {
  try {
    return await change;
  } catch (error) {
    throw unavailable(error);
  }
}

/** True when the token belongs to somebody who is signed in and may write. */
export function mayWriteWith({ tokens, accounts, now }: HttpAccess, token: string): boolean {
  const answer = tokens.check(token, now());
  return answer.outcome === 'accepted' && accounts.get(answer.session.username)?.role === 'administrator';
}

/**
 * Makes the first account when there is none. Gives its name, and the password that was made up for it; undefined: there was
 * an account. Throws ERR_CONFIG when the file of the password cannot be used.
 */
export async function makeFirstAccount(
  accounts: AccountStore,
  settings: Pick<Config, 'dashboardUsername' | 'dashboardPassword' | 'dashboardPasswordFile'>,
): Promise<{ readonly username: string; readonly madeUp: string | undefined } | undefined> {
  if (accounts.size > 0) return undefined;
  const username = settings.dashboardUsername;
  const given = settings.dashboardPassword ?? readPassword(settings.dashboardPasswordFile);
  const madeUp = given === undefined ? randomBytes(12).toString('hex') : undefined;
  await accounts.create(
    { username, role: 'administrator', description: 'Made at the first start' },
    given ?? madeUp ?? '',
  );
  return { username, madeUp };
}

function readPassword(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OperationalError('ERR_CONFIG', `SLUICE_DASHBOARD_PASSWORD_FILE: ${file}: ${reason}`, error);
  }
  if (text === '' || text.length > 256) {
    throw new OperationalError('ERR_CONFIG', `SLUICE_DASHBOARD_PASSWORD_FILE: ${file} holds no password`);
  }
  return text;
}
