/**
 * Coalesces requests to make a log durable. Runs on the shard worker.
 *
 * Always true: one flush is in flight at a time; a request that comes meanwhile waits for the next flush, which
 * starts after the request, so what was written before the request is covered. `done`s are called once each, in
 * the order of the requests, from the event loop. After a failed flush every later request fails with the first
 * reason: a kernel may drop dirty pages after reporting the error once, so a retry that succeeds proves nothing.
 */
import type { OperationalError } from '../base/error.js';

/** Called once when a request is durable (null) or cannot become so. */
export type SyncDone = (error: OperationalError | null) => void;

/** One per log. `flush` makes everything written before its call durable and calls back later, never at once. */
export class SyncQueue {
  readonly #flush: (done: SyncDone) => void;
  #running: SyncDone[] = [];
  #waiting: SyncDone[] = [];
  #inFlight = false;
  #failure: OperationalError | null = null;

  constructor(flush: (done: SyncDone) => void) {
    this.#flush = flush;
  }

  /** True while a flush runs or a request waits. */
  get busy(): boolean {
    return this.#inFlight;
  }

  /** See the header. */
  request(done: SyncDone): void {
    this.#waiting.push(done);
    if (!this.#inFlight) this.#start();
  }

  #start(): void {
    this.#inFlight = true;
    this.#running = this.#waiting;
    this.#waiting = [];
    if (this.#failure === null) this.#flush(this.#finish);
    else setImmediate(this.#finish, this.#failure);
  }

  readonly #finish = (error: OperationalError | null): void => {
    if (error !== null && this.#failure === null) this.#failure = error;
    const requests = this.#running;
    const failure = this.#failure;
    // The next flush starts before the callbacks run, so that the disk does not wait for them.
    if (this.#waiting.length > 0) this.#start();
    else this.#inFlight = false;
    for (const done of requests) done(failure);
  };
}
