/**
 * Listeners of the event stream: what happens is put into text once and written to all. Main thread.
 *
 * Always true: there are at most `listenersMax`; a listener that does not read is dropped when `unsentBytesMax` wait for it;
 * without listeners nothing is read, watched or written. A stream ends after `streamMsMax` at the latest, so that whoever
 * has lost its rights is asked for them again. Gives up: what happened while nobody listened.
 */
import type { ServerResponse } from 'node:http';

import type { Overview, OverviewReading } from '../broker/overview.js';
import type { QueueRow } from '../broker/queue-overview.js';
import { OperatorError } from '../broker/operator-error.js';
import type { LogEntry, RecentLog } from '../telemetry/recent-log.js';
import { logEntryView } from './logs.js';
import { overviewObject } from './overview-view.js';
import { queueRowObject } from './queues-overview.js';

/** The part of a response that is written to. */
export type EventSink = Pick<ServerResponse, 'write' | 'end' | 'destroy' | 'writableLength'>;

interface Listener {
  readonly sink: EventSink;
  /** Names of queues whose rows are wanted; empty: none. */
  readonly queues: ReadonlySet<string>;
  readonly endsAtMs: number;
}

/** Most listeners at a time. */
export const listenersMax = 64;
const unsentBytesMax = 256 * 1024;
const streamMsMax = 10 * 60_000;

/** See the file header. One per server. */
export class EventHub {
  readonly #overview: Overview;
  readonly #log: RecentLog;
  readonly #nowMs: () => number;
  readonly #listeners = new Set<Listener>();
  #unwatch: (() => void)[] = [];

  /** `nowMs` is any clock that does not go back. */
  constructor(overview: Overview, log: RecentLog, nowMs: () => number) {
    this.#overview = overview;
    this.#log = log;
    this.#nowMs = nowMs;
  }

  /** Throws QUOTA_EXCEEDED when there is no place for one more. */
  checkRoom(): void {
    if (this.#listeners.size >= listenersMax) {
      throw new OperatorError('QUOTA_EXCEEDED', `There are ${listenersMax} listeners already`);
    }
  }

  /** Writes events to `sink` until the returned function is called. */
  add(sink: EventSink, queues: ReadonlySet<string>): () => void {
    const listener = { sink, queues, endsAtMs: this.#nowMs() + streamMsMax };
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) {
      this.#unwatch = [
        this.#overview.watch((reading, rows) => this.#onReading(reading, rows)),
        this.#log.watch((entry) => this.#onLog(entry)),
      ];
    }
    return () => this.#remove(listener);
  }

  /** Ends all streams. */
  close(): void {
    for (const listener of [...this.#listeners]) {
      this.#remove(listener);
      listener.sink.end();
    }
  }

  #remove(listener: Listener): void {
    if (!this.#listeners.delete(listener) || this.#listeners.size > 0) return;
    for (const end of this.#unwatch) end();
    this.#unwatch = [];
  }

  #onReading(reading: OverviewReading, rows: readonly QueueRow[]): void {
    const overview = eventText('overview', overviewObject(reading));
    const byName = new Map<string, object>();
    const nowMs = this.#nowMs();
    for (const listener of [...this.#listeners]) {
      const wanted =
        listener.queues.size === 0 ? '' : eventText('queues', { rows: rowsOf(listener, rows, byName) });
      this.#write(listener, overview + wanted);
      if (nowMs >= listener.endsAtMs) {
        this.#remove(listener);
        listener.sink.end();
      }
    }
  }

  #onLog(entry: LogEntry): void {
    const text = eventText('log', logEntryView(entry));
    for (const listener of [...this.#listeners]) this.#write(listener, text);
  }

  #write(listener: Listener, text: string): void {
    const { sink } = listener;
    if (sink.writableLength > unsentBytesMax) {
      this.#remove(listener);
      sink.destroy();
      return;
    }
    sink.write(text);
  }
}

/** The rows that a listener wants; each is made once for all listeners. */
function rowsOf({ queues }: Listener, rows: readonly QueueRow[], byName: Map<string, object>): object[] {
  const found: object[] = [];
  for (const row of rows) {
    const { name } = row.definition;
    if (!queues.has(name)) continue;
    let shown = byName.get(name);
    if (shown === undefined) byName.set(name, (shown = queueRowObject(row)));
    found.push(shown);
  }
  return found;
}

/** One event of a stream. */
function eventText(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
