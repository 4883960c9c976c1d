/**
 * A shard's worker ended abruptly under load, again and again. The broker process, its connections and the
 * other shards go on. `POST /shards/<id>/restart` terminates the worker thread without asking it.
 */
import { expect, test } from 'vitest';
import { startBroker, type Broker } from '../harness/broker.js';
import { fullSize, randomFrom, seed } from '../harness/environment.js';
import { testScope } from '../harness/scope.js';
import { TrackedLoad } from '../harness/tracked-load.js';
import { sleep, until } from '../harness/wait.js';

const ROUNDS = fullSize ? 20 : 5;
const SHARDS = 4;
const QUEUES = 12;
const ACK_BOUND_MS = 500;
const BACK_WITHIN_MS = 2000;
/** Deliveries of another shard come every few milliseconds; a pause this long is not the machine's. */
const OTHER_PAUSE_MAX_MS = 1000;

async function queuesPerShard(broker: Broker): Promise<number[]> {
  const { data } = (await broker.rest.get('/shards')).body as { data: { id: number; queues: number }[] };
  return data.toSorted((a, b) => a.id - b.id).map(({ queues }) => queues);
}

/** Creates a queue and answers the shard that it lies on: the one that has a queue more than before. */
async function createOnShard(broker: Broker, topicFilter: string): Promise<number> {
  const before = await queuesPerShard(broker);
  await broker.rest.createQueue(topicFilter, { dispatch_strategy: 'least_inflight' });
  let shard = -1;
  await until(async () => {
    const after = await queuesPerShard(broker);
    shard = after.findIndex((queues, id) => queues > (before[id] ?? 0));
    return shard >= 0;
  }, `a shard to have the queue ${topicFilter}`);
  return shard;
}

test('a killed worker is back within 2 s, loses nothing acknowledged and does not pause the other shards [broker]', async () => {
  console.info(`SLUICE_TEST_SEED=${seed}`);
  const random = randomFrom(seed);
  const scope = testScope();
  const broker = await startBroker(scope, { env: { SLUICE_SHARDS: String(SHARDS) } });
  const filters = Array.from({ length: QUEUES }, (_, index) => `work/${index}/#`);
  const shards: number[] = [];
  for (const filter of filters) shards.push(await createOnShard(broker, filter));
  expect(new Set(shards).size, 'queues on more than one shard').toBeGreaterThan(1);
  const load = new TrackedLoad(
    scope,
    broker,
    {
      topics: filters.map((_, index) => `work/${index}/x`),
      topicFilters: filters.map((filter) => `$q/${filter}`),
      rate: 500,
      inFlightMax: 50,
      payloadBytes: 256,
    },
    ACK_BOUND_MS,
  );
  await load.start();

  const inhabited = [...new Set(shards)];
  for (let round = 0; round < ROUNDS; round += 1) {
    await load.flowing();
    await sleep(ACK_BOUND_MS + random() * 700);
    const victim = inhabited[Math.floor(random() * inhabited.length)] ?? 0;
    const hit = shards.flatMap((shard, publisher) => (shard === victim ? [publisher] : []));
    const spared = shards.flatMap((shard, publisher) => (shard === victim ? [] : [publisher]));
    load.resetPauses();
    load.noteCut();
    const cutAtMs = performance.now();
    const answer = await broker.rest.post(`/shards/${victim}/restart`);
    expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
    const atCut = hit.map((publisher) => load.deliveredCount(publisher));
    await until(
      () => hit.every((publisher, index) => load.deliveredCount(publisher) > (atCut[index] ?? 0) + 10),
      `the queues of shard ${victim} to deliver again`,
    );
    expect(
      performance.now() - cutAtMs,
      `round ${round}: time until every queue of the shard delivers again`,
    ).toBeLessThan(BACK_WITHIN_MS);
    for (const publisher of spared) expect(load.longestPauseMs(publisher)).toBeLessThan(OTHER_PAUSE_MAX_MS);
  }
  await load.settle(60_000);

  console.info(JSON.stringify({ ...load.totals(), duplicates: load.explainedDuplicates }));
  expect(load.lostCount()).toBe(0);
  expect(load.unexplained).toEqual([]);
}, 240_000);
