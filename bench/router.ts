/**
 * Router rates on one thread: lookups of hot topics by bytes, with and without a hint, beside a string and a
 * `Map`; cold lookups with 100,000 subscriptions; subscribe and unsubscribe; memory per subscription. Best of
 * several rounds, as in bench/mqtt.ts. The quick tests run it with tiny counts so that it cannot rot.
 */
import { pathToFileURL } from 'node:url';
import type { Route, SubscriptionOptions } from '../src/router/route.js';
import { Router } from '../src/router/router.js';
import type { BenchResult } from './mqtt.js';

const options: SubscriptionOptions = {
  qos: 1,
  noLocal: false,
  retainAsPublished: false,
  subscriptionIdentifier: 0,
};

function measure(name: string, rounds: number, operations: number, run: () => void): BenchResult {
  let best = 0;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    run();
    best = Math.max(best, (operations * 1000) / (performance.now() - start));
  }
  return { name, perSecond: best };
}

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
  const turns = Math.max(1, Math.floor(scale / 10));
  let hint: Route<number> | undefined;
  return [
    measure(`lookup by bytes, ${length} B, 1000 hot topics`, 5, turns * topics, () => {
      for (let turn = 0; turn < turns; turn++) {
        for (let i = 0; i < topics; i++) {
          found += router.lookupBytes(bytes, i * length, (i + 1) * length).queues.length;
        }
      }
    }),
    measure(`lookup by bytes, ${length} B, with the right hint`, 5, turns * topics, () => {
      for (let i = 0; i < turns * topics; i++) {
        hint = router.lookupBytes(bytes, 0, length, hint);
        found += hint.queues.length;
      }
    }),
    measure(`for comparison: string and Map, ${length} B, 1000 hot topics`, 5, turns * topics, () => {
      for (let turn = 0; turn < turns; turn++) {
        for (let i = 0; i < topics; i++) {
          const route = byName.get(bytes.toString('latin1', i * length, (i + 1) * length));
          if (route !== undefined) found += route.queues.length;
        }
      }
    }),
    measure('lookup by bytes, 1000 topics, each after a change elsewhere', 3, turns * topics, () => {
      for (let turn = 0; turn < turns; turn++) {
        for (let i = 0; i < topics; i++) {
          if (i % 10 === 0) router.subscribe('elsewhere/+', 99, options);
          found += router.lookupBytes(bytes, i * length, (i + 1) * length).queues.length;
        }
      }
    }),
  ];
}

function benchMany(scale: number): BenchResult[] {
  const count = scale * 100;
  const filters = Array.from({ length: count }, (_, i) =>
    i % 2 === 0 ? `fleet/${i % 100}/device/${i}/state` : `fleet/${i % 100}/device/${i}/+`,
  );
  const topics = Array.from({ length: count }, (_, i) => Buffer.from(`fleet/${i % 100}/device/${i}/state`));
  const router = new Router<number>();
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  let found = 0;
  const results = [
    measure(`subscribe, ${count} filters`, 1, count, () => {
      for (let i = 0; i < count; i++) router.subscribe(filters[i]!, i, options);
    }),
  ];
  globalThis.gc?.();
  const perSubscription = (process.memoryUsage().heapUsed - before) / count;
  results.push(
    { name: 'heap bytes per subscription (exact only under --expose-gc)', perSecond: perSubscription },
    measure(`lookup of ${count} topics that come once`, 1, count, () => {
      for (const topic of topics) found += router.lookupBytes(topic, 0, topic.length).subscribers.length;
    }),
    measure(`unsubscribe, ${count} filters`, 1, count, () => {
      for (let i = 0; i < count; i++) router.unsubscribe(filters[i]!, i);
    }),
  );
  if (found !== count) throw new Error(`found ${found} subscribers of ${count}`);
  return results;
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
