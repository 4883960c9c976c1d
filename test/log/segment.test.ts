/** What only the segment driver promises: torn ends, damage, space reclaim and the tombstones that make it safe. */
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Log } from '../../src/log/log.js';
import { FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES } from '../../src/log/segment-format.js';
import { openSegmentLog } from '../../src/log/segment-driver.js';
import { bytes, commit, rejectionOf, synced, temporaryDirectory, text } from './contract.js';
import { MemoryModel } from './model.js';

const SMALL = 4096;
const open = (directory: string, segmentBytesMax?: number): Promise<Log> =>
  openSegmentLog({ driver: 'segment', directory, memoryBytesMax: 0 }, segmentBytesMax);

const segmentsOf = (directory: string): string[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.seg'))
    .toSorted();
const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setTimeout(resolve, 1));
};

/** What is on disk now, as a process that was killed would leave it. */
function snapshot(directory: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  cpSync(directory, to, { recursive: true });
}

describe('a segment log after a crash', () => {
  const directory = temporaryDirectory();

  test('ends before a batch that is torn at any byte, and goes on from there [broker]', async () => {
    const log = await open(directory());
    commit(log, (batch) => batch.putBlock(1, 1, bytes('first')));
    await synced(log);
    commit(log, (batch) => batch.putBlock(1, 2, bytes('second')));
    const file = path.join(directory(), segmentsOf(directory())[0]!);
    const wholeLength = statSync(file).size;
    commit(log, (batch) => {
      batch.putBlock(1, 3, bytes('torn'));
      batch.putSummary(1, 3, bytes('torn'));
      batch.deleteBlock(1, 1);
      batch.putKey(1, bytes('k'), 3);
    });
    const tornLength = statSync(file).size;
    const copy = `${directory()}-copy`;
    for (let length = wholeLength; length < tornLength; length += 1) {
      snapshot(directory(), copy);
      truncateSync(path.join(copy, path.basename(file)), length);
      let cut = await open(copy);
      expect(cut.readBlocks(1, 0, 1e6).map((block) => block.firstOffset)).toEqual([1, 2]);
      expect(cut.readSummaries(1, 0, 9)).toEqual([]);
      expect(cut.readKey(1, bytes('k'))).toBeUndefined();
      commit(cut, (batch) => batch.putBlock(1, 4, bytes('after')));
      await cut.close();
      cut = await open(copy);
      expect(cut.readBlocks(1, 0, 1e6).map((block) => text(block.value))).toEqual([
        'first',
        'second',
        'after',
      ]);
      await cut.close();
    }
    await log.close();
  });

  test('ends before a batch that is damaged at any byte while nothing vouches for it [broker]', async () => {
    const log = await open(directory());
    commit(log, (batch) => batch.putBlock(1, 1, bytes('first')));
    const file = path.join(directory(), segmentsOf(directory())[0]!);
    const goodLength = statSync(file).size;
    commit(log, (batch) => batch.putBlock(1, 2, bytes('x')));
    const whole = readFileSync(file);
    const copy = `${directory()}-copy`;
    for (let at = goodLength; at < whole.length; at += 1) {
      snapshot(directory(), copy);
      const damaged = Buffer.from(whole);
      damaged[at] = damaged[at]! ^ 0xff;
      writeFileSync(path.join(copy, path.basename(file)), damaged);
      const cut = await open(copy);
      expect(cut.readBlocks(1, 0, 1e6).map((block) => block.firstOffset)).toEqual([1]);
      await cut.close();
    }
    await log.close();
  });

  test('drops frames behind a gap that a machine crash left in what was not synced [broker]', async () => {
    const log = await open(directory());
    commit(log, (batch) => batch.putBlock(1, 1, bytes('kept')));
    const file = path.join(directory(), segmentsOf(directory())[0]!);
    const gapAt = statSync(file).size;
    commit(log, (batch) => batch.putBlock(1, 2, bytes('lost page')));
    commit(log, (batch) => batch.putBlock(1, 3, bytes('later page')));
    const copy = `${directory()}-copy`;
    snapshot(directory(), copy);
    await log.close();
    const holed = readFileSync(path.join(copy, path.basename(file)));
    holed.fill(0, gapAt, gapAt + 60);
    writeFileSync(path.join(copy, path.basename(file)), holed);
    const cut = await open(copy);
    expect(cut.readBlocks(1, 0, 1e6).map((block) => block.firstOffset)).toEqual([1]);
    await cut.close();
  });

  test('removes a newest segment whose header was never written [broker]', async () => {
    const log = await open(directory());
    commit(log, (batch) => batch.putBlock(1, 1, bytes('kept')));
    await log.close();
    for (const torn of [Buffer.alloc(0), Buffer.alloc(10), Buffer.alloc(100)]) {
      writeFileSync(path.join(directory(), '0000000002.seg'), torn);
      const again = await open(directory());
      expect(text(again.readBlock(1, 1))).toBe('kept');
      expect(segmentsOf(directory())).toHaveLength(1);
      await again.close();
    }
  });
});

