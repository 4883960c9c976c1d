/**
 * Builds what the sessions of one gateway share, and takes up what the last run has left in the log. Main thread.
 *
 * Always true: nothing is read or written before `load`; `load` comes before the first client and after the shards are
 * up; `tick` is called about twice a second; after `close` nothing is written.
 */
import type { QueueDefinition } from '../queue/definition.js';
import type { GatewayContext } from './context.js';
import { LocalPublisher } from './local-publisher.js';
import { memoryLimits } from './memory-limit.js';
import { LiveMessage } from './message.js';
import { QueueWaiters } from './queue-waiters.js';
import { SessionRegistry } from './registry.js';
import { RightsReview } from './rights-review.js';
import { RetainedStore } from './retained-store.js';
import { RowWriter } from './row-writer.js';
import { SessionStore } from './session-store.js';
import { ShareDispatch } from './share-dispatch.js';
import { WillService } from './will-service.js';

/** Rows are at most this part of a ring: a packet as a will with what belongs to it, and less than the 7/16 of a frame. */
const rowShareOfRing = 3 / 8;

/** What comes from outside. */
export type ContextOptions = Pick<
  GatewayContext,
  'config' | 'shards' | 'catalogue' | 'router' | 'counters' | 'logger' | 'clock' | 'hooks' | 'pace'
>;

/** See the file header. */
export function buildContext(options: ContextOptions): GatewayContext {
  const { config, shards, router, counters, logger, clock, hooks } = options;
  const rows = new RowWriter(shards, config.ringBytes * rowShareOfRing);
  const retained = new RetainedStore({ shards, rows, config, counters, clock, logger });
  const registry = new SessionRegistry(counters);
  const publisher = new LocalPublisher({ router, shards, counters, registry, retained });
  const context = {
    ...options,
    access: hooks.access,
    tracer: hooks.tracer,
    memory: memoryLimits(config, counters),
    rows,
    retained,
    publisher,
    registry,
    waiters: new QueueWaiters(options.catalogue),
    rights: new RightsReview({ access: hooks.access, hooks, registry, logger }),
    live: new LiveMessage(),
  } as Omit<GatewayContext, 'sessions' | 'wills' | 'shares'> & {
    -readonly [K in 'sessions' | 'wills' | 'shares']: GatewayContext[K];
  };
  context.sessions = new SessionStore(context);
  context.shares = new ShareDispatch(context);
  context.wills = new WillService({
    publisher,
    shards,
    rows,
    clock,
    config,
    counters,
    logger,
    // The rights of a client that is gone are those it had when it connected.
    mayPublish: ({ clientId, username, peername, topic, qos, retain }, owner) =>
      context.access === undefined ||
      context.access.mayPublish(owner ?? { clientId, username, peername }, topic, qos, retain),
  });
  return context;
}

/** Sessions, wills and retained messages of the last run. `queues`: the queues of sessions that the shards have. */
export async function loadContext(
  context: GatewayContext,
  queues: readonly QueueDefinition[],
): Promise<void> {
  await context.retained.load();
  await context.sessions.load(queues);
  await context.wills.load();
}

/** Everything that waits for its time. */
export function tickContext(context: GatewayContext, nowMs: number): void {
  context.registry.tick(nowMs);
  context.wills.tick(nowMs);
  context.publisher.tick(nowMs);
  context.retained.tick(nowMs);
}

/** No client is there any more. */
export function closeContext(context: GatewayContext): void {
  context.rights.close();
  context.waiters.close();
  context.publisher.close();
  context.sessions.close();
  context.retained.close();
  context.rows.close();
}
