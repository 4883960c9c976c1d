import { describe, expect, it } from 'vitest';

import {
  bytes,
  count,
  duration,
  percent,
  plural,
  rate,
  shortCount,
} from '../../../src/dashboard/base/format.js';

describe('figures for people', () => {
  it.each([
    [count(1234567), '1,234,567'],
    [shortCount(9999), '9,999'],
    [shortCount(12_345), '12.3K'],
    [rate(0), '0/s'],
    [rate(3.14), '3.1/s'],
    [rate(1234.5), '1,235/s'],
    [bytes(0), '0 B'],
    [bytes(1536), '1.5 KB'],
    [bytes(5 * 1024 ** 4), '5 TB'],
    [bytes(5000 * 1024 ** 4), '5,000 TB'],
    [duration(0), '0 ms'],
    [duration(2.34), '2.3 ms'],
    [duration(1500), '1.5 s'],
    [duration(63_000), '1 min 3 s'],
    [duration(7_200_000), '2 h'],
    [duration(90_061_000), '1 d 1 h'],
    [percent(0.845), '85 %'],
    [plural(1, 'queue'), '1 queue'],
    [plural(1200, 'queue'), '1,200 queues'],
  ])('%s is %s [broker]', (text, expected) => {
    expect(text).toBe(expected);
  });

  it('that are not known are a dash, whatever they count [broker]', () => {
    for (const format of [count, shortCount, rate, bytes, duration, percent]) {
      expect([format(undefined), format(NaN), format(Infinity)]).toEqual(['–', '–', '–']);
    }
  });
});
