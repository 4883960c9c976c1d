/**
 * API keys of the REST API: the bootstrap file, and who may do what with a key. Main thread.
 *
 * Always true: secrets are kept as SHA-256 only and compared in constant time, also for unknown keys; no secret is
 * ever logged. At the start a bad line ends the loading there, and what came before it counts; later a file with a bad line
 * or without a key, as one that is being written, changes nothing. Once a file is configured a key is always required, even
 * when the file holds none: a typing error locks the API instead of opening it.
 * Gives up: a slow hash. Keys are long random texts, which no guessing reaches, and a slow hash on this thread
 * would let anybody stop the broker with wrong passwords. Source: REF 7.5.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';

import { OperationalError } from '../base/error.js';

/** What the owner of a key is. */
export type ApiRole = 'administrator' | 'viewer' | 'publisher';

/** A key without its secret. */
export interface ApiKey {
  readonly key: string;
  readonly role: ApiRole;
  /** Parts of the API it is limited to; undefined: no limit; empty: nothing. */
  readonly scopes: readonly string[] | undefined;
  /** Set for keys that belong to a namespace; Sluice has none, so they may only look. */
  readonly namespace: string | undefined;
}

/** What an `Authorization` header holds. */
export type Authorization =
  | { readonly scheme: 'missing' }
  | { readonly scheme: 'malformed' }
  | { readonly scheme: 'bearer'; readonly token: string }
  | { readonly scheme: 'basic'; readonly key: string; readonly secret: string };

/** Reads an `Authorization` header. */
export function readAuthorization(header: string | undefined): Authorization {
  if (header === undefined) return { scheme: 'missing' };
  const [, scheme = '', credentials = ''] = /^(\S+) +(\S+) *$/.exec(header) ?? [];
  if (scheme.toLowerCase() === 'bearer') return { scheme: 'bearer', token: credentials };
  if (scheme.toLowerCase() !== 'basic') return { scheme: 'malformed' };
  const text = Buffer.from(credentials, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) return { scheme: 'malformed' };
  return { scheme: 'basic', key: text.slice(0, colon), secret: text.slice(colon + 1) };
}

/** True when `digest` is the one of `secret`; an absent one takes as long as one that differs. */
export function isSecretOf(digest: Buffer | undefined, secret: string): boolean {
  const given = digestOf(secret);
  const same = timingSafeEqual(given, digest ?? Buffer.alloc(given.length));
  return digest !== undefined && same;
}

/** The part of a logger that is used here. */
export interface ApiKeyLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** The only scope with a meaning here: clients and queues. */
export const queueScope = 'connections';
const fileBytesMax = 1024 * 1024;
/** All roles. */
export const apiRoles = ['administrator', 'viewer', 'publisher'] as const satisfies readonly ApiRole[];
const roles: readonly string[] = apiRoles;

interface StoredKey extends ApiKey {
  readonly digest: Buffer;
}

/** See the file header. */
export class ApiKeys {
  #keys: ReadonlyMap<string, StoredKey>;
  /** True when a key is needed: a file is configured. */
  readonly required: boolean;
  /** What was wrong with the text that the first keys came from; undefined: nothing. Names no secret. */
  readonly fault: string | undefined;
  /** Undefined: the keys came from no file. */
  readonly #source: { readonly file: string; readonly log: ApiKeyLog } | undefined;

  private constructor(
    keys: ReadonlyMap<string, StoredKey>,
    required: boolean,
    fault?: string,
    source?: { readonly file: string; readonly log: ApiKeyLog },
  ) {
    this.#keys = keys;
    this.required = required;
    this.fault = fault;
    this.#source = source;
  }

  /** No file is configured: the API asks for no key, and answers on loopback only. */
  static none(): ApiKeys {
    return new ApiKeys(new Map(), false);
  }

  /** Reads a bootstrap file. Throws `OperationalError` ERR_API_KEYS when it cannot be read or is larger than 1 MB. */
  static load(file: string, log: ApiKeyLog): ApiKeys {
    const { keys, fault } = keysAtStart(readKeyFile(file), log);
    return new ApiKeys(keys, true, fault, { file, log });
  }

