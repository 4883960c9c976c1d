/**
 * Prometheus text of all metrics. Runs on the main thread, on request.
 *
 * Always true: what is shown is what the catalogue lists, in its order; reading disturbs no writer. Our counters
 * live in shared memory, so they enter prom-client's registry as objects that answer `get()`, which is all that
 * the registry asks of a metric; the text format and the metrics of the process itself are the library's.
 */
import { Registry, collectDefaultMetrics } from 'prom-client';
import type { Metric as RegisteredMetric } from 'prom-client';

import { slot } from './counter-layout.js';
import type { CounterReader } from './counter.js';
import { catalogue, queueMetrics } from './metric-catalogue.js';
import type { Metric, MetricKey, QueueMetric } from './metric-catalogue.js';

interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName?: string;
}

/** Statistics of one queue by field name, as `QueueStats` has them. */
export interface QueueSample {
  readonly name: string;
  readonly stats: Readonly<Record<string, number>>;
}

/**
 * A registry of every metric; `registry.metrics()` gives the text. `readQueues` is asked once per text for the
 * queues to show. Every registry collects the metrics of the process, so make one per broker.
 */
export function createRegistry(
  reader: CounterReader,
  readQueues: () => Promise<readonly QueueSample[]>,
): Registry {
  const registry = new Registry();
  for (const [key, metric] of Object.entries<Metric>(catalogue)) {
    register(registry, metric.name, metric.help, typeOf(metric), () =>
      Promise.resolve(samplesOf(key as MetricKey, metric, reader)),
    );
  }
  const queues = shared(readQueues);
  for (const metric of queueMetrics) {
    register(registry, metric.name, metric.help, metric.kind, async () =>
      queueSamples(metric, await queues()),
    );
  }
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** Samples of one metric of the catalogue, summed over all threads. */
function samplesOf(key: MetricKey, metric: Metric, reader: CounterReader): Sample[] {
  const first = slot[key];
  if (metric.kind === 'family') {
    return metric.values.flatMap((value, index) =>
      value === undefined ? [] : [{ labels: { [metric.label]: value }, value: reader.total(first + index) }],
    );
  }
  if (metric.kind !== 'histogram') return [{ labels: {}, value: reader.total(first) }];
  const samples: Sample[] = [];
  let count = 0;
  for (const [index, bound] of [...metric.bounds, '+Inf'].entries()) {
    count += reader.total(first + index);
    samples.push({ metricName: `${metric.name}_bucket`, labels: { le: bound }, value: count });
  }
  const sum = reader.total(first + metric.bounds.length + 1);
  samples.push({ metricName: `${metric.name}_sum`, labels: {}, value: sum });
  samples.push({ metricName: `${metric.name}_count`, labels: {}, value: count });
  return samples;
}

function queueSamples(metric: QueueMetric, queues: readonly QueueSample[]): Sample[] {
  return queues.map(({ name, stats }) => ({
    labels: { queue: name },
    value: (stats[metric.field] ?? 0) * metric.scale,
  }));
}

function typeOf(metric: Metric): string {
  return metric.kind === 'family' ? 'counter' : metric.kind;
}

function register(
  registry: Registry,
  name: string,
  help: string,
  type: string,
  read: () => Promise<Sample[]>,
): void {
  const metric = { name, help, type, get: async () => ({ name, help, type, values: await read() }) };
  registry.registerMetric(metric as unknown as RegisteredMetric);
}

/** One call of `read` for all that ask while it is under way: the metrics of one text ask in the same turn. */
function shared<T>(read: () => Promise<T>): () => Promise<T> {
  let pending: Promise<T> | undefined;
  return () => {
    pending ??= read().finally(() => {
      pending = undefined;
    });
    return pending;
  };
}
