/**
 * Everything about one queue: read, replace, change, delete, look inside, empty, pause. Main thread.
 *
 * Always true: `:name` is the queue's name, its percent-encoded `/filter`, or the bare percent-encoded filter of a
 * queue that was created without a name [REF-15, decision 1]. Looking at messages takes none away.
 * Source: REF 7.1 to 7.3; PATCH and everything below the item are Sluice's own.
 */
import Type from 'typebox';

import { QueueObject, queueObject, QueueUpdateBody } from '../broker/queue-schema.js';
import { answers, type App, NoContent, operation, type RouteGroup } from './app.js';
import { cursorCharsMax, decodeCursor, encodeCursor } from './cursor.js';
import { MessageObject, messageObject, PayloadEncoding } from './message-view.js';
import { PageMeta } from './queue-collection.js';

const peekDefault = 50;
const peekMax = 1000;

const ItemParams = Type.Object({
  name: Type.String({ description: 'Name of the queue, or its percent-encoded topic filter.' }),
});

const PeekQuery = Type.Object({
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: peekMax, description: `Default ${peekDefault}.` }),
  ),
  cursor: Type.Optional(
    Type.String({ maxLength: cursorCharsMax, description: '`meta.cursor` of the page before.' }),
  ),
  payload: Type.Optional(PayloadEncoding),
});

const MessagePage = Type.Object({ data: Type.Array(MessageObject), meta: PageMeta });

const count = Type.Integer({ minimum: 0 });
const StatsObject = Type.Object({
  name: Type.String(),
  ready: Type.Integer({ minimum: 0, description: 'Messages that wait for a consumer.' }),
  ready_bytes: count,
  in_flight: Type.Integer({ minimum: 0, description: 'Delivered and not yet acknowledged.' }),
  messages: Type.Integer({ minimum: 0, description: 'ready + in_flight.' }),
  bytes: count,
  consumers: count,
  oldest_age_ms: Type.Number({ minimum: 0, description: 'Age of the oldest message; 0 when there is none.' }),
  in_rate: Type.Number({ minimum: 0, description: 'Messages stored per second.' }),
  out_rate: Type.Number({ minimum: 0, description: 'Messages acknowledged per second.' }),
  counters: Type.Object(
    {
      stored: count,
      delivered: count,
      acked: count,
      rejected: count,
      redelivered: count,
      expired: count,
      evicted: count,
      overwritten: count,
      refused: count,
      key_errors: count,
    },
    { description: 'Since the worker of the queue has started.' },
  ),
});

const ConsumerList = Type.Object({
  data: Type.Array(
    Type.Object({
      clientid: Type.String(),
      in_flight: count,
      window: Type.Integer({ minimum: 0, description: 'Most messages in flight to this consumer.' }),
      delivered: count,
      acked: count,
      rejected: count,
    }),
  ),
});

const MoveBody = Type.Object(
  {
    to: Type.String({
      minLength: 1,
      description: 'Name or topic filter of the other queue.',
      examples: ['archive'],
    }),
    count: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Most messages; default: all that wait now.' }),
    ),
  },
  { additionalProperties: false },
);
const MoveResult = Type.Object({ moved: Type.Integer({ minimum: 0, description: 'Messages moved.' }) });

const PurgeResult = Type.Object({ purged: Type.Integer({ minimum: 0, description: 'Messages deleted.' }) });

