/**
 * What all connections of a gateway do at the end of an event-loop turn. Main thread.
 *
 * Always true: connections that wait to go on are taken up first, then every booked outbox is flushed once.
 * `setImmediate` runs right after the poll phase, so all sockets that were readable and all ring frames that
 * arrived share one flush; `process.nextTick` would flush after each socket. Gives up: nothing is kept alive
 * by it, a turn without work schedules nothing.
 */

import type { Pace } from '../session/context.js';
import type { Intake } from './intake.js';

/** Something that can be flushed: an outbox. */
export interface Flushable {
  /** Bytes in its current block. */
  readonly offset: number;
  flush(): void;
}

/** Something that refers to bytes of somebody else: an outbox. */
export interface Relaying {
  /** Copies them. Harmless when there are none. */
  endRelay(): void;
}

/** Something that goes on in a later turn: a connection. */
export interface Resumable {
  goOn(): void;
}

/** How often connections that wait for budget look for it, when no deliveries bring it. */
const TICK_MS = 1;
/** Bytes from which on an outbox is written before the turn ends. */
const WORTH_A_WRITE_BYTES = 1024;

/** See the file header. One per gateway. */
export class Turn implements Pace {
  readonly #intake: Intake;
  #dirty: Flushable[] = [];
  #spare: Flushable[] = [];
  #waiting: Resumable[] = [];
  readonly #relaying: Relaying[] = [];
  #scheduled = false;
  #tick: NodeJS.Timeout | undefined;
  readonly #run = (): void => this.run();
  readonly #onTick = (): void => {
    this.#tick = undefined;
    this.#intake.tick();
    this.#schedule();
  };

  constructor(intake: Intake) {
    this.#intake = intake;
  }

  get publishesLeft(): number {
    return this.#intake.publishesLeft;
  }

  set publishesLeft(left: number) {
    this.#intake.publishesLeft = left;
  }

  /** Books `outbox` for the flush of this turn. The caller books once per turn. */
  flushLater(outbox: Flushable): void {
    this.#dirty.push(outbox);
    this.#schedule();
  }

  /** `outbox` refers to bytes of the connection that is read now. */
  noteRelay(outbox: Relaying): void {
    this.#relaying.push(outbox);
  }

  /** See `Wire.endRelays`. */
  endRelays(): void {
    const relaying = this.#relaying;
    for (let i = 0; i < relaying.length; i++) relaying[i]!.endRelay();
    relaying.length = 0;
  }

  /** Calls `goOn` once, outside of the caller's stack. */
  resumeLater(connection: Resumable): void {
    this.#waiting.push(connection);
    this.#schedule();
  }

  /** `count` messages were delivered to consumers of queues: waiting publishers may take their place. */
  noteDeliveries(count: number): void {
    this.#intake.noteDelivered(count);
    if (this.#waiting.length > 0 && this.#intake.isWorthATurn) this.#schedule();
  }

  /** The next turn of the event loop begins: flushes what is booked and lets waiting connections go on. */
  run(): void {
    this.#scheduled = false;
    const intake = this.#intake;
    intake.turn();
    if (this.#waiting.length > 0) {
      const waiting = this.#waiting;
      this.#waiting = [];
      let next = 0;
      while (next < waiting.length && intake.publishesLeft > 0) waiting[next++]!.goOn();
      // Those that had no turn come first in the next one.
      if (next < waiting.length) this.#waiting = [...waiting.slice(next), ...this.#waiting];
      if (this.#waiting.length > 0) this.#goOnLater();
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

  #goOnLater(): void {
    if (this.#intake.isOpen || this.#intake.isWorthATurn) this.#schedule();
    else if (this.#tick === undefined) this.#tick = setTimeout(this.#onTick, TICK_MS);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#run);
  }
}
