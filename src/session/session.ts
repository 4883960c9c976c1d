/**
 * What outlives a connection: client id, subscriptions, unanswered messages in both directions. Main thread.
 *
 * Always true: a session has at most one client (connection) at a time; it is in the registry from creation to
 * `end`, and in the router with every live subscription; its queue subscriptions are attached only while a
 * client is connected (REF 1.7). QoS 2 ids that were received stay until PUBREL [MQTT-4.3.3-10], whatever
 * connection they came on. Gives up: durability; sessions live in memory.
 */
import type { IConnectPacket } from 'mqtt-packet';

import type { SubscriptionOptions } from '../router/route.js';
import { slot } from '../telemetry/counter-layout.js';
import type { GatewayContext } from './context.js';
import type { Inbound } from './inbound.js';
import type { LiveMessage } from './message.js';
import { Outbound, type ClientLimits } from './outbound.js';
import type { Identifiers } from './publish-writer.js';
import type { QueueSubscriptionState } from './queue-subscription-state.js';
import type { Wire } from './wire.js';

/** A QoS 2 message that the client has sent and not released. */
export interface ReceivedQos2 {
  state: 'settling' | 'received';
  /** Connection whose Receive Maximum it counts against. */
  countedBy: Inbound | undefined;
  /** A later connection that repeated it while it was settling and waits for the PUBREC. */
  repeatedBy: Inbound | undefined;
}

/** The will of a connection, kept for the step that publishes it. */
export type Will = NonNullable<IConnectPacket['will']>;

/** What the registry and the session need of the connection's protocol object. */
export interface SessionClient {
  /** Another connection has taken the client id: DISCONNECT 0x8E, close. */
  takenOver(): void;
}

/** See the file header. */
export class Session {
  readonly clientId: string;
  readonly outbound: Outbound;
  readonly liveSubscriptions = new Map<string, SubscriptionOptions>();
  readonly queueSubscriptions = new Map<string, QueueSubscriptionState>();
  readonly received = new Map<number, ReceivedQos2>();
  /** Seconds after the connection; Infinity = never ends. */
  expiryIntervalS = 0;
  will: Will | undefined;
  readonly #context: GatewayContext;
  #state: 'connected' | 'away' | 'ended' = 'away';
  #client: SessionClient | undefined;

  constructor(clientId: string, context: GatewayContext) {
    this.clientId = clientId;
    this.#context = context;
    this.outbound = new Outbound(context.config, context.counters, context.clock);
  }

  get state(): 'connected' | 'away' | 'ended' {
    return this.#state;
  }

  get client(): SessionClient | undefined {
    return this.#client;
  }

  /** A connection takes over. Call after CONNACK is written: unanswered messages and queue deliveries follow it. */
  connect(client: SessionClient, wire: Wire, limits: ClientLimits): void {
    this.#client = client;
    this.#state = 'connected';
    this.outbound.keepsMessages = this.expiryIntervalS > 0;
    this.outbound.connected(wire, limits);
    for (const subscription of this.queueSubscriptions.values()) subscription.connected();
  }

  /** The connection is gone; queues take back at once what it had not answered. Ends the session when it does not outlive it. */
  disconnect(client: SessionClient): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    for (const subscription of this.queueSubscriptions.values()) subscription.disconnected();
    this.outbound.disconnected();
    if (this.#state === 'ended') return;
    this.#state = 'away';
    if (this.expiryIntervalS === 0) this.end();
    else this.#context.registry.expireLater(this, this.#context.clock.nowMs());
  }

  /** A message for this session's live subscriptions: called by the publisher's connection for every match. */
  deliver(message: LiveMessage, qos: number, retain: boolean, identifiers: Identifiers): void {
    this.outbound.deliverLive(message, qos, retain, identifiers);
  }

  /** Adds or replaces an ordinary subscription. */
  subscribe(topicFilter: string, options: SubscriptionOptions): void {
    if (!this.liveSubscriptions.has(topicFilter)) this.#context.counters.add(slot.subscriptions, 1);
    this.liveSubscriptions.set(topicFilter, options);
    this.#context.router.subscribe(topicFilter, this, options);
  }

  /** False when there is no such subscription. */
  unsubscribe(topicFilter: string): boolean {
    if (this.liveSubscriptions.delete(topicFilter)) {
      this.#context.router.unsubscribe(topicFilter, this);
      this.#context.counters.add(slot.subscriptions, -1);
      return true;
    }
    const queueSubscription = this.queueSubscriptions.get(topicFilter);
    if (queueSubscription === undefined) return false;
    this.queueSubscriptions.delete(topicFilter);
    queueSubscription.close();
    this.#context.counters.add(slot.queueSubscriptions, -1);
    return true;
  }

  /** Forgets everything and leaves the registry. */
  end(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    for (const topicFilter of this.liveSubscriptions.keys()) this.unsubscribe(topicFilter);
    for (const topicFilter of this.queueSubscriptions.keys()) this.unsubscribe(topicFilter);
    this.received.clear();
    this.outbound.end();
    if (this.#context.registry.remove(this)) this.#context.counters.add(slot.sessions, -1);
  }
}
