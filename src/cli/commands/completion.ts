/**
 * `sluice completion`: prints what a shell needs to complete the commands.
 *
 * Always true: the script goes to standard output and nothing else does, so that `source <(sluice completion bash)` works; it is
 * made from the commands of this version.
 */
import { Argument, type Command } from 'commander';

import { completionScript, type Shell, shells } from '../completion/shells.js';
import { nodeOf } from '../completion/tree.js';
import { type CommandContext, withExamples } from '../context.js';

/** Adds the command. */
export function addCompletion(program: Command, context: CommandContext): void {
  const completion = program
    .command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>', 'shell').choices(shells))
    .action((shell: Shell) => context.io.out(completionScript(shell, nodeOf(program))));
  withExamples(completion, 'source <(sluice completion bash)', 'sluice completion fish > sluice.fish');
}
