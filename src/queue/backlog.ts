/**
 * The messages of one queue that no consumer has been given yet, in order, and the cursor over them. Shard worker.
 *
 *   offsets   ──── taken ────▶|◀── in memory ──▶|◀────── gap: only in the log ──────▶|◀ being committed
 *                          cursor            gapStart                              gapEnd
 *
 * Always true: blocks in memory come before the gap; once there is a gap, new blocks join it (they are not kept in
 * memory), until the cursor has read it back to its end. Nothing at or past `committedEnd` is given out.
 * Memory is bounded by the arena; ten million waiting messages are a gap of two numbers.
 */
import { assert } from '../base/error.js';
import { BLOCK_HEADER_BYTES, checkBlock } from '../log/record-format.js';
import { Block } from './block.js';
import type { QueueHost } from './host.js';
import { readSummary } from './stored-summary.js';

/** How much is read back from the log at once. */
const READ_BACK_BYTES = 256 * 1024;

/** Whether there is a record under the cursor, and if not, why. */
export type CursorState = 'ready' | 'caught-up' | 'memory-full';

/** See the file header. */
export class Backlog {
  readonly #host: QueueHost;
  readonly #queueId: number;
  /** Unread blocks in memory, ascending; `#head` is the first one not yet finished. */
  #blocks: Block[] = [];
  #head = 0;
  #deadBlocks = 0;
  /** Arena bytes of the unread blocks. */
  #memoryBytes = 0;
  #gapStart = 0;
  #gapEnd = 0;
  #committedEnd = 0;
  /** Position inside the head block: record index and byte offset of the record from the block's header. */
  #index = 0;
  #at = BLOCK_HEADER_BYTES;
  /** Block whose memory is just being found: it must not be shed. */
  #loading: Block | null = null;

  constructor(host: QueueHost, queueId: number) {
    this.#host = host;
    this.#queueId = queueId;
  }

  /** Puts everything stored in [fromOffset, endOffset) into the gap. Only before first use. */
  recover(fromOffset: number, endOffset: number): void {
    this.#gapStart = fromOffset;
    this.#gapEnd = endOffset;
    this.#committedEnd = endOffset;
  }

  get hasGap(): boolean {
    return this.#gapStart < this.#gapEnd;
  }

  /** The first unread block that is known, loaded or not; undefined when there is only the gap, or nothing. */
  get firstUnread(): Block | undefined {
    return this.#blocks[this.#head];
  }

  /** True when no unread block is known but those of the gap. */
  get isAtGap(): boolean {
    return this.hasGap && this.firstUnread === undefined;
  }

  get gapStart(): number {
    return this.#gapStart;
  }

  /** Offset up to which messages may be given out. */
  get committedEnd(): number {
    return this.#committedEnd;
  }

