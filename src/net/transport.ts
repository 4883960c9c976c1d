/**
 * A byte transport as a connection sees it: TCP, TLS, WebSocket or a Unix socket. Main thread.
 *
 * Always true: bytes sent leave in order; every `send` is one unit on the wire (one writev, one WebSocket message); after
 * `onClosed` nothing is called any more. A half-closed transport still sends. Gives up: message boundaries of the peer,
 * because MQTT packets may share and span them [MQTT-6.0.0-2].
 */
import type { ConnectionFacts } from '../auth/connection-facts.js';

/** `sliceBytesMax` of plain sockets, whose reads are large. */
export const plainSliceBytes = 1024 * 1024;
/**
 * `sliceBytesMax` of TLS and WebSocket, whose reads are small: the slice of the decoder, which holds for one read, does
 * not bound them. A ping beside a flood over TLS took 2 ms instead of 13 (median).
 */
export const codedSliceBytes = 64 * 1024;

/** Told once when everything of a `send` was taken by the kernel, or with the reason why it never will be. */
export type SentCallback = (error?: Error | null) => void;

/** What an outbox needs of a transport. */
export interface ByteSink {
  /** Bytes of all `send` calls that the kernel has not taken; 0 right after a `send` that it took at once. */
  readonly bytesUnsent: number;
  /** Bytes that wait in the process, the transport's own framing included: falls while a slow reader reads. */
  readonly bytesQueued: number;
  /** Sends `bytes`, which must stay untouched until `sent` is called or `bytesUnsent` is 0. */
  send(bytes: Buffer, sent: SentCallback): void;
  /** The same for several pieces in a row, at least one; the array belongs to the transport. */
  sendAll(pieces: readonly Buffer[], sent: SentCallback): void;
}

/** See the file header. */
export interface Transport extends ByteSink {
  readonly facts: ConnectionFacts;
  /**
   * Bytes after which its user lets others have a turn. One readable socket is read up to 32 times in a turn of the
   * event loop: 8 MB of a plain socket, and as many small pieces of TLS and WebSocket.
   */
  readonly sliceBytesMax: number;
  /** Names the one who is told what happens. Called once, before anything can happen. */
  attach(user: TransportUser): void;
  /** Nothing is read until `resume`; what was read before may still be handed out. */
  pause(): void;
  resume(): void;
  /** Closes in order: everything sent leaves first. Input goes on until the peer closes too. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

/** Who uses a transport: a connection. */
export interface TransportUser {
  /** Takes what was read: `chunk[0, length)` is valid during the call only. */
  onRead(chunk: Buffer, length: number): void;
  /** The peer sends nothing any more. */
  onEnd(): void;
  /** A fault of the network; `onClosed` follows. */
  onFault(error: Error): void;
  /** Both directions are closed. */
  onClosed(): void;
}
