/**
 * Where sessions that outlive their connection are kept: queues and rows in the shards. Main thread, one per gateway.
 *
 * Always true: after `load` every session of the log is in the registry, away, with its queue, its subscriptions and its
 * expiry counted from when it was left (or from the restart, when it had a connection until the process ended). Queues
 * of sessions that are gone are deleted. Queue ids of sessions lie above those of users' queues.
 */
import { assert, OperationalError } from '../base/error.js';
import type { QueueDefinition } from '../queue/definition.js';
import type { Grant, QueueTarget } from '../router/route.js';
import { RowStore, type Attachment, type Delivery } from '../shard/link.js';
import type { Counters } from '../telemetry/counter.js';
import type { Logger } from '../telemetry/logger.js';
import type { GatewayContext } from './context.js';
import type { DurableSession, RowPlace } from './durable-session.js';
import type { RowWriter } from './row-writer.js';
import {
  decodeReceived,
  decodeSessionRow,
  type StoredState,
  type StoredSubscription,
} from './session-record.js';
import type { Session } from './session.js';

/** Queue ids from here on belong to sessions. */
export const sessionQueueIdMin = 0x8000_0000;
const sessionQueueIdMax = 0xffff_ff00;
const redispatchPauseMs = 100;
const createAttemptsMax = 20;
const createPauseMs = 250;
const dropPauseMs = 1000;

/** A row of subscriptions. */
interface StoredGroup {
  readonly place: RowPlace;
  readonly subscriptions: readonly StoredSubscription[];
}

/** See the file header. */
export class SessionStore {
  readonly rows: RowWriter;
  readonly #context: GatewayContext;
  #lastQueueId = sessionQueueIdMin - 1;
  #isClosed = false;
  /** One read of the received rows serves all who ask before it begins. */
  #nextRead: Promise<ReadonlySet<number>> | undefined;
  #presentRead: Promise<void> = Promise.resolve();

  constructor(context: GatewayContext) {
    this.#context = context;
    this.rows = context.rows;
  }

  get counters(): Counters {
    return this.#context.counters;
  }

  get logger(): Logger {
    return this.#context.logger;
  }

