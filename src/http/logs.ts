/**
 * The last warnings and errors of the log. Main thread.
 *
 * Always true: what is shown was written to the log before, in the same words, with the same secrets hidden; the answer is
 * bounded by what the log keeps. Gives up: lines below `warn`, and what was before the start.
 */
import Type, { type Static } from 'typebox';

import { ENTRIES_MAX, type LogEntry } from '../telemetry/recent-log.js';
import { answers, type App, operation, type RouteGroup } from './app.js';

/** One line of the log as the API shows it. */
export const LogEntryObject = Type.Object({
  time_ms: Type.Integer({ minimum: 0, description: 'Wall clock, ms since 1970.' }),
  level: Type.Enum(['warn', 'error']),
  module: Type.String({ description: 'Part of the broker.' }),
  message: Type.String(),
  fields: Type.Record(Type.String(), Type.Unknown(), { description: 'All else that the line says.' }),
});

const LogQuery = Type.Object(
  {
    level: Type.Optional(
      Type.Enum(['warn', 'error'], { default: 'warn', description: 'Least severe level that is shown.' }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: ENTRIES_MAX, default: 200 })),
  },
  { additionalProperties: false },
);

/** An entry in the form of the API. */
export function logEntryView(entry: LogEntry): Static<typeof LogEntryObject> {
  const { timeMs, level, module, message, fields } = entry;
  return { time_ms: timeMs, level, module, message, fields };
}

/** Adds the route. */
export async function logs(app: App, group: RouteGroup): Promise<void> {
  const { recent } = group.logging;

  app.route({
    method: 'GET',
    url: '/logs',
    schema: {
      ...operation(group, 'getLogs'),
      summary: 'The last warnings and errors, oldest first',
      description: `The broker keeps the last ${ENTRIES_MAX}, as long as they take no more than 1 MB.`,
      querystring: LogQuery,
      response: answers({ 200: Type.Object({ data: Type.Array(LogEntryObject) }) }),
    },
    handler: async ({ query: { level = 'warn', limit = 200 } }) => ({
      data: recent.entries(level, limit).map((entry) => logEntryView(entry)),
    }),
  });
}
