/**
 * User name and password against the password file. Main thread; hashing runs in the thread pool, a few at a time.
 *
 * Always true: an unknown user costs a hash like a known one, chosen among the file's own by a secret, so that time does not
 * tell who exists. What was right is remembered under a keyed hash of user, stored hash and password: no password is
 * kept, and a changed line is a different entry. Gives up: remembering what was wrong, so guesses always cost a hash.
 */
import { createHmac, randomBytes } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import type { AuthRequest } from './authenticator.js';
import { Gate } from './gate.js';
import { type AuthMethod, type Verdict, no, notMine } from './method.js';
import type { PasswordFile } from './password-file.js';
import { type PasswordHash, verifyPassword } from './password-hash.js';

const cacheEntriesMax = 10_000;
const waitingMax = 10_000;

/** What the method works with. */
export interface PasswordMethodOptions {
  readonly file: PasswordFile;
  /** Hashes at the same time. */
  readonly hashesMax: number;
  /** How long a right password is remembered; 0: not at all. */
  readonly cacheMs: number;
  readonly now: () => number;
  /** Asked again when a password that waited gets its turn: guesses sent at once do not all get through. */
  readonly isBlocked: (request: AuthRequest) => boolean;
  readonly onCacheHit: () => void;
}

/** See the file header. */
export class PasswordMethod implements AuthMethod {
  readonly name = 'password';
  readonly #options: PasswordMethodOptions;
  readonly #gate: Gate;
  readonly #secret = randomBytes(32);
  /** Keyed hash → Unix time in ms at which it is forgotten. */
  readonly #known = new LRUCache<string, number>({ max: cacheEntriesMax });

  constructor(options: PasswordMethodOptions) {
    this.#options = options;
    this.#gate = new Gate(options.hashesMax, waitingMax);
  }

  check(request: AuthRequest): Verdict | Promise<Verdict> {
    const { username, password } = request;
    if (username === undefined) return notMine;
    const stored = this.#options.file.find(username);
    if (password === undefined) return stored === undefined ? notMine : no('credentials');
    if (stored === undefined) {
      const decoy = this.#decoyFor(username);
      return decoy === undefined ? notMine : this.#slow(request, password, decoy, undefined);
    }
    const { cacheMs, now } = this.#options;
    if (cacheMs === 0) return this.#slow(request, password, stored, undefined);
    const key = this.#keyOf(username, stored, password);
    const until = this.#known.get(key);
    if (until !== undefined && now() < until) {
      this.#options.onCacheHit();
      return this.#yes(username, stored);
    }
    return this.#slow(request, password, stored, key);
  }

  reload(): Promise<void> {
    this.#options.file.reload();
    return Promise.resolve();
  }

  close(): void {
    this.#options.file.close();
  }

  #yes(username: string, stored: PasswordHash): Verdict {
    const identity = { username };
    this.#options.file.proved(identity, stored);
    return { kind: 'yes', identity };
  }

  /** `stored` of the user, or a decoy when there is no such user. */
  #slow(
    request: AuthRequest,
    password: Buffer,
    stored: PasswordHash,
    cacheKey: string | undefined,
  ): Verdict | Promise<Verdict> {
    const { file, cacheMs, now, isBlocked } = this.#options;
    const username = request.username as string;
    const known = file.find(username) === stored;
    // The buffer belongs to the caller, and a place in the line may come late.
    const copy = Buffer.from(password);
    const verdict = this.#gate.run(async () => {
      if (isBlocked(request)) return no('blocked');
      const right = await verifyPassword(stored, copy);
      copy.fill(0);
      if (!known) return notMine;
      if (!right) return no('credentials');
      if (cacheKey !== undefined) this.#known.set(cacheKey, now() + cacheMs);
      return this.#yes(username, stored);
    });
    return verdict ?? no('busy');
  }

  /** The same for the same name, as the hash of a user is. */
  #decoyFor(username: string): PasswordHash | undefined {
    const { hashes } = this.#options.file;
    const pick = createHmac('sha256', this.#secret).update(username).digest().readUInt32BE(0);
    return hashes[pick % hashes.length];
  }

  #keyOf(username: string, stored: PasswordHash, password: Buffer): string {
    // Neither a user name nor a stored hash holds a line feed, so the three parts cannot be shifted.
    return createHmac('sha256', this.#secret)
      .update(`${username}\n${stored.text}\n`)
      .update(password)
      .digest('base64');
  }
}
