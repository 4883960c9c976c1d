/**
 * The one door for operators: everything that REST, the command line and the dashboard may ask of the broker.
 * Runs on the main thread.
 *
 * Always true: while queues are switched off every queue call is refused with SERVICE_UNAVAILABLE "Not enabled"; a
 * fault of a shard reaches the caller as SERVICE_UNAVAILABLE, never as an internal error; looking at messages
 * is bounded in bytes as well as in number. Clients, subscriptions and the rest have doors of their own behind this one.
 */
import type { Environment } from '../config/config.js';
import type { ConsumerStats, PeekedMessage, QueueDefinition, QueueStats } from '../queue/definition.js';
import type { QueueCatalogue } from '../router/queue-catalogue.js';
import type { GatewayContext } from '../session/context.js';
import type { ConsumerDirectory, Shards, ShardState } from '../shard/link.js';
import { CounterReader } from '../telemetry/counter.js';
import type { Backup, BackupService } from './backup.js';
import { ClientAdmin } from './client-admin.js';
import { LoadMeter } from './load-meter.js';
import type { MqConfigObject, MqConfigPatch } from './mq-config-schema.js';
import type { MqConfigStore } from './mq-config-store.js';
import { backupFault, badRequest, OperatorError, unavailable } from './operator-error.js';
import { Overview } from './overview.js';
import { PageWalks, type Page, type PageRequest } from './page-walk.js';
import { QueueMove } from './queue-move.js';
import { PublishAdmin } from './publish-admin.js';
import { QueueOverview, type QueueRow, type QueueSearch } from './queue-overview.js';
import type { QueueCreateBody, QueueUpdateBody } from './queue-schema.js';
import type { QueueService } from './queue-service.js';
import { RetainedAdmin } from './retained-admin.js';
import { settingViews, type SettingView } from './setting-view.js';
import { SubscriptionAdmin } from './subscription-admin.js';
import { TotalsReader } from './totals.js';

/** How far the broker is. */
export type BrokerState = 'starting' | 'running' | 'draining';

/** The part of the shards that operators reach besides the queue service. */
export type ShardControl = Pick<
  Shards,
  | 'shardOf'
  | 'purgeQueue'
  | 'queueStats'
  | 'queueFigures'
  | 'consumerStats'
  | 'peek'
  | 'holdQueue'
  | 'discard'
  | 'shardStates'
  | 'killShard'
>;

/** What the door opens to. */
export interface AdminOptions {
  readonly queues: QueueService;
  readonly mqConfig: MqConfigStore;
  readonly catalogue: QueueCatalogue;
  readonly shards: ShardControl;
  readonly consumers: ConsumerDirectory;
  readonly gateway: GatewayContext;
  readonly counterMemory: SharedArrayBuffer;
  /** What the settings come from: the environment with the file of settings below it, and the environment alone. */
  readonly env: Environment;
  readonly ownEnv: Environment;
  readonly backups: Pick<BackupService, 'begin'>;
  readonly state: () => BrokerState;
  readonly version: string;
  /** Wall clock, ms since 1970. */
  readonly now: () => number;
}

/** Health of the broker at one moment. */
export interface BrokerStatus {
  readonly state: BrokerState;
  readonly version: string;
  readonly uptimeMs: number;
  readonly shards: number;
  readonly shardsUp: number;
}

/** One consumer of a queue with the client behind it. */
export interface QueueConsumer extends ConsumerStats {
  readonly clientId: string;
}

/** Messages of a queue, oldest first; `next` is the offset to go on after, undefined at the end. */
export interface MessagePage {
  readonly messages: readonly PeekedMessage[];
  readonly next: number | undefined;
}

/** Messages that one call to a shard returns at most: bounds what crosses the message port at once. */
const peekStep = 16;
/** A page ends early once its messages hold this many bytes. */
const peekBytesMax = 4 * 1024 * 1024;

/** See the file header. */
export class Admin {
  readonly walks: PageWalks;
  readonly clients: ClientAdmin;
  readonly subscriptions: SubscriptionAdmin;
  readonly retained: RetainedAdmin;
  readonly publishing: PublishAdmin;
  readonly load: LoadMeter;
  readonly overview: Overview;
  readonly totals: TotalsReader;
  readonly #queueOverview: QueueOverview;
  readonly #options: AdminOptions;
  readonly #startedAtMs: number;

