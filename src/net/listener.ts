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
import type { Handshake, Handshakes } from './handshake.js';
import { factsOf, peerOf, peername } from './peer.js';
import { ProxyHeaderReader } from './proxy-header.js';
import { feedHeader, ProxyTrust, readHeader } from './proxy-stage.js';
import { startServer, type Place } from './server-start.js';
import { SocketTransport } from './socket-transport.js';
import { TcpListener, type ReadCallback } from './tcp-listener.js';
import { TlsStage } from './tls-stage.js';
import type { Transport, TransportUser } from './transport.js';
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
  /** False when there are as many connections as there may be; the refusal is counted. */
  admits(): boolean;
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
const refusedByProxy = slotOf('connectionsRefused', 'proxy-header');

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
    this.#trust = proxyProtocol ? new ProxyTrust(proxyFrom) : undefined;
    if (kind === 'tcp' || kind === 'unix') {
      this.#plain = new TcpListener((socket) => this.#acceptPlain(socket), {
        sharesBuffer: host.sharesReadBuffer,
        onFault: (error) => this.#onFault(error),
      });
      return;
    }
    this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#acceptStaged(socket),
    );
    if (kind === 'ws' || kind === 'wss') {
      const { config, counters } = host;
      const onProtocolFault = (): void => counters.add(slot.webSocketFaults, 1);
      const messageBytesMax = Math.max(config.wsMessageBytesMax, config.maximumPacketSize);
      this.#webSocket = new WebSocketStage(
        { path: setting.path, messageBytesMax, origins: config.wsOrigins },
        (webSocket, socket, handshake) => {
          const facts = factsOf(setting, handshake.peer, kind === 'wss', handshake.certificate);
          this.#pass(
            handshake,
            new WebSocketTransport(webSocket, socket, handshake.socket, facts, onProtocolFault),
          );
        },
      );
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

  /** Starts to accept; rejects with ERR_LISTEN. */
  async listen(): Promise<BoundListener> {
    const { name, kind, host, port, path, mode } = this.setting;
    const place: Place = this.#isUnix ? { path, mode } : { host, port };
    let address: AddressInfo | string;
    if (this.#server !== undefined) {
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
  }

  /** Reads the certificate again; false when the new one is unusable. True for a listener without one. */
  reloadCertificate(): boolean {
    return this.#tls?.reload() ?? true;
  }

  /** The same, when a file of it has changed. */
  reloadCertificateIfChanged(): void {
    this.#tls?.reloadIfChanged();
  }

  #onFault(error: Error): void {
    this.#host.logger.warn({ err: error, listener: this.setting.name }, 'a connection could not be accepted');
  }

  /** False when the socket was refused and destroyed. */
  #admit(socket: Socket): boolean {
    const { counters } = this.#host;
    if (this.#host.admits()) {
      if (this.#count >= this.setting.connectionsMax) counters.add(refusedByListenerLimit, 1);
      else if (this.#trust?.trusts(socket, this.#isUnix) === false) counters.add(refusedByProxy, 1);
      else {
        this.#count++;
        socket.on('close', this.#released);
        return true;
      }
    }
    socket.on('error', () => undefined);
    socket.destroy();
    return false;
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
      if (used === undefined) return;
      user = this.#pass(handshake, new SocketTransport(socket, factsOf(this.setting, handshake.peer)));
      if (used < length) user.onRead(chunk.subarray(used, length), length - used);
    };
  }

  #acceptStaged(socket: Socket): void {
    if (!this.#admit(socket)) return;
    const { handshakes } = this.#host;
    const handshake = handshakes.begin(socket, peerOf(socket, false), 'proxy-header', this.#host.nowMs());
    if (this.#trust === undefined) this.#next(handshake);
    else readHeader(handshake, () => this.#next(handshake));
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
