/** What becomes of the messages of a share group's member that goes. Fake members, real router. Quick tier. */
import { describe, expect, test } from 'vitest';

import type { QueueTarget, SubscriptionOptions } from '../../src/router/route.js';
import { Router } from '../../src/router/router.js';
import type { LiveMessage } from '../../src/session/message.js';
import type { Identifiers, Waiting } from '../../src/session/publish-writer.js';
import { isUsable, loadOf, ShareDispatch, type ShareMember } from '../../src/session/share-dispatch.js';
import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import { CounterReader, Counters, createCounterMemory, MAIN_BLOCK } from '../../src/telemetry/counter.js';
import { FakeShards } from './fake-shards.js';

interface Got {
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly identifiers: readonly number[];
  readonly group: object;
  readonly messageExpiryInterval: number;
}

/** A member that keeps what a test gives it and remembers what it gets. */
class FakeMember implements ShareMember {
  state: 'connected' | 'away' | 'ended' = 'connected';
  durable: { target: QueueTarget | undefined; queueIds: Uint32Array } | undefined = undefined;
  readonly got: Got[] = [];
  readonly sent: Waiting[] = [];
  readonly waiting: Waiting[] = [];
  window = 10;

  readonly outbound: ShareMember['outbound'];

  constructor() {
    const sentCount = (): number => this.sent.length;
    const pendingCount = (): number => this.waiting.length;
    const window = (): number => this.window;
    this.outbound = {
      get sentCount() {
        return sentCount();
      },
      get pendingCount() {
        return pendingCount();
      },
      get window() {
        return window();
      },
      takeUnanswered: (group, waitingOnly) => {
        const lists = waitingOnly ? [this.waiting] : [this.sent, this.waiting];
        return lists.flatMap((list) => {
          const taken = list.filter((each) => each.group === group);
          list.splice(0, list.length, ...list.filter((each) => each.group !== group));
          return taken;
        });
      },
    };
  }

  deliver(message: LiveMessage, qos: number, retain: boolean, identifiers: Identifiers, group: object): void {
    const { bytes, topicEnd, propertiesEnd } = message.keep({ nowMs: () => 0 });
    this.got.push({
      topic: bytes.toString('utf8', 0, topicEnd),
      payload: bytes.toString('utf8', propertiesEnd),
      qos,
      retain,
      identifiers: Array.from(identifiers),
      group,
      messageExpiryInterval: message.messageExpiryInterval,
    });
  }
}

function setup() {
  const memory = createCounterMemory(0);
  const shards = new FakeShards(2);
  const router = new Router<FakeMember>();
  const clock = { nowMs: () => 1_000_000 };
  const dispatch = new ShareDispatch<FakeMember>({
    router,
    shards,
    clock,
    counters: new Counters(memory, MAIN_BLOCK),
  });
  return { shards, router, dispatch, counters: new CounterReader(memory) };
}

function options(changes: Partial<SubscriptionOptions> = {}): SubscriptionOptions {
  return { qos: 1, noLocal: false, retainAsPublished: false, subscriptionIdentifier: 0, ...changes };
}

function message(payload: string, group: object, flags = 2, expiresAtMs = Number.POSITIVE_INFINITY): Waiting {
  const bytes = Buffer.concat([Buffer.from('jobs/a'), Buffer.from(payload)]);
  return { message: { bytes, topicEnd: 6, propertiesEnd: 6, expiresAtMs }, flags, identifiers: [], group };
}

/** A group of two or three on `jobs/#`. */
function group(router: Router<FakeMember>, ...members: FakeMember[]) {
  for (const member of members) router.subscribeShared('g', 'jobs/#', member, options());
  return router.shareGroup('g', 'jobs/#')!;
}