  /** Takes up every session of the log. `definitions` are the queues of sessions that the shards have. */
  async load(definitions: readonly QueueDefinition[]): Promise<void> {
    const { shards, registry } = this.#context;
    const queues = new Map<string, QueueDefinition>();
    for (const definition of definitions) {
      this.#lastQueueId = Math.max(this.#lastQueueId, definition.id);
      const clientId = definition.sessionClientId;
      if (clientId === undefined) continue;
      // Two of one client: the older one was being deleted when the process ended.
      const other = queues.get(clientId);
      const older = other === undefined || other.id > definition.id ? definition : other;
      if (other !== undefined) this.dropQueue(older);
      if (other === undefined || older === other) queues.set(clientId, definition);
    }
    const states = new Map<string, { state: StoredState; place: RowPlace }>();
    /** By the row of the state that they belong to. */
    const groups = new Map<number, StoredGroup[]>();
    const released: { place: RowPlace; clientId: string; offsets: Uint32Array }[] = [];
    await shards.readRows(RowStore.session, (shardId, rowId, value) => {
      const row = decodeSessionRow(value);
      const place = { shardId, rowId };
      if (row === undefined) this.#drop(RowStore.session, place, 'unreadable');
      else if (row.kind === 'released')
        released.push({ place, clientId: row.clientId, offsets: row.offsets });
      else if (row.kind === 'subscriptions') {
        const known = groups.get(row.stateRowId);
        const group = { place, subscriptions: row.subscriptions };
        if (known === undefined) groups.set(row.stateRowId, [group]);
        else known.push(group);
      } else {
        // Two of one client: the older one was being deleted when the process ended. Row ids rise over all shards.
        const { clientId } = row.state;
        const other = states.get(clientId);
        const isNewer = other === undefined || other.place.rowId < rowId;
        if (other !== undefined) this.#drop(RowStore.session, isNewer ? other.place : place);
        if (isNewer) states.set(clientId, { state: row.state, place });
      }
    });
    for (const [clientId, { state, place }] of states) {
      const own = groups.get(place.rowId) ?? [];
      if (this.#restore(state, place, own, queues.get(clientId))) groups.delete(place.rowId);
    }
    for (const left of groups.values()) {
      for (const { place } of left) this.#drop(RowStore.session, place);
    }
    for (const { place, clientId, offsets } of released) {
      const durable = registry.get(clientId)?.durable;
      if (durable === undefined) this.#drop(RowStore.session, place);
      else durable.restoreReleased(place, offsets);
    }
    await shards.readRows(RowStore.received, (shardId, rowId, value) => {
      const row = decodeReceived(value);
      const session = row === undefined ? undefined : registry.get(row.clientId);
      if (row === undefined || session === undefined) {
        this.#drop(RowStore.received, { shardId, rowId });
        return;
      }
      session.restoreReceived(row.packetId, row.shards, { shardId, rowId });
    });
    for (const [clientId, definition] of queues) {
      if (registry.get(clientId)?.durable?.target === undefined) this.dropQueue(definition);
    }
  }

  /** Call when the shards close: what fails from now on is no news. */
  close(): void {
    this.#isClosed = true;
  }

  shardOf(clientId: string): number {
    return this.#context.shards.shardOf(queueName(clientId));
  }

  newRow(clientId: string): RowPlace {
    return { shardId: this.shardOf(clientId), rowId: this.#context.shards.nextRowId() };
  }

  /** Makes the queue of a session; waits for a shard that is being restarted. Rejects with OperationalError. */
  async createQueue(clientId: string): Promise<QueueDefinition> {
    const { shards, config } = this.#context;
    this.#lastQueueId++;
    assert(this.#lastQueueId <= sessionQueueIdMax, 'session queue ids are not used up');
    const definition = sessionQueue(clientId, this.#lastQueueId, config);
    for (let attempt = 1; ; attempt++) {
      try {
        await shards.createQueue(definition);
        return definition;
      } catch (error) {
        const isDown = error instanceof OperationalError && error.code === 'ERR_SHARD_DOWN';
        if (!isDown || attempt === createAttemptsMax) throw error;
        await new Promise((resolve) => setTimeout(resolve, createPauseMs));
      }
    }
  }

  /** Deletes the queue of a session that is over, when its shard is up; at the latest at the next start, see `load`. */
  dropQueue(definition: QueueDefinition): void {
    this.#context.shards.deleteQueue(definition).catch((error: unknown) => {
      if (this.#isClosed) return;
      const isDown = error instanceof OperationalError && error.code === 'ERR_SHARD_DOWN';
      if (isDown) {
        setTimeout(() => this.dropQueue(definition), dropPauseMs).unref();
        return;
      }
      this.logger.warn(
        { err: error, clientId: definition.sessionClientId },
        'the queue of a session was not deleted',
      );
    });
  }

  attach(target: QueueTarget, durable: DurableSession): Attachment {
    return this.#context.shards.attach(target.shardId, target.queueId, durable);
  }

  /** The session has its queue now: routes that lead to it are made anew. */
  refreshRoutes(session: Session): void {
    for (const filter of session.liveSubscriptions.keys()) this.#context.router.touch(filter);
  }

  /** How the session's present subscriptions want a message delivered; undefined when none matches any more. */
  grantOf(session: Session, delivery: Delivery): Grant | undefined {
    const { router } = this.#context;
    const route = router.lookupBytes(delivery.buffer, delivery.topicStart, delivery.topicEnd);
    const own = route.grantOf(session)?.grant;
    // A subscription with QoS 0 puts nothing into the queue: the message is there for a share group.
    return own !== undefined && own.qos > 0 ? own : (route.sharedGrantOf(session)?.grant ?? own);
  }

  /** The client has released a QoS 2 message, or it failed: its rows go; `done` when they are gone. */
  forgetReceived(rows: readonly RowPlace[], done?: () => void): void {
    let left = rows.length;
    if (left === 0) done?.();
    for (const { shardId, rowId } of rows) {
      this.rows.remove(shardId, RowStore.received, rowId, () => {
        left--;
        if (left === 0) done?.();
      });
    }
  }

  /** Ids of the rows of received messages that the shards have at some time after the call. Rejects while one is down. */
  storedReceived(): Promise<ReadonlySet<number>> {
    this.#nextRead ??= this.#presentRead.then(async () => {
      this.#nextRead = undefined;
      const rowIds = new Set<number>();
      const read = this.#context.shards.readRows(RowStore.received, (_shardId, rowId) => rowIds.add(rowId));
      this.#presentRead = read.catch(() => undefined);
      await read;
      return rowIds;
    });
    return this.#nextRead;
  }

  /** False: the session has expired. */
  #restore(
    state: StoredState,
    place: RowPlace,
    groups: readonly StoredGroup[],
    queue: QueueDefinition | undefined,
  ): boolean {
    const { registry, clock } = this.#context;
    const expiryS = state.expiryIntervalS ?? Number.POSITIVE_INFINITY;
    const awayMs = state.awaySinceMs === 0 ? 0 : Math.max(0, Date.now() - state.awaySinceMs);
    const leftS = expiryS - Math.floor(awayMs / 1000);
    if (leftS <= 0) {
      this.#drop(RowStore.session, place);
      return false;
    }
    const session = registry.restore(state.clientId, state.owner, this.#context);
    session.expiryIntervalS = expiryS;
    session.awaySinceMs = state.awaySinceMs === 0 ? Date.now() : state.awaySinceMs;
    const durable = session.makeDurable();
    durable.restoreState(place, state.sentMax);
    for (const group of groups) this.#restoreGroup(session, group);
    if (queue !== undefined) durable.restoreQueue(queue);
    registry.expireAfter(session, clock.nowMs(), leftS);
    // Written anew, so that the time away counts on over further restarts.
    if (state.awaySinceMs === 0) durable.save();
    return true;
  }

  #restoreGroup(session: Session, { place, subscriptions }: StoredGroup): void {
    if (subscriptions.length === 0) {
      this.#drop(RowStore.session, place);
      return;
    }
    for (const { filter, ...options } of subscriptions) {
      // It moved from one row to another, and the process ended before it had left the first.
      session.unsubscribe(filter);
      session.restoreSubscription(filter, options);
    }
    session.durable?.restoreSubscriptions(
      place,
      subscriptions.map(({ filter }) => filter),
    );
  }

