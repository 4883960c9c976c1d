/**
 * `sluice restore FILE`: writes a backup into an empty data directory. Runs in the process of the command, without a broker.
 *
 * Always true: store, number of shards and directory are those that a broker with the same environment would use, so that
 * `sluice start` right after it finds what was restored. What can be refused is refused before anything is written.
 */
import { resolve } from 'node:path';

import { restoreBackup } from '../broker/restore.js';
import { loadConfig } from '../config/config.js';
import { type CliIo, exitCode, type ExitCode } from './io.js';
import { Output } from './output.js';
import { type Progress, startProgress } from './progress.js';

/** Options of `sluice restore`. */
export interface RestoreCommandOptions {
  /** Instead of SLUICE_DATA_DIR. */
  readonly dataDir?: string;
  /** Replace what a data directory holds. */
  readonly force?: boolean;
  readonly json?: boolean;
}

const MEGABYTE = 1e6;
const titles = { check: 'Checking', write: 'Writing ' } as const;

/** Does it; resolves to the exit code. Throws `OperationalError` ERR_BACKUP…, ERR_RESTORE, ERR_CONFIG. */
export async function runRestore(io: CliIo, file: string, options: RestoreCommandOptions): Promise<ExitCode> {
  const config = loadConfig(io.env);
  const dataDir = resolve(options.dataDir ?? config.dataDir);
  let progress: Progress | undefined;
  let phase: keyof typeof titles | undefined;
  try {
    const restored = await restoreBackup({
      file,
      dataDir,
      store: config.store,
      shards: config.shards,
      force: options.force === true,
      onProgress: (now, doneBytes, totalBytes) => {
        if (now !== phase) {
          progress?.stop();
          progress = startProgress(io, titles[now], Math.ceil(totalBytes / MEGABYTE), 'MB');
          phase = now;
        }
        progress?.at(Math.ceil(doneBytes / MEGABYTE));
      },
    });
    const { head, queues, sessionQueues, messages, rows, damagedBlocks, fileBytes } = restored;
    progress?.stop();
    progress = undefined;
    if (damagedBlocks > 0) {
      io.err(
        `sluice: warning: ${damagedBlocks} blocks were damaged in the store already; they are kept as they are\n`,
      );
    }
    new Output(io, options.json === true).done(
      {
        file,
        data_dir: dataDir,
        store: config.store,
        shards: config.shards,
        queues,
        session_queues: sessionQueues,
        messages,
        rows,
        damaged_blocks: damagedBlocks,
        bytes: fileBytes,
        backup_version: head.version,
        backup_created_at_ms: head.createdAtMs,
      },
      `${dataDir}: ${queues} queues, ${messages} messages, ${rows} sessions, retained messages and wills; ` +
        `store ${config.store}, ${config.shards} shards`,
    );
    return exitCode.done;
  } finally {
    progress?.stop();
  }
}
