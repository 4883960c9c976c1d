/**
 * What a command prints: a table or lines for people, JSON for scripts. Runs in the process of the command.
 *
 * Always true: with `--json` standard output holds JSON and nothing else; lists are arrays, single things are objects, and
 * fields keep the names of the REST API. Notes and progress go to standard error. NO_COLOR and TERM=dumb are obeyed.
 */
import type { CliIo } from './io.js';
import { type Column, renderRecord, renderTable } from './table.js';

/** Prints the results of one command. */
export class Output {
  readonly isJson: boolean;
  readonly #io: CliIo;

  constructor(io: CliIo, isJson: boolean) {
    this.#io = io;
    this.isJson = isJson;
  }

  /** A list: an array, or a table; `empty` is said when there is nothing to show. */
  list<Row>(rows: readonly Row[], columns: readonly Column<Row>[], empty: string): void {
    if (this.isJson) {
      this.json(rows);
    } else if (rows.length === 0) {
      this.note(empty);
    } else {
      this.#io.out(renderTable(rows, columns, { columns: this.#io.outColumns, color: hasColor(this.#io) }));
    }
  }

  /** One thing: `value` as JSON, or pairs of names and values. */
  record(value: unknown, pairs: readonly (readonly [string, string | number])[]): void {
    if (this.isJson) this.json(value);
    else this.#io.out(renderRecord(pairs));
  }

  /** What was done: `value` as JSON, or one line. */
  done(value: unknown, line: string): void {
    if (this.isJson) this.json(value);
    else this.#io.out(`${line}\n`);
  }

  /** One JSON document. */
  json(value: unknown): void {
    this.#io.out(`${JSON.stringify(value, undefined, 2)}\n`);
  }

  /** A table below a record; nothing with `--json`, where the record holds all. */
  table<Row>(title: string, rows: readonly Row[], columns: readonly Column<Row>[]): void {
    if (this.isJson || rows.length === 0) return;
    const style = { columns: this.#io.outColumns, color: hasColor(this.#io) };
    this.#io.out(`\n${title}\n${renderTable(rows, columns, style)}`);
  }

  /** A remark that is no result. */
  note(text: string): void {
    this.#io.err(`${text}\n`);
  }
}

function hasColor({ env, outColumns }: CliIo): boolean {
  return outColumns !== undefined && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}
