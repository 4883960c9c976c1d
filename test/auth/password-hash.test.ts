import crypto from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { hashPassword, hashScram, parsePasswordHash, verifyPassword } from '../../src/auth/password-hash.js';

const cheap = { ln: 10, r: 8, p: 1 };

/** Lines as mosquitto_passwd 2.0.11 writes them. */
const foreign = {
  pbkdf2:
    '$7$101$9QKmTtfSboBiTZ2j$TENTHpz1H8DmT/IJmH1hZxItubePb8AEGhJ1R00uwyYw+T7xfDzMAg7HcC6j7RulZYfthBbVSFg4wti974SrVA==',
  pbkdf2Umlaut:
    '$7$101$hS5Qk/kUPXn9qxhF$IaLCDzPHhfRLxjhf34eE7qABhcrmngJ+7ZSSDjjDxxQ1Si3mAxPUTIVV7n16OY0bChT/VjyB5yMtYsDLEsdIfQ==',
  sha512:
    '$6$JDTxZpqzY5CwuSxl$zSeOo97m5PaSTVfn2dbnQ991S81Ph7ObebPgjjdzA1j1uBxnPDENeNA2P9W6L+TsnSnH5E1PCD+TdsWk7YORsw==',
};

function verify(text: string, password: string): Promise<boolean> {
  return verifyPassword(parsePasswordHash(text), Buffer.from(password));
}

describe('stored passwords', () => {
  test('a new hash is scrypt with its costs and a fresh salt, and fits its password only [broker]', async () => {
    const text = await hashPassword(Buffer.from('secret'));
    expect(text).toMatch(/^\$scrypt\$ln=15,r=8,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
    expect(await verify(text, 'secret')).toBe(true);
    expect(await verify(text, 'Secret')).toBe(false);
    expect(await verify(text, '')).toBe(false);
    expect(await hashPassword(Buffer.from('secret'))).not.toBe(text);
  });

  test('scrypt is that of RFC 7914, by the vector of its section 12 [ref-7914]', async () => {
    const hash =
      'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640';
    // The salt of the vector is the four bytes "NaCl", twice to be long enough; so only the form is that of the RFC.
    const vector = `$scrypt$ln=10,r=8,p=16$${Buffer.from('NaCl').toString('base64')}$${Buffer.from(hash, 'hex').toString('base64')}`;
    expect(() => parsePasswordHash(vector)).toThrow('not as long as it must be');
    const other = {
      kind: 'scrypt',
      text: '',
      cost: { ln: 10, r: 8, p: 16 },
      salt: Buffer.from('NaCl'),
      hash: Buffer.from(hash, 'hex'),
    } as const;
    expect(await verifyPassword(other, Buffer.from('password'))).toBe(true);
    expect(await verifyPassword(other, Buffer.from('passwort'))).toBe(false);
  });

  test.each([
    ['PBKDF2', foreign.pbkdf2, 'secret'],
    ['PBKDF2 of a password in UTF-8', foreign.pbkdf2Umlaut, 'pässword'],
    ['salted SHA-512', foreign.sha512, 'old'],
  ])('a line of Mosquitto with %s is understood [broker]', async (_, text, password) => {
    expect(await verify(text, password)).toBe(true);
    expect(await verify(text, `${password} `)).toBe(false);
  });

  test('a SCRAM line takes the plain password, too [broker]', async () => {
    const text = await hashScram(Buffer.from('pencil'), 4096);
    expect(text).toMatch(/^\$scram-sha-256\$i=4096\$[\w+/]+\$[\w+/]{43}\$[\w+/]{43}$/);
    expect(await verify(text, 'pencil')).toBe(true);
    expect(await verify(text, 'Pencil')).toBe(false);
    // U+2168 is the one character for the Roman nine; SASLprep makes two letters of it.
    expect(await verify(await hashScram(Buffer.from('\u2168')), 'IX')).toBe(true);
    await expect(hashScram(Buffer.from('a\u0007'))).rejects.toThrow('does not allow');
  });

  test('argon2id is checked where Node.js has it, and refused with the reason elsewhere [ref-9106]', async () => {
    // Of the test vectors of the reference implementation: password "password", salt "somesalt".
    const text = '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4';
    if ('argon2' in crypto) {
      expect(await verify(text, 'password')).toBe(true);
      expect(await verify(text, 'passwort')).toBe(false);
      expect(() => parsePasswordHash(text.replace('m=256', 'm=9999999'))).toThrow(
        'm of a hash is out of range',
      );
      expect(() => parsePasswordHash(text.replace('t=2', 't=99999'))).toThrow(
        'm × t of a hash is out of range',
      );
    } else {
      expect(() => parsePasswordHash(text)).toThrow('an argon2 hash needs Node.js 24.7 or later');
    }
  });

  test('a password of any bytes is taken as it is [broker]', async () => {
    const password = Buffer.from([0, 255, 254, 10]);
    const stored = parsePasswordHash(await hashPassword(password, cheap));
    expect(await verifyPassword(stored, password)).toBe(true);
    expect(await verifyPassword(stored, password.subarray(0, 3))).toBe(false);
  });

  test.each([
    ['plain', 'not a hash'],
    ['$', 'not a hash'],
    ['$1$abc$def', 'not known'],
    ['$scrypt$ln=15,r=8,p=1$c2FsdHNhbHQ', 'not known'],
    ['$scrypt$ln=15,p=1,r=8$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA', 'the costs of a hash are not'],
    ['$scrypt$ln=25,r=8,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA', 'ln of a hash is out of range'],
    ['$scrypt$ln=9,r=8,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA', 'ln of a hash is out of range'],
    ['$scrypt$ln=20,r=8,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA', 'the memory of ln and r'],
    ['$scrypt$ln=18,r=8,p=64$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA', 'the work of ln, r and p'],
    ['$scrypt$ln=1e1,r=8,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA', 'ln of a hash is out of range'],
    ['$scrypt$ln=15,r=8,p=1$c2Fsd HNhbHQ$aGFzaGhhc2hoYXNoaGFzaA', 'not Base64'],
    ['$scrypt$ln=15,r=8,p=1$c2FsdHNhbHQ$aGFzaA', 'not as long as it must be'],
    ['$7$0$c2FsdHNhbHQ$aGFzaA', 'the iteration count of a hash is out of range'],
    ['$7$101$c2FsdHNhbHQ$aGFzaA', 'not as long as it must be'],
    ['$scram-sha-256$i=4095$c2FsdHNhbHQ$aGFzaA$aGFzaA', 'i of a hash is out of range'],
    ['$argon2id$v=16$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA', 'argon2'],
  ])('%s is refused with its reason [broker]', (text, reason) => {
    expect(() => parsePasswordHash(text)).toThrow(reason);
  });
});
