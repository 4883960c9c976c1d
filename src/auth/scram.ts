/**
 * SCRAM-SHA-256, the server's side of one authentication. Main thread; no hash in it is slow.
 *
 *     client ─ n,,n=<user>,r=<nonce> ─▶            CONNECT or AUTH
 *            ◀─ r=<both nonces>,s=<salt>,i=<n> ─   AUTH, continue
 *            ─ c=<header>,r=<both nonces>,p=<proof> ─▶
 *            ◀─ v=<signature> ─                    CONNACK or AUTH, success
 *
 * Always true: an exchange goes forward only and ends with its first fault; a name without a SCRAM line runs through the same
 * steps with a salt that is always the same for it. Channel binding is refused, as no listener offers it.
 * Gives up: another identity to act for (`a=`), unless it is the user's own. Source: RFC 5802, RFC 7677, MQTT 5 §4.12.
 */
import { randomBytes } from 'node:crypto';

import type { Identity } from './authenticator.js';
import { type PasswordHash, type ScramHash, hmac, same, scramIterations, sha256 } from './password-hash.js';
import { saslPrep } from './sasl-prep.js';

/** Authentication Method of MQTT. */
export const SCRAM_SHA_256 = 'SCRAM-SHA-256';

const messageBytesMax = 4096;

/** What a step leads to. */
export type ScramStep =
  | { readonly kind: 'continue'; readonly data: Buffer }
  | { readonly kind: 'success'; readonly identity: Identity; readonly data: Buffer }
  | { readonly kind: 'failed'; readonly reason: string };

/** What an exchange works with. */
export interface ScramOptions {
  readonly find: (username: string) => PasswordHash | undefined;
  /** Makes the salts of unknown users; the same for all exchanges of a process. */
  readonly decoySecret: Buffer;
  /** Printable text without comma; random unless a test wants it known. */
  readonly makeNonce?: () => string;
}

type State =
  | { readonly name: 'start' }
  | {
      readonly name: 'challenged';
      readonly username: string;
      readonly stored: ScramHash;
      readonly isKnown: boolean;
      readonly gs2Header: string;
      readonly nonce: string;
      /** The first message without its header, and the answer to it: what both sides sign. */
      readonly signedSoFar: string;
    }
  | { readonly name: 'over' };

/** See the file header. */
export class ScramExchange {
  readonly #options: ScramOptions;
  #state: State = { name: 'start' };
  #wasAsked = false;

  constructor(options: ScramOptions) {
    this.#options = options;
  }

  /** One message of the client; undefined when it sent none yet. */
  step(data: Buffer | undefined): ScramStep {
    const state = this.#state;
    this.#state = { name: 'over' };
    if (data === undefined || data.length === 0) {
      if (state.name !== 'start' || this.#wasAsked) return failed('a message is missing');
      // The client speaks first in SCRAM; one that waits for us is asked once, by an empty challenge.
      this.#wasAsked = true;
      this.#state = state;
      return { kind: 'continue', data: Buffer.alloc(0) };
    }
    if (data.length > messageBytesMax) return failed('a message is too long');
    const message = data.toString('utf8');
    switch (state.name) {
      case 'start':
        return this.#first(message);
      case 'challenged':
        return final(message, state);
      case 'over':
        return failed('the exchange is over');
    }
  }

  #first(message: string): ScramStep {
    const match = /^([ny]|p=[^,]*),(?:a=([^,]*))?,(n=([^,]*),r=([\x21-\x2B\x2D-\x7E]+)(?:,.*)?)$/s.exec(
      message,
    );
    if (match === null) return failed('the first message cannot be read');
    const [, binding = '', authorizeAs, bare = '', name = '', clientNonce = ''] = match;
    if (binding.startsWith('p')) return failed('channel binding is not offered');
    const username = decodeName(name);
    if (username === undefined) return failed('the user name cannot be read');
    if (authorizeAs !== undefined && decodeName(authorizeAs) !== username) {
      return failed('acting for another user is not offered');
    }
    const found = this.#options.find(username);
    const isKnown = found?.kind === 'scram';
    const stored = isKnown ? found : this.#decoyFor(username);
    const nonce = clientNonce + (this.#options.makeNonce ?? randomNonce)();
    const answer = `r=${nonce},s=${stored.salt.toString('base64')},i=${stored.iterations}`;
    const gs2Header = message.slice(0, message.length - bare.length);
    const signedSoFar = `${bare},${answer}`;
    this.#state = { name: 'challenged', username, stored, isKnown, gs2Header, nonce, signedSoFar };
    return { kind: 'continue', data: Buffer.from(answer) };
  }

  /** Keys that no password has; the salt does not change from one attempt to the next. */
  #decoyFor(username: string): ScramHash {
    const secret = hmac(this.#options.decoySecret, username);
    return {
      kind: 'scram',
      text: '',
      iterations: scramIterations,
      salt: secret.subarray(0, 16),
      storedKey: hmac(secret, 'stored'),
      serverKey: hmac(secret, 'server'),
    };
  }
}

function final(message: string, state: State & { name: 'challenged' }): ScramStep {
  const match = /^(c=([^,]*),r=([^,]*)(?:,(?!p=)[^,]*)*),p=([^,]*)$/s.exec(message);
  if (match === null) return failed('the final message cannot be read');
  const [, withoutProof = '', header = '', nonce = '', proofText = ''] = match;
  if (header !== Buffer.from(state.gs2Header).toString('base64')) {
    return failed('the final message names another header than the first');
  }
  if (!same(Buffer.from(nonce), Buffer.from(state.nonce))) {
    return failed('the nonce is not the one of this exchange');
  }
  const proof = Buffer.from(proofText, 'base64');
  if (proof.length !== 32 || proof.toString('base64') !== proofText)
    return failed('the proof cannot be read');
  const signed = `${state.signedSoFar},${withoutProof}`;
  const clientKey = hmac(state.stored.storedKey, signed);
  for (let at = 0; at < clientKey.length; at++)
    clientKey[at] = (clientKey[at] as number) ^ (proof[at] as number);
  const isRight = same(sha256(clientKey), state.stored.storedKey);
  if (!isRight || !state.isKnown) return failed('the user or the password is wrong');
  const signature = hmac(state.stored.serverKey, signed).toString('base64');
  return {
    kind: 'success',
    identity: { username: state.username },
    data: Buffer.from(`v=${signature}`),
  };
}

/** `=2C` and `=3D` stand for comma and equals sign; any other `=` is a fault. */
function decodeName(text: string): string | undefined {
  if (/=(?!2C|3D)/.test(text)) return undefined;
  return saslPrep(text.replaceAll('=2C', ',').replaceAll('=3D', '='));
}

/** 144 bits. */
function randomNonce(): string {
  return randomBytes(18).toString('base64');
}

function failed(reason: string): ScramStep {
  return { kind: 'failed', reason };
}
