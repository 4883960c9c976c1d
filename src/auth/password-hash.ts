/**
 * The forms in which a password may be stored, and how one is checked. Main thread; slow hashes run in Node's thread pool.
 *
 *     $scrypt$ln=15,r=8,p=1$<salt>$<hash>                         ours, the default
 *     $scram-sha-256$i=<n>$<salt>$<stored key>$<server key>       ours, for SCRAM; plain passwords as well
 *     $argon2id$v=19$m=<KiB>,t=<n>,p=<n>$<salt>$<hash>            checked where Node.js has argon2 (24.7 and later)
 *     $7$<iterations>$<salt>$<hash>    $6$<salt>$<hash>           of Mosquitto: PBKDF2 with SHA-512, salted SHA-512
 *
 * Always true: hashes are compared in constant time, and no stored cost can ask for more than a stated amount of memory
 * and time. Passwords are bytes; only SCRAM reads them as text. Source: RFC 7914, RFC 8018, RFC 5803, RFC 9106.
 */
import crypto from 'node:crypto';
import { promisify } from 'node:util';

import { saslPrep } from './sasl-prep.js';

const scrypt = promisify<Buffer, Buffer, number, crypto.ScryptOptions, Buffer>(crypto.scrypt);
const pbkdf2 = promisify(crypto.pbkdf2);

/** What a line of a password file holds. `text` is the line's own form of it and stands for the whole. */
export type PasswordHash =
  | ({ readonly kind: 'scrypt'; readonly text: string; readonly cost: ScryptCost } & Salted)
  | ({ readonly kind: 'pbkdf2-sha512'; readonly text: string; readonly iterations: number } & Salted)
  | ({ readonly kind: 'sha512'; readonly text: string } & Salted)
  | ({ readonly kind: 'argon2id'; readonly text: string; readonly cost: Argon2Cost } & Salted)
  | ScramHash;

