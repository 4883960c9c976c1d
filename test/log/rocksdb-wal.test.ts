/** Which files a flush syncs, and in which order, when RocksDB changes its write-ahead logs at the worst moments. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { OperationalError } from '../../src/base/error.js';
import { WalSync } from '../../src/log/rocksdb-wal.js';
import { temporaryDirectory } from './contract.js';

/** What reached the disk, by file name, and what happens at the next directory listing. */
const disk = vi.hoisted(() => ({
  events: [] as string[],
  beforeListing: null as (() => void) | null,
  failSync: false,
}));

vi.mock('node:fs', async (importOriginal) => {
  const real = await importOriginal<typeof fs>();
  const nameOf = (fd: number): string => real.readlinkSync(`/proc/self/fd/${fd}`).split('/').at(-1)!;
  return {
    ...real,
    fdatasync: (fd: number, done: (error: Error | null) => void) => {
      disk.events.push(nameOf(fd));
      if (disk.failSync) setImmediate(done, new Error('EIO'));
      else real.fdatasync(fd, done);
    },
    fsync: (fd: number, done: (error: Error | null) => void) => {
      disk.events.push('directory');
      real.fsync(fd, done);
    },
    readdir: (directory: string, done: (error: Error | null, names: string[]) => void) => {
      disk.beforeListing?.();
      real.readdir(directory, (error, names) => {
        disk.events.push('listed');
        done(error, names);
      });
    },
  };
});

const directory = temporaryDirectory();
let wal: WalSync;
const write = (number: number): void =>
  fs.appendFileSync(path.join(directory(), `00000${number}.log`), 'batch');
const flush = (): Promise<OperationalError | null> => new Promise((resolve) => wal.flush(resolve));
/** Events of one flush. */
const eventsOf = async (): Promise<string[]> => {
  disk.events.length = 0;
  expect(await flush()).toBeNull();
  return [...disk.events];
};

beforeEach(() => {
  fs.mkdirSync(directory());
  disk.beforeListing = null;
  disk.failSync = false;
  wal = new WalSync(directory());
});
afterEach(() => wal.close());

test.runIf(process.platform === 'linux')(
  'the first flush finds the log, syncs it and then its name [broker]',
  async () => {
    write(4);
    expect(await eventsOf()).toEqual(['listed', '000004.log', 'directory']);
    expect(wal.durable).toEqual({ number: 4, byteLength: 5 });
  },
);

test.runIf(process.platform === 'linux')(
  'a flush without a new log is one sync of the known one [broker]',
  async () => {
    write(4);
    await flush();
    write(4);
    expect((await eventsOf()).filter((event) => event !== 'listed')).toEqual(['000004.log']);
    expect(wal.durable).toEqual({ number: 4, byteLength: 10 });
  },
);

test.runIf(process.platform === 'linux')(
  'after a change of logs the old one is synced again once its successor exists, then all newer ones in order [broker]',
  async () => {
    write(4);
    await flush();
    write(4);
    write(7);
    write(9);
    const events = await eventsOf();
    expect(events.slice(events.indexOf('listed') + 1).slice(-4)).toEqual([
      '000004.log',
      '000007.log',
      '000009.log',
      'directory',
    ]);
    write(9);
    expect((await eventsOf()).filter((event) => event !== 'listed')).toEqual(['000009.log']);
  },
);

test.runIf(process.platform === 'linux')(
  'a write to the old log between its sync and the change is not left behind [broker]',
  async () => {
    write(4);
    await flush();
    disk.beforeListing = () => {
      write(4);
      write(5);
      disk.beforeListing = null;
    };
    const events = await eventsOf();
    expect(events.lastIndexOf('000004.log')).toBeGreaterThan(events.indexOf('listed'));
    expect(events.at(-2)).toBe('000005.log');
  },
);

test.runIf(process.platform === 'linux')(
  'logs that RocksDB has removed meanwhile are passed over [broker]',
  async () => {
    write(4);
    await flush();
    fs.rmSync(path.join(directory(), '000004.log'));
    write(5);
    expect((await eventsOf()).at(-2)).toBe('000005.log');
  },
);

test.runIf(process.platform === 'linux')(
  'a disk that refuses is reported as ERR_LOG_SYNC with its reason [broker]',
  async () => {
    write(4);
    disk.failSync = true;
    const error = await flush();
    expect(error?.code).toBe('ERR_LOG_SYNC');
    expect(String(error?.cause)).toContain('EIO');
    expect(wal.durable).toBeUndefined();
  },
);
