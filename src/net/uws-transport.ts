/**
 * A WebSocket as transport, on uWebSockets.js. Main thread.
 *
 * Always true: binary messages are the byte stream [MQTT-6.0.0-2], any other data message closes the connection
 * [MQTT-6.0.0-1]; the library's socket is not touched after it has closed. Gives up: slowing the peer down. The library
 * cannot stop reading, so what comes while nobody takes it is kept up to a bound, and beyond it the connection closes.
 */
import type { ConnectionFacts } from '../auth/connection-facts.js';
import { plainSliceBytes, type SentCallback, type Transport, type TransportUser } from './transport.js';
import type { UwsSocket } from './uws-api.js';

const closeNormal = 1000;
const closeUnsupportedData = 1003;
const closeTryAgainLater = 1013;

/**
 * The library writes messages up to its buffer of 16 KB whole or not at all. Of a larger one that the kernel takes in part,
 * version 20 loses bytes, and the client sees a broken frame.
 */
const messageBytesMax = 15_000;

/** See the file header. */
export class UwsTransport implements Transport {
  readonly facts: ConnectionFacts;
  /** The library reads no more than half of it in a turn. */
  readonly sliceBytesMax = plainSliceBytes;
  readonly #socket: UwsSocket;
  readonly #keptBytesMax: number;
  readonly #onProtocolFault: () => void;
  #user: TransportUser | undefined;
  #state: 'open' | 'ended' | 'closed' = 'open';
  #reading: 'on' | 'off' = 'on';
  readonly #kept: Buffer[] = [];
  #keptBytes = 0;
  #handingOut = false;
  #closeCode = closeNormal;
  #sent: SentCallback | undefined;

  constructor(socket: UwsSocket, facts: ConnectionFacts, keptBytesMax: number, onProtocolFault: () => void) {
    this.#socket = socket;
    this.facts = facts;
    this.#keptBytesMax = keptBytesMax;
    this.#onProtocolFault = onProtocolFault;
  }

  get bytesUnsent(): number {
    return this.#state === 'open' ? this.#socket.getBufferedAmount() : 0;
  }

  get bytesQueued(): number {
    return this.bytesUnsent;
  }

  attach(user: TransportUser): void {
    this.#user = user;
  }

  send(bytes: Buffer, sent: SentCallback): void {
    if (this.#state !== 'open') return;
    this.#sent = sent;
    if (bytes.length <= messageBytesMax) this.#socket.send(bytes, true, false);
    else this.#socket.cork(() => this.#sendLarge(bytes));
  }

  sendAll(pieces: readonly Buffer[], sent: SentCallback): void {
    if (this.#state !== 'open') return;
    this.#sent = sent;
    this.#socket.cork(() => {
      for (const piece of pieces) this.#sendLarge(piece);
    });
  }

  pause(): void {
    this.#reading = 'off';
  }

  resume(): void {
    this.#reading = 'on';
    if (this.#keptBytes > 0 && !this.#handingOut) setImmediate(() => this.#handOut());
  }

  end(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ended';
    this.#socket.end(this.#closeCode);
  }

  destroy(): void {
    if (this.#state === 'open') this.#socket.close();
  }

  /** Bytes came; they are valid during the call only. */
  onMessage(message: ArrayBuffer, isBinary: boolean): void {
    if (this.#state !== 'open') return;
    if (!isBinary) {
      this.#refuse(closeUnsupportedData);
    } else if (this.#reading === 'on' && this.#keptBytes === 0) {
      this.#user?.onRead(Buffer.from(message), message.byteLength);
    } else if (this.#keptBytes + message.byteLength > this.#keptBytesMax) {
      this.#refuse(closeTryAgainLater);
    } else {
      this.#kept.push(Buffer.from(message.slice(0)));
      this.#keptBytes += message.byteLength;
    }
  }

  /** The kernel has taken some of what waited. */
  onDrain(): void {
    if (this.bytesUnsent === 0) this.#sent?.();
  }

  /** The library has closed it; its socket is gone. */
  onClose(): void {
    this.#state = 'closed';
    this.#kept.length = 0;
    this.#keptBytes = 0;
    // Not within the call that closed it.
    setImmediate(() => this.#user?.onClosed());
  }

  #sendLarge(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += messageBytesMax) {
      this.#socket.send(bytes.subarray(at, at + messageBytesMax), true, false);
    }
  }

  #handOut(): void {
    this.#handingOut = true;
    while (this.#reading === 'on' && this.#state === 'open') {
      const bytes = this.#kept.shift();
      if (bytes === undefined) break;
      this.#keptBytes -= bytes.length;
      this.#user?.onRead(bytes, bytes.length);
    }
    this.#handingOut = false;
  }

  #refuse(code: number): void {
    this.#onProtocolFault();
    this.#closeCode = code;
    this.#user?.onEnd();
  }
}
