/** What publishers wait for when a subscriber is half full, with fake timers. Quick tier. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Congestion } from '../../src/session/congestion.js';

describe('a congested subscriber', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('everybody who waits goes on, once, when it is relieved [broker]', () => {
    const congestion = new Congestion();
    const resumed: string[] = [];
    expect(congestion.note(0)).toBe(true);
    congestion.whenRelieved(() => resumed.push('a'));
    expect(congestion.note(1)).toBe(true);
    congestion.whenRelieved(() => resumed.push('b'));
    expect(resumed).toEqual([]);
    congestion.relieve();
    congestion.relieve();
    expect(resumed).toEqual(['a', 'b']);
    vi.advanceTimersByTime(60_000);
    expect(resumed).toEqual(['a', 'b']);
    expect(congestion.note(2)).toBe(true);
  });

  test('who is not relieved in its time is waited for no more for a while [broker]', () => {
    const congestion = new Congestion();
    let resumed = 0;
    congestion.note(0);
    congestion.whenRelieved(() => resumed++);
    vi.advanceTimersByTime(249);
    expect([resumed, congestion.isOn]).toEqual([0, true]);
    vi.advanceTimersByTime(1);
    expect([resumed, congestion.isOn]).toEqual([1, false]);
    expect(congestion.note(251)).toBe(false);
    expect(congestion.note(10_249)).toBe(false);
    expect(congestion.note(10_250)).toBe(true);
  });
});
