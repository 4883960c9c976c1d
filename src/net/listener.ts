/**
 * One listener as configured: which stages a connection passes before it speaks MQTT. Main thread.
 *
 *   accept ─▶ limits ─▶ (PROXY header) ─▶ (TLS handshake) ─▶ (HTTP upgrade) ─▶ connection
 *
 * Always true: limits come before anything is read; plain TCP and Unix sockets without PROXY header skip all stages and
 * are read into one shared buffer; what is refused is counted by its reason. Gives up: the shared buffer for TLS and
 * WebSocket, whose bytes arrive in buffers of their own anyhow.
 */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import type { Config } from '../config/config.js';
import type { ListenerKind } from '../config/listener-entry.js';
import type { ListenerSetting } from '../config/listener.js';
import { slot, slotOf } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';
import type { Logger } from '../telemetry/logger.js';
import type { Admission, AddressFault } from './admission.js';
import type { Handshake, Handshakes } from './handshake.js';
import { factsOf, peerOf, peername, unixPeer, type Peer } from './peer.js';
import { ProxyHeaderReader } from './proxy-header.js';
import { feedHeader, ProxyTrust, readHeader } from './proxy-stage.js';
import { startServer, type Place } from './server-start.js';
import { SocketTransport } from './socket-transport.js';
import { socketOptions, TcpListener, type ReadCallback } from './tcp-listener.js';
import { TlsStage } from './tls-stage.js';
import type { Transport, TransportUser } from './transport.js';
import type { UwsModule } from './uws-api.js';
import { UwsServer, type UwsHost } from './uws-server.js';
import type { WebSocketStageOptions } from './websocket-rule.js';
import { WebSocketStage } from './websocket-stage.js';
import { WebSocketTransport } from './websocket-transport.js';

/** What listeners need of their gateway. */
export interface ListenerHost {
  readonly config: Config;
  readonly counters: Counters;
  readonly logger: Logger;
  readonly handshakes: Handshakes;
  /** False reads plain sockets by `data` events, for the test of that path. */
  readonly sharesReadBuffer: boolean;
  nowMs(): number;
  readonly admission: Admission;
  /** False when there are as many connections as there may be; the refusal is counted. */
  admits(): boolean;
  /** False when connections come too fast; `cost` is how many this one counts as. The refusal is counted. */
  isInTime(cost: number): boolean;
  /** Makes the connection that uses `transport`; `acceptedAtMs` is when its time until CONNECT began. */
  open(transport: Transport, acceptedAtMs: number): TransportUser;
}

/** A listener that accepts. */
export interface BoundListener {
  readonly name: string;
  readonly kind: ListenerKind;
  /** Undefined for a Unix socket. */
  readonly address: AddressInfo | undefined;
  /** `host:port`, or the path of a Unix socket. */
  readonly text: string;
}

const refusedByListenerLimit = slotOf('connectionsRefused', 'listener-limit');
const refusedByAddress = {
  'address-limit': slotOf('connectionsRefused', 'address-limit'),
  'address-rate': slotOf('connectionsRefused', 'address-rate'),
} as const satisfies Record<AddressFault, number>;
const refusedByUpgrade = slotOf('connectionsRefused', 'ws-upgrade');
const refusedByProxy = slotOf('connectionsRefused', 'proxy-header');
/** A TLS handshake takes more time than all else until CONNECT: it counts as so many connections. */
const tlsCost = 4;

