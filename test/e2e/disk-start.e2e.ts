/**
 * Data directories that no broker may start on: newer, damaged, foreign, in use, not writable. Each ends the
 * start with one line that says what is wrong and exit code 1 (2 for configuration), and leaves every file as it was.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Log, LogBatch, LogOptions } from '../../src/log/log.js';
import { Broker, startBroker, temporaryDirectory, type Exit } from '../harness/broker.js';
import { compiledUrl } from '../harness/compiled.js';
import { connectClient } from '../harness/mqtt-client.js';
import { Scope, testScope } from '../harness/scope.js';
import { sleep, until, within } from '../harness/wait.js';

/** Programs of the operating system. */
const MOUNT = 'mount';
const UNMOUNT = 'umount';

const STORE = process.env['SLUICE_STORE'] ?? 'rocksdb';
const OTHER_STORE = STORE === 'segment' ? 'rocksdb' : 'segment';
const END_WITHIN_MS = 20_000;
const MESSAGES = 400;
const QUEUES = ['a/#', 'b/#', 'c/#', 'd/#'];
/** Two shards, so that one is healthy while the other is not. */
const ENV = { SLUICE_SHARDS: '2', SLUICE_STORE: STORE };
/** The files of the lock, and the log that RocksDB keeps about itself: they are not data. */
const NOT_DATA = /(?:^|\/)(?:OWNER|LOCK|LOG(?:\.old\.\d+)?)$/;

/** A directory with a backlog in every queue, as kill -9 leaves it. Copied, never used itself. */
let used = '';
const setup = new Scope();

beforeAll(async () => {
  used = await temporaryDirectory(setup);
  const scope = new Scope();
  try {
    const broker = await startBroker(scope, { dataDir: used, env: ENV });
    for (const queue of QUEUES) await broker.rest.createQueue(queue);
    const publisher = await connectClient(scope, broker);
    const publish = (queue: string, number: number): Promise<unknown> =>
      publisher.client.publishAsync(queue.replace('#', 'x'), `${number} ${'x'.repeat(1000)}`, { qos: 1 });
    await Promise.all(
      QUEUES.flatMap((queue) => Array.from({ length: MESSAGES - 1 }, (_, number) => publish(queue, number))),
    );
    // The logs note about once a second how far they are on disk; the segment log does so with its next write.
    await sleep(2500);
    await Promise.all(QUEUES.map((queue) => publish(queue, MESSAGES - 1)));
    await broker.kill();
  } finally {
    await scope.release();
  }
  return () => setup.release();
});

async function copyOfUsed(scope: Scope): Promise<string> {
  const directory = await temporaryDirectory(scope);
  await cp(used, directory, { recursive: true });
  return directory;
}

/** Digest of every file by its path. */
async function digests(directory: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    const file = path.join(entry.parentPath, entry.name);
    const name = path.relative(directory, file);
    if (!entry.isFile() || NOT_DATA.test(name)) continue;
    found[name] = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
  }
  return found;
}

interface Refusal {
  readonly exit: Exit;
  /** What the process wrote to stdout and stderr. */
  readonly output: string;
  /** The line that says why. */
  readonly line: string;
}

/** Starts a broker that must not become ready. */
async function refusal(
  scope: Scope,
  dataDir: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Refusal> {
  const broker = new Broker(dataDir, { env: { ...ENV, ...env } });
  scope.add(() => broker.kill());
  const start = broker.start().then(
    () => 'ready',
    () => 'ended',
  );
  const exit = await within(
    Promise.race([start.then(() => broker.exited), broker.exited]),
    'the broker to end by itself',
    END_WITHIN_MS,
  );
  expect(await start).toBe('ended');
  const lines = broker.output.split('\n').filter((line) => line.startsWith('sluice: '));
  expect(lines, broker.output).toHaveLength(1);
  // One clear line: no stack trace below it.
  expect(broker.output).not.toMatch(/^\s+at /m);
  return { exit, output: broker.output, line: lines[0] ?? '' };
}

/**
 * A start on `dataDir` fails with `code`, says `words`, and changes no file; with `damaged`, none outside of the other
 * shards, which may have been opened by then: opening a RocksDB log rewrites its files.
 */
async function expectRefused(
  scope: Scope,
  dataDir: string,
  code: string,
  words: RegExp,
  env: Readonly<Record<string, string>> = {},
  { exitCode = 1, damaged = '' } = {},
): Promise<void> {
  const concerned = async (): Promise<Record<string, string>> =>
    Object.fromEntries(
      Object.entries(await digests(dataDir)).filter(
        ([name]) => damaged === '' || !name.startsWith('shard-') || name.startsWith(`${damaged}/`),
      ),
    );
  const before = await concerned();
  const { exit, line } = await refusal(scope, dataDir, env);
  expect(line).toMatch(new RegExp(`^sluice: ${code}: `));
  expect(line).toMatch(words);
  expect(exit.code).toBe(exitCode);
  expect(await concerned()).toEqual(before);
}

/** The shard directory with most of the backlog. Opens nothing: that would change RocksDB's files. */
async function inhabitedShard(directory: string): Promise<string> {
  const sized = await Promise.all(
    ['shard-0', 'shard-1'].map(async (shard) => ({
      shard: path.join(directory, shard),
      bytes: await byteLength(path.join(directory, shard)),
    })),
  );
  return sized.toSorted((a, b) => b.bytes - a.bytes)[0]?.shard ?? '';
}

async function byteLength(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(directory)) bytes += (await stat(path.join(directory, name))).size;
  return bytes;
}

