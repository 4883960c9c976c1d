/**
 * The metrics as Prometheus text. Main thread.
 *
 * Always true: a scrape never fails because of queues: those whose shard is down, or all while queues are switched off,
 * are left out. Asks for a key like every other route that reads. Cost: one call to a shard per queue.
 * Source: the path is EMQX's, so that its scrape settings stay.
 */
import type { Registry } from 'prom-client';
import Type from 'typebox';

import type { Admin } from '../broker/admin.js';
import { OperatorError } from '../broker/operator-error.js';
import { CounterReader } from '../telemetry/counter.js';
import { createRegistry, type QueueSample } from '../telemetry/prometheus.js';
import { answers, type App, operation, type RouteGroup } from './app.js';

const Text = Type.Unsafe<string>({
  description: 'Prometheus text format',
  content: { 'text/plain': { schema: Type.String() } },
});

/** Adds the route. */
export async function metrics(app: App, group: RouteGroup): Promise<void> {
  const { admin, counterMemory } = group;
  // Made when first asked for: it also watches the event loop and the garbage collector.
  let registry: Registry | undefined;

  app.route({
    method: 'GET',
    url: '/prometheus/stats',
    schema: {
      ...operation(group, 'getMetrics'),
      summary: 'All metrics in the text format of Prometheus',
      description:
        'Those of the queues come from the shards and are exact; the others are up to a second old.',
      response: answers({ 200: Text }),
    },
    handler: async (_request, reply) => {
      registry ??= createRegistry(new CounterReader(counterMemory), () => queueSamples(admin));
      const text = await registry.metrics();
      return await reply.type(registry.contentType).send(text);
    },
  });
}

async function queueSamples(admin: Admin): Promise<QueueSample[]> {
  const samples = await Promise.allSettled(
    namesOf(admin).map(async (name) => ({ name, stats: { ...(await admin.queueStats(name)) } })),
  );
  return samples.flatMap((sample) => (sample.status === 'fulfilled' ? [sample.value] : []));
}

function namesOf(admin: Admin): string[] {
  try {
    return admin.queues().map(({ name }) => name);
  } catch (error) {
    if (error instanceof OperatorError) return [];
    throw error;
  }
}
