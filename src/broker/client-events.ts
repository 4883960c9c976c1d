/**
 * Client events as messages: `$SYS/brokers/sluice/clients/<client id>/connected` and `…/disconnected`. Main thread.
 *
 * Always true: an event that nobody subscribed to costs one routing and builds nothing; at most so many per second are
 * published, the rest is dropped and counted; they are live messages with QoS 0, never retained and never queued.
 * A client id is one topic level: `%`, `/`, `+` and `#` in it are written as in a URL, the payload has it as it is.
 * Source: the client events of EMQX, with the fields of its JSON payload.
 */
import { topicBytesMax, topicNameFault } from '../mqtt/topic.js';
import { reasonCode, reasonName } from '../mqtt/reason-code.js';
import type { ClientFacts, ClientListener, Clock } from '../session/context.js';
import type { LocalPublisher } from '../session/local-publisher.js';
import { slot } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';
import { sysMessage } from './sys-message.js';

/** What the events are made from. */
export interface SysClientEventsDeps {
  readonly publisher: LocalPublisher;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly unixMs: () => number;
  readonly perSecondMax: number;
}

/** What all client events begin with. */
export const clientEventPrefix = '$SYS/brokers/sluice/clients/';
/** EMQX's words where it has its own. */
const reasons: Readonly<Record<number, string>> = {
  0: 'normal',
  4: 'disconnect_with_will_message',
  [reasonCode.keepAliveTimeout]: 'keepalive_timeout',
  [reasonCode.sessionTakenOver]: 'takenover',
  [reasonCode.administrativeAction]: 'kicked',
  [reasonCode.unspecifiedError]: 'tcp_closed',
};
const protocolNames: Readonly<Record<number, string>> = { 3: 'MQIsdp' };

/** See the file header. */
export class SysClientEvents implements ClientListener {
  readonly #deps: SysClientEventsDeps;
  /** Second of the gateway clock that `#published` counts. */
  #second = Number.NEGATIVE_INFINITY;
  #published = 0;

  constructor(deps: SysClientEventsDeps) {
    this.#deps = deps;
  }

  connected(facts: ClientFacts): void {
    const topic = this.#topicFor(facts.clientId, 'connected');
    if (topic === undefined) return;
    const nowMs = this.#deps.unixMs();
    this.#publish(topic, {
      ...commonFields(facts),
      keepalive: facts.keepAliveS,
      clean_start: facts.cleanStart,
      expiry_interval: Math.min(facts.expiryIntervalS, 0xffff_ffff),
      connack: 0,
      connected_at: nowMs,
      ts: nowMs,
    });
  }

  disconnected(facts: ClientFacts, reason: number): void {
    const topic = this.#topicFor(facts.clientId, 'disconnected');
    if (topic === undefined) return;
    const nowMs = this.#deps.unixMs();
    this.#publish(topic, {
      ...commonFields(facts),
      reason: reasons[reason] ?? wordsOf(reasonName(reason)),
      disconnected_at: nowMs,
      ts: nowMs,
    });
  }

  /** The topic of an event that somebody listens to and that is within the rate. */
  #topicFor(clientId: string, event: string): string | undefined {
    const topic = `${clientEventPrefix}${clientTopicLevel(clientId)}/${event}`;
    const { publisher, counters } = this.#deps;
    const fits = topic.length <= topicBytesMax && topicNameFault(topic) === undefined;
    if (fits && !publisher.hasListeners(topic)) return undefined;
    if (fits && this.#isWithinRate()) return topic;
    counters.add(slot.sysEventsDropped, 1);
    return undefined;
  }

  #isWithinRate(): boolean {
    const second = Math.floor(this.#deps.clock.nowMs() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#published = 0;
    }
    return ++this.#published <= this.#deps.perSecondMax;
  }

  #publish(topic: string, payload: Readonly<Record<string, unknown>>): void {
    this.#deps.publisher.publish(sysMessage(topic, JSON.stringify(payload), false));
  }
}

/** A client id as one level of a topic name. */
export function clientTopicLevel(clientId: string): string {
  return clientId.replaceAll(/[%/+#]/g, encodeURIComponent);
}

function wordsOf(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '_');
}

function commonFields({ clientId, username, peername, protocolVersion }: ClientFacts): object {
  return {
    clientid: clientId,
    username: username ?? null,
    ipaddress: peername.replace(/:\d+$/, '').replaceAll(/[[\]]/g, ''),
    proto_name: protocolNames[protocolVersion] ?? 'MQTT',
    proto_ver: protocolVersion,
  };
}
