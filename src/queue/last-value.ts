/**
 * What makes a queue a last-value queue: the key of a message, and the end of an older message of the same key.
 * Shard worker; part of `Queue`, absent in regular queues.
 *
 *   append(key) ─▶ older message is …  with a consumer  superseded: settled whatever the client answers
 *                                      waiting, unread, only in the log  gone now
 *                                      done, not yet written  its deletion goes with the new value
 *
 * Always true: every message past the cursor that is not done has an entry in `#taken`; a key whose message is done is
 * forgotten by the next flush, never before; a block holds one message. Source: REF 5.
 */
import type { LogBatch } from '../log/log.js';
import type { Backlog } from './backlog.js';
import type { Block } from './block.js';
import type { QueueHost } from './host.js';
import { EntryFlag } from './in-flight.js';
import type { KeyContext } from './key-expression/context.js';
import { KeyEvaluationError } from './key-expression/error.js';
import { compileKeyExpression, type KeyExpression } from './key-expression/key-expression.js';
import { LastValueIndex } from './last-value-index.js';
import type { Ledger } from './ledger.js';
import type { QueueCounters } from './queue-counters.js';
import { readSummary } from './stored-summary.js';

/** A record keeps the length of its key in 16 bits. */
const KEY_BYTES_MAX = 65_535;

/** The parts of the queue that it works on. */
export interface LastValueParts {
  readonly backlog: Backlog;
  readonly ledger: Ledger;
  readonly counters: QueueCounters;
}

/** See the file header. */
export class LastValue {
  readonly #host: QueueHost;
  readonly #queueId: number;
  readonly #parts: LastValueParts;
  /** Newest offset per key. */
  readonly #index: LastValueIndex;
  #keyExpressionText: string;
  #keyExpression: KeyExpression;
  /** Entry and key of every message past the cursor that is not done, by offset. */
  readonly #taken = new Map<number, { readonly slot: number; readonly key: string }>();
  /** Keys whose message is done, to be forgotten with the next flush. */
  readonly #doneKeys = new Map<string, Block>();
  /** Bytes of messages that only the log will hold and that are not committed yet, by offset. */
  readonly #uncommittedStored = new Map<number, number>();

  constructor(host: QueueHost, queueId: number, keyExpression: string, parts: LastValueParts) {
    this.#host = host;
    this.#queueId = queueId;
    this.#parts = parts;
    this.#index = new LastValueIndex(host, queueId);
    this.#keyExpressionText = keyExpression;
    this.#keyExpression = compileKeyExpression(keyExpression);
  }

  /** True when keys are to be forgotten in the log. */
  get isDirty(): boolean {
    return this.#doneKeys.size > 0;
  }

