/** A shard's loop over plain memory, turned by hand, with the real client on the other side of its rings. Quick tier. */
import { describe, expect, test } from 'vitest';
import { createRingMemory } from '../../src/base/ring.js';
import { openMemoryLog } from '../../src/log/memory-driver.js';
import { PAGE_BYTES } from '../../src/queue/arena.js';
import type { QueueDefinition } from '../../src/queue/definition.js';
import { ShardClient } from '../../src/shard/client.js';
import { ShardControl } from '../../src/shard/control.js';
import type { Attachment, Consumer } from '../../src/shard/link.js';
import { OpenPublisher } from '../../src/shard/open-publisher.js';
import { CONSUMER_SLOTS_MAX } from '../../src/shard/protocol.js';
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
  onDelivery(attachment: Attachment, tag: number): void {
    this.got.push([attachment, tag]);
  }
}

class Shard {
  readonly #counters = createCounterMemory(1);
  readonly reader = new CounterReader(this.#counters);
  readonly client = new ShardClient(0, () => {});
  readonly loop: ShardLoop;
  readonly control: ShardControl;
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
        log: openMemoryLog(),
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
    this.control = new ShardControl(this.loop);
    this.client.up(memory);
    this.#publisher = new OpenPublisher(new RecordingPublisher(), 0, 1, () => {});
    this.client.expect(this.#publisher);
  }

  publish(count: number, queueId: number): void {
    const ids = new Uint32Array([queueId]);
    for (let i = 0; i < count; i++) {
      this.client.publish(this.#publisher, this.#token++, ids, packet('jobs', 'payload'), 1);
    }
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
});
