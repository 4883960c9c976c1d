/**
 * What a queue is: its identity and its settings. Both threads; plain data that crosses the message port.
 *
 * Always true: `id`, `name`, `topicFilter` and `isLastvalue` never change after creation; settings may,
 * and take effect on the running queue at once. `Infinity` means unlimited.
 * REST spells the same fields in EMQX's snake_case (docs/rest-api.md).
 */

/** How the next message finds its consumer. */
export type DispatchStrategy = 'random' | 'round_robin' | 'least_inflight';

/** What happens when a queue-total limit is reached. */
export type OverflowPolicy = 'drop_oldest' | 'reject_publish';

/** What happens to a publish whose key expression cannot be evaluated. */
export type KeyErrorPolicy = 'drop' | 'reject' | 'use_empty';

/** Changeable part of a queue. Durations in ms, sizes in bytes. */
export interface QueueSettings {
  /** Last-value queues only; the compiled form lives in the shard. */
  readonly keyExpression: string;
  readonly keyErrorPolicy: KeyErrorPolicy;
  readonly dispatchStrategy: DispatchStrategy;
  readonly dataRetentionPeriodMs: number;
  /** EMQX limits, per EMQX shard: the queue's total is the value times `SLUICE_MQ_LIMIT_SHARDS`. */
  readonly shardMessageCountMax: number;
  readonly shardMessageBytesMax: number;
  /** Queue-total limits of Sluice. */
  readonly messagesMax: number;
  readonly bytesMax: number;
  readonly overflowPolicy: OverflowPolicy;
  /** Window of every consumer: unacked messages, 1 to 65535. */
  readonly localMaxInflight: number;
  /** Window of a consumer that answers fast: `localMaxInflight` or more. See window.ts. */
  readonly fastMaxInflight: number;
  /** Pause before a rejected message may go back to its only consumer. */
  readonly redispatchIntervalMs: number;
  /** A value below EMQX's default of 2000 also bounds the queue's total in flight. */
  readonly streamMaxBufferSize: number;
  /** Accepted, stored and returned for compatibility; Sluice has no use for them. */
  readonly streamMaxUnacked: number;
  readonly busySessionRetryIntervalMs: number;
  readonly pingIntervalMs: number;
  readonly consumerMaxInactiveMs: number;
  readonly consumerPersistenceIntervalMs: number;
  /** A paused queue stores but does not deliver. */
  readonly paused: boolean;
}

/** A queue as stored in its shard's log (JSON) and known to the main thread. */
export interface QueueDefinition extends QueueSettings {
  /** Unique over all shards, 1 to 0xffff_ffef; never reused while its records exist. */
  readonly id: number;
  /** `/<topicFilter>` for a queue created without a name. */
  readonly name: string;
  readonly topicFilter: string;
  readonly isLastvalue: boolean;
  readonly createdAtMs: number;
  /** The session that this queue belongs to. Absent for a queue of users: only those are listed, counted and measured. */
  readonly sessionClientId?: string;
}

/** Counts and gauges of one queue at one moment. Counters start at 0 when the shard's worker starts. */
export interface QueueStats {
  readonly queueId: number;
  /** Messages waiting for a consumer, including those to be redelivered. */
  readonly ready: number;
  readonly readyBytes: number;
  readonly inFlight: number;
  /** ready + in flight. */
  readonly messages: number;
  readonly bytes: number;
  readonly consumers: number;
  /** Age of the oldest unacked message, ms; 0 when there is none. */
  readonly oldestAgeMs: number;
  readonly stored: number;
  readonly delivered: number;
  readonly acked: number;
  readonly rejected: number;
  readonly redelivered: number;
  readonly expired: number;
  readonly evicted: number;
  readonly overwritten: number;
  readonly refused: number;
  readonly keyErrors: number;
  /** Messages per second over the last few seconds. */
  readonly inRate: number;
  readonly outRate: number;
}

/** One attached consumer as the shard sees it. */
export interface ConsumerStats {
  /** Shard-local slot; the main thread maps it to the client. */
  readonly slot: number;
  readonly inFlight: number;
  readonly window: number;
  readonly delivered: number;
  readonly acked: number;
  readonly rejected: number;
}

/** A message as shown to an operator who peeks. */
export interface PeekedMessage {
  readonly offset: number;
  readonly topicName: string;
  readonly from: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly timestampMs: number;
  /** Remaining life, s; undefined when it does not expire. */
  readonly messageExpiryInterval?: number;
  readonly deliveryAttempt: number;
  readonly state: 'ready' | 'in-flight';
  /** Last-value queues only. */
  readonly key?: string;
  /** MQTT 5 property bytes as stored, without length prefix. */
  readonly properties: Uint8Array;
  readonly payload: Uint8Array;
}
