/**
 * What the broker is doing, in one look and once a second for those who watch. Main thread.
 *
 * Always true: one timer serves all watchers, and there is none without watchers; a reading disturbs no writer. Figures of
 * a shard come from the counters of its thread and from what its worker has reported last.
 * Cost: a few sums over the counters, and one reading of the queues (queue-overview.ts), per second while watched.
 */
import {
  monitorEventLoopDelay,
  performance,
  type EventLoopUtilization,
  type IntervalHistogram,
} from 'node:perf_hooks';

import type { GatewayContext } from '../session/context.js';
import type { ShardState, Shards } from '../shard/link.js';
import { BLOCK_SLOTS, slot } from '../telemetry/counter-layout.js';
import { CounterReader, workerBlock } from '../telemetry/counter.js';
import { catalogue } from '../telemetry/metric-catalogue.js';
import type { LoadMeter, LoadRates } from './load-meter.js';
import type { QueueOverview, QueueRow } from './queue-overview.js';

/** One shard in the last second. */
export interface ShardReading extends ShardState {
  /** 99 % of its group commits took at most this; 0 without any. */
  readonly commitP99Ms: number;
}

/** See the file header. */
export interface OverviewReading {
  readonly atMs: number;
  readonly uptimeMs: number;
  readonly connections: number;
  readonly sessions: number;
  readonly subscriptions: number;
  readonly retained: number;
  readonly rates: LoadRates;
  readonly queueCount: number;
  readonly ready: number;
  readonly inFlight: number;
  readonly oldestAgeMs: number;
  readonly shards: readonly ShardReading[];
  /** Part of the time that the main thread was busy, 0 to 1. */
  readonly mainLoad: number;
  /** 99 % of what was due on the main thread waited at most this. */
  readonly eventLoopDelayMs: number;
  readonly memoryBytes: number;
  readonly heapBytes: number;
  readonly diskBytes: number;
}

/** Hears of every reading, with the rows of all queues. */
export type OverviewListener = (reading: OverviewReading, rows: readonly QueueRow[]) => void;

/** What it reads. */
export interface OverviewParts {
  readonly gateway: GatewayContext;
  readonly shards: Pick<Shards, 'shardStates'>;
  readonly queues: QueueOverview;
  readonly load: LoadMeter;
  readonly counterMemory: SharedArrayBuffer;
  readonly uptimeMs: () => number;
}

const tickMs = 1000;
/** Time between two looks at the delay of the event loop; the histogram counts it in. */
const delayResolutionMs = 20;

/** See the file header. */
export class Overview {
  readonly #parts: OverviewParts;
  readonly #counters: CounterReader;
  readonly #values: Float64Array;
  readonly #listeners = new Set<OverviewListener>();
  readonly #commits = new Map<number, Float64Array>();
  #timer: NodeJS.Timeout | undefined;
  #delay: IntervalHistogram | undefined;
  #utilization: EventLoopUtilization = performance.eventLoopUtilization();
  #isReading = false;

  constructor(parts: OverviewParts) {
    this.#parts = parts;
    this.#counters = new CounterReader(parts.counterMemory);
    this.#values = new Float64Array(parts.counterMemory);
  }

  /** Calls `listener` about once a second, the first time soon, until the returned function is called. */
  watch(listener: OverviewListener): () => void {
    this.#listeners.add(listener);
    if (this.#timer === undefined) this.#start();
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#stop();
    };
  }

  /** Ends what may still be running. */
  close(): void {
    this.#listeners.clear();
    this.#stop();
  }

  #start(): void {
    this.#parts.load.tick();
    this.#utilization = performance.eventLoopUtilization();
    this.#delay = monitorEventLoopDelay({ resolution: delayResolutionMs });
    this.#delay.enable();
    this.#timer = setInterval(() => void this.#tick(), tickMs);
    this.#timer.unref();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#delay?.disable();
    this.#delay = undefined;
  }

  async #tick(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      const rows = await this.#parts.queues.rows();
      if (this.#timer === undefined) return;
      const reading = this.#read(rows);
      for (const listener of this.#listeners) listener(reading, rows);
    } finally {
      this.#isReading = false;
    }
  }

  #read(rows: readonly QueueRow[]): OverviewReading {
    const { gateway, shards, load, uptimeMs } = this.#parts;
    const counters = this.#counters;
    const { rss, heapUsed } = process.memoryUsage();
    const utilization = performance.eventLoopUtilization();
    const { utilization: mainLoad } = performance.eventLoopUtilization(utilization, this.#utilization);
    this.#utilization = utilization;
    const readings = shards
      .shardStates()
      .map((state) => ({ ...state, commitP99Ms: this.#commitP99(state.shardId) }));
    let ready = 0;
    let inFlight = 0;
    let oldestAgeMs = 0;
    for (const row of rows) {
      ready += row.ready;
      inFlight += row.inFlight;
      oldestAgeMs = Math.max(oldestAgeMs, row.oldestAgeMs);
    }
    return {
      atMs: Date.now(),
      uptimeMs: uptimeMs(),
      connections: counters.total(slot.connections),
      sessions: gateway.registry.size,
      subscriptions: counters.total(slot.subscriptions) + counters.total(slot.queueSubscriptions),
      retained: gateway.retained.count,
      rates: load.tick(),
      queueCount: rows.length,
      ready,
      inFlight,
      oldestAgeMs,
      shards: readings,
      mainLoad,
      eventLoopDelayMs: this.#delayMs(),
      memoryBytes: rss,
      heapBytes: heapUsed,
      diskBytes: readings.reduce((sum, { diskBytes }) => sum + diskBytes, 0),
    };
  }

  #delayMs(): number {
    const delay = this.#delay;
    if (delay === undefined || delay.count === 0) return 0;
    const p99 = delay.percentile(99) / 1e6 - delayResolutionMs;
    delay.reset();
    return Math.max(0, p99);
  }

  /** From the histogram of the shard, as far as it has grown since the last look. */
  #commitP99(shardId: number): number {
    const { bounds } = catalogue.groupCommitSeconds;
    const first = workerBlock(shardId) * BLOCK_SLOTS + slot.groupCommitSeconds;
    const now = this.#values.slice(first, first + bounds.length + 1);
    const before = this.#commits.get(shardId);
    this.#commits.set(shardId, now);
    const growth = now.map((value, index) => Math.max(0, value - (before?.[index] ?? 0)));
    const total = growth.reduce((sum, value) => sum + value, 0);
    let seen = 0;
    for (const [index, value] of growth.entries()) {
      seen += value;
      if (total > 0 && seen >= total * 0.99) return (bounds[index] ?? bounds.at(-1)!) * 1000;
    }
    return 0;
  }
}
