/**
 * Tables for people. Pure: rows in, text out.
 *
 * Always true: on a terminal a table is never wider than it, and the widest columns give way first; without a terminal nothing
 * is cut, so that `awk` and `grep` find whole values. Cells are harmless text. Colour only marks the head.
 */
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
const padding = 2;

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
  const widths = fit(natural, available - (columns.length + 1) - padding * columns.length);
  const table = new Table({
    head: heads.map((head, index) => cut(head, widths[index] ?? columnMin)),
    colWidths: widths.map((width) => width + padding),
    colAligns: columns.map(({ right }) => (right === true ? 'right' : 'left')),
    style: { head: color ? ['bold'] : [], border: color ? ['grey'] : [], compact: true },
  });
  for (const line of cells) table.push(line.map((cell, index) => cut(cell, widths[index] ?? columnMin)));
  return `${table.toString()}\n`;
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

/** `natural` made to sum up to at most `available` by narrowing the widest, down to `columnMin`. */
function fit(natural: readonly number[], available: number): number[] {
  const widths = [...natural];
  for (let surplus = sum(widths) - available; surplus > 0;) {
    const widest = Math.max(...widths);
    if (widest <= columnMin) break;
    const next = Math.max(columnMin, ...widths.filter((width) => width < widest));
    const last = widths.lastIndexOf(widest);
    const step = Math.max(1, Math.min(surplus, widest - next));
    widths[last] = widest - step;
    surplus -= step;
  }
  return widths;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
