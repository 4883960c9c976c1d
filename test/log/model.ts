/**
 * A naive log in memory, the oracle of the random tests: one map per kind of record, no order, no cleverness.
 * It draws random batches from a seed, applies them to itself and compares everything that can be read.
 */
import { expect } from 'vitest';
import type { Log, LogBatch } from '../../src/log/log.js';

const QUEUES = 4;
const OFFSETS = 60;
const KEYS = 12;

export class MemoryModel {
  readonly #metas = new Map<number, string>();
  readonly #blocks = new Map<string, string>();
  readonly #summaries = new Map<string, string>();
  readonly #keys = new Map<string, number>();
  #state: number;
  /** Offsets move on, as a queue's do, so that old segments and files go out of use. */
  #base = 0;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from 0 to `below` - 1 (mulberry32). */
  random(below: number): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  /** Puts random operations into the batch and applies them to the model. */
  fill(batch: LogBatch): void {
    this.#base += this.random(3);
    const count = this.random(12);
    for (let index = 0; index < count; index += 1) this.#operation(batch);
  }

  expectSame(log: Log): void {
    expect(log.queues().map(({ queueId, meta }) => [queueId, latin1(meta)])).toEqual(
      [...this.#metas].sort(([a], [b]) => a - b),
    );
    for (let queueId = 0; queueId < QUEUES; queueId += 1) {
      const from = this.#base - this.random(OFFSETS);
      for (const fromOffset of [0, Math.max(0, from)]) {
        const blocks = log
          .readBlocks(queueId, fromOffset, 1e9)
          .map(({ firstOffset, value }) => [firstOffset, latin1(value)]);
        expect(blocks).toEqual(listed(this.#blocks, queueId, fromOffset));
        const summaries = log
          .readSummaries(queueId, fromOffset, 1e6)
          .map(({ firstOffset, value }) => [firstOffset, latin1(value)]);
        expect(summaries).toEqual(listed(this.#summaries, queueId, fromOffset));
      }
      const keys = log.readKeys(queueId, undefined, 1000).map(({ key, offset }) => [latin1(key), offset]);
      const expected = [...this.#keys]
        .filter(([name]) => name.startsWith(`${queueId}/`))
        .map(([name, offset]) => [name.slice(2), offset]);
      expect(keys).toEqual(expected.sort(([a], [b]) => (a! < b! ? -1 : 1)));
      for (let index = 0; index < KEYS; index += 1) {
        expect(log.readKey(queueId, Buffer.from(`key ${index}`))).toBe(
          this.#keys.get(`${queueId}/key ${index}`),
        );
      }
      const offset = this.#base + this.random(OFFSETS);
      const block = log.readBlock(queueId, offset);
      expect(block === undefined ? undefined : latin1(block)).toBe(this.#blocks.get(`${queueId}/${offset}`));
    }
  }

  #operation(batch: LogBatch): void {
    const queueId = this.random(QUEUES);
    const offset = this.#base + this.random(OFFSETS);
    const name = `${queueId}/${offset}`;
    const key = `key ${this.random(KEYS)}`;
    const kind = this.random(100);
    if (kind < 30) {
      const value = `${name} ${'b'.repeat(this.random(600))}`;
      batch.putBlock(queueId, offset, Buffer.from(value));
      this.#blocks.set(name, value);
    } else if (kind < 45) {
      const value = `${name} ${'s'.repeat(this.random(40))}`;
      batch.putSummary(queueId, offset, Buffer.from(value));
      this.#summaries.set(name, value);
    } else if (kind < 70) {
      const old = this.random(2) === 0 ? name : (this.#anyBlock(queueId) ?? name);
      batch.deleteBlock(queueId, Number(old.slice(2)));
      this.#blocks.delete(old);
      this.#summaries.delete(old);
    } else if (kind < 82) {
      batch.putKey(queueId, Buffer.from(key), offset);
      this.#keys.set(`${queueId}/${key}`, offset);
    } else if (kind < 90) {
      batch.deleteKey(queueId, Buffer.from(key));
      this.#keys.delete(`${queueId}/${key}`);
    } else if (kind < 98) {
      batch.putQueue(queueId, Buffer.from(`meta ${offset}`));
      this.#metas.set(queueId, `meta ${offset}`);
    } else {
      batch.dropQueue(queueId);
      this.#metas.delete(queueId);
      for (const map of [this.#blocks, this.#summaries, this.#keys]) {
        for (const entry of map.keys()) if (entry.startsWith(`${queueId}/`)) map.delete(entry);
      }
    }
  }

  #anyBlock(queueId: number): string | undefined {
    const names = [...this.#blocks.keys()].filter((name) => name.startsWith(`${queueId}/`));
    return names[this.random(names.length)];
  }
}

function listed(map: ReadonlyMap<string, string>, queueId: number, fromOffset: number): [number, string][] {
  return [...map]
    .filter(([name]) => name.startsWith(`${queueId}/`))
    .map(([name, value]): [number, string] => [Number(name.slice(2)), value])
    .filter(([offset]) => offset >= fromOffset)
    .sort(([a], [b]) => a - b);
}

function latin1(value: Uint8Array): string {
  return Buffer.from(value).toString('latin1');
}
