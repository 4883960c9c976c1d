/**
 * Looks at the event loop of its thread ten times a second: how late, how busy. Main thread and shard workers.
 *
 * Always true: it costs one timer and two clock reads per look, whatever the load, and keeps no process alive. Gives up:
 * what is shorter than the time between two looks may be missed; a histogram of every turn would be paid by every turn.
 */
import { performance } from 'node:perf_hooks';

import { slot } from './counter-layout.js';
import type { Counters } from './counter.js';

/** Time between two looks. */
export const LOOK_INTERVAL_MS = 100;

/** What a thread may add. */
export interface LoopProbeOptions {
  /** Time that the thread spent waiting outside of its event loop so far, ms. */
  readonly waitedMs?: () => number;
  /** Called with every look. */
  readonly onLook?: () => void;
}

/** See the file header. One per thread, from its start to its end. */
export class LoopProbe {
  readonly #counters: Counters;
  readonly #options: LoopProbeOptions;
  readonly #busyBeforeMs: number;
  #timer: NodeJS.Timeout | undefined;
  #lastMs = 0;

  constructor(counters: Counters, options: LoopProbeOptions = {}) {
    this.#counters = counters;
    this.#options = options;
    // A shard's counter goes on where the worker before has left it.
    this.#busyBeforeMs = counters.get(slot.eventLoopBusySeconds) * 1000;
  }

  /** Begins to look. */
  start(): void {
    this.#lastMs = performance.now();
    this.#timer = setInterval(() => this.#look(), LOOK_INTERVAL_MS).unref();
  }

  /** Ends it. */
  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const nowMs = performance.now();
    const lateMs = Math.max(0, nowMs - this.#lastMs - LOOK_INTERVAL_MS);
    this.#lastMs = nowMs;
    this.#counters.observe('eventLoopDelaySeconds', lateMs / 1000);
    const activeMs = performance.eventLoopUtilization().active - (this.#options.waitedMs?.() ?? 0);
    const before = this.#counters.get(slot.eventLoopBusySeconds);
    const busy = (this.#busyBeforeMs + Math.max(0, activeMs)) / 1000;
    // The wait under way is not counted yet: what only grows must not fall for it.
    this.#counters.set(slot.eventLoopBusySeconds, Math.max(before, busy));
    this.#options.onLook?.();
  }
}
