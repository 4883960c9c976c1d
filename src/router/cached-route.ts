/**
 * A route as the router makes it and its cache keeps it. Main thread.
 *
 * Always true: what a route says never changes; `used` belongs to the cache, `checkedAt` to the router, and
 * the index of grants is made when it is first asked for. Few subscribers are searched in a row: the index
 * costs some 50 bytes for each of them. Gives up: nothing but the estimate of its own size.
 */
import type { CacheEntry } from './route-cache.js';
import type { Route, RouteSubscriber, ShardQueues } from './route.js';
import type { ShareGroup } from './share-group.js';

/** Up to here a row of subscribers is searched without an index. */
const searchedMax = 8;

/** Estimated heap bytes of an entry without topic and targets. */
const entryBytes = 440;
const referenceBytes = 8;
const mergedBytes = 160;
const queueBytes = 16;

/** Where a topic leads to. */
export type RouteTargets<S> = Pick<
  Route<S>,
  'subscribers' | 'directSubscribers' | 'queues' | 'ackedQueues' | 'shares'
> & {
  /** True when grants were merged and so belong to this route alone. */
  readonly isMerged: boolean;
};

/** See the file header. */
export class CachedRoute<S> implements Route<S>, CacheEntry {
  readonly topicName: string;
  readonly topicBytes: Buffer;
  readonly hash: number;
  readonly subscribers: readonly RouteSubscriber<S>[];
  readonly directSubscribers: readonly RouteSubscriber<S>[];
  readonly queues: readonly ShardQueues[];
  readonly ackedQueues: readonly ShardQueues[];
  readonly shares: readonly ShareGroup<S>[];
  readonly bytes: number;
  used = false;
  readonly prefixSlots: readonly number[];
  readonly prefixSum: number;
  /** `PrefixVersions.changes` when the route was last known to be fresh. */
  checkedAt: number;
  /** Made when it is first asked for. */
  index: Map<S, RouteSubscriber<S>> | undefined = undefined;

  constructor(
    topicBytes: Buffer,
    hash: number,
    targets: RouteTargets<S>,
    prefixSlots: readonly number[],
    prefixSum: number,
    checkedAt: number,
  ) {
    this.topicName = topicBytes.toString();
    this.topicBytes = topicBytes;
    this.hash = hash;
    this.subscribers = targets.subscribers;
    this.directSubscribers = targets.directSubscribers;
    this.queues = targets.queues;
    this.ackedQueues = targets.ackedQueues;
    this.shares = targets.shares;
    this.bytes = estimate(topicBytes.length, targets, prefixSlots.length);
    this.prefixSlots = prefixSlots;
    this.prefixSum = prefixSum;
    this.checkedAt = checkedAt;
  }

  grantOf(subscriber: S): RouteSubscriber<S> | undefined {
    const { subscribers } = this;
    if (subscribers.length <= searchedMax) {
      for (let i = 0; i < subscribers.length; i++) {
        const entry = subscribers[i] as RouteSubscriber<S>;
        if (entry.subscriber === subscriber) return entry;
      }
      return undefined;
    }
    this.index ??= new Map(subscribers.map((entry) => [entry.subscriber, entry]));
    return this.index.get(subscriber);
  }

  sharedGrantOf(subscriber: S): RouteSubscriber<S> | undefined {
    const { shares } = this;
    for (let i = 0; i < shares.length; i++) {
      const member = (shares[i] as ShareGroup<S>).get(subscriber);
      if (member !== undefined) return member;
    }
    return undefined;
  }
}

function estimate<S>(topicLength: number, targets: RouteTargets<S>, slotCount: number): number {
  const { subscribers, directSubscribers, queues, ackedQueues, shares } = targets;
  // The index of grants is counted before it is made, because the cache asks only once.
  const indexed = subscribers.length > searchedMax && ackedQueues !== queues ? 6 * referenceBytes : 0;
  const perSubscriber = referenceBytes + indexed + (targets.isMerged ? mergedBytes : 0);
  const directBytes = directSubscribers === subscribers ? 0 : directSubscribers.length * referenceBytes;
  return (
    entryBytes +
    3 * topicLength +
    (slotCount + shares.length) * referenceBytes +
    subscribers.length * perSubscriber +
    directBytes +
    queuesBytes(queues) +
    (ackedQueues === queues ? 0 : queuesBytes(ackedQueues))
  );
}

function queuesBytes(queues: readonly ShardQueues[]): number {
  let bytes = 0;
  for (const { queueIds } of queues) bytes += entryBytes / 2 + queueIds.length * queueBytes;
  return bytes;
}
