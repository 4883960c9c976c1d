/**
 * Holds back a line that is written again and again, and says how often. Main thread.
 *
 * Always true: of each part the first lines of a message in a window of 10 seconds are written, the others counted, and
 * when the window is over one line more tells their number: nothing is lost without a trace. `fatal`, what is logged for
 * debugging, and the audit log are never held back. Bounded: messages beyond `MESSAGES_MAX` at a time are not limited.
 */
import type { LogFn, Logger } from 'pino';

/** Time over which lines of one message are counted. */
export const REPEAT_WINDOW_MS = 10_000;
/** Messages that are counted at the same time. */
export const MESSAGES_MAX = 1000;

const INFO = 30;
const FATAL = 60;

interface Window {
  readonly logger: Logger;
  readonly write: LogFn;
  readonly message: string;
  readonly endsAtMs: number;
  lines: number;
}

/** See the file header. */
export class LogRepeats {
  readonly #linesMax: number;
  readonly #nowMs: () => number;
  readonly #windows = new Map<string, Window>();
  #timer: NodeJS.Timeout | undefined;

  /** `linesMax` 0: nothing is ever held back. `nowMs` is any clock that does not go back. */
  constructor(linesMax: number, nowMs: () => number) {
    this.#linesMax = linesMax === 0 ? Number.POSITIVE_INFINITY : linesMax;
    this.#nowMs = nowMs;
  }

  /** Writes the line, or counts it. `write` is the method of `logger` for `level`, as a pino hook gets it. */
  log(logger: Logger, module: string, args: Parameters<LogFn>, write: LogFn, level: number): void {
    if (!this.#isHeldBack(logger, module, args, write, level)) write.apply(logger, args);
  }

  /** Tells the numbers of all that is held back now. Call it before the process ends. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const window of this.#windows.values()) tell(window, this.#linesMax);
    this.#windows.clear();
  }

  #isHeldBack(logger: Logger, module: string, args: Parameters<LogFn>, write: LogFn, level: number): boolean {
    if (level < INFO || level >= FATAL || module === 'audit') return false;
    const message = messageOf(args);
    const key = `${level} ${module} ${message}`;
    const nowMs = this.#nowMs();
    let window = this.#windows.get(key);
    if (window !== undefined && window.endsAtMs <= nowMs) {
      tell(window, this.#linesMax);
      this.#windows.delete(key);
      window = undefined;
    }
    if (window === undefined) {
      if (this.#windows.size >= MESSAGES_MAX) this.#end(nowMs);
      if (this.#windows.size >= MESSAGES_MAX) return false;
      this.#windows.set(key, { logger, write, message, endsAtMs: nowMs + REPEAT_WINDOW_MS, lines: 1 });
      return false;
    }
    if (++window.lines <= this.#linesMax) return false;
    this.#timer ??= this.#arm();
    return true;
  }

  #arm(): NodeJS.Timeout {
    return setTimeout(() => {
      this.#timer = undefined;
      this.#end(this.#nowMs());
      for (const { lines } of this.#windows.values()) if (lines > this.#linesMax) this.#timer ??= this.#arm();
    }, REPEAT_WINDOW_MS).unref();
  }

  /** Ends the windows whose time is over. */
  #end(nowMs: number): void {
    for (const [key, window] of this.#windows) {
      if (window.endsAtMs > nowMs) continue;
      tell(window, this.#linesMax);
      this.#windows.delete(key);
    }
  }
}

function tell({ logger, write, message, lines }: Window, linesMax: number): void {
  if (lines > linesMax) write.call(logger, { repeated: lines - linesMax }, message);
}

/** The text of a line before its placeholders are filled: the same for all lines of one call. */
function messageOf([first, second]: readonly unknown[]): string {
  if (typeof first === 'string') return first;
  if (typeof second === 'string') return second;
  const { msg, message, err } = (first ?? {}) as Record<string, unknown>;
  const text = msg ?? message ?? (err as { message?: unknown } | undefined)?.message;
  return typeof text === 'string' ? text : '';
}
