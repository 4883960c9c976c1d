/** The choice among the members of a share group, strategy by strategy. Quick tier. */
import { describe, expect, test } from 'vitest';

import type { ShareStrategy } from '../../src/config/share-settings.js';
import type { SubscriptionOptions } from '../../src/router/route.js';
import { ShareGroup } from '../../src/router/share-group.js';
import { Random, testSeed } from '../mqtt/random.js';

const seed = testSeed();
const strategies: readonly ShareStrategy[] = [
  'round_robin',
  'random',
  'least_inflight',
  'sticky',
  'hash_clientid',
  'hash_topic',
];

function options(qos = 1): SubscriptionOptions {
  return { qos, noLocal: false, retainAsPublished: false, subscriptionIdentifier: 0 };
}

/** A group over names, with who is away and how much everyone has to do. */
class Fixture {
  readonly away = new Set<string>();
  readonly loads = new Map<string, number>();
  readonly group: ShareGroup<string>;
  readonly isUsable = (name: string): boolean => !this.away.has(name);
  readonly load = (name: string): number => this.loads.get(name) ?? 0;

  constructor(strategy: ShareStrategy, names: readonly string[] = ['a', 'b', 'c']) {
    const random = new Random(seed);
    this.group = new ShareGroup<string>('g', 'jobs/#', {
      strategy,
      random: () => random.below(1_000_000) / 1_000_000,
      hashOf: (name) => Number(name.slice(1)) * 7919,
    });
    for (const name of names) this.group.join(name, options());
  }

  /** It has connected, or has less to do: the group is told. */
  improved(name: string, load = 0): void {
    this.away.delete(name);
    this.loads.set(name, load);
    const seat = this.group.seatOf(name);
    if (seat !== undefined) this.group.improved(seat, load);
  }

  pick(publisher?: string, topicHash = 0, except?: string): string | undefined {
    return this.group.pick(publisher, this.isUsable, this.load, topicHash, except)?.subscriber;
  }

  picks(count: number): string {
    return Array.from({ length: count }, () => this.pick() ?? '-').join('');
  }
}

describe.each(strategies)('%s', (strategy) => {
  test('a message goes to one member, and to nobody when there is none [broker]', () => {
    const fixture = new Fixture(strategy, []);
    expect(fixture.pick('p1', 1)).toBeUndefined();
    fixture.group.join('a', options(2));
    expect(fixture.pick('p1', 1)).toBe('a');
    expect(fixture.group.leave('a')).toBe(true);
    expect(fixture.group.leave('a')).toBe(false);
    expect(fixture.pick('p1', 1)).toBeUndefined();
  });

  test('whoever is connected comes before whoever is away [broker]', () => {
    const fixture = new Fixture(strategy);
    fixture.away.add('a').add('c');
    for (let i = 0; i < 30; i++) expect(fixture.pick(`p${i}`, i)).toBe('b');
    fixture.loads.set('b', Number.POSITIVE_INFINITY);
    for (let i = 0; i < 30; i++) expect(fixture.pick(`p${i}`, i)).toBe('b');
  });

  test('when all are away, a member that is kept messages gets it, never one granted QoS 0 [broker]', () => {
    const fixture = new Fixture(strategy);
    fixture.away.add('a').add('b').add('c');
    fixture.group.join('a', options(0));
    fixture.group.join('c', options(0));
    for (let i = 0; i < 30; i++) expect(fixture.pick(`p${i}`, i)).toBe('b');
    fixture.group.join('b', options(0));
    expect(fixture.pick('p1', 1)).toBeUndefined();
  });

  test('the member to be avoided is not chosen, even when nobody else is there [broker]', () => {
    const fixture = new Fixture(strategy);
    for (let i = 0; i < 30; i++) expect(fixture.pick(`p${i}`, i, 'b')).not.toBe('b');
    fixture.group.leave('a');
    fixture.group.leave('c');
    expect(fixture.pick('p1', 1, 'b')).toBeUndefined();
    expect(fixture.pick('p1', 1)).toBe('b');
  });

  test(`random joins, leaves and picks: a pick is a member of the best kind there is, seed ${seed} [broker]`, () => {
    const random = new Random(seed + strategy.length);
    const fixture = new Fixture(strategy, []);
    const members = new Map<string, number>();
    for (let step = 0; step < 3000; step++) {
      const name = `m${random.below(8)}`;
      switch (random.below(8)) {
        case 0: {
          const qos = random.below(3);
          expect(fixture.group.join(name, options(qos))).toBe(members.has(name));
          members.set(name, qos);
          break;
        }
        case 1:
          expect(fixture.group.leave(name)).toBe(members.delete(name));
          break;
        case 2:
          if (fixture.away.has(name)) fixture.improved(name);
          else fixture.away.add(name);
          break;
        default: {
          const picked = fixture.group.pick(`p${step}`, fixture.isUsable, fixture.load, step, undefined);
          const connected = [...members.keys()].filter((member) => !fixture.away.has(member));
          const kept = [...members].filter(([, qos]) => qos > 0).map(([member]) => member);
          const candidates = connected.length > 0 ? connected : kept;
          if (candidates.length === 0) expect(picked).toBeUndefined();
          else expect(candidates).toContain(picked?.subscriber);
          if (picked !== undefined) expect(picked.grant.qos).toBe(members.get(picked.subscriber));
        }
      }
      expect(fixture.group.size).toBe(members.size);
    }
  });
});

