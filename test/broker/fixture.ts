/**
 * The operator's side of a broker with in-memory shards, put together as the broker does it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Admin, type BrokerState } from '../../src/broker/admin.js';
import { BackupService } from '../../src/broker/backup.js';
import { MqConfigStore } from '../../src/broker/mq-config-store.js';
import { QueueService } from '../../src/broker/queue-service.js';
import { type Environment, loadConfig } from '../../src/config/config.js';
import { createGateway } from '../../src/net/gateway.js';
import { QueueCatalogue } from '../../src/router/queue-catalogue.js';
import { Router } from '../../src/router/router.js';
import type { Session } from '../../src/session/session.js';
import type { Consumer } from '../../src/shard/link.js';
import { Counters, createCounterMemory, MAIN_BLOCK } from '../../src/telemetry/counter.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { FakeShards as GatewayShards } from '../session/fake-shards.js';
import { FakeCheckpoints } from './fake-checkpoints.js';
import { FakeShards } from './fake-shards.js';

export interface LogLine {
  readonly level: 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

/** A logger that remembers. */
export function memoryLog() {
  const lines: LogLine[] = [];
  const note = (level: LogLine['level']) => (fields: object, message: string) => {
    lines.push({ level, fields, message });
  };
  return { lines, warn: note('warn'), error: note('error') };
}

export interface FixtureOptions {
  readonly env?: Environment;
  /** Directory of an earlier fixture, to restart on what it stored. */
  readonly directory?: string;
}

/** Everything that a test may want to look at. */
export async function createFixture({ env = {}, directory }: FixtureOptions = {}) {
  const folder = directory ?? (await mkdtemp(join(tmpdir(), 'sluice-test-')));
  const file = join(folder, 'mq-config.json');
  const config = loadConfig({ SLUICE_MQTT_PORT: '0', ...env });
  const mqConfig = await MqConfigStore.open({ file, config: config.mq, env });
  const shards = new FakeShards();
  const catalogue = new QueueCatalogue();
  const log = memoryLog();
  const queues = new QueueService({
    catalogue,
    shards,
    mqConfig,
    log,
    now: () => 1_700_000_000_000,
    pause: () => new Promise(setImmediate),
  });
  const gatewayShards = new GatewayShards();
  const router = new Router<Session>();
  catalogue.watch((change, { id, topicFilter }) => {
    if (change === 'added') router.addQueue(topicFilter, { queueId: id, shardId: 0 });
    if (change === 'removed') router.removeQueue(topicFilter, id);
  });
  const counterMemory = createCounterMemory(1);
  const gateway = createGateway({
    config: {
      ...config,
      get mq() {
        return mqConfig.current;
      },
    },
    shards: gatewayShards,
    catalogue,
    router,
    counters: new Counters(counterMemory, MAIN_BLOCK),
    logger: createLogger({ level: 'silent', format: 'text' }),
  });
  const clients = new Map<number, string>();
  const broker: { state: BrokerState; nowMs: number } = { state: 'running', nowMs: 1000 };
  const admin = new Admin({
    queues,
    mqConfig,
    catalogue,
    shards,
    consumers: {
      consumerOf: (_shardId, slot) => {
        const clientId = clients.get(slot);
        return clientId === undefined ? undefined : consumer(clientId);
      },
    },
    gateway: gateway.context,
    counterMemory,
    env,
    ownEnv: env,
    backups: new BackupService({
      shards: new FakeCheckpoints(),
      dataDir: folder,
      store: env['SLUICE_STORE'] ?? 'segment',
      version: '0.0.0-test',
      logger: { info: () => undefined, warn: () => undefined },
      now: () => broker.nowMs,
    }),
    state: () => broker.state,
    version: '0.0.0-test',
    now: () => broker.nowMs,
  });
  return {
    folder,
    file,
    mqConfig,
    shards,
    catalogue,
    log,
    queues,
    clients,
    broker,
    admin,
    /** What clients connect to, after `listen`. Its shards are fakes of their own. */
    gateway,
    gatewayShards,
    counterMemory,
    remove: () => {
      admin.overview.close();
      gateway.close();
      return rm(folder, { recursive: true, force: true });
    },
  };
}
export type Fixture = Awaited<ReturnType<typeof createFixture>>;

function consumer(clientId: string): Consumer {
  return { clientId, inFlightMax: 10, noLocal: false, onDelivery: () => undefined };
}
