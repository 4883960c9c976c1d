import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  UnitError,
  formatBytes,
  formatDurationMs,
  parseBytes,
  parseDurationMs,
} from '../../src/config/unit.js';

describe('durations', () => {
  test.each([
    [0, 0],
    [250, 250],
    ['250', 250],
    ['100ms', 100],
    ['10s', 10_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
    ['2w', 1_209_600_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    [' 10S ', 10_000],
  ])('%j is %i ms [queue-40]', (given, ms) => {
    expect(parseDurationMs(given)).toBe(ms);
  });

  test.each(['-10h', '', 'ten', '1h 30m', '5y', 'h', '1e3', '99999999999999999999', '999999999999d'])(
    '%j is refused with a text that repeats it [queue-43]',
    (given) => {
      expect(() => parseDurationMs(given)).toThrow(UnitError);
      expect(() => parseDurationMs(given)).toThrow(
        `${JSON.stringify(given)} is not a duration: give whole milliseconds or a text such as 100ms, 10s, 1h30m or 7d`,
      );
    },
  );

  test.each([-1, 1.5, NaN, Infinity, 2 ** 53])('the number %d is refused [broker]', (given) => {
    expect(() => parseDurationMs(given)).toThrow(UnitError);
  });

  test('a formatted duration reads back as itself [broker]', () => {
    fc.assert(
      fc.property(fc.nat({ max: 10 ** 12 }), (ms) => {
        expect(parseDurationMs(formatDurationMs(ms))).toBe(ms);
      }),
    );
    expect(formatDurationMs(5_400_000)).toBe('1h30m');
    expect(formatDurationMs(604_800_000)).toBe('7d');
  });
});

describe('sizes', () => {
  test.each([
    [0, 0],
    ['1000', 1000],
    ['512B', 512],
    ['64KB', 65_536],
    ['64KiB', 65_536],
    ['100MB', 104_857_600],
    ['1gb', 1_073_741_824],
    ['1.5 KB', 1536],
  ])('%j is %i bytes [queue-40]', (given, bytes) => {
    expect(parseBytes(given)).toBe(bytes);
  });

  test.each(['', '-1', 'many', '10XB', 'MB', '1.5', '9999999999TB'])(
    '%j is refused with a text that repeats it [broker]',
    (given) => {
      expect(() => parseBytes(given)).toThrow(
        `${JSON.stringify(given)} is not a size: give whole bytes or a text such as 512B, 64KB, 100MB or 1GB`,
      );
    },
  );

  test('a formatted size reads back as itself [broker]', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 50 }), (bytes) => {
        expect(parseBytes(formatBytes(bytes))).toBe(bytes);
      }),
    );
    expect(formatBytes(104_857_600)).toBe('100MB');
    expect(formatBytes(1000)).toBe('1000B');
  });
});
