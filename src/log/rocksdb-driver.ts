/**
 * The default store: RocksDB, one database per shard directory. Runs on the shard worker.
 *
 * Always true: a batch is one WriteBatch, so one record of the write-ahead log, written with write(2) before
 * `write` returns; durability is added by `WalSync`. Only synchronous calls of the binding are used in the hot path.
 * After the first failed write the log refuses every later one with the same reason: RocksDB itself is read-only
 * then, and the owner has to reopen. Byte table of the keys: keys.ts. Space: rocksdb-reclaim.ts.
 * Damage: write-ahead logs are checked before the open (rocksdb-wal-check.ts); SST files carry checksums.
 * Gives up: payload blocks are not cached here, the queue keeps the recent ones.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { assert, OperationalError } from '../base/error.js';
import type { Checkpoint } from './checkpoint.js';
import { lockDirectory } from './directory-lock.js';
import type { ReleaseDirectory } from './directory-lock.js';
import { measureRocksdb } from './rocksdb-size.js';
import type { RocksSize } from './rocksdb-size.js';
import { prepareDirectory } from './log-format.js';
import type { Log, LogBatch, LogOptions, StoredBlock } from './log.js';
import { loadRocksdb } from './rocksdb-binding.js';
import type {
  RocksBatch,
  RocksColumn,
  RocksColumnOptions,
  RocksDatabase,
  RocksDatabaseConstructor,
  RocksRange,
} from './rocksdb-binding.js';
import { RocksLogBatch } from './rocksdb-batch.js';
import { rocksdbCheckpoint } from './rocksdb-checkpoint.js';
import type { RocksColumns } from './rocksdb-batch.js';
import { RocksReclaim } from './rocksdb-reclaim.js';
import type { RocksBudgets } from './rocksdb-reclaim.js';
import { WalSync } from './rocksdb-wal.js';
import type { WalPosition } from './rocksdb-wal.js';
import { checkWals, SyncedNote } from './rocksdb-wal-check.js';
import { SyncQueue } from './sync-queue.js';
import {
  assertOffset,
  assertQueueId,
  BLOCK_KEY_BYTES,
  META_DROPPED,
  META_KEY_BYTES,
  META_QUEUE,
  queueRangeEnd,
  queueRangeStart,
  readOffset,
  valueKey,
  writeBlockKey,
  writeMetaKey,
} from './keys.js';

const MIB = 1 << 20;
const KIB = 1 << 10;
/** A data block of an SST file holds about one block of messages, so that a read fetches little else. */
const SST_BLOCK_BYTES = 64 * KIB;
const INT32_MAX = 0x7fff_ffff;
/** The directory is listed, and what was written is synced and noted as such, at most this often, ms. */
const UPKEEP_INTERVAL_MS = 1000;
/** Between two slices of a fill, ms. */
const FILL_PAUSE_MS = 100;
/** Flush and compaction threads: one of each; shards share the process-wide pools. */
const BACKGROUND_THREADS = 2;

/** Opens or creates the database. Errors: ERR_LOG_OPEN, ERR_LOG_LOCKED, ERR_LOG_CORRUPT, ERR_LOG_VERSION. */
export async function openRocksdbLog(options: LogOptions): Promise<Log> {
  const { directory } = options;
  let Database: RocksDatabaseConstructor;
  try {
    Database = loadRocksdb();
  } catch (error) {
    throw new OperationalError(
      'ERR_LOG_OPEN',
      `the rocksdb library cannot be loaded here (use the segment driver): ${String(error)}`,
      error,
    );
  }
  prepareDirectory(directory, 'rocksdb');
  // Before anything is looked at: the check of the write-ahead logs must not see one that is being written.
  const release = await lockDirectory(directory);
  try {
    return await openLocked(options, Database, release);
  } catch (error) {
    release();
    throw openError(directory, error);
  }
}

