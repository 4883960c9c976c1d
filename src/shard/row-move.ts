/**
 * Moves the rows of a shard that is given up into another one. Shard worker, within the re-sharding task.
 *
 *   log    block 0 of queue id 0xffff_fff8 in the source: u32 LE shard that its rows are being copied to
 *
 * Always true: nothing in a row says where it belongs, so the target is on disk in the source before the first row is
 * copied, and goes together with the rows, in one batch, once the copies are on disk. A move that was cut off is therefore
 * finished to the same target, whatever number of shards is asked for then, and no row ends up in two shards.
 */
import { QUEUE_ID_RESERVED_MIN } from '../log/keys.js';
import type { Log, LogBatch } from '../log/log.js';
import { rowQueueIds } from './rows.js';

const MOVE_QUEUE_ID = QUEUE_ID_RESERVED_MIN + 8;
const COPY_BYTES = 4 * 1024 * 1024;

/** Shard that the rows of `source` are being moved to by a move that was cut off; undefined when none was. */
export function unfinishedMove(source: Log): number | undefined {
  const note = source.readBlock(MOVE_QUEUE_ID, 0);
  return note === undefined ? undefined : new DataView(note.buffer, note.byteOffset).getUint32(0, true);
}

/** Moves all rows of `source` into `target`, which is shard `targetId`. Repeatable. */
export async function moveRows(source: Log, target: Log, targetId: number): Promise<void> {
  await beginMove(source, targetId);
  const batch = target.batch();
  for (const queueId of rowQueueIds) copyRows(source, target, batch, queueId);
  await synced(target);
  const drop = source.batch();
  for (const queueId of [...rowQueueIds, MOVE_QUEUE_ID]) drop.dropQueue(queueId);
  commit(source, drop);
  await synced(source);
}

/** Notes on disk where the rows of `source` go. */
export async function beginMove(source: Log, targetId: number): Promise<void> {
  const note = new Uint8Array(4);
  new DataView(note.buffer).setUint32(0, targetId, true);
  const batch = source.batch();
  batch.putBlock(MOVE_QUEUE_ID, 0, note);
  commit(source, batch);
  await synced(source);
}

/** True when the log holds rows. */
export function hasRows(log: Log): boolean {
  return rowQueueIds.some((queueId) => log.readBlocks(queueId, 0, 1).length > 0);
}

function copyRows(source: Log, target: Log, batch: LogBatch, queueId: number): void {
  for (let from = 0; ;) {
    const rows = source.readBlocks(queueId, from, COPY_BYTES);
    if (rows.length === 0) return;
    for (const { firstOffset, value } of rows) {
      batch.putBlock(queueId, firstOffset, value);
      from = firstOffset + 1;
    }
    commit(target, batch);
  }
}

/** Writes what is in the batch, if anything, and empties it. */
export function commit(log: Log, batch: LogBatch): void {
  if (batch.operationCount > 0) log.write(batch);
  batch.clear();
}

/** Resolves when everything written so far is on disk. */
export function synced(log: Log): Promise<void> {
  return new Promise((resolve, reject) => {
    log.sync((error) => (error === null ? resolve() : reject(error)));
  });
}
