/**
 * What a command sees of the world, and how it ends. Runs in the process of the command.
 *
 * Always true: commands write through `CliIo` only and end by returning or by throwing; none ends the process, so tests see
 * what a person would. The five exit codes are the only ones. A message says what is wrong, a hint says what to do next.
 */
import type { Environment } from '../config/config.js';
import type { PasswordInput } from './ask.js';

/** The outside world of one command. */
export interface CliIo {
  readonly env: Environment;
  /** Writes to standard output; the text brings its own line ends. */
  readonly out: (text: string) => void;
  /** Calls `action`, in the order of the calls, when the system has taken all that was written to standard output before. */
  readonly afterOut?: (action: () => void) => void;
  /** Writes to standard error. */
  readonly err: (text: string) => void;
  /** Standard input, when it is another than that of the process. */
  readonly input?: PasswordInput;
  /** Columns of the terminal that standard output is; undefined for a pipe or a file. */
  readonly outColumns?: number | undefined;
  /** The same for standard error; progress is shown only on a terminal. */
  readonly errColumns?: number | undefined;
  /** Calls `listener` for Ctrl-C and SIGTERM instead of ending the process; returns how to stop that. */
  readonly onInterrupt?: (listener: () => void) => () => void;
}

/** How a command ends. */
export const exitCode = {
  done: 0,
  /** It failed: a fault of the broker, of this machine, or a check that is not fulfilled. */
  failed: 1,
  /** The command line or the configuration is wrong. */
  wrongUse: 2,
  /** Nothing that is a broker answered. */
  unreachable: 3,
  /** The broker answered and refused: not found, not allowed, not possible. */
  refused: 4,
} as const;
/** One of them. */
export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/** Ends a command with a message, a hint and an exit code. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exit: ExitCode;
  /** What to do next. */
  readonly hint: string | undefined;
  /** The broker's word for it, such as NOT_FOUND. */
  readonly code: string | undefined;
  constructor(exit: ExitCode, message: string, { hint, code }: { hint?: string; code?: string } = {}) {
    super(message);
    this.exit = exit;
    this.hint = hint;
    this.code = code;
  }
}
