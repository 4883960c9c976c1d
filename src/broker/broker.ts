/**
 * Builds the layers and connects them: shards, catalogue, router, gateway, operators' door. Main thread.
 *
 * Always true: start order is store → queues → routes → listener, so that the first publish already finds every queue;
 * stop order is the reverse: no new connections, publishes under way settle, clients are told, shards write all they
 * have and close. The REST API belongs to the layer above and gets `admin`.
 */
import type { IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join, resolve } from 'node:path';

import { createAccessControl, type AccessControl } from '../auth/access.js';
import { createBannedAuthenticator } from '../auth/banned-authenticator.js';
import { BannedList } from '../auth/banned-list.js';
import { createAuthenticator, type ReloadableAuthenticator } from '../auth/chain.js';
import { makeDirectory } from '../base/directory.js';
import { OperationalError } from '../base/error.js';
import type { Config, Environment } from '../config/config.js';
import { ENV_FILE_VARIABLE } from '../config/env-file.js';
import type { SettingChange } from '../config/live.js';
import { createGateway, type Gateway } from '../net/gateway.js';
import type { BoundListener } from '../net/listener.js';
import { QueueCatalogue } from '../router/queue-catalogue.js';
import { Router } from '../router/router.js';
import { MessageTracer } from '../session/message-tracer.js';
import type { Session } from '../session/session.js';
import { shareQueueStrategy } from '../session/share-queue.js';
import { ShardPool } from '../shard/pool.js';
import { CounterReader, Counters, MAIN_BLOCK, createCounterMemory } from '../telemetry/counter.js';
import type { Logger } from '../telemetry/logger.js';
import { LoopProbe } from '../telemetry/loop-probe.js';
import type { SpanExport, SpanSink } from '../telemetry/span-export.js';
import { openTracing } from '../telemetry/tracing.js';
import { Admin, type BrokerState } from './admin.js';
import { BackupService } from './backup.js';
import { refuseUnfinishedRestore } from './data-file.js';
import { BannedAdmin } from './banned-admin.js';
import { MqConfigStore } from './mq-config-store.js';
import { QueueService } from './queue-service.js';
import { valuesOf } from './reload.js';
import { SysService } from './sys-service.js';

/** What a broker is built from. */
export interface BrokerOptions {
  readonly config: Config;
  readonly env: Environment;
  readonly logger: Logger;
  readonly version: string;
}

/** How long a stopping broker waits for the collector of spans. */
const spansTimeoutMs = 1000;
const noAddress: AddressInfo = { address: '', family: 'IPv4', port: 0 };

/** A running broker. Made by `startBroker`. */
export class Broker {
  readonly admin: Admin;
  readonly banned: BannedAdmin;
  readonly dataDir: string;
  /** Where MQTT listens without TLS or WebSocket; port 0 when it does not. */
  readonly mqttAddress: AddressInfo;
  /** Everything that MQTT listens on, in the order of the configuration. */
  readonly listeners: readonly BoundListener[];
  readonly counterMemory: SharedArrayBuffer;
  readonly #pool: ShardPool;
  readonly #gateway: Gateway;
  readonly #sys: SysService;
  readonly #authenticator: ReloadableAuthenticator;
  readonly #access: AccessControl | undefined;
  readonly #probe: LoopProbe;
  readonly #spans: SpanExport | undefined;
  readonly #setState: (state: BrokerState) => void;
  readonly #liveConfig: Config;

  constructor(parts: {
    admin: Admin;
    banned: BannedAdmin;
    dataDir: string;
    listeners: readonly BoundListener[];
    counterMemory: SharedArrayBuffer;
    pool: ShardPool;
    gateway: Gateway;
    sys: SysService;
    authenticator: ReloadableAuthenticator;
    access: AccessControl | undefined;
    probe: LoopProbe;
    spans: SpanExport | undefined;
    setState: (state: BrokerState) => void;
    liveConfig: Config;
  }) {
    this.admin = parts.admin;
    this.banned = parts.banned;
    this.dataDir = parts.dataDir;
    this.listeners = parts.listeners;
    this.mqttAddress = parts.listeners.find(({ kind }) => kind === 'tcp')?.address ?? noAddress;
    this.counterMemory = parts.counterMemory;
    this.#pool = parts.pool;
    this.#gateway = parts.gateway;
    this.#sys = parts.sys;
    this.#authenticator = parts.authenticator;
    this.#access = parts.access;
    this.#probe = parts.probe;
    this.#spans = parts.spans;
    this.#setState = parts.setState;
    this.#liveConfig = parts.liveConfig;
    this.#probe.start();
  }

  /** Reads certificates, passwords, keys and rules again; what is unusable is logged and its old one stays. */
  async reload(): Promise<void> {
    this.#gateway.reloadCertificates();
    this.#access?.reload();
    await this.#authenticator.reload();
  }

  /** Takes a WebSocket that came in through the HTTP server, for MQTT. */
  takeUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    this.#gateway.takeUpgrade(request, socket, head);
  }

  /** Puts live settings in force; whoever uses one reads it from this object. */
  applySettings(changes: readonly SettingChange[]): void {
    Object.assign(this.#liveConfig, valuesOf(changes));
  }

  /** Stops accepting, lets what is under way settle, tells clients, closes the shards. Bounded by `drainTimeoutMs`. */
  async stop(): Promise<void> {
    this.#setState('draining');
    this.#probe.stop();
    this.#sys.stop();
    this.admin.overview.close();
    await this.#gateway.drain();
    this.#authenticator.close();
    this.#access?.close();
    await this.#pool.close();
    await this.#spans?.close(spansTimeoutMs);
  }
}

