/**
 * Which offset holds the newest message of each key of one last-value queue. Shard worker.
 *
 * Always true: the log's key records are the truth; this is a bounded cache over them plus what the current group
 * commit has not written yet (never evicted before `committed`). Keys are arbitrary text; bytes are its UTF-8.
 */
import type { LogBatch } from '../log/log.js';
import type { QueueHost } from './host.js';

/** Cached keys per queue; more live in the log only. */
const CACHED_KEYS_MAX = 65_536;

/** See the file header. */
export class LastValueIndex {
  readonly #host: QueueHost;
  readonly #queueId: number;
  readonly #offsets = new Map<string, number>();

  constructor(host: QueueHost, queueId: number) {
    this.#host = host;
    this.#queueId = queueId;
  }

  /** Offset of the newest live message of `key`, or undefined. */
  get(key: string): number | undefined {
    const cached = this.#offsets.get(key);
    if (cached !== undefined) return cached < 0 ? undefined : cached;
    return this.#host.readKey(this.#queueId, Buffer.from(key));
  }

  set(key: string, offset: number, batch: LogBatch): void {
    this.#offsets.set(key, offset);
    batch.putKey(this.#queueId, Buffer.from(key), offset);
  }

  /** Forgets `key` if its newest message is still the one at `offset`. */
  forget(key: string, offset: number, batch: LogBatch): void {
    if (this.get(key) !== offset) return;
    // Remembered as absent until the deletion is written: the log would still answer with the old offset.
    this.#offsets.set(key, -1);
    batch.deleteKey(this.#queueId, Buffer.from(key));
  }

  /** The batch is written: absent keys need no memory, and the cache may shrink. */
  committed(): void {
    if (this.#offsets.size <= CACHED_KEYS_MAX) return;
    for (const key of this.#offsets.keys()) {
      if (this.#offsets.size <= CACHED_KEYS_MAX / 2) break;
      this.#offsets.delete(key);
    }
  }

  clear(): void {
    this.#offsets.clear();
  }
}
