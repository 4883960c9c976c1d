/**
 * Every queue the broker knows, by name and by filter, and who waits for one. Main thread.
 *
 * Always true: it mirrors the definitions that the shards have committed: `add`, `replace` and `remove` are
 * called only after the shard said yes (remove: before the shard deletes, so that nothing new is routed).
 * Watchers hear of every change at once; a subscription that waits for a queue therefore wakes by event.
 */
import type { QueueDefinition } from '../queue/definition.js';
import { impliedQueueName, type QueueSubscription } from './queue-subscription.js';

/** What happened to a queue. */
export type QueueChange = 'added' | 'replaced' | 'removed';
/** Hears of a change after it has happened. */
export type QueueWatcher = (change: QueueChange, definition: QueueDefinition) => void;

/** See the file header. */
export class QueueCatalogue {
  readonly #byName = new Map<string, QueueDefinition>();
  readonly #byFilter = new Map<string, Set<string>>();
  readonly #watchers = new Set<QueueWatcher>();

  get size(): number {
    return this.#byName.size;
  }

  /** All queues, in order of creation. */
  all(): IterableIterator<QueueDefinition> {
    return this.#byName.values();
  }

  get(name: string): QueueDefinition | undefined {
    return this.#byName.get(name);
  }

  /** The queue that a subscription means, or undefined: it waits. REF 15, decision 2. */
  resolve(subscription: QueueSubscription): QueueDefinition | undefined {
    switch (subscription.kind) {
      case 'by-name':
        return this.#byName.get(subscription.name);
      case 'by-name-and-filter': {
        const queue = this.#byName.get(subscription.name);
        return queue?.topicFilter === subscription.filter ? queue : undefined;
      }
      case 'by-filter': {
        const nameless = this.#byName.get(impliedQueueName(subscription.filter));
        if (nameless !== undefined) return nameless;
        const names = this.#byFilter.get(subscription.filter);
        if (names?.size !== 1) return undefined;
        const [only] = names;
        return only === undefined ? undefined : this.#byName.get(only);
      }
    }
  }

  add(definition: QueueDefinition): void {
    this.#byName.set(definition.name, definition);
    const names = this.#byFilter.get(definition.topicFilter) ?? new Set<string>();
    names.add(definition.name);
    this.#byFilter.set(definition.topicFilter, names);
    this.#tell('added', definition);
  }

  replace(definition: QueueDefinition): void {
    this.#byName.set(definition.name, definition);
    this.#tell('replaced', definition);
  }

  remove(definition: QueueDefinition): void {
    this.#byName.delete(definition.name);
    const names = this.#byFilter.get(definition.topicFilter);
    names?.delete(definition.name);
    if (names?.size === 0) this.#byFilter.delete(definition.topicFilter);
    this.#tell('removed', definition);
  }

  /** Calls `watcher` on every change until the returned function is called. */
  watch(watcher: QueueWatcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  #tell(change: QueueChange, definition: QueueDefinition): void {
    // A watcher may unsubscribe while it runs: walk over a copy.
    for (const watcher of [...this.#watchers]) watcher(change, definition);
  }
}
