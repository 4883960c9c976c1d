/**
 * Whether the process lives and whether it serves, for probes of containers and load balancers. Main thread.
 *
 * Always true: both ask for no key, cost nothing worth a word, and tell no figures; `live` says no only by not answering, so
 * that a broker that waits for a shard is not ended for it; `ready` says no while one shard is down or a listener is not up,
 * and why. A shard that ended comes back by itself, mostly within a second.
 */
import Type from 'typebox';

import type { Admin } from '../broker/admin.js';
import { answers, type App, operation, type RouteGroup } from './app.js';
import { ErrorBody, sendError } from './error.js';

/** Adds the routes; they lie at the root, outside of the API. */
export async function health(app: App, group: RouteGroup): Promise<void> {
  const { admin } = group;

  app.route({
    method: 'GET',
    url: '/health/live',
    config: { isPublic: true },
    schema: {
      ...operation(group, 'getLiveness'),
      summary: 'Whether the process lives; asks for no key',
      security: [],
      response: answers({ 200: Type.Object({ status: Type.Literal('live') }) }),
    },
    handler: async () => ({ status: 'live' as const }),
  });

  app.route({
    method: 'GET',
    url: '/health/ready',
    config: { isPublic: true },
    schema: {
      ...operation(group, 'getReadiness'),
      summary: 'Whether the broker serves; asks for no key',
      security: [],
      description: '200 when all listeners and all shards are up, 503 with the reason otherwise.',
      response: { ...answers({ 200: Type.Object({ status: Type.Literal('ready') }) }), 503: ErrorBody },
    },
    handler: async (_request, reply) => {
      const reason = unreadiness(admin);
      if (reason !== undefined) return sendError(reply, 'SERVICE_UNAVAILABLE', reason);
      return { status: 'ready' as const };
    },
  });
}

/** Why the broker does not serve, or undefined. It is `running` from the moment on in which all listeners are up. */
function unreadiness(admin: Admin): string | undefined {
  const { state } = admin.status();
  if (state === 'starting') return 'The broker starts: not all listeners are up';
  if (state === 'draining') return 'The broker stops';
  const down = admin.shards().filter((shard) => shard.state !== 'up');
  if (down.length === 0) return undefined;
  return `Not up: shard ${down.map(({ shardId }) => shardId).join(', ')}`;
}
