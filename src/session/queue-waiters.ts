/**
 * Queue subscriptions by what they name, so that a change of a queue wakes exactly those it concerns. Main thread.
 *
 * Always true: every queue subscription of a connected client is booked under one key, the queue's name or
 * (for `$q/<filter>`) the filter; a change costs the subscriptions of that queue, not all. Watches the
 * catalogue once per gateway. Source: REF 1.3 with wake-up by event instead of polling.
 */
import type { QueueDefinition } from '../queue/definition.js';
import type { QueueCatalogue, QueueChange } from '../router/queue-catalogue.js';
import type { QueueSubscription } from '../router/queue-subscription.js';

/** Somebody to tell about a queue. */
export interface QueueWaiter {
  readonly subscription: QueueSubscription;
  onQueueChange(change: QueueChange, definition: QueueDefinition): void;
}

/** See the file header. */
export class QueueWaiters {
  readonly #byKey = new Map<string, Set<QueueWaiter>>();
  readonly #unwatch: () => void;

  constructor(catalogue: QueueCatalogue) {
    this.#unwatch = catalogue.watch((change, definition) => this.#tell(change, definition));
  }

  add(waiter: QueueWaiter): void {
    const key = keyOf(waiter.subscription);
    const waiters = this.#byKey.get(key) ?? new Set<QueueWaiter>();
    waiters.add(waiter);
    this.#byKey.set(key, waiters);
  }

  remove(waiter: QueueWaiter): void {
    const key = keyOf(waiter.subscription);
    const waiters = this.#byKey.get(key);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.#byKey.delete(key);
  }

  /** Stops watching the catalogue. */
  close(): void {
    this.#unwatch();
  }

  #tell(change: QueueChange, definition: QueueDefinition): void {
    const named = this.#byKey.get(nameKey(definition.name));
    const filtered = this.#byKey.get(filterKey(definition.topicFilter));
    // A waiter may unbook itself while it is told: walk over copies.
    if (named !== undefined) for (const waiter of [...named]) waiter.onQueueChange(change, definition);
    if (filtered !== undefined) for (const waiter of [...filtered]) waiter.onQueueChange(change, definition);
  }
}

function keyOf(subscription: QueueSubscription): string {
  return subscription.kind === 'by-filter' ? filterKey(subscription.filter) : nameKey(subscription.name);
}

function nameKey(name: string): string {
  return `n${name}`;
}

function filterKey(topicFilter: string): string {
  return `f${topicFilter}`;
}
