/**
 * Retained messages as rows of numbers: one slot per topic, its fields in typed arrays, its bytes in slabs. Main thread.
 *
 * Always true: nothing per message lies in the JavaScript heap, so a million of them cost the garbage collector nothing;
 * a slot keeps its number until it is freed; arrays only grow. 43 bytes per slot besides the message's own bytes.
 * Gives up: giving the arrays back when messages go.
 */
import { copyRange } from '../mqtt/bytes.js';
import type { PublishRanges } from '../shard/link.js';
import { RetainedBytes } from './retained-bytes.js';

const firstCapacity = 1024;

/** See the file header. */
export class RetainedTable {
  readonly #bytes = new RetainedBytes((owner, slab, offset) => {
    this.slabs[owner] = slab;
    this.offsets[owner] = offset;
  });
  slabs = new Uint32Array(firstCapacity);
  offsets = new Uint32Array(firstCapacity);
  topicBytes = new Uint16Array(firstCapacity);
  propertyBytes = new Uint32Array(firstCapacity);
  payloadBytes = new Uint32Array(firstCapacity);
  qos = new Uint8Array(firstCapacity);
  shardIds = new Uint16Array(firstCapacity);
  /** Row in the log; 0 = free slot, `volatileRow` = only in memory. */
  rowIds = new Float64Array(firstCapacity);
  /** Gateway clock, ms; Infinity = does not expire. */
  expiries = new Float64Array(firstCapacity);
  /** Grows with every message that is stored, over all slots. */
  sequences = new Float64Array(firstCapacity);
  readonly #freeSlots: number[] = [];
  #used = 0;

  /** Slots that were ever in use: scans go from 0 to here. */
  get used(): number {
    return this.#used;
  }

  /** Memory held for bytes of messages. */
  get reservedBytes(): number {
    return this.#bytes.reservedBytes;
  }

  /** Buffer in which the slot's bytes lie from `offsets[slot]`: topic, properties, payload. Until the next change. */
  bufferOf(slot: number): Buffer {
    return this.#bytes.slabs[this.slabs[slot]!]!;
  }

  /** Bytes of the slot's message. */
  sizeOf(slot: number): number {
    return this.topicBytes[slot]! + this.propertyBytes[slot]! + this.payloadBytes[slot]!;
  }

  /** A new slot with the message. The caller fills in row, shard, expiry and sequence. */
  add(message: PublishRanges): number {
    const slot = this.#freeSlots.pop() ?? this.#used++;
    if (slot === this.rowIds.length) this.#grow();
    this.#bytes.allocate(slot, sizeOf(message));
    this.slabs[slot] = this.#bytes.slab;
    this.offsets[slot] = this.#bytes.offset;
    this.#write(slot, message);
    return slot;
  }

  /** Another message of the same topic; in the same place when it fits well. */
  replace(slot: number, message: PublishRanges): void {
    const need = sizeOf(message);
    const capacity = this.#bytes.capacityOf(this.slabs[slot]!, this.offsets[slot]!);
    if (need > capacity || need < capacity / 2) {
      this.#bytes.release(this.slabs[slot]!, this.offsets[slot]!);
      this.#bytes.allocate(slot, need);
      this.slabs[slot] = this.#bytes.slab;
      this.offsets[slot] = this.#bytes.offset;
    }
    this.#write(slot, message);
  }

  /** Frees the slot. */
  remove(slot: number): void {
    this.#bytes.release(this.slabs[slot]!, this.offsets[slot]!);
    this.rowIds[slot] = 0;
    this.#freeSlots.push(slot);
  }

  #write(slot: number, message: PublishRanges): void {
    const buffer = this.bufferOf(slot);
    const { topicStart, topicEnd, propertiesStart, propertiesEnd, payloadStart, payloadEnd } = message;
    let at = this.offsets[slot]!;
    at = copyRange(message.topicBuffer, topicStart, topicEnd, buffer, at);
    at = copyRange(message.propertiesBuffer, propertiesStart, propertiesEnd, buffer, at);
    copyRange(message.payloadBuffer, payloadStart, payloadEnd, buffer, at);
    this.topicBytes[slot] = topicEnd - topicStart;
    this.propertyBytes[slot] = propertiesEnd - propertiesStart;
    this.payloadBytes[slot] = payloadEnd - payloadStart;
    this.qos[slot] = message.flags & 3;
  }

  #grow(): void {
    const capacity = this.rowIds.length * 2;
    this.slabs = grown(this.slabs, new Uint32Array(capacity));
    this.offsets = grown(this.offsets, new Uint32Array(capacity));
    this.topicBytes = grown(this.topicBytes, new Uint16Array(capacity));
    this.propertyBytes = grown(this.propertyBytes, new Uint32Array(capacity));
    this.payloadBytes = grown(this.payloadBytes, new Uint32Array(capacity));
    this.qos = grown(this.qos, new Uint8Array(capacity));
    this.shardIds = grown(this.shardIds, new Uint16Array(capacity));
    this.rowIds = grown(this.rowIds, new Float64Array(capacity));
    this.expiries = grown(this.expiries, new Float64Array(capacity));
    this.sequences = grown(this.sequences, new Float64Array(capacity));
  }
}

/** Bytes that a message takes: topic, properties and payload. */
export function sizeOf(message: PublishRanges): number {
  return (
    message.topicEnd -
    message.topicStart +
    (message.propertiesEnd - message.propertiesStart) +
    (message.payloadEnd - message.payloadStart)
  );
}

function grown<A extends { set(from: ArrayLike<number>): void } & ArrayLike<number>>(old: A, wider: A): A {
  wider.set(old);
  return wider;
}
