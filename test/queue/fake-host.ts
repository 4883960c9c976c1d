/**
 * A shard around one or more queues over plain memory: log, arena and ring without threads. Test process.
 *
 * Always true: what `deliver` points at is compared, at delivery and again when the main thread "reads" it, with the
 * bytes that were published: block memory that is reused too early is caught.
 */
import { assert } from '../../src/base/error.js';
import type { Log, LogBatch, StoredBlock } from '../../src/log/log.js';
import { openMemoryLog } from '../../src/log/memory-driver.js';
import {
  RECORD_HEADER_BYTES,
  RecordWord,
  recordBytes as lengthOfRecord,
} from '../../src/log/record-format.js';
import { Arena, PAGE_BYTES } from '../../src/queue/arena.js';
import { BlockWriter } from '../../src/queue/block-writer.js';
import { QueueConsumer } from '../../src/queue/consumer-set.js';
import type { QueueDefinition } from '../../src/queue/definition.js';
import type { QueueHost } from '../../src/queue/host.js';
import { InFlightTable } from '../../src/queue/in-flight.js';
import { Queue } from '../../src/queue/queue.js';
import { reclaimPages } from '../../src/queue/reclaim.js';
import { recoverQueue } from '../../src/queue/recovery.js';
import type { RecordMemory } from '../../src/queue/record.js';

/** A queue definition with EMQX's defaults, unlimited, and `changes`. */
export function definitionWith(changes: Partial<QueueDefinition> = {}): QueueDefinition {
  return {
    id: 1,
    name: '/jobs',
    topicFilter: 'jobs',
    isLastvalue: false,
    createdAtMs: 0,
    keyExpression: 'message.from',
    keyErrorPolicy: 'drop',
    dispatchStrategy: 'random',
    dataRetentionPeriodMs: Number.POSITIVE_INFINITY,
    shardMessageCountMax: Number.POSITIVE_INFINITY,
    shardMessageBytesMax: Number.POSITIVE_INFINITY,
    messagesMax: Number.POSITIVE_INFINITY,
    bytesMax: Number.POSITIVE_INFINITY,
    overflowPolicy: 'drop_oldest',
    localMaxInflight: 10,
    fastMaxInflight: changes.localMaxInflight ?? 10,
    redispatchIntervalMs: 100,
    streamMaxBufferSize: 2000,
    streamMaxUnacked: 1000,
    busySessionRetryIntervalMs: 100,
    pingIntervalMs: 10_000,
    consumerMaxInactiveMs: 30_000,
    consumerPersistenceIntervalMs: 10_000,
    paused: false,
    ...changes,
  };
}

/** A message to store. `id` is the first word of the payload, `payloadBytes` (at least 4) its length. */
export interface TestMessage {
  readonly id: number;
  readonly payloadBytes?: number;
  readonly from?: string;
  readonly key?: string;
  readonly publishedMs?: number;
  readonly expiryS?: number;
  readonly topic?: string;
  readonly qos?: number;
  readonly retain?: boolean;
}

/** Views of one piece of memory, as a ring has them. */
export function memoryOf(bytes: number): RecordMemory {
  const memory = new ArrayBuffer(bytes);
  return { bytes: Buffer.from(memory), words: new Uint32Array(memory), f64: new Float64Array(memory) };
}

/** Writes the record of `message` at `at` (8-aligned); returns its length. */
export function writeRecord(memory: RecordMemory, at: number, message: TestMessage): number {
  const topic = Buffer.from(message.topic ?? 'jobs');
  const from = Buffer.from(message.from ?? 'publisher');
  const key = Buffer.from(message.key ?? '');
  const payloadBytes = Math.max(4, message.payloadBytes ?? 16);
  const body = topic.length + payloadBytes;
  const length = lengthOfRecord(body, from.length, key.length);
  const word = at >> 2;
  memory.bytes.fill(message.id & 0xff, at, at + length);
  memory.words[word] = length;
  memory.words[word + RecordWord.flagsAndTopicLength] =
    (message.qos ?? 1) | (message.retain === true ? 4 : 0) | (topic.length << 16);
  memory.words[word + RecordWord.propertiesStart] = topic.length;
  memory.words[word + RecordWord.propertiesLength] = 0;
  memory.words[word + RecordWord.payloadStart] = topic.length;
  memory.words[word + RecordWord.bodyLength] = body;
  memory.words[word + RecordWord.messageExpiryInterval] = message.expiryS ?? 0;
  memory.words[word + RecordWord.tailLengths] = from.length | (key.length << 16);
  memory.f64[(at >> 3) + 4] = message.publishedMs ?? 0;
  const start = at + RECORD_HEADER_BYTES;
  topic.copy(memory.bytes, start);
  memory.bytes.writeUInt32LE(message.id, start + topic.length);
  from.copy(memory.bytes, start + body);
  key.copy(memory.bytes, start + body + from.length);
  return length;
}