  /** Reads the text of a bootstrap file: one `key:secret[:role[:scope,…]]` or `key:secret:ns:<ns>::<role>[:scope,…]` per line. */
  static parse(text: string, log: ApiKeyLog): ApiKeys {
    const { keys, fault } = keysAtStart(text, log);
    return new ApiKeys(keys, true, fault);
  }

  /** Reads the file again. What is wrong with it is logged, and the keys stay as they were. */
  reload(): void {
    if (this.#source === undefined) return;
    const { file, log } = this.#source;
    try {
      const { keys, badLine, fault } = keysOf(readKeyFile(file), log);
      if (fault === undefined) this.#keys = keys;
      else log.error({ ...badLine, reason: fault }, 'the API keys stay as they were');
    } catch (error) {
      log.error({ err: error }, 'the API keys stay as they were');
    }
  }

  /** Number of keys. */
  get size(): number {
    return this.#keys.size;
  }

  /** The key when the secret is its own; takes as long when there is no such key. */
  find(name: string, secret: string): ApiKey | undefined {
    const stored = this.#keys.get(name);
    if (!isSecretOf(stored?.digest, secret) || stored === undefined) return undefined;
    const { key, role, scopes, namespace } = stored;
    return { key, role, scopes, namespace };
  }
}

function readKeyFile(file: string): string {
  try {
    if (statSync(file).size > fileBytesMax) throw new Error(`it is larger than ${fileBytesMax} bytes`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OperationalError('ERR_API_KEYS', `the API key file ${file} cannot be used: ${reason}`, error);
  }
}

interface ReadKeys {
  /** Those before a bad line. */
  readonly keys: ReadonlyMap<string, StoredKey>;
  /** Undefined: every line is a key, and there is one. */
  readonly fault: string | undefined;
  readonly badLine: { readonly line: number } | undefined;
}

function keysAtStart(text: string, log: ApiKeyLog): ReadKeys {
  const read = keysOf(text, log);
  const { keys, fault, badLine } = read;
  if (badLine !== undefined) {
    log.error({ ...badLine, reason: fault }, 'bad line in the API key file; the rest is not loaded');
  }
  if (keys.size === 0) log.error({}, 'the API key file holds no key; every request will be refused');
  return read;
}

function keysOf(text: string, log: ApiKeyLog): ReadKeys {
  const keys = new Map<string, StoredKey>();
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  for (const [index, raw] of lines.entries()) {
    const line = raw.trim();
    if (line === '') continue;
    const parsed = parseLine(line);
    if (typeof parsed === 'string') {
      return { keys, fault: `line ${index + 1}: ${parsed}`, badLine: { line: index + 1 } };
    }
    const unknown = parsed.scopes?.filter((scope) => scope !== queueScope) ?? [];
    if (unknown.length > 0) {
      log.warn({ line: index + 1, scopes: unknown }, 'scopes without a meaning here are dropped');
    }
    const scopes = parsed.scopes?.filter((scope) => scope === queueScope);
    keys.set(parsed.key, { ...parsed, scopes });
  }
  return { keys, fault: keys.size === 0 ? 'it holds no key' : undefined, badLine: undefined };
}

/** A key, or why the line is none. */
function parseLine(line: string): StoredKey | string {
  if (/\s/.test(line)) return 'there is white space inside the line';
  const [key = '', secret = '', ...rest] = line.split(':');
  if (key === '' || secret === '') return 'a line is key:secret, then optionally :role and :scopes';
  let namespace: string | undefined;
  let fields = rest;
  if (rest[0] === 'ns' && rest.length > 1) {
    const [, name = '', gap, ...others] = rest;
    if (name === '' || gap !== '') return 'a namespace is written ns:<name>::<role>';
    namespace = name;
    fields = others;
    if (fields.length === 0) return 'a namespace is written ns:<name>::<role>';
  }
  const [role = 'administrator', scopes, ...surplus] = fields;
  if (surplus.length > 0) return 'there are too many fields';
  if (!isRole(role)) return `the role is not one of ${roles.join(', ')}`;
  return {
    key,
    role,
    scopes: scopes?.split(',').filter((scope) => scope !== ''),
    namespace,
    digest: digestOf(secret),
  };
}

function isRole(text: string): text is ApiRole {
  return roles.includes(text);
}

/** SHA-256 of a secret: what is kept of it. */
export function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
