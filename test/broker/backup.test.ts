/** A backup says what was there, whole; and whatever else a file says, a restore takes none of it. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { OperationalError } from '../../src/base/error.js';
import {
  encodeFile,
  encodeFrame,
  encodePrologue,
  FILE_BYTES_MAX,
  FrameType,
} from '../../src/broker/backup-format.js';
import { BackupService } from '../../src/broker/backup.js';
import { dataFiles, isDataFile, refuseUnfinishedRestore } from '../../src/broker/data-file.js';
import { restoreBackup } from '../../src/broker/restore.js';
import { lockDirectory } from '../../src/log/directory-lock.js';
import type { Log, LogDriver } from '../../src/log/log.js';
import { openLog } from '../../src/log/open.js';
import {
  BLOCK_HEADER_BYTES,
  encodeSummary,
  sealBlock,
  SUMMARY_HEADER_BYTES,
} from '../../src/log/record-format.js';
import { encodeDefinition } from '../../src/shard/control.js';
import { readLayout } from '../../src/shard/layout.js';
import { shardOf } from '../../src/shard/placement.js';
import { definitionWith } from '../queue/fake-host.js';
import { FakeCheckpoints, type FakeRecord } from './fake-checkpoints.js';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'sluice-backup-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

const silent = pino({ level: 'silent' });

function service(shards: FakeCheckpoints, store = 'segment'): BackupService {
  const dataDir = join(folder, 'from');
  fs.mkdirSync(dataDir, { recursive: true });
  return new BackupService({
    shards,
    dataDir,
    store,
    version: '1.2.3',
    logger: silent,
    now: () => 1_700_000_000_000,
  });
}

async function bytesOf(shards: FakeCheckpoints): Promise<Buffer> {
  const { bytes } = await service(shards).begin();
  const chunks: Buffer[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  expect(shards.open).toBe(0);
  return Buffer.concat(chunks);
}

function fileWith(bytes: Uint8Array): string {
  const file = join(folder, 'file.backup');
  fs.writeFileSync(file, bytes);
  return file;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error, String(error)).toBeInstanceOf(OperationalError);
  return (error as OperationalError).code;
}

const target = (): string => join(folder, 'to');

function restore(file: string, changes: { store?: LogDriver; shards?: number; force?: boolean } = {}) {
  return restoreBackup({
    file,
    dataDir: target(),
    store: 'segment',
    shards: 2,
    force: false,
    onProgress: () => {},
    ...changes,
  });
}

/** A block of `count` records whose bytes are noise; what is inside does not matter here. */
function block(count: number, filler: string): Buffer {
  const bytes = Buffer.alloc(BLOCK_HEADER_BYTES + 1024, filler);
  sealBlock(bytes, new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2), 0, count, 1024);
  return bytes;
}

function summary(recordCount: number, ackedCount: number): Buffer {
  const bytes = Buffer.alloc(SUMMARY_HEADER_BYTES + 4);
  const length = encodeSummary(
    {
      recordCount,
      ackedCount,
      recordBytes: 1024,
      ackedBytes: 0,
      newestMs: 0,
      expiresEarliestMs: 0,
      expiresLatestMs: 0,
      ackBits: ackedCount === 0 ? null : new Uint32Array([2 ** ackedCount - 1]),
    },
    new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
  );
  return bytes.subarray(0, length);
}

const filters = Array.from({ length: 12 }, (_, index) => `sensor/${index}/#`);
const definition = (id: number): Buffer =>
  Buffer.from(encodeDefinition(definitionWith({ id, name: `q${id}`, topicFilter: filters[id - 1] ?? '#' })));

/** Twelve queues over three shards, placed as three shards would, with rows in each shard. */
function threeShards(): FakeCheckpoints {
  const shards: FakeRecord[][][] = [[], [], []].map(() => [[], [], []]);
  filters.forEach((filter, index) => {
    const id = index + 1;
    const pages = shards[shardOf(filter, 3)] as FakeRecord[][];
    pages[0]?.push([1, id, 0, definition(id)]);
    pages[1]?.push([2, id, 0, block(5, 'a')], [2, id, 5, block(3, 'b')]);
    pages[2]?.push([3, id, 0, summary(5, 2)], [3, id, 5, summary(3, 0)]);
    pages[2]?.push([4, id, 7, Buffer.from(`key ${id}`)], [4, id, 6, Buffer.alloc(0)]);
  });
  shards.forEach((pages, shard) =>
    pages[1]?.push([2, 0xffff_fff1, 1000 + shard, Buffer.from(`session ${shard}`)]),
  );
  // What a move of rows or a drop that was cut off leaves: nobody's.
  shards[1]?.[1]?.push([2, 0xffff_fff8, 0, Buffer.alloc(4)], [2, 4711, 0, block(9, 'x')]);
  return new FakeCheckpoints(shards);
}

