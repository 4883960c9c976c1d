/**
 * The loop of one shard: drain the ring, store, commit once, settle, dispatch. Shard worker.
 *
 *   turn = frames in (bounded) → blocks and acks into one batch → one write → settlements → deliveries → rings published
 *
 * Always true: a publish is settled as stored only after its batch is as durable as configured, and only then given to
 * consumers; acks are in the log a few milliseconds after they arrive; a failed write ends the worker, because memory
 * and disk may then differ: the pool starts it again from what the disk says.
 * Source: group commit after DeWitt et al., "Implementation techniques for main memory database systems", 1984.
 */
import { RingReader, RingWriter } from '../base/ring.js';
import type { OperationalError } from '../base/error.js';
import type { Log, LogBatch, StoredBlock } from '../log/log.js';
import { Arena } from '../queue/arena.js';
import { BlockWriter } from '../queue/block-writer.js';
import { QueueConsumer } from '../queue/consumer-set.js';
import { evictOverflow } from '../queue/eviction.js';
import { expireUnread, type ExpiryWalk } from '../queue/expiry.js';
import type { QueueHost } from '../queue/host.js';
import { InFlightTable } from '../queue/in-flight.js';
import type { Queue } from '../queue/queue.js';
import { reclaimPages } from '../queue/reclaim.js';
import type { Counters } from '../telemetry/counter.js';
import { slot as metric } from '../telemetry/counter-layout.js';
import { FrameReader } from './frame-reader.js';
import { DELIVER_BYTES, FrameType, type Durability } from './protocol.js';
import { QueueMetrics } from './queue-metrics.js';
import { packRows } from './rows.js';
import { Settlement } from './settlement.js';

/** Bytes of frames taken per turn: the size of a group commit. */
const TURN_BYTES_MAX = 128 * 1024;
/** Acks wait at most this long for a group commit of their own. */
const ACK_DELAY_MS = 4;
/** Messages that one queue may hand out before the next queue has its turn. */
const DISPATCH_BUDGET = 512;
/** Messages beyond a queue's limits that one turn ends; more than one group commit brings. */
const EVICTION_BUDGET = 4096;
/** Pages given back at once when block memory is full: room for the blocks of a few turns. */
const RECLAIM_PAGES = 8;

/** A commit whose bytes are written and wait for the disk. */
interface PendingCommit {
  readonly settlement: Settlement;
  readonly queues: readonly Queue[];
  readonly ends: readonly number[];
}

/** What the loop needs from its thread. */
export interface LoopEnvironment {
  readonly log: Log;
  readonly durability: Durability;
  readonly limitShards: number;
  /** Block memory that one queue's unread messages may take. */
  readonly queueCacheBytes: number;
  readonly counters: Counters;
  /** Wakes the main thread. */
  ringDoorbell(): void;
  /** Asks for another turn soon: after an fsync, or when a timer is due. */
  wake(): void;
  report(level: 'warn' | 'error', message: string, detail?: Record<string, unknown>): void;
  /** The log failed: the worker must end. */
  fail(error: OperationalError): void;
}

/** See the file header. */
export class ShardLoop implements QueueHost {
  readonly arena: Arena;
  readonly inFlight: InFlightTable;
  readonly inFlightCounts: Int32Array;
  readonly queues = new Map<number, Queue>();
  readonly #env: LoopEnvironment;
  readonly #in: RingReader;
  readonly #out: RingWriter;
  readonly #deliverFillMax: number;
  readonly #batch: LogBatch;
  readonly #blockWriter = new BlockWriter();
  readonly #frames: FrameReader;
  /** Consumer and queue per slot. */
  readonly #consumers: ({ readonly consumer: QueueConsumer; readonly queue: Queue } | undefined)[] = [];
  /** Queues that may have something to hand out. */
  #ready = new Set<Queue>();
  /** Queues with messages that wait for time: refused ones, and those that a slow consumer did not get. */
  readonly #waiting = new Set<Queue>();
  /** Queues with acks that are not in the log yet, and since when. */
  readonly #unwritten = new Set<Queue>();
  #unwrittenSinceMs = 0;
  /** Queues that are still beyond their limits. */
  readonly #overflowing = new Set<Queue>();
  #syncsPending = 0;
  /** Settlements on their way to the main thread, and slots whose detach is to be confirmed. */
  readonly #settled = new Settlement();
  readonly #detached: number[] = [];
  readonly #queueMetrics: QueueMetrics;
  readonly #expiryWalks = new Map<Queue, ExpiryWalk>();

