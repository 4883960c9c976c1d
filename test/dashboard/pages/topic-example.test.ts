/** Examples of a topic filter are checked against a matcher that follows the words of the specification. */
import { describe, expect, it } from 'vitest';

import { examplesOf, inWords } from '../../../src/dashboard/pages/queues/topic-example.js';
import { matchesNaively } from '../../router/naive-matcher.js';

const filters = [
  'jobs',
  'jobs/#',
  'commands/+',
  '+',
  '+/+/state',
  'a/+/c/#',
  '#',
  '/',
  '/a',
  'a//b',
  '$share',
];

describe('a topic filter', () => {
  it('is explained by topics of which all but the last match [broker]', () => {
    for (const filter of filters) {
      const examples = examplesOf(filter);
      expect(examples.length, filter).toBeGreaterThan(0);
      for (const topic of examples) expect(topic, filter).not.toMatch(/[+#]/);
      const matches = examples.map((topic) => matchesNaively(filter, topic));
      expect(matches.slice(0, -1), filter).not.toContain(false);
      expect(matches.at(-1), filter).toBe(false);
    }
  });

  it.each([
    ['jobs', 'Takes the topic jobs and no other.'],
    ['jobs/#', 'Takes jobs itself and everything below it, however deep.'],
    ['a/+', 'Takes topics of exactly 2 levels, with anything in the level that is written +.'],
    [
      '+/+/#',
      'Takes +/+ itself and everything below it, however deep, with anything in the 2 levels that are written +.',
    ],
    ['#', 'Takes every topic, except those that begin with $.'],
    ['a/#/b', ''],
    ['a#', ''],
    ['a/b+', ''],
    ['', ''],
  ])('%s is said in words [broker]', (filter, words) => {
    expect(inWords(filter)).toBe(words);
  });
});
