/**
 * `sluice queues show`: settings, figures and consumers of one queue. Over the REST API.
 *
 * Always true: the three answers are taken one after the other, so figures and consumers may differ by what happened in between.
 * With `--json` they are one object: the queue's own fields, `stats` and `consumers`.
 */
import type { Command } from 'commander';

import { type CommandContext, withExamples } from '../context.js';
import { type ApiOptions, withApi } from '../option.js';
import { rateText, sizeText, spanText } from '../text.js';
import { missing, pathOf, type QueueObject } from './queue-path.js';

interface QueueStats {
  readonly ready: number;
  readonly in_flight: number;
  readonly bytes: number;
  readonly consumers: number;
  readonly oldest_age_ms: number;
  readonly in_rate: number;
  readonly out_rate: number;
  readonly counters: Readonly<Record<string, number>>;
}

interface Consumer {
  readonly clientid: string;
  readonly in_flight: number;
  readonly window: number;
  readonly delivered: number;
  readonly acked: number;
  readonly rejected: number;
}

/** Adds the command. */
export function addQueueShow(queues: Command, context: CommandContext): void {
  const show = withApi(
    queues
      .command('show')
      .description('settings, figures and consumers of a queue')
      .argument('<name>', 'name of the queue, or its topic filter'),
  ).action(async (name: string, options: ApiOptions) => {
    const api = await context.api(options);
    const output = context.output(options);
    const queue = await api.get<QueueObject>(pathOf(name), missing(name));
    const stats = await api.get<QueueStats>(`${pathOf(name)}/stats`, missing(name));
    const { data: consumers } = await api.get<{ data: Consumer[] }>(
      `${pathOf(name)}/consumers`,
      missing(name),
    );
    output.record({ ...queue, stats, consumers }, [
      ...Object.entries(queue).flatMap(([field, value]) => pairsOf(field, value)),
      ['ready', stats.ready],
      ['in flight', stats.in_flight],
      ['size', sizeText(stats.bytes)],
      ['oldest message', stats.oldest_age_ms === 0 ? '-' : spanText(stats.oldest_age_ms)],
      ['in per second', rateText(stats.in_rate)],
      ['out per second', rateText(stats.out_rate)],
      ...Object.entries(stats.counters),
    ]);
    output.table('consumers', consumers, [
      { head: 'client id', cell: ({ clientid }) => clientid },
      { head: 'in flight', cell: (consumer) => consumer.in_flight, right: true },
      { head: 'window', cell: ({ window }) => window, right: true },
      { head: 'delivered', cell: ({ delivered }) => delivered, right: true },
      { head: 'acked', cell: ({ acked }) => acked, right: true },
      { head: 'rejected', cell: ({ rejected }) => rejected, right: true },
    ]);
  });
  withExamples(show, 'sluice queues show jobs');
}

/** Durations of the API are ms; `limits` is a level of its own. */
function pairsOf(field: string, value: unknown): [string, string | number][] {
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).map(([inner, one]) => [`${field}.${inner}`, String(one)]);
  }
  if (typeof value === 'number' && /_(?:interval|period|inactive)$/.test(field))
    return [[field, spanText(value)]];
  return [[field, String(value)]];
}
