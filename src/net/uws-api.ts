/**
 * The part of uWebSockets.js that is used, and how it is found. Main thread.
 *
 * Always true: it is an optional package that no registry carries under its name, so nothing of it is known at compile
 * time; a package that is there and does not load (no binary for this Node) counts as not there, with the reason.
 */

/** A WebSocket, from `open` to `close`; any use after `close` throws. */
export interface UwsSocket {
  /** 0: some of it waits, 1: all taken, 2: dropped. */
  send(message: Uint8Array, isBinary: boolean, compress: boolean): number;
  getBufferedAmount(): number;
  cork(send: () => void): unknown;
  /** Sends a close frame behind what waits. Calls `close` before it returns. */
  end(code: number): void;
  /** Closes at once. Calls `close` before it returns. */
  close(): void;
  getUserData(): unknown;
}

/** A request, within the call that hands it over. */
export interface UwsRequest {
  getHeader(lowerCaseName: string): string;
  getUrl(): string;
  getMethod(): string;
}

/** An answer. */
export interface UwsResponse {
  writeStatus(status: string): unknown;
  writeHeader(name: string, value: string): unknown;
  end(body: string, closeConnection: boolean): unknown;
  close(): unknown;
  getRemoteAddressAsText(): ArrayBuffer;
  /** Only in newer versions. */
  getRemotePort?(): number;
  upgrade(userData: object, key: string, protocol: string, extensions: string, context: unknown): void;
}

/** What is told about WebSockets. */
export interface UwsBehavior {
  readonly maxPayloadLength: number;
  readonly maxBackpressure: number;
  readonly idleTimeout: number;
  readonly compression: number;
  readonly sendPingsAutomatically: boolean;
  upgrade(response: UwsResponse, request: UwsRequest, context: unknown): void;
  open(webSocket: UwsSocket): void;
  message(webSocket: UwsSocket, message: ArrayBuffer, isBinary: boolean): void;
  drain(webSocket: UwsSocket): void;
  close(webSocket: UwsSocket, code: number): void;
}

/** A server. */
export interface UwsApp {
  ws(pattern: string, behavior: UwsBehavior): UwsApp;
  any(pattern: string, handler: (response: UwsResponse, request: UwsRequest) => void): UwsApp;
  listen(host: string, port: number, options: number, done: (listenSocket: unknown) => void): UwsApp;
}

/** The package. */
export interface UwsModule {
  App(): UwsApp;
  readonly us_listen_socket_close: (listenSocket: unknown) => void;
  readonly us_socket_local_port: (listenSocket: unknown) => number;
}

/** The package, or why there is none. */
export type UwsLoader = () => Promise<UwsModule | Error>;

/** Loads the package when it is installed. */
export const loadUws: UwsLoader = async () => {
  // A variable: the compiler must not look for it.
  const name = 'uWebSockets.js';
  try {
    return ((await import(name)) as { default: UwsModule }).default;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
};
