import { describe, expect, test } from 'vitest';

import { renderTable } from '../../src/cli/table.js';
import { cut, harmless, rateText, sizeText, spanText, widthOf } from '../../src/cli/text.js';

interface Row {
  readonly name: string;
  readonly count: number;
}
const columns = [
  { head: 'name', cell: ({ name }: Row) => name },
  { head: 'count', cell: ({ count }: Row) => count, right: true },
];

describe('tables', () => {
  test('without a terminal nothing is cut, and columns are parted by two blanks [broker]', () => {
    const name = 'a/very/long/topic/filter/'.repeat(20);
    const text = renderTable([{ name, count: 7 }], columns, { columns: undefined, color: false });
    const [head = '', row = '', ...rest] = text.split('\n');
    expect(head).toMatch(/^NAME +COUNT$/);
    expect(row).toBe(`${name}      7`);
    expect(rest).toEqual(['']);
  });

  test.each([20, 40, 80])('on a terminal of %i columns no line is wider [broker]', (width) => {
    const rows = [
      { name: 'x'.repeat(100), count: 1 },
      { name: '日本語のトピック名はとても長いです'.repeat(3), count: 123_456 },
    ];
    const text = renderTable(rows, columns, { columns: width, color: false });
    for (const line of text.trimEnd().split('\n')) expect(widthOf(line)).toBeLessThanOrEqual(width);
    expect(text).toContain('…');
    // A table that fits is not cut.
    const short = renderTable([{ name: 'jobs', count: 5 }], columns, { columns: width, color: false });
    expect(short).toContain('jobs');
    expect(short).not.toContain('…');
  });

  test('colour is an option of the head alone [broker]', () => {
    const rows = [{ name: 'jobs', count: 1 }];
    const plain = renderTable(rows, columns, { columns: 80, color: false });
    const bold = renderTable(rows, columns, { columns: 80, color: true });
    expect(plain).not.toContain('\u001B');
    expect(bold).toContain('\u001B');
    expect(bold.replaceAll(/\u001B\[\d+m/g, '')).toBe(plain);
  });

  test('a name that would steer the terminal is shown, not obeyed [broker]', () => {
    const name = 'a\u001B[2Jb\u0007\u202Ec\nd';
    for (const width of [undefined, 80]) {
      const text = renderTable([{ name, count: 1 }], columns, { columns: width, color: false });
      expect(text).toContain(String.raw`a\x1b[2Jb\x07\u202ec\x0ad`);
    }
  });
});

describe('texts', () => {
  test.each([
    [0, '0ms'],
    [999, '999ms'],
    [1500, '1.5s'],
    [59_900, '59.9s'],
    [61_000, '1m 1s'],
    [3_600_000, '1h 0m'],
    [90_000_000, '1d 1h'],
  ])('%i ms are %j [broker]', (ms, text) => expect(spanText(ms)).toBe(text));

  test('sizes, rates and widths [broker]', () => {
    expect([0, 1023, 1536, 5 * 1024 ** 3, 2 * 1024 ** 4].map(sizeText)).toEqual([
      '0 B',
      '1023 B',
      '1.5 KB',
      '5.0 GB',
      '2.0 TB',
    ]);
    expect([0, 0.25, 99.94, 1234.6].map(rateText)).toEqual(['0', '0.3', '99.9', '1235']);
    expect(['abc', '日本', 'e\u0301', '👍'].map(widthOf)).toEqual([3, 4, 1, 2]);
    expect(cut('日本語', 5)).toBe('日本…');
    expect(cut('abc', 3)).toBe('abc');
    expect(harmless('grün/日本')).toBe('grün/日本');
  });
});
