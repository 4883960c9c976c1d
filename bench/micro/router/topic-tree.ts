/**
 * Topic matching without a cache, against the number of subscriptions: filters without wildcards, with a `+` in the
 * middle, with `#`, and all of them together. Bench process.
 *
 * Always true: every topic finds exactly the filters that match it. The figure should stay level from left to right: a
 * lookup walks the levels of the topic, not the filters.
 */
import { TopicTree } from '../../../src/router/topic-tree.js';
import { measure, same, type Figure, type Task } from '../measure.js';

const operations = 100;

const kinds: Readonly<Record<string, (i: number) => readonly string[]>> = {
  exact: (i) => [`fleet/${i % 1000}/device/${i}/state`],
  plus: (i) => [`fleet/${i % 1000}/+/${i}/state`],
  hash: (i) => [`fleet/${i % 1000}/device/${i}/#`],
  mixed: (i) => [
    `fleet/${i % 1000}/device/${i}/state`,
    `fleet/+/device/${i}/state`,
    `fleet/${i % 1000}/device/${i}/#`,
  ],
};

function task(kind: string, count: number): Task {
  const tree = new TopicTree<number, number>();
  const filtersOf = kinds[kind] as (i: number) => readonly string[];
  const each = filtersOf(0).length;
  for (let i = 0; i < count / each; i++) for (const filter of filtersOf(i)) tree.set(filter, i, i);
  const devices = Math.ceil(count / each);
  const topics = Array.from({ length: operations }, (_, n) => {
    const i = (n * 7919) % devices;
    return `fleet/${i % 1000}/device/${i}/state`;
  });
  const matches: ReadonlyMap<number, number>[] = [];
  const name = `match, ${count} subscriptions, ${kind}`;
  return {
    name,
    operations,
    run() {
      let found = 0;
      for (const topic of topics) {
        matches.length = 0;
        tree.match(topic, matches);
        found += matches.length;
      }
      same(`${name}: filters`, found, operations * each);
    },
  };
}

/** Operations are topics matched. */
export function benchTopicTree(scale: number): Figure[] {
  const sizes = scale < 10 ? [scale * 300] : [...new Set([300, 3000, 30_000, scale * 300])];
  return Object.keys(kinds).flatMap((kind) =>
    // One tree at a time in memory.
    sizes.flatMap((count) => measure(scale, [task(kind, count)])),
  );
}
