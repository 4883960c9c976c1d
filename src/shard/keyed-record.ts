/**
 * Copies a record and gives the copy its last-value key. Shard worker.
 *
 * Always true: the copy is a complete record at offset 0 of `memory`, valid until the next call. Layout:
 * log/record-format.ts. Last-value queues pay this copy; regular queues are copied in runs.
 */
import { RecordWord, bodyStart } from '../log/record-format.js';
import type { RecordMemory } from '../queue/record.js';

/** See the file header. */
export class KeyedRecord {
  #memory = viewsOf(new ArrayBuffer(64 * 1024));

  get memory(): RecordMemory {
    return this.#memory;
  }

  /** Makes the copy; returns its length in bytes. */
  build(source: RecordMemory, at: number, key: string): number {
    const keyBytes = Buffer.byteLength(key);
    const word = at >> 2;
    const bodyLength = source.words[word + RecordWord.bodyLength] as number;
    const clientIdLength = (source.words[word + RecordWord.tailLengths] as number) & 0xffff;
    // Header and body padding are kept, so the copy is read like the original.
    const bodyAt = bodyStart(source.words, at) - at;
    const keyAt = bodyAt + bodyLength + clientIdLength;
    const length = (keyAt + keyBytes + 7) & ~7;
    if (length > this.#memory.bytes.length)
      this.#memory = viewsOf(new ArrayBuffer(2 ** Math.ceil(Math.log2(length))));
    const { bytes, words } = this.#memory;
    source.bytes.copy(bytes, 0, at, at + keyAt);
    bytes.write(key, keyAt, 'utf8');
    bytes.fill(0, keyAt + keyBytes, length);
    words[RecordWord.length] = length;
    words[RecordWord.tailLengths] = clientIdLength | (keyBytes << 16);
    return length;
  }
}

function viewsOf(memory: ArrayBuffer): RecordMemory {
  return { bytes: Buffer.from(memory), words: new Uint32Array(memory), f64: new Float64Array(memory) };
}
