/**
 * Every setting of the broker: variable, type, default, range, unit, help. Runs on the main thread.
 *
 * Always true: a setting exists here or nowhere. `Config`, docs/configuration.md, the table in the README and
 * the check for unknown variables all come from these tables. A number's unit is the end of its field name;
 * limits of our own end in `Max`. The queue settings keep the names and defaults of EMQX.
 */
import { availableParallelism } from 'node:os';

import { aclSettings } from './acl-settings.js';
import { commandVariables } from './command-variables.js';
import { transport } from './listener-settings.js';
import { dashboardSettings } from './dashboard-settings.js';
import { limitSettings } from './limit-settings.js';
import { logSettings } from './log-settings.js';
import { protocolSettings } from './protocol-settings.js';
import { retainedSettings } from './retained-settings.js';
import { sessionSettings } from './session-settings.js';
import { share } from './share-settings.js';
import { telemetrySettings } from './telemetry-settings.js';
import { traceSettings } from './trace-settings.js';
import { sysSettings, willSettings } from './sys-settings.js';
import { authentication } from './auth-settings.js';
import { GB, KB, MB } from './unit.js';
import {
  bytes,
  choice,
  duration,
  flag,
  integer,
  objectOrFalse,
  optionalPath,
  path,
  seconds,
  text,
} from './variable.js';
import type { Variable } from './variable.js';

const dayMs = 86_400_000;

const hostPattern = /^[\w.:%-]+$/;
const hostRange = 'a host name or an IP address';

/** Where the broker listens. */
const listener = {
  host: text('SLUICE_HOST', {
    fallback: '127.0.0.1',
    pattern: hostPattern,
    range: hostRange,
    help: 'Address of the MQTT listeners. Anonymous clients are let in from this machine only, see `SLUICE_ALLOW_ANONYMOUS`.',
  }),
  mqttPort: integer('SLUICE_MQTT_PORT', {
    fallback: 1883,
    min: 0,
    max: 65_535,
    help: 'TCP port of the MQTT listener; 0 takes any free port.',
  }),
  httpHost: text('SLUICE_HTTP_HOST', {
    fallback: '',
    defaultText:
      'as `SLUICE_HOST` when there is a file of API keys or `SLUICE_HTTP_LOCAL_ACCESS` is `false`, else 127.0.0.1',
    pattern: hostPattern,
    range: hostRange,
    help: 'Address of the REST API.',
  }),
  httpPort: integer('SLUICE_HTTP_PORT', {
    fallback: 18_083,
    min: 0,
    max: 65_535,
    help: 'TCP port of the REST API; 0 takes any free port.',
  }),
  apiKeysFile: optionalPath('SLUICE_API_KEYS_FILE', {
    alias: 'EMQX_API_KEY__BOOTSTRAP_FILE',
    help: 'File with one `key:secret[:role]` per line. Without it the REST API asks for no key and listens on loopback only.',
  }),
};

/** Threads and what they share. */
const shard = {
  shards: integer('SLUICE_SHARDS', {
    fallback: () => Math.min(Math.max(availableParallelism() - 1, 1), 64),
    defaultText: 'CPU cores − 1, at least 1',
    min: 1,
    max: 64,
    help: 'Worker threads that own the queues. May change between starts; every message is kept.',
  }),
  ringBytes: bytes('SLUICE_RING_BYTES', {
    fallback: 8 * MB,
    min: 64 * KB,
    max: GB,
    powerOfTwo: true,
    help: 'Size of each of the two rings between the main thread and a shard; at least four times `SLUICE_MAX_PACKET_SIZE`.',
  }),
};

