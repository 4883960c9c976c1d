/**
 * Every transport that a gateway speaks, with a byte client for each. Runs in the test process.
 *
 * Always true: the client below is the same whatever carries its bytes, so that one suite proves all of them; WebSocket
 * clients use the library `ws` as a byte stream, with one message per write.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';

import * as mqttPacket from 'mqtt-packet';
import type { IConnectPacket, Packet } from 'mqtt-packet';
import { createWebSocketStream, WebSocket } from 'ws';

import type { ListenerKind } from '../../src/config/listener-entry.js';
import type { BoundListener } from '../../src/net/listener.js';
import { loadUws, type UwsModule } from '../../src/net/uws-api.js';
import type { PacketOf } from '../harness/raw-client.js';
import { testScope, type Scope } from '../harness/scope.js';
import { until, within } from '../harness/wait.js';
import { Authority } from './certificate.js';
import { connectPacket, startGateway, type TestGateway, type TestGatewayOptions } from './test-gateway.js';

/** What a peer says before anything else: a PROXY header, or nothing. */
export type Preface = Buffer | undefined;

/** Header that a proxy on this machine would send for a client at 192.0.2.7. */
export const prefaceV1 = Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.9 56324 1883\r\n', 'latin1');

/** One way to reach a gateway. */
export interface Carrier {
  readonly title: string;
  readonly kind: ListenerKind;
  readonly preface: Preface;
  /** The package behind it, when it is not the usual one. */
  readonly uws?: UwsModule;
}

const uws = await findUws();

/** All of them; uWebSockets.js is among them where it is installed. */
export const carriers: readonly Carrier[] = [
  { title: 'TCP', kind: 'tcp', preface: undefined },
  { title: 'a Unix socket', kind: 'unix', preface: undefined },
  { title: 'TLS', kind: 'tls', preface: undefined },
  { title: 'WebSocket', kind: 'ws', preface: undefined },
  { title: 'secure WebSocket', kind: 'wss', preface: undefined },
  ...(uws === undefined
    ? []
    : [{ title: 'WebSocket on uWebSockets.js', kind: 'ws', preface: undefined, uws } as const]),
  { title: 'TCP behind a proxy', kind: 'tcp', preface: prefaceV1 },
  { title: 'TLS behind a proxy', kind: 'tls', preface: prefaceV1 },
  { title: 'WebSocket behind a proxy', kind: 'ws', preface: prefaceV1 },
  { title: 'secure WebSocket behind a proxy', kind: 'wss', preface: prefaceV1 },
];

const authority = new Authority('Test Authority');
const serverPem = authority.issue({ commonName: 'localhost' });

/** The authority behind `startTransports`, for client certificates. */
export { authority };

/** A gateway with a listener of every kind; `files` holds its certificate. */
export interface Transports {
  readonly target: TestGateway;
  readonly scope: Scope;
  readonly directory: string;
  listener(kind: ListenerKind): BoundListener;
}

/** Starts it; every kind listens on a free port of its own. */
export async function startTransports(
  options: TestGatewayOptions & { readonly isProxied?: boolean; readonly uws?: UwsModule | undefined } = {},
): Promise<Transports> {
  const scope = testScope();
  const directory = mkdtempSync(path.join(os.tmpdir(), 'sluice-net-'));
  scope.add(() => rmSync(directory, { recursive: true, force: true }));
  const cert = path.join(directory, 'server.crt');
  const key = path.join(directory, 'server.key');
  const ca = path.join(directory, 'ca.crt');
  writeFileSync(cert, serverPem.cert);
  writeFileSync(key, serverPem.key);
  writeFileSync(ca, authority.cert);
  const target = await startGateway({
    ...options,
    loadUws: options.loadUws ?? (() => Promise.resolve(options.uws ?? new Error('not asked for'))),
    env: {
      SLUICE_TLS_CERT: cert,
      SLUICE_TLS_KEY: key,
      SLUICE_TLS_CA: ca,
      SLUICE_UNIX_SOCKET: path.join(directory, 'mqtt.sock'),
      ...(options.isProxied === true ? { SLUICE_PROXY_PROTOCOL: 'on' } : {}),
      ...options.env,
    },
  });
  return {
    target,
    scope,
    directory,
    listener(kind) {
      const found = target.listeners.find((listener) => listener.kind === kind);
      if (found === undefined) throw new Error(`no listener of kind ${kind}`);
      return found;
    },
  };
}

/** The package, or the copy of it that the registry carries for some versions of Node; that one has other names. */
async function findUws(): Promise<UwsModule | undefined> {
  const found = await loadUws();
  if (!(found instanceof Error)) return found;
  const copy = '@rjweb/uws';
  try {
    const { default: module } = (await import(copy)) as {
      default: Pick<UwsModule, 'App'> & {
        closeSocket: UwsModule['us_listen_socket_close'];
        getSocketPort: UwsModule['us_socket_local_port'];
      };
    };
    return {
      App: () => module.App(),
      us_listen_socket_close: (listenSocket) => module.closeSocket(listenSocket),
      us_socket_local_port: (listenSocket) => module.getSocketPort(listenSocket),
    };
  } catch {
    return undefined;
  }
}

