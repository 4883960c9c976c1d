/**
 * kill -9 of the broker under load, again and again, at random moments: 10 QoS 1 publishers and 10 acking
 * consumers with 256 B, which reconnect. 5 rounds, 20 with SLUICE_TEST_FULL=1; the seed is printed and
 * SLUICE_TEST_SEED repeats it.
 */
import { expect, test } from 'vitest';
import { startBroker } from '../harness/broker.js';
import { fullSize, randomFrom, seed } from '../harness/environment.js';
import { testScope } from '../harness/scope.js';
import { TrackedLoad } from '../harness/tracked-load.js';
import { sleep } from '../harness/wait.js';

const ROUNDS = fullSize ? 20 : 5;
/** An ack that was written longer than this before the kill must not lead to a second delivery. It covers the
 * commit, a few milliseconds, and both processes' turns on a busy machine. */
const ACK_BOUND_MS = 500;
const SETTLE_MS = 120_000;

for (const strategy of fullSize ? ['least_inflight', 'random', 'round_robin'] : ['least_inflight']) {
  test(
    `after kill -9 at ${ROUNDS} moments every acknowledged publish is delivered and only acks in flight lead to a second delivery (${strategy}) [broker]`,
    async () => {
      console.info(`SLUICE_TEST_SEED=${seed}`);
      const random = randomFrom(seed);
      const scope = testScope();
      const broker = await startBroker(scope);
      await broker.rest.createQueue('crash/#', { dispatch_strategy: strategy });
      const load = new TrackedLoad(
        scope,
        broker,
        {
          topics: Array.from({ length: 10 }, (_, index) => `crash/${index}`),
          topicFilters: Array.from({ length: 10 }, () => '$q/crash/#'),
          rate: 1000,
          inFlightMax: 100,
          payloadBytes: 256,
        },
        ACK_BOUND_MS,
      );
      await load.start();

      for (let round = 0; round < ROUNDS; round += 1) {
        await load.flowing();
        await sleep(ACK_BOUND_MS + random() * 1500);
        load.noteCut();
        await broker.kill();
        await sleep(random() * 200);
        await broker.restart();
      }
      await load.flowing();
      await load.settle(SETTLE_MS);

      const totals = load.totals();
      console.info(JSON.stringify({ ...totals, duplicates: load.explainedDuplicates }));
      expect(load.lostCount()).toBe(0);
      expect(load.unexplained).toEqual([]);
      // The load was real: hundreds of messages per round went all the way.
      expect(totals.acked).toBeGreaterThan(ROUNDS * 500);
    },
    300_000 + SETTLE_MS,
  );
}

test('a backlog that was acknowledged before kill -9 is delivered afterwards, in order and once [broker]', async () => {
  const scope = testScope();
  const broker = await startBroker(scope);
  await broker.rest.createQueue('crash/order');
  const { connectClient } = await import('../harness/mqtt-client.js');
  const publisher = await connectClient(scope, broker);
  const count = 2000;
  await Promise.all(
    Array.from({ length: count }, (_, index) =>
      publisher.client.publishAsync('crash/order', String(index), { qos: 1 }),
    ),
  );
  await broker.kill();
  await broker.restart();
  const consumer = await connectClient(scope, broker);
  await consumer.client.subscribeAsync('$q/crash/order', { qos: 1 });
  await consumer.waitFor(count);
  await sleep(300);
  expect(consumer.received.map(({ payload }) => Number(payload))).toEqual(
    Array.from({ length: count }, (_, index) => index),
  );
}, 120_000);
