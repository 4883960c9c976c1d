/**
 * The metrics as Prometheus text. Main thread.
 *
 * Always true: a scrape never fails because of queues: those whose shard is down, or all while queues are switched off,
 * are left out. Asks for a key like every other route that reads. Cost: a call to a shard per 64 queues.
 * Source: the path is EMQX's, so that its scrape settings stay.
 */
import Type from 'typebox';

import type { Admin } from '../broker/admin.js';
import { OperatorError } from '../broker/operator-error.js';
import type { QueueDefinition } from '../queue/definition.js';
import { CounterReader } from '../telemetry/counter.js';
import { MetricsText, QUEUES_SHOWN_MAX, type QueueSample } from '../telemetry/prometheus.js';
import { answers, type App, operation, type RouteGroup } from './app.js';

const Text = Type.Unsafe<string>({
  description: 'Prometheus text format',
  content: { 'text/plain': { schema: Type.String() } },
});

/** Adds the route. */
export async function metrics(app: App, group: RouteGroup): Promise<void> {
  const { admin, counterMemory } = group;
  // Made when first asked for: it also watches the event loop and the garbage collector.
  let metricsText: MetricsText | undefined;
  const make = inTurns(async (text: MetricsText) => await text.make(await queueSamples(admin)));

  app.route({
    method: 'GET',
    url: '/prometheus/stats',
    schema: {
      ...operation(group, 'getMetrics'),
      summary: 'All metrics in the text format of Prometheus',
      description:
        'Those of the queues come from the shards and are exact; the others are up to a second old. The first ' +
        `${QUEUES_SHOWN_MAX} queues in order of creation are shown one by one; sums have all.`,
      response: answers({ 200: Text }),
    },
    handler: async (_request, reply) => {
      metricsText ??= new MetricsText(new CounterReader(counterMemory), () => performance.now());
      return await reply.type(metricsText.contentType).send(await make(metricsText));
    },
  });
}

async function queueSamples(admin: Admin): Promise<QueueSample[]> {
  const queues = shownQueues(admin);
  const known = await admin.queueFigures(queues);
  return queues.flatMap(({ id, name }) => {
    const figures = known.get(id);
    return figures === undefined ? [] : [{ name, figures }];
  });
}

function shownQueues(admin: Admin): QueueDefinition[] {
  try {
    return admin.queues().slice(0, QUEUES_SHOWN_MAX);
  } catch (error) {
    if (error instanceof OperatorError) return [];
    throw error;
  }
}

/**
 * One call of `read` at a time: whoever asks while one is under way shares the next with all others that do, so that
 * nobody gets what was read before it asked.
 */
function inTurns<A, T>(read: (argument: A) => Promise<T>): (argument: A) => Promise<T> {
  let running: Promise<unknown> | undefined;
  let next: Promise<T> | undefined;
  const start = (argument: A): Promise<T> => {
    const result = read(argument);
    const ended = result.then(
      () => undefined,
      () => undefined,
    );
    running = ended;
    void ended.then(() => {
      if (running === ended) running = undefined;
    });
    return result;
  };
  return (argument) => {
    if (running === undefined) return start(argument);
    next ??= running.then(() => {
      next = undefined;
      return start(argument);
    });
    return next;
  };
}
