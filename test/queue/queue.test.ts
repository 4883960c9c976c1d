import { describe, expect, test } from 'vitest';
import type { QueueConsumer } from '../../src/queue/consumer-set.js';
import { evictOverflow } from '../../src/queue/eviction.js';
import { expireUnread } from '../../src/queue/expiry.js';
import { KeyEvaluationError } from '../../src/queue/key-expression/error.js';
import { peek } from '../../src/queue/peek.js';
import { RateMeter } from '../../src/queue/queue-counters.js';
import type { Queue } from '../../src/queue/queue.js';
import { RecordKeyContext } from '../../src/queue/record-key-context.js';
import { FakeHost, memoryOf, writeRecord, type FakeDelivery, type TestMessage } from './fake-host.js';

function messages(count: number, from = 0, more: Partial<TestMessage> = {}): TestMessage[] {
  return Array.from({ length: count }, (_, i) => ({ id: from + i, ...more }));
}

function ids(deliveries: readonly FakeDelivery[]): number[] {
  return deliveries.map(({ id }) => id);
}

/** Dispatches until nothing more comes, acks everything, and returns the message ids. */
function drain(host: FakeHost, queue: Queue, consumer: QueueConsumer, nowMs = 0): number[] {
  const seen: number[] = [];
  for (let turn = 0; turn < 1000; turn++) {
    const end = queue.dispatch(nowMs, 512);
    const read = host.read();
    for (const { id, tag } of read) {
      seen.push(id);
      host.answer(queue, consumer, tag, 'ack', nowMs);
    }
    host.flush(queue);
    if (read.length === 0 && end !== 'budget-used') return seen;
  }
  return expect.fail('the queue does not drain');
}

function sweep(host: FakeHost, queue: Queue, nowMs: number): void {
  let walk = expireUnread(queue, host, host.batch, nowMs, null);
  while (walk !== null) walk = expireUnread(queue, host, host.batch, nowMs, walk);
  host.flush(queue);
}

