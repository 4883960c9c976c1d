/**
 * Gives disk space of deleted blocks and of old write-ahead logs back. Runs on the shard worker, at rest or busy.
 *
 * RocksDB frees space after a flush only: a write-ahead log goes once every column family has flushed what is in it, a
 * deleted block once its tombstone is flushed and compacted down to it (level compaction hurries with tombstones). Those
 * hardly fill a write buffer, and the binding has no flush call: one key is overwritten until the buffers switch.
 * A flush alone may leave the files as they are, when too few lie on a level for a compaction to begin: at rest the fill is
 * repeated, each time with one file more, while much of what is there must be deleted.
 * Always true: a slice is at most SLICE_BYTES (about 5 ms); without writes in between, there are REST_FILLS_MAX fills at most.
 * Gives up: log writes of half the budgets per burst. Measured: 1.6 GB of deleted blocks become 76 MB within 5 s of rest.
 */
import type { RocksBatch, RocksColumnRef, RocksDatabase } from './rocksdb-binding.js';
import type { RocksColumns } from './rocksdb-batch.js';

const MIB = 1 << 20;
/** Written per `step` at most. */
const SLICE_BYTES = 4 * MIB;
/** Under traffic: write-ahead logs or deleted blocks beyond this, or twice the block budget, start a fill, bytes. */
const BUSY_BYTES_MIN = 48 * MIB;
/** At rest: the same, bytes. */
const IDLE_BYTES_MAX = 4 * MIB;
/** Under traffic deleted blocks wait until they are this part of the store. */
const BUSY_DELETED_PART = 1 / 16;
/** Calls without a write between them that count as rest. */
const IDLE_CALLS_MIN = 2;
/** At rest: files beyond this, of which a quarter or more must be deleted blocks, are worth another fill, bytes. */
const REST_STORE_BYTES_MIN = 64 * MIB;
/** So many of those without a write between them. */
const REST_FILLS_MAX = 4;
/** Calls after a fill before the next decision, so that it sees what the flush has freed. */
const PAUSE_CALLS = 3;
/** Assumed size of a deleted block until blocks have been seen. */
const BLOCK_BYTES_GUESS = 64 * 1024;
/** The same of a block of a reserved id. */
const ROW_BYTES_GUESS = 256;

/** See keys.ts: sorts before every real key and is in no range. */
const FILLER_KEY = Buffer.from([0]);
const FILLER_VALUE = Buffer.alloc(256 * 1024);

/** Bytes that make a column switch and flush its buffers, for the budget it was opened with (two of four quarters). */
export function flushBytes(memtableMemoryBudget: number): number {
  return memtableMemoryBudget / 2;
}

/** Memory budgets of the column families, bytes. */
export interface RocksBudgets {
  readonly meta: number;
  readonly blocks: number;
  readonly summaries: number;
  readonly keys: number;
}

/** What a batch held, as its own fields say. */
export interface WrittenBatch {
  readonly blockBytes: number;
  readonly deletedBlocks: number;
  readonly rowBytes: number;
  readonly rowCount: number;
  readonly deletedRows: number;
}

interface Fill {
  readonly column: RocksColumnRef;
  bytesLeft: number;
}

/** One per database. */
export class RocksReclaim {
  readonly #batch: RocksBatch;
  readonly #columns: RocksColumns;
  readonly #budgets: RocksBudgets;
  #fills: Fill[] = [];
  #writes = 0;
  #writesSeen = 0;
  #idleCalls = 0;
  #pauseCalls = 0;
  /** Since the last fill. */
  #dirty = false;
  #blockBytes = 0;
  #deletedBytes = 0;
  /** Deleted since the store was last seen small or could not be made smaller; fills at rest since then. */
  #suspectBytes = 0;
  #restFills = 0;
  /** The store's size when the last fill at rest began, 0 before. */
  #restStoreBytes = 0;
  /** Ever, for the averages. */
  #blocksPutBytes = 0;
  #blocksPut = 0;
  #rowsPutBytes = 0;
  #rowsPut = 0;

  constructor(database: RocksDatabase, columns: RocksColumns, budgets: RocksBudgets) {
    this.#batch = database.batch();
    this.#columns = columns;
    this.#budgets = budgets;
  }

