/**
 * A small MQTT client for `pub`, `sub` and `bench`: versions 3.1.1 and 5.0, QoS 0 to 2 both ways. One per connection.
 *
 * Always true: a message that came in is acknowledged when its receiver says so, not before; no more messages are unacknowledged
 * towards the broker than its Receive Maximum allows; what is written in one turn of the event loop goes out as one piece.
 * Gives up: reconnecting. A lost connection ends the command with the reason. Packets are those of mqtt-packet.
 */
import type { Duplex } from 'node:stream';

import mqttPacket from 'mqtt-packet';
import type { IConnackPacket, IPublishPacket, ISubscription, Packet, Parser } from 'mqtt-packet';

import { reasonCode } from '../../mqtt/reason-code.js';
import { CommandError, exitCode } from '../io.js';
import { closedReason, connackRefusal } from './reason.js';
import type { MqttTarget } from './target.js';
import { openTransport } from './transport.js';

/** A message to publish. */
export interface OutgoingMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly properties?: IPublishPacket['properties'];
}

/** How a session is opened. */
export interface SessionOptions {
  readonly cleanStart: boolean;
  /** s; MQTT 5. */
  readonly sessionExpiryS?: number;
  /** Messages that the broker may have unacknowledged towards this client; MQTT 5. */
  readonly receiveMaximum?: number;
  /** Own bound of unacknowledged messages; the broker's Receive Maximum may be smaller. */
  readonly window?: number;
  /** Where messages go; a session that is resumed may bring them with the answer to CONNECT. Undefined: they are dropped. */
  readonly receiver?: Receiver;
}

/** Takes one message; `acknowledge` is called once, when it has been dealt with. */
export type Receiver = (message: IPublishPacket, acknowledge: () => void) => void;

interface Waiter {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/** Own bound of messages that wait for their acknowledgement. */
const windowMax = 4096;
const pieceBytesMax = 64 * 1024;
const packetIdMax = 65_535;

/** See the file header. */
export class MqttClient {
  readonly connack: IConnackPacket;
  /** Resolves when the connection is over; undefined: it was ended from here. */
  readonly closed: Promise<CommandError | undefined>;
  readonly #receiver: Receiver;
  readonly #stream: Duplex;
  readonly #protocolVersion: 4 | 5;
  readonly #window: number;
  /** Packet id → who waits for the last packet of the exchange. */
  readonly #waiting = new Map<number, Waiter>();
  /** Packet ids of QoS 2 messages that were taken and whose PUBREL has not come. */
  readonly #received = new Set<number>();
  readonly #roomWaiters: Waiter[] = [];
  readonly #pingTimer: NodeJS.Timeout;
  #unacked = 0;
  #nextPacketId = 1;
  #out: Buffer[] = [];
  #outBytes = 0;
  #lastHeardMs = performance.now();
  #isEnding = false;
  #end: ((error: CommandError | undefined) => void) | undefined;
  #failure: CommandError | undefined;

  /** Connects and logs in. Rejects with a `CommandError` when either fails. */
  static async open(target: MqttTarget, session: SessionOptions): Promise<MqttClient> {
    const stream = await openTransport(target);
    const parser = mqttPacket.parser({ protocolVersion: target.protocolVersion });
    stream.on('data', (chunk: Buffer) => void parser.parse(chunk));
    const early: Packet[] = [];
    const keep = (packet: Packet): void => void early.push(packet);
    parser.on('packet', keep);
    const connack = firstPacket(stream, parser, target);
    stream.write(mqttPacket.generate(connectPacket(target, session)));
    const client = new MqttClient(stream, parser, target, await connack, session);
    parser.off('packet', keep);
    for (const packet of early.slice(1)) client.#take(packet);
    return client;
  }

