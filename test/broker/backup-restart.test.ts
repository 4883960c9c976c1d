/** A backup whose shard starts again on the way is cut off: it never ends as if it were whole. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { OperationalError } from '../../src/base/error.js';
import { BackupService, type CheckpointSource } from '../../src/broker/backup.js';
import type { Log } from '../../src/log/log.js';
import { openLog } from '../../src/log/open.js';
import { Checkpoints } from '../../src/shard/checkpoints.js';

let folder: string;
let logs: Log[];
beforeEach(async () => {
  folder = fs.mkdtempSync(join(tmpdir(), 'sluice-backup-restart-'));
  logs = await Promise.all(
    [0, 1, 2].map((shard) =>
      openLog({ driver: 'segment', directory: join(folder, `shard-${shard}`), memoryBytesMax: 1 << 20 }),
    ),
  );
});
afterEach(async () => {
  await Promise.all(logs.map((log) => log.close()));
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Shards whose workers a test can let start again. */
class Workers implements CheckpointSource {
  readonly shardCount = logs.length;
  readonly #workers = logs.map((log) => new Checkpoints(log));
  readonly ended = new Set<number>();

  /** The new worker has the log of the old one, and nothing else. */
  restart(shardId: number): void {
    this.#workers[shardId]?.end();
    this.#workers[shardId] = new Checkpoints(logs[shardId] as Log);
  }

  beginCheckpoint(shardId: number) {
    this.ended.delete(shardId);
    return this.#worker(shardId).begin(new Map(), () => undefined);
  }

  async checkpointPage(shardId: number, checkpointId: string): Promise<ArrayBuffer | undefined> {
    return this.#worker(shardId).next(checkpointId);
  }

  async endCheckpoint(shardId: number): Promise<void> {
    this.#worker(shardId).end();
    this.ended.add(shardId);
  }

  #worker(shardId: number): Checkpoints {
    return this.#workers[shardId] as Checkpoints;
  }
}

function service(shards: CheckpointSource): { backups: BackupService; said: string[] } {
  const said: string[] = [];
  const say = (_fields: unknown, text?: unknown): void => void said.push(String(text));
  const backups = new BackupService({
    shards,
    dataDir: folder,
    store: 'segment',
    version: '1.2.3',
    logger: { info: say, warn: say },
    now: () => 1_700_000_000_000,
  });
  return { backups, said };
}

async function readAll(bytes: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of bytes) expect(chunk.length).toBeGreaterThan(0);
}

test.each([0, 2])(
  'a backup is cut off when shard %i starts again before its turn, and the next one is whole [broker]',
  async (shardId) => {
    const workers = new Workers();
    const { backups, said } = service(workers);
    const { bytes } = await backups.begin();
    workers.restart(shardId);
    const error = await readAll(bytes).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(OperationalError);
    expect((error as OperationalError).code).toBe('ERR_BACKUP');
    expect(said).toEqual(['a backup was cut off before its end']);
    await readAll((await backups.begin()).bytes);
    expect(said[1]).toBe('a backup was taken');
  },
);

test('checkpoints that are still being taken when another shard fails are let go as well [broker]', async () => {
  const workers = new Workers();
  const begin = workers.beginCheckpoint.bind(workers);
  workers.beginCheckpoint = async (shardId) => {
    if (shardId === 0) throw new OperationalError('ERR_SHARD_DOWN', 'gone');
    await new Promise(setImmediate);
    return begin(shardId);
  };
  await expect(service(workers).backups.begin()).rejects.toThrow('gone');
  expect(workers.ended).toEqual(new Set([0, 1, 2]));
  await new Promise(setImmediate);
  expect(workers.ended).toEqual(new Set([0, 1, 2]));
});
