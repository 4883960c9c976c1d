/**
 * One shared subscription: the members of `$share/<name>/<filter>` and the choice among them. Main thread.
 *
 * Always true: a message goes to one member; whoever is connected comes before whoever is away,
 * and among these only members that are kept messages (QoS > 0) count; joins and leaves move nobody else's
 * place; ties go to whoever was chosen longest ago. The hashes are rendezvous hashes: a member that goes moves
 * only its own publishers or topics. A pick allocates nothing.
 * Cost: O(1) typical for round_robin, random and sticky; O(members) for the others, and when most are away.
 */
import { assert } from '../base/error.js';
import type { ShareStrategy } from '../config/share-settings.js';
import { routeSubscriber } from './route.js';
import type { Grant, RouteSubscriber, SubscriptionOptions } from './route.js';

/** How groups choose. */
export interface ShareOptions<S> {
  readonly strategy: ShareStrategy;
  /** In [0, 1). */
  readonly random: () => number;
  /** A stable number for a subscriber, any 32 bits of it; `hash_clientid` needs it. */
  readonly hashOf?: (subscriber: S) => number;
}

/** A member: what it is granted, and the number by which the hashes know it. */
interface Member<S> extends RouteSubscriber<S> {
  readonly grant: Grant;
  readonly key: number;
}

/** How good a choice a member is; lower is better. */
const tier = { ready: 0, busy: 1, away: 2, none: 3 } as const;
const blindDraws = 3;

/** See the file header. `S` is the handle of a subscriber, compared by identity. */
export class ShareGroup<S> {
  readonly shareName: string;
  readonly topicFilter: string;
  readonly #options: ShareOptions<S>;
  readonly #list: Member<S>[] = [];
  readonly #bySubscriber = new Map<S, Member<S>>();
  /** Index of the member whose turn is next. */
  #turn = 0;
  #joined = 0;
  #stuckTo: Member<S> | undefined = undefined;

  constructor(shareName: string, topicFilter: string, options: ShareOptions<S>) {
    assert(
      options.strategy !== 'hash_clientid' || options.hashOf !== undefined,
      'hash_clientid without a hash of the publisher',
    );
    this.shareName = shareName;
    this.topicFilter = topicFilter;
    this.#options = options;
  }

  /** Members, connected or away. */
  get size(): number {
    return this.#list.length;
  }

  /** All members, in the order of their turns. */
  members(): readonly RouteSubscriber<S>[] {
    return this.#list;
  }

  /** The member that `subscriber` is, or undefined. */
  get(subscriber: S): RouteSubscriber<S> | undefined {
    return this.#bySubscriber.get(subscriber);
  }

