/**
 * The bytes of retained messages, outside of the JavaScript heap: appended to slabs, compacted when holes add up.
 * Main thread.
 *
 *   slab   | owner u32 · capacity u32 · bytes | owner · capacity · bytes | …            (little-endian)
 *
 * Always true: a block has one owner, who is told when it moves; holes never exceed half of what is in use plus one
 * megabyte, so that no order of writes and deletes makes memory grow past a bound. A block larger than a quarter of a
 * slab has a slab of its own. Blocks move only within `allocate` and `release`: ranges are valid until then.
 */
import { assert } from '../base/error.js';

/** Hears that its block lies elsewhere now. */
export type BlockMoved = (owner: number, slab: number, offset: number) => void;

const slabBytes = 256 * 1024;
const headerBytes = 8;
/** Larger blocks get a slab of their own. */
const sharedBytesMax = slabBytes / 4;
const holeSlackBytes = 1024 * 1024;
const nobody = 0xffff_ffff;
const none = Buffer.alloc(0);

/** See the file header. */
export class RetainedBytes {
  /** By slab id; an id that is free holds an empty buffer. */
  readonly slabs: Buffer[] = [];
  /** Where the last `allocate` put its block. */
  slab = 0;
  offset = 0;
  readonly #moved: BlockMoved;
  /** Bytes appended, and those of them that are in use; headers included. */
  readonly #filled: number[] = [];
  readonly #inUse: number[] = [];
  readonly #freeIds: number[] = [];
  #spare: Buffer | undefined;
  #open = -1;
  #filledBytes = 0;
  #inUseBytes = 0;

  constructor(moved: BlockMoved) {
    this.#moved = moved;
  }

  /** Memory held for slabs, bytes. */
  get reservedBytes(): number {
    return this.slabs.reduce((sum, slab) => sum + slab.length, this.#spare?.length ?? 0);
  }

  /** Takes `bytes` for `owner` (u32); `slab` and `offset` say where. */
  allocate(owner: number, bytes: number): void {
    this.#place(owner, bytes);
    // The new block lies in the open slab or alone in its own, neither of which is compacted here.
    this.#compact();
  }

  /** Bytes that fit into the block at `offset` of `slab` without moving it. */
  capacityOf(slab: number, offset: number): number {
    return this.slabs[slab]!.readUInt32LE(offset - 4);
  }

  /** Gives a block back. */
  release(slab: number, offset: number): void {
    const buffer = this.slabs[slab]!;
    assert(buffer.readUInt32LE(offset - headerBytes) !== nobody, 'a retained block is released once');
    buffer.writeUInt32LE(nobody, offset - headerBytes);
    const bytes = buffer.readUInt32LE(offset - 4) + headerBytes;
    const left = this.#inUse[slab]! - bytes;
    this.#inUse[slab] = left;
    this.#inUseBytes -= bytes;
    if (left === 0 && slab !== this.#open) this.#drop(slab);
    this.#compact();
  }

  #place(owner: number, bytes: number): void {
    const need = bytes + headerBytes;
    let slab = this.#open;
    if (need > sharedBytesMax) {
      slab = this.#newSlab(Buffer.allocUnsafeSlow(need));
    } else if (slab < 0 || this.#filled[slab]! + need > slabBytes) {
      if (slab >= 0 && this.#inUse[slab] === 0) this.#drop(slab);
      slab = this.#newSlab(this.#spare ?? Buffer.allocUnsafeSlow(slabBytes));
      this.#spare = undefined;
      this.#open = slab;
    }
    const buffer = this.slabs[slab]!;
    const at = this.#filled[slab]!;
    buffer.writeUInt32LE(owner, at);
    buffer.writeUInt32LE(bytes, at + 4);
    this.#filled[slab] = at + need;
    this.#inUse[slab] = this.#inUse[slab]! + need;
    this.#filledBytes += need;
    this.#inUseBytes += need;
    this.slab = slab;
    this.offset = at + headerBytes;
  }

  #newSlab(buffer: Buffer): number {
    const id = this.#freeIds.pop() ?? this.slabs.length;
    this.slabs[id] = buffer;
    this.#filled[id] = 0;
    this.#inUse[id] = 0;
    return id;
  }

  #drop(slab: number): void {
    const buffer = this.slabs[slab]!;
    if (buffer.length === slabBytes) this.#spare ??= buffer;
    this.slabs[slab] = none;
    this.#filledBytes -= this.#filled[slab]!;
    this.#filled[slab] = 0;
    this.#freeIds.push(slab);
    if (slab === this.#open) this.#open = -1;
  }

  /** Empties the slab with the most holes when there are too many: one slab per call, a fraction of a millisecond. */
  #compact(): void {
    const holes = this.#filledBytes - this.#inUseBytes;
    if (holes <= this.#inUseBytes / 2 + holeSlackBytes) return;
    let worst = -1;
    let most = 0;
    for (let slab = 0; slab < this.slabs.length; slab++) {
      const own = this.#filled[slab]! - this.#inUse[slab]!;
      if (own > most && slab !== this.#open) {
        most = own;
        worst = slab;
      }
    }
    if (worst < 0) return;
    const { slab, offset } = this;
    const source = this.slabs[worst]!;
    const end = this.#filled[worst]!;
    for (let at = 0; at < end;) {
      const owner = source.readUInt32LE(at);
      const bytes = source.readUInt32LE(at + 4);
      at += headerBytes;
      if (owner !== nobody) {
        this.#place(owner, bytes);
        source.copy(this.slabs[this.slab]!, this.offset, at, at + bytes);
        this.#inUseBytes -= bytes + headerBytes;
        this.#moved(owner, this.slab, this.offset);
      }
      at += bytes;
    }
    this.#inUse[worst] = 0;
    this.#drop(worst);
    this.slab = slab;
    this.offset = offset;
  }
}
