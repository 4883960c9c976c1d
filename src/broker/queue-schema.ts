/**
 * The queue object as operators write and read it. Runs on the main thread; pure.
 *
 * Always true: these TypeBox schemas are the only description of the fields: they validate requests, type the
 * handlers and make the OpenAPI document. Names, defaults and units are EMQX's [REF-7.2, REF-3.8] plus the
 * fields of Sluice (`max_messages`, `max_bytes`, `overflow`, `fast_max_inflight`, `on_key_error`, `paused`). Responses give
 * durations in ms, sizes in bytes and "no limit" as `"infinity"`.
 */
import Type, { type Static } from 'typebox';

import { parseBytes, parseDurationMs, UnitError } from '../config/unit.js';
import type { KeyErrorPolicy, QueueDefinition, QueueSettings } from '../queue/definition.js';
import { defaultKeyExpression } from '../queue/key-expression/key-expression.js';
import { sourceCharsMax } from '../queue/key-expression/parser.js';
import { invalidField } from './operator-error.js';

/** Longest name of a queue, in characters. */
export const queueNameLengthMax = 1024;
const dayMs = 86_400_000;
// Timers count in 31 bits; retention is only compared, never a timer.
const timerMsMax = 2 ** 31 - 1;
const retentionMsMax = 36_500 * dayMs;
const countMax = Number.MAX_SAFE_INTEGER;

const durationHint = 'whole milliseconds, or a text such as 100ms, 10s, 1h30m or 7d';

function duration(description: string) {
  const text = Type.String({ minLength: 1, maxLength: 64 });
  return Type.Optional(
    Type.Union([Type.Integer({ minimum: 0 }), text], { description: `${description}: ${durationHint}` }),
  );
}

function count(description: string, maximum: number) {
  return Type.Optional(Type.Integer({ minimum: 1, maximum, description }));
}

function countOrInfinity(description: string) {
  const number = Type.Integer({ minimum: 1, maximum: countMax });
  return Type.Optional(
    Type.Union([Type.Literal('infinity'), number], {
      description: `${description}: "infinity" or a whole number of at least 1`,
    }),
  );
}

function sizeOrInfinity(description: string) {
  const number = Type.Integer({ minimum: 1, maximum: countMax });
  const text = Type.String({ minLength: 1, maxLength: 64 });
  return Type.Optional(
    Type.Union([number, text], {
      description: `${description}: "infinity", whole bytes of at least 1, or a text such as 64KB or 100MB`,
    }),
  );
}

const Limits = Type.Object(
  {
    max_shard_message_count: countOrInfinity('Messages per EMQX shard'),
    max_shard_message_bytes: sizeOrInfinity('Bytes per EMQX shard'),
  },
  {
    additionalProperties: false,
    description: 'Limits under the names of EMQX; the total is the value times SLUICE_MQ_LIMIT_SHARDS.',
  },
);

const isLastvalue = Type.Optional(
  Type.Boolean({ description: 'True: keeps the newest message per key. Never changes.' }),
);

/** Everything about a queue that can change. */
const changeable = {
  dispatch_strategy: Type.Optional(
    Type.Enum(['random', 'round_robin', 'least_inflight'], {
      description: 'How the next message finds its consumer.',
    }),
  ),
  data_retention_period: duration('Longest life of a message'),
  limits: Type.Optional(Limits),
  max_messages: countOrInfinity('Messages in the whole queue'),
  max_bytes: sizeOrInfinity('Bytes in the whole queue'),
  overflow: Type.Optional(
    Type.Enum(['drop_oldest', 'reject_publish'], {
      description: 'What happens at max_messages or max_bytes.',
    }),
  ),
  local_max_inflight: count('Unacknowledged messages per consumer, 1 to 65535', 65_535),
  fast_max_inflight: count(
    'The same for a consumer that answers fast. Left out beside a local_max_inflight: as large as that, also with PATCH; a new queue without both: 200',
    65_535,
  ),
  redispatch_interval: duration('Pause before a rejected message returns to its only consumer'),
  stream_max_buffer_size: count(
    'A value below 2000 bounds the unacknowledged messages of the queue',
    2 ** 31,
  ),
  stream_max_unacked: count('Accepted for compatibility', 2 ** 31),
  busy_session_retry_interval: duration('Accepted for compatibility'),
  ping_interval: duration('Accepted for compatibility'),
  consumer_max_inactive: duration('Accepted for compatibility'),
  consumer_persistence_interval: duration('Accepted for compatibility'),
  paused: Type.Optional(Type.Boolean({ description: 'A paused queue stores but does not deliver.' })),
};

