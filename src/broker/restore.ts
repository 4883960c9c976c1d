/**
 * Writes a backup into a data directory. Main thread of `sluice restore`, while no broker runs there.
 *
 *   check the whole file → check the directory → RESTORING on disk → remove the old → shards, files → layout.json → RESTORING away
 *
 * Always true: nothing is changed before the whole file has been read without a fault; from the first change to the last
 * the directory holds RESTORING, with which no broker starts, so that a restore that was cut off is seen and begun anew.
 * The backup itself lies elsewhere, and what a broker did not make stays. Store and number of shards are those asked for,
 * whatever the backup was taken from. Memory: a few megabytes per shard.
 */
import * as fs from 'node:fs';
import { isAbsolute, join, relative, sep } from 'node:path';

import { makeDirectory } from '../base/directory.js';
import { OperationalError } from '../base/error.js';
import { CheckpointKind, readCheckpointPage } from '../log/checkpoint.js';
import { lockDirectory } from '../log/directory-lock.js';
import { QUEUE_ID_RESERVED_MIN } from '../log/keys.js';
import { fsyncDirectory } from '../log/log-format.js';
import type { Log, LogBatch, LogDriver } from '../log/log.js';
import { openLog } from '../log/open.js';
import { existingShards, shardDirectory, writeLayout } from '../shard/layout.js';
import { shardOf } from '../shard/placement.js';
import { rowQueueIds } from '../shard/rows.js';
import { damaged, decodeFile, type Frame, FrameType, parseJson } from './backup-format.js';
import { isDataFile, isReplaced, OWNER_FILE, RESTORE_MARK } from './data-file.js';
import { checkBackup, type CheckedBackup, walkBackup } from './restore-check.js';

/** Where a backup goes, and as what. */
export interface RestoreOptions {
  readonly file: string;
  readonly dataDir: string;
  readonly store: LogDriver;
  readonly shards: number;
  /** Replace what a data directory holds. */
  readonly force: boolean;
  readonly onProgress: (phase: 'check' | 'write', doneBytes: number, totalBytes: number) => void;
}

const LOG_MEMORY_BYTES = 32 << 20;
/** Records take a little more on disk than in a backup. */
const SPACE_FACTOR = 1.25;
/** Left alone by everybody; not what makes a directory used. */
const NOT_COUNTED: ReadonlySet<string> = new Set(['lost+found', OWNER_FILE]);

/** Does it; resolves to what was restored. Throws ERR_BACKUP…, ERR_RESTORE, ERR_LOG_… */
export async function restoreBackup(options: RestoreOptions): Promise<CheckedBackup> {
  const { file, dataDir, store, onProgress } = options;
  if (store === 'memory')
    throw refused('the memory store keeps nothing: SLUICE_STORE must be rocksdb or segment');
  refuseOwnBackup(file, dataDir);
  const checked = await checkBackup(file, (done, total) => onProgress('check', done, total));
  makeTarget(dataDir);
  const release = await lockDirectory(dataDir);
  try {
    await checkTarget(options, checked);
    await writeAll(options, checked);
    fs.rmSync(join(dataDir, OWNER_FILE), { force: true });
  } catch (error) {
    if (error instanceof OperationalError || !(error instanceof Error && 'syscall' in error)) throw error;
    throw refused(`${dataDir} cannot be written: ${error.message}`, error);
  } finally {
    release();
  }
  return checked;
}

/** A backup below the directory would be in the way of what replaces it. */
function refuseOwnBackup(file: string, dataDir: string): void {
  const from = realPath(file);
  const to = realPath(dataDir);
  // What is not there is told by whoever opens it.
  if (from === undefined || to === undefined) return;
  const path = relative(to, from);
  if (path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path)) return;
  throw refused(`${file} lies in ${dataDir}, which it would replace: move it elsewhere first`);
}

function realPath(path: string): string | undefined {
  try {
    return fs.realpathSync(path);
  } catch {
    return undefined;
  }
}

function makeTarget(dataDir: string): void {
  try {
    makeDirectory(dataDir);
  } catch (error) {
    throw refused(`${dataDir} cannot be made: ${String(error)}`, error);
  }
}

/** Is it empty, or may it be emptied? Is there room? */
async function checkTarget({ dataDir, force }: RestoreOptions, checked: CheckedBackup): Promise<void> {
  const names = fs.readdirSync(dataDir).filter((name) => !NOT_COUNTED.has(name));
  const isOurs = names.includes(RESTORE_MARK);
  if (names.length > 0 && !isOurs) {
    if (!force) throw refused(`${dataDir} is not empty; --force replaces what a data directory holds`);
    const isDataDirectory = names.some((name) => name === 'layout.json' || /^shard-\d+$/.test(name));
    if (!isDataDirectory) throw refused(`${dataDir} is not empty and no data directory of Sluice`);
  }
  for (const shardId of existingShards(dataDir)) {
    try {
      (await lockDirectory(shardDirectory(dataDir, shardId)))();
    } catch (error) {
      throw refused(`a broker runs in ${dataDir}`, error);
    }
  }
  const { bavail, bsize } = fs.statfsSync(dataDir);
  const old = names.filter(isReplaced).map((name) => bytesOf(join(dataDir, name)));
  const room = bavail * bsize + old.reduce((sum, bytes) => sum + bytes, 0);
  const wanted = checked.end.pageBytes * SPACE_FACTOR;
  if (room < wanted) {
    const megabytes = (bytes: number): number => Math.ceil(bytes / 1e6);
    throw refused(`${dataDir} has room for ${megabytes(room)} MB; the backup needs ${megabytes(wanted)} MB`);
  }
}

