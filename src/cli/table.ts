/**
 * Tables for people. Pure: rows in, text out.
 *
 * Always true: on a terminal a table is never wider than it; texts give way before numbers, and the widest of them first.
 * Without a terminal nothing is cut, so that `awk` and `grep` find whole values. Cells are harmless text. Colour only marks
 * the head.
 */
import { styleText } from 'node:util';

import Table from 'cli-table3';

import { cut, harmless, widthOf } from './text.js';

/** One column of a table of `Row`. */
export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => string | number;
  /** Numbers stand on the right. */
  readonly right?: boolean;
}

/** How a table is shown. */
export interface TableStyle {
  /** Columns of the terminal; undefined: no terminal. */
  readonly columns: number | undefined;
  readonly color: boolean;
}

const columnMin = 4;
/** Blanks between two columns. */
const gap = 2;
const noLines = Object.fromEntries(
  ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right']
    .concat(['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'])
    .map((name) => [name, '']),
);

/** The text of a table, with its line end. */
export function renderTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  { columns: available, color }: TableStyle,
): string {
  const cells = rows.map((row) => columns.map(({ cell }) => harmless(String(cell(row)))));
  const heads = columns.map(({ head }) => head.toUpperCase());
  const natural = heads.map((head, index) =>
    Math.max(widthOf(head), ...cells.map((line) => widthOf(line[index] ?? ''))),
  );
  if (available === undefined) return plainTable(heads, cells, columns, natural);
  const widths = fit(
    natural,
    columns.map(({ right }) => right === true),
    available - gap * (columns.length - 1),
  );
  const last = columns.length - 1;
  const table = new Table({
    head: heads.map((head, index) => {
      const width = widths[index] ?? columnMin;
      const text = pad(cut(head, width), width, columns[index]?.right === true);
      // Whoever asks for colour has looked at the terminal; the library's own look at the environment would be a second opinion.
      return color ? styleText('bold', text, { validateStream: false }) : text;
    }),
    colWidths: widths.map((width, index) => width + (index === last ? 0 : gap)),
    chars: noLines,
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 0 },
  });
  for (const line of cells) {
    table.push(
      line.map((cell, index) => {
        const width = widths[index] ?? columnMin;
        return pad(cut(cell, width), width, columns[index]?.right === true);
      }),
    );
  }
  return `${table.toString().replaceAll(/ +$/gm, '')}\n`;
}

/** Pairs of a name and a value below each other. */
export function renderRecord(pairs: readonly (readonly [string, string | number])[]): string {
  const width = Math.max(0, ...pairs.map(([name]) => widthOf(name)));
  return pairs.map(([name, value]) => `${pad(name, width)}  ${harmless(String(value))}\n`).join('');
}

function plainTable<Row>(
  heads: readonly string[],
  cells: readonly (readonly string[])[],
  columns: readonly Column<Row>[],
  widths: readonly number[],
): string {
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, index) => pad(text, widths[index] ?? 0, columns[index]?.right === true))
      .join('  ')
      .trimEnd();
  return `${[heads, ...cells].map((texts) => line(texts)).join('\n')}\n`;
}

function pad(text: string, width: number, right = false): string {
  const blanks = ' '.repeat(Math.max(0, width - widthOf(text)));
  return right ? blanks + text : text + blanks;
}

/** `natural` made to sum up to at most `available`: first the texts, then the numbers, the widest first, none below `columnMin`. */
function fit(natural: readonly number[], isNumber: readonly boolean[], available: number): number[] {
  const widths = [...natural];
  for (const numbers of [false, true]) {
    for (;;) {
      const surplus = widths.reduce((total, width) => total + width, 0) - available;
      const own = widths.filter((_, index) => isNumber[index] === numbers);
      const widest = Math.max(0, ...own);
      if (surplus <= 0 || widest <= columnMin) break;
      const next = Math.max(columnMin, ...own.filter((width) => width < widest));
      const index = widths.findLastIndex((width, at) => width === widest && isNumber[at] === numbers);
      widths[index] = widest - Math.max(1, Math.min(surplus, widest - next));
    }
  }
  return widths;
}
