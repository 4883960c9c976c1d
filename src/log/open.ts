/**
 * Opens a log with the driver that is asked for. Runs on the shard worker.
 *
 * Always true: a driver's code, and with it any native library, is loaded only when that driver is opened, so
 * the others run where native add-ons are disabled.
 */
import type { Log, LogOptions } from './log.js';

/**
 * Opens or creates the log in `options.directory` and takes it for this owner alone. Errors: ERR_LOG_OPEN,
 * ERR_LOG_LOCKED, ERR_LOG_CORRUPT, ERR_LOG_VERSION. Cost: recovery reads what was written since the last flush
 * (rocksdb) or the whole store (segment).
 */
export async function openLog(options: LogOptions): Promise<Log> {
  switch (options.driver) {
    case 'rocksdb': {
      const { openRocksdbLog } = await import('./rocksdb-driver.js');
      return openRocksdbLog(options);
    }
    case 'segment': {
      const { openSegmentLog } = await import('./segment-driver.js');
      return openSegmentLog(options);
    }
    case 'memory': {
      const { openMemoryLog } = await import('./memory-driver.js');
      return openMemoryLog();
    }
  }
}