  commit(endOffset: number): void {
    // A purge may have moved it past commits that were under way.
    if (endOffset > this.#committedEnd) this.#committedEnd = endOffset;
  }

  /** True when a block appended now should be kept in memory, as long as `cacheBytesMax` are not used up. */
  keepsNewBlocks(cacheBytesMax: number): boolean {
    return !this.hasGap && this.#memoryBytes < cacheBytesMax;
  }

  /** Appends a block that is in memory. There must be no gap. */
  push(block: Block): void {
    assert(!this.hasGap, 'blocks in memory come before the gap');
    this.#blocks.push(block);
    this.#memoryBytes += block.memoryBytes;
    this.#gapStart = this.#gapEnd = block.endOffset;
  }

  /** Appends a block that only the log holds. */
  pushStored(firstOffset: number, endOffset: number): void {
    if (!this.hasGap) this.#gapStart = firstOffset;
    this.#gapEnd = endOffset;
  }

  /** Moves the cursor to the next live record and says whether there is one. Skips records that are done. */
  seek(): CursorState {
    for (;;) {
      const block = this.#blocks[this.#head];
      if (block === undefined) {
        if (!this.hasGap || this.#gapStart >= this.#committedEnd) return 'caught-up';
        if (!this.#readBack()) return 'memory-full';
        continue;
      }
      if (block.firstOffset >= this.#committedEnd) return 'caught-up';
      if (block.deleted || this.#index === block.summary.recordCount) {
        this.#nextBlock();
        continue;
      }
      if (block.memoryAt < 0 && !this.#load(block)) return 'memory-full';
      if (!block.isDone(this.#index)) return 'ready';
      this.advance();
    }
  }

  /** Block under the cursor. Only after `seek` said `ready`. */
  get block(): Block {
    return this.#blocks[this.#head] as Block;
  }

  /** Index in its block of the record under the cursor. */
  get index(): number {
    return this.#index;
  }

  /** Byte offset of the record under the cursor from its block's header. */
  get at(): number {
    return this.#at;
  }

  /** Byte length of the record under the cursor. */
  get recordBytes(): number {
    return this.#host.arena.words[(this.block.memoryAt + this.#at) >> 2] as number;
  }

  /** Steps over the record under the cursor. */
  advance(): void {
    this.#at += this.recordBytes;
    this.#index++;
    if (this.#index === this.block.summary.recordCount) this.#nextBlock();
  }

  /** The unread block in memory that holds `offset`, or undefined. Binary search. */
  find(offset: number): Block | undefined {
    let low = this.#head;
    let high = this.#blocks.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const block = this.#blocks[middle] as Block;
      if (offset < block.firstOffset) high = middle - 1;
      else if (offset >= block.endOffset) low = middle + 1;
      else return block;
    }
    return undefined;
  }

  /** A block in the middle is done: its memory is given back, and its place when many have gathered. */
  drop(block: Block): void {
    this.#release(block);
    // The head block leaves by itself when the cursor passes it.
    if (++this.#deadBlocks < 64 || this.#deadBlocks * 2 < this.#blocks.length - this.#head) return;
    this.#blocks = this.#blocks.filter((each, i) => i >= this.#head && (!each.deleted || i === this.#head));
    this.#head = 0;
    this.#deadBlocks = 0;
    this.#recountMemory();
  }

  /** Unread blocks in memory, from the cursor's on. */
  *unread(): IterableIterator<Block> {
    for (let i = this.#head; i < this.#blocks.length; i++) yield this.#blocks[i] as Block;
  }

  /** Makes sure that a block's bytes are in memory. False when the arena is full. */
  load(block: Block): boolean {
    return block.memoryAt >= 0 || this.#load(block);
  }

  /**
   * Gives back memory of unread blocks until `enough` pages of the arena are free, those farthest from the cursor first:
   * they become part of the gap; one that the cursor is inside of, or that may not yet leave, is loaded again when its
   * turn comes. So a queue that nobody reads holds no memory in the end. True when something was freed.
   */
  shed(enough: number): boolean {
    let freed = this.#shedTail(enough);
    const { arena } = this.#host;
    for (let i = this.#blocks.length - 1; i >= this.#head && arena.freePages < enough; i--) {
      const block = this.#blocks[i] as Block;
      // What is not committed may not be readable yet.
      if (block.memoryAt < 0 || block.endOffset > this.#committedEnd) continue;
      this.#release(block);
      freed = true;
    }
    return freed;
  }

  #shedTail(enough: number): boolean {
    const head = this.#blocks[this.#head];
    const first = this.#index === 0 && head !== this.#loading ? this.#head : this.#head + 1;
    const last = this.#blocks.at(-1);
    // Uncommitted blocks may not be readable yet; they stay.
    if (last === undefined || last.endOffset > this.#committedEnd) return false;
    const { arena } = this.#host;
    let from = this.#blocks.length;
    while (from > first && arena.freePages < enough) {
      const block = this.#blocks[from - 1] as Block;
      if (block.dirty && !block.deleted) break;
      this.#release(block);
      from--;
    }
    if (from === this.#blocks.length) return false;
    if (!this.hasGap) this.#gapEnd = last.endOffset;
    this.#gapStart = (this.#blocks[from] as Block).firstOffset;
    this.#blocks.length = from;
    this.#recountMemory();
    return true;
  }

  #recountMemory(): void {
    this.#memoryBytes = 0;
    for (const block of this.unread()) this.#memoryBytes += block.memoryBytes;
  }

  /** Forgets everything; the next message has offset `endOffset`. */
  clear(endOffset: number): void {
    for (const block of this.unread()) this.#release(block);
    this.#blocks = [];
    this.#memoryBytes = 0;
    this.#head = 0;
    this.#deadBlocks = 0;
    this.#index = 0;
    this.#at = BLOCK_HEADER_BYTES;
    this.#gapStart = this.#gapEnd = endOffset;
    this.#committedEnd = endOffset;
  }

  /** Skips the gap up to `offset`: everything before it is gone from the log. */
  skipGap(offset: number): void {
    this.#gapStart = Math.max(this.#gapStart, Math.min(offset, this.#gapEnd));
  }

  #nextBlock(): void {
    const block = this.#blocks[this.#head] as Block;
    this.#memoryBytes -= block.memoryBytes;
    if (block.deleted || (block.liveCount === 0 && block.unsettled === 0)) this.#release(block);
    this.#head++;
    this.#index = 0;
    this.#at = BLOCK_HEADER_BYTES;
    if (this.#head === this.#blocks.length) {
      this.#blocks.length = 0;
      this.#head = 0;
      this.#deadBlocks = 0;
    } else if (this.#head >= 256 && this.#head * 2 > this.#blocks.length) {
      this.#blocks = this.#blocks.slice(this.#head);
      this.#head = 0;
    }
  }

  #release(block: Block): void {
    if (block.memoryAt < 0) return;
    this.#host.arena.release(block.memoryAt, block.memoryBytes);
    block.memoryAt = -1;
  }

  #load(block: Block): boolean {
    const value = this.#host.readBlock(this.#queueId, block.firstOffset);
    assert(value !== undefined, 'a live block is in the log');
    checkBlock(value);
    this.#loading = block;
    const memoryAt = this.#copyIn(value, true);
    this.#loading = null;
    if (memoryAt < 0) return false;
    block.memoryAt = memoryAt;
    return true;
  }

  /** Reads the next part of the gap into memory. False when the arena has no room for even one block. */
  #readBack(): boolean {
    const stored = this.#host.readBlocks(this.#queueId, this.#gapStart, READ_BACK_BYTES);
    const first = stored[0];
    if (first === undefined || first.firstOffset >= this.#gapEnd) {
      this.#gapStart = this.#gapEnd;
      return true;
    }
    // Blocks and summaries were written together, but a skipped (corrupt) block keeps its summary: match by offset.
    const summaries = new Map<number, Uint8Array>();
    const last = (stored.at(-1) as { firstOffset: number }).firstOffset;
    let from = first.firstOffset;
    while (from <= last) {
      const page = this.#host.readSummaries(this.#queueId, from, stored.length);
      if (page.length === 0) break;
      for (const each of page) summaries.set(each.firstOffset, each.value);
      from = (page.at(-1) as { firstOffset: number }).firstOffset + 1;
    }
    for (const { firstOffset, value } of stored) {
      if (firstOffset >= this.#gapEnd) break;
      let block: Block;
      let end: number;
      try {
        const summaryBytes = summaries.get(firstOffset);
        const summary = summaryBytes === undefined ? undefined : readSummary(summaryBytes);
        assert(summary !== undefined, 'a block has a summary that is not damaged');
        end = firstOffset + summary.recordCount;
        assert(checkBlock(value) === summary.recordCount, 'block and summary agree');
        // Reclaiming may shed this queue's own blocks; only with none in memory is that harmless here.
        const memoryAt = this.#copyIn(value, this.#blocks.length === this.#head);
        if (memoryAt < 0) return this.#blocks.length > this.#head;
        block = new Block(firstOffset, summary, memoryAt, value.byteLength);
      } catch (error) {
        this.#host.onCorruptBlock(this.#queueId, firstOffset, error);
        this.#gapStart = firstOffset + 1;
        continue;
      }
      this.#blocks.push(block);
      this.#memoryBytes += block.memoryBytes;
      this.#gapStart = end;
    }
    return true;
  }

  #copyIn(value: Uint8Array, mayReclaim: boolean): number {
    const arena = this.#host.arena;
    let memoryAt = arena.allocate(value.byteLength);
    if (memoryAt < 0 && mayReclaim && this.#host.reclaimMemory()) memoryAt = arena.allocate(value.byteLength);
    if (memoryAt >= 0) arena.bytes.set(value, memoryAt);
    return memoryAt;
  }
}
