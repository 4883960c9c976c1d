/**
 * What the broker is doing, as the event stream says it. Main thread; pure.
 *
 * Always true: names end in their unit; rates are per second, loads and fills are parts of 1. Gives up: decimals that
 * nobody reads.
 */
import Type, { type Static } from 'typebox';

import type { OverviewReading } from '../broker/overview.js';

const count = Type.Integer({ minimum: 0 });
const rate = Type.Number({ minimum: 0, description: 'Per second.' });
const milliseconds = Type.Number({ minimum: 0 });
const part = Type.Number({ minimum: 0, maximum: 1 });

/** Data of the event `overview`. */
export const OverviewObject = Type.Object({
  time_ms: Type.Integer({ description: 'Wall clock, ms since 1970.' }),
  uptime_ms: count,
  connections: count,
  sessions: count,
  subscriptions: count,
  retained: count,
  messages_in_per_s: rate,
  messages_out_per_s: rate,
  bytes_in_per_s: rate,
  bytes_out_per_s: rate,
  queues: Type.Object({ count, ready: count, in_flight: count, oldest_age_ms: milliseconds }),
  shards: Type.Array(
    Type.Object({
      id: count,
      state: Type.Enum(['starting', 'up', 'down']),
      load: part,
      ring_fill: part,
      event_loop_delay_ms: milliseconds,
      commit_p99_ms: milliseconds,
    }),
  ),
  main_load: part,
  event_loop_delay_ms: milliseconds,
  memory_bytes: count,
  heap_bytes: count,
  disk_bytes: count,
});

/** Makes the data of one event. */
export function overviewObject(reading: OverviewReading): Static<typeof OverviewObject> {
  const { rates } = reading;
  return {
    time_ms: reading.atMs,
    uptime_ms: Math.round(reading.uptimeMs),
    connections: reading.connections,
    sessions: reading.sessions,
    subscriptions: reading.subscriptions,
    retained: reading.retained,
    messages_in_per_s: rounded(rates.messagesIn),
    messages_out_per_s: rounded(rates.messagesOut),
    bytes_in_per_s: rounded(rates.bytesIn),
    bytes_out_per_s: rounded(rates.bytesOut),
    queues: {
      count: reading.queueCount,
      ready: reading.ready,
      in_flight: reading.inFlight,
      oldest_age_ms: Math.round(reading.oldestAgeMs),
    },
    shards: reading.shards.map((shard) => ({
      id: shard.shardId,
      state: shard.state,
      load: rounded(shard.load),
      ring_fill: rounded(shard.ringFill),
      event_loop_delay_ms: rounded(shard.eventLoopDelayMs),
      commit_p99_ms: rounded(shard.commitP99Ms),
    })),
    main_load: rounded(reading.main.load),
    event_loop_delay_ms: rounded(reading.main.eventLoopDelayMs),
    memory_bytes: reading.memoryBytes,
    heap_bytes: reading.heapBytes,
    disk_bytes: reading.diskBytes,
  };
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
