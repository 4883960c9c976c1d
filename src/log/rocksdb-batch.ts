/**
 * One group commit for RocksDB. Runs on the shard worker.
 *
 * Always true: keys and values are copied into the native WriteBatch during each call, so one key buffer is
 * reused for all calls. `dropQueue` cannot delete a range inside a batch (the binding has no such call): the batch
 * stores a "drop begun" mark, and the driver deletes the ranges right after the write and at the next open if a
 * crash came between. When the queue is used again in the same batch, the drop is spelled out key by key instead.
 * Gives up: that second form costs a read of the queue's keys; queue ids are not reused in practice.
 */
import type { LogBatch } from './log.js';
import type { RocksBatch, RocksColumn, RocksDatabase } from './rocksdb-binding.js';
import {
  assertOffset,
  assertQueueId,
  BLOCK_KEY_BYTES,
  META_DROPPED,
  META_KEY_BYTES,
  META_QUEUE,
  OFFSET_BYTES,
  QUEUE_ID_RESERVED_MIN,
  queueRangeEnd,
  queueRangeStart,
  valueKey,
  writeBlockKey,
  writeMetaKey,
  writeOffset,
} from './keys.js';

/** The column families as option objects, made once so that hot calls allocate none. */
export interface RocksColumns {
  readonly meta: { readonly column: RocksColumn };
  readonly blocks: { readonly column: RocksColumn };
  readonly summaries: { readonly column: RocksColumn };
  readonly keys: { readonly column: RocksColumn };
}

const EMPTY = Buffer.alloc(0);

/** See the header. Made by the driver's `batch()`. */
export class RocksLogBatch implements LogBatch {
  readonly native: RocksBatch;
  /** Queues whose ranges the driver deletes after the write. */
  readonly dropped: number[] = [];
  /** What was put into blocks, in small records, and the number of deleted blocks: input to space reclaim. */
  blockBytes = 0;
  smallBytes = 0;
  deletedBlocks = 0;
  /** The same of reserved ids, whose blocks are small and many; `blockBytes` has their bytes too. */
  rowBytes = 0;
  rowCount = 0;
  deletedRows = 0;
  operationCount = 0;

  readonly #database: RocksDatabase;
  readonly #columns: RocksColumns;
  readonly #blockKey = Buffer.alloc(BLOCK_KEY_BYTES);
  readonly #metaKey = Buffer.alloc(META_KEY_BYTES);
  readonly #offset = Buffer.alloc(OFFSET_BYTES);

  constructor(database: RocksDatabase, columns: RocksColumns) {
    this.#database = database;
    this.#columns = columns;
    this.native = database.batch();
  }

  putQueue(queueId: number, meta: Uint8Array): void {
    this.#begin(queueId);
    this.native._put(writeMetaKey(this.#metaKey, META_QUEUE, queueId), meta, this.#columns.meta);
    this.smallBytes += meta.length;
  }

  dropQueue(queueId: number): void {
    this.#begin(queueId);
    this.native._del(writeMetaKey(this.#metaKey, META_QUEUE, queueId), this.#columns.meta);
    this.native._put(writeMetaKey(this.#metaKey, META_DROPPED, queueId), EMPTY, this.#columns.meta);
    this.dropped.push(queueId);
  }

  putBlock(queueId: number, firstOffset: number, value: Uint8Array): void {
    this.#begin(queueId);
    this.native._put(this.#key(queueId, firstOffset), value, this.#columns.blocks);
    this.blockBytes += value.length;
    if (queueId < QUEUE_ID_RESERVED_MIN) return;
    this.rowBytes += value.length;
    this.rowCount += 1;
  }

  putSummary(queueId: number, firstOffset: number, value: Uint8Array): void {
    this.#begin(queueId);
    this.native._put(this.#key(queueId, firstOffset), value, this.#columns.summaries);
    this.smallBytes += value.length;
  }

  deleteBlock(queueId: number, firstOffset: number): void {
    this.#begin(queueId);
    const key = this.#key(queueId, firstOffset);
    this.native._del(key, this.#columns.blocks);
    this.native._del(key, this.#columns.summaries);
    if (queueId < QUEUE_ID_RESERVED_MIN) this.deletedBlocks += 1;
    else this.deletedRows += 1;
  }

  putKey(queueId: number, key: Uint8Array, offset: number): void {
    this.#begin(queueId);
    assertOffset(offset);
    writeOffset(this.#offset, offset, 0);
    this.native._put(valueKey(queueId, key), this.#offset, this.#columns.keys);
    this.smallBytes += key.length;
  }

  deleteKey(queueId: number, key: Uint8Array): void {
    this.#begin(queueId);
    this.native._del(valueKey(queueId, key), this.#columns.keys);
  }

  clear(): void {
    this.native._clear();
    this.dropped.length = 0;
    this.blockBytes = 0;
    this.smallBytes = 0;
    this.deletedBlocks = 0;
    this.rowBytes = 0;
    this.rowCount = 0;
    this.deletedRows = 0;
    this.operationCount = 0;
  }

  #begin(queueId: number): void {
    assertQueueId(queueId);
    this.operationCount += 1;
    if (this.dropped.length > 0) this.#spellOutDrop(queueId);
  }

  #key(queueId: number, firstOffset: number): Buffer {
    assertOffset(firstOffset);
    return writeBlockKey(this.#blockKey, queueId, firstOffset);
  }

  /** The second form of the header: deletes what the store and this batch hold of the queue, then forgets the mark. */
  #spellOutDrop(queueId: number): void {
    const at = this.dropped.indexOf(queueId);
    if (at === -1) return;
    this.dropped.splice(at, 1);
    this.native._del(writeMetaKey(this.#metaKey, META_DROPPED, queueId), this.#columns.meta);
    const gte = queueRangeStart(queueId);
    const lt = queueRangeEnd(queueId);
    for (const { column } of [this.#columns.blocks, this.#columns.summaries, this.#columns.keys]) {
      const batched = this.native.toArray({
        keys: true,
        values: false,
        data: false,
        keyEncoding: 'buffer',
        valueEncoding: 'buffer',
        column,
      });
      for (let index = 1; index < batched.length; index += 4) {
        const key = batched[index] as Buffer;
        if (key.compare(gte) >= 0 && key.compare(lt) < 0) this.native._del(key, { column });
      }
      const stored = this.#database.querySync({
        column,
        gte,
        lt,
        keys: true,
        values: false,
        limit: -1,
        highWaterMarkBytes: 0x7fff_ffff,
        fillCache: false,
        keyEncoding: 'buffer',
        valueEncoding: 'buffer',
      });
      for (let index = 0; index < stored.rows.length; index += 2)
        this.native._del(stored.rows[index] as Buffer, { column });
    }
  }
}