describe('redelivery', () => {
  test.each(['random', 'round_robin', 'least_inflight'] as const)(
    'a rejected message goes to another consumer at once, with %s [queue-5]',
    (dispatchStrategy) => {
      const host = new FakeHost();
      const queue = host.queue({ dispatchStrategy });
      const consumers = [host.attach(queue), host.attach(queue)];
      host.store(queue, messages(1));
      queue.dispatch(0, 10);
      const [first] = host.read();
      const holder = consumers.find(({ slot }) => slot === first?.consumerSlot) as QueueConsumer;
      host.answer(queue, holder, first?.tag ?? 0, 'reject', 0);
      queue.dispatch(0, 10);
      const [second] = host.read();
      expect(second).toMatchObject({ id: 0, attempt: 2 });
      expect(second?.consumerSlot).not.toBe(first?.consumerSlot);
    },
  );

  test('a rejected message comes back to its only consumer after the pause, and not a moment earlier [queue-6]', () => {
    const host = new FakeHost();
    const queue = host.queue({ redispatchIntervalMs: 500 });
    const consumer = host.attach(queue);
    host.store(queue, messages(2));
    queue.dispatch(1000, 1);
    host.answer(queue, consumer, host.read()[0]?.tag ?? 0, 'reject', 1000);
    expect(queue.dispatch(1000, 10)).toBe('caught-up');
    expect(ids(host.read()), 'a later message passes').toEqual([1]);
    expect(queue.dueMs).toBe(1500);
    queue.dispatch(1499, 10);
    expect(host.read()).toEqual([]);
    expect(queue.dueMs).toBe(1500);
    queue.dispatch(1500, 10);
    expect(ids(host.read())).toEqual([0]);
    expect(queue.dueMs).toBe(Number.POSITIVE_INFINITY);
  });

  test('what a consumer held goes to another at once, in order, before anything newer [queue-8]', () => {
    const host = new FakeHost();
    const queue = host.queue();
    const leaver = host.attach(queue, 3);
    host.store(queue, messages(6));
    queue.dispatch(0, 10);
    host.read();
    const stays = host.attach(queue, 100);
    queue.detach(leaver);
    queue.dispatch(0, 10);
    expect(ids(host.read())).toEqual([0, 1, 2, 3, 4, 5]);
    expect(stays.delivered).toBe(6);
    expect(queue.counters.redelivered).toBe(3);
  });

  test('a released message does not count as an attempt [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue();
    const consumer = host.attach(queue);
    host.store(queue, messages(1));
    queue.dispatch(0, 1);
    host.answer(queue, consumer, host.read()[0]?.tag ?? 0, 'release');
    queue.dispatch(0, 1);
    expect(host.read()).toMatchObject([{ id: 0, attempt: 1 }]);
  });

  test('a message that nobody can take now asks for no timer: without consumers, paused, or with full windows [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue({ redispatchIntervalMs: 100 });
    const consumer = host.attach(queue, 1);
    host.store(queue, messages(2));
    queue.dispatch(0, 10);
    host.answer(queue, consumer, host.read()[0]?.tag ?? 0, 'reject', 0);
    queue.dispatch(0, 10);
    expect(ids(host.read()), 'the window is full with the next one').toEqual([1]);
    expect(queue.dispatch(5000, 10)).toBe('window-full');
    expect(queue.dueMs).toBe(Number.POSITIVE_INFINITY);
    queue.update({ ...queue.definition, paused: true });
    queue.dispatch(6000, 10);
    expect(queue.dueMs).toBe(Number.POSITIVE_INFINITY);
    queue.update({ ...queue.definition, paused: false });
    queue.detach(consumer);
    expect(queue.dispatch(7000, 10)).toBe('no-consumer');
    expect(queue.dueMs).toBe(Number.POSITIVE_INFINITY);
    const next = host.attach(queue);
    expect(drain(host, queue, next, 8000).toSorted((a, b) => a - b)).toEqual([0, 1]);
  });

  test('own messages under No Local, fresh or given back, never hold up those of others [MQTT-3.8.3-3]', () => {
    const host = new FakeHost();
    const queue = host.queue({ localMaxInflight: 1000 });
    const alice = host.attach(queue, 1000, 'alice', true);
    host.store(queue, [...messages(200, 0, { from: 'alice' }), ...messages(1, 200, { from: 'bob' })]);
    for (let turn = 0; turn < 5; turn++) queue.dispatch(0, 512);
    const [delivery] = host.read();
    expect(delivery?.id).toBe(200);
    // Refused once, it waits behind two hundred that alice may not have.
    host.answer(queue, alice, delivery?.tag ?? 0, 'reject', 0);
    for (let turn = 0; turn < 5; turn++) queue.dispatch(100, 512);
    expect(ids(host.read())).toEqual([200]);
    const bob = host.attach(queue, 1000, 'bob', true);
    for (let turn = 0; turn < 5; turn++) queue.dispatch(200, 512);
    expect(host.read().length).toBe(200);
    queue.detach(bob);
    host.store(queue, messages(1, 300, { from: 'bob' }));
    for (let turn = 0; turn < 5; turn++) queue.dispatch(300, 512);
    expect(ids(host.read())).toEqual([300]);
    expect(queue.dueMs, 'no timer for what only others may have').toBe(Number.POSITIVE_INFINITY);
    const carol = host.attach(queue, 1000, 'carol');
    expect(drain(host, queue, carol, 400).length).toBe(200);
  });

  test('rejecting everything stops only the own queue, before the shard is full of it [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue({ redispatchIntervalMs: 1e9 });
    const other = host.queue({ id: 2 });
    const rejecter = host.attach(queue, 2000);
    const good = host.attach(other);
    for (let turn = 0; turn < 40; turn++) {
      host.store(queue, messages(1000, turn * 1000));
      queue.dispatch(0, 2000);
      for (const { tag } of host.read()) host.answer(queue, rejecter, tag, 'reject', 0);
    }
    expect(host.inFlight.used).toBeLessThan(20_000);
    host.store(other, messages(5));
    expect(drain(host, other, good)).toEqual([0, 1, 2, 3, 4]);
  });
});

