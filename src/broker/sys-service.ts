/**
 * Everything that the broker says about itself by MQTT: `$SYS/broker` topics and client events. Main thread.
 *
 * Always true: before `start` and after `stop` nothing is said; `clients` may be handed to a gateway before there is
 * anything to start with. Turned off by configuration, it costs nothing.
 */
import type { Config } from '../config/config.js';
import type { ClientFacts, ClientListener, GatewayContext } from '../session/context.js';
import type { CounterReader } from '../telemetry/counter.js';
import { SysClientEvents } from './client-events.js';
import { SysPublisher } from './sys-publisher.js';
import { readSys } from './sys-reading.js';

/** What it reads and says it with. */
export interface SysParts {
  readonly context: Pick<
    GatewayContext,
    'publisher' | 'counters' | 'clock' | 'registry' | 'router' | 'retained'
  >;
  readonly reader: CounterReader;
  /** Clients that are connected now. */
  readonly clientsConnected: () => number;
}

/** See the file header. */
export class SysService implements ClientListener {
  readonly #config: Config;
  readonly #version: string;
  #events: SysClientEvents | undefined;
  #publisher: SysPublisher | undefined;

  constructor(config: Config, version: string) {
    this.#config = config;
    this.#version = version;
  }

  /** For the hooks of the gateway; undefined when events are turned off. */
  get clients(): ClientListener | undefined {
    return this.#config.sysEvents ? this : undefined;
  }

  /** The gateway is there: publishes the topics from now on, the first time at once. */
  start({ context, reader, clientsConnected }: SysParts): void {
    const { publisher, counters, clock, registry, router, retained } = context;
    const { sysIntervalS, sysEventsPerSecondMax } = this.#config;
    const startMs = clock.nowMs();
    this.#events = new SysClientEvents({
      publisher,
      counters,
      clock,
      unixMs: Date.now,
      perSecondMax: sysEventsPerSecondMax,
    });
    const gauges = {
      clientsConnected,
      sessions: () => registry.size,
      retainedCount: () => retained.count,
      retainedBytes: () => retained.bytes,
      sharedSubscriptions: () => router.sharedSubscriptionCount,
      uptimeS: () => (clock.nowMs() - startMs) / 1000,
    };
    this.#publisher = new SysPublisher({
      publisher,
      read: () => readSys(reader, gauges),
      clock,
      version: this.#version,
      intervalS: sysIntervalS,
    });
    this.#publisher.start();
  }

  /** Says nothing any more. */
  stop(): void {
    this.#events = undefined;
    this.#publisher?.stop();
  }

  connected(facts: ClientFacts): void {
    this.#events?.connected(facts);
  }

  disconnected(facts: ClientFacts, reason: number): void {
    this.#events?.disconnected(facts, reason);
  }
}
