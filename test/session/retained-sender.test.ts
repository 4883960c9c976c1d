/** Feeding new subscriptions with retained messages: what, how, in which portions, and when not. Quick tier. */
import { describe, expect, test } from 'vitest';
import { slot } from '../../src/telemetry/counter-layout.js';
import { FakeReceiver, optionsOf, retainedFixture, turns, type RetainedFixture } from './retained-fixture.js';

function filled(count: number, env: Readonly<Record<string, string>> = {}): RetainedFixture {
  const fixture = retainedFixture(env);
  for (let i = 0; i < count; i++) fixture.publish(`t/${String(i).padStart(5, '0')}`, String(i), { qos: 2 });
  return fixture;
}

function numbers(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => String(from + i));
}

describe('what a subscription gets', () => {
  test('RETAIN is set, QoS is the lower one, the Subscription Identifier is its own [MQTT-3.1.1 3.3.1-8] [MQTT-3.8.4-8] [MQTT-3.3.4-3]', () => {
    const fixture = retainedFixture();
    for (const qos of [0, 1, 2]) fixture.publish(`t/${qos}`, 'x', { qos });
    const receiver = new FakeReceiver();
    fixture.store.subscribed(receiver, 't/#', optionsOf(1, 42), true, 0);
    fixture.store.subscribed(receiver, 't/2', optionsOf(2), true, 0);
    expect(
      receiver.received.map(({ topic, qos, retain, identifiers }) => [topic, qos, retain, identifiers]),
    ).toEqual([
      ['t/0', 0, true, [42]],
      ['t/1', 1, true, [42]],
      ['t/2', 1, true, [42]],
      ['t/2', 2, true, []],
    ]);
  });

  test('Retain Handling 0 sends always [MQTT-3.3.1-9]', () => {
    const fixture = filled(1);
    const receiver = new FakeReceiver();
    fixture.store.subscribed(receiver, 't/+', optionsOf(0), true, 0);
    fixture.store.subscribed(receiver, 't/+', optionsOf(0), false, 0);
    expect(receiver.received).toHaveLength(2);
  });

  test('Retain Handling 1 sends only when the subscription is new [MQTT-3.3.1-10]', () => {
    const fixture = filled(1);
    const receiver = new FakeReceiver();
    fixture.store.subscribed(receiver, 't/+', optionsOf(0), false, 1);
    expect(receiver.received).toHaveLength(0);
    fixture.store.subscribed(receiver, 't/+', optionsOf(0), true, 1);
    expect(receiver.received).toHaveLength(1);
  });

  test('Retain Handling 2 never sends [MQTT-3.3.1-11]', () => {
    const fixture = filled(1);
    const receiver = new FakeReceiver();
    fixture.store.subscribed(receiver, 't/+', optionsOf(0), true, 2);
    fixture.store.subscribed(receiver, 't/+', optionsOf(0), false, 2);
    expect(receiver.received).toHaveLength(0);
  });

  test('shared subscriptions and queue subscriptions get no retained messages [broker]', async () => {
    const fixture = filled(1);
    const receiver = new FakeReceiver();
    for (const filter of ['$share/g/#', '$q/#', '$queue/name/#'])
      fixture.store.subscribed(receiver, filter, optionsOf(1), true, 0);
    await turns(3);
    expect(receiver.received).toHaveLength(0);
  });

  test('a small set goes out before anything else happens [broker]', () => {
    const fixture = filled(20);
    const receiver = new FakeReceiver();
    fixture.store.subscribed(receiver, '#', optionsOf(1), true, 0);
    expect(receiver.payloads).toEqual(numbers(20));
  });
});

