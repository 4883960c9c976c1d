/**
 * Who is at the other end, from the socket or from the PROXY header, and the facts that follow for access rules. Main thread.
 *
 * Always true: a peer counts as local only when the socket says so; a PROXY header can take that away, never give it, so
 * that nobody becomes local by claiming 127.0.0.1. Gives up: telling apart the clients of one Unix socket.
 */
import type { Socket } from 'node:net';

import type { ConnectionFacts, PeerCertificate } from '../auth/connection-facts.js';
import type { ListenerSetting } from '../config/listener.js';
import type { ProxyHeader } from './proxy-header.js';

/** The other end of a connection. */
export interface Peer {
  readonly peername: string;
  readonly isLoopback: boolean;
  /** Encrypted between the client and its proxy. */
  readonly secure: boolean;
  /** The certificate that the client showed to its proxy. */
  readonly certificate: PeerCertificate | undefined;
}

/** The peer of a Unix socket. */
export const unixPeer: Peer = { peername: 'unix:', isLoopback: true, secure: false, certificate: undefined };

/** The peer as the socket tells it. */
export function peerOf(socket: Socket, isUnix: boolean): Peer {
  if (isUnix) return unixPeer;
  // One that has closed already has no address any more; what it sent may still be there, and earns it no trust.
  const { remoteAddress: address = '', remotePort: port = 0 } = socket;
  return {
    peername: peername(address, port),
    isLoopback: isLoopback(address),
    secure: false,
    certificate: undefined,
  };
}

/** The peer as a proxy at `via` tells it. */
export function peerBehind(via: Peer, header: ProxyHeader): Peer {
  if (header.origin === 'local') return via;
  const { commonName, secure } = header;
  const isKnown = header.origin === 'address';
  return {
    peername: isKnown ? peername(header.address, header.port) : via.peername,
    isLoopback: isKnown && via.isLoopback && isLoopback(header.address),
    secure,
    certificate:
      commonName === undefined
        ? undefined
        : { commonName, subject: `CN=${escapeDn(commonName)}`, fingerprint256: '' },
  };
}

/** What the session layer is told. `own` is the certificate shown to us; `secure` whether we speak TLS with the peer. */
export function factsOf(
  setting: Pick<ListenerSetting, 'name' | 'identity'>,
  peer: Peer,
  secure = false,
  own?: PeerCertificate,
): ConnectionFacts {
  const certificate = own ?? peer.certificate;
  const username = certificate === undefined ? undefined : usernameOf(certificate, setting.identity);
  return {
    peername: peer.peername,
    listener: setting.name,
    isLoopback: peer.isLoopback,
    secure: secure || peer.secure,
    ...(certificate === undefined ? {} : { certificate }),
    ...(username === undefined ? {} : { certificateUsername: username }),
  };
}

/** `a.b.c.d:port` or `[v6]:port`. */
export function peername(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** True for addresses of this machine. */
export function isLoopback(address: string): boolean {
  return /^(?:::ffff:)?127\./i.test(address) || address === '::1';
}

/** A subject as OpenSSL prints it, one part per line from the root down, as RFC 4514 writes it. */
export function subjectOf(lines: string): string {
  return lines.split('\n').toReversed().join(',');
}

/** No user name comes from a part that is missing or that MQTT could not carry [MQTT-1.5.4-2]. */
function usernameOf(certificate: PeerCertificate, identity: ListenerSetting['identity']): string | undefined {
  if (identity === 'none') return undefined;
  const name = identity === 'cn' ? certificate.commonName : certificate.subject;
  return name === '' || name.includes('\0') ? undefined : name;
}

function escapeDn(value: string): string {
  return value.replaceAll(/[,+"\\<>;=]|^[# ]| $/g, String.raw`\$&`);
}
