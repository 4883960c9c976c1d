/** One message for all of its share groups: who gets it at once, and what stores it. Quick tier. */
import { describe, expect, test } from 'vitest';

import type { QueueTarget, ShardQueues, SubscriptionOptions } from '../../src/router/route.js';
import { Router } from '../../src/router/router.js';
import { LiveMessage } from '../../src/session/message.js';
import type { ShareMember } from '../../src/session/share-dispatch.js';
import { ShareRound } from '../../src/session/share-round.js';

class FakeMember implements ShareMember {
  readonly state = 'connected';
  readonly outbound = { sentCount: 0, window: 10, pendingCount: 0, takeUnanswered: () => [] };
  readonly durable: { target: QueueTarget | undefined; queueIds: Uint32Array } | undefined;
  readonly got: [qos: number, retain: boolean, group: string][] = [];

  constructor(target?: QueueTarget) {
    this.durable = target === undefined ? undefined : { target, queueIds: Uint32Array.of(target.queueId) };
  }

  deliver(
    _message: LiveMessage,
    qos: number,
    retain: boolean,
    _identifiers: unknown,
    group: { shareName?: string },
  ): void {
    this.got.push([qos, retain, group.shareName ?? '']);
  }
}

function options(changes: Partial<SubscriptionOptions> = {}): SubscriptionOptions {
  return { qos: 1, noLocal: false, retainAsPublished: false, subscriptionIdentifier: 0, ...changes };
}

function live(qos: number, isRetain = false): LiveMessage {
  const message = new LiveMessage();
  const bytes = Buffer.from('a');
  message.set(bytes, 0, 1, bytes, 1, 1, 1, 1, qos | (isRetain ? 4 : 0), 0);
  return message;
}

function textOf(queues: readonly ShardQueues[]): string[] {
  return queues.map(({ shardId, queueIds }) => `${shardId}: ${queueIds.join()}`).sort();
}

/** One group `g1`, `g2`, … for each member. */
function routeTo(...members: FakeMember[]) {
  const router = new Router<FakeMember>();
  for (const [index, member] of members.entries()) {
    router.subscribeShared(`g${index + 1}`, 'a', member, options());
  }
  return router.lookup('a');
}

const none: readonly ShardQueues[] = [];

describe('a round', () => {
  test('members without a queue get the message at once, and the list of queues stays the same one [broker]', () => {
    const [anna, bert] = [new FakeMember(), new FakeMember()];
    const route = routeTo(anna, bert);
    const queues = [{ shardId: 3, queueIds: Uint32Array.of(7) }];
    expect(new ShareRound<FakeMember>().give(live(1), route, undefined, 1, queues)).toBe(queues);
    expect(anna.got).toEqual([[1, false, 'g1']]);
    expect(bert.got).toEqual([[1, false, 'g2']]);
  });

  test('the queue of a chosen member stores the message, as the very list of its ids [broker]', () => {
    const anna = new FakeMember({ queueId: 90, shardId: 2 });
    const result = new ShareRound<FakeMember>().give(live(2), routeTo(anna), undefined, 2, none);
    expect(textOf(result)).toEqual(['2: 90']);
    expect(result[0]!.queueIds).toBe(anna.durable!.queueIds);
    expect(anna.got).toEqual([]);
  });

  test('every shard is there once, with all its queues; a queue chosen twice is there twice [broker]', () => {
    const anna = new FakeMember({ queueId: 90, shardId: 1 });
    const bert = new FakeMember({ queueId: 91, shardId: 1 });
    const carl = new FakeMember({ queueId: 92, shardId: 0 });
    const route = routeTo(anna, bert, carl, anna);
    const queues = [
      { shardId: 1, queueIds: Uint32Array.of(7, 8) },
      { shardId: 2, queueIds: Uint32Array.of(9) },
    ];
    const result = new ShareRound<FakeMember>().give(live(1), route, undefined, 1, queues);
    expect(textOf(result)).toEqual(['0: 92', '1: 7,8,90,91,90', '2: 9']);
    expect(textOf(queues)).toEqual(['1: 7,8', '2: 9']);
  });

  test('QoS 0, of the message or of the subscription, is never stored [MQTT-4.8.2-3]', () => {
    const anna = new FakeMember({ queueId: 90, shardId: 1 });
    const bert = new FakeMember({ queueId: 91, shardId: 1 });
    const router = new Router<FakeMember>();
    router.subscribeShared('g1', 'a', anna, options({ qos: 0 }));
    router.subscribeShared('g2', 'a', bert, options({ qos: 2, retainAsPublished: true }));
    const round = new ShareRound<FakeMember>();
    expect(round.give(live(0, true), router.lookup('a'), undefined, 0, none)).toBe(none);
    expect(anna.got).toEqual([[0, false, 'g1']]);
    expect(bert.got).toEqual([[0, true, 'g2']]);
    expect(textOf(round.give(live(2), router.lookup('a'), undefined, 2, none))).toEqual(['1: 91']);
    expect(anna.got.length).toBe(2);
  });

  test('a round leaves nothing behind for the next one [broker]', () => {
    const anna = new FakeMember({ queueId: 90, shardId: 1 });
    const bert = new FakeMember({ queueId: 91, shardId: 1 });
    const carl = new FakeMember({ queueId: 92, shardId: 0 });
    const round = new ShareRound<FakeMember>();
    for (let i = 0; i < 3; i++) {
      expect(textOf(round.give(live(1), routeTo(anna, bert, carl), undefined, 1, none))).toEqual([
        '0: 92',
        '1: 90,91',
      ]);
      expect(textOf(round.give(live(1), routeTo(carl), undefined, 1, none))).toEqual(['0: 92']);
    }
    expect([...anna.durable!.queueIds]).toEqual([90]);
  });

  test('a group without anybody who can take the message stores nothing [broker]', () => {
    const route = routeTo(new FakeMember());
    const member = route.shares[0]!.members()[0]!.subscriber;
    route.shares[0]!.leave(member);
    expect(new ShareRound<FakeMember>().give(live(1), route, undefined, 1, none)).toBe(none);
    expect(member.got).toEqual([]);
  });
});
