/**
 * What the broker is doing, in one look and once a second for those who watch. Main thread.
 *
 * Always true: one timer serves all watchers, and there is none without watchers; a reading disturbs no writer. Figures of
 * a shard come from the counters of its thread and from what its worker has reported last.
 * Cost: a few sums over the counters, and one reading of the queues (queue-overview.ts), per second while watched.
 */
import type { GatewayContext } from '../session/context.js';
import type { ShardState, Shards } from '../shard/link.js';
import { BLOCK_SLOTS, slot } from '../telemetry/counter-layout.js';
import { CounterReader, MAIN_BLOCK, workerBlock } from '../telemetry/counter.js';
import { catalogue } from '../telemetry/metric-catalogue.js';
import type { LoadMeter, LoadRates } from './load-meter.js';
import type { QueueOverview, QueueRow } from './queue-overview.js';

/** One shard in the last second. */
export interface ShardReading extends ShardState, ThreadReading {
  /** Part of the ring towards the shard that was in use, 0 to 1. */
  readonly ringFill: number;
  /** 99 % of its group commits took at most this; 0 without any. */
  readonly commitP99Ms: number;
}

/** One thread in the last second. */
interface ThreadReading {
  /** Part of the time that it was busy, 0 to 1. */
  readonly load: number;
  /** 99 % of the looks at its event loop were late by at most this; in steps, the first at 1 ms. */
  readonly eventLoopDelayMs: number;
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
  readonly main: ThreadReading;
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

/** See the file header. */
export class Overview {
  readonly #parts: OverviewParts;
  readonly #counters: CounterReader;
  readonly #values: Float64Array;
  readonly #listeners = new Set<OverviewListener>();
  /** What was seen last: by thread the seconds that it was busy, by thread and histogram the counts. */
  readonly #busy = new Map<number, number>();
  readonly #counts = new Map<string, Float64Array>();
  #timer: NodeJS.Timeout | undefined;
  #readAtMs = 0;
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
    this.#readAtMs = performance.now();
    this.#lookAtThreads(1);
    this.#timer = setInterval(() => void this.#tick(), tickMs);
    this.#timer.unref();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
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
    const nowMs = performance.now();
    const { main, byShard } = this.#lookAtThreads((nowMs - this.#readAtMs) / 1000);
    this.#readAtMs = nowMs;
    const readings = shards.shardStates().map((state, index) => ({ ...state, ...byShard[index]! }));
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
      main,
      memoryBytes: rss,
      heapBytes: heapUsed,
      diskBytes: readings.reduce((sum, { diskBytes }) => sum + diskBytes, 0),
    };
  }

  /** What the threads have counted since the last look, which was `seconds` ago. */
  #lookAtThreads(seconds: number) {
    const byShard = this.#parts.shards.shardStates().map(({ shardId }) => {
      const block = workerBlock(shardId);
      return {
        ...this.#thread(block, seconds),
        ringFill: Math.min(1, this.#values[block * BLOCK_SLOTS + slot.ringToShardFill] ?? 0),
        commitP99Ms: this.#p99Ms(block, 'groupCommitSeconds'),
      };
    });
    return { main: this.#thread(MAIN_BLOCK, seconds), byShard };
  }

  #thread(block: number, seconds: number): ThreadReading {
    const busy = this.#values[block * BLOCK_SLOTS + slot.eventLoopBusySeconds] ?? 0;
    const grown = busy - (this.#busy.get(block) ?? busy);
    this.#busy.set(block, busy);
    return {
      load: Math.min(1, Math.max(0, grown / seconds)),
      eventLoopDelayMs: this.#p99Ms(block, 'eventLoopDelaySeconds'),
    };
  }

  /** Of the histogram of one thread, as far as it has grown since the last look; 0 when it has not. */
  #p99Ms(block: number, key: 'groupCommitSeconds' | 'eventLoopDelaySeconds'): number {
    const { bounds } = catalogue[key];
    const first = block * BLOCK_SLOTS + slot[key];
    const now = this.#values.slice(first, first + bounds.length + 1);
    const before = this.#counts.get(`${block} ${key}`) ?? now;
    this.#counts.set(`${block} ${key}`, now);
    const growth = now.map((value, index) => Math.max(0, value - (before[index] ?? 0)));
    const total = growth.reduce((sum, value) => sum + value, 0);
    if (total === 0) return 0;
    let seen = 0;
    for (const [index, value] of growth.entries()) {
      seen += value;
      if (seen >= total * 0.99) return (bounds[index] ?? bounds.at(-1)!) * 1000;
    }
    return 0;
  }
}
