import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LogDriver } from '../../src/log/log.js';
import { RowStore } from '../../src/shard/link.js';
import type { Durability } from '../../src/shard/protocol.js';
import { numbers, openPool, queueNumber, temporaryDirectory, until } from './pool-fixture.js';
import { RowClient, readAll } from './row-fixture.js';

let directory = { path: '', forget: (): void => {} };
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.forget());

const stores: [LogDriver, Durability][] = [
  ['segment', 'process'],
  ['segment', 'fsync'],
  ['rocksdb', 'interval'],
  ['rocksdb', 'fsync'],
  ['memory', 'process'],
];

describe('rows in a pool of shards', () => {
  test.each(stores)(
    'are put, replaced and deleted in order, and read back shard by shard, with %s and %s [broker]',
    async (driver, durability) => {
      const { pool, warnings } = await openPool(directory.path, 2, { driver, durability });
      const client = new RowClient(pool);
      expect(await readAll(pool, RowStore.session)).toEqual([]);
      const ids = numbers(6).map(() => pool.nextRowId());
      expect(ids).toEqual(ids.toSorted((a, b) => a - b));
      expect(new Set(ids).size).toBe(6);
      // Out of order, both shards, two stores.
      for (const i of [3, 1, 5, 0, 2, 4]) client.put(i % 2, RowStore.session, ids[i] as number, `first ${i}`);
      client.put(0, RowStore.will, ids[0] as number, 'a will');
      await client.settled();
      client.put(0, RowStore.session, ids[2] as number, 'second 2, which is longer');
      client.put(1, RowStore.session, ids[3] as number, undefined);
      client.put(1, RowStore.session, ids[5] as number, undefined);
      client.put(1, RowStore.session, ids[5] as number, '');
      await client.settled();
      expect(client.status).toEqual(new Array(11).fill(0));
      const expected = [
        [0, ids[0], 'first 0'],
        [0, ids[2], 'second 2, which is longer'],
        [0, ids[4], 'first 4'],
        [1, ids[1], 'first 1'],
        [1, ids[5], ''],
      ];
      expect(await readAll(pool, RowStore.session)).toEqual(expected);
      expect(await readAll(pool, RowStore.will)).toEqual([[0, ids[0], 'a will']]);
      expect(await readAll(pool, RowStore.received)).toEqual([]);
      await pool.close();
      if (driver !== 'memory') {
        const again = await openPool(directory.path, 2, { driver, durability });
        expect(again.found, 'rows are no queues').toEqual([]);
        expect(await readAll(again.pool, RowStore.session)).toEqual(expected);
        expect(again.pool.nextRowId()).toBeGreaterThan(ids[5] as number);
        await again.pool.close();
        expect(again.warnings).toEqual([]);
      }
      expect(warnings).toEqual([]);
    },
  );

  test.each(stores)(
    'settle in order with the publishes around them, with %s and %s [broker]',
    async (driver, durability) => {
      const { pool } = await openPool(directory.path, 1, { driver, durability });
      const queue = queueNumber(0);
      await pool.createQueue(queue);
      const client = new RowClient(pool);
      for (let i = 0; i < 2000; i++) {
        await client.room(0, 2000);
        client.publish(0, queue.id, `${i}`);
        if (i % 3 === 0) client.put(0, RowStore.received, i + 1, `row ${i}`, true);
        if (i % 7 === 0) client.put(0, RowStore.retained, 1, `newest ${i}`);
      }
      await client.settled();
      expect(client.order).toEqual(numbers(client.status.length));
      expect(client.status.every((status) => status === 0)).toBe(true);
      expect(await pool.queueStats(queue)).toMatchObject({ messages: 2000 });
      expect((await readAll(pool, RowStore.received)).length).toBe(667);
      expect(await readAll(pool, RowStore.retained)).toEqual([[0, 1, 'newest 1995']]);
      await pool.close();
    },
  );

  test('more rows than a page, and than block memory, are read back whole [broker]', async () => {
    const { pool } = await openPool(directory.path, 2, { driver: 'rocksdb', ringBytes: 1 << 18 });
    const client = new RowClient(pool);
    const text = (i: number): string => `${i} `.padEnd(i % 100 === 0 ? 20_000 : 300, `${i % 10}`);
    for (let i = 0; i < 20_000; i++) {
      await client.room(i % 2, text(i).length + 64);
      client.put(i % 2, RowStore.retained, i + 1, text(i));
    }
    await client.settled();
    const rows = await readAll(pool, RowStore.retained);
    const even = numbers(10_000).map((i) => i * 2);
    const expected = [...even.map((i) => [0, i + 1, text(i)]), ...even.map((i) => [1, i + 2, text(i + 1)])];
    expect(rows).toEqual(expected);
    await pool.close();
  });

  test('a thousand queues that are created at once are all there, and calls for one of them keep their order [broker]', async () => {
    const { pool } = await openPool(directory.path, 1, { durability: 'fsync' });
    const queues = numbers(1000).map((number) =>
      queueNumber(number, { sessionClientId: `client-${number}` }),
    );
    const [first] = queues;
    const created = queues.map((queue) => pool.createQueue(queue));
    const changed = pool.updateQueue({ ...queueNumber(0), localMaxInflight: 3, sessionClientId: 'client-0' });
    const purged = pool.purgeQueue(queueNumber(0));
    const deleted = pool.deleteQueue(queueNumber(999));
    const gone = pool.queueStats(queueNumber(999));
    await expect(gone).rejects.toThrow(/not on this shard/);
    await Promise.all([...created, changed, purged, deleted]);
    await until(() => pool.shardStates()[0]?.diskBytes !== 0, 'the shard tells its size');
    expect(pool.shardStates()[0]?.queues, 'queues of sessions are not counted').toBe(0);
    await pool.close();
    const again = await openPool(directory.path, 1);
    expect(again.found.map(({ id }) => id)).toEqual(queues.slice(0, 999).map(({ id }) => id));
    expect(again.found[0]).toEqual({ ...first, localMaxInflight: 3 });
    await again.pool.close();
  });
});
