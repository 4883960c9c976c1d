/**
 * A list of records in a file of the data directory: accounts, API keys, bans. Main thread.
 *
 * Always true: a change is on disk before it is in force, and changes are made one after the other, each on the outcome
 * of the one before; a change that cannot be written changes nothing. A file that is there and is not what was written
 * ends the start: guessing who may do what is worse than not starting. Gives up: lists too long to be written whole.
 */
import { readFileSync } from 'node:fs';

import type { Static, TSchema } from 'typebox';
import Type from 'typebox';
import { Compile } from 'typebox/compile';

import { OperationalError } from '../base/error.js';
import { replaceFile } from '../base/replace-file.js';

const formatVersion = 1;

/** See the file header. `S` is the schema of one record. */
export class RecordFile<S extends TSchema> {
  readonly #file: string;
  #records: readonly Static<S>[];
  #turn: Promise<unknown> = Promise.resolve();

  /** Reads the file, which need not exist. Throws `OperationalError` ERR_ACCESS_FILE. */
  constructor(file: string, record: S) {
    this.#file = file;
    this.#records = read(file, record);
  }

  /** What is in force. */
  get records(): readonly Static<S>[] {
    return this.#records;
  }

  /**
   * `change` gets the records in force and gives those that shall be, or a word that says why not, which is handed on.
   * `accept` runs in the moment in which the new records are in force. Rejects with ERR_ACCESS_FILE when they cannot be
   * written.
   */
  async update<Refusal extends string>(
    change: (records: readonly Static<S>[]) => readonly Static<S>[] | Refusal,
    accept: (records: readonly Static<S>[]) => void,
  ): Promise<Refusal | 'done'> {
    const turn = this.#turn.then(async () => {
      const next = change(this.#records);
      if (typeof next === 'string') return next;
      await write(this.#file, next);
      this.#records = next;
      accept(next);
      return 'done' as const;
    });
    this.#turn = turn.catch(() => undefined);
    return await turn;
  }
}

function read<S extends TSchema>(file: string, record: S): readonly Static<S>[] {
  const check = Compile(Type.Object({ version: Type.Literal(formatVersion), records: Type.Array(record) }));
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    // The text of a JSON fault would repeat a piece of the file.
    const reason = error instanceof SyntaxError ? 'it is not JSON' : (error as Error).message;
    throw new OperationalError('ERR_ACCESS_FILE', `${file} cannot be read: ${reason}`);
  }
  if (!check.Check(content)) {
    const [fault] = check.Errors(content);
    const place = `${fault?.instancePath ?? ''} ${fault?.message ?? ''}`.trim();
    throw new OperationalError('ERR_ACCESS_FILE', `${file} is not what this version wrote: ${place}`);
  }
  return (content as { records: Static<S>[] }).records;
}

async function write(file: string, records: readonly unknown[]): Promise<void> {
  try {
    await replaceFile(file, `${JSON.stringify({ version: formatVersion, records }, undefined, 1)}\n`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OperationalError('ERR_ACCESS_FILE', `${file} cannot be written: ${reason}`, error);
  }
}
