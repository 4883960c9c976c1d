/**
 * The accounts of the dashboard, in a file of the data directory. Main thread; hashing runs in the thread pool.
 *
 * Always true: while there is an account there is an administrator among them; passwords are kept as scrypt hashes only;
 * watchers hear at once of every account whose password, role or existence changed. A name that nobody has costs the same
 * hash as one that somebody has. Gives up: accounts beyond `accountsMax`.
 */
import { createHmac, randomBytes } from 'node:crypto';

import type { Static } from 'typebox';

import { OperationalError } from '../base/error.js';
import { type Account, AccountRecord, type AccountRole, accountsMax, usernamePattern } from './account.js';
import { hashPassword, parsePasswordHash, type PasswordHash, verifyPassword } from './password-hash.js';
import { RecordFile } from './record-file.js';

/** What may be changed of an account; what is left out stays. */
export interface AccountChange {
  readonly role?: AccountRole;
  readonly description?: string;
  readonly password?: string;
}

/** How a change went. */
export type AccountOutcome = 'done' | 'exists' | 'not-found' | 'last-administrator' | 'too-many';

/** Makes the stored form of a new password. */
export type PasswordHasher = (password: Buffer) => Promise<string>;

/** Hears of an account that is not what it was. */
export type AccountWatcher = (username: string) => void;

interface Entry {
  readonly account: Account;
  readonly hash: PasswordHash;
}

/** See the file header. */
export class AccountStore {
  readonly #file: RecordFile<typeof AccountRecord>;
  readonly #hash: PasswordHasher;
  readonly #watchers: AccountWatcher[] = [];
  readonly #decoySecret = randomBytes(32);
  #entries: ReadonlyMap<string, Entry>;

  /** Reads the file, which need not exist. Throws `OperationalError` ERR_ACCESS_FILE. */
  constructor(file: string, hash: PasswordHasher = hashPassword) {
    this.#hash = hash;
    this.#file = new RecordFile(file, AccountRecord);
    try {
      this.#entries = entriesOf(this.#file.records, new Map());
    } catch (error) {
      throw new OperationalError('ERR_ACCESS_FILE', `${file} holds a password that is no hash`, error);
    }
  }

  /** Number of accounts. */
  get size(): number {
    return this.#entries.size;
  }

  /** All accounts, in order of their names. */
  list(): Account[] {
    return [...this.#entries.values()]
      .map(({ account }) => account)
      .toSorted((a, b) => (a.username < b.username ? -1 : 1));
  }

  /** Undefined: there is none. */
  get(username: string): Account | undefined {
    return this.#entries.get(username)?.account;
  }

  /** The account when the password is right; takes as long when there is no such account. */
  async verify(username: string, password: string): Promise<Account | undefined> {
    const entry = this.#entries.get(username);
    const hash = entry?.hash ?? this.#decoyFor(username);
    if (hash === undefined) return undefined;
    const isRight = await verifyPassword(hash, Buffer.from(password));
    // What was changed meanwhile is proved by nothing.
    return isRight && entry !== undefined && this.#entries.get(username)?.hash === entry.hash
      ? entry.account
      : undefined;
  }

  /** Makes an account; the caller has checked name and password. */
  async create(account: Account, password: string): Promise<AccountOutcome> {
    if (!usernamePattern.test(account.username)) throw new Error('a name that no account may have');
    if (this.#entries.has(account.username)) return 'exists';
    const hash = await this.#hash(Buffer.from(password));
    const { username, role, description } = account;
    return await this.#update(username, (records) => {
      if (records.some((record) => record.username === username)) return 'exists';
      if (records.length >= accountsMax) return 'too-many';
      return [...records, { username, role, description, password: hash }];
    });
  }

  /** Changes an account; the caller has checked a new password. */
  async change(username: string, { role, description, password }: AccountChange): Promise<AccountOutcome> {
    if (!this.#entries.has(username)) return 'not-found';
    const hash = password === undefined ? undefined : await this.#hash(Buffer.from(password));
    return await this.#update(username, (records) => {
      const next = records.map((record) =>
        record.username === username
          ? {
              ...record,
              role: role ?? record.role,
              description: description ?? record.description,
              password: hash ?? record.password,
            }
          : record,
      );
      return hasAdministrator(next) ? next : 'last-administrator';
    });
  }

  /** Removes an account. */
  async remove(username: string): Promise<AccountOutcome> {
    if (!this.#entries.has(username)) return 'not-found';
    return await this.#update(username, (records) => {
      const next = records.filter((record) => record.username !== username);
      return hasAdministrator(next) ? next : 'last-administrator';
    });
  }

  /** `watcher` hears of every account whose password or role changed, and of those that are gone. */
  watch(watcher: AccountWatcher): void {
    this.#watchers.push(watcher);
  }

  async #update(
    username: string,
    change: (records: readonly AccountRecord[]) => readonly AccountRecord[] | Exclude<AccountOutcome, 'done'>,
  ): Promise<AccountOutcome> {
    const before = (): AccountRecord | undefined =>
      this.#file.records.find((record) => record.username === username);
    let old: AccountRecord | undefined;
    return await this.#file.update(
      (records) => {
        old = before();
        return change(records);
      },
      (records) => {
        this.#entries = entriesOf(records, this.#entries);
        const now = before();
        if (old === undefined || (now?.role === old.role && now.password === old.password)) return;
        for (const watcher of this.#watchers) watcher(username);
      },
    );
  }

  /** The same for the same name, as the hash of an account is. */
  #decoyFor(username: string): PasswordHash | undefined {
    const hashes = [...this.#entries.values()];
    const pick = createHmac('sha256', this.#decoySecret).update(username).digest().readUInt32BE(0);
    return hashes[pick % hashes.length]?.hash;
  }
}

function hasAdministrator(records: readonly Static<typeof AccountRecord>[]): boolean {
  return records.some(({ role }) => role === 'administrator');
}

/** Entries of these records; what has not changed is taken over. Throws when a password is no hash. */
function entriesOf(
  records: readonly AccountRecord[],
  known: ReadonlyMap<string, Entry>,
): ReadonlyMap<string, Entry> {
  return new Map(
    records.map(({ username, role, description, password }) => {
      const old = known.get(username)?.hash;
      const hash = old?.text === password ? old : parsePasswordHash(password);
      return [username, { account: { username, role, description }, hash }];
    }),
  );
}
