/** A shard's loop over plain memory, turned by hand, with the real client on the other side of its rings. Quick tier. */
import { describe, expect, test } from 'vitest';
import { createRingMemory } from '../../src/base/ring.js';
import { openMemoryLog } from '../../src/log/memory-driver.js';
import { PAGE_BYTES } from '../../src/queue/arena.js';
import type { QueueDefinition } from '../../src/queue/definition.js';
import { ShardClient } from '../../src/shard/client.js';
import { ShardControl } from '../../src/shard/control.js';
import { NO_TOKEN, RowStore, type Attachment, type Consumer, type Delivery } from '../../src/shard/link.js';
import { OpenPublisher } from '../../src/shard/open-publisher.js';
import { CONSUMER_SLOTS_MAX } from '../../src/shard/protocol.js';
import { rowQueueId } from '../../src/shard/rows.js';
import { ShardLoop } from '../../src/shard/shard-loop.js';
import { CounterReader, Counters, createCounterMemory, workerBlock } from '../../src/telemetry/counter.js';
import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import { definitionWith } from '../queue/fake-host.js';
import { RecordingPublisher, packet } from './fake-worker.js';

class Worker implements Consumer {
  readonly clientId = 'worker';
  readonly inFlightMax = 1000;
  readonly noLocal = false;
  readonly got: [Attachment, number][] = [];
  readonly offsets: number[] = [];
  onDelivery(attachment: Attachment, tag: number, delivery: Delivery): void {
    this.got.push([attachment, tag]);
    this.offsets.push(delivery.offset);
  }
}