describe('a session that ends', () => {
  test('what it has not answered goes to the others in order, what was sent before what waits [broker]', () => {
    const { router, dispatch, counters } = setup();
    const [anna, bert] = [new FakeMember(), new FakeMember()];
    const g = group(router, anna, bert);
    anna.sent.push(message('1', g), message('2', g));
    anna.waiting.push(message('3', g));
    anna.state = 'ended';
    expect(dispatch.leave(anna, 'g', 'jobs/#')).toBe(true);
    expect(bert.got.map(({ payload, topic, qos }) => [payload, topic, qos])).toEqual([
      ['1', 'jobs/a', 1],
      ['2', 'jobs/a', 1],
      ['3', 'jobs/a', 1],
    ]);
    expect(bert.got.every((got) => got.group === g)).toBe(true);
    expect(counters.total(slot.sharedRedispatched)).toBe(3);
    expect(dispatch.leave(anna, 'g', 'jobs/#')).toBe(false);
  });

  test('several others share it, and the strategy goes on where it was [broker]', () => {
    const { router, dispatch } = setup();
    const [anna, bert, carl] = [new FakeMember(), new FakeMember(), new FakeMember()];
    const g = group(router, anna, bert, carl);
    anna.sent.push(...['1', '2', '3', '4'].map((payload) => message(payload, g)));
    anna.state = 'ended';
    dispatch.leave(anna, 'g', 'jobs/#');
    expect(bert.got.map(({ payload }) => payload)).toEqual(['1', '3']);
    expect(carl.got.map(({ payload }) => payload)).toEqual(['2', '4']);
  });

  test('messages of another group stay until that one ends too [broker]', () => {
    const { router, dispatch } = setup();
    const [anna, bert] = [new FakeMember(), new FakeMember()];
    const g = group(router, anna, bert);
    router.subscribeShared('h', '#', anna, options());
    router.subscribeShared('h', '#', bert, options());
    const h = router.shareGroup('h', '#')!;
    anna.sent.push(message('g', g), message('h', h));
    anna.state = 'ended';
    dispatch.leave(anna, 'g', 'jobs/#');
    expect(bert.got.map(({ payload }) => payload)).toEqual(['g']);
    dispatch.leave(anna, 'h', '#');
    expect(bert.got.map(({ payload }) => payload)).toEqual(['g', 'h']);
  });

  test('with the last member what is left is dropped and counted [broker]', () => {
    const { router, dispatch, counters } = setup();
    const anna = new FakeMember();
    anna.sent.push(message('1', group(router, anna)));
    anna.state = 'ended';
    dispatch.leave(anna, 'g', 'jobs/#');
    expect(router.shareGroupCount).toBe(0);
    expect(counters.total(slotOf('messagesDropped', 'session-ended'))).toBe(1);
    expect(counters.total(slot.sharedRedispatched)).toBe(0);
  });

  test('what has expired meanwhile goes to nobody, and what is left of a life goes along [MQTT-3.3.2-5]', () => {
    const { router, dispatch, counters } = setup();
    const [anna, bert] = [new FakeMember(), new FakeMember()];
    const g = group(router, anna, bert);
    anna.waiting.push(message('dead', g, 2, 1_000_000), message('alive', g, 2, 1_007_000));
    anna.state = 'ended';
    dispatch.leave(anna, 'g', 'jobs/#');
    expect(bert.got.map(({ payload, messageExpiryInterval }) => [payload, messageExpiryInterval])).toEqual([
      ['alive', 7],
    ]);
    expect(counters.total(slotOf('messagesDropped', 'expired'))).toBe(1);
  });

  test('the other member gets what it was granted: QoS, Retain As Published, Subscription Identifier [MQTT-4.8.2-3]', () => {
    const { router, dispatch } = setup();
    const [anna, bert, carl] = [new FakeMember(), new FakeMember(), new FakeMember()];
    const g = group(router, anna);
    router.subscribeShared('g', 'jobs/#', bert, options({ qos: 0, subscriptionIdentifier: 9 }));
    router.subscribeShared('g', 'jobs/#', carl, options({ qos: 2, retainAsPublished: true }));
    anna.waiting.push(message('1', g, 5), message('2', g, 5));
    anna.state = 'ended';
    dispatch.leave(anna, 'g', 'jobs/#');
    expect(bert.got).toMatchObject([{ qos: 0, retain: false, identifiers: [9] }]);
    expect(carl.got).toMatchObject([{ qos: 2, retain: true, identifiers: [] }]);
  });

  test('a durable member gets it into its queue, or directly when the ring has no room [broker]', () => {
    const { router, dispatch, shards } = setup();
    const [anna, bert] = [new FakeMember(), new FakeMember()];
    bert.state = 'away';
    bert.durable = { target: { queueId: 77, shardId: 1 }, queueIds: Uint32Array.of(77) };
    const g = group(router, anna, bert);
    anna.sent.push(message('1', g));
    anna.state = 'ended';
    dispatch.leave(anna, 'g', 'jobs/#');
    expect(shards.queue(77).map(({ topic, payload }) => [topic, payload.toString()])).toEqual([
      ['jobs/a', '1'],
    ]);
    expect(shards.queue(77)[0]!.flags).toBe(1);
    expect(bert.got).toEqual([]);
    expect([...shards.openPublishers].filter(({ isOpen }) => isOpen)).toEqual([]);

    router.subscribeShared('g', 'jobs/#', anna, options());
    anna.sent.push(message('2', g));
    shards.roomBytes = 10;
    dispatch.leave(anna, 'g', 'jobs/#');
    expect(bert.got.map(({ payload }) => payload)).toEqual(['2']);
  });
});

describe('UNSUBSCRIBE', () => {
  test('what waits goes to the others, and what was sent is left to the client [MQTT-3.10.4-3]', () => {
    const { router, dispatch } = setup();
    const [anna, bert] = [new FakeMember(), new FakeMember()];
    const g = group(router, anna, bert);
    anna.sent.push(message('sent', g));
    anna.waiting.push(message('waits', g, 4));
    dispatch.leave(anna, 'g', 'jobs/#');
    expect(bert.got.map(({ payload, qos }) => [payload, qos])).toEqual([['waits', 1]]);
    expect(anna.sent.length).toBe(1);
  });
});

describe('the load of a member', () => {
  test('is what it has not answered, and endless when one more would wait [broker]', () => {
    const anna = new FakeMember();
    expect(loadOf(anna)).toBe(0);
    anna.sent.push(message('1', anna));
    expect(loadOf(anna)).toBe(1);
    anna.window = 1;
    expect(loadOf(anna)).toBe(Number.POSITIVE_INFINITY);
    anna.window = 10;
    anna.waiting.push(message('2', anna));
    expect(loadOf(anna)).toBe(Number.POSITIVE_INFINITY);
  });

  test('only a connected member is usable [broker]', () => {
    const anna = new FakeMember();
    expect(isUsable(anna)).toBe(true);
    anna.state = 'away';
    expect(isUsable(anna)).toBe(false);
    anna.state = 'ended';
    expect(isUsable(anna)).toBe(false);
  });
});
