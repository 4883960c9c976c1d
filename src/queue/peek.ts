/**
 * Messages of a queue for an operator's eyes: a page of what is stored, in order, without taking anything.
 * Shard worker. Reads the log, where every live message is, and asks the in-flight table for states.
 *
 * Always true: acks have been written before (`flushAcks` and `Log.write`), so the log's bitmaps are current.
 * Cost: a rare call; reads the blocks of one page.
 */
import { BLOCK_HEADER_BYTES, MessageFlag, RECORD_HEADER_BYTES, checkBlock } from '../log/record-format.js';
import type { PeekedMessage } from './definition.js';
import type { QueueHost } from './host.js';
import type { Queue } from './queue.js';
import { readSummary } from './stored-summary.js';

/** Most records in one block; a page that starts in the middle of a block looks back this far for its start. */
const BLOCK_RECORDS_MAX = 4096;

/** Attempts and state of the entries of one queue, by offset. */
export type EntryStates = ReadonlyMap<number, { readonly attempts: number; readonly inFlight: boolean }>;

/** Live messages with offset > `afterOffset`, at most `countMax`, ascending. */
export function peek(
  queue: Queue,
  host: QueueHost,
  states: EntryStates,
  afterOffset: number,
  countMax: number,
  nowMs: number,
): PeekedMessage[] {
  const found: PeekedMessage[] = [];
  let from = Math.max(0, afterOffset + 1 - BLOCK_RECORDS_MAX);
  for (;;) {
    const page = host.readSummaries(queue.id, from, 256);
    for (const { firstOffset, value } of page) {
      const summary = readSummary(value);
      from = firstOffset + (summary?.recordCount ?? 1);
      if (summary === undefined) continue;
      if (from <= afterOffset + 1 || firstOffset >= queue.backlog.committedEnd) continue;
      const block = host.readBlock(queue.id, firstOffset);
      if (block === undefined) continue;
      try {
        checkBlock(block);
      } catch (error) {
        host.onCorruptBlock(queue.id, firstOffset, error);
        continue;
      }
      const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
      let at = BLOCK_HEADER_BYTES;
      for (let index = 0; index < summary.recordCount; index++) {
        const offset = firstOffset + index;
        const isDone = (((summary.ackBits?.[index >>> 5] ?? 0) >>> (index & 31)) & 1) === 1;
        if (offset > afterOffset && !isDone) {
          const message = decodeRecord(bytes, at, offset, queue, states.get(offset), nowMs);
          if (message !== undefined) found.push(message);
          if (found.length === countMax) return found;
        }
        at += bytes.readUInt32LE(at);
      }
    }
    if (page.length < 256) return found;
  }
}

function decodeRecord(
  bytes: Buffer,
  at: number,
  offset: number,
  queue: Queue,
  state: { readonly attempts: number; readonly inFlight: boolean } | undefined,
  nowMs: number,
): PeekedMessage | undefined {
  const flags = bytes.readUInt8(at + 4);
  const body = at + RECORD_HEADER_BYTES + bytes.readUInt8(at + 5);
  const propertiesStart = bytes.readUInt32LE(at + 8);
  const propertiesLength = bytes.readUInt32LE(at + 12);
  const payloadStart = bytes.readUInt32LE(at + 16);
  const bodyLength = bytes.readUInt32LE(at + 20);
  const interval = bytes.readUInt32LE(at + 24);
  const clientIdLength = bytes.readUInt16LE(at + 28);
  const keyLength = bytes.readUInt16LE(at + 30);
  const timestampMs = bytes.readDoubleLE(at + 32);
  const expired =
    nowMs - timestampMs >= queue.definition.dataRetentionPeriodMs ||
    (interval > 0 && nowMs >= timestampMs + interval * 1000);
  if (expired && state === undefined) return undefined;
  const tail = body + bodyLength;
  return {
    offset,
    topicName: bytes.toString('utf8', body, body + bytes.readUInt16LE(at + 6)),
    from: bytes.toString('utf8', tail, tail + clientIdLength),
    qos: flags & MessageFlag.qosMask,
    retain: (flags & MessageFlag.retain) !== 0,
    timestampMs,
    ...(interval > 0
      ? { messageExpiryInterval: Math.max(0, Math.ceil((timestampMs + interval * 1000 - nowMs) / 1000)) }
      : {}),
    deliveryAttempt: state?.attempts ?? 0,
    state: state?.inFlight === true ? 'in-flight' : 'ready',
    ...(queue.lastValue === null
      ? {}
      : { key: bytes.toString('utf8', tail + clientIdLength, tail + clientIdLength + keyLength) }),
    properties: new Uint8Array(
      bytes.subarray(body + propertiesStart, body + propertiesStart + propertiesLength),
    ),
    payload: new Uint8Array(bytes.subarray(body + payloadStart, body + bodyLength)),
  };
}
