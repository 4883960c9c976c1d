/**
 * Whom a ban means: client ids, user names, addresses and networks. Main thread; pure.
 *
 * Always true: an address is compared by its bits, so that every way of writing it is the same, and IPv4 addresses and
 * networks in IPv6 form are the IPv4 ones; of bans that mean the same, each holds until its own end. A question costs one look
 * per prefix length in use, however many networks are banned, and a change costs what is changed.
 * Gives up: regular expressions, with which one ban could stop the broker; networks of both families at once.
 */
import { isIP } from 'node:net';

import Type, { type Static } from 'typebox';

/** What a ban looks at; `peerhost_net` is a network and so may be a `peerhost` with a slash. The words are EMQX's. */
export const banKinds = ['clientid', 'username', 'peerhost', 'peerhost_net'] as const;
/** One of them. */
export type BanKind = (typeof banKinds)[number];

/** Bans at most. */
export const bansMax = 10_000;
/** Characters of a client id, user name or address in a ban. */
export const banTextCharsMax = 1024;

/** A ban as it stands in the file. */
export const Ban = Type.Object({
  as: Type.Enum([...banKinds]),
  who: Type.String({ minLength: 1, maxLength: banTextCharsMax }),
  by: Type.String(),
  reason: Type.String(),
  /** Unix time in ms. */
  atMs: Type.Integer({ minimum: 0 }),
  /** Unix time in ms; null: for ever. */
  untilMs: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
});
/** The same as a type. */
export type Ban = Static<typeof Ban>;

/** What is known of a client that connects. */
export interface BanSubject {
  readonly clientId: string;
  readonly username: string | undefined;
  /** An IP address, or any text that is none. */
  readonly host: string;
}

/** Bits 0 to 95 of an IPv4 address in IPv6 form. */
const MAPPED = '0'.repeat(80) + '1'.repeat(16);

/**
 * What all addresses of an address or network such as `10.0.0.0/8` begin with: `4` or `6`, then a character per bit.
 * Undefined: the text is neither.
 */
export function parseNetwork(text: string): string | undefined {
  const [address = '', length, ...rest] = text.split('/');
  const bits = bitsOf(address);
  if (bits === undefined || rest.length > 0) return undefined;
  if (length === undefined) return bits;
  const isMapped = bits.startsWith('4') && address.includes(':');
  const wanted = Number(length) - (isMapped ? MAPPED.length : 0);
  if (!/^\d{1,3}$/.test(length) || wanted < 0 || wanted >= bits.length) return undefined;
  return bits.slice(0, 1 + wanted);
}

/** `4` or `6`, then a character per bit; without a zone. Undefined: it is no IP address. */
function bitsOf(host: string): string | undefined {
  const family = isIP(host);
  if (family === 0) return undefined;
  const binary = (part: number, width: number): string => part.toString(2).padStart(width, '0');
  if (family === 4)
    return `4${host
      .split('.')
      .map((part) => binary(Number(part), 8))
      .join('')}`;
  // As URLs write it: hexadecimal groups only, and at most one gap.
  const plain = new URL(`http://[${host.replace(/%.*$/, '')}]`).hostname.slice(1, -1);
  const [head = [], tail = []] = plain.split('::').map((part) => part.split(':').filter(Boolean));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  const bits = [...head, ...zeros, ...tail].map((group) => binary(parseInt(group, 16), 16)).join('');
  return bits.startsWith(MAPPED) ? `4${bits.slice(MAPPED.length)}` : `6${bits}`;
}

/** Bans by what they mean; of the same, the one that ends last comes first. */
class BansBy extends Map<string, Ban[]> {
  insert(key: string, ban: Ban): void {
    const same = this.get(key);
    if (same === undefined) {
      this.set(key, [ban]);
      return;
    }
    const at = same.findIndex((other) => endOf(other) < endOf(ban));
    same.splice(at < 0 ? same.length : at, 0, ban);
  }

  take(key: string, ban: Ban): void {
    const rest = (this.get(key) ?? []).filter((other) => other !== ban);
    if (rest.length > 0) this.set(key, rest);
    else this.delete(key);
  }

  inForce(key: string, nowMs: number): Ban | undefined {
    const ban = this.get(key)?.[0];
    return ban !== undefined && isInForce(ban, nowMs) ? ban : undefined;
  }
}

/** The bans of one moment, ready to be asked. */
export class BanIndex {
  readonly #clientIds = new BansBy();
  readonly #usernames = new BansBy();
  /** By the bits that addresses begin with. */
  readonly #networks = new BansBy();
  /** How many of `#networks` have so many characters. */
  readonly #lengths = new Map<number, number>();
  #bans: ReadonlySet<Ban> = new Set();

  constructor(bans: readonly Ban[]) {
    this.become(bans);
  }

  /** Number of bans. */
  get size(): number {
    return this.#bans.size;
  }

  /** These shall be the bans; those that are the same objects as before cost next to nothing. */
  become(bans: readonly Ban[]): void {
    const before = this.#bans;
    this.#bans = new Set(bans);
    for (const ban of before) if (!this.#bans.has(ban)) this.#change(ban, 'take');
    for (const ban of this.#bans) if (!before.has(ban)) this.#change(ban, 'insert');
  }

  /** The ban that means this client at that time, or undefined. */
  find({ clientId, username, host }: BanSubject, nowMs: number): Ban | undefined {
    return (
      this.#clientIds.inForce(clientId, nowMs) ??
      (username === undefined ? undefined : this.#usernames.inForce(username, nowMs)) ??
      (this.#networks.size === 0 ? undefined : this.#ofHost(host, nowMs))
    );
  }

  #change(ban: Ban, how: 'insert' | 'take'): void {
    if (ban.as === 'clientid') this.#clientIds[how](ban.who, ban);
    else if (ban.as === 'username') this.#usernames[how](ban.who, ban);
    else {
      const prefix = parseNetwork(ban.who);
      if (prefix === undefined) return;
      this.#networks[how](prefix, ban);
      const count = (this.#lengths.get(prefix.length) ?? 0) + (how === 'insert' ? 1 : -1);
      if (count > 0) this.#lengths.set(prefix.length, count);
      else this.#lengths.delete(prefix.length);
    }
  }

  #ofHost(host: string, nowMs: number): Ban | undefined {
    const bits = bitsOf(host);
    if (bits === undefined) return undefined;
    for (const length of this.#lengths.keys()) {
      if (length > bits.length) continue;
      const ban = this.#networks.inForce(bits.slice(0, length), nowMs);
      if (ban !== undefined) return ban;
    }
    return undefined;
  }
}

/** True until the end of a ban. */
export function isInForce({ untilMs }: Pick<Ban, 'untilMs'>, nowMs: number): boolean {
  return untilMs === null || nowMs < untilMs;
}

function endOf({ untilMs }: Ban): number {
  return untilMs ?? Number.POSITIVE_INFINITY;
}
