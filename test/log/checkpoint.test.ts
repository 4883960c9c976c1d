/** A checkpoint shows one moment of a log, whatever is written and deleted while it is read out. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OperationalError } from '../../src/base/error.js';
import { CheckpointKind, CheckpointPage, readCheckpointPage } from '../../src/log/checkpoint.js';
import type { Checkpoint } from '../../src/log/checkpoint.js';
import type { Log } from '../../src/log/log.js';
import { openMemoryLog } from '../../src/log/memory-driver.js';
import { openRocksdbLog } from '../../src/log/rocksdb-driver.js';
import { openSegmentLog } from '../../src/log/segment-driver.js';
import { bytes, commit, synced, temporaryDirectory } from './contract.js';

/** `kind queue offset value` of everything in the checkpoint, sorted; with how many slices that took. */
function readAll(
  checkpoint: Checkpoint,
  between: () => void = () => {},
): { records: string[]; slices: number } {
  const page = new CheckpointPage();
  const records: string[] = [];
  let slices = 0;
  for (let isMore = true; isMore; slices += 1) {
    isMore = checkpoint.next(page);
    const whole = readCheckpointPage(Buffer.from(page.take()), (kind, queueId, offset, value) => {
      records.push(`${kind} ${queueId} ${offset} ${value.toString('latin1')}`);
    });
    expect(whole).toBe(true);
    between();
  }
  checkpoint.close();
  return { records: records.toSorted(), slices };
}

/** What the log holds now, in the same form. */
function contentOf(log: Log, queueIds: readonly number[]): string[] {
  const text = (value: Uint8Array): string => Buffer.from(value).toString('latin1');
  const records = log.queues().map(({ queueId, meta }) => `1 ${queueId} 0 ${text(meta)}`);
  for (const id of queueIds) {
    for (const { firstOffset, value } of log.readBlocks(id, 0, 1e9))
      records.push(`2 ${id} ${firstOffset} ${text(value)}`);
    for (const { firstOffset, value } of log.readSummaries(id, 0, 1e9))
      records.push(`3 ${id} ${firstOffset} ${text(value)}`);
    for (const { key, offset } of log.readKeys(id, undefined, 1e9))
      records.push(`4 ${id} ${offset} ${text(key)}`);
  }
  return records.toSorted();
}

const drivers = [
  [
    'rocksdb',
    (directory: string) => openRocksdbLog({ driver: 'rocksdb', directory, memoryBytesMax: 32 << 20 }),
  ],
  // So small that every run rotates, cleans and removes.
  [
    'segment',
    (directory: string) => openSegmentLog({ driver: 'segment', directory, memoryBytesMax: 0 }, 64 * 1024),
  ],
] as const;

