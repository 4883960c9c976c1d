/**
 * Publishers and consumers that outlive the broker, and a ledger of what became of each message. Runs in
 * the test process.
 *
 * Always true: a publisher never sends a sequence number twice, so a second delivery is the broker's doing;
 * a message whose PUBACK did not come may be delivered or not, an acknowledged one must be. A consumer
 * acknowledges each message as it reads it. Clients reconnect until the scope ends.
 */
import net from 'node:net';
import * as mqttPacket from 'mqtt-packet';
import type { Packet } from 'mqtt-packet';
import type { Scope } from './scope.js';
import { sleep, until } from './wait.js';

const RECONNECT_MS = 40;
const TICK_MS = 5;
const SEQUENCE_MAX = 300_000;
const STAMP_BYTES = 8;

/** Where clients connect; read again at each connect. */
export interface LoadTarget {
  readonly mqttHost: string;
  readonly mqttPort: number;
}

/** What the load looks like. */
export interface LoadPlan {
  /** One publisher per topic. */
  readonly topics: readonly string[];
  /** One consumer per topic filter. */
  readonly topicFilters: readonly string[];
  /** Messages per second and publisher. */
  readonly rate: number;
  /** Unacknowledged messages per publisher. */
  readonly inFlightMax: number;
  readonly payloadBytes: number;
}

/** The fate of one publisher's messages, indexed by sequence number. */
class Ledger {
  readonly acked = new Uint8Array(SEQUENCE_MAX);
  readonly deliveries = new Uint8Array(SEQUENCE_MAX);
  /** When the ack of the latest delivery was written, on the clock of performance.now(). */
  readonly ackSentAtMs = new Float64Array(SEQUENCE_MAX);
  sent = 0;
  ackedCount = 0;
  refusedCount = 0;
  deliveredCount = 0;
  lastDeliveryAtMs = 0;
  longestPauseMs = 0;
}

/** A message that came again without a cut that explains it. */
export interface UnexplainedDuplicate {
  readonly publisher: number;
  readonly sequence: number;
  readonly ackSentAtMs: number;
  readonly againAtMs: number;
}

/** One socket that comes back. */
abstract class ReturningClient {
  protected socket: net.Socket | undefined;
  #ended = false;
  connected = false;
  readonly #target: LoadTarget;
  readonly #clientId: string;
  protected readonly version: 4 | 5;

  constructor(scope: Scope, target: LoadTarget, clientId: string, version: 4 | 5) {
    this.#target = target;
    this.#clientId = clientId;
    this.version = version;
    scope.add(() => {
      this.#ended = true;
      this.socket?.destroy();
    });
  }

