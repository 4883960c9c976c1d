/**
 * One shared subscription: the members of `$share/<name>/<filter>` and the choice among them. Main thread.
 *
 * Always true: a message goes to one member; whoever is connected comes before whoever is away, and among these only
 * members that are kept messages (QoS > 0) count; joins and leaves move nobody else's place; ties go to whoever was
 * chosen longest ago. What is known of a member is the truth or better: `improved` says when it has become better, and
 * who is about to be chosen is looked at first, so what has become worse costs once. The hashes are rendezvous hashes:
 * a member that goes moves only its own publishers or topics. A pick allocates nothing.
 * Cost: O(log members), `random` O(1), the hashes O(members): weights are of members and not of places, so that all of
 * them are compared; joins and leaves O(members).
 */
import { assert } from '../base/error.js';
import { MinTree, NONE } from '../base/min-tree.js';
import type { ShareStrategy } from '../config/share-settings.js';
import { routeSubscriber } from './route.js';
import type { RouteSubscriber, SubscriptionOptions } from './route.js';

/** How groups choose. */
export interface ShareOptions<S> {
  readonly strategy: ShareStrategy;
  /** In [0, 1). */
  readonly random: () => number;
  /** A stable number for a subscriber, any 32 bits of it; `hash_clientid` needs it. */
  readonly hashOf?: (subscriber: S) => number;
}

/** How good a choice a member is; lower is better. */
const tier = { ready: 0, busy: 1, away: 2, none: 3 } as const;
/** Number of a member that is ready, by load; those of the other tiers are above. */
const loadMax = NONE - 4;

/** The place of a member in its group, as long as it stays. */
export class ShareSeat<S> {
  readonly group: ShareGroup<S>;
  /** Number by which the hashes know it. */
  readonly key: number;
  /** What it is granted; replaced when it subscribes again. */
  member: RouteSubscriber<S>;
  /** In the order of turns. */
  place = -1;
  /** The tier that it is thought to have, and its place in that list. Only for `random`. */
  tier = -1;
  tierPlace = -1;

  constructor(group: ShareGroup<S>, key: number, member: RouteSubscriber<S>) {
    this.group = group;
    this.key = key;
    this.member = member;
  }
}

/** See the file header. `S` is the handle of a subscriber, compared by identity. */
export class ShareGroup<S> {
  readonly shareName: string;
  readonly topicFilter: string;
  readonly #options: ShareOptions<S>;
  readonly #list: ShareSeat<S>[] = [];
  readonly #bySubscriber = new Map<S, ShareSeat<S>>();
  readonly #goesByLoad: boolean;
  /** By place, the least that may be right: tier, or where load decides load and above all loads tier. */
  readonly #known = new MinTree();
  /** By tier, the best that may be right. Only for `random`. */
  readonly #tiers: readonly ShareSeat<S>[][] = [[], [], [], []];
  /** Members have come or gone since `#known` was made. */
  #isStale = false;
  /** Place of the member whose turn is next. */
  #turn = 0;
  #joined = 0;
  #stuckTo: ShareSeat<S> | undefined = undefined;

  constructor(shareName: string, topicFilter: string, options: ShareOptions<S>) {
    assert(
      options.strategy !== 'hash_clientid' || options.hashOf !== undefined,
      'hash_clientid without a hash of the publisher',
    );
    this.shareName = shareName;
    this.topicFilter = topicFilter;
    this.#options = options;
    this.#goesByLoad = options.strategy === 'least_inflight';
  }

  /** Members, connected or away. */
  get size(): number {
    return this.#list.length;
  }

  /** All members, in the order of their turns. */
  members(): readonly RouteSubscriber<S>[] {
    return this.#list.map(({ member }) => member);
  }

  /** The member that `subscriber` is, or undefined. */
  get(subscriber: S): RouteSubscriber<S> | undefined {
    return this.#bySubscriber.get(subscriber)?.member;
  }

  /** The seat of `subscriber`, the same until it leaves; undefined when it is no member. */
  seatOf(subscriber: S): ShareSeat<S> | undefined {
    return this.#bySubscriber.get(subscriber);
  }

