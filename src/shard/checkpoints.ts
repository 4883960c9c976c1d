/**
 * The checkpoint that a backup reads from one shard, page by page. Shard worker; not on the message path.
 *
 * Always true: one is open at a time, and taking another closes it; a page is one slice of a few milliseconds, and traffic
 * has its turn between two pages. What was acknowledged before it was taken is in it, acks included as far as they had come.
 * Gives up: nothing lets go of a checkpoint but `end`, the next one, or the end of the worker; main sees to that.
 */
import { CheckpointPage } from '../log/checkpoint.js';
import type { Checkpoint } from '../log/checkpoint.js';
import type { Log } from '../log/log.js';
import type { Queue } from '../queue/queue.js';

/** What a checkpoint holds: queues that operators see, those of sessions, and messages of all. */
export interface CheckpointFigures {
  readonly queues: number;
  readonly sessionQueues: number;
  readonly messages: number;
  /** Size of the store's files, bytes: what is to be read, roughly. */
  readonly diskBytes: number;
}

/** See the file header. */
export class Checkpoints {
  readonly #log: Log;
  readonly #page = new CheckpointPage();
  #open: Checkpoint | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Takes one. `flush` writes the acks that are not in the log yet. */
  async begin(queues: ReadonlyMap<number, Queue>, flush: () => void): Promise<CheckpointFigures> {
    flush();
    const checkpoint = await this.#log.checkpoint();
    this.end();
    this.#open = checkpoint;
    let sessionQueues = 0;
    let messages = 0;
    for (const queue of queues.values()) {
      if (queue.belongsToSession) sessionQueues += 1;
      messages += queue.ledger.liveCount;
    }
    return {
      queues: queues.size - sessionQueues,
      sessionQueues,
      messages,
      diskBytes: this.#log.diskBytes(),
    };
  }

  /** The next page, which may be empty; undefined at the end, or when there is none to read from. */
  next(): ArrayBuffer | undefined {
    if (this.#open === null) return undefined;
    const isMore = this.#open.next(this.#page);
    const page = this.#page.take();
    if (!isMore) this.end();
    return isMore || page.byteLength > 0 ? page : undefined;
  }

  end(): void {
    this.#open?.close();
    this.#open = null;
  }
}
