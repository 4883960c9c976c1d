/**
 * What the broker tells once per second, shared by all pages over one stream. In the browser.
 *
 * Always true: there is at most one stream per tab, open only while somebody is logged in and the tab is visible (browsers
 * allow six connections per host, and nobody reads a hidden chart); it asks for exactly the queues that pages watch now.
 * `overview` and `queueRows` are the last reading; `samples` and `queueSamples` the last ten minutes of what was seen.
 */
import { effect, signal } from '@preact/signals';

import { EventStream, type StreamState } from './event-stream.js';
import { History } from './history.js';
import { session } from './session.js';
import type { LogEntry, Overview, QueueRow } from './types.js';

/** The last reading of the broker. */
export const overview = signal<Overview | undefined>(undefined);
/** How the stream is doing. */
export const streamState = signal<StreamState>('closed');
/** The last reading of every watched queue, by name. */
export const queueRows = signal<ReadonlyMap<string, QueueRow>>(new Map());

/** Columns of `samples`, in order. */
export const sampleFields = [
  (reading: Overview) => reading.connections,
  (reading: Overview) => reading.messages_in_per_s,
  (reading: Overview) => reading.messages_out_per_s,
  (reading: Overview) => reading.queues.ready,
  (reading: Overview) => reading.queues.in_flight,
  (reading: Overview) => reading.queues.oldest_age_ms,
  (reading: Overview) => reading.main_load,
  (reading: Overview) => Math.max(0, ...reading.shards.map(({ load = NaN }) => load)),
  (reading: Overview) => reading.memory_bytes,
  (reading: Overview) => reading.heap_bytes,
  (reading: Overview) => reading.disk_bytes,
  (reading: Overview) => reading.bytes_in_per_s,
  (reading: Overview) => reading.bytes_out_per_s,
] as const;

/** The broker's figures over time; columns as in `sampleFields`. Read it where `overview` is read: both change together. */
export const samples = new History(sampleFields.length);

/** Columns of `queueSamples`, in order. */
export const queueSampleFields = [
  (row: QueueRow) => row.ready,
  (row: QueueRow) => row.in_flight,
  (row: QueueRow) => row.in_rate,
  (row: QueueRow) => row.out_rate,
  (row: QueueRow) => row.oldest_age_ms,
] as const;

const histories = new Map<string, History>();
const historiesMax = 300;
/** The broker takes request lines and headers of 16 KB. */
const watchedCharsMax = 8000;
const reopenMs = 200;
const hiddenMs = 5000;

const watchers = new Map<symbol, readonly string[]>();
const watched = signal('');
const logListeners = new Set<(entry: LogEntry) => void>();
const isVisible = signal(document.visibilityState === 'visible');
let visibilityTimer = 0;
let watchTimer = 0;

const stream = new EventStream({
  event(name, data) {
    if (name === 'overview') takeOverview(data as Overview);
    else if (name === 'queues') takeQueues((data as { rows: readonly QueueRow[] }).rows);
    else if (name === 'log') for (const listener of logListeners) listener(data as LogEntry);
  },
  state(state) {
    streamState.value = state;
  },
});

document.addEventListener('visibilitychange', () => {
  clearTimeout(visibilityTimer);
  if (document.visibilityState === 'visible') isVisible.value = true;
  else visibilityTimer = window.setTimeout(() => (isVisible.value = false), hiddenMs);
});

/** Starts to follow login, visibility and what pages watch; called once, when the page starts. */
export function startLive(): void {
  effect(() => {
    const token = session.value?.token;
    const queues = watched.value;
    if (token === undefined) forget();
    if (token === undefined || !isVisible.value) stream.close();
    else stream.open('/events', { queues });
  });
}

/** Figures of a watched queue over time; undefined before the first. Columns as in `queueSampleFields`. */
export function queueSamples(name: string): History | undefined {
  return histories.get(name);
}

/**
 * Asks for the figures of these queues from now on, beside those that others watch; gives the function that ends it. Names beyond
 * what one request can carry are left out.
 */
export function watchQueues(names: readonly string[]): () => void {
  const key = Symbol('watcher');
  watchers.set(key, names);
  scheduleWatch();
  return () => {
    watchers.delete(key);
    scheduleWatch();
  };
}

/** Calls `listener` with every new warning and error; gives the function that ends it. */
export function watchLog(listener: (entry: LogEntry) => void): () => void {
  logListeners.add(listener);
  return () => logListeners.delete(listener);
}

/** Several changes while a table is scrolled are one new request. */
function scheduleWatch(): void {
  clearTimeout(watchTimer);
  watchTimer = window.setTimeout(() => {
    let text = '';
    for (const name of new Set([...watchers.values()].flat())) {
      // A comma separates names, and a name may hold one.
      const next = `${text}${text === '' ? '' : ','}${encodeURIComponent(name)}`;
      if (encodeURIComponent(next).length > watchedCharsMax) break;
      text = next;
    }
    watched.value = text;
  }, reopenMs);
}

function takeOverview(reading: Overview): void {
  samples.add(
    reading.time_ms,
    sampleFields.map((field) => field(reading)),
  );
  overview.value = reading;
}

function takeQueues(rows: readonly QueueRow[]): void {
  const timeMs = Date.now();
  for (const row of rows) {
    const history = histories.get(row.name) ?? new History(queueSampleFields.length);
    // The queue that was read last goes to the end: the first one has been out of sight for longest.
    histories.delete(row.name);
    histories.set(row.name, history);
    history.add(
      timeMs,
      queueSampleFields.map((field) => field(row)),
    );
  }
  for (const name of histories.keys()) {
    if (histories.size <= historiesMax) break;
    histories.delete(name);
  }
  queueRows.value = new Map(rows.map((row) => [row.name, row]));
}

function forget(): void {
  overview.value = undefined;
  queueRows.value = new Map();
  samples.clear();
  histories.clear();
}