/** What is kept on disk, and how surely. */
const storage = {
  dataDir: path('SLUICE_DATA_DIR', {
    fallback: './data',
    help: 'Folder of everything durable. One broker per folder.',
  }),
  store: choice('SLUICE_STORE', {
    words: ['rocksdb', 'segment', 'memory'],
    fallback: 'rocksdb',
    help: '`segment` are plain append-only files without a native add-on; `memory` survives nothing.',
  }),
  durability: choice('SLUICE_DURABILITY', {
    words: ['fsync', 'interval', 'process'],
    fallback: 'fsync',
    help: 'What an acknowledged message survives: `fsync` a crash of the machine; `interval` that too, but for the last `SLUICE_FSYNC_INTERVAL_MS`; `process` a crash of the process.',
  }),
  fsyncIntervalMs: duration('SLUICE_FSYNC_INTERVAL_MS', {
    fallback: 100,
    min: 1,
    max: 60_000,
    help: 'Longest time between two fsyncs with `SLUICE_DURABILITY=interval`.',
  }),
  storeMemoryBytes: bytes('SLUICE_STORE_MEMORY', {
    fallback: 192 * MB,
    min: 8 * MB,
    max: 64 * GB,
    help: 'Write buffers and caches of the store, per shard.',
  }),
  queueCacheBytes: bytes('SLUICE_QUEUE_CACHE_BYTES', {
    fallback: 16 * MB,
    min: 64 * KB,
    max: GB,
    help: 'Recent messages that a queue keeps in memory; an older backlog is read back as it is consumed.',
  }),
  queuesCacheBytes: bytes('SLUICE_QUEUES_CACHE_BYTES', {
    fallback: 64 * MB,
    min: MB,
    max: GB,
    help: 'The same for all queues of a shard together.',
  }),
};

/** What the broker grants a client, and what it bears from one. */
const mqtt = {
  ...protocolSettings,
  connectionsMax: integer('SLUICE_MAX_CONNECTIONS', {
    live: true,
    fallback: 100_000,
    min: 1,
    max: 10_000_000,
    help: 'Open connections; one more is closed at once.',
  }),
  connectTimeoutMs: duration('SLUICE_CONNECT_TIMEOUT_MS', {
    live: true,
    fallback: 10_000,
    min: 100,
    max: 600_000,
    help: 'Time from accepting a connection to its complete CONNECT.',
  }),
  keepAliveMaxS: seconds('SLUICE_KEEP_ALIVE_MAX', {
    live: true,
    fallback: 65_535,
    min: 0,
    max: 65_535,
    help: 'Longest Keep Alive that an MQTT 5 client may choose; one that asks for more, or for none, is told this one. 0 for no limit.',
  }),
  maximumPacketSize: bytes('SLUICE_MAX_PACKET_SIZE', {
    fallback: MB,
    min: 20,
    max: 64 * MB,
    help: 'Largest packet accepted, announced as Maximum Packet Size.',
  }),
  receiveMaximum: integer('SLUICE_RECEIVE_MAXIMUM', {
    fallback: 1024,
    min: 1,
    max: 65_535,
    unit: 'messages',
    help: 'QoS 1 and 2 messages that a client may have unacknowledged, announced as Receive Maximum.',
  }),
  inFlightMax: integer('SLUICE_MAX_INFLIGHT', {
    fallback: 16_384,
    min: 1,
    max: 65_535,
    unit: 'messages',
    help: 'QoS 1 and 2 messages in flight towards one client, whatever Receive Maximum it announces.',
  }),
  topicAliasMaximum: integer('SLUICE_TOPIC_ALIAS_MAXIMUM', {
    fallback: 64,
    min: 0,
    max: 65_535,
    help: 'Topic aliases that a client may use, announced as Topic Alias Maximum.',
  }),
  topicLevelsMax: integer('SLUICE_TOPIC_LEVELS_MAX', {
    live: true,
    fallback: 128,
    min: 1,
    max: 65_535,
    help: 'Levels of a topic name or filter.',
  }),
  subscriptionsMax: integer('SLUICE_SUBSCRIPTIONS_MAX', {
    live: true,
    fallback: 100_000,
    min: 1,
    max: 10_000_000,
    help: 'Subscriptions of one client.',
  }),
  outboxBytesMax: bytes('SLUICE_OUTBOX_BYTES', {
    fallback: 2 * MB,
    min: 16 * KB,
    max: GB,
    help: 'Bytes that wait for a slow reader. Beyond it QoS 0 is dropped and counted, and QoS 1 and 2 wait in their window.',
  }),
};