  /** Called after each write with what the batch held. */
  noteWrite(batch: WrittenBatch): void {
    this.#writes += 1;
    this.#dirty = true;
    this.#blockBytes += batch.blockBytes;
    if (batch.blockBytes > batch.rowBytes) {
      this.#blocksPut += 1;
      this.#blocksPutBytes += batch.blockBytes - batch.rowBytes;
    }
    this.#rowsPut += batch.rowCount;
    this.#rowsPutBytes += batch.rowBytes;
    const blockBytesMean = this.#blocksPut === 0 ? BLOCK_BYTES_GUESS : this.#blocksPutBytes / this.#blocksPut;
    const rowBytesMean = this.#rowsPut === 0 ? ROW_BYTES_GUESS : this.#rowsPutBytes / this.#rowsPut;
    const deletedBytes = batch.deletedBlocks * blockBytesMean + batch.deletedRows * rowBytesMean;
    this.#deletedBytes += deletedBytes;
    if (deletedBytes > 0) {
      this.#suspectBytes += deletedBytes;
      this.#restFills = 0;
    }
    // The traffic itself has flushed the blocks, and with them the tombstones.
    if (this.#blockBytes >= 2 * flushBytes(this.#budgets.blocks)) {
      this.#blockBytes = 0;
      this.#deletedBytes = 0;
    }
  }

  /** True while a fill is under way: call `fillSlice` again soon. */
  get filling(): boolean {
    return this.#fills.length > 0;
  }

  /** Decides whether to start a fill; called about once a second. */
  decide(walBytes: number, storeBytes: number): void {
    this.#idleCalls = this.#writes === this.#writesSeen ? this.#idleCalls + 1 : 0;
    this.#writesSeen = this.#writes;
    if (this.#pauseCalls > 0) this.#pauseCalls -= 1;
    else if (this.#fills.length === 0) this.#start(walBytes, storeBytes);
  }

  /** Writes one slice of the fill. Throws what the write throws. */
  fillSlice(): void {
    for (let sliceLeft = SLICE_BYTES; sliceLeft > 0; sliceLeft -= FILLER_VALUE.length) {
      const fill = this.#fills[0];
      if (fill === undefined) return;
      this.#batch._clear();
      if (fill.bytesLeft > 0) this.#batch._put(FILLER_KEY, FILLER_VALUE, fill.column);
      else {
        this.#batch._del(FILLER_KEY, fill.column);
        this.#fills.shift();
      }
      this.#batch._writeSync(NO_SYNC);
      fill.bytesLeft -= FILLER_VALUE.length;
    }
  }

  #start(walBytes: number, storeBytes: number): void {
    const idle = this.#idleCalls >= IDLE_CALLS_MIN;
    if (idle && this.#isWorthARestFill(storeBytes)) {
      this.#restFills += 1;
      this.#restStoreBytes = storeBytes;
      this.#fillAll(true);
      return;
    }
    if (!this.#dirty) return;
    const deletedBytes = Math.min(this.#deletedBytes, storeBytes);
    const busyBytesMax = Math.max(BUSY_BYTES_MIN, 2 * this.#budgets.blocks);
    const deletedBytesMax = idle ? IDLE_BYTES_MAX : Math.max(busyBytesMax, storeBytes * BUSY_DELETED_PART);
    const walBytesMax = idle ? IDLE_BYTES_MAX : busyBytesMax;
    const reclaimBlocks = deletedBytes > deletedBytesMax;
    if (!reclaimBlocks && walBytes <= walBytesMax) return;
    // A busy block column flushes by itself and holds no old log; only the small columns beside it do.
    this.#fillAll(reclaimBlocks || idle || this.#blockBytes < flushBytes(this.#budgets.blocks));
  }

  #isWorthARestFill(storeBytes: number): boolean {
    // What has gone since the last fill was suspected rightly, and is suspected no more.
    if (this.#restFills > 0) {
      this.#suspectBytes -= Math.max(0, this.#restStoreBytes - storeBytes);
      this.#restStoreBytes = Math.min(this.#restStoreBytes, storeBytes);
    }
    if (storeBytes <= REST_STORE_BYTES_MIN || this.#restFills >= REST_FILLS_MAX) {
      this.#suspectBytes = 0;
      this.#restFills = 0;
      return false;
    }
    return this.#suspectBytes * 4 >= storeBytes;
  }

  #fillAll(withBlocks: boolean): void {
    this.#fills = [
      { column: this.#columns.meta, bytesLeft: flushBytes(this.#budgets.meta) },
      { column: this.#columns.summaries, bytesLeft: flushBytes(this.#budgets.summaries) },
      { column: this.#columns.keys, bytesLeft: flushBytes(this.#budgets.keys) },
    ];
    if (withBlocks)
      this.#fills.push({ column: this.#columns.blocks, bytesLeft: flushBytes(this.#budgets.blocks) });
    this.#dirty = false;
    this.#blockBytes = 0;
    this.#deletedBytes = 0;
    this.#pauseCalls = PAUSE_CALLS;
  }
}

const NO_SYNC = {};
