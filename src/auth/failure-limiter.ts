/**
 * Counts wrong credentials per address and says when to stop listening to it. Main thread.
 *
 * Always true: an address is blocked from the moment it has `failuresMax` failures in its minute until that minute
 * is over, whoever asks from there, loopback as well; at most `addressesMax` addresses are remembered, the least
 * recently seen are forgotten first. An IPv6 network of 64 bits counts as one address, as one customer gets that many.
 * Gives up: a sliding window. A guesser gets at most twice the number across the border of two minutes.
 */
import { isIPv4, isIPv6 } from 'node:net';

import { LRUCache } from 'lru-cache';

interface Entry {
  failures: number;
  readonly endsAtMs: number;
}

const windowMs = 60_000;
const addressesMax = 65_536;

/** See the file header. */
export class FailureLimiter {
  readonly #failuresMax: number;
  readonly #entries = new LRUCache<string, Entry>({ max: addressesMax });

  /** `failuresMax` 0: never blocks. */
  constructor(failuresMax: number) {
    this.#failuresMax = failuresMax;
  }

  /** True when connections from there are refused unheard. `peername` as in `ConnectionFacts`. */
  isBlocked(peername: string, nowMs: number): boolean {
    if (this.#entries.size === 0) return false;
    const entry = this.#entries.get(addressOf(peername));
    return entry !== undefined && entry.failures >= this.#failuresMax && nowMs < entry.endsAtMs;
  }

  /** Notes one failure; true when it is the one that blocks the address. */
  add(peername: string, nowMs: number): boolean {
    if (this.#failuresMax === 0) return false;
    const address = addressOf(peername);
    const entry = this.#entries.get(address);
    if (entry === undefined || nowMs >= entry.endsAtMs) {
      this.#entries.set(address, { failures: 1, endsAtMs: nowMs + windowMs });
      return this.#failuresMax === 1;
    }
    entry.failures += 1;
    return entry.failures === this.#failuresMax;
  }
}

/** The host of a peername: without port and brackets. */
export function hostOf(peername: string): string {
  if (peername.startsWith('[')) return peername.slice(1, peername.indexOf(']'));
  if (isIPv6(peername)) return peername;
  const colon = peername.lastIndexOf(':');
  return colon > 0 && isIPv4(peername.slice(0, colon)) ? peername.slice(0, colon) : peername;
}

/** What failures are counted by: an IPv4 address, the first 64 bits of an IPv6 address, or the text itself. */
export function addressOf(peername: string): string {
  const host = hostOf(peername).replace(/%.*$/, '');
  if (!isIPv6(host)) return host;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1];
  if (mapped !== undefined) return mapped;
  const [head = '', tail] = host.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  // An IPv4 address at the end stands for two groups.
  const groups = left.length + right.length + (right.at(-1)?.includes('.') === true ? 1 : 0);
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - groups }, () => '0');
  return `${[...left, ...zeros, ...right]
    .slice(0, 4)
    .map((group) => parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
