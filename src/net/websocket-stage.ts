/**
 * The HTTP upgrade of a listener: from a request to a WebSocket that speaks MQTT. Main thread.
 *
 * Always true: only the configured path, the subprotocol `mqtt` (or `mqttv3.1`) and the allowed origins get through
 * [MQTT-6.0.0-3] [MQTT-6.0.0-4]; everything else is answered with a status and closed, and counted once. Messages are not
 * compressed and have a bound. Gives up: anything else over HTTP on this port. Node's HTTP server and `ws` work on sockets
 * that are handed to them, so that a PROXY header and TLS may come first.
 */
import { createServer, STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import { isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';

import type { Handshake } from './handshake.js';
import { isLoopback } from './peer.js';

/** Names of the subprotocol that clients ask for: that of MQTT 3.1.1 and 5.0, and that of 3.1. */
const subprotocols = ['mqtt', 'mqttv3.1'] as const;
/** Request line and headers. */
const headerBytesMax = 8 * 1024;

/** What may differ. */
export interface WebSocketStageOptions {
  readonly path: string;
  readonly messageBytesMax: number;
  /** Origins whose pages may connect; empty: all. */
  readonly origins: readonly string[];
}

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
    this.#http.on('request', ({ url, socket }) => {
      const isPath = this.#isPath(url);
      if (isPath) this.#refuse(socket, 426, 'no upgrade', 'Upgrade: websocket\r\n');
      else this.#refuse(socket, 404, 'another path');
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

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const handshake = this.#pending.get(socket);
    if (handshake === undefined || !handshake.isOpen) {
      socket.destroy();
      return;
    }
    const { origin } = request.headers;
    if (!this.#isPath(request.url)) this.#refuse(socket, 404, 'another path');
    else if (!asksForMqtt(request)) this.#refuse(socket, 400, 'does not ask for the subprotocol mqtt');
    else if (!this.#isAllowed(origin)) this.#refuse(socket, 403, 'another origin');
    else {
      // Pages of foreign sites in a browser on this machine are no local peers.
      if (origin !== undefined && !isLocalOrigin(origin)) {
        handshake.peer = { ...handshake.peer, isLoopback: false };
      }
      this.#ws.handleUpgrade(request, socket, head, (webSocket) => {
        this.#upgraded(webSocket, socket as Socket, handshake);
      });
    }
  }

  #isPath(url: string | undefined): boolean {
    const path = url ?? '';
    const query = path.indexOf('?');
    return (query < 0 ? path : path.slice(0, query)) === this.#options.path;
  }

  #isAllowed(origin: string | undefined): boolean {
    const { origins } = this.#options;
    return origins.length === 0 || origin === undefined || origins.includes(origin.toLowerCase());
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

function asksForMqtt({ headers }: IncomingMessage): boolean {
  const asked = headers['sec-websocket-protocol'] ?? '';
  return asked.split(',').some((name) => (subprotocols as readonly string[]).includes(name.trim()));
}

function isLocalOrigin(origin: string): boolean {
  const host = URL.canParse(origin) ? new URL(origin).hostname : '';
  const address = host.replace(/^\[(.*)\]$/, '$1');
  return host === 'localhost' || (isIP(address) !== 0 && isLoopback(address));
}
