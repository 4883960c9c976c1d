import { describe, expect, test } from 'vitest';
import { Arena, PAGE_BYTES } from '../../src/queue/arena.js';
import { Random, testSeed } from '../mqtt/random.js';

function arenaOf(pages: number): { arena: Arena; pass: (position: number) => void } {
  let passed = 0;
  const arena = new Arena(new SharedArrayBuffer(pages * PAGE_BYTES), (position) => position <= passed);
  return { arena, pass: (position) => (passed = position) };
}

describe('arena', () => {
  test('a page is reused only when nothing in it is held and the reader has passed its last frame [broker]', () => {
    const { arena, pass } = arenaOf(1);
    const first = arena.allocate(PAGE_BYTES / 2);
    const second = arena.allocate(PAGE_BYTES / 2);
    expect([first, second]).toEqual([0, PAGE_BYTES / 2]);
    arena.touch(first, 100, 32);
    arena.touch(second, 100, 64);
    arena.release(first, PAGE_BYTES / 2);
    pass(1000);
    expect(arena.allocate(8), 'half of it is held').toBe(-1);
    arena.touch(second, 100, 2000);
    arena.release(second, PAGE_BYTES / 2);
    expect(arena.allocate(8), 'the reader is not there yet').toBe(-1);
    pass(2000);
    expect(arena.allocate(8)).toBe(0);
  });

  test('a large block takes neighbouring pages and waits until they are neighbours [broker]', () => {
    const { arena } = arenaOf(4);
    const pages = [0, 1, 2, 3].map(() => arena.allocate(PAGE_BYTES));
    expect(pages).toEqual([0, 1, 2, 3].map((page) => page * PAGE_BYTES));
    arena.release(pages[0] as number, PAGE_BYTES);
    arena.release(pages[2] as number, PAGE_BYTES);
    expect(arena.freePages).toBe(2);
    expect(arena.allocate(PAGE_BYTES + 1)).toBe(-1);
    arena.release(pages[1] as number, PAGE_BYTES);
    const large = arena.allocate(2 * PAGE_BYTES + 1);
    expect(large).toBe(0);
    expect(arena.freePages).toBe(0);
    arena.release(large, 2 * PAGE_BYTES + 1);
    expect(arena.freePages).toBe(3);
  });

  test('an open page that holds nothing is not in the way of a large block [broker]', () => {
    const { arena } = arenaOf(3);
    const first = arena.allocate(PAGE_BYTES);
    const small = arena.allocate(64);
    arena.release(first, PAGE_BYTES);
    arena.release(small, 64);
    expect(arena.allocate(3 * PAGE_BYTES)).toBe(0);
  });

  test('a block is released once [broker]', () => {
    const { arena } = arenaOf(2);
    const at = arena.allocate(100);
    arena.release(at, 100);
    expect(() => arena.release(at, 100)).toThrow(/released once/);
  });

  test('held blocks never overlap, and memory neither leaks nor is lost in random use [broker]', () => {
    const seed = testSeed();
    const random = new Random(seed);
    const { arena, pass } = arenaOf(24);
    const held: { at: number; bytes: number }[] = [];
    let position = 0;
    let refused = 0;
    for (let step = 0; step < 20_000; step++) {
      if (random.chance(0.55)) {
        const bytes = random.chance(0.03) ? 1 + random.below(4 * PAGE_BYTES) : 1 + random.below(20_000);
        const at = arena.allocate(bytes);
        if (at < 0) {
          refused++;
        } else {
          expect(at % 8).toBe(0);
          expect(at + bytes).toBeLessThanOrEqual(24 * PAGE_BYTES);
          const clash = held.find((other) => at < other.at + other.bytes && other.at < at + bytes);
          expect(clash, `seed ${seed}, step ${step}`).toBeUndefined();
          held.push({ at, bytes });
          arena.touch(at, bytes, ++position);
        }
      } else if (held.length > 0) {
        const [gone] = held.splice(random.below(held.length), 1);
        arena.release(gone?.at ?? 0, gone?.bytes ?? 0);
      }
      if (random.chance(0.1)) pass(position);
    }
    expect(refused).toBeGreaterThan(100);
    for (const { at, bytes } of held) arena.release(at, bytes);
    pass(position);
    expect(arena.freePages).toBeGreaterThanOrEqual(23);
    expect(arena.allocate(20 * PAGE_BYTES)).toBeGreaterThanOrEqual(0);
  });
});