  constructor(options: AdminOptions) {
    const { gateway, shards, catalogue, counterMemory } = options;
    this.#options = options;
    this.#startedAtMs = options.now();
    const counters = new CounterReader(counterMemory);
    const steadyMs = () => performance.now();
    const walks = new PageWalks(steadyMs);
    this.walks = walks;
    this.clients = new ClientAdmin(gateway, shards, walks);
    this.subscriptions = new SubscriptionAdmin(gateway, counters, walks);
    this.retained = new RetainedAdmin(gateway, walks);
    this.publishing = new PublishAdmin(gateway);
    this.load = new LoadMeter(counters, steadyMs);
    this.totals = new TotalsReader(counters, gateway, () => catalogue.size);
    this.#queueOverview = new QueueOverview(catalogue, shards, steadyMs);
    this.overview = new Overview({
      gateway,
      shards,
      queues: this.#queueOverview,
      load: this.load,
      counterMemory,
      uptimeMs: () => this.status().uptimeMs,
    });
  }

  /** Never fails, whatever state the broker is in. */
  status(): BrokerStatus {
    const states = this.#options.shards.shardStates();
    return {
      state: this.#options.state(),
      version: this.#options.version,
      uptimeMs: Math.max(0, this.#options.now() - this.#startedAtMs),
      shards: states.length,
      shardsUp: states.filter(({ state }) => state === 'up').length,
    };
  }

  /** All queues, in order of creation. */
  queues(): QueueDefinition[] {
    return [...this.#enabled(this.#options.catalogue).all()];
  }

  /** By name, or by filter for a nameless queue. Throws NOT_FOUND. */
  queue(text: string): QueueDefinition {
    return this.#enabled(this.#options.queues).get(text);
  }

  async createQueue(body: QueueCreateBody): Promise<QueueDefinition> {
    return await this.#enabled(this.#options.queues).create(body);
  }

  async replaceQueue(text: string, body: QueueUpdateBody): Promise<QueueDefinition> {
    return await this.#enabled(this.#options.queues).replace(text, body);
  }

  async patchQueue(text: string, body: QueueUpdateBody): Promise<QueueDefinition> {
    return await this.#enabled(this.#options.queues).patch(text, body);
  }

  async deleteQueue(text: string): Promise<void> {
    await this.#enabled(this.#options.queues).delete(text);
  }

  /** Deletes all messages, also those in flight; gives how many. */
  async purgeQueue(text: string): Promise<number> {
    return await this.#withQueue(text, (queue) => this.#options.shards.purgeQueue(queue));
  }

  /**
   * Moves the oldest `countMax` messages that wait in one queue to another one; gives how many. Each is stored there before it
   * leaves here. Throws QUOTA_EXCEEDED when the other one is full; what was moved until then is.
   */
  async moveMessages(text: string, to: string, countMax: number): Promise<number> {
    const { queues, shards, gateway, catalogue } = this.#options;
    // Both are looked up first: a request that waits for them in the order of their names cannot wait for another one.
    const names = [this.queue(text).name, this.queue(to).name] as const;
    const [first, second] = names.toSorted();
    if (first === undefined || second === undefined || first === second) {
      throw badRequest('A queue cannot be moved to itself');
    }
    const move = new QueueMove(shards, gateway.shards, ({ name, id }) => catalogue.get(name)?.id === id);
    return await queues.withQueue(first, (one) =>
      queues.withQueue(second, (other) =>
        one.name === names[0] ? move.run(one, other, countMax) : move.run(other, one, countMax),
      ),
    );
  }

  async queueStats(text: string): Promise<QueueStats> {
    const queue = this.queue(text);
    return await this.#askOf(queue, this.#options.shards.queueStats(queue));
  }

  /** Figures of these queues by id, in the order of `queueMetrics`; a queue whose shard is down is left out. */
  queueFigures(queues: readonly QueueDefinition[]): Promise<ReadonlyMap<number, Float64Array>> {
    return this.#options.shards.queueFigures(queues);
  }

  /** A page of the table of queues, with what is in them as of the last second. */
  async queuePage(search: QueueSearch, request: PageRequest): Promise<Page<QueueRow>> {
    return await this.#enabled(this.#queueOverview).page(search, request);
  }

  /** Connected consumers in order of their slots; one that left a moment ago is not shown. */
  async queueConsumers(text: string): Promise<QueueConsumer[]> {
    const queue = this.queue(text);
    const stats = await this.#askOf(queue, this.#options.shards.consumerStats(queue));
    const shardId = this.#options.shards.shardOf(queue.topicFilter);
    return stats.flatMap((entry) => {
      const consumer = this.#options.consumers.consumerOf(shardId, entry.slot);
      return consumer === undefined ? [] : [{ ...entry, clientId: consumer.clientId }];
    });
  }

  /** Messages after `afterOffset` (-1 = from the first), at most `countMax`, fewer when they are large. Takes none away. */
  async peekMessages(text: string, afterOffset: number, countMax: number): Promise<MessagePage> {
    const queue = this.queue(text);
    const messages: PeekedMessage[] = [];
    let last = afterOffset;
    let bytes = 0;
    while (messages.length < countMax && bytes < peekBytesMax) {
      const wanted = Math.min(peekStep, countMax - messages.length);
      const step = await this.#askOf(queue, this.#options.shards.peek(queue, last, wanted));
      for (const message of step) {
        messages.push(message);
        bytes += message.payload.byteLength + message.properties.byteLength;
        last = message.offset;
      }
      if (step.length < wanted) return { messages, next: undefined };
    }
    const [more] = await this.#askOf(queue, this.#options.shards.peek(queue, last, 1));
    return { messages, next: more === undefined ? undefined : last };
  }

  /** A shard that no longer has the queue, because it was deleted meanwhile, has not failed. */
  async #askOf<T>(queue: QueueDefinition, answer: Promise<T>): Promise<T> {
    try {
      return await ask(answer);
    } catch (error) {
      if (this.#options.catalogue.get(queue.name)?.id === queue.id) throw error;
      throw new OperatorError('NOT_FOUND', 'Message queue not found', error);
    }
  }

  /** All settings in force, with where each comes from; secrets are hidden. */
  settings(): SettingView[] {
    const { gateway, env, ownEnv } = this.#options;
    return settingViews({ config: gateway.config, environment: env, ownEnvironment: ownEnv });
  }

  mqConfig(): MqConfigObject {
    return this.#options.mqConfig.raw();
  }

  /** Changes the queue system's configuration; possible also while it is switched off. */
  async updateMqConfig(patch: MqConfigPatch): Promise<void> {
    await this.#options.mqConfig.update(patch, (next) => {
      if (next.enable === 'false' && this.#options.queues.enabled && this.#options.queues.count > 0) {
        throw badRequest('Cannot disable MQ subsystem via API when there are existing queues');
      }
    });
  }

  /** Takes a backup; its bytes must be read or returned. Throws BACKUP_REFUSED and SERVICE_UNAVAILABLE. */
  async beginBackup(): Promise<Backup> {
    try {
      return await this.#options.backups.begin();
    } catch (error) {
      throw backupFault(error);
    }
  }

  shards(): ShardState[] {
    return this.#options.shards.shardStates();
  }

  /** Ends a shard's worker as a crash would, for fault drills; it restarts by itself. Throws NOT_FOUND. */
  restartShard(shardId: number): void {
    if (!this.shards().some((state) => state.shardId === shardId)) {
      throw new OperatorError('NOT_FOUND', 'Shard not found');
    }
    this.#options.shards.killShard(shardId);
  }

  async #withQueue<T>(text: string, action: (queue: QueueDefinition) => Promise<T>): Promise<T> {
    return await ask(this.#enabled(this.#options.queues).withQueue(text, action));
  }

  #enabled<T>(door: T): T {
    if (!this.#options.queues.enabled) throw new OperatorError('SERVICE_UNAVAILABLE', 'Not enabled');
    return door;
  }
}

async function ask<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw unavailable(error);
  }
}
