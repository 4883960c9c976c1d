/**
 * What a queue takes in: the runs of one turn become blocks with offsets. Shard worker; part of `Queue`.
 *
 * Always true: offsets grow without gaps in order of arrival; a block and its summary are in the same batch; a block is
 * cut at `BLOCK_BYTES_MAX` unless a single run is larger; what has no room in memory lives in the log only and is read
 * back when its turn comes. Source: REF 3 (limits), REF 6 (order).
 */
import type { LogBatch } from '../log/log.js';
import { BLOCK_HEADER_BYTES } from '../log/record-format.js';
import type { Backlog } from './backlog.js';
import { Block } from './block.js';
import type { BlockWriter, RecordSource } from './block-writer.js';
import type { QueueDefinition } from './definition.js';
import type { QueueHost } from './host.js';
import type { LastValue } from './last-value.js';
import { encodedSummary, type Ledger } from './ledger.js';
import type { QueueCounters } from './queue-counters.js';
import { RunList } from './run-list.js';

const BLOCK_BYTES_MAX = 128 * 1024;

/** The parts of the queue that it works on. */
export interface IntakeParts {
  readonly backlog: Backlog;
  readonly ledger: Ledger;
  readonly counters: QueueCounters;
  readonly lastValue: LastValue | null;
}

/** See the file header. */
export class Intake {
  nextOffset = 0;
  /** Earliest moment at which a stored message may expire by its own interval. A lower bound. */
  expiryDueMs = Number.POSITIVE_INFINITY;
  /** What arrived in this turn; emptied by `appendRuns` and `appendOne`. */
  readonly runs = new RunList();
  readonly #host: QueueHost;
  readonly #queueId: number;
  readonly #parts: IntakeParts;

  constructor(host: QueueHost, queueId: number, parts: IntakeParts) {
    this.#host = host;
    this.#queueId = queueId;
    this.#parts = parts;
  }

  /**
   * How many of the `count` records at `start` fit on top of what the turn has already brought. Only
   * `overflow: reject_publish` ever says fewer than all.
   */
  admit(definition: QueueDefinition, words: Uint32Array, start: number, count: number): number {
    if (definition.overflowPolicy !== 'reject_publish') return count;
    const { ledger, counters } = this.#parts;
    let messages = ledger.liveCount + this.runs.recordCount;
    let bytes = ledger.liveBytes + this.runs.recordBytes;
    let at = start;
    for (let i = 0; i < count; i++) {
      const length = words[at >> 2] as number;
      messages++;
      bytes += length;
      if (messages > definition.messagesMax || bytes > definition.bytesMax) {
        counters.refused += count - i;
        return i;
      }
      at += length;
    }
    return count;
  }

  /** Appends the turn's runs as blocks. */
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

  /** Appends the one record in `runs` as a block of its own; returns its offset. */
  appendOne(source: RecordSource, writer: BlockWriter, batch: LogBatch): number {
    const offset = this.nextOffset;
    this.#appendBlock(source, writer, 0, 1, this.runs.bytes[0] as number, 1, batch);
    this.runs.clear();
    return offset;
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
    const { arena, cacheBytesMax } = this.#host;
    const { backlog, ledger, counters, lastValue } = this.#parts;
    const total = BLOCK_HEADER_BYTES + bytes;
    const firstOffset = this.nextOffset;
    const memoryAt = backlog.keepsNewBlocks(cacheBytesMax) ? arena.allocate(total) : -1;
    const summary = writer.write(source, this.runs, from, to, bytes, count, arena, memoryAt);
    batch.putBlock(this.#queueId, firstOffset, writer.value);
    batch.putSummary(this.#queueId, firstOffset, encodedSummary(summary));
    this.nextOffset = firstOffset + count;
    if (memoryAt >= 0) backlog.push(new Block(firstOffset, summary, memoryAt, total));
    else {
      backlog.pushStored(firstOffset, this.nextOffset);
      lastValue?.noteStored(firstOffset, bytes);
    }
    ledger.add(count, bytes);
    counters.stored += count;
    if (summary.expiresEarliestMs < this.expiryDueMs) this.expiryDueMs = summary.expiresEarliestMs;
  }
}
