/**
 * The table of queues with what is in them: search, sort, pages. Main thread.
 *
 * Always true: figures are those of the last second, however many ask; the list of queues itself is that of this moment.
 * With the same figures rows are in the order of their names.
 */
import Type, { type Static } from 'typebox';

import type { QueueColumn, QueueRow } from '../broker/queue-overview.js';
import { answers, type App, operation, type RouteGroup } from './app.js';
import { PagedAnswer, PagedQuery, sendPage } from './page.js';

const count = Type.Integer({ minimum: 0 });
const rate = (description: string) => Type.Number({ minimum: 0, description });

/** A row of the table, also in the event stream. */
export const QueueRowObject = Type.Object({
  name: Type.String({ examples: ['jobs'] }),
  topic_filter: Type.String({ examples: ['jobs/#'] }),
  is_lastvalue: Type.Boolean(),
  dispatch_strategy: Type.Enum(['random', 'round_robin', 'least_inflight']),
  paused: Type.Boolean(),
  ready: count,
  in_flight: count,
  consumers: count,
  in_rate: rate('Messages stored per second.'),
  out_rate: rate('Messages acknowledged per second.'),
  oldest_age_ms: rate('Age of the oldest message; 0 when there is none.'),
});

const columns = {
  name: 'name',
  ready: 'ready',
  in_flight: 'inFlight',
  consumers: 'consumers',
  in_rate: 'inRate',
  out_rate: 'outRate',
  oldest_age: 'oldestAgeMs',
} as const satisfies Record<string, QueueColumn>;
type ColumnName = keyof typeof columns;

const limitDefault = 50;

/** Adds the route. */
export async function queuesOverview(app: App, group: RouteGroup): Promise<void> {
  app.route({
    method: 'GET',
    url: '/queues_overview',
    schema: {
      ...operation(group, 'getQueuesOverview'),
      summary: 'Queues with what is in them, sorted',
      description: 'Figures are up to a second old.',
      querystring: PagedQuery({
        search: Type.Optional(Type.String({ description: 'A part of the name or of the topic filter.' })),
        sort: Type.Optional(
          Type.Enum(Object.keys(columns) as ColumnName[], { description: 'Default name.' }),
        ),
        order: Type.Optional(Type.Enum(['asc', 'desc'], { description: 'Default asc.' })),
      }),
      response: answers({ 200: PagedAnswer(QueueRowObject) }, 503),
    },
    handler: async ({ query }, reply) => {
      const { search = '', sort = 'name', order = 'asc', page = 1, limit = limitDefault } = query;
      const request = { page, limit };
      const wanted = { text: search, column: columns[sort], isDescending: order === 'desc' };
      const rows = await group.admin.queuePage(wanted, request);
      return await sendPage(reply, group.admin.walks, rows, request, queueRowObject);
    },
  });
}

/** Makes the view of one row. */
export function queueRowObject({ definition, ...figures }: QueueRow): Static<typeof QueueRowObject> {
  return {
    name: definition.name,
    topic_filter: definition.topicFilter,
    is_lastvalue: definition.isLastvalue,
    dispatch_strategy: definition.dispatchStrategy,
    paused: definition.paused,
    ready: figures.ready,
    in_flight: figures.inFlight,
    consumers: figures.consumers,
    in_rate: figures.inRate,
    out_rate: figures.outRate,
    oldest_age_ms: figures.oldestAgeMs,
  };
}