describe('a damaged segment log', () => {
  const directory = temporaryDirectory();

  async function closedLog(): Promise<string[]> {
    const log = await open(directory(), SMALL);
    for (let offset = 0; offset < 30; offset += 1)
      commit(log, (batch) => batch.putBlock(1, offset, Buffer.alloc(500, offset)));
    await log.close();
    return segmentsOf(directory());
  }

  test('is refused with file and byte at any damaged frame but the last, and nothing is changed [broker]', async () => {
    const names = await closedLog();
    expect(names.length).toBeGreaterThan(3);
    const copy = `${directory()}-copy`;
    for (const [index, name] of names.entries()) {
      const whole = readFileSync(path.join(directory(), name));
      for (const at of [
        SEGMENT_HEADER_BYTES,
        SEGMENT_HEADER_BYTES + 9,
        SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + 50,
        SEGMENT_HEADER_BYTES + 20,
      ]) {
        if (index === names.length - 1 && whole.length < 200) continue;
        snapshot(directory(), copy);
        const damaged = Buffer.from(whole);
        damaged[at] = damaged[at]! ^ 0x10;
        writeFileSync(path.join(copy, name), damaged);
        const error = await rejectionOf(open(copy));
        expect(error.code).toBe('ERR_LOG_CORRUPT');
        expect(error.message).toContain(`${name} is damaged at byte ${SEGMENT_HEADER_BYTES}`);
        for (const same of names)
          expect(statSync(path.join(copy, same)).size).toBe(statSync(path.join(directory(), same)).size);
      }
    }
  });

  test('is refused when a segment header is damaged or a segment was cut short [broker]', async () => {
    const names = await closedLog();
    const copy = `${directory()}-copy`;
    snapshot(directory(), copy);
    const damaged = readFileSync(path.join(copy, names[1]!));
    damaged[13] = damaged[13]! ^ 1;
    writeFileSync(path.join(copy, names[1]!), damaged);
    expect((await rejectionOf(open(copy))).code).toBe('ERR_LOG_CORRUPT');
    snapshot(directory(), copy);
    truncateSync(path.join(copy, names[1]!), 600);
    expect((await rejectionOf(open(copy))).code).toBe('ERR_LOG_CORRUPT');
  });

  test('does not take a frame inside a payload for one of its own [broker]', async () => {
    const donor = await open(directory());
    commit(donor, (batch) => batch.putBlock(9, 9, bytes('donor')));
    await donor.close();
    const payload = readFileSync(path.join(directory(), segmentsOf(directory())[0]!));
    const victim = `${directory()}-victim`;
    const log = await open(victim);
    commit(log, (batch) => batch.putBlock(1, 1, bytes('kept')));
    commit(log, (batch) => batch.putBlock(1, 2, payload));
    const copy = `${directory()}-copy`;
    snapshot(victim, copy);
    await log.close();
    appendFileSync(path.join(copy, segmentsOf(copy)[0]!), payload);
    const cut = await open(copy);
    expect(cut.readBlocks(1, 0, 1e6).map((block) => block.firstOffset)).toEqual([1, 2]);
    expect(cut.readBlock(9, 9)).toBeUndefined();
    await cut.close();
  });
});

