/**
 * What a session needs of a network connection: the seam between protocol and sockets. Main thread.
 * `net/connection.ts` implements it; everything in `session` writes through it and never sees a socket.
 *
 * Always true: bytes written into the outbox leave in order and in one write per event-loop turn; after
 * `end` or `destroy` nothing more is sent. Gives up: knowing when bytes have reached the peer.
 */
import type { ConnectionFacts } from '../auth/connection-facts.js';
import type { ProtocolVersion } from '../mqtt/packet-type.js';

/** Where output of a connection gathers until the turn ends. */
export interface Outbox {
  /** Write at `offset`, at most as many bytes as the last `ensure` asked for, then store the new offset. */
  readonly buffer: Buffer;
  offset: number;
  /** Makes room for `bytes` contiguous bytes at `buffer[offset]` and books the connection for this turn's flush. */
  ensure(bytes: number): void;
  /** True while `bytes` more stay within the connection's bound. */
  hasRoom(bytes: number): boolean;
  /** Sends `source[start, end)` behind what was written; it must not change before `Wire.endRelays`. */
  relay(source: Buffer, start: number, end: number): void;
}

/** One network connection as the protocol sees it. */
export interface Wire {
  readonly outbox: Outbox;
  /** What the transport knows of the peer. */
  readonly facts: ConnectionFacts;
  /** `ip:port` of the peer, as in `facts`. */
  readonly peername: string;
  /** What came and went so far, in MQTT bytes. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** The version that CONNECT named: what the decoder accepts from here on. */
  setVersion(version: ProtocolVersion): void;
  /** Close the connection when no packet arrives for so long; 0 = never. */
  setKeepAlive(milliseconds: number): void;
  /** The bytes that this connection has read are about to change: what was relayed of them, to whomever, is copied. */
  endRelays(): void;
  /** Within a sink call: no packet after this one until `resume`. */
  hold(): void;
  /** Takes a refused PUBLISH and what lies behind it up again. Harmless when nothing was refused. */
  resume(): void;
  /** Sends what the outbox holds, then closes. No packet is taken any more. */
  end(): void;
  /** Asks for one `Client.drained` when the kernel has taken the whole outbox. */
  notifyWhenDrained(): void;
}
