/** Which publishes are timed until their acknowledgement, with a clock and shards that the tests set. Quick tier. */
import { expect, test } from 'vitest';

import { PublishStatus } from '../../src/shard/link.js';
import { slot } from '../../src/telemetry/counter-layout.js';
import { catalogue } from '../../src/telemetry/metric-catalogue.js';
import { connect, publishPacket, startGateway, type TestGateway } from './test-gateway.js';

const bounds = catalogue.publishAckSeconds.bounds.length;

/** Number of the times that were taken, and their sum in seconds. */
function times({ counters }: TestGateway): [count: number, sum: number] {
  let count = 0;
  for (let i = 0; i <= bounds; i++) count += counters.total(slot.publishAckSeconds + i);
  return [count, counters.total(slot.publishAckSeconds + bounds + 1)];
}

/** A client with publishes of ids from 1 that the test settles. */
async function setUp() {
  const clock = { ms: 1000, nowMs: () => clock.ms };
  const target = await startGateway({ clock });
  target.addQueue('jobs');
  target.shards.mode = 'by-hand';
  const client = await connect(target, 'publisher');
  const send = async (firstId: number, count: number): Promise<void> => {
    const wanted = target.shards.unsettledCount + count;
    for (let id = firstId; id < firstId + count; id++) {
      client.send(publishPacket('jobs', 'x', { messageId: id }));
    }
    await expect.poll(() => target.shards.unsettledCount, { timeout: 10_000 }).toBe(wanted);
  };
  const settle = async (count: number, status: PublishStatus = PublishStatus.stored): Promise<void> => {
    target.shards.settle(count, status);
    for (let i = 0; i < count; i++) await client.expect('puback');
  };
  return { clock, target, send, settle };
}

test('a client that always has hundreds in flight is timed as well, one publish at a time [broker]', async () => {
  const { clock, target, send, settle } = await setUp();
  await send(1, 200);
  clock.ms += 3000;
  for (let round = 0; round < 3; round++) {
    // 200 are in flight at any time: the 64th after one that is timed comes before its acknowledgement.
    await send(201 + round * 100, 100);
    await settle(100);
  }
  const [count, sum] = times(target);
  expect(count).toBeGreaterThan(0);
  expect(sum).toBeGreaterThanOrEqual(3);
});

test('a failed publish is answered and not timed, and the next that may be is [broker]', async () => {
  const { clock, target, send, settle } = await setUp();
  await send(1, 1);
  clock.ms += 7000;
  await settle(1, PublishStatus.quotaExceeded);
  expect(times(target)).toEqual([0, 0]);
  await send(2, 64);
  clock.ms += 2000;
  await settle(64);
  expect(times(target)).toEqual([1, 2]);
});

test('a connection that ends takes its open time with it [broker]', async () => {
  const { clock, target, send } = await setUp();
  await send(1, 1);
  // The new connection ends the old one.
  const next = await connect(target, 'publisher');
  next.send(publishPacket('jobs', 'x', { messageId: 1 }));
  await expect.poll(() => target.shards.publishCount).toBe(2);
  clock.ms += 500;
  target.shards.settle();
  await next.expect('puback');
  expect(times(target)).toEqual([1, 0.5]);
});
