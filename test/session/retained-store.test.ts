/** Retained messages: stored, replaced, cleared, limited, expired, and there again after a restart. Quick tier. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RowStore, PublishStatus } from '../../src/shard/link.js';
import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import { FakeShards } from './fake-shards.js';
import { FakeReceiver, optionsOf, retainedFixture, turns, type RetainedFixture } from './retained-fixture.js';

/** What a new QoS 2 subscription gets, as `topic=payload`. */
async function retainedOn({ store }: RetainedFixture, filter = '#'): Promise<string[]> {
  const receiver = new FakeReceiver();
  store.subscribed(receiver, filter, optionsOf(2), true, 0);
  for (let i = 0; i < 200 && store.feedingCount > 0; i++) await turns(1);
  store.sessionEnded(receiver);
  return receiver.received.map(({ topic, payload }) => `${topic}=${payload}`);
}

function rowCount(shards: FakeShards): number {
  let count = 0;
  for (let shard = 0; shard < shards.shardCount; shard++)
    count += shards.rowsOf(shard, RowStore.retained).size;
  return count;
}

describe('publishes with RETAIN', () => {
  test('the last message of a topic is kept, in memory and in one row [MQTT-3.3.1-5]', async () => {
    const fixture = retainedFixture();
    for (const payload of ['1', '2', '33333']) fixture.publish('a/b', payload);
    fixture.publish('a/c', 'c');
    expect(await retainedOn(fixture)).toEqual(['a/b=33333', 'a/c=c']);
    expect(rowCount(fixture.shards)).toBe(2);
    expect([fixture.store.count, fixture.store.bytes]).toEqual([2, 12]);
  });

  test('an empty payload removes what the topic has and is not kept itself [MQTT-3.3.1-6] [MQTT-3.3.1-7]', async () => {
    const fixture = retainedFixture();
    fixture.publish('a', 'x');
    fixture.publish('a', '');
    fixture.publish('b', '');
    expect(await retainedOn(fixture)).toEqual([]);
    expect([fixture.store.count, rowCount(fixture.shards)]).toEqual([0, 0]);
  });

  test('a publish settles with its row, and at once where there is none to write [broker]', async () => {
    const fixture = retainedFixture();
    expect(fixture.publish('a', 'x', { token: 7 })).toBe(true);
    expect(fixture.publish('b', '', { token: 8 })).toBe(false);
    expect(fixture.publish('a', '', { token: 9 })).toBe(true);
    expect(fixture.publish('c', 'x')).toBe(false);
    expect(fixture.settled).toEqual([]);
    await turns(2);
    expect(fixture.settled).toEqual([
      [7, PublishStatus.stored],
      [9, PublishStatus.stored],
    ]);
  });

  test('a topic keeps its shard, and a new one asks the shard that will get it [broker]', () => {
    const fixture = retainedFixture({}, new FakeShards(4));
    for (let i = 0; i < 40; i++) {
      const topic = Buffer.from(`t/${i}`);
      const shard = fixture.store.shardIdFor(topic, 0, topic.length);
      const before = fixture.shards.rowsOf(shard, RowStore.retained).size;
      fixture.publish(`t/${i}`, 'x');
      expect(fixture.shards.rowsOf(shard, RowStore.retained).size).toBe(before + 1);
      expect(fixture.store.shardIdFor(topic, 0, topic.length)).toBe(shard);
    }
    expect([0, 1, 2, 3].map((shard) => fixture.shards.rowsOf(shard, RowStore.retained).size)).not.toContain(
      0,
    );
  });

  test('clients cannot set what the broker says about itself, and it is never stored [MQTT-4.7.2-1]', async () => {
    const fixture = retainedFixture();
    fixture.store.setVolatile('$SYS/broker/uptime', Buffer.from('7'));
    fixture.store.setVolatile('other', Buffer.from('1'));
    expect(fixture.publish('$SYS/broker/uptime', 'forged', { token: 1 })).toBe(false);
    expect(fixture.publish('$SYS/new', 'forged', { token: 2 })).toBe(false);
    expect(fixture.publish('other', 'forged', { token: 3 })).toBe(false);
    expect(await retainedOn(fixture, '$SYS/#')).toEqual(['$SYS/broker/uptime=7']);
    expect(await retainedOn(fixture, '#')).toEqual(['other=1']);
    expect([fixture.store.count, rowCount(fixture.shards)]).toEqual([0, 0]);
    fixture.store.setVolatile('$SYS/broker/uptime', Buffer.from('88'));
    expect(await retainedOn(fixture, '$SYS/broker/uptime')).toEqual(['$SYS/broker/uptime=88']);
    fixture.store.setVolatile('$SYS/broker/uptime', Buffer.alloc(0));
    expect(await retainedOn(fixture, '$SYS/#')).toEqual([]);
  });
});

