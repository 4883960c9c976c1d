/**
 * The durable store of one shard, as an interface. Runs on the shard worker that owns it.
 *
 * Always true: `write` is atomic: after a crash a batch is there whole or not at all, and batches are
 * there in the order they were written. When `write` returns the batch survives a crash of the process;
 * when `sync` has called back it survives a crash of the machine. One owner per directory: a second open
 * fails with ERR_LOG_LOCKED. Values are opaque here; `record-format.ts` gives them meaning.
 * Drivers: rocksdb, segment, memory; one contract suite (test/log/contract.ts) runs against all.
 */
import type { OperationalError } from '../base/error.js';
import type { Checkpoint } from './checkpoint.js';

/** Which driver: `rocksdb` (default), `segment` (no native add-on) or `memory` (nothing survives). */
export type LogDriver = 'rocksdb' | 'segment' | 'memory';

/**
 * One group commit under construction. Reused: `clear()` empties it. Every `Uint8Array` given to it is
 * copied (or handed to the kernel) before `Log.write` returns, so callers may reuse their buffers after
 * that; until then they must not touch them.
 */
export interface LogBatch {
  /** Stores or replaces the metadata of a queue (opaque bytes). */
  putQueue(queueId: number, meta: Uint8Array): void;
  /** Deletes the queue's metadata and every block, summary and key of it. */
  dropQueue(queueId: number): void;
  /** Stores block `firstOffset` (0 to 2^53-1) of the queue, or replaces it. */
  putBlock(queueId: number, firstOffset: number, value: Uint8Array): void;
  /** Stores or replaces the small summary record (counts, times, ack bitmap) that goes with a block. */
  putSummary(queueId: number, firstOffset: number, value: Uint8Array): void;
  /** Deletes a block and its summary. */
  deleteBlock(queueId: number, firstOffset: number): void;
  /** Last-value queues: remembers that the newest message of `key` is at `offset`. */
  putKey(queueId: number, key: Uint8Array, offset: number): void;
  /** Last-value queues: forgets `key`. */
  deleteKey(queueId: number, key: Uint8Array): void;
  /** Number of operations so far; 0 means that there is nothing to write. */
  readonly operationCount: number;
  /** Empties the batch for reuse. */
  clear(): void;
}

/** A block as read back. `value` is owned by the caller from then on and starts at a multiple of 8 in its buffer. */
export interface StoredBlock {
  readonly firstOffset: number;
  readonly value: Uint8Array;
}

/** See the file header. All calls are synchronous except `sync` and `close`. */
export interface Log {
  readonly driver: LogDriver;
  /** Metadata of all queues, in order of id. */
  queues(): { queueId: number; meta: Uint8Array }[];
  /** A new batch bound to this log. One or two live at a time; reuse them. */
  batch(): LogBatch;
  /** Commits atomically. Throws `OperationalError` ERR_LOG_WRITE; nothing of the batch is then visible after reopening. */
  write(batch: LogBatch): void;
  /**
   * Makes everything written before this call durable on disk and then calls `done` from the event loop.
   * fdatasync runs in the thread pool. Calls may overlap; each `done` is called once, in order.
   */
  sync(done: (error: OperationalError | null) => void): void;
  /** Summaries of one queue with firstOffset >= `fromOffset`, ascending, at most `countMax`. */
  readSummaries(queueId: number, fromOffset: number, countMax: number): StoredBlock[];
  /** Blocks with firstOffset >= `fromOffset`, ascending, at least one if there is any, stopping once `bytesMax` is reached; a block counts its value and a key of 12 bytes. */
  readBlocks(queueId: number, fromOffset: number, bytesMax: number): StoredBlock[];
  /** Exactly that block, or undefined. */
  readBlock(queueId: number, firstOffset: number): Uint8Array | undefined;
  /** Offset stored by the newest `putKey`, or undefined. */
  readKey(queueId: number, key: Uint8Array): number | undefined;
  /** All keys of a queue, in byte order, starting after `afterKey` (undefined = from the first), at most `countMax`. For re-sharding and inspection. */
  readKeys(
    queueId: number,
    afterKey: Uint8Array | undefined,
    countMax: number,
  ): { key: Uint8Array; offset: number }[];
  /** The state as it is when the promise resolves, with everything written before the call; see checkpoint.ts. Close it before the log. */
  checkpoint(): Promise<Checkpoint>;
  /** Size of the store's files, bytes (0 for memory). May be a few seconds old. */
  diskBytes(): number;
  /** Idle-time housekeeping: give back space of deleted records. Called about once a second; must take < 20 ms of loop time per call. */
  maintain(nowMs: number): void;
  /** Syncs, closes and releases the directory. */
  close(): Promise<void>;
}

/** How to open a log. `directory` is created if missing. */
export interface LogOptions {
  readonly driver: LogDriver;
  readonly directory: string;
  /** Budget for write buffers and caches of this log, bytes. */
  readonly memoryBytesMax: number;
}
