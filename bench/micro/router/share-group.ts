/**
 * Choosing a member of a share group for the next message, by strategy and number of members. Bench process.
 *
 * Always true: half of every window is unanswered and the oldest message is answered for each new one, so that nobody is
 * idle and `least_inflight` has to look. The strategies that promise an even split keep it.
 */
import type { ShareStrategy } from '../../../src/config/share-settings.js';
import { ShareGroup } from '../../../src/router/share-group.js';
import { measure, same, type Figure, type Task } from '../measure.js';

const window = 10;
const operations = 1000;
const strategies: readonly ShareStrategy[] = ['round_robin', 'random', 'least_inflight'];

class Member {
  readonly index: number;
  sent = 0;
  chosen = 0;

  constructor(index: number) {
    this.index = index;
  }
}

const isUsable = ({ index }: Member): boolean => index >= 0;
const load = ({ sent }: Member): number => (sent >= window ? Number.POSITIVE_INFINITY : sent);
const options = { qos: 1, noLocal: false, retainAsPublished: false, subscriptionIdentifier: 0 };

function task(strategy: ShareStrategy, size: number): Task {
  const name = `${strategy}, ${size} members`;
  const group = new ShareGroup<Member>('g', 'jobs/#', { strategy, random: Math.random });
  const members = Array.from({ length: size }, (_, index) => new Member(index));
  for (const member of members) group.join(member, options);
  const seats = members.map((member) => group.seatOf(member)!);
  /** Members in the order in which they will answer. */
  const outstanding: Member[] = [];
  let oldest = 0;
  for (let round = 0; round < window / 2; round++) {
    for (const member of members) {
      outstanding.push(member);
      member.sent++;
    }
  }
  return {
    name,
    operations,
    run() {
      for (let i = 0; i < operations; i++) {
        const picked = group.pick(undefined, isUsable, load);
        if (picked === undefined) throw new Error(`${name}: nobody was chosen`);
        const member = picked.subscriber;
        member.sent++;
        member.chosen++;
        const answering = outstanding[oldest]!;
        answering.sent--;
        group.improved(seats[answering.index]!, load(answering));
        outstanding[oldest] = member;
        oldest = oldest + 1 === outstanding.length ? 0 : oldest + 1;
      }
      const chosen = members.map((member) => member.chosen);
      if (strategy !== 'random') {
        const most = chosen.reduce((a, b) => Math.max(a, b));
        const fewest = chosen.reduce((a, b) => Math.min(a, b));
        same(`${name}: an even split`, most - fewest <= 1, true);
      }
    },
  };
}

/** Operations are choices. */
export function benchShareGroup(scale: number): Figure[] {
  const sizes = scale < 10 ? [2, 10] : [2, 10, 100, 1000, 10_000];
  return measure(
    scale,
    sizes.flatMap((size) => strategies.map((strategy) => task(strategy, size))),
  );
}
