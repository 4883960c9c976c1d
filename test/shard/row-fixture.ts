/**
 * A client that puts rows into the shards of a pool and hears how each write ended. Test process.
 *
 * Always true: every write settles once; `order` has the numbers of the writes as they settled.
 */
import { expect } from 'vitest';
import type { PublisherHandle, PublishStatus, RowStore, Shards } from '../../src/shard/link.js';
import { packet } from './fake-worker.js';
import { until } from './pool-fixture.js';

/** A row as it is read back. */
export type ReadRow = [shardId: number, rowId: number, value: string];

/** See the file header. */
export class RowClient {
  readonly context = { clientId: 'rows', username: undefined, peername: '127.0.0.1:1', protocolVersion: 5 };
  /** By number of the write; undefined while it is on its way. */
  readonly status: (PublishStatus | undefined)[] = [];
  readonly order: number[] = [];
  readonly #shards: Shards;
  readonly #handle: PublisherHandle;

  constructor(shards: Shards) {
    this.#shards = shards;
    this.#handle = shards.openPublisher(this);
  }

  onSettled(firstToken: number, count: number, status: PublishStatus): void {
    for (let token = firstToken; token < firstToken + count; token++) {
      expect(this.status[token], `write ${token} settles once`).toBeUndefined();
      this.status[token] = status;
      this.order.push(token);
    }
  }

  /** Puts a row, or deletes it; returns the number of the write. */
  put(shardId: number, store: RowStore, rowId: number, value: string | undefined, joins = false): number {
    const number = this.status.push(undefined) - 1;
    const bytes = value === undefined ? undefined : Buffer.from(value);
    this.#shards.putRow(shardId, this.#handle, number, store, rowId, bytes, joins);
    return number;
  }

  /** Publishes a number to a queue; returns the number of the write. */
  publish(shardId: number, queueId: number, payload: string): number {
    const number = this.status.push(undefined) - 1;
    this.#shards.publish(shardId, this.#handle, number, new Uint32Array([queueId]), packet('jobs', payload));
    return number;
  }

  async room(shardId: number, bytes: number): Promise<void> {
    while (!this.#shards.hasRoom(shardId, bytes)) {
      await new Promise<void>((resume) => this.#shards.whenRoom(shardId, resume));
    }
  }

  async settled(): Promise<void> {
    await until(() => this.order.length === this.status.length, 'every write settles');
  }
}

/** All rows of a store. */
export async function readAll(shards: Shards, store: RowStore): Promise<ReadRow[]> {
  const rows: ReadRow[] = [];
  await shards.readRows(store, (shardId, rowId, value) =>
    rows.push([shardId, rowId, Buffer.from(value).toString()]),
  );
  return rows;
}
