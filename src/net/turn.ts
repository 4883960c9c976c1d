/**
 * What all connections of a gateway do at the end of an event-loop turn. Main thread.
 *
 * Always true: connections that wait to go on are taken up first, then every booked outbox is flushed once.
 * `setImmediate` runs right after the poll phase, so all sockets that were readable and all ring frames that
 * arrived share one flush; `process.nextTick` would flush after each socket. Gives up: nothing is kept alive
 * by it, a turn without work schedules nothing.
 */

/** Something that can be flushed: an outbox. */
export interface Flushable {
  flush(): void;
}

/** Something that goes on in a later turn: a connection. */
export interface Resumable {
  goOn(): void;
}

/** See the file header. One per gateway. */
export class Turn {
  #dirty: Flushable[] = [];
  #spare: Flushable[] = [];
  #waiting: Resumable[] = [];
  #scheduled = false;
  readonly #run = (): void => this.run();

  /** Books `outbox` for the flush of this turn. The caller books once per turn. */
  flushLater(outbox: Flushable): void {
    this.#dirty.push(outbox);
    this.#schedule();
  }

  /** Calls `goOn` once, outside of the caller's stack. */
  resumeLater(connection: Resumable): void {
    this.#waiting.push(connection);
    this.#schedule();
  }

  /** Does what is booked, now. */
  run(): void {
    this.#scheduled = false;
    if (this.#waiting.length > 0) {
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const connection of waiting) connection.goOn();
    }
    const dirty = this.#dirty;
    this.#dirty = this.#spare;
    for (let i = 0; i < dirty.length; i++) dirty[i]!.flush();
    dirty.length = 0;
    this.#spare = dirty;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#run);
  }
}
