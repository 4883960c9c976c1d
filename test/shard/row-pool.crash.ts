import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LogDriver } from '../../src/log/log.js';
import { openLog } from '../../src/log/open.js';
import { writeLayout, shardDirectory } from '../../src/shard/layout.js';
import { RowStore } from '../../src/shard/link.js';
import { beginMove } from '../../src/shard/row-move.js';
import { rowQueueId } from '../../src/shard/rows.js';
import { TestConsumer, numbers, openPool, queueNumber, temporaryDirectory, until } from './pool-fixture.js';
import { RowClient, readAll } from './row-fixture.js';

let directory = { path: '', forget: (): void => {} };
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.forget());

const drivers: LogDriver[] = ['segment', 'rocksdb'];

describe('rows and a worker that is killed', () => {
  test.each(drivers)(
    'what was settled as stored is there, with the publish that it joined, and the rest is told, with %s [broker]',
    async (driver) => {
      const { pool } = await openPool(directory.path, 1, { driver });
      const queue = queueNumber(0);
      await pool.createQueue(queue);
      const client = new RowClient(pool);
      const writes = new Map<number, { publish: number; row: number }>();
      for (let kill = 0; kill < 3; kill++) {
        for (let turn = 0; turn < 40; turn++) {
          for (let i = 0; i < 20; i++) {
            if (!pool.hasRoom(0, 2000)) break;
            const rowId = pool.nextRowId();
            const publish = client.publish(0, queue.id, `${rowId}`);
            writes.set(rowId, { publish, row: client.put(0, RowStore.received, rowId, `${rowId}`, true) });
          }
          // The first ones are waited for: a slow machine would else be killed before it has stored anything.
          if (turn === 0) await client.settled();
          if (turn === 20) pool.killShard(0);
          await new Promise((resolve) => setImmediate(resolve));
        }
        await client.settled();
        await until(
          () => pool.shardStates()[0]?.state === 'up' && pool.shardStates()[0]?.restarts === kill + 1,
          'back',
        );
      }
      const last = client.put(0, RowStore.received, pool.nextRowId(), 'last');
      await client.settled();
      expect(client.status[last]).toBe(0);
      const rows = new Set((await readAll(pool, RowStore.received)).map(([, rowId]) => rowId));
      const consumer = new TestConsumer(pool, queue);
      const { messages } = await pool.queueStats(queue);
      await until(() => consumer.got.length >= messages, 'all come');
      const delivered = new Set(consumer.got);
      let stored = 0;
      for (const [rowId, { publish, row }] of writes) {
        expect(rows.has(rowId), 'row and publish are there together or not at all').toBe(
          delivered.has(rowId),
        );
        expect(client.status[publish]).toBe(client.status[row]);
        if (client.status[row] !== 0) continue;
        stored++;
        expect(rows.has(rowId), 'what was settled as stored is there').toBe(true);
      }
      expect(stored).toBeGreaterThan(0);
      expect([...client.status].every((status) => status === 0 || status === 4)).toBe(true);
      await pool.close();
    },
  );

  test('a row that is put while the shard is down is told so, and reading rows then fails [broker]', async () => {
    const { pool } = await openPool(directory.path, 1);
    const client = new RowClient(pool);
    pool.killShard(0);
    await until(() => pool.shardStates()[0]?.state !== 'up', 'it is gone');
    client.put(0, RowStore.will, 1, 'x');
    await expect(readAll(pool, RowStore.will)).rejects.toMatchObject({ code: 'ERR_SHARD_DOWN' });
    await client.settled();
    expect(client.status).toEqual([4]);
    await pool.close();
  });
});

describe('rows and re-sharding', () => {
  /** Ten rows of each of two stores in every shard; returns what is to be found, by id. */
  async function write(driver: LogDriver, shards: number): Promise<Map<number, string>> {
    const { pool } = await openPool(directory.path, shards, { driver });
    const client = new RowClient(pool);
    const values = new Map<number, string>();
    for (const i of numbers(10 * shards)) {
      const rowId = pool.nextRowId();
      values.set(rowId, `row ${i}`);
      client.put(i % shards, RowStore.session, rowId, `row ${i}`);
      client.put(i % shards, RowStore.retained, rowId, `row ${i}`);
    }
    await client.settled();
    await pool.close();
    return values;
  }

  async function expectAll(driver: LogDriver, shards: number, values: Map<number, string>): Promise<void> {
    const { pool, warnings } = await openPool(directory.path, shards, { driver });
    for (const store of [RowStore.session, RowStore.retained]) {
      const rows = await readAll(pool, store);
      expect(rows.toSorted(([, a], [, b]) => a - b).map(([, rowId, value]) => [rowId, value])).toEqual([
        ...values,
      ]);
      // Where it was read from, it can be changed.
      const client = new RowClient(pool);
      for (const [shardId, rowId, value] of rows) client.put(shardId, store, rowId, value);
      await client.settled();
      expect(await readAll(pool, store)).toEqual(rows);
    }
    expect(pool.nextRowId()).toBeGreaterThan(Math.max(...values.keys()));
    await pool.close();
    expect(warnings).toEqual([]);
  }

  test.each(drivers)('1 to 4 to 2 to 3 to 1 shards keeps every row, with %s [broker]', async (driver) => {
    const values = await write(driver, 1);
    await expectAll(driver, 4, values);
    for (const [rowId, value] of await write(driver, 4)) values.set(rowId, value);
    for (const shards of [2, 3, 1]) await expectAll(driver, shards, values);
  });

  test.each([1, 2, 3, 4])(
    'one that was cut off while rows were copied leaves each in one place, with %i shards wanted next [broker]',
    async (shards) => {
      const values = await write('segment', 4);
      // 4 → 2 was under way: some rows of shard 3 are in shard 1 already, the note says so.
      const open = (shardId: number) =>
        openLog({
          driver: 'segment',
          directory: shardDirectory(directory.path, shardId),
          memoryBytesMax: 1 << 20,
        });
      const [source, target] = [await open(3), await open(1)];
      await beginMove(source, 1);
      const batch = target.batch();
      const queueId = rowQueueId(RowStore.session);
      for (const { firstOffset, value } of source.readBlocks(queueId, 0, 1e6).slice(0, 4))
        batch.putBlock(queueId, firstOffset, value);
      target.write(batch);
      await source.close();
      await target.close();
      writeLayout(directory.path, 0);
      await expectAll('segment', shards, values);
    },
  );

  test('a directory that was given up goes whole, also when its removal had been cut off [broker]', async () => {
    const values = await write('segment', 4);
    const leftover = `${shardDirectory(directory.path, 9)}.removed`;
    mkdirSync(leftover);
    // Without its FORMAT file no log would open what is left.
    writeFileSync(join(leftover, '0000000001.seg'), 'the rest');
    writeLayout(directory.path, 0);
    await expectAll('segment', 2, values);
    expect(readdirSync(directory.path).toSorted()).toEqual(['layout.json', 'shard-0', 'shard-1']);
  });
});
