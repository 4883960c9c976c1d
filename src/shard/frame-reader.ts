/**
 * Reads the frames that the main thread wrote and hands each to whom it concerns. Shard worker.
 *
 * Always true: publishes of regular queues are only noted here (ranges of ring memory, valid until the end of the
 * turn) and copied in runs by `Queue.appendRuns`; last-value publishes and rows go into the batch at once, in order. Every
 * publish or row frame that asks for it gets exactly one settlement, in the order of the frames; a row that joins the
 * frame before it is read in the same turn, so that both are in one batch.
 */
import { assert } from '../base/error.js';
import type { RingReader } from '../base/ring.js';
import type { LogBatch } from '../log/log.js';
import type { BlockWriter } from '../queue/block-writer.js';
import { KeyEvaluationError } from '../queue/key-expression/error.js';
import { RecordKeyContext, type PublisherInfo } from '../queue/record-key-context.js';
import type { Queue } from '../queue/queue.js';
import type { Counters } from '../telemetry/counter.js';
import { slot as metric, slotOf } from '../telemetry/counter-layout.js';
import { KeyedRecord } from './keyed-record.js';
import { PublishStatus } from './link.js';
import {
  ATTACH_HEADER_BYTES,
  ATTACH_NO_LOCAL,
  FRAME_TYPE_MASK,
  FrameType,
  JOINED_BIT,
  OPEN_PUBLISHER_HEADER_BYTES,
  ROW_DELETE_BIT,
  ROW_HEADER_BYTES,
  SETTLE_BIT,
  publishRecordsAt,
} from './protocol.js';
import { rowIdOf, rowQueueId } from './rows.js';
import { Settlement } from './settlement.js';

const QUOTA_EXCEEDED = slotOf('messagesRefused', 'quota-exceeded');
const KEY_ERROR = slotOf('messagesRefused', 'key-error');

/** What the frames ask for; `ShardLoop` does it. */
export interface FrameTarget {
  readonly queues: ReadonlyMap<number, Queue>;
  attach(slot: number, queueId: number, clientId: Buffer, inFlightMax: number, noLocal: boolean): void;
  detach(slot: number): void;
  answer(tag: number, kind: 'ack' | 'reject' | 'release', nowMs: number): void;
  random(): number;
}

/** See the file header. */
export class FrameReader {
  /** Queues that received something in this turn. */
  readonly touched: Queue[] = [];
  /** Messages of this turn that went to last-value queues. */
  keyedCount = 0;
  /** Rows of this turn. */
  rowCount = 0;
  /** Settlements of this turn's publishes. */
  readonly settlement = new Settlement();
  readonly #target: FrameTarget;
  readonly #ring: RingReader;
  readonly #batch: LogBatch;
  readonly #writer: BlockWriter;
  readonly #counters: Counters;
  readonly #publishers = new Map<number, PublisherInfo>();
  readonly #keyContext: RecordKeyContext;
  readonly #keyed = new KeyedRecord();
  readonly #touchedSet = new Set<Queue>();

  constructor(
    target: FrameTarget,
    ring: RingReader,
    batch: LogBatch,
    writer: BlockWriter,
    counters: Counters,
  ) {
    this.#target = target;
    this.#ring = ring;
    this.#batch = batch;
    this.#writer = writer;
    this.#counters = counters;
    this.#keyContext = new RecordKeyContext(() => target.random());
  }

  /**
   * Takes all acks that wait, also those behind publishes: they free credit and cost little, and a flood of publishes
   * must not keep consumers waiting. Returns how many frames there were.
   */
  readAcks(nowMs: number): number {
    const { words } = this.#ring;
    let taken = 0;
    for (let at = this.#ring.nextAhead(); at >= 0; at = this.#ring.nextAhead()) {
      if (((words[(at >> 2) + 1] as number) & FRAME_TYPE_MASK) !== FrameType.acks) continue;
      this.#acks(at, nowMs);
      this.#ring.setType(at, FrameType.done);
      taken++;
    }
    return taken;
  }

