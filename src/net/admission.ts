/**
 * Who may connect now: how many, how fast, and how many of one address. Main thread.
 *
 * Always true: everything here is decided before a byte is read, so that a refusal costs an accept and a close and nothing
 * of TLS or MQTT; the address behind a PROXY header is decided on when the header has told it. What is counted for an
 * address is given back by `leave`. At most `addressesMax` rates are remembered, the least recently seen are forgotten
 * first. Gives up: telling the client why; a CONNACK would need its CONNECT.
 */
import { LRUCache } from 'lru-cache';

import { addressOf } from '../auth/failure-limiter.js';
import type { Config } from '../config/config.js';
import { TokenBucket } from './rate-limit.js';

/** Why an address is refused. */
export type AddressFault = 'address-limit' | 'address-rate';

/** Bursts hold so many seconds' worth: a fleet that comes back at once is let in. */
const burstS = 10;
const addressesMax = 65_536;

/** See the file header. One per gateway. */
export class Admission {
  readonly #perSecond: number;
  readonly #all: TokenBucket | undefined;
  readonly #perAddressMax: number;
  readonly #open = new Map<string, number>();
  readonly #rates: LRUCache<string, TokenBucket> | undefined;

  constructor(config: Config, nowMs: number) {
    const { connectionRateMax, connectionRatePerAddressMax, connectionsPerAddressMax } = config;
    if (connectionRateMax > 0) {
      this.#all = new TokenBucket(connectionRateMax, connectionRateMax * burstS, nowMs);
    }
    this.#perSecond = connectionRatePerAddressMax;
    if (connectionRatePerAddressMax > 0) this.#rates = new LRUCache({ max: addressesMax });
    this.#perAddressMax = connectionsPerAddressMax;
  }

  /** Addresses with open connections. */
  get addressCount(): number {
    return this.#open.size;
  }

  /** False when connections come too fast; `cost` is how many this one counts as. */
  admits(cost: number, nowMs: number): boolean {
    return this.#all === undefined || this.#all.take(cost, nowMs);
  }

  /** The limits of one address. Without a fault the connection counts until `leave` is called with the same peername. */
  enter(peername: string, cost: number, nowMs: number): AddressFault | undefined {
    if (this.#perAddressMax === 0 && this.#rates === undefined) return undefined;
    const address = addressOf(peername);
    if (this.#perAddressMax > 0) {
      const open = this.#open.get(address) ?? 0;
      if (open >= this.#perAddressMax) return 'address-limit';
      if (!this.#isInTime(address, cost, nowMs)) return 'address-rate';
      this.#open.set(address, open + 1);
      return undefined;
    }
    return this.#isInTime(address, cost, nowMs) ? undefined : 'address-rate';
  }

  /** A connection that `enter` let in has closed. */
  leave(peername: string): void {
    if (this.#perAddressMax === 0) return;
    const address = addressOf(peername);
    const open = (this.#open.get(address) ?? 0) - 1;
    if (open > 0) this.#open.set(address, open);
    else this.#open.delete(address);
  }

  #isInTime(address: string, cost: number, nowMs: number): boolean {
    if (this.#rates === undefined) return true;
    let bucket = this.#rates.get(address);
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#perSecond, this.#perSecond * burstS, nowMs);
      this.#rates.set(address, bucket);
    }
    return bucket.take(cost, nowMs);
  }
}
