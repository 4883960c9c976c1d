/**
 * What every session of one gateway shares: settings, collaborators, hooks. Main thread.
 *
 * Always true: there is one context per gateway and no module-level state, so a process may hold several
 * gateways. Collaborators are the real ones of lower layers; hooks are what higher layers pass in.
 */
import type { AccessControl } from '../auth/access.js';
import type { Authenticator, Identity } from '../auth/authenticator.js';
import type { Config } from '../config/config.js';
import type { QueueCatalogue } from '../router/queue-catalogue.js';
import type { Router } from '../router/router.js';
import type { PublisherContext, Shards } from '../shard/link.js';
import type { Counters } from '../telemetry/counter.js';
import type { Logger } from '../telemetry/logger.js';
import type { LocalPublisher } from './local-publisher.js';
import type { MemoryLimits } from './memory-limit.js';
import type { LiveMessage } from './message.js';
import type { MessageTracer } from './message-tracer.js';
import type { QueueWaiters } from './queue-waiters.js';
import type { SessionRegistry } from './registry.js';
import type { RetainedStore } from './retained-store.js';
import type { RowWriter } from './row-writer.js';
import type { RightsReview } from './rights-review.js';
import type { Session } from './session.js';
import type { SessionStore } from './session-store.js';
import type { ShareDispatch } from './share-dispatch.js';
import type { WillService } from './will-service.js';

/** Time as an argument. Milliseconds of a clock that never goes back; origin arbitrary. */
export interface Clock {
  nowMs(): number;
}

/** Who a connected client is: for permissions, key expressions, and the record of what it publishes. */
export interface ClientIdentity extends PublisherContext {
  /** What authentication has found. */
  readonly identity: Identity;
}

/** What is told about a client that came or went. */
export interface ClientFacts {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly peername: string;
  readonly protocolVersion: number;
  readonly keepAliveS: number;
  readonly cleanStart: boolean;
  readonly expiryIntervalS: number;
  /** Unix ms. */
  readonly connectedAtMs: number;
  /** Name of the listener it came through. */
  readonly listener: string;
}

/** Hears of clients. */
export interface ClientListener {
  connected(facts: ClientFacts): void;
  /** `reason`: of our DISCONNECT or the client's; 0 = normal. */
  disconnected(facts: ClientFacts, reason: number): void;
}

/** What higher layers decide. Every hook may be left out; an undefined one costs nothing. */
export interface GatewayHooks {
  /** Left out: everybody is let in. */
  readonly authenticator?: Authenticator | undefined;
  /** Left out: everything is allowed. */
  readonly access?: AccessControl | undefined;
  readonly clients?: ClientListener | undefined;
  /** Left out: no message is traced. */
  readonly tracer?: MessageTracer | undefined;
  /** A subscription named a queue and its filter and the queue does not exist. Creation shows in the catalogue. */
  readonly autoCreate?: ((name: string, topicFilter: string) => void) | undefined;
  /** The same for a share group that is kept as a queue, whatever the queue configuration says. */
  readonly createShareQueue?: ((name: string, topicFilter: string) => void) | undefined;
}

/**
 * How many publishes to queues may still be taken for now: what is left waits, so that a flood of publishes does not
 * keep deliveries and acknowledgements waiting.
 */
export interface Pace {
  publishesLeft: number;
}

/** See the file header. */
export interface GatewayContext {
  readonly pace: Pace;
  /** Bounds over all clients. */
  readonly memory: MemoryLimits;
  readonly config: Config;
  readonly shards: Shards;
  readonly catalogue: QueueCatalogue;
  readonly router: Router<Session>;
  readonly counters: Counters;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly hooks: GatewayHooks;
  /** `hooks.tracer`, for the hot path. */
  readonly tracer?: MessageTracer | undefined;
  /** `hooks.access`, for the hot path. */
  readonly access: AccessControl | undefined;
  /** Rows of durable state, of all that have some. */
  readonly rows: RowWriter;
  readonly retained: RetainedStore;
  readonly sessions: SessionStore;
  readonly wills: WillService;
  readonly shares: ShareDispatch;
  /** Messages of the server's own. */
  readonly publisher: LocalPublisher;
  readonly registry: SessionRegistry;
  readonly waiters: QueueWaiters;
  readonly rights: RightsReview;
  /** The one message that is being published in this moment. */
  readonly live: LiveMessage;
}
