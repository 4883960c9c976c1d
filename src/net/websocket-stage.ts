/**
 * The HTTP upgrade of a listener: from a request to a WebSocket that speaks MQTT. Main thread.
 *
 * Always true: what gets through is decided in `websocket-rule.ts`; everything else is answered with a status and closed,
 * and counted once. Messages are not compressed and have a bound. Gives up: anything else over HTTP on this port. Node's HTTP server and `ws` work on sockets
 * that are handed to them, so that a PROXY header and TLS may come first.
 */
import { createServer, STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';

import type { Handshake } from './handshake.js';
import {
  judgeUpgrade,
  subprotocols,
  type UpgradeRuling,
  type WebSocketStageOptions,
} from './websocket-rule.js';

/** Request line and headers. */
const headerBytesMax = 8 * 1024;

/** Takes a connection whose upgrade is done, before anything is read; `socket` is what the WebSocket runs over. */
export type UpgradedCallback = (webSocket: WebSocket, socket: Socket, handshake: Handshake) => void;

/** See the file header. One per listener. */
export class WebSocketStage {
  readonly #options: WebSocketStageOptions;
  readonly #upgraded: UpgradedCallback;
  readonly #http: Server;
  readonly #ws: WebSocketServer;
  readonly #pending = new WeakMap<Duplex, Handshake>();

  constructor(options: WebSocketStageOptions, upgraded: UpgradedCallback) {
    this.#options = options;
    this.#upgraded = upgraded;
    this.#ws = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.messageBytesMax,
      // Text ends the connection whatever is in it.
      skipUTF8Validation: true,
      handleProtocols: (asked) => subprotocols.find((name) => asked.has(name)) ?? false,
    });
    this.#ws.on('wsClientError', (error, socket, request) => {
      const status = request.method === 'GET' ? 400 : 405;
      this.#refuse(socket, status, error.message, 'Sec-WebSocket-Version: 13\r\n');
    });
    // The clock of handshakes decides how long a request may take.
    this.#http = createServer({ maxHeaderSize: headerBytesMax, requestTimeout: 0, headersTimeout: 0 });
    this.#http.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
    this.#http.on('request', (request) => {
      const ruling = this.#judge(request, false);
      if (!('status' in ruling)) return;
      const headers = ruling.status === 426 ? 'Upgrade: websocket\r\n' : '';
      this.#refuse(request.socket, ruling.status, ruling.reason, headers);
    });
    this.#http.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
      this.#refuse(socket, status, error.message);
    });
  }

  /** Takes a socket, fresh or behind TLS. */
  accept(socket: Socket, handshake: Handshake): void {
    handshake.stage = 'ws-upgrade';
    this.#pending.set(socket, handshake);
    this.#http.emit('connection', socket);
    socket.resume();
  }

  /** Takes a request that another server has read, with what followed it. */
  takeUpgrade(request: IncomingMessage, socket: Socket, head: Buffer, handshake: Handshake): void {
    this.#pending.set(socket, handshake);
    this.#onUpgrade(request, socket, head);
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const handshake = this.#pending.get(socket);
    if (handshake === undefined || !handshake.isOpen) {
      socket.destroy();
      return;
    }
    const ruling = this.#judge(request, true);
    if ('status' in ruling) {
      this.#refuse(socket, ruling.status, ruling.reason);
      return;
    }
    // Pages of foreign sites in a browser on this machine are no local peers.
    if (ruling.isForeignPage) handshake.peer = { ...handshake.peer, isLoopback: false };
    this.#ws.handleUpgrade(request, socket, head, (webSocket) => {
      this.#upgraded(webSocket, socket as Socket, handshake);
    });
  }

  #judge({ url = '', headers }: IncomingMessage, isUpgrade: boolean): UpgradeRuling {
    const query = url.indexOf('?');
    return judgeUpgrade(this.#options, {
      path: query < 0 ? url : url.slice(0, query),
      isUpgrade,
      subprotocols: headers['sec-websocket-protocol'] ?? '',
      origin: headers.origin,
    });
  }

  #refuse(socket: Duplex, status: number, reason: string, headers = ''): void {
    this.#pending.get(socket)?.refuse('ws-upgrade', reason);
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    const body = `${reason}\n`;
    socket.once('finish', () => socket.destroy());
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Type: text/plain\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`,
    );
  }
}