const lastvalueOnly = {
  key_expression: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: sourceCharsMax,
      description: 'Key of a message; last-value queues only.',
    }),
  ),
  on_key_error: Type.Optional(
    Type.Enum(['drop', 'reject', 'use_empty'], {
      description: 'What happens to a message whose key cannot be told; last-value queues only.',
    }),
  ),
};

/** Body of POST. */
export const QueueCreateBody = Type.Object(
  {
    name: Type.Optional(
      Type.String({
        pattern: '^[0-9A-Za-z][-.0-9A-Za-z_]*$',
        maxLength: queueNameLengthMax,
        description: 'Left out: the queue is called "/" followed by its topic filter.',
        examples: ['jobs'],
      }),
    ),
    topic_filter: Type.String({
      minLength: 1,
      description: 'Messages whose topic matches are stored.',
      examples: ['jobs/#'],
    }),
    is_lastvalue: isLastvalue,
    ...lastvalueOnly,
    ...changeable,
  },
  { additionalProperties: false, description: 'Every field but topic_filter has a default.' },
);
export type QueueCreateBody = Static<typeof QueueCreateBody>;

/** Body of PUT and PATCH. PUT resets what is left out to its default, PATCH leaves it. */
export const QueueUpdateBody = Type.Object(
  { is_lastvalue: isLastvalue, ...lastvalueOnly, ...changeable },
  { additionalProperties: false },
);
export type QueueUpdateBody = Static<typeof QueueUpdateBody>;

/** Settings of queues that are made by subscribing; regular ones have no key. */
export const AutoCreateRegular = Type.Object(changeable, { additionalProperties: false });
/** The same for last-value queues. */
export const AutoCreateLastvalue = Type.Object(
  { ...lastvalueOnly, ...changeable },
  { additionalProperties: false },
);

const milliseconds = Type.Integer({ minimum: 0, description: 'Milliseconds.' });
const integerOrInfinity = Type.Union([Type.Literal('infinity'), Type.Integer({ minimum: 1 })]);

/** A queue in a response. */
export const QueueObject = Type.Object(
  {
    name: Type.String(),
    topic_filter: Type.String(),
    is_lastvalue: Type.Boolean(),
    key_expression: Type.Optional(Type.String({ description: 'Last-value queues only.' })),
    on_key_error: Type.Optional(Type.Enum(['drop', 'reject', 'use_empty'])),
    dispatch_strategy: Type.Enum(['random', 'round_robin', 'least_inflight']),
    data_retention_period: milliseconds,
    limits: Type.Object({
      max_shard_message_count: integerOrInfinity,
      max_shard_message_bytes: integerOrInfinity,
    }),
    max_messages: integerOrInfinity,
    max_bytes: integerOrInfinity,
    overflow: Type.Enum(['drop_oldest', 'reject_publish']),
    local_max_inflight: Type.Integer(),
    fast_max_inflight: Type.Integer(),
    redispatch_interval: milliseconds,
    stream_max_buffer_size: Type.Integer(),
    stream_max_unacked: Type.Integer(),
    busy_session_retry_interval: milliseconds,
    ping_interval: milliseconds,
    consumer_max_inactive: milliseconds,
    consumer_persistence_interval: milliseconds,
    paused: Type.Boolean(),
  },
  { additionalProperties: false },
);
export type QueueObject = Static<typeof QueueObject>;