function contentOf(log: Log): string[] {
  const text = (value: Uint8Array): string => Buffer.from(value).toString('latin1');
  const ids = [...filters.keys()].map((index) => index + 1);
  const records = log.queues().map(({ queueId, meta }) => `${queueId} meta ${text(meta)}`);
  for (const id of [...ids, 4711, 0xffff_fff1, 0xffff_fff8]) {
    for (const { firstOffset, value } of log.readBlocks(id, 0, 1e9))
      records.push(`${id} block ${firstOffset} ${text(value)}`);
    for (const { firstOffset, value } of log.readSummaries(id, 0, 1e9))
      records.push(`${id} summary ${firstOffset} ${text(value)}`);
    for (const { key, offset } of log.readKeys(id, undefined, 1e9))
      records.push(`${id} key ${text(key)} ${offset}`);
  }
  return records;
}

describe('a backup', () => {
  test.each([
    ['rocksdb', 2],
    ['segment', 1],
    ['segment', 5],
  ] as const)(
    'of three shards goes into a %s store of %i shards with every record where it belongs [broker]',
    async (store, shards) => {
      fs.mkdirSync(join(folder, 'from'));
      fs.writeFileSync(join(folder, 'from', 'mq-config.json'), '{"kept":true}', { mode: 0o640 });
      fs.writeFileSync(join(folder, 'from', 'accounts.json'), 'hashes', { mode: 0o600 });
      fs.writeFileSync(join(folder, 'from', 'accounts.json.tmp'), 'torn');
      // Larger than any file of a broker, and nobody's business.
      fs.writeFileSync(join(folder, 'from', 'monday.sluice'), '');
      fs.truncateSync(join(folder, 'from', 'monday.sluice'), FILE_BYTES_MAX + 1);
      fs.writeFileSync(join(folder, 'from', 'layout.json'), '{"format":1,"shards":3}');
      const source = threeShards();
      const restored = await restore(fileWith(await bytesOf(source)), { store, shards });
      expect(restored).toMatchObject({ queues: 12, messages: 12 * 6, rows: 3, damagedBlocks: 0 });
      expect(readLayout(target())).toBe(shards);
      expect(
        fs
          .readdirSync(target())
          .filter((name) => !name.startsWith('shard-'))
          .toSorted(),
      ).toEqual(['accounts.json', 'layout.json', 'mq-config.json']);
      expect(fs.readFileSync(join(target(), 'accounts.json'), 'utf8')).toBe('hashes');
      for (const name of ['accounts.json', 'mq-config.json'])
        expect(fs.statSync(join(target(), name)).mode & 0o777).toBe(0o600);

      const all: string[] = [];
      for (let shard = 0; shard < shards; shard += 1) {
        const log = await openLog({
          driver: store,
          directory: join(target(), `shard-${shard}`),
          memoryBytesMax: 1 << 25,
        });
        for (const { queueId } of log.queues())
          expect(shardOf(filters[queueId - 1] as string, shards)).toBe(shard);
        const rows = log.readBlocks(0xffff_fff1, 0, 1e9).map(({ firstOffset }) => firstOffset);
        expect(rows).toEqual([1000, 1001, 1002].filter((row) => (row - 1000) % shards === shard));
        all.push(...contentOf(log));
        await log.close();
      }
      const expected = source.shards.flat(2).flatMap(([kind, id, offset, value]) => {
        if (id === 4711 || id === 0xffff_fff8) return [];
        const text = Buffer.from(value).toString('latin1');
        if (kind === 1) return [`${id} meta ${text}`];
        return [
          kind === 4
            ? `${id} key ${text} ${offset}`
            : `${id} ${kind === 2 ? 'block' : 'summary'} ${offset} ${text}`,
        ];
      });
      expect(all.toSorted()).toEqual(expected.toSorted());
    },
  );

  test('is refused with a code for the memory store and while another is under way, and lets go when its reader leaves [broker]', async () => {
    expect(await codeOf(service(new FakeCheckpoints(), 'memory').begin())).toBe('ERR_BACKUP');
    const shards = threeShards();
    const backups = service(shards);
    const first = await backups.begin();
    expect(shards.open).toBe(3);
    expect(await codeOf(backups.begin())).toBe('ERR_BACKUP');
    await first.bytes.next();
    await first.bytes.next();
    await first.bytes.return();
    expect(shards.open).toBe(0);
    const unread = await backups.begin();
    await unread.bytes.return();
    expect(shards.open).toBe(0);
    await (await backups.begin()).bytes.return();
  });

  test('ends and lets go when a shard fails on the way, and the next one may begin [broker]', async () => {
    const shards = threeShards();
    let pages = 0;
    const read = shards.checkpointPage.bind(shards);
    shards.checkpointPage = (shardId, checkpointId) =>
      ++pages === 5
        ? Promise.reject(new OperationalError('ERR_SHARD_DOWN', 'gone'))
        : read(shardId, checkpointId);
    const backups = service(shards);
    const { bytes } = await backups.begin();
    const readAll = async (): Promise<void> => {
      for await (const chunk of bytes) expect(chunk).toBeDefined();
    };
    expect(await codeOf(readAll())).toBe('ERR_SHARD_DOWN');
    expect(shards.open).toBe(0);
    await (await backups.begin()).bytes.return();
  });
});

