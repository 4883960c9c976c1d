import { describe, expect, test } from 'vitest';
import { ConsumerSet, QueueConsumer } from '../../src/queue/consumer-set.js';
import type { DispatchStrategy } from '../../src/queue/definition.js';
import { Random, testSeed } from '../mqtt/random.js';

/** What the contract says, by a scan over everybody: a rotation, and who comes next in it. */
class NaiveSet {
  readonly list: QueueConsumer[] = [];
  turn = 0;
  readonly #counts: Int32Array;

  constructor(counts: Int32Array) {
    this.#counts = counts;
  }

  add(consumer: QueueConsumer): void {
    this.list.splice(this.turn === 0 ? this.list.length : this.turn++, 0, consumer);
  }

  remove(consumer: QueueConsumer): void {
    const index = this.list.indexOf(consumer);
    this.list.splice(index, 1);
    if (index < this.turn) this.turn--;
    if (this.turn >= this.list.length) this.turn = 0;
  }

  candidates(refusedBy: number, from: string | undefined): QueueConsumer[] {
    return [...this.list.slice(this.turn), ...this.list.slice(0, this.turn)].filter(
      ({ slot, window, noLocal, clientId }) =>
        (this.#counts[slot] as number) < window &&
        slot !== refusedBy &&
        !(noLocal && clientId.toString() === from),
    );
  }

  pick(strategy: DispatchStrategy, refusedBy: number, from: string | undefined): QueueConsumer | null {
    const candidates = this.candidates(refusedBy, from);
    const fewest = Math.min(...candidates.map(({ slot }) => Math.max(0, this.#counts[slot] as number)));
    const chosen =
      strategy === 'round_robin'
        ? candidates[0]
        : candidates.find(({ slot }) => Math.max(0, this.#counts[slot] as number) === fewest);
    if (chosen !== undefined) this.turn = (this.list.indexOf(chosen) + 1) % this.list.length;
    return chosen ?? null;
  }
}

const SLOTS = 6000;

function run(strategy: DispatchStrategy, size: number, rounds: number): void {
  const seed = testSeed();
  const random = new Random(seed);
  const counts = new Int32Array(SLOTS);
  const set = new ConsumerSet(counts, () => random.next());
  const naive = new NaiveSet(counts);
  const sent: QueueConsumer[] = [];
  set.setWindow(4);
  let slots = 0;
  const join = (): void => {
    const noLocal = random.chance(0.2);
    const clientId = Buffer.from(`client-${random.below(size)}`);
    const consumer = new QueueConsumer(slots++, clientId, 1 + random.below(6), noLocal);
    set.add(consumer);
    naive.add(consumer);
  };
  for (let i = 0; i < size; i++) join();
  // Hardly anybody has credit in the second half of the run, hardly anybody is busy in the first.
  for (let round = 0; round < rounds; round++) {
    const where = `seed ${seed}, ${strategy}, round ${round}`;
    if (round === rounds >> 1) {
      for (const consumer of naive.list) {
        while ((counts[consumer.slot] as number) < consumer.window) {
          set.assigned(consumer);
          sent.push(consumer);
        }
      }
    }
    if (random.chance(0.02) && slots < SLOTS) join();
    if (random.chance(0.02) && naive.list.length > 1) {
      const leaver = naive.list[random.below(naive.list.length)] as QueueConsumer;
      set.remove(leaver);
      naive.remove(leaver);
    }
    if (random.chance(0.005)) {
      const window = 1 + random.below(6);
      set.setWindow(window, window + random.below(2) * 4);
    }
    if (random.chance(0.05)) {
      set.earn(naive.list[random.below(naive.list.length)] as QueueConsumer, random.below(12));
    }
    if (sent.length > 0 && random.chance(0.6)) {
      const [answering] = sent.splice(random.below(sent.length), 1) as [QueueConsumer];
      counts[answering.slot] = (counts[answering.slot] as number) - 1;
      set.answered(answering);
    }
    const refusedBy = random.chance(0.3) ? random.below(slots) : -1;
    const from = random.chance(0.5) ? `client-${random.below(size)}` : undefined;
    const candidates = naive.candidates(-1, undefined);
    expect(set.hasCredit(), where).toBe(candidates.length > 0);
    if (candidates.length > 0 && random.chance(0.3)) naiveRefusal(candidates);
    const sender = from === undefined ? undefined : Buffer.from(from);
    if (strategy === 'random') {
      const among = naive.candidates(refusedBy, from);
      const chosen = set.pick(strategy, refusedBy, sender);
      if (chosen === null) expect(among, where).toHaveLength(0);
      else expect(among, where).toContain(chosen);
      if (chosen !== null) give(chosen);
    } else {
      const chosen = naive.pick(strategy, refusedBy, from);
      expect(set.pick(strategy, refusedBy, sender)?.slot, where).toBe(chosen?.slot);
      if (chosen !== null) give(chosen);
    }
  }

  function give(consumer: QueueConsumer): void {
    set.assigned(consumer);
    sent.push(consumer);
  }

  /** The one whose turn it is refuses, as in a delivery that is tried again. */
  function naiveRefusal(candidates: readonly QueueConsumer[]): void {
    const { slot } = candidates[0] as QueueConsumer;
    if (strategy === 'random') return;
    const chosen = naive.pick(strategy, slot, undefined);
    expect(set.pick(strategy, slot, undefined)?.slot, `seed ${seed}`).toBe(chosen?.slot);
    if (chosen !== null) give(chosen);
  }
}

describe('choice of a consumer against a naive model', () => {
  const cases = (['round_robin', 'least_inflight', 'random'] as const).flatMap((strategy) =>
    [
      [1, 600],
      [2, 600],
      [3, 600],
      [17, 1500],
      [300, 2000],
      [4000, 400],
    ].map(([size = 0, rounds = 0]) => [strategy, size, rounds] as const),
  );
  test.each(cases)(
    '%s among %i consumers chooses what a scan chooses, whatever happens [broker]',
    (strategy, size, rounds) => run(strategy, size, rounds),
  );

  test('a change of strategy holds from the next choice on, with the turns as they are [broker]', () => {
    const seed = testSeed();
    const random = new Random(seed);
    const counts = new Int32Array(100);
    const set = new ConsumerSet(counts, () => random.next());
    const naive = new NaiveSet(counts);
    for (let slot = 0; slot < 100; slot++) {
      const consumer = new QueueConsumer(slot, Buffer.from('a'), 9, false);
      consumer.window = 9;
      counts[slot] = random.below(10);
      set.add(consumer);
      naive.add(consumer);
    }
    for (let round = 0; round < 300; round++) {
      const strategy = random.chance(0.5) ? 'round_robin' : 'least_inflight';
      const chosen = naive.pick(strategy, -1, undefined);
      expect(set.pick(strategy, -1, undefined)?.slot, `seed ${seed}, round ${round}`).toBe(chosen?.slot);
      if (chosen !== null) set.assigned(chosen);
      if (random.chance(0.3)) {
        const free = set.pick('random', -1, undefined);
        if (free !== null) expect(counts[free.slot], `seed ${seed}`).toBeLessThan(9);
      }
    }
  });

  test('while everybody seems full, credit that came without a frame is found within a few looks [broker]', () => {
    const counts = new Int32Array(1000).fill(1);
    const set = new ConsumerSet(counts, Math.random);
    for (let slot = 0; slot < 1000; slot++) {
      const consumer = new QueueConsumer(slot, Buffer.from('a'), 1, false);
      consumer.window = 1;
      set.add(consumer);
    }
    expect(set.hasCredit()).toBe(false);
    counts[777] = 0;
    let looks = 1;
    while (!set.hasCredit() && looks < 100) looks++;
    expect(looks).toBeLessThanOrEqual(17);
    expect(set.pick('least_inflight', -1, undefined)?.slot).toBe(777);
  });
});
