/**
 * API keys that were made while the broker runs, in a file of the data directory. Main thread.
 *
 * Always true: a secret is shown once, when it is made, and kept as SHA-256 only; a key that is switched off or has expired
 * is nobody's; the time of an answer does not tell which keys exist. Gives up: a slow hash, which 256 random bits do not
 * need. The names of the fields are EMQX's.
 */
import { randomBytes } from 'node:crypto';

import Type, { type Static } from 'typebox';

import { type ApiKey, type ApiRole, apiRoles, digestOf, isSecretOf } from './api-key.js';
import { RecordFile } from './record-file.js';

/** Keys at most. */
export const apiKeysMax = 1000;
/** Names that may be taken. */
export const apiKeyNamePattern = /^[A-Za-z][A-Za-z0-9_-]*$/;
/** Characters of a name. */
export const apiKeyNameCharsMax = 64;

const ApiKeyRecord = Type.Object({
  name: Type.String({ minLength: 1, maxLength: apiKeyNameCharsMax, pattern: apiKeyNamePattern }),
  key: Type.String({ minLength: 1 }),
  /** SHA-256 of the secret, Base64. */
  digest: Type.String({ minLength: 44, maxLength: 44 }),
  role: Type.Enum([...apiRoles]),
  description: Type.String(),
  enabled: Type.Boolean(),
  createdAtMs: Type.Integer({ minimum: 0 }),
  /** Unix time in ms; null: never. */
  expiresAtMs: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
});
type ApiKeyRecord = Static<typeof ApiKeyRecord>;

/** A key as it may be shown. */
export type StoredApiKey = Omit<ApiKeyRecord, 'digest'>;

/** What may be changed of a key; what is left out stays. */
export interface ApiKeyChange {
  readonly role?: ApiRole;
  readonly description?: string;
  readonly enabled?: boolean;
  readonly expiresAtMs?: number | null;
}

/** See the file header. */
export class ApiKeyStore {
  readonly #file: RecordFile<typeof ApiKeyRecord>;
  #byKey: ReadonlyMap<string, ApiKeyRecord & { readonly digestBytes: Buffer }>;

  /** Reads the file, which need not exist. Throws `OperationalError` ERR_ACCESS_FILE. */
  constructor(file: string) {
    this.#file = new RecordFile(file, ApiKeyRecord);
    this.#byKey = index(this.#file.records);
  }

  /** All keys, in order of their names. */
  list(): StoredApiKey[] {
    return this.#file.records.map((record) => shown(record)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Undefined: there is none of that name. */
  get(name: string): StoredApiKey | undefined {
    const record = this.#file.records.find((one) => one.name === name);
    return record === undefined ? undefined : shown(record);
  }

  /** The key when the secret is its own and it is in force. */
  find(key: string, secret: string, nowMs: number): ApiKey | undefined {
    const record = this.#byKey.get(key);
    const isRight = isSecretOf(record?.digestBytes, secret);
    if (!isRight || record?.enabled !== true || isExpired(record, nowMs)) return undefined;
    return { key: record.name, role: record.role, scopes: undefined, namespace: undefined };
  }

  /** Makes a key; its secret is in the answer and nowhere else. */
  async create(
    wanted: Required<ApiKeyChange> & { readonly name: string },
    nowMs: number,
  ): Promise<{ readonly key: StoredApiKey; readonly secret: string } | 'exists' | 'too-many'> {
    const secret = randomBytes(32).toString('hex');
    const record: ApiKeyRecord = {
      name: wanted.name,
      key: randomBytes(8).toString('hex'),
      digest: digestOf(secret).toString('base64'),
      role: wanted.role,
      description: wanted.description,
      enabled: wanted.enabled,
      createdAtMs: nowMs,
      expiresAtMs: wanted.expiresAtMs,
    };
    const outcome = await this.#update<'exists' | 'too-many'>((records) => {
      if (records.some(({ name }) => name === record.name)) return 'exists';
      return records.length >= apiKeysMax ? 'too-many' : [...records, record];
    });
    return outcome === 'done' ? { key: shown(record), secret } : outcome;
  }

  /** Changes a key. */
  async change(name: string, change: ApiKeyChange): Promise<'done' | 'not-found'> {
    return await this.#update<'not-found'>((records) => {
      if (!records.some((record) => record.name === name)) return 'not-found';
      return records.map((record) => (record.name === name ? { ...record, ...change } : record));
    });
  }

  /** Removes a key. */
  async remove(name: string): Promise<'done' | 'not-found'> {
    return await this.#update<'not-found'>((records) => {
      const next = records.filter((record) => record.name !== name);
      return next.length === records.length ? 'not-found' : next;
    });
  }

  #update<R extends string>(
    change: (records: readonly ApiKeyRecord[]) => readonly ApiKeyRecord[] | R,
  ): Promise<R | 'done'> {
    return this.#file.update(change, (records) => {
      this.#byKey = index(records);
    });
  }
}

/** True when the time of a key is over. */
export function isExpired({ expiresAtMs }: Pick<StoredApiKey, 'expiresAtMs'>, nowMs: number): boolean {
  return expiresAtMs !== null && nowMs >= expiresAtMs;
}

function shown({ digest: _digest, ...rest }: ApiKeyRecord): StoredApiKey {
  return rest;
}

function index(records: readonly ApiKeyRecord[]) {
  return new Map(
    records.map((record) => [record.key, { ...record, digestBytes: Buffer.from(record.digest, 'base64') }]),
  );
}
