/** The sorted rows of a queue against a sorted array, over many chunks. */
import { expect, test } from 'vitest';
import { BlockRows, Row } from '../../src/log/segment-rows.js';
import { MemoryModel } from './model.js';

/** Offsets from `from`, each with the value stored beside it. */
function listed(rows: BlockRows, from: number): [number, number][] {
  const result: [number, number][] = [];
  for (let more = rows.seek(from); more; more = rows.next()) {
    result.push([rows.rows[rows.base]!, rows.rows[rows.base + Row.blockLocation]!]);
  }
  return result;
}

test('rows stay sorted and complete under random inserts and removals anywhere [broker]', () => {
  const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
  console.log(`segment rows seed ${seed}`);
  const draw = new MemoryModel(seed);
  const rows = new BlockRows();
  const oracle = new Map<number, number>();
  let base = 0;
  for (let step = 0; step < 30_000; step += 1) {
    // Grows for a while and shrinks for a while: appends at the end, holes in the middle, removals at the front.
    const growing = step % 10_000 < 6000;
    const action = draw.random(10);
    if (growing ? action < 6 : action < 2) base += 1 + draw.random(3);
    const offset = action < 6 ? base : Math.max(0, base - draw.random(6000));
    if (growing ? action < 8 : action < 3) {
      if (!rows.find(offset)) rows.insert(offset);
      expect(rows.rows[rows.base]).toBe(offset);
      rows.rows[rows.base + Row.blockLocation] = step;
      oracle.set(offset, step);
    } else {
      const target = action === 9 ? (oracle.keys().next().value ?? offset) : offset;
      expect(rows.find(target)).toBe(oracle.has(target));
      if (oracle.delete(target)) rows.remove();
    }
    if (step % 1500 !== 0) continue;
    const expected = [...oracle].sort(([a], [b]) => a - b);
    expect(listed(rows, 0)).toEqual(expected);
    const from = draw.random(base + 2);
    expect(listed(rows, from)).toEqual(expected.filter(([known]) => known >= from));
  }
  for (const offset of [...oracle.keys()]) {
    expect(rows.find(offset)).toBe(true);
    rows.remove();
  }
  expect(rows.empty).toBe(true);
  expect(rows.seek(0)).toBe(false);
});

test('a row that is inserted into a full chunk finds its place at either half [broker]', () => {
  for (const offset of [1, 255, 257, 509, 511, 513]) {
    const rows = new BlockRows();
    for (let even = 0; even <= 510; even += 2) rows.insert(even);
    rows.insert(offset);
    const expected = Array.from({ length: 256 }, (_, index) => index * 2)
      .concat(offset)
      .sort((a, b) => a - b);
    expect(listed(rows, 0).map(([known]) => known)).toEqual(expected);
  }
});