/** What is kept of a client that is away. */
const session = {
  ...sessionSettings,
  ...willSettings,
  sessionsMax: integer('SLUICE_SESSIONS_MAX', {
    live: true,
    fallback: 200_000,
    min: 1,
    max: 100_000_000,
    help: 'Sessions, connected or not; a client that would need one more is refused.',
  }),
  sessionExpiryMaxS: seconds('SLUICE_SESSION_EXPIRY_MAX', {
    live: true,
    fallback: 604_800,
    min: 0,
    max: 4_294_967_295,
    help: 'Longest life of a session without connection, also of sessions that MQTT 3.1.1 would keep for ever; 4294967295 for no limit.',
  }),
  sessionQueueMax: integer('SLUICE_SESSION_QUEUE_MAX', {
    fallback: 1000,
    min: 0,
    max: 10_000_000,
    unit: 'messages',
    help: 'Messages that wait in memory for the window of a client whose session ends with its connection.',
  }),
};

/** Process matters. */
const operation = {
  envFile: optionalPath('SLUICE_ENV_FILE', {
    help: 'File with further settings, one `NAME=value` per line; the environment wins over it. Read at the start and, for live settings, on SIGHUP.',
  }),
  ...logSettings,
  drainTimeoutMs: duration('SLUICE_DRAIN_TIMEOUT_MS', {
    fallback: 3000,
    min: 0,
    max: 600_000,
    help: 'How long a stopping broker waits for what is under way.',
  }),
};

/** Defaults of the queue system; `Config.mq`. */
const mq = {
  enable: choice('SLUICE_MQ_ENABLE', {
    alias: 'EMQX_MQ__ENABLE',
    words: ['auto', 'true', 'false'],
    fallback: 'auto',
    help: '`auto` starts with the first queue or queue subscription; `false` refuses queues.',
  }),
  maxQueueCount: integer('SLUICE_MQ_MAX_QUEUE_COUNT', {
    alias: 'EMQX_MQ__MAX_QUEUE_COUNT',
    fallback: 100,
    min: 1,
    max: 65_535,
    help: 'Queues that may exist; lowering it deletes none.',
  }),
  gcIntervalMs: duration('SLUICE_MQ_GC_INTERVAL', {
    alias: 'EMQX_MQ__GC_INTERVAL',
    fallback: 3_600_000,
    min: 100,
    max: 365 * dayMs,
    help: 'Accepted and returned for compatibility; messages past their retention are swept every second.',
  }),
  regularQueueRetentionPeriodMs: duration('SLUICE_MQ_REGULAR_QUEUE_RETENTION_PERIOD', {
    alias: 'EMQX_MQ__REGULAR_QUEUE_RETENTION_PERIOD',
    fallback: 7 * dayMs,
    min: 1000,
    max: 3650 * dayMs,
    help: 'Accepted and returned for compatibility; each queue has its own `data_retention_period`.',
  }),
  findQueueRetryIntervalMs: duration('SLUICE_MQ_FIND_QUEUE_RETRY_INTERVAL', {
    alias: 'EMQX_MQ__FIND_QUEUE_RETRY_INTERVAL',
    fallback: 10_000,
    min: 1,
    max: dayMs,
    help: 'Accepted and returned for compatibility; a waiting subscription wakes when its queue is created.',
  }),
  autoCreateRegular: objectOrFalse('SLUICE_MQ_AUTO_CREATE_REGULAR', {
    alias: 'EMQX_MQ__AUTO_CREATE__REGULAR',
    help: 'Settings of regular queues made by subscribing to `$queue/<name>/<filter>`; false makes none.',
  }),
  autoCreateLastvalue: objectOrFalse('SLUICE_MQ_AUTO_CREATE_LASTVALUE', {
    alias: 'EMQX_MQ__AUTO_CREATE__LASTVALUE',
    help: 'The same for last-value queues. Only one of the two may be set.',
  }),
  requireMqtt5: flag('SLUICE_MQ_REQUIRE_MQTT5', {
    fallback: false,
    help: 'Refuses queue subscriptions of MQTT 3.1 and 3.1.1 clients.',
  }),
  qos0Delivery: choice('SLUICE_MQ_QOS0_DELIVERY', {
    words: ['upgrade', 'auto_ack'],
    fallback: 'upgrade',
    help: 'Queue subscriptions with QoS 0: `upgrade` delivers with QoS 1, `auto_ack` with QoS 0 and counts a message as done once sent.',
  }),
  onStoreError: choice('SLUICE_MQ_ON_STORE_ERROR', {
    words: ['reject', 'ignore'],
    fallback: 'reject',
    help: 'When a matching queue cannot store a message: `reject` tells the publisher, `ignore` acknowledges all the same.',
  }),
  onKeyError: choice('SLUICE_MQ_ON_KEY_ERROR', {
    words: ['drop', 'reject', 'use_empty'],
    fallback: 'drop',
    help: 'When the key expression of a last-value queue fails: `drop` does not store, `reject` tells the publisher, `use_empty` stores under the empty key.',
  }),
  missingQueue: choice('SLUICE_MQ_MISSING_QUEUE', {
    words: ['wait', 'reject'],
    fallback: 'wait',
    help: 'Subscribing to a queue that does not exist: `wait` grants it and attaches on creation, `reject` fails it.',
  }),
  limitShards: integer('SLUICE_MQ_LIMIT_SHARDS', {
    alias: 'EMQX_DURABLE_STORAGE__MQ_MESSAGES__N_SHARDS',
    fallback: 16,
    min: 1,
    max: 1024,
    help: 'Factor from the per-shard `limits` of a queue to its total. Not a number of threads.',
  }),
};

