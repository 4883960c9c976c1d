import { describe, expect, test } from 'vitest';

import { PublishStatus } from '../../src/shard/link.js';
import { slot } from '../../src/telemetry/counter-layout.js';
import { FakeShards } from './fake-shards.js';
import { Listener, localFixture, localMessage } from './will-fixture.js';

describe('delivery', () => {
  test('a message reaches every live subscriber with the lower QoS of both [MQTT-3.8.4-8]', () => {
    const { publisher, listen } = localFixture();
    const [one, two] = [new Listener('a'), new Listener('b')];
    listen('will/#', one, { qos: 0, subscriptionIdentifier: 7 });
    listen('will/a', two, { qos: 2 });
    const properties = Buffer.from('0101', 'hex');
    expect(publisher.publish(localMessage('will/a', 'gone', { properties, messageExpiryInterval: 9 }))).toBe(
      true,
    );
    const common = { topic: 'will/a', payload: 'gone', properties: '0101', retain: false, expiry: 9 };
    expect(one.seen).toEqual([{ ...common, qos: 0, identifiers: [7] }]);
    expect(two.seen).toEqual([{ ...common, qos: 1, identifiers: [] }]);
  });

  test('the owner gets its own message unless it asked for No Local [MQTT-3.8.3-3]', () => {
    const { publisher, listen } = localFixture();
    const [owner, deaf] = [new Listener('owner'), new Listener('owner')];
    listen('t', owner);
    listen('t', deaf, { noLocal: true });
    publisher.publish(localMessage('t', 'x'));
    expect(owner.payloads).toEqual(['x']);
    expect(deaf.payloads).toEqual([]);
  });

  test('RETAIN reaches a live subscriber only when it asked for Retain As Published [MQTT-3.3.1-13]', () => {
    const { publisher, listen, retained } = localFixture();
    const [plain, asPublished] = [new Listener('a'), new Listener('b')];
    listen('t', plain);
    listen('t', asPublished, { retainAsPublished: true });
    publisher.publish(localMessage('t', 'x', { retain: true }));
    expect(plain.seen[0]?.retain).toBe(false);
    expect(asPublished.seen[0]?.retain).toBe(true);
    expect(retained).toEqual([['t', 'x', 0]]);
  });

  test('a share group gets it once, and a durable member through its queue [MQTT-4.8.2-3]', () => {
    const { publisher, router, shards } = localFixture();
    const live = new Listener('a');
    const durable = new Listener('b', { queueId: 77, shardId: 0 });
    const options = { qos: 1, noLocal: false, retainAsPublished: false, subscriptionIdentifier: 0 };
    router.subscribeShared('g', 't', live.session, options);
    router.subscribeShared('g', 't', durable.session, options);
    for (const payload of ['1', '2', '3', '4']) publisher.publish(localMessage('t', payload));
    expect(live.payloads).toHaveLength(2);
    expect(durable.payloads).toEqual([]);
    expect(shards.queue(77)).toHaveLength(2);
  });

  test('many groups whose members share a shard need the room of one message [MQTT-4.8.2-3]', () => {
    const { publisher, router, shards } = localFixture(new FakeShards(2));
    const options = { qos: 1, noLocal: false, retainAsPublished: false, subscriptionIdentifier: 0 };
    for (let i = 0; i < 100; i++) {
      const member = new Listener(`m${i}`, { queueId: 1000 + i, shardId: 1 });
      router.subscribeShared(`g${i}`, 't', member.session, options);
    }
    const payload = Buffer.alloc(1000);
    shards.roomBytes = 2000;
    publisher.publish(localMessage('t', '', { payload }));
    expect(shards.publishCount).toBe(1);
    for (let i = 0; i < 100; i++) expect(shards.queue(1000 + i)).toHaveLength(1);
  });

  test('a message that a delivery causes comes after the one that is being delivered [broker]', () => {
    const { publisher, listen } = localFixture();
    const [first, second] = [new Listener('a'), new Listener('b')];
    listen('t', first);
    listen('t', second);
    first.onDeliver = () => {
      if (first.seen.length === 1) publisher.publish(localMessage('t', 'inner'));
    };
    publisher.publish(localMessage('t', 'outer'));
    expect(first.payloads).toEqual(['outer', 'inner']);
    expect(second.payloads).toEqual(['outer', 'inner']);
  });
});

