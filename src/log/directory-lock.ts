/**
 * Exclusive ownership of a directory without a native add-on. Runs on the shard worker, when a log opens and closes.
 *
 * Always true: the lock lives in the kernel, not in the contents of a file, so it is gone the moment its owner is:
 * after kill -9, and after the death of a worker thread (Node closes a worker's descriptors when it ends). There is
 * no stale lock to judge and no process id to compare.
 *   Linux: flock(1) is run once on our own descriptor of the OWNER file. The lock belongs to the open file
 *     description, which the child shares, so it stays with us when the child has ended. Where flock(1) is missing, a
 *     socket in the abstract namespace, named after the directory's device and inode, takes its place.
 *   macOS, BSD: open(2) with O_EXLOCK takes the same lock.   Windows: a named pipe, like the socket.
 * Gives up: the socket and the pipe do not see owners in another network namespace or on another machine; flock(2)
 * sees all owners of one kernel, and on NFS those of other machines too.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { OperationalError } from '../base/error.js';

/** Not LOCK: that name belongs to RocksDB. */
const LOCK_FILE = 'OWNER';
/** open(2) on macOS and the BSDs: take an exclusive flock with the open; not in `fs.constants`. */
const O_EXLOCK = 0x20;
/** Exit status that flock(1) is told to use for "held by another owner"; any other failure is a fault. */
const FLOCK_HELD_STATUS = 75;

/** Gives the directory free for the next owner. Idempotent. */
export type ReleaseDirectory = () => void;

/** Takes the directory or throws ERR_LOG_LOCKED (held) or ERR_LOG_OPEN (the lock cannot be tried). */
export async function lockDirectory(directory: string): Promise<ReleaseDirectory> {
  try {
    if (process.platform === 'win32') return await lockByName(directory);
    if (process.platform !== 'linux') return lockByOpen(directory);
    return lockByFlock(directory) ?? (await lockByName(directory));
  } catch (error) {
    if (error instanceof OperationalError) throw error;
    throw new OperationalError('ERR_LOG_OPEN', `cannot lock ${directory}: ${String(error)}`, error);
  }
}

/** Undefined when flock(1) is not installed. */
function lockByFlock(directory: string): ReleaseDirectory | undefined {
  const fd = fs.openSync(path.join(directory, LOCK_FILE), 'a');
  const child = spawnSync('flock', ['-n', '-E', String(FLOCK_HELD_STATUS), '3'], {
    stdio: ['ignore', 'ignore', 'pipe', fd],
  });
  if (child.status === 0) return closeOnce(fd);
  fs.closeSync(fd);
  if (child.status === FLOCK_HELD_STATUS) throw heldError(directory);
  // BusyBox has no -E: it rejects the option with its usage text; its plain form ends with 1 when the lock is held.
  if (child.error === undefined && child.stderr.includes('BusyBox')) return lockByBusyBox(directory);
  if (errnoOf(child.error) === 'ENOENT') return undefined;
  throw new OperationalError(
    'ERR_LOG_OPEN',
    `flock failed on ${directory}: ${String(child.error ?? child.stderr)}`,
  );
}

function lockByBusyBox(directory: string): ReleaseDirectory {
  const fd = fs.openSync(path.join(directory, LOCK_FILE), 'a');
  const child = spawnSync('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  if (child.status === 0) return closeOnce(fd);
  fs.closeSync(fd);
  throw heldError(directory);
}

function lockByOpen(directory: string): ReleaseDirectory {
  const { O_RDWR, O_CREAT, O_NONBLOCK } = fs.constants;
  try {
    return closeOnce(fs.openSync(path.join(directory, LOCK_FILE), O_RDWR | O_CREAT | O_NONBLOCK | O_EXLOCK));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') throw heldError(directory);
    throw error;
  }
}

function lockByName(directory: string): Promise<ReleaseDirectory> {
  const { dev, ino } = fs.statSync(directory, { bigint: true });
  const name = `sluice-log-${dev}-${ino}`;
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.destroy());
    server.unref();
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'EADDRINUSE' ? heldError(directory) : error),
    );
    server.listen(
      { path: process.platform === 'win32' ? `\\\\?\\pipe\\${name}` : `\0${name}`, exclusive: true },
      () => resolve(() => void server.close()),
    );
  });
}

function closeOnce(fd: number): ReleaseDirectory {
  let open = true;
  return () => {
    if (open) fs.closeSync(fd);
    open = false;
  };
}

function errnoOf(error: NodeJS.ErrnoException | undefined): string | undefined {
  return error?.code;
}

function heldError(directory: string): OperationalError {
  return new OperationalError('ERR_LOG_LOCKED', `${directory} is in use by another process or shard`);
}
