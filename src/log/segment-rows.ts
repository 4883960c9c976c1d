/**
 * Where the blocks and summaries of one queue are, sorted by first offset. Runs on the shard worker.
 *
 * Always true: rows are numbers in chunks of at most CHUNK_ROWS, so a block costs 64 bytes and no heap object of its
 * own; chunks are ordered, disjoint and never empty. Append and removal at the front cost O(1), elsewhere one
 * short move inside a chunk.
 *
 *  row (8 f64): firstOffset | block: sequence, location, bytes | summary: sequence, location, bytes | oldest segment
 *  A sequence of 0 means absent. Location = segment number × 2^32 + position of the operation.
 */
import { assert } from '../base/error.js';

/** Fields of a row, as offsets from its base. */
export const Row = {
  firstOffset: 0,
  blockSequence: 1,
  blockLocation: 2,
  blockBytes: 3,
  summarySequence: 4,
  summaryLocation: 5,
  summaryBytes: 6,
  /** No put of this row, live or superseded, is in a segment below it. */
  oldestSegment: 7,
} as const;

const STRIDE = 8;
const CHUNK_ROWS = 256;
const CHUNK_ROWS_FIRST = 4;

interface Chunk {
  rows: Float64Array<ArrayBuffer>;
  /** Live rows are start to end - 1. */
  start: number;
  end: number;
}

/** A cursor-style container: `find`, `insert` and `seek` leave the row in `rows` at `base`. */
export class BlockRows {
  readonly #chunks: Chunk[] = [];
  #chunk = 0;
  /** Chunk data of the current row; stale after the next call that changes rows. */
  rows = new Float64Array(0);
  /** Index of the current row's first field in `rows`. */
  base = 0;

  get empty(): boolean {
    return this.#chunks.length === 0;
  }

  /** Makes the row current; false if there is none. */
  find(firstOffset: number): boolean {
    return this.seek(firstOffset) && this.rows[this.base] === firstOffset;
  }

  /** Makes the first row at or after `fromOffset` current; false if there is none. */
  seek(fromOffset: number): boolean {
    this.#chunk = this.#chunkOf(fromOffset);
    let chunk = this.#chunks[this.#chunk];
    if (chunk === undefined) return false;
    let slot = slotOf(chunk, fromOffset);
    if (slot === chunk.end) {
      this.#chunk += 1;
      chunk = this.#chunks[this.#chunk];
      if (chunk === undefined) return false;
      slot = chunk.start;
    }
    this.#select(chunk, slot);
    return true;
  }

  /** Makes the row after the current one current; false at the end. Only valid while rows are not changed. */
  next(): boolean {
    const chunk = this.#chunks[this.#chunk];
    assert(chunk !== undefined, 'next follows a successful seek');
    const slot = this.base / STRIDE + 1;
    if (slot < chunk.end) {
      this.base += STRIDE;
      return true;
    }
    const following = this.#chunks[this.#chunk + 1];
    if (following === undefined) return false;
    this.#chunk += 1;
    this.#select(following, following.start);
    return true;
  }

  /** Adds a row of zeros for an offset that is not there and makes it current. */
  insert(firstOffset: number): void {
    let index = this.#chunkOf(firstOffset);
    let chunk = this.#chunks[index];
    if (chunk === undefined) {
      chunk = { rows: new Float64Array(CHUNK_ROWS_FIRST * STRIDE), start: 0, end: 0 };
      this.#chunks.push(chunk);
    } else if (chunk.end * STRIDE === chunk.rows.length) {
      index = this.#makeRoom(index, chunk, firstOffset);
      chunk = this.#chunks[index]!;
    }
    const slot = slotOf(chunk, firstOffset);
    chunk.rows.copyWithin((slot + 1) * STRIDE, slot * STRIDE, chunk.end * STRIDE);
    chunk.end += 1;
    chunk.rows.fill(0, slot * STRIDE, (slot + 1) * STRIDE);
    chunk.rows[slot * STRIDE] = firstOffset;
    this.#chunk = index;
    this.#select(chunk, slot);
  }

  /** Removes the current row. */
  remove(): void {
    const chunk = this.#chunks[this.#chunk];
    assert(chunk !== undefined && chunk.rows === this.rows, 'remove follows a successful find');
    if (this.base === chunk.start * STRIDE) chunk.start += 1;
    else {
      chunk.rows.copyWithin(this.base, this.base + STRIDE, chunk.end * STRIDE);
      chunk.end -= 1;
    }
    if (chunk.start === chunk.end) this.#chunks.splice(this.#chunk, 1);
  }

  #select(chunk: Chunk, slot: number): void {
    this.rows = chunk.rows;
    this.base = slot * STRIDE;
  }

  /** Index of the last chunk that begins at or before the offset; 0 if all begin after it. */
  #chunkOf(offset: number): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      const chunk = this.#chunks[middle]!;
      if (chunk.rows[chunk.start * STRIDE]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Gives the full chunk a free slot at its end and returns the index of the chunk that takes the offset. */
  #makeRoom(index: number, chunk: Chunk, offset: number): number {
    const count = chunk.end - chunk.start;
    if (chunk.start >= CHUNK_ROWS / 4 || (chunk.start > 0 && count < CHUNK_ROWS)) {
      chunk.rows.copyWithin(0, chunk.start * STRIDE, chunk.end * STRIDE);
      chunk.start = 0;
      chunk.end = count;
      return index;
    }
    if (chunk.rows.length < CHUNK_ROWS * STRIDE) {
      const grown = new Float64Array(chunk.rows.length * 2);
      grown.set(chunk.rows);
      chunk.rows = grown;
      return index;
    }
    // An append starts an empty chunk; an insert in the middle takes the upper half along.
    const appends = offset > chunk.rows[(chunk.end - 1) * STRIDE]!;
    const kept = appends ? count : count >>> 1;
    const moved: Chunk = { rows: new Float64Array(CHUNK_ROWS * STRIDE), start: 0, end: count - kept };
    moved.rows.set(chunk.rows.subarray((chunk.start + kept) * STRIDE, chunk.end * STRIDE));
    chunk.end = chunk.start + kept;
    this.#chunks.splice(index + 1, 0, moved);
    return appends || offset >= moved.rows[0]! ? index + 1 : index;
  }
}

/** First slot of the chunk at or after the offset; its end if all are before. */
function slotOf(chunk: Chunk, offset: number): number {
  let low = chunk.start;
  let high = chunk.end;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (chunk.rows[middle * STRIDE]! < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
