/**
 * Router rates on one thread: lookups of hot topics by bytes, with and without a hint, beside a string and a `Map`; cold
 * lookups with 100,000 subscriptions; subscribe and unsubscribe; memory per subscription. Bench process.
 *
 * Always true: every lookup finds the targets that it must. A call is a pass over all topics, so that the clock costs
 * nothing.
 */
import type { Route, SubscriptionOptions } from '../../../src/router/route.js';
import { Router } from '../../../src/router/router.js';
import { measure, once, same, type Figure } from '../measure.js';

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

function benchHot(scale: number): Figure[] {
  const topics = 1000;
  const bytes = topicBytes(topics);
  const length = bytes.length / topics;
  const router = routerWithTargets();
  const byName = new Map<string, Route<number>>();
  for (let i = 0; i < topics; i++) {
    const route = router.lookupBytes(bytes, i * length, (i + 1) * length);
    byName.set(route.topicName, route);
  }
  let hint: Route<number> | undefined;
  return measure(scale, [
    {
      name: `lookup by bytes, ${length} B, 1000 hot topics`,
      operations: topics,
      run() {
        let found = 0;
        for (let i = 0; i < topics; i++) {
          found += router.lookupBytes(bytes, i * length, (i + 1) * length).queues.length;
        }
        same('queues found by bytes', found, topics);
      },
    },
    {
      name: `lookup by bytes, ${length} B, with the right hint`,
      operations: topics,
      run() {
        let found = 0;
        for (let i = 0; i < topics; i++) {
          hint = router.lookupBytes(bytes, 0, length, hint);
          found += hint.queues.length;
        }
        same('queues found with a hint', found, topics);
      },
    },
    {
      name: `for comparison: string and Map, ${length} B, 1000 hot topics`,
      operations: topics,
      run() {
        let found = 0;
        for (let i = 0; i < topics; i++) {
          const route = byName.get(bytes.toString('latin1', i * length, (i + 1) * length));
          if (route !== undefined) found += route.queues.length;
        }
        same('queues found by name', found, topics);
      },
    },
    {
      name: 'lookup by bytes, 1000 topics, each after a change elsewhere',
      operations: topics,
      run() {
        let found = 0;
        for (let i = 0; i < topics; i++) {
          if (i % 10 === 0) router.subscribe('elsewhere/+', 99, options);
          found += router.lookupBytes(bytes, i * length, (i + 1) * length).subscribers.length;
        }
        same('subscribers found after a change', found, topics);
      },
    },
  ]);
}

function benchMany(scale: number): Figure[] {
  const count = scale * 100;
  const filters = Array.from({ length: count }, (_, i) =>
    i % 2 === 0 ? `fleet/${i % 100}/device/${i}/state` : `fleet/${i % 100}/device/${i}/+`,
  );
  const topics = Array.from({ length: count }, (_, i) => Buffer.from(`fleet/${i % 100}/device/${i}/state`));
  const router = new Router<number>();
  let found = 0;
  const before = usedHeap();
  const subscribed = once(`subscribe, ${count} filters`, count, () => {
    for (let i = 0; i < count; i++) router.subscribe(filters[i] as string, i, options);
  });
  const heapBytes = (usedHeap() - before) / count;
  const figures: Figure[] = [
    subscribed,
    { name: 'heap per subscription (exact only under --expose-gc)', value: heapBytes, unit: 'bytes' },
    once(`lookup of ${count} topics that come once`, count, () => {
      for (const topic of topics) found += router.lookupBytes(topic, 0, topic.length).subscribers.length;
    }),
    once(`unsubscribe, ${count} filters`, count, () => {
      for (let i = 0; i < count; i++) router.unsubscribe(filters[i] as string, i);
    }),
  ];
  same('subscribers found', found, count);
  return figures;
}

function usedHeap(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

/** Operations are lookups or changes. */
export function benchRouter(scale: number): Figure[] {
  return [...benchHot(scale), ...benchMany(scale)];
}