  constructor(
    env: LoopEnvironment,
    epoch: number,
    toWorker: SharedArrayBuffer,
    toMain: SharedArrayBuffer,
    arena: SharedArrayBuffer,
    inFlightCounts: SharedArrayBuffer,
  ) {
    this.#env = env;
    this.#in = new RingReader(toWorker);
    this.#out = new RingWriter(toMain);
    this.#deliverFillMax = (this.#out.sizeBytes / 8) * 7;
    this.arena = new Arena(arena, (position) => this.#out.passed(position));
    this.inFlight = new InFlightTable(epoch);
    this.inFlightCounts = new Int32Array(inFlightCounts);
    this.#batch = env.log.batch();
    this.#queueMetrics = new QueueMetrics(env.counters);
    this.#frames = new FrameReader(this, this.#in, this.#batch, this.#blockWriter, env.counters);
  }

  /**
   * One turn: `busy` when another should follow at once, `idle` when frames are awaited, `stalled` when the main thread
   * has to read on first. The order inside is the contract in the file header.
   */
  turn(nowMs: number): 'busy' | 'idle' | 'stalled' {
    const env = this.#env;
    if (this.#frames.readAcks(nowMs) > 0) {
      this.#dispatch(nowMs);
      if (this.#out.publish()) env.ringDoorbell();
    }
    const frameBytes = this.#frames.read(TURN_BYTES_MAX, nowMs);
    const stored = this.#frames.touched;
    let messages = this.#frames.keyedCount;
    for (const queue of stored) {
      messages += queue.runs.recordCount;
      queue.appendRuns(this.#in, this.#blockWriter, this.#batch);
    }
    if (messages > 0) env.counters.observe('groupCommitMessages', messages);
    // A row may say that a message is done: then its ack must not be committed later.
    const acksDue = this.#frames.rowCount > 0 || nowMs - this.#unwrittenSinceMs >= ACK_DELAY_MS;
    if (this.#unwritten.size > 0 && acksDue) this.#flushAcks();
    this.#write();
    if (this.#in.release()) env.ringDoorbell();
    if (stored.length > 0 || !this.#frames.settlement.isEmpty) this.#commit(stored);
    this.#frames.endTurn();
    for (const queue of this.#waiting) if (queue.dueMs <= nowMs) this.schedule(queue);
    for (const queue of this.#overflowing) this.evict(queue);
    const more = this.#dispatch(nowMs);
    const sent = this.#sendReplies();
    if (this.#out.publish()) env.ringDoorbell();
    // The ring was full: the main thread rings when it has read on. If it just did, go on at once.
    const stalled = !sent || more === 'outbox-full';
    if (frameBytes > 0 || more === 'again' || this.#overflowing.size > 0) return 'busy';
    if (stalled && this.#out.requestRoom()) return 'busy';
    return stalled ? 'stalled' : 'idle';
  }

  /** Nothing to do: declares the worker asleep. False when frames came meanwhile. */
  sleep(): boolean {
    return !this.#in.sleep();
  }

  /** Waits on the ring itself for at most `timeoutMs`; true when frames came. Nothing else runs meanwhile. */
  doze(timeoutMs: number): boolean {
    return this.#in.doze(timeoutMs);
  }

  /** True while the disk is awaited: its answer comes through the event loop. */
  get isSyncing(): boolean {
    return this.#syncsPending > 0;
  }

  wakeUp(): void {
    this.#in.wake();
  }

  /** When a turn is needed although nothing arrives, ms; Infinity when never. */
  nextDueMs(): number {
    let dueMs = this.#unwritten.size > 0 ? this.#unwrittenSinceMs + ACK_DELAY_MS : Number.POSITIVE_INFINITY;
    for (const queue of this.#waiting) {
      // What is ready already waits for room, not for time.
      if (!this.#ready.has(queue)) dueMs = Math.min(dueMs, queue.dueMs);
    }
    return dueMs;
  }

  /** Forgets a queue that is being deleted. */
  remove(queue: Queue): void {
    this.#queueMetrics.add(queue);
    this.queues.delete(queue.id);
    this.#ready.delete(queue);
    this.#waiting.delete(queue);
    this.#unwritten.delete(queue);
    this.#overflowing.delete(queue);
    this.#expiryWalks.delete(queue);
  }

  get cacheBytesMax(): number {
    return this.#env.queueCacheBytes;
  }

  // ── commit ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #write(): void {
    if (this.#batch.operationCount === 0) return;
    const startMs = performance.now();
    this.#env.log.write(this.#batch);
    this.#env.counters.observe('groupCommitSeconds', (performance.now() - startMs) / 1000);
    this.#batch.clear();
    this.#env.counters.add(metric.groupCommits, 1);
  }

  /** What was just written is given out and settled, now or when the disk has it. */
  #commit(queues: readonly Queue[]): void {
    const settlement = new Settlement();
    settlement.take(this.#frames.settlement);
    const pending: PendingCommit = {
      settlement,
      queues: [...queues],
      ends: queues.map((queue) => queue.nextOffset),
    };
    if (this.#env.durability !== 'fsync') {
      this.#finish(pending);
      return;
    }
    this.#syncsPending++;
    const startMs = performance.now();
    this.#env.log.sync((error) => {
      this.#syncsPending--;
      this.#env.counters.observe('syncSeconds', (performance.now() - startMs) / 1000);
      if (error !== null) {
        this.#env.fail(error);
        return;
      }
      this.#finish(pending);
      this.#env.wake();
    });
  }

  #finish({ settlement, queues, ends }: PendingCommit): void {
    this.#settled.take(settlement);
    queues.forEach((queue, i) => {
      queue.commit(ends[i] as number);
      this.evict(queue);
      this.schedule(queue);
    });
  }

  /** Brings the queue within its limits, in later turns what is more than one turn's worth. */
  evict(queue: Queue): void {
    if (evictOverflow(queue, this.#env.limitShards, EVICTION_BUDGET)) this.#overflowing.add(queue);
    else this.#overflowing.delete(queue);
    this.noteAcks(queue);
  }

  #flushAcks(): void {
    for (const queue of this.#unwritten) queue.flushAcks(this.#batch);
    this.#unwritten.clear();
  }

  /** Writes all acks now. */
  flush(): void {
    this.#flushAcks();
    this.#write();
  }

  /** Runs `fill` on the batch and commits it at once, with fsync unless durability is `process`. For control calls. */
  async commitNow(fill: (batch: LogBatch) => void): Promise<void> {
    fill(this.#batch);
    this.#write();
    if (this.#env.durability === 'process') return;
    await new Promise<void>((resolve, reject) => {
      this.#env.log.sync((error) => (error === null ? resolve() : reject(error)));
    });
  }

  // ── dispatch ───────────────────────────────────────────────────────────────────────────────────────────────────

  #dispatch(nowMs: number): 'again' | 'outbox-full' | 'idle' {
    if (this.#ready.size === 0) return 'idle';
    const round = this.#ready;
    this.#ready = new Set();
    let result: 'again' | 'outbox-full' | 'idle' = 'idle';
    for (const queue of round) {
      if (result === 'outbox-full') {
        this.#ready.add(queue);
        continue;
      }
      const end = queue.dispatch(nowMs, DISPATCH_BUDGET);
      this.noteAcks(queue);
      if (queue.dueMs < Number.POSITIVE_INFINITY) this.#waiting.add(queue);
      else this.#waiting.delete(queue);
      if (end === 'caught-up' || end === 'window-full' || end === 'no-consumer') continue;
      this.#ready.add(queue);
      if (end === 'outbox-full') result = end;
      else if (end === 'budget-used' || this.reclaimMemory()) result = 'again';
      else result = 'outbox-full';
    }
    return result;
  }

  #sendReplies(): boolean {
    while (this.#detached.length > 0) {
      const at = this.#out.reserve(16, FrameType.detached, this.#out.sizeBytes);
      if (at < 0) return false;
      this.#out.words[(at >> 2) + 2] = this.#detached.shift() as number;
    }
    return this.#settled.send(this.#out);
  }

  /** The queue may have something to hand out: look at it in the next turn. */
  schedule(queue: Queue): void {
    this.#ready.add(queue);
  }

  /** Acks or removals of the queue are to be written soon. */
  noteAcks(queue: Queue): void {
    if (!queue.hasUnwrittenAcks) return;
    if (this.#unwritten.size === 0) this.#unwrittenSinceMs = Date.now();
    this.#unwritten.add(queue);
  }

  // ── consumers ──────────────────────────────────────────────────────────────────────────────────────────────────

  attach(slot: number, queueId: number, clientId: Buffer, inFlightMax: number, noLocal: boolean): void {
    const queue = this.queues.get(queueId);
    // The queue was deleted while the frame was under way; the subscription hears of that by itself.
    if (queue === undefined) return;
    const consumer = new QueueConsumer(slot, clientId, inFlightMax, noLocal);
    this.#consumers[slot] = { consumer, queue };
    queue.attach(consumer);
    this.schedule(queue);
  }

  detach(slot: number): void {
    const entry = this.#consumers[slot];
    if (entry !== undefined) {
      this.#consumers[slot] = undefined;
      entry.queue.detach(entry.consumer);
      this.schedule(entry.queue);
      this.noteAcks(entry.queue);
    }
    this.#detached.push(slot);
  }

  /** Answer of a client to the delivery `tag`. Late and unknown tags are ignored. `reject` is false for an ack. */
  answer(tag: number, kind: 'ack' | 'reject' | 'release', nowMs: number): void {
    const slot = this.inFlight.find(tag);
    if (slot < 0) return;
    const entry = this.#consumers[this.inFlight.consumer[slot] as number];
    if (entry === undefined) return;
    const { queue, consumer } = entry;
    if (kind === 'ack') queue.ack(slot, consumer, nowMs);
    else if (kind === 'reject') queue.reject(slot, consumer, nowMs);
    else queue.release(slot, consumer);
    this.#ready.add(queue);
    if (this.#unwritten.size === 0) this.#unwrittenSinceMs = nowMs;
    this.#unwritten.add(queue);
  }

  /** Entries of one queue by offset, for peeks. Walks its consumers' lists. */
  entryStates(queue: Queue): Map<number, { attempts: number; inFlight: boolean }> {
    const states = new Map<number, { attempts: number; inFlight: boolean }>();
    const { inFlight } = this;
    for (const slot of queue.waitingSlots()) {
      states.set(inFlight.offsetOf(slot), { attempts: inFlight.attempts[slot] as number, inFlight: false });
    }
    for (const consumer of queue.consumers) {
      for (let slot = consumer.listHead; slot >= 0; slot = inFlight.nextOf(slot)) {
        states.set(inFlight.offsetOf(slot), { attempts: inFlight.attempts[slot] as number, inFlight: true });
      }
    }
    return states;
  }

  /** About once a second: expiry, rates, idle work of the log. */
  maintain(nowMs: number): void {
    for (const queue of this.queues.values()) {
      queue.counters.sample(nowMs);
      queue.endLapsedWindows(nowMs);
      // Should the clock have been set back, their time would not come.
      if (queue.consumers.hasHeld) this.schedule(queue);
      if (queue.endsHold(nowMs)) this.schedule(queue);
      // Nothing there to expire: 10,000 queues of idle sessions take 2 ms of a tick instead of 5.
      if (queue.ledger.liveCount === 0) continue;
      const walk = expireUnread(queue, this, this.#batch, nowMs, this.#expiryWalks.get(queue) ?? null);
      if (walk === null) this.#expiryWalks.delete(queue);
      else this.#expiryWalks.set(queue, walk);
      this.noteAcks(queue);
      this.#write();
    }
    this.#queueMetrics.tick(this.queues, this.arena);
    this.#env.log.maintain(nowMs);
  }

  // ── QueueHost ──────────────────────────────────────────────────────────────────────────────────────────────────

  canDeliver(): boolean {
    return this.#out.hasRoom(DELIVER_BYTES, this.#deliverFillMax);
  }

  deliver(
    consumerSlot: number,
    tag: number,
    recordAt: number,
    recordBytes: number,
    attempt: number,
    expiryInterval: number,
    offsetLow: number,
  ): void {
    const out = this.#out;
    const word = (out.reserve(DELIVER_BYTES, FrameType.deliver, out.sizeBytes) >> 2) + 2;
    const { words } = out;
    words[word] = consumerSlot;
    words[word + 1] = tag;
    words[word + 2] = recordAt;
    words[word + 3] = attempt;
    words[word + 4] = expiryInterval;
    words[word + 5] = offsetLow;
    this.arena.touch(recordAt, recordBytes, out.position);
  }

  readBlocks(queueId: number, fromOffset: number, bytesMax: number): StoredBlock[] {
    const blocks = this.#env.log.readBlocks(queueId, fromOffset, bytesMax);
    this.#env.counters.add(metric.blocksRead, blocks.length);
    return blocks;
  }

  /** Rows from `fromRowId` on, in pages; see rows.ts. */
  readRows(store: number, fromRowId: number): ArrayBuffer {
    return packRows(this.#env.log, store, fromRowId);
  }

  readBlock(queueId: number, firstOffset: number): Uint8Array | undefined {
    this.#env.counters.add(metric.blocksRead, 1);
    return this.#env.log.readBlock(queueId, firstOffset);
  }

  readSummaries(queueId: number, fromOffset: number, countMax: number): StoredBlock[] {
    return this.#env.log.readSummaries(queueId, fromOffset, countMax);
  }

  readKey(queueId: number, key: Uint8Array): number | undefined {
    return this.#env.log.readKey(queueId, key);
  }

  reclaimMemory(): boolean {
    return reclaimPages(this.queues.values(), this.inFlight, this.arena, RECLAIM_PAGES);
  }

  onCorruptBlock(queueId: number, firstOffset: number, error: unknown): void {
    this.#env.counters.add(metric.logErrors, 1);
    this.#env.report('error', 'a stored block is damaged; its messages are skipped and stay on disk', {
      queueId,
      firstOffset,
      reason: error instanceof Error ? error.message : String(error),
    });
  }

  random(): number {
    return Math.random();
  }
}
