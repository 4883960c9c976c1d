/**
 * What a queue needs from the shard it lives in, as an interface, so that queues stay free of clock, timers and I/O.
 * Shard worker. `shard/shard-loop.ts` implements it; tests implement it over plain memory.
 * Always true: calls return at once and none calls back into the queue, except that `reclaimMemory` may shed blocks of
 * any queue. What `read…` returns belongs to the caller.
 */
import type { StoredBlock } from '../log/log.js';
import type { Arena } from './arena.js';
import type { InFlightTable } from './in-flight.js';

/** See the file header. */
export interface QueueHost {
  readonly arena: Arena;
  readonly inFlight: InFlightTable;
  /** Block memory that one queue's unread messages may take before they stay in the log only. */
  readonly cacheBytesMax: number;
  /** In-flight count per consumer slot; shared with the main thread (worker adds, main subtracts). */
  readonly inFlightCounts: Int32Array;
  readBlocks(queueId: number, fromOffset: number, bytesMax: number): StoredBlock[];
  readBlock(queueId: number, firstOffset: number): Uint8Array | undefined;
  readSummaries(queueId: number, fromOffset: number, countMax: number): StoredBlock[];
  readKey(queueId: number, key: Uint8Array): number | undefined;
  /** True when the ring towards the main thread takes one more delivery. */
  canDeliver(): boolean;
  /**
   * Sends the record at arena offset `recordAt` to a consumer. `canDeliver` has just said yes. `offsetLow` is the low half
   * of the message's offset, as an int32.
   */
  deliver(
    consumerSlot: number,
    tag: number,
    recordAt: number,
    recordBytes: number,
    attempt: number,
    expiryInterval: number,
    offsetLow: number,
  ): void;
  /** Asks all queues of the shard to give back memory they can read again. True when something was freed. */
  reclaimMemory(): boolean;
  /** A stored block could not be read; it is skipped and stays on disk. */
  onCorruptBlock(queueId: number, firstOffset: number, error: unknown): void;
  /** Uniform in [0, 1). */
  random(): number;
}