describe('queues', () => {
  test('every matching queue and session queue stores it in the name of its owner before it is settled [broker]', () => {
    const { publisher, router, shards, listen } = localFixture(new FakeShards(2));
    shards.mode = 'by-hand';
    router.addQueue('t/#', { queueId: 1, shardId: 0 });
    router.addQueue('t/+', { queueId: 2, shardId: 1 });
    const durable = new Listener('d', { queueId: 99, shardId: 1 });
    listen('t/a', durable);
    const settled: boolean[] = [];
    publisher.publish(localMessage('t/a', 'x'), (ok) => settled.push(ok));
    expect(durable.seen).toEqual([]);
    expect(
      [1, 2, 99].map((id) => shards.queue(id).map(({ from, payload }) => `${from} ${payload.toString()}`)),
    ).toEqual([['owner x'], ['owner x'], ['owner x']]);
    shards.settle(1);
    expect(settled).toEqual([]);
    shards.settle();
    expect(settled).toEqual([true]);
    expect(publisher.unfinishedCount).toBe(0);
    expect([...shards.openPublishers].filter(({ isOpen }) => isOpen)).toEqual([]);
  });

  test('QoS 0 goes to queues of users but not to sessions that are away [broker]', () => {
    const { publisher, router, shards, listen } = localFixture();
    router.addQueue('t', { queueId: 1, shardId: 0 });
    const durable = new Listener('d', { queueId: 99, shardId: 0 });
    listen('t', durable);
    publisher.publish(localMessage('t', 'x', { qos: 0 }));
    expect(shards.queue(1)).toHaveLength(1);
    expect(shards.queue(99)).toHaveLength(0);
    // The session decides: connected, it gets QoS 0 at once.
    expect(durable.payloads).toEqual(['x']);
  });

  test('No Local keeps it out of the queue of its owner [MQTT-3.8.3-3]', () => {
    const { publisher, shards, listen, sessions } = localFixture();
    const owner = new Listener('owner', { queueId: 99, shardId: 0 });
    const other = new Listener('other', { queueId: 98, shardId: 0 });
    sessions.set('owner', owner.session);
    listen('t', owner, { noLocal: true });
    listen('t', other, { noLocal: true });
    publisher.publish(localMessage('t', 'x'));
    expect(shards.queue(99)).toHaveLength(0);
    expect(shards.queue(98)).toHaveLength(1);
  });

  test('a retained message is settled once its row is stored as well [broker]', () => {
    const { publisher, router, shards } = localFixture(new FakeShards(), true);
    shards.mode = 'by-hand';
    router.addQueue('t', { queueId: 1, shardId: 0 });
    const settled: boolean[] = [];
    publisher.publish(localMessage('t', 'x', { retain: true }), (ok) => settled.push(ok));
    shards.settle(1);
    expect(settled).toEqual([]);
    shards.settle(1);
    expect(settled).toEqual([true]);
  });

  test('what has no room in a ring waits in order and asks for room once [broker]', () => {
    const { publisher, router, shards, listen } = localFixture();
    const listener = new Listener('a');
    listen('#', listener);
    router.addQueue('t', { queueId: 1, shardId: 0 });
    shards.makeRoom(0);
    for (const payload of ['1', '2', '3']) publisher.publish(localMessage('t', payload));
    expect(listener.payloads).toEqual([]);
    expect(shards.waitingForRoomCount).toBe(1);
    shards.makeRoom();
    expect(listener.payloads).toEqual(['1', '2', '3']);
    expect(shards.queue(1)).toHaveLength(3);
  });

  test('a shard that was down gets it again, and subscribers do not [broker]', () => {
    const { publisher, router, shards, listen } = localFixture();
    const listener = new Listener('a');
    listen('t', listener);
    router.addQueue('t', { queueId: 1, shardId: 0 });
    shards.mode = 'by-hand';
    shards.status = PublishStatus.shardDown;
    const settled: boolean[] = [];
    publisher.publish(localMessage('t', 'x'), (ok) => settled.push(ok));
    shards.settle();
    expect(publisher.unfinishedCount).toBe(1);
    publisher.tick(10_000);
    shards.settle();
    shards.status = PublishStatus.stored;
    publisher.tick(10_500);
    expect(shards.unsettledCount).toBe(0);
    publisher.tick(11_000);
    shards.settle();
    expect(settled).toEqual([true]);
    expect(listener.payloads).toEqual(['x']);
    expect(shards.queue(1)).toHaveLength(1);
    expect(publisher.unfinishedCount).toBe(0);
  });

  test('a queue that is full settles it as refused [broker]', () => {
    const { publisher, router, shards } = localFixture();
    router.addQueue('t', { queueId: 1, shardId: 0 });
    shards.mode = 'by-hand';
    shards.status = PublishStatus.quotaExceeded;
    const settled: boolean[] = [];
    publisher.publish(localMessage('t', 'x'), (ok) => settled.push(ok));
    shards.settle();
    expect(settled).toEqual([false]);
  });

  test('past its bound it refuses, counts, and takes more once something has settled [broker]', () => {
    const { publisher, router, shards, reader } = localFixture();
    router.addQueue('t', { queueId: 1, shardId: 0 });
    shards.mode = 'by-hand';
    let taken = 0;
    while (publisher.publish(localMessage('t', 'x'))) taken++;
    expect(taken).toBe(10_000);
    expect(publisher.publish(localMessage('t', 'x'))).toBe(false);
    expect(reader.total(slot.localPublishesRefused)).toBe(2);
    shards.settle(1);
    expect(publisher.publish(localMessage('t', 'x'))).toBe(true);
  });

  test('after close it refuses and tells nothing [broker]', () => {
    const { publisher, router, shards } = localFixture();
    router.addQueue('t', { queueId: 1, shardId: 0 });
    shards.mode = 'by-hand';
    const settled: boolean[] = [];
    publisher.publish(localMessage('t', 'x'), (ok) => settled.push(ok));
    publisher.close();
    shards.settle();
    expect(settled).toEqual([]);
    expect(publisher.publish(localMessage('t', 'x'))).toBe(false);
  });
});

