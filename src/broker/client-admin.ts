/**
 * Clients and their sessions for operators: find, look at, disconnect, subscribe for them. Main thread.
 *
 * Always true: a client is shown while it has a session, connected or not; what is not known of it, as the address of one
 * that is away, is left out. A subscription made here is bound by the rights and limits of its client, and kept like one
 * of its own. Cost: finding by client id is one look; any other search walks over all sessions, see page-walk.ts.
 */
import { ProtocolError } from '../base/error.js';
import { reasonCode, reasonName } from '../mqtt/reason-code.js';
import { topicFilterFault } from '../mqtt/topic.js';
import type { QueueDefinition } from '../queue/definition.js';
import type { ClientFacts, ClientIdentity, GatewayContext } from '../session/context.js';
import type { Session } from '../session/session.js';
import { Subscribing } from '../session/subscribe.js';
import type { Shards } from '../shard/link.js';
import { figureFields } from '../shard/queue-figures.js';
import { badRequest, invalidField, OperatorError } from './operator-error.js';
import type { Page, PageRequest, PageWalks } from './page-walk.js';
import { subscriptionViews, type SubscriptionView } from './subscription-admin.js';

/** Whether its client is there. */
export type ConnectionState = 'connected' | 'disconnected';

/** What a search asks for; everything that is there must fit. */
export interface ClientFilter {
  readonly clientIds?: readonly string[] | undefined;
  readonly usernames?: readonly string[] | undefined;
  /** A part of the client id. */
  readonly likeClientId?: string | undefined;
  readonly likeUsername?: string | undefined;
  readonly ipAddress?: string | undefined;
  readonly state?: ConnectionState | undefined;
  readonly protocolVersion?: number | undefined;
  readonly cleanStart?: boolean | undefined;
}

/** A client at one moment. */
export interface ClientView {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly state: ConnectionState;
  /** Undefined while it is away. */
  readonly facts: ClientFacts | undefined;
  /** 0 = unknown. */
  readonly createdAtMs: number;
  /** 0 while it is connected. */
  readonly awaySinceMs: number;
  /** Infinity = never. */
  readonly expiryIntervalS: number;
  readonly isDurable: boolean;
  readonly subscriptions: number;
  /** Sent and not answered. */
  readonly inFlight: number;
  readonly inFlightMax: number;
  /** Messages that wait for it, in memory and in its queue. */
  readonly waiting: number;
  readonly bytesReceived: number | undefined;
  readonly bytesSent: number | undefined;
}

/** A subscription as an operator asks for it. */
export interface SubscribeWish {
  readonly topicFilter: string;
  readonly qos: number;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: number;
}

const readyFigure = figureFields.indexOf('ready');

/** See the file header. */
export class ClientAdmin {
  readonly #gateway: GatewayContext;
  readonly #shards: Pick<Shards, 'queueFigures'>;
  readonly #walks: PageWalks;

  constructor(gateway: GatewayContext, shards: Pick<Shards, 'queueFigures'>, walks: PageWalks) {
    this.#gateway = gateway;
    this.#shards = shards;
    this.#walks = walks;
  }

  /** A page of those that fit, in the order in which their sessions began. */
  async page(filter: ClientFilter, request: PageRequest): Promise<Page<ClientView>> {
    const { registry } = this.#gateway;
    const { clientIds } = filter;
    const isFree = Object.values(filter).every((value) => value === undefined);
    const page = await this.#walks.page(request, {
      entries: clientIds === undefined ? registry.all() : clientIds.map((id) => registry.get(id)),
      wants: (session: Session) => fits(session, filter),
      view: readSession,
      total: isFree ? registry.size : undefined,
    });
    return { ...page, data: await this.#withStored(page.data) };
  }

  /** Throws CLIENTID_NOT_FOUND. */
  async get(clientId: string): Promise<ClientView> {
    const [view] = await this.#withStored([readSession(this.#session(clientId))]);
    return view!;
  }

  /**
   * Ends the connection. The session stays as long as its expiry interval says, unless `endsSession`; without a connection
   * it ends in any case. Throws CLIENTID_NOT_FOUND.
   */
  disconnect(clientId: string, endsSession: boolean): void {
    const session = this.#session(clientId);
    const { client } = session;
    client?.close(reasonCode.administrativeAction);
    if (endsSession || client === undefined) session.end();
  }

  /** In order: ordinary, shared, to queues. Throws CLIENTID_NOT_FOUND. */
  subscriptions(clientId: string): SubscriptionView[] {
    return [...subscriptionViews(this.#session(clientId))];
  }

  /** Throws CLIENTID_NOT_FOUND also for a client that is away, BAD_REQUEST when the client may not or cannot have it. */
  async subscribe(clientId: string, wish: SubscribeWish): Promise<SubscriptionView> {
    const session = this.#session(clientId);
    const identity = session.client?.identity;
    if (identity === undefined) throw new OperatorError('CLIENTID_NOT_FOUND', 'Client is not connected');
    const context = this.#gateway;
    const subscribing = subscribingFor(wish, identity, session, context);
    subscribing.subscribe(0);
    const granted = subscribing.granted[0]!;
    if (granted >= 0x80) throw badRequest(`Refused: ${reasonName(granted)}`);
    if (!(await isSafe(session))) {
      subscribing.undo();
      throw new OperatorError('SERVICE_UNAVAILABLE', 'The subscription could not be stored');
    }
    if (session.state === 'connected') {
      for (const queueSubscription of subscribing.started) queueSubscription.connected();
      for (const { filter, options, isNew, handling } of subscribing.retained) {
        context.retained.subscribed(session, filter, options, isNew, handling);
      }
    }
    const made = [...subscriptionViews(session)].find(({ topicFilter }) => topicFilter === wish.topicFilter);
    if (made === undefined) throw new OperatorError('CLIENTID_NOT_FOUND', 'Client ID not found');
    return made;
  }

  /** Harmless when there is no such subscription. Throws CLIENTID_NOT_FOUND. */
  async unsubscribe(clientId: string, topicFilter: string): Promise<void> {
    const session = this.#session(clientId);
    session.unsubscribe(topicFilter);
    if (!(await isSafe(session))) {
      throw new OperatorError('SERVICE_UNAVAILABLE', 'The end of the subscription could not be stored');
    }
  }

  #session(clientId: string): Session {
    const session = this.#gateway.registry.get(clientId);
    if (session === undefined) throw new OperatorError('CLIENTID_NOT_FOUND', 'Client ID not found');
    return session;
  }

  /** Adds what waits in queues of sessions. */
  async #withStored(readings: readonly SessionReading[]): Promise<ClientView[]> {
    const queues = readings.flatMap(({ queue }) => (queue === undefined ? [] : [queue]));
    const figures = queues.length === 0 ? undefined : await this.#shards.queueFigures(queues);
    return readings.map(({ queue, ...view }) => {
      const stored = queue === undefined ? undefined : figures?.get(queue.id)?.[readyFigure];
      return stored === undefined ? view : { ...view, waiting: view.waiting + stored };
    });
  }
}

