/**
 * `GET` and `PUT` of the queue system's configuration. Main thread.
 *
 * Always true: answered also while queues are switched off, because this is where they are switched on. PUT merges
 * its top-level keys over what is there and answers 204. Source: REF 7.4.
 */
import { MqConfigObject, MqConfigPatch } from '../broker/mq-config-schema.js';
import { answers, type App, NoContent, operation, type RouteGroup } from './app.js';

/** Adds the routes at the path that the group is registered with. */
export async function mqConfig(app: App, group: RouteGroup): Promise<void> {
  app.route({
    method: 'GET',
    url: '',
    schema: {
      ...operation(group, 'getQueueConfig'),
      summary: 'Configuration of the queue system, with values as they were given',
      response: answers({ 200: MqConfigObject }),
    },
    handler: async () => group.admin.mqConfig(),
  });

  app.route({
    method: 'PUT',
    url: '',
    schema: {
      ...operation(group, 'updateQueueConfig'),
      summary: 'Change the configuration of the queue system',
      description:
        'A key that is left out stays as it is. A key that the environment sets cannot be changed.',
      body: MqConfigPatch,
      response: answers({ 204: NoContent }, 413, 415, 503),
    },
    handler: async (request, reply) => {
      await group.admin.updateMqConfig(request.body);
      return await reply.code(204).send(null);
    },
  });
}
