/**
 * SUBSCRIBE and UNSUBSCRIBE: one reason code per topic filter, in order [MQTT-3.8.4-6]. Main thread.
 *
 * Always true: a filter that fails leaves the others alone; the granted QoS is the requested one, for queue
 * subscriptions too (REF 15, decision 4). Queue subscriptions attach after SUBACK has been written, so the
 * client knows its subscription before the first delivery.
 */
import type { ISubscribePacket, ISubscription } from 'mqtt-packet';

import { reasonCode, violation } from '../mqtt/reason-code.js';
import type { ProtocolVersion } from '../mqtt/packet-type.js';
import { isShare, parseShare, topicFilterFault } from '../mqtt/topic.js';
import {
  impliedQueueName,
  isQueueSubscription,
  parseQueueSubscription,
  type QueueSubscription,
} from '../router/queue-subscription.js';
import type { SubscriptionOptions } from '../router/route.js';
import type { ClientIdentity, GatewayContext } from './context.js';
import { QueueSubscriptionState } from './queue-subscription-state.js';
import type { Session } from './session.js';
import { shareQueueOf } from './share-queue.js';
import { limitExceeded, topicLimitFault } from './topic-limit.js';

const unsubackNoSubscription = 0x11;
/** MQTT 3.1.1 has one word for every failure. */
const failureBefore5 = 0x80;

/** An ordinary subscription that was granted, and what it says about retained messages. */
export interface RetainedWish {
  readonly filter: string;
  readonly options: SubscriptionOptions;
  readonly isNew: boolean;
  /** Retain Handling: 0 = send, 1 = send when new, 2 = do not send. */
  readonly handling: number;
}

/** A SUBSCRIBE that is carried out, filter by filter. */
export class Subscribing {
  /** Reason codes of SUBACK, as far as it is carried out. */
  readonly granted: number[] = [];
  /** New queue subscriptions, to be connected once SUBACK is written. */
  readonly started: QueueSubscriptionState[] = [];
  /** Ordinary subscriptions, whose retained messages follow SUBACK. */
  readonly retained: RetainedWish[] = [];
  /** Per filter of a session that is kept: its options before, undefined when it is new. */
  readonly #before: (SubscriptionOptions | undefined)[] = [];
  readonly #packet: ISubscribePacket;
  readonly #version: ProtocolVersion;
  readonly #identity: ClientIdentity;
  readonly #session: Session;
  readonly #context: GatewayContext;

  /** Throws `ProtocolError` when a rule for the whole packet is broken; nothing is subscribed to then. */
  constructor(
    packet: ISubscribePacket,
    version: ProtocolVersion,
    identity: ClientIdentity,
    session: Session,
    context: GatewayContext,
  ) {
    checkShares(packet);
    this.#packet = packet;
    this.#version = version;
    this.#identity = identity;
    this.#session = session;
    this.#context = context;
  }