/** One delivery as the main thread finds it in its ring. */
export interface FakeDelivery {
  readonly consumerSlot: number;
  readonly tag: number;
  readonly id: number;
  readonly recordAt: number;
  readonly bytes: Buffer;
  readonly attempt: number;
  readonly expiryInterval: number;
}

/** How a fake shard differs from the usual one. */
export interface FakeHostOptions {
  readonly pages?: number;
  readonly log?: Log;
  readonly random?: () => number;
  readonly cacheBytesMax?: number;
  /** Deliveries that fit the ring. */
  readonly ringDeliveriesMax?: number;
}

const SOURCE_BYTES = 4 * 1024 * 1024;
const SLOTS = 1024;

/** See the file header. */
export class FakeHost implements QueueHost {
  readonly arena: Arena;
  readonly inFlight = new InFlightTable(1, 4);
  readonly inFlightCounts = new Int32Array(SLOTS);
  readonly cacheBytesMax: number;
  readonly log: Log;
  batch: LogBatch;
  readonly queues = new Map<number, Queue>();
  readonly writer = new BlockWriter();
  /** Deliveries that the main thread has not read yet. */
  ring: FakeDelivery[] = [];
  readonly corrupt: number[] = [];
  /** Called with every delivery, at the moment it is made. */
  onDeliver: (delivery: FakeDelivery) => void = () => {};
  reclaims = 0;
  /** Pages that one `reclaimMemory` gives back. */
  reclaimPages = 2;
  blocksRead = 0;
  summariesRead = 0;
  readonly #source = memoryOf(SOURCE_BYTES);
  readonly #random: () => number;
  readonly #ringMax: number;
  #position = 0;
  #passed = 0;
  #slot = 0;

  constructor(options: FakeHostOptions = {}) {
    this.arena = new Arena(
      new SharedArrayBuffer((options.pages ?? 16) * PAGE_BYTES),
      (position) => position <= this.#passed,
    );
    this.log = options.log ?? openMemoryLog();
    this.batch = this.log.batch();
    this.#random = options.random ?? Math.random;
    this.cacheBytesMax = options.cacheBytesMax ?? Number.POSITIVE_INFINITY;
    this.#ringMax = options.ringDeliveriesMax ?? Number.POSITIVE_INFINITY;
  }

  /** A queue that is new or, with a log that holds it, recovered. */
  queue(changes: Partial<QueueDefinition> = {}): Queue {
    const queue = new Queue(definitionWith(changes), this);
    this.queues.set(queue.id, queue);
    recoverQueue(queue, this, 0);
    return queue;
  }

