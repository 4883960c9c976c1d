/**
 * From topic to targets: live subscribers, share groups and queues. Main thread.
 *
 * Always true: a lookup answers what the subscriptions are at that moment; a cached route is used only
 * while no filter that could match its topic has changed (`prefix-version.ts`). Queues never match topics
 * under `$SYS/`, and neither kind matches a `$` topic by a wildcard in the first level [MQTT-4.7.2-1].
 * Each kind of target has its own tree. A route holds the share groups themselves, so that a member that
 * comes or goes leaves it fresh. Gives up: memory for the cache, within its bound.
 */
import { assert } from '../base/error.js';
import { copyRange } from '../mqtt/bytes.js';
import { CachedRoute } from './cached-route.js';
import { PrefixVersions, prefixSlots } from './prefix-version.js';
import { directOf, groupQueues, mergeSubscribers, routeSubscriber, withSessionQueues } from './route.js';
import type { QueueTarget, Route, RouteSubscriber, ShardQueues, SubscriptionOptions } from './route.js';
import { equalsRange, hashTopic, RouteCache } from './route-cache.js';
import { ShareGroup } from './share-group.js';
import type { ShareOptions } from './share-group.js';
import { TopicTree } from './topic-tree.js';

/** Bounds of the route cache, and what the router must know of subscribers. */
export interface RouterOptions<S> {
  /** Default 16384. */
  readonly cacheEntriesMax?: number;
  /** Default 64 MiB. */
  readonly cacheBytesMax?: number;
  /**
   * The queue that keeps QoS 1 and 2 messages for a subscriber, or undefined: it gets them at once. Asked when a route
   * is made; `touch` the subscriber's filters when the answer changes. Left out: nobody has one.
   */
  readonly queueOf?: (subscriber: S) => QueueTarget | undefined;
  /** Default: round robin. */
  readonly share?: ShareOptions<S>;
}

const defaultEntriesMax = 16_384;
const defaultBytesMax = 64 * 1024 * 1024;
/** Longer topics are routed without the cache. */
const cachedTopicBytesMax = 4096;
const none: readonly never[] = [];

/** See the file header. `S` is the handle of a live subscriber, compared by identity. */
export class Router<S> {
  readonly #subscribers = new TopicTree<S, RouteSubscriber<S>>();
  readonly #queues = new TopicTree<number, QueueTarget>();
  /** Share groups by name. */
  readonly #shares = new TopicTree<string, ShareGroup<S>>();
  readonly #shareOptions: ShareOptions<S>;
  readonly #queueOf: ((subscriber: S) => QueueTarget | undefined) | undefined;
  #sharedCount = 0;
  readonly #versions = new PrefixVersions();
  readonly #cache: RouteCache<CachedRoute<S>>;

  constructor(options: RouterOptions<S> = {}) {
    this.#shareOptions = options.share ?? { strategy: 'round_robin', random: Math.random };
    this.#queueOf = options.queueOf;
    this.#cache = new RouteCache(
      options.cacheEntriesMax ?? defaultEntriesMax,
      options.cacheBytesMax ?? defaultBytesMax,
    );
  }

  /** Live subscriptions, every filter of every subscriber counted, shared ones too. */
  get subscriptionCount(): number {
    return this.#subscribers.valueCount + this.#sharedCount;
  }

  /** Shared subscriptions, every member of every group counted. */
  get sharedSubscriptionCount(): number {
    return this.#sharedCount;
  }

  /** Share groups: every pair of name and filter that has a member. */
  get shareGroupCount(): number {
    return this.#shares.valueCount;
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

  /** Makes a subscriber a member of `$share/<shareName>/<filter>`; true when it was one and has new options. */
  subscribeShared(shareName: string, filter: string, subscriber: S, options: SubscriptionOptions): boolean {
    let group = this.#shares.get(filter, shareName);
    if (group === undefined) {
      group = new ShareGroup(shareName, filter, this.#shareOptions);
      this.#shares.set(filter, shareName, group);
      this.#versions.touch(filter);
    }
    const replaced = group.join(subscriber, options);
    if (!replaced) this.#sharedCount++;
    return replaced;
  }

  /** Ends a membership; false when there is none. A group ends with its last member. */
  unsubscribeShared(shareName: string, filter: string, subscriber: S): boolean {
    const group = this.#shares.get(filter, shareName);
    if (group === undefined || !group.leave(subscriber)) return false;
    this.#sharedCount--;
    if (group.size === 0) {
      this.#shares.delete(filter, shareName);
      this.#versions.touch(filter);
    }
    return true;
  }

  /** The group of `$share/<shareName>/<filter>` while it has members. */
  shareGroup(shareName: string, filter: string): ShareGroup<S> | undefined {
    return this.#shares.get(filter, shareName);
  }

  /** Every topic filter that messages are routed by, each once. The router may change between two steps. */
  *filters(): IterableIterator<string> {
    yield* this.#subscribers.filters();
    for (const filter of this.#shares.filters()) if (this.#subscribers.countOf(filter) === 0) yield filter;
    for (const filter of this.#queues.filters()) {
      if (this.#subscribers.countOf(filter) === 0 && this.#shares.countOf(filter) === 0) yield filter;
    }
  }

  /** What hangs on exactly this filter. */
  targetsOf(filter: string): { subscribers: number; shareGroups: number; queues: number } {
    return {
      subscribers: this.#subscribers.countOf(filter),
      shareGroups: this.#shares.countOf(filter),
      queues: this.#queues.countOf(filter),
    };
  }

  /** What `queueOf` says about a subscriber of this filter has changed: its routes are made again. */
  touch(filter: string): void {
    this.#versions.touch(filter);
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
    const queueOf = this.#queueOf;

    const slots = prefixSlots(topicBytes);
    return new CachedRoute(
      topicBytes,
      hash,
      {
        subscribers,
        directSubscribers: queueOf === undefined ? subscribers : directOf(subscribers, queueOf),
        queues,
        ackedQueues: queueOf === undefined ? queues : withSessionQueues(queues, subscribers, queueOf),
        shares: this.#matchShares(topicName),
        isMerged: subscriberMatches.length > 1,
      },
      slots,
      this.#versions.sum(slots),
      this.#versions.changes,
    );
  }

  #matchShares(topicName: string): readonly ShareGroup<S>[] {
    if (this.#shares.valueCount === 0) return none;
    const matches: ReadonlyMap<string, ShareGroup<S>>[] = [];
    this.#shares.match(topicName, matches);
    if (matches.length === 0) return none;
    const groups: ShareGroup<S>[] = [];
    for (const match of matches) groups.push(...match.values());
    return groups;
  }

  #matchQueues(topicName: string): readonly ShardQueues[] {
    if (topicName === '$SYS' || topicName.startsWith('$SYS/')) return [];
    const matches: ReadonlyMap<number, QueueTarget>[] = [];
    this.#queues.match(topicName, matches);
    return groupQueues(matches);
  }
}
