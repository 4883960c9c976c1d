/**
 * Rows of retained messages that were cleared and may still be there. Main thread.
 *
 * Always true: a deletion is known here until the shard has confirmed it, because a message that was cleared must not
 * come back with the next start; a client that clears its topic again meanwhile waits for the same deletion. Row ids are
 * never used twice, so a late deletion cannot hit a newer message. Gives up: two frames per clearing.
 */
import { NO_TOKEN, RowStore, type PublisherHandle, type Shards } from '../shard/link.js';
import type { RowWriter } from './row-writer.js';

interface Deletion {
  readonly shardId: number;
  readonly rowId: number;
}

/** See the file header. */
export class RetainedDeletions {
  readonly #shards: Shards;
  readonly #rows: RowWriter;
  /** By topic, oldest first. */
  readonly #byTopic = new Map<string, Deletion[]>();
  #count = 0;

  constructor(shards: Shards, rows: RowWriter) {
    this.#shards = shards;
    this.#rows = rows;
  }

  /** Deletions that are not confirmed. */
  get count(): number {
    return this.#count;
  }

  /** Shard of the newest deletion of this topic, or -1. */
  shardOf(topic: Buffer, start: number, end: number): number {
    if (this.#count === 0) return -1;
    return this.#byTopic.get(topic.toString('latin1', start, end))?.at(-1)?.shardId ?? -1;
  }

  /** Deletes the row of a topic for good; `done` when it is gone. */
  add(shardId: number, rowId: number, topic: string, done?: () => void): void {
    const deletion = { shardId, rowId };
    const known = this.#byTopic.get(topic);
    if (known === undefined) this.#byTopic.set(topic, [deletion]);
    else known.push(deletion);
    this.#count++;
    this.#rows.remove(shardId, RowStore.retained, rowId, () => {
      this.#confirmed(deletion, topic);
      done?.();
    });
  }

  /** Writes the deletions of a topic once more; the newest settles `token` at `publisher`. False: there are none. */
  confirm(publisher: PublisherHandle, token: number, topic: string): boolean {
    const deletions = this.#byTopic.get(topic);
    if (deletions === undefined) return false;
    for (const [at, { shardId, rowId }] of deletions.entries()) {
      const isNewest = at === deletions.length - 1;
      if (!isNewest && !this.#rows.hasRoom(shardId)) continue;
      this.#shards.putRow(
        shardId,
        publisher,
        isNewest ? token : NO_TOKEN,
        RowStore.retained,
        rowId,
        undefined,
        false,
      );
    }
    return true;
  }

  #confirmed(deletion: Deletion, topic: string): void {
    this.#count--;
    const left = this.#byTopic.get(topic)!.filter((other) => other !== deletion);
    if (left.length === 0) this.#byTopic.delete(topic);
    else this.#byTopic.set(topic, left);
  }
}
