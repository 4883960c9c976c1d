/** Routes to subscribers that have a session queue, and what a route grants whom. Quick tier. */
import { describe, expect, test } from 'vitest';

import type { QueueTarget, Route, SubscriptionOptions } from '../../src/router/route.js';
import { Router } from '../../src/router/router.js';
import { Random, testSeed } from '../mqtt/random.js';
import { matchesNaively } from './naive-matcher.js';
import { smallFilter, smallTopic } from './random-topics.js';

const seed = testSeed();

function options(qos = 1): SubscriptionOptions {
  return { qos, noLocal: false, retainAsPublished: false, subscriptionIdentifier: 0 };
}

/** Queues of a route as text, in order. */
function queuesOf(groups: Route<string>['queues']): string[] {
  return groups.flatMap(({ shardId, queueIds }) => [...queueIds].map((id) => `${shardId}:${id}`)).sort();
}

function namesOf(entries: Route<string>['subscribers']): string[] {
  return entries.map(({ subscriber }) => subscriber).sort();
}

describe('session queues', () => {
  test('a QoS > 0 publish goes to the session queue instead of the subscriber, beside the queues of its shard [broker]', () => {
    const sessionQueues = new Map<string, QueueTarget>([['durable', { queueId: 90, shardId: 1 }]]);
    const router = new Router<string>({ queueOf: (subscriber) => sessionQueues.get(subscriber) });
    router.addQueue('a/#', { queueId: 7, shardId: 1 });
    router.addQueue('a/b', { queueId: 8, shardId: 0 });
    router.subscribe('a/b', 'durable', options());
    router.subscribe('a/+', 'plain', options());
    const route = router.lookup('a/b');
    expect(namesOf(route.subscribers)).toEqual(['durable', 'plain']);
    expect(namesOf(route.directSubscribers)).toEqual(['plain']);
    expect(queuesOf(route.queues)).toEqual(['0:8', '1:7']);
    expect(queuesOf(route.ackedQueues)).toEqual(['0:8', '1:7', '1:90']);
    expect(route.ackedQueues.map(({ shardId }) => shardId)).toEqual([0, 1]);
  });

  test('a subscriber that is granted QoS 0 is reached at once, session queue or not [broker]', () => {
    const router = new Router<string>({ queueOf: () => ({ queueId: 90, shardId: 1 }) });
    router.subscribe('a', 'durable', options(0));
    const route = router.lookup('a');
    expect(route.directSubscribers).toBe(route.subscribers);
    expect(route.ackedQueues).toBe(route.queues);
  });

  test('overlapping subscriptions of different QoS fill a session queue once [MQTT-3.3.4-2]', () => {
    const router = new Router<string>({ queueOf: () => ({ queueId: 90, shardId: 1 }) });
    router.subscribe('a', 'durable', options(0));
    router.subscribe('+', 'durable', options(2));
    router.subscribe('#', 'durable', options(1));
    const route = router.lookup('a');
    expect(route.directSubscribers).toEqual([]);
    expect(queuesOf(route.ackedQueues)).toEqual(['1:90']);
  });

  test('without session queues the arrays are the same ones, so that nothing costs more [broker]', () => {
    for (const router of [new Router<string>(), new Router<string>({ queueOf: () => undefined })]) {
      router.addQueue('a', { queueId: 7, shardId: 0 });
      router.subscribe('a', 'anna', options());
      const route = router.lookup('a');
      expect(route.directSubscribers).toBe(route.subscribers);
      expect(route.ackedQueues).toBe(route.queues);
      expect(route.shares.length).toBe(0);
      expect(route.shares).toBe(router.lookup('b').shares);
    }
  });

  test('a session that gains or loses its queue is routed anew once its filters are touched [broker]', () => {
    const sessionQueues = new Map<string, QueueTarget>();
    const router = new Router<string>({ queueOf: (subscriber) => sessionQueues.get(subscriber) });
    router.subscribe('a/+', 'anna', options());
    const before = router.lookup('a/b');
    expect(namesOf(before.directSubscribers)).toEqual(['anna']);
    sessionQueues.set('anna', { queueId: 90, shardId: 2 });
    router.touch('a/+');
    const during = router.lookup('a/b');
    expect(during.directSubscribers).toEqual([]);
    expect(queuesOf(during.ackedQueues)).toEqual(['2:90']);
    expect(router.lookupBytes(Buffer.from('a/b'), 0, 3, before)).toBe(during);
    sessionQueues.delete('anna');
    router.touch('a/+');
    expect(namesOf(router.lookup('a/b').directSubscribers)).toEqual(['anna']);
  });

  test('a session queue takes a topic under $SYS, which no other queue does [broker]', () => {
    const router = new Router<string>({ queueOf: () => ({ queueId: 90, shardId: 0 }) });
    router.addQueue('$SYS/#', { queueId: 1, shardId: 0 });
    router.subscribe('$SYS/#', 'anna', options());
    const route = router.lookup('$SYS/broker/version');
    expect(queuesOf(route.queues)).toEqual([]);
    expect(queuesOf(route.ackedQueues)).toEqual(['0:90']);
  });

  test(`every target is reached one way and no way twice under random changes, seed ${seed} [broker]`, () => {
    const random = new Random(seed);
    const sessionQueues = new Map<string, QueueTarget>();
    const router = new Router<string>({
      cacheEntriesMax: 64,
      queueOf: (subscriber) => sessionQueues.get(subscriber),
    });
    const subscriptions = new Map<string, { filter: string; subscriber: string; qos: number }>();
    let hint: Route<string> | undefined;
    for (let step = 0; step < 3000; step++) {
      const subscriber = `s${random.below(5)}`;
      const filter = smallFilter(random);
      const key = `${subscriber} ${filter}`;
      switch (random.below(10)) {
        case 0:
        case 1: {
          const qos = random.below(3);
          router.subscribe(filter, subscriber, options(qos));
          subscriptions.set(key, { filter, subscriber, qos });
          break;
        }
        case 2:
          expect(router.unsubscribe(filter, subscriber)).toBe(subscriptions.delete(key));
          break;
        case 3: {
          if (!sessionQueues.delete(subscriber)) {
            const number = Number(subscriber.slice(1));
            sessionQueues.set(subscriber, { queueId: 100 + number, shardId: number % 2 });
          }
          for (const held of subscriptions.values()) {
            if (held.subscriber === subscriber) router.touch(held.filter);
          }
          break;
        }
        default: {
          const topicName = smallTopic(random);
          const bytes = Buffer.from(topicName);
          const route = router.lookupBytes(bytes, 0, bytes.length, hint);
          hint = route;
          const granted = new Map<string, number>();
          for (const held of subscriptions.values()) {
            if (!matchesNaively(held.filter, topicName)) continue;
            granted.set(held.subscriber, Math.max(held.qos, granted.get(held.subscriber) ?? 0));
          }
          const stored = [...granted].filter(([name, qos]) => qos > 0 && sessionQueues.has(name));
          const direct = [...granted.keys()].filter((name) => !stored.some(([other]) => other === name));
          expect(namesOf(route.directSubscribers)).toEqual(direct.sort());
          const queues = stored.map(([name]) => {
            const target = sessionQueues.get(name)!;
            return `${target.shardId}:${target.queueId}`;
          });
          expect(queuesOf(route.ackedQueues)).toEqual(queues.sort());
          expect(route.grantOf(subscriber)?.grant.qos).toBe(granted.get(subscriber));
        }
      }
    }
  });
});

describe('what a route grants', () => {
  test.each([3, 200])('one of %i subscribers is found, a stranger is not [broker]', (count) => {
    const router = new Router<string>();
    for (let i = 0; i < count; i++) router.subscribe('a', `s${i}`, options(i % 3));
    const route = router.lookup('a');
    for (let i = 0; i < count; i++) {
      expect(route.grantOf(`s${i}`)!.subscriber).toBe(`s${i}`);
      expect(route.grantOf(`s${i}`)!.grant.qos).toBe(i % 3);
    }
    expect(route.grantOf('stranger')).toBeUndefined();
  });

  test('a grant is that of all overlapping subscriptions [MQTT-3.3.4-4]', () => {
    const router = new Router<string>();
    for (let i = 0; i < 50; i++) router.subscribe('a', `s${i}`, options(0));
    router.subscribe('+', 's7', { ...options(2), subscriptionIdentifier: 5 });
    const entry = router.lookup('a').grantOf('s7')!;
    expect(entry.grant).toEqual({ qos: 2, retainAsPublished: false, subscriptionIdentifiers: [5] });
  });
});
