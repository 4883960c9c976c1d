/**
 * All messages of a shard that were taken from their queue's cursor and are not settled yet: in flight to a consumer,
 * or waiting to be delivered again. Struct of arrays; an entry is a slot number. Shard worker.
 *
 *   tag (u32) = epoch 4 bits · generation 8 bits · slot 20 bits
 *
 * Always true: a tag is valid while its entry holds exactly that tag; an ack with any other tag is late and ignored.
 * `consumer` is -1 while the entry waits for redelivery. Entries of one consumer form a doubly linked list, so a
 * detach costs its own in-flight only. Bound: 2^20 entries; past it the dispatcher takes no new messages.
 */
import type { Block } from './block.js';
import { assert } from '../base/error.js';

const SLOT_BITS = 20;
const SLOT_MASK = (1 << SLOT_BITS) - 1;
/** Most entries per shard. */
export const IN_FLIGHT_MAX = 1 << SLOT_BITS;

/** Entry flag bits. */
export const EntryFlag = {
  /** A newer value of the same key exists: do not deliver again (last-value queues). */
  superseded: 1,
  /** The queue was purged or deleted underneath. */
  void: 2,
} as const;

/** See the file header. */
export class InFlightTable {
  /** Which worker incarnation issued the tags, 0 to 15. */
  readonly #epoch: number;
  blocks: (Block | null)[] = [];
  /** Record index in its block, and byte length of the record. */
  recordIndex: Int32Array;
  recordBytes: Int32Array;
  /** Byte offset of the record relative to its block's header. */
  recordAt: Int32Array;
  consumer: Int32Array;
  /** Consumer that refused the entry last, or -1: others come first. */
  refusedBy: Int32Array;
  attempts: Int32Array;
  flags: Uint8Array;
  /** When an entry that waits may go to anyone, ms. */
  dueMs: Float64Array;
  #tags: Uint32Array;
  #generation: Uint8Array;
  #next: Int32Array;
  #previous: Int32Array;
  #freeHead = -1;
  #capacity: number;
  #used = 0;

  constructor(epoch: number, initialCapacity = 1024) {
    this.#epoch = epoch & 15;
    this.#capacity = 0;
    this.recordIndex = new Int32Array(0);
    this.recordBytes = new Int32Array(0);
    this.recordAt = new Int32Array(0);
    this.consumer = new Int32Array(0);
    this.refusedBy = new Int32Array(0);
    this.attempts = new Int32Array(0);
    this.flags = new Uint8Array(0);
    this.dueMs = new Float64Array(0);
    this.#tags = new Uint32Array(0);
    this.#generation = new Uint8Array(0);
    this.#next = new Int32Array(0);
    this.#previous = new Int32Array(0);
    this.#grow(initialCapacity);
  }

  get used(): number {
    return this.#used;
  }

  get isFull(): boolean {
    return this.#used >= IN_FLIGHT_MAX;
  }

  /** A fresh entry for record `index` of `block`, not yet with a consumer. */
  allocate(block: Block, index: number, recordAt: number, recordBytes: number): number {
    if (this.#freeHead < 0) this.#grow(Math.min(this.#capacity * 2, IN_FLIGHT_MAX));
    const slot = this.#freeHead;
    assert(slot >= 0, 'in-flight table is not full');
    this.#freeHead = this.#next[slot] as number;
    this.#used++;
    this.blocks[slot] = block;
    block.unsettled++;
    this.recordIndex[slot] = index;
    this.recordBytes[slot] = recordBytes;
    this.recordAt[slot] = recordAt;
    this.consumer[slot] = -1;
    this.refusedBy[slot] = -1;
    this.attempts[slot] = 0;
    this.flags[slot] = 0;
    this.dueMs[slot] = 0;
    this.#tags[slot] = 0;
    return slot;
  }

  /** Gives the entry to a consumer whose list starts at `listHead`; returns the new tag. The caller stores `slot` as the new head. */
  assign(slot: number, consumer: number, listHead: number): number {
    this.consumer[slot] = consumer;
    this.attempts[slot] = (this.attempts[slot] as number) + 1;
    this.#next[slot] = listHead;
    this.#previous[slot] = -1;
    if (listHead >= 0) this.#previous[listHead] = slot;
    const generation = ((this.#generation[slot] as number) + 1) & 0xff;
    this.#generation[slot] = generation;
    const tag = ((this.#epoch << 28) | (generation << SLOT_BITS) | slot) >>> 0;
    this.#tags[slot] = tag;
    return tag;
  }

  /** Slot of a tag, or -1 when it is late, repeated or from another incarnation. */
  find(tag: number): number {
    const slot = tag & SLOT_MASK;
    return slot < this.#capacity && this.#tags[slot] === tag && (this.consumer[slot] as number) >= 0
      ? slot
      : -1;
  }

  /** Takes the entry out of its consumer's list; returns the list's head afterwards. The tag is void from now on. */
  unassign(slot: number, listHead: number): number {
    const next = this.#next[slot] as number;
    const previous = this.#previous[slot] as number;
    if (next >= 0) this.#previous[next] = previous;
    if (previous >= 0) this.#next[previous] = next;
    this.consumer[slot] = -1;
    this.#tags[slot] = 0;
    return previous < 0 ? next : listHead;
  }

  /** Next entry in a consumer's list, or -1. */
  nextOf(slot: number): number {
    return this.#next[slot] as number;
  }

  offsetOf(slot: number): number {
    return (this.blocks[slot] as Block).firstOffset + (this.recordIndex[slot] as number);
  }

  /** Ends an entry that is with no consumer. */
  free(slot: number): void {
    assert(this.consumer[slot] === -1, 'an entry is unassigned before it is freed');
    const block = this.blocks[slot] as Block;
    block.unsettled--;
    this.blocks[slot] = null;
    this.#tags[slot] = 0;
    this.#next[slot] = this.#freeHead;
    this.#freeHead = slot;
    this.#used--;
  }

  #grow(capacity: number): void {
    const from = this.#capacity;
    if (capacity <= from) return;
    this.recordIndex = grown(this.recordIndex, new Int32Array(capacity));
    this.recordBytes = grown(this.recordBytes, new Int32Array(capacity));
    this.recordAt = grown(this.recordAt, new Int32Array(capacity));
    this.consumer = grown(this.consumer, new Int32Array(capacity).fill(-1));
    this.refusedBy = grown(this.refusedBy, new Int32Array(capacity));
    this.attempts = grown(this.attempts, new Int32Array(capacity));
    this.flags = grown(this.flags, new Uint8Array(capacity));
    this.dueMs = grown(this.dueMs, new Float64Array(capacity));
    this.#tags = grown(this.#tags, new Uint32Array(capacity));
    this.#generation = grown(this.#generation, new Uint8Array(capacity));
    this.#next = grown(this.#next, new Int32Array(capacity));
    this.#previous = grown(this.#previous, new Int32Array(capacity));
    for (let slot = capacity - 1; slot >= from; slot--) {
      this.blocks[slot] = null;
      this.#next[slot] = this.#freeHead;
      this.#freeHead = slot;
    }
    this.#capacity = capacity;
  }
}

function grown<T extends Int32Array | Uint8Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