/** Defaults as one would write them; the `auto_create` objects of the configuration show them. */
export const settingDefaultTexts = {
  dispatch_strategy: 'random',
  data_retention_period: '7d',
  limits: { max_shard_message_count: 'infinity', max_shard_message_bytes: 'infinity' },
  max_messages: 'infinity',
  max_bytes: 'infinity',
  overflow: 'drop_oldest',
  local_max_inflight: 10,
  fast_max_inflight: 200,
  redispatch_interval: '100ms',
  stream_max_buffer_size: 2000,
  stream_max_unacked: 1000,
  busy_session_retry_interval: '100ms',
  ping_interval: '10s',
  consumer_max_inactive: '30s',
  consumer_persistence_interval: '10s',
  paused: false,
} as const satisfies QueueUpdateBody;

/** Settings of a new queue whose creator said nothing. */
export function defaultSettings(lastvalue: boolean, keyErrorPolicy: KeyErrorPolicy): QueueSettings {
  const none: QueueSettings = {
    keyExpression: lastvalue ? defaultKeyExpression : '',
    keyErrorPolicy,
    dispatchStrategy: 'random',
    dataRetentionPeriodMs: 0,
    shardMessageCountMax: Infinity,
    shardMessageBytesMax: Infinity,
    messagesMax: Infinity,
    bytesMax: Infinity,
    overflowPolicy: 'drop_oldest',
    localMaxInflight: 0,
    fastMaxInflight: 0,
    redispatchIntervalMs: 0,
    streamMaxBufferSize: 0,
    streamMaxUnacked: 0,
    busySessionRetryIntervalMs: 0,
    pingIntervalMs: 0,
    consumerMaxInactiveMs: 0,
    consumerPersistenceIntervalMs: 0,
    paused: false,
  };
  return applySettings(none, settingDefaultTexts);
}

/**
 * `base` with what `body` says. Throws `OperatorError` BAD_REQUEST for a duration or size that cannot be read
 * or is out of range; `prefix` is put before the field's name in that error.
 */
export function applySettings(base: QueueSettings, body: QueueUpdateBody, prefix = ''): QueueSettings {
  const timer = (field: string, value: string | number | undefined, current: number, minMs = 0) =>
    readDuration(`${prefix}${field}`, value, current, minMs, timerMsMax);
  const size = (field: string, value: string | number | undefined, current: number) =>
    readSize(`${prefix}${field}`, value, current);
  const localMaxInflight = body.local_max_inflight ?? base.localMaxInflight;
  // A window that is given alone is kept to the letter.
  const fastMaxInflight = body.fast_max_inflight ?? body.local_max_inflight ?? base.fastMaxInflight;
  if (fastMaxInflight < localMaxInflight) {
    throw invalidField(`${prefix}fast_max_inflight`, `is less than local_max_inflight`, fastMaxInflight);
  }
  return {
    keyExpression: body.key_expression ?? base.keyExpression,
    keyErrorPolicy: body.on_key_error ?? base.keyErrorPolicy,
    dispatchStrategy: body.dispatch_strategy ?? base.dispatchStrategy,
    dataRetentionPeriodMs: readDuration(
      `${prefix}data_retention_period`,
      body.data_retention_period,
      base.dataRetentionPeriodMs,
      1,
      retentionMsMax,
    ),
    shardMessageCountMax: size(
      'limits.max_shard_message_count',
      body.limits?.max_shard_message_count,
      base.shardMessageCountMax,
    ),
    shardMessageBytesMax: size(
      'limits.max_shard_message_bytes',
      body.limits?.max_shard_message_bytes,
      base.shardMessageBytesMax,
    ),
    messagesMax: size('max_messages', body.max_messages, base.messagesMax),
    bytesMax: size('max_bytes', body.max_bytes, base.bytesMax),
    overflowPolicy: body.overflow ?? base.overflowPolicy,
    localMaxInflight,
    fastMaxInflight,
    redispatchIntervalMs: timer('redispatch_interval', body.redispatch_interval, base.redispatchIntervalMs),
    streamMaxBufferSize: body.stream_max_buffer_size ?? base.streamMaxBufferSize,
    streamMaxUnacked: body.stream_max_unacked ?? base.streamMaxUnacked,
    busySessionRetryIntervalMs: timer(
      'busy_session_retry_interval',
      body.busy_session_retry_interval,
      base.busySessionRetryIntervalMs,
    ),
    pingIntervalMs: timer('ping_interval', body.ping_interval, base.pingIntervalMs, 1),
    consumerMaxInactiveMs: timer(
      'consumer_max_inactive',
      body.consumer_max_inactive,
      base.consumerMaxInactiveMs,
    ),
    consumerPersistenceIntervalMs: timer(
      'consumer_persistence_interval',
      body.consumer_persistence_interval,
      base.consumerPersistenceIntervalMs,
      1,
    ),
    paused: body.paused ?? base.paused,
  };
}

