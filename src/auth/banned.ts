/**
 * Whom a ban means: client ids, user names, addresses and networks. Main thread; pure.
 *
 * Always true: an address is compared as a number of its family, so that every way of writing it is the same, and an IPv4
 * address in IPv6 form is the IPv4 address. Gives up: regular expressions, with which one ban could stop the broker.
 */
import { BlockList, isIP, isIPv4 } from 'node:net';

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

/** A network: addresses of one family that begin with the same bits. */
interface Network {
  readonly address: string;
  readonly bits: number;
}

/** Reads an address or a network, `10.0.0.0/8`. Undefined: it is neither. */
export function parseNetwork(text: string): Network | undefined {
  const [address = '', bits, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return undefined;
  const most = family === 4 ? 32 : 128;
  if (bits === undefined)
    return { address: plainAddress(address), bits: isIPv4(plainAddress(address)) ? 32 : most };
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > most) return undefined;
  return { address, bits: Number(bits) };
}

/** An IPv4 address in IPv6 form as the IPv4 address; without a zone. */
export function plainAddress(host: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1];
  return mapped ?? host.replace(/%.*$/, '');
}

/** The bans of one moment, ready to be asked. Cost of a question: independent of their number, but for that of networks. */
export class BanIndex {
  readonly #bans = { clientid: new Map<string, Ban>(), username: new Map<string, Ban>() };
  readonly #hosts = new BlockList();
  readonly #networks: { readonly ban: Ban; readonly list: BlockList }[] = [];
  readonly #addresses = new Map<string, Ban>();
  /** Number of bans. */
  readonly size: number;

  constructor(bans: readonly Ban[]) {
    this.size = bans.length;
    for (const ban of bans) {
      if (ban.as === 'clientid' || ban.as === 'username') this.#bans[ban.as].set(ban.who, ban);
      else this.#addHost(ban);
    }
  }

  /** The ban that means this client at that time, or undefined. */
  find({ clientId, username, host }: BanSubject, nowMs: number): Ban | undefined {
    const { clientid: byClient, username: byName } = this.#bans;
    const named = [byClient.get(clientId), username === undefined ? undefined : byName.get(username)];
    const found = named.find((ban) => ban !== undefined && isInForce(ban, nowMs));
    return found ?? this.#ofHost(plainAddress(host), nowMs);
  }

  #addHost(ban: Ban): void {
    const network = parseNetwork(ban.who);
    if (network === undefined) return;
    const family = isIPv4(network.address) ? 'ipv4' : 'ipv6';
    if (network.bits === (family === 'ipv4' ? 32 : 128)) {
      this.#addresses.set(canonical(network.address), ban);
      return;
    }
    const list = new BlockList();
    list.addSubnet(network.address, network.bits, family);
    this.#hosts.addSubnet(network.address, network.bits, family);
    this.#networks.push({ ban, list });
  }

  #ofHost(host: string, nowMs: number): Ban | undefined {
    const family = isIP(host);
    if (family === 0) return undefined;
    const single = this.#addresses.get(canonical(host));
    if (single !== undefined && isInForce(single, nowMs)) return single;
    const kind = family === 4 ? 'ipv4' : 'ipv6';
    // One look for all networks; which of them it was is asked only then.
    if (this.#networks.length === 0 || !this.#hosts.check(host, kind)) return undefined;
    return this.#networks.find(({ ban, list }) => isInForce(ban, nowMs) && list.check(host, kind))?.ban;
  }
}

/** True until the end of a ban. */
export function isInForce({ untilMs }: Pick<Ban, 'untilMs'>, nowMs: number): boolean {
  return untilMs === null || nowMs < untilMs;
}

/** One way of writing an address, by the rules of URLs. */
function canonical(address: string): string {
  return isIPv4(address) ? address : new URL(`http://[${address}]`).hostname;
}