/** Starts everything but the REST API. Throws `OperationalError`; nothing is left running then. */
export async function startBroker({ config, env, logger, version }: BrokerOptions): Promise<Broker> {
  const dataDir = resolve(config.dataDir);
  makeDataDir(dataDir);
  refuseUnfinishedRestore(dataDir);
  const counterMemory = createCounterMemory(config.shards);
  const counters = new Counters(counterMemory, MAIN_BLOCK);
  const authLogger = logger.child({ module: 'auth' });
  const access = createAccessControl(config, authLogger, counters);
  const bannedList = new BannedList(join(dataDir, 'banned.json'));
  const authenticator = createBannedAuthenticator({
    inner: await createAuthenticator(config, { logger: authLogger, counters, now: Date.now }),
    list: bannedList,
    counters,
    now: Date.now,
  });
  const spans =
    config.traceUrl === undefined
      ? undefined
      : await openTracing({
          url: config.traceUrl,
          version,
          counters,
          logger: logger.child({ module: 'trace' }),
        });
  const sys = new SysService(config, version);
  const pool = openPool(config, dataDir, counterMemory, logger);
  try {
    const mqConfig = await MqConfigStore.open({
      file: join(dataDir, 'mq-config.json'),
      config: config.mq,
      env,
    });
    const catalogue = new QueueCatalogue();
    const router = new Router<Session>({
      queueOf: (session) => session.durable?.target,
      share: {
        strategy: config.shareStrategy,
        random: Math.random,
        hashOf: (session) => session.clientIdHash,
      },
    });
    catalogue.watch((change, { id, topicFilter }) => {
      if (change === 'added')
        router.addQueue(topicFilter, { queueId: id, shardId: pool.shardOf(topicFilter) });
      else if (change === 'removed') router.removeQueue(topicFilter, id);
    });
    const queues = new QueueService({
      catalogue,
      shards: pool,
      mqConfig,
      log: logger.child({ module: 'queues' }),
      now: Date.now,
      pause: (ms) => new Promise((done) => setTimeout(done, ms).unref()),
    });
    pool.mirrorIn(queues);
    const definitions = await pool.start();
    for (const definition of definitions) {
      if (definition.sessionClientId === undefined) catalogue.add(definition);
    }
    // Sessions see what is in force, not what was at the start: of the queue configuration and of live settings.
    const liveConfig = {
      ...config,
      get mq() {
        return mqConfig.current;
      },
    };
    const gateway = createGateway({
      config: liveConfig,
      shards: pool,
      catalogue,
      router,
      counters,
      logger: logger.child({ module: 'mqtt' }),
      hooks: {
        authenticator,
        access,
        tracer: spans && createTracer(spans, config.traceRatio),
        clients: sys.clients,
        autoCreate: (name, filter) => void queues.autoCreate(name, filter),
        createShareQueue: (name, filter) =>
          void queues.createShareQueue(name, filter, shareQueueStrategy(config.shareStrategy)),
      },
    });
    sys.start({
      context: gateway.context,
      reader: new CounterReader(counterMemory),
      clientsConnected: () => gateway.clientCount,
    });
    let state: BrokerState = 'starting';
    const admin = new Admin({
      queues,
      mqConfig,
      catalogue,
      shards: pool,
      consumers: pool,
      gateway: gateway.context,
      counterMemory,
      env,
      ownEnv: env[ENV_FILE_VARIABLE] === undefined ? env : process.env,
      backups: new BackupService({
        shards: pool,
        dataDir,
        store: config.store,
        version,
        logger: logger.child({ module: 'backup' }),
        now: Date.now,
      }),
      state: () => state,
      version,
      now: Date.now,
    });
    await gateway.load(definitions.filter(({ sessionClientId }) => sessionClientId !== undefined));
    const listeners = await gateway.listen();
    state = 'running';
    return new Broker({
      admin,
      banned: new BannedAdmin(bannedList, () => gateway.sessions.all()),
      dataDir,
      listeners,
      counterMemory,
      pool,
      gateway,
      sys,
      authenticator,
      access,
      probe: new LoopProbe(counters),
      spans,
      setState: (next) => {
        state = next;
      },
      liveConfig,
    });
  } catch (error) {
    authenticator.close();
    access?.close();
    await pool.close();
    throw error;
  }
}

function createTracer(sink: SpanSink, ratio: number): MessageTracer {
  const nowMs = (): number => performance.timeOrigin + performance.now();
  return new MessageTracer({ ratio, sink, random: Math.random, nowMs });
}

function openPool(
  config: Config,
  dataDir: string,
  counterMemory: SharedArrayBuffer,
  logger: Logger,
): ShardPool {
  const log = logger.child({ module: 'shard' });
  return new ShardPool({
    shardCount: config.shards,
    dataDir,
    driver: config.store,
    durability: config.durability,
    fsyncIntervalMs: config.fsyncIntervalMs,
    storeMemoryBytes: config.storeMemoryBytes,
    // The largest packet with its headers must fit into a quarter of a ring, twice.
    ringBytes: Math.max(config.ringBytes, 2 ** Math.ceil(Math.log2(config.maximumPacketSize * 8))),
    arenaBytes: Math.max(config.queuesCacheBytes, config.maximumPacketSize * 8),
    queueCacheBytes: config.queueCacheBytes,
    limitShards: config.mq.limitShards,
    counterMemory,
    log: (level, message, detail) => log[level](detail ?? {}, message),
  });
}

function makeDataDir(dataDir: string): void {
  try {
    makeDirectory(dataDir);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OperationalError(
      'ERR_LAYOUT',
      `the data directory ${dataDir} cannot be made: ${reason}`,
      error,
    );
  }
}