/** What the log of a shard holds, whichever files it lies in. */
async function contents(shard: string): Promise<unknown> {
  const log = await openLog(shard);
  const found = log.queues().map(({ queueId, meta }) => ({
    queueId,
    meta: Buffer.from(meta).toString('latin1'),
    blocks: log.readBlocks(queueId, 0, 1e9).map(({ firstOffset, value }) => [firstOffset, value.length]),
  }));
  await log.close();
  return found;
}

async function openLog(directory: string): Promise<Log> {
  const { openLog: open } = (await import(compiledUrl('log/open.js'))) as {
    openLog: (options: LogOptions) => Promise<Log>;
  };
  return open({ driver: STORE as LogOptions['driver'], directory, memoryBytesMax: 32 << 20 });
}

/** Writes into a log as a broken or a newer broker would. */
async function rewrite(directory: string, fill: (log: Log, batch: LogBatch) => void): Promise<void> {
  const log = await openLog(directory);
  const batch = log.batch();
  fill(log, batch);
  log.write(batch);
  await log.close();
}

/** The largest file of the log that holds messages. */
async function dataFile(shard: string): Promise<string> {
  const names = (await readdir(shard)).filter((name) => /^\d+\.(?:log|seg)$/.test(name));
  const sized = await Promise.all(
    names.map(async (name) => ({ name, bytes: (await readFile(path.join(shard, name))).length })),
  );
  const largest = sized.toSorted((a, b) => b.bytes - a.bytes)[0];
  expect(largest?.bytes).toBeGreaterThan(MESSAGES * 1000);
  return path.join(shard, largest?.name ?? '');
}