/** Adds the routes below the path that the group is registered with. */
export async function queueItem(app: App, group: RouteGroup): Promise<void> {
  const { admin } = group;
  const params = ItemParams;

  app.route({
    method: 'GET',
    url: '/:name',
    schema: {
      ...operation(group, 'getQueue'),
      summary: 'Read a queue',
      params,
      response: answers({ 200: QueueObject }, 404, 503),
    },
    handler: async (request) => queueObject(admin.queue(request.params.name)),
  });

  app.route({
    method: 'PUT',
    url: '/:name',
    schema: {
      ...operation(group, 'replaceQueue'),
      summary: 'Replace the settings of a queue',
      description: 'A field that is left out returns to its default, except is_lastvalue and paused.',
      params,
      body: QueueUpdateBody,
      response: answers({ 200: QueueObject }, 404, 413, 415, 503),
    },
    handler: async (request) => queueObject(await admin.replaceQueue(request.params.name, request.body)),
  });

  app.route({
    method: 'PATCH',
    url: '/:name',
    schema: {
      ...operation(group, 'patchQueue'),
      summary: 'Change some settings of a queue',
      description: 'A field that is left out stays as it is, also inside limits.',
      params,
      body: QueueUpdateBody,
      response: answers({ 200: QueueObject }, 404, 413, 415, 503),
    },
    handler: async (request) => queueObject(await admin.patchQueue(request.params.name, request.body)),
  });

  app.route({
    method: 'DELETE',
    url: '/:name',
    schema: {
      ...operation(group, 'deleteQueue'),
      summary: 'Delete a queue with all its messages',
      params,
      response: answers({ 204: NoContent }, 404, 503),
    },
    handler: async (request, reply) => {
      await admin.deleteQueue(request.params.name);
      return await reply.code(204).send(null);
    },
  });

  app.route({
    method: 'GET',
    url: '/:name/stats',
    schema: {
      ...operation(group, 'getQueueStats'),
      summary: 'Depth, rates and counters of a queue',
      params,
      response: answers({ 200: StatsObject }, 404, 503),
    },
    handler: async (request) => {
      const { name } = admin.queue(request.params.name);
      const stats = await admin.queueStats(name);
      return {
        name,
        ready: stats.ready,
        ready_bytes: stats.readyBytes,
        in_flight: stats.inFlight,
        messages: stats.messages,
        bytes: stats.bytes,
        consumers: stats.consumers,
        oldest_age_ms: stats.oldestAgeMs,
        in_rate: stats.inRate,
        out_rate: stats.outRate,
        counters: {
          stored: stats.stored,
          delivered: stats.delivered,
          acked: stats.acked,
          rejected: stats.rejected,
          redelivered: stats.redelivered,
          expired: stats.expired,
          evicted: stats.evicted,
          overwritten: stats.overwritten,
          refused: stats.refused,
          key_errors: stats.keyErrors,
        },
      };
    },
  });

  app.route({
    method: 'GET',
    url: '/:name/consumers',
    schema: {
      ...operation(group, 'listQueueConsumers'),
      summary: 'Connected consumers of a queue',
      params,
      response: answers({ 200: ConsumerList }, 404, 503),
    },
    handler: async (request) => {
      const consumers = await admin.queueConsumers(request.params.name);
      return {
        data: consumers.map(({ clientId, inFlight, window, delivered, acked, rejected }) => ({
          clientid: clientId,
          in_flight: inFlight,
          window,
          delivered,
          acked,
          rejected,
        })),
      };
    },
  });

  app.route({
    method: 'GET',
    url: '/:name/messages',
    schema: {
      ...operation(group, 'peekQueueMessages'),
      summary: 'Look at the messages of a queue, oldest first',
      description: 'A page ends early when its messages are large; go on while hasnext is true.',
      params,
      querystring: PeekQuery,
      response: answers({ 200: MessagePage }, 404, 503),
    },
    handler: async (request) => {
      const { cursor, limit = peekDefault, payload = 'base64' } = request.query;
      const after = cursor === undefined ? -1 : decodeCursor(cursor, isOffset).offset;
      const { messages, next } = await admin.peekMessages(request.params.name, after, limit);
      return {
        data: messages.map((message) => messageObject(message, payload)),
        meta:
          next === undefined ? { hasnext: false } : { hasnext: true, cursor: encodeCursor({ offset: next }) },
      };
    },
  });

  app.route({
    method: 'POST',
    url: '/:name/purge',
    schema: {
      ...operation(group, 'purgeQueue'),
      summary: 'Delete all messages of a queue, also those in flight',
      params,
      response: answers({ 200: PurgeResult }, 404, 503),
    },
    handler: async (request) => ({ purged: await admin.purgeQueue(request.params.name) }),
  });

  app.route({
    method: 'POST',
    url: '/:name/move',
    schema: {
      ...operation(group, 'moveMessages'),
      summary: 'Move waiting messages to another queue, the oldest first',
      description:
        'Each is stored there before it leaves here; meanwhile nothing of this queue is delivered. Messages in flight stay. ' +
        'A moved message begins anew: its age, its delivery attempts and, in a last-value queue, its key.',
      params,
      body: MoveBody,
      response: answers({ 200: MoveResult }, 404, 413, 415, 429, 503),
    },
    handler: async ({ params: { name }, body: { to, count: most } }) => ({
      moved: await admin.moveMessages(name, to, most ?? Number.POSITIVE_INFINITY),
    }),
  });

  for (const [action, paused] of [
    ['pause', true],
    ['resume', false],
  ] as const) {
    app.route({
      method: 'POST',
      url: `/:name/${action}`,
      schema: {
        ...operation(group, `${action}Queue`),
        summary: paused ? 'Stop delivering; messages are still stored' : 'Deliver again',
        params,
        response: answers({ 200: QueueObject }, 404, 503),
      },
      handler: async (request) => queueObject(await admin.patchQueue(request.params.name, { paused })),
    });
  }
}

function isOffset(value: unknown): value is { offset: number } {
  return (
    typeof value === 'object' && value !== null && 'offset' in value && Number.isSafeInteger(value.offset)
  );
}
