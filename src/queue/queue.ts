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
import { BLOCK_HEADER_BYTES } from '../log/record-format.js';
import { Backlog } from './backlog.js';
import { Block } from './block.js';
import type { BlockWriter, RecordSource } from './block-writer.js';
import { ConsumerSet, type QueueConsumer } from './consumer-set.js';
import type { QueueDefinition } from './definition.js';
import type { QueueHost } from './host.js';
import { EntryFlag } from './in-flight.js';
import type { KeyContext } from './key-expression/context.js';
import { KeyEvaluationError } from './key-expression/error.js';
import { compileKeyExpression, type KeyExpression } from './key-expression/key-expression.js';
import { LastValueIndex } from './last-value-index.js';
import { Ledger, encodedSummary } from './ledger.js';
import { QueueCounters } from './queue-counters.js';
import { clientIdOf, isExpired, keyOf, remainingExpiry } from './record.js';
import { RunList } from './run-list.js';
import { SlotHeap } from './slot-heap.js';

/** Blocks are cut at this size unless a single run is larger. */
const BLOCK_BYTES_MAX = 128 * 1024;
/** Refused messages looked at per dispatch. */
const REFUSED_SCAN_MAX = 128;
/** Messages that nobody may take now (own messages under No Local) which are set aside before the cursor stops. */
const SET_ASIDE_MAX = 16_384;
/** A record keeps the length of its key in 16 bits. */
const KEY_BYTES_MAX = 65_535;
/** EMQX's default of `stream_max_buffer_size`; a smaller value bounds the queue's total in flight. */
const STREAM_BUFFER_DEFAULT = 2000;

/** Why a dispatch ended. */
export type DispatchEnd =
  | 'caught-up'
  | 'no-consumer'
  | 'window-full'
  | 'outbox-full'
  | 'memory-full'
  | 'budget-used';

/** See the file header. */
export class Queue {
  definition: QueueDefinition;
  readonly id: number;
  readonly backlog: Backlog;
  readonly consumers: ConsumerSet;
  readonly ledger: Ledger;
  readonly counters = new QueueCounters();
  /** Newest offset per key; last-value queues only. */
  readonly lastValues: LastValueIndex | null;
  /** Messages with a consumer now, and their bytes. */
  inFlightCount = 0;
  inFlightBytes = 0;
  nextOffset = 0;
  /** Earliest moment at which a stored message may expire by its own interval. A lower bound. */
  expiryDueMs = Number.POSITIVE_INFINITY;
  /** Earliest moment at which retention may end the oldest unread message. A lower bound. */
  retentionDueMs = 0;
  /** What arrived in this turn; emptied by `appendRuns`. */
  readonly runs = new RunList();
  readonly #host: QueueHost;
  #keyExpression: KeyExpression | null;
  readonly #redeliver = new SlotHeap();
  /** Refused or set aside: others may have them now, anyone once they are due. */
  #refused: number[] = [];
  #refusedDueMs = Number.POSITIVE_INFINITY;
  /** How many of them have a due time; the others only wait for another consumer. */
  #timedCount = 0;
  /** Last-value queues: entry and key of every message past the cursor that is not done. */
  readonly #taken = new Map<number, { readonly slot: number; readonly key: string }>();
  /** Last-value queues: keys whose message is done, to be forgotten with the next flush. */
  readonly #doneKeys = new Map<string, Block>();
  /** Last-value queues: bytes of messages that only the log will hold and that are not committed yet, by offset. */
  readonly #uncommittedStored = new Map<number, number>();

  constructor(definition: QueueDefinition, host: QueueHost) {
    this.definition = definition;
    this.id = definition.id;
    this.#host = host;
    this.backlog = new Backlog(host, definition.id);
    this.consumers = new ConsumerSet(host.inFlightCounts, () => host.random());
    this.ledger = new Ledger(definition.id, host.arena);
    this.lastValues = definition.isLastvalue ? new LastValueIndex(host, definition.id) : null;
    this.#keyExpression = definition.isLastvalue ? compileKeyExpression(definition.keyExpression) : null;
  }

