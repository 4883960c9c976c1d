/** Which share groups are durable queues. Quick tier. */
import { describe, expect, test } from 'vitest';

import { loadConfig } from '../../src/config/config.js';
import { matchesPattern, shareQueueOf, shareQueueStrategy } from '../../src/session/share-queue.js';

function namesOf(setting: string, topicFilters: readonly string[]): string[] {
  const config = loadConfig({ SLUICE_SHARE_QUEUE: setting });
  return topicFilters.filter((topicFilter) => shareQueueOf(topicFilter, config) !== undefined);
}

const texts = [
  '$share/jobs/a/b',
  '$share/jobs/a/#',
  '$share/jobs2/a',
  '$share/x/orders/#',
  '$share/x/orders/1',
];

describe('SLUICE_SHARE_QUEUE', () => {
  test('off makes no queue, on makes one of every group [broker]', () => {
    expect(namesOf('off', texts)).toEqual([]);
    expect(shareQueueOf(texts[0]!, loadConfig({}))).toBeUndefined();
    expect(namesOf('on', texts)).toEqual(texts);
    expect(namesOf('ON', texts)).toEqual(texts);
  });

  test('the queue bears the whole text as its name and is filled by the filter [broker]', () => {
    const config = loadConfig({ SLUICE_SHARE_QUEUE: 'on' });
    expect(shareQueueOf('$share/g/a/+/#', config)).toEqual({ name: '$share/g/a/+/#', filter: 'a/+/#' });
    expect(shareQueueOf('$share/g//a', config)).toEqual({ name: '$share/g//a', filter: '/a' });
    expect(shareQueueOf('a/b', config)).toBeUndefined();
    expect(shareQueueOf('$queue/a/b', config)).toBeUndefined();
    expect(shareQueueOf('$share/g', config)).toBeUndefined();
    expect(shareQueueOf('$share/g/', config)).toBeUndefined();
  });

  test('a pattern chooses by name and filter, and its wildcards of topics are plain text [broker]', () => {
    expect(namesOf('jobs/*', texts)).toEqual(['$share/jobs/a/b', '$share/jobs/a/#']);
    expect(namesOf('jobs*/a', texts)).toEqual(['$share/jobs2/a']);
    expect(namesOf('*/orders/#, jobs2/*', texts)).toEqual(['$share/jobs2/a', '$share/x/orders/#']);
    expect(namesOf('*/*', texts)).toEqual(texts);
  });

  test.each(['jobs', '/a', 'jobs/', 'jobs/*,', `a/${'*'.repeat(1100)}`, 'a/b,'.repeat(64) + 'a/b'])(
    'a list that is none refuses the start: %j [broker]',
    (setting) => {
      expect(() => loadConfig({ SLUICE_SHARE_QUEUE: setting })).toThrow('SLUICE_SHARE_QUEUE');
    },
  );

  test('an unknown strategy refuses the start [broker]', () => {
    expect(loadConfig({}).shareStrategy).toBe('round_robin');
    expect(loadConfig({ SLUICE_SHARE_STRATEGY: 'hash_topic' }).shareStrategy).toBe('hash_topic');
    expect(() => loadConfig({ SLUICE_SHARE_STRATEGY: 'best' })).toThrow('SLUICE_SHARE_STRATEGY');
  });

  test('a strategy that queues do not know becomes turns [broker]', () => {
    expect(shareQueueStrategy('random')).toBe('random');
    expect(shareQueueStrategy('least_inflight')).toBe('least_inflight');
    for (const strategy of ['round_robin', 'sticky', 'hash_clientid', 'hash_topic'] as const) {
      expect(shareQueueStrategy(strategy)).toBe('round_robin');
    }
  });
});

describe('patterns', () => {
  test.each([
    ['a', 'a', true],
    ['a', 'ab', false],
    ['*', '', true],
    ['a*', 'a', true],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['ab*ba', 'aba', false],
    ['*b*', 'abc', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['a**c', 'abc', true],
    ['a.c', 'abc', false],
  ])('%j and %j: %s [broker]', (pattern, text, expected) => {
    expect(matchesPattern(pattern, text)).toBe(expected);
  });

  test('a hostile text costs no more than its length times that of the pattern [broker]', () => {
    const pattern = `${'*a'.repeat(400)}*b`;
    // A backtracking matcher would need longer than the universe has had.
    expect(matchesPattern(pattern, 'a'.repeat(60_000))).toBe(false);
  });
});
