/**
 * The gateway: listeners, connections, sessions, and their clocks. Main thread.
 *
 * Always true: it holds everything of its connections itself, so there may be several in a process; one timer
 * looks at the connections whose time has come (CONNECT, Keep Alive, stalled writers) and at the calendar of sessions.
 * Gives up: clocks are exact to one sweep, always late and never early.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';

import { OperationalError } from '../base/error.js';
import { ConfigError, type Config } from '../config/config.js';
import { listenerFaults, listenerSettings } from '../config/listener.js';
import { reasonCode } from '../mqtt/reason-code.js';
import type { QueueDefinition } from '../queue/definition.js';
import type { GatewayContext } from '../session/context.js';
import { buildContext, closeContext, loadContext, tickContext } from '../session/build-context.js';
import type { SessionRegistry } from '../session/registry.js';
import { slot, slotOf } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';
import type { Logger } from '../telemetry/logger.js';
import { Admission } from './admission.js';
import { BlockPool } from './block-pool.js';
import { Connection, type ConnectionHost } from './connection.js';
import { Fullness } from './fullness.js';
import { Handshakes } from './handshake.js';
import { Intake, type FullnessProbe } from './intake.js';
import { Listener, type BoundListener, type ListenerHost } from './listener.js';
import { Supervision } from './supervision.js';
import type { Transport, TransportUser } from './transport.js';
import { Turn } from './turn.js';
import { UpgradeDoor } from './upgrade-door.js';
import { loadUws, type UwsLoader, type UwsModule } from './uws-api.js';

/** What a gateway is built from. The caller fills the router with the queues; the clock is `performance.now` by default. */
export interface GatewayOptions
  extends
    Pick<GatewayContext, 'config' | 'shards' | 'catalogue' | 'router' | 'counters' | 'logger'>,
    Partial<Pick<GatewayContext, 'hooks' | 'clock'>> {
  /** Default: the load of the machine and of this thread. */
  readonly isFull?: FullnessProbe;
  /** False reads by `data` events, for the test of that path. */
  readonly sharesReadBuffer?: boolean;
  /** Default: the package `uWebSockets.js`. */
  readonly loadUws?: UwsLoader;
}

/** The MQTT half of the broker. */
export interface Gateway {
  /** Takes up sessions, wills and retained messages of the last run; before `listen`. */
  load(sessionQueues: readonly QueueDefinition[]): Promise<void>;
  /** Starts to accept, and tells where; rejects with ERR_LISTEN, and then nothing listens. */
  listen(): Promise<readonly BoundListener[]>;
  /** Takes a WebSocket that came in through another HTTP server of the process; see `UpgradeDoor`. */
  takeUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void;
  /** Reads all certificates again; false when one is unusable, which is logged, and its old one stays. */
  reloadCertificates(): boolean;
  /** Stops accepting, lets publishes under way settle, says 0x8B to MQTT 5 clients, closes everything within `drainTimeoutMs`. */
  drain(): Promise<void>;
  /** Ends every connection at once. */
  close(): void;
  readonly context: GatewayContext;
  /** Connected clients. */
  readonly clientCount: number;
  /** Open network connections, before and after CONNECT. */
  readonly connectionCount: number;
  readonly sessions: SessionRegistry;
}

/** Time between two looks at all clocks. */
const sweepIntervalMs = 500;
const pollIntervalMs = 10;
/** Time between two looks at the files of certificates. */
const certificateIntervalMs = 10_000;

/** Builds a gateway; nothing happens before `listen`. Throws `ConfigError`, and ERR_TLS for certificates that cannot be used. */
export function createGateway(options: GatewayOptions): Gateway {
  return new MqttGateway(options);
}

const refusedByLimit = slotOf('connectionsRefused', 'limit');
const refusedByRate = slotOf('connectionsRefused', 'rate');

class MqttGateway implements Gateway, ConnectionHost, ListenerHost {
  readonly context: GatewayContext;
  readonly pool = new BlockPool();
  readonly turn: Turn;
  coarseNowMs: number;
  readonly #connections = new Set<Connection>();
  readonly #supervision: Supervision;
  readonly config: Config;
  readonly counters: Counters;
  readonly logger: Logger;
  readonly handshakes: Handshakes;
  readonly admission: Admission;
  readonly sharesReadBuffer: boolean;
  readonly #listeners: readonly Listener[];
  readonly #door: UpgradeDoor;
  readonly #loadUws: UwsLoader;
  #sweeper: NodeJS.Timeout | undefined;
  #certificateWatch: NodeJS.Timeout | undefined;

