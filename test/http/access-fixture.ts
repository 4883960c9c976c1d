/**
 * Accounts, keys and bans over a directory of a test, without the slow first account. Test process.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { ApiKeys } from '../../src/auth/api-key.js';
import { hashPassword } from '../../src/auth/password-hash.js';
import { BannedList } from '../../src/auth/banned-list.js';
import { BannedAdmin } from '../../src/broker/banned-admin.js';
import { type HttpAccess, openHttpAccess } from '../../src/http/access.js';
import { Counters, createCounterMemory, MAIN_BLOCK } from '../../src/telemetry/counter.js';

/** A line of the audit log. */
export interface AuditLine {
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What a test may want to differ. */
export interface TestAccessOptions {
  readonly apiKeys?: ApiKeys;
  readonly counterMemory?: SharedArrayBuffer;
  readonly audit?: (line: AuditLine) => void;
  readonly now?: () => number;
  readonly idleMs?: number;
  /** Wrong keys per address and minute; 0: any number. */
  readonly keyFailuresMax?: number;
  readonly localAccess?: 'auto' | 'false';
}

/** The access of a server under test; nobody is connected by MQTT, so nobody can be kicked. */
export function openTestAccess(directory: string, options: TestAccessOptions = {}): HttpAccess {
  const list = new BannedList(join(directory, 'banned.json'));
  return openHttpAccess({
    directory,
    apiKeys: options.apiKeys ?? ApiKeys.none(),
    banned: new BannedAdmin(list, () => []),
    counters: new Counters(options.counterMemory ?? createCounterMemory(1), MAIN_BLOCK),
    auditLogger: { info: (fields, message) => options.audit?.({ fields: { ...fields }, message }) },
    now: options.now ?? Date.now,
    hashPassword: cheapHash,
    settings: {
      dashboardIdleMs: options.idleMs ?? 3_600_000,
      httpLocalAccess: options.localAccess ?? 'auto',
      authFailuresMax: options.keyFailuresMax ?? 0,
    },
  });
}

/** Password of the accounts of `seedAccounts`. */
export const password = 'correct horse';

/** The least costly scrypt. */
export function cheapHash(text: Buffer): Promise<string> {
  return hashPassword(text, { ln: 10, r: 8, p: 1 });
}

let hash: Promise<string> | undefined;

/** Makes a directory with the administrator `root` and the viewer `watcher`, for an access to be opened over; gives it. */
export async function seedAccounts(directory: string): Promise<string> {
  mkdirSync(directory, { recursive: true });
  hash ??= cheapHash(Buffer.from(password));
  const record = { description: '', password: await hash };
  const records = [
    { username: 'root', role: 'administrator', ...record },
    { username: 'watcher', role: 'viewer', ...record },
  ];
  writeFileSync(join(directory, 'accounts.json'), JSON.stringify({ version: 1, records }));
  return directory;
}

/** Header with a token of that account. */
export function bearer(access: HttpAccess, username: string): { authorization: string } {
  return { authorization: `Bearer ${access.tokens.issue(username, access.now())}` };
}

/** Header with an API key. */
export function basic(credentials: string): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
}

/** Keys of a bootstrap file with this text. */
export function fileKeys(text: string): ApiKeys {
  return ApiKeys.parse(text, { warn: () => undefined, error: () => undefined });
}
