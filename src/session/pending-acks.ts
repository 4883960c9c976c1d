/**
 * Publishes of one connection that wait for their acknowledgement. Main thread.
 *
 * Always true: acknowledgements leave in the order in which the publishes came [MQTT-4.6.0-2] [MQTT-4.6.0-3];
 * an entry leaves when every shard it went to has settled it; the first failure decides its reason code.
 * A token is the sequence number of the publish (u32); slot = token & (capacity − 1).
 *
 *        head (oldest not acknowledged)                     tail (next token)
 *   ──────┤ settled │ waiting: 2 shards │ settled │ waiting ├──────▶
 *
 * Gives up: memory never shrinks before the connection ends; capacity is bounded by 65536 entries.
 */
import { assert } from '../base/error.js';
import { NO_TOKEN } from '../shard/link.js';

/** What an entry is answered with. */
export const AckKind = { none: 0, puback: 1, pubrec: 2 } as const;

/** Most entries: there are no more packet ids. MQTT 3 clients know no Receive Maximum. */
export const pendingAcksMax = 65_536;

/** Takes the acknowledgements in order. */
export interface AckSink {
  onAcknowledge(kind: number, packetId: number, reasonCode: number): void;
}

// Most connections publish nothing with QoS > 0 to a queue: until they do, all share these, 1.1 KB less for each.
const noBytes = new Uint8Array(0);
const noIds = new Uint16Array(0);
const slotsMin = 64;

/** See the file header. */
export class PendingAcks {
  readonly #sink: AckSink;
  #packetIds = noIds;
  #kinds = noBytes;
  #waiting = noBytes;
  #reasons = noBytes;
  #mask = -1;
  #head: number;
  #tail: number;
  #size = 0;

  /** `firstToken` is for tests of the wrap. */
  constructor(sink: AckSink, firstToken = 0) {
    this.#sink = sink;
    this.#head = firstToken;
    this.#tail = firstToken;
  }

  /** Entries that are not acknowledged yet. */
  get size(): number {
    return this.#size;
  }

  /** True when one more entry has a place. */
  get hasRoom(): boolean {
    return this.#size < pendingAcksMax - 1;
  }

  /**
   * Books a publish that `shards` shards have to settle (0: none) and returns its token. With no shard and
   * nothing older waiting, the acknowledgement leaves at once.
   */
  add(kind: number, packetId: number, reasonCode: number, shards: number): number {
    if (shards === 0 && this.#size === 0) {
      this.#sink.onAcknowledge(kind, packetId, reasonCode);
      return NO_TOKEN;
    }
    if (this.#tail === NO_TOKEN) this.#put(AckKind.none, 0, 0, 0);
    return this.#put(kind, packetId, reasonCode, shards);
  }

  /** One shard has settled `count` tokens from `firstToken`; `failure` is the reason code for them or 0. */
  settle(firstToken: number, count: number, failure: number): void {
    for (let i = 0; i < count; i++) {
      const token = (firstToken + i) >>> 0;
      const slot = token & this.#mask;
      assert(
        (token - this.#head) >>> 0 < this.#size && this.#waiting[slot]! > 0,
        'settled an unknown publish',
      );
      this.#waiting[slot]!--;
      if (failure !== 0 && this.#reasons[slot]! < 0x80) this.#reasons[slot] = failure;
    }
    this.#drain();
  }

  /** Visits what has not been acknowledged. */
  forEach(visit: (kind: number, packetId: number) => void): void {
    for (let i = 0; i < this.#size; i++) {
      const slot = (this.#head + i) & this.#mask;
      visit(this.#kinds[slot]!, this.#packetIds[slot]!);
    }
  }

  #put(kind: number, packetId: number, reasonCode: number, shards: number): number {
    assert(this.#size < pendingAcksMax, 'more pending publishes than packet ids');
    if (this.#size > this.#mask) this.#grow();
    const token = this.#tail;
    const slot = token & this.#mask;
    this.#kinds[slot] = kind;
    this.#packetIds[slot] = packetId;
    this.#reasons[slot] = reasonCode;
    this.#waiting[slot] = shards;
    this.#tail = (token + 1) >>> 0;
    this.#size++;
    return token;
  }

  #drain(): void {
    while (this.#size > 0) {
      const slot = this.#head & this.#mask;
      if (this.#waiting[slot] !== 0) return;
      const kind = this.#kinds[slot]!;
      this.#head = (this.#head + 1) >>> 0;
      this.#size--;
      if (kind !== AckKind.none) {
        this.#sink.onAcknowledge(kind, this.#packetIds[slot]!, this.#reasons[slot]!);
      }
    }
  }

  #grow(): void {
    const capacity = Math.max(slotsMin, (this.#mask + 1) * 2);
    const packetIds = new Uint16Array(capacity);
    const kinds = new Uint8Array(capacity);
    const waiting = new Uint8Array(capacity);
    const reasons = new Uint8Array(capacity);
    const mask = capacity - 1;
    for (let i = 0; i < this.#size; i++) {
      const token = (this.#head + i) >>> 0;
      const from = token & this.#mask;
      const to = token & mask;
      packetIds[to] = this.#packetIds[from]!;
      kinds[to] = this.#kinds[from]!;
      waiting[to] = this.#waiting[from]!;
      reasons[to] = this.#reasons[from]!;
    }
    this.#packetIds = packetIds;
    this.#kinds = kinds;
    this.#waiting = waiting;
    this.#reasons = reasons;
    this.#mask = mask;
  }
}
