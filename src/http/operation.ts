/**
 * Health of the broker and of its shards. Main thread.
 *
 * Always true: `/status` asks for no key and tells nothing about queues or clients, so that health checks need no
 * secret; it stays 200 while single shards restart, because ending the broker would not help them.
 */
import Type from 'typebox';

import type { ShardState } from '../shard/link.js';
import { answers, type App, operation, type RouteGroup } from './app.js';
import { ErrorBody } from './error.js';

const StatusObject = Type.Object({
  status: Type.Enum(['starting', 'running', 'draining']),
  version: Type.String(),
  uptime_ms: Type.Integer({ minimum: 0 }),
  shards: Type.Integer({ minimum: 0 }),
  shards_up: Type.Integer({ minimum: 0 }),
});

const ShardObject = Type.Object({
  id: Type.Integer({ minimum: 0 }),
  state: Type.Enum(['starting', 'up', 'down']),
  restarts: Type.Integer({ minimum: 0 }),
  queues: Type.Integer({ minimum: 0 }),
  disk_bytes: Type.Integer({ minimum: 0 }),
});

const ShardParams = Type.Object({ id: Type.Integer({ minimum: 0 }) });

/** Adds the routes. */
export async function operations(app: App, group: RouteGroup): Promise<void> {
  const { admin } = group;

  app.route({
    method: 'GET',
    url: '/status',
    config: { isPublic: true },
    schema: {
      ...operation(group, 'getStatus'),
      summary: 'Health; asks for no key',
      description: '200 when the broker serves, 503 while it starts or stops.',
      security: [],
      response: { 200: StatusObject, 403: ErrorBody, 503: Type.Intersect([ErrorBody, StatusObject]) },
    },
    handler: async (_request, reply) => {
      const { state, version, uptimeMs, shards, shardsUp } = admin.status();
      const body = { status: state, version, uptime_ms: uptimeMs, shards, shards_up: shardsUp };
      if (state === 'running') return body;
      const message = state === 'starting' ? 'Not ready' : 'The broker is stopping';
      return await reply.code(503).send({ code: 'SERVICE_UNAVAILABLE', message, ...body });
    },
  });

  app.route({
    method: 'GET',
    url: '/shards',
    schema: {
      ...operation(group, 'listShards'),
      summary: 'Shards, each with its worker thread',
      response: answers({ 200: Type.Object({ data: Type.Array(ShardObject) }) }),
    },
    handler: async () => ({ data: admin.shards().map((state) => shardObject(state)) }),
  });

  app.route({
    method: 'POST',
    url: '/shards/:id/restart',
    schema: {
      ...operation(group, 'restartShard'),
      summary: 'Fault drill: end the worker of a shard as a crash would',
      description:
        'The worker restarts by itself, its log is opened again and consumers are attached again. Publishers ' +
        'whose messages were not yet committed are told so; deliveries that were not yet acknowledged repeat.',
      params: ShardParams,
      response: answers({ 202: Type.Object({ id: Type.Integer() }) }, 404),
    },
    handler: async (request, reply) => {
      admin.restartShard(request.params.id);
      return await reply.code(202).send({ id: request.params.id });
    },
  });
}

function shardObject(state: ShardState) {
  return {
    id: state.shardId,
    state: state.state,
    restarts: state.restarts,
    queues: state.queues,
    disk_bytes: state.diskBytes,
  };
}
