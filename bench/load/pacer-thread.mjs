/**
 * The waking half of the pacer: a thread that sleeps to fractions of a millisecond, which timers of the event loop cannot.
 *
 * Always true: at most one wake-up is on its way; when the other side is late, ticks are skipped, not queued.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { nowMs } from './clock.mjs';

const { shared, startMs, tickMs, leadMs } = workerData;
const cells = new Int32Array(shared);
const WOKEN = 0;
const SLEEP = 1;

for (let tick = 1; ; tick += 1) {
  const wakeMs = startMs + tick * tickMs - leadMs;
  const restMs = wakeMs - nowMs();
  if (restMs > 0) Atomics.wait(cells, SLEEP, 0, restMs);
  else tick += Math.floor(-restMs / tickMs);
  if (Atomics.compareExchange(cells, WOKEN, 0, 1) === 0) parentPort.postMessage(0);
}
