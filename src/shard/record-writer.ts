/**
 * Writes a publish as a record into ring memory; the worker copies it from there as it is. Main thread, hot path.
 *
 *   record:  header │ padding │ topic · properties · payload │ client id          (byte table: log/record-format.ts)
 *
 * Always true: the body is copied once, in one piece when the packet needed no rewriting, gaps included, and lies as the
 * packet did modulo 8. Nothing is allocated: `measure` keeps what `write` needs, so the two are called in pairs.
 */
import type { RingWriter } from '../base/ring.js';
import { RECORD_HEADER_BYTES, RecordWord, recordBytes } from '../log/record-format.js';
import type { PublishRanges } from './link.js';

/** See the file header. One per shard client. */
export class RecordWriter {
  #isContiguous = false;
  #topicLength = 0;
  #propertiesLength = 0;
  #bodyLength = 0;
  #padding = 0;

  /** Bytes of the record of a publish. */
  measure(ranges: PublishRanges, clientId: Buffer): number {
    const { topicBuffer, topicStart, propertiesStart, payloadBuffer, payloadStart, payloadEnd } = ranges;
    const topicLength = ranges.topicEnd - topicStart;
    const propertiesLength = ranges.propertiesEnd - propertiesStart;
    const isContiguous =
      topicBuffer === payloadBuffer &&
      (propertiesLength === 0 || ranges.propertiesBuffer === payloadBuffer) &&
      payloadStart >= topicStart;
    const bodyLength = isContiguous
      ? payloadEnd - topicStart
      : topicLength + propertiesLength + payloadEnd - payloadStart;
    const bodyFrom = isContiguous ? topicStart : payloadStart - topicLength - propertiesLength;
    // Node 20 copies into shared memory byte by byte unless both places are equally aligned (280 B: 93 ns instead of
    // 185 ns; records start 8-aligned).
    const padding = (bodyFrom + topicBuffer.byteOffset) & 7;
    this.#isContiguous = isContiguous;
    this.#topicLength = topicLength;
    this.#propertiesLength = propertiesLength;
    this.#bodyLength = bodyLength;
    this.#padding = padding;
    return recordBytes(padding + bodyLength, clientId.length, 0);
  }

  /** Writes the record that `measure` has just found to take `bytes` to byte offset `at` of the ring. */
  write(
    out: RingWriter,
    at: number,
    bytes: number,
    ranges: PublishRanges,
    clientId: Buffer,
    nowMs: number,
  ): void {
    const { topicBuffer, topicStart, propertiesStart, payloadBuffer, payloadStart, payloadEnd } = ranges;
    const topicLength = this.#topicLength;
    const propertiesLength = this.#propertiesLength;
    const bodyLength = this.#bodyLength;
    const { words, bytes: target } = out;
    const word = at >> 2;
    const body = at + RECORD_HEADER_BYTES + this.#padding;
    words[word] = bytes;
    words[word + RecordWord.flagsAndTopicLength] = ranges.flags | (this.#padding << 8) | (topicLength << 16);
    words[word + RecordWord.propertiesLength] = propertiesLength;
    words[word + RecordWord.bodyLength] = bodyLength;
    words[word + RecordWord.messageExpiryInterval] = ranges.messageExpiryInterval;
    words[word + RecordWord.tailLengths] = clientId.length;
    out.f64[(at >> 3) + 4] = nowMs;
    if (this.#isContiguous) {
      words[word + RecordWord.propertiesStart] = propertiesLength === 0 ? 0 : propertiesStart - topicStart;
      words[word + RecordWord.payloadStart] = payloadStart - topicStart;
      topicBuffer.copy(target, body, topicStart, payloadEnd);
    } else {
      words[word + RecordWord.propertiesStart] = topicLength;
      words[word + RecordWord.payloadStart] = topicLength + propertiesLength;
      topicBuffer.copy(target, body, topicStart, ranges.topicEnd);
      ranges.propertiesBuffer.copy(target, body + topicLength, propertiesStart, ranges.propertiesEnd);
      payloadBuffer.copy(target, body + topicLength + propertiesLength, payloadStart, payloadEnd);
    }
    const tail = body + bodyLength;
    // Client ids are short: a byte loop is cheaper than a copy call (24 ns against 180 ns for 20 bytes).
    for (let i = 0; i < clientId.length; i++) target[tail + i] = clientId[i] as number;
  }
}
