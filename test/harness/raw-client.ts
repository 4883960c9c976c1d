/**
 * An MQTT client whose every byte the test decides. Runs in the test process.
 *
 * Always true: packets are handed out in the order they came; each wait has a bound and says what came
 * instead. It answers nothing by itself: no PUBACK, no PINGREQ, unless the test sends them.
 */
import net from 'node:net';
import * as mqttPacket from 'mqtt-packet';
import type { IConnectPacket, Packet } from 'mqtt-packet';
import type { Scope } from './scope.js';
import { PATIENCE_MS, within } from './wait.js';

/** A received packet of one type. */
export type PacketOf<C extends Packet['cmd']> = Extract<Packet, { cmd: C }>;

/** See the file header. */
export class RawClient {
  readonly socket: net.Socket;
  /** Packets that arrived and were not yet expected. */
  readonly inbox: Packet[] = [];
  readonly #version: 3 | 4 | 5;
  readonly #closed: Promise<void>;
  #isClosed = false;
  #wake: () => void = () => undefined;

  private constructor(socket: net.Socket, version: 3 | 4 | 5) {
    this.socket = socket;
    this.#version = version;
    const parser = mqttPacket.parser({ protocolVersion: version });
    parser.on('packet', (packet: Packet) => {
      this.inbox.push(packet);
      this.#wake();
    });
    parser.on('error', (error: unknown) =>
      socket.destroy(error instanceof Error ? error : new Error(String(error))),
    );
    socket.on('data', (chunk) => parser.parse(chunk));
    socket.on('error', () => undefined);
    this.#closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#isClosed = true;
        this.#wake();
        resolve();
      });
    });
  }

  /** Opens a socket and sends nothing. */
  static async open(
    scope: Scope,
    target: { mqttHost: string; mqttPort: number },
    version: 3 | 4 | 5 = 4,
  ): Promise<RawClient> {
    const socket = net.connect({ host: target.mqttHost, port: target.mqttPort, noDelay: true });
    scope.add(() => socket.destroy());
    await within(
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', reject);
      }),
      'a TCP connection',
    );
    return new RawClient(socket, version);
  }

  /** Opens a socket, says CONNECT with a clean start and no keep alive, and expects success. */
  static async connect(
    scope: Scope,
    target: { mqttHost: string; mqttPort: number },
    options: Partial<IConnectPacket> & { clientId: string },
  ): Promise<RawClient> {
    const version = options.protocolVersion ?? 4;
    const client = await RawClient.open(scope, target, version === 3 ? 3 : version === 5 ? 5 : 4);
    client.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: version,
      clean: true,
      keepalive: 0,
      ...options,
    });
    const connack = await client.expect('connack');
    const code = version === 5 ? connack.reasonCode : connack.returnCode;
    if (code !== 0) throw new Error(`CONNACK ${code}`);
    return client;
  }

  get closed(): boolean {
    return this.#isClosed;
  }

  /** Sends bytes as they are, or hex text (spaces allowed), or a packet encoded by mqtt-packet. */
  send(what: Uint8Array | string | Packet): void {
    if (typeof what === 'string') this.socket.write(Buffer.from(what.replaceAll(/\s+/g, ''), 'hex'));
    else if (what instanceof Uint8Array) this.socket.write(what);
    else this.socket.write(mqttPacket.generate(what, { protocolVersion: this.#version }));
  }

  /** Takes the next packet, which must be a `cmd`. */
  async expect<C extends Packet['cmd']>(cmd: C, timeoutMs = PATIENCE_MS): Promise<PacketOf<C>> {
    const packet = await this.next(timeoutMs, cmd);
    if (packet.cmd !== cmd) throw new Error(`expected ${cmd}, got ${JSON.stringify(packet)}`);
    return packet as PacketOf<C>;
  }

  /** Takes the next packet, whatever it is. */
  async next(timeoutMs = PATIENCE_MS, what = 'a packet'): Promise<Packet> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const packet = this.inbox.shift();
      if (packet !== undefined) return packet;
      if (this.#isClosed) throw new Error(`the broker closed the connection while ${what} was expected`);
      const leftMs = end - performance.now();
      if (leftMs <= 0) throw new Error(`waited ${timeoutMs} ms for ${what}`);
      await this.#activity(leftMs);
    }
  }

  async #activity(timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Waits until the broker has closed the connection. */
  async expectClosed(timeoutMs = PATIENCE_MS): Promise<void> {
    await within(this.#closed, 'the broker to close the connection', timeoutMs);
  }

  /** Subscribes and expects the grant. */
  async subscribe(topicFilter: string, qos: 0 | 1 | 2 = 1): Promise<void> {
    this.send({ cmd: 'subscribe', messageId: 65_000, subscriptions: [{ topic: topicFilter, qos }] });
    const suback = await this.expect('suback');
    const code = suback.granted[0];
    if (typeof code !== 'number' || code >= 0x80) throw new Error(`SUBACK ${JSON.stringify(suback.granted)}`);
  }

  /** Ends the connection without a DISCONNECT. */
  destroy(): void {
    this.socket.destroy();
  }
}
