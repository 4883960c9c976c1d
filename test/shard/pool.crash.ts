import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { QueueDefinition } from '../../src/queue/definition.js';
import type { ShardPool } from '../../src/shard/pool.js';
import {
  TestConsumer,
  TestPublisher,
  numbers,
  openPool,
  queueNumber,
  temporaryDirectory,
  until,
} from './pool-fixture.js';

let directory = { path: '', forget: (): void => {} };
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.forget());

describe('a killed shard worker', () => {
  test('loses no stored message, tells every publish what became of it, and other shards do not notice [broker]', async () => {
    const { pool, warnings } = await openPool(directory.path, 2);
    const candidates = numbers(20).map((number) => queueNumber(number, { localMaxInflight: 20 }));
    const victim = candidates.find(({ topicFilter }) => pool.shardOf(topicFilter) === 0) as QueueDefinition;
    const other = candidates.find(({ topicFilter }) => pool.shardOf(topicFilter) === 1) as QueueDefinition;
    await pool.createQueue(victim);
    await pool.createQueue(other);
    const publisher = new TestPublisher(pool, victim);
    const otherPublisher = new TestPublisher(pool, other);
    const consumers = ['a', 'b', 'c'].map((name) => new TestConsumer(pool, victim, name));
    const otherConsumer = new TestConsumer(pool, other, 'd');
    for (let kill = 0; kill < 4; kill++) {
      for (let turn = 0; turn < 60; turn++) {
        for (let i = 0; i < 25; i++) if (publisher.pending < 500) publisher.publish();
        for (let i = 0; i < 5; i++) if (otherPublisher.pending < 500) otherPublisher.publish();
        if (turn === 30) pool.killShard(0);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await until(() => publisher.pending === 0, 'every publish is told');
      await until(
        () => pool.shardStates()[0]?.state === 'up' && pool.shardStates()[0]?.restarts === kill + 1,
        'back',
      );
    }
    await publisher.publishAll(10);
    const stored = publisher.stored();
    const seen = (): Set<number> => new Set(consumers.flatMap(({ got }) => got));
    await until(() => stored.every((number) => seen().has(number)), 'every stored message is delivered');
    // More than the last ten: how many more depends on the speed of the machine.
    expect(stored.length).toBeGreaterThan(10);
    expect(publisher.status.every((status) => status === 0 || status === 4)).toBe(true);
    expect(publisher.status.slice(-10)).toEqual(new Array(10).fill(0));
    await until(
      () => otherPublisher.pending === 0 && otherConsumer.got.length === otherPublisher.status.length,
      'other',
    );
    expect(otherPublisher.status.every((status) => status === 0)).toBe(true);
    expect(otherConsumer.got).toEqual(numbers(otherPublisher.status.length));
    expect(pool.shardStates()[1]).toMatchObject({ state: 'up', restarts: 0 });
    // What was acked before a kill stays acked once it was written: hardly anything comes twice.
    const total = consumers.reduce((sum, { got }) => sum + got.length, 0);
    expect(total - seen().size).toBeLessThan(4 * 2000);
    await until(() => consumers.reduce((sum, { acked }) => sum + acked, 0) === total, 'acks are given');
    expect(await pool.queueStats(victim)).toMatchObject({ messages: 0, inFlight: 0, consumers: 3 });
    expect(warnings).toEqual(new Array(4).fill('a shard worker ended and is started again'));
    await pool.close();
  });

  test('does not give out the pages of a checkpoint that the one before it took [broker]', async () => {
    const { pool } = await openPool(directory.path, 1);
    const queue = queueNumber(0);
    await pool.createQueue(queue);
    await new TestPublisher(pool, queue).publishAll(10);
    const { checkpointId, messages } = await pool.beginCheckpoint(0);
    expect(messages).toBe(10);
    pool.killShard(0);
    await until(() => pool.shardStates()[0]?.restarts === 1 && pool.shardStates()[0]?.state === 'up', 'back');
    await expect(pool.checkpointPage(0, checkpointId)).rejects.toMatchObject({ code: 'ERR_BACKUP' });
    const again = await pool.beginCheckpoint(0);
    let bytes = 0;
    for (;;) {
      const page = await pool.checkpointPage(0, again.checkpointId);
      if (page === undefined) break;
      bytes += page.byteLength;
    }
    expect(bytes).toBeGreaterThan(0);
    await pool.endCheckpoint(0);
    await pool.close();
  });

  test.each(['segment', 'memory'] as const)(
    'says what it holds before anybody is attached again, with %s [broker]',
    async (driver) => {
      const { pool } = await openPool(directory.path, 1, { driver });
      const [kept, gone] = [queueNumber(0), queueNumber(1)];
      await pool.createQueue(kept);
      if (driver === 'segment') await pool.createQueue(gone);
      const consumer = new TestConsumer(pool, kept);
      const heard: unknown[] = [];
      pool.mirrorIn({
        queuesOf: () => [kept],
        adopt: (shardId, found) => {
          heard.push({ shardId, state: pool.shardStates()[0]?.state, names: found.map(({ name }) => name) });
        },
      });
      if (driver === 'segment') await pool.deleteQueue(gone);
      pool.killShard(0);
      await until(() => pool.shardStates()[0]?.state === 'up' && heard.length > 0, 'back');
      expect(heard).toEqual([{ shardId: 0, state: 'starting', names: [kept.name] }]);
      await new TestPublisher(pool, kept).publishAll(10);
      await until(() => consumer.got.length === 10, 'deliveries from the queue as it is now');
      await pool.close();
    },
  );

  test('calls to a shard that is down fail at once, and it can be closed in any state [broker]', async () => {
    const { pool } = await openPool(directory.path, 1);
    const queue = queueNumber(0);
    await pool.createQueue(queue);
    pool.killShard(0);
    await until(() => pool.shardStates()[0]?.state !== 'up', 'it is gone');
    await expect(pool.queueStats(queue)).rejects.toMatchObject({ code: 'ERR_SHARD_DOWN' });
    await pool.close();
  });
});

describe('re-sharding', () => {
  const queues = numbers(20).map((number) =>
    queueNumber(number, { isLastvalue: number % 5 === 0, keyExpression: 'message.payload' }),
  );

  /** A directory written by one shard: 50 messages in every queue, the first ten of them acked. */
  async function write(path: string): Promise<void> {
    const { pool } = await openPool(path, 1);
    for (const queue of queues) {
      await pool.createQueue(queue);
      await new TestPublisher(pool, queue).publishAll(50);
      const consumer = new TestConsumer(pool, queue);
      consumer.acksMax = 10;
      await until(() => consumer.acked === 10, 'ten are acked');
      consumer.attachment.detach();
    }
    await pool.close();
  }

  async function expectBacklog(pool: ShardPool, found: readonly QueueDefinition[]): Promise<void> {
    expect(found.map(({ id }) => id)).toEqual(queues.map(({ id }) => id));
    for (const queue of queues) {
      expect(await pool.queueStats(queue), queue.name).toMatchObject({ messages: 40 });
      const messages = await pool.peek(queue, -1, 100);
      expect(
        messages.map(({ payload }) => Number(Buffer.from(payload).toString())),
        queue.name,
      ).toEqual(numbers(40, 10));
    }
  }

  async function expectAll(path: string, shards: number): Promise<void> {
    const { pool, found, warnings } = await openPool(path, shards);
    await expectBacklog(pool, found);
    // Keys came along: the same message again replaces the old one.
    for (const queue of queues.filter(({ isLastvalue }) => isLastvalue)) {
      const publisher = new TestPublisher(pool, queue);
      publisher.status.length = 0;
      await publisher.publishAll(50);
      expect(await pool.queueStats(queue), queue.name).toMatchObject({ messages: 50, overwritten: 40 });
      expect(await pool.purgeQueue(queue)).toBe(50);
      await new TestPublisher(pool, queue).publishAll(50);
      const consumer = new TestConsumer(pool, queue);
      consumer.acksMax = 10;
      await until(() => consumer.acked === 10, 'ten are acked');
      consumer.attachment.detach();
    }
    expect(warnings).toEqual([]);
    await pool.close();
  }

  test('1 to 4 to 2 shards keeps every message of 20 queues in order [broker]', async () => {
    await write(directory.path);
    for (const shards of [4, 2, 1]) await expectAll(directory.path, shards);
  });

  test.each([1, 2, 4])(
    'one that was cut off in the middle is finished by a start with %i shards [broker]',
    async (shards) => {
      const before = join(directory.path, 'before');
      const after = join(directory.path, 'after');
      await write(before);
      cpSync(before, after, { recursive: true });
      await (await openPool(after, 4)).pool.close();
      // Shards 1 and 2 are complete, shard 3 was not begun, and shard 0 still has everything.
      for (const shard of ['shard-1', 'shard-2'])
        cpSync(join(after, shard), join(before, shard), { recursive: true });
      writeFileSync(join(before, 'layout.json'), '{"format":1,"shards":0}\n');
      await expectAll(before, shards);
      // The other half: shard 0 has given its queues away, and the last one was being moved.
      rmSync(join(before, '..', 'after', 'layout.json'));
      await expectAll(after, shards);
    },
  );
});
