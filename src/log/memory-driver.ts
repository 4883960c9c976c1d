/**
 * A store that keeps nothing: for tests and for brokers that may forget. Runs on the shard worker.
 *
 * Always true: it behaves like the durable drivers as long as it is open; values are copied in and out, so a caller
 * may reuse or change its buffers. `sync` succeeds on the next turn; `close` forgets everything.
 * Gives up: durability, and speed of inserts that are not at the end of a queue.
 */
import { assert, OperationalError } from '../base/error.js';
import type { Checkpoint } from './checkpoint.js';
import { assertOffset, assertQueueId, BLOCK_KEY_BYTES } from './keys.js';
import type { Log, LogBatch, StoredBlock } from './log.js';

interface MemoryQueue {
  meta: Uint8Array | undefined;
  readonly blocks: SortedBlocks;
  readonly summaries: SortedBlocks;
  /** By the bytes of the key as Latin-1. */
  readonly keys: Map<string, number>;
}

/** Makes an empty log. */
export function openMemoryLog(): Log {
  return new MemoryLog();
}

/** Offsets ascending, values beside them. */
class SortedBlocks {
  readonly #offsets: number[] = [];
  readonly #values: Uint8Array[] = [];

  put(offset: number, value: Uint8Array): void {
    const at = this.seek(offset);
    if (this.#offsets[at] === offset) {
      this.#values[at] = value;
      return;
    }
    this.#offsets.splice(at, 0, offset);
    this.#values.splice(at, 0, value);
  }

  delete(offset: number): void {
    const at = this.seek(offset);
    if (this.#offsets[at] !== offset) return;
    this.#offsets.splice(at, 1);
    this.#values.splice(at, 1);
  }

  get(offset: number): Uint8Array | undefined {
    const at = this.seek(offset);
    return this.#offsets[at] === offset ? this.#values[at] : undefined;
  }

  /** Index of the first offset at or after `offset`. */
  seek(offset: number): number {
    let low = 0;
    let high = this.#offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#offsets[middle]! < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  at(index: number): StoredBlock | undefined {
    const firstOffset = this.#offsets[index];
    const value = this.#values[index];
    return firstOffset === undefined || value === undefined
      ? undefined
      : { firstOffset, value: Uint8Array.from(value) };
  }
}

class MemoryBatch implements LogBatch {
  readonly operations: ((queues: Map<number, MemoryQueue>) => void)[] = [];

  get operationCount(): number {
    return this.operations.length;
  }

  putQueue(queueId: number, meta: Uint8Array): void {
    assertQueueId(queueId);
    const copy = Uint8Array.from(meta);
    this.operations.push((queues) => {
      queueOf(queues, queueId).meta = copy;
    });
  }

  dropQueue(queueId: number): void {
    assertQueueId(queueId);
    this.operations.push((queues) => void queues.delete(queueId));
  }

  putBlock(queueId: number, firstOffset: number, value: Uint8Array): void {
    assertQueueId(queueId);
    assertOffset(firstOffset);
    const copy = Uint8Array.from(value);
    this.operations.push((queues) => queueOf(queues, queueId).blocks.put(firstOffset, copy));
  }

  putSummary(queueId: number, firstOffset: number, value: Uint8Array): void {
    assertQueueId(queueId);
    assertOffset(firstOffset);
    const copy = Uint8Array.from(value);
    this.operations.push((queues) => queueOf(queues, queueId).summaries.put(firstOffset, copy));
  }

  deleteBlock(queueId: number, firstOffset: number): void {
    assertQueueId(queueId);
    assertOffset(firstOffset);
    this.operations.push((queues) => {
      const queue = queues.get(queueId);
      queue?.blocks.delete(firstOffset);
      queue?.summaries.delete(firstOffset);
    });
  }

  putKey(queueId: number, key: Uint8Array, offset: number): void {
    assertQueueId(queueId);
    assertOffset(offset);
    const name = keyName(key);
    this.operations.push((queues) => void queueOf(queues, queueId).keys.set(name, offset));
  }

  deleteKey(queueId: number, key: Uint8Array): void {
    assertQueueId(queueId);
    const name = keyName(key);
    this.operations.push((queues) => void queues.get(queueId)?.keys.delete(name));
  }