  get readyCount(): number {
    return this.ledger.liveCount - this.inFlightCount;
  }

  /** Settings have changed; they hold from the next message on. */
  update(definition: QueueDefinition): void {
    if (this.#keyExpression !== null && definition.keyExpression !== this.definition.keyExpression) {
      this.#keyExpression = compileKeyExpression(definition.keyExpression);
    }
    this.definition = definition;
    this.retentionDueMs = 0;
    this.consumers.setWindow(definition.localMaxInflight);
  }

  /** Takes over what the log holds: exact counts, first and next offset, earliest expiry. */
  recover(
    firstOffset: number,
    nextOffset: number,
    liveCount: number,
    liveBytes: number,
    expiryDueMs: number,
  ): void {
    this.nextOffset = nextOffset;
    this.expiryDueMs = expiryDueMs;
    this.ledger.add(liveCount, liveBytes);
    this.backlog.recover(firstOffset, nextOffset);
  }

  // ── storing ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Appends the turn's runs as blocks. Regular queues. */
  appendRuns(source: RecordSource, writer: BlockWriter, batch: LogBatch): void {
    const { runs } = this;
    let from = 0;
    while (from < runs.size) {
      let to = from;
      let bytes = 0;
      let count = 0;
      do {
        bytes += runs.bytes[to] as number;
        count += runs.counts[to] as number;
        to++;
      } while (to < runs.size && bytes + (runs.bytes[to] as number) <= BLOCK_BYTES_MAX);
      this.#appendBlock(source, writer, from, to, bytes, count, batch);
      from = to;
    }
    runs.clear();
  }

  /** Appends the one record in `runs` under `key`; an older message of that key which was not sent yet disappears. */
  appendKeyed(source: RecordSource, writer: BlockWriter, key: string, batch: LogBatch): void {
    const index = this.lastValues;
    assert(index !== null && this.runs.size === 1, 'a last-value queue appends one record at a time');
    const done = this.#doneKeys.get(key);
    if (done === undefined) {
      const previous = index.get(key);
      if (previous !== undefined) this.#overwrite(previous, batch);
    } else {
      // Its ack is not in the log yet: it goes with the new value, or a crash could bring the old one back.
      this.#doneKeys.delete(key);
      this.ledger.deleteBlock(done, batch);
    }
    const offset = this.nextOffset;
    this.#appendBlock(source, writer, 0, 1, this.runs.bytes[0] as number, 1, batch);
    this.runs.clear();
    index.set(key, offset, batch);
  }

