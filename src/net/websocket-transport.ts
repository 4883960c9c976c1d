/**
 * A WebSocket as transport, on the library `ws`. Main thread.
 *
 * Always true: binary messages are the byte stream, whatever their borders [MQTT-6.0.0-2]; any other data message closes
 * the connection [MQTT-6.0.0-1]; all messages of one read are handed out together, so that a flood of tiny ones is
 * bounded by the slices of the decoder like a flood of tiny packets on TCP. One flush is one message, and one write.
 * Gives up: messages that begin before they are complete; the library keeps them until then, up to its bound.
 */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';

import type { ConnectionFacts } from '../auth/connection-facts.js';
import { bytesQueuedBy } from './socket-transport.js';
import { codedSliceBytes, type SentCallback, type Transport, type TransportUser } from './transport.js';

const binary = { binary: true, compress: false } as const;
const closeNormal = 1000;
const closeUnsupportedData = 1003;

/** See the file header. */
export class WebSocketTransport implements Transport {
  readonly facts: ConnectionFacts;
  /** It takes turns by itself. */
  readonly sliceBytesMax = Number.POSITIVE_INFINITY;
  readonly #webSocket: WebSocket;
  readonly #socket: Socket;
  readonly #wire: Socket;
  readonly #onProtocolFault: () => void;
  #user: TransportUser | undefined;
  /** Messages of the read that is under way. */
  readonly #gathered: Buffer[] = [];
  #state: 'open' | 'ended' = 'open';
  #closeCode = closeNormal;
  #reading: 'on' | 'off' = 'on';
  /** Bytes of the wire since others had a turn: pings and empty frames are work, too, that the connection never sees. */
  #sliceBytes = 0;
  #waitsForTurn = false;
  readonly #goOn = (): void => {
    this.#waitsForTurn = false;
    if (this.#reading === 'on') this.#webSocket.resume();
  };
  #sends = 0;
  #sent: SentCallback | undefined;
  readonly #onSent = (error?: Error | null): void => {
    this.#sends--;
    this.#sent?.(error);
  };

  /**
   * To be made before the next read. `socket` is what the WebSocket runs over, `wire` what TLS runs over below it;
   * `onProtocolFault` is told once when the peer breaks the WebSocket protocol.
   */
  constructor(
    webSocket: WebSocket,
    socket: Socket,
    wire: Socket,
    facts: ConnectionFacts,
    onProtocolFault: () => void,
  ) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#wire = wire;
    this.facts = facts;
    this.#onProtocolFault = onProtocolFault;
  }

  /** Answers to pings lie behind our bytes in the socket; they do not count. */
  get bytesUnsent(): number {
    return this.#sends === 0 ? 0 : this.#socket.writableLength;
  }

  get bytesQueued(): number {
    return bytesQueuedBy(this.#wire, this.#socket);
  }

  attach(user: TransportUser): void {
    this.#user = user;
    const webSocket = this.#webSocket;
    webSocket.on('message', (data, isBinary) => this.#onMessage(data as Buffer, isBinary));
    // The library's own listener came first: all messages of the chunk are there.
    this.#socket.on('data', (chunk: Buffer) => this.#onChunk(chunk.length));
    webSocket.on('error', (error: Error & { code?: string }) => {
      if (error.code?.startsWith('WS_ERR_') === true) this.#onProtocolFault();
      user.onFault(error);
      this.#stop();
    });
    webSocket.on('close', () => user.onClosed());
  }

  send(bytes: Buffer, sent: SentCallback): void {
    this.#sends++;
    this.#sent = sent;
    this.#webSocket.send(bytes, binary, this.#onSent);
  }

  sendAll(pieces: readonly Buffer[], sent: SentCallback): void {
    const last = pieces.length - 1;
    this.#socket.cork();
    for (let i = 0; i < last; i++) this.#webSocket.send(pieces[i]!, binary);
    this.send(pieces[last]!, sent);
    this.#socket.uncork();
  }

  pause(): void {
    this.#reading = 'off';
    this.#webSocket.pause();
  }

  resume(): void {
    this.#reading = 'on';
    if (!this.#waitsForTurn) this.#webSocket.resume();
  }

  end(): void {
    this.#state = 'ended';
    this.#webSocket.close(this.#closeCode);
  }

  destroy(): void {
    this.#webSocket.terminate();
  }

  #onChunk(length: number): void {
    this.#deliver();
    this.#sliceBytes += length;
    if (this.#sliceBytes < codedSliceBytes) return;
    this.#sliceBytes = 0;
    this.#waitsForTurn = true;
    this.#webSocket.pause();
    setImmediate(this.#goOn);
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    if (this.#state === 'ended') return;
    if (isBinary) {
      if (data.length > 0) this.#gathered.push(data);
      return;
    }
    // What came before it counts.
    this.#deliver();
    this.#onProtocolFault();
    this.#closeCode = closeUnsupportedData;
    this.#stop();
  }

  #deliver(): void {
    const gathered = this.#gathered;
    if (gathered.length > 0) {
      const bytes = gathered.length === 1 ? gathered[0]! : Buffer.concat(gathered);
      gathered.length = 0;
      this.#user?.onRead(bytes, bytes.length);
    }
    // A close frame, or a fault of the protocol.
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) this.#stop();
  }

  #stop(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#user?.onEnd();
  }
}
