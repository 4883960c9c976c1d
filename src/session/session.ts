/**
 * What outlives a connection: client id, subscriptions, unanswered messages in both directions. Main thread.
 *
 * Always true: a session has at most one client (connection) at a time; it is in the registry from creation to
 * `end`, and in the router with every live subscription; its queue subscriptions are attached only while a
 * client is connected (REF 1.7). QoS 2 ids that were received stay until PUBREL [MQTT-4.3.3-10], whatever
 * connection they came on. A session with an expiry has a durable half (`durable`), which survives the process.
 */
import { isShare, parseShare } from '../mqtt/topic.js';
import {
  isQueueSubscription,
  parseQueueSubscription,
  type QueueSubscription,
} from '../router/queue-subscription.js';
import { hashTopic } from '../router/route-cache.js';
import type { SubscriptionOptions } from '../router/route.js';
import type { ShareSeat } from '../router/share-group.js';
import { slot } from '../telemetry/counter-layout.js';
import type { ClientFacts, ClientIdentity, GatewayContext } from './context.js';
import type { Inbound } from './inbound.js';
import { DurableSession, type RowPlace } from './durable-session.js';
import type { LiveMessage } from './message.js';
import { OpenTraces } from './open-traces.js';
import { Outbound, type ClientLimits } from './outbound.js';
import type { Identifiers } from './publish-writer.js';
import { QueueSubscriptionState } from './queue-subscription-state.js';
import { loadOf } from './share-dispatch.js';
import { shareQueueOf } from './share-queue.js';
import type { Wire } from './wire.js';

/** A QoS 2 message that the client has sent and not released. */
export interface ReceivedQos2 {
  /**
   * `partial`: a restart came between the shards that were to store it; the client sends it again. `doubtful`: a shard
   * failed and may have it or not, see `settleDoubts`. `releasing`: PUBREL has come, its rows are being deleted.
   */
  state: 'settling' | 'received' | 'partial' | 'doubtful' | 'releasing';
  /** Connection whose Receive Maximum it counts against. */
  countedBy: Inbound | undefined;
  /** Connection that waits for the PUBREC of one that settles, because it repeated it, or for PUBCOMP. */
  repeatedBy: Inbound | undefined;
  /** Rows that make it known after a restart; empty for a session that ends with its connection. */
  rows: RowPlace[];
}

/** A shared subscription. */
export interface SharedSubscription {
  readonly shareName: string;
  readonly topicFilter: string;
  readonly options: SubscriptionOptions;
}

/** What the registry and the session need of the connection's protocol object. */
export interface SessionClient {
  readonly identity: ClientIdentity | undefined;
  /** Undefined until CONNACK. */
  readonly facts: ClientFacts | undefined;
  readonly traffic: Pick<Wire, 'bytesReceived' | 'bytesSent'>;
  /** Another connection has taken the client id: DISCONNECT 0x8E, close. */
  takenOver(): void;
  /** Our own decision: DISCONNECT with that reason, close. */
  close(reason: number): void;
}

const noSeats: readonly ShareSeat<Session>[] = [];
/** Of all sessions that have none: an empty map of its own takes 0.2 KB. */
const none: ReadonlyMap<never, never> = new Map<never, never>();

/** See the file header. */
export class Session {
  readonly clientId: string;
  /** User name of the client that opened it; nobody else resumes it. */
  readonly owner: string | undefined;
  readonly outbound: Outbound;
  /** It has outlived a connection. */
  isResumed = false;
  /** Ordinary subscriptions with No Local. */
  noLocalCount = 0;
  /** Characters of all its topic filters. */
  filterLength = 0;
  /** Seconds after the connection; Infinity = never ends. */
  expiryIntervalS = 0;
  /** Unix ms; 0 = of an earlier run, which left no word of it. */
  createdAtMs = 0;
  /** Unix ms when it lost its last connection; 0 = not yet in this run. */
  awaySinceMs = 0;
  readonly #context: GatewayContext;
  #live: Map<string, SubscriptionOptions> | undefined;
  #queues: Map<string, QueueSubscriptionState> | undefined;
  #shared: Map<string, SharedSubscription> | undefined;
  #received: Map<number, ReceivedQos2> | undefined;
  #state: 'connected' | 'away' | 'ended' = 'away';
  #client: SessionClient | undefined;
  #durable: DurableSession | undefined;
  #clientIdHash = -1;
  /** Its places in share groups. */
  #shareSeats: readonly ShareSeat<Session>[] = noSeats;

