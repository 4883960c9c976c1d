/**
 * Output of one connection: bytes gather in pooled blocks and leave in one write per turn. Main thread.
 *
 * Always true: order is kept; at most one write is under way; a block is reused only when the kernel has all
 * of it. `bytesWaiting` counts everything that the kernel has not taken; whoever may drop or wait asks
 * `hasRoom` first. Gives up: exactness of the bound for acknowledgements and queue deliveries, which are
 * bounded by packet ids and credit instead.
 *
 *   filled pieces ... | current block [0, offset) | relay      ──flush──▶  transport (one writev, one frame)
 *
 * The relay is a range of a publisher's input that goes out as it came: consecutive packets make it longer, and one copy
 * takes them all, at the latest before the publisher reads on.
 */
import { copyRange } from '../mqtt/bytes.js';
import type { OutboxLimit } from '../session/memory-limit.js';
import type { Outbox } from '../session/wire.js';
import { blockClasses, type BlockPool } from './block-pool.js';
import type { ByteSink } from './transport.js';
import type { Flushable, Turn } from './turn.js';

const noBlock = Buffer.alloc(0);
/** So many bytes leave before the turn ends. */
const burstBytes = 512 * 1024;
const ignore = (): void => undefined;

/** What the outbox tells its connection. */
export interface OutboxOwner {
  /** The kernel has taken everything; called once per `wantDrain`, never within `ensure` or `hasRoom`. */
  onDrained(): void;
  /** Bytes handed to the transport. */
  onBytesOut(bytes: number): void;
}

/** See the file header. */
export class SocketOutbox implements Outbox, Flushable {
  buffer: Buffer = noBlock;
  offset = 0;
  readonly #sink: ByteSink;
  readonly #pool: BlockPool;
  readonly #turn: Turn;
  readonly #limit: OutboxLimit;
  readonly #owner: OutboxOwner;
  #booked = false;
  /** Filled blocks before the current one, and how far each is filled. */
  readonly #pieces: Buffer[] = [];
  readonly #pieceEnds: number[] = [];
  #pieceBytes = 0;
  #classNext = 0;
  /** The relay; both ends are 0 when there is none. */
  #relaySource: Buffer = noBlock;
  #relayStart = 0;
  #relayEnd = 0;
  /** Blocks that the kernel is still reading from. */
  #writing: Buffer[] = [];
  #writingBytes = 0;
  #state: 'open' | 'closed' = 'open';
  #drainWanted = false;
  readonly #written = (error?: Error | null): void => this.#onWritten(error);

  constructor(sink: ByteSink, pool: BlockPool, turn: Turn, limit: OutboxLimit, owner: OutboxOwner) {
    this.#sink = sink;
    this.#pool = pool;
    this.#turn = turn;
    this.#limit = limit;
    this.#owner = owner;
  }

  /** Bytes that may wait, for now. */
  get bytesMax(): number {
    return this.#limit.bytesMax;
  }

  /** Bytes that the kernel has not taken yet. */
  get bytesWaiting(): number {
    return this.#pieceBytes + this.offset + this.#writingBytes + this.#relayEnd - this.#relayStart;
  }

  /** Bytes of the write under way that the kernel has not taken: falls while a slow reader reads. */
  get bytesQueued(): number {
    return this.#sink.bytesQueued;
  }

  /** True while the kernel has not taken a write completely. */
  get isWriting(): boolean {
    return this.#writingBytes > 0;
  }

