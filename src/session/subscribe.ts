/**
 * SUBSCRIBE and UNSUBSCRIBE: one reason code per topic filter, in order [MQTT-3.8.4-6]. Main thread.
 *
 * Always true: a filter that fails leaves the others alone; the granted QoS is the requested one, for queue
 * subscriptions too (REF 15, decision 4). Queue subscriptions attach after SUBACK has been written, so the
 * client knows its subscription before the first delivery.
 */
import type { ISubscribePacket, ISubscription, IUnsubscribePacket } from 'mqtt-packet';

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
import { slot } from '../telemetry/counter-layout.js';
import type { ClientIdentity, GatewayContext } from './context.js';
import { QueueSubscriptionState } from './queue-subscription-state.js';
import type { Session } from './session.js';
import { shareQueueOf } from './share-queue.js';

const unsubackNoSubscription = 0x11;
/** MQTT 3.1.1 has one word for every failure. */
const failureBefore5 = 0x80;

/** What became of a SUBSCRIBE. */
export interface SubscribeOutcome {
  /** Reason codes of SUBACK. */
  readonly granted: number[];
  /** New queue subscriptions, to be connected once SUBACK is written. */
  readonly started: QueueSubscriptionState[];
  /** Ordinary subscriptions, whose retained messages follow SUBACK. */
  readonly retained: RetainedWish[];
}

/** An ordinary subscription that was granted, and what it says about retained messages. */
export interface RetainedWish {
  readonly filter: string;
  readonly options: SubscriptionOptions;
  readonly isNew: boolean;
  /** Retain Handling: 0 = send, 1 = send when new, 2 = do not send. */
  readonly handling: number;
}

/** Carries a SUBSCRIBE out. */
export function subscribe(
  packet: ISubscribePacket,
  version: ProtocolVersion,
  identity: ClientIdentity,
  session: Session,
  context: GatewayContext,
): SubscribeOutcome {
  const granted: number[] = [];
  const started: QueueSubscriptionState[] = [];
  const retained: RetainedWish[] = [];
  checkShares(packet);
  const subscriptionIdentifier = packet.properties?.subscriptionIdentifier ?? 0;
  for (const wish of packet.subscriptions) {
    const options: SubscriptionOptions = {
      qos: wish.qos,
      noLocal: version === 5 && wish.nl === true,
      retainAsPublished: version === 5 && wish.rap === true,
      subscriptionIdentifier,
    };
    const code = subscribeOne(wish, options, identity, session, context, started, retained);
    granted.push(code < 0x80 || version === 5 ? code : failureBefore5);
  }
  return { granted, started, retained };
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

/** Carries an UNSUBSCRIBE out; returns the reason codes of UNSUBACK. Filters are compared character by character [MQTT-3.10.4-1]. */
export function unsubscribe(packet: IUnsubscribePacket, session: Session): number[] {
  return packet.unsubscriptions.map((topicFilter) =>
    session.unsubscribe(topicFilter) ? reasonCode.success : unsubackNoSubscription,
  );
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
  const { config, access } = context;
  const topicFilter = wish.topic;
  if (topicFilterFault(topicFilter) !== undefined) return reasonCode.topicFilterInvalid;
  if (levelsOf(topicFilter) > config.topicLevelsMax) return reasonCode.topicFilterInvalid;
  const isQueue = isQueueSubscription(topicFilter);
  if (isQueue && config.mq.requireMqtt5 && identity.protocolVersion !== 5) return reasonCode.notAuthorized;
  if (!isQueue && access !== undefined && !access.maySubscribe(identity, topicFilter, wish.qos))
    return reasonCode.notAuthorized;
  const isFull = session.subscriptionCount >= config.subscriptionsMax;
  return isFull && !session.holdsSubscription(topicFilter) ? reasonCode.quotaExceeded : 0;
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
  session.queueSubscriptions.set(text, state);
  context.counters.add(slot.queueSubscriptions, 1);
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

function levelsOf(topicFilter: string): number {
  let levels = 1;
  for (let i = 0; i < topicFilter.length; i++) if (topicFilter.charCodeAt(i) === 0x2f) levels++;
  return levels;
}
