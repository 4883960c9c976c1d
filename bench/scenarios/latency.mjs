/**
 * Latency at fixed rates: messages leave at planned moments whatever the broker does, and the time of each counts from its
 * planned moment.
 *
 * Always true: a rate that the broker could not hold is said beside the figure, as its latency would mean little.
 */
import { loadCase, timesOf } from './scenario.mjs';

const RATES = [1000, 10_000, 50_000];
/** Part of the rate that must have been delivered. */
const HELD_SHARE = 0.98;

/** The scenario `latency`. */
export const latencyScenarios = [
  {
    name: 'latency',
    about: 'publish to delivery at 1,000, 10,000 and 50,000 messages/s, QoS 1, plain and through a queue',
    cases: (context) => [
      ...RATES.map((rate) => paced(`plain-${rate}`, 'plain topics', rate, { mode: 'partition' }, context)),
      ...RATES.map((rate) =>
        paced(
          `queue-${rate}`,
          'through a queue',
          rate,
          { mode: 'queue', queue: { dispatch_strategy: 'least_inflight' } },
          context,
        ),
      ),
    ],
  },
];

function paced(id, kind, rate, more, context) {
  const queue = more.mode === 'queue';
  return loadCase({
    id,
    title: `${rate.toLocaleString('en-US')}/s, ${kind}`,
    broker: queue ? { durability: 'process' } : {},
    durability: queue ? 'process' : 'nothing stored',
    peers: queue ? 'queue' : 'mqtt',
    unit: 'ms p99',
    better: 'lower',
    chart: 'latency',
    load: { ...more, qos: 1, publishers: 10, consumers: 10, inFlight: 1000, rate, ...timesOf(context) },
    headline: ({ deliveryLatencyMs }) => deliveryLatencyMs?.p99,
    notes: (figures) => latencyText(figures, rate),
  });
}

function latencyText({ deliveryLatencyMs: of, steady }, rate) {
  if (of === undefined) return 'not measured';
  const held = steady.deliveredPerSecond >= rate * HELD_SHARE;
  const missed = held ? '' : `rate not held: ${steady.deliveredPerSecond.toLocaleString('en-US')}/s; `;
  return `${missed}p50 ${of.p50}, p90 ${of.p90}, p99 ${of.p99}, p99.9 ${of.p999}, max ${of.max} ms`;
}
