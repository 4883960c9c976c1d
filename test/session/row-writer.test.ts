/**
 * Rows of durable state on their way to the shards, over fake shards.
 */
import { expect, test, vi } from 'vitest';
import { RowWriter } from '../../src/session/row-writer.js';
import { PublishStatus, RowStore } from '../../src/shard/link.js';
import { FakeShards } from './fake-shards.js';

test('a row that no ring would ever take is refused, and holds up no other [broker]', async () => {
  const shards = new FakeShards();
  shards.roomBytes = 1000;
  const rows = new RowWriter(shards, 500);
  const ended: [string, boolean][] = [];
  rows.put(0, RowStore.session, 1, Buffer.alloc(2000), (stored) => ended.push(['long', stored]));
  rows.put(0, RowStore.session, 2, Buffer.alloc(20), (stored) => ended.push(['short', stored]));
  await expect.poll(() => ended.length).toBe(2);
  expect(ended).toContainEqual(['long', false]);
  expect(ended).toContainEqual(['short', true]);
  expect([...shards.rowsOf(0, RowStore.session).keys()]).toEqual([2]);
  rows.close();
});

test('a row that must go is deleted however long its shard is down [broker]', ({ onTestFinished }) => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const shards = new FakeShards();
  shards.mode = 'by-hand';
  const rows = new RowWriter(shards);
  rows.put(0, RowStore.session, 1, Buffer.alloc(20));
  shards.settle();
  let isGone = false;
  rows.remove(0, RowStore.session, 1, () => {
    isGone = true;
  });
  for (let attempt = 0; attempt < 200; attempt++) {
    expect(shards.unsettledCount).toBe(1);
    shards.settle(1, PublishStatus.shardDown);
    expect(isGone).toBe(false);
    vi.advanceTimersByTime(1000);
  }
  shards.settle();
  expect(isGone).toBe(true);
  expect(rows.pendingCount).toBe(0);
  rows.close();
});

test('many rows of a shard that is down are tried again in parts, and are all stored once it is back [broker]', ({
  onTestFinished,
}) => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const shards = new FakeShards();
  shards.mode = 'by-hand';
  shards.status = PublishStatus.shardDown;
  const rows = new RowWriter(shards);
  let storedCount = 0;
  for (let rowId = 1; rowId <= 2500; rowId++) {
    rows.put(0, RowStore.session, rowId, Buffer.of(1), (stored) => (storedCount += Number(stored)));
  }
  shards.settle();
  shards.status = PublishStatus.stored;
  const parts: number[] = [];
  for (let pause = 0; pause < 3; pause++) {
    vi.advanceTimersByTime(100);
    parts.push(shards.unsettledCount);
    shards.settle();
  }
  expect(parts).toEqual([1000, 1000, 500]);
  expect(storedCount).toBe(2500);
  expect(shards.rowsOf(0, RowStore.session).size).toBe(2500);
  expect(rows.pendingCount).toBe(0);
  rows.close();
});
