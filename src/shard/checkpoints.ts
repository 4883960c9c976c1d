/**
 * The checkpoint that a backup reads from one shard, page by page. Shard worker; not on the message path.
 *
 * Always true: one is open at a time, and taking another closes it; a page is one slice of a few milliseconds, and traffic
 * has its turn between two pages. What was acknowledged before it was taken is in it, acks included as far as they had come.
 * Its id is never given twice, by no worker: what is not open here, or failed on the way, is refused and has no end.
 * Gives up: nothing lets go of a checkpoint but `end`, the next one, or the end of the worker; main sees to that.
 */
import { randomUUID } from 'node:crypto';

import { OperationalError } from '../base/error.js';
import { CheckpointPage } from '../log/checkpoint.js';
import type { Checkpoint } from '../log/checkpoint.js';
import type { Log } from '../log/log.js';
import type { Queue } from '../queue/queue.js';

/** A checkpoint that was taken, and what it holds: queues that operators see, those of sessions, and messages of all. */
export interface TakenCheckpoint {
  /** Names it when its pages are asked for. */
  readonly checkpointId: string;
  readonly queues: number;
  readonly sessionQueues: number;
  readonly messages: number;
  /** Size of the store's files, bytes: what is to be read, roughly. */
  readonly diskBytes: number;
}

interface OpenCheckpoint {
  readonly id: string;
  readonly page: CheckpointPage;
  /** Null once all of it was read. */
  source: Checkpoint | null;
}

/** See the file header. */
export class Checkpoints {
  readonly #log: Pick<Log, 'checkpoint' | 'diskBytes'>;
  #open: OpenCheckpoint | null = null;

  constructor(log: Pick<Log, 'checkpoint' | 'diskBytes'>) {
    this.#log = log;
  }

  /** Takes one. `flush` writes the acks that are not in the log yet. */
  async begin(queues: ReadonlyMap<number, Queue>, flush: () => void): Promise<TakenCheckpoint> {
    flush();
    const source = await this.#log.checkpoint();
    this.end();
    const checkpointId = randomUUID();
    this.#open = { id: checkpointId, page: new CheckpointPage(), source };
    let sessionQueues = 0;
    let messages = 0;
    for (const queue of queues.values()) {
      if (queue.belongsToSession) sessionQueues += 1;
      messages += queue.ledger.liveCount;
    }
    return {
      checkpointId,
      queues: queues.size - sessionQueues,
      sessionQueues,
      messages,
      diskBytes: this.#log.diskBytes(),
    };
  }

  /** The next page, which may be empty; undefined after the last. Throws ERR_BACKUP when this checkpoint is not open here. */
  next(checkpointId: string): ArrayBuffer | undefined {
    const open = this.#open;
    if (open?.id !== checkpointId) {
      throw new OperationalError(
        'ERR_BACKUP',
        'the checkpoint is gone: its shard has started again, or let it go',
      );
    }
    if (open.source === null) return undefined;
    let isMore: boolean;
    try {
      isMore = open.source.next(open.page);
    } catch (error) {
      // What the slice had added before is lost to the reader.
      this.end();
      throw error;
    }
    const page = open.page.take();
    if (isMore) return page;
    open.source.close();
    open.source = null;
    return page.byteLength > 0 ? page : undefined;
  }

  end(): void {
    this.#open?.source?.close();
    this.#open = null;
  }
}
