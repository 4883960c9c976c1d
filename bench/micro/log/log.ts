/**
 * The log drivers on one thread: blocks of 256 messages of 256 B with their summaries, appended and deleted as a queue
 * with little backlog does it, appended alone, read back in order, and appended with a sync per block. Bench process.
 *
 * Always true: what is read back is counted, and what was deleted is gone. Figures are wall time with everything that the
 * driver does in the background. One run each: a log that has grown is another log.
 */
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import type { Log, LogDriver } from '../../../src/log/log.js';
import { openLog } from '../../../src/log/open.js';
import { same, type Figure } from '../measure.js';

const blockMessages = 256;
/** 256 B of payload and 14 B of record. */
const blockBytes = blockMessages * (256 + 14);
const summaryBytes = 64;
/** Blocks that wait between append and delete. */
const backlogBlocks = 16;
/** Writes between two turns of the event loop. */
const writesPerTurn = 64;
/** What a queue reads ahead at once. */
const readBytesMax = 1024 * 1024;
const queueId = 1;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Work {
  readonly name: string;
  readonly blocks: number;
  readonly deletes: boolean;
  readonly syncs: boolean;
  readonly reads: boolean;
}

async function bench(driver: LogDriver, work: Work): Promise<Figure[]> {
  const directory = mkdtempSync(path.join(tmpdir(), 'sluice-bench-'));
  try {
    const log = await openLog({ driver, directory: path.join(directory, 'log'), memoryBytesMax: 128 << 20 });
    const figures = await append(log, `${driver}: ${work.name}`, work);
    const left = work.deletes ? Math.min(work.blocks, backlogBlocks) : work.blocks;
    if (work.reads) figures.push(read(log, `${driver}: read back in order`, left));
    else same(`${driver}: blocks left`, log.readSummaries(queueId, 0, work.blocks).length, left);
    await log.close();
    return figures;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function append(log: Log, name: string, { blocks, deletes, syncs }: Work): Promise<Figure[]> {
  const value = randomFillSync(Buffer.alloc(blockBytes));
  const summary = Buffer.alloc(summaryBytes);
  const batch = log.batch();
  let worstWriteMs = 0;
  let maintainAtMs = performance.now() + 1000;
  const startMs = performance.now();
  for (let block = 0; block < blocks; block++) {
    batch.clear();
    batch.putBlock(queueId, block * blockMessages, value);
    batch.putSummary(queueId, block * blockMessages, summary);
    if (deletes && block >= backlogBlocks)
      batch.deleteBlock(queueId, (block - backlogBlocks) * blockMessages);
    const writeMs = performance.now();
    log.write(batch);
    const nowMs = performance.now();
    worstWriteMs = Math.max(worstWriteMs, nowMs - writeMs);
    if (nowMs > maintainAtMs) {
      maintainAtMs = nowMs + 1000;
      log.maintain(nowMs);
    }
    if (syncs) await synced(log);
    else if (block % writesPerTurn === 0) await turn();
  }
  const passedMs = performance.now() - startMs;
  return [
    { name, value: (blocks * blockMessages * 1000) / passedMs, unit: 'per second' },
    { name: `${name}: longest write`, value: worstWriteMs, unit: 'ms' },
  ];
}

function read(log: Log, name: string, blocks: number): Figure {
  const startMs = performance.now();
  let found = 0;
  let offset = 0;
  for (;;) {
    const stored = log.readBlocks(queueId, offset, readBytesMax);
    const last = stored.at(-1);
    if (last === undefined) break;
    found += stored.filter(({ value }) => value.byteLength === blockBytes).length;
    offset = last.firstOffset + 1;
  }
  const passedMs = performance.now() - startMs;
  same(`${name}: blocks`, found, blocks);
  return { name, value: (blocks * blockMessages * 1000) / passedMs, unit: 'per second' };
}

function synced(log: Log): Promise<void> {
  return new Promise((resolve, reject) => {
    log.sync((error) => (error === null ? resolve() : reject(error)));
  });
}

/** Operations are messages; 5 million per driver at scale 1000. */
export async function benchLog(scale: number): Promise<Figure[]> {
  const blocks = scale * 20;
  const plain = { deletes: false, syncs: false, reads: false };
  const figures: Figure[] = [];
  for (const driver of ['rocksdb', 'segment', 'memory'] as const) {
    figures.push(...(await bench(driver, { ...plain, name: 'append and delete', blocks, deletes: true })));
    const quarter = Math.ceil(blocks / 4);
    figures.push(...(await bench(driver, { ...plain, name: 'append only', blocks: quarter, reads: true })));
    // Nothing of the memory driver reaches a disk.
    if (driver === 'memory') continue;
    const tenth = Math.ceil(blocks / 10);
    figures.push(
      ...(await bench(driver, {
        name: 'append and delete, sync per block',
        blocks: tenth,
        deletes: true,
        syncs: true,
        reads: false,
      })),
    );
  }
  return figures;
}
