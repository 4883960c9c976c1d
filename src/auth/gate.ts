/**
 * Lets a bounded number of jobs run at a time, a bounded number wait, and turns the others away. Main thread.
 *
 * Always true: at most `activeMax` jobs run and `waitingMax` wait; they start in the order in which they came; a job
 * that fails frees its place. Gives up: fairness between clients, which the limits on connections provide.
 */
import { assert } from '../base/error.js';

/** See the file header. */
export class Gate {
  readonly #activeMax: number;
  readonly #waitingMax: number;
  readonly #waiting: (() => void)[] = [];
  #head = 0;
  #active = 0;

  constructor(activeMax: number, waitingMax: number) {
    assert(activeMax >= 1 && waitingMax >= 0, 'a gate lets at least one job run');
    this.#activeMax = activeMax;
    this.#waitingMax = waitingMax;
  }

  /** Jobs that run now. */
  get active(): number {
    return this.#active;
  }

  /** Jobs that wait. */
  get waiting(): number {
    return this.#waiting.length - this.#head;
  }

  /** Runs `job` when there is room. Undefined, at once: too many wait. */
  run<T>(job: () => Promise<T>): Promise<T> | undefined {
    if (this.#active < this.#activeMax) return this.#start(job);
    if (this.waiting >= this.#waitingMax) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push(() => resolve(this.#start(job)));
    });
  }

  async #start<T>(job: () => Promise<T>): Promise<T> {
    this.#active += 1;
    try {
      return await job();
    } finally {
      this.#active -= 1;
      this.#next();
    }
  }

  #next(): void {
    const start = this.#waiting[this.#head];
    if (start === undefined) return;
    this.#head += 1;
    if (this.#head > 1024 || this.#head === this.#waiting.length) {
      this.#waiting.splice(0, this.#head);
      this.#head = 0;
    }
    start();
  }
}
