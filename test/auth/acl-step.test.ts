import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parseFilter } from '../../src/auth/acl-filter.js';
import { mayRead, publishBitsOf, type AclEntry, type AclStep } from '../../src/auth/acl-step.js';
import { wishFor } from '../../src/auth/acl-subscription.js';
import { seed } from '../harness/environment.js';
import { matchesNaively } from '../router/naive-matcher.js';

const words = ['', 'a', 'b', '$x', 'z'];
const topics: string[] = [];
for (const one of words) {
  if (one !== '') topics.push(one);
  for (const two of words) {
    topics.push(`${one}/${two}`);
    for (const three of words) {
      topics.push(`${one}/${two}/${three}`);
      for (const four of words) topics.push(`${one}/${two}/${three}/${four}`);
    }
  }
}

const filterText = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', '$x', '+', ''), { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([levels, deep]) =>
    [...levels, ...(deep ? ['#'] : [])]
      .slice(levels[0] === '' && levels.length === 1 && deep ? 1 : 0)
      .join('/'),
  )
  .filter((text) => text !== '');

const entry: fc.Arbitrary<AclEntry> = fc
  .record({
    text: filterText,
    publishBits: fc.nat({ max: 63 }),
    subscribeBits: fc.nat({ max: 7 }),
  })
  .map(({ text, publishBits, subscribeBits }) => ({
    text,
    filter: parseFilter(text),
    isExact: false,
    publishBits,
    subscribeBits,
  }));

const step: fc.Arbitrary<AclStep> = fc
  .record({ allow: fc.array(entry, { maxLength: 3 }), deny: fc.array(entry, { maxLength: 2 }) })
  .map((entries) => ({ ...entries, allowQueues: [], denyQueues: [] }));

const steps = fc.array(step, { minLength: 1, maxLength: 3 });

/** The plain reading of the rules for one topic. */
function decide(list: readonly AclStep[], topic: string, speaks: (entry: AclEntry) => boolean): boolean {
  for (const { allow, deny } of list) {
    if (deny.some((one) => speaks(one) && matchesNaively(one.text, topic))) return false;
    if (allow.some((one) => speaks(one) && matchesNaively(one.text, topic))) return true;
  }
  return false;
}

describe('steps', () => {
  test('a publish is allowed exactly when the first step that speaks of its topic, QoS and retain flag allows it [broker]', () => {
    fc.assert(
      fc.property(steps, fc.constantFrom(...topics), fc.nat({ max: 5 }), (list, topic, bit) => {
        const expected = decide(list, topic, ({ publishBits }) => ((publishBits >> bit) & 1) === 1);
        expect(((publishBitsOf(list, topic) >> bit) & 1) === 1).toBe(expected);
      }),
      { seed, numRuns: 2000 },
    );
  });

  test('a subscription is granted only when every topic that it matches is allowed [broker]', () => {
    let granted = 0;
    fc.assert(
      fc.property(steps, filterText, fc.nat({ max: 2 }), (list, filter, qos) => {
        if (!mayRead(list, wishFor(filter), qos)) return;
        granted++;
        const speaks = ({ subscribeBits }: AclEntry) => ((subscribeBits >> qos) & 1) === 1;
        const leaked = topics.filter(
          (topic) => matchesNaively(filter, topic) && !decide(list, topic, speaks),
        );
        expect(leaked).toEqual([]);
      }),
      { seed, numRuns: 5000 },
    );
    expect(granted).toBeGreaterThan(50);
  });

  test('a subscription to one topic is granted exactly when that topic is allowed [broker]', () => {
    fc.assert(
      fc.property(steps, fc.constantFrom(...topics), fc.nat({ max: 2 }), (list, topic, qos) => {
        const speaks = ({ subscribeBits }: AclEntry) => ((subscribeBits >> qos) & 1) === 1;
        expect(mayRead(list, wishFor(topic), qos)).toBe(decide(list, topic, speaks));
      }),
      { seed, numRuns: 2000 },
    );
  });

  test('a subscription inside one permission that no denial touches is granted [broker]', () => {
    fc.assert(
      fc.property(filterText, fc.array(entry, { maxLength: 3 }), (filter, others) => {
        const whole: AclEntry = {
          text: filter,
          filter: parseFilter(filter),
          isExact: false,
          publishBits: 0,
          subscribeBits: 7,
        };
        const list = [{ allow: [...others, whole], deny: [], allowQueues: [], denyQueues: [] }];
        expect(mayRead(list, wishFor(filter), 1)).toBe(true);
      }),
      { seed, numRuns: 500 },
    );
  });
});
