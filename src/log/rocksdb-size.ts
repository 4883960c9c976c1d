/**
 * Sizes of the files of a RocksDB directory. Runs on the shard worker; the system calls run in the thread pool.
 *
 * Always true: bytes are what the file system has allocated, as `du` counts them. SST files never change, so each is
 * asked for once. Gives up: a file that comes or goes during the count may be missed.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';

/** What was found; `sstBytes` is handed to the next count. */
export interface RocksSize {
  /** Length of the write-ahead logs, bytes. */
  readonly walBytes: number;
  /** All files, bytes. */
  readonly totalBytes: number;
  readonly sstBytes: ReadonlyMap<string, number>;
}

/** Counts the directory; an unreadable one counts as empty. */
export async function measureRocksdb(
  directory: string,
  known: ReadonlyMap<string, number>,
): Promise<RocksSize> {
  const sstBytes = new Map<string, number>();
  let walBytes = 0;
  let totalBytes = 0;
  for (const name of await fs.promises.readdir(directory).catch(() => [])) {
    let bytes = known.get(name);
    if (bytes === undefined) {
      const stat = await fs.promises.stat(path.join(directory, name)).catch(() => undefined);
      if (stat === undefined) continue;
      bytes = stat.blocks * 512;
      if (name.endsWith('.log')) walBytes += stat.size;
    }
    if (name.endsWith('.sst')) sstBytes.set(name, bytes);
    totalBytes += bytes;
  }
  return { walBytes, totalBytes, sstBytes };
}
