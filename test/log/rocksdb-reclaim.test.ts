/** When the space of deleted blocks is asked back from RocksDB; the database itself is a recorder. */
import { expect, test } from 'vitest';

import { RocksReclaim } from '../../src/log/rocksdb-reclaim.js';

type Parts = ConstructorParameters<typeof RocksReclaim>;

const MIB = 1 << 20;
const budgets = { meta: 4 * MIB, blocks: 32 * MIB, summaries: 4 * MIB, keys: 4 * MIB };
const blockBytes = 64 * 1024;

function makeReclaim() {
  const batch = { _clear: () => {}, _put: () => {}, _del: () => {}, _writeSync: () => {} };
  const column = {};
  const database = { batch: () => batch } as unknown as Parts[0];
  const columns = { meta: column, blocks: column, summaries: column, keys: column } as unknown as Parts[1];
  const reclaim = new RocksReclaim(database, columns, budgets);
  const rows = { rowBytes: 0, rowCount: 0, deletedRows: 0 };
  return {
    /** Blocks of 64 KiB are written and others deleted. */
    write(put: number, deleted: number): void {
      for (let i = 0; i < put; i++) reclaim.noteWrite({ blockBytes, deletedBlocks: 0, ...rows });
      reclaim.noteWrite({ blockBytes: 0, deletedBlocks: deleted, ...rows });
    },
    /** Seconds pass; gives how many fills there were. `sizeAfter` is the store's size by the number of fills. */
    rest(seconds: number, sizeAfter: (fills: number) => number): number {
      let fills = 0;
      for (let second = 0; second < seconds; second++) {
        reclaim.decide(0, sizeAfter(fills));
        if (reclaim.filling) fills += 1;
        while (reclaim.filling) reclaim.fillSlice();
      }
      return fills;
    },
  };
}

test('what was deleted while traffic flowed is asked back at rest until the files are small [broker]', () => {
  const store = makeReclaim();
  store.write(1600, 1500);
  expect(store.rest(1, () => 144 * MIB)).toBe(1);
  store.write(0, 10);
  expect(store.rest(60, (fills) => (fills < 2 ? 144 * MIB : 20 * MIB))).toBe(2);
  expect(store.rest(60, () => 20 * MIB)).toBe(0);
});

test('files that do not become smaller are left alone after a few fills [broker]', () => {
  const store = makeReclaim();
  store.write(1600, 1600);
  expect(store.rest(600, () => 144 * MIB)).toBe(5);
  store.write(1, 0);
  expect(store.rest(600, () => 144 * MIB)).toBe(0);
});

test('a store that is large because messages wait is not rewritten for a few deletions [broker]', () => {
  const store = makeReclaim();
  store.write(32_000, 160);
  expect(store.rest(600, () => 2048 * MIB)).toBeLessThanOrEqual(1);
});

test('once the files of what was deleted have gone there are no more fills, however much was deleted [broker]', () => {
  const store = makeReclaim();
  // 1 GB waits, 3 GB have come and gone.
  store.write(64_000, 48_000);
  expect(store.rest(60, (fills) => (fills < 2 ? 4096 : 1024) * MIB)).toBe(2);
  store.write(16, 0);
  expect(store.rest(600, () => 1024 * MIB)).toBe(0);
});
