/**
 * Free lists of output blocks for all connections of one gateway. Main thread.
 *
 * Always true: a block is owned by one outbox from `take` to `give`; an idle connection owns none, so ten
 * thousand silent connections cost no output memory. Three size classes: a connection that fills a block
 * within one turn gets the next larger one, so a busy turn leaves in one or two pieces.
 * Gives up: blocks beyond `keptBytesMax` go to the garbage collector.
 */
import { assert } from '../base/error.js';

/** Sizes of pooled blocks; larger requests get a buffer of their own. */
export const blockClasses = [16 * 1024, 64 * 1024, 256 * 1024] as const;

/** See the file header. */
export class BlockPool {
  readonly #free: Buffer[][] = blockClasses.map(() => []);
  readonly #keptBytesMax: number;
  #keptBytes = 0;

  constructor(keptBytesMax = 16 * 1024 * 1024) {
    this.#keptBytesMax = keptBytesMax;
  }

  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** A block of at least `bytesMin`, and of class `classMin` or larger when it is pooled. Contents are arbitrary. */
  take(bytesMin: number, classMin = 0): Buffer {
    for (let index = classMin; index < blockClasses.length; index++) {
      const size = blockClasses[index]!;
      if (size < bytesMin) continue;
      const block = this.#free[index]!.pop();
      if (block === undefined) return Buffer.allocUnsafeSlow(size);
      this.#keptBytes -= size;
      return block;
    }
    return Buffer.allocUnsafeSlow(bytesMin);
  }

  /** Takes a block back; its owner must not touch it any more. */
  give(block: Buffer): void {
    assert(block.byteOffset === 0, 'only whole blocks return to the pool');
    const index = (blockClasses as readonly number[]).indexOf(block.length);
    if (index < 0 || this.#keptBytes + block.length > this.#keptBytesMax) return;
    this.#keptBytes += block.length;
    this.#free[index]!.push(block);
  }
}
