/**
 * Whether there is processor time left, for the intake. Main thread.
 *
 * Always true: an answer covers the time since the answer before it. A machine counts as full when its cores together
 * were idle for less than `IDLE_MIN` of that time, this thread when its event loop waited for less than `WAIT_MIN` of it.
 * Gives up: limits of a container below the machine's cores are not seen; there only the event loop tells.
 */
import os from 'node:os';
import { performance, type EventLoopUtilization } from 'node:perf_hooks';

/** Threads that wake each other leave a fifth of two full cores idle. */
const IDLE_MIN = 0.3;
const WAIT_MIN = 0.05;

/** See the file header. One per gateway. */
export class Fullness {
  #cores = coreTimes();
  #loop: EventLoopUtilization = performance.eventLoopUtilization();

  /** Answers for the time since it was last called, and begins the next span. */
  readonly isFull = (): boolean => {
    const cores = coreTimes();
    const loop = performance.eventLoopUtilization();
    const all = cores.all - this.#cores.all;
    const isMachineFull = all > 0 && (cores.idle - this.#cores.idle) / all < IDLE_MIN;
    const isLoopFull = performance.eventLoopUtilization(loop, this.#loop).utilization > 1 - WAIT_MIN;
    this.#cores = cores;
    this.#loop = loop;
    return isMachineFull || isLoopFull;
  };
}

/** Milliseconds that the cores spent so far, together. */
function coreTimes(): { idle: number; all: number } {
  let idle = 0;
  let all = 0;
  for (const { times } of os.cpus()) {
    idle += times.idle;
    all += times.idle + times.user + times.nice + times.sys + times.irq;
  }
  return { idle, all };
}
