/**
 * Messages of one queue that were taken from its cursor and are with nobody: given back, refused, or set aside.
 * Shard worker; time is an argument.
 *
 *   returned   by offset; anyone may have them, before anything newer       (detach, release)
 *   refused    in turn; others may have them now, anyone once they are due  (reject, No Local)
 *
 * Always true: an entry is in one of the two or with a consumer; `dueMs` is exact after each dispatch and Infinity when
 * no time is waited for. Gives up: one dispatch looks at no more than `REFUSED_SCAN_MAX` refused messages.
 */
import type { InFlightTable } from './in-flight.js';
import type { DispatchEnd } from './queue.js';
import { SlotHeap } from './slot-heap.js';

/** Refused messages looked at per dispatch. */
const REFUSED_SCAN_MAX = 128;

/** What a second attempt asks of its queue. */
export interface RedeliveryTarget {
  /** False when all windows are full. */
  readonly consumers: { hasCredit(): boolean };
  /** False also when the queue has as many in flight as it may. */
  readonly hasCredit: boolean;
  /** Delivers an entry to anyone but the consumer `excluded` (-1: nobody is). Undefined when the entry is dealt with. */
  tryAgain(slot: number, excluded: number, nowMs: number): DispatchEnd | undefined;
}

/** See the file header. */
export class Redelivery {
  readonly #target: RedeliveryTarget;
  readonly #inFlight: InFlightTable;
  readonly #returned = new SlotHeap();
  #refused: number[] = [];
  #dueMs = Number.POSITIVE_INFINITY;
  /** How many of the refused have a due time; the others only wait for another consumer. */
  #timedCount = 0;

  constructor(target: RedeliveryTarget, inFlight: InFlightTable) {
    this.#target = target;
    this.#inFlight = inFlight;
  }

  /** Messages that go before anything new. */
  get returnedCount(): number {
    return this.#returned.size;
  }

  /** Messages that were refused or set aside. */
  get refusedCount(): number {
    return this.#refused.length;
  }

  /** When a refused message may next go to anyone, ms; Infinity when no time is waited for. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /** The entry is ready again at once. */
  giveBack(slot: number): void {
    this.#inFlight.refusedBy[slot] = -1;
    this.#returned.push(this.#inFlight.offsetOf(slot), slot);
  }

  /** `dueMs`: when the consumer that refused may have it again; 0 when only others ever may. */
  setAside(slot: number, refusedBy: number, dueMs: number): void {
    this.#inFlight.refusedBy[slot] = refusedBy;
    this.#inFlight.dueMs[slot] = dueMs;
    this.#refused.push(slot);
    if (dueMs === 0) return;
    this.#timedCount++;
    if (dueMs < this.#dueMs) this.#dueMs = dueMs;
  }

  /** A dispatch begins: the due time is found anew by it, or whatever ends it earlier wakes the queue by itself. */
  forgetDueTime(): void {
    this.#dueMs = Number.POSITIVE_INFINITY;
  }

  /** Delivers the oldest message that was given back. Undefined: go on. */
  dispatchReturned(nowMs: number): DispatchEnd | undefined {
    const slot = this.#returned.peek();
    const end = this.#target.tryAgain(slot, -1, nowMs);
    if (end === 'window-full' && this.#target.hasCredit) {
      // Only No Local stands in the way: later messages pass.
      this.#returned.pop();
      this.setAside(slot, -1, 0);
      return undefined;
    }
    if (end === undefined) this.#returned.pop();
    return end;
  }

  /** Tries refused messages on consumers other than the one that refused, or on anyone once they are due. */
  dispatchRefused(nowMs: number, pauseMs: number): DispatchEnd | undefined {
    const { dueMs: due, refusedBy } = this.#inFlight;
    // What is not taken goes behind the others, so that each has its turn.
    const scanned = this.#refused.splice(0, REFUSED_SCAN_MAX);
    if (this.#refused.length > 0 && this.#timedCount > 0) this.#dueMs = nowMs + Math.max(1, pauseMs);
    let result: DispatchEnd | undefined;
    for (const slot of scanned) {
      if (result !== undefined || !this.#target.consumers.hasCredit()) {
        result ??= 'window-full';
        this.#refused.push(slot);
        continue;
      }
      const dueMs = due[slot] as number;
      const end = this.#target.tryAgain(slot, dueMs <= nowMs ? -1 : (refusedBy[slot] as number), nowMs);
      if (end === undefined) {
        if (dueMs > 0) this.#timedCount--;
        continue;
      }
      this.#refused.push(slot);
      if (end !== 'window-full') result = end;
      else if (dueMs > nowMs && dueMs < this.#dueMs) this.#dueMs = dueMs;
    }
    return result;
  }

  /** Takes out the message that has waited longest of its kind, what was given back first; -1 when there is none. */
  pop(): number {
    if (this.#returned.size > 0) return this.#returned.pop();
    const slot = this.#refused.shift() ?? -1;
    if (slot >= 0 && (this.#inFlight.dueMs[slot] as number) > 0) this.#timedCount--;
    return slot;
  }

  /** Takes out the entries at these offsets, `last` being the highest; the others stay in their order. */
  take(offsets: ReadonlySet<number>, last: number): number[] {
    const inFlight = this.#inFlight;
    const taken: number[] = [];
    const kept: number[] = [];
    // Those after `last` stay as they are: a million may have come back, and a step of a move asks for a few of the oldest.
    for (;;) {
      const slot = this.#returned.peek();
      if (slot < 0 || inFlight.offsetOf(slot) > last) break;
      this.#returned.pop();
      (offsets.has(inFlight.offsetOf(slot)) ? taken : kept).push(slot);
    }
    for (const slot of kept) this.#returned.push(inFlight.offsetOf(slot), slot);
    this.#refused = this.#refused.filter((slot) => {
      if (!offsets.has(inFlight.offsetOf(slot))) return true;
      if ((this.#inFlight.dueMs[slot] as number) > 0) this.#timedCount--;
      taken.push(slot);
      return false;
    });
    return taken;
  }

  /** All entries, in no particular order. */
  *slots(): IterableIterator<number> {
    yield* this.#returned.slots();
    yield* this.#refused;
  }

  /** Forgets all entries; freeing them is the caller's. */
  clear(): void {
    this.#returned.clear();
    this.#refused = [];
    this.#timedCount = 0;
    this.#dueMs = Number.POSITIVE_INFINITY;
  }
}
