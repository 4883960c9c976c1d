/**
 * One queue: what is stored, who has what in flight, who is next. Shard worker.
 * A state machine without clock, timers or I/O: time is an argument; memory, ring and log come through `QueueHost`.
 *
 *   append → (group commit) → ready → in flight → done        reject, detach: in flight → waiting → in flight
 *
 * Always true: a committed record is with one consumer at a time until it is acked, expires, is evicted, overwritten or
 * purged; what came back goes, by offset, before what was never sent; a message that nobody takes now never stops a
 * later one; nothing is dispatched beyond a consumer's window. Source: REF 3 to 6.
 */
import { assert } from '../base/error.js';
import type { LogBatch } from '../log/log.js';
import { Backlog } from './backlog.js';
import type { Block } from './block.js';
import type { BlockWriter, RecordSource } from './block-writer.js';
import { ConsumerSet, type QueueConsumer } from './consumer-set.js';
import type { QueueDefinition } from './definition.js';
import type { QueueHost } from './host.js';
import { EntryFlag } from './in-flight.js';
import { Intake } from './intake.js';
import type { KeyContext } from './key-expression/context.js';
import { LastValue } from './last-value.js';
import { Ledger } from './ledger.js';
import { QueueCounters } from './queue-counters.js';
import { clientIdOf, isExpired, keyOf, remainingExpiry } from './record.js';
import { Redelivery, type RedeliveryTarget } from './redelivery.js';
import type { RunList } from './run-list.js';
import { forgetAnswers, noteAnswer, ServiceTimes } from './service-time.js';
import { endSpan, hasLapsed } from './window.js';

/** Messages that nobody may take now (own messages under No Local) which are set aside before the cursor stops. */
const SET_ASIDE_MAX = 16_384;
/** EMQX's default of `stream_max_buffer_size`; a smaller value bounds the queue's total in flight. */
const STREAM_BUFFER_DEFAULT = 2000;

/** A message that a slow consumer did not get is looked at again after, ms. */
const HOLD_MS = 5;

/** Why a dispatch ended. */
export type DispatchEnd =
  | 'caught-up'
  | 'no-consumer'
  | 'window-full'
  | 'outbox-full'
  | 'memory-full'
  | 'budget-used';

/** See the file header. */
export class Queue implements RedeliveryTarget {
  definition: QueueDefinition;
  readonly id: number;
  /** Not a queue of users: left out of their metrics. */
  readonly belongsToSession: boolean;
  readonly backlog: Backlog;
  readonly consumers: ConsumerSet;
  readonly ledger: Ledger;
  readonly counters = new QueueCounters();
  /** Last-value queues only. */
  readonly lastValue: LastValue | null;
  /** Messages with a consumer now, and their bytes. */
  inFlightCount = 0;
  inFlightBytes = 0;
  /** Earliest moment at which retention may end the oldest unread message. A lower bound. */
  retentionDueMs = 0;
  readonly intake: Intake;
  readonly #host: QueueHost;
  readonly #redelivery: Redelivery;
  readonly #serviceTimes: ServiceTimes;
  /** When the first of those that are held back now was. */
  #holdsSinceMs = 0;
  #heldUntilMs = 0;

  constructor(definition: QueueDefinition, host: QueueHost) {
    this.definition = definition;
    this.id = definition.id;
    this.belongsToSession = definition.sessionClientId !== undefined;
    this.#host = host;
    this.backlog = new Backlog(host, definition.id);
    this.consumers = new ConsumerSet(host.inFlightCounts, () => host.random());
    this.#setWindows();
    this.ledger = new Ledger(definition.id, host.arena);
    this.lastValue = definition.isLastvalue
      ? new LastValue(host, definition.id, definition.keyExpression, this)
      : null;
    this.intake = new Intake(host, definition.id, this);
    this.#redelivery = new Redelivery(this, host.inFlight);
    this.#serviceTimes = new ServiceTimes(this.consumers);
  }

  /** What arrived in this turn; emptied by `appendRuns` and `appendKeyed`. */
  get runs(): RunList {
    return this.intake.runs;
  }

  get nextOffset(): number {
    return this.intake.nextOffset;
  }

  get readyCount(): number {
    return this.ledger.liveCount - this.inFlightCount;
  }

  /** Settings have changed; they hold from the next message on. */
  update(definition: QueueDefinition): void {
    this.lastValue?.setKeyExpression(definition.keyExpression);
    if (definition.dispatchStrategy !== this.definition.dispatchStrategy) {
      for (const consumer of this.consumers) forgetAnswers(consumer);
    }
    this.definition = definition;
    this.retentionDueMs = 0;
    this.#setWindows();
  }