async function openLocked(
  options: LogOptions,
  Database: RocksDatabaseConstructor,
  release: ReleaseDirectory,
): Promise<Log> {
  const { directory } = options;
  refuseLostManifest(directory);
  checkWals(directory);
  const budgets = splitBudget(options.memoryBytesMax);
  const database = new Database(directory, { keyEncoding: 'buffer', valueEncoding: 'buffer' });
  await database.open({
    createIfMissing: true,
    parallelism: BACKGROUND_THREADS,
    walCompression: false,
    columns: {
      default: column(64 * KIB, 0),
      meta: column(budgets.meta, MIB),
      blocks: { ...column(budgets.blocks, 0), blockSize: SST_BLOCK_BYTES },
      summaries: column(budgets.summaries, cacheBytes(options.memoryBytesMax, 16)),
      keys: column(budgets.keys, cacheBytes(options.memoryBytesMax, 16)),
    },
  });
  try {
    return new RocksLog(directory, database, budgets, release);
  } catch (error) {
    await database.close();
    throw error;
  }
}

/**
 * Write buffers may reach 1.5 × the sum of the budgets and caches add an eighth, so a quarter of the memory goes to
 * blocks; a message that is consumed before its buffer is flushed never reaches an SST file. More than 48 MB would be
 * faster still, but leaves more of the directory behind at rest. Small budgets for the rest also keep the write-ahead
 * logs small: RocksDB lets them grow to 6 × the sum.
 */
function splitBudget(memoryBytesMax: number): RocksBudgets {
  const blocks = Math.max(4 * MIB, Math.min(48 * MIB, Math.floor(memoryBytesMax / 4)));
  return { meta: 512 * KIB, blocks, summaries: blocks / 16, keys: blocks / 8 };
}

function cacheBytes(memoryBytesMax: number, part: number): number {
  return Math.max(MIB, Math.floor(memoryBytesMax / part));
}

function column(memtableMemoryBudget: number, cacheSize: number): RocksColumnOptions {
  return { compaction: 'level', memtableMemoryBudget, compression: false, cacheSize };
}

/** RocksDB would start a new, empty database beside the data if only CURRENT were missing. */
function refuseLostManifest(directory: string): void {
  if (fs.existsSync(path.join(directory, 'CURRENT'))) return;
  const data = fs.readdirSync(directory).find((name) => name.endsWith('.sst'));
  if (data !== undefined) {
    throw new OperationalError(
      'ERR_LOG_CORRUPT',
      `${directory} holds ${data} but no CURRENT file; nothing was changed`,
    );
  }
}

function openError(directory: string, error: unknown): OperationalError {
  if (error instanceof OperationalError) return error;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = errorCode(cause);
  if (code === 'LEVEL_LOCKED')
    return new OperationalError(
      'ERR_LOG_LOCKED',
      `${directory} is in use by another process or shard`,
      cause,
    );
  if (code === 'LEVEL_CORRUPTION')
    return new OperationalError('ERR_LOG_CORRUPT', `${directory} is damaged: ${String(cause)}`, cause);
  return new OperationalError('ERR_LOG_OPEN', `cannot open the log in ${directory}: ${String(cause)}`, cause);
}

function errorCode(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : undefined;
}

function readError(error: unknown): OperationalError {
  if (error instanceof OperationalError) return error;
  const code = errorCode(error) === 'LEVEL_CORRUPTION' ? 'ERR_LOG_CORRUPT' : 'ERR_LOG_READ';
  return new OperationalError(code, `cannot read the log: ${String(error)}`, error);
}