describe('space of a segment log', () => {
  const directory = temporaryDirectory();

  test('comes back once the blocks in it are deleted [broker]', async () => {
    const log = await open(directory(), SMALL);
    for (let offset = 0; offset < 200; offset += 1)
      commit(log, (batch) => batch.putBlock(1, offset, new Uint8Array(500)));
    expect(log.diskBytes()).toBeGreaterThan(100_000);
    for (let offset = 0; offset < 200; offset += 1) commit(log, (batch) => batch.deleteBlock(1, offset));
    await expect
      .poll(
        () => {
          log.maintain(0);
          return segmentsOf(directory()).length;
        },
        { timeout: 20_000, interval: 5 },
      )
      .toBeLessThan(5);
    // Files are removed in the thread pool; they are counted off when that has answered.
    await expect.poll(() => log.diskBytes(), { timeout: 20_000, interval: 5 }).toBeLessThan(5 * SMALL);
    await log.close();
  });

  test('comes back around a cold block without losing it or reviving its deleted neighbours [broker]', async () => {
    let log = await open(directory(), SMALL);
    commit(log, (batch) => {
      batch.putBlock(1, 0, Buffer.alloc(3000, 'cold'));
      batch.putBlock(1, 1, bytes('dead beside it'));
    });
    for (let offset = 2; offset < 300; offset += 1) {
      commit(log, (batch) => {
        batch.putBlock(1, offset, new Uint8Array(500));
        batch.deleteBlock(1, offset - 1);
      });
      if (offset % 10 === 0) {
        log.maintain(0);
        await turns(2);
      }
    }
    await expect
      .poll(
        () => {
          log.maintain(0);
          return segmentsOf(directory()).length;
        },
        { timeout: 20_000, interval: 5 },
      )
      .toBeLessThan(6);
    await log.close();
    log = await open(directory(), SMALL);
    expect(log.readBlocks(1, 0, 1e9).map((block) => block.firstOffset)).toEqual([0, 299]);
    expect(log.readBlock(1, 0)!.length).toBe(3000);
    await log.close();
  });

  test('is given back without a wrong answer at any moment of random work, nor after a crash at any of them [broker]', async () => {
    const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
    const rounds = 80;
    console.log(`segment cleaner seed ${seed}`);
    const model = new MemoryModel(seed);
    const copy = `${directory()}-copy`;
    let log = await open(directory(), SMALL);
    const removed = new Set<string>();
    for (let round = 0; round < rounds; round += 1) {
      const before = segmentsOf(directory());
      for (let group = model.random(6); group >= 0; group -= 1) commit(log, (batch) => model.fill(batch));
      log.maintain(round * 1000);
      if (model.random(3) === 0) await turns(model.random(4));
      if (model.random(4) === 0) for (let call = 0; call < 4; call += 1) log.maintain(round * 1000 + call);
      for (const name of before) if (!segmentsOf(directory()).includes(name)) removed.add(name);
      if (model.random(4) !== 0) continue;
      // A removal may be under way: the copy sees some of its steps, as a crash would.
      snapshotWhileBusy(directory(), copy);
      const crashed = await open(copy, SMALL);
      model.expectSame(crashed);
      await crashed.close();
      if (model.random(3) === 0) {
        await log.close();
        log = await open(directory(), SMALL);
      }
    }
    model.expectSame(log);
    // Removals end in the thread pool, on a busy machine later than all rounds.
    const known = new Set([...removed, ...segmentsOf(directory())]);
    await expect
      .poll(
        () => {
          log.maintain(rounds * 1000);
          const present = segmentsOf(directory());
          return [...known].filter((name) => !present.includes(name)).length;
        },
        { timeout: 20_000, interval: 5 },
      )
      .toBeGreaterThan(rounds / 20);
    model.expectSame(log);
    await log.close();
  });
});

/** Like `snapshot`, oldest segment first, so that a removal during the copy can only leave newer files behind older ones. */
function snapshotWhileBusy(directory: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  cpSync(path.join(directory, 'FORMAT'), path.join(to, 'FORMAT'), { recursive: true });
  for (const name of segmentsOf(directory)) {
    try {
      copyFileSync(path.join(directory, name), path.join(to, name));
    } catch (error) {
      // Removed between the listing and the copy, as it may be on disk at a crash.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}
