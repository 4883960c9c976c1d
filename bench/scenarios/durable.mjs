/**
 * Queues: publishers, one or several durable queues, consumers that acknowledge. What strategy, number of consumers,
 * durability and number of shards do to the rate.
 *
 * Always true: every message is stored before it is acknowledged; the rate is of messages that were acknowledged and
 * delivered; loss and repetition are faults.
 */
import { loadCase, scaled, timesOf } from './scenario.mjs';

const LEAST = { dispatch_strategy: 'least_inflight' };
const WIDE = { ...LEAST, local_max_inflight: 200 };

/** The scenarios `jobs`, `durability` and `shards`. */
export const durableScenarios = [
  {
    name: 'jobs',
    about: 'one durable queue, 10 publishers, 2 to 200 consumers, each strategy',
    cases: (context) => [
      jobs('500', '500 messages, 2 consumers, random', 'random', 2, { count: 500, seconds: 0 }, context),
      ...[2, 20, 200].map((consumers) =>
        jobs(
          `least-${consumers}`,
          `${consumers} consumers, least_inflight`,
          'least_inflight',
          consumers,
          {},
          context,
        ),
      ),
      jobs('random-20', '20 consumers, random', 'random', 20, {}, context),
      jobs('round-robin-20', '20 consumers, round_robin', 'round_robin', 20, {}, context),
      ...(context.quick ? [] : [longJobs(context)]),
    ],
  },
  {
    name: 'durability',
    about: '10 publishers to 10 consumers of a queue, by what an acknowledged message survives',
    cases: (context) => [
      ...['process', 'interval', 'fsync'].map((durability) =>
        tenToTen(durability, `${durability}, default window`, durability, LEAST, context),
      ),
      tenToTen('process-200', 'process, window 200', 'process', WIDE, context),
      ...(context.quick ? [] : [tenToTen('fsync-200', 'fsync, window 200', 'fsync', WIDE, context)]),
    ],
  },
  {
    name: 'shards',
    about: 'the same work over 1, 2, 4 … shards: 8 queues',
    cases: (context) =>
      shardCounts(context).map((shards) =>
        loadCase({
          id: String(shards),
          title: `${shards} ${shards === 1 ? 'shard' : 'shards'}, 8 queues`,
          peers: 'sluice',
          broker: { shards, durability: 'process' },
          durability: 'process',
          load: { mode: 'queue', publishers: 8, consumers: 16, queues: 8, queue: LEAST, ...timesOf(context) },
        }),
      ),
  },
];

function jobs(id, title, strategy, consumers, more, context) {
  const load = { mode: 'queue', publishers: 10, consumers, queue: { dispatch_strategy: strategy } };
  return loadCase({
    id,
    title,
    peers: 'sluice',
    durability: 'fsync',
    ...(consumers <= 20 && { chart: 'split' }),
    load: { ...load, ...timesOf(context), ...more },
  });
}

function longJobs(context) {
  const count = scaled(2_000_000, context);
  const title = `${count.toLocaleString('en-US')} messages, 20 consumers, least_inflight`;
  return jobs('many', title, 'least_inflight', 20, { count, seconds: 0 }, context);
}

function tenToTen(id, title, durability, queue, context) {
  return loadCase({
    id,
    title,
    broker: { durability },
    durability,
    load: { mode: 'queue', publishers: 10, consumers: 10, queue, ...timesOf(context) },
  });
}

function shardCounts({ quick, cores }) {
  if (quick) return [1, 2];
  const counts = [1, 2, 4];
  for (let shards = 8; shards <= cores; shards *= 2) counts.push(shards);
  return counts;
}
