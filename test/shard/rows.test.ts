/** Rows in the log, and the pages in which they are read back. Quick tier. */
import { describe, expect, test } from 'vitest';
import { QUEUE_ID_RESERVED_MIN } from '../../src/log/keys.js';
import type { Log } from '../../src/log/log.js';
import { openMemoryLog } from '../../src/log/memory-driver.js';
import { RowStore } from '../../src/shard/link.js';
import { RowIds, lastRowId, packRows, rowQueueId, rowQueueIds, unpackRows } from '../../src/shard/rows.js';

function put(log: Log, store: RowStore, rowId: number, value: Uint8Array): void {
  const batch = log.batch();
  batch.putBlock(rowQueueId(store), rowId, value);
  log.write(batch);
}

function pages(log: Log, store: RowStore): [rowId: number, value: string][][] {
  const all: [number, string][][] = [];
  for (let from = 0; from >= 0;) {
    const page: [number, string][] = [];
    from = unpackRows(packRows(log, store, from), (rowId, value) =>
      page.push([rowId, Buffer.from(value).toString('latin1')]),
    );
    if (page.length > 0) all.push(page);
  }
  return all;
}

describe('rows', () => {
  test('come back in pages of a bounded size, whole, in order of their ids [broker]', () => {
    const log = openMemoryLog();
    const sizes = [0, 1, 7, 8, 9, 300_000, 100_000, 100_000, 100_000, 5];
    // The last one first, so that the order is that of the ids.
    for (const [i, size] of [...sizes.entries()].toReversed())
      put(log, RowStore.session, 2 ** 40 + i * 3, Buffer.alloc(size, i));
    put(log, RowStore.will, 1, Buffer.from('another store'));
    const read = pages(log, RowStore.session);
    expect(read.flat().map(([rowId, value]) => [rowId, value.length])).toEqual(
      sizes.map((size, i) => [2 ** 40 + i * 3, size]),
    );
    expect(
      read.flat().every(([, value], i) => value === String.fromCharCode(i).repeat(sizes[i] as number)),
    ).toBe(true);
    expect(read.map((page) => page.length)).toEqual([6, 3, 1]);
    expect(pages(log, RowStore.received)).toEqual([]);
  });

  test('a value that is kept holds no more memory than its own bytes [broker]', () => {
    const log = openMemoryLog();
    for (let rowId = 1; rowId <= 100; rowId++) put(log, RowStore.retained, rowId, Buffer.alloc(100));
    const buffers: number[] = [];
    unpackRows(packRows(log, RowStore.retained, 0), (_rowId, value) => buffers.push(value.buffer.byteLength));
    expect(buffers).toEqual(new Array(100).fill(100));
  });

  test('the highest id is found over all stores, between any others [broker]', () => {
    const log = openMemoryLog();
    expect(lastRowId(log)).toBe(0);
    for (const [store, rowId] of [
      [RowStore.received, 1],
      [RowStore.retained, 5],
      [RowStore.session, 4],
      [RowStore.will, 2 ** 52],
      [RowStore.session, Number.MAX_SAFE_INTEGER - 1],
    ] as const) {
      const before = lastRowId(log);
      put(log, store, rowId, Buffer.from('x'));
      expect(lastRowId(log)).toBe(Math.max(before, rowId));
    }
  });

  test('every store has a queue id that no queue can have [broker]', () => {
    expect(rowQueueIds).toEqual([0, 1, 2, 3].map((store) => QUEUE_ID_RESERVED_MIN + store));
    expect(rowQueueId(RowStore.received)).toBe(0xffff_fff3);
  });
});

describe('row ids', () => {
  test('go up, beyond every stored row and beyond those of an earlier start [broker]', () => {
    const ids = new RowIds();
    ids.startAfter(0, 1000);
    ids.startAfter(5, 1000);
    const first = [ids.next(), ids.next()];
    expect(first[1]).toBe((first[0] as number) + 1);
    const later = new RowIds();
    // Both rows were deleted, and the clock has gone on.
    later.startAfter(0, 1001);
    expect(later.next()).toBeGreaterThan(first[1] as number);
    // The clock was set back, but a row is there.
    const back = new RowIds();
    back.startAfter(first[1] as number, 3);
    expect(back.next()).toBe((first[1] as number) + 1);
    // A shard that comes back while others go on changes nothing.
    ids.startAfter(first[1] as number, 1000);
    expect(ids.next()).toBe((first[1] as number) + 1);
  });
});
