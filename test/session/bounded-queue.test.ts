import { describe, expect, test } from 'vitest';

import { BoundedQueue } from '../../src/session/bounded-queue.js';
import { randomFrom, seed } from '../harness/environment.js';

describe('a bounded queue', () => {
  test('equals a plain list under random pushes, shifts and filters [broker]', () => {
    console.log(`seed ${seed}`);
    const random = randomFrom(seed);
    const queue = new BoundedQueue<number>(200, 5000);
    let list: [number, number][] = [];
    const bytesOf = (items: readonly [number, number][]): number =>
      items.reduce((sum, [, bytes]) => sum + bytes, 0);
    for (let step = 0; step < 5_000; step++) {
      const choice = random();
      if (choice < 0.55) {
        const bytes = Math.floor(random() * 100);
        const fits = list.length === 0 || (list.length < 200 && bytesOf(list) + bytes <= 5000);
        expect(queue.hasRoom(bytes)).toBe(fits);
        if (!fits) continue;
        queue.push(step, bytes);
        list.push([step, bytes]);
      } else if (choice < 0.99) {
        expect(queue.peek()).toBe(list[0]?.[0]);
        expect(queue.shift()).toBe(list.shift()?.[0]);
      } else {
        queue.filter((item) => item % 2 === 0);
        list = list.filter(([item]) => item % 2 === 0);
      }
      expect([queue.length, queue.bytes]).toEqual([list.length, bytesOf(list)]);
    }
  });

  test('an empty queue takes an item of any size, one without places takes none [broker]', () => {
    const queue = new BoundedQueue<string>(2, 10);
    expect(queue.hasRoom(100)).toBe(true);
    queue.push('large', 100);
    expect(queue.hasRoom(1)).toBe(false);
    expect(new BoundedQueue<string>(0, 10).hasRoom(1)).toBe(false);
  });
});
