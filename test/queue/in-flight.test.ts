import { describe, expect, test } from 'vitest';
import type { BlockSummary } from '../../src/log/record-format.js';
import { Block } from '../../src/queue/block.js';
import { IN_FLIGHT_MAX, InFlightTable } from '../../src/queue/in-flight.js';
import { SlotHeap } from '../../src/queue/slot-heap.js';
import { Random, testSeed } from '../mqtt/random.js';

function block(recordCount = 100, firstOffset = 0): Block {
  const summary: BlockSummary = {
    recordCount,
    ackedCount: 0,
    recordBytes: recordCount * 48,
    ackedBytes: 0,
    newestMs: 0,
    expiresEarliestMs: 0,
    expiresLatestMs: 0,
    ackBits: null,
  };
  return new Block(firstOffset, summary, 0, recordCount * 48 + 16);
}

/** Slots of a consumer's list, newest first. */
function listOf(table: InFlightTable, head: number): number[] {
  const slots: number[] = [];
  for (let slot = head; slot >= 0; slot = table.nextOf(slot)) slots.push(slot);
  return slots;
}

describe('block', () => {
  test('a record is settled once, and the block knows what is left [broker]', () => {
    const each = block(70, 1000);
    expect(each.endOffset).toBe(1070);
    each.markDone(0, 48);
    each.markDone(31, 48);
    each.markDone(69, 48);
    expect([each.isDone(0), each.isDone(1), each.isDone(31), each.isDone(69)]).toEqual([
      true,
      false,
      true,
      true,
    ]);
    expect([each.liveCount, each.liveBytes]).toEqual([67, 67 * 48]);
    expect(() => each.markDone(31, 48)).toThrow(/settled once/);
  });
});

describe('in-flight table', () => {
  test('a tag is good for one assignment of one incarnation [broker]', () => {
    const table = new InFlightTable(3);
    const slot = table.allocate(block(), 0, 16, 48);
    const tag = table.assign(slot, 5, -1);
    expect(tag >>> 28).toBe(3);
    expect(table.find(tag)).toBe(slot);
    expect(table.find((tag ^ (1 << 28)) >>> 0), 'another incarnation').toBe(-1);
    expect(table.find((tag + 1) >>> 0), 'another slot').toBe(-1);
    expect(table.find(0xffff_ffff)).toBe(-1);
    expect(table.unassign(slot, slot)).toBe(-1);
    expect(table.find(tag)).toBe(-1);
    const again = table.assign(slot, 6, -1);
    expect(again).not.toBe(tag);
    expect(table.find(tag)).toBe(-1);
    expect(table.attempts[slot]).toBe(2);
    table.unassign(slot, slot);
    table.free(slot);
    expect(table.find(again)).toBe(-1);
  });

  test('tags of an entry stay apart for 256 assignments [broker]', () => {
    const table = new InFlightTable(15);
    const tags = new Set<number>();
    for (let i = 0; i < 256; i++) {
      const slot = table.allocate(block(), 0, 16, 48);
      tags.add(table.assign(slot, 0, -1));
      table.unassign(slot, slot);
      table.free(slot);
    }
    expect(tags.size).toBe(256);
    expect(Math.min(...tags)).toBeGreaterThan(0);
  });

  test('lists, counts and blocks are right in random use while the table grows [broker]', () => {
    const seed = testSeed();
    const random = new Random(seed);
    const table = new InFlightTable(1, 2);
    const blocks = [block(100, 0), block(100, 2 ** 33)];
    const heads = [-1, -1, -1];
    const lists: number[][] = [[], [], []];
    const waiting: number[] = [];
    const tags = new Map<number, number>();
    for (let step = 0; step < 5000; step++) {
      const consumer = random.below(3);
      const list = lists[consumer] as number[];
      const dice = random.below(3);
      if (dice === 0) {
        const index = random.below(100);
        const slot = table.allocate(random.pick(blocks), index, 16 + index * 48, 48);
        expect(table.offsetOf(slot) % 2 ** 33).toBe(index);
        waiting.push(slot);
      } else if (dice === 1 && waiting.length > 0) {
        const [slot] = waiting.splice(random.below(waiting.length), 1) as [number];
        if (random.chance(0.2)) {
          table.free(slot);
          continue;
        }
        tags.set(slot, table.assign(slot, consumer, heads[consumer] as number));
        heads[consumer] = slot;
        list.unshift(slot);
      } else if (list.length > 0) {
        const [slot] = list.splice(random.below(list.length), 1) as [number];
        expect(table.find(tags.get(slot) as number)).toBe(slot);
        heads[consumer] = table.unassign(slot, heads[consumer] as number);
        expect(table.find(tags.get(slot) as number)).toBe(-1);
        waiting.push(slot);
      }
      expect(listOf(table, heads[consumer] as number), `seed ${seed}, step ${step}`).toEqual(lists[consumer]);
    }
    const used = waiting.length + lists.flat().length;
    expect(table.used).toBe(used);
    expect((blocks[0]?.unsettled ?? 0) + (blocks[1]?.unsettled ?? 0)).toBe(used);
    expect(used).toBeGreaterThan(50);
  });

  test('an entry that a consumer has cannot be freed, and the table says when it is full [broker]', () => {
    const table = new InFlightTable(1, IN_FLIGHT_MAX);
    const each = block();
    const slot = table.allocate(each, 0, 16, 48);
    table.assign(slot, 0, -1);
    expect(() => table.free(slot)).toThrow(/unassigned before/);
    for (let i = 1; i < IN_FLIGHT_MAX; i++) table.allocate(each, 0, 16, 48);
    expect(table.isFull).toBe(true);
    expect(() => table.allocate(each, 0, 16, 48)).toThrow(/not full/);
  });
});

describe('slot heap', () => {
  test('slots come out by key, also beyond 2^32, whatever the order they went in [broker]', () => {
    const random = new Random(testSeed());
    const heap = new SlotHeap();
    const model: number[] = [];
    for (let step = 0; step < 5000; step++) {
      if (random.chance(0.55)) {
        const key = random.below(1000) * 2 ** 33 + random.below(5);
        heap.push(key, key % 1_000_003);
        model.push(key);
        model.sort((a, b) => a - b);
      } else {
        const key = model.shift();
        expect(heap.peek()).toBe(key === undefined ? -1 : key % 1_000_003);
        expect(heap.pop()).toBe(key === undefined ? -1 : key % 1_000_003);
      }
      expect(heap.size).toBe(model.length);
    }
    expect([...heap.slots()].length).toBe(model.length);
    heap.clear();
    expect([heap.size, heap.peek(), heap.pop()]).toEqual([0, -1, -1]);
  });
});
