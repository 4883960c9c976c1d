/** The subscription tree: examples from the specification, and random operations against a naive matcher. Quick tier. */
import { describe, expect, test } from 'vitest';
import { TopicTree } from '../../src/router/topic-tree.js';
import { Random, testSeed } from '../mqtt/random.js';
import { matchesNaively } from './naive-matcher.js';
import { smallFilter, smallTopic } from './random-topics.js';

const seed = testSeed();

function matchingKeys(tree: TopicTree<number, string>, topicName: string): number[] {
  const matches: ReadonlyMap<number, string>[] = [];
  tree.match(topicName, matches);
  return matches.flatMap((match) => [...match.keys()]).sort((a, b) => a - b);
}

function isMatch(filter: string, topicName: string): boolean {
  const tree = new TopicTree<number, string>();
  tree.set(filter, 1, filter);
  return matchingKeys(tree, topicName).length === 1;
}

/** Each row: filter, topic name, whether they match. */
function expectMatches(
  rows: readonly (readonly [filter: string, topicName: string, matches: boolean])[],
): void {
  for (const [filter, topicName, matches] of rows) {
    expect([filter, topicName, isMatch(filter, topicName)]).toEqual([filter, topicName, matches]);
    expect([filter, topicName, matchesNaively(filter, topicName)]).toEqual([filter, topicName, matches]);
  }
}

describe('examples of the specification', () => {
  test('"#" matches its parent and every level below it [MQTT-4.7.1-1]', () => {
    expectMatches([
      ['sport/tennis/player1/#', 'sport/tennis/player1', true],
      ['sport/tennis/player1/#', 'sport/tennis/player1/ranking', true],
      ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
      ['sport/tennis/player1/#', 'sport/tennis/player2', false],
      ['sport/#', 'sport', true],
      ['#', 'a', true],
      ['#', '/', true],
    ]);
  });

  test('"+" matches exactly one level, also an empty one [MQTT-4.7.1-2]', () => {
    expectMatches([
      ['sport/tennis/+', 'sport/tennis/player1', true],
      ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
      ['sport/+', 'sport', false],
      ['sport/+', 'sport/', true],
      ['+/+', '/finance', true],
      ['/+', '/finance', true],
      ['+', '/finance', false],
      ['+/tennis/#', 'sport/tennis', true],
    ]);
  });

  test('a wildcard in the first level does not match a topic that begins with $ [MQTT-4.7.2-1]', () => {
    expectMatches([
      ['#', '$SYS/monitor/Clients', false],
      ['+/monitor/Clients', '$SYS/monitor/Clients', false],
      ['$SYS/#', '$SYS/monitor/Clients', true],
      ['$SYS/monitor/+', '$SYS/monitor/Clients', true],
      ['$SYS/#', '$SYS', true],
      ['a/+', 'a/$b', true],
    ]);
  });

  test('topics are compared as they are, letter case and empty levels included [MQTT-4.7.3-4]', () => {
    expectMatches([
      ['ACCOUNTS', 'Accounts', false],
      ['a/b', 'a/b', true],
      ['a/b', 'a/b/', false],
      ['/a', 'a', false],
    ]);
  });
});

test(`random subscribe, replace and unsubscribe keep the tree equal to a list of filters, seed ${seed} [broker]`, () => {
  const random = new Random(seed);
  for (let round = 0; round < 12; round++) {
    const tree = new TopicTree<number, string>();
    const model = new Map<string, { filter: string; key: number; value: string }>();
    for (let step = 0; step < 300; step++) {
      const filter = smallFilter(random);
      const key = random.below(4);
      const id = `${key} ${filter}`;
      if (random.chance(0.55)) {
        expect(tree.set(filter, key, `v${step}`)).toBe(model.has(id));
        model.set(id, { filter, key, value: `v${step}` });
      } else {
        expect(tree.delete(filter, key)).toBe(model.delete(id));
      }
      expect(tree.get(filter, key)).toBe(model.get(id)?.value);
      expect(tree.valueCount).toBe(model.size);
      const topicName = smallTopic(random);
      const expected = [...model.values()]
        .filter((entry) => matchesNaively(entry.filter, topicName))
        .map((entry) => entry.key)
        .sort((a, b) => a - b);
      expect(matchingKeys(tree, topicName)).toEqual(expected);
    }
    for (const { filter, key } of model.values()) expect(tree.delete(filter, key)).toBe(true);
    expect(tree.valueCount).toBe(0);
    // An emptied tree is as good as new: no branch has stayed behind to be walked.
    expect(tree).toEqual(new TopicTree<number, string>());
  }
});

test('a topic of thousands of levels is matched without running out of stack [broker]', () => {
  const tree = new TopicTree<number, string>();
  tree.set('#', 1, 'x');
  tree.set('+/+/#', 2, 'y');
  tree.set(`${'+/'.repeat(127)}#`, 3, 'z');
  expect(matchingKeys(tree, '/'.repeat(60_000))).toEqual([1, 2, 3]);
});

test('100,000 subscriptions are added, matched and removed [broker]', () => {
  const tree = new TopicTree<number, string>();
  for (let i = 0; i < 100_000; i++) {
    tree.set(i % 2 === 0 ? `plant/${i % 100}/device/${i}` : `plant/${i % 100}/device/${i}/+`, i, 'v');
  }
  expect(tree.valueCount).toBe(100_000);
  expect(matchingKeys(tree, 'plant/42/device/1042')).toEqual([1042]);
  expect(matchingKeys(tree, 'plant/43/device/1043/temperature')).toEqual([1043]);
  expect(matchingKeys(tree, 'plant/43/device/1044/temperature')).toEqual([]);
  for (let i = 0; i < 100_000; i++) {
    expect(
      tree.delete(i % 2 === 0 ? `plant/${i % 100}/device/${i}` : `plant/${i % 100}/device/${i}/+`, i),
    ).toBe(true);
  }
  expect(tree.valueCount).toBe(0);
});
