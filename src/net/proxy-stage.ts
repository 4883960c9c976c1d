/**
 * The PROXY header in front of a connection: who may send one, and reading it off a socket. Main thread.
 *
 * Always true: nothing but the header is taken from the stream; what follows is handed on or put back, so that TLS and
 * HTTP begin as if there had been none. Gives up: listeners that take connections with and without a header, which would
 * let everybody name an address of his choice.
 */
import { BlockList, isIP, type Socket } from 'node:net';

import type { Handshake } from './handshake.js';
import { peerBehind } from './peer.js';
import { ProxyHeaderError, ProxyHeaderReader } from './proxy-header.js';

/** Decides from whose addresses a header is believed. */
export class ProxyTrust {
  readonly #allowed: BlockList | undefined;

  /** Addresses and networks; none = all. */
  constructor(networks: readonly string[]) {
    if (networks.length === 0) return;
    this.#allowed = new BlockList();
    for (const network of networks) {
      const [address = '', length] = network.split('/');
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      if (length === undefined) this.#allowed.addAddress(address, family);
      else this.#allowed.addSubnet(address, Number(length), family);
    }
  }

  /** A Unix socket has no address; its rights decide. */
  trusts(socket: Socket, isUnix: boolean): boolean {
    if (this.#allowed === undefined || isUnix) return true;
    const address = socket.remoteAddress ?? '';
    const version = isIP(address);
    return version !== 0 && this.#allowed.check(address, version === 6 ? 'ipv6' : 'ipv4');
  }
}

/**
 * Feeds a handshake's header. Answers how many bytes of `chunk[0, length)` belong to it once it is complete, undefined
 * while more is needed or when the handshake has failed; from completion on `handshake.peer` is the client.
 */
export function feedHeader(
  reader: ProxyHeaderReader,
  handshake: Handshake,
  chunk: Uint8Array,
  length: number,
): number | undefined {
  try {
    const used = reader.read(chunk, length);
    if (used !== undefined) handshake.peer = peerBehind(handshake.peer, reader.header!);
    return used;
  } catch (error) {
    if (!(error instanceof ProxyHeaderError)) throw error;
    handshake.fail('proxy-header', error.message);
    return undefined;
  }
}

/** Reads the header off a paused socket, then calls `then` with the socket as if it were fresh, and paused again. */
export function readHeader(handshake: Handshake, then: () => void): void {
  const { socket } = handshake;
  const reader = new ProxyHeaderReader();
  const onEnd = (): void => handshake.fail('proxy-header', 'ended within the header');
  const onData = (chunk: Buffer): void => {
    const used = feedHeader(reader, handshake, chunk, chunk.length);
    if (used === undefined) return;
    socket.pause();
    socket.off('data', onData);
    socket.off('end', onEnd);
    if (used < chunk.length) socket.unshift(chunk.subarray(used));
    then();
  };
  socket.on('data', onData);
  socket.on('end', onEnd);
  socket.resume();
}
