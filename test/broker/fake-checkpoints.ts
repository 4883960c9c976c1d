/** Shards whose checkpoints hold what the test puts into them. */
import type { CheckpointSource } from '../../src/broker/backup.js';
import { CheckpointPage } from '../../src/log/checkpoint.js';
import type { TakenCheckpoint } from '../../src/shard/checkpoints.js';

/** One record: kind, queue id, offset, value. */
export type FakeRecord = readonly [kind: 1 | 2 | 3 | 4, queueId: number, offset: number, value: Uint8Array];

export class FakeCheckpoints implements CheckpointSource {
  /** By shard: its pages. */
  readonly shards: readonly (readonly (readonly FakeRecord[])[])[];
  /** Checkpoints that are open now. */
  open = 0;
  readonly #next: number[];

  constructor(shards: readonly (readonly (readonly FakeRecord[])[])[] = [[]]) {
    this.shards = shards;
    this.#next = shards.map(() => -1);
  }

  get shardCount(): number {
    return this.shards.length;
  }

  async beginCheckpoint(shardId: number): Promise<TakenCheckpoint> {
    this.#next[shardId] = 0;
    this.open += 1;
    return { checkpointId: `of ${shardId}`, queues: 1, sessionQueues: 0, messages: 0, diskBytes: 0 };
  }

  async checkpointPage(shardId: number, checkpointId: string): Promise<ArrayBuffer | undefined> {
    if (checkpointId !== `of ${shardId}`)
      throw new Error(`shard ${shardId} has no checkpoint ${checkpointId}`);
    const at = this.#next[shardId] ?? -1;
    const records = at < 0 ? undefined : this.shards[shardId]?.[at];
    if (records === undefined) return undefined;
    this.#next[shardId] = at + 1;
    const page = new CheckpointPage();
    for (const record of records) page.add(...record);
    return page.take();
  }

  async endCheckpoint(shardId: number): Promise<void> {
    if ((this.#next[shardId] ?? -1) >= 0) this.open -= 1;
    this.#next[shardId] = -1;
  }
}
