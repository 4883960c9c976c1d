/**
 * Bounds over all clients of a gateway together: what waits in their outboxes, and in their sessions' queues. Main thread.
 *
 * Always true: every block of an outbox and every message of a queue is counted from when it is taken to when it is given
 * back; a bound per client that is harmless for one is not what a thousand slow ones get. Gives up: exactness. An empty
 * outbox takes one message of any size, and acknowledgements and deliveries of queues are bounded by windows instead.
 *
 *   bound of one outbox
 *     bytesMax ───────────╮
 *                           ╲            the slowest are above it first
 *     least  ─ ─ ─ ─ ─ ─ ─ ─ ─╰──────
 *              0      half    all      memory of all outboxes
 */
import type { Config } from '../config/config.js';
import { slot } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';

/** What one outbox may always hold. */
const outboxBytesMin = 4096;

/** Memory of all outboxes of a gateway. */
export class OutboxLimit {
  /** Bytes that may wait in one outbox for now. */
  bytesMax: number;
  readonly #bytesMax: number;
  readonly #halfBytes: number;
  readonly #counters: Counters | undefined;
  #heldBytes = 0;

  /** `bytesMax` of one outbox while there is room, `allBytesMax` of all of them. */
  constructor(bytesMax: number, allBytesMax: number, counters?: Counters) {
    this.bytesMax = bytesMax;
    this.#bytesMax = bytesMax;
    this.#halfBytes = allBytesMax / 2;
    this.#counters = counters;
  }

  /** A block of `bytes` was taken, or given back when `bytes` is negative. */
  add(bytes: number): void {
    this.#heldBytes += bytes;
    this.#counters?.add(slot.outboxBytes, bytes);
    const beyond = this.#heldBytes - this.#halfBytes;
    this.bytesMax =
      beyond <= 0
        ? this.#bytesMax
        : Math.max(outboxBytesMin, Math.floor(this.#bytesMax * (1 - beyond / this.#halfBytes)));
  }
}

/** Bytes that queues share. */
export class MemoryBudget {
  readonly #bytesMax: number;
  readonly #counters: Counters | undefined;
  #bytes = 0;

  constructor(bytesMax: number, counters?: Counters) {
    this.#bytesMax = bytesMax;
    this.#counters = counters;
  }

  get bytes(): number {
    return this.#bytes;
  }

  hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= this.#bytesMax;
  }

  /** Counts `bytes`, or gives them back when they are negative. */
  add(bytes: number): void {
    this.#bytes += bytes;
    this.#counters?.add(slot.sessionQueueBytes, bytes);
  }
}

/** Both, for one gateway. */
export interface MemoryLimits {
  readonly outboxes: OutboxLimit;
  readonly sessionQueues: MemoryBudget;
}

/** As configured. */
export function memoryLimits(config: Config, counters: Counters): MemoryLimits {
  return {
    outboxes: new OutboxLimit(config.outboxBytesMax, config.outboxesBytesMax, counters),
    sessionQueues: new MemoryBudget(config.sessionQueuesBytesMax, counters),
  };
}
