/**
 * Every metric: name, unit, help, and which thread writes it. Runs on every thread; plain data.
 *
 * Always true: a metric exists here or nowhere; the layout of the shared counters, the Prometheus text and
 * docs/metrics.md all come from this table. Names end in their unit, and in `_total` when they only grow.
 * To add one, add a row: its slot, type and documents follow.
 */

/** Who may write a metric: the main thread, each shard worker, or both (each in its own slots). */
export type MetricWriter = 'main' | 'worker' | 'both';

interface Described {
  /** Name in Prometheus. */
  readonly name: string;
  readonly help: string;
  readonly writer: MetricWriter;
  /** Shown for every shard, or for every thread, by a label of that name, instead of as a sum. */
  readonly per?: 'shard' | 'thread';
}

/** A number that only grows (counter) or is added to and taken from (gauge). */
export interface PlainMetric extends Described {
  readonly kind: 'counter' | 'gauge';
}

/** Counters of one name, told apart by the value of one label. An undefined value is a slot that is never shown. */
export interface FamilyMetric<V extends string = string> extends Described {
  readonly kind: 'family';
  readonly label: string;
  readonly values: readonly (V | undefined)[];
}

/** A distribution: how many observations were at most each bound, and their sum. */
export interface HistogramMetric extends Described {
  readonly kind: 'histogram';
  /** Upper bounds, ascending, in the unit that the name ends in. */
  readonly bounds: readonly number[];
}

/** One row of the catalogue. */
export type Metric = PlainMetric | FamilyMetric | HistogramMetric;

function counter(name: string, writer: MetricWriter, help: string): PlainMetric {
  return { kind: 'counter', name, writer, help };
}

function gauge(name: string, writer: MetricWriter, help: string): PlainMetric {
  return { kind: 'gauge', name, writer, help };
}

function family<const V extends string>(
  name: string,
  writer: MetricWriter,
  label: string,
  values: readonly (V | undefined)[],
  help: string,
): FamilyMetric<V> {
  return { kind: 'family', name, writer, label, values, help };
}

function histogram(
  name: string,
  writer: MetricWriter,
  bounds: readonly number[],
  help: string,
): HistogramMetric {
  return { kind: 'histogram', name, writer, bounds, help };
}

/** The same metric, told apart by shard or by thread. */
function per<M extends Metric>(label: 'shard' | 'thread', metric: M): M {
  return { ...metric, per: label };
}

/** Indexed by the type nibble of the first byte of a packet. */
const packetTypes = [
  undefined,
  'connect',
  'connack',
  'publish',
  'puback',
  'pubrec',
  'pubrel',
  'pubcomp',
  'subscribe',
  'suback',
  'unsubscribe',
  'unsuback',
  'pingreq',
  'pingresp',
  'disconnect',
  'auth',
] as const;

const qosLevels = ['0', '1', '2'] as const;

/** First reason code that is an error. */
export const FIRST_ERROR_REASON_CODE = 0x80;
const LAST_ERROR_REASON_CODE = 0xa2;
const reasonCodes = Array.from(
  { length: LAST_ERROR_REASON_CODE - FIRST_ERROR_REASON_CODE + 1 },
  (_, index) => `0x${(FIRST_ERROR_REASON_CODE + index).toString(16)}`,
);

/** From a memory write to a slow disk's fsync. */
const commitSeconds = [
  0.000_05, 0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
];
/** From one turn of the event loop to a queue that nobody reads. */
const waitSeconds = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600,
];
const delaySeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const batchSizes = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

