/**
 * The bytes that a decoder could not deliver yet: a partial packet, or all that a pause keeps back. Main
 * thread; one per connection.
 *
 * Always true: it holds `bytes[start, end)` and grows with what has come, by doubling, never by what a header
 * claims: ten thousand connections that announce the largest packet and send one byte cost little. A large
 * buffer is given back, to the pool it came from, as soon as it is empty. Gives up: a bound of its own; a reader that pauses when it is
 * told to adds one chunk at most.
 */

/** First allocation. */
const bytesMin = 256;
/** A larger buffer is given back when it is empty. */
const bytesKeptMax = 4096;
const noBytes = Buffer.alloc(0);

/** Where large buffers come from and go back to. */
export interface BufferPool {
  /** A buffer of at least `bytesMin`. */
  take(bytesMin: number): Buffer;
  give(buffer: Buffer): void;
}

const heap: BufferPool = { take: (bytes) => Buffer.allocUnsafeSlow(bytes), give: () => {} };

/** See the file header. */
export class CarryOver {
  bytes: Buffer = noBytes;
  start = 0;
  end = 0;
  readonly #pool: BufferPool;

  constructor(pool: BufferPool = heap) {
    this.#pool = pool;
  }

  get length(): number {
    return this.end - this.start;
  }

  /** Copies `chunk[start, end)` behind what is held. Doubling stops at `sizeMax`, the largest packet. */
  append(chunk: Buffer, start: number, end: number, sizeMax: number): void {
    const added = end - start;
    if (this.end + added > this.bytes.length) this.#makeRoom(added, sizeMax);
    chunk.copy(this.bytes, this.end, start, end);
    this.end += added;
  }

  /** Everything before `offset` has been delivered. */
  consumeTo(offset: number): void {
    this.start = offset;
    if (this.start !== this.end) return;
    this.start = 0;
    this.end = 0;
    if (this.bytes.length > bytesKeptMax) this.#replace(noBytes);
  }

  /** Forgets everything. A loop that reads from `bytes` keeps its own reference, so the pool does not get it. */
  clear(): void {
    this.bytes = noBytes;
    this.start = 0;
    this.end = 0;
  }

  #replace(bytes: Buffer): void {
    const before = this.bytes;
    this.bytes = bytes;
    if (before.length > bytesKeptMax) this.#pool.give(before);
  }

  #makeRoom(added: number, sizeMax: number): void {
    const held = this.length;
    if (held + added <= this.bytes.length && this.start >= held) {
      this.bytes.copyWithin(0, this.start, this.end);
    } else {
      // Not from the pool: one idle partial packet would keep a whole pool slab alive.
      const size = Math.max(held + added, Math.min(2 * held, sizeMax), bytesMin);
      const larger = size > bytesKeptMax ? this.#pool.take(size) : Buffer.allocUnsafeSlow(size);
      this.bytes.copy(larger, 0, this.start, this.end);
      this.#replace(larger);
    }
    this.start = 0;
    this.end = held;
  }
}
