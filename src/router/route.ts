/**
 * Where the messages of one topic go: decided once per topic, read once per message. Main thread.
 *
 * Always true: a subscriber is in a route once, however many of its subscriptions match, with the highest
 * QoS [MQTT-3.3.4-2] and all Subscription Identifiers [MQTT-3.3.4-4] of them; queues are grouped by shard.
 * A route is never changed: a change of subscriptions makes a new one; only the share groups in it are alive.
 * Gives up: one copy per overlapping subscription, which the specification allows as well and nobody can
 * tell apart.
 */
import type { ShareGroup } from './share-group.js';

/** What SUBSCRIBE asked for one filter. */
export interface SubscriptionOptions {
  readonly qos: number;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** 0 = none. */
  readonly subscriptionIdentifier: number;
}

/** How a message is delivered to a subscriber. */
export interface Grant {
  /** Upper bound: a message goes out with the lower one of this and its own QoS [MQTT-3.8.4-8]. */
  readonly qos: number;
  /** Keep the RETAIN flag of the publish; of overlapping subscriptions one that asks for it is enough. */
  readonly retainAsPublished: boolean;
  /** In no order, with repeats when several subscriptions share one; empty for none. */
  readonly subscriptionIdentifiers: readonly number[];
}

/** One live subscriber of a topic. */
export interface RouteSubscriber<S> {
  readonly subscriber: S;
  readonly grant: Grant;
  /** For messages that the subscriber published itself; undefined when No Local holds them all back [MQTT-3.8.3-3]. */
  readonly ownGrant: Grant | undefined;
}

/** A queue as the router knows it. */
export interface QueueTarget {
  readonly queueId: number;
  readonly shardId: number;
}

/** The queues of one shard that store a message. */
export interface ShardQueues {
  readonly shardId: number;
  readonly queueIds: Uint32Array;
}

/** The result of a lookup; valid until the next change of subscriptions, so ask again for every message. */
export interface Route<S> {
  readonly topicName: string;
  /** The same name as bytes; may be kept. */
  readonly topicBytes: Buffer;
  /** Of the topic bytes; the same for the same topic as long as the process runs. */
  readonly hash: number;
  /** Everybody with a matching subscription of their own: who gets a QoS 0 publish. */
  readonly subscribers: readonly RouteSubscriber<S>[];
  /**
   * Those who get a QoS 1 or 2 publish at once: without a session queue, or granted QoS 0. The same array as
   * `subscribers` when that is everybody.
   */
  readonly directSubscribers: readonly RouteSubscriber<S>[];
  /** The queues that match the topic. */
  readonly queues: readonly ShardQueues[];
  /**
   * What stores a QoS 1 or 2 publish before it is acknowledged: `queues`, and the session queues of the subscribers
   * that are not direct. The same array as `queues` when there are none of these.
   */
  readonly ackedQueues: readonly ShardQueues[];
  /** The share groups whose filter matches: each gets the message once. Empty for most topics. */
  readonly shares: readonly ShareGroup<S>[];
  /** The entry of `subscribers` that is about `subscriber`, or undefined. Constant cost after the first call. */
  grantOf(subscriber: S): RouteSubscriber<S> | undefined;
  /**
   * What a subscriber is granted as a member of the share groups that match, the first of them when there are
   * several; undefined when it is in none.
   */
  sharedGrantOf(subscriber: S): RouteSubscriber<S> | undefined;
}

const noIdentifiers: readonly number[] = [];

/** A subscription on its own, which is what a route holds when no other one of the subscriber matches. */
export function routeSubscriber<S>(subscriber: S, options: SubscriptionOptions): RouteSubscriber<S> {
  const grant: Grant = {
    qos: options.qos,
    retainAsPublished: options.retainAsPublished,
    subscriptionIdentifiers:
      options.subscriptionIdentifier === 0 ? noIdentifiers : [options.subscriptionIdentifier],
  };
  return { subscriber, grant, ownGrant: options.noLocal ? undefined : grant };
}

/** All subscribers of the matching filters, each once. */
export function mergeSubscribers<S>(
  matches: readonly ReadonlyMap<S, RouteSubscriber<S>>[],
): readonly RouteSubscriber<S>[] {
  const [first] = matches;
  if (first === undefined) return [];
  // Within one filter nobody is there twice.
  if (matches.length === 1) return [...first.values()];
  const merged = new Map<S, RouteSubscriber<S>>();
  for (const match of matches) {
    for (const [subscriber, next] of match) {
      const before = merged.get(subscriber);
      merged.set(subscriber, before === undefined ? next : mergePair(before, next));
    }
  }
  return [...merged.values()];
}

/** Those of `subscribers` that a QoS > 0 publish reaches without a session queue; the same array when all are. */
export function directOf<S>(
  subscribers: readonly RouteSubscriber<S>[],
  queueOf: (subscriber: S) => QueueTarget | undefined,
): readonly RouteSubscriber<S>[] {
  const direct = subscribers.filter(
    ({ subscriber, grant }) => grant.qos === 0 || queueOf(subscriber) === undefined,
  );
  return direct.length === subscribers.length ? subscribers : direct;
}

/** `queues` together with the session queues of the subscribers that are granted more than QoS 0. */
export function withSessionQueues<S>(
  queues: readonly ShardQueues[],
  subscribers: readonly RouteSubscriber<S>[],
  queueOf: (subscriber: S) => QueueTarget | undefined,
): readonly ShardQueues[] {
  const targets = new Map<number, QueueTarget>();
  for (const { subscriber, grant } of subscribers) {
    const target = grant.qos === 0 ? undefined : queueOf(subscriber);
    if (target !== undefined) targets.set(target.queueId, target);
  }
  if (targets.size === 0) return queues;
  for (const { shardId, queueIds } of queues) {
    for (const queueId of queueIds) targets.set(queueId, { queueId, shardId });
  }
  return groupQueues([targets]);
}

/** All queues of the matching filters, grouped by shard in ascending order. */
export function groupQueues(matches: readonly ReadonlyMap<number, QueueTarget>[]): readonly ShardQueues[] {
  const byShard = new Map<number, number[]>();
  for (const match of matches) {
    for (const { queueId, shardId } of match.values()) {
      const ids = byShard.get(shardId);
      if (ids === undefined) byShard.set(shardId, [queueId]);
      else ids.push(queueId);
    }
  }
  const groups: ShardQueues[] = [];
  for (const [shardId, ids] of byShard) groups.push({ shardId, queueIds: Uint32Array.from(ids) });
  return groups.sort((a, b) => a.shardId - b.shardId);
}

function mergePair<S>(a: RouteSubscriber<S>, b: RouteSubscriber<S>): RouteSubscriber<S> {
  const grant = mergeGrants(a.grant, b.grant);
  let ownGrant = a.ownGrant ?? b.ownGrant;
  if (a.ownGrant !== undefined && b.ownGrant !== undefined) {
    const isSame = a.ownGrant === a.grant && b.ownGrant === b.grant;
    ownGrant = isSame ? grant : mergeGrants(a.ownGrant, b.ownGrant);
  }
  return { subscriber: a.subscriber, grant, ownGrant };
}

function mergeGrants(a: Grant, b: Grant): Grant {
  return {
    qos: a.qos > b.qos ? a.qos : b.qos,
    retainAsPublished: a.retainAsPublished || b.retainAsPublished,
    subscriptionIdentifiers: [...a.subscriptionIdentifiers, ...b.subscriptionIdentifiers],
  };
}
