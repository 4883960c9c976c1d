/**
 * Builds the authenticator from the settings: the chain of methods, the limit on failures, counters. Main thread.
 *
 * Always true: order is blocked address, certificate, token, password file, call-out, anonymous; the first link that
 * knows the client decides. Nobody is let in because a link failed. An address that is blocked costs no hash and no
 * call. Gives up: a promise is made for a client only when one of its links cannot answer at once.
 */
import { randomBytes } from 'node:crypto';

import { OperationalError } from '../base/error.js';
import type { AuthSettings } from '../config/auth-settings.js';
import type { Counters } from '../telemetry/counter.js';
import { slotOf } from '../telemetry/counter-layout.js';
import type { AuthExchange, AuthRequest, AuthStep, Authenticator, Identity } from './authenticator.js';
import { FailureLimiter, hostOf } from './failure-limiter.js';
import { HttpMethod } from './http-method.js';
import { JwtKeys } from './jwt-key.js';
import { JwtMethod } from './jwt-method.js';
import {
  type AuthLog,
  type AuthMethod,
  type MethodName,
  type RefusalCause,
  type Verdict,
  isPeersFault,
  no,
  notMine,
  refusalReasonCode,
} from './method.js';
import { PasswordFile } from './password-file.js';
import { PasswordMethod } from './password-method.js';
import { SCRAM_SHA_256, ScramExchange } from './scram.js';

/** What an authenticator is built with. */
export interface AuthDeps {
  readonly logger: AuthLog;
  readonly counters: Pick<Counters, 'add'>;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  /** Shared with whoever closes connections of blocked addresses earlier; made here when left out. */
  readonly failures?: FailureLimiter;
}

/** An authenticator that reads its files again on request. */
export interface ReloadableAuthenticator extends Authenticator {
  /** Reads password file and keys again, asks for key sets, forgets remembered answers. Never rejects: what is broken is logged, and the old stays. */
  reload(): Promise<void>;
}

/** Rejects with `OperationalError` ERR_AUTH when a file is not usable, and ERR_CONFIG when a setting would have no effect. */
export async function createAuthenticator(
  config: AuthSettings,
  deps: AuthDeps,
): Promise<ReloadableAuthenticator> {
  checkSettings(config);
  const failures = deps.failures ?? new FailureLimiter(config.authFailuresMax);
  const isBlocked = ({ facts }: AuthRequest): boolean => failures.isBlocked(facts.peername, deps.now());
  const methods: AuthMethod[] = [certificateMethod];
  const keys = await JwtKeys.open(config, deps.logger, deps.now);
  if (keys !== undefined) {
    methods.push(new JwtMethod({ settings: config, keys, log: deps.logger, now: deps.now }));
  }
  let file: PasswordFile | undefined;
  if (config.passwordFile !== undefined) {
    try {
      file = new PasswordFile(config.passwordFile, deps.logger);
    } catch (error) {
      keys?.close();
      throw error;
    }
    const onCacheHit = (): void => deps.counters.add(slotOf('authenticationCacheHits', 'password'), 1);
    const { authHashesMax: hashesMax, authCacheMs: cacheMs } = config;
    methods.push(new PasswordMethod({ file, hashesMax, cacheMs, now: deps.now, isBlocked, onCacheHit }));
  }
  if (config.authHttpUrl !== undefined) {
    const onCacheHit = (): void => deps.counters.add(slotOf('authenticationCacheHits', 'http'), 1);
    const { logger: log, now } = deps;
    methods.push(
      new HttpMethod({ url: config.authHttpUrl, settings: config, log, now, isBlocked, onCacheHit }),
    );
  }
  return new Chain({ methods, file, failures, anonymous: anonymousRule(config, methods.length > 1), deps });
}

/** Whom the last link lets in. */
type AnonymousRule = 'everywhere' | 'loopback' | 'nowhere';

function anonymousRule({ allowAnonymous }: AuthSettings, hasMethods: boolean): AnonymousRule {
  if (allowAnonymous === 'auto') return hasMethods ? 'nowhere' : 'loopback';
  return allowAnonymous === 'true' ? 'everywhere' : 'nowhere';
}

/** The user that the listener took from a verified certificate; a subject without a name is nobody. */
const certificateMethod: AuthMethod = {
  name: 'certificate',
  check: ({ facts: { certificateUsername: username } }) =>
    username === undefined || username === '' ? notMine : { kind: 'yes', identity: { username } },
};

interface ChainParts {
  /** The first one is that of certificates and needs no setting. */
  readonly methods: readonly AuthMethod[];
  readonly file: PasswordFile | undefined;
  readonly failures: FailureLimiter;
  readonly anonymous: AnonymousRule;
  readonly deps: AuthDeps;
}

class Chain implements ReloadableAuthenticator {
  readonly #parts: ChainParts;
  readonly #decoySecret = randomBytes(32);

  constructor(parts: ChainParts) {
    this.#parts = parts;
  }