describe('bounds', () => {
  test('a small stream_max_buffer_size bounds what is in flight over all consumers [queue-7]', () => {
    const host = new FakeHost();
    const queue = host.queue({ streamMaxBufferSize: 3 });
    const consumers = [host.attach(queue), host.attach(queue)];
    host.store(queue, messages(10));
    expect(queue.dispatch(0, 100)).toBe('window-full');
    expect(host.read().length).toBe(3);
    for (const consumer of consumers) queue.detach(consumer);
    const consumer = host.attach(queue);
    queue.dispatch(0, 100);
    const again = host.read();
    expect(ids(again)).toEqual([0, 1, 2]);
    host.answer(queue, consumer, again[0]?.tag ?? 0, 'ack');
    queue.dispatch(0, 100);
    expect(ids(host.read())).toEqual([3]);
  });

  test('a dispatch stops at its budget, at a full ring, and at messages that have expired [broker]', () => {
    const host = new FakeHost({ ringDeliveriesMax: 4 });
    const queue = host.queue({ localMaxInflight: 1000 });
    host.attach(queue);
    host.store(queue, [...messages(100, 0, { expiryS: 1 }), ...messages(10, 100)]);
    expect(queue.dispatch(5000, 50)).toBe('budget-used');
    expect(queue.counters.expired).toBe(50);
    expect(queue.dispatch(5000, 52)).toBe('budget-used');
    expect(ids(host.read())).toEqual([100, 101]);
    expect(queue.dispatch(5000, 100)).toBe('outbox-full');
    expect(ids(host.read())).toEqual([102, 103, 104, 105]);
  });

  test('over a limit the oldest that nobody has goes first; what consumers hold stays [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue({ messagesMax: 4 });
    const consumer = host.attach(queue, 2);
    host.store(queue, messages(4));
    queue.dispatch(0, 10);
    const held = host.read();
    host.store(queue, messages(3, 4));
    evictOverflow(queue, 16, Number.POSITIVE_INFINITY);
    expect(queue.ledger.liveCount).toBe(4);
    expect(queue.counters.evicted).toBe(3);
    for (const { tag } of held) host.answer(queue, consumer, tag, 'ack');
    expect(drain(host, queue, consumer)).toEqual([5, 6]);
  });

  test('eviction goes on where its budget ended, and counts are exact in between [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue();
    for (let turn = 0; turn < 10; turn++) host.store(queue, messages(100, turn * 100));
    queue.update({ ...queue.definition, messagesMax: 50 });
    for (let left = 1000; left > 100; left -= 100) {
      expect(evictOverflow(queue, 16, 100)).toBe(true);
      expect([queue.ledger.liveCount, queue.counters.evicted]).toEqual([left - 100, 1100 - left]);
    }
    expect(evictOverflow(queue, 16, 100)).toBe(false);
    expect([queue.ledger.liveCount, queue.counters.evicted]).toEqual([50, 950]);
    host.flush(queue);
    expect(drain(host, queue, host.attach(queue))).toEqual(messages(50, 950).map(({ id }) => id));
  });

  test('memory is given back from the far end, and no more than was asked for [broker]', () => {
    const host = new FakeHost({ pages: 16 });
    const queue = host.queue();
    // One block of about half a page per turn.
    for (let turn = 0; turn < 20; turn++) host.store(queue, messages(1, turn, { payloadBytes: 130_000 }));
    const before = host.arena.freePages;
    host.reclaimPages = 3;
    expect(host.reclaimMemory()).toBe(true);
    expect(host.arena.freePages).toBe(before + 3);
    const readBefore = host.blocksRead;
    const consumer = host.attach(queue);
    queue.dispatch(0, 10);
    expect(ids(host.ring)).toEqual(messages(10).map(({ id }) => id));
    expect(host.blocksRead, 'what comes next is still in memory').toBe(readBefore);
    for (const { tag } of host.read()) host.answer(queue, consumer, tag, 'ack');
    expect(drain(host, queue, consumer)).toEqual(messages(10, 10).map(({ id }) => id));
  });

  test('limits of EMQX count per shard of theirs, and bytes count as messages do [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue({ shardMessageCountMax: 2 });
    host.store(queue, messages(50));
    evictOverflow(queue, 16, Number.POSITIVE_INFINITY);
    expect(queue.ledger.liveCount).toBe(32);
    queue.update({ ...queue.definition, shardMessageCountMax: Number.POSITIVE_INFINITY, bytesMax: 720 });
    evictOverflow(queue, 16, Number.POSITIVE_INFINITY);
    expect(queue.ledger.liveBytes).toBeLessThanOrEqual(720);
    expect(queue.ledger.liveBytes).toBeGreaterThan(560);
  });

  test('a queue that refuses overflow takes what fits, counting what the turn already brought [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue({ overflowPolicy: 'reject_publish', messagesMax: 10 });
    host.store(queue, messages(6));
    const memory = memoryOf(8192);
    let bytes = 0;
    for (const message of messages(8)) bytes += writeRecord(memory, bytes, message);
    expect(queue.admit(memory.words, 0, 8)).toBe(4);
    queue.runs.push(0, 3 * 80, 3);
    expect(queue.admit(memory.words, 0, 8)).toBe(1);
    expect(queue.counters.refused).toBe(4 + 7);
    evictOverflow(queue, 16, Number.POSITIVE_INFINITY);
    expect(queue.ledger.liveCount).toBe(6);
  });

  test('queues that nobody reads give their block memory to others, whatever page they share [broker]', () => {
    const host = new FakeHost({ pages: 3 });
    const busy = host.queue({ id: 1, localMaxInflight: 1000 });
    const idle = Array.from({ length: 40 }, (_, i) => host.queue({ id: i + 2 }));
    const consumer = host.attach(busy);
    let id = 0;
    for (const queue of idle) {
      host.store(queue, messages(1, 10_000 + id, { payloadBytes: 500 }));
      host.store(busy, messages(10, id, { payloadBytes: 3000 }));
      id += 10;
    }
    // One of them is half read.
    const half = host.queue({ id: 100 });
    host.store(half, messages(3, 20_000, { payloadBytes: 500 }));
    const reader = host.attach(half, 1);
    half.dispatch(0, 1);
    const [held] = host.read();
    host.store(busy, messages(1, id, { payloadBytes: 400_000 }));
    expect(drain(host, busy, consumer).length).toBe(401);
    for (const queue of idle) expect(drain(host, queue, host.attach(queue)).length).toBe(1);
    host.answer(half, reader, held?.tag ?? 0, 'ack');
    expect(drain(host, half, reader)).toEqual([20_001, 20_002]);
  });

  test('a backlog on disk is read back piece by piece while memory is short, and no piece is skipped [broker]', () => {
    const host = new FakeHost({ pages: 2 });
    const queue = host.queue({ localMaxInflight: 30 });
    const other = host.queue({ id: 2 });
    for (let turn = 0; turn < 60; turn++) {
      host.store(queue, messages(20, turn * 20, { payloadBytes: 1500 }));
      host.store(other, messages(2, turn * 2, { payloadBytes: 5000 }));
    }
    const consumer = host.attach(queue);
    expect(drain(host, queue, consumer)).toEqual(Array.from({ length: 1200 }, (_, i) => i));
  });

  test('a queue that begins beyond 2^32 keeps its offsets and order [broker]', () => {
    const host = new FakeHost({ pages: 2 });
    const queue = host.queue();
    queue.recover(2 ** 33, 2 ** 33, 0, 0, Number.POSITIVE_INFINITY);
    host.store(queue, messages(5));
    const consumer = host.attach(queue);
    queue.dispatch(0, 3);
    const read = host.read();
    expect(host.inFlight.offsetOf(host.inFlight.find(read[2]?.tag ?? 0))).toBe(2 ** 33 + 2);
    queue.detach(consumer);
    const again = new FakeHost({ log: host.log });
    const recovered = again.queue();
    expect(recovered.nextOffset).toBe(2 ** 33 + 5);
    expect(drain(again, recovered, again.attach(recovered))).toEqual([0, 1, 2, 3, 4]);
  });
});

