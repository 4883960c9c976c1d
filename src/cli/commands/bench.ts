/**
 * `sluice bench`: a quick load on a running broker, to see that it is well and what a client gets. Over MQTT.
 *
 * Always true: it uses topics of its own, `sluice-bench/…`, unless told otherwise, and leaves nothing behind; it ends with 1
 * when messages were refused or did not arrive. Ctrl-C ends it early with the figures so far. The benches that the published
 * figures come from are others (docs/benchmarks.md).
 */
import { randomBytes } from 'node:crypto';

import { type Command, Option } from 'commander';

import { type CommandContext, withExamples } from '../context.js';
import { CommandError, exitCode } from '../io.js';
import { type MqttOptions, mqttTarget, withMqtt } from '../mqtt/target.js';
import { duration, rate, wholeNumber, withJson } from '../option.js';
import { startProgress } from '../progress.js';
import type { LoadPlan, LoadResult } from '../bench/load.js';

interface BenchOptions extends MqttOptions {
  readonly publishers: number;
  readonly subscribers: number;
  readonly rate: number;
  readonly size: number;
  readonly qos: string;
  readonly count: number;
  readonly topic?: string;
  readonly filter?: string;
  readonly window: number;
  readonly wait: number;
  readonly json?: boolean;
}

/** Adds the command. */
export function addBench(program: Command, context: CommandContext): void {
  const bench = withJson(
    withMqtt(
      program
        .command('bench')
        .description('a quick load on a running broker')
        .option('--publishers <count>', 'connections that publish', wholeNumber(1, 1000), 1)
        .option('--subscribers <count>', 'connections that receive', wholeNumber(0, 1000), 1)
        .option(
          '--rate <number>',
          'messages per second of all publishers; 0: as fast as acknowledged',
          rate,
          0,
        )
        .option('--size <bytes>', 'bytes of a payload', wholeNumber(8, 16_777_216), 100)
        .addOption(new Option('-q, --qos <level>', 'QoS of both sides').choices(['0', '1', '2']).default('1'))
        .option('--count <count>', 'messages in all', wholeNumber(1, 1_000_000_000), 10_000)
        .option('--topic <topic>', 'publisher n publishes to <topic>/n (default: one of its own)')
        .option(
          '--filter <filter>',
          "what subscribers subscribe to, such as '$q/jobs/#' (default: <topic>/#)",
        )
        .option('--window <count>', 'unacknowledged messages per publisher', wholeNumber(1, 4096), 100)
        .option('--wait <duration>', 'longest silence before messages count as lost', duration, 5000),
    ),
  ).action(async (options: BenchOptions) => {
    const { runLoad } = await import('../bench/load.js');
    const plan = planOf(options);
    const target = await mqttTarget(context, options);
    if (target.clientId !== '') {
      throw new CommandError(exitCode.wrongUse, '--id names one client, and this command has several');
    }
    const progress = startProgress(context.io, 'publishing', plan.count, 'messages');
    let isStopped = false;
    const stopListening = context.io.onInterrupt?.(() => (isStopped = true));
    let result: LoadResult;
    try {
      result = await runLoad(
        plan,
        target,
        (published) => progress.at(published),
        () => isStopped,
      );
    } finally {
      stopListening?.();
      progress.stop();
    }
    const report = reportOf(plan, result);
    context.output(options).record(report, [
      ['published', `${result.published} of ${plan.count}, ${report.published_per_s} per second`],
      ['received', `${result.received} of ${result.expected}, ${report.received_per_s} per second`],
      ['publish to acknowledgement', latencyText(report.publish_to_ack_ms)],
      ['publish to delivery', latencyText(report.publish_to_delivery_ms)],
    ]);
    if (result.refused > 0) {
      throw new CommandError(exitCode.refused, `the broker refused ${result.refused} messages`, {
        hint: 'a full queue, a missing right or a limit; the metrics of the broker count the reasons',
      });
    }
    if (result.received < result.expected && !isStopped) {
      throw new CommandError(
        exitCode.failed,
        `${result.expected - result.received} messages did not arrive`,
        {
          hint: 'QoS 0 may be dropped for a slow reader; with a queue, other consumers take their share',
        },
      );
    }
  });
  withExamples(
    bench,
    'sluice bench --count 1000',
    "sluice bench --publishers 4 --subscribers 4 --topic load --filter '$share/all/load/#' --count 2000",
  );
}

function planOf(options: BenchOptions): LoadPlan {
  const topic = options.topic ?? `sluice-bench/${randomBytes(6).toString('hex')}`;
  return {
    publishers: options.publishers,
    subscribers: options.subscribers,
    rate: options.rate,
    sizeBytes: options.size,
    qos: Number(options.qos) as 0 | 1 | 2,
    count: options.count,
    topic,
    filter: options.filter ?? `${topic}/#`,
    window: options.window,
    patienceMs: options.wait,
  };
}

type Latency = {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
} | null;

function reportOf(plan: LoadPlan, { acks, deliveries, ...result }: LoadResult) {
  return {
    publishers: plan.publishers,
    subscribers: plan.subscribers,
    qos: plan.qos,
    size: plan.sizeBytes,
    published: result.published,
    refused: result.refused,
    received: result.received,
    expected: result.expected,
    published_per_s: perSecond(result.published, result.publishMs),
    received_per_s: perSecond(result.received, result.receiveMs),
    publish_to_ack_ms: latencyOf(acks),
    publish_to_delivery_ms: latencyOf(deliveries),
  };
}

function perSecond(count: number, ms: number): number {
  return ms === 0 ? 0 : Math.round((1000 * count) / ms);
}

function latencyOf(histogram: LoadResult['acks']): Latency {
  if (histogram.totalCount === 0) return null;
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile) / 1000;
  return { p50: at(50), p95: at(95), p99: at(99), max: histogram.maxValue / 1000 };
}

function latencyText(latency: Latency): string {
  if (latency === null) return '-';
  const { p50, p95, p99, max } = latency;
  return `p50 ${p50} ms, p95 ${p95} ms, p99 ${p99} ms, max ${max} ms`;
}