  /** Takes frames until the ring is empty or about `bytesMax` are taken; returns how many bytes. */
  read(bytesMax: number, nowMs: number): number {
    const { words } = this.#ring;
    let taken = 0;
    // Only frames that another joins have the bit.
    let type = 0;
    while (taken < bytesMax || (type & JOINED_BIT) !== 0) {
      const at = this.#ring.next();
      if (at < 0) break;
      taken += words[at >> 2] as number;
      type = words[(at >> 2) + 1] as number;
      switch (type & FRAME_TYPE_MASK) {
        case FrameType.publish:
          this.#publish(at, type, nowMs);
          break;
        case FrameType.row:
          this.#row(at, type);
          break;
        case FrameType.acks:
          this.#acks(at, nowMs);
          break;
        case FrameType.done:
          break;
        case FrameType.reject:
          this.#target.answer(words[(at >> 2) + 2] as number, 'reject', nowMs);
          break;
        case FrameType.release:
          this.#target.answer(words[(at >> 2) + 2] as number, 'release', nowMs);
          break;
        case FrameType.attach:
          this.#attach(at);
          break;
        case FrameType.detach:
          this.#target.detach(words[(at >> 2) + 2] as number);
          break;
        case FrameType.openPublisher:
          this.#openPublisher(at);
          break;
        case FrameType.closePublisher:
          this.#publishers.delete(words[(at >> 2) + 2] as number);
          break;
        default:
          assert(false, 'frame has a known type');
      }
    }
    return taken;
  }

  /** The turn's publishes are written: ring memory may go. */
  endTurn(): void {
    this.touched.length = 0;
    this.keyedCount = 0;
    this.rowCount = 0;
    this.#touchedSet.clear();
  }

