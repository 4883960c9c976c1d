import { describe, expect, test } from 'vitest';
import { MinTree, NONE } from '../../src/base/min-tree.js';
import { Random, testSeed } from '../mqtt/random.js';

describe('tree of minima', () => {
  test('an empty one has no number [broker]', () => {
    const tree = new MinTree();
    expect(tree.min).toBe(NONE);
    expect(tree.nextUpTo(0, NONE - 1)).toBe(-1);
    tree.resize(3);
    tree.build();
    expect(tree.nextUpTo(2, NONE - 1)).toBe(-1);
    tree.resize(0);
    expect(tree.min).toBe(NONE);
  });

  test('one that was emptied leaves the others alone [broker]', () => {
    const full = new MinTree();
    full.resize(1);
    full.put(0, 5);
    full.build();
    expect([full.min, full.nextUpTo(0, 5), new MinTree().min]).toEqual([5, 0, NONE]);
  });

  test.each([1, 2, 3, 7, 64, 1000, 5000])('with %i places it finds what a scan finds [broker]', (places) => {
    const seed = testSeed();
    const random = new Random(seed);
    const tree = new MinTree();
    const values: number[] = [];
    const fill = (): void => {
      tree.resize(places);
      for (let place = 0; place < places; place++) {
        values[place] = random.chance(0.5) ? NONE : random.below(20);
        tree.put(place, values[place] as number);
      }
      tree.build();
    };
    fill();
    for (let round = 0; round < 400; round++) {
      if (round === 200) fill();
      const place = random.below(places);
      values[place] = random.chance(0.6) ? NONE : random.below(20);
      tree.set(place, values[place]);
      const start = random.below(places);
      const bound = random.below(20);
      const found = [...values.slice(start), ...values.slice(0, start)].findIndex((value) => value <= bound);
      const where = `seed ${seed}, round ${round}`;
      expect(tree.at(place), where).toBe(values[place]);
      expect(tree.min, where).toBe(Math.min(...values));
      expect(tree.nextUpTo(start, bound), where).toBe(found < 0 ? -1 : (start + found) % places);
    }
  });
});