describe('limits', () => {
  test('one topic too many is not retained; replacing and clearing go on [broker]', async () => {
    const fixture = retainedFixture({ SLUICE_RETAINED_MAX: '2' });
    for (const topic of ['a', 'b', 'c']) fixture.publish(topic, '1');
    fixture.publish('a', '2');
    expect(await retainedOn(fixture)).toEqual(['a=2', 'b=1']);
    expect(fixture.counters.total(slotOf('retainedRefused', 'count'))).toBe(1);
    fixture.publish('b', '');
    await turns(2);
    fixture.publish('c', '3');
    expect(await retainedOn(fixture)).toEqual(['a=2', 'c=3']);
  });

  test('bytes are bounded, and what cannot be replaced is removed, not left outdated [broker]', async () => {
    const fixture = retainedFixture({ SLUICE_RETAINED_MAX_BYTES: '100' });
    fixture.publish('a', 'x'.repeat(49));
    fixture.publish('b', 'x'.repeat(49));
    expect(fixture.store.bytes).toBe(100);
    fixture.publish('c', 'x');
    fixture.publish('a', 'y'.repeat(40));
    expect(fixture.store.bytes).toBe(91);
    expect(fixture.publish('b', 'z'.repeat(80), { token: 5 })).toBe(true);
    expect(await retainedOn(fixture)).toEqual([`a=${'y'.repeat(40)}`]);
    expect(fixture.counters.total(slotOf('retainedRefused', 'bytes'))).toBe(2);
    expect(rowCount(fixture.shards)).toBe(1);
  });

  test('a message above the size of one is not retained [broker]', async () => {
    const fixture = retainedFixture({ SLUICE_RETAINED_MESSAGE_MAX_BYTES: '10' });
    fixture.publish('a', '123456789');
    fixture.publish('b', '1234567890');
    expect(await retainedOn(fixture)).toEqual(['a=123456789']);
    expect(fixture.counters.total(slotOf('retainedRefused', 'message-bytes'))).toBe(1);
  });

  test('0 retains nothing [broker]', async () => {
    const fixture = retainedFixture({ SLUICE_RETAINED_MAX: '0' });
    fixture.publish('a', '1');
    expect(await retainedOn(fixture)).toEqual([]);
  });
});

describe('expiry', () => {
  test('what has expired is not sent, and what is left of a life is [MQTT-3.3.2-5] [MQTT-3.3.2-6]', async () => {
    const fixture = retainedFixture();
    fixture.publish('a', 'short', { expiryS: 5 });
    fixture.publish('b', 'long', { expiryS: 60 });
    fixture.publish('c', 'ever');
    fixture.clock.atMs += 6000;
    const receiver = new FakeReceiver();
    fixture.store.subscribed(receiver, '#', optionsOf(1), true, 0);
    await turns(2);
    expect(receiver.received.map(({ payload, expiry }) => [payload, expiry])).toEqual([
      ['long', 54],
      ['ever', 0],
    ]);
  });

  test('what has expired is removed with its row [MQTT-3.3.2-5]', () => {
    const fixture = retainedFixture();
    for (let i = 0; i < 10; i++) fixture.publish(`t/${i}`, 'x', { expiryS: i < 7 ? 5 : 50 });
    fixture.store.tick((fixture.clock.atMs += 4000));
    expect(fixture.store.count).toBe(10);
    fixture.store.tick((fixture.clock.atMs += 2000));
    expect([fixture.store.count, rowCount(fixture.shards)]).toEqual([3, 3]);
    expect(fixture.counters.total(slot.retainedExpired)).toBe(7);
  });

  test('a full ring leaves the rest of a sweep to the next one [broker]', () => {
    const fixture = retainedFixture();
    fixture.publish('a', 'x', { expiryS: 1 });
    fixture.shards.roomBytes = 0;
    fixture.store.tick((fixture.clock.atMs += 2000));
    expect([fixture.store.count, rowCount(fixture.shards)]).toEqual([1, 1]);
    fixture.shards.makeRoom();
    fixture.store.tick((fixture.clock.atMs += 500));
    expect([fixture.store.count, rowCount(fixture.shards)]).toEqual([0, 0]);
  });
});

