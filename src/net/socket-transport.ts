/**
 * A socket as transport: TCP, a Unix socket, or TLS. Main thread.
 *
 * Always true: several pieces leave in one writev. Reading is the listener's business, because plain sockets are read
 * into a shared buffer and TLS sockets are not. Gives up: nothing.
 */
import type { Socket } from 'node:net';

import type { ConnectionFacts } from '../auth/connection-facts.js';
import {
  codedSliceBytes,
  plainSliceBytes,
  type SentCallback,
  type Transport,
  type TransportUser,
} from './transport.js';

/** See the file header. */
export class SocketTransport implements Transport {
  readonly facts: ConnectionFacts;
  readonly sliceBytesMax: number;
  readonly #socket: Socket;
  readonly #wire: Socket;

  /** `wire` is the socket below TLS, where there is one. */
  constructor(socket: Socket, facts: ConnectionFacts, wire: Socket = socket) {
    this.#socket = socket;
    this.#wire = wire;
    this.facts = facts;
    this.sliceBytesMax = wire === socket ? plainSliceBytes : codedSliceBytes;
  }

  get bytesUnsent(): number {
    return this.#socket.writableLength;
  }

  get bytesQueued(): number {
    return bytesQueuedBy(this.#wire, this.#socket);
  }

  attach(user: TransportUser): void {
    const socket = this.#socket;
    socket.on('end', () => user.onEnd());
    socket.on('error', (error) => user.onFault(error));
    socket.on('close', () => user.onClosed());
  }

  send(bytes: Buffer, sent: SentCallback): void {
    this.#socket.write(bytes, sent);
  }

  sendAll(pieces: readonly Buffer[], sent: SentCallback): void {
    const socket = this.#socket;
    const last = pieces.length - 1;
    socket.cork();
    for (let i = 0; i < last; i++) socket.write(pieces[i]!);
    socket.write(pieces[last]!, sent);
    socket.uncork();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** Bytes that the kernel has not taken from `wire`; a number that falls as the peer reads, within one write too. */
export function bytesQueuedBy(wire: Socket, socket: Socket): number {
  const { _handle: handle } = wire as unknown as { _handle?: { writeQueueSize?: number } | null };
  return handle?.writeQueueSize ?? socket.writableLength;
}
