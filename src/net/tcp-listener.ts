/**
 * The listener of plain sockets: TCP and Unix. Main thread.
 *
 * Always true: all connections read into one buffer. Node allocates a buffer per read for `data` events; with
 * the documented `onread` option it fills ours, but a server cannot give that option to accepted sockets. So
 * the accepted socket's handle is moved into a new `Socket` with `onread`, as Node's own cluster module does
 * with the `handle` option. 2 GB from 10 connections took 0.49 s of CPU instead of 1.24 s (bench/micro/net/tcp-listener.ts).
 * Should a future Node hide the handle, plain `data` events are used: same behaviour, slower.
 */
import { createServer, Socket, type AddressInfo, type Server, type ServerOpts } from 'node:net';

import { startServer } from './server-start.js';

/** Bytes taken by one read at most. */
const readBytesMax = 256 * 1024;

/** Takes what a socket has read; the chunk is valid during the call only. */
export type ReadCallback = (chunk: Buffer, length: number) => void;
/** Called for every accepted socket; returns who takes its bytes, or undefined when the socket was refused and destroyed. */
export type AcceptCallback = (socket: Socket) => ReadCallback | undefined;

/** What may differ. */
export interface ListenerOptions {
  /** False forces the fallback, for its test. */
  readonly sharesBuffer?: boolean;
  /** Silence after which the system asks for the other end; 0 or left out = never. */
  readonly keepAliveMs?: number;
  /** A connection could not be accepted; the listener goes on. */
  readonly onFault?: (error: Error) => void;
}

/** See the file header. */
export class TcpListener {
  readonly #server: Server;
  readonly #buffer: Buffer;
  readonly #accept: AcceptCallback;
  readonly #onFault: (error: Error) => void;
  readonly #sharesBuffer: boolean;

  constructor(accept: AcceptCallback, options: ListenerOptions = {}) {
    const { sharesBuffer = true, keepAliveMs = 0, onFault = () => {} } = options;
    this.#accept = accept;
    this.#onFault = onFault;
    this.#sharesBuffer = sharesBuffer;
    this.#buffer = sharesBuffer ? Buffer.allocUnsafeSlow(readBytesMax) : Buffer.alloc(0);
    this.#server = createServer(socketOptions(keepAliveMs), (accepted) => this.#onAccept(accepted));
  }

  /** Resolves with the address it listens on; rejects with ERR_LISTEN. */
  async listen(host: string, port: number): Promise<AddressInfo> {
    return (await startServer(this.#server, { host, port }, this.#onFault)) as AddressInfo;
  }

  /** The same on a Unix socket with these rights; resolves with its path. */
  async listenPath(path: string, mode: number): Promise<string> {
    return (await startServer(this.#server, { path, mode }, this.#onFault)) as string;
  }

  /** Stops accepting. Connections stay. */
  close(): void {
    this.#server.close();
  }

  #onAccept(accepted: Socket): void {
    const handle = this.#sharesBuffer ? takeHandle(accepted) : undefined;
    if (handle === undefined) this.#onPlain(accepted);
    else this.#onShared(handle);
  }

  #onShared(handle: object): void {
    const reader: { read: ReadCallback | undefined } = { read: undefined };
    const options = {
      handle,
      allowHalfOpen: true,
      readable: true,
      writable: true,
      onread: {
        buffer: this.#buffer,
        callback: (length: number, chunk: Uint8Array): boolean => {
          reader.read?.(chunk as Buffer, length);
          return true;
        },
      },
    };
    const socket = new Socket(options);
    reader.read = this.#accept(socket);
    if (reader.read !== undefined) socket.resume();
  }

  #onPlain(socket: Socket): void {
    const read = this.#accept(socket);
    if (read === undefined) return;
    socket.on('data', (chunk: Buffer) => read(chunk, chunk.length));
    socket.resume();
  }
}

/** What holds for every accepted socket. */
export function socketOptions(keepAliveMs: number): ServerOpts {
  return {
    pauseOnConnect: true,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: keepAliveMs > 0,
    // The system counts in seconds, from 1.
    keepAliveInitialDelay: Math.max(1000, keepAliveMs),
  };
}

/** Takes the handle out of an accepted, paused socket, which is empty afterwards; undefined where there is none to take. */
function takeHandle(accepted: Socket): object | undefined {
  const holder = accepted as unknown as { _handle?: object | null };
  const handle = holder._handle;
  if (typeof handle !== 'object' || handle === null || !('useUserBuffer' in handle)) return undefined;
  holder._handle = null;
  return handle;
}
