/**
 * Turns runs of records in ring memory into one sealed block, in the arena or in scratch memory. Shard worker.
 *
 * Always true: runs are copied whole, never record by record; the record headers are walked once, for the summary.
 * Gives up: one scratch buffer per writer, as large as the largest block written without arena memory.
 */
import { BLOCK_HEADER_BYTES, RecordWord, sealBlock, type BlockSummary } from '../log/record-format.js';
import type { Arena } from './arena.js';
import type { RunList } from './run-list.js';

/** Where the records come from: the reading end of a ring. */
export interface RecordSource {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  readonly f64: Float64Array;
}

/** See the file header. */
export class BlockWriter {
  #scratch = Buffer.from(new ArrayBuffer(64 * 1024));
  #scratchWords = new Uint32Array(this.#scratch.buffer);
  /** The sealed block after `write`; valid until the next call. */
  value: Buffer = this.#scratch;

  /**
   * Writes runs [from, to) of `runs` as a block of `count` records. `memoryAt` is its place in the arena, or -1 for
   * scratch memory. Records of last-value queues already carry their key; `bytes` is the length of all records.
   */
  write(
    source: RecordSource,
    runs: RunList,
    from: number,
    to: number,
    bytes: number,
    count: number,
    arena: Arena,
    memoryAt: number,
  ): BlockSummary {
    const total = BLOCK_HEADER_BYTES + bytes;
    let target: Buffer;
    let words: Uint32Array;
    let start: number;
    if (memoryAt >= 0) {
      target = arena.bytes;
      words = arena.words;
      start = memoryAt;
    } else {
      if (total > this.#scratch.length) {
        this.#scratch = Buffer.from(new ArrayBuffer(2 ** Math.ceil(Math.log2(total))));
        this.#scratchWords = new Uint32Array(this.#scratch.buffer);
      }
      target = this.#scratch;
      words = this.#scratchWords;
      start = 0;
    }
    let at = start + BLOCK_HEADER_BYTES;
    for (let i = from; i < to; i++) {
      const runStart = runs.starts[i] as number;
      const runBytes = runs.bytes[i] as number;
      source.bytes.copy(target, at, runStart, runStart + runBytes);
      at += runBytes;
    }
    sealBlock(target, words, start, count, bytes);
    this.value = target.subarray(start, start + total);
    return summarize(source, runs, from, to, bytes, count);
  }
}

/** Summary of fresh records. Walks the record headers. */
function summarize(
  source: RecordSource,
  runs: RunList,
  from: number,
  to: number,
  bytes: number,
  count: number,
): BlockSummary {
  const { words, f64 } = source;
  let newestMs = 0;
  let expiresEarliestMs = Number.POSITIVE_INFINITY;
  let expiresLatestMs = 0;
  for (let i = from; i < to; i++) {
    let at = runs.starts[i] as number;
    const end = at + (runs.bytes[i] as number);
    while (at < end) {
      const timestampMs = f64[(at >> 3) + 4] as number;
      const expiry = words[(at >> 2) + RecordWord.messageExpiryInterval] as number;
      const expiresMs = expiry === 0 ? Number.POSITIVE_INFINITY : timestampMs + expiry * 1000;
      if (timestampMs > newestMs) newestMs = timestampMs;
      if (expiresMs < expiresEarliestMs) expiresEarliestMs = expiresMs;
      if (expiresMs > expiresLatestMs) expiresLatestMs = expiresMs;
      at += words[at >> 2] as number;
    }
  }
  return {
    recordCount: count,
    ackedCount: 0,
    recordBytes: bytes,
    ackedBytes: 0,
    newestMs,
    expiresEarliestMs,
    expiresLatestMs,
    ackBits: null,
  };
}
