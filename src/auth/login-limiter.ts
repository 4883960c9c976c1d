/**
 * Counts wrong passwords per address and per account, and says how long to wait. Main thread; time is an argument.
 *
 *     address   5 wrong ─▶ 30 s, then twice as long with each further one, up to 15 min; for whoever asks from there
 *     account   5 wrong ─▶ the same, up to 5 min; only for addresses from which its owner has never signed in
 *
 * Always true: an attempt counts as wrong from its beginning until it has turned out right, so that attempts at the same
 * time are no way around; an account that does not exist is counted like one that does. A stranger cannot keep the owner out
 * who comes from this machine or from where a sign-in succeeded before. Bounded: what was not seen for the longest is
 * forgotten first. Gives up: remembering over a restart.
 */
import { LRUCache } from 'lru-cache';

import { addressOf } from './failure-limiter.js';

/** Wrong passwords after which the first wait begins. */
export const LOGIN_FAILURES_MAX = 5;
const firstWaitMs = 30_000;
const addressWaitMsMax = 15 * 60_000;
const accountWaitMsMax = 5 * 60_000;
/** So long after the last wrong one all are forgotten. */
const forgetMs = 60 * 60_000;
const addressesMax = 65_536;
const accountsMax = 10_000;
const knownAddressesMax = 16;

interface Failures {
  count: number;
  lastMs: number;
  lockedUntilMs: number;
}

/** Who tries. */
export interface LoginAttempt {
  readonly username: string;
  /** Address of the peer, as the socket tells it. */
  readonly address: string;
  /** The peer is on this machine. */
  readonly isLoopback: boolean;
}

/** See the file header. */
export class LoginLimiter {
  readonly #addresses = new LRUCache<string, Failures>({ max: addressesMax });
  readonly #accounts = new LRUCache<string, Failures>({ max: accountsMax });
  /** Wrong ones of one address for one account: what a success takes back. */
  readonly #pairs = new LRUCache<string, number>({ max: addressesMax });
  /** Addresses from which an account was signed in to. */
  readonly #known = new LRUCache<string, Set<string>>({ max: accountsMax });

  /** Milliseconds to wait before the next attempt is heard; 0: none. */
  waitMs(attempt: LoginAttempt, nowMs: number): number {
    const address = this.#addresses.get(addressOf(attempt.address));
    const account = this.#isStranger(attempt) ? this.#accounts.get(attempt.username) : undefined;
    return Math.max(0, (address?.lockedUntilMs ?? 0) - nowMs, (account?.lockedUntilMs ?? 0) - nowMs);
  }

  /** Notes an attempt as wrong; call it before its password is looked at. True: it began a wait. */
  begin(attempt: LoginAttempt, nowMs: number): boolean {
    const address = addressOf(attempt.address);
    const pair = pairOf(attempt);
    this.#pairs.set(pair, (this.#pairs.get(pair) ?? 0) + 1);
    const locksAddress = note(this.#addresses, address, addressWaitMsMax, nowMs);
    const locksAccount =
      this.#isStranger(attempt) && note(this.#accounts, attempt.username, accountWaitMsMax, nowMs);
    return locksAddress || locksAccount;
  }

  /** The attempt was right: it and the wrong ones before it, from there for this account, are taken back. */
  succeeded(attempt: LoginAttempt): void {
    const address = addressOf(attempt.address);
    const pair = pairOf(attempt);
    this.#takeBack(address, this.#pairs.get(pair) ?? 0);
    this.#pairs.delete(pair);
    this.#accounts.delete(attempt.username);
    const known = this.#known.get(attempt.username) ?? new Set<string>();
    known.delete(address);
    known.add(address);
    for (const oldest of known) {
      if (known.size <= knownAddressesMax) break;
      known.delete(oldest);
    }
    this.#known.set(attempt.username, known);
  }

  /** The attempt was not heard: it is taken back. */
  cancelled(attempt: LoginAttempt): void {
    const pair = pairOf(attempt);
    this.#pairs.set(pair, Math.max(0, (this.#pairs.get(pair) ?? 0) - 1));
    this.#takeBack(addressOf(attempt.address), 1);
    const account = this.#accounts.peek(attempt.username);
    if (account !== undefined && this.#isStranger(attempt)) takeBack(account, 1);
  }

  #isStranger({ username, address, isLoopback }: LoginAttempt): boolean {
    return !isLoopback && this.#known.get(username)?.has(addressOf(address)) !== true;
  }

  #takeBack(address: string, count: number): void {
    const entry = this.#addresses.peek(address);
    if (entry !== undefined) takeBack(entry, count);
  }
}

function pairOf({ username, address }: LoginAttempt): string {
  return `${addressOf(address)} ${username}`;
}

function note(entries: LRUCache<string, Failures>, key: string, waitMsMax: number, nowMs: number): boolean {
  const found = entries.get(key);
  const isFresh = found === undefined || nowMs - Math.max(found.lastMs, found.lockedUntilMs) >= forgetMs;
  const entry = isFresh ? { count: 0, lastMs: nowMs, lockedUntilMs: 0 } : found;
  entry.count += 1;
  entry.lastMs = nowMs;
  entries.set(key, entry);
  const over = entry.count - LOGIN_FAILURES_MAX;
  if (over < 0) return false;
  entry.lockedUntilMs = nowMs + Math.min(waitMsMax, firstWaitMs * 2 ** Math.min(over, 20));
  return true;
}

function takeBack(entry: Failures, count: number): void {
  entry.count = Math.max(0, entry.count - count);
  if (entry.count < LOGIN_FAILURES_MAX) entry.lockedUntilMs = 0;
}
