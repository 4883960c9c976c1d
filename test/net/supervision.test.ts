/** The calendar of connections against a list. Quick tier. */
import { describe, expect, test } from 'vitest';

import { Supervision, type Supervised } from '../../src/net/supervision.js';
import { Random, testSeed } from '../mqtt/random.js';

class Item implements Supervised {
  dueTick = -1;
  readonly looks: number[] = [];
  next: (nowMs: number) => number = () => Number.POSITIVE_INFINITY;

  sweep(nowMs: number): number {
    this.looks.push(nowMs);
    return this.next(nowMs);
  }
}

describe('supervision', () => {
  test('everything is looked at once its time is over, and never before [broker]', () => {
    const supervision = new Supervision(500, 10_200);
    const item = new Item();
    supervision.lookBy(item, 11_700);
    for (let nowMs = 10_500; nowMs <= 11_500; nowMs += 500) supervision.run(nowMs);
    expect(item.looks).toEqual([]);
    supervision.run(12_000);
    supervision.run(12_500);
    expect(item.looks).toEqual([12_000]);
    expect(supervision.size).toBe(0);
  });

  test('an earlier time counts, a later one does not put it off [broker]', () => {
    const supervision = new Supervision(500, 0);
    const item = new Item();
    supervision.lookBy(item, 60_000);
    supervision.lookBy(item, 1000);
    supervision.lookBy(item, 90_000);
    supervision.run(1000);
    expect(item.looks).toEqual([1000]);
    expect(supervision.size).toBe(0);
  });

  test('what was removed is not looked at, not even by the tick under way [broker]', () => {
    const supervision = new Supervision(500, 0);
    const [first, second] = [new Item(), new Item()];
    first.next = () => {
      supervision.remove(second);
      return Number.POSITIVE_INFINITY;
    };
    supervision.lookBy(first, 500);
    supervision.lookBy(second, 500);
    supervision.run(500);
    expect([first.looks.length, second.looks.length, supervision.size]).toEqual([1, 0, 0]);
  });

  test('with thousands of items each look comes in the tick behind its time, whatever happens [broker]', () => {
    const seed = testSeed();
    const random = new Random(seed);
    const supervision = new Supervision(500, 0);
    const due = new Map<Item, number>();
    let nowMs = 0;
    let looks = 0;
    for (let i = 0; i < 3000; i++) {
      const item = new Item();
      item.next = (at) => {
        looks++;
        const dueMs = due.get(item);
        if (dueMs === undefined || at < dueMs) throw new Error(`seed ${seed}: looked at ${at}, not ${dueMs}`);
        const next = at + 1 + random.below(30_000);
        due.set(item, next);
        return next;
      };
      const first = random.below(20_000);
      due.set(item, first);
      supervision.lookBy(item, first);
    }
    for (let step = 0; step < 300; step++) {
      nowMs += random.chance(0.05) ? random.below(60_000) : 500;
      supervision.run(nowMs);
      const late = Math.floor(nowMs / 500) * 500;
      for (const [item, dueMs] of due) {
        if (dueMs < late) throw new Error(`seed ${seed}, step ${step}: not looked at in time`);
        if (random.chance(0.001)) {
          supervision.remove(item);
          due.delete(item);
        }
      }
    }
    expect(looks).toBeGreaterThan(3000);
  });
});