  constructor(clientId: string, owner: string | undefined, context: GatewayContext) {
    this.clientId = clientId;
    this.owner = owner;
    this.#context = context;
    this.outbound = new Outbound(
      context.config,
      context.counters,
      context.clock,
      context.memory.sessionQueues,
      context.tracer && new OpenTraces(context.tracer, clientId),
    );
  }

  get state(): 'connected' | 'away' | 'ended' {
    return this.#state;
  }

  /** Ordinary subscriptions by topic filter. */
  get liveSubscriptions(): ReadonlyMap<string, SubscriptionOptions> {
    return this.#live ?? none;
  }

  get queueSubscriptions(): ReadonlyMap<string, QueueSubscriptionState> {
    return this.#queues ?? none;
  }

  /** By the literal text `$share/<name>/<filter>`. */
  get sharedSubscriptions(): ReadonlyMap<string, SharedSubscription> {
    return this.#shared ?? none;
  }

  /** QoS 2 messages that were received, by packet id. */
  get received(): Map<number, ReceivedQos2> {
    this.#received ??= new Map();
    return this.#received;
  }

  get client(): SessionClient | undefined {
    return this.#client;
  }

  /** 32 bits of the client id, for strategies that choose by it. */
  get clientIdHash(): number {
    if (this.#clientIdHash < 0) {
      const id = Buffer.from(this.clientId);
      this.#clientIdHash = hashTopic(id, 0, id.length) >>> 0;
    }
    return this.#clientIdHash;
  }

  /** The half that survives the process; only sessions with an expiry have one. */
  get durable(): DurableSession | undefined {
    return this.#durable;
  }

  /** The expiry is above 0: from now on the session is kept in the log. */
  makeDurable(): DurableSession {
    this.#durable ??= new DurableSession(this, this.#context.sessions);
    return this.#durable;
  }

  /** True when messages may have to wait for this session: it has a subscription with QoS 1 or 2. */
  get needsQueue(): boolean {
    for (const { qos } of this.liveSubscriptions.values()) if (qos > 0) return true;
    for (const { options } of this.sharedSubscriptions.values()) if (options.qos > 0) return true;
    return false;
  }

  /** Subscriptions of every kind. */
  get subscriptionCount(): number {
    return this.liveSubscriptions.size + this.sharedSubscriptions.size + this.queueSubscriptions.size;
  }

  /** Options of a subscription of any kind, by its literal text; undefined when there is none. */
  optionsOf(topicFilter: string): SubscriptionOptions | undefined {
    return (
      this.liveSubscriptions.get(topicFilter) ??
      this.sharedSubscriptions.get(topicFilter)?.options ??
      this.queueSubscriptions.get(topicFilter)?.options
    );
  }

  /** Every subscription by its literal text. */
  *allSubscriptions(): IterableIterator<[string, SubscriptionOptions]> {
    yield* this.liveSubscriptions;
    for (const [text, { options }] of this.sharedSubscriptions) yield [text, options];
    for (const [text, { options }] of this.queueSubscriptions) yield [text, options];
  }

  /** A connection takes over. Call after CONNACK is written: unanswered messages and queue deliveries follow it. */
  connect(client: SessionClient, wire: Wire, limits: ClientLimits): void {
    this.#client = client;
    this.#state = 'connected';
    this.outbound.keepsMessages = this.expiryIntervalS > 0;
    this.outbound.connected(wire, limits);
    this.noteRelief();
    this.#durable?.connected();
    for (const subscription of this.queueSubscriptions.values()) subscription.connected();
  }

