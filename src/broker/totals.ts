/**
 * What the broker has and has done so far, under the names of EMQX's `/stats` and `/metrics`. Main thread.
 *
 * Always true: a name is there only when its number is known here; a reading disturbs no writer. Figures of the queues are
 * those that the workers report about once a second. All of it in more detail: docs/metrics.md.
 */
import type { GatewayContext } from '../session/context.js';
import { slot, slotOf } from '../telemetry/counter-layout.js';
import type { CounterReader } from '../telemetry/counter.js';
import { catalogue } from '../telemetry/metric-catalogue.js';

/** Numbers by name. */
export type Totals = Readonly<Record<string, number>>;

const packetTypes = catalogue.packetsReceived.values;

/** Reads them. One per broker. */
export class TotalsReader {
  readonly #counters: CounterReader;
  readonly #gateway: GatewayContext;
  readonly #queueCount: () => number;
  readonly #highest = new Map<string, number>();

  constructor(counters: CounterReader, gateway: GatewayContext, queueCount: () => number) {
    this.#counters = counters;
    this.#gateway = gateway;
    this.#queueCount = queueCount;
  }

  /** What there is now; `….max` is the most that was seen here since the start. */
  stats(): Totals {
    const { registry, router, retained } = this.#gateway;
    const total = (index: number): number => this.#counters.total(index);
    const connections = total(slot.connections);
    const subscriptions = total(slot.subscriptions) + total(slot.queueSubscriptions);
    return {
      ...this.#withMax('connections', connections),
      'live_connections.count': connections,
      ...this.#withMax('sessions', registry.size),
      ...this.#withMax('subscriptions', subscriptions),
      ...this.#withMax('subscriptions.shared', router.sharedSubscriptionCount),
      'subscriptions.queue.count': total(slot.queueSubscriptions),
      ...this.#withMax('retained', retained.count),
      'queues.count': this.#queueCount(),
      'queues.messages.ready.count': total(slot.messagesReady),
      'queues.messages.inflight.count': total(slot.messagesInFlight),
      'queues.consumers.count': total(slot.consumers),
    };
  }

  /** What has happened since the start; only grows. */
  metrics(): Totals {
    const total = (index: number): number => this.#counters.total(index);
    const family = (
      key: 'publishesReceived' | 'publishesSent' | 'messagesDropped' | 'packetsReceived' | 'packetsSent',
    ) => {
      let sum = 0;
      for (let at = 0; at < catalogue[key].values.length; at++) sum += total(slot[key] + at);
      return sum;
    };
    const metrics: Record<string, number> = {
      'bytes.received': total(slot.bytesReceived),
      'bytes.sent': total(slot.bytesSent),
      'packets.received': family('packetsReceived'),
      'packets.sent': family('packetsSent'),
    };
    for (const [at, type] of packetTypes.entries()) {
      if (type === undefined) continue;
      const received = total(slot.packetsReceived + at);
      const sent = total(slot.packetsSent + at);
      if (!serversOnly.has(type)) metrics[`packets.${type}.received`] = received;
      if (!clientsOnly.has(type)) metrics[`packets.${type}.sent`] = sent;
    }
    for (const [at, qos] of catalogue.publishesReceived.values.entries()) {
      metrics[`messages.qos${qos}.received`] = total(slot.publishesReceived + at);
      metrics[`messages.qos${qos}.sent`] = total(slot.publishesSent + at);
    }
    return {
      ...metrics,
      'messages.received': family('publishesReceived'),
      'messages.sent': family('publishesSent'),
      'messages.dropped': family('messagesDropped'),
      'messages.dropped.expired': total(slotOf('messagesDropped', 'expired')),
      'messages.queued': total(slot.messagesQueued),
      'messages.queued.committed': total(slot.messagesCommitted),
      'messages.queued.acked': total(slot.messagesAcked),
      'session.takenover': total(slot.sessionTakeovers),
      'session.expired': total(slot.sessionsExpired),
      'authorization.deny':
        total(slotOf('authorizationDenied', 'publish')) + total(slotOf('authorizationDenied', 'subscribe')),
    };
  }

  #withMax(name: string, count: number): Totals {
    const highest = Math.max(count, this.#highest.get(name) ?? 0);
    this.#highest.set(name, highest);
    return { [`${name}.count`]: count, [`${name}.max`]: highest };
  }
}

const serversOnly: ReadonlySet<string> = new Set(['connack', 'suback', 'unsuback', 'pingresp']);
const clientsOnly: ReadonlySet<string> = new Set(['connect', 'subscribe', 'unsubscribe', 'pingreq']);
