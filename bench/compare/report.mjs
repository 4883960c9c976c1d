/**
 * Prints a comparison: a table with one line per figure, those that decide first, then the verdict. Pure.
 *
 * Always true: every median stands with its spread, and a ratio with its interval; a ratio above 1 means that the change
 * has more of it, which is good for rates and bad for times and sizes; the last column says which.
 */

const HEAD = [
  '',
  'base',
  'min–max',
  '±MAD',
  'change',
  'min–max',
  '±MAD',
  'ratio',
  '95 % interval',
  'verdict',
];

/** From so many deciding figures on, chance is worth a word. */
const MANY = 4;

/**
 * `rows`: { path, isHeadline, base, change, ratio, low, high, verdict }. Figures that neither decide nor changed are only
 * counted unless `all`. Ends in a newline.
 */
export function renderComparison(rows, verdict, all = false) {
  const shown = rows.filter((row) => all || row.isHeadline || ['faster', 'slower'].includes(row.verdict));
  const lines = shown.map((row) => [
    `${row.isHeadline ? '* ' : '  '}${row.path}`,
    ...side(row.base),
    ...side(row.change),
    ratio(row.ratio),
    Number.isNaN(row.ratio) ? '–' : `${ratio(row.low)}–${ratio(row.high)}`,
    row.verdict,
  ]);
  const table = [HEAD, ...lines];
  const widths = HEAD.map((_, column) => Math.max(...table.map((line) => line[column].length)));
  const text = table.map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
      .join('  '),
  );
  const hidden = rows.length - shown.length;
  const deciding = rows.filter((row) => row.isHeadline).length;
  const notes = [
    hidden === 0 ? '' : `${hidden} more figures did not change beyond noise (--all shows them).\n`,
    deciding < MANY
      ? ''
      : `${deciding} figures decide, and chance alone calls about one in 20 of them changed.\n`,
  ];
  return `${text.join('\n')}\n\n${notes.join('')}The change is ${sentence(verdict)}\n`;
}

function side({ median, min, max, mad }) {
  return [
    number(median),
    `${number(min)}–${number(max)}`,
    median === 0 ? '–' : `${((mad / median) * 100).toFixed(1)} %`,
  ];
}

function number(value) {
  const digits = Math.abs(value) < 10 ? 3 : Math.abs(value) < 1000 ? 1 : 0;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

function ratio(value) {
  return Number.isNaN(value) ? '–' : value.toFixed(3);
}

function sentence(verdict) {
  switch (verdict) {
    case 'faster':
      return 'FASTER beyond noise in a figure marked *, and slower in none.';
    case 'slower':
      return 'SLOWER beyond noise in a figure marked *.';
    case 'same':
      return 'the SAME as the base: what the figures marked * differ by is noise.';
    default:
      return 'UNCLEAR: too few pairs, or a figure marked * that has no ratio.';
  }
}