/** All metrics that live in shared counters. The key is the name in code. */
export const catalogue = {
  // Connections and sessions.
  connections: gauge('sluice_connections', 'main', 'Open MQTT connections.'),
  connectionsOpened: counter('sluice_connections_opened_total', 'main', 'MQTT connections accepted.'),
  connectionsRefused: family(
    'sluice_connections_refused_total',
    'main',
    'reason',
    [
      'limit',
      'connect-timeout',
      'connack',
      'listener-limit',
      'proxy-header',
      'tls-handshake',
      'ws-upgrade',
      'rate',
      'address-limit',
      'address-rate',
    ],
    'Connections closed before they were granted: too many, too many of one listener, no CONNECT in time, refused by CONNACK, failed in the PROXY header, the TLS handshake or the WebSocket upgrade, too fast, too many of one address, or too fast from one address.',
  ),
  webSocketFaults: counter(
    'sluice_websocket_faults_total',
    'main',
    'WebSocket connections closed for a frame that is malformed, too large or not binary.',
  ),
  keepAliveTimeouts: counter(
    'sluice_keep_alive_timeouts_total',
    'main',
    'Connections closed because nothing came in 1.5 times the Keep Alive.',
  ),
  writeStalls: counter(
    'sluice_write_stalls_total',
    'main',
    'Connections closed because the client took nothing of what waited for it.',
  ),
  sessions: gauge('sluice_sessions', 'main', 'Sessions, connected or not.'),
  sessionsExpired: counter(
    'sluice_sessions_expired_total',
    'main',
    'Sessions that ended because their client was away for longer than their Session Expiry Interval.',
  ),
  sessionTakeovers: counter(
    'sluice_session_takeovers_total',
    'main',
    'Connections closed because another one used their client id.',
  ),
  subscriptions: gauge('sluice_subscriptions', 'main', 'Ordinary subscriptions.'),
  queueSubscriptions: gauge(
    'sluice_queue_subscriptions',
    'main',
    'Queue subscriptions, attached or waiting for their queue.',
  ),
  authenticationsSucceeded: family(
    'sluice_authentications_succeeded_total',
    'main',
    'method',
    ['anonymous', 'certificate', 'password', 'jwt', 'http', 'scram'],
    'Clients let in, by the method that knew them; renewed authentications are counted, too.',
  ),
  authenticationsFailed: family(
    'sluice_authentications_failed_total',
    'main',
    'reason',
    ['anonymous', 'credentials', 'token', 'denied', 'scram', 'blocked', 'busy', 'unavailable'],
    'Clients refused: no proof, wrong password or user, wrong token, a no of the call-out, wrong SCRAM proof, too many failures from the address, too many that wait, or a method that did not answer.',
  ),
  authenticationCacheHits: family(
    'sluice_authentication_cache_hits_total',
    'main',
    'method',
    ['password', 'http'],
    'Answers from memory, without a hash or a call.',
  ),

  clientsBanned: counter(
    'sluice_clients_banned_total',
    'main',
    'Clients refused because their client id, user name or address is banned.',
  ),

  // REST API and dashboard.
  loginsSucceeded: counter(
    'sluice_logins_succeeded_total',
    'main',
    'Passwords of dashboard accounts that were right.',
  ),
  loginsFailed: family(
    'sluice_logins_failed_total',
    'main',
    'reason',
    ['credentials', 'locked', 'busy'],
    'Passwords of dashboard accounts that were wrong, or not looked at because the address or the account has to wait, or because too many others wait.',
  ),
  loginLocks: counter(
    'sluice_login_locks_total',
    'main',
    'Times that wrong passwords made an address or an account wait.',
  ),
  httpConnectionsRefused: family(
    'sluice_http_connections_refused_total',
    'main',
    'reason',
    ['limit', 'address'],
    'Connections to the REST API closed at once: too many, or too many of one address.',
  ),
  restRefused: family(
    'sluice_rest_refused_total',
    'main',
    'reason',
    ['credentials', 'blocked', 'role', 'origin'],
    'REST requests refused: no or wrong key or token, too many wrong keys from the address, not allowed to the role, or from another web site.',
  ),

  // Wire.
  bytesReceived: counter('sluice_received_bytes_total', 'main', 'Bytes read from MQTT connections.'),
  bytesSent: counter('sluice_sent_bytes_total', 'main', 'Bytes written to MQTT connections.'),
  packetsReceived: family(
    'sluice_packets_received_total',
    'main',
    'type',
    packetTypes,
    'MQTT packets received.',
  ),
  packetsSent: family('sluice_packets_sent_total', 'main', 'type', packetTypes, 'MQTT packets sent.'),
  socketWrites: counter('sluice_socket_writes_total', 'main', 'Coalesced writes to sockets.'),
  protocolErrors: family(
    'sluice_protocol_errors_total',
    'main',
    'reason_code',
    reasonCodes,
    'Connections ended because the client broke the protocol, by MQTT 5 reason code.',
  ),

  // Messages at the gateway.
  publishAckSeconds: histogram(
    'sluice_publish_ack_seconds',
    'main',
    commitSeconds,
    'Time from taking a publish with QoS 1 or 2 that is stored to writing its PUBACK or PUBREC; of each connection the first, and after it every 64th while none is being timed; what fails is left out.',
  ),
  publishDeliverySeconds: histogram(
    'sluice_publish_delivery_seconds',
    'main',
    waitSeconds,
    'Time from taking a message to writing its first delivery from a queue, waiting in the queue included; every 64th of a queue, to the millisecond; what is not written at once (rejected, given back, held for the window of its client) is left out.',
  ),
  publishesReceived: family(
    'sluice_publishes_received_total',
    'main',
    'qos',
    qosLevels,
    'PUBLISH packets taken from clients.',
  ),
  publishesRefused: family(
    'sluice_publishes_refused_total',
    'main',
    'reason_code',
    reasonCodes,
    'QoS 1 and 2 publishes answered with an error, by MQTT 5 reason code; for MQTT 3 the connection was closed.',
  ),
  publishesSent: family(
    'sluice_publishes_sent_total',
    'main',
    'qos',
    qosLevels,
    'PUBLISH packets sent to clients, from queues and live.',
  ),
  messagesDropped: family(
    'sluice_messages_dropped_total',
    'main',
    'reason',
    ['outbox-full', 'session-queue-full', 'packet-too-large', 'expired', 'session-ended', 'unsubscribed'],
    'Messages of subscriptions that a subscriber did not get.',
  ),

  subscriberPauses: counter(
    'sluice_subscriber_pauses_total',
    'main',
    'Times that a publisher waited for a subscriber whose outbox or window was half full.',
  ),
  sharedRedispatched: counter(
    'sluice_shared_redispatched_total',
    'main',
    'Messages of shared subscriptions that went to another member because theirs was gone.',
  ),
  publishBytesReceived: counter(
    'sluice_publish_payload_received_bytes_total',
    'main',
    'Payload of the PUBLISH packets taken from clients.',
  ),
  publishBytesSent: counter(
    'sluice_publish_payload_sent_bytes_total',
    'main',
    'Payload of the PUBLISH packets sent to clients.',
  ),
  wills: gauge('sluice_wills', 'main', 'Wills of connected clients, and wills that wait for their delay.'),
  willsEnded: family(
    'sluice_wills_ended_total',
    'main',
    'outcome',
    ['published', 'cancelled', 'disconnected', 'not-authorized', 'refused'],
    'Wills by what became of them: published, cancelled by a new connection, dropped by DISCONNECT, not authorized at their time, or refused by a queue.',
  ),
  publishRateExceeded: family(
    'sluice_publish_rate_exceeded_total',
    'main',
    'action',
    ['slow-down', 'disconnect'],
    'Times that a connection published faster than it may and was not read for a while, or closed.',
  ),
  limitExceeded: family(
    'sluice_limit_exceeded_total',
    'main',
    'limit',
    ['topic-bytes', 'topic-levels', 'subscriptions', 'sessions'],
    'Requests refused by a limit: topics that are too long or too deep, subscriptions beyond those of a client, sessions beyond those of the broker.',
  ),
  outboxBytes: gauge('sluice_outbox_bytes', 'main', 'Memory of the blocks that hold what waits for readers.'),
  sessionQueueBytes: gauge(
    'sluice_session_queue_bytes',
    'main',
    'Messages that wait in memory for the window or the reading of their clients.',
  ),
  localPublishesRefused: counter(
    'sluice_local_publishes_refused_total',
    'main',
    "Messages of the broker's own that were put off because too many were under way.",
  ),
  sysEventsDropped: counter(
    'sluice_sys_events_dropped_total',
    'main',
    'Client events under $SYS that were not published: beyond SLUICE_SYS_EVENTS_RATE, or for client ids that fit no topic.',
  ),

  // Authorisation.
  authorizationDenied: family(
    'sluice_authorization_denied_total',
    'main',
    'action',
    ['publish', 'subscribe'],
    'Publishes and subscriptions that a client had no right to.',
  ),
  aclReloads: family(
    'sluice_acl_reloads_total',
    'main',
    'outcome',
    ['loaded', 'failed'],
    'Times the ACL file was read again; after a failure the permissions before stay in force.',
  ),

  // Retained messages.
  retainedMessages: gauge('sluice_retained_messages', 'main', 'Retained messages, without those of $SYS.'),
  retainedBytes: gauge(
    'sluice_retained_bytes',
    'main',
    'Topics, properties and payloads of the retained messages.',
  ),
  retainedSent: counter('sluice_retained_sent_total', 'main', 'Retained messages sent to new subscriptions.'),
  retainedRefused: family(
    'sluice_retained_refused_total',
    'main',
    'reason',
    ['count', 'bytes', 'message-bytes'],
    'Messages with RETAIN that were delivered and not retained because of a limit.',
  ),
  retainedExpired: counter('sluice_retained_expired_total', 'main', 'Retained messages that expired.'),
  retainedFeeds: gauge(
    'sluice_retained_feeds',
    'main',
    'Subscriptions that still get the retained messages of their start.',
  ),
  retainedRowsUnreadable: counter(
    'sluice_retained_rows_unreadable_total',
    'main',
    'Rows of retained messages that could not be read at the start and were passed over.',
  ),

  // Between the threads.
  ringPauses: counter(
    'sluice_ring_pauses_total',
    'main',
    'Times a connection was paused because the ring to a shard was full.',
  ),
  connectionsPaused: gauge('sluice_connections_paused', 'main', 'Connections that wait for room in a ring.'),
  doorbells: counter('sluice_doorbells_total', 'both', 'Wake-up calls sent to a sleeping thread.'),
  shardRestarts: counter(
    'sluice_shard_restarts_total',
    'main',
    'Shard workers that died and were started again.',
  ),
  ringToShardFill: per(
    'shard',
    gauge(
      'sluice_ring_to_shard_fill_ratio',
      'worker',
      'Part of the ring from the main thread to the shard that was in use; the highest of ten looks in the last second.',
    ),
  ),
  ringFromShardFill: per(
    'shard',
    gauge(
      'sluice_ring_from_shard_fill_ratio',
      'worker',
      'The same of the ring from the shard to the main thread.',
    ),
  ),
  eventLoopDelaySeconds: per(
    'thread',
    histogram(
      'sluice_event_loop_delay_seconds',
      'both',
      delaySeconds,
      'How late a timer of the thread fired, looked at ten times a second.',
    ),
  ),
  eventLoopBusySeconds: per(
    'thread',
    counter(
      'sluice_event_loop_busy_seconds_total',
      'both',
      'Time that the thread spent working; its growth per second is its load.',
    ),
  ),

  // Traces.
  traceSpans: family(
    'sluice_trace_spans_total',
    'main',
    'outcome',
    ['exported', 'failed', 'dropped'],
    'Spans of traced messages: handed to the collector, refused by it, or given up because too many waited.',
  ),

  // Queues.
  queues: gauge('sluice_queues', 'worker', 'Queues.'),
  messagesReady: gauge('sluice_messages_ready', 'worker', 'Messages that wait for a consumer.'),
  messagesInFlight: gauge('sluice_messages_in_flight', 'worker', 'Messages delivered and not yet acked.'),
  messageBytes: gauge('sluice_message_bytes', 'worker', 'Size of the messages that wait or are in flight.'),
  consumers: gauge('sluice_consumers', 'worker', 'Consumers attached to queues.'),
  messagesQueued: counter(
    'sluice_messages_queued_total',
    'worker',
    'Messages taken by a queue, one for each queue that matches.',
  ),
  messagesCommitted: counter(
    'sluice_messages_committed_total',
    'worker',
    'Messages whose group commit succeeded.',
  ),
  messagesDelivered: counter(
    'sluice_messages_delivered_total',
    'worker',
    'Messages handed to a consumer, every attempt counted.',
  ),
  messagesAcked: counter('sluice_messages_acked_total', 'worker', 'Messages that a consumer acknowledged.'),
  messagesRejected: counter(
    'sluice_messages_rejected_total',
    'worker',
    'Deliveries that a consumer refused by a reason code.',
  ),
  messagesRedelivered: counter(
    'sluice_messages_redelivered_total',
    'worker',
    'Deliveries that were not the first of their message.',
  ),
  messagesExpired: counter(
    'sluice_messages_expired_total',
    'worker',
    'Messages removed by Message Expiry or the retention period.',
  ),
  messagesEvicted: counter(
    'sluice_messages_evicted_total',
    'worker',
    'Messages removed because a limit of their queue was reached.',
  ),
  messagesOverwritten: counter(
    'sluice_messages_overwritten_total',
    'worker',
    'Messages of last-value queues replaced by a newer one of the same key before they were done.',
  ),
  sessionMessagesStored: counter(
    'sluice_session_messages_stored_total',
    'worker',
    'Messages that were stored for sessions with an expiry.',
  ),
  sessionMessagesEvicted: counter(
    'sluice_session_messages_evicted_total',
    'worker',
    'Messages that such a session lost because its limit was reached: the oldest give way.',
  ),
  sessionMessagesExpired: counter(
    'sluice_session_messages_expired_total',
    'worker',
    'Messages that expired while they waited for such a session.',
  ),
  sessionMessagesWaiting: gauge(
    'sluice_session_messages_waiting',
    'worker',
    'Messages that wait for such sessions, in flight ones included.',
  ),
  sessionMessageBytes: gauge('sluice_session_message_bytes', 'worker', 'Their bytes in the log.'),
  messagesRefused: family(
    'sluice_messages_refused_total',
    'worker',
    'reason',
    ['store-error', 'quota-exceeded', 'key-error'],
    'Messages that a queue did not take.',
  ),

  // Log.
  groupCommits: per(
    'shard',
    counter('sluice_group_commits_total', 'worker', 'Group commits written to the log.'),
  ),
  groupCommitSeconds: per(
    'shard',
    histogram('sluice_group_commit_seconds', 'worker', commitSeconds, 'Time to write one group commit.'),
  ),
  groupCommitMessages: per(
    'shard',
    histogram('sluice_group_commit_messages', 'worker', batchSizes, 'Messages in one group commit.'),
  ),
  syncSeconds: per(
    'shard',
    histogram(
      'sluice_log_sync_seconds',
      'worker',
      commitSeconds,
      'Time from a group commit to the answer of the disk.',
    ),
  ),
  logErrors: per(
    'shard',
    counter('sluice_log_errors_total', 'worker', 'Writes and syncs of the log that failed.'),
  ),
  blocksRead: per(
    'shard',
    counter(
      'sluice_blocks_read_total',
      'worker',
      'Blocks read back because a backlog was older than the cache.',
    ),
  ),
  logDiskBytes: per('shard', gauge('sluice_log_disk_bytes', 'worker', "Size of the log's files.")),
  cacheBytes: per('shard', gauge('sluice_cache_bytes', 'worker', 'Recent messages kept in memory.')),
} satisfies Readonly<Record<string, Metric>>;

