/**
 * What topic filters cover: does one match a topic, contain another, have a topic in common with it. Every thread, pure.
 *
 * Always true: the answers are exact for the language of MQTT filters, the empty name counted as a topic. `#` also
 * matches the level above it, and a filter whose first level is a wildcard matches no topic that begins with `$`
 * [MQTT-4.7.2-1]. A literal level never stands for what `+` covers, because levels are any text. Gives up: unions. A
 * filter that only several others together contain counts as not contained, which refuses too much, never too little.
 */

/** A topic filter taken apart. Made by `parseFilter`. */
export interface Filter {
  /** Levels; the last one may be `#`, any may be `+`. */
  readonly levels: readonly string[];
  /** The first level is a wildcard, so topics that begin with `$` are not meant. */
  readonly isWildFirst: boolean;
}

/** Takes a well-formed topic filter (or topic name) apart. */
export function parseFilter(text: string): Filter {
  const levels = text.split('/');
  // The two are the same set of topics; with one spelling the comparisons below need no special case.
  if (levels.length === 2 && levels[0] === '+' && levels[1] === '#') levels.shift();
  const first = levels[0];
  return { levels, isWildFirst: first === '+' || first === '#' };
}

/** True when every topic that `inner` matches is matched by `outer`. */
export function contains(outer: Filter, inner: Filter): boolean {
  if (outer.isWildFirst && !inner.isWildFirst && isDollar(inner)) return false;
  const { levels } = inner;
  for (let i = 0; i < outer.levels.length; i++) {
    const wanted = outer.levels[i];
    if (wanted === '#') return true;
    const given = levels[i];
    if (given === undefined || given === '#') return false;
    if (wanted !== '+' && wanted !== given) return false;
  }
  return levels.length === outer.levels.length;
}

/** True when some topic is matched by both. */
export function overlaps(a: Filter, b: Filter): boolean {
  if (a.isWildFirst !== b.isWildFirst && isDollar(a.isWildFirst ? b : a)) return false;
  const shared = Math.min(a.levels.length, b.levels.length);
  for (let i = 0; i < shared; i++) {
    const left = a.levels[i];
    const right = b.levels[i];
    if (left === '#' || right === '#') return true;
    if (left !== right && left !== '+' && right !== '+') return false;
  }
  if (a.levels.length === b.levels.length) return true;
  // The longer one may end in a "#" that also matches the level above it.
  const longer = a.levels.length > b.levels.length ? a.levels : b.levels;
  return longer.length === shared + 1 && longer[shared] === '#';
}

function isDollar(filter: Filter): boolean {
  return filter.levels[0]?.startsWith('$') === true;
}
