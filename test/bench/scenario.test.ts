/** Cases of scenarios: their headline, their faults and what is said beside the figure. */
import { expect, test } from 'vitest';
import { countsText, faultsOf, loadCase, timesOf } from '../../bench/scenarios/scenario.mjs';
import { scenarios as list } from '../../bench/scenarios/list.mjs';

interface Figures {
  readonly loss?: number;
  readonly duplicates?: number;
  readonly outOfOrder?: number;
  readonly failed?: number;
  readonly ended?: string;
  readonly failures?: readonly string[];
  readonly steady?: object;
  readonly cpuSecondsPerMillion?: number;
  readonly ackSeconds?: number;
  readonly completedSeconds?: number;
}

interface Case {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  readonly better: string;
  readonly peers: string;
  readonly faults: (figures: Figures) => readonly string[];
}

interface Scenario {
  readonly name: string;
  readonly cases: (context: object) => readonly Case[];
}

const scenarios = list as unknown as readonly Scenario[];
const countsOf = countsText as unknown as (figures: Figures, load: object) => string;
const faultTexts = faultsOf as unknown as (figures: Figures, load: object) => readonly string[];

const clean = { loss: 0, duplicates: 0, failed: 0, outOfOrder: 0, ended: 'complete', failures: [] };
const steady = { deliveredPerSecond: 900, ackedPerSecond: 80, loadCpuUsPerMessage: 0.2 };

test('the headline never counts more deliveries than were acknowledged for them [bench]', () => {
  const headline = (load: object): unknown =>
    loadCase({ id: 'a', title: 'a', load }).headline({ steady, endToEndPerSecond: 5 });
  expect(headline({ qos: 0, consumers: 10 })).toBe(900);
  expect(headline({ qos: 1, consumers: 10 })).toBe(800);
  expect(headline({ qos: 1, mode: 'share', consumers: 10 })).toBe(80);
  expect(headline({ qos: 1, mode: 'queue', consumers: 10 })).toBe(80);
  expect(loadCase({ id: 'a', title: 'a', load: {} }).headline({ endToEndPerSecond: 5 })).toBe(5);
});

test('loss is a fault from QoS 1 on, repetition in queues and with QoS 2 [bench]', () => {
  const faults = (figures: object, load: object): number => faultTexts({ ...clean, ...figures }, load).length;
  expect(faults({ loss: 3 }, { qos: 0, mode: 'broadcast' })).toBe(0);
  expect(faults({ loss: 3 }, { qos: 1, mode: 'broadcast' })).toBe(1);
  expect(faults({ duplicates: 1 }, { qos: 1, mode: 'broadcast' })).toBe(0);
  expect(faults({ duplicates: 1 }, { qos: 1, mode: 'queue' })).toBe(1);
  expect(faults({ duplicates: 1 }, { qos: 2, mode: 'broadcast' })).toBe(1);
  expect(faults({ failed: 1, failures: ['x'] }, { qos: 1, mode: 'queue' })).toBe(2);
  expect(faults({ ended: 'idle' }, { qos: 1, mode: 'queue' })).toBe(1);
});

test('what was lost stands beside the figure, but for what a last-value queue leaves out [bench]', () => {
  const figures = { ...clean, loss: 3, outOfOrder: 1200, steady, cpuSecondsPerMillion: 0.7 };
  expect(countsOf(figures, {})).toBe(
    '3 lost; 1,200 out of order; CPU per message: broker 0.7 µs, generator 0.2 µs',
  );
  expect(countsOf({ ...clean, loss: 3 }, { expected: 10 })).toBe('');
});

test('every scenario has cases with names of their own, in a quick round and in a full one [bench]', () => {
  for (const quick of [true, false])
    for (const { name, cases } of scenarios) {
      const found = cases({ quick, scale: 1, seconds: 0, cores: 8 });
      const ids = found.map(({ id }) => id);
      expect(ids.length, name).toBeGreaterThan(0);
      expect(new Set(ids).size, name).toBe(ids.length);
      for (const { title, unit, better, peers } of found)
        expect([title, unit, better, peers], name).toEqual([
          expect.any(String),
          expect.any(String),
          expect.stringMatching(/^(higher|lower)$/),
          expect.stringMatching(/^(mqtt|queue|sluice)$/),
        ]);
    }
});

test('a slow worker that holds up the end of least_inflight is a fault, a slow one of another strategy is none [bench]', () => {
  const slow = scenarios.find(({ name }) => name === 'slow-consumer');
  const found = slow?.cases({ quick: true, scale: 1, seconds: 0, cores: 2 }) ?? [];
  const faults = (id: string, completedSeconds: number): readonly string[] =>
    found.find((entry) => entry.id === id)?.faults({ ...clean, ackSeconds: 5, completedSeconds }) ?? [
      'no such case',
    ];
  expect(faults('least_inflight', 5.1)).toEqual([]);
  expect(faults('least_inflight', 5.5)).toHaveLength(1);
  expect(faults('random', 5.5)).toEqual([]);
});

test('a run has a warm-up that is shorter than it [bench]', () => {
  for (const seconds of [0, 0.3, 60])
    for (const quick of [true, false]) {
      const times = timesOf({ quick, seconds });
      expect(times.warmup).toBeLessThan(times.seconds);
    }
});