  constructor(options: GatewayOptions) {
    const { config, shards, catalogue, router, counters, logger } = options;
    const clock = options.clock ?? { nowMs: () => performance.now() };
    this.turn = new Turn(new Intake(options.isFull ?? new Fullness().isFull, () => clock.nowMs()));
    this.context = buildContext({
      config,
      shards,
      catalogue,
      router,
      counters,
      logger,
      clock,
      hooks: options.hooks ?? {},
      pace: this.turn,
    });
    this.coarseNowMs = clock.nowMs();
    this.#supervision = new Supervision(sweepIntervalMs, this.coarseNowMs);
    shards.onHandedOut((deliveries, isTurnOver) => {
      if (deliveries > 0) this.turn.noteDeliveries(deliveries);
      if (isTurnOver) this.turn.flush();
      else this.turn.flushFull();
    });
    this.config = config;
    this.counters = counters;
    this.logger = logger;
    this.handshakes = new Handshakes(counters, logger);
    this.admission = new Admission(config, clock.nowMs());
    this.sharesReadBuffer = options.sharesReadBuffer ?? true;
    this.#loadUws = options.loadUws ?? loadUws;
    const faults = listenerFaults(config);
    if (faults.length > 0) throw new ConfigError(faults);
    this.#listeners = listenerSettings(config).map((setting) => new Listener(setting, this));
    this.#door = new UpgradeDoor(this);
  }

  get sessions(): SessionRegistry {
    return this.context.registry;
  }

  load(sessionQueues: readonly QueueDefinition[]): Promise<void> {
    return loadContext(this.context, sessionQueues);
  }

  get clientCount(): number {
    let count = 0;
    for (const connection of this.#connections) if (connection.client.state === 'connected') count++;
    return count;
  }

  get connectionCount(): number {
    return this.#connections.size + this.handshakes.count;
  }

  async listen(): Promise<readonly BoundListener[]> {
    const bound: BoundListener[] = [];
    const uws = await this.#webSocketEngine();
    for (const listener of this.#listeners) {
      try {
        bound.push(await listener.listen(uws));
      } catch (error) {
        if (!listener.setting.givesWay) {
          this.#closeListeners();
          throw error;
        }
        this.logger.warn(`no listener ${listener.setting.name}: somebody else has its usual port`);
      }
    }
    this.#sweeper = setInterval(() => this.#sweep(), sweepIntervalMs);
    this.#certificateWatch = setInterval(() => {
      for (const listener of this.#listeners) listener.reloadCertificateIfChanged();
    }, certificateIntervalMs);
    return bound;
  }

  /** uWebSockets.js where it is wanted and there; undefined for the engine that is always there. */
  async #webSocketEngine(): Promise<UwsModule | undefined> {
    const { wsEngine } = this.config;
    if (wsEngine === 'ws' || !this.#listeners.some(({ setting }) => setting.kind === 'ws')) return undefined;
    const found = await this.#loadUws();
    if (!(found instanceof Error)) return found;
    if (wsEngine === 'uws') {
      throw new OperationalError('ERR_LISTEN', `uWebSockets.js does not load: ${found.message}`, found);
    }
    if ((found as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') {
      this.logger.warn({ err: found }, 'uWebSockets.js is installed and does not load; ws takes its place');
    }
    return undefined;
  }

  takeUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    this.#door.take(request, socket, head);
  }

  reloadCertificates(): boolean {
    let isGood = true;
    for (const listener of this.#listeners) isGood = listener.reloadCertificate() && isGood;
    return isGood;
  }

  async drain(): Promise<void> {
    this.#closeListeners();
    this.handshakes.close();
    const { clock, config } = this.context;
    const deadline = clock.nowMs() + config.drainTimeoutMs;
    const halfway = clock.nowMs() + config.drainTimeoutMs / 2;
    // Wills wait for the next start: whoever is connected now is expected to come back.
    this.context.wills.stop();
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
    this.context.wills.stop();
    this.#closeListeners();
    clearInterval(this.#sweeper);
    clearInterval(this.#certificateWatch);
    this.handshakes.close();
    closeContext(this.context);
    for (const connection of this.#connections) connection.destroy();
  }

  newClientId(): string {
    return `sluice-${randomUUID()}`;
  }

  lookBy(connection: Connection, dueMs: number): void {
    this.#supervision.lookBy(connection, dueMs);
  }

  onClosed(connection: Connection): void {
    this.#supervision.remove(connection);
    if (this.#connections.delete(connection)) this.context.counters.add(slot.connections, -1);
  }

  nowMs(): number {
    return this.context.clock.nowMs();
  }

  admits(): boolean {
    if (this.connectionCount < this.config.connectionsMax) return true;
    this.counters.add(refusedByLimit, 1);
    return false;
  }

  isInTime(cost: number): boolean {
    if (this.admission.admits(cost, this.context.clock.nowMs())) return true;
    this.counters.add(refusedByRate, 1);
    return false;
  }

  open(transport: Transport, acceptedAtMs: number): TransportUser {
    this.counters.add(slot.connectionsOpened, 1);
    this.counters.add(slot.connections, 1);
    const connection = new Connection(transport, this, acceptedAtMs);
    this.#connections.add(connection);
    return connection;
  }

  #closeListeners(): void {
    for (const listener of this.#listeners) listener.close();
    this.#door.close();
  }

  #sweep(): void {
    const nowMs = this.context.clock.nowMs();
    this.coarseNowMs = nowMs;
    this.#supervision.run(nowMs);
    this.handshakes.sweep(nowMs, this.config.connectTimeoutMs);
    tickContext(this.context, nowMs);
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