  #drop(store: RowStore, place: RowPlace, why?: string): void {
    if (why !== undefined)
      this.logger.warn({ ...place, store }, `a row of a session is ${why} and was dropped`);
    this.rows.remove(place.shardId, store, place.rowId);
  }
}

/** Name and filter of a session's queue; nobody can publish to it or ask for it. */
function queueName(clientId: string): string {
  return `$session/${clientId}`;
}

function sessionQueue(clientId: string, id: number, config: GatewayContext['config']): QueueDefinition {
  return {
    id,
    name: queueName(clientId),
    topicFilter: queueName(clientId),
    sessionClientId: clientId,
    isLastvalue: false,
    createdAtMs: Date.now(),
    keyExpression: '',
    keyErrorPolicy: 'drop',
    dispatchStrategy: 'round_robin',
    dataRetentionPeriodMs: Number.POSITIVE_INFINITY,
    shardMessageCountMax: Number.POSITIVE_INFINITY,
    shardMessageBytesMax: Number.POSITIVE_INFINITY,
    messagesMax: config.sessionMessagesMax,
    bytesMax: config.sessionBytesMax,
    overflowPolicy: 'drop_oldest',
    localMaxInflight: 65_535,
    fastMaxInflight: 65_535,
    redispatchIntervalMs: redispatchPauseMs,
    streamMaxBufferSize: 65_535,
    streamMaxUnacked: 65_535,
    busySessionRetryIntervalMs: 100,
    pingIntervalMs: 10_000,
    consumerMaxInactiveMs: 30_000,
    consumerPersistenceIntervalMs: 10_000,
    paused: false,
  };
}
