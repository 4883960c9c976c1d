/**
 * The part of `@nxtedition/rocksdb` 12 that Sluice uses, as types, and its lazy loader. Runs on the shard worker.
 *
 * Always true: the native library is loaded only when the rocksdb driver is opened, so the other drivers run
 * under `node --no-addons`. The package ships no types; these were written from its JavaScript and C++ sources.
 * Methods with a leading underscore are below its promise API: synchronous, no checks, no copies of options.
 * Gives up: those methods are not covered by the package's version promise, hence the pinned major version.
 */
import { createRequire } from 'node:module';

/** Handle of a column family; opaque. */
export type RocksColumn = object & { readonly __column: never };

/** Options of one column family. */
export interface RocksColumnOptions {
  /** `level` tunes a column for level compaction from the budget; without it the library's 64 MB defaults apply. */
  readonly compaction: 'level' | 'universal';
  /** Write buffers are a quarter of it, two are merged per flush, at most six exist (1.5 × the budget). Bytes. */
  readonly memtableMemoryBudget: number;
  /** False leaves levels 0 and 1 plain; deeper levels of `level` are ZSTD in any case. */
  readonly compression: boolean;
  /** Block cache of this column, bytes; 0 means none. */
  readonly cacheSize: number;
  /** Target size of a data block in an SST file, bytes. */
  readonly blockSize?: number;
}

/** Options of `open`. */
export interface RocksOpenOptions {
  readonly createIfMissing: boolean;
  /** Background threads for flush and compaction (process-wide pools). */
  readonly parallelism: number;
  /** True would compress every log record with ZSTD on the writing thread. */
  readonly walCompression: boolean;
  readonly columns: Readonly<Record<string, RocksColumnOptions>>;
}

/** `column` selects the column family. */
export interface RocksColumnRef {
  readonly column: RocksColumn;
}

/** A WriteBatch. Keys and values are copied into it during the call (WriteBatch::Put appends to its own string). */
export interface RocksBatch {
  _put(key: Uint8Array, value: Uint8Array, options: RocksColumnRef): void;
  _del(key: Uint8Array, options: RocksColumnRef): void;
  _clear(): void;
  _writeSync(options: { readonly sync?: boolean }): void;
  /** Operations in order, four elements each: type, key, value, null. */
  toArray(options: {
    readonly keys: boolean;
    readonly values: boolean;
    readonly data: boolean;
    readonly keyEncoding: 'buffer';
    readonly valueEncoding: 'buffer';
    readonly column: RocksColumn;
  }): unknown[];
}

/** Range of an iterator or a clear: `gte` inclusive, `lt` exclusive. */
export interface RocksRange extends RocksColumnRef {
  readonly gte: Uint8Array;
  readonly lt: Uint8Array;
}

/** Options of `querySync`. */
export interface RocksQuery extends RocksRange {
  readonly keys: boolean;
  readonly values: boolean;
  /** Entries at most; -1 means all. */
  readonly limit: number;
  /** Stops once keys and values together exceed this, bytes (int32). */
  readonly highWaterMarkBytes: number;
  readonly fillCache: boolean;
  /** Required: the library leaves the encoding uninitialised without them. */
  readonly keyEncoding: 'buffer';
  readonly valueEncoding: 'buffer';
}

/** An iterator over one column, as of the sequence number at which it was made. */
export interface RocksIterator {
  /** At most `count` entries more, two elements each; ends early past `highWaterMarkBytes`. */
  _nextvSync(
    count: number,
    options: object,
  ): { readonly rows: (Buffer | undefined)[]; readonly finished: boolean };
  close(): Promise<void>;
}

/** A database. */
export interface RocksDatabase {
  readonly status: string;
  /** Column families by name. */
  readonly columns: Readonly<Record<string, RocksColumn>>;
  /** Sequence number of the newest write. */
  readonly sequence: number;
  open(options: RocksOpenOptions): Promise<void>;
  close(): Promise<void>;
  /** A chained batch; lives until it or the database is closed. */
  batch(): RocksBatch;
  /** One range read, ascending: two elements per entry, key and value (undefined unless asked for); buffers are copies. */
  querySync(query: RocksQuery): { readonly rows: (Buffer | undefined)[]; readonly finished: boolean };
  /** Made at once; to be closed before the database. */
  _iterator(query: RocksQuery): RocksIterator;
  /** `null` never occurs without a timeout or size limit. */
  _getManySync(
    keys: readonly Uint8Array[],
    options: RocksColumnRef & { readonly fillCache: boolean },
  ): (Buffer | undefined)[];
  /** DeleteRange, written at once; `callback` runs on the next tick. */
  _clear(range: RocksRange, callback: (error: Error | null) => void): void;
}

/** Constructor of a database: buffers in, buffers out. */
export type RocksDatabaseConstructor = new (
  directory: string,
  options: { readonly keyEncoding: 'buffer'; readonly valueEncoding: 'buffer' },
) => RocksDatabase;

/** Loads the native library. Throws what the loader throws: no binary for this platform, or add-ons are disabled. */
export function loadRocksdb(): RocksDatabaseConstructor {
  const require = createRequire(import.meta.url);
  const library = require('@nxtedition/rocksdb') as { readonly RocksLevel: RocksDatabaseConstructor };
  return library.RocksLevel;
}