/** What the server keeps of a SCRAM-SHA-256 password (RFC 5802 section 3). */
export interface ScramHash {
  readonly kind: 'scram';
  readonly text: string;
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

interface Salted {
  readonly salt: Buffer;
  readonly hash: Buffer;
}

interface ScryptCost {
  /** Binary logarithm of N. */
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

interface Argon2Cost {
  readonly memoryKb: number;
  readonly passes: number;
  readonly parallelism: number;
}

type Argon2 = (
  algorithm: 'argon2id',
  parameters: {
    message: Buffer;
    nonce: Buffer;
    parallelism: number;
    tagLength: number;
    memory: number;
    passes: number;
  },
  callback: (error: Error | null, hash: Buffer) => void,
) => void;

/** Undefined before Node.js 24.7. */
const argon2 = (crypto as unknown as { readonly argon2?: Argon2 }).argon2;

/** 32 MB and some 60 ms on a core of 2020. */
const scryptCost: ScryptCost = { ln: 15, r: 8, p: 1 };
const scryptMemoryMax = 256 * 1024 * 1024;
const scryptWorkMax = 2 ** 24;
const argon2MemoryKbMax = 256 * 1024;
const argon2WorkMax = 4 * argon2MemoryKbMax;
const pbkdf2IterationsMax = 2_000_000;

/** Least iterations of SCRAM-SHA-256 (RFC 7677 section 4). */
export const scramIterationsMin = 4096;
/** Iterations of lines that `sluice passwd --scram` writes. */
export const scramIterations = 16_384;

/** Reads one stored form. Throws an `Error` that says what is wrong; it never repeats the text. */
export function parsePasswordHash(text: string): PasswordHash {
  const [before, scheme = '', ...fields] = text.split('$');
  if (before !== '' || fields.length === 0) {
    throw new Error('what follows the colon is not a hash; make it with "sluice passwd"');
  }
  const [first = '', second = '', third = '', fourth = ''] = fields;
  const count = fields.length;
  if (scheme === 'scrypt' && count === 3) {
    const { ln, r, p } = numbers(first, ['ln', 'r', 'p']);
    const cost = { ln, r, p } as ScryptCost;
    checkScrypt(cost);
    return { kind: 'scrypt', text, cost, salt: bytes(second, 8), hash: bytes(third, 16) };
  }
  if (scheme === 'scram-sha-256' && count === 4) {
    const { i } = numbers(first, ['i']);
    const iterations = within(i as number, scramIterationsMin, pbkdf2IterationsMax, 'i');
    const [storedKey, serverKey] = [bytes(third, 32, 32), bytes(fourth, 32, 32)];
    return { kind: 'scram', text, iterations, salt: bytes(second, 8), storedKey, serverKey };
  }
  if (scheme === 'argon2id' && count === 4) return parseArgon2(text, first, second, third, fourth);
  if (scheme === '7' && count === 3) {
    const iterations = within(Number(first), 1, pbkdf2IterationsMax, 'the iteration count');
    return { kind: 'pbkdf2-sha512', text, iterations, salt: bytes(second, 8), hash: bytes(third, 64, 64) };
  }
  if (scheme === '6' && count === 2) {
    return { kind: 'sha512', text, salt: bytes(first, 8), hash: bytes(second, 64, 64) };
  }
  throw new Error('the kind of hash is not known, or it has not all of its fields');
}

function parseArgon2(text: string, version: string, costs: string, salt: string, hash: string): PasswordHash {
  if (argon2 === undefined) throw new Error('an argon2 hash needs Node.js 24.7 or later');
  if (version !== 'v=19') throw new Error('the version of argon2 is not 19');
  const { m, t, p } = numbers(costs, ['m', 't', 'p']) as { m: number; t: number; p: number };
  within(p, 1, 16, 'p');
  within(m, 8 * p, argon2MemoryKbMax, 'm');
  within(m * t, m, argon2WorkMax, 'm × t');
  const cost = { memoryKb: m, passes: t, parallelism: p };
  return { kind: 'argon2id', text, cost, salt: bytes(salt, 8), hash: bytes(hash, 16) };
}

/** True when `password` is the one that `stored` was made from. Runs in the thread pool; rejects when that has no memory. */
export async function verifyPassword(stored: PasswordHash, password: Buffer): Promise<boolean> {
  switch (stored.kind) {
    case 'scrypt':
      return same(stored.hash, await deriveScrypt(password, stored.salt, stored.cost, stored.hash.length));
    case 'pbkdf2-sha512':
      return same(stored.hash, await pbkdf2(password, stored.salt, stored.iterations, 64, 'sha512'));
    case 'sha512':
      return same(stored.hash, crypto.createHash('sha512').update(password).update(stored.salt).digest());
    case 'argon2id':
      return same(stored.hash, await deriveArgon2(password, stored.salt, stored.cost, stored.hash.length));
    case 'scram': {
      const keys = await scramKeys(password, stored.salt, stored.iterations);
      return keys !== undefined && same(stored.storedKey, keys.storedKey);
    }
  }
}

/** The line's form of a new password, with scrypt. */
export async function hashPassword(password: Buffer, cost: ScryptCost = scryptCost): Promise<string> {
  checkScrypt(cost);
  const salt = crypto.randomBytes(16);
  const hash = await deriveScrypt(password, salt, cost, 32);
  return `$scrypt$ln=${cost.ln},r=${cost.r},p=${cost.p}$${base64(salt)}$${base64(hash)}`;
}

/** The line's form of a new password for SCRAM-SHA-256. Throws when the password holds characters that SCRAM refuses. */
export async function hashScram(
  password: Buffer,
  iterations: number = scramIterations,
  salt: Buffer = crypto.randomBytes(16),
): Promise<string> {
  const keys = await scramKeys(password, salt, iterations);
  if (keys === undefined) throw new Error('the password holds characters that SCRAM does not allow');
  const { storedKey, serverKey } = keys;
  return `$scram-sha-256$i=${iterations}$${base64(salt)}$${base64(storedKey)}$${base64(serverKey)}`;
}

/** HMAC-SHA-256. */
export function hmac(key: Buffer, data: Buffer | string): Buffer {
  return crypto.createHmac('sha256', key).update(data).digest();
}

/** SHA-256. */
export function sha256(data: Buffer): Buffer {
  return crypto.createHash('sha256').update(data).digest();
}

/** True when both are the same bytes, in a time that depends on their length alone. */
export function same(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && crypto.timingSafeEqual(a, b);
}

async function scramKeys(
  password: Buffer,
  salt: Buffer,
  iterations: number,
): Promise<{ storedKey: Buffer; serverKey: Buffer } | undefined> {
  const prepared = saslPrep(password.toString('utf8'));
  if (prepared === undefined) return undefined;
  const salted = await pbkdf2(prepared, salt, iterations, 32, 'sha256');
  return { storedKey: sha256(hmac(salted, 'Client Key')), serverKey: hmac(salted, 'Server Key') };
}

function deriveScrypt(password: Buffer, salt: Buffer, cost: ScryptCost, length: number): Promise<Buffer> {
  const options = { N: 2 ** cost.ln, r: cost.r, p: cost.p, maxmem: 2 * scryptMemoryMax };
  return scrypt(password, salt, length, options);
}

function deriveArgon2(password: Buffer, salt: Buffer, cost: Argon2Cost, length: number): Promise<Buffer> {
  const parameters = {
    message: password,
    nonce: salt,
    parallelism: cost.parallelism,
    tagLength: length,
    memory: cost.memoryKb,
    passes: cost.passes,
  };
  return new Promise((resolve, reject) => {
    argon2?.('argon2id', parameters, (error, hash) => (error === null ? resolve(hash) : reject(error)));
  });
}

function checkScrypt({ ln, r, p }: ScryptCost): void {
  within(ln, 10, 20, 'ln');
  within(r, 1, 32, 'r');
  within(p, 1, 64, 'p');
  within(128 * r * 2 ** ln, 0, scryptMemoryMax, 'the memory of ln and r');
  within(r * p * 2 ** ln, 0, scryptWorkMax, 'the work of ln, r and p');
}

/** `a=1,b=2` with exactly these names in this order. */
function numbers(text: string, names: readonly string[]): Record<string, number> {
  const pairs = text.split(',').map((pair) => pair.split('='));
  const known = pairs.length === names.length && pairs.every(([name], index) => name === names[index]);
  if (!known) throw new Error(`the costs of a hash are not ${names.map((name) => `${name}=…`).join(',')}`);
  return Object.fromEntries(
    pairs.map(([name = '', value = '']) => [name, /^\d+$/.test(value) ? Number(value) : NaN]),
  );
}

function within(value: number, min: number, max: number, what: string): number {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw new Error(`${what} of a hash is out of range`);
}

/** Base64 with or without padding. */
function bytes(text: string, min: number, max = 1024): Buffer {
  const value = Buffer.from(text, 'base64');
  if (base64(value) !== text.replace(/={1,2}$/, '') || value.length < min || value.length > max) {
    throw new Error('a salt or key of a hash is not Base64 or not as long as it must be');
  }
  return value;
}

function base64(value: Buffer): string {
  return value.toString('base64').replace(/=+$/, '');
}