describe('last value', () => {
  test('an acked message that is overwritten before its ack is written counts once and does not come back [queue-4]', () => {
    const host = new FakeHost();
    const queue = host.queue({ isLastvalue: true });
    const consumer = host.attach(queue);
    host.storeKeyed(queue, { id: 1, key: 'k' });
    queue.dispatch(0, 1);
    host.answer(queue, consumer, host.read()[0]?.tag ?? 0, 'ack');
    host.storeKeyed(queue, { id: 2, key: 'k' });
    expect(queue.ledger.liveCount).toBe(1);
    expect(queue.counters.overwritten).toBe(0);
    // A crash now, before the ack was flushed: the old value is gone with the new one's commit.
    const again = new FakeHost({ log: host.log });
    const recovered = again.queue({ isLastvalue: true });
    expect(drain(again, recovered, again.attach(recovered))).toEqual([2]);
  });

  test('of several values in one batch only the newest is sent, in memory and on disk [queue-4]', () => {
    for (const cacheBytesMax of [Number.POSITIVE_INFINITY, 0]) {
      const host = new FakeHost({ cacheBytesMax });
      const queue = host.queue({ isLastvalue: true });
      for (let id = 0; id < 20; id++) host.appendKeyed(queue, { id, key: `${id % 2}` });
      host.write();
      queue.commit(queue.nextOffset);
      expect(queue.ledger.liveCount).toBe(2);
      expect(queue.counters.overwritten).toBe(18);
      expect(drain(host, queue, host.attach(queue))).toEqual([18, 19]);
      expect(host.log.readSummaries(1, 0, 10)).toEqual([]);
      expect(host.log.readKeys(1, undefined, 10)).toEqual([]);
    }
  });

  test('a value that waits to be delivered again is gone at once when it is overwritten [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue({ isLastvalue: true });
    const consumer = host.attach(queue);
    host.storeKeyed(queue, { id: 1, key: 'k' });
    queue.dispatch(0, 1);
    host.read();
    queue.detach(consumer);
    host.storeKeyed(queue, { id: 2, key: 'k' });
    expect([queue.ledger.liveCount, queue.readyCount]).toEqual([1, 1]);
    expect(drain(host, queue, host.attach(queue))).toEqual([2]);
    expect(host.inFlight.used).toBe(0);
  });

  test('a value in flight stays with its consumer, and is not sent again after a newer one came [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue({ isLastvalue: true });
    const consumer = host.attach(queue, 1);
    host.storeKeyed(queue, { id: 1, key: 'k' });
    queue.dispatch(0, 1);
    const [old] = host.read();
    host.storeKeyed(queue, { id: 2, key: 'k' });
    expect([queue.inFlightCount, queue.ledger.liveCount]).toEqual([1, 2]);
    host.answer(queue, consumer, old?.tag ?? 0, 'reject', 0);
    expect(queue.ledger.liveCount).toBe(1);
    expect(drain(host, queue, consumer, 10_000)).toEqual([2]);
  });

  test('a key whose message expired on disk does not hit another message after a restart [broker]', () => {
    const host = new FakeHost({ cacheBytesMax: 0 });
    const queue = host.queue({ isLastvalue: true });
    host.storeKeyed(queue, { id: 1, key: 'old', expiryS: 1 });
    sweep(host, queue, 2000);
    expect(queue.ledger.liveCount).toBe(0);
    expect(host.log.readKeys(1, undefined, 10)).toEqual([]);
    // Offsets begin anew in an empty queue: the next message lies where the expired one lay.
    const again = new FakeHost({ log: host.log });
    const recovered = again.queue({ isLastvalue: true });
    again.storeKeyed(recovered, { id: 2, key: 'new' });
    again.storeKeyed(recovered, { id: 3, key: 'old' });
    expect(recovered.ledger.liveCount).toBe(2);
    expect(drain(again, recovered, again.attach(recovered))).toEqual([2, 3]);
  });

  test('a key that does not fit is a key error, and half a surrogate pair is the same key as when it is read back [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue({ isLastvalue: true, keyExpression: 'message.from' });
    const context = new RecordKeyContext(() => 0);
    const memory = memoryOf(1024);
    writeRecord(memory, 0, { id: 1 });
    const aim = (clientId: string): void =>
      context.aim(memory, 0, { clientId, username: undefined, peername: '', protocolVersion: 5 }, 0);
    aim('x'.repeat(65_535));
    expect(queue.keyOf(context).length).toBe(65_535);
    aim('ä'.repeat(32_768));
    expect(() => queue.keyOf(context)).toThrow(KeyEvaluationError);
    aim('a\ud83d');
    expect(queue.keyOf(context)).toBe('a\ufffd');
    aim('a\ud83d\ude00');
    expect(queue.keyOf(context)).toBe('a😀');
  });

  test('a full queue that refuses overflow still takes a new value of a key that it has [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue({ isLastvalue: true, overflowPolicy: 'reject_publish', messagesMax: 2 });
    const consumer = host.attach(queue, 1);
    host.storeKeyed(queue, { id: 1, key: 'a' });
    expect(queue.refusesKey('b')).toBe(false);
    host.storeKeyed(queue, { id: 2, key: 'b' });
    expect([queue.refusesKey('a'), queue.refusesKey('c')]).toEqual([false, true]);
    queue.dispatch(0, 1);
    host.answer(queue, consumer, host.read()[0]?.tag ?? 0, 'ack');
    expect([queue.refusesKey('a'), queue.refusesKey('c')]).toEqual([false, false]);
  });
});

