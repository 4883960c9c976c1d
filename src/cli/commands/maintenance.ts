/**
 * `sluice doctor`, `backup` and `restore`: their words and options; what they do stands in files of their own.
 *
 * Always true: each is loaded when it is called, because restore brings the stores along. `backup` asks a running broker;
 * `restore` and `doctor` work on this machine, with the settings of the environment.
 */
import type { Command } from 'commander';

import { type CommandContext, withExamples } from '../context.js';
import { type ApiOptions, withApi, withJson } from '../option.js';

interface RestoreOptions {
  readonly dataDir?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** Adds the commands. */
export function addMaintenance(program: Command, context: CommandContext): void {
  addBackup(program, context);
  addRestore(program, context);
  addDoctor(program, context);
}

function addBackup(program: Command, context: CommandContext): void {
  const backup = withApi(
    program
      .command('backup')
      .description('download a consistent backup of a running broker')
      .argument('<file>', 'file to write; it is there whole or not at all')
      .option('--force', 'replace the file when it is there'),
  ).action(async (file: string, options: ApiOptions & { force?: boolean }) => {
    const { runBackup } = await import('../backup.js');
    context.exit = await runBackup(context.io, file, options);
  });
  withExamples(backup, 'sluice backup monday.sluice');
}

function addRestore(program: Command, context: CommandContext): void {
  const restore = withJson(
    program
      .command('restore')
      .description('fill an empty data directory from a backup; the broker must not run on it')
      .argument('<file>', 'file that "sluice backup" wrote')
      .option('--data-dir <directory>', 'directory to fill (default: SLUICE_DATA_DIR)')
      .option('--force', 'replace what the directory holds'),
  ).action(async (file: string, options: RestoreOptions) => {
    const { runRestore } = await import('../restore.js');
    context.exit = await runRestore(context.io, file, options);
  });
  withExamples(restore, 'sluice restore monday.sluice --data-dir restored');
}

function addDoctor(program: Command, context: CommandContext): void {
  const doctor = withJson(
    program
      .command('doctor')
      .description('would a broker start here, and would it do well?')
      .option('--data-dir <directory>', 'data directory to look at (default: SLUICE_DATA_DIR)'),
  ).action(async (options: { readonly dataDir?: string; readonly json?: boolean }) => {
    const { runDoctor } = await import('../doctor.js');
    context.exit = await runDoctor(context.io, options);
  });
  withExamples(doctor, 'SLUICE_MQTT_PORT=1884 SLUICE_HTTP_PORT=18084 sluice doctor');
}
