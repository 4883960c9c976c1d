/** What only the rocksdb driver promises: damage is found before RocksDB hides it, and space comes back without a compaction call. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  cpSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Log } from '../../src/log/log.js';
import { openLog } from '../../src/log/open.js';
import { bytes, commit, rejectionOf, synced, temporaryDirectory, text } from './contract.js';

const open = (directory: string, memoryBytesMax = 16 << 20): Promise<Log> =>
  openLog({ driver: 'rocksdb', directory, memoryBytesMax });
const namesOf = (directory: string, suffix: string): string[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith(suffix))
    .toSorted();

describe('a rocksdb log whose files are damaged', () => {
  const directory = temporaryDirectory();

  async function writeBlocks(log: Log, from: number, to: number): Promise<void> {
    for (let offset = from; offset < to; offset += 1)
      commit(log, (batch) => batch.putBlock(1, offset, Buffer.alloc(700, offset)));
    await synced(log);
  }

  test('is refused with file and byte when a synced write-ahead log has a damaged byte anywhere, and nothing is changed [broker]', async () => {
    const log = await open(directory());
    await writeBlocks(log, 0, 100);
    await log.close();
    const name = namesOf(directory(), '.log').find(
      (file) => statSync(path.join(directory(), file)).size > 0,
    )!;
    const whole = readFileSync(path.join(directory(), name));
    expect(whole.length).toBeGreaterThan(2 * 32768);
    const copy = `${directory()}-copy`;
    for (const at of [0, 4, 6, 7, 300, 800, 32767, 32768, 32774, 40000, whole.length - 1]) {
      rmSync(copy, { recursive: true, force: true });
      cpSync(directory(), copy, { recursive: true });
      const damaged = Buffer.from(whole);
      damaged[at] = damaged[at]! ^ 4;
      writeFileSync(path.join(copy, name), damaged);
      const error = await rejectionOf(open(copy));
      expect(error.code).toBe('ERR_LOG_CORRUPT');
      expect(error.message).toMatch(new RegExp(`${name} is damaged at byte \\d+`));
      expect(statSync(path.join(copy, name)).size).toBe(whole.length);
    }
  });

  test('is refused, not read forever, when the damage is a run of a record type byte [broker]', async () => {
    const log = await open(directory());
    await writeBlocks(log, 0, 100);
    await log.close();
    const file = path.join(
      directory(),
      namesOf(directory(), '.log').find((name) => statSync(path.join(directory(), name)).size > 0)!,
    );
    const fd = openSync(file, 'r+');
    for (const at of [20_000, 32_768]) writeSync(fd, Buffer.alloc(50, 7), 0, 50, at);
    closeSync(fd);
    expect((await rejectionOf(open(directory()))).code).toBe('ERR_LOG_CORRUPT');
  });

  test('ends before a torn batch that nobody had synced, and goes on from there [broker]', async () => {
    const log = await open(directory());
    await writeBlocks(log, 0, 60);
    log.maintain(1e9);
    commit(log, (batch) => {
      batch.putBlock(1, 60, Buffer.alloc(40_000, 1));
      batch.putKey(1, bytes('k'), 60);
    });
    const name = namesOf(directory(), '.log').find(
      (file) => statSync(path.join(directory(), file)).size > 0,
    )!;
    const copy = `${directory()}-copy`;
    const length = statSync(path.join(directory(), name)).size;
    for (const cut of [1, 100, 7000, 20_000, 39_000]) {
      rmSync(copy, { recursive: true, force: true });
      cpSync(directory(), copy, { recursive: true });
      truncateSync(path.join(copy, name), length - cut);
      const again = await open(copy);
      expect(again.readBlocks(1, 0, 1e9)).toHaveLength(60);
      expect(again.readKey(1, bytes('k'))).toBeUndefined();
      commit(again, (batch) => batch.putBlock(1, 61, bytes('after')));
      await again.close();
      const third = await open(copy);
      expect(text(third.readBlock(1, 61))).toBe('after');
      await third.close();
    }
    await log.close();
  });

  test('is refused when CURRENT is lost beside data or the manifest is damaged [broker]', async () => {
    let log = await open(directory());
    await writeBlocks(log, 0, 10);
    await log.close();
    // The second open flushes the replayed log to an SST file.
    log = await open(directory());
    await log.close();
    expect(namesOf(directory(), '.sst').length).toBeGreaterThan(0);
    const current = path.join(directory(), 'CURRENT');
    const content = readFileSync(current);
    rmSync(current);
    expect((await rejectionOf(open(directory()))).code).toBe('ERR_LOG_CORRUPT');
    writeFileSync(current, content);
    const manifest = readdirSync(directory()).find((name) => name.startsWith('MANIFEST'))!;
    writeFileSync(path.join(directory(), manifest), Buffer.alloc(200, 3));
    expect((await rejectionOf(open(directory()))).code).toBe('ERR_LOG_CORRUPT');
  });

  test('reports a damaged SST file when it is read, with ERR_LOG_CORRUPT [broker]', async () => {
    let log = await open(directory());
    await writeBlocks(log, 0, 50);
    await log.close();
    log = await open(directory());
    await log.close();
    for (const name of namesOf(directory(), '.sst')) {
      const file = path.join(directory(), name);
      if (statSync(file).size < 20_000) continue;
      const fd = openSync(file, 'r+');
      writeSync(fd, Buffer.alloc(100, 9), 0, 100, 8000);
      closeSync(fd);
    }
    log = await open(directory());
    expect(() => log.readBlocks(1, 0, 1e9)).toThrow(expect.objectContaining({ code: 'ERR_LOG_CORRUPT' }));
    await log.close();
  });
});

describe('space of a rocksdb log', () => {
  const directory = temporaryDirectory();

  test('an empty store takes only a few megabytes [broker]', async () => {
    const log = await open(directory(), 128 << 20);
    const blocks = readdirSync(directory()).reduce(
      (sum, name) => sum + statSync(path.join(directory(), name)).blocks,
      0,
    );
    expect(blocks * 512).toBeLessThan(6 << 20);
    await log.close();
  });

  test('comes back at rest after the blocks have been deleted, and the survivors stay [broker]', async () => {
    const log = await open(directory());
    // Random, so that deeper levels cannot compress it away.
    const value = randomBytes(64 << 10);
    for (let offset = 0; offset < 1600; offset += 1) {
      commit(log, (batch) => {
        batch.putBlock(1, offset, value);
        batch.putSummary(1, offset, bytes('summary'));
      });
    }
    await expect
      .poll(
        () => {
          log.maintain(Date.now());
          return log.diskBytes();
        },
        { timeout: 20_000 },
      )
      .toBeGreaterThan(90 << 20);
    for (let offset = 0; offset < 1600; offset += 1)
      if (offset % 400 !== 7) commit(log, (batch) => batch.deleteBlock(1, offset));
    let nowMs = Date.now();
    await expect
      .poll(
        () => {
          log.maintain((nowMs += 1000));
          return log.diskBytes();
        },
        { timeout: 25_000, interval: 100 },
      )
      .toBeLessThan(20 << 20);
    expect(log.readBlocks(1, 0, 1e9).map((block) => block.firstOffset)).toEqual([7, 407, 807, 1207]);
    expect(log.readSummaries(1, 0, 10)).toHaveLength(4);
    await log.close();
  });
});