  private constructor(
    stream: Duplex,
    parser: Parser,
    target: MqttTarget,
    connack: IConnackPacket,
    { receiver, window = windowMax }: SessionOptions,
  ) {
    this.#stream = stream;
    this.#receiver = receiver ?? ((_, acknowledge) => acknowledge());
    this.#protocolVersion = target.protocolVersion;
    this.connack = connack;
    this.#window = Math.min(connack.properties?.receiveMaximum ?? packetIdMax, window);
    this.closed = new Promise((resolve) => (this.#end = resolve));
    parser.on('packet', (packet) => this.#take(packet));
    parser.on('error', (error: Error) =>
      this.#fail(`the broker sent a packet that is none: ${error.message}`),
    );
    stream.on('error', (error: Error) => this.#fail(`the connection broke: ${error.message}`));
    stream.on('close', () => this.#fail('the broker closed the connection'));
    stream.on('drain', () => this.#wake());
    const keepAliveMs = 1000 * (connack.properties?.serverKeepAlive ?? target.keepAliveS);
    this.#pingTimer = setInterval(() => this.#ping(keepAliveMs), keepAliveMs / 2);
  }

  /** Resolves when `publish` may be called: the window and the socket have room. Rejects when the connection is over. */
  async room(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    while (!this.#hasRoom()) {
      await new Promise<void>((resolve, reject) => this.#roomWaiters.push({ resolve, reject }));
    }
  }

  /** Sends a message; resolves to the reason code of its acknowledgement, at once for QoS 0. Wait for `room` before. */
  publish(message: OutgoingMessage): Promise<number> {
    const packet: Packet = { cmd: 'publish', dup: false, ...message, properties: message.properties ?? {} };
    if (message.qos === 0) {
      this.#write(packet);
      return Promise.resolve(reasonCode.success);
    }
    const messageId = this.#freePacketId();
    this.#unacked += 1;
    this.#write({ ...packet, messageId });
    return this.#answer<number>(messageId);
  }

  /** Subscribes; resolves to one reason code per filter. */
  subscribe(subscriptions: ISubscription[]): Promise<number[]> {
    const messageId = this.#freePacketId();
    this.#write({ cmd: 'subscribe', messageId, subscriptions });
    return this.#answer<number[]>(messageId);
  }

  /** Tells the broker to send no more of these; does not wait for the answer. */
  unsubscribe(filters: string[]): void {
    this.#write({ cmd: 'unsubscribe', messageId: this.#freePacketId(), unsubscriptions: filters });
  }

  /** Says goodbye and waits until the connection is closed. */
  async end(): Promise<void> {
    if (this.#failure === undefined && !this.#isEnding) {
      this.#isEnding = true;
      this.#write({ cmd: 'disconnect' });
      this.#flush();
      this.#stream.end();
    }
    const timer = setTimeout(() => this.#stream.destroy(), 2000);
    await this.closed;
    clearTimeout(timer);
  }

  #hasRoom(): boolean {
    return this.#unacked < this.#window && !this.#stream.writableNeedDrain;
  }

  /** Those who find the room taken wait again. */
  #wake(): void {
    if (this.#roomWaiters.length === 0 || !this.#hasRoom()) return;
    for (const { resolve } of this.#roomWaiters.splice(0)) (resolve as () => void)();
  }

  #answer<T>(messageId: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#failure !== undefined) reject(this.#failure);
      else this.#waiting.set(messageId, { resolve, reject });
    });
  }

  #freePacketId(): number {
    do {
      this.#nextPacketId = (this.#nextPacketId % packetIdMax) + 1;
    } while (this.#waiting.has(this.#nextPacketId));
    return this.#nextPacketId;
  }

  #take(packet: Packet): void {
    this.#lastHeardMs = performance.now();
    switch (packet.cmd) {
      case 'publish':
        this.#takeMessage(packet);
        break;
      case 'puback':
      case 'pubcomp':
        this.#settle(packet.messageId, packet.reasonCode ?? 0);
        break;
      case 'pubrec':
        if ((packet.reasonCode ?? 0) >= 0x80) this.#settle(packet.messageId, packet.reasonCode ?? 0);
        else this.#write({ cmd: 'pubrel', messageId: packet.messageId ?? 0 });
        break;
      case 'pubrel':
        this.#received.delete(packet.messageId ?? 0);
        this.#write({ cmd: 'pubcomp', messageId: packet.messageId ?? 0 });
        break;
      case 'suback':
        this.#resolve(packet.messageId, packet.granted.map(Number));
        break;
      case 'disconnect':
        this.#fail(`the broker ended the connection: ${closedReason(packet)}`);
        break;
      default:
    }
  }

  #takeMessage(packet: IPublishPacket): void {
    const { messageId = 0, qos } = packet;
    const receive = this.#receiver;
    if (qos === 0) {
      receive(packet, () => undefined);
    } else if (qos === 1) {
      receive(packet, () => this.#write({ cmd: 'puback', messageId }));
    } else if (this.#received.has(messageId)) {
      this.#write({ cmd: 'pubrec', messageId });
    } else {
      receive(packet, () => {
        this.#received.add(messageId);
        this.#write({ cmd: 'pubrec', messageId });
      });
    }
  }

  #settle(messageId: number | undefined, code: number): void {
    if (!this.#resolve(messageId, code)) return;
    this.#unacked -= 1;
    this.#wake();
  }

  #resolve(messageId: number | undefined, value: number | number[]): boolean {
    const waiter = this.#waiting.get(messageId ?? 0);
    if (waiter === undefined) return false;
    this.#waiting.delete(messageId ?? 0);
    (waiter.resolve as (value: number | number[]) => void)(value);
    return true;
  }

  #write(packet: Packet): void {
    if (this.#failure !== undefined) return;
    if (this.#out.length === 0) setImmediate(() => this.#flush());
    const bytes = mqttPacket.generate(packet, { protocolVersion: this.#protocolVersion });
    this.#out.push(bytes);
    this.#outBytes += bytes.length;
    // Who publishes without pause would never reach the end of this turn.
    if (this.#outBytes >= pieceBytesMax) this.#flush();
  }

  #flush(): void {
    if (this.#out.length === 0 || this.#stream.destroyed) return;
    const bytes = this.#out.length === 1 ? (this.#out[0] as Buffer) : Buffer.concat(this.#out);
    this.#out = [];
    this.#outBytes = 0;
    this.#stream.write(bytes);
  }

  #ping(keepAliveMs: number): void {
    if (performance.now() - this.#lastHeardMs > 1.5 * keepAliveMs) {
      this.#fail('the broker has been silent for longer than the keep alive');
      return;
    }
    this.#write({ cmd: 'pingreq' });
  }

  #fail(message: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = new CommandError(exitCode.unreachable, message, {
      hint: 'the log of the broker says why; "sluice status" shows whether it is well',
    });
    clearInterval(this.#pingTimer);
    this.#stream.destroy();
    for (const { reject } of [...this.#waiting.values(), ...this.#roomWaiters]) reject(this.#failure);
    this.#waiting.clear();
    this.#roomWaiters.length = 0;
    this.#end?.(this.#isEnding ? undefined : this.#failure);
  }
}

function connectPacket(target: MqttTarget, session: SessionOptions): Packet {
  const { protocolVersion, username, password } = target;
  const { sessionExpiryS, receiveMaximum } = session;
  return {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion,
    clientId: target.clientId,
    clean: session.cleanStart,
    keepalive: target.keepAliveS,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(protocolVersion === 5 && {
      properties: {
        ...(sessionExpiryS !== undefined && { sessionExpiryInterval: sessionExpiryS }),
        ...(receiveMaximum !== undefined && { receiveMaximum }),
      },
    }),
  };
}

/** CONNACK, or why there is none. */
function firstPacket(stream: Duplex, parser: Parser, target: MqttTarget): Promise<IConnackPacket> {
  return new Promise((resolve, reject) => {
    const fail = (message: string): void => {
      stream.destroy();
      clearTimeout(timer);
      reject(
        new CommandError(exitCode.unreachable, message, {
          hint: 'does the address lead to the MQTT port of a broker? See --url',
        }),
      );
    };
    const timer = setTimeout(
      () => fail('the broker did not answer CONNECT in time'),
      target.connectTimeoutMs,
    );
    stream.on('error', (error: Error) => fail(`the connection broke: ${error.message}`));
    stream.once('close', () => fail('the connection was closed before CONNACK'));
    parser.once('error', () => fail('what answered does not speak MQTT'));
    parser.once('packet', (packet: Packet) => {
      if (packet.cmd !== 'connack') {
        fail(`the broker answered ${packet.cmd} instead of connack`);
        return;
      }
      clearTimeout(timer);
      const refusal = connackRefusal(packet);
      if (refusal === undefined) {
        resolve(packet);
        return;
      }
      stream.destroy();
      reject(refusal);
    });
  });
}