describe('purge', () => {
  test('a late ack for a purged message hits nothing, however often its entry could have been used again [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue({ localMaxInflight: 3 });
    const slow = host.attach(queue, 3);
    host.store(queue, messages(3));
    queue.dispatch(0, 10);
    const stale = host.read();
    expect(queue.purge()).toBe(3);
    expect([queue.ledger.liveCount, queue.inFlightCount, queue.readyCount]).toEqual([0, 0, 0]);
    const quick = host.attach(queue, 1);
    for (let round = 0; round < 600; round++) {
      host.store(queue, messages(1, 10 + round));
      queue.dispatch(0, 1);
      const [delivery] = host.read();
      expect(delivery?.consumerSlot).toBe(quick.slot);
      expect(stale.map(({ tag }) => tag)).not.toContain(delivery?.tag);
      host.answer(queue, quick, delivery?.tag ?? 0, 'ack');
    }
    expect(host.inFlightCounts[slow.slot], 'its window is still full').toBe(3);
    for (const { tag } of stale) host.answer(queue, slow, tag, 'ack');
    expect(queue.counters.acked).toBe(600);
    expect(host.inFlightCounts[slow.slot]).toBe(0);
    expect(host.inFlight.used).toBe(0);
  });

  test('a purge with commits under way leaves nothing behind, and what comes later is delivered [broker]', () => {
    const host = new FakeHost({ pages: 2 });
    const queue = host.queue();
    const consumer = host.attach(queue);
    host.append(queue, messages(5, 0, { payloadBytes: 5000 }));
    host.write();
    const end = queue.nextOffset;
    queue.purge();
    host.batch.dropQueue(1);
    host.write();
    queue.commit(end);
    expect(queue.dispatch(0, 10)).toBe('caught-up');
    host.store(queue, messages(2, 10));
    expect(drain(host, queue, consumer)).toEqual([10, 11]);
    expect(host.arena.freePages).toBeGreaterThanOrEqual(1);
  });

  test('acked but unwritten messages give their memory back with a purge [broker]', () => {
    const host = new FakeHost({ pages: 4 });
    const queue = host.queue({ localMaxInflight: 1000 });
    const consumer = host.attach(queue);
    for (let round = 0; round < 20; round++) {
      host.store(queue, messages(100, 0, { payloadBytes: 2000 }));
      queue.dispatch(0, 1000);
      for (const { tag } of host.read()) host.answer(queue, consumer, tag, 'ack');
      queue.purge();
      host.batch.dropQueue(1);
      host.write();
    }
    expect(host.arena.freePages).toBeGreaterThanOrEqual(3);
  });
});