describe('a start is refused with one line, and no file is touched', () => {
  test('when one shard was written in a newer log format [broker]', async () => {
    const scope = testScope();
    const directory = await copyOfUsed(scope);
    await writeFile(path.join(directory, 'shard-1', 'FORMAT'), `sluice-log 2 ${STORE}\n`);
    await expectRefused(scope, directory, 'ERR_LOG_VERSION', /format 2 .*newer/, {}, { damaged: 'shard-1' });
  });

  test('when FORMAT is garbage or missing beside data [broker]', async () => {
    const scope = testScope();
    const directory = await copyOfUsed(scope);
    const format = path.join(directory, 'shard-0', 'FORMAT');
    await writeFile(format, Buffer.from([0, 255, 10, 13]));
    await expectRefused(scope, directory, 'ERR_LOG_CORRUPT', /FORMAT/, {}, { damaged: 'shard-0' });
    await rm(format);
    await expectRefused(scope, directory, 'ERR_LOG_CORRUPT', /FORMAT/, {}, { damaged: 'shard-0' });
  });

  test('when the store is not the one that the directory was written with [broker]', async () => {
    const scope = testScope();
    const directory = await copyOfUsed(scope);
    await expectRefused(
      scope,
      directory,
      'ERR_LOG_OPEN',
      /shard-\d holds a \w+ log|library cannot be loaded/,
      {
        SLUICE_STORE: OTHER_STORE,
      },
    );
  });

  test('when the store is another one and the number of shards changes as well [broker]', async () => {
    const scope = testScope();
    const directory = await copyOfUsed(scope);
    await expectRefused(
      scope,
      directory,
      'ERR_LOG_OPEN',
      /shard-\d holds a \w+ log|library cannot be loaded/,
      {
        SLUICE_STORE: OTHER_STORE,
        SLUICE_SHARDS: '1',
      },
    );
  });

  test('when the number of shards changes and a shard is of a newer format [broker]', async () => {
    const scope = testScope();
    const directory = await copyOfUsed(scope);
    await writeFile(path.join(directory, 'shard-1', 'FORMAT'), `sluice-log 7 ${STORE}\n`);
    await expectRefused(scope, directory, 'ERR_LOG_VERSION', /format 7/, { SLUICE_SHARDS: '1' });
  });

  test.each([
    ['is cut short', '{"format":1,', /layout\.json is not JSON/],
    ['is empty', '', /layout\.json is not JSON/],
    ['is of a newer format', '{"format":2,"shards":2}', /layout\.json has format 2/],
    ['names no number of shards', '{"format":1,"shards":"two"}', /no number of shards/],
    ['is a list', '[]', /layout\.json has format/],
    ['is null', 'null', /layout\.json has format/],
  ])('when layout.json %s [broker]', async (_, text, words) => {
    const scope = testScope();
    const directory = await copyOfUsed(scope);
    await writeFile(path.join(directory, 'layout.json'), text);
    await expectRefused(scope, directory, 'ERR_LAYOUT', words);
  });

  test.each([
    ['is cut short', '{"version":1,', /is not JSON/],
    ['is of a newer format', '{"version":99,"mq":{}}', /format version 99/],
    ['holds an impossible value', '{"version":1,"mq":{"max_queue_count":-5}}', /impossible value/],
    ['is something else', '"hello"', /not a stored queue configuration/],
  ])('when mq-config.json %s [broker]', async (_, text, words) => {
    const scope = testScope();
    const directory = await copyOfUsed(scope);
    await writeFile(path.join(directory, 'mq-config.json'), text);
    await expectRefused(scope, directory, 'ERR_CONFIG', words, {}, { exitCode: 2 });
  });

  test('when a byte in the middle of what was on disk is damaged [broker]', async () => {
    const scope = testScope();
    const directory = await copyOfUsed(scope);
    const shard = await inhabitedShard(directory);
    const file = await dataFile(shard);
    const bytes = await readFile(file);
    const at = bytes.length >>> 1;
    bytes[at] = (bytes[at] ?? 0) ^ 0x55;
    await writeFile(file, bytes);
    await expectRefused(
      scope,
      directory,
      'ERR_LOG_CORRUPT',
      /damaged at byte \d+/,
      {},
      { damaged: path.basename(shard) },
    );
  });

  test('when the data directory is a file [broker]', async () => {
    const scope = testScope();
    const parent = await temporaryDirectory(scope);
    const file = path.join(parent, 'data');
    await writeFile(file, 'precious');
    const { exit, line } = await refusal(scope, file);
    expect(line).toMatch(/^sluice: ERR_LAYOUT: .*data/);
    expect(exit.code).toBe(1);
    expect(await readFile(file, 'utf8')).toBe('precious');
  });

  test('when a shard directory is a file [broker]', async () => {
    const scope = testScope();
    const directory = await temporaryDirectory(scope);
    await writeFile(path.join(directory, 'shard-1'), 'precious');
    const { exit, line } = await refusal(scope, directory);
    expect(line).toMatch(/^sluice: ERR_(?:LOG_OPEN|LAYOUT): .*shard-1/);
    expect(exit.code).toBe(1);
    expect(await readFile(path.join(directory, 'shard-1'), 'utf8')).toBe('precious');
  });

  test('when the data directory cannot be made [broker]', async (context) => {
    if (!existsSync('/proc/self')) context.skip('there is no /proc');
    const { exit, line } = await refusal(testScope(), '/proc/sluice-data');
    expect(line).toMatch(/^sluice: ERR_LAYOUT: .*\/proc\/sluice-data/);
    expect(exit.code).toBe(1);
  });

  test('when the data directory lies on a read-only file system, new or used [broker]', async (context) => {
    const scope = testScope();
    const directory = await copyOfUsed(scope);
    const bound = spawnSync(MOUNT, ['--bind', directory, directory]);
    if (bound.status !== 0) context.skip('this user cannot mount');
    onTestFinished(() => {
      execFileSync(UNMOUNT, [directory]);
    });
    await mkdir(path.join(directory, 'empty'));
    execFileSync(MOUNT, ['-o', 'remount,bind,ro', directory]);
    await expectRefused(scope, directory, 'ERR_LOG_OPEN', /read-only|EROFS/i);
    await expectRefused(scope, path.join(directory, 'empty'), 'ERR_LAYOUT', /read-only|EROFS/i);
  });
});