  /** One consumer, however fast, shall not take all that a bounded queue may have in flight. */
  #setWindows(): void {
    const { localMaxInflight, fastMaxInflight } = this.definition;
    const isBounded = this.#inFlightMax < Number.POSITIVE_INFINITY;
    this.consumers.setWindow(localMaxInflight, isBounded ? localMaxInflight : fastMaxInflight);
  }

  /** Takes over what the log holds: exact counts, first and next offset, earliest expiry. */
  recover(
    firstOffset: number,
    nextOffset: number,
    liveCount: number,
    liveBytes: number,
    expiryDueMs: number,
  ): void {
    this.intake.nextOffset = nextOffset;
    this.intake.expiryDueMs = expiryDueMs;
    this.ledger.add(liveCount, liveBytes);
    this.backlog.recover(firstOffset, nextOffset);
  }

  // ── storing ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Appends the turn's runs as blocks. Regular queues. */
  appendRuns(source: RecordSource, writer: BlockWriter, batch: LogBatch): void {
    this.intake.appendRuns(source, writer, batch);
  }

  /** Appends the one record in `runs` under `key`; an older message of that key which was not sent yet disappears. */
  appendKeyed(source: RecordSource, writer: BlockWriter, key: string, batch: LogBatch): void {
    const { lastValue } = this;
    assert(lastValue !== null && this.runs.size === 1, 'a last-value queue appends one record at a time');
    lastValue.endOlder(key, batch);
    lastValue.set(key, this.intake.appendOne(source, writer, batch), batch);
  }

  /** Key of a message. Throws `KeyEvaluationError`. Last-value queues. */
  keyOf(context: KeyContext): string {
    assert(this.lastValue !== null, 'only last-value queues have keys');
    return this.lastValue.keyOf(context);
  }

  /** True when the queue is full, refuses overflow, and `key` would be one message more. Last-value queues. */
  refusesKey(key: string): boolean {
    const { overflowPolicy, messagesMax, bytesMax } = this.definition;
    if (overflowPolicy !== 'reject_publish') return false;
    const isFull = this.ledger.liveCount >= messagesMax || this.ledger.liveBytes >= bytesMax;
    return isFull && this.lastValue?.isNew(key) === true;
  }

  /** How many of the `count` records at `start` the queue takes; see `Intake.admit`. */
  admit(words: Uint32Array, start: number, count: number): number {
    return this.intake.admit(this.definition, words, start, count);
  }

  /** The log holds everything below `endOffset`: it may be given out. */
  commit(endOffset: number): void {
    this.backlog.commit(endOffset);
    this.lastValue?.commit(endOffset);
  }

  /** True when acks wait for the next group commit. */
  get hasUnwrittenAcks(): boolean {
    return this.ledger.isDirty || this.lastValue?.isDirty === true;
  }

  /** Puts acks into the batch: deletions of finished blocks, bitmaps of others, keys that are done. */
  flushAcks(batch: LogBatch): void {
    this.ledger.flush(batch);
    this.lastValue?.flush(batch);
  }

  // ── consumers ──────────────────────────────────────────────────────────────────────────────────────────────────

  attach(consumer: QueueConsumer): void {
    this.consumers.add(consumer);
    this.#serviceTimes.forgetRate();
  }

  /** The consumer is gone: what it had in flight is ready again at once, before anything newer. */
  detach(consumer: QueueConsumer): void {
    this.consumers.remove(consumer);
    this.#serviceTimes.forgetRate();
    while (consumer.listHead >= 0) this.#giveBack(consumer.listHead, consumer);
  }

  /** The consumer has finished with an entry. */
  ack(slot: number, consumer: QueueConsumer, nowMs: number): void {
    if (this.definition.dispatchStrategy === 'least_inflight') noteAnswer(consumer, nowMs);
    if (--consumer.spanLeft === 0) this.consumers.earn(consumer, endSpan(consumer, nowMs));
    if (this.#unassign(slot, consumer)) return;
    consumer.acked++;
    this.counters.acked++;
    this.#settle(slot);
  }

  /** About once a second: a window that was earned by speed ends with it. */
  endLapsedWindows(nowMs: number): void {
    if (!this.consumers.hasFastWindow) return;
    for (const consumer of this.consumers) {
      if (hasLapsed(consumer, nowMs)) this.consumers.earn(consumer, 0);
    }
  }

  /** The consumer refuses an entry: another one gets it first, anyone after the queue's pause. */
  reject(slot: number, consumer: QueueConsumer, nowMs: number): void {
    forgetAnswers(consumer);
    if (this.#unassign(slot, consumer)) return;
    consumer.rejected++;
    this.counters.rejected++;
    if (this.#dropIfOver(slot)) return;
    this.#redelivery.setAside(slot, consumer.slot, nowMs + this.definition.redispatchIntervalMs);
  }

  /** The entry was not sent after all: ready again at once, not counted as an attempt. */
  release(slot: number, consumer: QueueConsumer): void {
    const { attempts } = this.#host.inFlight;
    attempts[slot] = (attempts[slot] as number) - 1;
    this.#giveBack(slot, consumer);
  }

  #giveBack(slot: number, consumer: QueueConsumer): void {
    if (!this.#unassign(slot, consumer) && !this.#dropIfOver(slot)) this.#redelivery.giveBack(slot);
  }

  /** Takes an entry from its consumer. True when its message was purged meanwhile: then it is freed as well. */
  #unassign(slot: number, consumer: QueueConsumer): boolean {
    const { inFlight } = this.#host;
    consumer.listHead = inFlight.unassign(slot, consumer.listHead);
    this.consumers.answered(consumer);
    if (((inFlight.flags[slot] as number) & EntryFlag.void) !== 0) return this.#dropIfOver(slot);
    this.inFlightCount--;
    this.inFlightBytes -= inFlight.recordBytes[slot] as number;
    return false;
  }

  /** Ends an entry that is with nobody and that nobody shall get: overwritten, or void. */
  #dropIfOver(slot: number): boolean {
    const { inFlight } = this.#host;
    const flags = inFlight.flags[slot] as number;
    if (flags === 0) return false;
    if ((flags & EntryFlag.void) === 0) {
      this.#settle(slot);
    } else {
      const block = inFlight.blocks[slot] as Block;
      inFlight.free(slot);
      this.ledger.releaseIfUnused(block);
    }
    return true;
  }

  /** The entry's message is done for good. */
  #settle(slot: number): void {
    const { inFlight } = this.#host;
    const block = inFlight.blocks[slot] as Block;
    const index = inFlight.recordIndex[slot] as number;
    const bytes = inFlight.recordBytes[slot] as number;
    inFlight.free(slot);
    this.ledger.settle(block, index, bytes);
    this.lastValue?.settled(block);
  }

  // ── dispatch ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Hands out at most `budget` messages. Returns why it stopped; `dueMs` then tells when to look again. */
  dispatch(nowMs: number, budget: number): DispatchEnd {
    const redelivery = this.#redelivery;
    redelivery.forgetDueTime();
    // Whoever answers gets its credit back by itself; the others are looked at again when their time has come.
    if (this.consumers.hasHeld && Math.abs(nowMs - this.#holdsSinceMs) >= HOLD_MS) this.consumers.endHolds();
    if (this.consumers.size === 0 || this.definition.paused || nowMs < this.#heldUntilMs)
      return 'no-consumer';
    if (!this.consumers.hasCredit()) return 'window-full';
    let left = budget;
    for (; redelivery.returnedCount > 0; left--) {
      const end = left > 0 ? redelivery.dispatchReturned(nowMs) : 'budget-used';
      if (end !== undefined) return end;
    }
    if (redelivery.refusedCount > 0) {
      const end = redelivery.dispatchRefused(nowMs, this.definition.redispatchIntervalMs);
      if (end !== undefined) return end;
    }
    return this.#dispatchNew(nowMs, left);
  }

  /** Nothing is handed out before `untilMs`, so that what waits can be looked at and moved; 0 ends that. */
  hold(untilMs: number): void {
    this.#heldUntilMs = untilMs;
  }

  /** True once when a hold has ended by itself. */
  endsHold(nowMs: number): boolean {
    if (this.#heldUntilMs === 0 || nowMs < this.#heldUntilMs) return false;
    this.#heldUntilMs = 0;
    return true;
  }

  /** When a message that waits for time may go out, ms: a refused one, or one that a slow consumer did not get. */
  get dueMs(): number {
    return this.consumers.hasHeld
      ? Math.min(this.#redelivery.dueMs, this.#holdsSinceMs + HOLD_MS)
      : this.#redelivery.dueMs;
  }

  /** True when another message may go out: some window has room, and so has the queue's own bound. */
  get hasCredit(): boolean {
    return this.inFlightCount < this.#inFlightMax && this.consumers.hasCredit();
  }

  /** Most messages with consumers at once. */
  get #inFlightMax(): number {
    const { streamMaxBufferSize } = this.definition;
    return streamMaxBufferSize < STREAM_BUFFER_DEFAULT ? streamMaxBufferSize : Number.POSITIVE_INFINITY;
  }

  /** The loop that every message runs through once: from the cursor to a consumer with credit. */
  #dispatchNew(nowMs: number, budget: number): DispatchEnd {
    const host = this.#host;
    const { arena, inFlight } = host;
    const { backlog, consumers } = this;
    const { dispatchStrategy, dataRetentionPeriodMs } = this.definition;
    const inFlightMax = this.#inFlightMax;
    // Entries of the table are shared by all queues: what waits here must not use them up.
    if (this.#redelivery.refusedCount >= SET_ASIDE_MAX) return 'window-full';
    let left = budget;
    while (left > 0) {
      if (this.inFlightCount >= inFlightMax || !consumers.hasCredit()) return 'window-full';
      const state = backlog.seek();
      if (state !== 'ready') return state;
      if (!host.canDeliver()) return 'outbox-full';
      if (inFlight.isFull) return 'window-full';
      const { block, index, at, recordBytes } = backlog;
      const recordAt = block.memoryAt + at;
      if (isExpired(arena, recordAt, nowMs, dataRetentionPeriodMs)) {
        this.expireUnderCursor();
        left--;
        continue;
      }
      const from = consumers.hasNoLocal ? clientIdOf(arena, recordAt) : undefined;
      const consumer = consumers.pick(dispatchStrategy, -1, from);
      if (consumer === null) {
        // There is credit, so only No Local stands in the way: set it aside and let later messages pass.
        if (from === undefined || this.#redelivery.refusedCount >= SET_ASIDE_MAX) return 'window-full';
        this.#redelivery.setAside(this.#take(block, index, at, recordBytes, recordAt), -1, 0);
        backlog.advance();
        left--;
        continue;
      }
      if (consumer.isSlow && dispatchStrategy === 'least_inflight' && this.#isHeldBack(consumer, nowMs)) {
        if (!consumers.hasHeld) this.#holdsSinceMs = nowMs;
        consumers.hold(consumer);
        left--;
        continue;
      }
      const slot = this.#take(block, index, at, recordBytes, recordAt);
      backlog.advance();
      this.#give(slot, consumer, recordAt, nowMs);
      left--;
    }
    return 'budget-used';
  }

  #isHeldBack(consumer: QueueConsumer, nowMs: number): boolean {
    const inFlight = this.consumers.inFlightOf(consumer);
    return this.#serviceTimes.isHeldBack(consumer, inFlight, this.readyCount, nowMs);
  }

  /** The record under the cursor becomes an entry of the in-flight table. */
  #take(block: Block, index: number, at: number, recordBytes: number, recordAt: number): number {
    const slot = this.#host.inFlight.allocate(block, index, at, recordBytes);
    if (this.lastValue !== null)
      this.lastValue.take(block.firstOffset, slot, keyOf(this.#host.arena, recordAt));
    return slot;
  }

  #give(slot: number, consumer: QueueConsumer, recordAt: number, nowMs: number): void {
    const host = this.#host;
    const { inFlight } = host;
    const tag = inFlight.assign(slot, consumer.slot, consumer.listHead);
    consumer.listHead = slot;
    consumer.delivered++;
    const attempt = inFlight.attempts[slot] as number;
    const recordBytes = inFlight.recordBytes[slot] as number;
    this.inFlightCount++;
    this.inFlightBytes += recordBytes;
    this.counters.delivered++;
    if (attempt > 1) this.counters.redelivered++;
    this.consumers.assigned(consumer, nowMs);
    host.deliver(
      consumer.slot,
      tag,
      recordAt,
      recordBytes,
      attempt,
      remainingExpiry(host.arena, recordAt, nowMs),
      // A small integer whatever the offset: no number is allocated.
      inFlight.offsetOf(slot) | 0,
    );
  }

  /** Delivers an entry again, or drops it when its time is over. Undefined when it is dealt with. */
  tryAgain(slot: number, excluded: number, nowMs: number): DispatchEnd | undefined {
    const host = this.#host;
    const { inFlight, arena } = host;
    if (this.#dropIfOver(slot)) return undefined;
    if (this.inFlightCount >= this.#inFlightMax) return 'window-full';
    const block = inFlight.blocks[slot] as Block;
    if (!this.backlog.load(block)) return 'memory-full';
    const recordAt = block.memoryAt + (inFlight.recordAt[slot] as number);
    if (isExpired(arena, recordAt, nowMs, this.definition.dataRetentionPeriodMs)) {
      this.counters.expired++;
      this.#settle(slot);
      return undefined;
    }
    if (!host.canDeliver()) return 'outbox-full';
    const from = this.consumers.hasNoLocal ? clientIdOf(arena, recordAt) : undefined;
    const consumer = this.consumers.pick(this.definition.dispatchStrategy, excluded, from);
    if (consumer === null) return 'window-full';
    this.#give(slot, consumer, recordAt, nowMs);
    return undefined;
  }

  // ── removal ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A message that only the log holds has expired; its block is deleted by the caller. */
  expireStored(bytes: number, key: string, offset: number, batch: LogBatch): void {
    this.counters.expired++;
    this.ledger.add(-1, -bytes);
    this.lastValue?.endStored(key, offset, batch);
  }

  /** The record under the cursor has expired. */
  expireUnderCursor(): void {
    this.counters.expired++;
    this.#endUnderCursor();
  }

  /** Record `index` of an unread block, `recordAt` in the arena, has expired before its turn came. */
  expireUnreadRecord(block: Block, index: number, recordBytes: number, recordAt: number): void {
    this.counters.expired++;
    this.lastValue?.endUnread(keyOf(this.#host.arena, recordAt), block);
    this.ledger.settle(block, index, recordBytes);
  }

  /** The oldest message that nobody has goes; false when there is none that is committed and readable now. */
  evictOldest(): boolean {
    for (;;) {
      const waiting = this.#redelivery.pop();
      if (waiting < 0) break;
      if (this.#dropIfOver(waiting)) continue;
      this.counters.evicted++;
      this.#settle(waiting);
      return true;
    }
    if (this.backlog.seek() !== 'ready') return false;
    this.counters.evicted++;
    this.#endUnderCursor();
    return true;
  }

  /**
   * Ends the messages at these offsets that are with nobody, the oldest that wait; returns how many. Others between them are
   * taken from the cursor and wait to be handed out. Stops at the first that cannot be read or taken now.
   */
  discard(offsets: ReadonlySet<number>, nowMs: number): number {
    const { inFlight, arena } = this.#host;
    const { backlog } = this;
    let last = -1;
    for (const offset of offsets) last = Math.max(last, offset);
    let count = 0;
    for (const slot of this.#redelivery.take(offsets, last)) {
      if (this.#dropIfOver(slot)) continue;
      this.#settle(slot);
      count++;
    }
    while (count < offsets.size && backlog.seek() === 'ready') {
      const { block, index, at, recordBytes } = backlog;
      const offset = block.firstOffset + index;
      const recordAt = block.memoryAt + at;
      if (offset > last) break;
      if (offsets.has(offset)) {
        this.#endUnderCursor();
        count++;
      } else if (isExpired(arena, recordAt, nowMs, this.definition.dataRetentionPeriodMs)) {
        this.expireUnderCursor();
      } else {
        if (inFlight.isFull) break;
        this.#redelivery.giveBack(this.#take(block, index, at, recordBytes, recordAt));
        backlog.advance();
      }
    }
    return count;
  }

  #endUnderCursor(): void {
    const { backlog } = this;
    const { block, index, at, recordBytes } = backlog;
    this.lastValue?.endUnread(keyOf(this.#host.arena, block.memoryAt + at), block);
    backlog.advance();
    this.ledger.settle(block, index, recordBytes);
  }

  /** Slots of this queue that are with no consumer: waiting to be delivered again. */
  waitingSlots(): IterableIterator<number> {
    return this.#redelivery.slots();
  }

  /**
   * Ends every message, also those in flight. Returns how many there were. Deleting them from the log is the caller's;
   * what clients still hold keeps its entry, void, and counts against their windows until they answer: were it freed, a
   * late ack could hit a later message of the same entry once its generations have come round.
   */
  purge(): number {
    const count = this.ledger.liveCount;
    const { inFlight } = this.#host;
    for (const slot of this.waitingSlots()) this.#makeVoid(slot);
    for (const slot of this.waitingSlots()) this.#dropIfOver(slot);
    this.#redelivery.clear();
    for (const consumer of this.consumers) {
      for (let slot = consumer.listHead; slot >= 0; slot = inFlight.nextOf(slot)) this.#makeVoid(slot);
    }
    this.inFlightCount = 0;
    this.inFlightBytes = 0;
    this.lastValue?.clear();
    this.backlog.clear(this.nextOffset);
    this.ledger.clear();
    this.intake.expiryDueMs = Number.POSITIVE_INFINITY;
    return count;
  }

  #makeVoid(slot: number): void {
    const { inFlight } = this.#host;
    inFlight.flags[slot] = EntryFlag.void;
    (inFlight.blocks[slot] as Block).deleted = true;
  }
}
