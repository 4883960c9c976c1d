/**
 * A consistent backup of the running broker, as a stream of bytes. Main thread.
 *
 * Always true: checkpoints of all shards are taken before the first byte is given out, so that every message acknowledged
 * before the backup began is in it; what is acknowledged later may be in it or not, and an ack of a consumer that came
 * later is not. One backup at a time. Memory: two pages. Whoever stops reading ends it: its checkpoints are let go.
 * A shard that starts again before all of it was read cuts the backup off.
 * Gives up: one moment for all shards; what is still unacknowledged may be in one shard and not in another.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { OperationalError } from '../base/error.js';
import type { TakenCheckpoint } from '../shard/checkpoints.js';
import type { Logger } from '../telemetry/logger.js';
import { encodeFile, encodeFrame, encodePrologue, FILE_BYTES_MAX, FrameType } from './backup-format.js';
import type { BackupEnd, BackupHead } from './backup-format.js';
import { dataFiles } from './data-file.js';

/** The part of the shards that a backup reads. */
export interface CheckpointSource {
  readonly shardCount: number;
  beginCheckpoint(shardId: number): Promise<TakenCheckpoint>;
  /** Empty: ask again; undefined: the end. Rejects with ERR_BACKUP when the shard does not have this checkpoint any more. */
  checkpointPage(shardId: number, checkpointId: string): Promise<ArrayBuffer | undefined>;
  endCheckpoint(shardId: number): Promise<void>;
}

/** What backups are made of. */
export interface BackupOptions {
  readonly shards: CheckpointSource;
  readonly dataDir: string;
  readonly store: string;
  readonly version: string;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  readonly now: () => number;
}

/** A backup that has begun: what it will hold, and its bytes, which must be read or returned. */
export interface Backup {
  readonly head: BackupHead;
  readonly bytes: AsyncGenerator<Buffer, void>;
}

/** While nothing comes from a shard a frame of no content says that the backup goes on, ms. */
const WAIT_FRAME_MS = 5000;

/** See the file header. */
export class BackupService {
  readonly #options: BackupOptions;
  #state: 'idle' | 'running' = 'idle';

  constructor(options: BackupOptions) {
    this.#options = options;
  }

  /** Takes the checkpoints. Throws ERR_BACKUP (memory store, another backup under way), ERR_SHARD_DOWN and faults of the log. */
  async begin(): Promise<Backup> {
    const { shards, store, version, now } = this.#options;
    if (store === 'memory') {
      throw new OperationalError('ERR_BACKUP', 'the memory store keeps nothing, so there is no backup of it');
    }
    if (this.#state === 'running') throw new OperationalError('ERR_BACKUP', 'another backup is under way');
    this.#state = 'running';
    try {
      const createdAtMs = now();
      const ids = Array.from({ length: shards.shardCount }, (_, id) => id);
      // All answers are in before one that failed lets go of the others.
      const answers = await Promise.allSettled(ids.map((id) => shards.beginCheckpoint(id)));
      const taken = answers.map((answer) => {
        if (answer.status === 'rejected') throw answer.reason;
        return answer.value;
      });
      const sum = (field: Exclude<keyof TakenCheckpoint, 'checkpointId'>): number =>
        taken.reduce((total, figures) => total + figures[field], 0);
      const head: BackupHead = {
        version,
        createdAtMs,
        store,
        shards: shards.shardCount,
        queues: sum('queues'),
        sessionQueues: sum('sessionQueues'),
        messages: sum('messages'),
        diskBytes: sum('diskBytes'),
      };
      const bytes = this.#bytes(
        head,
        taken.map(({ checkpointId }) => checkpointId),
      );
      // From here on `finally` in there lets go; it only runs once the generator has been entered.
      await bytes.next();
      return { head, bytes };
    } catch (error) {
      await this.#letGo();
      throw error;
    }
  }

  /** The first value is empty: see `begin`. */
  async *#bytes(head: BackupHead, checkpointIds: readonly string[]): AsyncGenerator<Buffer, void> {
    const { dataDir, shards, logger } = this.#options;
    const startedMs = performance.now();
    let number = 0;
    let written = 0;
    let outcome: 'complete' | 'cut off' = 'cut off';
    const frame = async (type: FrameType, content: Uint8Array): Promise<Buffer> => {
      const bytes = await encodeFrame(number++, type, content);
      written += bytes.length;
      return bytes;
    };
    const end = { files: 0, shards: head.shards, pages: 0, pageBytes: 0 };
    try {
      yield EMPTY;
      yield encodePrologue();
      yield await frame(FrameType.head, json(head));
      for (const name of dataFiles(dataDir)) {
        const content = await readDataFile(dataDir, name);
        if (content === undefined) continue;
        end.files += 1;
        yield await frame(FrameType.file, content);
      }
      for (const [shardId, checkpointId] of checkpointIds.entries()) {
        yield await frame(FrameType.shard, json({ shard: shardId }));
        let spokeMs = performance.now();
        // The next page is on its way while this one is compressed and sent.
        let coming = this.#page(shardId, checkpointId);
        for (let page = await coming; page !== undefined; page = await coming) {
          coming = this.#page(shardId, checkpointId);
          const nowMs = performance.now();
          if (page.byteLength === 0 && nowMs - spokeMs < WAIT_FRAME_MS) continue;
          spokeMs = nowMs;
          if (page.byteLength === 0) {
            yield await frame(FrameType.wait, EMPTY);
            continue;
          }
          end.pages += 1;
          end.pageBytes += page.byteLength;
          yield await frame(FrameType.page, new Uint8Array(page));
        }
        await shards.endCheckpoint(shardId);
      }
      yield await frame(FrameType.end, json(end satisfies BackupEnd));
      outcome = 'complete';
    } finally {
      await this.#letGo();
      const detail = {
        messages: head.messages,
        bytes: written,
        seconds: Math.round((performance.now() - startedMs) / 100) / 10,
      };
      if (outcome === 'complete') logger.info(detail, 'a backup was taken');
      else logger.warn(detail, 'a backup was cut off before its end');
    }
  }

  /** A rejection is the reader's, also when it is looked at later. */
  #page(shardId: number, checkpointId: string): Promise<ArrayBuffer | undefined> {
    const page = this.#options.shards.checkpointPage(shardId, checkpointId);
    page.catch(() => {});
    return page;
  }

  /** A shard that is down has let go by itself. */
  async #letGo(): Promise<void> {
    const { shards } = this.#options;
    const ends = Array.from({ length: shards.shardCount }, (_, id) => shards.endCheckpoint(id));
    await Promise.allSettled(ends);
    this.#state = 'idle';
  }
}

const EMPTY = Buffer.alloc(0);

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** Undefined when it has gone meanwhile. */
async function readDataFile(dataDir: string, name: string): Promise<Buffer | undefined> {
  const file = join(dataDir, name);
  try {
    const { mode, size } = await stat(file);
    if (size > FILE_BYTES_MAX)
      throw new OperationalError('ERR_BACKUP', `${file} is larger than any file of the broker`);
    return encodeFile(name, mode & 0o777, await readFile(file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
