/**
 * Log lines. Runs on every thread: each makes its own logger over the same standard output.
 *
 * Always true: a line is written, whole, before the call returns, so nothing is lost when the process ends or
 * is killed; a line that nobody can read any more (closed pipe) is dropped and never ends the broker. What it
 * gives up: a log call costs a system call, so nothing per message is logged above `debug`.
 */
import { destination, pino, stdTimeFunctions } from 'pino';
import type { DestinationStream, Logger } from 'pino';

export type { Logger } from 'pino';

/** How to log. */
export interface LoggerOptions {
  readonly level: string;
  readonly format: 'json' | 'text';
  /** Where lines go; standard output unless a test wants them. */
  readonly stream?: DestinationStream;
}

/** Field names whose values never reach the log. */
const secretPaths = ['password', 'secret', 'authorization', '*.password', '*.secret', '*.authorization'];

/** A logger; make children by `logger.child({ module: 'shard', shard: 2 })`. */
export function createLogger({ level, format, stream = standardOutput() }: LoggerOptions): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretPaths, censor: '[hidden]' },
    },
    format === 'json' ? stream : { write: (line) => stream.write(textLine(line)) },
  );
}

function standardOutput(): DestinationStream {
  const output = destination({ dest: 1, sync: true });
  // EPIPE and the like: whoever read the log has gone.
  output.on('error', () => {});
  return output;
}

/** One JSON line as a plain one: time, level, module, message, then the other fields as key=value. */
function textLine(line: string): string {
  const { time, level, module, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const words = [time, String(level).toUpperCase().padEnd(5)];
  if (module !== undefined) words.push(`${plain(module)}:`);
  if (msg !== undefined) words.push(msg);
  for (const [key, value] of Object.entries(rest)) words.push(`${key}=${plain(value)}`);
  const stack = err === undefined ? '' : `\n${errorText(err)}`;
  return `${words.join(' ')}${stack}\n`;
}

function plain(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(value);
}

function errorText(error: unknown): string {
  const { stack } = error as { stack?: unknown };
  return typeof stack === 'string' ? stack : JSON.stringify(error);
}
