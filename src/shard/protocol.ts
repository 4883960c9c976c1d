/**
 * Frames between the main thread and a shard worker: a table of bytes. Both halves; both ends are typed by it.
 *
 * Every frame starts with the ring's two words: u32 length, u32 type word (bits 0-7 type, the rest per type).
 *
 *  main → worker
 *   publish         type | queueCount << 8 | settle << 24 | joined << 25   8 u32 publisher   12 u32 record count
 *                   16 u32 queue ids …, padded to 8          then records (log/record-format.ts), back to back
 *   row             type | store << 8 | settle << 24 | joined << 25 | delete << 26
 *                   8 u32 row id, low half   12 u32 high half   16 value (shard/rows.ts)
 *   acks            8 u32 tags …                             all acked
 *   reject          type | reason code << 8                  8 u32 tag
 *   release         8 u32 tag
 *   attach          8 u32 slot   12 u32 queue id   16 u32 in-flight max   20 u32 flags (1 = no local)
 *                   24 u32 client id bytes   28 client id
 *   detach          8 u32 slot
 *   openPublisher   8 u32 publisher   12 u32 protocol version   16 u32 client id bytes   20 u32 username bytes + 1 (0 = none)
 *                   24 u32 peername bytes   28 client id | username | peername
 *   closePublisher  8 u32 publisher
 *
 *  worker → main
 *   settled         8 u32 frames                             the next `frames` frames that asked are stored
 *   settledPartly   8 u32 runs   12 (u32 count, u32 status)… one publish frame, record by record
 *   deliver         8 u32 slot   12 u32 tag   16 u32 record's byte offset in the arena
 *                   20 u32 attempt   24 u32 remaining expiry, s   28 u32 offset, low half
 *   detached        8 u32 slot                               nothing more comes for this slot
 *
 * Always true: publishes and rows settle in the order in which they were written; a frame that is `joined` is read in one
 * turn with the row behind it. Publishes and rows may fill the ring to 7/8; everything else may use the rest, so that acks
 * drain a full system.
 */
import type { MessagePort } from 'node:worker_threads';
import type { ConsumerStats, PeekedMessage, QueueDefinition, QueueStats } from '../queue/definition.js';
import type { LogDriver } from '../log/log.js';
import type { TakenCheckpoint } from './checkpoints.js';
import type { RowStore } from './link.js';

/** Frame types; the low byte of the type word. */
export const FrameType = {
  /** Dealt with ahead of its turn; written by the reader over an `acks` frame. */
  done: 0,
  publish: 1,
  acks: 2,
  reject: 3,
  release: 4,
  attach: 5,
  detach: 6,
  openPublisher: 7,
  closePublisher: 8,
  row: 9,
  settled: 16,
  settledPartly: 17,
  deliver: 18,
  detached: 19,
} as const;

/** The part of a type word that is the type. */
export const FRAME_TYPE_MASK = 0xff;
/** Publish and row: the frame asks for a settlement. */
export const SETTLE_BIT = 1 << 24;
/** Publish and row: the row behind it is read in the same turn. */
export const JOINED_BIT = 1 << 25;
/** Row: it is deleted. */
export const ROW_DELETE_BIT = 1 << 26;
/** Before the value of a row frame. */
export const ROW_HEADER_BYTES = 16;
/** Before the queue ids of a publish frame. */
export const PUBLISH_HEADER_BYTES = 16;
/** Length of a deliver frame. */
export const DELIVER_BYTES = 32;
/** Before the client id of an attach frame. */
export const ATTACH_HEADER_BYTES = 28;
/** Flag of an attach frame: the client does not want its own messages. */
export const ATTACH_NO_LOCAL = 1;
/** Before the texts of an openPublisher frame. */
export const OPEN_PUBLISHER_HEADER_BYTES = 28;
/** A run of messages in one publish frame is cut here. */
export const PUBLISH_FRAME_BYTES_MAX = 64 * 1024;
/** Consumer slots per shard, and with them the size of the shared in-flight counters. */
export const CONSUMER_SLOTS_MAX = 65_536;