  /** Another key expression holds from the next message on. */
  setKeyExpression(text: string): void {
    if (text === this.#keyExpressionText) return;
    this.#keyExpression = compileKeyExpression(text);
    this.#keyExpressionText = text;
  }

  /** Key of a message. Throws `KeyEvaluationError`. */
  keyOf(context: KeyContext): string {
    const key = this.#keyExpression.evaluate(context);
    if (key.length > KEY_BYTES_MAX / 3 && Buffer.byteLength(key) > KEY_BYTES_MAX) {
      throw new KeyEvaluationError('limit', `the key is longer than ${KEY_BYTES_MAX} bytes`);
    }
    // Half a surrogate pair does not survive UTF-8, and the key must be the same when it is read back.
    return /\p{Surrogate}/u.test(key) ? Buffer.from(key).toString() : key;
  }

  /** True when a message of `key` is one message more. */
  isNew(key: string): boolean {
    return this.#doneKeys.has(key) || this.#index.get(key) === undefined;
  }

  /** A newer message of `key` is being stored: an older one which was not sent yet disappears. */
  endOlder(key: string, batch: LogBatch): void {
    const done = this.#doneKeys.get(key);
    if (done === undefined) {
      const previous = this.#index.get(key);
      if (previous !== undefined && this.#overwrite(previous, batch)) this.#parts.counters.overwritten++;
    } else {
      // Its ack is not in the log yet: it goes with the new value, or a crash could bring the old one back.
      this.#doneKeys.delete(key);
      this.#parts.ledger.deleteBlock(done, batch);
    }
  }

  /** The newest message of `key` is the one at `offset`. */
  set(key: string, offset: number, batch: LogBatch): void {
    this.#index.set(key, offset, batch);
  }

  /** The message at `offset` is on its way to the log and not in memory. */
  noteStored(offset: number, bytes: number): void {
    this.#uncommittedStored.set(offset, bytes);
  }

  /** The log holds everything below `endOffset`. */
  commit(endOffset: number): void {
    this.#index.committed();
    for (const offset of this.#uncommittedStored.keys()) {
      if (offset >= endOffset) break;
      this.#uncommittedStored.delete(offset);
    }
  }

  /** The cursor has passed a message; entry `slot` holds it. */
  take(offset: number, slot: number, key: string): void {
    this.#taken.set(offset, { slot, key });
  }

  /** The message of a taken block is done. */
  settled(block: Block): void {
    const taken = this.#taken.get(block.firstOffset);
    this.#taken.delete(block.firstOffset);
    if (taken !== undefined && !block.deleted) this.#doneKeys.set(taken.key, block);
  }

  /** An unread message is done. */
  endUnread(key: string, block: Block): void {
    this.#doneKeys.set(key, block);
  }

  /** A message that only the log holds is over. */
  endStored(key: string, offset: number, batch: LogBatch): void {
    this.#uncommittedStored.delete(offset);
    this.#index.forget(key, offset, batch);
  }

  /** Keys whose message is done leave the log. */
  flush(batch: LogBatch): void {
    for (const [key, { firstOffset }] of this.#doneKeys) this.#index.forget(key, firstOffset, batch);
    this.#doneKeys.clear();
  }

  clear(): void {
    this.#taken.clear();
    this.#doneKeys.clear();
    this.#uncommittedStored.clear();
    this.#index.clear();
  }

  /** The message at `offset` has a newer value: it is not sent any more. False when there is none. */
  #overwrite(offset: number, batch: LogBatch): boolean {
    const { backlog, ledger } = this.#parts;
    const taken = this.#taken.get(offset);
    if (taken !== undefined) {
      const { flags, blocks, consumer } = this.#host.inFlight;
      flags[taken.slot] = (flags[taken.slot] as number) | EntryFlag.superseded;
      // Whatever the client answers, it is settled then; on disk it ends now.
      ledger.deleteBlock(blocks[taken.slot] as Block, batch);
      if (consumer[taken.slot] === -1) this.#endWaiting(taken.slot);
      return true;
    }
    const unread = backlog.find(offset);
    if (unread !== undefined) {
      if (unread.deleted) return false;
      ledger.add(-1, -unread.liveBytes);
      ledger.deleteBlock(unread, batch);
      backlog.drop(unread);
      return true;
    }
    const bytes = this.#uncommittedStored.get(offset) ?? this.#storedBytes(offset);
    if (bytes === undefined) return false;
    this.#uncommittedStored.delete(offset);
    ledger.add(-1, -bytes);
    batch.deleteBlock(this.#queueId, offset);
    return true;
  }

  /** Bytes of a message that only the log holds; undefined when it is gone or cannot be read. */
  #storedBytes(offset: number): number | undefined {
    const [stored] = this.#host.readSummaries(this.#queueId, offset, 1);
    if (stored?.firstOffset !== offset) return undefined;
    return readSummary(stored.value)?.recordBytes;
  }

  /** Settles an overwritten message that waits for a consumer; its entry is freed when its turn comes. */
  #endWaiting(slot: number): void {
    const { flags, blocks, recordIndex, recordBytes } = this.#host.inFlight;
    const block = blocks[slot] as Block;
    flags[slot] = EntryFlag.void;
    this.#taken.delete(block.firstOffset);
    this.#parts.ledger.settle(block, recordIndex[slot] as number, recordBytes[slot] as number);
  }
}
