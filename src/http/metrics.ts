/**
 * The metrics as Prometheus text. Main thread.
 *
 * Always true: a scrape never fails because of queues or the disk: those whose shard is down, or all while queues are switched
 * off, are left out. Asks for a key like every other route that reads. Cost: a call to a shard per 64 queues.
 * Source: `/metrics` is where Prometheus looks by itself, the other path is EMQX's, so that its scrape settings stay.
 */
import { statfs } from 'node:fs/promises';
import Type from 'typebox';

import type { Admin } from '../broker/admin.js';
import { OperatorError } from '../broker/operator-error.js';
import type { QueueDefinition } from '../queue/definition.js';
import { CounterReader } from '../telemetry/counter.js';
import { OtherQueues } from '../telemetry/other-queues.js';
import { MetricsText, type MetricsSample, type StatusSample } from '../telemetry/prometheus.js';
import { answers, type App, operation, type RouteGroup } from './app.js';

const Text = Type.Unsafe<string>({
  description: 'Prometheus text format',
  content: { 'text/plain': { schema: Type.String() } },
});

const diskMs = 10_000;

/** What is shown besides what every group of routes knows. */
export interface Monitoring {
  /** Queues with series of their own. */
  readonly queuesMax: number;
  /** Whose file system is looked at; left out: none. */
  readonly dataDir?: string;
}

/** Adds the routes; the group lies at the root, because one of them is outside of the API. */
export async function metrics(app: App, group: RouteGroup & { monitoring: Monitoring }): Promise<void> {
  const { counterMemory, monitoring } = group;
  // Made when first asked for: it also watches the event loop and the garbage collector.
  let metricsText: MetricsText | undefined;
  const source = new MetricsSource(group.admin, monitoring);
  const make = inTurns(async (text: MetricsText) => await text.make(await source.read()));

  for (const [url, operationId] of [
    ['/metrics', 'getMetrics'],
    ['/api/v5/prometheus/stats', 'getPrometheusStats'],
  ] as const) {
    app.route({
      method: 'GET',
      url,
      schema: {
        ...operation(group, operationId),
        summary: 'All metrics in the text format of Prometheus',
        description:
          'Those of the queues come from the shards and are exact; the others are up to a second old. The first ' +
          `${monitoring.queuesMax} queues in order of creation have series of their own; the others are summed.`,
        response: answers({ 200: Text }),
      },
      handler: async (_request, reply) => {
        metricsText ??= new MetricsText(new CounterReader(counterMemory), () => performance.now());
        return await reply.type(metricsText.contentType).send(await make(metricsText));
      },
    });
  }
}

/** Reads what the counters do not hold. */
class MetricsSource {
  readonly #admin: Admin;
  readonly #queuesMax: number;
  readonly #dataDir: string | undefined;
  readonly #others = new OtherQueues();
  #disk: StatusSample['disk'];
  #diskAtMs = Number.NEGATIVE_INFINITY;

  constructor(admin: Admin, { queuesMax, dataDir }: Monitoring) {
    this.#admin = admin;
    this.#queuesMax = queuesMax;
    this.#dataDir = dataDir;
  }

  async read(): Promise<MetricsSample> {
    const all = definitionsOf(this.#admin);
    const shown = all.slice(0, this.#queuesMax);
    const [figures, disk] = await Promise.all([this.#admin.queueFigures(all), this.#readDisk()]);
    const queues = shown.flatMap(({ id, name }) => {
      const row = figures.get(id);
      return row === undefined ? [] : [{ name, figures: row }];
    });
    const count = all.length - shown.length;
    const otherIds = new Set(all.slice(this.#queuesMax).map(({ id }) => id));
    const sums = this.#others.add(figures, (queueId) => otherIds.has(queueId));
    const { state, version, uptimeMs } = this.#admin.status();
    const shards = this.#admin
      .shards()
      .map(({ shardId, state: shardState }) => ({ shardId, isUp: shardState === 'up' }));
    const isReady = state === 'running' && shards.every(({ isUp }) => isUp);
    return {
      status: { version, uptimeMs, isReady, shards, disk },
      queues,
      others: count > 0 ? { count, figures: sums } : undefined,
    };
  }

  async #readDisk(): Promise<StatusSample['disk']> {
    const nowMs = performance.now();
    if (this.#dataDir === undefined || nowMs - this.#diskAtMs < diskMs) return this.#disk;
    this.#diskAtMs = nowMs;
    try {
      const { bavail, blocks, bsize } = await statfs(this.#dataDir);
      this.#disk = { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
    } catch {
      this.#disk = undefined;
    }
    return this.#disk;
  }
}

function definitionsOf(admin: Admin): QueueDefinition[] {
  try {
    return admin.queues();
  } catch (error) {
    if (error instanceof OperatorError) return [];
    throw error;
  }
}

/**
 * One call of `read` at a time: whoever asks while one is under way shares the next with all others that do, so that
 * nobody gets what was read before it asked.
 */
function inTurns<A, T>(read: (argument: A) => Promise<T>): (argument: A) => Promise<T> {
  let running: Promise<unknown> | undefined;
  let next: Promise<T> | undefined;
  const start = (argument: A): Promise<T> => {
    const result = read(argument);
    const ended = result.then(
      () => undefined,
      () => undefined,
    );
    running = ended;
    void ended.then(() => {
      if (running === ended) running = undefined;
    });
    return result;
  };
  return (argument) => {
    if (running === undefined) return start(argument);
    next ??= running.then(() => {
      next = undefined;
      return start(argument);
    });
    return next;
  };
}
