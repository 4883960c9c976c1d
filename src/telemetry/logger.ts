/**
 * Log lines. Main thread; workers send theirs over their port.
 *
 * Always true: a line is written, whole, before the call returns, so nothing is lost when the process ends or
 * is killed; a line that nobody can read any more (closed pipe) is dropped and never ends the broker; no line holds what
 * `log-secret.ts` knows as a secret; no text in a message or a field makes a call throw. What it gives up: a log call costs
 * a system call, so nothing per message is logged above `debug`.
 */
import { destination, pino, stdSerializers, stdTimeFunctions } from 'pino';
import type { DestinationStream, Logger } from 'pino';

import type { LogLevel, ModuleLevels } from '../config/log-settings.js';
import { LogLevels } from './log-levels.js';
import { LogRepeats } from './log-repeats.js';
import { hideInFields, hideInLine } from './log-secret.js';
import { RecentLog } from './recent-log.js';

export type { Logger } from 'pino';

/** How to log. */
export interface LoggingOptions {
  /** One of `logLevelNames`. */
  readonly level: string;
  /** Levels of single parts of the broker. */
  readonly levels?: ModuleLevels;
  readonly format: 'json' | 'text';
  /** Lines with the same message in 10 seconds; 0 or left out: as many as there are. */
  readonly repeatsMax?: number;
  /** Where lines go; standard output unless a test wants them. */
  readonly stream?: DestinationStream;
}

/** The log and what may be asked of it. */
export interface Logging {
  /** Make children by `logger.child({ module: 'shard', shard: 2 })`; those with a module have its level. */
  readonly logger: Logger;
  readonly recent: RecentLog;
  readonly levels: LogLevels;
  /** Writes what is held back; call it before the process ends. */
  readonly flush: () => void;
}

const WARN = 40;
/** Part of the broker whose lines name none. */
const rootModule = 'broker';
const moduleKey = Symbol('module');

/** The log of a broker; one per process. */
export function createLogging(options: LoggingOptions): Logging {
  const { level, format, stream = standardOutput() } = options;
  const recent = new RecentLog();
  const levels = new LogLevels(level as LogLevel, options.levels ?? {});
  const repeats = new LogRepeats(options.repeatsMax ?? 0, () => performance.now());
  const sink = {
    // Asks pino to tell the level of each line.
    [Symbol.for('pino.metadata')]: true,
    lastLevel: 0,
    write(line: string): void {
      const shown = withoutSecrets(line);
      stream.write(format === 'json' ? shown : readable(shown));
      if (sink.lastLevel < WARN) return;
      try {
        recent.add(shown);
      } catch {
        // It is written; what cannot be read again is not kept.
      }
    },
  };
  const logger: Logger = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: (fields) => hideInFields(fields) },
      serializers: { err: (error: Error) => hideInFields({ ...stdSerializers.err(error) }) },
      hooks: {
        logMethod(args, write, number) {
          repeats.log(this, moduleOf(this), args, write, number);
        },
      },
      onChild: (child) => {
        // Others inherit the level of the logger they come from; there may be one for every request.
        if (Object.getPrototypeOf(child) !== logger) return;
        const { module } = child.bindings();
        if (typeof module !== 'string') return;
        Object.assign(child, { [moduleKey]: module });
        levels.register(module, child);
      },
    },
    sink,
  );
  levels.register(rootModule, logger);
  return { logger, recent, levels, flush: () => repeats.flush() };
}

/** A logger alone; see `createLogging`. */
export function createLogger(options: LoggingOptions): Logger {
  return createLogging(options).logger;
}

function moduleOf(logger: Logger): string {
  return (logger as { [moduleKey]?: string })[moduleKey] ?? rootModule;
}

function standardOutput(): DestinationStream {
  const output = destination({ dest: 1, sync: true });
  // EPIPE and the like: whoever read the log has gone.
  output.on('error', () => {});
  return output;
}

/** The line as it may be shown; without its content when that cannot be looked through. */
function withoutSecrets(line: string): string {
  try {
    return hideInLine(line);
  } catch {
    const time = new Date().toISOString();
    return `${JSON.stringify({ level: 'error', time, msg: 'a log line was too long to look for secrets in it', length: line.length })}\n`;
  }
}

/** The line for people to read; as it is when it is no JSON. */
function readable(line: string): string {
  try {
    return textLine(line);
  } catch {
    return line;
  }
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
