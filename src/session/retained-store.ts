/**
 * Retained messages: taken from publishes, kept in memory and in the shards, given to new subscriptions. Main thread.
 *
 *   PUBLISH, RETAIN 1 ─▶ publish ─▶ index (memory) and row (shard) ═▶ settles the publish
 *   SUBSCRIBE         ─▶ subscribed ─▶ sender ─▶ session, in slices
 *
 * Always true: a topic has at most one retained message, the last one published with RETAIN [MQTT-3.3.1-5]; a limit that
 * keeps a message from being retained also removes the older one of its topic, so that nobody gets an outdated value;
 * topics of `$SYS` are set by `setVolatile` only and are never durable.
 */
import type { Config } from '../config/config.js';
import { isShare } from '../mqtt/topic.js';
import { isQueueSubscription } from '../router/queue-subscription.js';
import type { RetainedCursor } from '../router/retained-cursor.js';
import { RetainedIndex, volatileRow, type RetainedMessage } from '../router/retained-index.js';
import { decodeRetained, encodeRetained, retainedHeaderBytes } from '../router/retained-record.js';
import { sizeOf } from '../router/retained-table.js';
import { hashTopic } from '../router/route-cache.js';
import type { SubscriptionOptions } from '../router/route.js';
import { NO_TOKEN, RowStore, type PublisherHandle, type Shards } from '../shard/link.js';
import { slot as counterSlot, slotOf } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';
import type { Logger } from '../telemetry/logger.js';
import type { Clock } from './context.js';
import { LiveMessage } from './message.js';
import { RetainedDeletions } from './retained-deletions.js';
import { RetainedSender, type RetainedReceiver } from './retained-sender.js';
import type { RowWriter } from './row-writer.js';

/** What the store is built from. */
export interface RetainedDeps {
  readonly shards: Shards;
  readonly rows: RowWriter;
  readonly config: Pick<
    Config,
    'retainedMax' | 'retainedBytesMax' | 'retainedMessageBytesMax' | 'retainedSliceMax' | 'outboxBytesMax'
  >;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Unix ms, for the expiry that a restart has to know. Default: `Date.now`. */
  readonly wallNowMs?: () => number;
}

const refused = {
  count: slotOf('retainedRefused', 'count'),
  bytes: slotOf('retainedRefused', 'bytes'),
  messageBytes: slotOf('retainedRefused', 'message-bytes'),
} as const;

/** Retain Handling of a subscription option [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]. */
const retainHandling = { always: 0, ifNew: 1, never: 2 } as const;

const serverPrefix = '$SYS/';
/** Slots looked at, and messages removed, by one tick: a few milliseconds. */
const sweepSlots = 20_000;
const sweepRemovalsMax = 2000;

/** See the file header. One per gateway. */
export class RetainedStore {
  readonly #shards: Shards;
  readonly #config: RetainedDeps['config'];
  readonly #counters: Counters;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #wallNowMs: () => number;
  readonly #index = new RetainedIndex();
  readonly #rows: RowWriter;
  readonly #deletions: RetainedDeletions;
  readonly #sender: RetainedSender;
  readonly #live = new LiveMessage();
  #scratch = Buffer.allocUnsafeSlow(4096);

  constructor(deps: RetainedDeps) {
    this.#shards = deps.shards;
    this.#config = deps.config;
    this.#counters = deps.counters;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#wallNowMs = deps.wallNowMs ?? Date.now;
    this.#rows = deps.rows;
    this.#deletions = new RetainedDeletions(deps.shards, deps.rows);
    this.#sender = new RetainedSender(this.#index, deps.config, deps.counters, deps.clock);
  }

  /** Retained messages without those of `$SYS`. */
  get count(): number {
    return this.#index.count;
  }

  /** Their topics, properties and payloads in bytes. */
  get bytes(): number {
    return this.#index.bytes;
  }

  /** Clients that are still being sent what a subscription of theirs matches. */
  get feedingCount(): number {
    return this.#sender.openCount;
  }

