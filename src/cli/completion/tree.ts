/**
 * The tree of commands as plain data: for shell completion, and for the reference in docs/cli.md. Pure.
 *
 * Always true: it is read from the definitions that parse the command line, so nothing can be completed or documented that does
 * not exist, and nothing that exists is left out. Commands come in the order of their definition.
 */
import type { Argument, Command, Option } from 'commander';

import { examplesOf } from '../context.js';
import { connectionGroup } from '../option.js';

/** An option. */
export interface OptionNode {
  readonly short: string | undefined;
  readonly long: string;
  /** As in the help: `-q, --qos <level>`. */
  readonly flags: string;
  readonly description: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
  readonly defaultText: string | undefined;
  readonly isFile: boolean;
  /** It belongs to the connection, which many commands have. */
  readonly isShared: boolean;
}

/** An argument. */
export interface ArgumentNode {
  /** `<name...>`, `[file]`. */
  readonly usage: string;
  readonly name: string;
  readonly description: string;
  readonly choices: readonly string[];
}

/** A command. */
export interface CommandNode {
  /** Words from the program on: `sluice queues list`. */
  readonly path: string;
  readonly name: string;
  readonly aliases: readonly string[];
  readonly description: string;
  readonly arguments: readonly ArgumentNode[];
  readonly options: readonly OptionNode[];
  readonly examples: readonly string[];
  readonly children: readonly CommandNode[];
}

/** The node of a command and all below it. */
export function nodeOf(command: Command, parentPath = ''): CommandNode {
  const path = `${parentPath} ${command.name()}`.trim();
  return {
    path,
    name: command.name(),
    aliases: command.aliases(),
    description: command.description(),
    arguments: command.registeredArguments.map((argument) => argumentNode(argument)),
    options: command.options.map((option) => optionNode(option)),
    examples: examplesOf(command),
    children: command.commands.map((child) => nodeOf(child, path)),
  };
}

/** A node and all below it, parents first. */
export function flatten(node: CommandNode): CommandNode[] {
  return [node, ...node.children.flatMap((child) => flatten(child))];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function argumentNode(argument: Argument): ArgumentNode {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return {
    usage: argument.required ? `<${name}>` : `[${name}]`,
    name: argument.name(),
    description: argument.description,
    choices: argument.argChoices ?? [],
  };
}

function optionNode(option: Option): OptionNode {
  const fallback: unknown = option.defaultValueDescription ?? option.defaultValue;
  const takesValue = option.required || option.optional;
  return {
    short: option.short,
    long: option.long ?? option.flags,
    flags: option.flags,
    description: option.description,
    takesValue,
    choices: option.argChoices ?? [],
    defaultText: takesValue && fallback !== undefined ? textOf(fallback) : undefined,
    isFile: /<file>/.test(option.flags),
    isShared: option.helpGroupHeading === connectionGroup,
  };
}
