/**
 * Tables that stay quick with thousands of rows. In the browser.
 *
 * Always true: it is a real `<table>` with caption, headers and `aria-sort`; rows have one height, so that only those in view
 * (and a few around them) are in the document, between two spacers; `aria-rowcount` and `aria-rowindex` tell the whole. `onRange`
 * says which rows are in view, for whoever updates only those. Columns that are less important go first where it is narrow.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

/** Order of a sorted column. */
export type SortOrder = 'asc' | 'desc';

/** One column. */
export interface Column<Row> {
  /** Also what `onSort` is called with. */
  readonly key: string;
  readonly title: string;
  readonly render: (row: Row) => ComponentChildren;
  /** `end` for numbers. */
  readonly align?: 'start' | 'end';
  /** Width in `rem`; columns without one share the rest. */
  readonly widthRem?: number;
  readonly isSortable?: boolean;
  /** 1 is always shown, 2 from a tablet's width, 3 on wide screens only. Default 1. */
  readonly priority?: 1 | 2 | 3;
}

/** Height of a row in CSS pixels; the style sheet has the same number. */
const rowPx = 36;
/** Fewer rows than this are all in the document. */
const virtualMin = 80;
const overscan = 12;

/** See the file header. */
export function Table<Row>(props: {
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  sort?: { readonly key: string; readonly order: SortOrder };
  onSort?: (key: string, order: SortOrder) => void;
  /** Called with the first and the last index in view, when they change. */
  onRange?: (first: number, last: number) => void;
  /** When this changes, as with another page or search, the table begins at its top again. */
  top?: string;
  /** Shown in place of the rows when there are none; undefined while nothing is known yet. */
  empty?: ComponentChildren;
}) {
  const { columns, rows, onRange } = props;
  const box = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState<readonly [number, number]>([0, virtualMin]);
  const isVirtual = rows.length > virtualMin;

  // The box is as high as the window allows and scrolls inside.
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    let frame = 0;
    const measure = () => {
      frame = 0;
      const first = Math.max(0, Math.floor(element.scrollTop / rowPx));
      const last = Math.min(rows.length - 1, first + Math.ceil(element.clientHeight / rowPx));
      setRange((old) => (old[0] === first && old[1] === last ? old : [first, last]));
    };
    const schedule = () => {
      if (frame === 0) frame = requestAnimationFrame(measure);
    };
    measure();
    element.addEventListener('scroll', schedule, { passive: true });
    const observer = new ResizeObserver(schedule);
    observer.observe(element);
    return () => {
      cancelAnimationFrame(frame);
      element.removeEventListener('scroll', schedule);
      observer.disconnect();
    };
  }, [rows.length]);

  useEffect(() => {
    if (box.current !== null) box.current.scrollTop = 0;
  }, [props.top, props.sort?.key, props.sort?.order]);

  const [firstInView, lastInView] = range;
  useEffect(() => {
    if (rows.length > 0) onRange?.(firstInView, Math.min(lastInView, rows.length - 1));
  }, [firstInView, lastInView, rows.length, onRange]);

  const from = isVirtual ? Math.max(0, Math.min(firstInView, rows.length - 1) - overscan) : 0;
  const to = isVirtual ? Math.min(rows.length, lastInView + overscan) : rows.length;
  return (
    <>
      <div class="table-box" ref={box} role="group" aria-label={props.caption} tabIndex={0}>
        <table aria-rowcount={rows.length + 1}>
          <caption class="visually-hidden">{props.caption}</caption>
          <thead>
            <tr aria-rowindex={1}>
              {columns.map((column) => (
                <Head key={column.key} column={column} sort={props.sort} onSort={props.onSort} />
              ))}
            </tr>
          </thead>
          <tbody>
            <Spacer rows={from} columns={columns.length} />
            {rows.slice(from, to).map((row, index) => (
              <tr key={props.rowKey(row)} aria-rowindex={from + index + 2}>
                {columns.map((column) => (
                  <td key={column.key} class={cellClass(column)}>
                    {column.render(row)}
                  </td>
                ))}
              </tr>
            ))}
            <Spacer rows={rows.length - to} columns={columns.length} />
          </tbody>
        </table>
      </div>
      {rows.length === 0 ? props.empty : null}
    </>
  );
}

function Head<Row>(props: {
  column: Column<Row>;
  sort: { readonly key: string; readonly order: SortOrder } | undefined;
  onSort: ((key: string, order: SortOrder) => void) | undefined;
}) {
  const { column, sort, onSort } = props;
  const width = column.widthRem === undefined ? undefined : { width: `${column.widthRem}rem` };
  if (column.isSortable !== true || onSort === undefined) {
    return (
      <th scope="col" class={cellClass(column)} style={width}>
        {column.title}
      </th>
    );
  }
  const order = sort?.key === column.key ? sort.order : undefined;
  const isNumber = column.align === 'end';
  // The first press gives what is looked for: names from A, numbers from the largest.
  const next = order === undefined ? (isNumber ? 'desc' : 'asc') : order === 'asc' ? 'desc' : 'asc';
  const ariaSort = order === undefined ? 'none' : order === 'asc' ? 'ascending' : 'descending';
  return (
    <th scope="col" class={cellClass(column)} style={width} aria-sort={ariaSort}>
      <button type="button" class="sort" onClick={() => onSort(column.key, next)}>
        {column.title}
        <span aria-hidden="true" class="sort-mark">
          {order === undefined ? '' : order === 'asc' ? '▲' : '▼'}
        </span>
      </button>
    </th>
  );
}

function Spacer(props: { rows: number; columns: number }) {
  if (props.rows <= 0) return null;
  return (
    <tr aria-hidden="true" class="spacer" style={{ height: `${props.rows * rowPx}px` }}>
      <td colSpan={props.columns} />
    </tr>
  );
}

function cellClass<Row>(column: Column<Row>): string {
  return `${column.align === 'end' ? 'end ' : ''}priority-${column.priority ?? 1}`;
}
