import { describe, expect, test } from 'vitest';
import { ConsumerSet, QueueConsumer } from '../../src/queue/consumer-set.js';
import type { DispatchStrategy } from '../../src/queue/definition.js';
import { Random, testSeed } from '../mqtt/random.js';

/** One run in a thousand fails by chance: this one does not. */
const CHI_SQUARE_SEED = 7;
const STRATEGIES: DispatchStrategy[] = ['random', 'round_robin', 'least_inflight'];

/** A set of consumers named a, b, c … with the given windows, and a pick that counts like a dispatch. */
function setOf(windows: readonly number[], seed = testSeed()) {
  const counts = new Int32Array(64);
  const random = new Random(seed);
  const set = new ConsumerSet(counts, () => random.next());
  const names = new Map<QueueConsumer, string>();
  let slots = 0;
  const join = (window: number, noLocal = false): QueueConsumer => {
    const name = String.fromCodePoint(97 + slots);
    const consumer = new QueueConsumer(slots++, Buffer.from(name), window, noLocal);
    consumer.window = window;
    set.add(consumer);
    names.set(consumer, name);
    return consumer;
  };
  const consumers = windows.map((window) => join(window));
  const pick = (strategy: DispatchStrategy, refusedBy = -1, from?: string): string => {
    const consumer = set.pick(strategy, refusedBy, from === undefined ? undefined : Buffer.from(from));
    if (consumer === null) return '-';
    set.assigned(consumer);
    return names.get(consumer) as string;
  };
  const picks = (count: number, strategy: DispatchStrategy): string =>
    Array.from({ length: count }, () => pick(strategy)).join('');
  /** The main thread has changed these counts, from slot 0 on, and its frames have come. */
  const answer = (now: readonly number[]): void => {
    counts.set(now);
    for (const consumer of set) set.answered(consumer);
  };
  return { set, counts, consumers, join, pick, picks, answer };
}