/** Name of a metric in code. */
export type MetricKey = keyof typeof catalogue;

/** A gauge or counter of one queue; `field` is the field of the queue's statistics that it shows, `scale` its factor to the unit. */
export interface QueueMetric {
  readonly kind: 'counter' | 'gauge';
  readonly name: string;
  readonly field: string;
  readonly scale: number;
  readonly help: string;
}

/** Metrics that exist once per queue, with the label `queue`. Read on demand from the shards, not from shared counters. */
export const queueMetrics = [
  {
    kind: 'gauge',
    name: 'sluice_queue_ready',
    field: 'ready',
    scale: 1,
    help: 'Messages that wait for a consumer.',
  },
  {
    kind: 'gauge',
    name: 'sluice_queue_in_flight',
    field: 'inFlight',
    scale: 1,
    help: 'Messages delivered and not yet acked.',
  },
  {
    kind: 'gauge',
    name: 'sluice_queue_bytes',
    field: 'bytes',
    scale: 1,
    help: 'Size of the messages that wait or are in flight.',
  },
  {
    kind: 'gauge',
    name: 'sluice_queue_consumers',
    field: 'consumers',
    scale: 1,
    help: 'Attached consumers.',
  },
  {
    kind: 'gauge',
    name: 'sluice_queue_oldest_age_seconds',
    field: 'oldestAgeMs',
    scale: 0.001,
    help: 'Age of the oldest message that is not acked.',
  },
  { kind: 'counter', name: 'sluice_queue_stored_total', field: 'stored', scale: 1, help: 'Messages stored.' },
  {
    kind: 'counter',
    name: 'sluice_queue_delivered_total',
    field: 'delivered',
    scale: 1,
    help: 'Messages handed to a consumer, every attempt counted.',
  },
  {
    kind: 'counter',
    name: 'sluice_queue_acked_total',
    field: 'acked',
    scale: 1,
    help: 'Messages acknowledged.',
  },
  {
    kind: 'counter',
    name: 'sluice_queue_rejected_total',
    field: 'rejected',
    scale: 1,
    help: 'Deliveries refused by a consumer.',
  },
  {
    kind: 'counter',
    name: 'sluice_queue_redelivered_total',
    field: 'redelivered',
    scale: 1,
    help: 'Deliveries that were not the first of their message.',
  },
  {
    kind: 'counter',
    name: 'sluice_queue_expired_total',
    field: 'expired',
    scale: 1,
    help: 'Messages removed by Message Expiry or the retention period.',
  },
  {
    kind: 'counter',
    name: 'sluice_queue_evicted_total',
    field: 'evicted',
    scale: 1,
    help: 'Messages removed because a limit was reached.',
  },
  {
    kind: 'counter',
    name: 'sluice_queue_overwritten_total',
    field: 'overwritten',
    scale: 1,
    help: 'Messages replaced by a newer one of the same key.',
  },
  {
    kind: 'counter',
    name: 'sluice_queue_refused_total',
    field: 'refused',
    scale: 1,
    help: 'Messages not taken because the queue was full or the log failed.',
  },
  {
    kind: 'counter',
    name: 'sluice_queue_key_errors_total',
    field: 'keyErrors',
    scale: 1,
    help: 'Messages whose key expression failed.',
  },
] as const satisfies readonly QueueMetric[];