  /** Reads what earlier runs have kept: the newest row of a topic counts, older ones are deleted. */
  async load(): Promise<void> {
    const stale: [shardId: number, rowId: number][] = [];
    let unreadable = 0;
    await this.#shards.readRows(RowStore.retained, (shardId, rowId, value) => {
      const known = this.#loadRow(shardId, rowId, value, stale);
      if (!known) unreadable++;
    });
    this.#counters.add(counterSlot.retainedRowsUnreadable, unreadable);
    if (unreadable > 0) this.#logger.warn({ rows: unreadable }, 'retained messages could not be read');
    for (const [shardId, rowId] of stale) this.#rows.remove(shardId, RowStore.retained, rowId);
    this.#showSize();
    this.#logger.debug(
      { messages: this.count, bytes: this.bytes, deleted: stale.length },
      'retained messages are loaded',
    );
  }

  /** Shard that `publish` writes to for this topic: ask it before for the bytes of the message and 256 more. */
  shardIdFor(topic: Buffer, start: number, end: number): number {
    return this.#shardFor(topic, start, end, this.#index.find(topic, start, end));
  }

  /**
   * A PUBLISH with RETAIN was taken: it replaces what its topic has, or clears it when its payload is empty
   * [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7]. True when the write will settle `token` once at `publisher`.
   */
  publish(live: LiveMessage, publisher: PublisherHandle, token: number): boolean {
    const { topicBuffer, topicStart, topicEnd } = live;
    const index = this.#index;
    const slot = index.find(topicBuffer, topicStart, topicEnd);
    if (isServers(topicBuffer, topicStart) || (slot >= 0 && index.rowIdOf(slot) === volatileRow))
      return false;
    if (live.payloadStart === live.payloadEnd) return this.#clear(live, slot, publisher, token);
    const refusal = this.#refusalOf(slot, sizeOf(live));
    if (refusal >= 0) {
      this.#counters.add(refusal, 1);
      return slot >= 0 && this.#clear(live, slot, publisher, token);
    }
    const lifeMs =
      live.messageExpiryInterval === 0 ? Number.POSITIVE_INFINITY : live.messageExpiryInterval * 1000;
    const expiresAtMs = this.#clock.nowMs() + lifeMs;
    const shardId = this.#shardFor(topicBuffer, topicStart, topicEnd, slot);
    let rowId: number;
    if (slot >= 0) {
      rowId = index.rowIdOf(slot);
      index.replace(slot, live, expiresAtMs);
    } else {
      rowId = this.#shards.nextRowId();
      index.insert(live, shardId, rowId, expiresAtMs);
    }
    this.#reserve(retainedHeaderBytes + sizeOf(live));
    const length = encodeRetained(live, this.#wallNowMs() + lifeMs, this.#scratch);
    const value = this.#scratch.subarray(0, length);
    this.#shards.putRow(shardId, publisher, token, RowStore.retained, rowId, value, false);
    this.#showSize();
    return token !== NO_TOKEN;
  }

  /** Sets or clears (empty payload) what the broker says about itself on a topic: in memory only, outside of the limits. */
  setVolatile(topicName: string, payload: Uint8Array): void {
    const topic = Buffer.from(topicName);
    const body = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    const index = this.#index;
    const slot = index.find(topic, 0, topic.length);
    if (slot >= 0 && index.rowIdOf(slot) !== volatileRow) return;
    if (body.length === 0) {
      if (slot >= 0) index.remove(slot);
      return;
    }
    this.#live.set(topic, 0, topic.length, body, 0, 0, 0, body.length, 0, 0);
    if (slot >= 0) index.replace(slot, this.#live, Number.POSITIVE_INFINITY);
    else index.insert(this.#live, 0, volatileRow, Number.POSITIVE_INFINITY);
  }

  /**
   * A subscription was granted: sends what its Retain Handling asks for [MQTT-3.3.1-9] [MQTT-3.3.1-10]
   * [MQTT-3.3.1-11]. Shared and queue subscriptions get nothing. `handling` is 0 for MQTT 3.
   */
  subscribed(
    session: RetainedReceiver,
    filter: string,
    options: SubscriptionOptions,
    isNew: boolean,
    handling: number,
  ): void {
    if (isShare(filter) || isQueueSubscription(filter)) return;
    const sends = handling === retainHandling.always || (handling === retainHandling.ifNew && isNew);
    if (sends) this.#sender.start(session, filter, options);
    // What its start promised is still sent [MQTT-3.8.4-4].
    else this.#sender.change(session, filter, options);
  }

  /** A subscription has ended: nothing more is sent for it. */
  unsubscribed(session: RetainedReceiver, filter: string): void {
    this.#sender.stop(session, filter);
  }

  /** A session has ended. */
  sessionEnded(session: RetainedReceiver): void {
    this.#sender.stopAll(session);
  }

  /** Removes what has expired, a bounded part at a time. Call about once a second. */
  tick(nowMs: number): void {
    if (!this.#index.mayExpire) return;
    let left = sweepRemovalsMax;
    const removed = this.#index.sweep(nowMs, sweepSlots, (slot) => {
      if (left-- === 0) return false;
      const shardId = this.#index.shardIdOf(slot);
      if (!this.#rows.hasRoom(shardId)) return false;
      this.#rows.remove(shardId, RowStore.retained, this.#index.rowIdOf(slot));
      return true;
    });
    if (removed === 0) return;
    this.#counters.add(counterSlot.retainedExpired, removed);
    this.#showSize();
  }

  /** A walk over the messages that `filter`, which must be valid, matches; some may have expired. */
  matches(filter: string): RetainedCursor {
    return this.#index.matches(filter);
  }

  /** What a topic has, valid until the next call; undefined when it has nothing or that has expired. */
  find(topicName: string): RetainedMessage | undefined {
    const topic = Buffer.from(topicName);
    const slot = this.#index.find(topic, 0, topic.length);
    const message = slot < 0 ? undefined : this.#index.messageAt(slot);
    return message !== undefined && message.expiresAtMs > this.#clock.nowMs() ? message : undefined;
  }

  /**
   * Takes the message of a topic away without telling its subscribers; `done` when a restart would not bring it back. False:
   * there is none, or the broker says it about itself.
   */
  forget(topicName: string, done: () => void): boolean {
    const topic = Buffer.from(topicName);
    const slot = this.#index.find(topic, 0, topic.length);
    if (slot < 0 || this.#index.rowIdOf(slot) === volatileRow) return false;
    this.#deletions.add(
      this.#index.shardIdOf(slot),
      this.#index.rowIdOf(slot),
      topic.toString('latin1'),
      done,
    );
    this.#index.remove(slot);
    this.#showSize();
    return true;
  }

  /** Ends all feeds. */
  close(): void {
    this.#sender.close();
  }

  #clear(live: LiveMessage, slot: number, publisher: PublisherHandle, token: number): boolean {
    if (slot < 0 && this.#deletions.count === 0) return false;
    const topic = live.topicBuffer.toString('latin1', live.topicStart, live.topicEnd);
    if (slot >= 0) {
      this.#deletions.add(this.#index.shardIdOf(slot), this.#index.rowIdOf(slot), topic);
      this.#index.remove(slot);
      this.#showSize();
    }
    return token !== NO_TOKEN && this.#deletions.confirm(publisher, token, topic);
  }

  /** Counter of the limit that keeps a message of `bytes` from being retained in `slot` (-1: a new topic), or -1. */
  #refusalOf(slot: number, bytes: number): number {
    const { retainedMax, retainedBytesMax, retainedMessageBytesMax } = this.#config;
    const index = this.#index;
    if (bytes > retainedMessageBytesMax) return refused.messageBytes;
    if (slot < 0 && index.count + this.#deletions.count >= retainedMax) return refused.count;
    const before = slot < 0 ? 0 : index.sizeOf(slot);
    return bytes > before && index.bytes - before + bytes > retainedBytesMax ? refused.bytes : -1;
  }

  #shardFor(topic: Buffer, start: number, end: number, slot: number): number {
    if (slot >= 0) return this.#index.shardIdOf(slot);
    const deletion = this.#deletions.shardOf(topic, start, end);
    return deletion >= 0 ? deletion : (hashTopic(topic, start, end) >>> 0) % this.#shards.shardCount;
  }

  /** False for a row that is no retained message. */
  #loadRow(
    shardId: number,
    rowId: number,
    value: Uint8Array,
    stale: [shardId: number, rowId: number][],
  ): boolean {
    const record = decodeRetained(value);
    if (record === undefined) return false;
    const { buffer, qos, topicStart, propertiesStart, payloadStart, expiresAtUnixMs } = record;
    const index = this.#index;
    const slot = index.find(buffer, topicStart, propertiesStart);
    const olderRow = slot < 0 ? -1 : index.rowIdOf(slot);
    if (olderRow > rowId) {
      stale.push([shardId, rowId]);
      return true;
    }
    if (olderRow > 0) stale.push([index.shardIdOf(slot), olderRow]);
    const live = this.#live;
    live.set(
      buffer,
      topicStart,
      propertiesStart,
      buffer,
      propertiesStart,
      payloadStart,
      payloadStart,
      buffer.length,
      qos,
      0,
    );
    // What has expired keeps its place until the sweep, so that no older row of the topic takes it.
    const expiresAtMs = this.#clock.nowMs() + (expiresAtUnixMs - this.#wallNowMs());
    if (slot < 0) {
      index.insert(live, shardId, rowId, expiresAtMs);
    } else {
      index.replace(slot, live, expiresAtMs);
      index.setRow(slot, shardId, rowId);
    }
    return true;
  }

  #reserve(bytes: number): void {
    if (this.#scratch.length < bytes) this.#scratch = Buffer.allocUnsafeSlow(bytes * 2);
  }

  #showSize(): void {
    this.#counters.set(counterSlot.retainedMessages, this.#index.count);
    this.#counters.set(counterSlot.retainedBytes, this.#index.bytes);
  }
}

/** True for topics on which only the broker speaks. */
function isServers(topic: Buffer, start: number): boolean {
  for (let i = 0; i < serverPrefix.length; i++) {
    if (topic[start + i] !== serverPrefix.charCodeAt(i)) return false;
  }
  return true;
}
