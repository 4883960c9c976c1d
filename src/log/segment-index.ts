/**
 * What is live in the segments and where. Runs on the shard worker; in memory, rebuilt by replaying the segments.
 *
 * Always true: applying the frames in file order gives the committed state. Each operation carries a sequence that the
 * cleaner keeps when it copies, so that a copied tombstone cannot hit what was put after the original.
 * Tombstones: a delete must stay on disk as long as a segment exists that may hold a put it covers, or replay would
 * bring the put back. Each row, key and queue knows the oldest segment with one of its puts; a delete enters its own
 * segment's list with the range of segments that it guards (`Segment.tombstones`).
 * Gives up: a range may name segments that hold no such put; the tombstone is then kept longer than needed.
 */
import { assert } from '../base/error.js';
import { CheckpointKind } from './checkpoint.js';
import { readOffset } from './keys.js';
import { KeyTable } from './segment-keys.js';
import { Operation, operationBytes, PUT_HEADER_BYTES, SHORT_HEADER_BYTES } from './segment-format.js';
import { BlockRows, Row } from './segment-rows.js';

const TWO_32 = 0x1_0000_0000;
const NO_BYTES = new Uint8Array(0);

/** A segment file as the index and the cleaner see it. */
export interface Segment {
  readonly number: number;
  readonly salt: number;
  /** File size, bytes. */
  byteLength: number;
  /** Bytes of operations that the index points to. */
  liveBytes: number;
  /** Deletes in this segment that guard others, four numbers each: position, from segment, to segment, sequence. */
  readonly tombstones: number[];
}

/** The index's view of the files. */
export interface SegmentSet {
  get(segmentNumber: number): Segment;
  /** Is there a segment from `from` to `to`, both included, other than `except`? */
  hasAny(from: number, to: number, except: number): boolean;
}

/** Position of an operation inside a segment and its value's length; reused between calls. */
export interface Place {
  segmentNumber: number;
  position: number;
  byteLength: number;
}

/** One thing that is live, reused from one to the next: metadata and keys bring their bytes, the others their place. */
export interface IndexRecord {
  kind: CheckpointKind;
  queueId: number;
  offset: number;
  bytes: Uint8Array;
  readonly place: Place;
}

interface QueueIndex {
  meta: Uint8Array | undefined;
  metaSequence: number;
  metaLocation: number;
  /** No put of this queue is in a segment below it. */
  oldestSegment: number;
  rows: BlockRows;
  readonly keys: KeyTable;
}

/** See the header. */
export class SegmentIndex {
  readonly #segments: SegmentSet;
  readonly #queues = new Map<number, QueueIndex>();
  readonly #place: Place = { segmentNumber: 0, position: 0, byteLength: 0 };

  constructor(segments: SegmentSet) {
    this.#segments = segments;
  }

  /** Applies the operations of one frame: `bytes[start, end)`, which begin at `position` in the segment. */
  apply(
    bytes: Buffer,
    start: number,
    end: number,
    segment: Segment,
    position: number,
    firstSequence: number,
  ): void {
    const toPosition = position - start;
    let index = 0;
    for (let at = start; at < end; index += 1) {
      const length = operationBytes(bytes, at);
      const copiedSequence = readOffset(bytes, at + 5);
      const sequence = copiedSequence === 0 ? firstSequence + index : copiedSequence;
      this.#applyOne(bytes, at, length, segment, at + toPosition, sequence);
      at += length;
    }
  }

  /** If the put at `at` of `bytes` is what the index points to at this place: its sequence; else 0. */
  liveSequence(bytes: Buffer, at: number, segmentNumber: number, position: number): number {
    const queue = this.#queues.get(bytes.readUInt32BE(at + 1));
    if (queue === undefined) return 0;
    const location = segmentNumber * TWO_32 + position;
    switch (bytes[at]) {
      case Operation.putQueue:
        return queue.metaLocation === location ? queue.metaSequence : 0;
      case Operation.putBlock:
      case Operation.putSummary: {
        if (!queue.rows.find(readOffset(bytes, at + 13))) return 0;
        const field =
          queue.rows.base + (bytes[at] === Operation.putBlock ? Row.blockSequence : Row.summarySequence);
        return queue.rows.rows[field + 1] === location ? queue.rows.rows[field]! : 0;
      }
      case Operation.putKey: {
        const slot = queue.keys.slots.get(
          keyNameAt(bytes, at + PUT_HEADER_BYTES, bytes.readUInt32BE(at + 21)),
        );
        return slot !== undefined && queue.keys.fields[slot * 4 + 2] === location
          ? queue.keys.fields[slot * 4 + 1]!
          : 0;
      }
      default:
        return 0;
    }
  }

