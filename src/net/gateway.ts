/**
 * The gateway: listener, connections, sessions, and their clocks. Main thread.
 *
 * Always true: it holds everything of its connections itself, so there may be several in a process; one timer
 * sweeps all connections (CONNECT in time, Keep Alive, stalled writers) and the calendar of sessions.
 * Gives up: clocks are exact to one sweep, always late and never early.
 */
import { randomUUID } from 'node:crypto';
import type { AddressInfo, Socket } from 'node:net';
import { performance } from 'node:perf_hooks';

import type { Config } from '../config/config.js';
import { reasonCode } from '../mqtt/reason-code.js';
import type { QueueCatalogue } from '../router/queue-catalogue.js';
import type { Router } from '../router/router.js';
import type { Clock, GatewayContext, GatewayHooks } from '../session/context.js';
import { LiveMessage } from '../session/message.js';
import { QueueWaiters } from '../session/queue-waiters.js';
import { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { Shards } from '../shard/link.js';
import { slot, slotOf } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';
import type { Logger } from '../telemetry/logger.js';
import { BlockPool } from './block-pool.js';
import { Connection, type ConnectionHost } from './connection.js';
import { TcpListener, type ReadCallback } from './tcp-listener.js';
import { Fullness } from './fullness.js';
import { Intake, type FullnessProbe } from './intake.js';
import { Turn } from './turn.js';

/** What a gateway is built from. */
export interface GatewayOptions {
  readonly config: Config;
  readonly shards: Shards;
  readonly catalogue: QueueCatalogue;
  /** The caller fills it with the queues; the gateway adds and removes live subscriptions. */
  readonly router: Router<Session>;
  readonly counters: Counters;
  readonly logger: Logger;
  readonly hooks?: GatewayHooks;
  /** Default: `performance.now`. */
  readonly clock?: Clock;
  /** Default: the load of the machine and of this thread. */
  readonly isFull?: FullnessProbe;
  /** False reads by `data` events, for the test of that path. */
  readonly sharesReadBuffer?: boolean;
}

/** The MQTT half of the broker. */
export interface Gateway {
  /** Starts to accept; rejects with ERR_LISTEN. */
  listen(): Promise<AddressInfo>;
  /** Stops accepting, lets publishes under way settle, says 0x8B to MQTT 5 clients, closes everything within `drainTimeoutMs`. */
  drain(): Promise<void>;
  /** Ends every connection at once. */
  close(): void;
  /** Connected clients. */
  readonly clientCount: number;
  /** Open network connections, with and without CONNECT. */
  readonly connectionCount: number;
  readonly sessions: SessionRegistry;
}

/** Time between two looks at all clocks. */
const sweepIntervalMs = 500;
const pollIntervalMs = 10;

/** Builds a gateway; nothing happens before `listen`. */
export function createGateway(options: GatewayOptions): Gateway {
  return new TcpGateway(options);
}

const refusedByLimit = slotOf('connectionsRefused', 'limit');

class TcpGateway implements Gateway, ConnectionHost {
  readonly context: GatewayContext;
  readonly pool = new BlockPool();
  readonly turn: Turn;
  readonly sessions = new SessionRegistry();
  coarseNowMs: number;
  readonly #connections = new Set<Connection>();
  readonly #listener: TcpListener;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: GatewayOptions) {
    const { config, shards, catalogue, router, counters, logger } = options;
    const clock = options.clock ?? { nowMs: () => performance.now() };
    this.turn = new Turn(new Intake(options.isFull ?? new Fullness().isFull, () => clock.nowMs()));
    this.context = {
      config,
      shards,
      catalogue,
      router,
      counters,
      logger,
      clock,
      hooks: options.hooks ?? {},
      registry: this.sessions,
      waiters: new QueueWaiters(catalogue),
      live: new LiveMessage(),
      pace: this.turn,
    };
    this.coarseNowMs = clock.nowMs();
    shards.onHandedOut((deliveries, isTurnOver) => {
      if (deliveries > 0) this.turn.noteDeliveries(deliveries);
      if (isTurnOver) this.turn.flush();
      else this.turn.flushFull();
    });
    this.#listener = new TcpListener((socket) => this.#accept(socket), {
      sharesBuffer: options.sharesReadBuffer ?? true,
      onFault: (error) => logger.warn({ err: error }, 'a connection could not be accepted'),
    });
  }

  get clientCount(): number {
    let count = 0;
    for (const connection of this.#connections) if (connection.client.state === 'connected') count++;
    return count;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  async listen(): Promise<AddressInfo> {
    const { host, mqttPort } = this.context.config;
    const address = await this.#listener.listen(host, mqttPort);
    this.#sweeper = setInterval(() => this.#sweep(), sweepIntervalMs);
    return address;
  }

  async drain(): Promise<void> {
    this.#listener.close();
    const { clock, config } = this.context;
    const deadline = clock.nowMs() + config.drainTimeoutMs;
    const halfway = clock.nowMs() + config.drainTimeoutMs / 2;
    for (const connection of this.#connections) connection.quiesce();
    while (clock.nowMs() < halfway && this.#isSettling()) await pause(pollIntervalMs);
    for (const connection of this.#connections) {
      connection.client.close(reasonCode.serverShuttingDown);
      connection.end();
    }
    while (clock.nowMs() < deadline && this.#connections.size > 0) await pause(pollIntervalMs);
    this.close();
  }

  close(): void {
    this.#listener.close();
    clearInterval(this.#sweeper);
    this.context.waiters.close();
    for (const connection of this.#connections) connection.destroy();
  }

  newClientId(): string {
    return `sluice-${randomUUID()}`;
  }

  onClosed(connection: Connection): void {
    if (this.#connections.delete(connection)) this.context.counters.add(slot.connections, -1);
  }

  #accept(socket: Socket): ReadCallback | undefined {
    const { counters, config } = this.context;
    if (this.#connections.size >= config.connectionsMax) {
      counters.add(refusedByLimit, 1);
      socket.destroy();
      return undefined;
    }
    counters.add(slot.connectionsOpened, 1);
    counters.add(slot.connections, 1);
    const connection = new Connection(socket, this);
    this.#connections.add(connection);
    return (chunk, length) => connection.onRead(chunk, length);
  }

  #sweep(): void {
    const nowMs = this.context.clock.nowMs();
    this.coarseNowMs = nowMs;
    for (const connection of this.#connections) connection.sweep(nowMs, sweepIntervalMs);
    this.sessions.tick(nowMs);
  }

  #isSettling(): boolean {
    for (const connection of this.#connections) {
      if (connection.client.unsettledCount > 0) return true;
    }
    return false;
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
