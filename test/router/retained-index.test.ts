/** The retained index: filters against a naive matcher under random changes, memory that comes back, expiry. Quick tier. */
import { describe, expect, test } from 'vitest';
import type { RetainedCursor } from '../../src/router/retained-cursor.js';
import { RetainedIndex, volatileRow } from '../../src/router/retained-index.js';
import { LiveMessage } from '../../src/session/message.js';
import { Random, testSeed } from '../mqtt/random.js';
import { matchesNaively } from './naive-matcher.js';
import { smallFilter, smallTopic } from './random-topics.js';

const seed = testSeed();
const never = Number.POSITIVE_INFINITY;

function messageOn(topic: string, payload: string, qos = 1): LiveMessage {
  const bytes = Buffer.from(topic + payload);
  const topicEnd = Buffer.byteLength(topic);
  const live = new LiveMessage();
  live.set(bytes, 0, topicEnd, bytes, topicEnd, topicEnd, topicEnd, bytes.length, qos, 0);
  return live;
}

/** Sets or (empty payload) clears a topic. */
function put(index: RetainedIndex, topic: string, payload: string, expiresAtMs = never): void {
  const bytes = Buffer.from(topic);
  const slot = index.find(bytes, 0, bytes.length);
  if (payload === '') {
    if (slot >= 0) index.remove(slot);
  } else if (slot >= 0) {
    index.replace(slot, messageOn(topic, payload), expiresAtMs);
  } else {
    index.insert(messageOn(topic, payload), 0, 1, expiresAtMs);
  }
}

/** The next match as text, or undefined when there is none left. */
function step(cursor: RetainedCursor): [topic: string, payload: string] | undefined {
  for (;;) {
    const message = cursor.next();
    if (message !== undefined) {
      const { buffer, topicStart, propertiesStart, payloadStart, payloadEnd } = message;
      return [
        buffer.toString('utf8', topicStart, propertiesStart),
        buffer.toString('utf8', payloadStart, payloadEnd),
      ];
    }
    if (cursor.isDone) return undefined;
  }
}

function all(index: RetainedIndex, filter: string): string[] {
  const cursor = index.matches(filter);
  const found: string[] = [];
  for (let next = step(cursor); next !== undefined; next = step(cursor)) found.push(next.join('='));
  return found;
}

function topicsOf(index: RetainedIndex, filter: string): string[] {
  return all(index, filter).map((entry) => entry.slice(0, entry.indexOf('=')));
}

describe('one message per topic', () => {
  test('a message replaces the older one of its topic, whatever its length [MQTT-3.3.1-5]', () => {
    const index = new RetainedIndex();
    for (const payload of ['1', 'x'.repeat(1000), '22', 'y'.repeat(100_000), '333']) {
      put(index, 'a/b', payload);
      expect(all(index, 'a/b')).toEqual([`a/b=${payload}`]);
      expect(index.count).toBe(1);
      expect(index.bytes).toBe(3 + payload.length);
    }
  });

  test('topics are told apart to the last byte, also behind thousands that they share [MQTT-4.7.3-4]', () => {
    const index = new RetainedIndex();
    const stem = 'level/'.repeat(1000);
    for (let i = 0; i < 600; i++) put(index, `${stem}${i}`, String(i));
    expect(index.count).toBe(600);
    for (const i of [0, 1, 10, 255, 256, 599])
      expect(all(index, `${stem}${i}`)).toEqual([`${stem}${i}=${i}`]);
    expect(all(index, `${stem}600`)).toEqual([]);
    expect(all(index, stem.slice(0, -1))).toEqual([]);
  });

  test('a message of the broker itself is found and not counted [broker]', () => {
    const index = new RetainedIndex();
    index.insert(messageOn('$SYS/uptime', '7'), 0, volatileRow, never);
    expect([index.count, index.bytes, index.volatileCount]).toEqual([0, 0, 1]);
    expect(all(index, '$SYS/#')).toEqual(['$SYS/uptime=7']);
  });
});

