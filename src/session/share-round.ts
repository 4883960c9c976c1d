/**
 * One message for all share groups that match it: a member of each is chosen and gets it. Main thread.
 *
 *   pick ─┬─▶ member without a queue of its own, or QoS 0: deliver, now
 *         ╰─▶ member with one: its queue joins the queues that store the message, shard by shard
 *
 * Always true: one record per shard, however many groups and members there are, so that the room a publish needs is known
 * before anybody is chosen, and what a shard stores of a message is committed as one. Without members that have a queue
 * the list of queues is the one that came in. Gives up: nothing is allocated only while shards do not meet; where a
 * member's queue joins another queue of its shard, a new list of ids is made.
 */
import type { Route, ShardQueues } from '../router/route.js';
import type { LiveMessage } from './message.js';
import type { Session } from './session.js';
import { isUsable, loadOf, type ShareMember } from './share-dispatch.js';

interface Target {
  shardId: number;
  queueIds: Uint32Array;
  /** Ids of the queues that join; part of `queueIds` at the end of the round. */
  readonly joining: number[];
}

/** See the file header. One per publisher: what `give` returns is its memory. */
export class ShareRound<M extends ShareMember = Session> {
  /** Reused from round to round; as long as the longest there was, at most the number of shards. */
  readonly #spare: Target[] = [];
  readonly #targets: Target[] = [];

  /**
   * Chooses a member of each group of `route` for `live`, published with `qos` by `publisher`, and delivers to those that
   * get it at once. Returns what stores it: `queues`, and the queues of the chosen members; valid until the next call.
   * `queues` has a shard once, and so has the result.
   */
  give(
    live: LiveMessage,
    route: Route<M>,
    publisher: M | undefined,
    qos: number,
    queues: readonly ShardQueues[],
  ): readonly ShardQueues[] {
    const { shares } = route;
    let isJoined = false;
    for (let i = 0; i < shares.length; i++) {
      const group = shares[i]!;
      const member = group.pick(publisher, isUsable, loadOf, route.hash);
      if (member === undefined) continue;
      const { subscriber, grant } = member;
      const { durable } = subscriber;
      const granted = grant.qos < qos ? grant.qos : qos; // [MQTT-4.8.2-3]
      if (granted > 0 && durable?.target !== undefined) {
        if (!isJoined) this.#begin(queues);
        isJoined = true;
        this.#join(durable.target.shardId, durable.queueIds);
      } else {
        const retain = grant.retainAsPublished && live.isRetain;
        subscriber.deliver(live, granted, retain, grant.subscriptionIdentifiers, group);
      }
    }
    return isJoined ? this.#end() : queues;
  }

  #begin(queues: readonly ShardQueues[]): void {
    for (let i = 0; i < this.#targets.length; i++) this.#spare.push(this.#targets[i]!);
    this.#targets.length = 0;
    for (let i = 0; i < queues.length; i++) this.#join(queues[i]!.shardId, queues[i]!.queueIds);
  }

  #join(shardId: number, queueIds: Uint32Array): void {
    const targets = this.#targets;
    for (let i = 0; i < targets.length; i++) {
      const target = targets[i]!;
      if (target.shardId !== shardId) continue;
      target.joining.push(...queueIds);
      return;
    }
    const target = this.#spare.pop() ?? { shardId, queueIds, joining: [] };
    target.shardId = shardId;
    // The same array as before lets the ring put a run of messages into one frame.
    target.queueIds = queueIds;
    targets.push(target);
  }

  #end(): readonly ShardQueues[] {
    for (let i = 0; i < this.#targets.length; i++) {
      const target = this.#targets[i]!;
      const { joining, queueIds } = target;
      if (joining.length === 0) continue;
      target.queueIds = new Uint32Array(queueIds.length + joining.length);
      target.queueIds.set(queueIds);
      target.queueIds.set(joining, queueIds.length);
      joining.length = 0;
    }
    return this.#targets;
  }
}
