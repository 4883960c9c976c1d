/**
 * Rates of the log drivers on one thread: blocks of 256 messages of 256 B with their summaries, appended and deleted
 * as a queue with little backlog does it, appended alone, and appended with a sync per block.
 *
 * Figures are messages per second of wall time with everything the driver does in the background included. The
 * quick tests run it with tiny counts so that it cannot rot.
 */
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Log, LogDriver } from '../src/log/log.js';
import { openLog } from '../src/log/open.js';

/** One measured line. */
export interface LogBenchResult {
  readonly driver: LogDriver;
  readonly name: string;
  readonly messagesPerSecond: number;
  /** Longest time that one call of `write` kept the thread, ms. */
  readonly worstWriteMs: number;
}

const blockMessages = 256;
/** 256 B of payload and 14 B of record. */
const blockBytes = blockMessages * (256 + 14);
const summaryBytes = 64;
/** Blocks that wait between append and delete. */
const backlogBlocks = 16;
/** Writes between two turns of the event loop. */
const writesPerTurn = 64;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function bench(
  driver: LogDriver,
  name: string,
  blocks: number,
  deletes: boolean,
  syncs: boolean,
): Promise<LogBenchResult> {
  const directory = mkdtempSync(path.join(tmpdir(), 'sluice-bench-'));
  try {
    const log = await openLog({ driver, directory: path.join(directory, 'log'), memoryBytesMax: 128 << 20 });
    const value = randomFillSync(Buffer.alloc(blockBytes));
    const summary = Buffer.alloc(summaryBytes);
    const batch = log.batch();
    let worstWriteMs = 0;
    let maintainAtMs = performance.now() + 1000;
    const startMs = performance.now();
    for (let block = 0; block < blocks; block++) {
      batch.clear();
      batch.putBlock(1, block * blockMessages, value);
      batch.putSummary(1, block * blockMessages, summary);
      if (deletes && block >= backlogBlocks) batch.deleteBlock(1, (block - backlogBlocks) * blockMessages);
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
    const seconds = (performance.now() - startMs) / 1000;
    await log.close();
    return { driver, name, messagesPerSecond: (blocks * blockMessages) / seconds, worstWriteMs };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function synced(log: Log): Promise<void> {
  return new Promise((resolve, reject) => {
    log.sync((error) => (error === null ? resolve() : reject(error)));
  });
}

/** Runs every bench on every driver; `scale` 1 proves only that it runs, 1000 measures (5 million messages each). */
export async function benchLog(scale: number): Promise<LogBenchResult[]> {
  const results: LogBenchResult[] = [];
  const blocks = scale * 20;
  for (const driver of ['rocksdb', 'segment', 'memory'] as const) {
    results.push(await bench(driver, 'append and delete', blocks, true, false));
    if (driver === 'memory') continue;
    results.push(await bench(driver, 'append only', Math.ceil(blocks / 4), false, false));
    results.push(
      await bench(driver, 'append and delete, sync per block', Math.ceil(blocks / 10), true, true),
    );
  }
  return results;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const { driver, name, messagesPerSecond, worstWriteMs } of await benchLog(1000)) {
    const rate = (messagesPerSecond / 1e6).toFixed(2);
    process.stdout.write(
      `${driver.padEnd(8)} ${name.padEnd(34)} ${rate} M msg/s, worst write ${worstWriteMs.toFixed(1)} ms\n`,
    );
  }
}
