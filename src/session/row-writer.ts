/**
 * Writes rows of durable state and tells when they are safe. Main thread, one per gateway.
 *
 * Always true: rows of one shard are written in the order in which they were asked for; what does not fit into the ring
 * waits here, and what a dead worker did not commit is written again when it is back. A row that waits keeps nothing
 * else waiting: callers decide what depends on it. A row that would never fit into the ring is refused, or all others
 * would wait behind it. Gives up: telling failures; `done` comes when the row is stored, or with false when the store
 * refuses it for good.
 */
import {
  NO_TOKEN,
  PublishStatus,
  type Publisher,
  type PublisherHandle,
  type RowStore,
  type Shards,
} from '../shard/link.js';

/** Room asked of a ring beyond the value. */
const rowSlackBytes = 64;
const retryMs = 100;
/** Writes that the store refused are tried so often before `done(false)`. */
const attemptsMax = 50;
/** Pause between further attempts of what is never given up. */
const patientRetryMs = 1000;
/** Writes that are tried again at a time, so that many of a shard that is down leave the thread to others. */
const retriesMax = 1000;

/** Hears how a row write ended. */
export type RowDone = (stored: boolean) => void;

interface RowWrite {
  readonly shardId: number;
  readonly store: RowStore;
  readonly rowId: number;
  /** Undefined for a deletion, which is never given up. */
  readonly value: Uint8Array | undefined;
  done: RowDone | undefined;
  attempts: number;
}

/** See the file header. */
export class RowWriter implements Publisher {
  readonly context = { clientId: '', username: undefined, peername: '', protocolVersion: 5 };
  readonly #shards: Shards;
  readonly #rowBytesMax: number;
  readonly #handle: PublisherHandle;
  readonly #underWay = new Map<number, RowWrite>();
  /** Per shard, what waits for room; present only while something does. */
  readonly #waiting = new Map<number, RowWrite[]>();
  /** The newest write of a row that is not committed: an older one that failed must not come after it. */
  readonly #newest = new Map<number, RowWrite>();
  readonly #soon = new Retries(retryMs, (write) => this.#retry(write));
  readonly #patient = new Retries(patientRetryMs, (write) => this.#retry(write));
  #nextToken = 0;

  /** `rowBytesMax`: longer rows are refused; every ring has room for one of that size when it is empty. */
  constructor(shards: Shards, rowBytesMax = Number.POSITIVE_INFINITY) {
    this.#shards = shards;
    this.#rowBytesMax = rowBytesMax;
    this.#handle = shards.openPublisher(this);
  }

  /** Rows that are not committed yet. */
  get pendingCount(): number {
    let count = this.#underWay.size;
    for (const writes of this.#waiting.values()) count += writes.length;
    return count;
  }

  /** True when a deletion would be written at once. */
  hasRoom(shardId: number): boolean {
    return !this.#waiting.has(shardId) && this.#shards.hasRoom(shardId, rowSlackBytes);
  }

  /** Stores row `rowId`. `value` must stay unchanged until `done`. */
  put(shardId: number, store: RowStore, rowId: number, value: Uint8Array, done?: RowDone): void {
    if (value.length > this.#rowBytesMax) {
      if (done !== undefined) setImmediate(done, false);
      return;
    }
    this.#begin({ shardId, store, rowId, value, done, attempts: 0 });
  }

  /** Deletes row `rowId`, however long its shard is down: `done` comes only when it is gone. */
  remove(shardId: number, store: RowStore, rowId: number, done?: () => void): void {
    this.#begin({ shardId, store, rowId, value: undefined, done, attempts: 0 });
  }

  onSettled(firstToken: number, count: number, status: PublishStatus): void {
    for (let i = 0; i < count; i++) {
      const token = (firstToken + i) >>> 0;
      const write = this.#underWay.get(token);
      if (write === undefined) continue;
      this.#underWay.delete(token);
      if (status === PublishStatus.stored) this.#end(write, true);
      else if (++write.attempts >= attemptsMax && write.value !== undefined) this.#end(write, false);
      else (write.attempts < attemptsMax ? this.#soon : this.#patient).add(write);
    }
  }

  /** Gives up what is pending; nothing is told. */
  close(): void {
    this.#soon.close();
    this.#patient.close();
    this.#underWay.clear();
    this.#waiting.clear();
    this.#handle.close();
  }

  #begin(write: RowWrite): void {
    this.#newest.set(write.rowId, write);
    this.#offer(write);
  }

  #offer(write: RowWrite): void {
    const waiting = this.#waiting.get(write.shardId);
    if (waiting !== undefined) waiting.push(write);
    else if (!this.#write(write)) this.#wait(write);
  }

  #write(write: RowWrite): boolean {
    const { shardId, store, rowId, value } = write;
    if (!this.#shards.hasRoom(shardId, (value?.length ?? 0) + rowSlackBytes)) return false;
    if (this.#nextToken === NO_TOKEN) this.#nextToken = 0;
    const token = this.#nextToken;
    this.#nextToken = (this.#nextToken + 1) >>> 0;
    this.#underWay.set(token, write);
    this.#shards.putRow(shardId, this.#handle, token, store, rowId, value, false);
    return true;
  }

  #wait(write: RowWrite): void {
    this.#waiting.set(write.shardId, [write]);
    this.#shards.whenRoom(write.shardId, () => this.#resume(write.shardId));
  }

  #resume(shardId: number): void {
    const waiting = this.#waiting.get(shardId);
    if (waiting === undefined) return;
    let written = 0;
    while (written < waiting.length && this.#write(waiting[written]!)) written++;
    if (written === waiting.length) {
      this.#waiting.delete(shardId);
      return;
    }
    waiting.splice(0, written);
    this.#shards.whenRoom(shardId, () => this.#resume(shardId));
  }

  #end(write: RowWrite, stored: boolean): void {
    if (this.#newest.get(write.rowId) === write) this.#newest.delete(write.rowId);
    write.done?.(stored);
  }

  #retry(write: RowWrite): void {
    const newest = this.#newest.get(write.rowId);
    if (newest === write) {
      this.#offer(write);
    } else if (newest === undefined) {
      write.done?.(true);
    } else if (write.done !== undefined) {
      const { done } = write;
      const next = newest.done;
      newest.done = (stored) => {
        next?.(stored);
        done(stored);
      };
    }
  }
}

/** Failed writes, oldest first: a bounded part of them is handed out whenever the pause is over. */
class Retries {
  readonly #pauseMs: number;
  readonly #retry: (write: RowWrite) => void;
  readonly #writes: RowWrite[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(pauseMs: number, retry: (write: RowWrite) => void) {
    this.#pauseMs = pauseMs;
    this.#retry = retry;
  }

  add(write: RowWrite): void {
    this.#writes.push(write);
    this.#timer ??= setTimeout(() => this.#handOut(), this.#pauseMs);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#writes.length = 0;
  }

  #handOut(): void {
    const due = this.#writes.splice(0, retriesMax);
    this.#timer = this.#writes.length > 0 ? setTimeout(() => this.#handOut(), this.#pauseMs) : undefined;
    for (const write of due) this.#retry(write);
  }
}
