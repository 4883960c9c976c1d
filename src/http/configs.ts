/**
 * The settings that are in force. Main thread.
 *
 * Always true: nothing can be changed here: settings come from the environment, those of the queue system from
 * `/message_queues/config`, too. Secrets are hidden.
 */
import Type from 'typebox';

import { answers, type App, operation, type RouteGroup } from './app.js';

const SettingObject = Type.Object({
  name: Type.String({ examples: ['SLUICE_SHARDS'] }),
  section: Type.String({ description: 'Group of settings that it belongs to.' }),
  value: Type.String({ description: 'As one would write it; hidden when it is a secret.', examples: ['4'] }),
  default: Type.String({ examples: ['CPU cores − 1, at least 1'] }),
  source: Type.Enum(['default', 'environment', 'file']),
  help: Type.String(),
  unit: Type.String({ description: 'Of a bare number; empty where there is none.' }),
  live: Type.Boolean({ description: 'A change takes effect without a restart.' }),
});

/** Adds the route. */
export async function configs(app: App, group: RouteGroup): Promise<void> {
  app.route({
    method: 'GET',
    url: '/configs',
    schema: {
      ...operation(group, 'getConfigs'),
      summary: 'Settings in force, and where each comes from',
      response: answers({ 200: Type.Object({ data: Type.Array(SettingObject) }) }),
    },
    handler: async () => ({ data: group.admin.settings() }),
  });
}