  hasRoom(bytes: number): boolean {
    const waiting = this.bytesWaiting;
    // An empty outbox takes a message of any size, else one above the bound would wait for ever.
    if (waiting === 0 || waiting + bytes <= this.#limit.bytesMax) return true;
    if (this.#writingBytes > 0) return false;
    // A burst within one turn: full is only what the kernel does not take.
    this.#send();
    const left = this.bytesWaiting;
    return left === 0 || left + bytes <= this.#limit.bytesMax;
  }

  relay(source: Buffer, start: number, end: number): void {
    if (start === this.#relayEnd && source === this.#relaySource) {
      this.#relayEnd = end;
      return;
    }
    this.endRelay();
    this.#relaySource = source;
    this.#relayStart = start;
    this.#relayEnd = end;
    this.#turn.noteRelay(this);
  }

  /** Copies the relay behind what was written. */
  endRelay(): void {
    const start = this.#relayStart;
    const end = this.#relayEnd;
    if (start === end) return;
    const source = this.#relaySource;
    this.#forgetRelay();
    this.ensure(end - start);
    this.offset = copyRange(source, start, end, this.buffer, this.offset);
  }

  ensure(bytes: number): void {
    if (this.#relayStart !== this.#relayEnd) this.endRelay();
    if (this.buffer.length - this.offset < bytes) this.#nextBlock(bytes);
    if (!this.#booked) {
      this.#booked = true;
      this.#turn.flushLater(this);
    }
  }

  /** Asks for one `onDrained` when the kernel has taken everything. */
  wantDrain(): void {
    this.#drainWanted = true;
    if (!this.#booked) {
      this.#booked = true;
      this.#turn.flushLater(this);
    }
  }

  flush(): void {
    this.#booked = false;
    if (this.#state === 'closed') {
      // Written after the end: nobody reads it.
      this.#discard();
      return;
    }
    // While a write is under way its callback flushes the rest.
    if (this.#writingBytes === 0) this.#send();
    this.#tellDrained();
  }

  /** Hands everything to the transport. Calls nobody back: it runs in the middle of `ensure` too. */
  #send(): void {
    this.endRelay();
    const bytes = this.#pieceBytes + this.offset;
    // The relay may have filled so many blocks that they have left.
    if (bytes === 0 || this.#writingBytes > 0) return;
    this.#owner.onBytesOut(bytes);
    this.#writingBytes = bytes;
    if (this.#pieces.length === 0) {
      const block = this.buffer;
      const filled = this.offset === block.length ? block : block.subarray(0, this.offset);
      this.#writing.push(block);
      this.buffer = noBlock;
      this.offset = 0;
      this.#sink.send(filled, this.#written);
    } else {
      this.#sink.sendAll(this.#takePieces(this.#writing), this.#written);
    }
    this.#classNext = 0;
    // The kernel usually takes everything at once: then the blocks are free again without waiting for the callback.
    if (this.#sink.bytesUnsent === 0) this.#release();
  }

  /** Takes out what is filled; the blocks behind it are added to `blocks`. */
  #takePieces(blocks: Buffer[]): Buffer[] {
    const filled: Buffer[] = [];
    for (let i = 0; i < this.#pieces.length; i++) {
      const piece = this.#pieces[i]!;
      blocks.push(piece);
      filled.push(piece.subarray(0, this.#pieceEnds[i]));
    }
    if (this.buffer !== noBlock) {
      blocks.push(this.buffer);
      if (this.offset > 0) filled.push(this.buffer.subarray(0, this.offset));
    }
    this.#pieces.length = 0;
    this.#pieceEnds.length = 0;
    this.#pieceBytes = 0;
    this.buffer = noBlock;
    this.offset = 0;
    return filled;
  }

  /** Hands everything to the transport now, also behind a write that is under way: the last act before it ends. */
  flushLast(): void {
    if (this.#state === 'closed') return;
    if (this.#writingBytes === 0) {
      this.flush();
      return;
    }
    this.endRelay();
    const bytes = this.#pieceBytes + this.offset;
    if (bytes === 0) return;
    this.#owner.onBytesOut(bytes);
    // The transport keeps these blocks; they do not return to the pool.
    const blocks: Buffer[] = [];
    this.#sink.sendAll(this.#takePieces(blocks), ignore);
    for (const block of blocks) this.#limit.add(-block.length);
  }

  /** Forgets what was not sent and returns the blocks that nobody reads from. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#discard();
    // Blocks under way stay with libuv until it has let go of them; the collector gets them.
    for (const block of this.#writing) this.#limit.add(-block.length);
    this.#writing = [];
    this.#writingBytes = 0;
  }

  #forgetRelay(): void {
    this.#relaySource = noBlock;
    this.#relayStart = 0;
    this.#relayEnd = 0;
  }

  #discard(): void {
    this.#forgetRelay();
    for (const piece of this.#pieces) this.#give(piece);
    if (this.buffer !== noBlock) this.#give(this.buffer);
    this.#pieces.length = 0;
    this.#pieceEnds.length = 0;
    this.#pieceBytes = 0;
    this.buffer = noBlock;
    this.offset = 0;
  }

  #nextBlock(bytes: number): void {
    if (this.offset > 0) {
      this.#pieces.push(this.buffer);
      this.#pieceEnds.push(this.offset);
      this.#pieceBytes += this.offset;
      this.offset = 0;
      this.buffer = noBlock;
      // A long burst leaves in pieces, so that the peer may already read and blocks are used again.
      if (this.#pieceBytes >= burstBytes && this.#writingBytes === 0 && this.#state === 'open') this.#send();
    } else if (this.buffer !== noBlock) {
      this.#give(this.buffer);
    }
    this.buffer = this.#pool.take(bytes, this.#classNext);
    this.#limit.add(this.buffer.length);
    this.#classNext = Math.min(this.#classNext + 1, blockClasses.length - 1);
    this.offset = 0;
  }

  #give(block: Buffer): void {
    this.#limit.add(-block.length);
    this.#pool.give(block);
  }

  #onWritten(error: Error | null | undefined): void {
    // The transport reports the error itself and closes.
    if (error !== undefined && error !== null) return;
    if (this.#state === 'closed' || this.#writingBytes === 0 || this.#sink.bytesUnsent > 0) return;
    this.#release();
    this.#send();
    this.#tellDrained();
  }

  #release(): void {
    const blocks = this.#writing;
    for (let i = 0; i < blocks.length; i++) this.#give(blocks[i]!);
    blocks.length = 0;
    this.#writingBytes = 0;
  }

  #tellDrained(): void {
    if (!this.#drainWanted || this.bytesWaiting > 0) return;
    this.#drainWanted = false;
    this.#owner.onDrained();
  }
}