describe('choice of a consumer', () => {
  test('round_robin goes round, and a batch is spread [queue-10]', () => {
    expect(setOf([9, 9, 9]).picks(7, 'round_robin')).toBe('abcabca');
  });

  test('least_inflight counts every assignment of a batch at once and breaks ties by rotation [queue-11]', () => {
    const { picks, answer } = setOf([9, 9, 9]);
    expect(picks(6, 'least_inflight')).toBe('abcabc');
    answer([5, 2, 3]);
    expect(picks(6, 'least_inflight')).toBe('bcbcbc');
    answer([0, 0, 0]);
    const order = picks(1, 'least_inflight');
    answer([0, 0, 0]);
    expect(picks(1, 'least_inflight'), 'an idle system does not always use the same one').not.toBe(order);
  });

  test('random is uniform over those with credit (chi-square, p = 0.001) [queue-9]', () => {
    const { set, counts, consumers } = setOf([1e9, 1e9, 1e9, 1e9, 1, 1e9], CHI_SQUARE_SEED);
    counts[4] = 1;
    const hits = new Map<QueueConsumer, number>();
    const draws = 20_000;
    for (let i = 0; i < draws; i++) {
      const consumer = set.pick('random', -1, undefined) as QueueConsumer;
      hits.set(consumer, (hits.get(consumer) ?? 0) + 1);
    }
    expect(hits.has(consumers[4] as QueueConsumer)).toBe(false);
    const expected = draws / 5;
    const chiSquare = [...hits.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(hits.size).toBe(5);
    expect(chiSquare).toBeLessThan(18.47);
  });

  test('random stays uniform when hardly anybody has credit (chi-square, p = 0.001) [queue-9]', () => {
    const { set, counts } = setOf(
      Array.from({ length: 40 }, () => 1),
      CHI_SQUARE_SEED,
    );
    counts.fill(1, 0, 40);
    for (const slot of [3, 17, 38]) counts[slot] = 0;
    const hits = new Map<number, number>();
    for (let i = 0; i < 9000; i++) {
      const { slot } = set.pick('random', -1, undefined) as QueueConsumer;
      hits.set(slot, (hits.get(slot) ?? 0) + 1);
    }
    const chiSquare = [...hits.values()].reduce((sum, count) => sum + (count - 3000) ** 2 / 3000, 0);
    expect([...hits.keys()].toSorted((a, b) => a - b)).toEqual([3, 17, 38]);
    expect(chiSquare).toBeLessThan(13.82);
  });

  test.each(STRATEGIES)(
    '%s skips full windows, and nobody is left when all are full [broker]',
    (strategy) => {
      const { picks, set } = setOf([2, 0, 1]);
      expect(
        Array.from(picks(3, strategy))
          .toSorted((x, y) => x.localeCompare(y))
          .join(''),
      ).toBe('aac');
      expect(set.hasCredit()).toBe(false);
      expect(picks(1, strategy)).toBe('-');
    },
  );

  test.each(STRATEGIES)(
    '%s passes over who refused, and finds nobody when that is the only one [queue-5]',
    (strategy) => {
      const { pick } = setOf([99, 99]);
      for (let i = 0; i < 10; i++) expect(pick(strategy, 0)).toBe('b');
      expect(setOf([99]).pick(strategy, 0)).toBe('-');
    },
  );

  test.each(STRATEGIES)('%s gives nobody a message of its own under No Local [MQTT-3.8.3-3]', (strategy) => {
    const { pick, join, set } = setOf([99]);
    expect(set.hasNoLocal).toBe(false);
    const own = join(99, true);
    expect(set.hasNoLocal).toBe(true);
    for (let i = 0; i < 10; i++) expect(pick(strategy, -1, 'b')).toBe('a');
    expect(new Set(Array.from({ length: 30 }, () => pick(strategy, -1, 'x')))).toEqual(new Set(['a', 'b']));
    set.remove(own);
    expect(set.hasNoLocal).toBe(false);
  });

  test("round_robin keeps everyone else's turn when consumers join and leave [broker]", () => {
    const { picks, join, set, consumers } = setOf([99, 99, 99]);
    expect(picks(2, 'round_robin')).toBe('ab');
    join(99);
    // c is next as before; the newcomer d is behind all whose turn is still to come.
    expect(picks(5, 'round_robin')).toBe('cabdc');
    set.remove(consumers[0] as QueueConsumer);
    expect(picks(4, 'round_robin')).toBe('bdcb');
    set.remove(consumers[2] as QueueConsumer);
    expect(picks(3, 'round_robin')).toBe('dbd');
  });

  test('after any joins and leaves round_robin serves everybody equally often [queue-10]', () => {
    const seed = testSeed();
    const random = new Random(seed);
    const { set, consumers, counts } = setOf([1e9, 1e9, 1e9, 1e9, 1e9, 1e9]);
    const here = [...consumers];
    const gone: QueueConsumer[] = [];
    for (let round = 0; round < 300; round++) {
      if (gone.length > 0 && random.chance(0.5)) {
        const [back] = gone.splice(random.below(gone.length), 1) as [QueueConsumer];
        set.add(back);
        here.push(back);
      } else if (here.length > 1) {
        const [leaver] = here.splice(random.below(here.length), 1) as [QueueConsumer];
        set.remove(leaver);
        gone.push(leaver);
      }
      counts.fill(0);
      for (let i = 0; i < here.length * 3 + random.below(here.length); i++) {
        const { slot } = set.pick('round_robin', -1, undefined) as QueueConsumer;
        counts[slot] = (counts[slot] as number) + 1;
      }
      for (const { slot } of here)
        expect(Math.floor((counts[slot] as number) / 3), `seed ${seed}, round ${round}`).toBe(1);
      for (const { slot } of gone) expect(counts[slot]).toBe(0);
    }
  });

  test('a changed window of the queue holds at once, within what the client takes [broker]', () => {
    const { set, consumers } = setOf([5, 20]);
    set.setWindow(10);
    expect(consumers.map(({ window }) => window)).toEqual([5, 10]);
    set.setWindow(1);
    expect(consumers.map(({ window }) => window)).toEqual([1, 1]);
  });

  test('what a consumer earns counts between the window of all and that of fast ones [broker]', () => {
    const { set, consumers } = setOf([5, 20, 500]);
    const windows = () => consumers.map(({ window }) => window);
    set.setWindow(10, 50);
    for (const consumer of consumers) set.earn(consumer, 30);
    expect(windows()).toEqual([5, 20, 30]);
    for (const consumer of consumers) set.earn(consumer, 100);
    expect(windows()).toEqual([5, 20, 50]);
    set.setWindow(10, 40);
    expect(windows()).toEqual([5, 20, 40]);
    for (const consumer of consumers) set.earn(consumer, 0);
    expect(windows()).toEqual([5, 10, 10]);
  });
});