describe('a file that is no whole backup', () => {
  test('is refused wherever it is cut off, and nothing is written [broker]', async () => {
    const bytes = await bytesOf(threeShards());
    const step = Math.max(1, Math.floor(bytes.length / 97));
    for (let length = 0; length < bytes.length; length += length < 64 ? 1 : step) {
      expect(await codeOf(restore(fileWith(bytes.subarray(0, length)))), `${length} bytes`).toBe(
        'ERR_BACKUP_DAMAGED',
      );
    }
    expect(await codeOf(restore(fileWith(bytes.subarray(0, -1))))).toBe('ERR_BACKUP_DAMAGED');
    expect(await codeOf(restore(fileWith(Buffer.concat([bytes, Buffer.from('x')]))))).toBe(
      'ERR_BACKUP_DAMAGED',
    );
    expect(fs.existsSync(target())).toBe(false);
  });

  test('is refused whichever byte of it is changed [broker]', async () => {
    const bytes = await bytesOf(threeShards());
    const step = Math.max(1, Math.floor(bytes.length / 211));
    for (let at = 0; at < bytes.length; at += at < 64 ? 1 : step) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ 0x41;
      const code = await codeOf(restore(fileWith(changed)));
      expect(code, `byte ${at}`).toBe('ERR_BACKUP_DAMAGED');
    }
    expect(fs.existsSync(target())).toBe(false);
  });

  test('is refused when frames are missing, doubled or in another order [broker]', async () => {
    const page = Buffer.from('');
    const frames = async (types: readonly number[]): Promise<Buffer> => {
      const parts = types.map((number) => encodeFrame(number, FrameType.page, page));
      return Buffer.concat([
        encodePrologue(),
        await encodeFrame(0, FrameType.head, Buffer.from('{}')),
        ...(await Promise.all(parts)),
      ]);
    };
    for (const order of [[2], [1, 1], [2, 1], [0]]) {
      expect(await codeOf(restore(fileWith(await frames(order))))).toBe('ERR_BACKUP_DAMAGED');
    }
  });

  test('is refused when its end counts other than what is there, or a file in it would leave the directory [broker]', async () => {
    const end = { files: 0, shards: 1, pages: 0, pageBytes: 0 };
    const make = async (...contents: readonly (readonly [number, Buffer])[]): Promise<string> => {
      const parts = [encodePrologue()];
      for (const [number, [type, content]] of contents.entries()) {
        parts.push(await encodeFrame(number, type as 1, content));
      }
      return fileWith(Buffer.concat(parts));
    };
    const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
    const shard = [FrameType.shard, json({ shard: 0 })] as const;
    const head = [FrameType.head, json({ version: '1' })] as const;
    expect(await codeOf(restore(await make(head, shard, [FrameType.end, json({ ...end, pages: 1 })])))).toBe(
      'ERR_BACKUP_DAMAGED',
    );
    expect(await codeOf(restore(await make(shard, [FrameType.end, json(end)])))).toBe('ERR_BACKUP_DAMAGED');
    expect(
      await codeOf(
        restore(await make(head, [FrameType.shard, json({ shard: 1 })], [FrameType.end, json(end)])),
      ),
    ).toBe('ERR_BACKUP_DAMAGED');
    expect(
      await codeOf(
        restore(
          await make(
            head,
            shard,
            [FrameType.page, Buffer.from('torn')],
            [FrameType.end, json({ ...end, pages: 1, pageBytes: 4 })],
          ),
        ),
      ),
    ).toBe('ERR_BACKUP_DAMAGED');
    for (const name of [
      '../evil',
      'a/b',
      '..',
      '.',
      '',
      'layout.json',
      'RESTORING',
      'OWNER',
      'x\0y',
      '.hidden',
    ]) {
      const file = [FrameType.file, encodeFile(name, 0o600, Buffer.from('x'))] as const;
      expect(
        await codeOf(restore(await make(head, file, shard, [FrameType.end, json({ ...end, files: 1 })]))),
        name,
      ).toBe('ERR_BACKUP_DAMAGED');
    }
    await restore(await make(head, shard, [FrameType.end, json(end)]));
  });

  test('of a newer format, or with a queue or block of a newer version, is refused with a code of its own [broker]', async () => {
    const newer = encodePrologue();
    newer.writeUInt32BE(2, 8);
    const { crc32 } = await import('node:zlib');
    newer.writeUInt32BE(crc32(newer.subarray(0, 12)), 12);
    expect(await codeOf(restore(fileWith(newer)))).toBe('ERR_BACKUP_VERSION');
    const meta = Buffer.from('{"format":99,"definition":{}}');
    expect(await codeOf(restore(fileWith(await bytesOf(new FakeCheckpoints([[[[1, 1, 0, meta]]]])))))).toBe(
      'ERR_BACKUP_VERSION',
    );
    const later = block(1, 'z');
    later.writeUInt32LE(later.readUInt32LE(0) + 1, 0);
    const pages: FakeRecord[][] = [[[1, 1, 0, definition(1)]], [[2, 1, 0, later]]];
    expect(await codeOf(restore(fileWith(await bytesOf(new FakeCheckpoints([pages])))))).toBe(
      'ERR_BACKUP_VERSION',
    );
  });

  test('that is missing or a folder is refused with the reason [broker]', async () => {
    expect(await codeOf(restore(join(folder, 'nowhere')))).toBe('ERR_BACKUP');
    expect(await codeOf(restore(folder))).toBe('ERR_BACKUP');
  });

  test('a block that was damaged in the store is carried over and counted [broker]', async () => {
    const torn = block(1, 'z');
    torn[BLOCK_HEADER_BYTES + 3] = 0;
    const pages: FakeRecord[][] = [[[1, 1, 0, definition(1)]], [[2, 1, 0, torn]]];
    expect(await restore(fileWith(await bytesOf(new FakeCheckpoints([pages]))))).toMatchObject({
      damagedBlocks: 1,
    });
  });
});