  /** Key of a message. Throws `KeyEvaluationError`. Last-value queues. */
  keyOf(context: KeyContext): string {
    assert(this.#keyExpression !== null, 'only last-value queues have keys');
    const key = this.#keyExpression.evaluate(context);
    if (key.length > KEY_BYTES_MAX / 3 && Buffer.byteLength(key) > KEY_BYTES_MAX) {
      throw new KeyEvaluationError('limit', `the key is longer than ${KEY_BYTES_MAX} bytes`);
    }
    // Half a surrogate pair does not survive UTF-8, and the key must be the same when it is read back.
    return /\p{Surrogate}/u.test(key) ? Buffer.from(key).toString() : key;
  }

  /** True when the queue is full, refuses overflow, and `key` would be one message more. Last-value queues. */
  refusesKey(key: string): boolean {
    const { overflowPolicy, messagesMax, bytesMax } = this.definition;
    if (overflowPolicy !== 'reject_publish') return false;
    const isFull = this.ledger.liveCount >= messagesMax || this.ledger.liveBytes >= bytesMax;
    return isFull && (this.#doneKeys.has(key) || this.lastValues?.get(key) === undefined);
  }

  #appendBlock(
    source: RecordSource,
    writer: BlockWriter,
    from: number,
    to: number,
    bytes: number,
    count: number,
    batch: LogBatch,
  ): void {
    const { arena } = this.#host;
    const total = BLOCK_HEADER_BYTES + bytes;
    const firstOffset = this.nextOffset;
    // Without block memory the block lives in the log only and is read back when its turn comes.
    const memoryAt = this.backlog.keepsNewBlocks(this.#host.cacheBytesMax) ? arena.allocate(total) : -1;
    const summary = writer.write(source, this.runs, from, to, bytes, count, arena, memoryAt);
    batch.putBlock(this.id, firstOffset, writer.value);
    batch.putSummary(this.id, firstOffset, encodedSummary(summary));
    this.nextOffset = firstOffset + count;
    if (memoryAt >= 0) this.backlog.push(new Block(firstOffset, summary, memoryAt, total));
    else {
      this.backlog.pushStored(firstOffset, this.nextOffset);
      if (this.lastValues !== null) this.#uncommittedStored.set(firstOffset, bytes);
    }
    this.ledger.add(count, bytes);
    this.counters.stored += count;
    if (summary.expiresEarliestMs < this.expiryDueMs) this.expiryDueMs = summary.expiresEarliestMs;
  }

  /** The message at `offset` has a newer value: it is not sent any more. */
  #overwrite(offset: number, batch: LogBatch): void {
    const taken = this.#taken.get(offset);
    if (taken !== undefined) {
      const { flags, blocks } = this.#host.inFlight;
      flags[taken.slot] = (flags[taken.slot] as number) | EntryFlag.superseded;
      // Whatever the client answers, it is settled then; on disk it ends now.
      this.ledger.deleteBlock(blocks[taken.slot] as Block, batch);
      this.counters.overwritten++;
      if (this.#host.inFlight.consumer[taken.slot] === -1) this.#endWaiting(taken.slot);
      return;
    }
    const unread = this.backlog.find(offset);
    if (unread !== undefined) {
      if (unread.deleted) return;
      this.ledger.add(-1, -unread.liveBytes);
      this.ledger.deleteBlock(unread, batch);
      this.backlog.drop(unread);
      this.counters.overwritten++;
      return;
    }
    const uncommitted = this.#uncommittedStored.get(offset);
    if (uncommitted !== undefined) {
      this.#uncommittedStored.delete(offset);
      this.ledger.add(-1, -uncommitted);
      batch.deleteBlock(this.id, offset);
      this.counters.overwritten++;
      return;
    }
    const [stored] = this.#host.readSummaries(this.id, offset, 1);
    if (stored?.firstOffset !== offset) return;
    const summary = new DataView(stored.value.buffer, stored.value.byteOffset, stored.value.byteLength);
    this.ledger.add(-1, -summary.getUint32(8, true));
    batch.deleteBlock(this.id, offset);
    this.counters.overwritten++;
  }

  /**
   * How many of the `count` records at `start` the queue takes on top of what the turn has already brought. Only
   * `overflow: reject_publish` ever says fewer than all.
   */
  admit(words: Uint32Array, start: number, count: number): number {
    const { definition } = this;
    if (definition.overflowPolicy !== 'reject_publish') return count;
    let messages = this.ledger.liveCount + this.runs.recordCount;
    let bytes = this.ledger.liveBytes + this.runs.recordBytes;
    let at = start;
    for (let i = 0; i < count; i++) {
      const length = words[at >> 2] as number;
      messages++;
      bytes += length;
      if (messages > definition.messagesMax || bytes > definition.bytesMax) {
        this.counters.refused += count - i;
        return i;
      }
      at += length;
    }
    return count;
  }

  /** The log holds everything below `endOffset`: it may be given out. */
  commit(endOffset: number): void {
    this.backlog.commit(endOffset);
    this.lastValues?.committed();
    for (const offset of this.#uncommittedStored.keys()) {
      if (offset >= endOffset) break;
      this.#uncommittedStored.delete(offset);
    }
  }

  /** True when acks wait for the next group commit. */
  get hasUnwrittenAcks(): boolean {
    return this.ledger.isDirty || this.#doneKeys.size > 0;
  }

  /** Puts acks into the batch: deletions of finished blocks, bitmaps of others, keys that are done. */
  flushAcks(batch: LogBatch): void {
    this.ledger.flush(batch);
    for (const [key, { firstOffset }] of this.#doneKeys) this.lastValues?.forget(key, firstOffset, batch);
    this.#doneKeys.clear();
  }

  // ── consumers ──────────────────────────────────────────────────────────────────────────────────────────────────

  attach(consumer: QueueConsumer): void {
    consumer.window = Math.min(this.definition.localMaxInflight, consumer.clientInFlightMax);
    this.consumers.add(consumer);
  }

  /** The consumer is gone: what it had in flight is ready again at once, before anything newer. */
  detach(consumer: QueueConsumer): void {
    this.consumers.remove(consumer);
    while (consumer.listHead >= 0) this.#giveBack(consumer.listHead, consumer);
  }

  /** The consumer has finished with an entry. */
  ack(slot: number, consumer: QueueConsumer): void {
    if (this.#unassign(slot, consumer)) return;
    consumer.acked++;
    this.counters.acked++;
    this.#settle(slot);
  }

  /** The consumer refuses an entry: another one gets it first, anyone after the queue's pause. */
  reject(slot: number, consumer: QueueConsumer, nowMs: number): void {
    if (this.#unassign(slot, consumer)) return;
    consumer.rejected++;
    this.counters.rejected++;
    if (this.#dropIfOver(slot)) return;
    this.#setAside(slot, consumer.slot, nowMs + this.definition.redispatchIntervalMs);
  }

  /** The entry was not sent after all: ready again at once, not counted as an attempt. */
  release(slot: number, consumer: QueueConsumer): void {
    const { attempts } = this.#host.inFlight;
    attempts[slot] = (attempts[slot] as number) - 1;
    this.#giveBack(slot, consumer);
  }

  #giveBack(slot: number, consumer: QueueConsumer): void {
    const { inFlight } = this.#host;
    if (this.#unassign(slot, consumer) || this.#dropIfOver(slot)) return;
    inFlight.refusedBy[slot] = -1;
    this.#redeliver.push(inFlight.offsetOf(slot), slot);
  }

  /** `dueMs`: when the consumer that refused may have it again; 0 when only others ever may. */
  #setAside(slot: number, refusedBy: number, dueMs: number): void {
    const { inFlight } = this.#host;
    inFlight.refusedBy[slot] = refusedBy;
    inFlight.dueMs[slot] = dueMs;
    this.#refused.push(slot);
    if (dueMs === 0) return;
    this.#timedCount++;
    if (dueMs < this.#refusedDueMs) this.#refusedDueMs = dueMs;
  }

  /** Takes an entry from its consumer. True when its message was purged meanwhile: then it is freed as well. */
  #unassign(slot: number, consumer: QueueConsumer): boolean {
    const { inFlight } = this.#host;
    consumer.listHead = inFlight.unassign(slot, consumer.listHead);
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

  /** Settles an overwritten message that waits for a consumer; its entry is freed when its turn comes. */
  #endWaiting(slot: number): void {
    const { inFlight } = this.#host;
    const block = inFlight.blocks[slot] as Block;
    inFlight.flags[slot] = EntryFlag.void;
    this.#taken.delete(block.firstOffset);
    this.ledger.settle(block, inFlight.recordIndex[slot] as number, inFlight.recordBytes[slot] as number);
  }

  /** The entry's message is done for good. */
  #settle(slot: number): void {
    const { inFlight } = this.#host;
    const block = inFlight.blocks[slot] as Block;
    const index = inFlight.recordIndex[slot] as number;
    const bytes = inFlight.recordBytes[slot] as number;
    inFlight.free(slot);
    this.ledger.settle(block, index, bytes);
    if (this.lastValues === null) return;
    const taken = this.#taken.get(block.firstOffset);
    this.#taken.delete(block.firstOffset);
    if (taken !== undefined && !block.deleted) this.#doneKeys.set(taken.key, block);
  }

  // ── dispatch ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Hands out at most `budget` messages. Returns why it stopped; `refusedDueMs` then tells when to look again. */
  dispatch(nowMs: number, budget: number): DispatchEnd {
    // Found anew by the scan below. Whatever ends a dispatch before it wakes the queue by itself: an ack, a consumer, room.
    this.#refusedDueMs = Number.POSITIVE_INFINITY;
    if (this.consumers.size === 0 || this.definition.paused) return 'no-consumer';
    if (!this.consumers.hasCredit()) return 'window-full';
    let left = budget;
    for (; this.#redeliver.size > 0; left--) {
      const end = left > 0 ? this.#dispatchReturned(nowMs) : 'budget-used';
      if (end !== undefined) return end;
    }
    if (this.#refused.length > 0) {
      const end = this.#dispatchRefused(nowMs);
      if (end !== undefined) return end;
    }
    return this.#dispatchNew(nowMs, left);
  }

  /** When a refused message may next go to anyone, ms; Infinity when no time is waited for. */
  get refusedDueMs(): number {
    return this.#refusedDueMs;
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
    if (this.#refused.length >= SET_ASIDE_MAX) return 'window-full';
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
        if (from === undefined || this.#refused.length >= SET_ASIDE_MAX) return 'window-full';
        this.#setAside(this.#take(block, index, at, recordBytes, recordAt), -1, 0);
        backlog.advance();
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

  /** The record under the cursor becomes an entry of the in-flight table. */
  #take(block: Block, index: number, at: number, recordBytes: number, recordAt: number): number {
    const slot = this.#host.inFlight.allocate(block, index, at, recordBytes);
    if (this.lastValues !== null)
      this.#taken.set(block.firstOffset, { slot, key: keyOf(this.#host.arena, recordAt) });
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
    Atomics.add(host.inFlightCounts, consumer.slot, 1);
    host.deliver(
      consumer.slot,
      tag,
      recordAt,
      recordBytes,
      attempt,
      remainingExpiry(host.arena, recordAt, nowMs),
    );
  }

  /** Delivers the oldest message that came back from a detached consumer. Undefined: go on. */
  #dispatchReturned(nowMs: number): DispatchEnd | undefined {
    const slot = this.#redeliver.peek();
    const end = this.#tryAgain(slot, -1, nowMs);
    if (end === 'window-full' && this.inFlightCount < this.#inFlightMax && this.consumers.hasCredit()) {
      // Only No Local stands in the way: later messages pass.
      this.#redeliver.pop();
      this.#setAside(slot, -1, 0);
      return undefined;
    }
    if (end === undefined) this.#redeliver.pop();
    return end;
  }

  /** Tries refused messages on consumers other than the one that refused, or on anyone once they are due. */
  #dispatchRefused(nowMs: number): DispatchEnd | undefined {
    const { inFlight } = this.#host;
    // What is not taken goes behind the others, so that each has its turn.
    const scanned = this.#refused.splice(0, REFUSED_SCAN_MAX);
    if (this.#refused.length > 0 && this.#timedCount > 0) {
      this.#refusedDueMs = nowMs + Math.max(1, this.definition.redispatchIntervalMs);
    }
    let result: DispatchEnd | undefined;
    for (const slot of scanned) {
      if (result !== undefined || !this.consumers.hasCredit()) {
        result ??= 'window-full';
        this.#refused.push(slot);
        continue;
      }
      const dueMs = inFlight.dueMs[slot] as number;
      const end = this.#tryAgain(slot, dueMs <= nowMs ? -1 : (inFlight.refusedBy[slot] as number), nowMs);
      if (end === undefined) {
        if (dueMs > 0) this.#timedCount--;
        continue;
      }
      this.#refused.push(slot);
      if (end !== 'window-full') result = end;
      else if (dueMs > nowMs && dueMs < this.#refusedDueMs) this.#refusedDueMs = dueMs;
    }
    return result;
  }

  /** Delivers an entry again, or drops it when its time is over. Undefined when it is dealt with. */
  #tryAgain(slot: number, excluded: number, nowMs: number): DispatchEnd | undefined {
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
    this.#uncommittedStored.delete(offset);
    this.lastValues?.forget(key, offset, batch);
  }

  /** The record under the cursor has expired. */
  expireUnderCursor(): void {
    this.counters.expired++;
    this.#endUnderCursor();
  }

  /** Record `index` of an unread block, `recordAt` in the arena, has expired before its turn came. */
  expireUnreadRecord(block: Block, index: number, recordBytes: number, recordAt: number): void {
    this.counters.expired++;
    if (this.lastValues !== null) this.#doneKeys.set(keyOf(this.#host.arena, recordAt), block);
    this.ledger.settle(block, index, recordBytes);
  }

  /** Evicts the oldest messages until the queue is within its limits, or nothing is left that nobody has. */
  evictOverflow(limitShards: number): void {
    const { shardMessageCountMax, shardMessageBytesMax, messagesMax, bytesMax, overflowPolicy } =
      this.definition;
    const drops = overflowPolicy === 'drop_oldest';
    const countLimit = Math.min(
      shardMessageCountMax * limitShards,
      drops ? messagesMax : Number.POSITIVE_INFINITY,
    );
    const bytesLimit = Math.min(
      shardMessageBytesMax * limitShards,
      drops ? bytesMax : Number.POSITIVE_INFINITY,
    );
    while (this.ledger.liveCount > countLimit || this.ledger.liveBytes > bytesLimit) {
      if (!this.evictOldest()) return;
    }
  }

  /** The oldest message that nobody has goes; false when there is none that is committed and readable now. */
  evictOldest(): boolean {
    for (;;) {
      const waiting = this.#redeliver.size > 0 ? this.#redeliver.pop() : this.#nextRefused();
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

  /** Takes the first refused message off its list; -1 when there is none. */
  #nextRefused(): number {
    const slot = this.#refused.shift() ?? -1;
    if (slot >= 0 && (this.#host.inFlight.dueMs[slot] as number) > 0) this.#timedCount--;
    return slot;
  }

  #endUnderCursor(): void {
    const { backlog } = this;
    const { block, index, at, recordBytes } = backlog;
    if (this.lastValues !== null) this.#doneKeys.set(keyOf(this.#host.arena, block.memoryAt + at), block);
    backlog.advance();
    this.ledger.settle(block, index, recordBytes);
  }

  /** Slots of this queue that are with no consumer: waiting to be delivered again. */
  *waitingSlots(): IterableIterator<number> {
    yield* this.#redeliver.slots();
    yield* this.#refused;
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
    this.#redeliver.clear();
    this.#refused = [];
    this.#timedCount = 0;
    this.#refusedDueMs = Number.POSITIVE_INFINITY;
    for (const consumer of this.consumers) {
      for (let slot = consumer.listHead; slot >= 0; slot = inFlight.nextOf(slot)) this.#makeVoid(slot);
    }
    this.inFlightCount = 0;
    this.inFlightBytes = 0;
    this.#taken.clear();
    this.#doneKeys.clear();
    this.#uncommittedStored.clear();
    this.lastValues?.clear();
    this.backlog.clear(this.nextOffset);
    this.ledger.clear();
    this.expiryDueMs = Number.POSITIVE_INFINITY;
    return count;
  }

  #makeVoid(slot: number): void {
    const { inFlight } = this.#host;
    inFlight.flags[slot] = EntryFlag.void;
    (inFlight.blocks[slot] as Block).deleted = true;
  }
}
