/**
 * The last warnings and errors, for those who look at the broker from outside. Main thread.
 *
 * Always true: bounded in entries and in bytes, the oldest give way; an entry is made from the very line that was written,
 * so what is hidden there is hidden here; a watcher that fails or logs does no harm to the line, nor to other watchers.
 * Gives up: what was before the start, and lines below `warn`.
 */

/** Severity of an entry; `fatal` counts as `error`. */
export type RecentLevel = 'warn' | 'error';

/** One line of the log. */
export interface LogEntry {
  /** Wall clock, ms since 1970. */
  readonly timeMs: number;
  readonly level: RecentLevel;
  /** Part of the broker; `broker` when the line names none. */
  readonly module: string;
  /** At most `MESSAGE_LENGTH_MAX` characters. */
  readonly message: string;
  /** All else that the line says; `{ "cut": true }` when that is more than `FIELDS_LENGTH_MAX` characters of JSON. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Entries that are kept at most. */
export const ENTRIES_MAX = 1000;
const ENTRIES_LENGTH_MAX = 1024 * 1024;
const MESSAGE_LENGTH_MAX = 4096;
const FIELDS_LENGTH_MAX = 8192;

interface Kept {
  readonly entry: LogEntry;
  readonly length: number;
}

/** See the file header. */
export class RecentLog {
  readonly #kept: Kept[] = [];
  readonly #watchers = new Set<(entry: LogEntry) => void>();
  #length = 0;
  #isTelling = false;

  /** Takes one line of JSON as it was written, of level `warn` or above. */
  add(line: string): void {
    const kept = entryOf(line);
    this.#kept.push(kept);
    this.#length += kept.length;
    while (this.#kept.length > ENTRIES_MAX || this.#length > ENTRIES_LENGTH_MAX) {
      this.#length -= this.#kept.shift()?.length ?? 0;
    }
    // A watcher that logs would go round in circles: what it logs is kept and not told.
    if (this.#isTelling) return;
    this.#isTelling = true;
    for (const watcher of [...this.#watchers]) {
      try {
        watcher(kept.entry);
      } catch {
        this.#watchers.delete(watcher);
      }
    }
    this.#isTelling = false;
  }

  /** The last `limit` entries of at least `level`, oldest first. */
  entries(level: RecentLevel, limit: number): LogEntry[] {
    const found: LogEntry[] = [];
    for (let at = this.#kept.length - 1; at >= 0 && found.length < limit; at--) {
      const { entry } = this.#kept[at]!;
      if (level === 'warn' || entry.level === 'error') found.push(entry);
    }
    return found.reverse();
  }

  /** Calls `watcher` with every new entry until the function it returns is called; one that throws hears no more. */
  watch(watcher: (entry: LogEntry) => void): () => void {
    // A function of its own, so that the same watcher may watch twice.
    const own = (entry: LogEntry): void => watcher(entry);
    this.#watchers.add(own);
    return () => void this.#watchers.delete(own);
  }
}

function entryOf(line: string): Kept {
  const { time, level, module, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const message = (typeof msg === 'string' ? msg : '').slice(0, MESSAGE_LENGTH_MAX);
  const length = line.length;
  const fits = length <= FIELDS_LENGTH_MAX + message.length;
  const entry: LogEntry = {
    timeMs: typeof time === 'string' ? Date.parse(time) : 0,
    level: level === 'warn' ? 'warn' : 'error',
    module: typeof module === 'string' ? module : 'broker',
    message,
    fields: fits ? rest : { cut: true },
  };
  return { entry, length: fits ? length : message.length };
}
