import { describe, expect, test } from 'vitest';

import { contains, overlaps, parseFilter } from '../../src/auth/acl-filter.js';
import { matchesNaively } from '../router/naive-matcher.js';

/** Every combination of `words` of 1 to `depth` levels. */
function combinations(words: readonly string[], depth: number): string[] {
  let longest: string[] = words.filter((word) => word !== '');
  const all = [...longest];
  if (words.includes('')) longest = [...words];
  for (let level = 2; level <= depth; level++) {
    longest = longest.flatMap((start) => words.map((word) => `${start}/${word}`));
    all.push(...longest);
  }
  return all;
}

// The topics go one level deeper than the filters and have a level that no filter names: what is true of them is true
// of all topics. The empty name is among them, which no client can publish to.
const topics = ['', ...combinations(['', 'a', 'b', '$x', 'z'], 4)];
const plain = combinations(['', 'a', '$x', '+'], 3);
const filters = [...plain, '#', '/#', ...plain.filter((f) => f.split('/').length < 3).map((f) => `${f}/#`)];
const matched = filters.map((filter) =>
  Uint8Array.from(topics, (topic) => (matchesNaively(filter, topic) ? 1 : 0)),
);

describe('what filters cover', () => {
  test('the small world has filters and topics of every kind [broker]', () => {
    expect(topics.length).toBeGreaterThan(700);
    expect(filters).toEqual(expect.arrayContaining(['#', '+/#', '+/+/#', '$x/#', '/+', 'a/+/$x', '/#']));
  });

  test('a filter contains another exactly when it matches all topics of it [MQTT-4.7.1-1]', () => {
    const wrong: string[] = [];
    for (const [i, outer] of filters.entries()) {
      for (const [j, inner] of filters.entries()) {
        const expected = matched[j]!.every((is, at) => is === 0 || matched[i]![at] === 1);
        if (contains(parseFilter(outer), parseFilter(inner)) !== expected) wrong.push(`${outer} ${inner}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('filters overlap exactly when some topic matches both [MQTT-4.7.1-2]', () => {
    const wrong: string[] = [];
    for (const [i, left] of filters.entries()) {
      for (const [j, right] of filters.entries()) {
        const expected = matched[j]!.some((is, at) => is === 1 && matched[i]![at] === 1);
        if (overlaps(parseFilter(left), parseFilter(right)) !== expected) wrong.push(`${left} ${right}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('a topic name is inside a filter exactly when the filter matches it [MQTT-4.7.2-1]', () => {
    const wrong: string[] = [];
    for (const [i, filter] of filters.entries()) {
      for (const [j, topic] of topics.entries()) {
        const expected = matched[i]![j] === 1;
        const [outer, inner] = [parseFilter(filter), parseFilter(topic)];
        if (contains(outer, inner) !== expected || overlaps(outer, inner) !== expected) {
          wrong.push(`${filter} ${topic}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});
