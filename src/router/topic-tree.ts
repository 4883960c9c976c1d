/**
 * Topic filters and what hangs on them: a map for filters without wildcards, a trie by level for the
 * others. Main thread.
 *
 * Always true: a filter holds at most one value per key; branches without values do not stay behind; a
 * wildcard in the first level does not match a topic that begins with `$` [MQTT-4.7.2-1]. The trie is no
 * deeper than `filterLevelsMax`, so recursion has a bound. Gives up: order of the matches, and sharing of
 * level strings between branches (100,000 filters of four levels take some 31 MB, bench/micro/router/router.ts).
 */
import { hasWildcard } from '../mqtt/topic.js';

interface Node<K, V> {
  children: Map<string, Node<K, V>> | undefined;
  plus: Node<K, V> | undefined;
  /** Values of filters that end here. */
  values: Map<K, V> | undefined;
  /** Values of filters that end here with `/#` (at the root: `#`). */
  hashValues: Map<K, V> | undefined;
}

/** See the file header. `K` is compared as a `Map` key. */
export class TopicTree<K, V> {
  readonly #exact = new Map<string, Map<K, V>>();
  readonly #root: Node<K, V> = emptyNode();
  #valueCount = 0;

  /** How many values the tree holds. */
  get valueCount(): number {
    return this.#valueCount;
  }

  /** Sets the value of `key` on a filter, which must be valid; true when there was one before. */
  set(filter: string, key: K, value: V): boolean {
    const values = hasWildcard(filter) ? this.#wildcardValues(filter) : this.#exactValues(filter);
    const before = values.size;
    values.set(key, value);
    this.#valueCount += values.size - before;
    return values.size === before;
  }

  /** The value of `key` on exactly this filter. */
  get(filter: string, key: K): V | undefined {
    if (!hasWildcard(filter)) return this.#exact.get(filter)?.get(key);
    const path = this.#pathTo(filter);
    return path === undefined ? undefined : valuesAt(path, filter)?.get(key);
  }

  /** How many values a filter has. */
  countOf(filter: string): number {
    if (!hasWildcard(filter)) return this.#exact.get(filter)?.size ?? 0;
    const path = this.#pathTo(filter);
    return path === undefined ? 0 : (valuesAt(path, filter)?.size ?? 0);
  }

  /** Every filter that has values. The tree may change between two steps. */
  *filters(): IterableIterator<string> {
    yield* this.#exact.keys();
    yield* filtersBelow(this.#root, '');
  }

  /** Takes the value of `key` off a filter; false when there is none. */
  delete(filter: string, key: K): boolean {
    if (!hasWildcard(filter)) {
      const values = this.#exact.get(filter);
      if (values === undefined || !values.delete(key)) return false;
      if (values.size === 0) this.#exact.delete(filter);
    } else if (!this.#deleteWildcard(filter, key)) {
      return false;
    }
    this.#valueCount--;
    return true;
  }

  /**
   * Appends the value maps of every filter that matches `topicName` to `matches`. The maps are live and
   * belong to the tree: read them at once. A key is in as many maps as it has matching filters.
   */
  match(topicName: string, matches: ReadonlyMap<K, V>[]): void {
    const exact = this.#exact.get(topicName);
    if (exact !== undefined) matches.push(exact);
    const root = this.#root;
    if (isEmpty(root)) return;
    const levels = topicName.split('/');
    if (!topicName.startsWith('$')) {
      matchFrom(root, levels, 0, matches);
      return;
    }
    const first = root.children?.get(levels[0] as string);
    if (first !== undefined) matchFrom(first, levels, 1, matches);
  }

  #exactValues(filter: string): Map<K, V> {
    let values = this.#exact.get(filter);
    if (values === undefined) {
      values = new Map();
      this.#exact.set(filter, values);
    }
    return values;
  }

  #wildcardValues(filter: string): Map<K, V> {
    let node = this.#root;
    for (const level of filter.split('/')) {
      if (level === '#') return (node.hashValues ??= new Map());
      if (level === '+') {
        node = node.plus ??= emptyNode();
        continue;
      }
      node.children ??= new Map();
      let child = node.children.get(level);
      if (child === undefined) {
        child = emptyNode();
        node.children.set(level, child);
      }
      node = child;
    }
    return (node.values ??= new Map());
  }

  /** Nodes from the root to the end of the filter, or undefined when there is no such branch. */
  #pathTo(filter: string): Node<K, V>[] | undefined {
    const path = [this.#root];
    let node: Node<K, V> | undefined = this.#root;
    for (const level of filter.split('/')) {
      if (level === '#') break;
      node = level === '+' ? node.plus : node.children?.get(level);
      if (node === undefined) return undefined;
      path.push(node);
    }
    return path;
  }

  #deleteWildcard(filter: string, key: K): boolean {
    const path = this.#pathTo(filter);
    if (path === undefined) return false;
    const values = valuesAt(path, filter);
    if (values === undefined || !values.delete(key)) return false;
    if (values.size > 0) return true;
    const last = path[path.length - 1] as Node<K, V>;
    if (filter.endsWith('#')) last.hashValues = undefined;
    else last.values = undefined;
    const levels = filter.split('/');
    for (let depth = path.length - 1; depth > 0 && isEmpty(path[depth] as Node<K, V>); depth--) {
      const parent = path[depth - 1] as Node<K, V>;
      const level = levels[depth - 1] as string;
      if (level === '+') {
        parent.plus = undefined;
      } else {
        parent.children?.delete(level);
        if (parent.children?.size === 0) parent.children = undefined;
      }
    }
    return true;
  }
}

function emptyNode<K, V>(): Node<K, V> {
  return { children: undefined, plus: undefined, values: undefined, hashValues: undefined };
}

function isEmpty<K, V>(node: Node<K, V>): boolean {
  return (
    node.children === undefined &&
    node.plus === undefined &&
    node.values === undefined &&
    node.hashValues === undefined
  );
}

/** `prefix` is the path to the node with its last slash. */
function* filtersBelow<K, V>(node: Node<K, V>, prefix: string): IterableIterator<string> {
  if (node.values !== undefined && prefix !== '') yield prefix.slice(0, -1);
  // `a/#` hangs on the node of `a`.
  if (node.hashValues !== undefined) yield `${prefix}#`;
  if (node.plus !== undefined) yield* filtersBelow(node.plus, `${prefix}+/`);
  for (const [level, child] of node.children ?? []) yield* filtersBelow(child, `${prefix}${level}/`);
}

function valuesAt<K, V>(path: readonly Node<K, V>[], filter: string): Map<K, V> | undefined {
  const last = path[path.length - 1] as Node<K, V>;
  return filter.endsWith('#') ? last.hashValues : last.values;
}

function matchFrom<K, V>(
  node: Node<K, V>,
  levels: readonly string[],
  depth: number,
  matches: ReadonlyMap<K, V>[],
): void {
  // `a/#` matches `a` as well: the `#` of a node is asked before the topic may end.
  if (node.hashValues !== undefined) matches.push(node.hashValues);
  if (depth === levels.length) {
    if (node.values !== undefined) matches.push(node.values);
    return;
  }
  const child = node.children?.get(levels[depth] as string);
  if (child !== undefined) matchFrom(child, levels, depth + 1, matches);
  if (node.plus !== undefined) matchFrom(node.plus, levels, depth + 1, matches);
}
