/**
 * Prometheus text of all metrics. Main thread, on request.
 *
 * Always true: what is shown is what the catalogue lists, in its order; reading disturbs no writer; what does not change
 * is put together once, so that a text costs about one addition to it per line; with many queues the thread gets its turn
 * after every metric. The metrics of the process itself are the library's: their part is made at most once a second, without
 * those whose cost grows with open connections.
 */
import { statSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { Registry, collectDefaultMetrics } from 'prom-client';

import { slot } from './counter-layout.js';
import { MAIN_BLOCK, workerBlock, type CounterReader } from './counter.js';
import { catalogue, OTHER_QUEUES, queueMetrics, statusMetrics } from './metric-catalogue.js';
import type { Metric, MetricKey, StatusMetric } from './metric-catalogue.js';

/** Figures of one queue, in the order of `queueMetrics`. */
export interface QueueSample {
  readonly name: string;
  readonly figures: Float64Array;
}

/** The broker as a whole at this moment. */
export interface StatusSample {
  readonly version: string;
  readonly uptimeMs: number;
  readonly isReady: boolean;
  readonly shards: readonly { readonly shardId: number; readonly isUp: boolean }[];
  /** Undefined where it is not known. */
  readonly disk: { readonly freeBytes: number; readonly sizeBytes: number } | undefined;
}

/** What is read for one text besides the counters. */
export interface MetricsSample {
  readonly status: StatusSample;
  /** Queues with series of their own. */
  readonly queues: readonly QueueSample[];
  /** Sums of the others, in the order of `queueMetrics`, and how many there are; undefined when there is none. */
  readonly others: { readonly count: number; readonly figures: Float64Array } | undefined;
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
/** Queues whose lines for one metric are written without a pause for others. */
const queuesPerTurn = 200;
/** In place of a block: the sum over all. */
const ALL_BLOCKS = -1;

/** A line, or a piece of a histogram: text, and the slots whose sum follows it, of one thread or of all. */
interface Line {
  readonly text: string;
  readonly first: number;
  readonly count: number;
  readonly block: number;
}

/** See the file header. Watches the event loop and the garbage collector from its creation on, so make one per broker. */
export class MetricsText {
  readonly contentType: string;
  readonly #reader: CounterReader;
  readonly #nowMs: () => number;
  readonly #lines: readonly Line[];
  readonly #process = new Registry();
  #processText: Promise<string> = Promise.resolve('');
  #processAtMs = Number.NEGATIVE_INFINITY;

  /** `nowMs` is any clock that does not go back. */
  constructor(reader: CounterReader, nowMs: () => number) {
    this.#reader = reader;
    this.#nowMs = nowMs;
    this.#lines = Object.entries<Metric>(catalogue).flatMap(([key, metric]) =>
      linesOf(key as MetricKey, metric, reader.shardCount),
    );
    collectDefaultMetrics({ register: this.#process });
    for (const name of costly) this.#process.removeSingleMetric(name);
    this.contentType = this.#process.contentType;
  }

  /** The text of this moment. */
  async make({ status, queues, others }: MetricsSample): Promise<string> {
    const nowMs = this.#nowMs();
    if (nowMs - this.#processAtMs >= processMs) {
      this.#processAtMs = nowMs;
      this.#processText = this.#process.metrics();
    }
    const ofProcess = await this.#processText;
    const reader = this.#reader;
    let text = '';
    for (const { text: line, first, count, block } of this.#lines) {
      let value = 0;
      for (let index = first; index < first + count; index++) {
        value += block === ALL_BLOCKS ? reader.total(index) : reader.of(block, index);
      }
      text += line + value;
    }
    const ofStatus = statusText(status, others?.count ?? 0);
    const ofQueues = await queueText(queues, others?.figures);
    return `${text.slice(1)}\n${ofStatus}${ofQueues}${openFiles()}${ofProcess}`;
  }
}

/** The lines of one metric; each begins with the end of the line before. */
function linesOf(key: MetricKey, metric: Metric, shardCount: number): Line[] {
  const { name, per } = metric;
  const first = slot[key];
  const head = headOf(name, metric.help, metric.kind === 'family' ? 'counter' : metric.kind);
  const lines: Line[] = [];
  for (const { label, block } of blocksOf(per, shardCount)) {
    const add = (suffix: string, labels: string, at: number, count: number): void => {
      const all = [label, labels].filter((part) => part !== '').join(',');
      const text = `\n${name}${suffix}${all === '' ? '' : `{${all}}`} `;
      lines.push({ text: lines.length === 0 ? head + text : text, first: at, count, block });
    };
    if (metric.kind === 'family') {
      for (const [index, value] of metric.values.entries()) {
        if (value !== undefined) add('', `${metric.label}="${escapeLabel(value)}"`, first + index, 1);
      }
    } else if (metric.kind === 'histogram') {
      const { bounds } = metric;
      for (const [index, bound] of [...bounds, '+Inf'].entries()) {
        add('_bucket', `le="${bound}"`, first, index + 1);
      }
      add('_sum', '', first + bounds.length + 1, 1);
      add('_count', '', first, bounds.length + 1);
    } else {
      add('', '', first, 1);
    }
  }
  return lines;
}

/** The blocks that are shown one by one, each with its label; or the sum of all. */
function blocksOf(per: Metric['per'], shardCount: number): { label: string; block: number }[] {
  if (per === undefined) return [{ label: '', block: ALL_BLOCKS }];
  const workers = Array.from({ length: shardCount }, (_, shardId) => ({
    label: per === 'shard' ? `shard="${shardId}"` : `thread="shard-${shardId}"`,
    block: workerBlock(shardId),
  }));
  return per === 'shard' ? workers : [{ label: 'thread="main"', block: MAIN_BLOCK }, ...workers];
}

function statusText({ version, uptimeMs, isReady, shards, disk }: StatusSample, unshown: number): string {
  const { info, uptimeSeconds, ready, shardUp, diskFreeBytes, diskSizeBytes, queuesUnshown } = statusMetrics;
  let text = statusLines(info, [[version], 1]);
  text += statusLines(uptimeSeconds, [[], uptimeMs / 1000]);
  text += statusLines(ready, [[], Number(isReady)]);
  text += statusLines(
    shardUp,
    ...shards.map(({ shardId, isUp }) => [[String(shardId)], Number(isUp)] as const),
  );
  if (disk !== undefined) {
    text += statusLines(diskFreeBytes, [[], disk.freeBytes]);
    text += statusLines(diskSizeBytes, [[], disk.sizeBytes]);
  }
  return text + statusLines(queuesUnshown, [[], unshown]);
}

/** Each sample is the values of its labels and its own. */
function statusLines(
  { name, help, kind, labels }: StatusMetric,
  ...samples: (readonly [readonly string[], number])[]
): string {
  let text = headOf(name, help, kind).slice(1);
  for (const [values, value] of samples) {
    const pairs = labels.map((label, index) => `${label}="${escapeLabel(values[index] ?? '')}"`);
    text += `\n${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`;
  }
  return `${text}\n`;
}

async function queueText(queues: readonly QueueSample[], others: Float64Array | undefined): Promise<string> {
  const shown = others === undefined ? queues : [...queues, { name: OTHER_QUEUES, figures: others }];
  const labels = shown.map(({ name }) => `{queue="${escapeLabel(name)}"} `);
  let text = '';
  let lines = 0;
  for (const [index, { name, help, kind, scale }] of queueMetrics.entries()) {
    text += headOf(name, help, kind).slice(1);
    for (let queue = 0; queue < shown.length; queue++) {
      text += `\n${name}${labels[queue]}${(shown[queue]!.figures[index] ?? 0) * scale}`;
    }
    text += '\n';
    lines += shown.length;
    if (lines < queuesPerTurn) continue;
    lines = 0;
    await turn();
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