describe('round robin', () => {
  test('everybody has a turn in the order of joining [broker]', () => {
    expect(new Fixture('round_robin').picks(7)).toBe('abcabca');
  });

  test('a member that joins waits for its turn, and one that leaves moves nobody else [broker]', () => {
    const fixture = new Fixture('round_robin');
    expect(fixture.picks(1)).toBe('a');
    fixture.group.join('d', options());
    expect(fixture.picks(4)).toBe('bcad');
    fixture.group.leave('d');
    expect(fixture.picks(1)).toBe('b');
    fixture.group.leave('a');
    expect(fixture.picks(3)).toBe('cbc');
  });

  test('a repeated SUBSCRIBE keeps the place and changes the grant [MQTT-3.8.4-3]', () => {
    const fixture = new Fixture('round_robin');
    expect(fixture.picks(1)).toBe('a');
    expect(fixture.group.join('b', options(2))).toBe(true);
    expect(fixture.group.get('b')!.grant.qos).toBe(2);
    expect(fixture.picks(3)).toBe('bca');
  });

  test('a member that can take none for now is passed over while another can [broker]', () => {
    const fixture = new Fixture('round_robin');
    fixture.loads.set('b', Number.POSITIVE_INFINITY);
    expect(fixture.picks(4)).toBe('acac');
    fixture.loads.set('a', Number.POSITIVE_INFINITY).set('c', Number.POSITIVE_INFINITY);
    expect(fixture.picks(3).split('').sort().join('')).toBe('abc');
  });

  test('members that are away share among themselves in turns [broker]', () => {
    const fixture = new Fixture('round_robin');
    fixture.away.add('a').add('b').add('c');
    expect(fixture.picks(6)).toBe('abcabc');
  });
});

describe('least in flight', () => {
  test('the member with the fewest unanswered messages is chosen, and equals take turns [broker]', () => {
    const fixture = new Fixture('least_inflight');
    expect(fixture.picks(6)).toBe('abcabc');
    fixture.loads.set('a', 3).set('b', 1).set('c', 2);
    expect(fixture.picks(3)).toBe('bbb');
    fixture.loads.set('b', 2);
    expect(fixture.picks(4)).toBe('cbcb');
  });
});

describe('random', () => {
  test(`every member gets its share, and those left share when one is full, seed ${seed} [broker]`, () => {
    const fixture = new Fixture('random');
    const counts = new Map<string, number>();
    for (const name of fixture.picks(3000)) counts.set(name, (counts.get(name) ?? 0) + 1);
    for (const name of 'abc') expect(counts.get(name)).toBeGreaterThan(850);
    fixture.loads.set('a', Number.POSITIVE_INFINITY);
    const later = fixture.picks(3000);
    expect(later).not.toContain('a');
    expect(later.split('b').length).toBeGreaterThan(1300);
    expect(later.split('c').length).toBeGreaterThan(1300);
  });
});

describe('sticky', () => {
  test('one member gets everything until it goes away, busy or not; then another does [broker]', () => {
    const fixture = new Fixture('sticky');
    expect(fixture.picks(5)).toBe('aaaaa');
    fixture.loads.set('a', Number.POSITIVE_INFINITY);
    expect(fixture.picks(2)).toBe('aa');
    fixture.away.add('a');
    expect(fixture.picks(3)).toBe('bbb');
    fixture.improved('a');
    expect(fixture.picks(3)).toBe('bbb');
    fixture.group.leave('b');
    expect(fixture.picks(3)).toBe('ccc');
  });
});

describe('hashes', () => {
  test('all messages of a publisher go to one member, and a member that goes moves only its own [broker]', () => {
    const names = Array.from({ length: 10 }, (_, i) => `m${i}`);
    const fixture = new Fixture('hash_clientid', names);
    const before = Array.from({ length: 500 }, (_, i) => fixture.pick(`p${i}`, 99));
    expect(new Set(before).size).toBe(10);
    for (let i = 0; i < 500; i++) expect(fixture.pick(`p${i}`, 1)).toBe(before[i]);
    fixture.away.add('m3');
    for (let i = 0; i < 500; i++) {
      const now = fixture.pick(`p${i}`);
      if (before[i] === 'm3') expect(now).not.toBe('m3');
      else expect(now).toBe(before[i]);
    }
    fixture.improved('m3');
    fixture.group.join('m10', options());
    const moved = before.filter((member, i) => {
      const now = fixture.pick(`p${i}`);
      expect([member, 'm10']).toContain(now);
      return now === 'm10';
    });
    expect(moved.length).toBeGreaterThan(10);
    expect(moved.length).toBeLessThan(120);
  });

  test('all messages of a topic go to one member, whoever publishes them [broker]', () => {
    const fixture = new Fixture('hash_topic');
    const byTopic = Array.from({ length: 100 }, (_, i) => fixture.pick('p1', i * 31));
    expect(new Set(byTopic).size).toBe(3);
    for (let i = 0; i < 100; i++) expect(fixture.pick(`p${i}`, i * 31)).toBe(byTopic[i]);
  });
});