/** What a client may want to differ. */
export interface StreamOptions {
  readonly preface?: Preface;
  readonly tls?: tls.ConnectionOptions;
  readonly protocols?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

/** A TCP or Unix connection, its preface sent. */
export async function openRaw(at: Transports, kind: ListenerKind, preface?: Preface): Promise<net.Socket> {
  const { address, text } = at.listener(kind);
  const socket =
    address === undefined
      ? net.connect({ path: text })
      : net.connect({ host: address.address, port: address.port, noDelay: true });
  at.scope.add(() => socket.destroy());
  await event(socket, 'connect');
  if (preface !== undefined) socket.write(preface);
  return socket;
}

/** The same with its TLS handshake done. */
export async function openTls(
  at: Transports,
  kind: ListenerKind,
  options: StreamOptions = {},
): Promise<tls.TLSSocket> {
  const raw = await openRaw(at, kind, options.preface);
  const socket = tls.connect({ socket: raw, ca: authority.cert, servername: 'localhost', ...options.tls });
  socket.on('error', () => undefined);
  at.scope.add(() => socket.destroy());
  await event(socket, 'secureConnect');
  return socket;
}

/** A WebSocket that is open. */
export async function openWebSocket(
  at: Transports,
  kind: 'ws' | 'wss',
  options: StreamOptions = {},
): Promise<WebSocket> {
  const socket = kind === 'wss' ? await openTls(at, kind, options) : await openRaw(at, kind, options.preface);
  const webSocket = new WebSocket('ws://localhost/mqtt', [...(options.protocols ?? ['mqtt'])], {
    createConnection: () => socket,
    ...(options.headers === undefined ? {} : { headers: options.headers }),
  });
  at.scope.add(() => webSocket.terminate());
  await event(webSocket, 'open');
  return webSocket;
}

/** A byte stream to the listener of a kind. */
export async function openStream(
  at: Transports,
  kind: ListenerKind,
  options: StreamOptions = {},
): Promise<Duplex> {
  if (kind === 'tls') return openTls(at, kind, options);
  if (kind === 'ws' || kind === 'wss') return createWebSocketStream(await openWebSocket(at, kind, options));
  return openRaw(at, kind, options.preface);
}

interface Emitter {
  once(name: string, listener: (error?: unknown) => void): unknown;
}

function event(emitter: Emitter, name: string): Promise<void> {
  return within(
    new Promise<void>((resolve, reject) => {
      emitter.once(name, () => resolve());
      emitter.once('error', reject);
    }),
    `${name} of a client`,
  );
}

/** An MQTT client over any stream; every byte is the test's. */
export class StreamClient {
  readonly stream: Duplex;
  readonly inbox: Packet[] = [];
  readonly #version: 4 | 5;
  #isClosed = false;

  constructor(stream: Duplex, version: 4 | 5 = 5) {
    this.stream = stream;
    this.#version = version;
    const parser = mqttPacket.parser({ protocolVersion: version });
    parser.on('packet', (packet: Packet) => this.inbox.push(packet));
    parser.on('error', () => stream.destroy());
    stream.on('data', (chunk: Buffer) => parser.parse(chunk));
    stream.on('error', () => undefined);
    stream.once('close', () => (this.#isClosed = true));
    stream.once('end', () => stream.end());
  }

  /** Opens a stream and sends nothing. */
  static async open(at: Transports, carrier: Carrier, version: 4 | 5 = 5): Promise<StreamClient> {
    return new StreamClient(await openStream(at, carrier.kind, { preface: carrier.preface }), version);
  }

  /** Opens a stream and connects. */
  static async connect(
    at: Transports,
    carrier: Carrier,
    clientId: string,
    options: Partial<IConnectPacket> = {},
  ): Promise<StreamClient> {
    const client = await StreamClient.open(at, carrier, options.protocolVersion === 4 ? 4 : 5);
    await client.login(clientId, options);
    return client;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** CONNECT with a clean start, and its CONNACK. */
  async login(clientId: string, options: Partial<IConnectPacket> = {}): Promise<void> {
    this.send(
      connectPacket({
        protocolVersion: this.#version,
        clientId,
        ...options,
      }),
    );
    const connack = await this.expect('connack');
    const code = this.#version === 5 ? connack.reasonCode : connack.returnCode;
    if (code !== 0) throw new Error(`CONNACK ${code}`);
  }

  /** The bytes of a packet. */
  encode(packet: Packet): Buffer {
    return mqttPacket.generate(packet, { protocolVersion: this.#version });
  }

  /** Sends bytes, hex text (spaces allowed) or a packet. */
  send(what: Uint8Array | string | Packet): void {
    if (typeof what === 'string') this.stream.write(Buffer.from(what.replaceAll(/\s+/g, ''), 'hex'));
    else if (what instanceof Uint8Array) this.stream.write(what);
    else this.stream.write(this.encode(what));
  }

  /** Takes the next packet, which must be a `cmd`. */
  async expect<C extends Packet['cmd']>(cmd: C): Promise<PacketOf<C>> {
    await until(() => this.inbox.length > 0 || this.#isClosed, `a ${cmd}`);
    const packet = this.inbox.shift();
    if (packet?.cmd !== cmd) throw new Error(`expected ${cmd}, got ${JSON.stringify(packet)}`);
    return packet as PacketOf<C>;
  }

  /** The broker ends the connection. */
  async expectClosed(): Promise<void> {
    await until(() => this.#isClosed, 'the end of the connection');
  }

  /** Subscribes; answers the granted code. */
  async subscribe(topic: string, qos: 0 | 1 | 2): Promise<number> {
    this.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] });
    return (await this.expect('suback')).granted[0] as number;
  }
}
