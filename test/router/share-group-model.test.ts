/** The choice in a share group against a scan over everybody, up to thousands of members. Quick tier. */
import { describe, expect, test } from 'vitest';

import type { ShareStrategy } from '../../src/config/share-settings.js';
import type { SubscriptionOptions } from '../../src/router/route.js';
import { ShareGroup } from '../../src/router/share-group.js';
import { Random, testSeed } from '../mqtt/random.js';

/** Messages that a member may have unanswered. */
const WINDOW = 3;

class Member {
  readonly name: string;
  isAway = false;
  sent = 0;
  qos = 1;

  constructor(name: string) {
    this.name = name;
  }
}

const isUsable = ({ isAway }: Member): boolean => !isAway;
const load = ({ sent }: Member): number => (sent >= WINDOW ? Number.POSITIVE_INFINITY : sent);

function options(qos: number): SubscriptionOptions {
  return { qos, noLocal: false, retainAsPublished: false, subscriptionIdentifier: 0 };
}

/** What the contract says: a rotation, the tiers, and the load among those that are ready. */
class NaiveGroup {
  readonly list: Member[] = [];
  turn = 0;

  join(member: Member): void {
    this.list.splice(this.turn === 0 ? this.list.length : this.turn++, 0, member);
  }

  leave(member: Member): void {
    const index = this.list.indexOf(member);
    this.list.splice(index, 1);
    if (index < this.turn) this.turn--;
    if (this.turn >= this.list.length) this.turn = 0;
  }

  /** Those that may be chosen, in the order of their turns. */
  best(except: Member | undefined): Member[] {
    const inTurn = [...this.list.slice(this.turn), ...this.list.slice(0, this.turn)];
    const others = inTurn.filter((member) => member !== except);
    const ready = others.filter((member) => isUsable(member) && load(member) < Number.POSITIVE_INFINITY);
    if (ready.length > 0) return ready;
    const busy = others.filter((member) => isUsable(member));
    return busy.length > 0 ? busy : others.filter(({ qos }) => qos > 0);
  }

  pick(strategy: ShareStrategy, except: Member | undefined): Member | undefined {
    const best = this.best(except);
    // Of those that are away a load says nothing.
    const loads = best.map((member) => (isUsable(member) ? load(member) : 0));
    const fewest = loads.indexOf(Math.min(...loads));
    const chosen = best[strategy === 'least_inflight' ? fewest : 0];
    if (chosen !== undefined) this.turn = (this.list.indexOf(chosen) + 1) % this.list.length;
    return chosen;
  }
}

function run(strategy: ShareStrategy, size: number, rounds: number): void {
  const seed = testSeed();
  const random = new Random(seed + size);
  const group = new ShareGroup<Member>('g', 'jobs/#', { strategy, random: () => random.next() });
  const naive = new NaiveGroup();
  let names = 0;
  const join = (): void => {
    const member = new Member(`m${names++}`);
    member.qos = random.below(3);
    group.join(member, options(member.qos));
    naive.join(member);
  };
  const improve = (member: Member): void => {
    const seat = group.seatOf(member);
    if (seat !== undefined) group.improved(seat, load(member));
  };
  for (let i = 0; i < size; i++) join();
  for (let round = 0; round < rounds; round++) {
    const where = `seed ${seed}, ${strategy}, round ${round}`;
    const someone = naive.list[random.below(naive.list.length)] as Member;
    // Few are away at first, then nearly all, then nearly all are there and busy.
    const phase = Math.floor((3 * round) / rounds);
    if (phase === 1 && round % 7 === 0) for (const member of naive.list) member.isAway ||= random.chance(0.5);
    if (phase === 2 && round % 7 === 0) {
      for (const member of naive.list) {
        if (random.chance(0.5)) member.sent = WINDOW;
        if (random.chance(0.5)) member.isAway = false;
        improve(member);
      }
    }
    if (random.chance(0.03)) join();
    if (random.chance(0.03) && naive.list.length > 1) {
      naive.leave(someone);
      expect(group.leave(someone)).toBe(true);
    } else if (random.chance(0.03)) {
      someone.qos = random.below(3);
      expect(group.join(someone, options(someone.qos))).toBe(true);
    } else if (random.chance(0.2)) {
      // Worse without a word, better with one.
      someone.isAway = !someone.isAway;
      improve(someone);
    } else if (random.chance(0.3)) {
      someone.sent = random.below(WINDOW + 1);
      improve(someone);
    }
    const except = random.chance(0.2) ? (naive.best(undefined)[0] ?? naive.list[0]) : undefined;
    if (strategy === 'random') {
      const best = naive.best(except);
      const chosen = group.pick(undefined, isUsable, load, 0, except)?.subscriber;
      if (best.length === 0) expect(chosen, where).toBeUndefined();
      else expect(best, where).toContain(chosen);
      if (chosen !== undefined) chosen.sent++;
    } else {
      const expected = naive.pick(strategy, except);
      const chosen = group.pick(undefined, isUsable, load, 0, except)?.subscriber;
      expect(chosen?.name, where).toBe(expected?.name);
      if (chosen !== undefined) chosen.sent++;
    }
    expect(group.size, where).toBe(naive.list.length);
  }
}

describe('choice of a member against a naive model', () => {
  const cases = (['round_robin', 'least_inflight', 'random'] as const).flatMap((strategy) =>
    [
      [1, 600],
      [2, 900],
      [3, 900],
      [17, 2000],
      [300, 2000],
      [4000, 300],
    ].map(([size = 0, rounds = 0]) => [strategy, size, rounds] as const),
  );
  test.each(cases)(
    '%s among %i members chooses what a scan chooses, whatever happens [broker]',
    (strategy, size, rounds) => run(strategy, size, rounds),
  );

  test('a pick looks at few members, however many are busy or away [broker]', () => {
    for (const strategy of ['round_robin', 'least_inflight', 'random'] as const) {
      const group = new ShareGroup<Member>('g', 'jobs/#', { strategy, random: Math.random });
      const members = Array.from({ length: 5000 }, (_, i) => new Member(`m${i}`));
      for (const member of members) {
        member.sent = WINDOW;
        group.join(member, options(1));
      }
      let looks = 0;
      const counted = (member: Member): boolean => {
        looks++;
        return isUsable(member);
      };
      group.pick(undefined, counted, load);
      expect(looks, 'each is looked at once, to know').toBeLessThanOrEqual(5001);
      looks = 0;
      for (let i = 0; i < 100; i++) group.pick(undefined, counted, load);
      expect(looks).toBeLessThanOrEqual(300);
      for (const member of members) member.isAway = true;
      group.pick(undefined, counted, load);
      looks = 0;
      const free = members[4321] as Member;
      free.isAway = false;
      free.sent = 1;
      group.improved(group.seatOf(free)!, 1);
      expect(group.pick(undefined, counted, load)?.subscriber).toBe(free);
      expect(looks).toBeLessThanOrEqual(3);
    }
  });
});
