/**
 * The commands that cli.ts runs itself, so that they start without the rest, described for help and completion.
 *
 * Always true: their options here are those that cli.ts reads; a test compares the two. They never run from here, because cli.ts
 * takes them before this tree is built.
 */
import type { Command } from 'commander';

import { withExamples } from '../context.js';

/** Adds their descriptions. */
export function addBasic(program: Command): void {
  withExamples(
    program.command('start').description('run the broker; settings come from SLUICE_… variables'),
    'SLUICE_DATA_DIR=data sluice start',
  );
  withExamples(
    program
      .command('passwd')
      .description('set the password of a user of SLUICE_PASSWORD_FILE; it is asked for, or read from a pipe')
      .argument('<file>', 'password file')
      .argument('<username>', 'name of the MQTT user')
      .argument('[password]', 'with --batch only')
      .option('--scram', 'for SCRAM-SHA-256 as well as for plain passwords')
      .option('-D, --delete', 'remove the user')
      .option('-b, --batch', 'take the password from the command line'),
    "echo 'correct horse 9 battery' | sluice passwd users.txt sensor-7",
  );
  const control = program.command('ctl').description('health check under its former name');
  withExamples(
    control
      .command('status')
      .description('exit 0 when the local broker is running, 1 when it is not')
      .option('--url <url>', 'ask this address instead of the configured one')
      .option('--timeout-ms <ms>', 'how long to wait for the answer', '5000'),
    'sluice ctl status --url http://127.0.0.1:18083/api/v5/status',
  );
}

/** Adds those that stand at the end. */
export function addLastBasic(program: Command): void {
  withExamples(program.command('version').description('print the version'), 'sluice version');
  withExamples(
    program
      .command('help')
      .description('print all commands, or the help of one')
      .argument('[command...]', 'words of the command'),
    'sluice help queues create',
  );
}
