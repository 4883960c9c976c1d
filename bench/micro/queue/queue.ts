/**
 * A whole queue without threads and disk: a turn's messages become a block, are committed, handed out by credit, acked,
 * and the block is deleted. By strategy and number of consumers. Bench process.
 *
 * Always true: every call leaves the queue as empty as it found it, and every message was handed out once. The log is the
 * memory driver, so that what is measured is the queue; the ring towards the main thread is a list of tags.
 */
import type { Log, LogBatch, StoredBlock } from '../../../src/log/log.js';
import { openMemoryLog } from '../../../src/log/memory-driver.js';
import { RecordWord, recordBytes } from '../../../src/log/record-format.js';
import { Arena, PAGE_BYTES } from '../../../src/queue/arena.js';
import { BlockWriter, type RecordSource } from '../../../src/queue/block-writer.js';
import { QueueConsumer } from '../../../src/queue/consumer-set.js';
import type { DispatchStrategy, QueueDefinition } from '../../../src/queue/definition.js';
import type { QueueHost } from '../../../src/queue/host.js';
import { InFlightTable } from '../../../src/queue/in-flight.js';
import { Queue } from '../../../src/queue/queue.js';
import { reclaimPages } from '../../../src/queue/reclaim.js';
import { measure, same, type Figure, type Task } from '../measure.js';

const messages = 256;
const topicBytes = 34;
const clientIdBytes = 12;
const bodyBytes = topicBytes + 2 + 256;
const eachBytes = recordBytes(bodyBytes, clientIdBytes, 0);
const window = 10;

function definitionOf(strategy: DispatchStrategy): QueueDefinition {
  return {
    id: 1,
    name: '/jobs',
    topicFilter: 'jobs',
    isLastvalue: false,
    createdAtMs: 0,
    keyExpression: 'message.from',
    keyErrorPolicy: 'drop',
    dispatchStrategy: strategy,
    dataRetentionPeriodMs: Number.POSITIVE_INFINITY,
    shardMessageCountMax: Number.POSITIVE_INFINITY,
    shardMessageBytesMax: Number.POSITIVE_INFINITY,
    messagesMax: Number.POSITIVE_INFINITY,
    bytesMax: Number.POSITIVE_INFINITY,
    overflowPolicy: 'drop_oldest',
    localMaxInflight: window,
    fastMaxInflight: window,
    redispatchIntervalMs: 100,
    streamMaxBufferSize: 2000,
    streamMaxUnacked: 1000,
    busySessionRetryIntervalMs: 100,
    pingIntervalMs: 10_000,
    consumerMaxInactiveMs: 30_000,
    consumerPersistenceIntervalMs: 10_000,
    paused: false,
  };
}

/** A turn's worth of records, as they lie in the ring. */
function sourceOf(): RecordSource {
  const memory = new ArrayBuffer(messages * eachBytes);
  const bytes = Buffer.from(memory).fill(0x61);
  const words = new Uint32Array(memory);
  const f64 = new Float64Array(memory);
  for (let i = 0; i < messages; i++) {
    const word = (i * eachBytes) >> 2;
    words[word + RecordWord.length] = eachBytes;
    words[word + RecordWord.flagsAndTopicLength] = 1 | (topicBytes << 16);
    words[word + RecordWord.propertiesStart] = topicBytes + 2;
    words[word + RecordWord.propertiesLength] = 0;
    words[word + RecordWord.payloadStart] = topicBytes + 2;
    words[word + RecordWord.bodyLength] = bodyBytes;
    words[word + RecordWord.messageExpiryInterval] = 0;
    words[word + RecordWord.tailLengths] = clientIdBytes;
    f64[(word >> 1) + 4] = 0;
  }
  return { bytes, words, f64 };
}

/** What a shard gives a queue, and the main thread in one: it reads and acks whatever was delivered. */
class Shard implements QueueHost {
  readonly inFlight = new InFlightTable(1);
  readonly inFlightCounts: Int32Array;
  readonly cacheBytesMax = Number.POSITIVE_INFINITY;
  readonly log: Log = openMemoryLog();
  readonly batch: LogBatch = this.log.batch();
  readonly writer = new BlockWriter();
  readonly consumers: QueueConsumer[] = [];
  readonly queue: Queue;
  readonly arena: Arena;
  readonly #slots = new Int32Array(messages);
  readonly #tags = new Int32Array(messages);
  #delivered = 0;
  #nowMs = 0;
  #position = 0;
  #passed = 0;

