/** The router: merging, queues, and a cache that is never stale. Quick tier. */
import { describe, expect, test } from 'vitest';
import type { Route, SubscriptionOptions } from '../../src/router/route.js';
import { Router } from '../../src/router/router.js';
import { Random, testSeed } from '../mqtt/random.js';
import { matchesNaively } from './naive-matcher.js';
import { smallFilter, smallTopic } from './random-topics.js';

const seed = testSeed();

function options(changes: Partial<SubscriptionOptions> = {}): SubscriptionOptions {
  return { qos: 0, noLocal: false, retainAsPublished: false, subscriptionIdentifier: 0, ...changes };
}

function ascending(a: number, b: number): number {
  return a - b;
}

describe('overlapping subscriptions', () => {
  test('a subscriber is in a route once, with the highest QoS of its subscriptions [MQTT-3.3.4-2]', () => {
    const router = new Router<string>();
    router.subscribe('a/b', 'anna', options({ qos: 0 }));
    router.subscribe('a/+', 'anna', options({ qos: 2 }));
    router.subscribe('#', 'anna', options({ qos: 1 }));
    const { subscribers } = router.lookup('a/b');
    expect(subscribers.length).toBe(1);
    expect(subscribers[0]!.grant.qos).toBe(2);
  });

  test('all Subscription Identifiers of the matching subscriptions are there, repeats included [MQTT-3.3.4-4]', () => {
    const router = new Router<string>();
    router.subscribe('a/b', 'anna', options({ subscriptionIdentifier: 7 }));
    router.subscribe('a/+', 'anna', options({ subscriptionIdentifier: 7 }));
    router.subscribe('a/#', 'anna', options());
    router.subscribe('#', 'anna', options({ subscriptionIdentifier: 9 }));
    const [anna] = router.lookup('a/b').subscribers;
    expect([...anna!.grant.subscriptionIdentifiers].sort(ascending)).toEqual([7, 7, 9]);
  });

  test('one subscription that asks for Retain As Published is enough [broker]', () => {
    const router = new Router<string>();
    router.subscribe('a', 'anna', options());
    expect(router.lookup('a').subscribers[0]!.grant.retainAsPublished).toBe(false);
    router.subscribe('+', 'anna', options({ retainAsPublished: true }));
    expect(router.lookup('a').subscribers[0]!.grant.retainAsPublished).toBe(true);
  });

  test('No Local holds own messages back [MQTT-3.8.3-3]', () => {
    const router = new Router<string>();
    router.subscribe('a', 'anna', options({ noLocal: true }));
    const [anna] = router.lookup('a').subscribers;
    expect(anna!.grant.qos).toBe(0);
    expect(anna!.ownGrant).toBeUndefined();
  });

  test('own messages are granted what the subscriptions without No Local grant [MQTT-3.8.3-3]', () => {
    const router = new Router<string>();
    router.subscribe('a', 'anna', options({ qos: 2, noLocal: true, subscriptionIdentifier: 1 }));
    router.subscribe('+', 'anna', options({ qos: 1, subscriptionIdentifier: 2 }));
    router.subscribe('#', 'anna', options({ qos: 0, subscriptionIdentifier: 3 }));
    const [anna] = router.lookup('a').subscribers;
    expect(anna!.grant.qos).toBe(2);
    expect([...anna!.grant.subscriptionIdentifiers].sort(ascending)).toEqual([1, 2, 3]);
    expect(anna!.ownGrant!.qos).toBe(1);
    expect([...anna!.ownGrant!.subscriptionIdentifiers].sort(ascending)).toEqual([2, 3]);
  });

  test('a repeated SUBSCRIBE replaces the options of its filter [MQTT-3.8.4-3]', () => {
    const router = new Router<string>();
    expect(router.subscribe('a', 'anna', options({ qos: 2 }))).toBe(false);
    expect(router.lookup('a').subscribers[0]!.grant.qos).toBe(2);
    expect(router.subscribe('a', 'anna', options({ qos: 1 }))).toBe(true);
    expect(router.lookup('a').subscribers[0]!.grant.qos).toBe(1);
    expect(router.subscriptionCount).toBe(1);
  });
});

describe('queues', () => {
  test('the queues of a topic are grouped by shard, each queue once [queue-1]', () => {
    const router = new Router<string>();
    router.addQueue('jobs/#', { queueId: 11, shardId: 1 });
    router.addQueue('jobs/+', { queueId: 12, shardId: 0 });
    router.addQueue('jobs/a', { queueId: 13, shardId: 1 });
    router.addQueue('jobs/a', { queueId: 14, shardId: 1 });
    const groups = router
      .lookup('jobs/a')
      .queues.map((group) => [group.shardId, [...group.queueIds].sort(ascending)]);
    expect(groups).toEqual([
      [0, [12]],
      [1, [11, 13, 14]],
    ]);
    expect(router.queueCount).toBe(4);
  });

  test('no queue takes a topic under $SYS, whatever its filter [queue-1]', () => {
    const router = new Router<string>();
    router.addQueue('$SYS/#', { queueId: 1, shardId: 0 });
    router.addQueue('$SYS/broker', { queueId: 2, shardId: 0 });
    router.addQueue('$SYSTEM/#', { queueId: 3, shardId: 0 });
    router.subscribe('$SYS/#', 'anna', options());
    expect(router.lookup('$SYS/broker').queues).toEqual([]);
    expect(router.lookup('$SYS').queues).toEqual([]);
    expect(router.lookup('$SYS/broker').subscribers.length).toBe(1);
    expect(router.lookup('$SYSTEM/a').queues.length).toBe(1);
  });

  test('a queue whose filter begins with a wildcard takes no $ topic [MQTT-4.7.2-1]', () => {
    const router = new Router<string>();
    router.addQueue('#', { queueId: 1, shardId: 0 });
    router.addQueue('+/x', { queueId: 2, shardId: 0 });
    expect(router.lookup('$queue/x').queues).toEqual([]);
    expect(router.lookup('a/x').queues[0]!.queueIds.length).toBe(2);
  });

  test('a removed queue is in no route any more [broker]', () => {
    const router = new Router<string>();
    router.addQueue('a/#', { queueId: 1, shardId: 3 });
    expect(router.lookup('a').queues.length).toBe(1);
    expect(router.removeQueue('a/#', 2)).toBe(false);
    expect(router.removeQueue('a/#', 1)).toBe(true);
    expect(router.lookup('a').queues).toEqual([]);
  });
});

