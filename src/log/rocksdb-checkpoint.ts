/**
 * A checkpoint of the RocksDB store. Runs on the shard worker.
 *
 * Always true: each column's iterator reads as of the sequence number at which it was made, and all are made in one go on
 * the only thread that writes, so that together they are one state. They hold on to write buffers and SST files that the
 * store would otherwise drop: disk space of what is deleted meanwhile comes back when the checkpoint is closed.
 * Source: RocksDB, "Iterator" (implicit snapshot), read through the binding's iterators.
 */
import { OperationalError } from '../base/error.js';
import { CHECKPOINT_PAGE_BYTES, CheckpointKind } from './checkpoint.js';
import type { Checkpoint, CheckpointPage } from './checkpoint.js';
import { META_QUEUE, QUEUE_ID_MAX, queueRangeEnd, queueRangeStart, readOffset } from './keys.js';
import type { RocksColumns } from './rocksdb-batch.js';
import type { RocksColumnRef, RocksDatabase, RocksIterator } from './rocksdb-binding.js';

/** Rows of one slice at most: each is two objects, and small keys would otherwise make tens of thousands. */
const SLICE_ROWS_MAX = 2048;

interface Part {
  readonly kind: CheckpointKind;
  readonly iterator: RocksIterator;
}

/** Takes the checkpoint. `onClose` hears of its end once. */
export function rocksdbCheckpoint(
  database: RocksDatabase,
  columns: RocksColumns,
  onClose: (checkpoint: Checkpoint) => void,
): Checkpoint {
  return new RocksCheckpoint(database, columns, onClose);
}

class RocksCheckpoint implements Checkpoint {
  readonly #parts: Part[] = [];
  readonly #onClose: (checkpoint: Checkpoint) => void;
  #isOpen = true;

  constructor(database: RocksDatabase, columns: RocksColumns, onClose: (checkpoint: Checkpoint) => void) {
    this.#onClose = onClose;
    const all = [queueRangeStart(0), queueRangeEnd(QUEUE_ID_MAX)] as const;
    const metadata = [Buffer.from([META_QUEUE]), Buffer.from([META_QUEUE + 1])] as const;
    this.#add(database, CheckpointKind.queue, columns.meta, metadata);
    this.#add(database, CheckpointKind.block, columns.blocks, all);
    this.#add(database, CheckpointKind.summary, columns.summaries, all);
    this.#add(database, CheckpointKind.key, columns.keys, all);
  }

  next(page: CheckpointPage): boolean {
    const part = this.#parts[0];
    if (part === undefined || !this.#isOpen) return false;
    let result: { readonly rows: (Buffer | undefined)[]; readonly finished: boolean };
    try {
      result = part.iterator._nextvSync(SLICE_ROWS_MAX, {});
    } catch (error) {
      throw new OperationalError('ERR_LOG_READ', `cannot read the log: ${String(error)}`, error);
    }
    const { rows, finished } = result;
    for (let index = 0; index < rows.length; index += 2) {
      addRow(page, part.kind, rows[index] as Buffer, rows[index + 1] as Buffer);
    }
    if (finished) {
      this.#parts.shift();
      letGo(part);
    }
    return this.#parts.length > 0;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#parts.forEach(letGo);
    this.#parts.length = 0;
    this.#onClose(this);
  }

  #add(
    database: RocksDatabase,
    kind: CheckpointKind,
    column: RocksColumnRef,
    [gte, lt]: readonly [Buffer, Buffer],
  ): void {
    const iterator = database._iterator({
      ...column,
      gte,
      lt,
      keys: true,
      values: true,
      limit: -1,
      highWaterMarkBytes: CHECKPOINT_PAGE_BYTES,
      fillCache: false,
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
    });
    this.#parts.push({ kind, iterator });
  }
}

function addRow(page: CheckpointPage, kind: CheckpointKind, key: Buffer, value: Buffer): void {
  if (kind === CheckpointKind.queue) page.add(kind, key.readUInt32BE(1), 0, value);
  else if (kind === CheckpointKind.key)
    page.add(kind, key.readUInt32BE(0), readOffset(value, 0), key.subarray(4));
  else page.add(kind, key.readUInt32BE(0), readOffset(key, 4), value);
}

/** The library lets an iterator go in its own time; a fault of that has nobody whom it could concern. */
function letGo({ iterator }: Part): void {
  iterator.close().catch(() => {});
}
