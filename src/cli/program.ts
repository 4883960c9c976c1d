/**
 * The tree of commands that talk to a broker, and how one of them is run. Loaded when one of them is called, so that
 * `sluice start` and health checks do not pay for it.
 *
 * Always true: every outcome is one of the five exit codes; a failure is one line on standard error and a line that says what
 * to do next, or one JSON object with `--json`. What commander says about wrong use is said in the same form.
 */
import { Command, CommanderError } from 'commander';

import { OperationalError } from '../base/error.js';
import { ConfigError } from '../config/config.js';
import { nearest } from '../config/nearest.js';
import { addBasic, addLastBasic } from './commands/basic.js';
import { addBench } from './commands/bench.js';
import { addClients } from './commands/clients.js';
import { addCompletion } from './commands/completion.js';
import { addConfig } from './commands/config.js';
import { addKeys } from './commands/keys.js';
import { addMaintenance } from './commands/maintenance.js';
import { addPub } from './commands/pub.js';
import { addQueues } from './commands/queues.js';
import { addStatus } from './commands/status.js';
import { addSub } from './commands/sub.js';
import { addUsers } from './commands/users.js';
import { type CommandNode, nodeOf } from './completion/tree.js';
import { CommandContext } from './context.js';
import { type CliIo, CommandError, exitCode, type ExitCode } from './io.js';

/** Builds the tree; `context` is what its actions work with. */
function buildProgram(context: CommandContext): Command {
  const program = new Command('sluice')
    .description('Runs and operates a Sluice broker.')
    .exitOverride()
    .showSuggestionAfterError(true)
    .helpOption('-h, --help', 'show the help of a command')
    .helpCommand(false)
    .configureOutput({
      writeOut: context.io.out,
      writeErr: context.io.err,
      getOutHelpWidth: () => context.io.outColumns ?? 100,
      getErrHelpWidth: () => context.io.errColumns ?? 100,
      // Said by `runProgram`, in the form of all failures.
      outputError: () => undefined,
    });
  addBasic(program);
  addStatus(program, context);
  addQueues(program, context);
  addPub(program, context);
  addSub(program, context);
  addBench(program, context);
  addClients(program, context);
  addKeys(program, context);
  addUsers(program, context);
  addConfig(program, context);
  addMaintenance(program, context);
  addCompletion(program, context);
  addLastBasic(program);
  for (const group of program.commands) if (group.commands.length > 0) group.helpCommand(false);
  return program;
}

/** All commands as plain data, for docs/cli.md. */
export function commandTree(): CommandNode {
  const silent = { env: {}, out: () => undefined, err: () => undefined };
  return nodeOf(buildProgram(new CommandContext(silent)));
}

/** Runs one command. Never rejects. */
export async function runProgram(argv: readonly string[], io: CliIo): Promise<ExitCode> {
  const context = new CommandContext(io);
  try {
    const program = buildProgram(context);
    const words = argv[0] === 'help' ? helpWords(program, argv.slice(1)) : argv;
    await program.parseAsync(words, { from: 'user' });
    return context.exit;
  } catch (error) {
    return report(error, argv, io);
  } finally {
    context.close();
  }
}

/** What asks for the help of the command that `words` name; throws when there is none. */
function helpWords(program: Command, words: readonly string[]): string[] {
  let command = program;
  for (const word of words.filter((one) => !one.startsWith('-'))) {
    const children = command.commands;
    const child = children.find((one) => one.name() === word || one.aliases().includes(word));
    if (child === undefined) {
      const meant = nearest(
        word,
        children.flatMap((one) => [one.name(), ...one.aliases()]),
      );
      throw new CommandError(
        exitCode.wrongUse,
        `${JSON.stringify(word)} is not a command${command === program ? '' : ` of "${pathOf(command)}"`}` +
          (meant === undefined ? '' : `; did you mean "${meant}"?`),
        { hint: '"sluice help" prints all commands', code: 'WRONG_USE' },
      );
    }
    command = child;
  }
  return [...words, '--help'];
}

/** Words from the program on: `sluice queues list`. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function report(error: unknown, argv: readonly string[], io: CliIo): ExitCode {
  if (error instanceof CommanderError && (error.exitCode === 0 || error.code === 'commander.help')) {
    return error.exitCode === 0 ? exitCode.done : exitCode.wrongUse;
  }
  const { exit, message, hint, code } = failureOf(error, argv);
  if (argv.includes('--json')) {
    io.err(`${JSON.stringify({ error: { code, message, hint, exit_code: exit } })}\n`);
  } else {
    io.err(`sluice: ${message}\n${hint === undefined ? '' : `  ${hint}\n`}`);
  }
  return exit;
}

function failureOf(
  error: unknown,
  argv: readonly string[],
): Pick<CommandError, 'exit' | 'message' | 'hint' | 'code'> {
  if (error instanceof CommandError) return error;
  if (error instanceof CommanderError) {
    const depth = error.code === 'commander.unknownCommand' ? 1 : 2;
    const words = argv.slice(0, depth).filter((word) => /^[a-z]+$/.test(word));
    return {
      exit: exitCode.wrongUse,
      message: error.message.replace(/^error: /, ''),
      hint: `run "sluice ${words.join(' ')} --help"`,
      code: 'WRONG_USE',
    };
  }
  if (error instanceof OperationalError) {
    const isConfig = error instanceof ConfigError || error.code === 'ERR_CONFIG';
    return {
      exit: isConfig ? exitCode.wrongUse : exitCode.failed,
      message: isConfig ? error.message : `${error.code}: ${error.message}`,
      hint: isConfig ? '"sluice config explain NAME" tells what a setting takes' : undefined,
      code: error.code,
    };
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { exit: exitCode.failed, message: text, hint: undefined, code: 'ERR_INTERNAL' };
}