  /** Adds a member, behind everyone whose turn is still to come, or replaces its options; true when it was one. */
  join(subscriber: S, options: SubscriptionOptions): boolean {
    const member = routeSubscriber(subscriber, options);
    const before = this.#bySubscriber.get(subscriber);
    if (before !== undefined) {
      before.member = member;
      this.improved(before, 0);
      return true;
    }
    const seat = new ShareSeat(this, mix(++this.#joined) | 0, member);
    this.#bySubscriber.set(subscriber, seat);
    if (this.#turn === 0) {
      this.#list.push(seat);
    } else {
      this.#list.splice(this.#turn, 0, seat);
      this.#turn++;
    }
    this.#isStale = true;
    if (this.#options.strategy === 'random') this.#move(seat, tier.ready);
    return false;
  }

  /** Takes a member out; false when it is none. */
  leave(subscriber: S): boolean {
    const seat = this.#bySubscriber.get(subscriber);
    if (seat === undefined) return false;
    this.#bySubscriber.delete(subscriber);
    const index = this.#isStale ? this.#list.indexOf(seat) : seat.place;
    this.#list.splice(index, 1);
    seat.place = -1;
    this.#isStale = true;
    this.#move(seat, -1);
    if (index < this.#turn) this.#turn--;
    if (this.#turn >= this.#list.length) this.#turn = 0;
    if (this.#stuckTo === seat) this.#stuckTo = undefined;
    return true;
  }

  /**
   * A member has become a better choice: it has connected, or has room again, or less to answer; `load` is what it has to
   * answer now, Infinity while it can take none. Who is not known to be better is not chosen before others.
   */
  improved(seat: ShareSeat<S>, load: number): void {
    const best = load === Number.POSITIVE_INFINITY ? tier.busy : tier.ready;
    if (seat.tier > best) this.#move(seat, best);
    if (this.#isStale || seat.place < 0) return;
    let number: number = best;
    if (this.#goesByLoad) number = best === tier.ready ? Math.min(load, loadMax) : loadMax + best;
    if (number < this.#known.at(seat.place)) this.#known.set(seat.place, number);
  }

  /**
   * The member that gets the next message, or undefined when there is none: nobody is usable and nobody keeps messages.
   * `isUsable` says whether a subscriber is connected, `load` how many messages it has not answered, Infinity when it
   * can take none for now: such a member is passed over by the strategies that are free to choose. Both must be
   * functions that the caller has already, not made for the call, and the same each time. `publisher` and `topicHash` feed the hashes;
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
      case 'least_inflight':
        return this.#pickNext(isUsable, load, except)?.member;
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

  /** The first in turn of those with the least load, or of the best tier. */
  #pickNext(
    isUsable: (subscriber: S) => boolean,
    load: (subscriber: S) => number,
    except: S | undefined,
  ): ShareSeat<S> | undefined {
    if (this.#isStale) this.#refresh();
    const known = this.#known;
    const excepted = except === undefined ? undefined : this.#bySubscriber.get(except);
    if (excepted !== undefined) known.set(excepted.place, NONE);
    let chosen: ShareSeat<S> | undefined;
    // Each round ends the choice or corrects what is known of one member, which nobody does again before it changes.
    while (known.min < NONE) {
      const place = known.nextUpTo(this.#turn, known.min);
      const seat = this.#list[place] as ShareSeat<S>;
      const number = this.#numberOf(seat, isUsable, load);
      if (number === known.at(place)) {
        this.#turn = place + 1 === this.#list.length ? 0 : place + 1;
        chosen = seat;
        break;
      }
      known.set(place, number);
    }
    if (excepted !== undefined) known.set(excepted.place, 0);
    return chosen;
  }

  /** Uniform over the best there are. */
  #pickRandom(
    isUsable: (subscriber: S) => boolean,
    load: (subscriber: S) => number,
    except: S | undefined,
  ): RouteSubscriber<S> | undefined {
    const { random } = this.#options;
    const excepted = except === undefined ? undefined : this.#bySubscriber.get(except);
    for (let sought: number = tier.ready; sought < tier.none; sought++) {
      const seats = this.#tiers[sought] as ShareSeat<S>[];
      for (;;) {
        const isAmong = excepted?.tier === sought;
        const count = isAmong ? seats.length - 1 : seats.length;
        if (count === 0) break;
        let index = Math.floor(random() * count);
        if (isAmong && index >= excepted.tierPlace) index++;
        const seat = seats[index] as ShareSeat<S>;
        const found = tierOf(seat.member, isUsable, load);
        if (found <= sought) return seat.member;
        this.#move(seat, found);
      }
    }
    return undefined;
  }

  /** The member of the last time while it is connected, however much it has to do: it alone keeps the order. */
  #pickStuck(
    isUsable: (subscriber: S) => boolean,
    load: (subscriber: S) => number,
    except: S | undefined,
  ): RouteSubscriber<S> | undefined {
    const stuck = this.#stuckTo?.member;
    if (stuck !== undefined && stuck.subscriber !== except && isUsable(stuck.subscriber)) return stuck;
    const next = this.#pickNext(isUsable, load, except);
    // Nobody sticks to a member that is away, or that was chosen only because another was not allowed.
    if (except === undefined) this.#stuckTo = next;
    return next?.member;
  }

  #pickHashed(
    hash: number,
    isUsable: (subscriber: S) => boolean,
    except: S | undefined,
  ): RouteSubscriber<S> | undefined {
    const list = this.#list;
    let best: number = tier.none;
    let bestWeight = -1;
    let chosen: RouteSubscriber<S> | undefined;
    for (let i = 0; i < list.length; i++) {
      const { key, member } = list[i] as ShareSeat<S>;
      const weight = mix(hash ^ key);
      // Once somebody is connected, only a greater weight can win: most members are not looked at any further.
      if (best === tier.ready && weight <= bestWeight) continue;
      if (except !== undefined && member.subscriber === except) continue;
      const found = tierOf(member, isUsable, noLoad);
      if (found > best || found === tier.none || (found === best && weight <= bestWeight)) continue;
      best = found;
      bestWeight = weight;
      chosen = member;
    }
    return chosen;
  }

  /** Number of a member in `#known` now. */
  #numberOf(
    { member }: ShareSeat<S>,
    isUsable: (subscriber: S) => boolean,
    load: (subscriber: S) => number,
  ): number {
    const found = tierOf(member, isUsable, load);
    if (found === tier.none) return NONE;
    if (!this.#goesByLoad) return found;
    return found === tier.ready ? Math.min(load(member.subscriber), loadMax) : loadMax + found;
  }

  /** Moves a seat to the list of another tier; -1 is none. */
  #move(seat: ShareSeat<S>, to: number): void {
    if (seat.tier >= 0) {
      const seats = this.#tiers[seat.tier] as ShareSeat<S>[];
      const last = seats.pop() as ShareSeat<S>;
      if (last !== seat) {
        seats[seat.tierPlace] = last;
        last.tierPlace = seat.tierPlace;
      }
    }
    seat.tier = to;
    if (to >= 0) seat.tierPlace = (this.#tiers[to] as ShareSeat<S>[]).push(seat) - 1;
  }

  /** Makes the places anew; nothing is known of anybody then. */
  #refresh(): void {
    this.#isStale = false;
    const list = this.#list;
    this.#known.resize(list.length);
    for (let place = 0; place < list.length; place++) {
      const seat = list[place] as ShareSeat<S>;
      seat.place = place;
      this.#known.put(place, 0);
    }
    this.#known.build();
  }
}

function tierOf<S>(
  { subscriber, grant }: RouteSubscriber<S>,
  isUsable: (subscriber: S) => boolean,
  load: (subscriber: S) => number,
): number {
  if (isUsable(subscriber)) return load(subscriber) === Number.POSITIVE_INFINITY ? tier.busy : tier.ready;
  return grant.qos > 0 ? tier.away : tier.none;
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
