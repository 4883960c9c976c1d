/**
 * What every log driver promises, as one suite. Each driver's test file calls it with a way to open its log.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OperationalError } from '../../src/base/error.js';
import { QUEUE_ID_MAX, QUEUE_ID_RESERVED_MIN } from '../../src/log/keys.js';
import type { Log, LogBatch, StoredBlock } from '../../src/log/log.js';
import { MemoryModel } from './model.js';

/** How the suite gets at a driver. */
export interface LogUnderTest {
  readonly name: string;
  readonly durable: boolean;
  open(directory: string): Promise<Log>;
}

export const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
export const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString('latin1');
const blockTexts = (blocks: StoredBlock[]): [number, string | undefined][] =>
  blocks.map((block) => [block.firstOffset, text(block.value)]);

export function commit(log: Log, fill: (batch: LogBatch) => void): void {
  const batch = log.batch();
  fill(batch);
  log.write(batch);
}

export function synced(log: Log): Promise<void> {
  return new Promise((resolve, reject) => {
    log.sync((error) => (error === null ? resolve() : reject(error)));
  });
}

export async function rejectionOf(promise: Promise<unknown>): Promise<OperationalError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(OperationalError);
  return error as OperationalError;
}

/** A directory that is removed after each test of the surrounding `describe`. */
export function temporaryDirectory(): () => string {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'sluice-log-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  return () => path.join(directory, 'log');
}