/** Label of the queues that have no series of their own. */
export const OTHER_QUEUES = '_other';

/** A gauge that is read when it is asked for. */
export interface StatusMetric {
  readonly kind: 'gauge';
  readonly name: string;
  readonly help: string;
  /** Names of its labels, in the order of their values. */
  readonly labels: readonly string[];
}

function status(name: string, help: string, ...labels: string[]): StatusMetric {
  return { kind: 'gauge', name, help, labels };
}

/** Metrics of the broker as a whole that are read when they are asked for. */
export const statusMetrics = {
  info: status('sluice_info', 'Always 1; the label tells the version.', 'version'),
  uptimeSeconds: status('sluice_uptime_seconds', 'Time since the start.'),
  ready: status('sluice_ready', '1 when all listeners and all shards are up, as `/health/ready` says.'),
  shardUp: status('sluice_shard_up', '1 when the worker of the shard is up.', 'shard'),
  diskFreeBytes: status(
    'sluice_disk_free_bytes',
    'Free on the file system of the data directory, for the user of the broker; at most ten seconds old.',
  ),
  diskSizeBytes: status('sluice_disk_size_bytes', 'Size of that file system.'),
  queuesUnshown: status(
    'sluice_queues_without_series',
    'Queues beyond SLUICE_METRICS_QUEUES_MAX, which are summed as `_other`.',
  ),
} as const satisfies Readonly<Record<string, StatusMetric>>;
