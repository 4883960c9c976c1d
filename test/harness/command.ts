/**
 * The command `sluice` as a process of its own. Runs in the test process.
 *
 * Always true: the command has ended when the promise resolves, or, from `startCommand`, when the scope ends.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compiledUrl } from './compiled.js';
import { brokerEnvironment, nodeFlags } from './environment.js';
import type { Scope } from './scope.js';
import { within } from './wait.js';

/** How a command ended. `code` is null when a signal ended it. */
export interface CommandResult {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A command under way. */
export interface RunningCommand {
  readonly child: ChildProcess;
  readonly ended: Promise<CommandResult>;
}

/** Starts `sluice` with these arguments and these variables. */
export function startCommand(
  scope: Scope,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): RunningCommand {
  const child = spawn(process.execPath, [...nodeFlags, fileURLToPath(compiledUrl('main.js')), ...args], {
    env: brokerEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  scope.add(() => child.kill('SIGKILL'));
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => void (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => void (err += chunk.toString()));
  const ended = new Promise<CommandResult>((resolve) => {
    child.once('close', (code) => resolve({ code, out, err }));
  });
  return { child, ended };
}

/** Runs `sluice` to its end. */
export function runCommand(
  scope: Scope,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  return within(startCommand(scope, args, env).ended, `sluice ${args.join(' ')}`);
}