type Fields = Readonly<Record<string, Variable<unknown>>>;

/** The values that a table of variables loads to. */
type Values<F extends Fields> = { readonly [K in keyof F]: F[K] extends Variable<infer T> ? T : never };

/** Defaults of the queue system, under EMQX's names in camelCase with the unit last. */
export type MqConfig = Values<typeof mq>;

/** Every setting, checked and frozen. Fields are described in this file's tables and in docs/configuration.md. */
export interface Config
  extends
    Values<typeof listener>,
    Values<typeof transport>,
    Values<typeof shard>,
    Values<typeof storage>,
    Values<typeof mqtt>,
    Values<typeof session>,
    Values<typeof limitSettings>,
    Values<typeof retainedSettings>,
    Values<typeof authentication>,
    Values<typeof sysSettings>,
    Values<typeof dashboardSettings>,
    Values<typeof aclSettings>,
    Values<typeof share>,
    Values<typeof telemetrySettings>,
    Values<typeof traceSettings>,
    Values<typeof operation> {
  readonly mq: MqConfig;
}

/** A titled group of settings. `parent` names the field of `Config` that holds them; undefined for `Config` itself. */
export interface Section {
  readonly title: string;
  readonly parent: 'mq' | undefined;
  readonly fields: Fields;
}

/** All settings, in the order of the documents. */
export const sections: readonly Section[] = [
  { title: 'Listeners', parent: undefined, fields: listener },
  { title: 'Transports', parent: undefined, fields: transport },
  { title: 'Storage', parent: undefined, fields: storage },
  { title: 'Threads', parent: undefined, fields: shard },
  { title: 'MQTT', parent: undefined, fields: mqtt },
  { title: 'Sessions', parent: undefined, fields: session },
  { title: 'Limits', parent: undefined, fields: limitSettings },
  { title: 'Retained messages', parent: undefined, fields: retainedSettings },
  { title: 'Authentication', parent: undefined, fields: authentication },
  { title: 'REST API and dashboard', parent: undefined, fields: dashboardSettings },
  { title: 'Broker topics', parent: undefined, fields: sysSettings },
  { title: 'Authorisation', parent: undefined, fields: aclSettings },
  { title: 'Shared subscriptions', parent: undefined, fields: share },
  { title: 'Monitoring', parent: undefined, fields: { ...telemetrySettings, ...traceSettings } },
  { title: 'Process', parent: undefined, fields: operation },
  { title: 'Queues', parent: 'mq', fields: mq },
];

/** Variables that a broker ignores: those of the project's own tests and benches, and those of the commands. */
export const internalVariables: Readonly<Record<string, string>> = {
  ...commandVariables,
  SLUICE_TEST_COUNT_FILE: 'file that the count of a test run is written to',
  SLUICE_TEST_FULL: '1 runs the long tests at full size',
  SLUICE_TEST_NODE_FLAGS: 'flags for the node binary that brokers under test are started with',
  SLUICE_TEST_SCREENSHOTS: '1 takes the pictures of docs/images in the browser tests',
  SLUICE_TEST_SEED: 'seed of the random tests, to repeat a run',
};