describe('cache', () => {
  test('an unchanged topic gets the same route object, also from another buffer [broker]', () => {
    const router = new Router<string>();
    router.subscribe('a/+', 'anna', options());
    const route = router.lookup('a/b');
    const other = Buffer.from('xxa/bxx');
    expect(router.lookupBytes(other, 2, 5)).toBe(route);
    expect(router.lookupBytes(other, 2, 5, route)).toBe(route);
    other.fill(0);
    expect(router.lookup('a/b')).toBe(route);
    expect(route.topicName).toBe('a/b');
  });

  test('a change under another prefix leaves a route as it is [broker]', () => {
    const router = new Router<string>();
    router.subscribe('a/b/+', 'anna', options());
    const route = router.lookup('a/b/c');
    router.subscribe('a/x/#', 'bert', options());
    router.subscribe('b', 'bert', options());
    expect(router.lookup('a/b/c')).toBe(route);
    router.subscribe('a/b/#', 'bert', options());
    expect(router.lookup('a/b/c')).not.toBe(route);
    expect(router.lookup('a/b/c').subscribers.length).toBe(2);
  });

  test(`no lookup is stale under random changes, with any hint and a cache of any size, seed ${seed} [broker]`, () => {
    for (const [entries, bytes] of [
      [8, 100_000],
      [64, 30_000],
      [1024, 10_000_000],
    ] as const) {
      const random = new Random(seed + entries);
      const router = new Router<number>({ cacheEntriesMax: entries, cacheBytesMax: bytes });
      const subscriptions = new Map<string, { filter: string; subscriber: number; qos: number }>();
      const queues = new Map<number, { filter: string; shardId: number }>();
      let hint: Route<number> | undefined;
      for (let step = 0; step < 2500; step++) {
        const filter = smallFilter(random);
        const subscriber = random.below(5);
        const id = `${subscriber} ${filter}`;
        switch (random.below(12)) {
          case 0: {
            const qos = random.below(3);
            router.subscribe(filter, subscriber, options({ qos }));
            subscriptions.set(id, { filter, subscriber, qos });
            break;
          }
          case 1:
            expect(router.unsubscribe(filter, subscriber)).toBe(subscriptions.delete(id));
            break;
          case 2: {
            const queueId = 1 + random.below(20);
            const before = queues.get(queueId);
            if (before === undefined) {
              const shardId = random.below(3);
              router.addQueue(filter, { queueId, shardId });
              queues.set(queueId, { filter, shardId });
            } else {
              expect(router.removeQueue(before.filter, queueId)).toBe(true);
              queues.delete(queueId);
            }
            break;
          }
          default: {
            const topicName = smallTopic(random);
            const bytes = Buffer.from(topicName);
            const route = router.lookupBytes(bytes, 0, bytes.length, random.chance(0.5) ? hint : undefined);
            hint = route;
            expect(route.topicName).toBe(topicName);
            const expected = new Map<number, number>();
            for (const entry of subscriptions.values()) {
              if (!matchesNaively(entry.filter, topicName)) continue;
              expected.set(entry.subscriber, Math.max(entry.qos, expected.get(entry.subscriber) ?? 0));
            }
            const found = route.subscribers.map((entry) => [entry.subscriber, entry.grant.qos] as const);
            expect(new Map(found)).toEqual(expected);
            expect(found.length).toBe(expected.size);
            const expectedQueues = [...queues]
              .filter(
                ([, queue]) => matchesNaively(queue.filter, topicName) && !topicName.startsWith('$SYS/'),
              )
              .filter(() => topicName !== '$SYS')
              .map(([queueId, { shardId }]) => `${shardId} ${queueId}`);
            const foundQueues = route.queues.flatMap((group) =>
              [...group.queueIds].map((queueId) => `${group.shardId} ${queueId}`),
            );
            expect(foundQueues.sort()).toEqual(expectedQueues.sort());
          }
        }
        expect(router.cachedRouteCount).toBeLessThanOrEqual(entries);
      }
    }
  });

  test('many topics leave the cache within its bounds of entries and bytes [broker]', () => {
    const router = new Router<number>({ cacheEntriesMax: 1000, cacheBytesMax: 200_000 });
    for (let i = 0; i < 50; i++) router.subscribe('#', i, options());
    for (let i = 0; i < 20_000; i++) router.lookup(`t/${i}`);
    expect(router.cachedRouteCount).toBeGreaterThan(50);
    expect(router.cachedRouteCount).toBeLessThanOrEqual(1024);
    expect(router.cachedRouteBytes).toBeLessThanOrEqual(200_000);
  });

  test('a topic in use stays cached while others come and go [broker]', () => {
    const router = new Router<number>({ cacheEntriesMax: 64 });
    const hot = router.lookup('hot');
    for (let i = 0; i < 5000; i++) {
      router.lookup(`cold/${i}`);
      expect(router.lookup('hot')).toBe(hot);
    }
  });
});
