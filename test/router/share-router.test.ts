/** Shared subscriptions in the router: groups, their routes, their end. Quick tier. */
import { describe, expect, test } from 'vitest';

import type { SubscriptionOptions } from '../../src/router/route.js';
import { Router } from '../../src/router/router.js';
import { Random, testSeed } from '../mqtt/random.js';
import { matchesNaively } from './naive-matcher.js';
import { smallFilter, smallTopic } from './random-topics.js';

const seed = testSeed();

function options(changes: Partial<SubscriptionOptions> = {}): SubscriptionOptions {
  return { qos: 1, noLocal: false, retainAsPublished: false, subscriptionIdentifier: 0, ...changes };
}

function groupsOf(router: Router<string>, topicName: string): string[] {
  return router
    .lookup(topicName)
    .shares.map((group) => `${group.shareName}/${group.topicFilter}`)
    .sort();
}

describe('share groups', () => {
  test('a name and a filter make a group; another name or another filter makes another [broker]', () => {
    const router = new Router<string>();
    expect(router.subscribeShared('g', 'a/+', 'anna', options())).toBe(false);
    expect(router.subscribeShared('g', 'a/+', 'bert', options())).toBe(false);
    expect(router.subscribeShared('g', 'a/#', 'anna', options())).toBe(false);
    expect(router.subscribeShared('h', 'a/+', 'anna', options())).toBe(false);
    expect(groupsOf(router, 'a/b')).toEqual(['g/a/#', 'g/a/+', 'h/a/+']);
    expect(groupsOf(router, 'a/b/c')).toEqual(['g/a/#']);
    expect(groupsOf(router, 'b')).toEqual([]);
    expect(router.shareGroupCount).toBe(3);
    expect(router.sharedSubscriptionCount).toBe(4);
    expect(router.subscriptionCount).toBe(4);
  });

  test('a member that has a subscription of its own too is in the route both ways [broker]', () => {
    const router = new Router<string>();
    router.subscribe('a', 'anna', options({ qos: 0 }));
    router.subscribeShared('g', 'a', 'anna', options({ qos: 2, subscriptionIdentifier: 4 }));
    const route = router.lookup('a');
    expect(route.subscribers.map(({ subscriber, grant }) => [subscriber, grant.qos])).toEqual([['anna', 0]]);
    expect(route.grantOf('anna')!.grant.qos).toBe(0);
    expect(route.sharedGrantOf('anna')!.grant).toEqual({
      qos: 2,
      retainAsPublished: false,
      subscriptionIdentifiers: [4],
    });
    expect(route.sharedGrantOf('bert')).toBeUndefined();
  });

  test('a member joining or leaving leaves routes as they are; the first and the last one change them [broker]', () => {
    const router = new Router<string>();
    const empty = router.lookup('a');
    router.subscribeShared('g', 'a', 'anna', options());
    const route = router.lookup('a');
    expect(route).not.toBe(empty);
    router.subscribeShared('g', 'a', 'bert', options());
    expect(router.unsubscribeShared('g', 'a', 'anna')).toBe(true);
    expect(router.lookup('a')).toBe(route);
    expect(route.shares[0]!.members().map(({ subscriber }) => subscriber)).toEqual(['bert']);
    expect(router.unsubscribeShared('g', 'a', 'bert')).toBe(true);
    expect(router.lookup('a').shares).toEqual([]);
    expect(router.shareGroup('g', 'a')).toBeUndefined();
    expect(router.sharedSubscriptionCount).toBe(0);
  });

  test('ending what is not there says so [MQTT-3.10.4-1]', () => {
    const router = new Router<string>();
    router.subscribeShared('g', 'a', 'anna', options());
    expect(router.unsubscribeShared('g', 'b', 'anna')).toBe(false);
    expect(router.unsubscribeShared('h', 'a', 'anna')).toBe(false);
    expect(router.unsubscribeShared('g', 'a', 'bert')).toBe(false);
    expect(router.unsubscribe('a', 'anna')).toBe(false);
    expect(groupsOf(router, 'a')).toEqual(['g/a']);
  });

  test('a wildcard in the first level of a group does not take a $ topic [MQTT-4.7.2-1]', () => {
    const router = new Router<string>();
    router.subscribeShared('g', '#', 'anna', options());
    router.subscribeShared('g', '$SYS/#', 'anna', options());
    expect(groupsOf(router, '$SYS/broker')).toEqual(['g/$SYS/#']);
    expect(groupsOf(router, 'broker')).toEqual(['g/#']);
  });

  test('members of a group with a session queue do not make it part of the route [broker]', () => {
    const router = new Router<string>({ queueOf: () => ({ queueId: 90, shardId: 0 }) });
    router.subscribeShared('g', 'a', 'anna', options());
    const route = router.lookup('a');
    expect(route.ackedQueues).toBe(route.queues);
    expect(route.directSubscribers).toEqual([]);
  });

  test('the strategy of the router is that of its groups [broker]', () => {
    const router = new Router<string>({ share: { strategy: 'sticky', random: () => 0 } });
    router.subscribeShared('g', 'a', 'anna', options());
    router.subscribeShared('g', 'a', 'bert', options());
    const group = router.lookup('a').shares[0]!;
    const picked = Array.from(
      { length: 4 },
      () =>
        group.pick(
          undefined,
          () => true,
          () => 0,
        )!.subscriber,
    );
    expect(picked).toEqual(['anna', 'anna', 'anna', 'anna']);
  });

  test('a strategy that needs a hash of the publisher is not taken without one [broker]', () => {
    const router = new Router<string>({ share: { strategy: 'hash_clientid', random: () => 0 } });
    expect(() => router.subscribeShared('g', 'a', 'anna', options())).toThrow('without a hash');
  });

  test(`the groups of a route are those of a list of filters under random changes, seed ${seed} [broker]`, () => {
    const random = new Random(seed);
    const router = new Router<string>({ cacheEntriesMax: 64 });
    const members = new Map<string, Set<string>>();
    for (let step = 0; step < 3000; step++) {
      const filter = smallFilter(random);
      const shareName = random.pick(['g', 'h']);
      const subscriber = random.pick(['anna', 'bert', 'carl']);
      const key = `${shareName}/${filter}`;
      switch (random.below(6)) {
        case 0:
        case 1: {
          const held = members.get(key) ?? new Set<string>();
          expect(router.subscribeShared(shareName, filter, subscriber, options())).toBe(held.has(subscriber));
          members.set(key, held.add(subscriber));
          break;
        }
        case 2: {
          const held = members.get(key);
          expect(router.unsubscribeShared(shareName, filter, subscriber)).toBe(
            held?.delete(subscriber) ?? false,
          );
          if (held?.size === 0) members.delete(key);
          break;
        }
        default: {
          const topicName = smallTopic(random);
          const expected = [...members.keys()].filter((group) => matchesNaively(group.slice(2), topicName));
          expect(groupsOf(router, topicName)).toEqual(expected.sort());
          for (const group of router.lookup(topicName).shares) {
            const held = members.get(`${group.shareName}/${group.topicFilter}`)!;
            expect(new Set(group.members().map((member) => member.subscriber))).toEqual(held);
          }
        }
      }
    }
    expect(router.shareGroupCount).toBe(members.size);
  });
});