  #publish(at: number, type: number, nowMs: number): void {
    const { words } = this.#ring;
    const word = at >> 2;
    const queueCount = (type >>> 8) & 0xffff;
    const recordCount = words[word + 3] as number;
    const recordsAt = at + publishRecordsAt(queueCount);
    const bytes = at + (words[word] as number) - recordsAt;
    let statuses: Uint8Array | null = null;
    for (let i = 0; i < queueCount; i++) {
      const queue = this.#target.queues.get(words[word + 4 + i] as number);
      // Deleted while the message was under way: there is no queue to keep it in.
      if (queue === undefined) continue;
      this.#touch(queue);
      if (queue.lastValue === null) {
        const admitted = queue.admit(words, recordsAt, recordCount);
        if (!queue.belongsToSession) this.#counters.add(metric.messagesQueued, admitted);
        if (admitted === recordCount) {
          queue.runs.push(recordsAt, bytes, recordCount);
          continue;
        }
        statuses ??= new Uint8Array(recordCount);
        statuses.fill(PublishStatus.quotaExceeded, admitted);
        this.#counters.add(QUOTA_EXCEEDED, recordCount - admitted);
        if (admitted > 0) queue.runs.push(recordsAt, this.#lengthOf(recordsAt, admitted), admitted);
      } else {
        statuses = this.#publishKeyed(
          queue,
          words[word + 2] as number,
          recordsAt,
          recordCount,
          statuses,
          nowMs,
        );
      }
    }
    if ((type & SETTLE_BIT) === 0) return;
    if (statuses === null) this.settlement.addStored();
    else this.settlement.addPartly(statuses);
  }

  /** The value stays in ring memory, which is ours until the batch is written. */
  #row(at: number, type: number): void {
    const { words, bytes } = this.#ring;
    this.rowCount++;
    const word = at >> 2;
    const queueId = rowQueueId((type >>> 8) & 0xff);
    const rowId = rowIdOf(words[word + 2] as number, words[word + 3] as number);
    if ((type & ROW_DELETE_BIT) !== 0) this.#batch.deleteBlock(queueId, rowId);
    else
      this.#batch.putBlock(
        queueId,
        rowId,
        bytes.subarray(at + ROW_HEADER_BYTES, at + (words[word] as number)),
      );
    if ((type & SETTLE_BIT) !== 0) this.settlement.addStored();
  }

  #publishKeyed(
    queue: Queue,
    publisher: number,
    recordsAt: number,
    recordCount: number,
    given: Uint8Array | null,
    nowMs: number,
  ): Uint8Array | null {
    const info = this.#publishers.get(publisher);
    assert(info !== undefined, 'a publisher is opened before it publishes');
    let statuses = given;
    let at = recordsAt;
    for (let i = 0; i < recordCount; i++) {
      const status = this.#storeKeyed(queue, info, at, nowMs);
      if (status !== PublishStatus.stored) (statuses ??= new Uint8Array(recordCount))[i] = status;
      at += this.#ring.words[at >> 2] as number;
    }
    return statuses;
  }

  #storeKeyed(queue: Queue, info: PublisherInfo, at: number, nowMs: number): PublishStatus {
    let key: string;
    this.#keyContext.aim(this.#ring, at, info, nowMs);
    try {
      key = queue.keyOf(this.#keyContext);
    } catch (error) {
      if (!(error instanceof KeyEvaluationError)) throw error;
      queue.counters.keyErrors++;
      const policy = queue.definition.keyErrorPolicy;
      if (policy === 'reject' || policy === 'drop') {
        this.#counters.add(KEY_ERROR, 1);
        return policy === 'reject' ? PublishStatus.keyError : PublishStatus.stored;
      }
      key = '';
    }
    if (queue.refusesKey(key)) {
      queue.counters.refused++;
      this.#counters.add(QUOTA_EXCEEDED, 1);
      return PublishStatus.quotaExceeded;
    }
    queue.runs.push(0, this.#keyed.build(this.#ring, at, key), 1);
    queue.appendKeyed(this.#keyed.memory, this.#writer, key, this.#batch);
    this.keyedCount++;
    this.#counters.add(metric.messagesQueued, 1);
    return PublishStatus.stored;
  }

  #touch(queue: Queue): void {
    if (this.#touchedSet.has(queue)) return;
    this.#touchedSet.add(queue);
    this.touched.push(queue);
  }

  #lengthOf(recordsAt: number, count: number): number {
    let at = recordsAt;
    for (let i = 0; i < count; i++) at += this.#ring.words[at >> 2] as number;
    return at - recordsAt;
  }

  #acks(at: number, nowMs: number): void {
    const { words } = this.#ring;
    const end = (at + (words[at >> 2] as number)) >> 2;
    for (let word = (at >> 2) + 2; word < end; word++)
      this.#target.answer(words[word] as number, 'ack', nowMs);
  }

  #attach(at: number): void {
    const { words, bytes } = this.#ring;
    const word = at >> 2;
    const start = at + ATTACH_HEADER_BYTES;
    const clientId = Buffer.from(bytes.subarray(start, start + (words[word + 6] as number)));
    const noLocal = ((words[word + 5] as number) & ATTACH_NO_LOCAL) !== 0;
    this.#target.attach(
      words[word + 2] as number,
      words[word + 3] as number,
      clientId,
      words[word + 4] as number,
      noLocal,
    );
  }

  #openPublisher(at: number): void {
    const { words, bytes } = this.#ring;
    const word = at >> 2;
    const clientIdEnd = at + OPEN_PUBLISHER_HEADER_BYTES + (words[word + 4] as number);
    const usernameLength = words[word + 5] as number;
    const usernameEnd = clientIdEnd + Math.max(0, usernameLength - 1);
    this.#publishers.set(words[word + 2] as number, {
      protocolVersion: words[word + 3] as number,
      clientId: bytes.toString('utf8', at + OPEN_PUBLISHER_HEADER_BYTES, clientIdEnd),
      username: usernameLength === 0 ? undefined : bytes.toString('utf8', clientIdEnd, usernameEnd),
      peername: bytes.toString('utf8', usernameEnd, usernameEnd + (words[word + 6] as number)),
    });
  }
}
