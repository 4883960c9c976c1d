/**
 * What every session of one gateway shares: settings, collaborators, hooks. Main thread.
 *
 * Always true: there is one context per gateway and no module-level state, so a process may hold several
 * gateways. Collaborators are the real ones of lower layers; hooks are what higher layers pass in.
 */
import type { IConnectPacket } from 'mqtt-packet';

import type { Config } from '../config/config.js';
import type { QueueCatalogue } from '../router/queue-catalogue.js';
import type { Router } from '../router/router.js';
import type { Shards } from '../shard/link.js';
import type { Counters } from '../telemetry/counter.js';
import type { Logger } from '../telemetry/logger.js';
import type { LiveMessage } from './message.js';
import type { QueueWaiters } from './queue-waiters.js';
import type { SessionRegistry } from './registry.js';
import type { Session } from './session.js';

/** Time as an argument. Milliseconds of a clock that never goes back; origin arbitrary. */
export interface Clock {
  nowMs(): number;
}

/** A connection that asks to be let in. */
export interface ConnectRequest {
  readonly packet: IConnectPacket;
  readonly peername: string;
}

/** Who a connected client is, for permission checks. */
export interface ClientIdentity {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly peername: string;
}

/**
 * What higher layers decide. Every hook may be left out. An undefined permission hook allows everything and
 * costs nothing per message.
 */
export interface GatewayHooks {
  /** Reason code for CONNACK: 0 lets the client in. The connection takes no packet until a promise settles. */
  authenticate?(request: ConnectRequest): number | Promise<number>;
  /** False: PUBACK 0x87, or the message is dropped at QoS 0. Called per message. */
  mayPublish?(client: ClientIdentity, topicName: string): boolean;
  /** False: SUBACK 0x87. `topicFilter` is the literal string, queue subscriptions included. */
  maySubscribe?(client: ClientIdentity, topicFilter: string): boolean;
  /** A subscription named a queue and its filter and the queue does not exist. Creation shows in the catalogue. */
  autoCreate?(name: string, topicFilter: string): void;
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
  readonly config: Config;
  readonly shards: Shards;
  readonly catalogue: QueueCatalogue;
  readonly router: Router<Session>;
  readonly counters: Counters;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly hooks: GatewayHooks;
  readonly registry: SessionRegistry;
  readonly waiters: QueueWaiters;
  /** The one message that is being published in this moment. */
  readonly live: LiveMessage;
}
