/**
 * One listener in the words of `SLUICE_LISTENERS`: its fields and what they may be. Main thread, at start; pure.
 *
 * Always true: what leaves `parseEntries` has known fields with values of the right kind, so that whoever applies the
 * defaults may trust their types. Nothing is looked up: files and addresses are tried when the listener starts.
 */
import { isIP } from 'node:net';

import { UnitError } from './unit.js';

/** What carries the bytes of a listener. */
export const listenerKinds = ['tcp', 'tls', 'ws', 'wss', 'unix'] as const;
/** See `listenerKinds`. */
export type ListenerKind = (typeof listenerKinds)[number];

/** What a TLS listener asks of its clients: nothing, a certificate if they have one, a certificate. */
export const clientAuthWords = ['none', 'request', 'require'] as const;
/** Which part of a verified client certificate is the user name: none, its Common Name, its whole subject. */
export const identityWords = ['none', 'cn', 'dn'] as const;
/** Oldest TLS that is spoken. */
export const tlsVersionWords = ['1.2', '1.3'] as const;

/** A listener as `SLUICE_LISTENERS` gives it: checked, defaults not applied. */
export type ListenerEntry = Readonly<Partial<Record<EntryKey, unknown>>> & { readonly kind: ListenerKind };

const hostPattern = /^[\w.:%-]+$/;
const namePattern = /^[a-z][\w-]{0,31}$/i;
const connectionsMaxMax = 10_000_000;

type Check = (value: unknown) => string | undefined;

const isText =
  (pattern: RegExp, what: string): Check =>
  (value) =>
    typeof value === 'string' && pattern.test(value) ? undefined : `is not ${what}`;
const isWord =
  (words: readonly string[]): Check =>
  (value) =>
    typeof value === 'string' && words.includes(value) ? undefined : `is not one of ${words.join(', ')}`;
const isCount =
  (min: number, max: number): Check =>
  (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? undefined
      : `is not a whole number from ${min} to ${max}`;

/** The fields of an entry of `SLUICE_LISTENERS` and what they may be. */
const entryKeys = {
  kind: isWord(listenerKinds),
  name: isText(namePattern, 'a name of letters, digits, - and _'),
  host: isText(hostPattern, 'a host name or an IP address'),
  port: isCount(0, 65_535),
  path: isText(/^\/?[^\s?#\0]+$/, 'a path'),
  mode: isText(/^0?[0-7]{3}$/, 'three octal digits as a text'),
  proxyProtocol: (value: unknown) => (typeof value === 'boolean' ? undefined : 'is not true or false'),
  proxyFrom: (value: unknown) => {
    if (!Array.isArray(value) || !value.every((one) => typeof one === 'string'))
      return 'is not an array of texts';
    try {
      networks(value);
      return undefined;
    } catch (error) {
      return (error as UnitError).message;
    }
  },
  maxConnections: isCount(1, connectionsMaxMax),
  cert: isText(/^[^\0]+$/, 'a path'),
  key: isText(/^[^\0]+$/, 'a path'),
  ca: isText(/^[^\0]+$/, 'a path'),
  crl: isText(/^[^\0]+$/, 'a path'),
  clientAuth: isWord(clientAuthWords),
  identity: isWord(identityWords),
  minVersion: isWord(tlsVersionWords),
} satisfies Record<string, Check>;

/** Name of a field. */
export type EntryKey = keyof typeof entryKeys;

/** Reads the JSON array. Throws `UnitError` that names the entry and the field. */
export function parseEntries(given: string): ListenerEntry[] {
  let value: unknown;
  try {
    value = JSON.parse(given);
  } catch (error) {
    throw new UnitError(`is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!Array.isArray(value)) throw new UnitError('is not a JSON array of listeners');
  return value.map((entry: unknown, index) => {
    const where = `listener ${index + 1}`;
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
      throw new UnitError(`${where} is not an object`);
    }
    if (!('kind' in entry)) throw new UnitError(`${where} has no kind`);
    for (const [key, field] of Object.entries(entry)) {
      if (!Object.hasOwn(entryKeys, key)) {
        throw new UnitError(
          `${where} has the unknown field ${JSON.stringify(key)}; known are ${Object.keys(entryKeys).join(', ')}`,
        );
      }
      const wrong = entryKeys[key as EntryKey](field);
      if (wrong !== undefined) throw new UnitError(`${where}: ${key} ${JSON.stringify(field)} ${wrong}`);
    }
    const { kind, path } = entry as { kind: ListenerKind; path?: string };
    if ((kind === 'ws' || kind === 'wss') && path !== undefined && !path.startsWith('/')) {
      throw new UnitError(`${where}: path ${JSON.stringify(path)} does not begin with /`);
    }
    return entry as ListenerEntry;
  });
}

/** Checks addresses and networks (`10.0.0.0/8`); hands them back. Throws `UnitError`. */
export function networks(list: readonly string[]): readonly string[] {
  for (const one of list) {
    const [address = '', length, ...rest] = one.split('/');
    const version = isIP(address);
    const isLength =
      length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= (version === 6 ? 128 : 32));
    if (version === 0 || !isLength || rest.length > 0) {
      throw new UnitError(`${JSON.stringify(one)} is not an address or a network such as 10.0.0.0/8`);
    }
  }
  return list;
}
