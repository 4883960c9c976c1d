/**
 * The plain reading of MQTT 5.0 section 4.7: one filter against one topic, level by level. Test process
 * only; the oracle of the tree.
 */

/** True when `filter` matches `topicName`; both must be valid. */
export function matchesNaively(filter: string, topicName: string): boolean {
  if (topicName.startsWith('$') && (filter.startsWith('+') || filter.startsWith('#'))) return false;
  return matchLevels(filter.split('/'), topicName.split('/'));
}

function matchLevels(filter: readonly string[], topic: readonly string[]): boolean {
  const [level, ...filterRest] = filter;
  if (level === undefined) return topic.length === 0;
  if (level === '#') return true;
  const [name, ...topicRest] = topic;
  if (name === undefined) return false;
  return (level === '+' || level === name) && matchLevels(filterRest, topicRest);
}
