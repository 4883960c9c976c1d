/**
 * The state of a log at one moment, read out in slices while the log goes on. Runs on the shard worker.
 *
 *   page    records back to back:  0 u8 kind   1 u32 queue id   5 u64 offset   13 u32 value bytes   17 value   (big-endian)
 *   kind    1 metadata of a queue (offset 0)   2 block   3 summary   4 last-value key (the value is the key)
 *
 * Always true: a checkpoint holds everything written before it was taken and nothing written after; metadata of all queues
 * comes before any other record; one slice takes a few milliseconds and one page of memory, a record that is longer aside.
 * Values are opaque and no driver shows in them, so that another driver can take them in. Gives up: order of keys.
 */
import { readOffset, writeOffset } from './keys.js';

/** What a record is. */
export const CheckpointKind = { queue: 1, block: 2, summary: 3, key: 4 } as const;
/** One of the kinds. */
export type CheckpointKind = (typeof CheckpointKind)[keyof typeof CheckpointKind];

/** A page is full once it holds this much. */
export const CHECKPOINT_PAGE_BYTES = 256 * 1024;

const RECORD_HEADER_BYTES = 17;

/** See the file header. At most a few are open at a time: each keeps what it shows from being given back to the disk. */
export interface Checkpoint {
  /** Adds the records of one slice to the page; false when there are no more. A slice may add none. */
  next(page: CheckpointPage): boolean;
  /** Lets go of what it held. Idempotent. */
  close(): void;
}

/** A page under construction, reused from slice to slice. */
export class CheckpointPage {
  #bytes = Buffer.allocUnsafeSlow(CHECKPOINT_PAGE_BYTES + RECORD_HEADER_BYTES);
  #length = 0;

  get isFull(): boolean {
    return this.#length >= CHECKPOINT_PAGE_BYTES;
  }

  /** Copies one record in. */
  add(kind: CheckpointKind, queueId: number, offset: number, value: Uint8Array): void {
    const end = this.#length + RECORD_HEADER_BYTES + value.byteLength;
    if (end > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.#bytes.length));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    const at = this.#length;
    this.#bytes[at] = kind;
    this.#bytes.writeUInt32BE(queueId, at + 1);
    writeOffset(this.#bytes, offset, at + 5);
    this.#bytes.writeUInt32BE(value.byteLength, at + 13);
    this.#bytes.set(value, at + RECORD_HEADER_BYTES);
    this.#length = end;
  }

  /** A copy of the page; it is empty after that. */
  take(): ArrayBuffer {
    const copy = new ArrayBuffer(this.#length);
    new Uint8Array(copy).set(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    if (this.#bytes.length > 4 * CHECKPOINT_PAGE_BYTES) {
      this.#bytes = Buffer.allocUnsafeSlow(CHECKPOINT_PAGE_BYTES + RECORD_HEADER_BYTES);
    }
    return copy;
  }
}

/**
 * Hands out the records of a page in order; `value` is a view of `page`. Returns false when the page is no sequence of
 * whole records of known kinds; what came before the fault has been handed out then.
 */
export function readCheckpointPage(
  page: Buffer,
  onRecord: (kind: CheckpointKind, queueId: number, offset: number, value: Buffer) => void,
): boolean {
  let at = 0;
  while (at < page.length) {
    const kind = page[at] as CheckpointKind;
    if (at + RECORD_HEADER_BYTES > page.length || kind < CheckpointKind.queue || kind > CheckpointKind.key)
      return false;
    const end = at + RECORD_HEADER_BYTES + page.readUInt32BE(at + 13);
    const offset = readOffset(page, at + 5);
    if (end > page.length || !Number.isSafeInteger(offset)) return false;
    onRecord(kind, page.readUInt32BE(at + 1), offset, page.subarray(at + RECORD_HEADER_BYTES, end));
    at = end;
  }
  return true;
}