describe.each(drivers)('a checkpoint of the %s log', (_name, open) => {
  const directory = temporaryDirectory();
  let log: Log;
  beforeEach(async () => {
    log = await open(directory());
  });
  afterEach(() => log.close());

  const queueIds = [0, 1, 2, 0xffff_fff1];
  const fill = (round: number): void => {
    for (let offset = 0; offset < 300; offset += 1) {
      commit(log, (batch) => {
        for (const id of queueIds) {
          batch.putBlock(id, offset, bytes(`block ${id} ${round} ${offset} ${'x'.repeat(500)}`));
          batch.putSummary(id, offset, bytes(`summary ${round}`));
        }
        batch.putKey(2, bytes(`key ${offset}`), offset + round * 1000);
      });
    }
  };

  test('has metadata first, then all blocks, summaries and keys, rows and the queue with id 0 too [broker]', async () => {
    commit(log, (batch) => {
      for (const id of [0, 1, 2]) batch.putQueue(id, bytes(`meta ${id}`));
      batch.putKey(2, bytes(''), 7);
      batch.putKey(2, Buffer.from([0, 255]), 8);
    });
    fill(0);
    commit(log, (batch) => {
      batch.dropQueue(1);
      for (let offset = 0; offset < 100; offset += 1) batch.deleteBlock(0, offset);
    });
    const expected = contentOf(log, queueIds);
    expect(expected.length).toBeGreaterThan(1500);
    const page = new CheckpointPage();
    const checkpoint = await log.checkpoint();
    const kinds: number[] = [];
    for (let isMore = true; isMore;) {
      isMore = checkpoint.next(page);
      readCheckpointPage(Buffer.from(page.take()), (kind) => void kinds.push(kind));
    }
    checkpoint.close();
    expect(kinds.lastIndexOf(CheckpointKind.queue)).toBe(1);
    expect(readAll(await log.checkpoint()).records).toEqual(expected);
  });

  test('does not see what is written, replaced, deleted or cleaned away while it is read [broker]', async () => {
    commit(log, (batch) => {
      for (const id of [0, 1, 2]) batch.putQueue(id, bytes(`meta ${id}`));
    });
    fill(0);
    const expected = contentOf(log, queueIds);
    const checkpoint = await log.checkpoint();
    let nowMs = 0;
    const { records, slices } = readAll(checkpoint, () => {
      // The first slice is followed by the worst that can happen to what has not been read yet.
      if (nowMs === 0) {
        fill(1);
        commit(log, (batch) => {
          batch.dropQueue(0);
          batch.dropQueue(1);
          batch.putQueue(1, bytes('another'));
          for (let offset = 0; offset < 300; offset += 1) batch.deleteBlock(2, offset);
          for (let offset = 0; offset < 300; offset += 1) batch.deleteKey(2, bytes(`key ${offset}`));
        });
      }
      log.maintain((nowMs += 5000));
    });
    expect(slices).toBeGreaterThan(1);
    expect(records).toEqual(expected);
    expect(contentOf(log, queueIds)).not.toEqual(expected);
  });

  test('gives space back again once it is closed, twice or not at all [broker]', async () => {
    fill(0);
    const left = await log.checkpoint();
    left.next(new CheckpointPage());
    left.close();
    left.close();
    expect(left.next(new CheckpointPage())).toBe(false);
    fill(1);
    await synced(log);
    for (let nowMs = 0; nowMs < 200_000; nowMs += 5000) {
      log.maintain(nowMs);
      await synced(log);
    }
    const forgotten = await log.checkpoint();
    forgotten.next(new CheckpointPage());
    const before = contentOf(log, queueIds);
    await log.close();
    log = await open(directory());
    expect(contentOf(log, queueIds)).toEqual(before);
  });
});

test('the memory store has no checkpoint and says so by code [broker]', async () => {
  const log = openMemoryLog();
  const error = await log.checkpoint().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(OperationalError);
  expect((error as OperationalError).code).toBe('ERR_BACKUP');
  await log.close();
});

test('a page that ends early or holds an unknown kind is refused [broker]', () => {
  const page = new CheckpointPage();
  page.add(CheckpointKind.block, 7, 2 ** 53 - 1, bytes('value'));
  page.add(CheckpointKind.key, 7, 1, bytes(''));
  const taken = Buffer.from(page.take());
  const seen: unknown[] = [];
  const read = (bytesOfPage: Buffer): boolean =>
    readCheckpointPage(bytesOfPage, (...record) => void seen.push([...record.slice(0, 3)]));
  expect(read(taken)).toBe(true);
  expect(seen).toEqual([
    [CheckpointKind.block, 7, 2 ** 53 - 1],
    [CheckpointKind.key, 7, 1],
  ]);
  for (let length = 1; length < taken.length; length += 1) {
    if (length !== 22) expect(read(taken.subarray(0, length)), `${length} bytes`).toBe(false);
  }
  for (const kind of [0, 5]) {
    const wrong = Buffer.from(taken);
    wrong[0] = kind;
    expect(read(wrong)).toBe(false);
  }
});