function bytesOf(path: string): number {
  const stats = fs.lstatSync(path, { throwIfNoEntry: false });
  if (stats?.isDirectory() !== true) return stats?.size ?? 0;
  let bytes = 0;
  for (const entry of fs.readdirSync(path, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    bytes += fs.statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

async function writeAll(options: RestoreOptions, checked: CheckedBackup): Promise<void> {
  const { file, dataDir, store, shards, onProgress } = options;
  writeDurably(join(dataDir, RESTORE_MARK), Buffer.from('sluice restore\n'), 0o600);
  fsyncDirectory(dataDir);
  for (const name of fs.readdirSync(dataDir)) {
    if (isReplaced(name)) fs.rmSync(join(dataDir, name), { recursive: true });
  }
  const targets: Target[] = [];
  try {
    for (let shardId = 0; shardId < shards; shardId += 1) {
      const directory = shardDirectory(dataDir, shardId);
      const log = await openLog({ driver: store, directory, memoryBytesMax: LOG_MEMORY_BYTES });
      targets.push(new Target(log));
    }
    const writer = new Writer(dataDir, targets, checked.topicFilters);
    await walkBackup(
      file,
      (frame) => writer.take(frame),
      (done, total) => onProgress('write', done, total),
    );
  } catch (error) {
    // The first fault is the one that matters: a log that failed cannot close in order either.
    await Promise.allSettled(targets.map(({ log }) => log.close()));
    throw error;
  }
  // Closing syncs.
  for (const { log } of targets) await log.close();
  writeLayout(dataDir, shards);
  giveToOwner(dataDir);
  fs.rmSync(join(dataDir, RESTORE_MARK));
  fsyncDirectory(dataDir);
}

/** One shard of the new directory, written page by page. */
class Target {
  readonly log: Log;
  readonly #batch: LogBatch;

  constructor(log: Log) {
    this.log = log;
    this.#batch = log.batch();
  }

  /** `value` must stay until `flush`. */
  put(kind: CheckpointKind, queueId: number, offset: number, value: Buffer): void {
    if (kind === CheckpointKind.queue) this.#batch.putQueue(queueId, value);
    else if (kind === CheckpointKind.block) this.#batch.putBlock(queueId, offset, value);
    else if (kind === CheckpointKind.summary) this.#batch.putSummary(queueId, offset, value);
    else this.#batch.putKey(queueId, value, offset);
  }

  flush(): void {
    if (this.#batch.operationCount > 0) this.log.write(this.#batch);
    this.#batch.clear();
  }
}

/** Puts each record where the new number of shards expects it. */
class Writer {
  readonly #dataDir: string;
  readonly #targets: readonly Target[];
  /** By queue id. */
  readonly #places = new Map<number, Target>();
  #shard = 0;

  constructor(dataDir: string, targets: readonly Target[], topicFilters: ReadonlyMap<number, string>) {
    this.#dataDir = dataDir;
    this.#targets = targets;
    for (const [queueId, topicFilter] of topicFilters) {
      this.#places.set(queueId, targets[shardOf(topicFilter, targets.length)] as Target);
    }
  }

  take({ type, content }: Frame): void {
    if (type === FrameType.file) {
      const { name, mode, contents } = decodeFile(content);
      // Asked again: the file may be another one than the one that was checked.
      if (isDataFile(name)) writeDurably(join(this.#dataDir, name), contents, mode & 0o600);
    } else if (type === FrameType.shard) {
      this.#shard = (parseJson(content) as { shard: number }).shard;
    } else if (type === FrameType.page) {
      if (!readCheckpointPage(content, this.#record)) throw damaged('it changed while it was read');
      for (const target of this.#targets) target.flush();
    }
  }

  readonly #record = (kind: CheckpointKind, queueId: number, offset: number, value: Buffer): void => {
    // Nothing in a row says where it belongs; as when shards are given up, it goes by where it was.
    const target = queueId < QUEUE_ID_RESERVED_MIN ? this.#places.get(queueId) : this.#rowTarget(queueId);
    // What belongs to no queue is what a drop or a move left behind.
    target?.put(kind, queueId, offset, value);
  };

  #rowTarget(queueId: number): Target | undefined {
    return rowQueueIds.includes(queueId) ? this.#targets[this.#shard % this.#targets.length] : undefined;
  }
}

function writeDurably(file: string, contents: Buffer, mode: number): void {
  const fd = fs.openSync(file, 'w', mode);
  try {
    fs.writeFileSync(fd, contents);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Restored by root, the files still belong to whom the directory belongs to. */
function giveToOwner(dataDir: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = fs.statSync(dataDir);
  for (const name of fs.readdirSync(dataDir).filter(isReplaced)) {
    const path = join(dataDir, name);
    fs.lchownSync(path, uid, gid);
    if (!fs.lstatSync(path).isDirectory()) continue;
    for (const entry of fs.readdirSync(path, { withFileTypes: true, recursive: true }))
      fs.lchownSync(join(entry.parentPath, entry.name), uid, gid);
  }
}

function refused(message: string, cause?: unknown): OperationalError {
  return new OperationalError('ERR_RESTORE', message, cause);
}
