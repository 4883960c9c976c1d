/**
 * The suites `backlog` and `retained` as scenarios of a round, with counts that fit it.
 *
 * Always true: the figures and the faults are those of the suites.
 */
import { measureBacklog } from '../backlog/run.mjs';
import { measureRetained } from '../retained/run.mjs';
import { digits, scaled } from './scenario.mjs';

const megabytes = (bytes) => (bytes === undefined ? 'not measured' : `${Math.round(bytes / 1e6)} MB`);

/** The scenarios `backlog` and `retained`. */
export const wrappedScenarios = [
  {
    name: 'backlog',
    about: 'messages wait in a queue while nobody consumes; late consumers drain it',
    cases: (context) => {
      const count = scaled(context.quick ? 300_000 : 5_000_000, context, 1000);
      return [
        {
          id: 'drain',
          title: `${count.toLocaleString('en-US')} waiting messages, 10 late consumers`,
          unit: 'messages/s drained',
          better: 'higher',
          peers: 'sluice',
          estimateSeconds: 1 + count / 150_000,
          broker: {},
          durability: 'fsync',
          run: (target) => measureBacklog({ count: String(count) }, target),
          headline: ({ drainPerSecond }) => drainPerSecond,
          faults: ({ faults }) => faults,
          notes: ({ fillPerSecond, rssPeakBytes, filledBytes, drainedBytes }) =>
            `filled at ${digits(fillPerSecond)}/s, memory ${megabytes(rssPeakBytes)}, files ${megabytes(filledBytes)} full, ${megabytes(drainedBytes)} drained`,
        },
      ];
    },
  },
  {
    name: 'retained',
    about: 'many retained messages for one wildcard subscription, and the round trip of another client',
    cases: (context) => {
      const count = scaled(context.quick ? 20_000 : 100_000, context, 100);
      const subscriptions = Math.ceil(count / 10);
      return [
        {
          id: 'wildcard',
          title: `${count.toLocaleString('en-US')} retained messages, ${subscriptions.toLocaleString('en-US')} subscriptions`,
          unit: 'messages/s to a new subscription',
          better: 'higher',
          peers: 'mqtt',
          estimateSeconds: 7 + count / 50_000,
          broker: {},
          durability: 'retained messages as the broker keeps them',
          run: (target) =>
            measureRetained(
              { count: String(count), subscriptions: String(subscriptions), 'p99-max': '1000' },
              target,
            ),
          headline: ({ wildcard }) => wildcard.perSecond,
          faults: ({ faults }) => faults,
          notes: ({ storedPerSecond, wildcard }) =>
            `stored at ${digits(storedPerSecond)}/s, p99 of another client meanwhile ${wildcard.p99Ms.toFixed(1)} ms`,
        },
      ];
    },
  },
];
