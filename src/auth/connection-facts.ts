/**
 * What the transport knows about a peer, for whoever decides if it may connect. Main thread.
 *
 * Always true: made once, when the byte transport is up (after PROXY header, TLS handshake and HTTP upgrade) and
 * before the first packet is read; nothing in it was said by the client in MQTT. `peername` and `isLoopback` are
 * those of the real peer when a listener trusts its PROXY header. Gives up: changes of the address later on.
 */

/** The certificate that a TLS peer showed and that our certificate authority vouches for. */
export interface PeerCertificate {
  /** Common Name of its subject; empty when the subject has none. */
  readonly commonName: string;
  /** The subject as a distinguished name in RFC 4514 order, `CN=a,O=b`. */
  readonly subject: string;
  /** SHA-256 of the certificate, upper-case hex with colons; empty when a proxy reported it without one. */
  readonly fingerprint256: string;
}

/** See the file header. */
export interface ConnectionFacts {
  /** `ip:port` or `[ip]:port` of the peer, `unix:` for a Unix socket. */
  readonly peername: string;
  /** Name of the listener it came through. */
  readonly listener: string;
  /** The peer is on this machine: a loopback address or a Unix socket. */
  readonly isLoopback: boolean;
  /** The bytes are encrypted between the peer and us, or between the peer and the proxy that says so. */
  readonly secure: boolean;
  /** Absent: none was shown, none was asked for, or it was not verified. */
  readonly certificate?: PeerCertificate;
  /** The user that the certificate stands for, when the listener takes users from certificates. */
  readonly certificateUsername?: string;
}