describe('filters', () => {
  test('"#" and "+" in the first level find nothing below "$" [MQTT-4.7.2-1]', () => {
    const index = new RetainedIndex();
    for (const topic of ['!', '$', '$SYS/a', '$a/b', '%', 'a/b', '/']) put(index, topic, 'x');
    expect(topicsOf(index, '#')).toEqual(['/', '!', '%', 'a/b']);
    expect(topicsOf(index, '+/b')).toEqual(['a/b']);
    expect(topicsOf(index, '$SYS/#')).toEqual(['$SYS/a']);
    expect(topicsOf(index, '$a/+')).toEqual(['$a/b']);
  });

  test('"a/#" finds "a" and everything below it and no neighbour [MQTT-4.7.1-1]', () => {
    const index = new RetainedIndex();
    for (const topic of ['a', 'a!', 'a/', 'a/b', 'a/b/c', 'a0', 'b', 'A/b']) put(index, topic, 'x');
    expect(topicsOf(index, 'a/#')).toEqual(['a', 'a/', 'a/b', 'a/b/c']);
  });

  test('every filter finds exactly what a naive matcher finds, while topics come and go [MQTT-4.7.1-1]', () => {
    const random = new Random(seed);
    const index = new RetainedIndex();
    const model = new Map<string, string>();
    for (let round = 0; round < 400; round++) {
      for (let i = random.below(12); i >= 0; i--) {
        const topic = smallTopic(random);
        const payload = random.chance(0.3) ? '' : 'x'.repeat(1 + random.below(20)) + round;
        put(index, topic, payload);
        if (payload === '') model.delete(topic);
        else model.set(topic, payload);
      }
      const filter = smallFilter(random);
      const expected = [...model]
        .filter(([topic]) => matchesNaively(filter, topic))
        .map((pair) => pair.join('='));
      expect([seed, filter, all(index, filter).toSorted()]).toEqual([seed, filter, expected.toSorted()]);
      expect(index.count).toBe(model.size);
    }
  });

  test('characters that sort around the slash are no obstacle [MQTT-4.7.1-2]', () => {
    const index = new RetainedIndex();
    const levels = ['a', 'a\u0001', 'a.', 'a0', '\u0001', '.', ''];
    const topics = levels.flatMap((one) => [one, ...levels.map((two) => `${one}/${two}`)]);
    for (const topic of topics) if (topic !== '') put(index, topic, 'x');
    for (const filter of [
      'a/+',
      '+/a',
      '+/+',
      'a/#',
      'a\u0001/+',
      '+/\u0001',
      '+',
      '+/.',
      'a./#',
      '/+',
      '+/',
    ]) {
      const expected = topics.filter((topic) => topic !== '' && matchesNaively(filter, topic));
      expect([filter, topicsOf(index, filter).toSorted()]).toEqual([filter, expected.toSorted()]);
    }
  });

  test('a filter for few of many topics looks at few of them [broker]', () => {
    const index = new RetainedIndex();
    for (let i = 0; i < 200; i++) {
      for (let j = 0; j < 50; j++) put(index, `fleet/${i}/sensor/${j}`, 'x');
    }
    const cursor = index.matches('fleet/+/sensor/7');
    let calls = 0;
    let found = 0;
    while (!cursor.isDone) {
      calls++;
      if (cursor.next() !== undefined) found++;
    }
    expect(found).toBe(200);
    // 64 looks per call: reading all 10,000 topics would take more than 150 calls without a result.
    expect(calls).toBeLessThan(210);
  });

  test('a call has a bound where nothing matches [broker]', () => {
    const index = new RetainedIndex();
    for (let i = 0; i < 1000; i++) put(index, `${i}/x`, 'x');
    const cursor = index.matches('+/y');
    let calls = 0;
    while (!cursor.isDone) {
      expect(cursor.next()).toBeUndefined();
      calls++;
    }
    expect(calls).toBeGreaterThan(10);
  });
});

