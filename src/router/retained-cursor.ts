/**
 * A walk over the retained messages that match one filter, some at a time. Main thread.
 *
 * Always true: the index may change between any two calls; a topic that was there at the start and stays is returned
 * once, one that comes or goes meanwhile once or not at all; a call looks at no more than `looksMax` topics. The place
 * is remembered as the bytes of a topic, so a change elsewhere costs one search and a removed topic is no obstacle.
 */
import { copyRange } from '../mqtt/bytes.js';
import { Look, RetainedFilter } from './retained-filter.js';
import type { RetainedOrder } from './retained-order.js';
import type { RetainedTable } from './retained-table.js';
import type { RetainedMessage } from './retained-index.js';

/** Topics that one call looks at. */
const looksMax = 64;

/** See the file header. Made by `RetainedIndex.matches`. */
export class RetainedCursor {
  readonly #table: RetainedTable;
  readonly #order: RetainedOrder;
  readonly #viewOf: (slot: number) => RetainedMessage;
  readonly #filter: RetainedFilter;
  #state: 'open' | 'done' = 'open';
  /** Where to go on: at or behind this topic. */
  #key: Buffer;
  #keyEnd: number;
  #includesKey = true;
  /** The same as a position, good while the order has this version. */
  #version = -1;
  #leaf = 0;
  #at = 0;

  constructor(
    table: RetainedTable,
    order: RetainedOrder,
    viewOf: (slot: number) => RetainedMessage,
    filter: string,
  ) {
    this.#table = table;
    this.#order = order;
    this.#viewOf = viewOf;
    this.#filter = new RetainedFilter(filter);
    this.#keyEnd = this.#filter.jumpEnd;
    this.#key = Buffer.allocUnsafeSlow(Math.max(64, this.#keyEnd));
    this.#filter.jump.copy(this.#key, 0, 0, this.#keyEnd);
  }

  /** True when there is no match left. */
  get isDone(): boolean {
    return this.#state === 'done';
  }

  /**
   * The next match, or undefined: none within this call's bound (call again) or none at all (`isDone`). The message is
   * valid until the next call to the index or one of its cursors.
   */
  next(): RetainedMessage | undefined {
    const order = this.#order;
    const table = this.#table;
    if (this.#state === 'done') return undefined;
    if (this.#version !== order.version) this.#find();
    else if (!this.#includesKey) this.#step();
    for (let looks = 0; looks < looksMax; looks++) {
      const slot = order.slotAt(this.#leaf, this.#at);
      if (slot < 0) break;
      const start = table.offsets[slot]!;
      const end = start + table.topicBytes[slot]!;
      switch (this.#filter.look(table.bufferOf(slot), start, end)) {
        case Look.match:
          this.#remember(table.bufferOf(slot), start, end, false);
          return this.#viewOf(slot);
        case Look.step:
          this.#step();
          break;
        case Look.jump:
          this.#jump();
          break;
        default:
          this.#state = 'done';
          return undefined;
      }
    }
    const slot = order.slotAt(this.#leaf, this.#at);
    if (slot < 0) {
      this.#state = 'done';
    } else {
      const start = table.offsets[slot]!;
      this.#remember(table.bufferOf(slot), start, start + table.topicBytes[slot]!, true);
    }
    return undefined;
  }

  /** Makes `next` return the last match again, if it is still there. */
  again(): void {
    this.#includesKey = true;
  }

  #remember(topic: Buffer, start: number, end: number, includes: boolean): void {
    const length = end - start;
    if (this.#key.length < length) this.#key = Buffer.allocUnsafeSlow(length * 2);
    copyRange(topic, start, end, this.#key, 0);
    this.#keyEnd = length;
    this.#includesKey = includes;
  }

  #find(): void {
    const order = this.#order;
    const isThere = order.seek(this.#key, 0, this.#keyEnd);
    this.#leaf = order.leaf;
    this.#at = order.at;
    this.#version = order.version;
    if (isThere && !this.#includesKey) this.#step();
  }

  #step(): void {
    if (this.#order.isLeafEnd(this.#leaf, this.#at)) {
      this.#leaf++;
      this.#at = 0;
    } else {
      this.#at++;
    }
  }

  #jump(): void {
    const { jump, jumpEnd } = this.#filter;
    const order = this.#order;
    // Often the very next topic is the place: a comparison instead of a search.
    this.#step();
    const slot = order.slotAt(this.#leaf, this.#at);
    if (slot < 0 || order.compare(jump, 0, jumpEnd, slot, 0) <= 0) return;
    order.seek(jump, 0, jumpEnd);
    this.#leaf = order.leaf;
    this.#at = order.at;
  }
}
