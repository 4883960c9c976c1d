/**
 * Settings of authentication: who may connect. Runs on the main thread, once, at start; plain tables.
 *
 * Always true: what is not set is `undefined`, and its default is written `none`, so that a method of
 * authentication exists exactly when its first setting is there. Secrets may stand in a variable or, better, in a file.
 * Gives up: several instances of one method; a chain has each method once.
 */
import { UnitError } from './unit.js';
import { choice, duration, flag, integer, objectOrFalse, optionalPath, seconds, text } from './variable.js';
import type { Variable } from './variable.js';

const dayMs = 86_400_000;

/** `variable` or nothing: the word `none` is what leaving it out means. */
function orNone<T>(variable: Variable<T>): Variable<T | undefined> {
  return {
    ...variable,
    defaultText: 'none',
    fallback: () => undefined,
    parse: (given) => (given === 'none' ? undefined : variable.parse(given)),
  };
}

function optionalText(name: string, help: string, range = 'any text'): Variable<string | undefined> {
  return orNone(text(name, { fallback: '', pattern: /[^]/, range, help }));
}

function optionalFile(name: string, help: string): Variable<string | undefined> {
  return orNone(optionalPath(name, { help }));
}

function url(name: string, help: string): Variable<string | undefined> {
  const variable = text(name, { fallback: '', pattern: /^https?:\/\//, range: 'an http or https URL', help });
  return orNone({
    ...variable,
    parse: (given) => {
      if (!URL.canParse(variable.parse(given))) throw new UnitError(`${JSON.stringify(given)} is not a URL`);
      return given;
    },
  });
}

/** Who may connect; spread into `Config`. */
export const authentication = {
  allowAnonymous: choice('SLUICE_ALLOW_ANONYMOUS', {
    words: ['auto', 'true', 'false'],
    fallback: 'auto',
    help: 'Clients that prove nothing: `auto` lets them in from this machine only, and from nowhere once a method of authentication is set; `true` from everywhere; `false` from nowhere.',
  }),
  passwordFile: optionalFile(
    'SLUICE_PASSWORD_FILE',
    'File with one `username:hash` per line, written by `sluice passwd`; files of Mosquitto work, too. Read again when it changes.',
  ),
  authHashesMax: integer('SLUICE_AUTH_HASHES_MAX', {
    fallback: 2,
    min: 1,
    max: 64,
    help: 'Passwords that are hashed at the same time; the others wait.',
  }),
  authCacheMs: duration('SLUICE_AUTH_CACHE', {
    fallback: 600_000,
    min: 0,
    max: dayMs,
    help: 'How long a password that was right is remembered, as a keyed hash, so that a client that returns costs no slow hash; 0 never.',
  }),
  authFailuresMax: integer('SLUICE_AUTH_FAILURES_MAX', {
    fallback: 20,
    min: 0,
    max: 1_000_000,
    help: 'Wrong credentials from one address (IPv6: one /64) within a minute; after that the address is refused unheard until the minute is over. 0 for no limit.',
  }),
  jwtSecret: optionalText(
    'SLUICE_JWT_SECRET',
    'Shared secret of JSON Web Tokens signed by HS256, HS384 or HS512; at least 32 bytes.',
  ),
  jwtSecretFile: optionalFile(
    'SLUICE_JWT_SECRET_FILE',
    'The same in a file; a line end at its end does not belong to it.',
  ),
  jwtSecretBase64: flag('SLUICE_JWT_SECRET_BASE64', {
    fallback: false,
    help: 'The secret is written in Base64.',
  }),
  jwtPublicKeyFile: optionalFile(
    'SLUICE_JWT_PUBLIC_KEY',
    'PEM file with the public key (or certificate) of tokens signed by RS256, PS256, ES256 or their longer forms, or EdDSA.',
  ),
  jwtJwks: orNone(
    text('SLUICE_JWT_JWKS', {
      fallback: '',
      pattern: /[^]/,
      range: 'an http or https URL, or a path',
      help: 'JSON Web Key Set with the public keys of tokens: a file, or a URL that is asked again as keys change.',
    }),
  ),
  jwtJwksRefreshMs: duration('SLUICE_JWT_JWKS_REFRESH', {
    fallback: 300_000,
    min: 1000,
    max: dayMs,
    help: 'Age at which the key set of a URL is asked for again.',
  }),
  jwtFrom: choice('SLUICE_JWT_FROM', {
    words: ['password', 'username'],
    fallback: 'password',
    help: 'Field of CONNECT that carries the token.',
  }),
  jwtIssuer: optionalText('SLUICE_JWT_ISSUER', 'The claim `iss` that a token must have.'),
  jwtAudience: optionalText('SLUICE_JWT_AUDIENCE', 'An audience that the claim `aud` must name.'),
  jwtClaims: objectOrFalse('SLUICE_JWT_CLAIMS', {
    help: 'Claims that a token must have, with their values; in a value `%c` (or `${clientid}`) is the client id and `%u` (or `${username}`) the user name of CONNECT.',
  }),
  jwtUsernameClaim: optionalText(
    'SLUICE_JWT_USERNAME_CLAIM',
    'Claim that names the user. Without it the user is the user name of CONNECT when `SLUICE_JWT_CLAIMS` compares a claim with `%u`, else the claim `sub`.',
  ),
  jwtAclClaim: text('SLUICE_JWT_ACL_CLAIM', {
    fallback: 'acl',
    pattern: /[^]/,
    range: 'any text',
    help: 'Claim with the rules of the client.',
  }),
  jwtRequireExpiry: flag('SLUICE_JWT_REQUIRE_EXP', {
    fallback: false,
    help: 'Refuses tokens that never expire.',
  }),
  jwtSingleUse: flag('SLUICE_JWT_SINGLE_USE', {
    fallback: false,
    help: 'Takes each token once, by its claims `jti` and `exp`, which are then needed. The memory of it ends with the process.',
  }),
  jwtClockToleranceS: seconds('SLUICE_JWT_CLOCK_TOLERANCE', {
    fallback: 5,
    min: 0,
    max: 600,
    help: 'Difference of clocks that is forgiven when `exp` and `nbf` are checked.',
  }),
  authHttpUrl: url('SLUICE_AUTH_HTTP_URL', 'Service that is asked who may connect.'),
  authHttpMethod: choice('SLUICE_AUTH_HTTP_METHOD', {
    words: ['post', 'get'],
    fallback: 'post',
    help: '`post` sends a JSON object, `get` a query, which other servers may log with the password in it.',
  }),
  authHttpHeaders: objectOrFalse('SLUICE_AUTH_HTTP_HEADERS', {
    help: 'Headers of the request, such as `{"authorization":"Bearer …"}`.',
  }),
  authHttpBody: objectOrFalse('SLUICE_AUTH_HTTP_BODY', {
    help: 'Fields of the request in place of clientid, username, password and peerhost; values may hold `${clientid}`, `${username}`, `${password}`, `${peerhost}`, `${listener}`, `${cert_common_name}`, `${cert_subject}`.',
  }),
  authHttpTimeoutMs: duration('SLUICE_AUTH_HTTP_TIMEOUT_MS', {
    fallback: 5000,
    min: 1,
    max: 60_000,
    help: 'Time limit of one call, for the call-out and for the key set of a URL; a call that takes longer refuses the client.',
  }),
  authHttpCallsMax: integer('SLUICE_AUTH_HTTP_CALLS_MAX', {
    fallback: 32,
    min: 1,
    max: 1024,
    help: 'Calls at the same time; the others wait.',
  }),
  authHttpCacheMs: duration('SLUICE_AUTH_HTTP_CACHE', {
    fallback: 60_000,
    min: 0,
    max: dayMs,
    help: 'How long a service that said yes is not asked again for the same client, user, password and address; 0 asks every time.',
  }),
  authHttpDenyCacheMs: duration('SLUICE_AUTH_HTTP_DENY_CACHE', {
    fallback: 5000,
    min: 0,
    max: dayMs,
    help: 'The same after a no.',
  }),
};

/** What the tables above load to. */
export type AuthSettings = {
  readonly [K in keyof typeof authentication]: (typeof authentication)[K] extends Variable<infer T>
    ? T
    : never;
};