class RocksLog implements Log {
  readonly driver = 'rocksdb';
  readonly #directory: string;
  readonly #database: RocksDatabase;
  readonly #columns: RocksColumns;
  readonly #release: ReleaseDirectory;
  readonly #wal: WalSync;
  readonly #syncedNote: SyncedNote;
  readonly #syncs: SyncQueue;
  readonly #reclaim: RocksReclaim;
  readonly #blockKey = Buffer.alloc(BLOCK_KEY_BYTES);
  readonly #getKeys: Uint8Array[] = [];
  readonly #marks: RocksBatch;
  #failure: OperationalError | null = null;
  #open = true;
  /** Written since the last sync that `maintain` asked for. */
  #unsynced = false;
  #noted: WalPosition | undefined;
  #size: RocksSize = { walBytes: 0, totalBytes: 0, sstBytes: new Map() };
  #upkeepAtMs = Number.NEGATIVE_INFINITY;
  #sizing: Promise<void> | null = null;
  #fillTimer: NodeJS.Timeout | null = null;
  /** Those that are open. */
  readonly #checkpoints = new Set<Checkpoint>();

  constructor(directory: string, database: RocksDatabase, budgets: RocksBudgets, release: ReleaseDirectory) {
    this.#directory = directory;
    this.#release = release;
    this.#database = database;
    this.#columns = {
      meta: columnRef(database, 'meta'),
      blocks: columnRef(database, 'blocks'),
      summaries: columnRef(database, 'summaries'),
      keys: columnRef(database, 'keys'),
    };
    this.#marks = database.batch();
    this.#finishDrops();
    this.#wal = new WalSync(directory);
    this.#syncedNote = new SyncedNote(directory);
    this.#syncs = new SyncQueue((done) => this.#wal.flush(done));
    this.#reclaim = new RocksReclaim(database, this.#columns, budgets);
    this.#startSizing();
  }

  queues(): { queueId: number; meta: Uint8Array }[] {
    const result: { queueId: number; meta: Uint8Array }[] = [];
    const rows = this.#query(
      this.#columns.meta.column,
      Buffer.from([META_QUEUE]),
      Buffer.from([META_QUEUE + 1]),
      -1,
      INT32_MAX,
    );
    for (let index = 0; index < rows.length; index += 2) {
      result.push({ queueId: cell(rows, index).readUInt32BE(1), meta: cell(rows, index + 1) });
    }
    return result;
  }

  batch(): LogBatch {
    this.#assertOpen();
    return new RocksLogBatch(this.#database, this.#columns);
  }

  write(batch: LogBatch): void {
    this.#assertOpen();
    assert(batch instanceof RocksLogBatch, 'a batch belongs to the log that made it');
    if (this.#failure !== null) throw this.#failure;
    if (batch.operationCount === 0) return;
    try {
      batch.native._writeSync(NO_SYNC);
    } catch (error) {
      throw this.#fail(error);
    }
    this.#unsynced = true;
    this.#reclaim.noteWrite(batch);
    if (batch.dropped.length > 0) this.#afterDrop(batch.dropped);
  }

  sync(done: (error: OperationalError | null) => void): void {
    this.#assertOpen();
    this.#syncs.request(done);
  }

  readSummaries(queueId: number, fromOffset: number, countMax: number): StoredBlock[] {
    if (countMax <= 0) return [];
    return storedBlocks(
      this.#readFrom(this.#columns.summaries.column, queueId, fromOffset, countMax, INT32_MAX),
    );
  }

  readBlocks(queueId: number, fromOffset: number, bytesMax: number): StoredBlock[] {
    // RocksDB stops when it exceeds the mark; ours is reached at equality.
    const mark = Math.min(Math.max(bytesMax - 1, 0), INT32_MAX);
    return storedBlocks(this.#readFrom(this.#columns.blocks.column, queueId, fromOffset, -1, mark));
  }

  readBlock(queueId: number, firstOffset: number): Uint8Array | undefined {
    assertQueueId(queueId);
    assertOffset(firstOffset);
    return this.#get(writeBlockKey(this.#blockKey, queueId, firstOffset), this.#columns.blocks.column);
  }

  readKey(queueId: number, key: Uint8Array): number | undefined {
    assertQueueId(queueId);
    const value = this.#get(valueKey(queueId, key), this.#columns.keys.column);
    return value === undefined ? undefined : readOffset(value, 0);
  }

  readKeys(
    queueId: number,
    afterKey: Uint8Array | undefined,
    countMax: number,
  ): { key: Uint8Array; offset: number }[] {
    assertQueueId(queueId);
    if (countMax <= 0) return [];
    // The first byte string after a key is the key with a zero byte appended.
    const from =
      afterKey === undefined
        ? queueRangeStart(queueId)
        : Buffer.concat([valueKey(queueId, afterKey), Buffer.from([0])]);
    const rows = this.#query(this.#columns.keys.column, from, queueRangeEnd(queueId), countMax, INT32_MAX);
    const result: { key: Uint8Array; offset: number }[] = [];
    for (let index = 0; index < rows.length; index += 2) {
      result.push({ key: cell(rows, index).subarray(4), offset: readOffset(cell(rows, index + 1), 0) });
    }
    return result;
  }

  async checkpoint(): Promise<Checkpoint> {
    this.#assertOpen();
    const checkpoint = rocksdbCheckpoint(this.#database, this.#columns, (closed) =>
      this.#checkpoints.delete(closed),
    );
    this.#checkpoints.add(checkpoint);
    return checkpoint;
  }

  diskBytes(): number {
    return this.#size.totalBytes;
  }

  maintain(nowMs: number): void {
    this.#assertOpen();
    if (this.#failure !== null) return;
    if (nowMs - this.#upkeepAtMs >= UPKEEP_INTERVAL_MS) {
      this.#upkeepAtMs = nowMs;
      if (this.#sizing === null) this.#startSizing();
      this.#noteSynced();
      if (this.#unsynced && !this.#syncs.busy) {
        this.#unsynced = false;
        this.#syncs.request(ignore);
      }
    }
    this.#reclaim.decide(this.#size.walBytes, this.#size.totalBytes);
    if (this.#fillTimer === null) this.#fill();
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    for (const checkpoint of [...this.#checkpoints]) checkpoint.close();
    if (this.#fillTimer !== null) clearTimeout(this.#fillTimer);
    // Waits for flushes in flight, then covers what came after; the library syncs its log once more itself.
    await new Promise<void>((resolve) => this.#syncs.request(() => resolve()));
    await this.#sizing;
    this.#noteSynced();
    this.#syncedNote.close();
    this.#wal.close();
    await this.#database.close();
    this.#release();
  }

  /** So that recovery can tell damage from a torn end. A note that cannot be written is no fault of the log. */
  #noteSynced(): void {
    const { durable } = this.#wal;
    if (durable === undefined || durable === this.#noted) return;
    try {
      this.#syncedNote.write(durable);
      this.#noted = durable;
    } catch {
      // The older note stays true.
    }
  }

  /** Slices of a fill follow each other with pauses, so that traffic and `maintain` calls hardly notice them. */
  readonly #fill = (): void => {
    this.#fillTimer = null;
    if (this.#failure !== null || !this.#open) return;
    try {
      this.#reclaim.fillSlice();
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#reclaim.filling) this.#fillTimer = setTimeout(this.#fill, FILL_PAUSE_MS).unref();
  };

  #assertOpen(): void {
    assert(this.#open, 'the log is open');
  }

  #fail(error: unknown): OperationalError {
    this.#failure ??= new OperationalError(
      'ERR_LOG_WRITE',
      `cannot write to the log in ${this.#directory}: ${String(error)}`,
      error,
    );
    return this.#failure;
  }

  #readFrom(
    columnHandle: RocksColumn,
    queueId: number,
    fromOffset: number,
    limit: number,
    highWaterMarkBytes: number,
  ): (Buffer | undefined)[] {
    assertQueueId(queueId);
    assertOffset(fromOffset);
    const from = writeBlockKey(Buffer.allocUnsafe(BLOCK_KEY_BYTES), queueId, fromOffset);
    return this.#query(columnHandle, from, queueRangeEnd(queueId), limit, highWaterMarkBytes);
  }

  #query(
    columnHandle: RocksColumn,
    gte: Buffer,
    lt: Buffer,
    limit: number,
    highWaterMarkBytes: number,
  ): (Buffer | undefined)[] {
    this.#assertOpen();
    try {
      return this.#database.querySync({
        column: columnHandle,
        gte,
        lt,
        keys: true,
        values: true,
        limit,
        highWaterMarkBytes,
        fillCache: false,
        keyEncoding: 'buffer',
        valueEncoding: 'buffer',
      }).rows;
    } catch (error) {
      throw readError(error);
    }
  }

  #get(key: Uint8Array, columnHandle: RocksColumn): Buffer | undefined {
    this.#assertOpen();
    this.#getKeys[0] = key;
    try {
      return this.#database._getManySync(this.#getKeys, { column: columnHandle, fillCache: true })[0];
    } catch (error) {
      throw readError(error);
    }
  }

  /** Deletes the ranges of dropped queues whose marks are in the store, then the marks. */
  #finishDrops(): void {
    const rows = this.#query(
      this.#columns.meta.column,
      Buffer.from([META_DROPPED]),
      Buffer.from([META_DROPPED + 1]),
      -1,
      INT32_MAX,
    );
    const dropped: number[] = [];
    for (let index = 0; index < rows.length; index += 2) dropped.push(cell(rows, index).readUInt32BE(1));
    if (dropped.length > 0) this.#afterDrop(dropped);
    if (this.#failure !== null) throw this.#failure;
  }

  /**
   * The batch with the marks is committed, so a fault here must not be reported as if it were not: it only makes
   * the log fail from now on, and the next open finishes the drop. The marks go last, in the order of the log:
   * a crash in between repeats the range deletes before the queue id can be used again.
   */
  #afterDrop(dropped: readonly number[]): void {
    const onCleared = (error: Error | null): void => {
      if (error !== null) this.#fail(error);
    };
    try {
      const markKey = Buffer.alloc(META_KEY_BYTES);
      this.#marks._clear();
      for (const queueId of dropped) {
        const range = { gte: queueRangeStart(queueId), lt: queueRangeEnd(queueId) };
        for (const reference of [this.#columns.blocks, this.#columns.summaries, this.#columns.keys]) {
          const cleared: RocksRange = { ...range, ...reference };
          this.#database._clear(cleared, onCleared);
        }
        this.#marks._del(writeMetaKey(markKey, META_DROPPED, queueId), this.#columns.meta);
      }
      // A failed range delete has made the database read-only, so that this write fails too and the marks stay.
      this.#marks._writeSync(NO_SYNC);
    } catch (error) {
      this.#fail(error);
    }
  }

  #startSizing(): void {
    this.#sizing = measureRocksdb(this.#directory, this.#size.sstBytes).then((size) => {
      this.#size = size;
      this.#sizing = null;
    });
  }
}

const NO_SYNC = {};

function ignore(): void {
  // The sticky failure of the sync queue reaches everybody who asks for a sync.
}

function columnRef(database: RocksDatabase, name: string): { readonly column: RocksColumn } {
  const handle = database.columns[name];
  assert(handle !== undefined, 'every column family that was asked for is open');
  return { column: handle };
}

function cell(rows: readonly (Buffer | undefined)[], index: number): Buffer {
  const value = rows[index];
  assert(value !== undefined, 'a row has key and value');
  return value;
}

function storedBlocks(rows: readonly (Buffer | undefined)[]): StoredBlock[] {
  const result: StoredBlock[] = [];
  for (let index = 0; index < rows.length; index += 2) {
    result.push({ firstOffset: readOffset(cell(rows, index), 4), value: cell(rows, index + 1) });
  }
  return result;
}
