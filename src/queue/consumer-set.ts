/**
 * The consumers of one queue and the choice among them. Shard worker.
 *
 * Always true: a consumer is chosen only while its in-flight count is below its window; the count is raised before
 * the next choice, so a batch spreads; ties go to whoever was chosen longest ago (rotation); joins and leaves move
 * nobody else's place. The counts live in shared memory: the worker adds on dispatch, the main thread subtracts as
 * soon as the client's PUBACK is parsed. Plain reads suffice here: a stale count only delays one message by a turn.
 * Cost: O(consumers) worst case for `least_inflight`, O(1) typical for the others.
 */
import type { DispatchStrategy } from './definition.js';
import { assert } from '../base/error.js';

/** A consumer as its shard sees it. */
export class QueueConsumer {
  readonly slot: number;
  readonly clientId: Buffer;
  readonly clientInFlightMax: number;
  readonly noLocal: boolean;
  window = 0;
  /** Head of this consumer's list in the in-flight table, or -1. */
  listHead = -1;
  delivered = 0;
  acked = 0;
  rejected = 0;

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
  readonly #inFlightCounts: Int32Array;
  readonly #random: () => number;
  /** Index of the consumer whose turn is next. */
  #turn = 0;
  #noLocalCount = 0;

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
    if (consumer.noLocal) this.#noLocalCount++;
    if (this.#turn === 0) {
      this.#list.push(consumer);
    } else {
      this.#list.splice(this.#turn, 0, consumer);
      this.#turn++;
    }
  }

  remove(consumer: QueueConsumer): void {
    const index = this.#list.indexOf(consumer);
    assert(index >= 0, 'a consumer leaves once');
    if (consumer.noLocal) this.#noLocalCount--;
    this.#list.splice(index, 1);
    if (index < this.#turn) this.#turn--;
    if (this.#turn >= this.#list.length) this.#turn = 0;
  }

  /** Recomputes all windows after a change of the queue's own window. */
  setWindow(queueWindow: number): void {
    for (const consumer of this.#list) consumer.window = Math.min(queueWindow, consumer.clientInFlightMax);
  }

  /** True when at least one consumer has credit. */
  hasCredit(): boolean {
    for (const consumer of this.#list) {
      if ((this.#inFlightCounts[consumer.slot] as number) < consumer.window) return true;
    }
    return false;
  }

  /**
   * Chooses a consumer with credit, or null. `refusedBy` (a slot or -1) is passed over; `from` is the publisher's
   * client id when some consumer set No Local, else undefined.
   */
  pick(strategy: DispatchStrategy, refusedBy: number, from: Buffer | undefined): QueueConsumer | null {
    switch (strategy) {
      case 'least_inflight':
        return this.#pickLeast(refusedBy, from);
      case 'round_robin':
        return this.#pickFrom(this.#turn, refusedBy, from);
      case 'random':
        return this.#pickRandom(refusedBy, from);
    }
  }

  #takes(consumer: QueueConsumer, refusedBy: number, from: Buffer | undefined): boolean {
    return (
      (this.#inFlightCounts[consumer.slot] as number) < consumer.window &&
      consumer.slot !== refusedBy &&
      (from === undefined || !consumer.noLocal || !consumer.clientId.equals(from))
    );
  }

  #pickLeast(refusedBy: number, from: Buffer | undefined): QueueConsumer | null {
    const list = this.#list;
    const counts = this.#inFlightCounts;
    let best: QueueConsumer | null = null;
    let bestIndex = 0;
    let bestCount = Number.MAX_SAFE_INTEGER;
    let index = this.#turn;
    for (let i = 0; i < list.length; i++) {
      const consumer = list[index] as QueueConsumer;
      const count = counts[consumer.slot] as number;
      if (count < bestCount && this.#takes(consumer, refusedBy, from)) {
        best = consumer;
        bestIndex = index;
        bestCount = count;
        // Nobody can have fewer, and the rest had their turn later.
        if (count <= 0) break;
      }
      index = index + 1 === list.length ? 0 : index + 1;
    }
    if (best !== null) this.#turn = bestIndex + 1 === list.length ? 0 : bestIndex + 1;
    return best;
  }

  #pickFrom(start: number, refusedBy: number, from: Buffer | undefined): QueueConsumer | null {
    const list = this.#list;
    let index = start;
    for (let i = 0; i < list.length; i++) {
      const consumer = list[index] as QueueConsumer;
      const next = index + 1 === list.length ? 0 : index + 1;
      if (this.#takes(consumer, refusedBy, from)) {
        this.#turn = next;
        return consumer;
      }
      index = next;
    }
    return null;
  }

  /** Uniform over those with credit: a few blind draws, then a draw among the candidates. */
  #pickRandom(refusedBy: number, from: Buffer | undefined): QueueConsumer | null {
    const list = this.#list;
    for (let i = 0; i < 3; i++) {
      const consumer = list[Math.floor(this.#random() * list.length)];
      if (consumer !== undefined && this.#takes(consumer, refusedBy, from)) return consumer;
    }
    let candidates = 0;
    let chosen: QueueConsumer | null = null;
    for (const consumer of list) {
      // Reservoir of one: each candidate ends up chosen with equal probability.
      if (this.#takes(consumer, refusedBy, from) && this.#random() * ++candidates < 1) chosen = consumer;
    }
    return chosen;
  }
}
