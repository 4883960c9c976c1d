/**
 * The tokens of people who are signed in to the dashboard. Main thread, in memory; time is an argument.
 *
 * Always true: a token is 256 random bits, kept as SHA-256 only; it ends when it was not used for `idleMs`, with `end`, and
 * with everything that `endAll` is called for. Bounded: an account has at most `TOKENS_PER_ACCOUNT_MAX`, the one unused for
 * the longest gives way. A stream that is open counts as use, and is closed with its token. Gives up: outliving the process.
 */
import { createHash, randomBytes } from 'node:crypto';

/** Tokens of one account at the same time. */
export const TOKENS_PER_ACCOUNT_MAX = 32;

/** Something open that ends with the token. */
export interface TokenStream {
  destroy(): void;
}

/** One signed-in client. */
export interface LoginSession {
  readonly username: string;
  /** Key of the token in memory: its hash. */
  readonly id: string;
  lastUsedMs: number;
  readonly streams: Set<TokenStream>;
}

/** What a token stands for. */
export type TokenAnswer =
  | { readonly outcome: 'accepted'; readonly session: LoginSession }
  | { readonly outcome: 'unknown' | 'expired' };

/** See the file header. */
export class LoginTokens {
  readonly #idleMs: number;
  readonly #sessions = new Map<string, LoginSession>();
  /** By user name, in order of sign-in. */
  readonly #byUser = new Map<string, Set<LoginSession>>();

  /** `idleMs`: time without use after which a token ends. */
  constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  /** Tokens in force or not yet found to be over. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Makes a token for an account. */
  issue(username: string, nowMs: number): string {
    const token = randomBytes(32).toString('base64url');
    const session: LoginSession = { username, id: idOf(token), lastUsedMs: nowMs, streams: new Set() };
    const own = this.#byUser.get(username) ?? new Set<LoginSession>();
    this.#byUser.set(username, own);
    for (const one of own) if (this.#isOver(one, nowMs)) this.#remove(one);
    if (own.size >= TOKENS_PER_ACCOUNT_MAX) {
      const [oldest] = [...own].toSorted((a, b) => a.lastUsedMs - b.lastUsedMs);
      if (oldest !== undefined) this.#remove(oldest);
    }
    own.add(session);
    this.#byUser.set(username, own);
    this.#sessions.set(session.id, session);
    return token;
  }

  /** Looks a token up and notes that it was used. */
  check(token: string, nowMs: number): TokenAnswer {
    const session = this.#sessions.get(idOf(token));
    if (session === undefined) return { outcome: 'unknown' };
    if (this.#isOver(session, nowMs)) {
      this.#remove(session);
      return { outcome: 'expired' };
    }
    session.lastUsedMs = nowMs;
    return { outcome: 'accepted', session };
  }

  /** Keeps the token alive until the function that it returns is called; `stream` is destroyed with the token. */
  hold(session: LoginSession, stream: TokenStream, now: () => number): () => void {
    session.streams.add(stream);
    return () => {
      if (session.streams.delete(stream)) session.lastUsedMs = now();
    };
  }

  /** Ends one token. */
  end(session: LoginSession): void {
    this.#remove(session);
  }

  /** Ends every token of an account. */
  endAll(username: string): void {
    for (const session of this.#byUser.get(username) ?? []) this.#remove(session);
  }

  #isOver(session: LoginSession, nowMs: number): boolean {
    return session.streams.size === 0 && nowMs - session.lastUsedMs >= this.#idleMs;
  }

  #remove(session: LoginSession): void {
    this.#sessions.delete(session.id);
    const own = this.#byUser.get(session.username);
    own?.delete(session);
    if (own?.size === 0) this.#byUser.delete(session.username);
    for (const stream of session.streams) stream.destroy();
    session.streams.clear();
  }
}

function idOf(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}
