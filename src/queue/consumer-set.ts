/**
 * The consumers of one queue and the choice among them. Shard worker.
 *
 * Always true: a consumer is chosen only while its in-flight count is below its window; the count is raised before
 * the next choice, so a batch spreads; ties go to whoever was chosen longest ago (rotation); joins and leaves move
 * nobody else's place. The counts live in shared memory: the worker adds on dispatch, the main thread subtracts as soon
 * as a client has answered. What is known here is never below them, and plain reads suffice: a stale count delays one
 * message by a turn. Cost: O(log consumers), `random` O(1); joins and leaves O(consumers), 20 µs with 10,000. With all
 * busy `least_inflight` chooses 23 M/s of 1,000 and 10 M/s of 10,000; a scan 0.35 and 0.035 (bench/micro/queue).
 */
import { assert } from '../base/error.js';
import { MinTree, NONE } from '../base/min-tree.js';
import type { DispatchStrategy } from './definition.js';

/** Counts looked at, at most, when everybody seems to be full. */
const LOOKS_MAX = 64;
/** Draws before the candidates of `random` are looked at one by one. */
const DRAWS_MAX = 8;

/** A consumer as its shard sees it. */
export class QueueConsumer {
  readonly slot: number;
  readonly clientId: Buffer;
  readonly clientInFlightMax: number;
  readonly noLocal: boolean;
  /** Most messages in flight: set by `ConsumerSet`. */
  window = 0;
  /** As many as its speed is worth, and the span in which that is measured. See window.ts. */
  earnedWindow = 0;
  spanSinceMs = Number.NEGATIVE_INFINITY;
  spanLeft = 1;
  /** Head of this consumer's list in the in-flight table, or -1. */
  listHead = -1;
  delivered = 0;
  acked = 0;
  rejected = 0;
  /** Mean time for a message, ms; below 0 until it has answered. See service-time.ts. */
  serviceMs = -1;
  /** That is long enough for it to be held back, should the others be much faster. */
  isSlow = false;
  /** Messages per ms when the queue last looked at all. */
  rateThen = 0;
  /** When it last answered, for how many messages, and after how long, ms; below 0 when that says nothing. */
  answeredAtMs = Number.NEGATIVE_INFINITY;
  answersThen = 1;
  workedMs = -1;
  /** When it last got a message while it had none, ms. */
  busySinceMs = 0;
  /** Its place in the rotation; -1 while it is in no set. */
  place = -1;
  /** Its window is full, as far as the set knows, or it is held back. */
  isFull = false;
  isHeld = false;
  /** Its place among those with credit, while it has some and that is asked for. */
  freePlace = -1;

  constructor(slot: number, clientId: Buffer, clientInFlightMax: number, noLocal: boolean) {
    this.slot = slot;
    this.clientId = clientId;
    this.clientInFlightMax = clientInFlightMax;
    this.noLocal = noLocal;
  }
}

/** See the file header. */
export class ConsumerSet {
  readonly #list: QueueConsumer[] = [];
  /** What the present choice goes by. */
  #strategy: DispatchStrategy = 'least_inflight';
  #goesByCount = false;
  /** By place: NONE for a full window, else the in-flight count, 0 where the load does not decide. Not for `random`. */
  readonly #known = new MinTree();
  /** Those with credit, in no order. Only for `random`. */
  readonly #free: QueueConsumer[] = [];
  #fullCount = 0;
  /** Those that were held back since the last `endHolds`; some may have answered meanwhile. */
  readonly #held: QueueConsumer[] = [];
  readonly #inFlightCounts: Int32Array;
  readonly #random: () => number;
  /** Place of the consumer whose turn is next. */
  #turn = 0;
  /** Place of the next one to be looked at while all seem full. */
  #look = 0;
  #noLocalCount = 0;
  /** What every consumer may have in flight, and what a fast one may, should its client take that many. */
  #windowMin = Number.POSITIVE_INFINITY;
  #windowMax = Number.POSITIVE_INFINITY;
  /** Members, windows or the strategy have changed since the above was made. */
  #isStale = false;

  constructor(inFlightCounts: Int32Array, random: () => number) {
    this.#inFlightCounts = inFlightCounts;
    this.#random = random;
  }

  get size(): number {
    return this.#list.length;
  }

  /** True when some consumer asked not to get its own messages. */
  get hasNoLocal(): boolean {
    return this.#noLocalCount > 0;
  }

  [Symbol.iterator](): IterableIterator<QueueConsumer> {
    return this.#list[Symbol.iterator]();
  }

