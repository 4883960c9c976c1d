/**
 * The queue system's configuration as operators write and read it. Runs on the main thread; pure.
 *
 * Always true: one row per key says its name in the API, its field in `MqConfig` and thereby its range
 * (src/config/schema.ts): a value is good over REST exactly when it is good as an environment variable.
 * Names and texts are EMQX's [REF-7.4, REF-8]; keys that only Sluice has follow the same style.
 */
import Type, { type Static } from 'typebox';

import type { MqConfig } from '../config/config.js';
import { AutoCreateLastvalue, AutoCreateRegular } from './queue-schema.js';

const duration = Type.Optional(
  Type.Union([Type.Integer({ minimum: 0 }), Type.String({ minLength: 1, maxLength: 64 })], {
    description: 'whole milliseconds, or a text such as 100ms, 10s, 1h30m or 7d',
  }),
);
const flagWord = Type.Union([Type.Boolean(), Type.Enum(['true', 'false'])], { description: 'true or false' });

/** How finely EMQX counts towards its limits; Sluice counts exactly and only keeps the values. */
const Quota = Type.Object(
  {
    threshold_percentage: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
    buffer_max_size: Type.Optional(Type.Integer({ minimum: 1 })),
    buffer_flush_interval: duration,
    buffer_pool_size: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  { additionalProperties: false, description: 'Accepted for compatibility; counts are exact without it.' },
);

const AutoCreate = Type.Object(
  {
    regular: Type.Optional(
      Type.Union([Type.Literal(false), AutoCreateRegular], {
        description: 'false or the settings of a queue',
      }),
    ),
    lastvalue: Type.Optional(
      Type.Union([Type.Literal(false), AutoCreateLastvalue], {
        description: 'false or the settings of a queue',
      }),
    ),
  },
  { additionalProperties: false, description: 'Queues made by subscribing; at most one of the two kinds.' },
);

const fields = {
  enable: Type.Optional(
    Type.Union([Type.Boolean(), Type.Enum(['auto', 'true', 'false'])], {
      description: 'true, false or auto',
    }),
  ),
  gc_interval: duration,
  regular_queue_retention_period: duration,
  max_queue_count: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000_000 })),
  find_queue_retry_interval: duration,
  auto_create: Type.Optional(AutoCreate),
  quota: Type.Optional(Quota),
  require_mqtt5: Type.Optional(flagWord),
  qos0_delivery: Type.Optional(Type.Enum(['upgrade', 'auto_ack'])),
  on_store_error: Type.Optional(Type.Enum(['reject', 'ignore'])),
  on_key_error: Type.Optional(Type.Enum(['drop', 'reject', 'use_empty'])),
  missing_queue: Type.Optional(Type.Enum(['wait', 'reject'])),
};

/** Body of PUT; a key that is left out stays as it is. */
export const MqConfigPatch = Type.Object(fields, { additionalProperties: false });
export type MqConfigPatch = Static<typeof MqConfigPatch>;

/** What GET answers: every key, with values as they were given. */
export const MqConfigObject = Type.Required(MqConfigPatch);
export type MqConfigObject = Static<typeof MqConfigObject>;

/** Keys with a plain value, and the field of `MqConfig` that each becomes. */
export const plainKeys = {
  enable: 'enable',
  gc_interval: 'gcIntervalMs',
  regular_queue_retention_period: 'regularQueueRetentionPeriodMs',
  max_queue_count: 'maxQueueCount',
  find_queue_retry_interval: 'findQueueRetryIntervalMs',
  require_mqtt5: 'requireMqtt5',
  qos0_delivery: 'qos0Delivery',
  on_store_error: 'onStoreError',
  on_key_error: 'onKeyError',
  missing_queue: 'missingQueue',
} as const satisfies Partial<Record<keyof MqConfigPatch, keyof MqConfig>>;
/** A key with a plain value. */
export type PlainKey = keyof typeof plainKeys;

/** Defaults of keys that only EMQX has a use for. */
export const quotaDefaults = {
  threshold_percentage: 10,
  buffer_max_size: 100,
  buffer_flush_interval: '1000ms',
  buffer_pool_size: 16,
} as const satisfies MqConfigPatch['quota'];