describe('expiry', () => {
  test.each([Number.POSITIVE_INFINITY, 0])(
    'a message ends with its own interval wherever it waits, and the rest of its block stays (memory for %d bytes) [MQTT-3.3.2-5]',
    (cacheBytesMax) => {
      const host = new FakeHost({ cacheBytesMax });
      const queue = host.queue();
      host.store(queue, [{ id: 1, expiryS: 10 }, { id: 2 }, { id: 3, expiryS: 20 }, { id: 4, expiryS: 10 }]);
      sweep(host, queue, 9999);
      expect(queue.ledger.liveCount).toBe(4);
      sweep(host, queue, 10_000);
      expect(queue.ledger.liveCount).toBe(2);
      expect(queue.intake.expiryDueMs).toBe(20_000);
      const consumer = host.attach(queue);
      queue.dispatch(19_500, 10);
      expect(host.read()).toMatchObject([
        { id: 2, expiryInterval: 0 },
        { id: 3, expiryInterval: 1 },
      ]);
      // In flight nothing ends; given back too late it does.
      sweep(host, queue, 30_000);
      expect(queue.ledger.liveCount).toBe(2);
      queue.detach(consumer);
      expect(drain(host, queue, host.attach(queue), 30_000)).toEqual([2]);
      expect(queue.counters.expired).toBe(3);
      expect(queue.ledger.liveBytes).toBe(0);
    },
  );

  test('retention ends a backlog on disk by its summaries, without reading it back [queue-18]', () => {
    const host = new FakeHost({ cacheBytesMax: 0 });
    const queue = host.queue({ dataRetentionPeriodMs: 1000 });
    for (let turn = 0; turn < 100; turn++)
      host.store(queue, messages(10, turn * 10, { publishedMs: turn * 100 }));
    host.blocksRead = 0;
    sweep(host, queue, 6000);
    expect(queue.ledger.liveCount).toBe(490);
    expect(host.blocksRead).toBe(0);
    expect(host.arena.freePages).toBe(16);
    host.summariesRead = 0;
    for (let nowMs = 6001; nowMs < 6100; nowMs++) sweep(host, queue, nowMs);
    expect(host.summariesRead, 'until the next one is due nothing is looked at').toBe(0);
    sweep(host, queue, 6100);
    expect(queue.ledger.liveCount).toBe(480);
    expect(drain(host, queue, host.attach(queue), 6150)[0]).toBe(520);
    host.store(queue, [{ id: 2000, publishedMs: 7000 }]);
    queue.update({ ...queue.definition, dataRetentionPeriodMs: 100 });
    sweep(host, queue, 7099);
    expect(queue.ledger.liveCount).toBe(1);
    sweep(host, queue, 7100);
    expect(queue.ledger.liveCount, 'a changed period holds at once').toBe(0);
  });

  test('a sweep in several steps forgets nothing that came meanwhile [broker]', () => {
    const host = new FakeHost({ cacheBytesMax: 0 });
    const queue = host.queue({ localMaxInflight: 60_000 });
    for (let turn = 0; turn < 3000; turn++) host.store(queue, [{ id: turn, expiryS: turn < 10 ? 1 : 1000 }]);
    const walk = expireUnread(queue, host, host.batch, 2000, null);
    host.write();
    expect(walk).not.toBeNull();
    // The backlog is read up, and a message that expires soon is kept in memory.
    const consumer = host.attach(queue, 60_000);
    expect(drain(host, queue, consumer, 2000).length).toBe(2990);
    Object.defineProperty(host, 'cacheBytesMax', { value: Number.POSITIVE_INFINITY });
    queue.detach(consumer);
    host.store(queue, [{ id: 5000, expiryS: 5 }]);
    expect(expireUnread(queue, host, host.batch, 2100, walk)).toBeNull();
    expect(queue.intake.expiryDueMs).toBeLessThanOrEqual(5000);
    sweep(host, queue, 6000);
    expect(queue.ledger.liveCount).toBe(0);
  });

  test('a damaged block is skipped by sweep, delivery and peek, and those around it are not [broker]', () => {
    const host = new FakeHost({ cacheBytesMax: 0 });
    const queue = host.queue();
    for (let turn = 0; turn < 3; turn++) {
      host.store(queue, [{ id: turn * 2, expiryS: 1 }, { id: turn * 2 + 1 }]);
    }
    const damaged = Buffer.from(host.log.readBlock(1, 2) as Uint8Array);
    damaged[40] = (damaged[40] as number) ^ 1;
    const batch = host.log.batch();
    batch.putBlock(1, 2, damaged);
    host.log.write(batch);
    sweep(host, queue, 5000);
    expect(host.corrupt).toEqual([2]);
    expect(peek(queue, host, new Map(), -1, 10, 5000).map(({ offset }) => offset)).toEqual([1, 5]);
    expect(drain(host, queue, host.attach(queue), 5000)).toEqual([1, 5]);
    expect(host.corrupt.length).toBe(3);
  });
});

