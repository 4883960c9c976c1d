/**
 * Levels of the log, shown and changed while the broker runs. Main thread.
 *
 * Always true: a change is in force when it is answered, and is either made as a whole or not at all; it lasts until the
 * process ends, because what lasts longer is configuration.
 */
import Type from 'typebox';

import { badRequest } from '../broker/operator-error.js';
import { logLevelNames } from '../config/log-settings.js';
import { answers, type App, operation, type RouteGroup } from './app.js';

const Level = Type.Enum(logLevelNames);

const LevelsObject = Type.Object({
  default: Type.Enum(logLevelNames, { description: 'Level of all parts that have none of their own.' }),
  modules: Type.Record(Type.String(), Level, { description: 'Level in force of every part of the broker.' }),
});

const LevelsBody = Type.Object(
  {
    default: Type.Optional(Level),
    modules: Type.Optional(
      Type.Record(Type.String(), Type.Enum([...logLevelNames, 'default']), {
        description:
          'Levels by part; `default` takes the level of a part away. Parts that are left out stay.',
      }),
    ),
  },
  { additionalProperties: false },
);

/** Adds the routes. */
export async function logLevels(app: App, group: RouteGroup): Promise<void> {
  const { levels } = group.logging;

  app.route({
    method: 'GET',
    url: '/log_levels',
    schema: {
      ...operation(group, 'getLogLevels'),
      summary: 'Levels of the log by part of the broker',
      response: answers({ 200: LevelsObject }),
    },
    handler: async () => levels.current,
  });

  app.route({
    method: 'PUT',
    url: '/log_levels',
    schema: {
      ...operation(group, 'setLogLevels'),
      summary: 'Change levels of the log until the broker ends',
      description: 'What is left out stays. The answer is what is in force then.',
      body: LevelsBody,
      response: answers({ 200: LevelsObject }),
    },
    handler: async ({ body }) => {
      for (const module of Object.keys(body.modules ?? {})) {
        if (!levels.has(module))
          throw badRequest(`No part of the broker is called ${JSON.stringify(module)}`);
      }
      levels.change(body);
      return levels.current;
    },
  });
}
