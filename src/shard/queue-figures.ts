/**
 * Figures of many queues in few control calls: one array of numbers instead of an object per queue. Both threads.
 *
 *   call    queue ids, at most 64 of one shard
 *   answer  f64 per queue and figure, in the order of `figureFields`; NaN for a queue that is not there
 *
 * Always true: a call keeps its shard from messages for the time of 64 queues at most, however many there are; what one
 * shard cannot tell is left out and the others are not. With 20 queues a scrape sends one message to a shard instead of 20.
 */
import type { QueueDefinition, QueueStats } from '../queue/definition.js';
import { queueMetrics } from '../telemetry/metric-catalogue.js';
import type { ControlResult } from './protocol.js';

/** What is told about a queue, in this order: its metrics, then what is no metric. */
export const figureFields = [...queueMetrics.map(({ field }) => field), 'inRate', 'outRate'] as const;
/** A field of `QueueStats` that is told. */
export type FigureField = (typeof figureFields)[number];

/** Queues per call. */
const QUEUES_MAX = 64;

/** Puts statistics into the form of the answer. */
export function packFigures(stats: readonly (QueueStats | undefined)[]): Float64Array {
  const figures = new Float64Array(stats.length * figureFields.length);
  let at = 0;
  for (const each of stats) {
    for (const field of figureFields) figures[at++] = each === undefined ? Number.NaN : each[field];
  }
  return figures;
}

/**
 * Asks for the figures of `queues` with `call`, which sends the ids of queues to the shard of the first argument; resolves
 * with those that are known, by id.
 */
export async function readFigures(
  queues: readonly QueueDefinition[],
  shardOf: (queue: QueueDefinition) => number,
  call: (queue: QueueDefinition, queueIds: readonly number[]) => Promise<ControlResult>,
): Promise<ReadonlyMap<number, Float64Array>> {
  const byShard = new Map<number, QueueDefinition[]>();
  for (const queue of queues) {
    const shardId = shardOf(queue);
    const group = byShard.get(shardId);
    if (group === undefined) byShard.set(shardId, [queue]);
    else group.push(queue);
  }
  const known = new Map<number, Float64Array>();
  const read = async (group: readonly QueueDefinition[]): Promise<void> => {
    const figures = (await call(
      group[0]!,
      group.map(({ id }) => id),
    )) as Float64Array;
    for (const [index, { id }] of group.entries()) {
      const row = figures.subarray(index * figureFields.length, (index + 1) * figureFields.length);
      if (!Number.isNaN(row[0])) known.set(id, row);
    }
  };
  // One call of a shard at a time: messages have their turns in between.
  const readAll = async (group: readonly QueueDefinition[]): Promise<void> => {
    for (let at = 0; at < group.length; at += QUEUES_MAX) await read(group.slice(at, at + QUEUES_MAX));
  };
  await Promise.allSettled([...byShard.values()].map((group) => readAll(group)));
  return known;
}
