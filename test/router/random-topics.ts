/** Random filters and topics from so few words that they often meet. Test process only. */
import type { Random } from '../mqtt/random.js';

const words = ['a', 'b', 'c', '', '$SYS', 'ä'];

/** A topic name of one to five levels. */
export function smallTopic(random: Random): string {
  return Array.from({ length: 1 + random.below(5) }, () => random.pick(words)).join('/') || '/';
}

/** A topic filter of one to five levels. */
export function smallFilter(random: Random): string {
  const levels = Array.from({ length: 1 + random.below(4) }, () =>
    random.chance(0.3) ? '+' : random.pick(words),
  );
  if (random.chance(0.25)) levels.push('#');
  return levels.join('/') || (random.chance(0.5) ? '#' : '/');
}
