/**
 * All retained messages in memory: by topic, and by filter in steps. Main thread.
 *
 * Always true: one message per topic; `count` and `bytes` are those of durable messages, what the broker says about
 * itself (`volatileRow`) is not counted; numbers change only through this class. Some 60 bytes per message besides its
 * topic, properties and payload, and nothing of it in the JavaScript heap (bench/micro/router/retained-index.ts). Gives up: a lookup by
 * topic is a bisection of about a microsecond, in exchange for order, which makes filters cheap.
 */
import type { PublishRanges } from '../shard/link.js';
import { RetainedCursor } from './retained-cursor.js';
import { RetainedOrder } from './retained-order.js';
import { RetainedTable } from './retained-table.js';

/** Row id of messages that are only in memory. */
export const volatileRow = -1;

/** A retained message. One reused object: valid until the next call to the index or one of its cursors. */
export interface RetainedMessage {
  readonly buffer: Buffer;
  readonly topicStart: number;
  readonly propertiesStart: number;
  readonly payloadStart: number;
  readonly payloadEnd: number;
  readonly qos: number;
  /** Gateway clock, ms; Infinity = does not expire. */
  readonly expiresAtMs: number;
  /** Grows with every message stored: larger than `RetainedIndex.sequence` at some moment means later than it. */
  readonly sequence: number;
}

class View implements RetainedMessage {
  buffer: Buffer = Buffer.alloc(0);
  topicStart = 0;
  propertiesStart = 0;
  payloadStart = 0;
  payloadEnd = 0;
  qos = 0;
  expiresAtMs = 0;
  sequence = 0;
}

/** See the file header. */
export class RetainedIndex {
  readonly #table = new RetainedTable();
  readonly #order = new RetainedOrder(this.#table);
  readonly #view = new View();
  #count = 0;
  #bytes = 0;
  #volatileCount = 0;
  #expiring = 0;
  #sequence = 0;
  #sweepAt = 0;
  /** The topic that was found last: a publish asks for it more than once. */
  #lastSlot = -1;

  /** Durable messages. */
  get count(): number {
    return this.#count;
  }

  /** Their topics, properties and payloads. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Messages that are only in memory. */
  get volatileCount(): number {
    return this.#volatileCount;
  }

  /** Number of the message stored last. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Memory held for bytes of messages, holes included. */
  get reservedBytes(): number {
    return this.#table.reservedBytes;
  }

  /** Slot of the topic `topic[start, end)`, or -1. */
  find(topic: Buffer, start: number, end: number): number {
    const order = this.#order;
    const last = this.#lastSlot;
    if (last >= 0 && order.compare(topic, start, end, last, 0) === 0) return last;
    if (!order.seek(topic, start, end)) return -1;
    this.#lastSlot = order.slotAt(order.leaf, order.at);
    return this.#lastSlot;
  }

  /** The message in a slot. */
  messageAt(slot: number): RetainedMessage {
    return this.#viewOf(slot);
  }

  /** Row of a slot in the log, or `volatileRow`. */
  rowIdOf(slot: number): number {
    return this.#table.rowIds[slot]!;
  }

  /** Shard of that row. */
  shardIdOf(slot: number): number {
    return this.#table.shardIds[slot]!;
  }

  /** Bytes of the message in a slot. */
  sizeOf(slot: number): number {
    return this.#table.sizeOf(slot);
  }

  /** Adds a message of a topic that has none. Returns its slot. */
  insert(message: PublishRanges, shardId: number, rowId: number, expiresAtMs: number): number {
    const table = this.#table;
    this.#order.seek(message.topicBuffer, message.topicStart, message.topicEnd);
    const slot = table.add(message);
    table.shardIds[slot] = shardId;
    table.rowIds[slot] = rowId;
    table.expiries[slot] = expiresAtMs;
    table.sequences[slot] = ++this.#sequence;
    this.#order.insert(slot);
    this.#book(slot, 1);
    this.#lastSlot = slot;
    return slot;
  }

  /** Replaces the message of a topic [MQTT-3.3.1-5]; row and shard stay. */
  replace(slot: number, message: PublishRanges, expiresAtMs: number): void {
    this.#book(slot, -1);
    this.#table.replace(slot, message);
    this.#table.expiries[slot] = expiresAtMs;
    this.#table.sequences[slot] = ++this.#sequence;
    this.#book(slot, 1);
  }

  /** Moves the slot's row: after a start there may be a newer one. */
  setRow(slot: number, shardId: number, rowId: number): void {
    this.#table.shardIds[slot] = shardId;
    this.#table.rowIds[slot] = rowId;
  }

  /** Takes a message out. */
  remove(slot: number): void {
    const table = this.#table;
    const start = table.offsets[slot]!;
    this.#order.seek(table.bufferOf(slot), start, start + table.topicBytes[slot]!);
    this.#order.remove();
    this.#book(slot, -1);
    table.remove(slot);
    if (this.#lastSlot === slot) this.#lastSlot = -1;
  }

  /** A walk over the messages that match `filter`, which must be valid. */
  matches(filter: string): RetainedCursor {
    return new RetainedCursor(this.#table, this.#order, this.#viewOf, filter);
  }

  /** True when there may be messages to expire: a sweep is worth its time. */
  get mayExpire(): boolean {
    return this.#expiring > 0;
  }

  /**
   * Looks at the next `slots` slots for messages that have expired; `onExpired` is told before each is removed and may
   * say false to stop here. Returns how many went.
   */
  sweep(nowMs: number, slots: number, onExpired: (slot: number) => boolean): number {
    const { used, expiries, rowIds } = this.#table;
    let removed = 0;
    for (let left = Math.min(slots, used); left > 0; left--) {
      if (this.#sweepAt >= used) this.#sweepAt = 0;
      const slot = this.#sweepAt;
      if (rowIds[slot] !== 0 && expiries[slot]! <= nowMs) {
        if (!onExpired(slot)) break;
        this.remove(slot);
        removed++;
      }
      this.#sweepAt++;
    }
    return removed;
  }

  readonly #viewOf = (slot: number): RetainedMessage => {
    const table = this.#table;
    const view = this.#view;
    view.buffer = table.bufferOf(slot);
    view.topicStart = table.offsets[slot]!;
    view.propertiesStart = view.topicStart + table.topicBytes[slot]!;
    view.payloadStart = view.propertiesStart + table.propertyBytes[slot]!;
    view.payloadEnd = view.payloadStart + table.payloadBytes[slot]!;
    view.qos = table.qos[slot]!;
    view.expiresAtMs = table.expiries[slot]!;
    view.sequence = table.sequences[slot]!;
    return view;
  };

  #book(slot: number, sign: 1 | -1): void {
    const table = this.#table;
    if (table.expiries[slot]! !== Number.POSITIVE_INFINITY) this.#expiring += sign;
    if (table.rowIds[slot] === volatileRow) {
      this.#volatileCount += sign;
    } else {
      this.#count += sign;
      this.#bytes += sign * table.sizeOf(slot);
    }
  }
}