describe('after a restart', () => {
  test('messages are there again with their expiry, by the clock on the wall [broker]', async () => {
    const first = retainedFixture();
    first.publish('a', 'ever');
    first.publish('b', 'minute', { expiryS: 60 });
    first.publish('c', 'short', { expiryS: 10 });
    first.publish('d', 'gone');
    first.publish('d', '');
    const second = retainedFixture({}, first.shards);
    second.clock.atMs = 77;
    second.clock.wallMs += 20_000;
    await second.store.load();
    const receiver = new FakeReceiver();
    second.store.subscribed(receiver, '#', optionsOf(2), true, 0);
    await turns(2);
    expect(receiver.received.map(({ topic, payload, qos, expiry }) => [topic, payload, qos, expiry])).toEqual(
      [
        ['a', 'ever', 1, 0],
        ['b', 'minute', 1, 40],
      ],
    );
    second.store.tick(second.clock.atMs);
    expect([second.store.count, rowCount(first.shards)]).toEqual([2, 2]);
  });

  test('the newest row of a topic counts, wherever it lies, and the others are deleted [broker]', async () => {
    const first = retainedFixture();
    first.publish('a', 'value');
    const shard = first.store.shardIdFor(Buffer.from('a'), 0, 1);
    const rows = first.shards.rowsOf(shard, RowStore.retained);
    const [[rowId, value] = [0, Buffer.alloc(0)]] = rows;
    const other = first.shards.rowsOf(1 - shard, RowStore.retained);
    const older = Buffer.from(value);
    older.write('older', older.length - 5);
    for (const [otherId, own, winner] of [
      [rowId + 1, older, 'older'],
      [rowId - 1, older, 'value'],
    ] as const) {
      other.clear();
      rows.set(rowId, value);
      other.set(otherId, own);
      const second = retainedFixture({}, first.shards);
      await second.store.load();
      expect(await retainedOn(second)).toEqual([`a=${winner}`]);
      expect(rowCount(first.shards)).toBe(1);
      // It is replaced where it lies.
      second.publish('a', 'next');
      expect(rowCount(first.shards)).toBe(1);
    }
  });

  test('a row that cannot be read is counted, passed over and left alone [broker]', async () => {
    const shards = new FakeShards(1);
    shards.rowsOf(0, RowStore.retained).set(999, Buffer.from('garbage'));
    const fixture = retainedFixture({}, shards);
    fixture.publish('a', 'x');
    const again = retainedFixture({}, shards);
    await again.store.load();
    expect(await retainedOn(again)).toEqual(['a=x']);
    expect(again.counters.total(slot.retainedRowsUnreadable)).toBe(1);
    expect(rowCount(shards)).toBe(2);
  });

  test('more messages than a lowered limit allows stay, and no new one comes [broker]', async () => {
    const first = retainedFixture();
    for (const topic of ['a', 'b', 'c']) first.publish(topic, '1');
    const second = retainedFixture({ SLUICE_RETAINED_MAX: '2' }, first.shards);
    await second.store.load();
    second.publish('d', '1');
    expect(await retainedOn(second)).toEqual(['a=1', 'b=1', 'c=1']);
  });
});

describe('clearing while the shard is down', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  test('the publisher is told, and the row is deleted once the shard is back [broker]', async () => {
    const fixture = retainedFixture();
    fixture.publish('a', 'x');
    await turns(2);
    fixture.shards.status = PublishStatus.shardDown;
    expect(fixture.publish('a', '', { token: 1 })).toBe(true);
    await turns(2);
    expect(fixture.settled).toEqual([[1, PublishStatus.shardDown]]);
    expect([fixture.store.count, rowCount(fixture.shards)]).toEqual([0, 1]);
    // A second attempt waits for the same deletion: an acknowledgement would be a lie.
    expect(fixture.publish('a', '', { token: 2 })).toBe(true);
    await turns(2);
    expect(fixture.settled.at(-1)).toEqual([2, PublishStatus.shardDown]);
    fixture.shards.status = PublishStatus.stored;
    vi.advanceTimersByTime(1000);
    await turns(2);
    expect(rowCount(fixture.shards)).toBe(0);
    expect(fixture.publish('a', '', { token: 3 })).toBe(false);
  });

  test('a second attempt that succeeds deletes the row itself [broker]', async () => {
    const fixture = retainedFixture();
    fixture.publish('a', 'x');
    fixture.shards.status = PublishStatus.shardDown;
    fixture.publish('a', '');
    await turns(2);
    fixture.shards.status = PublishStatus.stored;
    expect(fixture.publish('a', '', { token: 2 })).toBe(true);
    expect(rowCount(fixture.shards)).toBe(0);
  });

  test('a message that comes meanwhile is not hit by the late deletion [broker]', async () => {
    const fixture = retainedFixture();
    fixture.publish('a', 'old');
    fixture.shards.status = PublishStatus.shardDown;
    fixture.publish('a', '');
    await turns(2);
    fixture.shards.status = PublishStatus.stored;
    fixture.publish('a', 'new');
    expect(rowCount(fixture.shards)).toBe(2);
    vi.advanceTimersByTime(1000);
    await turns(2);
    expect(rowCount(fixture.shards)).toBe(1);
    const again = retainedFixture({}, fixture.shards);
    await again.store.load();
    expect(await retainedOn(again)).toEqual(['a=new']);
  });
});