export function logContract(driver: LogUnderTest): void {
  describe(`the ${driver.name} log`, () => {
    const directory = temporaryDirectory();
    let log: Log;
    beforeEach(async () => {
      log = await driver.open(directory());
    });
    afterEach(() => log.close());

    const reopen = async (): Promise<void> => {
      await log.close();
      log = await driver.open(directory());
    };

    test('is empty when it is new [broker]', () => {
      expect(log.driver).toBe(driver.name);
      expect(log.queues()).toEqual([]);
      expect(log.readBlocks(1, 0, 1000)).toEqual([]);
      expect(log.readSummaries(1, 0, 1000)).toEqual([]);
      expect(log.readBlock(1, 0)).toBeUndefined();
      expect(log.readKey(1, bytes('k'))).toBeUndefined();
      expect(log.readKeys(1, undefined, 10)).toEqual([]);
    });

    test('shows a batch as soon as it is written, and nothing of it before [broker]', () => {
      const batch = log.batch();
      batch.putQueue(7, bytes('meta'));
      batch.putBlock(7, 10, bytes('block'));
      batch.putSummary(7, 10, bytes('summary'));
      batch.putKey(7, bytes('key'), 12);
      expect(log.queues()).toEqual([]);
      expect(log.readBlock(7, 10)).toBeUndefined();
      expect(log.readKey(7, bytes('key'))).toBeUndefined();
      log.write(batch);
      expect(log.queues().map((queue) => [queue.queueId, text(queue.meta)])).toEqual([[7, 'meta']]);
      expect(text(log.readBlock(7, 10))).toBe('block');
      expect(blockTexts(log.readSummaries(7, 0, 10))).toEqual([[10, 'summary']]);
      expect(log.readKey(7, bytes('key'))).toBe(12);
    });

    test('applies the operations of a batch in order, so the last one wins [broker]', () => {
      commit(log, (batch) => {
        batch.putBlock(1, 5, bytes('first'));
        batch.deleteBlock(1, 5);
        batch.putBlock(1, 6, bytes('first'));
        batch.putBlock(1, 6, bytes('second'));
        batch.deleteBlock(1, 7);
        batch.putBlock(1, 7, bytes('again'));
        batch.putKey(1, bytes('k'), 1);
        batch.putKey(1, bytes('k'), 2);
        batch.putKey(1, bytes('gone'), 1);
        batch.deleteKey(1, bytes('gone'));
      });
      expect(blockTexts(log.readBlocks(1, 0, 1e6))).toEqual([
        [6, 'second'],
        [7, 'again'],
      ]);
      expect(log.readKey(1, bytes('k'))).toBe(2);
      expect(log.readKey(1, bytes('gone'))).toBeUndefined();
    });

    test('replaces metadata, blocks, summaries and keys [broker]', () => {
      for (const round of ['one', 'two, and longer', '3']) {
        commit(log, (batch) => {
          batch.putQueue(1, bytes(round));
          batch.putBlock(1, 0, bytes(`block ${round}`));
          batch.putSummary(1, 0, bytes(`summary ${round}`));
          batch.putKey(1, bytes('k'), round.length);
        });
      }
      expect(log.queues().map((queue) => text(queue.meta))).toEqual(['3']);
      expect(text(log.readBlock(1, 0))).toBe('block 3');
      expect(blockTexts(log.readSummaries(1, 0, 10))).toEqual([[0, 'summary 3']]);
      expect(log.readKey(1, bytes('k'))).toBe(1);
    });

    test('deletes a block together with its summary and leaves its neighbours [broker]', () => {
      commit(log, (batch) => {
        for (const offset of [1, 2, 3]) {
          batch.putBlock(1, offset, bytes(`b${offset}`));
          batch.putSummary(1, offset, bytes(`s${offset}`));
        }
      });
      commit(log, (batch) => batch.deleteBlock(1, 2));
      expect(log.readBlock(1, 2)).toBeUndefined();
      expect(blockTexts(log.readBlocks(1, 0, 1e6))).toEqual([
        [1, 'b1'],
        [3, 'b3'],
      ]);
      expect(blockTexts(log.readSummaries(1, 0, 9))).toEqual([
        [1, 's1'],
        [3, 's3'],
      ]);
    });

    test('keeps a summary without its block and a block without its summary [broker]', () => {
      commit(log, (batch) => {
        batch.putSummary(1, 1, bytes('s'));
        batch.putBlock(1, 2, bytes('b'));
      });
      expect(blockTexts(log.readBlocks(1, 0, 1e6))).toEqual([[2, 'b']]);
      expect(blockTexts(log.readSummaries(1, 0, 9))).toEqual([[1, 's']]);
      expect(log.readBlock(1, 1)).toBeUndefined();
    });

    test('drops everything of a queue and nothing of the others [broker]', () => {
      commit(log, (batch) => {
        for (const queueId of [1, 2, 3]) fillQueue(batch, queueId, 'x');
      });
      commit(log, (batch) => batch.dropQueue(2));
      expect(log.queues().map((queue) => queue.queueId)).toEqual([1, 3]);
      expectQueueEmpty(log, 2);
      for (const queueId of [1, 3]) expect(text(log.readBlock(queueId, 4))).toBe('x');
    });

    test('drops what earlier operations of the same batch put [broker]', () => {
      commit(log, (batch) => fillQueue(batch, 2, 'old'));
      commit(log, (batch) => {
        fillQueue(batch, 2, 'new');
        batch.putBlock(2, 100, bytes('more'));
        batch.dropQueue(2);
      });
      expect(log.queues()).toEqual([]);
      expectQueueEmpty(log, 2);
    });

    test('keeps what is put into a queue after its drop, in the same batch and in later ones [broker]', async () => {
      commit(log, (batch) => fillQueue(batch, 2, 'old'));
      commit(log, (batch) => {
        batch.putBlock(2, 50, bytes('dropped too'));
        batch.dropQueue(2);
        batch.putQueue(2, bytes('reborn'));
        batch.putBlock(2, 9, bytes('kept'));
      });
      const expectReborn = (): void => {
        expect(log.queues().map((queue) => text(queue.meta))).toEqual(['reborn']);
        expect(blockTexts(log.readBlocks(2, 0, 1e6))).toEqual([[9, 'kept']]);
        expect(log.readSummaries(2, 0, 9)).toEqual([]);
        expect(log.readKeys(2, undefined, 9)).toEqual([]);
      };
      expectReborn();
      commit(log, (batch) => batch.dropQueue(2));
      commit(log, (batch) => {
        batch.putQueue(2, bytes('reborn'));
        batch.putBlock(2, 9, bytes('kept'));
      });
      expectReborn();
      if (driver.durable) {
        await reopen();
        expectReborn();
      }
    });

    test('orders queues by id and blocks by offset over the whole number range [broker]', () => {
      const ids = [QUEUE_ID_MAX, 0, 255, 256, 0x00ff_ffff, 0xfeff_ffff, 0x7fff_ffff, 0x8000_0000];
      const offsets = [Number.MAX_SAFE_INTEGER, 2 ** 32, 2 ** 32 - 1, 0, 1, 255, 256, 2 ** 40 + 3];
      commit(log, (batch) => {
        for (const queueId of ids) {
          batch.putQueue(queueId, bytes(`${queueId}`));
          for (const offset of offsets) batch.putBlock(queueId, offset, bytes(`${queueId}/${offset}`));
          batch.putKey(queueId, bytes('k'), offsets[0]!);
        }
      });
      const ascending = (numbers: number[]): number[] => numbers.toSorted((a, b) => a - b);
      expect(log.queues().map((queue) => queue.queueId)).toEqual(ascending(ids));
      for (const queueId of ids) {
        expect(blockTexts(log.readBlocks(queueId, 0, 1e9))).toEqual(
          ascending(offsets).map((offset) => [offset, `${queueId}/${offset}`]),
        );
        expect(log.readBlocks(queueId, 2 ** 32, 1).map((block) => block.firstOffset)).toEqual([2 ** 32]);
        expect(log.readKey(queueId, bytes('k'))).toBe(Number.MAX_SAFE_INTEGER);
      }
    });

    test('reads blocks from an offset until the byte limit is reached, at least one [broker]', () => {
      commit(log, (batch) => {
        for (let offset = 0; offset < 100; offset += 10) batch.putBlock(1, offset, new Uint8Array(88));
      });
      const offsets = (from: number, bytesMax: number): number[] =>
        log.readBlocks(1, from, bytesMax).map((block) => block.firstOffset);
      expect(offsets(0, 0)).toEqual([0]);
      expect(offsets(0, 1)).toEqual([0]);
      // A block counts as its value and its key of 12 bytes: 100 here.
      expect(offsets(0, 100)).toEqual([0]);
      expect(offsets(0, 101)).toEqual([0, 10]);
      expect(offsets(35, 300)).toEqual([40, 50, 60]);
      expect(offsets(90, 1e6)).toEqual([90]);
      expect(offsets(91, 1e6)).toEqual([]);
      expect(offsets(0, Number.MAX_SAFE_INTEGER)).toHaveLength(10);
    });

    test('reads summaries from an offset up to a count [broker]', () => {
      commit(log, (batch) => {
        for (let offset = 0; offset < 100; offset += 10) batch.putSummary(1, offset, bytes(`s${offset}`));
      });
      expect(blockTexts(log.readSummaries(1, 15, 2))).toEqual([
        [20, 's20'],
        [30, 's30'],
      ]);
      expect(log.readSummaries(1, 0, 0)).toEqual([]);
      expect(log.readSummaries(1, 0, 1000)).toHaveLength(10);
      expect(log.readSummaries(1, 91, 5)).toEqual([]);
    });

    test('lists keys in byte order, page by page, with any bytes and any length [broker]', () => {
      const names = ['', '\x00', 'a', 'a\x00', 'aa', 'b', 'ÿ', 'ÿÿ', 'x'.repeat(70_000)];
      commit(log, (batch) => {
        for (const [index, name] of names.toReversed().entries()) batch.putKey(3, bytes(name), index);
        batch.putKey(2, bytes('ÿ'), 1);
        batch.putKey(4, bytes(''), 1);
      });
      const ordered = names.toSorted((a, b) => Buffer.compare(bytes(a), bytes(b)));
      const seen: (string | undefined)[] = [];
      let after: Uint8Array | undefined;
      for (;;) {
        const page = log.readKeys(3, after, 2);
        if (page.length === 0) break;
        seen.push(...page.map((entry) => text(entry.key)));
        after = page.at(-1)!.key;
      }
      expect(seen).toEqual(ordered);
      for (const [index, name] of names.toReversed().entries())
        expect(log.readKey(3, bytes(name))).toBe(index);
      commit(log, (batch) => batch.deleteKey(3, bytes('a')));
      expect(log.readKeys(3, bytes('\x00'), 1).map((entry) => text(entry.key))).toEqual(['a\x00']);
      expect(log.readKeys(3, undefined, 0)).toEqual([]);
    });

    test('copies what a batch is given before write returns, and reuses the batch after clear [broker]', () => {
      const batch = log.batch();
      const value = Buffer.alloc(4000);
      for (let round = 0; round < 50; round += 1) {
        batch.clear();
        expect(batch.operationCount).toBe(0);
        value.fill(round);
        batch.putBlock(1, round, value);
        batch.putSummary(1, round, value.subarray(0, 3));
        expect(batch.operationCount).toBe(2);
        log.write(batch);
        value.fill(255);
      }
      const blocks = log.readBlocks(1, 0, 1e9);
      expect(blocks.map((block) => [block.firstOffset, block.value[0], block.value[3999]])).toEqual(
        Array.from({ length: 50 }, (_, round) => [round, round, round]),
      );
    });

    test('hands values out as copies that start at a multiple of eight bytes [broker]', () => {
      commit(log, (batch) => {
        batch.putQueue(1, bytes('meta'));
        for (let offset = 0; offset < 20; offset += 1) {
          batch.putBlock(1, offset, bytes('b'.repeat(offset * 3 + 1)));
          batch.putSummary(1, offset, bytes('s'.repeat(offset + 1)));
        }
      });
      const handedOut = [
        ...log.readBlocks(1, 0, 1e6).map((block) => block.value),
        ...log.readSummaries(1, 0, 100).map((block) => block.value),
        log.readBlock(1, 3)!,
        log.queues()[0]!.meta,
      ];
      expect(handedOut).toHaveLength(42);
      for (const value of handedOut) {
        expect(value.byteOffset % 8).toBe(0);
        value.fill(0);
      }
      expect(text(log.readBlock(1, 3))).toBe('b'.repeat(10));
      expect(text(log.queues()[0]!.meta)).toBe('meta');
    });

    test('takes values from shared memory, empty values and large ones [broker]', () => {
      const shared = new Uint8Array(new SharedArrayBuffer(64), 8, 5);
      shared.set(bytes('ring!'));
      const large = Buffer.alloc(5 << 20, 'large');
      commit(log, (batch) => {
        batch.putBlock(1, 0, shared);
        batch.putBlock(1, 1, new Uint8Array(0));
        batch.putBlock(1, 2, large);
        batch.putSummary(1, 1, new Uint8Array(0));
        batch.putQueue(1, new Uint8Array(0));
      });
      expect(text(log.readBlock(1, 0))).toBe('ring!');
      expect(log.readBlock(1, 1)).toHaveLength(0);
      expect(large.equals(log.readBlock(1, 2)!)).toBe(true);
      expect(log.readSummaries(1, 1, 1).map((block) => block.value.length)).toEqual([0]);
      expect(log.queues().map((queue) => queue.meta.length)).toEqual([0]);
    });

    test('writes an empty batch as nothing [broker]', () => {
      commit(log, () => {});
      expect(log.queues()).toEqual([]);
    });

    test('calls back each sync once, in order and never at once [broker]', async () => {
      const calls: number[] = [];
      const all: Promise<void>[] = [];
      for (let index = 0; index < 30; index += 1) {
        if (index % 3 !== 2) commit(log, (batch) => batch.putBlock(1, index, new Uint8Array(1000)));
        all.push(
          new Promise((resolve, reject) => {
            log.sync((error) => {
              calls.push(index);
              if (error === null) resolve();
              else reject(error);
            });
          }),
        );
        if (index % 7 === 6) await all[index - 3];
      }
      expect(calls.length).toBeLessThan(30);
      await Promise.all(all);
      expect(calls).toEqual(Array.from({ length: 30 }, (_, index) => index));
    });

    test('refuses ids and offsets that its keys cannot hold [broker]', () => {
      const batch = log.batch();
      for (const queueId of [-1, 1.5, Number.NaN, QUEUE_ID_MAX + 1])
        expect(() => batch.putBlock(queueId, 0, bytes(''))).toThrow('queue id');
      for (const offset of [-1, 0.5, Number.NaN, 2 ** 53])
        expect(() => batch.putBlock(1, offset, bytes(''))).toThrow('offset');
    });

    test('refuses calls after close, and a second close does nothing [broker]', async () => {
      const batch = log.batch();
      await log.close();
      await log.close();
      expect(() => log.write(batch)).toThrow('open');
      expect(() => log.readBlock(1, 1)).toThrow('open');
      expect(() => log.sync(() => {})).toThrow('open');
    });

    test('agrees with a naive model under random operations [broker]', async () => {
      const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
      console.log(`${driver.name} log model seed ${seed}`);
      const model = new MemoryModel(seed);
      let batch = log.batch();
      for (let round = 0; round < 400; round += 1) {
        batch.clear();
        model.fill(batch);
        log.write(batch);
        const action = model.random(20);
        if (action === 0) log.maintain(round * 1000);
        if (action === 1) await synced(log);
        if (action === 2) model.expectSame(log);
        if (action === 3 && driver.durable) {
          await reopen();
          batch = log.batch();
          model.expectSame(log);
        }
      }
      model.expectSame(log);
    });

    if (driver.durable) durableContract(driver, directory, () => log, reopen);
  });
}

