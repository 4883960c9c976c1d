/**
 * JSON Web Tokens in place of a password (or user name). Main thread; signatures are checked in the thread pool.
 *
 * Always true: a token counts only with a right signature of a configured key, inside `nbf` and `exp`, with the issuer, audience
 * and claims that are asked for; the connection ends with the token. What has not the form of a token is not this
 * link's, and what has and is wrong is refused here. Gives up: withdrawn tokens, other than by short lives or by `jti`.
 * Source: RFC 7519, RFC 8725.
 */
import { type JWTPayload, type JWTVerifyOptions, decodeProtectedHeader, errors, jwtVerify } from 'jose';

import type { AuthSettings } from '../config/auth-settings.js';
import type { AuthRequest, Identity } from './authenticator.js';
import { rulesOf } from './claim-rules.js';
import { Gate } from './gate.js';
import type { JwtKeys } from './jwt-key.js';
import { type AuthLog, type AuthMethod, type Verdict, no, notMine } from './method.js';
import { expand } from './placeholder.js';
import { UsedTokens } from './used-tokens.js';

const tokenBytesMax = 16 * 1024;
const checksMax = 16;
const waitingMax = 10_000;
const tooManyWait = new Error('too many tokens wait');
const tokenForm = /^[\w-]+\.[\w-]+\.[\w-]*$/;

/** Settings of what a token must say. */
export type TokenSettings = Pick<
  AuthSettings,
  | 'jwtFrom'
  | 'jwtIssuer'
  | 'jwtAudience'
  | 'jwtClaims'
  | 'jwtUsernameClaim'
  | 'jwtAclClaim'
  | 'jwtRequireExpiry'
  | 'jwtSingleUse'
  | 'jwtClockToleranceS'
>;

/** What the method works with. */
export interface JwtMethodOptions {
  readonly settings: TokenSettings;
  readonly keys: JwtKeys;
  readonly log: AuthLog;
  readonly now: () => number;
}

/** See the file header. */
export class JwtMethod implements AuthMethod {
  readonly name = 'jwt';
  readonly #options: JwtMethodOptions;
  readonly #gate = new Gate(checksMax, waitingMax);
  readonly #used = new UsedTokens();

  constructor(options: JwtMethodOptions) {
    this.#options = options;
  }

  check(request: AuthRequest): Verdict | Promise<Verdict> {
    const token = this.#tokenOf(request);
    if (token === undefined) return notMine;
    return this.#verify(token, request);
  }

  async reload(): Promise<void> {
    await this.#options.keys.reload();
  }

  close(): void {
    this.#options.keys.close();
  }

  #tokenOf({ username, password }: AuthRequest): string | undefined {
    if (this.#options.settings.jwtFrom === 'username') return asToken(username);
    return (password?.length ?? 0) > tokenBytesMax ? undefined : asToken(password?.toString('latin1'));
  }

  async #verify(token: string, request: AuthRequest): Promise<Verdict> {
    const { settings, log } = this.#options;
    try {
      const payload = await this.#payloadOf(token);
      if (payload === undefined) return notMine;
      this.#checkClaims(payload, request);
      const identity = identityOf(payload, request, settings);
      this.#spend(payload);
      return { kind: 'yes', identity };
    } catch (error) {
      if (error === tooManyWait) return no('busy');
      log.debug({ clientId: request.clientId, reason: (error as Error).message }, 'token refused');
      return no('token');
    }
  }

  /** The claims of a token whose signature and times are right. Undefined: it is no token. Rejects when it is wrong. */
  async #payloadOf(token: string): Promise<JWTPayload | undefined> {
    const { settings, keys, now } = this.#options;
    const { jwtIssuer, jwtAudience, jwtRequireExpiry, jwtSingleUse, jwtClockToleranceS } = settings;
    const header = readHeader(token);
    if (header?.alg === undefined) return undefined;
    const options: JWTVerifyOptions = {
      algorithms: [header.alg],
      currentDate: new Date(now()),
      clockTolerance: jwtClockToleranceS,
      requiredClaims: jwtSingleUse ? ['exp', 'jti'] : jwtRequireExpiry ? ['exp'] : [],
      ...(jwtIssuer === undefined ? {} : { issuer: jwtIssuer }),
      ...(jwtAudience === undefined ? {} : { audience: jwtAudience }),
    };
    let fault: unknown = new Error('no key fits the token');
    for (const key of await keys.find(header)) {
      try {
        // Waiting for a key set is done by now, so that one that is slow holds up none of the other tokens.
        const result = this.#gate.run(() => jwtVerify(token, key, options));
        if (result === undefined) throw tooManyWait;
        return (await result).payload;
      } catch (error) {
        fault = error;
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) break;
      }
    }
    throw fault;
  }

  #checkClaims(payload: JWTPayload, request: AuthRequest): void {
    for (const [name, wanted] of Object.entries(this.#options.settings.jwtClaims || {})) {
      const expected = typeof wanted === 'string' ? expand(wanted, request) : wanted;
      const given = Object.hasOwn(payload, name) ? payload[name] : undefined;
      if (given === undefined || given !== expected)
        throw new Error(`the claim ${JSON.stringify(name)} does not fit`);
    }
  }

  #spend({ jti, exp }: JWTPayload): void {
    const { settings, now } = this.#options;
    if (!settings.jwtSingleUse) return;
    if (typeof jti !== 'string') throw new Error('the claim jti is not a text');
    if (!this.#used.add(jti, endsAtMs(exp as number, settings), now()))
      throw new Error('the token was used before');
  }
}

function asToken(text: string | undefined): string | undefined {
  if (text === undefined || text.length > tokenBytesMax) return undefined;
  return tokenForm.test(text) ? text : undefined;
}

function readHeader(token: string): ReturnType<typeof decodeProtectedHeader> | undefined {
  try {
    return decodeProtectedHeader(token);
  } catch {
    return undefined;
  }
}

function identityOf(payload: JWTPayload, request: AuthRequest, settings: TokenSettings): Identity {
  const rules = rulesOf(
    Object.hasOwn(payload, settings.jwtAclClaim) ? payload[settings.jwtAclClaim] : undefined,
  );
  return {
    username: usernameOf(payload, request, settings),
    ...(payload['is_superuser'] === true ? { isSuperuser: true } : {}),
    ...(rules === undefined ? {} : { rules }),
    ...(payload.exp === undefined ? {} : { expiresAtMs: endsAtMs(payload.exp, settings) }),
  };
}

/** A token that is let in by the tolerance lives as long as it. */
function endsAtMs(exp: number, { jwtClockToleranceS }: TokenSettings): number {
  return (exp + jwtClockToleranceS) * 1000;
}

/** Never a name that nothing proves: the one of CONNECT counts only when a claim was compared with it. */
function usernameOf(
  payload: JWTPayload,
  { username }: AuthRequest,
  settings: TokenSettings,
): string | undefined {
  const { jwtUsernameClaim, jwtFrom, jwtClaims } = settings;
  if (jwtUsernameClaim !== undefined) {
    const name = Object.hasOwn(payload, jwtUsernameClaim) ? payload[jwtUsernameClaim] : undefined;
    if (typeof name !== 'string' || name === '') throw new Error('the claim with the user name is missing');
    return name;
  }
  const isProven = Object.values(jwtClaims || {}).some(
    (wanted) => wanted === '%u' || wanted === '${username}',
  );
  return jwtFrom === 'password' && isProven ? username : payload.sub;
}
