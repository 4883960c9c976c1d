/** Both durable drivers under kill -9, under the death of a worker thread and on a full disk. Needs `dist/`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import type { LogDriver } from '../../src/log/log.js';
import { openLog } from '../../src/log/open.js';
import { bytes, rejectionOf, temporaryDirectory, text } from './contract.js';

const WRITER = fileURLToPath(new URL('crash-writer.mjs', import.meta.url));
const LOCK_WORKER = new URL('lock-worker.mjs', import.meta.url);
const LIVE_BLOCKS = 50;
const KILLS = 8;

interface Outcome {
  /** Newest batch that was reported as written, -1 if none. */
  readonly last: number;
  readonly lines: readonly string[];
}

/** Runs the writer until it ends by itself or `killAfterMs` after it has opened the log. */
async function runWriter(command: string, args: readonly string[], killAfterMs?: number): Promise<Outcome> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  const chunks: Buffer[] = [];
  let killing = false;
  child.stdout.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    if (killAfterMs === undefined || killing) return;
    killing = true;
    setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  });
  await once(child, 'close');
  // A line that was cut off by the kill was still written after its batch, but its number may be incomplete.
  const lines = Buffer.concat(chunks).toString().split('\n').slice(0, -1);
  const last = Number(lines.findLast((line) => /^\d+$/.test(line)) ?? -1);
  return { last, lines };
}

/** Opens the log in this process and checks that it is exactly the state after some batch at or after `last`. */
async function expectWholeBatches(driver: LogDriver, directory: string, last: number): Promise<number> {
  const log = await openLog({ driver, directory, memoryBytesMax: 8 << 20 });
  const newest = log.readKey(1, bytes('last')) ?? -1;
  expect(newest).toBeGreaterThanOrEqual(last);
  const expected = Array.from(
    { length: Math.min(newest + 1, LIVE_BLOCKS) },
    (_, index) => Math.max(0, newest - LIVE_BLOCKS + 1) + index,
  );
  const blocks = log.readBlocks(1, 0, 1e9);
  expect(blocks.map((block) => block.firstOffset)).toEqual(expected);
  for (const { firstOffset, value } of blocks) {
    const whole = Buffer.alloc(1000 + ((firstOffset * 7919) % 60_000), firstOffset & 0xff);
    whole.writeUInt32BE(firstOffset, 0);
    expect(whole.equals(value)).toBe(true);
  }
  expect(log.readSummaries(1, 0, 1e6).map((block) => block.firstOffset)).toEqual(expected);
  await log.close();
  return newest;
}

describe.each<{ driver: LogDriver; nodeOptions: string[] }>([
  { driver: 'rocksdb', nodeOptions: [] },
  { driver: 'segment', nodeOptions: ['--no-addons'] },
])('the $driver log', ({ driver, nodeOptions }) => {
  const directory = temporaryDirectory();

  test('has every batch that was reported written, whole and in order, after each of several kill -9 [broker]', async () => {
    let last = -1;
    for (let kill = 0; kill < KILLS; kill += 1) {
      const killAfterMs = 30 + Math.floor(Math.random() * 400);
      const outcome = await runWriter(
        process.execPath,
        [...nodeOptions, WRITER, driver, directory()],
        killAfterMs,
      );
      expect(outcome.lines[0]).toBe('open');
      last = await expectWholeBatches(driver, directory(), Math.max(last, outcome.last));
    }
    expect(last).toBeGreaterThan(LIVE_BLOCKS);
  });

  test('fails with ERR_LOG_WRITE when a file cannot grow, and keeps every batch that was written before [broker]', async () => {
    // A file size limit of 700 KiB stands in for a full disk; write(2) fails in the same place.
    const command = `ulimit -f 700; exec "$0" "$@"`;
    const outcome = await runWriter('bash', [
      '-c',
      command,
      process.execPath,
      ...nodeOptions,
      WRITER,
      driver,
      directory(),
    ]);
    expect(outcome.lines.at(-1)).toBe('failed ERR_LOG_WRITE');
    expect(outcome.last).toBeGreaterThan(10);
    expect(await expectWholeBatches(driver, directory(), outcome.last)).toBe(outcome.last);
  });

  test('is refused while a worker thread has it and free as soon as that thread is ended [broker]', async () => {
    for (let round = 0; round < 3; round += 1) {
      const worker = new Worker(LOCK_WORKER, { workerData: { driver, directory: directory() } });
      await once(worker, 'message');
      expect(
        (await rejectionOf(openLog({ driver, directory: directory(), memoryBytesMax: 8 << 20 }))).code,
      ).toBe('ERR_LOG_LOCKED');
      await worker.terminate();
      const log = await openLog({ driver, directory: directory(), memoryBytesMax: 8 << 20 });
      expect(text(log.readBlock(1, 1))).toBe('from a worker');
      await log.close();
    }
  });
});

test('the rocksdb driver says ERR_LOG_OPEN where native add-ons are disabled [broker]', async () => {
  const outcome = await runWriter(process.execPath, ['--no-addons', WRITER, 'rocksdb', 'unused']);
  expect(outcome.lines).toEqual(['refused ERR_LOG_OPEN']);
});