function subscribingFor(
  { topicFilter, qos, noLocal, retainAsPublished, retainHandling }: SubscribeWish,
  identity: ClientIdentity,
  session: Session,
  context: GatewayContext,
): Subscribing {
  const fault = topicFilterFault(topicFilter);
  if (fault !== undefined) throw invalidField('topic', fault.message, topicFilter);
  const subscription = {
    topic: topicFilter,
    qos: qos as 0 | 1 | 2,
    nl: noLocal,
    rap: retainAsPublished,
    rh: retainHandling,
  };
  try {
    return new Subscribing(
      { cmd: 'subscribe', subscriptions: [subscription] },
      5,
      identity,
      session,
      context,
    );
  } catch (error) {
    // What would end the connection of a client.
    if (error instanceof ProtocolError) throw invalidField('topic', error.message, topicFilter);
    throw error;
  }
}

interface SessionReading extends ClientView {
  readonly queue: QueueDefinition | undefined;
}

function readSession(session: Session): SessionReading {
  const { client, outbound, durable } = session;
  const isConnected = session.state === 'connected';
  return {
    clientId: session.clientId,
    username: client?.facts?.username ?? session.owner,
    state: isConnected ? 'connected' : 'disconnected',
    facts: client?.facts,
    createdAtMs: session.createdAtMs,
    awaySinceMs: isConnected ? 0 : session.awaySinceMs,
    expiryIntervalS: session.expiryIntervalS,
    isDurable: durable !== undefined,
    subscriptions: session.subscriptionCount,
    inFlight: isConnected ? outbound.sentCount : outbound.unansweredOfQueue,
    inFlightMax: outbound.window,
    waiting: outbound.pendingCount,
    bytesReceived: client?.traffic.bytesReceived,
    bytesSent: client?.traffic.bytesSent,
    queue: durable?.definition,
  };
}

function fits(session: Session, filter: ClientFilter): boolean {
  const { likeClientId, usernames, likeUsername, ipAddress, state, protocolVersion, cleanStart } = filter;
  if (likeClientId !== undefined && !session.clientId.includes(likeClientId)) return false;
  if (state !== undefined && (session.state === 'connected') !== (state === 'connected')) return false;
  const facts = session.client?.facts;
  const username = facts?.username ?? session.owner ?? '';
  if (usernames !== undefined && !usernames.includes(username)) return false;
  if (likeUsername !== undefined && !username.includes(likeUsername)) return false;
  if (protocolVersion !== undefined && facts?.protocolVersion !== protocolVersion) return false;
  if (cleanStart !== undefined && facts?.cleanStart !== cleanStart) return false;
  return ipAddress === undefined || (facts !== undefined && addressOf(facts.peername).host === ipAddress);
}

/** `ip:port` or `[ip]:port` taken apart; the port is undefined where there is none. */
export function addressOf(peername: string): { host: string; port: number | undefined } {
  const match = /^\[?([^\]]*?)\]?:(\d+)$/.exec(peername);
  return match === null ? { host: peername, port: undefined } : { host: match[1]!, port: Number(match[2]) };
}

/** True when a restart would know of what was changed. */
function isSafe({ durable }: Session): Promise<boolean> {
  return durable === undefined
    ? Promise.resolve(true)
    : new Promise((resolve) => durable.save((stored) => resolve(stored)));
}