  authenticate(request: AuthRequest): AuthStep | Promise<AuthStep> {
    if (this.#isBlocked(request)) return this.#refuse(request, 'blocked');
    return this.#ask(request, 0);
  }

  exchange(method: string, request: AuthRequest): AuthExchange | undefined {
    const { file } = this.#parts;
    if (method !== SCRAM_SHA_256 || file?.hashes.some(({ kind }) => kind === 'scram') !== true)
      return undefined;
    const scram = new ScramExchange({
      find: (username) => file.find(username),
      decoySecret: this.#decoySecret,
    });
    return {
      step: (data) => {
        if (this.#isBlocked(request)) return this.#refuse(request, 'blocked');
        const step = scram.step(data);
        if (step.kind === 'continue') return step;
        if (step.kind === 'success') {
          const stored = file.find(step.identity.username ?? '');
          if (stored !== undefined) file.proved(step.identity, stored);
          return { ...this.#accept('scram', step.identity), data: step.data };
        }
        const { clientId } = request;
        this.#parts.deps.logger.debug({ clientId, reason: step.reason }, 'enhanced authentication failed');
        return this.#refuse(request, 'scram');
      },
    };
  }

  stands(identity: Identity): boolean {
    return this.#parts.file?.stands(identity) ?? true;
  }

  onChange(changed: () => void): void {
    this.#parts.file?.onChange(changed);
  }

  async reload(): Promise<void> {
    for (const method of this.#parts.methods) await method.reload?.();
  }

  close(): void {
    for (const method of this.#parts.methods) method.close?.();
  }

  #isBlocked({ facts }: AuthRequest): boolean {
    const { failures, deps } = this.#parts;
    return failures.isBlocked(facts.peername, deps.now());
  }

  /** Asks the links from `first` on. */
  #ask(request: AuthRequest, first: number): AuthStep | Promise<AuthStep> {
    const { methods } = this.#parts;
    for (let index = first; index < methods.length; index++) {
      const method = methods[index] as AuthMethod;
      const verdict = method.check(request);
      if (verdict instanceof Promise) return this.#later(request, index, verdict);
      if (verdict.kind !== 'not-mine') return this.#answer(request, method.name, verdict);
    }
    return this.#unclaimed(request);
  }

  async #later(request: AuthRequest, index: number, promise: Promise<Verdict>): Promise<AuthStep> {
    const method = this.#parts.methods[index] as AuthMethod;
    let verdict: Verdict;
    try {
      verdict = await promise;
    } catch (error) {
      this.#parts.deps.logger.error({ err: error, method: method.name }, 'a method of authentication failed');
      verdict = no('unavailable');
    }
    if (verdict.kind === 'not-mine') return this.#ask(request, index + 1);
    return this.#answer(request, method.name, verdict);
  }

  #answer(request: AuthRequest, name: MethodName, verdict: Exclude<Verdict, { kind: 'not-mine' }>): AuthStep {
    return verdict.kind === 'yes'
      ? this.#accept(name, verdict.identity)
      : this.#refuse(request, verdict.cause);
  }

  /** No link knows the client. */
  #unclaimed(request: AuthRequest): AuthStep {
    const { methods, anonymous } = this.#parts;
    const { username, password, facts } = request;
    const hasMethods = methods.length > 1;
    // With methods, a name or a password that none of them knows is wrong; without, nobody asked for it.
    if (hasMethods && (username !== undefined || password !== undefined)) {
      return this.#refuse(request, 'credentials');
    }
    const isAllowed = anonymous === 'everywhere' || (anonymous === 'loopback' && facts.isLoopback);
    return isAllowed ? this.#accept('anonymous', { username }) : this.#refuse(request, 'anonymous');
  }

  #accept(name: MethodName, identity: Identity): { kind: 'success'; identity: Identity } {
    this.#parts.deps.counters.add(slotOf('authenticationsSucceeded', name), 1);
    return { kind: 'success', identity };
  }

  #refuse({ facts, clientId }: AuthRequest, cause: RefusalCause): AuthStep {
    const { failures, deps } = this.#parts;
    deps.counters.add(slotOf('authenticationsFailed', cause), 1);
    if (isPeersFault(cause) && failures.add(facts.peername, deps.now())) {
      deps.logger.warn(
        { address: hostOf(facts.peername), clientId },
        'too many wrong credentials: the address is refused for the rest of the minute',
      );
    }
    return { kind: 'refused', reasonCode: refusalReasonCode(cause) };
  }
}

/** A setting that does nothing is a mistake that would be found too late. */
function checkSettings(config: AuthSettings): void {
  const { jwtSecret, jwtSecretFile, jwtPublicKeyFile, jwtJwks } = config;
  const hasKey = [jwtSecret, jwtSecretFile, jwtPublicKeyFile, jwtJwks].some((one) => one !== undefined);
  const asksOfToken = [config.jwtIssuer, config.jwtAudience, config.jwtUsernameClaim].some(
    (one) => one !== undefined,
  );
  if (!hasKey && (asksOfToken || config.jwtClaims !== false)) {
    throw new OperationalError(
      'ERR_CONFIG',
      'SLUICE_JWT_ISSUER, SLUICE_JWT_AUDIENCE, SLUICE_JWT_USERNAME_CLAIM and SLUICE_JWT_CLAIMS need a key: SLUICE_JWT_SECRET, SLUICE_JWT_SECRET_FILE, SLUICE_JWT_PUBLIC_KEY or SLUICE_JWT_JWKS',
    );
  }
  if (jwtSecret !== undefined && jwtSecretFile !== undefined) {
    throw new OperationalError('ERR_CONFIG', 'SLUICE_JWT_SECRET excludes SLUICE_JWT_SECRET_FILE');
  }
  for (const [name, value] of Object.entries(config.authHttpHeaders || {})) {
    if (typeof value !== 'string') {
      throw new OperationalError('ERR_CONFIG', `SLUICE_AUTH_HTTP_HEADERS: the header ${name} is not a text`);
    }
  }
}