describe('the target of a restore', () => {
  test('must be empty; --force replaces a data directory and nothing else [broker]', async () => {
    const file = fileWith(await bytesOf(threeShards()));
    fs.mkdirSync(target());
    fs.writeFileSync(join(target(), 'letter.txt'), 'dear');
    expect(await codeOf(restore(file))).toBe('ERR_RESTORE');
    expect(await codeOf(restore(file, { force: true }))).toBe('ERR_RESTORE');
    expect(fs.readdirSync(target())).toContain('letter.txt');
    fs.rmSync(join(target(), 'letter.txt'));
    await restore(file, { shards: 4 });
    expect(await codeOf(restore(file))).toBe('ERR_RESTORE');
    expect(readLayout(target())).toBe(4);
    await restore(file, { shards: 1, store: 'rocksdb', force: true });
    expect(readLayout(target())).toBe(1);
    expect(fs.readdirSync(target())).not.toContain('shard-1');
    expect(await codeOf(restore(file, { store: 'memory', force: true }))).toBe('ERR_RESTORE');
    expect(readLayout(target())).toBe(1);
  });

  test('never holds the backup, by whatever path, so that --force cannot remove it [broker]', async () => {
    const bytes = await bytesOf(threeShards());
    await restore(fileWith(bytes));
    const before = fs.readdirSync(target()).toSorted();
    fs.symlinkSync(target(), join(folder, 'alias'));
    fs.mkdirSync(join(target(), 'keep'));
    fs.symlinkSync(join(target(), 'shard-0', 'b.sluice'), join(folder, 'elsewhere.sluice'));
    for (const [at, path] of [
      ['b.sluice', join(target(), 'b.sluice')],
      ['keep/b.sluice', join(folder, 'alias', 'keep', 'b.sluice')],
      ['shard-0/b.sluice', join(folder, 'elsewhere.sluice')],
    ] as const) {
      fs.writeFileSync(join(target(), at), bytes);
      expect(await codeOf(restore(path, { force: true })), at).toBe('ERR_RESTORE');
      expect(fs.readFileSync(join(target(), at)).equals(bytes)).toBe(true);
      fs.rmSync(join(target(), at));
    }
    fs.rmdirSync(join(target(), 'keep'));
    expect(fs.readdirSync(target()).toSorted()).toEqual(before);
    await restore(fileWith(bytes), { force: true });
  });

  test('keeps what no broker made when the rest is replaced [broker]', async () => {
    const file = fileWith(await bytesOf(threeShards()));
    await restore(file, { shards: 3 });
    fs.mkdirSync(join(target(), 'letters'));
    fs.writeFileSync(join(target(), 'letters', 'one.txt'), 'dear');
    fs.writeFileSync(join(target(), 'notes.json'), '{}');
    fs.mkdirSync(join(target(), 'shard-7.removed'));
    for (const name of ['banned.json', 'accounts.json.tmp', 'layout.json.new'])
      fs.writeFileSync(join(target(), name), 'old');
    await restore(file, { shards: 1, force: true });
    expect(fs.readdirSync(target()).toSorted()).toEqual(['layout.json', 'letters', 'notes.json', 'shard-0']);
    expect(fs.readFileSync(join(target(), 'letters', 'one.txt'), 'utf8')).toBe('dear');
  });

  test('is given no file of a backup that no broker keeps, also when the backup is changed after its check [broker]', async () => {
    const bytes = async (name: string): Promise<Buffer> => {
      const end = { files: 1, shards: 1, pages: 0, pageBytes: 0 };
      const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
      return Buffer.concat([
        encodePrologue(),
        await encodeFrame(0, FrameType.head, json({ version: '1' })),
        await encodeFrame(1, FrameType.file, encodeFile(name, 0o4777, Buffer.from('x'))),
        await encodeFrame(2, FrameType.shard, json({ shard: 0 })),
        await encodeFrame(3, FrameType.end, json(end)),
      ]);
    };
    const file = fileWith(await bytes('stray.txt'));
    await restore(file);
    expect(fs.readdirSync(target())).not.toContain('stray.txt');
    fs.writeFileSync(file, await bytes('banned.json'));
    const evil = await bytes('../evil.json');
    await restoreBackup({
      file,
      dataDir: target(),
      store: 'segment',
      shards: 1,
      force: true,
      onProgress: (phase, done, total) => {
        if (phase === 'check' && done === total) fs.writeFileSync(file, evil);
      },
    });
    expect(fs.readdirSync(folder)).not.toContain('evil.json');
  });

  test('is left alone while a broker holds one of its shards [broker]', async () => {
    const file = fileWith(await bytesOf(threeShards()));
    await restore(file);
    const release = await lockDirectory(join(target(), 'shard-1'));
    expect(await codeOf(restore(file, { force: true }))).toBe('ERR_RESTORE');
    release();
    await restore(file, { force: true });
  });

  test('is refused by a broker until a restore that was cut off has been repeated, which needs no --force [broker]', async () => {
    const file = fileWith(await bytesOf(threeShards()));
    fs.mkdirSync(join(target(), 'shard-0'), { recursive: true });
    fs.writeFileSync(join(target(), 'shard-0', 'FORMAT'), 'half');
    fs.writeFileSync(join(target(), 'RESTORING'), '');
    expect(() => refuseUnfinishedRestore(target())).toThrow(/did not come to its end/);
    await restore(file);
    refuseUnfinishedRestore(target());
    expect(readLayout(target())).toBe(2);
  });
});

test('the files of a data directory are told from what is temporary and what belongs to the shards [broker]', () => {
  const kept = ['accounts.json', 'api-keys.json', 'banned.json', 'mq-config.json'];
  for (const name of kept) expect(isDataFile(name), name).toBe(true);
  for (const name of ['layout.json', 'OWNER', 'RESTORING', '..', 'a.json', 'accounts.json.tmp', 'core', ''])
    expect(isDataFile(name), name).toBe(false);
  fs.mkdirSync(join(folder, 'shard-0'));
  for (const name of [...kept.slice(0, 3).toReversed(), 'notes.json', 'accounts.json.tmp'])
    fs.writeFileSync(join(folder, name), '');
  fs.symlinkSync('notes.json', join(folder, 'mq-config.json'));
  expect(dataFiles(folder)).toEqual(kept.slice(0, 3));
});
