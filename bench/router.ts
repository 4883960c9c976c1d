/**
 * Router rates on one thread: lookups of hot topics by bytes, with and without a hint, beside a string and a
 * `Map`; cold lookups with 100,000 subscriptions; subscribe and unsubscribe; memory per subscription. A sample is a
 * pass over all topics, so that the clock costs nothing; the figure is the best pass, because the machine may be
 * shared. The quick tests run it with tiny counts so that it cannot rot.
 */
import { pathToFileURL } from 'node:url';
import { Bench } from 'tinybench';
import type { Route, SubscriptionOptions } from '../src/router/route.js';
import { Router } from '../src/router/router.js';
import type { BenchResult } from './mqtt.js';

const options: SubscriptionOptions = {
  qos: 1,
  noLocal: false,
  retainAsPublished: false,
  subscriptionIdentifier: 0,
};

/** A router with a queue on all topics of the bench and some wildcard subscribers. */
function routerWithTargets(): Router<number> {
  const router = new Router<number>();
  router.addQueue('plant/#', { queueId: 1, shardId: 0 });
  for (let i = 0; i < 10; i++) router.subscribe(`plant/${i}/+/+/sensor/#`, i, options);
  return router;
}

/** Topics of 33 bytes, written one behind the other as in a read chunk. */
function topicBytes(count: number): Buffer {
  return Buffer.concat(
    Array.from({ length: count }, (_, i) =>
      Buffer.from(`plant/${i % 10}/line/${String(i).padStart(4, '0')}/sensor/temperat`),
    ),
  );
}

function benchHot(scale: number): BenchResult[] {
  const topics = 1000;
  const bytes = topicBytes(topics);
  const length = bytes.length / topics;
  const router = routerWithTargets();
  const byName = new Map<string, Route<number>>();
  let found = 0;
  for (let i = 0; i < topics; i++) {
    const route = router.lookupBytes(bytes, i * length, (i + 1) * length);
    byName.set(route.topicName, route);
  }
  let hint: Route<number> | undefined;
  const bench = new Bench({ time: scale / 2, iterations: 5, warmupTime: scale / 10, warmupIterations: 1 });
  bench
    .add(`lookup by bytes, ${length} B, 1000 hot topics`, () => {
      for (let i = 0; i < topics; i++) {
        found += router.lookupBytes(bytes, i * length, (i + 1) * length).queues.length;
      }
    })
    .add(`lookup by bytes, ${length} B, with the right hint`, () => {
      for (let i = 0; i < topics; i++) {
        hint = router.lookupBytes(bytes, 0, length, hint);
        found += hint.queues.length;
      }
    })
    .add(`for comparison: string and Map, ${length} B, 1000 hot topics`, () => {
      for (let i = 0; i < topics; i++) {
        const route = byName.get(bytes.toString('latin1', i * length, (i + 1) * length));
        if (route !== undefined) found += route.queues.length;
      }
    })
    .add('lookup by bytes, 1000 topics, each after a change elsewhere', () => {
      for (let i = 0; i < topics; i++) {
        if (i % 10 === 0) router.subscribe('elsewhere/+', 99, options);
        found += router.lookupBytes(bytes, i * length, (i + 1) * length).queues.length;
      }
    });
  return bench.runSync().map(({ name, result }) => {
    if (result.state !== 'completed' || found === 0) throw new Error(`${name} is ${result.state}`);
    return { name, perSecond: (topics * 1000) / result.latency.min };
  });
}

function benchMany(scale: number): BenchResult[] {
  const count = scale * 100;
  const filters = Array.from({ length: count }, (_, i) =>
    i % 2 === 0 ? `fleet/${i % 100}/device/${i}/state` : `fleet/${i % 100}/device/${i}/+`,
  );
  const topics = Array.from({ length: count }, (_, i) => Buffer.from(`fleet/${i % 100}/device/${i}/state`));
  const router = new Router<number>();
  let found = 0;
  const before = usedHeap();
  const rates = [
    once(`subscribe, ${count} filters`, count, () => {
      for (let i = 0; i < count; i++) router.subscribe(filters[i]!, i, options);
    }),
  ];
  const heapBytes = (usedHeap() - before) / count;
  rates.push(
    { name: 'heap bytes per subscription (exact only under --expose-gc)', perSecond: heapBytes },
    once(`lookup of ${count} topics that come once`, count, () => {
      for (const topic of topics) found += router.lookupBytes(topic, 0, topic.length).subscribers.length;
    }),
    once(`unsubscribe, ${count} filters`, count, () => {
      for (let i = 0; i < count; i++) router.unsubscribe(filters[i]!, i);
    }),
  );
  if (found !== count) throw new Error(`found ${found} subscribers of ${count}`);
  return rates;
}

/** What can be done only once: the library would run it again. */
function once(name: string, operations: number, run: () => void): BenchResult {
  const startMs = performance.now();
  run();
  return { name, perSecond: (operations * 1000) / (performance.now() - startMs) };
}

function usedHeap(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

/** Runs every bench; `scale` 1 proves only that it runs, 1000 measures. */
export function benchRouter(scale: number): BenchResult[] {
  return [...benchHot(scale), ...benchMany(scale)];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const { name, perSecond } of benchRouter(1000)) {
    console.log(`${name.padEnd(72)} ${Math.round(perSecond).toLocaleString('en').padStart(14)}`);
  }
}
