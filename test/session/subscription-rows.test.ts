/**
 * Rows of subscriptions against a plain map, over fake shards that refuse rows now and then.
 */
import { expect, test, vi } from 'vitest';
import type { SubscriptionOptions } from '../../src/router/route.js';
import { RowWriter } from '../../src/session/row-writer.js';
import { decodeSessionRow } from '../../src/session/session-record.js';
import { SubscriptionRows } from '../../src/session/subscription-rows.js';
import { PublishStatus, RowStore } from '../../src/shard/link.js';
import { randomFrom, seed } from '../harness/environment.js';
import { FakeShards } from './fake-shards.js';
import { optionsOf } from './retained-fixture.js';

const stateRowId = 1000;

function fixture(shards = new FakeShards()) {
  const held = new Map<string, SubscriptionOptions>();
  const writer = new RowWriter(shards);
  const newRow = () => ({ shardId: 0, rowId: shards.nextRowId() });
  const session = { clientId: 'c', optionsOf: (filter: string) => held.get(filter) };
  const subscriptions = new SubscriptionRows(session, { rows: writer, newRow });
  const rows = shards.rowsOf(0, RowStore.session);
  return { shards, held, writer, subscriptions, rows };
}

/** What a start would find. */
function stored(rows: ReadonlyMap<number, Uint8Array>): Map<string, SubscriptionOptions> {
  const found = new Map<string, SubscriptionOptions>();
  for (const value of rows.values()) {
    const row = decodeSessionRow(value);
    if (row?.kind !== 'subscriptions') throw new Error('a row of another kind');
    expect(row.stateRowId).toBe(stateRowId);
    for (const { filter, ...options } of row.subscriptions) {
      expect(found.has(filter), filter).toBe(false);
      found.set(filter, options);
    }
  }
  return found;
}

test('whatever is subscribed to and given up, in whatever order rows fail, the rows tell it in the end [broker]', ({
  onTestFinished,
}) => {
  console.log(`seed ${seed}`);
  const next = randomFrom(seed);
  const random = (below: number): number => Math.floor(next() * below);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const { shards, held, writer, subscriptions, rows } = fixture();
  shards.mode = 'by-hand';
  let doneCount = 0;
  let asked = 0;
  for (let step = 0; step < 3000; step++) {
    const filter = `${'long/'.repeat(random(30))}${random(150)}`;
    if (random(3) > 0) {
      held.set(filter, optionsOf(random(3), random(1000)));
      subscriptions.set(filter);
    } else if (held.delete(filter)) {
      subscriptions.delete(filter);
    }
    if (random(4) === 0) {
      asked += subscriptions.changedCount;
      subscriptions.write(stateRowId, () => doneCount++);
    }
    // What was not kept is never said to be stored; what was kept may be said to have failed.
    if (random(8) === 0) {
      shards.settle();
      shards.status = random(3) === 0 ? PublishStatus.storeError : PublishStatus.stored;
    }
    shards.settle(random(10), random(6) === 0 ? PublishStatus.shardDown : shards.status);
    if (random(20) === 0) vi.advanceTimersByTime(200);
  }
  shards.status = PublishStatus.stored;
  asked += subscriptions.changedCount;
  subscriptions.write(stateRowId, () => doneCount++);
  for (let pause = 0; writer.pendingCount > 0 || doneCount < asked; pause++) {
    expect(pause).toBeLessThan(200);
    shards.settle();
    vi.advanceTimersByTime(1000);
  }
  expect(doneCount).toBe(asked);
  expect(subscriptions.changedCount).toBe(0);
  expect(stored(rows)).toEqual(held);
  subscriptions.removeAll();
  expect(rows.size).toBe(0);
  writer.close();
});

test('one SUBSCRIBE among many filters rewrites one short row [broker]', async () => {
  const { held, writer, subscriptions, rows } = fixture();
  const write = async (...filters: string[]): Promise<number> => {
    for (const filter of filters) {
      held.set(filter, optionsOf(1));
      subscriptions.set(filter);
    }
    const { changedCount } = subscriptions;
    await new Promise<void>((resolve) => {
      let left = changedCount;
      subscriptions.write(stateRowId, () => --left === 0 && resolve());
    });
    return changedCount;
  };
  await write(...Array.from({ length: 20_000 }, (_, i) => `site/${i}/sensor`));
  expect(rows.size).toBeLessThan(400);
  for (const value of rows.values()) expect(value.length).toBeLessThan(2100);
  expect(await write('one/more')).toBe(1);
  expect(await write('site/77/sensor')).toBe(1);
  expect(await write('x'.repeat(10_000))).toBe(1);
  expect(stored(rows)).toEqual(held);
  writer.close();
});

test('rows that were given up have room for the filters that come [broker]', async () => {
  const { held, writer, subscriptions, rows } = fixture();
  const write = () =>
    new Promise<void>((resolve) => {
      let left = subscriptions.changedCount;
      subscriptions.write(stateRowId, () => --left === 0 && resolve());
    });
  for (let round = 0; round < 5; round++) {
    const filters = Array.from({ length: 1000 }, (_, i) => `round/${round}/${i}`);
    for (const filter of filters) {
      held.set(filter, optionsOf(0));
      subscriptions.set(filter);
    }
    await write();
    expect(stored(rows)).toEqual(held);
    for (const filter of filters) {
      held.delete(filter);
      subscriptions.delete(filter);
    }
    await write();
    expect(stored(rows)).toEqual(held);
  }
  expect(rows.size).toBeLessThan(20);
  writer.close();
});