  /** The connection that opened it has ended before it was told so: as if it had been here and had gone. */
  abandon(): void {
    if (this.#state !== 'away') return;
    if (this.expiryIntervalS === 0 || !this.isResumed) this.end();
    else this.#context.registry.expireLater(this, this.#context.clock.nowMs());
  }

  /** The connection is gone; queues take back at once what it had not answered. Ends the session when it does not outlive it. */
  disconnect(client: SessionClient): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    for (const subscription of this.queueSubscriptions.values()) subscription.disconnected();
    this.#durable?.disconnected();
    this.outbound.disconnected();
    if (this.#state === 'ended') return;
    this.#state = 'away';
    this.awaySinceMs = Date.now();
    this.isResumed = true;
    if (this.expiryIntervalS === 0) {
      this.end();
      return;
    }
    this.#context.registry.expireLater(this, this.#context.clock.nowMs());
    this.#durable?.save();
  }

  /**
   * A message for this session's live subscriptions: called by the publisher's connection for every match. `group` is
   * the share group that chose this session.
   */
  deliver(
    message: LiveMessage,
    qos: number,
    retain: boolean,
    identifiers: Identifiers,
    group?: object,
  ): void {
    this.outbound.deliverLive(message, qos, retain, identifiers, group);
  }

  /** It has less to answer, or is here again: its share groups are told. */
  noteRelief(): void {
    const seats = this.#shareSeats;
    if (seats.length === 0) return;
    const load = loadOf(this);
    for (let i = 0; i < seats.length; i++) seats[i]!.group.improved(seats[i]!, load);
  }

  /** Adds or replaces an ordinary subscription. */
  subscribe(topicFilter: string, options: SubscriptionOptions): void {
    if (!this.liveSubscriptions.has(topicFilter)) {
      this.#context.counters.add(slot.subscriptions, 1);
      this.filterLength += topicFilter.length;
    }
    const before = this.liveSubscriptions.get(topicFilter);
    this.noLocalCount += Number(options.noLocal) - Number(before?.noLocal ?? false);
    this.#live ??= new Map();
    this.#live.set(topicFilter, options);
    this.#context.router.subscribe(topicFilter, this, options);
  }

  /** Joins the share group of `topicFilter`, the literal text, or replaces the options there. */
  subscribeShared(topicFilter: string, options: SubscriptionOptions): void {
    const share = parseShare(topicFilter);
    if (share === undefined) return;
    const { shareName, topicFilter: filter } = share;
    if (!this.sharedSubscriptions.has(topicFilter)) {
      this.#context.counters.add(slot.subscriptions, 1);
      this.filterLength += topicFilter.length;
    }
    this.#shared ??= new Map();
    this.#shared.set(topicFilter, { shareName, topicFilter: filter, options });
    const { router } = this.#context;
    router.subscribeShared(shareName, filter, this, options);
    const seat = router.shareGroup(shareName, filter)?.seatOf(this);
    if (seat !== undefined && !this.#shareSeats.includes(seat))
      this.#shareSeats = [...this.#shareSeats, seat];
  }

  /** Other options for a subscription that there is. */
  changeOptions(topicFilter: string, options: SubscriptionOptions): void {
    const queueSubscription = this.queueSubscriptions.get(topicFilter);
    if (queueSubscription !== undefined) queueSubscription.replace(options);
    else if (this.sharedSubscriptions.has(topicFilter)) this.subscribeShared(topicFilter, options);
    else this.subscribe(topicFilter, options);
    this.#durable?.subscribed(topicFilter);
  }

  /** A subscription that was found in the log at the start. */
  restoreSubscription(topicFilter: string, options: SubscriptionOptions): void {
    const shareQueue = shareQueueOf(topicFilter, this.#context.config);
    if (isShare(topicFilter) && shareQueue === undefined) {
      this.subscribeShared(topicFilter, options);
      return;
    }
    let subscription: QueueSubscription | undefined;
    if (shareQueue !== undefined) subscription = { kind: 'by-name-and-filter', ...shareQueue };
    else if (isQueueSubscription(topicFilter)) subscription = parseQueueSubscription(topicFilter);
    if (subscription === undefined) {
      this.subscribe(topicFilter, options);
      return;
    }
    const state = new QueueSubscriptionState(subscription, options, this, this.#context);
    this.addQueueSubscription(topicFilter, state);
  }

  /** Adds a subscription to a queue, by its literal text; there is none. */
  addQueueSubscription(topicFilter: string, state: QueueSubscriptionState): void {
    this.#queues ??= new Map();
    this.#queues.set(topicFilter, state);
    this.filterLength += topicFilter.length;
    this.#context.counters.add(slot.queueSubscriptions, 1);
  }

  /** A QoS 2 packet id of the client that was found in the log at the start; `shards` rows make it complete. */
  restoreReceived(packetId: number, shards: number, row: RowPlace): void {
    const entry = this.received.get(packetId) ?? {
      state: 'partial',
      countedBy: undefined,
      repeatedBy: undefined,
      rows: [],
    };
    entry.rows.push(row);
    if (entry.rows.length >= shards) entry.state = 'received';
    this.received.set(packetId, entry);
  }

  /** The shards have exactly these rows of received messages: what of them is in doubt is stored in part, or not at all. */
  settleDoubts(rowIds: ReadonlySet<number>): void {
    for (const [packetId, entry] of this.#received ?? none) {
      if (entry.state !== 'doubtful') continue;
      entry.rows = entry.rows.filter(({ rowId }) => rowIds.has(rowId));
      entry.state = 'partial';
      if (entry.rows.length === 0) this.#received?.delete(packetId);
    }
  }

  /** False when there is no such subscription. */
  unsubscribe(topicFilter: string): boolean {
    this.#durable?.unsubscribed(topicFilter);
    const live = this.liveSubscriptions.get(topicFilter);
    if (live !== undefined) {
      this.#live?.delete(topicFilter);
      this.filterLength -= topicFilter.length;
      if (live.noLocal) this.noLocalCount--;
      this.#context.router.unsubscribe(topicFilter, this);
      this.#context.retained.unsubscribed(this, topicFilter);
      this.#context.counters.add(slot.subscriptions, -1);
      return true;
    }
    const shared = this.sharedSubscriptions.get(topicFilter);
    if (shared !== undefined) {
      this.#shared?.delete(topicFilter);
      this.filterLength -= topicFilter.length;
      this.#context.counters.add(slot.subscriptions, -1);
      const { shareName, topicFilter: filter } = shared;
      const group = this.#context.router.shareGroup(shareName, filter);
      this.#shareSeats = this.#shareSeats.filter((seat) => seat.group !== group);
      this.#context.shares.leave(this, shareName, filter);
      // What waited for it there waits no more.
      this.noteRelief();
      return true;
    }
    const queueSubscription = this.queueSubscriptions.get(topicFilter);
    if (queueSubscription === undefined) return false;
    this.#queues?.delete(topicFilter);
    this.filterLength -= topicFilter.length;
    queueSubscription.close();
    this.#context.counters.add(slot.queueSubscriptions, -1);
    return true;
  }

  /** Ends the subscriptions that its client may not have any more; those to queues are looked at when they attach. */
  keepAllowed(isAllowed: (topicFilter: string, qos: number) => boolean): void {
    for (const [text, { qos }] of this.liveSubscriptions) if (!isAllowed(text, qos)) this.unsubscribe(text);
    for (const [text, { options }] of this.sharedSubscriptions) {
      if (!isAllowed(text, options.qos)) this.unsubscribe(text);
    }
  }

  /** Forgets everything and leaves the registry. */
  end(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    for (const topicFilter of this.liveSubscriptions.keys()) this.unsubscribe(topicFilter);
    for (const topicFilter of this.queueSubscriptions.keys()) this.unsubscribe(topicFilter);
    for (const topicFilter of this.sharedSubscriptions.keys()) this.unsubscribe(topicFilter);
    for (const { rows } of this.#received?.values() ?? []) this.#context.sessions.forgetReceived(rows);
    this.#received = undefined;
    this.#durable?.end();
    this.outbound.end();
    this.#context.retained.sessionEnded(this);
    this.#context.wills.sessionEnded(this.clientId);
    if (this.#context.registry.remove(this)) this.#context.counters.add(slot.sessions, -1);
  }
}
