/**
 * Rows: durable state that is not a queue (retained messages, sessions, wills, received packet ids), beside the queues in
 * the same log. Both threads.
 *
 *   log    block `row id` (1 to 2^53-1) of queue id 0xffff_fff0 + store; its bytes are the row's value as it was given
 *   page   f64 row id | u32 value bytes | u32 0 | value, padded to 8 | …      rows as they cross the message port
 *
 * Always true: a row is one block, so every driver keeps, replaces and deletes it like any other; no queue can have one of
 * these ids. Gives up: a checksum of its own, since both stores check what they read at the start, when rows are read.
 */
import { assert } from '../base/error.js';
import { QUEUE_ID_RESERVED_MIN } from '../log/keys.js';
import type { Log } from '../log/log.js';
import { RowStore } from './link.js';

/** Values in one page; a longer row is a page of its own. */
const PAGE_BYTES = 256 * 1024;
const ROW_HEAD_BYTES = 16;
const TWO_32 = 0x1_0000_0000;
/** Ids per millisecond of the clock: more than one thread can use. Leaves room until the year 2248. */
const IDS_PER_MS = 1024;

/** Queue id under which the rows of a store lie. */
export function rowQueueId(store: number): number {
  return QUEUE_ID_RESERVED_MIN + store;
}

/** Queue ids of all stores. */
export const rowQueueIds: readonly number[] = Object.values(RowStore).map(rowQueueId);

/** A row id from its halves. */
export function rowIdOf(low: number, high: number): number {
  return high * TWO_32 + low;
}

/**
 * Gives out row ids. They begin above every stored row and above the time of the start, so that the id of a row that was
 * deleted does not come back either.
 */
export class RowIds {
  #last = 0;

  /** A shard is open whose highest row is `lastRowId`. */
  startAfter(lastRowId: number, nowMs: number): void {
    this.#last = Math.max(this.#last, lastRowId, nowMs * IDS_PER_MS);
  }

  next(): number {
    this.#last++;
    assert(Number.isSafeInteger(this.#last), 'row ids are not used up');
    return this.#last;
  }
}

/** Highest row id in the log, 0 when there is none. Bisects: about 50 reads of one row for each store in use. */
export function lastRowId(log: Log): number {
  let last = 0;
  for (const queueId of rowQueueIds) {
    // The first row at or after what is being tried; above `high` there is none.
    let high = Number.MAX_SAFE_INTEGER;
    while (last < high) {
      const middle = last + Math.ceil((high - last) / 2);
      const [row] = log.readBlocks(queueId, middle, 1);
      if (row === undefined) high = middle - 1;
      else last = row.firstOffset;
    }
  }
  return last;
}

/** A page of rows with ids from `fromRowId` on; empty when there is none. */
export function packRows(log: Log, store: number, fromRowId: number): ArrayBuffer {
  const rows = log.readBlocks(rowQueueId(store), fromRowId, PAGE_BYTES);
  const byteLength = rows.reduce((sum, { value }) => sum + ROW_HEAD_BYTES + padded(value.length), 0);
  const page = new ArrayBuffer(byteLength);
  const view = new DataView(page);
  const bytes = new Uint8Array(page);
  let at = 0;
  for (const { firstOffset, value } of rows) {
    view.setFloat64(at, firstOffset);
    view.setUint32(at + 8, value.length);
    bytes.set(value, at + ROW_HEAD_BYTES);
    at += ROW_HEAD_BYTES + padded(value.length);
  }
  return page;
}

/** Hands out copies of the rows of a page; returns the `fromRowId` of the next one, -1 when this was the end. */
export function unpackRows(page: ArrayBuffer, onRow: (rowId: number, value: Uint8Array) => void): number {
  const view = new DataView(page);
  let next = -1;
  for (let at = 0; at < page.byteLength;) {
    const rowId = view.getFloat64(at);
    const length = view.getUint32(at + 8);
    onRow(rowId, new Uint8Array(page.slice(at + ROW_HEAD_BYTES, at + ROW_HEAD_BYTES + length)));
    next = rowId + 1;
    at += ROW_HEAD_BYTES + padded(length);
  }
  return next;
}

function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}
