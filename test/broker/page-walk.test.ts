import { setImmediate as nextTurn } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { PageWalks } from '../../src/broker/page-walk.js';

/** Walks on a clock that goes on by 0.1 ms with each entry. */
function walksOver(count: number) {
  const clock = { nowMs: 0 };
  const looks: number[] = [];
  function* entries(name: number): IterableIterator<number> {
    for (let entry = 0; entry < count; entry += 1) {
      clock.nowMs += 0.1;
      looks.push(name);
      yield entry;
    }
  }
  return { walks: new PageWalks(() => clock.nowMs), entries, looks };
}

const all = { wants: () => true, view: (entry: number) => entry };

describe('a walk over many entries', () => {
  it('lets others have a turn every few milliseconds, and still finds all [broker]', async () => {
    const { walks, entries, looks } = walksOver(1000);
    let turns = 0;
    let isOver = false;
    const page = walks
      .page({ page: 2, limit: 300 }, { entries: entries(1), ...all })
      .finally(() => (isOver = true));
    let most = 0;
    for (let before = 0; !isOver; turns += 1) {
      await nextTurn();
      most = Math.max(most, looks.length - before);
      before = looks.length;
    }
    expect(await page).toMatchObject({ count: 1000, hasNext: true });
    expect((await page).data).toEqual(Array.from({ length: 300 }, (_, index) => 300 + index));
    // 64 looks between two readings of the clock are 6.4 ms of it.
    expect(most).toBeLessThanOrEqual(64);
    expect(turns).toBeGreaterThanOrEqual(15);
  });

  it('has one slice per turn together with all other walks [broker]', async () => {
    const { walks, entries, looks } = walksOver(300);
    let open = 5;
    const pages = [1, 2, 3, 4, 5].map((name) =>
      walks.page({ page: 1, limit: 10 }, { entries: entries(name), ...all }).finally(() => (open -= 1)),
    );
    let most = 0;
    for (let before = 0; open > 0;) {
      await nextTurn();
      most = Math.max(most, looks.length - before);
      before = looks.length;
    }
    expect(most).toBeLessThanOrEqual(64);
    expect(looks).toHaveLength(5 * 300);
    // None waits until another one is over.
    expect(looks.indexOf(5)).toBeLessThan(looks.lastIndexOf(1));
    for (const page of await Promise.all(pages)) expect(page.count).toBe(300);
  });

  it('ends with its page when the total is known [broker]', async () => {
    const { walks, entries, looks } = walksOver(1000);
    const page = await walks.page({ page: 1, limit: 10 }, { entries: entries(1), ...all, total: 1000 });
    expect(page).toMatchObject({ count: 1000, hasNext: true });
    expect(looks).toHaveLength(11);
  });

  it('passes over what is not wanted and what is not there [broker]', async () => {
    const { walks } = walksOver(0);
    const entries = [1, undefined, 2, 3, undefined, 4];
    const page = await walks.page(
      { page: 1, limit: 10 },
      { entries, wants: (entry: number) => entry % 2 === 0, view: (entry) => entry * 10 },
    );
    expect(page).toEqual({ data: [20, 40], count: 2, hasNext: false });
  });
});