describe('large sets', () => {
  test('a turn sends no more than a slice, whoever subscribes, and clients take turns [broker]', async () => {
    const fixture = filled(300, { SLUICE_RETAINED_SLICE: '100' });
    const receivers = Array.from({ length: 5 }, () => new FakeReceiver());
    const total = (): number => receivers.reduce((sum, { received }) => sum + received.length, 0);
    for (const receiver of receivers) fixture.store.subscribed(receiver, '#', optionsOf(1), true, 0);
    expect(total()).toBeLessThanOrEqual(100);
    let before = total();
    for (let i = 0; i < 60 && fixture.store.feedingCount > 0; i++) {
      await turns(1);
      expect(total() - before).toBeLessThanOrEqual(100);
      before = total();
      const counts = receivers.map(({ received }) => received.length);
      // The first one had a slice for itself; after that nobody is ahead by more than a turn.
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(100 + 32);
    }
    for (const { payloads } of receivers) expect(payloads).toEqual(numbers(300));
    expect(fixture.counters.total(slot.retainedSent)).toBe(1500);
    expect(fixture.counters.total(slot.retainedFeeds)).toBe(0);
  });

  test('bytes of a turn are bounded as well [broker]', async () => {
    const fixture = retainedFixture();
    for (let i = 0; i < 40; i++) fixture.publish(`t/${i}`, 'x'.repeat(64 * 1024));
    const receiver = new FakeReceiver();
    fixture.store.subscribed(receiver, '#', optionsOf(1), true, 0);
    expect(receiver.received.length).toBeLessThanOrEqual(5);
    await turns(40);
    expect(receiver.received).toHaveLength(40);
  });

  test('a slice ends when its time is over [broker]', async () => {
    const fixture = filled(400);
    const receiver = new FakeReceiver();
    // Every delivery takes a millisecond.
    receiver.onDelivery = () => fixture.clock.atMs++;
    fixture.store.subscribed(receiver, '#', optionsOf(1), true, 0);
    expect(receiver.received.length).toBeLessThanOrEqual(16);
    await turns(100);
    expect(receiver.received).toHaveLength(400);
  });

  test('searching without a result uses up a turn as well [broker]', async () => {
    const fixture = filled(5000, { SLUICE_RETAINED_SLICE: '50' });
    const receiver = new FakeReceiver();
    fixture.store.subscribed(receiver, '+/+/x', optionsOf(1), true, 0);
    expect(fixture.store.feedingCount).toBe(1);
    await turns(100);
    expect([fixture.store.feedingCount, receiver.received.length]).toEqual([0, 0]);
  });

  test('a client without room waits and loses nothing; others go on [broker]', async () => {
    const fixture = filled(100);
    const slow = new FakeReceiver();
    const fast = new FakeReceiver();
    slow.room = 10;
    fixture.store.subscribed(slow, '#', optionsOf(1), true, 0);
    fixture.store.subscribed(fast, '#', optionsOf(1), true, 0);
    await turns(5);
    expect([slow.received.length, fast.received.length]).toEqual([10, 100]);
    expect(slow.isWaitedFor).toBe(true);
    slow.ready(30);
    await turns(5);
    expect(slow.received).toHaveLength(40);
    slow.ready();
    await turns(5);
    expect(slow.payloads).toEqual(numbers(100));
    expect(slow.isWaitedFor).toBe(false);
  });

  test('several subscriptions of one client are fed one after the other, each completely [broker]', async () => {
    const fixture = filled(100, { SLUICE_RETAINED_SLICE: '20' });
    const receiver = new FakeReceiver();
    fixture.store.subscribed(receiver, '#', optionsOf(1, 1), true, 0);
    fixture.store.subscribed(receiver, 't/#', optionsOf(1, 2), true, 0);
    fixture.store.subscribed(receiver, 't/00007', optionsOf(1, 3), true, 0);
    await turns(30);
    const of = (id: number): string[] =>
      receiver.received.filter(({ identifiers }) => identifiers[0] === id).map(({ payload }) => payload);
    expect(of(1)).toEqual(numbers(100));
    expect(of(2)).toEqual(numbers(100));
    expect(of(3)).toEqual(['7']);
  });

  test('ten thousand subscriptions at once are all served [broker]', async () => {
    const fixture = filled(1000);
    const receivers = Array.from({ length: 10_000 }, () => new FakeReceiver());
    receivers.forEach((receiver, i) =>
      fixture.store.subscribed(receiver, `t/${String(i % 1000).padStart(5, '0')}`, optionsOf(1), true, 0),
    );
    for (let i = 0; i < 2000 && fixture.store.feedingCount > 0; i++) await turns(1);
    expect(receivers.filter(({ received }) => received.length !== 1)).toEqual([]);
  });
});