describe('topics under $SYS', () => {
  test('they reach live subscribers and the volatile retained messages, never a queue [broker]', () => {
    const { publisher, router, shards, listen, retained } = localFixture();
    const [sys, all] = [new Listener('a'), new Listener('b')];
    const durable = new Listener('d', { queueId: 99, shardId: 0 });
    listen('$SYS/#', sys);
    listen('#', all);
    listen('$SYS/#', durable);
    router.addQueue('#', { queueId: 1, shardId: 0 });
    publisher.publish(localMessage('$SYS/broker/x', '1', { qos: 0, retain: true }));
    publisher.publish(localMessage('$SYS/broker/y', '2', { qos: 0 }));
    expect(sys.payloads).toEqual(['1', '2']);
    expect(all.payloads).toEqual([]);
    expect(retained).toEqual([['$SYS/broker/x', '1', 'volatile']]);
    expect(shards.publishCount).toBe(0);
  });

  test('they do not wait behind messages that wait for room [broker]', () => {
    const { publisher, router, shards, listen } = localFixture();
    const listener = new Listener('a');
    listen('$SYS/#', listener);
    router.addQueue('t', { queueId: 1, shardId: 0 });
    shards.makeRoom(0);
    publisher.publish(localMessage('t', 'x'));
    publisher.publish(localMessage('$SYS/y', '2', { qos: 0 }));
    expect(listener.payloads).toEqual(['2']);
  });
});
