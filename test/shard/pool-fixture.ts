/**
 * A shard pool with real workers over a directory of its own, and clients that check what they are told. Test process.
 *
 * Always true: the pool comes from the compiled code, as its workers do.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { QueueDefinition } from '../../src/queue/definition.js';
import type { Attachment, Consumer, Delivery, PublisherHandle, PublishStatus } from '../../src/shard/link.js';
import type { PoolOptions, ShardPool } from '../../src/shard/pool.js';
import { compiledUrl } from '../harness/compiled.js';
import { definitionWith } from '../queue/fake-host.js';
import { packet } from './fake-worker.js';

const { ShardPool: Pool } = (await import(compiledUrl('shard/pool.js'))) as {
  ShardPool: new (options: PoolOptions) => ShardPool;
};
const { createCounterMemory } = (await import(compiledUrl('telemetry/counter.js'))) as {
  createCounterMemory: (shards: number) => SharedArrayBuffer;
};

/** A directory that is deleted by `forget`. */
export function temporaryDirectory(): { path: string; forget: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'sluice-pool-'));
  return { path, forget: () => rmSync(path, { recursive: true, force: true }) };
}

/** Opens a pool; resolves with it and the queues that it found. */
export async function openPool(
  dataDir: string,
  shardCount: number,
  changes: Partial<PoolOptions> = {},
): Promise<{ pool: ShardPool; found: QueueDefinition[]; warnings: string[] }> {
  const warnings: string[] = [];
  const pool = new Pool({
    shardCount,
    dataDir,
    driver: 'segment',
    durability: 'process',
    fsyncIntervalMs: 100,
    storeMemoryBytes: 8 << 20,
    ringBytes: 1 << 20,
    arenaBytes: 4 << 20,
    queueCacheBytes: 1 << 20,
    limitShards: 16,
    counterMemory: createCounterMemory(shardCount),
    log: (level, message) => {
      if (level !== 'info') warnings.push(message);
    },
    ...changes,
  });
  return { pool, found: await pool.start(), warnings };
}

/** A queue with that filter; ids follow from the number. */
export function queueNumber(number: number, changes: Partial<QueueDefinition> = {}): QueueDefinition {
  const topicFilter = `queue/${number}`;
  return definitionWith({
    id: number + 1,
    name: `/${topicFilter}`,
    topicFilter,
    createdAtMs: number,
    ...changes,
  });
}

/** Publishes numbered messages to one queue and keeps the status of each. */
export class TestPublisher {
  readonly context = {
    clientId: 'publisher',
    username: undefined,
    peername: '127.0.0.1:1',
    protocolVersion: 5,
  };
  /** By number of the message; undefined while it is on its way. */
  readonly status: (PublishStatus | undefined)[] = [];
  settled = 0;
  readonly #pool: ShardPool;
  readonly #shard: number;
  readonly #ids: Uint32Array;
  readonly #handle: PublisherHandle;
  readonly #topic: string;

  constructor(pool: ShardPool, queue: QueueDefinition) {
    this.#pool = pool;
    this.#shard = pool.shardOf(queue.topicFilter);
    this.#ids = new Uint32Array([queue.id]);
    this.#topic = queue.topicFilter;
    this.#handle = pool.openPublisher(this);
  }

  get pending(): number {
    return this.status.length - this.settled;
  }

  onSettled(firstToken: number, count: number, status: PublishStatus): void {
    for (let token = firstToken; token < firstToken + count; token++) {
      expect(this.status[token], `publish ${token} settles once`).toBeUndefined();
      this.status[token] = status;
      this.settled++;
    }
  }

  /** Publishes the next message if there is room. */
  publish(payloadBytes = 64): boolean {
    if (!this.#pool.hasRoom(this.#shard, payloadBytes + 100)) return false;
    const number = this.status.length;
    this.status.push(undefined);
    const payload = `${number}`.padEnd(payloadBytes);
    this.#pool.publish(this.#shard, this.#handle, number, this.#ids, packet(this.#topic, payload));
    return true;
  }

  /** Publishes `count` messages and waits until all have settled. */
  async publishAll(count: number, payloadBytes = 64): Promise<void> {
    const end = this.status.length + count;
    while (this.status.length < end) {
      if (!this.publish(payloadBytes)) {
        await new Promise<void>((resume) => this.#pool.whenRoom(this.#shard, resume));
      }
    }
    await until(() => this.pending === 0, 'every publish settles');
  }

  stored(): number[] {
    return this.status.flatMap((status, number) => (status === 0 ? [number] : []));
  }
}

/** Consumes one queue, acks at once unless told to hold, and keeps the numbers in order. */
export class TestConsumer implements Consumer {
  readonly noLocal = false;
  readonly clientId: string;
  readonly inFlightMax: number;
  readonly got: number[] = [];
  /** Acks only as many as this. */
  acksMax = Number.POSITIVE_INFINITY;
  acked = 0;
  readonly attachment: Attachment;

  constructor(pool: ShardPool, queue: QueueDefinition, clientId = 'consumer', inFlightMax = 100) {
    this.clientId = clientId;
    this.inFlightMax = inFlightMax;
    this.attachment = pool.attach(pool.shardOf(queue.topicFilter), queue.id, this);
  }

  onDelivery(attachment: Attachment, tag: number, delivery: Delivery): void {
    const text = delivery.buffer.toString('latin1', delivery.payloadStart, delivery.payloadEnd);
    this.got.push(Number(text.trim()));
    if (this.acked >= this.acksMax) return;
    this.acked++;
    attachment.ack(tag);
  }
}

/** Waits, polling each turn, until `condition` holds. */
export async function until(condition: () => boolean, what: string, timeoutMs = 30_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** 0 to `count` - 1. */
export function numbers(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, i) => i + from);
}
