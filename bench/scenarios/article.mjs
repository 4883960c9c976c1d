/**
 * The stories of the article: 500 jobs for two workers, one of them slow; a device that was away and gets the newest
 * command only.
 *
 * Always true: `jobs-500` has the article's clients: MQTT 3.1.1, one publisher with QoS 1, subscriptions to `$q/jobs` with
 * QoS 0. A quick run keeps the article's ratio of a slow job (five times the time between two jobs) and is ten times as
 * fast.
 */
import { round } from '../load/figures.mjs';
import { faultsOf, loadCase, scaled } from './scenario.mjs';

const STRATEGIES = ['random', 'round_robin', 'least_inflight'];
/** What a timer and a busy machine may add to the end of a run, seconds. */
const TOLERANCE_S = 0.1;
const KEY = 'message.headers.properties.User-Property.key';

/** The scenarios `jobs-500`, `slow-consumer` and `last-value`. */
export const articleScenarios = [
  {
    name: 'jobs-500',
    about: 'the article: 500 jobs, two workers at random; then one of them slow, least_inflight',
    cases: (context) => {
      const haste = context.quick ? 10 : 1;
      return [
        article('random', `500 jobs at ${10 * haste}/s, two workers, random`, 'random', 0, haste),
        article(
          'slow',
          `500 jobs at ${10 * haste}/s, the second worker takes ${500 / haste} ms per job, least_inflight`,
          'least_inflight',
          500 / haste,
          haste,
        ),
      ];
    },
  },
  {
    name: 'slow-consumer',
    about: 'one or many slow workers beside fast ones: time to finish, and who did how much',
    cases: (context) => [
      ...STRATEGIES.map((strategy) =>
        slow(strategy, `1 of 2 slow (50 ms), 500 jobs at 100/s, ${strategy}`, strategy, {
          count: 500,
          rate: 100,
          consumers: 2,
          workMs: [0, 50],
        }),
      ),
      slow('many-slow', '5 of 10 slow (50 ms), jobs at 2,000/s, least_inflight', 'least_inflight', {
        count: scaled(context.quick ? 6000 : 20_000, context, 100),
        rate: 2000,
        consumers: 10,
        workMs: [0, 50, 0, 50, 0, 50, 0, 50, 0, 50],
      }),
      ...(context.quick ? [] : [slowAtScale(context)]),
    ],
  },
  {
    name: 'last-value',
    about: 'many updates of few keys: what a device reads that was away',
    cases: (context) => [lastValue(100, scaled(context.quick ? 500 : 5000, context), context)],
  },
];

function article(id, title, strategy, secondWorkMs, haste) {
  const queue = { dispatch_strategy: strategy };
  const load = {
    mode: 'queue',
    topic: 'jobs',
    oneTopic: true,
    publishers: 1,
    consumers: 2,
    subscribeQos: 0,
    payload: 16,
    inFlight: 20,
    count: 500,
    rate: 10 * haste,
    workMs: [0, secondWorkMs],
    queue,
  };
  return timeCase(id, title, load);
}

function slow(id, title, strategy, more) {
  const queue = { dispatch_strategy: strategy };
  return timeCase(id, title, { mode: 'queue', publishers: 1, inFlight: 1000, queue, ...more });
}

function slowAtScale(context) {
  const count = scaled(500_000, context, 1000);
  const title = `1 of 10 slow (50 ms), ${count.toLocaleString('en-US')} jobs at 50,000/s, least_inflight`;
  return slow('at-scale', title, 'least_inflight', {
    count,
    rate: 50_000,
    consumers: 10,
    workMs: [0, 0, 0, 0, 0, 0, 0, 0, 0, 50],
  });
}

/** The headline is how long the work went on after the last publish was acknowledged. */
function timeCase(id, title, load) {
  const slowMs = Math.max(0, ...load.workMs);
  const promised = load.queue.dispatch_strategy === 'least_inflight';
  return loadCase({
    id,
    title,
    peers: 'sluice',
    durability: 'fsync',
    unit: 's after the last publish',
    better: 'lower',
    chart: 'split',
    load,
    headline: ({ completedSeconds, ackSeconds }) => round(Math.max(0, completedSeconds - ackSeconds), 3),
    faults: (figures) => {
      const faults = faultsOf(figures, { ...load, qos: 1 });
      const over = figures.completedSeconds - figures.ackSeconds - slowMs / 1000;
      if (promised && over > TOLERANCE_S)
        faults.push(`the work ended ${round(over, 3)} s later than the producer and one slow job`);
      return faults;
    },
  });
}

function lastValue(keys, updates) {
  const count = keys * updates;
  return loadCase({
    id: `${keys}x${updates}`,
    title: `${updates.toLocaleString('en-US')} updates of each of ${keys} keys while the device is away`,
    peers: 'sluice',
    durability: 'fsync',
    unit: 'updates/s stored',
    load: {
      mode: 'queue',
      topic: 'commands/device1',
      oneTopic: true,
      protocol: 5,
      publishers: 1,
      consumers: 1,
      payload: 64,
      keys,
      count,
      late: true,
      expected: keys,
      queue: { is_lastvalue: true, key_expression: KEY },
    },
    headline: ({ ackedPerSecond }) => ackedPerSecond,
    faults: ({ delivered, lowestSequence, failures, failed }) => {
      const faults = [...failures];
      if (failed > 0) faults.push(`${failed} messages were refused`);
      if (delivered !== keys) faults.push(`the device read ${delivered} messages instead of ${keys}`);
      if (!(lowestSequence >= count - keys))
        faults.push(`the device read an old command (${lowestSequence})`);
      return faults;
    },
    notes: ({ delivered }) => `the device read ${delivered} of ${count.toLocaleString('en-US')} messages`,
  });
}
