/**
 * Reads a backup file from end to end before anything is done with it. Main thread of `sluice restore`; changes nothing.
 *
 * Always true: what passes is whole, of a format and with contents that this version reads, and says itself how much it
 * holds; so that writing it can fail for reasons of the target only. Memory: one page, and a number per queue.
 * Gives up: nothing is said about a block that was damaged when the backup was taken but that there is one: it is carried
 * over as it is, as the store that it came from kept it.
 */
import { type FileHandle, open } from 'node:fs/promises';

import { OperationalError } from '../base/error.js';
import { CheckpointKind, readCheckpointPage } from '../log/checkpoint.js';
import { checkBlock, decodeSummary } from '../log/record-format.js';
import { decodeDefinition } from '../shard/control.js';
import { rowQueueIds } from '../shard/rows.js';
import {
  type BackupEnd,
  type BackupHead,
  damaged,
  decodeFile,
  type Frame,
  FrameType,
  parseJson,
  readFrames,
} from './backup-format.js';
import { mayBeInBackup } from './data-file.js';

/** What a whole backup holds. */
export interface CheckedBackup {
  readonly head: BackupHead;
  readonly end: BackupEnd;
  readonly fileBytes: number;
  /** Topic filter by queue id: where a queue lies follows from it. */
  readonly topicFilters: ReadonlyMap<number, string>;
  readonly queues: number;
  readonly sessionQueues: number;
  /** By the summaries of their blocks. */
  readonly messages: number;
  /** Retained messages, sessions, wills and received packet ids. */
  readonly rows: number;
  readonly damagedBlocks: number;
}

/** Hears of bytes read so far, and of all. */
export type OnProgress = (doneBytes: number, totalBytes: number) => void;

/** Throws ERR_BACKUP (not readable), ERR_BACKUP_DAMAGED, ERR_BACKUP_VERSION. */
export async function checkBackup(file: string, onProgress: OnProgress): Promise<CheckedBackup> {
  const contents = new Contents();
  const fileBytes = await walkBackup(file, (frame) => contents.take(frame), onProgress);
  return contents.result(fileBytes);
}

/** Reads all frames in order; resolves to the size of the file. */
export async function walkBackup(
  file: string,
  onFrame: (frame: Frame) => void | Promise<void>,
  onProgress: OnProgress,
): Promise<number> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, 'r');
    const { size } = await handle.stat();
    const stream = handle.createReadStream({ highWaterMark: 1 << 20, autoClose: false });
    for await (const frame of readFrames(stream)) {
      await onFrame(frame);
      onProgress(Math.min(stream.bytesRead, size), size);
    }
    return size;
  } catch (error) {
    if (error instanceof OperationalError || !(error instanceof Error && 'syscall' in error)) throw error;
    throw new OperationalError('ERR_BACKUP', `${file} cannot be read: ${error.message}`, error);
  } finally {
    await handle?.close();
  }
}

/** Counts and checks frame by frame. */
class Contents {
  readonly #topicFilters = new Map<number, string>();
  #head: BackupHead | undefined;
  #end: BackupEnd | undefined;
  readonly #seen = { files: 0, shards: 0, pages: 0, pageBytes: 0 };
  #sessionQueues = 0;
  #messages = 0;
  #rows = 0;
  #damagedBlocks = 0;

  take({ type, content }: Frame): void {
    switch (type) {
      case FrameType.head:
        this.#head = parseJson(content) as BackupHead;
        return;
      case FrameType.file:
        this.#seen.files += 1;
        if (!mayBeInBackup(decodeFile(content).name)) throw damaged('a file in it has a name that none has');
        return;
      case FrameType.shard:
        if ((parseJson(content) as { shard?: unknown }).shard !== this.#seen.shards)
          throw damaged('its shards are out of order');
        this.#seen.shards += 1;
        return;
      case FrameType.page:
        if (this.#seen.shards === 0) throw damaged('a page of it belongs to no shard');
        this.#seen.pages += 1;
        this.#seen.pageBytes += content.length;
        if (!readCheckpointPage(content, this.#record)) throw damaged('a page of it is not readable');
        return;
      case FrameType.wait:
        return;
      case FrameType.end:
        this.#end = parseJson(content) as BackupEnd;
    }
  }

  result(fileBytes: number): CheckedBackup {
    const head = this.#head;
    const end = this.#end;
    if (head === undefined || end === undefined) throw damaged('it has no head or no end');
    const { files, shards, pages, pageBytes } = this.#seen;
    const fits =
      end.files === files && end.shards === shards && end.pages === pages && end.pageBytes === pageBytes;
    if (!fits) throw damaged('it holds another number of files, shards or pages than its end says');
    return {
      head,
      end,
      fileBytes,
      topicFilters: this.#topicFilters,
      queues: this.#topicFilters.size - this.#sessionQueues,
      sessionQueues: this.#sessionQueues,
      messages: this.#messages,
      rows: this.#rows,
      damagedBlocks: this.#damagedBlocks,
    };
  }

  readonly #record = (kind: CheckpointKind, queueId: number, _offset: number, value: Buffer): void => {
    if (kind === CheckpointKind.queue) {
      const { topicFilter, sessionClientId } = readable(() => decodeDefinition(value));
      if (typeof topicFilter !== 'string') throw damaged('a queue in it has no topic filter');
      this.#topicFilters.set(queueId, topicFilter);
      if (sessionClientId !== undefined) this.#sessionQueues += 1;
    } else if (rowQueueIds.includes(queueId)) this.#rows += 1;
    else if (!this.#topicFilters.has(queueId)) return;
    else if (kind === CheckpointKind.block) this.#block(value);
    else if (kind === CheckpointKind.summary) this.#summary(value);
  };

  #block(value: Buffer): void {
    try {
      checkBlock(value);
    } catch (error) {
      if (!(error instanceof OperationalError) || error.code !== 'ERR_LOG_CORRUPT') throw newer(error);
      this.#damagedBlocks += 1;
    }
  }

  #summary(value: Buffer): void {
    try {
      const { recordCount, ackedCount } = decodeSummary(value);
      this.#messages += recordCount - ackedCount;
    } catch {
      // Its block is left out by the broker, too.
    }
  }
}

function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw newer(error);
  }
}

/** What the log calls a newer or damaged record is a newer or damaged backup here. */
function newer(error: unknown): unknown {
  if (!(error instanceof OperationalError)) return error;
  if (error.code === 'ERR_LOG_VERSION')
    return new OperationalError(
      'ERR_BACKUP_VERSION',
      `the backup holds what a newer Sluice wrote: ${error.message}`,
    );
  return damaged(error.message);
}