describe('walks over an index that changes', () => {
  test('what stays is returned once, what comes or goes at most once [broker]', () => {
    const random = new Random(seed + 1);
    for (let round = 0; round < 60; round++) {
      const index = new RetainedIndex();
      const present = new Set<string>();
      for (let i = 0; i < 300; i++) present.add(smallTopic(random));
      for (const topic of present) put(index, topic, 'x');
      const filter = random.pick(['#', '+/#', 'a/#', '+/+', 'a/+/b', '+/b/#']);
      const stable = new Set([...present].filter((topic) => matchesNaively(filter, topic)));
      const touched = new Set<string>();
      const cursor = index.matches(filter);
      const seen: string[] = [];
      for (let next = step(cursor); next !== undefined; next = step(cursor)) {
        seen.push(next[0]);
        for (let i = random.below(3); i > 0; i--) {
          const topic = smallTopic(random);
          if (random.chance(0.2)) {
            // A replaced message is still the one of its topic.
            if (present.has(topic)) put(index, topic, 'longer'.repeat(10));
            continue;
          }
          touched.add(topic);
          put(index, topic, present.has(topic) ? '' : 'new');
          if (!present.delete(topic)) present.add(topic);
        }
      }
      expect([seed, new Set(seen).size]).toEqual([seed, seen.length]);
      const missing = [...stable].filter((topic) => !touched.has(topic) && !seen.includes(topic));
      expect([seed, filter, missing]).toEqual([seed, filter, []]);
      expect(seen.filter((topic) => !matchesNaively(filter, topic))).toEqual([]);
    }
  });

  test('a match can be returned again, also when its neighbours have gone [broker]', () => {
    const index = new RetainedIndex();
    for (const topic of ['a', 'b', 'c']) put(index, topic, topic);
    const cursor = index.matches('#');
    expect(step(cursor)).toEqual(['a', 'a']);
    expect(step(cursor)).toEqual(['b', 'b']);
    cursor.again();
    expect(step(cursor)).toEqual(['b', 'b']);
    cursor.again();
    put(index, 'a', '');
    expect(step(cursor)).toEqual(['b', 'b']);
    cursor.again();
    put(index, 'b', '');
    expect(step(cursor)).toEqual(['c', 'c']);
    expect(step(cursor)).toBeUndefined();
  });
});

describe('memory', () => {
  test('holes are bounded, however messages come and go [broker]', () => {
    const random = new Random(seed + 2);
    const index = new RetainedIndex();
    const model = new Map<string, string>();
    for (let i = 0; i < 40_000; i++) {
      const topic = `t/${random.below(3000)}`;
      const bytes = random.chance(0.002) ? 100_000 : random.below(2000);
      const payload = String(i).padEnd(bytes, 'p').slice(0, bytes);
      put(index, topic, payload);
      if (payload === '') model.delete(topic);
      else model.set(topic, payload);
      if (i % 500 === 0) expect(index.reservedBytes).toBeLessThan(index.bytes * 1.6 + 3_000_000);
    }
    const expected = [...model].map((pair) => pair.join('=')).toSorted();
    expect(all(index, '#').toSorted()).toEqual(expected);
    for (const topic of model.keys()) put(index, topic, '');
    expect([index.count, index.bytes]).toEqual([0, 0]);
    expect(index.reservedBytes).toBeLessThan(1_000_000);
  });
});

describe('expiry', () => {
  test('a sweep removes what has expired, a bounded part at a time, and nothing else [MQTT-3.3.2-5]', () => {
    const index = new RetainedIndex();
    for (let i = 0; i < 100; i++) put(index, `t/${i}`, 'x', i % 2 === 0 ? 1000 : never);
    expect(index.mayExpire).toBe(true);
    expect(index.sweep(999, 1000, () => true)).toBe(0);
    expect(index.sweep(1000, 10, () => true)).toBe(5);
    expect(index.sweep(1000, 1000, () => false)).toBe(0);
    expect(index.sweep(1000, 1000, () => true)).toBe(45);
    expect(index.mayExpire).toBe(false);
    expect(topicsOf(index, '#')).toHaveLength(50);
  });
});