  /** Starts the first connection. */
  open(): void {
    if (this.#ended) return;
    const socket = net.connect({ host: this.#target.mqttHost, port: this.#target.mqttPort, noDelay: true });
    this.socket = socket;
    const parser = mqttPacket.parser({ protocolVersion: this.version });
    parser.on('packet', (packet: Packet) => {
      if (packet.cmd === 'connack') this.#onConnack(packet.reasonCode ?? packet.returnCode ?? 0);
      else this.onPacket(packet);
    });
    parser.on('error', () => socket.destroy());
    socket.on('connect', () => {
      this.send({
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: this.version,
        clientId: this.#clientId,
        clean: true,
        keepalive: 0,
      });
    });
    socket.on('data', (chunk) => {
      parser.parse(chunk);
      this.onChunkEnd();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.connected = false;
      this.onLost();
      setTimeout(() => this.open(), RECONNECT_MS);
    });
  }

  #onConnack(code: number): void {
    if (code !== 0) {
      this.socket?.destroy();
      return;
    }
    this.onConnected();
  }

  protected send(packet: Packet): void {
    this.socket?.write(mqttPacket.generate(packet, { protocolVersion: this.version }));
  }

  protected abstract onConnected(): void;
  protected abstract onLost(): void;
  protected abstract onPacket(packet: Packet): void;
  protected onChunkEnd(): void {}
}

class LoadPublisher extends ReturningClient {
  readonly #index: number;
  readonly #topic: string;
  readonly #plan: LoadPlan;
  readonly #ledger: Ledger;
  readonly #payload: Buffer;
  readonly #inFlight = new Map<number, number>();
  #nextPacketId = 1;
  #owed = 0;
  #lastTickMs = 0;
  #publishing = true;

  constructor(scope: Scope, target: LoadTarget, plan: LoadPlan, index: number, ledger: Ledger) {
    super(scope, target, `load-publisher-${index}`, index % 2 === 0 ? 4 : 5);
    this.#index = index;
    this.#topic = plan.topics[index] ?? '';
    this.#plan = plan;
    this.#ledger = ledger;
    this.#payload = Buffer.alloc(plan.payloadBytes, 0x2e);
    const timer = setInterval(() => this.#tick(), TICK_MS);
    scope.add(() => clearInterval(timer));
  }

  /** Topic and protocol version. */
  get describedAs(): string {
    return `${this.#topic} (MQTT ${this.version === 5 ? '5.0' : '3.1.1'})`;
  }

  /** Messages whose answer is outstanding on the present connection. */
  get inFlightCount(): number {
    return this.#inFlight.size;
  }

  stop(): void {
    this.#publishing = false;
  }

  protected onConnected(): void {
    this.connected = true;
    this.#lastTickMs = performance.now();
    this.#owed = 0;
  }

  protected onLost(): void {
    // What was in flight may or may not be stored; nobody can tell, and it is not sent again.
    this.#inFlight.clear();
  }

  protected onPacket(packet: Packet): void {
    if (packet.cmd !== 'puback' || packet.messageId === undefined) return;
    const sequence = this.#inFlight.get(packet.messageId);
    if (sequence === undefined)
      throw new Error(`PUBACK for packet id ${packet.messageId}, which is not in flight`);
    this.#inFlight.delete(packet.messageId);
    if ((packet.reasonCode ?? 0) >= 0x80) {
      this.#ledger.refusedCount += 1;
    } else {
      this.#ledger.acked[sequence] = 1;
      this.#ledger.ackedCount += 1;
    }
  }

  #tick(): void {
    if (!this.connected || !this.#publishing) return;
    const nowMs = performance.now();
    this.#owed = Math.min(
      this.#plan.inFlightMax,
      this.#owed + ((nowMs - this.#lastTickMs) * this.#plan.rate) / 1000,
    );
    this.#lastTickMs = nowMs;
    const ledger = this.#ledger;
    this.socket?.cork();
    while (this.#owed >= 1 && this.#inFlight.size < this.#plan.inFlightMax && ledger.sent < SEQUENCE_MAX) {
      this.#owed -= 1;
      this.#publish(ledger.sent);
      ledger.sent += 1;
    }
    this.socket?.uncork();
  }

  #publish(sequence: number): void {
    while (this.#inFlight.has(this.#nextPacketId)) this.#nextPacketId = (this.#nextPacketId % 65_535) + 1;
    const messageId = this.#nextPacketId;
    this.#nextPacketId = (messageId % 65_535) + 1;
    this.#payload.writeUInt32BE(this.#index, 0);
    this.#payload.writeUInt32BE(sequence, 4);
    this.#inFlight.set(messageId, sequence);
    this.send({
      cmd: 'publish',
      topic: this.#topic,
      payload: Buffer.from(this.#payload),
      qos: 1,
      messageId,
      dup: false,
      retain: false,
    });
  }
}

class LoadConsumer extends ReturningClient {
  readonly #topicFilter: string;
  readonly #onDelivery: (publisher: number, sequence: number) => void;
  #acks: number[] = [];

  constructor(
    scope: Scope,
    target: LoadTarget,
    index: number,
    topicFilter: string,
    onDelivery: (publisher: number, sequence: number) => void,
  ) {
    super(scope, target, `load-consumer-${index}`, index % 2 === 0 ? 4 : 5);
    this.#topicFilter = topicFilter;
    this.#onDelivery = onDelivery;
  }

  protected onConnected(): void {
    this.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: this.#topicFilter, qos: 1 }] });
  }

  protected onLost(): void {
    this.#acks = [];
  }

  protected onPacket(packet: Packet): void {
    if (packet.cmd === 'suback') this.connected = true;
    if (packet.cmd !== 'publish') return;
    const payload = packet.payload as Buffer;
    if (packet.messageId === undefined) throw new Error('a delivery without packet id: not QoS 1');
    if (payload.length < STAMP_BYTES) throw new Error('a delivery that was never published');
    this.#onDelivery(payload.readUInt32BE(0), payload.readUInt32BE(4));
    this.#acks.push(0x40, 2, packet.messageId >> 8, packet.messageId & 0xff);
  }

  protected override onChunkEnd(): void {
    if (this.#acks.length === 0) return;
    this.socket?.write(Buffer.from(this.#acks));
    this.#acks = [];
  }
}

/** See the file header. */
export class TrackedLoad {
  readonly #ledgers: Ledger[];
  readonly #publishers: LoadPublisher[];
  readonly #consumers: LoadConsumer[];
  readonly #cuts: number[] = [];
  readonly #boundMs: number;
  /** Second deliveries that a cut explains. */
  explainedDuplicates = 0;
  /** The first few second deliveries that no cut explains. */
  readonly unexplained: UnexplainedDuplicate[] = [];
  unexplainedCount = 0;

  /** `ackBoundMs`: an ack written longer than this before a cut must have been committed by then. */
  constructor(scope: Scope, target: LoadTarget, plan: LoadPlan, ackBoundMs: number) {
    this.#boundMs = ackBoundMs;
    this.#ledgers = plan.topics.map(() => new Ledger());
    this.#consumers = plan.topicFilters.map(
      (filter, index) =>
        new LoadConsumer(scope, target, index, filter, (publisher, sequence) =>
          this.#onDelivery(publisher, sequence),
        ),
    );
    this.#publishers = this.#ledgers.map(
      (ledger, index) => new LoadPublisher(scope, target, plan, index, ledger),
    );
  }

  /** Connects the consumers, then the publishers, which begin at once. */
  async start(): Promise<void> {
    for (const consumer of this.#consumers) consumer.open();
    await until(() => this.#consumers.every(({ connected }) => connected), 'all consumers to be subscribed');
    for (const publisher of this.#publishers) publisher.open();
    await this.flowing();
  }

  /** Resolves when all clients are connected and messages of every publisher were acknowledged and delivered from now on. */
  async flowing(): Promise<void> {
    await until(
      () => [...this.#consumers, ...this.#publishers].every(({ connected }) => connected),
      'all clients to be connected',
    );
    const before = this.#ledgers.map(({ ackedCount, deliveredCount }) => ({ ackedCount, deliveredCount }));
    await until(
      () =>
        this.#ledgers.every(
          ({ ackedCount, deliveredCount }, index) =>
            ackedCount > (before[index]?.ackedCount ?? 0) &&
            deliveredCount > (before[index]?.deliveredCount ?? 0),
        ),
      'messages of every publisher to be acknowledged and delivered',
    );
  }

  /** Says that the broker, or a part of it, is being killed now. */
  noteCut(): void {
    this.#cuts.push(performance.now());
  }

  /** Forgets pauses seen so far; see `longestPauseMs`. */
  resetPauses(): void {
    const nowMs = performance.now();
    for (const ledger of this.#ledgers) {
      ledger.longestPauseMs = 0;
      ledger.lastDeliveryAtMs = nowMs;
    }
  }

  /** Longest time without a delivery of this publisher's messages since `resetPauses`, including the time until now. */
  longestPauseMs(publisher: number): number {
    const ledger = this.#ledgers[publisher];
    if (ledger === undefined) throw new Error(`no publisher ${publisher}`);
    return Math.max(ledger.longestPauseMs, performance.now() - ledger.lastDeliveryAtMs);
  }

  /** Messages of `publisher` delivered so far, second deliveries included. */
  deliveredCount(publisher: number): number {
    return this.#ledgers[publisher]?.deliveredCount ?? 0;
  }

  /** Stops publishing and resolves when every acknowledged message is delivered. */
  async settle(timeoutMs: number): Promise<void> {
    for (const publisher of this.#publishers) publisher.stop();
    await until(
      () => this.#publishers.every(({ inFlightCount }) => inFlightCount === 0),
      () => `all publishes to be answered; outstanding: ${this.#outstandingText()}`,
      timeoutMs,
    );
    await until(
      () => this.lostCount() === 0,
      () => `every acknowledged message to be delivered; missing: ${this.#missingText()}`,
      timeoutMs,
    );
    // Time for second deliveries that must not come.
    await sleep(500);
  }

  /** Which publishers wait for how many answers, for the message of a failed wait. */
  #outstandingText(): string {
    return this.#publishers
      .flatMap(({ inFlightCount, connected, describedAs }) =>
        inFlightCount > 0 ? [`${describedAs} ${inFlightCount}${connected ? '' : ' (not connected)'}`] : [],
      )
      .join(', ');
  }

  /** Which acknowledged messages were never delivered, for the message of a failed wait. */
  #missingText(): string {
    return this.#ledgers
      .flatMap(({ acked, deliveries, sent }, publisher) => {
        const missing = Array.from({ length: sent }, (_, sequence) => sequence).filter(
          (sequence) => acked[sequence] === 1 && deliveries[sequence] === 0,
        );
        if (missing.length === 0) return [];
        return [
          `${missing.length} of ${this.#publishers[publisher]?.describedAs} (${missing.slice(0, 8).join(' ')}; sent ${sent})`,
        ];
      })
      .join(', ');
  }

  /** Acknowledged messages that were never delivered. */
  lostCount(): number {
    let lost = 0;
    for (const { acked, deliveries, sent } of this.#ledgers) {
      for (let sequence = 0; sequence < sent; sequence += 1) {
        if (acked[sequence] === 1 && deliveries[sequence] === 0) lost += 1;
      }
    }
    return lost;
  }

  /** Totals over all publishers. */
  totals(): { sent: number; acked: number; refused: number; delivered: number } {
    const sum = (pick: (ledger: Ledger) => number): number =>
      this.#ledgers.reduce((total, ledger) => total + pick(ledger), 0);
    return {
      sent: sum(({ sent }) => sent),
      acked: sum(({ ackedCount }) => ackedCount),
      refused: sum(({ refusedCount }) => refusedCount),
      delivered: sum(({ deliveredCount }) => deliveredCount),
    };
  }

  #onDelivery(publisher: number, sequence: number): void {
    const ledger = this.#ledgers[publisher];
    if (ledger === undefined || sequence >= ledger.sent)
      throw new Error('a delivery that was never published');
    const nowMs = performance.now();
    const times = ledger.deliveries[sequence] ?? 0;
    if (times > 0) this.#onDuplicate(publisher, sequence, ledger.ackSentAtMs[sequence] ?? 0, nowMs);
    ledger.deliveries[sequence] = Math.min(255, times + 1);
    ledger.ackSentAtMs[sequence] = nowMs;
    ledger.deliveredCount += 1;
    if (ledger.lastDeliveryAtMs > 0) {
      ledger.longestPauseMs = Math.max(ledger.longestPauseMs, nowMs - ledger.lastDeliveryAtMs);
    }
    ledger.lastDeliveryAtMs = nowMs;
  }

  /** A cut explains it when the earlier ack was written at most the bound before it, or read from a dead socket just after it. */
  #onDuplicate(publisher: number, sequence: number, ackSentAtMs: number, againAtMs: number): void {
    if (this.#cuts.some((cutMs) => Math.abs(cutMs - ackSentAtMs) <= this.#boundMs && againAtMs > cutMs)) {
      this.explainedDuplicates += 1;
      return;
    }
    this.unexplainedCount += 1;
    if (this.unexplained.length < 5) this.unexplained.push({ publisher, sequence, ackSentAtMs, againAtMs });
  }
}