class Shard {
  readonly #counters = createCounterMemory(1);
  readonly reader = new CounterReader(this.#counters);
  readonly client = new ShardClient(0, () => {});
  readonly loop: ShardLoop;
  readonly control: ShardControl;
  readonly log = openMemoryLog();
  readonly publisher = new RecordingPublisher();
  readonly #publisher: OpenPublisher;
  #token = 0;

  constructor() {
    const memory = {
      toWorker: createRingMemory(1 << 20),
      toMain: createRingMemory(1 << 20),
      arena: new SharedArrayBuffer(16 * PAGE_BYTES),
      inFlightCounts: new SharedArrayBuffer(CONSUMER_SLOTS_MAX * 4),
    };
    this.loop = new ShardLoop(
      {
        log: this.log,
        durability: 'process',
        limitShards: 1,
        queueCacheBytes: 1 << 20,
        counters: new Counters(this.#counters, workerBlock(0)),
        ringDoorbell: () => {},
        wake: () => {},
        report: (_level, text) => expect.fail(text),
        fail: (error) => expect.fail(error.message),
      },
      this.client.nextEpoch,
      memory.toWorker,
      memory.toMain,
      memory.arena,
      memory.inFlightCounts,
    );
    this.control = new ShardControl(this.loop, this.log);
    this.client.up(memory);
    this.#publisher = new OpenPublisher(this.publisher, 0, 1, () => {});
    this.client.expect(this.#publisher);
  }

  publish(count: number, queueId: number, payload = 'payload'): void {
    const ids = new Uint32Array([queueId]);
    for (let i = 0; i < count; i++) {
      this.client.publish(this.#publisher, this.#token++, ids, packet('jobs', payload), 1);
    }
  }

  /** Puts a row, or deletes it; settles by the next token. */
  row(store: RowStore, rowId: number, value: Uint8Array | undefined, joins = false, asks = true): void {
    this.client.putRow(this.#publisher, asks ? this.#token++ : NO_TOKEN, store, rowId, value, joins);
  }

  /** Ids of the rows in the log. */
  rows(store: RowStore): number[] {
    return this.log.readBlocks(rowQueueId(store), 0, 1e9).map(({ firstOffset }) => firstOffset);
  }

  /** Turns until nothing is left to do; returns how many turns. */
  turn(turnsMax = 1000): number {
    let turns = 1;
    this.client.flush();
    while (this.loop.turn(turns * 10) === 'busy' && turns < turnsMax) {
      turns++;
      this.client.drain();
      this.client.flush();
    }
    this.client.drain();
    return turns;
  }

  total(index: number): number {
    return this.reader.total(index);
  }
}

async function create(shard: Shard, changes: Partial<QueueDefinition> = {}): Promise<QueueDefinition> {
  const definition = definitionWith(changes);
  await shard.control.run({ call: 'create', definition, id: 1 });
  return definition;
}

test('the maintenance ends a window whose speed has gone [broker]', async () => {
  const shard = new Shard();
  await create(shard, { id: 1, localMaxInflight: 10, fastMaxInflight: 200 });
  shard.client.attach(1, new Worker());
  shard.turn();
  const queue = shard.loop.queues.get(1);
  const [consumer] = queue?.consumers ?? [];
  if (queue === undefined || consumer === undefined) expect.fail('nobody is attached');
  queue.consumers.earn(consumer, 100);
  expect(consumer.window).toBe(100);
  shard.loop.maintain(1000);
  expect(consumer.window).toBe(10);
});

describe('eviction', () => {
  test('of a lowered limit takes several turns, between which others are served [broker]', async () => {
    const shard = new Shard();
    const long = await create(shard, { id: 1 });
    await create(shard, { id: 2 });
    for (let i = 0; i < 20; i++) {
      shard.publish(1000, 1);
      shard.turn();
    }
    await shard.control.run({ call: 'update', definition: { ...long, messagesMax: 10 }, id: 2 });
    const queue = shard.loop.queues.get(1);
    expect(queue?.ledger.liveCount).toBe(20_000 - 4096);
    const worker = new Worker();
    shard.client.attach(2, worker);
    shard.publish(1, 2);
    shard.turn(1);
    expect(worker.got.length, 'the other queue has its turn').toBe(1);
    expect(queue?.ledger.liveCount).toBe(20_000 - 2 * 4096);
    expect(shard.turn()).toBeLessThan(10);
    expect([queue?.ledger.liveCount, queue?.counters.evicted]).toEqual([10, 19_990]);
  });
});

describe('metrics', () => {
  test('gauges are sums over the queues, and counters survive the queue that counted [broker]', async () => {
    const shard = new Shard();
    const gone = await create(shard, { id: 1 });
    await create(shard, { id: 2 });
    const worker = new Worker();
    shard.client.attach(1, worker);
    shard.publish(5, 1);
    shard.publish(3, 2);
    shard.turn();
    const [first, second] = worker.got;
    first?.[0].ack(first[1]);
    second?.[0].reject(second[1], 0x80);
    shard.turn();
    expect(shard.total(slot.messagesCommitted), 'counted at the tick').toBe(0);
    shard.loop.maintain(1000);
    const bytes = [...shard.loop.queues.values()].reduce((sum, { ledger }) => sum + ledger.liveBytes, 0);
    expect(
      [slot.queues, slot.consumers, slot.messagesReady, slot.messagesInFlight, slot.messageBytes].map(
        (index) => shard.total(index),
      ),
    ).toEqual([2, 1, 4, 3, bytes]);
    expect(shard.total(slot.cacheBytes)).toBeGreaterThanOrEqual(PAGE_BYTES);
    const counted = [
      slot.messagesCommitted,
      slot.messagesDelivered,
      slot.messagesAcked,
      slot.messagesRejected,
    ];
    expect(counted.map((index) => shard.total(index))).toEqual([8, 5, 1, 1]);
    const third = worker.got[2];
    third?.[0].ack(third[1]);
    shard.turn();
    await shard.control.run({ call: 'delete', definition: gone, id: 3 });
    shard.loop.maintain(2000);
    shard.loop.maintain(3000);
    expect(shard.total(slot.messagesCommitted)).toBe(8);
    expect(shard.total(slot.messagesAcked), 'counted before it went').toBe(2);
    expect([slot.queues, slot.consumers, slot.messagesReady].map((index) => shard.total(index))).toEqual([
      1, 0, 3,
    ]);
  });

  test('what a queue refused was not queued [broker]', async () => {
    const shard = new Shard();
    await create(shard, { id: 1, overflowPolicy: 'reject_publish', messagesMax: 3 });
    shard.publish(5, 1);
    shard.turn();
    expect(shard.total(slot.messagesQueued)).toBe(3);
    expect(shard.total(slotOf('messagesRefused', 'quota-exceeded'))).toBe(2);
    expect(shard.total(slotOf('messagesRefused', 'store-error'))).toBe(0);
  });

  test('queues that belong to sessions are in none of the figures of queues [broker]', async () => {
    const shard = new Shard();
    const session = await create(shard, { id: 1, sessionClientId: 'sensor' });
    await create(shard, { id: 2 });
    const worker = new Worker();
    shard.client.attach(1, worker);
    shard.publish(5, 1);
    shard.publish(3, 2);
    shard.turn();
    shard.loop.maintain(1000);
    expect(worker.got.length, 'it works like any other').toBe(5);
    const gauges = [slot.queues, slot.consumers, slot.messagesReady, slot.messagesInFlight];
    const counters = [slot.messagesQueued, slot.messagesCommitted, slot.messagesDelivered];
    expect(gauges.map((index) => shard.total(index))).toEqual([1, 0, 3, 0]);
    expect(counters.map((index) => shard.total(index))).toEqual([3, 3, 0]);
    await shard.control.run({ call: 'delete', definition: session, id: 3 });
    shard.loop.maintain(2000);
    expect(counters.map((index) => shard.total(index))).toEqual([3, 3, 0]);
  });
});

describe('rows', () => {
  test('are written and settled in a turn that has nothing else [broker]', () => {
    const shard = new Shard();
    shard.row(RowStore.will, 3, Buffer.from('first'));
    shard.row(RowStore.will, 4, Buffer.from('not asked'), false, false);
    shard.row(RowStore.will, 3, Buffer.from('second'));
    shard.turn();
    expect(shard.publisher.told).toEqual([
      [0, 0],
      [1, 0],
    ]);
    expect(shard.rows(RowStore.will)).toEqual([3, 4]);
    expect(Buffer.from(shard.log.readBlock(rowQueueId(RowStore.will), 3) ?? []).toString()).toBe('second');
    shard.row(RowStore.will, 3, undefined);
    shard.row(RowStore.will, 99, undefined);
    shard.turn();
    expect(shard.rows(RowStore.will)).toEqual([4]);
    expect(shard.publisher.told.length).toBe(4);
  });

  test('that join a publish are committed with it, wherever the turn ends [broker]', async () => {
    const shard = new Shard();
    await create(shard, { id: 1 });
    const queue = shard.loop.queues.get(1);
    // Sizes vary, so that turns end behind messages and behind both rows.
    const sizeOf = (i: number): number => 100 + ((i * 2741) % 8000);
    for (let i = 1; i <= 60; i++) {
      shard.publish(1, 1, 'x'.repeat(sizeOf(i)));
      shard.row(RowStore.received, i, Buffer.alloc(sizeOf(i + 7)), true);
      // The second row joins through the first.
      shard.row(RowStore.session, i, Buffer.alloc(sizeOf(i + 31)), true, i % 2 === 0);
    }
    shard.client.flush();
    let turns = 0;
    let before = 0;
    while (before < 60) {
      shard.loop.turn(turns++);
      const messages = queue?.ledger.liveCount ?? 0;
      expect(messages, 'each turn brings some').toBeGreaterThan(before);
      expect([shard.rows(RowStore.received).length, shard.rows(RowStore.session).length]).toEqual([
        messages,
        messages,
      ]);
      before = messages;
    }
    expect(turns, 'the frames are more than one turn takes').toBeGreaterThan(3);
    shard.turn();
    expect(shard.publisher.told.length).toBe(60 + 60 + 30);
  });

  test('settle in order with publishes that were refused [broker]', async () => {
    const shard = new Shard();
    await create(shard, { id: 1, overflowPolicy: 'reject_publish', messagesMax: 1 });
    shard.publish(2, 1);
    shard.row(RowStore.received, 1, Buffer.from('x'), true);
    shard.publish(1, 1);
    shard.turn();
    expect(shard.publisher.told).toEqual([
      [0, 0],
      [1, 2],
      [2, 0],
      [3, 2],
    ]);
  });

  test('a delivery tells the offset of its message, the same when it comes again [broker]', async () => {
    const shard = new Shard();
    await create(shard, { id: 1 });
    const worker = new Worker();
    shard.client.attach(1, worker);
    for (let i = 0; i < 3; i++) {
      shard.publish(2, 1);
      shard.turn();
    }
    expect(worker.offsets).toEqual([0, 1, 2, 3, 4, 5]);
    const [attachment] = worker.got[0] as [Attachment, number];
    attachment.detach();
    shard.turn();
    const next = new Worker();
    shard.client.attach(1, next);
    shard.turn();
    expect(next.offsets.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('no queue takes an id under which rows are kept [broker]', async () => {
    const shard = new Shard();
    await expect(create(shard, { id: rowQueueId(RowStore.retained) })).rejects.toThrow(/reserved id/);
    await create(shard, { id: rowQueueId(RowStore.retained) - 1 });
  });
});
