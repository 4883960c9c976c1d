import { describe, expect, it } from 'vitest';

import { History, samplesMax } from '../../../src/dashboard/base/history.js';

describe('the figures of a chart', () => {
  it('are kept for ten minutes at one per second, and no longer [broker]', () => {
    const history = new History(1);
    for (let second = 0; second < samplesMax + 50; second++) history.add(second * 1000, [second]);
    expect(history.times).toHaveLength(samplesMax);
    expect(history.columns[0]).toHaveLength(samplesMax);
    expect(history.columns[0]?.[0]).toBe(50);
    expect(history.times.at(-1)).toBe(samplesMax + 49);
  });

  it('show a gap where nobody looked [broker]', () => {
    const history = new History(2);
    history.add(1000, [1, 2]);
    history.add(2000, [3, 4]);
    history.add(60_000, [5, 6]);
    expect(history.columns).toEqual([
      [1, 3, null, 5],
      [2, 4, null, 6],
    ]);
    expect(history.times).toEqual([1, 2, 3, 60]);
  });

  it('never go back in time, and what is no number is a gap [broker]', () => {
    const history = new History(1);
    history.add(2000, [1]);
    history.add(1000, [2]);
    history.add(2000, [3]);
    history.add(3000, [NaN]);
    expect(history.times).toEqual([2, 3]);
    expect(history.columns).toEqual([[1, null]]);
  });
});