/** A queue as responses show it; the internal id stays inside. */
export function queueObject(queue: QueueDefinition): QueueObject {
  return {
    name: queue.name,
    topic_filter: queue.topicFilter,
    is_lastvalue: queue.isLastvalue,
    ...(queue.isLastvalue ? { key_expression: queue.keyExpression, on_key_error: queue.keyErrorPolicy } : {}),
    dispatch_strategy: queue.dispatchStrategy,
    data_retention_period: queue.dataRetentionPeriodMs,
    limits: {
      max_shard_message_count: orInfinity(queue.shardMessageCountMax),
      max_shard_message_bytes: orInfinity(queue.shardMessageBytesMax),
    },
    max_messages: orInfinity(queue.messagesMax),
    max_bytes: orInfinity(queue.bytesMax),
    overflow: queue.overflowPolicy,
    local_max_inflight: queue.localMaxInflight,
    fast_max_inflight: queue.fastMaxInflight,
    redispatch_interval: queue.redispatchIntervalMs,
    stream_max_buffer_size: queue.streamMaxBufferSize,
    stream_max_unacked: queue.streamMaxUnacked,
    busy_session_retry_interval: queue.busySessionRetryIntervalMs,
    ping_interval: queue.pingIntervalMs,
    consumer_max_inactive: queue.consumerMaxInactiveMs,
    consumer_persistence_interval: queue.consumerPersistenceIntervalMs,
    paused: queue.paused,
  };
}

/** True when EMQX's limits bound the queue; for regular queues that never changes [REF-6.1]. */
export function isLimited(settings: QueueSettings): boolean {
  return settings.shardMessageCountMax !== Infinity || settings.shardMessageBytesMax !== Infinity;
}

function orInfinity(value: number): number | 'infinity' {
  return value === Infinity ? 'infinity' : value;
}

function readDuration(
  path: string,
  value: string | number | undefined,
  current: number,
  minMs: number,
  maxMs: number,
): number {
  if (value === undefined) return current;
  const ms = readUnit(path, value, parseDurationMs);
  if (ms < minMs || ms > maxMs) throw invalidField(path, `is not within ${minMs} to ${maxMs} ms`, value);
  return ms;
}

function readSize(path: string, value: string | number | undefined, current: number): number {
  if (value === undefined) return current;
  if (value === 'infinity') return Infinity;
  const amount = readUnit(path, value, parseBytes);
  if (amount < 1) throw invalidField(path, 'is less than 1', value);
  return amount;
}

function readUnit(path: string, value: string | number, parse: (value: string | number) => number): number {
  try {
    return parse(value);
  } catch (error) {
    if (error instanceof UnitError) throw invalidField(path, error.message, value);
    throw error;
  }
}
