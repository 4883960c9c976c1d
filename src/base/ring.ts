/**
 * Single-producer single-consumer byte ring over shared memory: the only per-message road between threads.
 * One writer object on one thread, one reader object on the other.
 *
 *   header (256 B)                       data (power of two)
 *   tail · head · asleep · wantsRoom     [len u32][type u32][body …] frames, 8-byte aligned, never split
 *
 * Always true: head <= tail <= head + size (positions are u32 counters that wrap; differences are taken mod 2^32).
 * Ordering: the producer writes frame bytes with plain stores and then publishes `tail` with Atomics.store (seq-cst,
 * so a release); the consumer reads `tail` with Atomics.load before it reads frame bytes. `head` goes back the same
 * way. Sleep: the consumer sets `asleep`, then re-reads `tail`; the producer stores `tail`, then reads `asleep`; in
 * the single seq-cst order one of them sees the other, so no wake-up is lost. `wantsRoom` is the mirror image.
 * Gives up: a frame may use at most 7/16 of the ring, and the end of the ring is padded instead of split.
 */
import { assert } from './error.js';

const HEADER_BYTES = 256;
// Each word on a cache line of its own, so that the two threads do not share lines for writing.
const TAIL = 0;
const HEAD = 16;
const ASLEEP = 32;
const WANTS_ROOM = 48;

/** Values of the `asleep` word. */
const AWAKE = 0;
/** In its event loop: needs a doorbell. */
const SLEEPING = 1;
/** Blocked in Atomics.wait: needs a notify. */
const DOZING = 2;

/** Bytes of the two-word frame header: length (whole frame, unpadded) and type word. */
export const FRAME_HEADER_BYTES = 8;
/** Type word that fills the rest of the ring when a frame does not fit before its end. */
const PADDING_TYPE = 0xffff_ffff;

/** Shared memory for a ring with `dataBytes` of data, a power of two of at least 4096. */
export function createRingMemory(dataBytes: number): SharedArrayBuffer {
  assert(
    dataBytes >= 4096 && dataBytes <= 2 ** 30 && (dataBytes & (dataBytes - 1)) === 0,
    'ring size is a power of two',
  );
  return new SharedArrayBuffer(HEADER_BYTES + dataBytes);
}

/** Part of a ring that is in use, 0 to 1; from any thread, and a moment old. */
export function ringFill(memory: SharedArrayBuffer): number {
  const header = new Int32Array(memory, 0, HEADER_BYTES / 4);
  const used = (Atomics.load(header, TAIL) - Atomics.load(header, HEAD)) | 0;
  // The two are read one after the other: the reader may have gone on in between.
  return Math.max(0, used) / (memory.byteLength - HEADER_BYTES);
}