describe('changes while a feed is under way', () => {
  test('what is published meanwhile came live and is not sent a second time [broker]', async () => {
    const fixture = filled(100);
    const receiver = new FakeReceiver();
    receiver.room = 10;
    fixture.store.subscribed(receiver, '#', optionsOf(1), true, 0);
    fixture.publish('t/00050', 'newer');
    fixture.publish('t/00051', '');
    fixture.publish('t/x', 'new topic');
    receiver.ready();
    await turns(5);
    expect(receiver.payloads).toEqual(numbers(100).filter((n) => n !== '50' && n !== '51'));
  });

  test('a client that was away gets the rest as it is when it returns [broker]', async () => {
    const fixture = filled(100);
    const receiver = new FakeReceiver();
    receiver.room = 10;
    fixture.store.subscribed(receiver, '#', optionsOf(1), true, 0);
    receiver.client = undefined;
    receiver.ready();
    await turns(3);
    expect(receiver.received).toHaveLength(10);
    fixture.publish('t/00050', 'newer');
    receiver.client = {};
    receiver.ready();
    await turns(5);
    expect(receiver.received).toHaveLength(100);
    expect(receiver.payloads).toContain('newer');
  });

  test('unsubscribing stops the feed of that filter only [broker]', async () => {
    const fixture = filled(100);
    const receiver = new FakeReceiver();
    receiver.room = 10;
    fixture.store.subscribed(receiver, '#', optionsOf(1), true, 0);
    fixture.store.subscribed(receiver, 't/00099', optionsOf(1), true, 0);
    fixture.store.unsubscribed(receiver, '#');
    receiver.ready();
    await turns(5);
    expect(receiver.payloads).toEqual([...numbers(10), '99']);
    expect(fixture.store.feedingCount).toBe(0);
  });

  test('the end of a session ends its feeds, also within a delivery [broker]', async () => {
    const fixture = filled(100);
    const waiting = new FakeReceiver();
    waiting.room = 3;
    fixture.store.subscribed(waiting, '#', optionsOf(1), true, 0);
    fixture.store.sessionEnded(waiting);
    waiting.ready();
    const ending = new FakeReceiver();
    ending.onDelivery = () => {
      if (ending.received.length === 5) fixture.store.sessionEnded(ending);
    };
    fixture.store.subscribed(ending, '#', optionsOf(1), true, 0);
    await turns(5);
    expect([waiting.received.length, ending.received.length]).toEqual([3, 5]);
    expect(fixture.store.feedingCount).toBe(0);
    expect(fixture.counters.total(slot.retainedFeeds)).toBe(0);
  });

  test('replacing a subscription without a new start goes on with its new options [MQTT-3.8.4-4]', async () => {
    const fixture = filled(20);
    const receiver = new FakeReceiver();
    receiver.room = 10;
    fixture.store.subscribed(receiver, '#', optionsOf(1, 1), true, 0);
    fixture.store.subscribed(receiver, '#', optionsOf(0, 2), false, 2);
    receiver.ready();
    await turns(3);
    expect(receiver.payloads).toEqual(numbers(20));
    expect(receiver.received.map(({ qos, identifiers }) => `${qos}/${identifiers.join()}`)).toEqual([
      ...Array.from({ length: 10 }, () => '1/1'),
      ...Array.from({ length: 10 }, () => '0/2'),
    ]);
  });

  test('a closed store sends nothing more [broker]', async () => {
    const fixture = filled(2000);
    const receiver = new FakeReceiver();
    fixture.store.subscribed(receiver, '#', optionsOf(1), true, 0);
    const before = receiver.received.length;
    fixture.store.close();
    await turns(10);
    expect(receiver.received).toHaveLength(before);
  });
});
