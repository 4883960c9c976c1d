/**
 * Prometheus text of all metrics. Main thread, on request.
 *
 * Always true: what is shown is what the catalogue lists, in its order; reading disturbs no writer; what does not change
 * is put together once, so that a text costs about one addition to it per line. The metrics of the process itself are
 * the library's: their part is made at most once a second, without those whose cost grows with open connections.
 * Gives up: queues beyond `QUEUES_SHOWN_MAX` are counted, not shown; the sums over all queues have them.
 * 20 queues: 0.12 ms, by the library 1.5.
 */
import { statSync } from 'node:fs';
import { Registry, collectDefaultMetrics } from 'prom-client';

import { slot } from './counter-layout.js';
import type { CounterReader } from './counter.js';
import { catalogue, queueMetrics } from './metric-catalogue.js';
import type { Metric, MetricKey } from './metric-catalogue.js';

/** Queues shown one by one: what a time series database is asked to keep is bounded. */
export const QUEUES_SHOWN_MAX = 1000;

/** Figures of one queue, in the order of `queueMetrics`. */
export interface QueueSample {
  readonly name: string;
  readonly figures: Float64Array;
}

/** Metrics of the library that list every handle, or every file, to count them. */
const costly = [
  'nodejs_active_resources',
  'nodejs_active_resources_total',
  'nodejs_active_handles',
  'nodejs_active_handles_total',
  'nodejs_active_requests',
  'nodejs_active_requests_total',
  'process_open_fds',
] as const;
const processMs = 1000;

/** A line, or a piece of a histogram: text, and the slots whose sum follows it. */
interface Line {
  readonly text: string;
  readonly first: number;
  readonly count: number;
}

/** See the file header. Watches the event loop and the garbage collector from its creation on, so make one per broker. */
export class MetricsText {
  readonly contentType: string;
  readonly #reader: CounterReader;
  readonly #nowMs: () => number;
  readonly #lines: readonly Line[] = Object.entries<Metric>(catalogue).flatMap(([key, metric]) =>
    linesOf(key as MetricKey, metric),
  );
  readonly #process = new Registry();
  #processText: Promise<string> = Promise.resolve('');
  #processAtMs = Number.NEGATIVE_INFINITY;

  /** `nowMs` is any clock that does not go back. */
  constructor(reader: CounterReader, nowMs: () => number) {
    this.#reader = reader;
    this.#nowMs = nowMs;
    collectDefaultMetrics({ register: this.#process });
    for (const name of costly) this.#process.removeSingleMetric(name);
    this.contentType = this.#process.contentType;
  }

  /** The text with these queues, at most `QUEUES_SHOWN_MAX`. */
  async make(queues: readonly QueueSample[]): Promise<string> {
    const nowMs = this.#nowMs();
    if (nowMs - this.#processAtMs >= processMs) {
      this.#processAtMs = nowMs;
      this.#processText = this.#process.metrics();
    }
    const ofProcess = await this.#processText;
    const reader = this.#reader;
    let text = '';
    for (const { text: line, first, count } of this.#lines) {
      let value = 0;
      for (let index = 0; index < count; index++) value += reader.total(first + index);
      text += line + value;
    }
    return `${text.slice(1)}\n${queueText(queues)}${openFiles()}${ofProcess}`;
  }
}

/** The lines of one metric; each begins with the end of the line before. */
function linesOf(key: MetricKey, metric: Metric): Line[] {
  const { name } = metric;
  const first = slot[key];
  const head = headOf(name, metric.help, metric.kind === 'family' ? 'counter' : metric.kind);
  const lines: Line[] = [];
  const add = (text: string, at: number, count: number): void => {
    lines.push({ text: `${lines.length === 0 ? head : ''}\n${text} `, first: at, count });
  };
  if (metric.kind === 'family') {
    for (const [index, value] of metric.values.entries()) {
      if (value !== undefined) add(`${name}{${metric.label}="${escapeLabel(value)}"}`, first + index, 1);
    }
  } else if (metric.kind === 'histogram') {
    const { bounds } = metric;
    for (const [index, bound] of [...bounds, '+Inf'].entries()) {
      add(`${name}_bucket{le="${bound}"}`, first, index + 1);
    }
    add(`${name}_sum`, first + bounds.length + 1, 1);
    add(`${name}_count`, first, bounds.length + 1);
  } else {
    add(name, first, 1);
  }
  return lines;
}

function queueText(queues: readonly QueueSample[]): string {
  const shown = queues.slice(0, QUEUES_SHOWN_MAX);
  const labels = shown.map(({ name }) => `{queue="${escapeLabel(name)}"} `);
  let text = '';
  for (const [index, { name, help, kind, scale }] of queueMetrics.entries()) {
    text += headOf(name, help, kind).slice(1);
    for (let queue = 0; queue < shown.length; queue++) {
      text += `\n${name}${labels[queue]}${(shown[queue]!.figures[index] ?? 0) * scale}`;
    }
    text += '\n';
  }
  return text;
}

/** Open files from the size of their directory, which Linux tells since 6.2; nothing elsewhere. */
function openFiles(): string {
  try {
    const { size } = statSync('/proc/self/fd');
    if (size === 0) return '';
    const name = 'process_open_fds';
    return `${headOf(name, 'Number of open file descriptors.', 'gauge').slice(1)}\n${name} ${size}\n`;
  } catch {
    return '';
  }
}

function headOf(name: string, help: string, type: string): string {
  const escaped = help.replaceAll('\\', String.raw`\\`).replaceAll('\n', String.raw`\n`);
  return `\n# HELP ${name} ${escaped}\n# TYPE ${name} ${type}`;
}

function escapeLabel(value: string): string {
  return value
    .replaceAll('\\', String.raw`\\`)
    .replaceAll('"', String.raw`\"`)
    .replaceAll('\n', String.raw`\n`);
}
