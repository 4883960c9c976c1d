/**
 * Starts a broker whose command line is given, such as `--peer 'name=program -p {port} -d {dir}'`.
 *
 * Always true: `{port}` is a free port of the loopback interface and `{dir}` a new directory that is removed afterwards.
 * The command is split at spaces; no shell takes part, so that its process is the broker's.
 */
import { spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { freePort, openWhenReady } from './start.mjs';

/** Starts `command` and waits for its port. */
export async function spawnCommand(name, command) {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'sluice-bench-'));
  const port = await freePort();
  const filled = command.replaceAll('{port}', String(port)).replaceAll('{dir}', directory);
  const [program, ...args] = filled.split(' ').filter((word) => word !== '');
  const child = spawn(program, args, { stdio: 'ignore', cwd: directory });
  return openWhenReady({ name, port, child, directory, timeoutMs: 30_000 });
}