function durableContract(
  driver: LogUnderTest,
  directory: () => string,
  current: () => Log,
  reopen: () => Promise<void>,
): void {
  test('has everything again after it was closed and opened [broker]', async () => {
    commit(current(), (batch) => {
      fillQueue(batch, 1, 'x');
      fillQueue(batch, 2, 'y');
    });
    commit(current(), (batch) => {
      batch.deleteBlock(1, 4);
      batch.deleteKey(2, bytes('k4'));
      batch.dropQueue(3);
    });
    for (let round = 0; round < 3; round += 1) {
      await reopen();
      const log = current();
      expect(log.queues().map((queue) => [queue.queueId, text(queue.meta)])).toEqual([
        [1, 'meta x'],
        [2, 'meta y'],
      ]);
      expect(log.readBlocks(1, 0, 1e6).map((block) => block.firstOffset)).toEqual([0, 2, 6, 8]);
      expect(log.readSummaries(2, 0, 10).map((block) => block.firstOffset)).toEqual([0, 2, 4, 6, 8]);
      expect(log.readKeys(2, undefined, 10).map((entry) => [text(entry.key), entry.offset])).toEqual([
        ['k0', 0],
        ['k2', 2],
        ['k6', 6],
        ['k8', 8],
      ]);
    }
  });

  test('does not bring a dropped queue back [broker]', async () => {
    commit(current(), (batch) => fillQueue(batch, 5, 'x'));
    commit(current(), (batch) => batch.dropQueue(5));
    await reopen();
    expect(current().queues()).toEqual([]);
    expectQueueEmpty(current(), 5);
  });

  test('keeps and deletes blocks of an id that has no metadata like any other [broker]', async () => {
    const id = QUEUE_ID_RESERVED_MIN + 3;
    const value = (offset: number, round: number): Uint8Array =>
      bytes(`${offset} in round ${round} `.repeat(200));
    // Most of what is written is replaced or deleted, so that space is reclaimed meanwhile.
    for (let round = 0; round < 40; round += 1) {
      commit(current(), (batch) => {
        for (let offset = 1; offset <= 50; offset += 1)
          batch.putBlock(id, 2 ** 40 + offset, value(offset, round));
        for (let offset = 1; offset <= 50; offset += 2) batch.deleteBlock(id, 2 ** 40 + offset);
        fillQueue(batch, 5, `x${round}`);
      });
      current().maintain(Date.now() + round * 1000);
      if (round % 10 === 5) await reopen();
    }
    await reopen();
    const expected = Array.from({ length: 25 }, (_, i) => [2 ** 40 + 2 * i + 2, text(value(2 * i + 2, 39))]);
    expect(
      current()
        .readBlocks(id, 0, 1e9)
        .map(({ firstOffset, value: block }) => [firstOffset, text(block)]),
    ).toEqual(expected);
    expect(
      current()
        .queues()
        .map(({ queueId }) => queueId),
    ).toEqual([5]);
    commit(current(), (batch) => batch.dropQueue(id));
    await reopen();
    expect(current().readBlocks(id, 0, 1e9)).toEqual([]);
    expect(
      current()
        .queues()
        .map(({ queueId }) => queueId),
    ).toEqual([5]);
  });

  test('is refused to a second owner and is free again after close [broker]', async () => {
    const error = await rejectionOf(driver.open(directory()));
    expect(error.code).toBe('ERR_LOG_LOCKED');
    expect(error.message).toContain(directory());
    commit(current(), (batch) => batch.putBlock(1, 1, bytes('still mine')));
    await reopen();
    expect(text(current().readBlock(1, 1))).toBe('still mine');
  });

  test('refuses a newer format and touches nothing [broker]', async () => {
    commit(current(), (batch) => batch.putBlock(1, 1, bytes('x')));
    await current().close();
    const formatFile = path.join(directory(), 'FORMAT');
    writeFileSync(formatFile, `sluice-log 2 ${driver.name}\n`);
    const before = readdirSync(directory()).toSorted();
    const error = await rejectionOf(driver.open(directory()));
    expect(error.code).toBe('ERR_LOG_VERSION');
    expect(error.message).toContain('format 2');
    expect(readdirSync(directory()).toSorted()).toEqual(before);
    writeFileSync(formatFile, `sluice-log 1 ${driver.name}\n`);
    await reopen();
    expect(text(current().readBlock(1, 1))).toBe('x');
  });

  test('refuses an unreadable format, a missing one beside data, and the directory of another driver [broker]', async () => {
    await current().close();
    const formatFile = path.join(directory(), 'FORMAT');
    writeFileSync(formatFile, 'whatever');
    expect((await rejectionOf(driver.open(directory()))).code).toBe('ERR_LOG_CORRUPT');
    writeFileSync(formatFile, 'sluice-log 1 another\n');
    expect((await rejectionOf(driver.open(directory()))).code).toBe('ERR_LOG_OPEN');
    rmSync(formatFile);
    expect((await rejectionOf(driver.open(directory()))).code).toBe('ERR_LOG_CORRUPT');
  });

  test('says so when the directory cannot be made [broker]', async () => {
    writeFileSync(`${directory()}-file`, '');
    const error = await rejectionOf(driver.open(path.join(`${directory()}-file`, 'log')));
    expect(error.code).toBe('ERR_LOG_OPEN');
  });

  test('reports the size of its files [broker]', async () => {
    commit(current(), (batch) => batch.putBlock(1, 1, new Uint8Array(1 << 20)));
    await reopen();
    await expect
      .poll(() => {
        current().maintain(Date.now());
        return current().diskBytes();
      })
      .toBeGreaterThan(1 << 20);
  });
}

function fillQueue(batch: LogBatch, queueId: number, value: string): void {
  batch.putQueue(queueId, bytes(`meta ${value}`));
  for (let offset = 0; offset < 10; offset += 2) {
    batch.putBlock(queueId, offset, bytes(value));
    batch.putSummary(queueId, offset, bytes(`summary ${value}`));
    batch.putKey(queueId, bytes(`k${offset}`), offset);
  }
}

function expectQueueEmpty(log: Log, queueId: number): void {
  expect(log.readBlocks(queueId, 0, 1e9)).toEqual([]);
  expect(log.readSummaries(queueId, 0, 100)).toEqual([]);
  expect(log.readKeys(queueId, undefined, 100)).toEqual([]);
  expect(log.readBlock(queueId, 4)).toBeUndefined();
  expect(log.readKey(queueId, bytes('k4'))).toBeUndefined();
}