  constructor(strategy: DispatchStrategy, consumers: number) {
    this.inFlightCounts = new Int32Array(new SharedArrayBuffer(consumers * 4));
    const memory = new SharedArrayBuffer(16 * PAGE_BYTES);
    this.arena = new Arena(memory, (position) => position <= this.#passed);
    this.queue = new Queue(definitionOf(strategy), this);
    for (let slot = 0; slot < consumers; slot++) {
      const consumer = new QueueConsumer(slot, Buffer.from(`consumer-${slot}`), 65_535, false);
      this.consumers.push(consumer);
      this.queue.attach(consumer);
    }
  }

  /** Acks everything that was delivered since; answers how much that was. */
  ackAll(): number {
    const count = this.#delivered;
    this.#nowMs++;
    for (let i = 0; i < count; i++) {
      const consumer = this.consumers[this.#slots[i] as number] as QueueConsumer;
      this.inFlightCounts[consumer.slot] = (this.inFlightCounts[consumer.slot] as number) - 1;
      this.queue.ack(this.inFlight.find(this.#tags[i] as number), consumer, this.#nowMs);
    }
    this.#delivered = 0;
    this.#passed = this.#position;
    return count;
  }

  write(): void {
    this.log.write(this.batch);
    this.batch.clear();
  }

  canDeliver(): boolean {
    return this.#delivered < messages;
  }

  deliver(consumerSlot: number, tag: number, recordAt: number, bytes: number): void {
    this.#position += 32;
    this.arena.touch(recordAt, bytes, this.#position);
    this.#slots[this.#delivered] = consumerSlot;
    this.#tags[this.#delivered] = tag;
    this.#delivered++;
  }

  readBlocks(queueId: number, fromOffset: number, bytesMax: number): StoredBlock[] {
    return this.log.readBlocks(queueId, fromOffset, bytesMax);
  }
  readBlock(queueId: number, firstOffset: number): Uint8Array | undefined {
    return this.log.readBlock(queueId, firstOffset);
  }
  readSummaries(queueId: number, fromOffset: number, countMax: number): StoredBlock[] {
    return this.log.readSummaries(queueId, fromOffset, countMax);
  }
  readKey(queueId: number, key: Uint8Array): number | undefined {
    return this.log.readKey(queueId, key);
  }
  reclaimMemory(): boolean {
    return reclaimPages([this.queue], this.inFlight, this.arena, 2);
  }
  onCorruptBlock(queueId: number, firstOffset: number): void {
    throw new Error(`block ${firstOffset} of queue ${queueId} cannot be read`);
  }
  random(): number {
    return Math.random();
  }
}

function task(strategy: DispatchStrategy, consumers: number): Task {
  const shard = new Shard(strategy, consumers);
  const { queue } = shard;
  const source = sourceOf();
  const name = `store, hand out, ack: ${strategy}, ${consumers} consumers`;
  return {
    name,
    operations: messages,
    run() {
      queue.runs.push(0, messages * eachBytes, messages);
      queue.appendRuns(source, shard.writer, shard.batch);
      shard.write();
      queue.commit(queue.nextOffset);
      let acked = 0;
      while (acked < messages) {
        queue.dispatch(0, messages);
        const count = shard.ackAll();
        if (count === 0) throw new Error(`${name}: nothing was handed out`);
        acked += count;
      }
      queue.flushAcks(shard.batch);
      shard.write();
      same(`${name}: handed out`, acked, messages);
      same(`${name}: left`, queue.readyCount + queue.inFlightCount, 0);
    },
  };
}

/** Operations are messages, from the ring to the end of their block. */
export function benchQueue(scale: number): Figure[] {
  const sizes = scale < 10 ? [1, 10] : [1, 10, 100, 1000];
  const strategies: readonly DispatchStrategy[] = ['random', 'round_robin', 'least_inflight'];
  return measure(
    scale,
    sizes.flatMap((consumers) => strategies.map((strategy) => task(strategy, consumers))),
  );
}