  queues(): { queueId: number; meta: Uint8Array }[] {
    const result: { queueId: number; meta: Uint8Array }[] = [];
    for (const [queueId, { meta }] of this.#queues) {
      if (meta !== undefined) result.push({ queueId, meta: Uint8Array.from(meta) });
    }
    return result.sort((a, b) => a.queueId - b.queueId);
  }

  /** Place of a block's value, valid until the next call, or undefined. */
  findBlock(queueId: number, firstOffset: number): Place | undefined {
    const rows = this.#queues.get(queueId)?.rows;
    return rows?.find(firstOffset) === true ? this.#placeOf(rows, Row.blockSequence) : undefined;
  }

  /** Calls `visit` for each block or summary from `fromOffset` upward until it returns false. */
  visit(
    queueId: number,
    fromOffset: number,
    what: 'blocks' | 'summaries',
    visit: (firstOffset: number, place: Place) => boolean,
  ): void {
    const rows = this.#queues.get(queueId)?.rows;
    if (rows === undefined) return;
    const field = what === 'blocks' ? Row.blockSequence : Row.summarySequence;
    for (let more = rows.seek(fromOffset); more; more = rows.next()) {
      const place = this.#placeOf(rows, field);
      if (place !== undefined && !visit(rows.rows[rows.base]!, place)) return;
    }
  }

  readKey(queueId: number, key: Uint8Array): number | undefined {
    const keys = this.#queues.get(queueId)?.keys;
    const slot = keys?.slots.get(keyName(key));
    return slot === undefined ? undefined : keys!.fields[slot * 4];
  }

  readKeys(
    queueId: number,
    afterKey: Uint8Array | undefined,
    countMax: number,
  ): { key: Uint8Array; offset: number }[] {
    const keys = this.#queues.get(queueId)?.keys;
    if (keys === undefined) return [];
    const names = keys.sorted();
    const first = afterKey === undefined ? 0 : firstAfter(names, keyName(afterKey));
    return names.slice(first, first + countMax).map((name) => ({
      key: Buffer.from(name, 'latin1'),
      offset: keys.fields[keys.slots.get(name)! * 4]!,
    }));
  }