  /** Carries out the next one, whose index is `at`. */
  subscribe(at: number): void {
    const version = this.#version;
    const wish = this.#packet.subscriptions[at]!;
    const options: SubscriptionOptions = {
      qos: Math.min(wish.qos, this.#context.config.maximumQos), // [MQTT-3.2.2-10]
      noLocal: version === 5 && wish.nl === true,
      retainAsPublished: version === 5 && wish.rap === true,
      subscriptionIdentifier: this.#packet.properties?.subscriptionIdentifier ?? 0,
    };
    const { durable } = this.#session;
    if (durable !== undefined) this.#before.push(this.#session.optionsOf(wish.topic));
    const code = subscribeOne(
      wish,
      options,
      this.#identity,
      this.#session,
      this.#context,
      this.started,
      this.retained,
    );
    if (code < 0x80) durable?.subscribed(wish.topic);
    this.granted.push(code < 0x80 || version === 5 ? code : failureBefore5);
  }

  /** The store does not take it: what is new goes, what was there before is as it was. */
  undo(): void {
    const session = this.#session;
    for (let at = this.granted.length - 1; at >= 0; at--) {
      const { topic } = this.#packet.subscriptions[at]!;
      // Its right may have been withdrawn meanwhile.
      if (this.granted[at]! >= 0x80 || session.optionsOf(topic) === undefined) continue;
      const before = this.#before[at];
      if (before === undefined) session.unsubscribe(topic);
      else session.changeOptions(topic, before);
    }
    // Of a packet with many filters some may be stored.
    session.durable?.save();
  }
}

function subscribeOne(
  wish: ISubscription,
  options: SubscriptionOptions,
  identity: ClientIdentity,
  session: Session,
  context: GatewayContext,
  started: QueueSubscriptionState[],
  retained: RetainedWish[],
): number {
  const text = wish.topic;
  const refusal = refusalOf(wish, identity, session, context);
  if (refusal !== 0) return refusal;
  if (isQueueSubscription(text)) {
    const subscription = parseQueueSubscription(text);
    if (subscription === undefined) return reasonCode.topicFilterInvalid;
    if (
      subscription.kind !== 'by-name' &&
      (isShare(subscription.filter) || isQueueSubscription(subscription.filter))
    )
      return reasonCode.topicFilterInvalid;
    const create = context.hooks.autoCreate;
    return subscribeToQueue(text, subscription, options, identity, session, context, started, create);
  }
  if (isShare(text)) {
    const inner = parseShare(text)?.topicFilter ?? '';
    // A queue has consumers of its own; a group of a group means nothing.
    if (isShare(inner) || isQueueSubscription(inner)) return reasonCode.topicFilterInvalid;
    const queue = shareQueueOf(text, context.config);
    if (queue === undefined) {
      session.subscribeShared(text, options);
      return options.qos;
    }
    const subscription = { kind: 'by-name-and-filter', name: queue.name, filter: queue.filter } as const;
    const create = context.hooks.createShareQueue;
    return subscribeToQueue(text, subscription, options, identity, session, context, started, create);
  }
  const isNew = !session.liveSubscriptions.has(text);
  session.subscribe(text, options);
  retained.push({ filter: text, options, isNew, handling: wish.rh ?? 0 });
  return options.qos;
}

/** Carries out one filter of an UNSUBSCRIBE; returns its reason code. Filters are compared character by character [MQTT-3.10.4-1]. */
export function unsubscribe(topicFilter: string, session: Session): number {
  return session.unsubscribe(topicFilter) ? reasonCode.success : unsubackNoSubscription;
}

/** Rules of share names hold for the whole packet: a broken one ends the connection [MQTT-4.8.2-1] [MQTT-3.8.3-4]. */
function checkShares(packet: ISubscribePacket): void {
  for (const { topic, nl } of packet.subscriptions) {
    if (parseShare(topic) !== undefined && nl === true) {
      throw violation('No Local on a shared subscription', 'MQTT-3.8.3-4');
    }
  }
}

/** Reason code of a refusal that needs no look at the queue, 0 for none. */
function refusalOf(
  wish: ISubscription,
  identity: ClientIdentity,
  session: Session,
  context: GatewayContext,
): number {
  const { config, access, counters } = context;
  const topicFilter = wish.topic;
  if (topicFilterFault(topicFilter) !== undefined) return reasonCode.topicFilterInvalid;
  const fault = topicLimitFault(topicFilter, config);
  if (fault !== undefined) {
    counters.add(limitExceeded[fault], 1);
    return reasonCode.topicFilterInvalid;
  }
  const isQueue = isQueueSubscription(topicFilter);
  if (isQueue && config.mq.requireMqtt5 && identity.protocolVersion !== 5) return reasonCode.notAuthorized;
  if (!isQueue && access !== undefined && !access.maySubscribe(identity, topicFilter, wish.qos))
    return reasonCode.notAuthorized;
  const isFull =
    session.subscriptionCount >= config.subscriptionsMax ||
    session.filterLength + topicFilter.length > config.subscriptionBytesMax;
  if (!isFull || session.optionsOf(topicFilter) !== undefined) return 0;
  counters.add(limitExceeded.subscriptions, 1);
  return reasonCode.quotaExceeded;
}

function subscribeToQueue(
  text: string,
  subscription: QueueSubscription,
  options: SubscriptionOptions,
  identity: ClientIdentity,
  session: Session,
  context: GatewayContext,
  started: QueueSubscriptionState[],
  create: ((name: string, topicFilter: string) => void) | undefined,
): number {
  const { access, catalogue } = context;
  if (
    access !== undefined &&
    !access.maySubscribe(identity, text, options.qos, queueRefOf(subscription, catalogue))
  )
    return reasonCode.notAuthorized;
  const held = session.queueSubscriptions.get(text);
  if (held !== undefined) {
    held.replace(options);
    return options.qos;
  }
  if (catalogue.resolve(subscription) === undefined) {
    if (subscription.kind === 'by-name-and-filter') create?.(subscription.name, subscription.filter);
    if (
      context.config.mq.missingQueue === 'reject' &&
      !isShare(text) &&
      !mayAppear(subscription.kind, context)
    ) {
      return reasonCode.topicFilterInvalid;
    }
  }
  const state = new QueueSubscriptionState(subscription, options, session, context);
  session.addQueueSubscription(text, state);
  started.push(state);
  return options.qos;
}

/** The queue that a subscription leads to, or would create, for the check of permissions. */
function queueRefOf(
  subscription: QueueSubscription,
  catalogue: GatewayContext['catalogue'],
): { name: string; topicFilter: string } | undefined {
  const found = catalogue.resolve(subscription);
  if (found !== undefined) return { name: found.name, topicFilter: found.topicFilter };
  if (subscription.kind === 'by-name') return undefined;
  const name = subscription.kind === 'by-filter' ? impliedQueueName(subscription.filter) : subscription.name;
  return { name, topicFilter: subscription.filter };
}

/** A queue that auto-create is about to make is not missing. */
function mayAppear(kind: string, { config, hooks }: GatewayContext): boolean {
  const creates = config.mq.autoCreateRegular !== false || config.mq.autoCreateLastvalue !== false;
  return kind === 'by-name-and-filter' && creates && hooks.autoCreate !== undefined;
}
