/**
 * A JSON Web Key Set: from a file, or from a URL that is asked again. Main thread.
 *
 * Always true: one question at a time, with a time limit, no redirects and a bound on the answer. A set older than
 * `refreshMs` is renewed while it is still in use; a key that is not in it asks at once, but not more often than the cool-down
 * allows, so that made-up key ids cause no flood. A set that cannot be renewed is used for twelve times `refreshMs`, then
 * no more, since a key that was withdrawn must not live on. Source: RFC 7517.
 */
import { readFileSync } from 'node:fs';

import {
  type CryptoKey,
  type JSONWebKeySet,
  type JWSHeaderParameters,
  createLocalJWKSet,
  errors,
} from 'jose';

import { ask } from './http-question.js';
import type { AuthLog } from './method.js';

const answerBytesMax = 1024 * 1024;
const cooldownMsMax = 10_000;
const staleFactor = 12;
const keysTriedMax = 8;

type Lookup = ReturnType<typeof createLocalJWKSet>;

/** What a set from a URL works with. */
export interface JwksOptions {
  /** A file or an http or https URL. */
  readonly source: string;
  readonly refreshMs: number;
  readonly timeoutMs: number;
  readonly now: () => number;
  readonly log: AuthLog;
}

/** See the file header. */
export class Jwks {
  readonly #options: JwksOptions;
  readonly #isUrl: boolean;
  readonly #closing = new AbortController();
  #lookup: Lookup | undefined;
  #renewedAtMs = -Infinity;
  #askedAtMs = -Infinity;
  #asking: Promise<void> | undefined;

  private constructor(options: JwksOptions) {
    this.#options = options;
    this.#isUrl = /^https?:\/\//.test(options.source);
  }

  /** A file that is not usable rejects with an `Error`; a URL that does not answer is logged and asked again later. */
  static async open(options: JwksOptions): Promise<Jwks> {
    const jwks = new Jwks(options);
    if (jwks.#isUrl) await jwks.#ask();
    else jwks.#lookup = readSet(options.source);
    return jwks;
  }

  /** The keys that may have signed a token with this header, best first; empty when there is none. */
  async find(header: JWSHeaderParameters): Promise<readonly CryptoKey[]> {
    if (!this.#isUrl) return this.#select(header);
    const { now, refreshMs } = this.#options;
    const ageMs = now() - this.#renewedAtMs;
    if (ageMs >= refreshMs * staleFactor) this.#lookup = undefined;
    if (this.#lookup === undefined) await this.#askAgain();
    else if (ageMs >= refreshMs) void this.#askAgain();
    const keys = await this.#select(header);
    if (keys.length > 0) return keys;
    await this.#askAgain();
    return this.#select(header);
  }

  /** Reads the file or asks the URL again now; what is broken is logged, and the keys stay. */
  async reload(): Promise<void> {
    if (this.#isUrl) return this.#ask();
    const { source, log } = this.#options;
    try {
      this.#lookup = readSet(source);
      log.info({ file: source }, 'key set read');
    } catch (error) {
      log.error(
        { file: source, reason: (error as Error).message },
        'the key set is not usable; the keys stay',
      );
    }
  }

  /** Ends a question under way. */
  close(): void {
    this.#closing.abort();
  }

  async #select(header: JWSHeaderParameters): Promise<readonly CryptoKey[]> {
    if (this.#lookup === undefined) return [];
    try {
      return [await this.#lookup(header)];
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return [];
      const keys: CryptoKey[] = [];
      for await (const key of error) if (keys.push(key) === keysTriedMax) break;
      return keys;
    }
  }

  /** Asks unless that was done just now. */
  #askAgain(): Promise<void> {
    const { now, refreshMs } = this.#options;
    if (this.#asking !== undefined) return this.#asking;
    if (now() - this.#askedAtMs < Math.min(cooldownMsMax, refreshMs)) return Promise.resolve();
    return this.#ask();
  }

  /** One question; never rejects. */
  #ask(): Promise<void> {
    this.#asking ??= this.#fetch().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #fetch(): Promise<void> {
    const { source, timeoutMs, now, log } = this.#options;
    this.#askedAtMs = now();
    try {
      const { status, text } = await ask({
        url: source,
        headers: { accept: 'application/jwk-set+json, application/json' },
        timeoutMs,
        answerBytesMax,
        closing: this.#closing.signal,
      });
      if (status !== 200) throw new Error(`the answer has status ${status}`);
      this.#lookup = createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
      this.#renewedAtMs = now();
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      log.error({ url: source, reason: (error as Error).message }, 'the key set was not renewed');
    }
  }
}

function readSet(file: string): Lookup {
  return createLocalJWKSet(JSON.parse(readFileSync(file, 'utf8')) as JSONWebKeySet);
}
