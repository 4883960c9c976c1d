/**
 * The password file: users and their hashes. Main thread; read at start and whenever it changes.
 *
 * Always true: the users in force are those of one whole file that was without fault; a file that cannot be read or
 * has a bad line changes nothing and is logged with the number of the line. A fault never repeats what a line holds.
 * Gives up: files above 16 MB. Lines are `username:hash`; empty lines and lines that begin with `#` are passed over.
 */
import { readFileSync, statSync } from 'node:fs';

import { OperationalError } from '../base/error.js';
import type { Identity } from './authenticator.js';
import { watchForChange } from './file-watch.js';
import type { AuthLog } from './method.js';
import { type PasswordHash, parsePasswordHash } from './password-hash.js';

const fileBytesMax = 16 * 1024 * 1024;

/** Reads the text of a password file. Throws an `Error` that names the line. */
export function parsePasswordFile(text: string): Map<string, PasswordHash> {
  const users = new Map<string, PasswordHash>();
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const line = raw.replace(/\r$/, '');
    if (line.trim() === '' || line.startsWith('#')) continue;
    const where = `line ${index + 1}`;
    const colon = line.indexOf(':');
    if (colon < 1) throw new Error(`${where}: a line is username:hash`);
    const username = line.slice(0, colon);
    if (users.has(username)) throw new Error(`${where}: the user is there twice`);
    try {
      users.set(username, parsePasswordHash(line.slice(colon + 1).trim()));
    } catch (error) {
      throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
    }
  }
  return users;
}

/** See the file header. */
export class PasswordFile {
  readonly #file: string;
  readonly #log: AuthLog;
  readonly #stopWatching: () => void;
  #users: ReadonlyMap<string, PasswordHash>;
  #hashes: readonly PasswordHash[];
  /** Identity → text of the hash that it was proved with. */
  readonly #proofs = new WeakMap<Identity, string>();
  readonly #changed: (() => void)[] = [];

  /** Throws `OperationalError` ERR_AUTH when the file is not usable. */
  constructor(file: string, log: AuthLog) {
    this.#file = file;
    this.#log = log;
    // Before the first look into the file, so that no change falls between the two.
    this.#stopWatching = watchForChange(file, () => this.reload());
    try {
      this.#users = read(file);
      warnAboutRights(file, log);
    } catch (error) {
      this.#stopWatching();
      throw new OperationalError(
        'ERR_AUTH',
        `the password file ${file} cannot be used: ${reasonOf(error)}`,
        error,
      );
    }
    this.#hashes = [...this.#users.values()];
  }

  /** The stored hash of a user. */
  find(username: string): PasswordHash | undefined {
    return this.#users.get(username);
  }

  /** Every stored hash. */
  get hashes(): readonly PasswordHash[] {
    return this.#hashes;
  }

  /** Notes what has proved an identity. */
  proved(identity: Identity, stored: PasswordHash): void {
    this.#proofs.set(identity, stored.text);
  }

  /** False when the user of an identity that was proved here is gone, or has another password. */
  stands(identity: Identity): boolean {
    const proof = this.#proofs.get(identity);
    return proof === undefined || this.#users.get(identity.username ?? '')?.text === proof;
  }

  /** `changed` is called whenever another file is in force. */
  onChange(changed: () => void): void {
    this.#changed.push(changed);
  }

  /** Reads the file again; false: it is not usable, and the users stay as they were. */
  reload(): boolean {
    try {
      this.#users = read(this.#file);
    } catch (error) {
      this.#log.error(
        { file: this.#file, reason: reasonOf(error) },
        'the password file is not usable; the users stay as they were',
      );
      return false;
    }
    this.#hashes = [...this.#users.values()];
    this.#log.info({ file: this.#file, users: this.#users.size }, 'password file read');
    for (const changed of this.#changed) changed();
    return true;
  }

  /** Stops watching. */
  close(): void {
    this.#stopWatching();
  }
}

function read(file: string): Map<string, PasswordHash> {
  if (statSync(file).size > fileBytesMax) throw new Error(`it is larger than ${fileBytesMax} bytes`);
  return parsePasswordFile(readFileSync(file, 'utf8'));
}

function warnAboutRights(file: string, log: AuthLog): void {
  if (process.platform !== 'win32' && (statSync(file).mode & 0o007) !== 0) {
    log.warn({ file }, 'every user of this machine may read the password file; 0600 would be safer');
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
