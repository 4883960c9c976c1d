import { describe, expect, it } from 'vitest';

import type { LogEntry } from '../../../src/dashboard/base/types.js';
import {
  entriesMax,
  type EntryList,
  noEntries,
  withRead,
  withStreamed,
} from '../../../src/dashboard/pages/logs/entry-list.js';

function entry(time_ms: number, message = 'slow'): LogEntry {
  return { time_ms, level: 'warn', module: 'test', message, fields: {} };
}

function times({ known }: EntryList): number[] {
  return known.map((one) => one.entry.time_ms);
}

describe('the entries of the log', () => {
  it('are there once when they come by the stream and by a list, whichever is first [broker]', () => {
    const streamed = withStreamed(noEntries, entry(1));
    expect(times(withRead(streamed, [entry(1)]))).toEqual([1]);
    const read = withRead(noEntries, [entry(1)]);
    expect(times(withStreamed(read, entry(1)))).toEqual([1]);
  });

  it('are there as often as the broker had them [broker]', () => {
    const twice = withStreamed(withStreamed(noEntries, entry(1)), entry(1));
    expect(times(twice)).toEqual([1, 1]);
    expect(times(withRead(twice, [entry(1), entry(1)]))).toEqual([1, 1]);
    expect(times(withRead(noEntries, [entry(1), entry(1)]))).toEqual([1, 1]);
  });

  it('keep their numbers when a list fills a gap before them [broker]', () => {
    const before = withStreamed(withRead(noEntries, [entry(1)]), entry(5));
    const after = withRead(before, [entry(1), entry(3), entry(5)]);
    expect(times(after)).toEqual([1, 3, 5]);
    expect(after.known.map(({ number }) => number)).toEqual([1, 3, 2]);
  });

  it('are not lost when they came by the stream while an older list was on its way [broker]', () => {
    expect(times(withRead(withStreamed(noEntries, entry(2)), [entry(1)]))).toEqual([1, 2]);
  });

  it('are bounded, and the newest are kept [broker]', () => {
    let list = noEntries;
    for (let at = 1; at <= entriesMax + 3; at++) list = withStreamed(list, entry(at));
    expect(list.known).toHaveLength(entriesMax);
    expect(times(list)[0]).toBe(4);
    expect(list.lastNumber).toBe(entriesMax + 3);
  });
});
