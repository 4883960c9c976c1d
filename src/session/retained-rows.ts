/**
 * Rows of retained messages in the shards: written, deleted, read at the start. Main thread.
 *
 * Always true: a row is replaced in place, so a topic has one row; the deletion of a row is repeated until the shard has
 * confirmed it, because a message that was cleared must not come back with the next start; until then its topic is known
 * here, and a client that clears it again waits for the same deletion. Ids are never used twice, so a late deletion
 * cannot hit a newer message. Gives up: two frames per clearing; messages with QoS 0 are as durable as the shard is up.
 */
import type { Logger } from '../telemetry/logger.js';
import {
  NO_TOKEN,
  PublishStatus,
  RowStore,
  type Publisher,
  type PublisherHandle,
  type Shards,
} from '../shard/link.js';

/** Room asked of a ring beyond the value of a row. */
const rowSlackBytes = 64;

/** A row that is to be deleted. */
interface Deletion {
  readonly topic: string;
  readonly shardId: number;
  readonly rowId: number;
}

/** See the file header. */
export class RetainedRows implements Publisher {
  readonly context = { clientId: '', username: undefined, peername: '', protocolVersion: 5 };
  readonly #shards: Shards;
  readonly #logger: Logger;
  #handle: PublisherHandle | undefined;
  #nextToken = 0;
  /** Token → deletion under way. */
  readonly #underWay = new Map<number, Deletion>();
  /** Deletions that failed or found no room. */
  readonly #failed: Deletion[] = [];
  /** Every deletion that is not confirmed, by topic. */
  readonly #byTopic = new Map<string, Deletion[]>();

  constructor(shards: Shards, logger: Logger) {
    this.#shards = shards;
    this.#logger = logger;
  }

  /** Deletions that are not confirmed. */
  get unconfirmedCount(): number {
    return this.#underWay.size + this.#failed.length;
  }

  /** Shard of the newest deletion of this topic, or -1. */
  shardOfDeletion(topic: Buffer, start: number, end: number): number {
    if (this.#byTopic.size === 0) return -1;
    return this.#byTopic.get(topic.toString('latin1', start, end))?.at(-1)?.shardId ?? -1;
  }

  /** Writes a row; settles `token` at `publisher`. */
  put(shardId: number, publisher: PublisherHandle, token: number, rowId: number, value: Uint8Array): void {
    this.#shards.putRow(shardId, publisher, token, RowStore.retained, rowId, value, false);
  }

  /** Deletes the row of a topic for good. */
  delete(shardId: number, rowId: number, topic: string): void {
    const deletion = { topic, shardId, rowId };
    const known = this.#byTopic.get(topic);
    if (known === undefined) this.#byTopic.set(topic, [deletion]);
    else known.push(deletion);
    if (!this.#write(deletion)) this.#failed.push(deletion);
  }

  /** Writes the deletions of a topic once more; the newest settles `token` at `publisher`. False: there are none. */
  confirm(publisher: PublisherHandle, token: number, topic: string): boolean {
    const deletions = this.#byTopic.get(topic);
    const newest = deletions?.at(-1);
    if (deletions === undefined || newest === undefined) return false;
    for (const older of deletions) if (older !== newest) this.forget(older.shardId, older.rowId);
    const { shardId, rowId } = newest;
    this.#shards.putRow(shardId, publisher, token, RowStore.retained, rowId, undefined, false);
    return true;
  }

  /** Deletes a row whose return would be noticed at the next start anyway: expired, or older than another one. */
  forget(shardId: number, rowId: number): boolean {
    if (!this.#shards.hasRoom(shardId, rowSlackBytes)) return false;
    this.#shards.putRow(shardId, this.#own(), NO_TOKEN, RowStore.retained, rowId, undefined, false);
    return true;
  }

  /** The same, with patience. */
  async forgetLater(rows: readonly (readonly [shardId: number, rowId: number])[]): Promise<void> {
    for (const [shardId, rowId] of rows) {
      while (!this.forget(shardId, rowId))
        await new Promise<void>((resolve) => this.#shards.whenRoom(shardId, resolve));
    }
  }

  /** Hands out every row of the store. */
  readAll(onRow: (shardId: number, rowId: number, value: Uint8Array) => void): Promise<void> {
    return this.#shards.readRows(RowStore.retained, onRow);
  }

  /** Tries failed deletions again, at most `count` of them. Call about once a second. */
  retry(count: number): void {
    for (const deletion of this.#failed.splice(0, count))
      if (!this.#write(deletion)) this.#failed.push(deletion);
  }

  onSettled(firstToken: number, count: number, status: PublishStatus): void {
    for (let i = 0; i < count; i++) {
      const token = (firstToken + i) >>> 0;
      const deletion = this.#underWay.get(token);
      if (deletion === undefined) continue;
      this.#underWay.delete(token);
      if (status === PublishStatus.stored) this.#confirmed(deletion);
      else this.#failed.push(deletion);
    }
    if (status !== PublishStatus.stored) {
      this.#logger.debug({ status, unconfirmed: this.unconfirmedCount }, 'deleting retained messages failed');
    }
  }

  /** No answer is awaited any more. */
  close(): void {
    this.#handle?.close();
    this.#handle = undefined;
  }

  #own(): PublisherHandle {
    return (this.#handle ??= this.#shards.openPublisher(this));
  }

  #write(deletion: Deletion): boolean {
    const { shardId, rowId } = deletion;
    if (!this.#shards.hasRoom(shardId, rowSlackBytes)) return false;
    if (this.#nextToken === NO_TOKEN) this.#nextToken = 0;
    const token = this.#nextToken;
    this.#nextToken = (this.#nextToken + 1) >>> 0;
    this.#underWay.set(token, deletion);
    this.#shards.putRow(shardId, this.#own(), token, RowStore.retained, rowId, undefined, false);
    return true;
  }

  #confirmed(deletion: Deletion): void {
    const left = this.#byTopic.get(deletion.topic)?.filter((other) => other !== deletion);
    if (left === undefined || left.length === 0) this.#byTopic.delete(deletion.topic);
    else this.#byTopic.set(deletion.topic, left);
  }
}