test.each([
  ['is garbage', '\u0000garbage', 'ERR_LOG_CORRUPT'],
  ['is of a newer format', '{"format":2,"definition":{}}', 'ERR_LOG_VERSION'],
  ['is no definition', '{"format":1}', 'ERR_LOG_CORRUPT'],
])(
  'a start is refused with one line when the definition of a queue %s, and what the log holds stays [broker]',
  async (_, text, code) => {
    const scope = testScope();
    const directory = await copyOfUsed(scope);
    const shard = await inhabitedShard(directory);
    await rewrite(shard, (log, batch) => batch.putQueue(log.queues()[0]?.queueId ?? 0, Buffer.from(text)));
    const before = await contents(shard);
    const { exit, line } = await refusal(scope, directory);
    expect(line).toMatch(new RegExp(`^sluice: ${code}: the definition of a queue`));
    expect(exit.code).toBe(1);
    expect(await contents(shard)).toEqual(before);
  },
);

test('a second broker on the same directory is refused, and the first one does not notice [broker]', async () => {
  const scope = testScope();
  const directory = await copyOfUsed(scope);
  const first = await startBroker(scope, { dataDir: directory, env: ENV });
  const client = await connectClient(scope, first);
  await client.client.subscribeAsync('$q/a/#', { qos: 1 });
  for (const env of [{}, { SLUICE_SHARDS: '1' }, { SLUICE_STORE: OTHER_STORE }]) {
    const { exit, line } = await refusal(scope, directory, env);
    expect(line).toMatch(/^sluice: ERR_LOG_(?:LOCKED|OPEN): /);
    if (env.SLUICE_STORE === undefined) expect(line).toMatch(/^sluice: ERR_LOG_LOCKED: .*in use/);
    expect(exit.code).toBe(1);
  }
  await client.client.publishAsync('a/x', 'after', { qos: 1 });
  await client.waitFor(MESSAGES + 1);
  expect(client.received.at(-1)?.payload).toBe('after');
  const stopped = await first.stop();
  expect(stopped.code).toBe(0);
  // Nothing that the refused ones did keeps the next one from starting on what the first one left.
  await first.start();
  expect((await first.rest.get('/message_queues/queues?limit=100')).body['data']).toHaveLength(QUEUES.length);
});

test('a block of a newer version is skipped and kept, the log says so, and all others are delivered [broker]', async () => {
  const scope = testScope();
  const directory = await copyOfUsed(scope);
  let queueId = 0;
  let blocks = 0;
  const shard = await inhabitedShard(directory);
  await rewrite(shard, (log, batch) => {
    queueId = log.queues()[0]?.queueId ?? 0;
    const stored = log.readBlocks(queueId, 0, 1e9);
    const block = stored[0];
    if (block === undefined) throw new Error('the queue has no block');
    blocks = stored.length;
    const newer = Buffer.from(block.value);
    newer.writeUInt8((newer[0] ?? 0) + 1, 0);
    batch.putBlock(queueId, block.firstOffset, newer);
  });
  expect(blocks, 'blocks of the queue').toBeGreaterThan(1);
  const broker = await startBroker(scope, { dataDir: directory, env: ENV });
  const client = await connectClient(scope, broker);
  for (const queue of QUEUES) await client.client.subscribeAsync(`$q/${queue}`, { qos: 1 });
  await client.waitFor((QUEUES.length - 1) * MESSAGES + 1);
  await until(() => broker.output.includes('a stored block is damaged'), 'a line about the block');
  await until(async () => {
    const stats = await Promise.all(QUEUES.map((queue) => broker.rest.stats(queue)));
    return (
      stats.reduce((total, { ready, in_flight: inFlight }) => total + Number(ready) + Number(inFlight), 0) ===
      QUEUES.length * MESSAGES - client.received.length
    );
  }, 'the counts to agree with what was delivered');
  expect(client.received.length).toBeLessThan(QUEUES.length * MESSAGES);
  expect((await broker.stop()).code).toBe(0);
  const log = await openLog(shard);
  const kept = log.readBlocks(queueId, 0, 1e9);
  await log.close();
  expect(kept).toHaveLength(1);
});
