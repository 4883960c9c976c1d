/**
 * Open-loop pace: calls `send(count, intendedMs)` at fixed moments, however the broker behaves. Runs in the load processes.
 *
 * Always true: every message has an intended send time from the plan, and gets that time as its stamp even when it
 * leaves late, so that a stall of the broker shows in the latency of all messages that it held up. Up to 1,000/s every
 * message has a moment of its own; above, a millisecond's messages leave together. What it gives up: some CPU, as the
 * last moment before a tick is spent spinning.
 */
import { Worker } from 'node:worker_threads';
import { nowMs } from './clock.mjs';

const LEAD_MS = 0.1;
const TICK_MIN_MS = 1;

/** Starts at `ratePerSecond`; answers how to stop. */
export function startPace(ratePerSecond, send) {
  const tickMs = Math.max(TICK_MIN_MS, 1000 / ratePerSecond);
  const startMs = nowMs();
  const shared = new SharedArrayBuffer(8);
  const cells = new Int32Array(shared);
  const worker = new Worker(new URL('./pacer-thread.mjs', import.meta.url), {
    workerData: { shared, startMs, tickMs, leadMs: LEAD_MS },
  });
  let tick = 0;
  let sent = 0;
  worker.on('message', () => {
    Atomics.store(cells, 0, 0);
    let atMs = nowMs();
    const nextMs = startMs + (tick + 1) * tickMs;
    while (atMs < nextMs && nextMs - atMs <= 2 * LEAD_MS) atMs = nowMs();
    while (startMs + (tick + 1) * tickMs <= atMs) {
      tick += 1;
      const due = Math.floor((tick * tickMs * ratePerSecond) / 1000 + 1e-6);
      if (due > sent) send(due - sent, startMs + tick * tickMs);
      sent = due;
    }
  });
  return () => {
    void worker.terminate();
  };
}
