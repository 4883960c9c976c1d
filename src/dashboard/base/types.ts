/**
 * What the REST API and the event stream answer, as far as several pages use it. In the browser; types only.
 *
 * Always true: names and units are the API's own (docs/rest-api.md): `_ms` milliseconds, `_bytes` bytes, `_per_s` per second.
 * What only one page uses stands beside that page. Gives up checking: the broker that serves these files also answers.
 */

/** A worker thread with its part of the queues. */
export interface ShardReading {
  readonly id: number;
  readonly state: 'starting' | 'up' | 'down';
  /** Share of time that the worker is busy, 0 to 1; the rest of the figures, too, only once they are known. */
  readonly load?: number;
  /** Share of the ring towards the worker that is in use, 0 to 1. */
  readonly ring_fill?: number;
  readonly event_loop_delay_ms?: number;
  readonly commit_p99_ms: number;
}

/** `event: overview`, once per second. */
export interface Overview {
  readonly time_ms: number;
  readonly uptime_ms: number;
  readonly connections: number;
  readonly sessions: number;
  readonly subscriptions: number;
  readonly retained: number;
  readonly messages_in_per_s: number;
  readonly messages_out_per_s: number;
  readonly bytes_in_per_s: number;
  readonly bytes_out_per_s: number;
  readonly queues: {
    readonly count: number;
    readonly ready: number;
    readonly in_flight: number;
    readonly oldest_age_ms: number;
  };
  readonly shards: readonly ShardReading[];
  /** Share of time that the main thread is busy, 0 to 1. */
  readonly main_load: number;
  readonly event_loop_delay_ms: number;
  readonly memory_bytes: number;
  readonly heap_bytes: number;
  readonly disk_bytes: number;
}

/** How the next message of a queue finds its consumer. */
export type DispatchStrategy = 'random' | 'round_robin' | 'least_inflight';

/** A queue with its figures, as `/queues_overview` and `event: queues` give it. */
export interface QueueRow {
  readonly name: string;
  readonly topic_filter: string;
  readonly is_lastvalue: boolean;
  readonly dispatch_strategy: DispatchStrategy;
  readonly paused: boolean;
  readonly ready: number;
  readonly in_flight: number;
  readonly consumers: number;
  readonly in_rate: number;
  readonly out_rate: number;
  readonly oldest_age_ms: number;
}

/** `event: log`, and an entry of `/logs`. */
export interface LogEntry {
  readonly time_ms: number;
  readonly level: 'warn' | 'error' | 'fatal';
  readonly module: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A page of a list that counts its pages. */
export interface Page<T> {
  readonly data: readonly T[];
  readonly meta: {
    readonly page: number;
    readonly limit: number;
    readonly count: number;
    readonly hasnext?: boolean;
  };
}
