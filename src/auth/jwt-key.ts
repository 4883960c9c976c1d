/**
 * The keys that tokens are checked with, and which algorithms each may be used for. Main thread.
 *
 * Always true: the family of the token's algorithm picks the key, and a key serves its own family only: a secret never checks
 * a signature of a public key and a public key is never taken for a secret; `none` has no key at all. Keys that a token
 * brings along or points to (`jwk`, `jku`, `x5u`) are not looked at. Source: RFC 7518, RFC 8725 section 3.
 */
import { type KeyObject, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';

import type { CryptoKey, JWSHeaderParameters } from 'jose';

import { OperationalError } from '../base/error.js';
import type { AuthSettings } from '../config/auth-settings.js';
import { watchForChange } from './file-watch.js';
import { Jwks } from './jwks.js';
import type { AuthLog } from './method.js';

/** A key that one signature is checked with. */
export type VerifyKey = Uint8Array | KeyObject | CryptoKey;

/** Settings of the keys. */
export type KeySettings = Pick<
  AuthSettings,
  | 'jwtSecret'
  | 'jwtSecretFile'
  | 'jwtSecretBase64'
  | 'jwtPublicKeyFile'
  | 'jwtJwks'
  | 'jwtJwksRefreshMs'
  | 'authHttpTimeoutMs'
>;

const secretAlgorithms: ReadonlySet<string> = new Set(['HS256', 'HS384', 'HS512']);
const rsaAlgorithms: readonly string[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const ecAlgorithms: Readonly<Record<string, string>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};
const publicAlgorithms: ReadonlySet<string> = new Set([
  ...rsaAlgorithms,
  ...Object.values(ecAlgorithms),
  'EdDSA',
  'Ed25519',
]);

const secretBytesMin = 32;

interface PublicKey {
  readonly key: KeyObject;
  readonly algorithms: readonly string[];
}

/** See the file header. */
export class JwtKeys {
  readonly #settings: KeySettings;
  readonly #log: AuthLog;
  readonly #jwks: Jwks | undefined;
  readonly #stops: (() => void)[] = [];
  #secret: Uint8Array | undefined;
  #publicKey: PublicKey | undefined;

  private constructor(settings: KeySettings, log: AuthLog, jwks: Jwks | undefined) {
    this.#settings = settings;
    this.#log = log;
    this.#jwks = jwks;
    this.#secret = readSecret(settings);
    this.#publicKey = readPublicKey(settings);
  }

  /** Rejects with `OperationalError` ERR_AUTH when a file is not usable. Undefined: no key is configured. */
  static async open(settings: KeySettings, log: AuthLog, now: () => number): Promise<JwtKeys | undefined> {
    const { jwtSecret, jwtSecretFile, jwtPublicKeyFile, jwtJwks, jwtJwksRefreshMs } = settings;
    if ([jwtSecret, jwtSecretFile, jwtPublicKeyFile, jwtJwks].every((one) => one === undefined))
      return undefined;
    try {
      const jwks =
        jwtJwks === undefined
          ? undefined
          : await Jwks.open({
              source: jwtJwks,
              refreshMs: jwtJwksRefreshMs,
              timeoutMs: settings.authHttpTimeoutMs,
              now,
              log,
            });
      const keys = new JwtKeys(settings, log, jwks);
      keys.#watch();
      return keys;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new OperationalError('ERR_AUTH', `a key of SLUICE_JWT_… cannot be used: ${reason}`, error);
    }
  }

  /** The keys that a token with this header may have been signed with; empty: refuse it. */
  async find(header: JWSHeaderParameters): Promise<readonly VerifyKey[]> {
    const { alg } = header;
    if (alg === undefined) return [];
    if (secretAlgorithms.has(alg)) return this.#secret === undefined ? [] : [this.#secret];
    if (!publicAlgorithms.has(alg)) return [];
    const own = this.#publicKey?.algorithms.includes(alg) === true ? [this.#publicKey.key] : [];
    const others = (await this.#jwks?.find(header)) ?? [];
    return [...own, ...others];
  }

  /** Reads the files again and asks for the key set; what is broken is logged, and the old keys stay. */
  async reload(): Promise<void> {
    try {
      const [secret, publicKey] = [readSecret(this.#settings), readPublicKey(this.#settings)];
      this.#secret = secret;
      this.#publicKey = publicKey;
    } catch (error) {
      this.#log.error(
        { reason: (error as Error).message },
        'a key of tokens is not usable; the old keys stay',
      );
    }
    await this.#jwks?.reload();
  }

  close(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#jwks?.close();
  }

  #watch(): void {
    const { jwtSecretFile, jwtPublicKeyFile, jwtJwks } = this.#settings;
    const jwksFile = jwtJwks !== undefined && !/^https?:\/\//.test(jwtJwks) ? jwtJwks : undefined;
    for (const file of [jwtSecretFile, jwtPublicKeyFile, jwksFile]) {
      if (file !== undefined) this.#stops.push(watchForChange(file, () => void this.reload()));
    }
  }
}

function readSecret({ jwtSecret, jwtSecretFile, jwtSecretBase64 }: KeySettings): Uint8Array | undefined {
  const text =
    jwtSecretFile === undefined ? jwtSecret : readFileSync(jwtSecretFile, 'utf8').replace(/\r?\n$/, '');
  if (text === undefined) return undefined;
  const secret = Buffer.from(text, jwtSecretBase64 ? 'base64' : 'utf8');
  if (secret.length < secretBytesMin) throw new Error(`the secret is shorter than ${secretBytesMin} bytes`);
  return secret;
}

function readPublicKey({ jwtPublicKeyFile }: KeySettings): PublicKey | undefined {
  if (jwtPublicKeyFile === undefined) return undefined;
  const key = createPublicKey(readFileSync(jwtPublicKeyFile));
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'rsa') {
    if ((details?.modulusLength ?? 0) < 2048) throw new Error('the RSA key has fewer than 2048 bits');
    return { key, algorithms: rsaAlgorithms };
  }
  if (type === 'ed25519') return { key, algorithms: ['EdDSA', 'Ed25519'] };
  const algorithm = type === 'ec' ? ecAlgorithms[details?.namedCurve ?? ''] : undefined;
  if (algorithm === undefined) throw new Error('the public key is not RSA, P-256, P-384, P-521 or Ed25519');
  return { key, algorithms: [algorithm] };
}
