/**
 * What all connections of a gateway do at the end of an event-loop turn. Main thread.
 *
 * Always true: connections that wait to go on are taken up first, then every booked outbox is flushed once.
 * `setImmediate` runs right after the poll phase, so all sockets that were readable and all ring frames that
 * arrived share one flush; `process.nextTick` would flush after each socket. Gives up: nothing is kept alive
 * by it, a turn without work schedules nothing.
 */

import type { Pace } from '../session/context.js';

/** Something that can be flushed: an outbox. */
export interface Flushable {
  /** Bytes in its current block. */
  readonly offset: number;
  flush(): void;
}

/** Something that goes on in a later turn: a connection. */
export interface Resumable {
  goOn(): void;
}

/** Publishes to queues per turn while messages are being delivered, and while none are. */
const PACED = 64;
const UNPACED = 2048;
/** Bytes from which on an outbox is written before the turn ends. */
const WORTH_A_WRITE_BYTES = 1024;

/** See the file header. One per gateway. */
export class Turn implements Pace {
  publishesLeft = UNPACED;
  #deliveredLately = 0;
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

  /** Messages were delivered to consumers of queues in this turn. */
  noteDeliveries(): void {
    this.#deliveredLately = 64;
  }

  /** The next turn of the event loop begins: flushes what is booked and lets waiting connections go on. */
  run(): void {
    this.#scheduled = false;
    this.publishesLeft = this.#deliveredLately > 0 ? PACED : UNPACED;
    if (this.#deliveredLately > 0) this.#deliveredLately--;
    if (this.#waiting.length > 0) {
      const waiting = this.#waiting;
      this.#waiting = [];
      let next = 0;
      while (next < waiting.length && this.publishesLeft > 0) waiting[next++]!.goOn();
      // Those that had no turn come first in the next one.
      if (next < waiting.length) {
        this.#waiting = [...waiting.slice(next), ...this.#waiting];
        this.#schedule();
      }
    }
    this.flush();
  }

  /** Writes booked outboxes that hold enough to be worth a system call; the others wait for the end of the turn. */
  flushFull(): void {
    const dirty = this.#dirty;
    let kept = 0;
    for (let i = 0; i < dirty.length; i++) {
      const outbox = dirty[i]!;
      if (outbox.offset >= WORTH_A_WRITE_BYTES) outbox.flush();
      else dirty[kept++] = outbox;
    }
    dirty.length = kept;
  }

  /** Writes every booked outbox. */
  flush(): void {
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