/** See the file header. */
export class Listener {
  readonly setting: ListenerSetting;
  readonly #host: ListenerHost;
  readonly #isUnix: boolean;
  readonly #trust: ProxyTrust | undefined;
  readonly #plain: TcpListener | undefined;
  readonly #server: Server | undefined;
  readonly #tls: TlsStage | undefined;
  readonly #webSocket: WebSocketStage | undefined;
  readonly #webSocketOptions: WebSocketStageOptions | undefined;
  #uws: UwsServer | undefined;
  /** How many connections one of this listener counts as where rates are limited. */
  readonly #cost: number;
  #count = 0;
  readonly #released = (): void => {
    this.#count--;
  };

  /** Throws ERR_TLS when a certificate cannot be used. */
  constructor(setting: ListenerSetting, host: ListenerHost) {
    const { kind, tls, proxyProtocol, proxyFrom } = setting;
    this.setting = setting;
    this.#host = host;
    this.#isUnix = kind === 'unix';
    this.#cost = tls === undefined ? 1 : tlsCost;
    this.#trust = proxyProtocol ? new ProxyTrust(proxyFrom) : undefined;
    if (kind === 'tcp' || kind === 'unix') {
      this.#plain = new TcpListener((socket) => this.#acceptPlain(socket), {
        sharesBuffer: host.sharesReadBuffer,
        keepAliveMs: host.config.tcpKeepAliveMs,
        onFault: (error) => this.#onFault(error),
      });
      return;
    }
    this.#server = createServer(socketOptions(host.config.tcpKeepAliveMs), (socket) =>
      this.#acceptStaged(socket),
    );
    if (kind === 'ws' || kind === 'wss') {
      const { config, counters } = host;
      const onProtocolFault = (): void => counters.add(slot.webSocketFaults, 1);
      const messageBytesMax = Math.max(config.wsMessageBytesMax, config.maximumPacketSize);
      this.#webSocketOptions = { path: setting.path, messageBytesMax, origins: config.wsOrigins };
      this.#webSocket = new WebSocketStage(this.#webSocketOptions, (webSocket, socket, handshake) => {
        const facts = factsOf(setting, handshake.peer, kind === 'wss', handshake.certificate);
        this.#pass(
          handshake,
          new WebSocketTransport(webSocket, socket, handshake.socket, facts, onProtocolFault),
        );
      });
    }
    if (tls !== undefined) {
      this.#tls = new TlsStage(tls, host.logger, (socket, handshake) => {
        if (this.#webSocket !== undefined) {
          this.#webSocket.accept(socket, handshake);
          return;
        }
        const facts = factsOf(setting, handshake.peer, true, handshake.certificate);
        const user = this.#pass(handshake, new SocketTransport(socket, facts, handshake.socket));
        socket.on('data', (chunk: Buffer) => user.onRead(chunk, chunk.length));
      });
    }
  }

  /** Starts to accept; rejects with ERR_LISTEN. `uws` is used where it can do what the listener asks for. */
  async listen(uws?: UwsModule): Promise<BoundListener> {
    const { name, kind, host, port, path, mode } = this.setting;
    const place: Place = this.#isUnix ? { path, mode } : { host, port };
    let address: AddressInfo | string;
    if (
      uws !== undefined &&
      kind === 'ws' &&
      this.#trust === undefined &&
      this.#webSocketOptions !== undefined
    ) {
      this.#uws = new UwsServer(uws, this.#webSocketOptions, this.#uwsHost());
      address = await this.#uws.listen(host, port);
    } else if (this.#server !== undefined) {
      address = await startServer(this.#server, place, (error) => this.#onFault(error));
    } else if (this.#isUnix) {
      address = await this.#plain!.listenPath(path, mode);
    } else {
      address = await this.#plain!.listen(host, port);
    }
    return typeof address === 'string'
      ? { name, kind, address: undefined, text: address }
      : { name, kind, address, text: peername(address.address, address.port) };
  }

  /** Stops accepting. Connections stay. */
  close(): void {
    this.#plain?.close();
    this.#server?.close();
    this.#uws?.close();
  }

  /** Reads the certificate again; false when the new one is unusable. True for a listener without one. */
  reloadCertificate(): boolean {
    return this.#tls?.reload() ?? true;
  }

  /** The same, when a file of it has changed. */
  reloadCertificateIfChanged(): void {
    this.#tls?.reloadIfChanged();
  }

  /** The limits and counters of this listener for a server that accepts by itself. */
  #uwsHost(): UwsHost {
    const { admission, counters, logger } = this.#host;
    return {
      admits: ({ peername: name }) => {
        if (!this.#host.admits()) return false;
        if (this.#count >= this.setting.connectionsMax) {
          counters.add(refusedByListenerLimit, 1);
          return false;
        }
        const fault = admission.enter(name, this.#cost, this.#host.nowMs());
        if (fault !== undefined) {
          counters.add(refusedByAddress[fault], 1);
          return false;
        }
        if (!this.#host.isInTime(this.#cost)) {
          admission.leave(name);
          return false;
        }
        this.#count++;
        return true;
      },
      refused: (name, reason) => {
        counters.add(refusedByUpgrade, 1);
        logger.debug({ peername: name, fault: 'ws-upgrade', reason }, 'connection refused');
      },
      opened: (peer, make) => {
        const transport = make(factsOf(this.setting, peer));
        this.#host.open(transport, this.#host.nowMs());
        return transport;
      },
      closed: ({ peername: name }) => {
        this.#released();
        admission.leave(name);
      },
      protocolFault: () => counters.add(slot.webSocketFaults, 1),
    };
  }

  #onFault(error: Error): void {
    this.#host.logger.warn({ err: error, listener: this.setting.name }, 'a connection could not be accepted');
  }

  /** False when the socket was refused and destroyed. */
  #admit(socket: Socket): boolean {
    const { logger } = this.#host;
    if (this.#host.admits() && this.#admitHere(socket)) return true;
    logger.debug({ listener: this.setting.name }, 'connection refused by a limit');
    socket.on('error', () => undefined);
    socket.destroy();
    return false;
  }

  /** The limits of this listener and of the address, then the rate that all share: who floods takes nothing of it. */
  #admitHere(socket: Socket): boolean {
    const { counters } = this.#host;
    if (this.#count >= this.setting.connectionsMax) counters.add(refusedByListenerLimit, 1);
    else if (this.#trust?.trusts(socket, this.#isUnix) === false) counters.add(refusedByProxy, 1);
    else {
      // Behind a proxy the header tells the address, later.
      const fault = this.#trust === undefined ? this.#enter(socket, peerOf(socket, this.#isUnix)) : undefined;
      if (fault !== undefined) {
        counters.add(refusedByAddress[fault], 1);
      } else if (this.#host.isInTime(this.#cost)) {
        this.#count++;
        socket.on('close', this.#released);
        return true;
      }
    }
    return false;
  }

  /** Counts a connection for its address until it closes; answers why not when it may not. */
  #enter(socket: Socket, peer: Peer): AddressFault | undefined {
    const { peername: name } = peer;
    // Of a Unix socket there is no address.
    if (name === unixPeer.peername) return undefined;
    const { admission } = this.#host;
    const fault = admission.enter(name, this.#cost, this.#host.nowMs());
    if (fault === undefined) socket.on('close', () => admission.leave(name));
    return fault;
  }

  /** The same for a client behind a proxy; false ends its handshake. */
  #enterBehind(handshake: Handshake): boolean {
    const fault = this.#enter(handshake.socket, handshake.peer);
    if (fault !== undefined) handshake.fail(fault, 'the address of the PROXY header');
    return fault === undefined;
  }

  #acceptPlain(socket: Socket): ReadCallback | undefined {
    if (!this.#admit(socket)) return undefined;
    const host = this.#host;
    const peer = peerOf(socket, this.#isUnix);
    if (this.#trust === undefined) {
      const user = host.open(new SocketTransport(socket, factsOf(this.setting, peer)), host.nowMs());
      return (chunk, length) => user.onRead(chunk, length);
    }
    const handshake = host.handshakes.begin(socket, peer, 'proxy-header', host.nowMs());
    socket.on('end', () => handshake.fail('proxy-header', 'ended within the header'));
    const reader = new ProxyHeaderReader();
    let user: TransportUser | undefined;
    return (chunk, length) => {
      if (user !== undefined) {
        user.onRead(chunk, length);
        return;
      }
      if (!handshake.isOpen) return;
      const used = feedHeader(reader, handshake, chunk, length);
      if (used === undefined || !this.#enterBehind(handshake)) return;
      user = this.#pass(handshake, new SocketTransport(socket, factsOf(this.setting, handshake.peer)));
      if (used < length) user.onRead(chunk.subarray(used, length), length - used);
    };
  }

  #acceptStaged(socket: Socket): void {
    if (!this.#admit(socket)) return;
    const { handshakes } = this.#host;
    const handshake = handshakes.begin(socket, peerOf(socket, false), 'proxy-header', this.#host.nowMs());
    if (this.#trust === undefined) this.#next(handshake);
    else {
      readHeader(handshake, () => {
        if (this.#enterBehind(handshake)) this.#next(handshake);
      });
    }
  }

  #next(handshake: Handshake): void {
    if (this.#tls !== undefined) this.#tls.accept(handshake);
    else this.#webSocket?.accept(handshake.socket, handshake);
  }

  #pass(handshake: Handshake, transport: Transport): TransportUser {
    handshake.pass();
    return this.#host.open(transport, handshake.openedAtMs);
  }
}
