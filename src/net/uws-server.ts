/**
 * A WebSocket server on uWebSockets.js: plain `ws` listeners without PROXY header, when the package is installed. Main thread.
 *
 * Always true: the same requests get through and the same are refused, with the same answers, as in `websocket-stage.ts`,
 * which is the plain version of this file. Gives up: our clock and limits before the upgrade (the library closes a silent
 * HTTP connection after ten seconds of its own), stopping a peer that sends too fast, and the port of the peer in its name
 * with versions of the library that do not tell it.
 */
import type { AddressInfo } from 'node:net';

import { OperationalError } from '../base/error.js';
import { isIPv6 } from 'node:net';
import { isLoopback, peername, type Peer } from './peer.js';
import type { UwsModule, UwsRequest, UwsResponse } from './uws-api.js';
import { UwsTransport } from './uws-transport.js';
import { judgeUpgrade, type WebSocketStageOptions } from './websocket-rule.js';

/** Refuses to share the port with another process. */
const listenExclusively = 1;

/** What the server asks of its listener. */
export interface UwsHost {
  /** False when there are too many connections, which is counted; else this one counts until `closed`. */
  admits(peer: Peer): boolean;
  /** Counts a request that was refused. */
  refused(peer: string, reason: string): void;
  /** A WebSocket is open: makes its transport with `make`, and the connection that uses it. */
  opened(peer: Peer, make: (facts: UwsTransport['facts']) => UwsTransport): UwsTransport;
  closed(peer: Peer): void;
  protocolFault(): void;
}

interface UserData {
  readonly peer: Peer;
  transport: UwsTransport | undefined;
}

/** See the file header. */
export class UwsServer {
  readonly #uws: UwsModule;
  readonly #options: WebSocketStageOptions;
  readonly #host: UwsHost;
  #listenSocket: unknown;

  constructor(uws: UwsModule, options: WebSocketStageOptions, host: UwsHost) {
    this.#uws = uws;
    this.#options = options;
    this.#host = host;
  }

  /** Resolves with the address; rejects with ERR_LISTEN. */
  listen(host: string, port: number): Promise<AddressInfo> {
    const of = (socket: { getUserData(): unknown }): UserData => socket.getUserData() as UserData;
    const app = this.#uws
      .App()
      .ws('/*', {
        maxPayloadLength: this.#options.messageBytesMax,
        // The outbox has the bound.
        maxBackpressure: 0,
        idleTimeout: 0,
        compression: 0,
        sendPingsAutomatically: false,
        upgrade: (response, request, context) => this.#onUpgrade(response, request, context),
        open: (socket) => {
          const data = of(socket);
          data.transport = this.#host.opened(
            data.peer,
            (facts) =>
              new UwsTransport(socket, facts, 2 * this.#options.messageBytesMax, () =>
                this.#host.protocolFault(),
              ),
          );
        },
        message: (socket, message, isBinary) => of(socket).transport?.onMessage(message, isBinary),
        drain: (socket) => of(socket).transport?.onDrain(),
        close: (socket) => {
          this.#host.closed(of(socket).peer);
          of(socket).transport?.onClose();
        },
      })
      .any('/*', (response, request) => this.#refuse(response, request, false));
    return new Promise((resolve, reject) => {
      app.listen(host, port, listenExclusively, (listenSocket) => {
        if (listenSocket === false || listenSocket === undefined || listenSocket === null) {
          reject(new OperationalError('ERR_LISTEN', `cannot listen on ${host}:${port}`));
          return;
        }
        this.#listenSocket = listenSocket;
        const family = isIPv6(host) ? 'IPv6' : 'IPv4';
        resolve({ address: host, family, port: this.#uws.us_socket_local_port(listenSocket) });
      });
    });
  }

  /** Stops accepting. Connections stay. */
  close(): void {
    if (this.#listenSocket === undefined) return;
    this.#uws.us_listen_socket_close(this.#listenSocket);
    this.#listenSocket = undefined;
  }

  #onUpgrade(response: UwsResponse, request: UwsRequest, context: unknown): void {
    const ruling = this.#refuse(response, request, true);
    if (ruling === undefined) return;
    const address = Buffer.from(response.getRemoteAddressAsText()).toString();
    const peer: Peer = {
      peername: peername(address, response.getRemotePort?.() ?? 0),
      isLoopback: isLoopback(address) && !ruling.isForeignPage,
      secure: false,
      certificate: undefined,
    };
    if (!this.#host.admits(peer)) {
      response.close();
      return;
    }
    const data: UserData = { peer, transport: undefined };
    response.upgrade(data, request.getHeader('sec-websocket-key'), ruling.subprotocol, '', context);
  }

  /** Answers a request that must not get through; hands back the ruling of one that may. */
  #refuse(
    response: UwsResponse,
    request: UwsRequest,
    isUpgrade: boolean,
  ): { subprotocol: string; isForeignPage: boolean } | undefined {
    const origin = request.getHeader('origin');
    const ruling = judgeUpgrade(this.#options, {
      path: request.getUrl(),
      isUpgrade,
      subprotocols: request.getHeader('sec-websocket-protocol'),
      origin: origin === '' ? undefined : origin,
    });
    if ('subprotocol' in ruling) return ruling;
    this.#host.refused(Buffer.from(response.getRemoteAddressAsText()).toString(), ruling.reason);
    response.writeStatus(ruling.statusText);
    if (ruling.status === 426) response.writeHeader('Upgrade', 'websocket');
    response.end(`${ruling.reason}\n`, true);
    return undefined;
  }
}