  /** A new consumer takes the place behind everyone whose turn is still to come. */
  add(consumer: QueueConsumer): void {
    assert(consumer.place < 0, 'a consumer joins once');
    if (consumer.noLocal) this.#noLocalCount++;
    consumer.place = this.#turn;
    consumer.window = this.#windowOf(consumer);
    if (this.#turn === 0) {
      this.#list.push(consumer);
    } else {
      this.#list.splice(this.#turn, 0, consumer);
      this.#turn++;
    }
    this.#isStale = true;
  }

  remove(consumer: QueueConsumer): void {
    const index = this.#isStale ? this.#list.indexOf(consumer) : consumer.place;
    assert(this.#list[index] === consumer, 'a consumer leaves once');
    if (consumer.noLocal) this.#noLocalCount--;
    this.#list.splice(index, 1);
    consumer.place = -1;
    if (index < this.#turn) this.#turn--;
    if (this.#turn >= this.#list.length) this.#turn = 0;
    this.#isStale = true;
  }

  /** What every consumer may have in flight from now on, `min`, and what a fast one may, `max`. */
  setWindow(min: number, max = min): void {
    this.#windowMin = min;
    this.#windowMax = max;
    for (const consumer of this.#list) {
      if (max <= min) consumer.earnedWindow = 0;
      consumer.window = this.#windowOf(consumer);
    }
    this.#isStale = true;
  }

  /** True when a fast consumer may have more in flight than others. */
  get hasFastWindow(): boolean {
    return this.#windowMax > this.#windowMin;
  }

  /** `consumer` is fast enough for `window` messages in flight. Means nothing while all have the same window. */
  earn(consumer: QueueConsumer, window: number): void {
    if (!this.hasFastWindow) return;
    consumer.earnedWindow = window;
    consumer.window = this.#windowOf(consumer);
    if (!consumer.isHeld) this.#noteFullness(consumer, this.inFlightOf(consumer));
  }

  #windowOf({ clientInFlightMax, earnedWindow }: QueueConsumer): number {
    return Math.min(clientInFlightMax, Math.max(this.#windowMin, Math.min(this.#windowMax, earnedWindow)));
  }

  /** True when at least one consumer has credit. */
  hasCredit(): boolean {
    if (this.#isStale) this.#refresh();
    return this.#fullCount < this.#list.length || this.#lookForCredit();
  }

  /** Messages in flight at `consumer`. */
  inFlightOf(consumer: QueueConsumer): number {
    return this.#inFlightCounts[consumer.slot] as number;
  }

  /** True while somebody is passed over by `hold`. */
  get hasHeld(): boolean {
    return this.#held.length > 0;
  }

  /** `consumer` has credit and shall get nothing all the same, until it answers or `endHolds`. Not for `random`. */
  hold(consumer: QueueConsumer): void {
    if (consumer.isFull || this.#isStale) return;
    consumer.isHeld = true;
    consumer.isFull = true;
    this.#fullCount++;
    this.#known.set(consumer.place, NONE);
    this.#held.push(consumer);
  }

  /** Nobody is held back any more. */
  endHolds(): void {
    for (const consumer of this.#held) {
      if (!consumer.isHeld) continue;
      consumer.isHeld = false;
      this.#noteFullness(consumer, this.inFlightOf(consumer));
    }
    this.#held.length = 0;
  }

  /** A message goes to `consumer`: one more in flight. */
  assigned(consumer: QueueConsumer, nowMs = 0): void {
    const count = Atomics.add(this.#inFlightCounts, consumer.slot, 1) + 1;
    if (count === 1) consumer.busySinceMs = nowMs;
    if (count >= consumer.window) this.#noteFullness(consumer, count);
    else if (this.#goesByCount && !this.#isStale) this.#known.set(consumer.place, count);
  }

  /** The main thread has lowered the count of `consumer`, which may have left meanwhile. */
  answered(consumer: QueueConsumer): void {
    if (consumer.isFull) {
      consumer.isHeld = false;
      this.#noteFullness(consumer, this.#inFlightCounts[consumer.slot] as number);
    } else if (this.#goesByCount && !this.#isStale && consumer.place >= 0) {
      const count = this.#inFlightCounts[consumer.slot] as number;
      this.#known.set(consumer.place, count > 0 ? count : 0);
    }
  }

  /**
   * Chooses a consumer with credit, or null. `refusedBy` (a slot or -1) is passed over; `from` is the publisher's
   * client id when some consumer set No Local, else undefined.
   */
  pick(strategy: DispatchStrategy, refusedBy: number, from: Buffer | undefined): QueueConsumer | null {
    if (strategy !== this.#strategy) {
      this.#strategy = strategy;
      this.#isStale = true;
    }
    if (!this.hasCredit()) return null;
    if (strategy === 'random') return this.#pickRandom(refusedBy, from);
    const known = this.#known;
    const place = known.nextUpTo(this.#turn, this.#goesByCount ? known.min : 0);
    const consumer = this.#list[place] as QueueConsumer;
    if (this.#isExcluded(consumer, refusedBy, from)) return this.#pickOther(refusedBy, from);
    this.#turn = place + 1 === this.#list.length ? 0 : place + 1;
    return consumer;
  }

  #isExcluded(consumer: QueueConsumer, refusedBy: number, from: Buffer | undefined): boolean {
    return (
      consumer.slot === refusedBy ||
      (from !== undefined && consumer.noLocal && consumer.clientId.equals(from))
    );
  }

  /** The same while those that may not have the message are taken for full: the few subscriptions of one client. */
  #pickOther(refusedBy: number, from: Buffer | undefined): QueueConsumer | null {
    const known = this.#known;
    const passed: number[] = [];
    const numbers: number[] = [];
    let chosen: QueueConsumer | null = null;
    while (known.min < NONE) {
      const place = known.nextUpTo(this.#turn, this.#goesByCount ? known.min : 0);
      const consumer = this.#list[place] as QueueConsumer;
      if (!this.#isExcluded(consumer, refusedBy, from)) {
        this.#turn = place + 1 === this.#list.length ? 0 : place + 1;
        chosen = consumer;
        break;
      }
      passed.push(place);
      numbers.push(known.at(place));
      known.set(place, NONE);
    }
    for (const [i, place] of passed.entries()) known.set(place, numbers[i] as number);
    return chosen;
  }

  /** Uniform over those with credit: a few blind draws, then a draw among the candidates. */
  #pickRandom(refusedBy: number, from: Buffer | undefined): QueueConsumer | null {
    const free = this.#free;
    for (let i = 0; i < DRAWS_MAX; i++) {
      const consumer = free[Math.floor(this.#random() * free.length)] as QueueConsumer;
      if (!this.#isExcluded(consumer, refusedBy, from)) return consumer;
    }
    // Hardly anybody is left but those that may not have it: few, as they are subscriptions of one client.
    const candidates = free.filter((consumer) => !this.#isExcluded(consumer, refusedBy, from));
    return candidates[Math.floor(this.#random() * candidates.length)] ?? null;
  }

  /** Looks at the counts of the next few: the main thread lowers them before its frame tells. */
  #lookForCredit(): boolean {
    const list = this.#list;
    for (let looks = Math.min(list.length, LOOKS_MAX); looks > 0; looks--) {
      if (this.#look >= list.length) this.#look = 0;
      const consumer = list[this.#look++] as QueueConsumer;
      const count = this.#inFlightCounts[consumer.slot] as number;
      if (count < consumer.window && !consumer.isHeld) this.#noteFullness(consumer, count);
    }
    return this.#fullCount < list.length;
  }

  /** `count` messages are in flight at `consumer`, which has or had a full window. */
  #noteFullness(consumer: QueueConsumer, count: number): void {
    const isFull = count >= consumer.window;
    if (isFull === consumer.isFull || this.#isStale || consumer.place < 0) return;
    consumer.isFull = isFull;
    this.#fullCount += isFull ? 1 : -1;
    if (this.#strategy !== 'random') {
      this.#known.set(consumer.place, isFull ? NONE : this.#numberOf(count));
    } else if (!isFull) {
      consumer.freePlace = this.#free.push(consumer) - 1;
    } else {
      const last = this.#free.pop() as QueueConsumer;
      if (last === consumer) return;
      this.#free[consumer.freePlace] = last;
      last.freePlace = consumer.freePlace;
    }
  }

  /** Number in `#known` of a consumer with credit. */
  #numberOf(count: number): number {
    return this.#goesByCount && count > 0 ? count : 0;
  }

  /** Makes places, counts and credit anew. */
  #refresh(): void {
    const list = this.#list;
    this.#isStale = false;
    this.#fullCount = 0;
    this.#held.length = 0;
    // One alone is chosen whatever its load.
    this.#goesByCount = this.#strategy === 'least_inflight' && list.length > 1;
    const known = this.#known;
    const isRandom = this.#strategy === 'random';
    this.#free.length = 0;
    known.resize(isRandom ? 0 : list.length);
    for (let place = 0; place < list.length; place++) {
      const consumer = list[place] as QueueConsumer;
      const count = this.#inFlightCounts[consumer.slot] as number;
      consumer.place = place;
      consumer.isFull = count >= consumer.window;
      consumer.isHeld = false;
      if (consumer.isFull) this.#fullCount++;
      else if (isRandom) consumer.freePlace = this.#free.push(consumer) - 1;
      else known.put(place, this.#numberOf(count));
    }
    known.build();
  }
}
