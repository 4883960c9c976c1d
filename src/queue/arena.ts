/**
 * The block memory of one shard: one fixed SharedArrayBuffer cut into pages. Shard worker; the main thread only reads.
 *
 *   | page 0 | page 1 | page 2 | …    a block lies in one page, or in several neighbours when it is larger;
 *   | B B B ·| B B B ·| B------------B |     several small blocks share a page
 *
 * Always true: a page is handed out again only when no block in it is held and the main thread has passed the last
 * ring frame that points into it (`mayReuse`), so a delivery needs no copy on its way through the ring.
 * Memory is bounded by construction: when no page is free, blocks live in the log only and are read back later.
 * Gives up: a page with one held block cannot be reused.
 */
import { assert } from '../base/error.js';

/** Granularity of reuse. Blocks up to this size share pages. */
export const PAGE_BYTES = 256 * 1024;

/** Largest arena: offsets are shifted as int32. */
export const ARENA_BYTES_MAX = 2 ** 31 - PAGE_BYTES;

/** See the file header. */
export class Arena {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  readonly f64: Float64Array;
  readonly pageCount: number;
  /** Blocks held per page. */
  readonly #held: Int32Array;
  /** Ring position that the reader must have passed before the page may be reused; 0 = never used. */
  readonly #lastUse: Float64Array;
  readonly #used: Uint8Array;
  readonly #mayReuse: (position: number) => boolean;
  /** Page that small blocks are being cut from, or -1, and the next free byte in it. */
  #openPage = -1;
  #openAt = 0;
  #scanFrom = 0;
  #freePages: number;

  /** `memory` is a multiple of PAGE_BYTES. `mayReuse` tells whether the reader has passed a ring position. */
  constructor(memory: SharedArrayBuffer, mayReuse: (position: number) => boolean) {
    assert(memory.byteLength % PAGE_BYTES === 0 && memory.byteLength > 0, 'arena is a whole number of pages');
    assert(memory.byteLength <= ARENA_BYTES_MAX, 'offsets into the arena fit signed 32-bit arithmetic');
    this.bytes = Buffer.from(memory);
    this.words = new Uint32Array(memory);
    this.f64 = new Float64Array(memory);
    this.pageCount = memory.byteLength / PAGE_BYTES;
    this.#held = new Int32Array(this.pageCount);
    this.#lastUse = new Float64Array(this.pageCount);
    this.#used = new Uint8Array(this.pageCount);
    this.#mayReuse = mayReuse;
    this.#freePages = this.pageCount;
  }

  /** Pages that hold nothing (some may still wait for the reader). */
  get freePages(): number {
    return this.#freePages;
  }

  /**
   * Memory for a block of `bytes`, 8-byte aligned: byte offset into the arena, or -1 when there is none now.
   * The block is held until `release(offset, bytes)`. Amortised O(1); O(pages) when a page must be found.
   */
  allocate(bytes: number): number {
    const need = (bytes + 7) & ~7;
    if (need > PAGE_BYTES) return this.#allocatePages(Math.ceil(need / PAGE_BYTES));
    if (this.#openPage < 0 || this.#openAt + need > PAGE_BYTES) {
      this.#closeOpenPage();
      const page = this.#findPages(1);
      if (page < 0) return -1;
      this.#used[page] = 1;
      this.#freePages--;
      this.#openPage = page;
      this.#openAt = 0;
    }
    const offset = this.#openPage * PAGE_BYTES + this.#openAt;
    this.#openAt += need;
    this.#held[this.#openPage] = (this.#held[this.#openPage] as number) + 1;
    return offset;
  }

  /** Ends the hold on a block. */
  release(offset: number, bytes: number): void {
    const first = Math.floor(offset / PAGE_BYTES);
    const last = Math.floor((offset + Math.max(bytes, 1) - 1) / PAGE_BYTES);
    for (let page = first; page <= last; page++) {
      const held = (this.#held[page] as number) - 1;
      assert(held >= 0, 'a block is released once');
      this.#held[page] = held;
      if (held === 0 && page !== this.#openPage) this.#free(page);
    }
  }

  /** Remembers that a ring frame up to `position` points into `bytes` at `offset`. */
  touch(offset: number, bytes: number, position: number): void {
    const last = Math.floor((offset + bytes - 1) / PAGE_BYTES);
    for (let page = Math.floor(offset / PAGE_BYTES); page <= last; page++) this.#lastUse[page] = position;
  }

  #closeOpenPage(): void {
    const page = this.#openPage;
    this.#openPage = -1;
    if (page >= 0 && this.#held[page] === 0) this.#free(page);
  }

  #free(page: number): void {
    this.#used[page] = 0;
    this.#freePages++;
  }

  #allocatePages(count: number): number {
    // An open page that holds nothing may be the one that parts two free neighbours.
    if (this.#openPage >= 0 && this.#held[this.#openPage] === 0) this.#closeOpenPage();
    const page = this.#findPages(count);
    if (page < 0) return -1;
    for (let i = page; i < page + count; i++) {
      this.#used[i] = 1;
      this.#held[i] = 1;
    }
    this.#freePages -= count;
    return page * PAGE_BYTES;
  }

  /** First of `count` neighbouring reusable pages, searching round from the last find, or -1. */
  #findPages(count: number): number {
    if (this.#freePages < count) return -1;
    let run = 0;
    for (let i = 0; i < this.pageCount + count; i++) {
      const page = (this.#scanFrom + i) % this.pageCount;
      if (page === 0) run = 0;
      run = this.#used[page] === 0 && this.#mayReuse(this.#lastUse[page] as number) ? run + 1 : 0;
      if (run === count) {
        this.#scanFrom = (page + 1) % this.pageCount;
        return page - count + 1;
      }
    }
    return -1;
  }
}
