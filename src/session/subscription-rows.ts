/**
 * Rows of the subscriptions of one session that is kept, some dozens to a row. Main thread.
 *
 *   filter ─▶ its group ─▶ row      SUBSCRIBE and UNSUBSCRIBE rewrite the groups of their filters and no others
 *
 * Always true: a filter stays in its group while it is subscribed to; a group is written again with every `write` until
 * the store has it as it is, so that what the store once refused is not forgotten. A row names the row of its session's
 * state, so that no session gets the subscriptions of an earlier one of the same client. Gives up: atomicity of a packet
 * with many filters; its answer waits for all of them. A group that has become empty keeps its row until the next start.
 */
import type { RowPlace } from './durable-session.js';
import { RowStore } from '../shard/link.js';
import type { RowDone } from './row-writer.js';
import { encodeSubscriptions, subscriptionBytes } from './session-record.js';
import type { SessionStore } from './session-store.js';
import type { Session } from './session.js';

/** A row is not longer, unless one subscription is: small for a SUBSCRIBE, and few rows for a start to read. */
const groupBytesMax = 2048;

interface Group {
  place: RowPlace | undefined;
  readonly filters: string[];
  bytes: number;
  isOpen: boolean;
  /** Counts changes. */
  version: number;
}

/** See the file header. */
export class SubscriptionRows {
  readonly #session: Pick<Session, 'clientId' | 'optionsOf'>;
  readonly #store: Pick<SessionStore, 'rows' | 'newRow'>;
  readonly #groups: Group[] = [];
  readonly #groupOf = new Map<string, Group>();
  /** Those that may have room; the last one gets the next filter. */
  readonly #open: Group[] = [];
  /** Those that the store does not have as they are. */
  readonly #changed = new Set<Group>();

  constructor(
    session: Pick<Session, 'clientId' | 'optionsOf'>,
    store: Pick<SessionStore, 'rows' | 'newRow'>,
  ) {
    this.#session = session;
    this.#store = store;
  }

  /** Rows that the next `write` writes. */
  get changedCount(): number {
    return this.#changed.size;
  }

  /** Found in the log at the start. */
  restore(place: RowPlace, filters: readonly string[]): void {
    const group = this.#newGroup();
    group.place = place;
    for (const filter of filters) this.#put(filter, group);
  }

  /** The session has this subscription now, or has it with other options. */
  set(filter: string): void {
    const group = this.#groupOf.get(filter) ?? this.#put(filter, this.#groupFor(subscriptionBytes(filter)));
    this.#change(group);
  }

  /** The session does not have this subscription any more. */
  delete(filter: string): void {
    const group = this.#groupOf.get(filter);
    if (group === undefined) return;
    this.#groupOf.delete(filter);
    group.filters.splice(group.filters.indexOf(filter), 1);
    group.bytes -= subscriptionBytes(filter);
    if (!group.isOpen) this.#open.push(group);
    group.isOpen = true;
    this.#change(group);
  }

  /** Writes what has changed; calls `done` `changedCount` times, each time later. */
  write(stateRowId: number, done: RowDone | undefined): void {
    const { rows } = this.#store;
    for (const group of this.#changed) {
      const { version } = group;
      const { shardId, rowId } = (group.place ??= this.#store.newRow(this.#session.clientId));
      const value = encodeSubscriptions(
        stateRowId,
        group.filters.map((filter) => ({ filter, ...this.#session.optionsOf(filter)! })),
      );
      rows.put(shardId, RowStore.session, rowId, value, (stored) => {
        if (stored && group.version === version) this.#changed.delete(group);
        done?.(stored);
      });
    }
  }

  /** The session is over. */
  removeAll(): void {
    for (const { place } of this.#groups) {
      if (place !== undefined) this.#store.rows.remove(place.shardId, RowStore.session, place.rowId);
    }
  }

  #newGroup(): Group {
    const group = { place: undefined, filters: [], bytes: 0, isOpen: true, version: 0 };
    this.#groups.push(group);
    this.#open.push(group);
    return group;
  }

  #groupFor(bytes: number): Group {
    for (let group = this.#open.at(-1); group !== undefined; group = this.#open.at(-1)) {
      if (group.filters.length === 0 || group.bytes + bytes <= groupBytesMax) return group;
      group.isOpen = false;
      this.#open.pop();
    }
    return this.#newGroup();
  }

  #put(filter: string, group: Group): Group {
    group.filters.push(filter);
    group.bytes += subscriptionBytes(filter);
    this.#groupOf.set(filter, group);
    return group;
  }

  #change(group: Group): void {
    group.version++;
    this.#changed.add(group);
  }
}