  /** A consumer that is attached, with a slot of its own. */
  attach(queue: Queue, window = 65_535, clientId = 'consumer', noLocal = false): QueueConsumer {
    const consumer = new QueueConsumer(this.#slot++ % SLOTS, Buffer.from(clientId), window, noLocal);
    this.inFlightCounts[consumer.slot] = 0;
    queue.attach(consumer);
    return consumer;
  }

  /** Notes messages of one turn, in runs of at most `runLength`, and puts them into the batch. */
  append(queue: Queue, messages: readonly TestMessage[], runLength = 100): void {
    let at = 0;
    for (let from = 0; from < messages.length; from += runLength) {
      const run = messages.slice(from, from + runLength);
      const start = at;
      for (const message of run) at += writeRecord(this.#source, at, message);
      assert(at < SOURCE_BYTES, 'test messages of one turn fit the source');
      queue.runs.push(start, at - start, run.length);
    }
    queue.appendRuns(this.#source, this.writer, this.batch);
  }

  /** The same for a last-value queue, one by one. */
  appendKeyed(queue: Queue, message: TestMessage & { readonly key: string }): void {
    queue.runs.push(0, writeRecord(this.#source, 0, message), 1);
    queue.appendKeyed(this.#source, this.writer, message.key, this.batch);
  }

  /** Writes the batch; with `commit` everything of `queue` so far is given out as well. */
  write(): void {
    this.log.write(this.batch);
    this.batch.clear();
  }

  /** One turn: append, write, commit. */
  store(queue: Queue, messages: readonly TestMessage[], runLength = 100): void {
    this.append(queue, messages, runLength);
    this.write();
    queue.commit(queue.nextOffset);
  }

  storeKeyed(queue: Queue, message: TestMessage & { readonly key: string }): void {
    this.appendKeyed(queue, message);
    this.write();
    queue.commit(queue.nextOffset);
  }

  /** Acks go into the log. */
  flush(queue: Queue): void {
    queue.flushAcks(this.batch);
    this.write();
  }

  /** The main thread reads all deliveries; their memory may go afterwards. Returns their message ids. */
  read(): FakeDelivery[] {
    const read = this.ring;
    this.ring = [];
    for (const { recordAt, bytes, id } of read) {
      const now = this.arena.bytes.subarray(recordAt, recordAt + bytes.length);
      assert(bytes.equals(now), `memory of message ${id} was reused before it was read`);
    }
    this.#passed = this.#position;
    return read;
  }

  /** The consumer finishes with a delivery as the main thread does it: credit first. */
  answer(
    queue: Queue,
    consumer: QueueConsumer,
    tag: number,
    kind: 'ack' | 'reject' | 'release',
    nowMs = 0,
  ): boolean {
    this.inFlightCounts[consumer.slot] = (this.inFlightCounts[consumer.slot] as number) - 1;
    const slot = this.inFlight.find(tag);
    if (slot < 0 || this.inFlight.consumer[slot] !== consumer.slot) return false;
    if (kind === 'ack') queue.ack(slot, consumer, nowMs);
    else if (kind === 'reject') queue.reject(slot, consumer, nowMs);
    else queue.release(slot, consumer);
    return true;
  }

  // ── QueueHost ──────────────────────────────────────────────────────────────────────────────────────────────────

  readBlocks(queueId: number, fromOffset: number, bytesMax: number): StoredBlock[] {
    this.blocksRead++;
    return this.log.readBlocks(queueId, fromOffset, bytesMax);
  }
  readBlock(queueId: number, firstOffset: number): Uint8Array | undefined {
    this.blocksRead++;
    return this.log.readBlock(queueId, firstOffset);
  }
  readSummaries(queueId: number, fromOffset: number, countMax: number): StoredBlock[] {
    this.summariesRead++;
    return this.log.readSummaries(queueId, fromOffset, countMax);
  }
  readKey(queueId: number, key: Uint8Array): number | undefined {
    return this.log.readKey(queueId, key);
  }
  canDeliver(): boolean {
    return this.ring.length < this.#ringMax;
  }
  deliver(
    consumerSlot: number,
    tag: number,
    recordAt: number,
    recordBytes: number,
    attempt: number,
    expiryInterval: number,
  ): void {
    this.#position += 32;
    this.arena.touch(recordAt, recordBytes, this.#position);
    const topicBytes = (this.arena.words[(recordAt >> 2) + RecordWord.flagsAndTopicLength] as number) >>> 16;
    assert(this.arena.words[recordAt >> 2] === recordBytes, 'a delivery points at a record');
    const delivery = {
      consumerSlot,
      tag,
      id: this.arena.bytes.readUInt32LE(recordAt + RECORD_HEADER_BYTES + topicBytes),
      recordAt,
      bytes: Buffer.from(this.arena.bytes.subarray(recordAt, recordAt + recordBytes)),
      attempt,
      expiryInterval,
    };
    this.ring.push(delivery);
    this.onDeliver(delivery);
  }
  reclaimMemory(): boolean {
    this.reclaims++;
    return reclaimPages(this.queues.values(), this.inFlight, this.arena, this.reclaimPages);
  }
  onCorruptBlock(_queueId: number, firstOffset: number): void {
    this.corrupt.push(firstOffset);
  }
  random(): number {
    return this.#random();
  }
}