  /** Adds a member, behind everyone whose turn is still to come, or replaces its options; true when it was one. */
  join(subscriber: S, options: SubscriptionOptions): boolean {
    const before = this.#bySubscriber.get(subscriber);
    const key = before?.key ?? mix(++this.#joined) | 0;
    const member: Member<S> = { ...routeSubscriber(subscriber, options), key };
    this.#bySubscriber.set(subscriber, member);
    if (before !== undefined) {
      this.#list[this.#list.indexOf(before)] = member;
      if (this.#stuckTo === before) this.#stuckTo = member;
      return true;
    }
    if (this.#turn === 0) {
      this.#list.push(member);
    } else {
      this.#list.splice(this.#turn, 0, member);
      this.#turn++;
    }
    return false;
  }

  /** Takes a member out; false when it is none. */
  leave(subscriber: S): boolean {
    const member = this.#bySubscriber.get(subscriber);
    if (member === undefined) return false;
    this.#bySubscriber.delete(subscriber);
    const index = this.#list.indexOf(member);
    this.#list.splice(index, 1);
    if (index < this.#turn) this.#turn--;
    if (this.#turn >= this.#list.length) this.#turn = 0;
    if (this.#stuckTo === member) this.#stuckTo = undefined;
    return true;
  }

  /**
   * The member that gets the next message, or undefined when there is none: nobody is usable and nobody keeps messages.
   * `isUsable` says whether a subscriber is connected, `load` how many messages it has not answered, Infinity when it
   * can take none for now: such a member is passed over by the strategies that are free to choose. Both must be
   * functions that the caller has already, not made for the call. `publisher` and `topicHash` feed the hashes;
   * `except` is not chosen.
   */
  pick(
    publisher: S | undefined,
    isUsable: (subscriber: S) => boolean,
    load: (subscriber: S) => number,
    topicHash = 0,
    except?: S,
  ): RouteSubscriber<S> | undefined {
    const { strategy, hashOf } = this.#options;
    switch (strategy) {
      case 'round_robin':
        return this.#pickNext(isUsable, load, except);
      case 'least_inflight':
        return this.#pickLeast(isUsable, load, except);
      case 'random':
        return this.#pickRandom(isUsable, load, except);
      case 'sticky':
        return this.#pickStuck(isUsable, load, except);
      case 'hash_clientid':
        return this.#pickHashed(
          publisher === undefined || hashOf === undefined ? topicHash : hashOf(publisher),
          isUsable,
          except,
        );
      case 'hash_topic':
        return this.#pickHashed(topicHash, isUsable, except);
    }
  }

  #pickNext(
    isUsable: (subscriber: S) => boolean,
    load: (subscriber: S) => number,
    except: S | undefined,
  ): Member<S> | undefined {
    const list = this.#list;
    let best: number = tier.none;
    let bestIndex = -1;
    let index = this.#turn;
    for (let i = 0; i < list.length; i++) {
      const found = tierOf(list[index] as Member<S>, isUsable, load, except);
      if (found < best) {
        best = found;
        bestIndex = index;
        if (best === tier.ready) break;
      }
      index = index + 1 === list.length ? 0 : index + 1;
    }
    return this.#take(bestIndex);
  }

  #pickLeast(
    isUsable: (subscriber: S) => boolean,
    load: (subscriber: S) => number,
    except: S | undefined,
  ): Member<S> | undefined {
    const list = this.#list;
    let best: number = tier.none;
    let bestIndex = -1;
    let bestLoad = Number.POSITIVE_INFINITY;
    let index = this.#turn;
    for (let i = 0; i < list.length; i++) {
      const member = list[index] as Member<S>;
      let found = tierOf(member, isUsable, noLoad, except);
      // Away members are even: a load says nothing about them.
      const memberLoad = found === tier.ready ? load(member.subscriber) : Number.POSITIVE_INFINITY;
      if (found === tier.ready && memberLoad === Number.POSITIVE_INFINITY) found = tier.busy;
      if (found < best || (found === best && memberLoad < bestLoad)) {
        best = found;
        bestIndex = index;
        bestLoad = memberLoad;
        // Nobody can have fewer, and the rest had their turn later.
        if (bestLoad <= 0) break;
      }
      index = index + 1 === list.length ? 0 : index + 1;
    }
    return this.#take(bestIndex);
  }

  /** Uniform over the best there are: a few blind draws, then a draw among the candidates. */
  #pickRandom(
    isUsable: (subscriber: S) => boolean,
    load: (subscriber: S) => number,
    except: S | undefined,
  ): Member<S> | undefined {
    const list = this.#list;
    const { random } = this.#options;
    for (let i = 0; i < blindDraws && list.length > 0; i++) {
      const member = list[Math.floor(random() * list.length)] as Member<S>;
      if (tierOf(member, isUsable, load, except) === tier.ready) return member;
    }
    let best: number = tier.none;
    let candidates = 0;
    let chosen: Member<S> | undefined;
    for (let i = 0; i < list.length; i++) {
      const member = list[i] as Member<S>;
      const found = tierOf(member, isUsable, load, except);
      if (found > best || found === tier.none) continue;
      if (found < best) candidates = 0;
      best = found;
      // Reservoir of one: each candidate ends up chosen with equal probability.
      if (random() * ++candidates < 1) chosen = member;
    }
    return chosen;
  }

  /** The member of the last time while it is connected, however much it has to do: it alone keeps the order. */
  #pickStuck(
    isUsable: (subscriber: S) => boolean,
    load: (subscriber: S) => number,
    except: S | undefined,
  ): Member<S> | undefined {
    const stuck = this.#stuckTo;
    if (stuck !== undefined && stuck.subscriber !== except && isUsable(stuck.subscriber)) return stuck;
    const next = this.#pickNext(isUsable, load, except);
    // Nobody sticks to a member that is away, or that was chosen only because another was not allowed.
    if (except === undefined) this.#stuckTo = next;
    return next;
  }

  #pickHashed(
    hash: number,
    isUsable: (subscriber: S) => boolean,
    except: S | undefined,
  ): Member<S> | undefined {
    const list = this.#list;
    let best: number = tier.none;
    let bestWeight = -1;
    let chosen: Member<S> | undefined;
    for (let i = 0; i < list.length; i++) {
      const member = list[i] as Member<S>;
      const weight = mix(hash ^ member.key);
      // Once somebody is connected, only a greater weight can win: most members are not looked at any further.
      if (best === tier.ready && weight <= bestWeight) continue;
      const found = tierOf(member, isUsable, noLoad, except);
      if (found > best || found === tier.none || (found === best && weight <= bestWeight)) continue;
      best = found;
      bestWeight = weight;
      chosen = member;
    }
    return chosen;
  }

  #take(index: number): Member<S> | undefined {
    if (index < 0) return undefined;
    this.#turn = index + 1 === this.#list.length ? 0 : index + 1;
    return this.#list[index];
  }
}

function tierOf<S>(
  member: Member<S>,
  isUsable: (subscriber: S) => boolean,
  load: (subscriber: S) => number,
  except: S | undefined,
): number {
  const { subscriber } = member;
  if (except !== undefined && subscriber === except) return tier.none;
  if (isUsable(subscriber)) return load(subscriber) === Number.POSITIVE_INFINITY ? tier.busy : tier.ready;
  return member.grant.qos > 0 ? tier.away : tier.none;
}

function noLoad(): number {
  return 0;
}

/** Spreads 32 bits over 32 bits; never negative. */
function mix(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