describe('inspection', () => {
  test('a peek pages through what is stored, with state and attempts, without taking anything [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue();
    host.store(
      queue,
      messages(30, 0, { topic: 'jobs/ü', from: 'alice', retain: true, expiryS: 60, publishedMs: 1000 }),
      7,
    );
    const consumer = host.attach(queue);
    queue.dispatch(1000, 3);
    const read = host.read();
    host.answer(queue, consumer, read[0]?.tag ?? 0, 'ack');
    host.flush(queue);
    const states = new Map([[1, { attempts: 1, inFlight: true }]]);
    const page = peek(queue, host, states, -1, 10, 2000);
    expect(page.map(({ offset }) => offset)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(page[0]).toMatchObject({
      topicName: 'jobs/ü',
      from: 'alice',
      qos: 1,
      retain: true,
      timestampMs: 1000,
      messageExpiryInterval: 59,
      deliveryAttempt: 1,
      state: 'in-flight',
    });
    expect(page[1]).toMatchObject({ state: 'ready', deliveryAttempt: 0 });
    expect(Buffer.from(page[1]?.payload ?? []).readUInt32LE(0)).toBe(2);
    expect(peek(queue, host, states, 25, 10, 2000).map(({ offset }) => offset)).toEqual([26, 27, 28, 29]);
    expect(peek(queue, host, states, 29, 10, 2000)).toEqual([]);
    expect(peek(queue, host, new Map(), -1, 10, 61_000), 'expired ones are not shown').toEqual([]);
    expect(drain(host, queue, consumer, 2000).length).toBe(27);
  });

  test('a peek does not show what is not committed [broker]', () => {
    const host = new FakeHost();
    const queue = host.queue();
    host.store(queue, messages(2));
    host.append(queue, messages(2, 2));
    host.write();
    expect(peek(queue, host, new Map(), -1, 10, 0).map(({ offset }) => offset)).toEqual([0, 1]);
  });

  test('a rate is the mean growth over the last five samples [broker]', () => {
    const meter = new RateMeter();
    expect(meter.perSecond).toBe(0);
    meter.sample(100, 1000);
    expect(meter.perSecond).toBe(0);
    meter.sample(300, 2000);
    expect(meter.perSecond).toBe(200);
    for (let second = 3; second <= 20; second++) meter.sample(300 + (second - 2) * 50, second * 1000);
    expect(meter.perSecond).toBe(50);
    meter.sample(1e9, 20_000 - 5000);
    expect(meter.perSecond, 'a clock that was set back').toBe(0);
  });
});