/** Byte offset of the first record in a publish frame. */
export function publishRecordsAt(queueCount: number): number {
  return (PUBLISH_HEADER_BYTES + queueCount * 4 + 7) & ~7;
}

/** When a publish counts as safe. */
export type Durability = 'fsync' | 'interval' | 'process';

/** What a worker is started with. Shared memory goes along by reference. */
export interface WorkerData {
  readonly shardId: number;
  /** 1 to 15; tags of another incarnation are void. */
  readonly epoch: number;
  readonly directory: string;
  readonly driver: LogDriver;
  readonly durability: Durability;
  readonly fsyncIntervalMs: number;
  readonly storeMemoryBytes: number;
  readonly limitShards: number;
  readonly queueCacheBytes: number;
  readonly toWorker: SharedArrayBuffer;
  readonly toMain: SharedArrayBuffer;
  readonly arena: SharedArrayBuffer;
  readonly inFlightCounts: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  /** Control calls, replies and doorbells. */
  readonly port: MessagePort;
  /** Queues to begin with, where the log cannot have kept them. */
  readonly definitions: readonly QueueDefinition[];
}

/** Control calls by message port: request and reply carry the same `id`. */
export type ControlRequest =
  | {
      readonly id: number;
      readonly call: 'create' | 'update' | 'delete' | 'purge' | 'stats' | 'consumers';
      readonly definition: QueueDefinition;
    }
  | {
      readonly id: number;
      readonly call: 'peek';
      readonly definition: QueueDefinition;
      readonly afterOffset: number;
      readonly countMax: number;
    }
  /** Nothing is handed out until then, on the worker's wall clock; 0: from now on it is again. */
  | {
      readonly id: number;
      readonly call: 'hold';
      readonly definition: QueueDefinition;
      readonly untilMs: number;
    }
  /** End messages that wait, by their offsets; answers how many there were. */
  | {
      readonly id: number;
      readonly call: 'discard';
      readonly definition: QueueDefinition;
      readonly offsets: readonly number[];
    }
  /** Figures of several queues at once, see queue-figures.ts. */
  | { readonly id: number; readonly call: 'figures'; readonly queueIds: readonly number[] }
  /** A page of rows with ids from `fromRowId` on; an empty one is the end. */
  | { readonly id: number; readonly call: 'rows'; readonly store: RowStore; readonly fromRowId: number }
  /** Take a checkpoint, read a page of it (an empty one: ask again; undefined: the end), let it go; see checkpoints.ts. */
  | { readonly id: number; readonly call: 'checkpoint' | 'endCheckpoint' }
  | { readonly id: number; readonly call: 'checkpointPage'; readonly checkpointId: string }
  | { readonly id: number; readonly call: 'close' };

/** What a control call resolves with. */
export type ControlResult =
  | undefined
  | number
  | QueueStats
  | ConsumerStats[]
  | PeekedMessage[]
  | ArrayBuffer
  | TakenCheckpoint
  | Float64Array;

/** A doorbell is the number 0; it says only: look at the rings. */
export const DOORBELL = 0;
/** Messages of the port towards the worker. */
export type ToWorker = typeof DOORBELL | ControlRequest;
/** Answer to a control call. */
export type ControlAnswer = { readonly id: number } & (
  | { readonly result: ControlResult }
  | { readonly error: { readonly code: string; readonly message: string } }
);

/** Messages of the port towards the main thread. */
export type ToMain =
  | typeof DOORBELL
  /** The log failed, or could not be opened; the thread is to be ended. By `packError`. */
  | { readonly failed: Error }
  | { readonly ready: { readonly definitions: readonly QueueDefinition[]; readonly lastRowId: number } }
  | ControlAnswer
  | { readonly disk: number; readonly queues: number }
  | {
      readonly log: {
        readonly level: 'warn' | 'error';
        readonly message: string;
        readonly detail?: Record<string, unknown>;
      };
    };