  clear(): void {
    this.operations.length = 0;
  }
}

class MemoryLog implements Log {
  readonly driver = 'memory';
  readonly #queues = new Map<number, MemoryQueue>();
  #open = true;

  queues(): { queueId: number; meta: Uint8Array }[] {
    this.#assertOpen();
    const result: { queueId: number; meta: Uint8Array }[] = [];
    for (const [queueId, { meta }] of this.#queues) {
      if (meta !== undefined) result.push({ queueId, meta: Uint8Array.from(meta) });
    }
    return result.sort((a, b) => a.queueId - b.queueId);
  }

  batch(): LogBatch {
    this.#assertOpen();
    return new MemoryBatch();
  }

  write(batch: LogBatch): void {
    this.#assertOpen();
    assert(batch instanceof MemoryBatch, 'a batch belongs to the log that made it');
    for (const operation of batch.operations) operation(this.#queues);
  }

  sync(done: (error: OperationalError | null) => void): void {
    this.#assertOpen();
    setImmediate(done, null);
  }

  readSummaries(queueId: number, fromOffset: number, countMax: number): StoredBlock[] {
    this.#assertOpen();
    const result: StoredBlock[] = [];
    const summaries = this.#queues.get(queueId)?.summaries;
    if (summaries === undefined) return result;
    for (let index = summaries.seek(fromOffset); result.length < countMax; index += 1) {
      const stored = summaries.at(index);
      if (stored === undefined) break;
      result.push(stored);
    }
    return result;
  }

  readBlocks(queueId: number, fromOffset: number, bytesMax: number): StoredBlock[] {
    this.#assertOpen();
    const result: StoredBlock[] = [];
    const blocks = this.#queues.get(queueId)?.blocks;
    if (blocks === undefined) return result;
    let bytes = 0;
    for (let index = blocks.seek(fromOffset); bytes < bytesMax || result.length === 0; index += 1) {
      const stored = blocks.at(index);
      if (stored === undefined) break;
      result.push(stored);
      bytes += BLOCK_KEY_BYTES + stored.value.length;
    }
    return result;
  }

  readBlock(queueId: number, firstOffset: number): Uint8Array | undefined {
    this.#assertOpen();
    const value = this.#queues.get(queueId)?.blocks.get(firstOffset);
    return value === undefined ? undefined : Uint8Array.from(value);
  }

  readKey(queueId: number, key: Uint8Array): number | undefined {
    this.#assertOpen();
    return this.#queues.get(queueId)?.keys.get(keyName(key));
  }

  readKeys(
    queueId: number,
    afterKey: Uint8Array | undefined,
    countMax: number,
  ): { key: Uint8Array; offset: number }[] {
    this.#assertOpen();
    const keys = this.#queues.get(queueId)?.keys;
    if (keys === undefined) return [];
    const after = afterKey === undefined ? undefined : keyName(afterKey);
    return [...keys]
      .filter(([name]) => after === undefined || name > after)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, countMax)
      .map(([name, offset]) => ({ key: Buffer.from(name, 'latin1'), offset }));
  }

  /** Refused: whoever chose this store said that nothing is to be kept. */
  checkpoint(): Promise<Checkpoint> {
    return Promise.reject(
      new OperationalError('ERR_BACKUP', 'the memory store keeps nothing, so there is no backup of it'),
    );
  }

  diskBytes(): number {
    return 0;
  }

  maintain(_nowMs: number): void {
    this.#assertOpen();
  }

  async close(): Promise<void> {
    this.#open = false;
    this.#queues.clear();
    return Promise.resolve();
  }

  #assertOpen(): void {
    assert(this.#open, 'the log is open');
  }
}

function queueOf(queues: Map<number, MemoryQueue>, queueId: number): MemoryQueue {
  let queue = queues.get(queueId);
  if (queue === undefined) {
    queue = { meta: undefined, blocks: new SortedBlocks(), summaries: new SortedBlocks(), keys: new Map() };
    queues.set(queueId, queue);
  }
  return queue;
}

function keyName(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}
