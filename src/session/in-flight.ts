/**
 * Packet ids that the server has sent to one client and that wait for an answer. Main thread.
 *
 * Always true: an id is in use at most once; slot = id & (capacity − 1), so finding one is a load and a
 * compare; capacity is a power of two, at least twice the number of ids in use, up to all 65536; a session
 * with a queue of its own has two such banks. `order`
 * is the order of first sending, in which a resumed session sends again [MQTT-4.4.0-1] [MQTT-4.6.0-1].
 * Gives up: ids are not reused as soon as possible but in rotation, which makes late answers harmless.
 */
import { assert } from '../base/error.js';

/** What an id waits for. */
export const Awaiting = {
  nothing: 0,
  /** PUBACK of a live QoS 1 message. */
  puback: 1,
  /** PUBREC of a live QoS 2 message. */
  pubrec: 2,
  /** PUBCOMP: PUBREL has been sent. */
  pubcomp: 3,
  /** PUBACK of a queue delivery. */
  queueAck: 4,
  /** PUBREC of a delivery from the session's own queue. */
  queueRec: 5,
  /** The store, before PUBREL may be sent: PUBREC has come for a delivery from the session's own queue. */
  queueRelease: 6,
  /** PUBCOMP of such a delivery; its tag is the offset of the message. */
  queueComp: 7,
} as const;

const idMax = 65_535;
/** Ids that belong to offsets of a session's own queue, see `idOfOffset`. */
const offsetIds = 32_768;

/**
 * The packet id of a message of a session's own queue: the same after every reconnect and restart, so that a client
 * recognises what it has received before [MQTT-4.4.0-1]. Ids repeat after 32,768 messages; one in use is waited for.
 */
export function idOfOffset(offset: number): number {
  return 1 + (offset % offsetIds);
}

// Most sessions have nothing in flight: until they do, all share these, 1.4 KB less for each.
const noBytes = new Uint8Array(0);
const noIds = new Uint16Array(0);
const noNumbers = new Float64Array(0);
const nobody: undefined[] = [];

/** See the file header. `A` is what a queue delivery belongs to, `M` what a live message keeps for resending. */
export class InFlight<A, M> {
  kinds = noBytes;
  tags = noNumbers;
  orders = noNumbers;
  /** Offset in the session's own queue, -1 for everything else. */
  offsets = noNumbers;
  /** 1 once it was sent on the present connection: only then does it count against Receive Maximum. */
  sent = noBytes;
  owners: (A | undefined)[] = nobody;
  messages: (M | undefined)[] = nobody;
  #ids = noIds;
  #mask = -1;
  #count = 0;
  #last = 0;
  #first = 1;
  #order = 0;

  /** Ids in use. */
  get count(): number {
    return this.#count;
  }

  /** Leaves the ids of offsets to `takeAt`, in a bank of their own. Call before the first id is taken. */
  reserveOffsetIds(): void {
    assert(this.#count === 0, 'ids of offsets are reserved before any id is in use');
    this.#first = offsetIds + 1;
    this.#last = offsetIds;
    if (this.#mask >= 0) this.#resize(this.#mask + 1);
  }

  /** Takes `id` for `kind`; returns its slot, or -1 when it is in use. */
  takeAt(id: number, kind: number): number {
    if (this.find(id) >= 0) return -1;
    while (this.#isCrowded || this.#ids[this.#slotOf(id)] !== 0) this.#resize(this.#nextCapacity);
    return this.#occupy(id, kind);
  }

  /** Takes the next free id for `kind`; returns its slot (see `idOf`). Only while there is one. */
  take(kind: number): number {
    assert(this.#count < idMax, 'packet ids are exhausted');
    if (this.#isCrowded) this.#resize(this.#nextCapacity);
    let id = this.#last;
    do {
      id = id === idMax ? this.#first : id + 1;
    } while (this.#ids[this.#slotOf(id)] !== 0);
    this.#last = id;
    return this.#occupy(id, kind);
  }

  get #isCrowded(): boolean {
    return this.#count * 2 > this.#mask && this.#mask < idMax;
  }

  get #nextCapacity(): number {
    return Math.max(32, (this.#mask + 1) * 2);
  }

  /** Ids of offsets and all others run on by themselves: each bank is filled by ids that follow each other. */
  #slotOf(id: number): number {
    const mask = this.#mask;
    return this.#first > 1 && id > offsetIds ? mask + 1 + (id & mask) : id & mask;
  }

  #occupy(id: number, kind: number): number {
    const slot = this.#slotOf(id);
    this.#ids[slot] = id;
    this.kinds[slot] = kind;
    this.sent[slot] = 0;
    this.orders[slot] = this.#order++;
    this.offsets[slot] = -1;
    this.#count++;
    return slot;
  }

  /** Forgets every id and gives its memory back: routes may hold a session that has ended for a while. */
  clear(): void {
    this.#count = 0;
    this.#mask = -1;
    this.#ids = noIds;
    this.kinds = noBytes;
    this.tags = noNumbers;
    this.orders = noNumbers;
    this.offsets = noNumbers;
    this.sent = noBytes;
    this.owners = nobody;
    this.messages = nobody;
  }

  idOf(slot: number): number {
    return this.#ids[slot]!;
  }

  /** Slot of an id in use, or -1. */
  find(id: number): number {
    if (id === 0 || this.#count === 0) return -1;
    const slot = this.#slotOf(id);
    return this.#ids[slot] === id ? slot : -1;
  }

  free(slot: number): void {
    assert(this.#ids[slot] !== 0, 'freed a packet id that is not in use');
    this.#ids[slot] = 0;
    this.kinds[slot] = Awaiting.nothing;
    this.sent[slot] = 0;
    this.owners[slot] = undefined;
    this.messages[slot] = undefined;
    this.#count--;
  }

  /** Slots in use in the order of first sending. Cost: all slots. */
  inOrder(): number[] {
    const slots: number[] = [];
    for (let slot = 0; slot < this.#ids.length; slot++) if (this.#ids[slot] !== 0) slots.push(slot);
    return slots.sort((a, b) => this.orders[a]! - this.orders[b]!);
  }

  /** Moves everything into banks of `capacity` slots each. */
  #resize(bankSlots: number): void {
    this.#mask = bankSlots - 1;
    const capacity = this.#first > 1 ? 2 * bankSlots : bankSlots;
    const ids = new Uint16Array(capacity);
    const kinds = new Uint8Array(capacity);
    const tags = new Float64Array(capacity);
    const orders = new Float64Array(capacity);
    const offsets = new Float64Array(capacity);
    const sent = new Uint8Array(capacity);
    const owners = Array.from<A | undefined>({ length: capacity });
    const messages = Array.from<M | undefined>({ length: capacity });
    for (let old = 0; old < this.#ids.length && bankSlots > 0; old++) {
      const id = this.#ids[old]!;
      if (id === 0) continue;
      // Ids that differ below the old mask differ below the new one: no slot is claimed twice.
      const slot = this.#slotOf(id);
      ids[slot] = id;
      kinds[slot] = this.kinds[old]!;
      tags[slot] = this.tags[old]!;
      orders[slot] = this.orders[old]!;
      offsets[slot] = this.offsets[old]!;
      sent[slot] = this.sent[old]!;
      owners[slot] = this.owners[old];
      messages[slot] = this.messages[old];
    }
    this.#ids = ids;
    this.kinds = kinds;
    this.tags = tags;
    this.orders = orders;
    this.offsets = offsets;
    this.sent = sent;
    this.owners = owners;
    this.messages = messages;
  }
}
