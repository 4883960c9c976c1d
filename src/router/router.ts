/**
 * From topic to targets: live subscribers and queues. Main thread.
 *
 * Always true: a lookup answers what the subscriptions are at that moment; a cached route is used only
 * while no filter that could match its topic has changed (`prefix-version.ts`). Queues never match topics
 * under `$SYS/`, and neither kind matches a `$` topic by a wildcard in the first level [MQTT-4.7.2-1].
 * Each kind of target has its own tree; shared subscriptions and the retained index are to stand
 * beside them, with the same versions. Gives up: memory for the cache, within its bound.
 */
import { assert } from '../base/error.js';
import { copyRange } from '../mqtt/bytes.js';
import { PrefixVersions, prefixSlots } from './prefix-version.js';
import { groupQueues, mergeSubscribers, routeSubscriber } from './route.js';
import type { QueueTarget, Route, RouteSubscriber, ShardQueues, SubscriptionOptions } from './route.js';
import { equalsRange, hashTopic, RouteCache } from './route-cache.js';
import type { CacheEntry } from './route-cache.js';
import { TopicTree } from './topic-tree.js';

/** Bounds of the route cache. */
export interface RouterOptions {
  /** Default 16384. */
  readonly cacheEntriesMax?: number;
  /** Default 64 MiB. */
  readonly cacheBytesMax?: number;
}

interface CachedRoute<S> extends Route<S>, CacheEntry {
  readonly prefixSlots: readonly number[];
  readonly prefixSum: number;
  /** `PrefixVersions.changes` when the route was last known to be fresh. */
  checkedAt: number;
}

const defaultEntriesMax = 16_384;
const defaultBytesMax = 64 * 1024 * 1024;
/** Longer topics are routed without the cache. */
const cachedTopicBytesMax = 4096;
/** Estimated heap bytes of an entry without topic and targets. */
const entryBytes = 400;
const referenceBytes = 8;
const mergedBytes = 160;
const queueBytes = 16;

/** See the file header. `S` is the handle of a live subscriber, compared by identity. */
export class Router<S> {
  readonly #subscribers = new TopicTree<S, RouteSubscriber<S>>();
  readonly #queues = new TopicTree<number, QueueTarget>();
  readonly #versions = new PrefixVersions();
  readonly #cache: RouteCache<CachedRoute<S>>;

  constructor(options: RouterOptions = {}) {
    this.#cache = new RouteCache(
      options.cacheEntriesMax ?? defaultEntriesMax,
      options.cacheBytesMax ?? defaultBytesMax,
    );
  }

  /** Live subscriptions, every filter of every subscriber counted. */
  get subscriptionCount(): number {
    return this.#subscribers.valueCount;
  }

  /** Queues that can be filled. */
  get queueCount(): number {
    return this.#queues.valueCount;
  }

  /** Routes in the cache. */
  get cachedRouteCount(): number {
    return this.#cache.count;
  }

  /** Their estimated bytes. */
  get cachedRouteBytes(): number {
    return this.#cache.bytes;
  }

  /** Adds or replaces a subscription; true when the subscriber had this filter already [MQTT-3.8.4-3]. `filter` must be valid. */
  subscribe(filter: string, subscriber: S, options: SubscriptionOptions): boolean {
    const replaced = this.#subscribers.set(filter, subscriber, routeSubscriber(subscriber, options));
    this.#versions.touch(filter);
    return replaced;
  }

  /** Ends a subscription; false when there is none. The filter is compared byte for byte [MQTT-3.10.4-1]. */
  unsubscribe(filter: string, subscriber: S): boolean {
    const removed = this.#subscribers.delete(filter, subscriber);
    if (removed) this.#versions.touch(filter);
    return removed;
  }

  /** Adds a queue, or moves it to another shard; true when it was there. `filter` must be valid. */
  addQueue(filter: string, target: QueueTarget): boolean {
    const replaced = this.#queues.set(filter, target.queueId, target);
    this.#versions.touch(filter);
    return replaced;
  }

  /** Takes a queue out; false when it is not there. */
  removeQueue(filter: string, queueId: number): boolean {
    const removed = this.#queues.delete(filter, queueId);
    if (removed) this.#versions.touch(filter);
    return removed;
  }

  /** The route of a topic name. */
  lookup(topicName: string): Route<S> {
    const bytes = Buffer.from(topicName);
    return this.lookupBytes(bytes, 0, bytes.length);
  }

  /**
   * The route of the topic name `buffer[start, end)`, which must be valid UTF-8; nothing of the buffer is kept.
   * `hint`, a route of an earlier lookup, is tried first: a publisher that stays on its topic saves the hash.
   */
  lookupBytes(buffer: Buffer, start: number, end: number, hint?: Route<S>): Route<S> {
    if (hint !== undefined && equalsRange(hint.topicBytes, buffer, start, end)) {
      const cached = hint as CachedRoute<S>;
      if (this.#isFresh(cached)) return cached;
    }
    const hash = hashTopic(buffer, start, end);
    const cached = this.#cache.find(hash, buffer, start, end);
    if (cached !== undefined && this.#isFresh(cached)) return cached;
    const route = this.#build(hash, buffer, start, end);
    if (end - start <= cachedTopicBytesMax) this.#cache.insert(route);
    return route;
  }

  #isFresh(route: CachedRoute<S>): boolean {
    const { changes } = this.#versions;
    if (route.checkedAt === changes) return true;
    if (this.#versions.sum(route.prefixSlots) !== route.prefixSum) return false;
    route.checkedAt = changes;
    return true;
  }

  #build(hash: number, buffer: Buffer, start: number, end: number): CachedRoute<S> {
    assert(end > start, 'a route of an empty topic');
    // Zero-filled and not from the pool: up to 64 bytes that is a plain heap object, and no cached route keeps
    // a slab of the pool alive.
    const topicBytes = Buffer.alloc(end - start);
    copyRange(buffer, start, end, topicBytes, 0);
    const topicName = topicBytes.toString();

    const subscriberMatches: ReadonlyMap<S, RouteSubscriber<S>>[] = [];
    this.#subscribers.match(topicName, subscriberMatches);
    const subscribers = mergeSubscribers(subscriberMatches);
    const queues = this.#matchQueues(topicName);

    const slots = prefixSlots(topicBytes);
    const perSubscriber = subscriberMatches.length > 1 ? referenceBytes + mergedBytes : referenceBytes;
    return {
      topicName,
      topicBytes,
      subscribers,
      queues,
      hash,
      bytes:
        entryBytes +
        3 * topicBytes.length +
        slots.length * referenceBytes +
        subscribers.length * perSubscriber +
        queues.reduce((sum, { queueIds }) => sum + entryBytes / 2 + queueIds.length * queueBytes, 0),
      used: false,
      prefixSlots: slots,
      prefixSum: this.#versions.sum(slots),
      checkedAt: this.#versions.changes,
    };
  }

  #matchQueues(topicName: string): readonly ShardQueues[] {
    if (topicName === '$SYS' || topicName.startsWith('$SYS/')) return [];
    const matches: ReadonlyMap<number, QueueTarget>[] = [];
    this.#queues.match(topicName, matches);
    return groupQueues(matches);
  }
}
