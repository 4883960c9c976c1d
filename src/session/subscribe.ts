/**
 * SUBSCRIBE and UNSUBSCRIBE: one reason code per topic filter, in order [MQTT-3.8.4-6]. Main thread.
 *
 * Always true: a filter that fails leaves the others alone; the granted QoS is the requested one, for queue
 * subscriptions too (REF 15, decision 4). Queue subscriptions attach after SUBACK has been written, so the
 * client knows its subscription before the first delivery.
 */
import type { ISubscribePacket, ISubscription, IUnsubscribePacket } from 'mqtt-packet';

import { reasonCode } from '../mqtt/reason-code.js';
import type { ProtocolVersion } from '../mqtt/packet-type.js';
import { isShare, topicFilterFault } from '../mqtt/topic.js';
import { isQueueSubscription, parseQueueSubscription } from '../router/queue-subscription.js';
import type { SubscriptionOptions } from '../router/route.js';
import { slot } from '../telemetry/counter-layout.js';
import type { ClientIdentity, GatewayContext } from './context.js';
import { QueueSubscriptionState } from './queue-subscription-state.js';
import type { Session } from './session.js';

const unsubackNoSubscription = 0x11;
/** MQTT 3.1.1 has one word for every failure. */
const failureBefore5 = 0x80;

/** What became of a SUBSCRIBE. */
export interface SubscribeOutcome {
  /** Reason codes of SUBACK. */
  readonly granted: number[];
  /** New queue subscriptions, to be connected once SUBACK is written. */
  readonly started: QueueSubscriptionState[];
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
  const subscriptionIdentifier = packet.properties?.subscriptionIdentifier ?? 0;
  for (const wish of packet.subscriptions) {
    const options: SubscriptionOptions = {
      qos: wish.qos,
      noLocal: version === 5 && wish.nl === true,
      retainAsPublished: version === 5 && wish.rap === true,
      subscriptionIdentifier,
    };
    const refusal = refusalOf(wish, version, identity, session, context);
    if (refusal !== 0) {
      granted.push(version === 5 ? refusal : failureBefore5);
    } else if (isQueueSubscription(wish.topic)) {
      const code = subscribeToQueue(wish.topic, options, session, context, started);
      granted.push(code < 0x80 || version === 5 ? code : failureBefore5);
    } else {
      session.subscribe(wish.topic, options);
      granted.push(wish.qos);
    }
  }
  return { granted, started };
}

/** Carries an UNSUBSCRIBE out; returns the reason codes of UNSUBACK. Filters are compared character by character [MQTT-3.10.4-1]. */
export function unsubscribe(packet: IUnsubscribePacket, session: Session): number[] {
  return packet.unsubscriptions.map((topicFilter) =>
    session.unsubscribe(topicFilter) ? reasonCode.success : unsubackNoSubscription,
  );
}

/** Reason code of a refusal that needs no look at the queue, 0 for none. */
function refusalOf(
  wish: ISubscription,
  version: ProtocolVersion,
  identity: ClientIdentity,
  session: Session,
  context: GatewayContext,
): number {
  const { config, hooks } = context;
  const topicFilter = wish.topic;
  if (topicFilterFault(topicFilter) !== undefined) return reasonCode.topicFilterInvalid;
  if (levelsOf(topicFilter) > config.topicLevelsMax) return reasonCode.topicFilterInvalid;
  if (isShare(topicFilter)) return reasonCode.sharedSubscriptionsNotSupported;
  if (isQueueSubscription(topicFilter) && config.mq.requireMqtt5 && version !== 5)
    return reasonCode.notAuthorized;
  if (hooks.maySubscribe !== undefined && !hooks.maySubscribe(identity, topicFilter))
    return reasonCode.notAuthorized;
  const held = session.liveSubscriptions.size + session.queueSubscriptions.size;
  const isHeld = session.liveSubscriptions.has(topicFilter) || session.queueSubscriptions.has(topicFilter);
  return !isHeld && held >= config.subscriptionsMax ? reasonCode.quotaExceeded : 0;
}

function subscribeToQueue(
  text: string,
  options: SubscriptionOptions,
  session: Session,
  context: GatewayContext,
  started: QueueSubscriptionState[],
): number {
  const held = session.queueSubscriptions.get(text);
  if (held !== undefined) {
    held.replace(options);
    return options.qos;
  }
  const subscription = parseQueueSubscription(text);
  if (subscription === undefined) return reasonCode.topicFilterInvalid;
  if (subscription.kind !== 'by-name') {
    const { filter } = subscription;
    if (isShare(filter) || isQueueSubscription(filter)) return reasonCode.topicFilterInvalid;
  }
  if (context.catalogue.resolve(subscription) === undefined) {
    if (subscription.kind === 'by-name-and-filter') {
      context.hooks.autoCreate?.(subscription.name, subscription.filter);
    }
    if (context.config.mq.missingQueue === 'reject' && !mayAppear(subscription.kind, context)) {
      return reasonCode.topicFilterInvalid;
    }
  }
  const state = new QueueSubscriptionState(subscription, options, session, context);
  session.queueSubscriptions.set(text, state);
  context.counters.add(slot.queueSubscriptions, 1);
  started.push(state);
  return options.qos;
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
