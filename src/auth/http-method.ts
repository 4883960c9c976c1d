/**
 * Asks a service of the operator who may connect. Main thread.
 *
 * Always true: a client is let in only by an answer that says so; no answer in time, a broken one, a redirect or a status of
 * 5xx lets nobody in. Calls at a time, calls that wait, bytes of an answer and remembered answers are bounded; what
 * is remembered is found by a keyed hash, so no password is kept. Gives up: trying again; the client will.
 */
import { createHmac, randomBytes } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import type { AuthSettings } from '../config/auth-settings.js';
import type { AuthRequest, Identity } from './authenticator.js';
import { rulesOf } from './claim-rules.js';
import { Gate } from './gate.js';
import { ask } from './http-question.js';
import { type AuthLog, type AuthMethod, type Verdict, no, notMine } from './method.js';
import { expand } from './placeholder.js';

const answerBytesMax = 64 * 1024;
const waitingMax = 10_000;
const cacheEntriesMax = 10_000;
const defaultBody = {
  clientid: '${clientid}',
  username: '${username}',
  password: '${password}',
  peerhost: '${peerhost}',
};

/** Settings of the call-out. */
export type CallSettings = Pick<
  AuthSettings,
  | 'authHttpMethod'
  | 'authHttpHeaders'
  | 'authHttpBody'
  | 'authHttpTimeoutMs'
  | 'authHttpCallsMax'
  | 'authHttpCacheMs'
  | 'authHttpDenyCacheMs'
>;

/** What the method works with. */
export interface HttpMethodOptions {
  readonly url: string;
  readonly settings: CallSettings;
  readonly log: AuthLog;
  readonly now: () => number;
  /** Asked again when a call that waited gets its turn. */
  readonly isBlocked: (request: AuthRequest) => boolean;
  readonly onCacheHit: () => void;
}

interface Remembered {
  readonly verdict: Verdict;
  readonly untilMs: number;
}

/** See the file header. */
export class HttpMethod implements AuthMethod {
  readonly name = 'http';
  readonly #options: HttpMethodOptions;
  readonly #gate: Gate;
  readonly #closing = new AbortController();
  readonly #secret = randomBytes(32);
  readonly #answers = new LRUCache<string, Remembered>({ max: cacheEntriesMax });

  constructor(options: HttpMethodOptions) {
    this.#options = options;
    this.#gate = new Gate(options.settings.authHttpCallsMax, waitingMax);
  }

  check(request: AuthRequest): Verdict | Promise<Verdict> {
    const { now, isBlocked, onCacheHit } = this.#options;
    const fields = this.#fieldsOf(request);
    // The user as well: it becomes the identity, also when the service is not told about it.
    const asked = JSON.stringify([request.username ?? null, fields]);
    const key = createHmac('sha256', this.#secret).update(asked).digest('base64');
    const remembered = this.#answers.get(key);
    if (remembered !== undefined && now() < remembered.untilMs) {
      onCacheHit();
      return remembered.verdict;
    }
    const verdict = this.#gate.run(async () => {
      if (isBlocked(request)) return no('blocked');
      const answer = await this.#ask(fields, request.username);
      this.#remember(key, answer);
      return answer;
    });
    return verdict ?? no('busy');
  }

  /** An operator who reloads wants to be asked anew. */
  reload(): Promise<void> {
    this.#answers.clear();
    return Promise.resolve();
  }

  /** Ends calls under way. */
  close(): void {
    this.#closing.abort();
  }

  /** A field without a value is null. */
  #fieldsOf(request: AuthRequest): Record<string, unknown> {
    const template = this.#options.settings.authHttpBody || defaultBody;
    return Object.fromEntries(
      Object.entries(template).map(([name, value]) => [
        name,
        typeof value === 'string' ? (expand(value, request) ?? null) : value,
      ]),
    );
  }

  async #ask(fields: Record<string, unknown>, username: string | undefined): Promise<Verdict> {
    const { url, settings, log } = this.#options;
    const isPost = settings.authHttpMethod === 'post';
    try {
      const { status, text } = await ask({
        url: isPost ? url : withQuery(url, fields),
        headers: {
          accept: 'application/json',
          ...(isPost ? { 'content-type': 'application/json' } : {}),
          ...((settings.authHttpHeaders || {}) as Record<string, string>),
        },
        body: isPost ? JSON.stringify(fields) : undefined,
        timeoutMs: settings.authHttpTimeoutMs,
        answerBytesMax,
        closing: this.#closing.signal,
      });
      return read(status, text, username);
    } catch (error) {
      if (!this.#closing.signal.aborted) {
        log.error(
          { url: new URL(url).origin, reason: (error as Error).message },
          'authentication service failed',
        );
      }
      return no('unavailable');
    }
  }

  #remember(key: string, verdict: Verdict): void {
    const { settings, now } = this.#options;
    if (verdict.kind === 'no' && verdict.cause !== 'denied') return;
    const forMs = verdict.kind === 'yes' ? settings.authHttpCacheMs : settings.authHttpDenyCacheMs;
    if (forMs === 0) return;
    const expiresAtMs = verdict.kind === 'yes' ? (verdict.identity.expiresAtMs ?? Infinity) : Infinity;
    this.#answers.set(key, { verdict, untilMs: Math.min(now() + forMs, expiresAtMs) });
  }
}

/** The verdict in an answer. Throws when it holds none. */
function read(status: number, text: string, username: string | undefined): Verdict {
  if (status >= 400 && status < 500) return no('denied');
  if (status < 200 || status > 299) throw new Error(`the answer has status ${status}`);
  const word = text.trim().toLowerCase();
  if (word === '' || word === 'allow' || word === 'ok') return { kind: 'yes', identity: { username } };
  if (word === 'deny') return no('denied');
  if (word === 'ignore') return notMine;
  const body: unknown = JSON.parse(text);
  if (typeof body !== 'object' || body === null) throw new Error('the answer is not an object');
  const answer = body as Record<string, unknown>;
  switch (answer['result']) {
    case 'allow':
      return { kind: 'yes', identity: identityOf(answer, username) };
    case 'deny':
      return no('denied');
    case 'ignore':
      return notMine;
    default:
      throw new Error('the field result is not allow, deny or ignore');
  }
}

function identityOf(answer: Record<string, unknown>, username: string | undefined): Identity {
  const rules = rulesOf(answer['acl']);
  const expireAt = answer['expire_at'];
  if (expireAt !== undefined && (typeof expireAt !== 'number' || !Number.isFinite(expireAt))) {
    throw new Error('the field expire_at is not a number');
  }
  return {
    username,
    ...(answer['is_superuser'] === true ? { isSuperuser: true } : {}),
    ...(rules === undefined ? {} : { rules }),
    ...(expireAt === undefined ? {} : { expiresAtMs: expireAt * 1000 }),
  };
}

function withQuery(url: string, fields: Record<string, unknown>): string {
  const target = new URL(url);
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null)
      target.searchParams.set(name, typeof value === 'string' ? value : JSON.stringify(value));
  }
  return target.href;
}
