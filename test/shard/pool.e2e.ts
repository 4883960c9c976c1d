import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LogDriver } from '../../src/log/log.js';
import type { Durability } from '../../src/shard/protocol.js';
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

const stores: [LogDriver, Durability][] = [
  ['segment', 'process'],
  ['segment', 'fsync'],
  ['rocksdb', 'interval'],
];

describe('a pool of shards', () => {
  test.each(stores)(
    'keeps what was not acked over a restart, in order, with %s and %s [broker]',
    async (driver, durability) => {
      const queue = queueNumber(0, { localMaxInflight: 10 });
      const first = await openPool(directory.path, 2, { driver, durability });
      expect(first.found).toEqual([]);
      await first.pool.createQueue(queue);
      const publisher = new TestPublisher(first.pool, queue);
      await publisher.publishAll(3000);
      const consumer = new TestConsumer(first.pool, queue);
      consumer.acksMax = 1000;
      await until(() => consumer.got.length === 1010, 'a thousand acked and a window full');
      expect(consumer.got).toEqual(numbers(1010));
      await until(() => consumer.acked === 1000, 'acks are given');
      expect(await first.pool.queueStats(queue)).toMatchObject({
        messages: 2000,
        inFlight: 10,
        ready: 1990,
        acked: 1000,
      });
      await first.pool.close();

      const second = await openPool(directory.path, 2, { driver, durability });
      expect(second.found).toEqual([queue]);
      expect(await second.pool.queueStats(queue)).toMatchObject({ messages: 2000, inFlight: 0, ready: 2000 });
      const [oldest] = await second.pool.peek(queue, -1, 1);
      expect(
        Buffer.from(oldest?.payload ?? [])
          .toString()
          .trim(),
      ).toBe('1000');
      const next = new TestConsumer(second.pool, queue);
      await until(() => next.got.length >= 2000, 'the rest is delivered');
      expect(next.got).toEqual(numbers(2000, 1000));
      await until(() => next.acked === 2000, 'acks are given');
      await second.pool.close();

      const third = await openPool(directory.path, 2, { driver, durability });
      expect(await third.pool.queueStats(queue)).toMatchObject({ messages: 0, bytes: 0 });
      await third.pool.close();
      expect([...first.warnings, ...second.warnings, ...third.warnings]).toEqual([]);
    },
  );

  test('small rings and little block memory slow publishers down, and nothing is lost or stuck [broker]', async () => {
    const { pool } = await openPool(directory.path, 1, {
      ringBytes: 1 << 16,
      arenaBytes: 1 << 20,
      queueCacheBytes: 1 << 16,
    });
    const queue = queueNumber(0, { localMaxInflight: 65_535 });
    await pool.createQueue(queue);
    const publisher = new TestPublisher(pool, queue);
    const consumer = new TestConsumer(pool, queue, 'slow', 20_000);
    consumer.acksMax = 0;
    await publisher.publishAll(40_000, 100);
    await until(() => consumer.got.length === 20_000, 'the window is full');
    const others = ['a', 'b'].map((name) => new TestConsumer(pool, queue, name));
    await until(() => others.reduce((sum, { got }) => sum + got.length, 0) === 20_000, 'others get the rest');
    consumer.attachment.detach();
    await until(() => others.reduce((sum, { got }) => sum + got.length, 0) === 40_000, 'and what came back');
    expect(others.flatMap(({ got }) => got).toSorted((a, b) => a - b)).toEqual(numbers(40_000));
    await pool.close();
  });

  test('the largest packets pass, and one that needs neighbouring pages is not in the way of others [broker]', async () => {
    const { pool } = await openPool(directory.path, 1, {
      ringBytes: 8 << 20,
      arenaBytes: 8 << 20,
      queueCacheBytes: 1 << 20,
    });
    const queue = queueNumber(0, { localMaxInflight: 5 });
    await pool.createQueue(queue);
    const publisher = new TestPublisher(pool, queue);
    for (let i = 0; i < 12; i++) {
      await publisher.publishAll(1, 1_000_000);
      await publisher.publishAll(20, 300);
    }
    const consumer = new TestConsumer(pool, queue);
    await until(() => consumer.got.length === 12 * 21, 'all come out');
    expect(consumer.got).toEqual(numbers(12 * 21));
    await pool.close();
  });

  test('hundreds of queues that nobody reads leave block memory to the one that is busy [broker]', async () => {
    const { pool } = await openPool(directory.path, 1, { arenaBytes: 1 << 20, queueCacheBytes: 1 << 18 });
    const busy = queueNumber(0);
    await pool.createQueue(busy);
    const idle = numbers(300, 1).map((number) => queueNumber(number));
    for (const queue of idle) await pool.createQueue(queue);
    const publisher = new TestPublisher(pool, busy);
    const consumer = new TestConsumer(pool, busy);
    // One message for each idle queue between many of the busy one: every page holds some of them.
    for (const queue of idle) {
      await new TestPublisher(pool, queue).publishAll(1, 2000);
      await publisher.publishAll(10, 2000);
    }
    await publisher.publishAll(2000, 2000);
    await until(() => consumer.got.length === 5000, 'the busy queue flows');
    for (const queue of idle.slice(0, 20)) {
      const device = new TestConsumer(pool, queue, 'device');
      await until(() => device.got.length === 1, 'what waited is still there');
    }
    await pool.close();
  });

  test('a queue that is deleted or purged under publishes and consumers harms nobody else [broker]', async () => {
    const { pool } = await openPool(directory.path, 1, { durability: 'fsync' });
    const [gone, purged, other] = [queueNumber(0), queueNumber(1), queueNumber(2)];
    for (const queue of [gone, purged, other]) await pool.createQueue(queue);
    const publishers = [gone, purged, other].map((queue) => new TestPublisher(pool, queue));
    const consumers = [gone, purged, other].map((queue) => new TestConsumer(pool, queue));
    for (let turn = 0; turn < 60; turn++) {
      for (const publisher of publishers) for (let i = 0; i < 20; i++) publisher.publish();
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (turn === 20) void pool.deleteQueue(gone);
      if (turn === 20 || turn === 40) void pool.purgeQueue(purged);
    }
    await until(() => publishers.every(({ pending }) => pending === 0), 'every publish settles');
    await until(() => consumers[2]?.got.length === 1200, 'the other queue has lost nothing');
    expect(consumers[2]?.got).toEqual(numbers(1200));
    expect(new Set(consumers[1]?.got).size, 'nothing came twice').toBe(consumers[1]?.got.length);
    await expect(pool.queueStats(gone)).rejects.toThrow(/not on this shard/);
    await publishers[1]?.publishAll(1);
    await until(() => consumers[1]?.got.at(-1) === 1200, 'the purged queue goes on');
    await until(() => consumers[1]?.acked === consumers[1]?.got.length, 'acks are given');
    expect(await pool.purgeQueue(purged)).toBeLessThanOrEqual(1);
    await pool.close();
    const again = await openPool(directory.path, 1);
    expect(again.found.map(({ id }) => id)).toEqual([purged.id, other.id]);
    await again.pool.close();
  });
});
