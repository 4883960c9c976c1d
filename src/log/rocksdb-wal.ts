/**
 * Makes what RocksDB has written durable, off the event loop. Runs on the shard worker; the system calls run in
 * the thread pool.
 *
 * RocksDB writes each batch with write(2) to the newest `NNNNNN.log` in its directory before the call returns
 * (manual_wal_flush is off), so a batch survives the death of the process at once. Durable takes fdatasync.
 * Always true: when `flush` calls back with null, every batch written before the call is on disk. Argument:
 *   1. A batch goes to the log with the highest number at that moment. A new log is created inside a write call,
 *      before that batch is appended, and from then on the older one is never written again.
 *   2. `flush` does two things at once: fdatasync of the newest log it knows (L), and readdir. If readdir shows no
 *      higher number, then L was the newest when `flush` was called, and it has been synced.
 *   3. If readdir shows higher numbers, L may have been written after its fdatasync began and before it was closed.
 *      So L is synced once more, then every newer log, then the directory (their names). Only then is the highest
 *      the new L. Nothing is left behind: each log below the new L was synced after its successor existed.
 *   4. A log that vanishes between the steps held nothing that is not in SST files: RocksDB syncs those, their
 *      names and its MANIFEST before it removes a log.
 * Gives up: one readdir per flush (about 20 µs in the thread pool) instead of guessing rotation from sizes.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { OperationalError } from '../base/error.js';
import type { SyncDone } from './sync-queue.js';

const WAL_FILE = /^(\d+)\.log$/;
const NONE = -1;

/** Numbers of the write-ahead logs among the names of a RocksDB directory, in no order. */
export function walNumbers(names: readonly string[]): number[] {
  const numbers: number[] = [];
  for (const name of names) {
    const match = WAL_FILE.exec(name);
    if (match !== null) numbers.push(Number(match[1]));
  }
  return numbers;
}

/** Name of the write-ahead log with that number. */
export function walFileName(number: number): string {
  return `${String(number).padStart(6, '0')}.log`;
}

/** A point in the write-ahead logs: everything in lower numbers, and that many bytes of this one. */
export interface WalPosition {
  readonly number: number;
  readonly byteLength: number;
}

/** One per open database. `flush` must not be called again before it has called back: put a `SyncQueue` before it. */
export class WalSync {
  readonly #directory: string;
  readonly #directoryFd: number;
  /** L of the argument above. */
  #liveFd = NONE;
  #liveNumber = NONE;
  #durable: WalPosition | undefined;

  constructor(directory: string) {
    this.#directory = directory;
    this.#directoryFd = fs.openSync(directory, 'r');
  }

  /** How far the logs are known to be on disk. */
  get durable(): WalPosition | undefined {
    return this.#durable;
  }

  /** See the header; ERR_LOG_SYNC with the cause when the disk refuses. */
  flush(done: SyncDone): void {
    let left = 2;
    let failure: Error | null = null;
    let newer: number[] = [];
    const synced = {
      number: this.#liveNumber,
      byteLength: this.#liveFd === NONE ? 0 : fs.fstatSync(this.#liveFd).size,
    };
    const step = (error: Error | null): void => {
      if (error !== null && failure === null) failure = error;
      left -= 1;
      if (left > 0) return;
      if (failure !== null) done(syncError(failure));
      else if (newer.length > 0)
        void this.#rotate(newer).then(
          () => done(null),
          (reason: unknown) => done(syncError(reason)),
        );
      else {
        if (synced.number !== NONE) this.#durable = synced;
        done(null);
      }
    };
    if (this.#liveFd === NONE) setImmediate(step, null);
    else fs.fdatasync(this.#liveFd, step);
    fs.readdir(this.#directory, (error, names) => {
      if (error === null) newer = walNumbers(names).filter((number) => number > this.#liveNumber);
      step(error);
    });
  }

  /** Releases the descriptors. No flush may be in flight. */
  close(): void {
    if (this.#liveFd !== NONE) fs.closeSync(this.#liveFd);
    this.#liveFd = NONE;
    fs.closeSync(this.#directoryFd);
  }

  /** Step 3 of the argument. */
  async #rotate(newer: number[]): Promise<void> {
    if (this.#liveFd !== NONE) await fdatasync(this.#liveFd);
    let byteLength = 0;
    for (const number of newer.sort((a, b) => a - b)) {
      const fd = await openIfThere(path.join(this.#directory, walFileName(number)));
      if (fd === NONE) continue;
      const previous = this.#liveFd;
      // The descriptor is kept even when the sync fails, so that `close` releases it.
      this.#liveFd = fd;
      this.#liveNumber = number;
      if (previous !== NONE) fs.closeSync(previous);
      byteLength = fs.fstatSync(fd).size;
      await fdatasync(fd);
    }
    await fsync(this.#directoryFd);
    if (this.#liveNumber !== NONE) this.#durable = { number: this.#liveNumber, byteLength };
  }
}

function syncError(cause: unknown): OperationalError {
  return new OperationalError('ERR_LOG_SYNC', `cannot make the log durable: ${String(cause)}`, cause);
}

function fdatasync(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fdatasync(fd, (error) => (error === null ? resolve() : reject(error)));
  });
}

function fsync(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fsync(fd, (error) => (error === null ? resolve() : reject(error)));
  });
}

function openIfThere(file: string): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(file, 'r', (error, fd) => {
      if (error === null) resolve(fd);
      else if (error.code === 'ENOENT') resolve(NONE);
      else reject(error);
    });
  });
}