/** Rounds a frame length up to the ring's alignment. */
export function alignFrame(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** The producing end. Frames become visible to the reader at `publish`, all at once. */
export class RingWriter {
  /** Data region as bytes; a reserved frame starts at the offset that `reserve` returned. */
  readonly bytes: Buffer;
  /** The same region as u32 words: word index = byte offset >> 2. */
  readonly words: Uint32Array;
  readonly f64: Float64Array;
  readonly sizeBytes: number;
  readonly #header: Int32Array;
  readonly #mask: number;
  #tail: number;
  #published: number;
  #headSeen: number;
  /** Bytes ever reserved: the tail without its wrapping at 2^32. */
  #reservedBytes = 0;

  constructor(memory: SharedArrayBuffer) {
    this.sizeBytes = memory.byteLength - HEADER_BYTES;
    this.#header = new Int32Array(memory, 0, HEADER_BYTES / 4);
    this.bytes = Buffer.from(memory, HEADER_BYTES, this.sizeBytes);
    this.words = new Uint32Array(memory, HEADER_BYTES, this.sizeBytes >> 2);
    this.f64 = new Float64Array(memory, HEADER_BYTES, this.sizeBytes >> 3);
    this.#mask = this.sizeBytes - 1;
    this.#tail = Atomics.load(this.#header, TAIL);
    this.#published = this.#tail;
    this.#headSeen = Atomics.load(this.#header, HEAD);
  }

  /** Position after the last reserved frame, to compare with `passed`; 0 before the first. It never wraps. */
  get position(): number {
    return this.#reservedBytes;
  }

  /** True once the reader has released everything up to `position`. */
  passed(position: number): boolean {
    if (this.#reservedBytes - ((this.#tail - this.#headSeen) | 0) >= position) return true;
    this.#headSeen = Atomics.load(this.#header, HEAD);
    return this.#reservedBytes - ((this.#tail - this.#headSeen) | 0) >= position;
  }

  /** True when frames of `bytes` in total fit while at most `fillBytesMax` of the ring are in use afterwards. */
  hasRoom(bytes: number, fillBytesMax: number): boolean {
    const worst = alignFrame(bytes) + FRAME_HEADER_BYTES;
    // Worst case: the padding at the ring's end is as long as the frame itself.
    if (((this.#tail - this.#headSeen) | 0) + worst * 2 <= fillBytesMax) return true;
    this.#headSeen = Atomics.load(this.#header, HEAD);
    return ((this.#tail - this.#headSeen) | 0) + worst * 2 <= fillBytesMax;
  }

  /**
   * Reserves a frame of `bytes` (header included) and returns the byte offset where it starts, or -1 when it does
   * not fit within `fillBytesMax` bytes in use. The caller fills the frame, then reserves the next or publishes.
   */
  reserve(bytes: number, type: number, fillBytesMax: number): number {
    const aligned = alignFrame(bytes);
    // Twice this, for a frame and the padding before it, still fits where publishes may fill the ring: 7/8.
    assert(aligned <= (this.sizeBytes >> 4) * 7, 'a frame is at most 7/16 of the ring');
    let start = this.#tail & this.#mask;
    const untilEnd = this.sizeBytes - start;
    const padding = untilEnd < aligned ? untilEnd : 0;
    const need = aligned + padding;
    if (((this.#tail - this.#headSeen) | 0) + need > fillBytesMax) {
      this.#headSeen = Atomics.load(this.#header, HEAD);
      if (((this.#tail - this.#headSeen) | 0) + need > fillBytesMax) return -1;
    }
    if (padding > 0) {
      this.words[start >> 2] = padding;
      this.words[(start >> 2) + 1] = PADDING_TYPE;
      start = 0;
    }
    this.#tail = (this.#tail + need) | 0;
    this.#reservedBytes += need;
    this.words[start >> 2] = bytes;
    this.words[(start >> 2) + 1] = type;
    return start;
  }

  /**
   * Lengthens the frame that was reserved last and is not yet published, so that a run of messages shares one frame.
   * Returns the byte offset where the extra `bytes` start (a multiple of 8), or -1 when they do not fit: then reserve
   * a new frame. `frameStart` is what `reserve` returned; its length must be a multiple of 8.
   */
  extend(frameStart: number, bytes: number, fillBytesMax: number): number {
    const length = this.words[frameStart >> 2] as number;
    const end = frameStart + length;
    if (end !== (this.#tail & this.#mask) || this.#tail === this.#published || end + bytes > this.sizeBytes)
      return -1;
    if (((this.#tail - this.#headSeen) | 0) + bytes > fillBytesMax) {
      this.#headSeen = Atomics.load(this.#header, HEAD);
      if (((this.#tail - this.#headSeen) | 0) + bytes > fillBytesMax) return -1;
    }
    this.words[frameStart >> 2] = length + bytes;
    this.#tail = (this.#tail + bytes) | 0;
    this.#reservedBytes += bytes;
    return end;
  }

  /** Makes all reserved frames visible. Returns true when the reader sleeps and now needs a doorbell. */
  publish(): boolean {
    if (this.#tail === this.#published) return false;
    this.#published = this.#tail;
    Atomics.store(this.#header, TAIL, this.#tail);
    if (Atomics.load(this.#header, ASLEEP) === AWAKE) return false;
    const before = Atomics.exchange(this.#header, ASLEEP, AWAKE);
    if (before === DOZING) Atomics.notify(this.#header, ASLEEP);
    return before === SLEEPING;
  }

  /** Asks the reader for a doorbell when it has released something. Returns true when room came meanwhile (no need to wait). */
  requestRoom(): boolean {
    Atomics.store(this.#header, WANTS_ROOM, 1);
    const head = Atomics.load(this.#header, HEAD);
    const moved = head !== this.#headSeen;
    this.#headSeen = head;
    return moved;
  }
}

/** The consuming end. */
export class RingReader {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  readonly f64: Float64Array;
  readonly sizeBytes: number;
  readonly #header: Int32Array;
  readonly #mask: number;
  #head: number;
  #released: number;
  #tailSeen: number;
  /** How far `nextAhead` has looked; at or past `#head`. */
  #ahead: number;

  constructor(memory: SharedArrayBuffer) {
    this.sizeBytes = memory.byteLength - HEADER_BYTES;
    this.#header = new Int32Array(memory, 0, HEADER_BYTES / 4);
    this.bytes = Buffer.from(memory, HEADER_BYTES, this.sizeBytes);
    this.words = new Uint32Array(memory, HEADER_BYTES, this.sizeBytes >> 2);
    this.f64 = new Float64Array(memory, HEADER_BYTES, this.sizeBytes >> 3);
    this.#mask = this.sizeBytes - 1;
    this.#head = Atomics.load(this.#header, HEAD);
    this.#released = this.#head;
    this.#tailSeen = this.#head;
    this.#ahead = this.#head;
  }

  /**
   * Byte offset of the next frame that neither `next` nor this has returned, or -1: a look at what is urgent behind
   * what is not. The frame is still returned by `next`, unless `setType` marks it as dealt with.
   */
  nextAhead(): number {
    if (((this.#ahead - this.#head) | 0) < 0) this.#ahead = this.#head;
    const tail = Atomics.load(this.#header, TAIL);
    while (this.#ahead !== tail) {
      const start = this.#ahead & this.#mask;
      this.#ahead = (this.#ahead + alignFrame(this.words[start >> 2] as number)) | 0;
      if (this.words[(start >> 2) + 1] !== PADDING_TYPE) return start;
    }
    return -1;
  }

  /** Marks a frame that `nextAhead` returned; until `release` the memory is the reader's. */
  setType(start: number, type: number): void {
    this.words[(start >> 2) + 1] = type;
  }

  /**
   * Byte offset of the next frame, or -1 when there is none. The frame stays valid until `release`.
   * Its length is `words[offset >> 2]`, its type word `words[(offset >> 2) + 1]`.
   */
  next(): number {
    for (;;) {
      if (this.#head === this.#tailSeen) {
        this.#tailSeen = Atomics.load(this.#header, TAIL);
        if (this.#head === this.#tailSeen) return -1;
      }
      const start = this.#head & this.#mask;
      const length = this.words[start >> 2] as number;
      assert(
        length >= FRAME_HEADER_BYTES && start + length <= this.sizeBytes,
        'ring frame has a sane length',
      );
      this.#head = (this.#head + alignFrame(length)) | 0;
      if (this.words[(start >> 2) + 1] !== PADDING_TYPE) return start;
    }
  }

  /** Gives back everything that `next` has returned. Returns true when the writer waits for room and needs a doorbell. */
  release(): boolean {
    if (this.#head === this.#released) return false;
    this.#released = this.#head;
    Atomics.store(this.#header, HEAD, this.#head);
    return (
      Atomics.load(this.#header, WANTS_ROOM) === 1 && Atomics.exchange(this.#header, WANTS_ROOM, 0) === 1
    );
  }

  /** Declares this side asleep. Returns true when frames came meanwhile: it is awake again and must read on. */
  sleep(): boolean {
    Atomics.store(this.#header, ASLEEP, SLEEPING);
    if (Atomics.load(this.#header, TAIL) === this.#head) return false;
    Atomics.store(this.#header, ASLEEP, AWAKE);
    return true;
  }

  /** True when there is a frame that `next` has not returned. */
  get hasFrames(): boolean {
    return Atomics.load(this.#header, TAIL) !== this.#head;
  }

  /**
   * Blocks this thread until frames come, at most `timeoutMs` (fractions allowed); true when there are frames. Workers
   * only: nothing else runs on the thread meanwhile. Waking a dozing reader costs the writer one futex call.
   */
  doze(timeoutMs: number): boolean {
    Atomics.store(this.#header, ASLEEP, DOZING);
    if (!this.hasFrames) Atomics.wait(this.#header, ASLEEP, DOZING, timeoutMs);
    Atomics.store(this.#header, ASLEEP, AWAKE);
    return this.hasFrames;
  }

  /** Withdraws `sleep` after a wake-up for another reason. */
  wake(): void {
    Atomics.store(this.#header, ASLEEP, AWAKE);
  }
}