  /** Everything that is live, metadata of all queues first. Nothing may be applied meanwhile. */
  *records(): Generator<IndexRecord, void> {
    const { block: blockKind, summary: summaryKind } = CheckpointKind;
    const record: IndexRecord = { kind: 1, queueId: 0, offset: 0, bytes: NO_BYTES, place: this.#place };
    for (const [queueId, { meta }] of this.#queues) {
      if (meta !== undefined) yield Object.assign(record, { queueId, bytes: meta });
    }
    for (const [queueId, { rows, keys }] of this.#queues) {
      record.queueId = queueId;
      record.bytes = NO_BYTES;
      for (let more = rows.seek(0); more; more = rows.next()) {
        record.offset = rows.rows[rows.base]!;
        record.kind = blockKind;
        if (this.#placeOf(rows, Row.blockSequence) !== undefined) yield record;
        record.kind = summaryKind;
        if (this.#placeOf(rows, Row.summarySequence) !== undefined) yield record;
      }
      record.kind = CheckpointKind.key;
      for (const [name, slot] of keys.slots) {
        record.offset = keys.fields[slot * 4]!;
        record.bytes = Buffer.from(name, 'latin1');
        yield record;
      }
    }
  }

  #placeOf(rows: BlockRows, field: number): Place | undefined {
    if (rows.rows[rows.base + field] === 0) return undefined;
    const location = rows.rows[rows.base + field + 1]!;
    this.#place.segmentNumber = Math.floor(location / TWO_32);
    this.#place.position = location - this.#place.segmentNumber * TWO_32 + PUT_HEADER_BYTES;
    this.#place.byteLength = rows.rows[rows.base + field + 2]!;
    return this.#place;
  }

  #applyOne(
    bytes: Buffer,
    at: number,
    length: number,
    segment: Segment,
    position: number,
    sequence: number,
  ): void {
    const queueId = bytes.readUInt32BE(at + 1);
    switch (bytes[at]) {
      case Operation.putQueue:
        this.#putQueue(
          queueId,
          bytes.subarray(at + SHORT_HEADER_BYTES, at + length),
          segment,
          position,
          sequence,
        );
        return;
      case Operation.dropQueue:
        this.#dropQueue(queueId, segment, position, sequence);
        return;
      case Operation.putBlock:
        this.#putRow(
          queueId,
          readOffset(bytes, at + 13),
          Row.blockSequence,
          length,
          segment,
          position,
          sequence,
        );
        return;
      case Operation.putSummary:
        this.#putRow(
          queueId,
          readOffset(bytes, at + 13),
          Row.summarySequence,
          length,
          segment,
          position,
          sequence,
        );
        return;
      case Operation.deleteBlock:
        this.#deleteRow(queueId, readOffset(bytes, at + 13), segment, position, sequence);
        return;
      case Operation.putKey:
        this.#putKey(
          queueId,
          keyNameAt(bytes, at + PUT_HEADER_BYTES, length - PUT_HEADER_BYTES),
          readOffset(bytes, at + 13),
          segment,
          position,
          sequence,
        );
        return;
      case Operation.deleteKey:
        this.#deleteKey(
          queueId,
          keyNameAt(bytes, at + SHORT_HEADER_BYTES, length - SHORT_HEADER_BYTES),
          segment,
          position,
          sequence,
        );
        return;
      default:
        assert(false, 'a checked frame holds known operations');
    }
  }

  #putQueue(queueId: number, meta: Uint8Array, segment: Segment, position: number, sequence: number): void {
    const queue = this.#queueOf(queueId, segment);
    if (queue.meta !== undefined) this.#retire(queue.metaLocation, SHORT_HEADER_BYTES + queue.meta.length);
    queue.meta = Uint8Array.from(meta);
    queue.metaSequence = sequence;
    queue.metaLocation = segment.number * TWO_32 + position;
    segment.liveBytes += SHORT_HEADER_BYTES + meta.length;
  }

  #putRow(
    queueId: number,
    firstOffset: number,
    field: number,
    length: number,
    segment: Segment,
    position: number,
    sequence: number,
  ): void {
    const { rows } = this.#queueOf(queueId, segment);
    if (!rows.find(firstOffset)) {
      rows.insert(firstOffset);
      rows.rows[rows.base + Row.oldestSegment] = segment.number;
    }
    const data = rows.rows;
    const base = rows.base + field;
    if (data[base] !== 0) this.#retire(data[base + 1]!, PUT_HEADER_BYTES + data[base + 2]!);
    data[base] = sequence;
    data[base + 1] = segment.number * TWO_32 + position;
    data[base + 2] = length - PUT_HEADER_BYTES;
    segment.liveBytes += length;
  }

  #deleteRow(
    queueId: number,
    firstOffset: number,
    segment: Segment,
    position: number,
    sequence: number,
  ): void {
    const rows = this.#queues.get(queueId)?.rows;
    if (rows?.find(firstOffset) !== true) return;
    const oldest = rows.rows[rows.base + Row.oldestSegment]!;
    const newest = this.#retireRow(rows, sequence);
    if (newest === 0) return;
    this.#guard(segment, position, oldest, newest, sequence);
    if (rows.rows[rows.base + Row.blockSequence] === 0 && rows.rows[rows.base + Row.summarySequence] === 0)
      rows.remove();
  }

  /** Takes block and summary up to the sequence out of the current row; returns the newest segment they were in, or 0. */
  #retireRow(rows: BlockRows, sequenceMax: number): number {
    let newest = 0;
    for (const field of [Row.blockSequence, Row.summarySequence]) {
      const base = rows.base + field;
      const sequence = rows.rows[base]!;
      if (sequence === 0 || sequence > sequenceMax) continue;
      const location = rows.rows[base + 1]!;
      this.#retire(location, PUT_HEADER_BYTES + rows.rows[base + 2]!);
      rows.rows[base] = 0;
      newest = Math.max(newest, Math.floor(location / TWO_32));
    }
    return newest;
  }

  #putKey(
    queueId: number,
    name: string,
    offset: number,
    segment: Segment,
    position: number,
    sequence: number,
  ): void {
    const { keys } = this.#queueOf(queueId, segment);
    const slot = keys.slots.get(name);
    const base = slot === undefined ? keys.add(name) : slot * 4;
    if (slot === undefined) keys.fields[base + 3] = segment.number;
    else this.#retire(keys.fields[base + 2]!, PUT_HEADER_BYTES + name.length);
    keys.fields[base] = offset;
    keys.fields[base + 1] = sequence;
    keys.fields[base + 2] = segment.number * TWO_32 + position;
    segment.liveBytes += PUT_HEADER_BYTES + name.length;
  }

  #deleteKey(queueId: number, name: string, segment: Segment, position: number, sequence: number): void {
    const keys = this.#queues.get(queueId)?.keys;
    const slot = keys?.slots.get(name);
    if (keys === undefined || slot === undefined || keys.fields[slot * 4 + 1]! > sequence) return;
    const location = keys.fields[slot * 4 + 2]!;
    this.#retire(location, PUT_HEADER_BYTES + name.length);
    this.#guard(segment, position, keys.fields[slot * 4 + 3]!, Math.floor(location / TWO_32), sequence);
    keys.remove(name, slot);
  }

  /** Everything of the queue up to the sequence; only a copied drop leaves newer things alive. */
  #dropQueue(queueId: number, segment: Segment, position: number, sequence: number): void {
    const queue = this.#queues.get(queueId);
    if (queue === undefined) return;
    let retired = false;
    if (queue.meta !== undefined && queue.metaSequence <= sequence) {
      retired = true;
      this.#retire(queue.metaLocation, SHORT_HEADER_BYTES + queue.meta.length);
      queue.meta = undefined;
      queue.metaSequence = 0;
      queue.metaLocation = 0;
    }
    const kept = new BlockRows();
    const { rows } = queue;
    for (let more = rows.seek(0); more; more = rows.next()) {
      if (this.#retireRow(rows, sequence) !== 0) retired = true;
      if (rows.rows[rows.base + Row.blockSequence] === 0 && rows.rows[rows.base + Row.summarySequence] === 0)
        continue;
      kept.insert(rows.rows[rows.base]!);
      kept.rows.set(rows.rows.subarray(rows.base, rows.base + 8), kept.base);
    }
    queue.rows = kept;
    for (const [name, slot] of queue.keys.slots) {
      if (queue.keys.fields[slot * 4 + 1]! > sequence) continue;
      this.#retire(queue.keys.fields[slot * 4 + 2]!, PUT_HEADER_BYTES + name.length);
      queue.keys.remove(name, slot);
      retired = true;
    }
    // What had been deleted one by one before is guarded by its own tombstones.
    if (retired) this.#guard(segment, position, queue.oldestSegment, segment.number, sequence);
    if (queue.meta === undefined && kept.empty && queue.keys.slots.size === 0) this.#queues.delete(queueId);
  }

  #queueOf(queueId: number, segment: Segment): QueueIndex {
    let queue = this.#queues.get(queueId);
    if (queue === undefined) {
      queue = {
        meta: undefined,
        metaSequence: 0,
        metaLocation: 0,
        oldestSegment: segment.number,
        rows: new BlockRows(),
        keys: new KeyTable(),
      };
      this.#queues.set(queueId, queue);
    }
    return queue;
  }

  #retire(location: number, byteLength: number): void {
    const segment = this.#segments.get(Math.floor(location / TWO_32));
    segment.liveBytes -= byteLength;
    assert(segment.liveBytes >= 0, 'live bytes are never negative');
  }

  /** A tombstone is listed only if another segment may hold what it covers: within one segment all goes at once. */
  #guard(segment: Segment, position: number, from: number, to: number, sequence: number): void {
    if (this.#segments.hasAny(from, to, segment.number))
      segment.tombstones.push(position, from, to, sequence);
  }
}

function keyName(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

function keyNameAt(bytes: Buffer, at: number, length: number): string {
  return bytes.toString('latin1', at, at + length);
}

/** Index of the first name above `name`. */
function firstAfter(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (names[middle]! <= name) low = middle + 1;
    else high = middle;
  }
  return low;
}
