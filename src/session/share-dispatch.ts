/**
 * Share groups at work: who can take a message, and what becomes of the messages of a member that goes. Main thread.
 *
 *   session ends ────────────▶ what it was sent with QoS 1 and not answered ─╮
 *   session ends, UNSUBSCRIBE ▶ what still waits for it, any QoS ────────────┴▶ another member, in order
 *
 * Always true: a QoS 2 message that was sent stays with its client and ends with its session [MQTT-4.8.2-5]; one that a
 * client refused by PUBACK or PUBREC goes to nobody else [MQTT-4.8.2-6]; a member that is away but keeps its session
 * keeps its messages [MQTT-4.8.2-4]; UNSUBSCRIBE leaves alone what was sent, so nobody gets it twice [MQTT-3.10.4-3].
 * Gives up: a durable session that ends takes along what waits in its queue in the log.
 */
import type { Router } from '../router/router.js';
import type { QueueTarget, RouteSubscriber } from '../router/route.js';
import type { ShareGroup } from '../router/share-group.js';
import { MessageFlag, NO_TOKEN, type Publisher, type PublisherHandle, type Shards } from '../shard/link.js';
import { slot, slotOf } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';
import type { Clock } from './context.js';
import { LiveMessage, remainingExpiry } from './message.js';
import type { Identifiers, Waiting } from './publish-writer.js';
import type { Session } from './session.js';

const droppedExpired = slotOf('messagesDropped', 'expired');
const droppedSessionEnded = slotOf('messagesDropped', 'session-ended');
/** Asked of a ring beyond the message: headers of frame and record, padding, a queue id. */
const frameBytesMax = 196;

/** The part of the gateway that is used here. */
export interface ShareContext<M extends ShareMember = Session> {
  readonly router: Router<M>;
  readonly shards: Shards;
  readonly counters: Counters;
  readonly clock: Clock;
}

/** What a member of share groups is; `Session` is one. */
export interface ShareMember {
  readonly state: 'connected' | 'away' | 'ended';
  readonly outbound: ShareHolder;
  /** Its queue in the log, for sessions that have one. */
  readonly durable: { readonly target: QueueTarget | undefined; readonly queueIds: Uint32Array } | undefined;
  deliver(message: LiveMessage, qos: number, retain: boolean, identifiers: Identifiers, group: object): void;
}

/** What a member keeps of its groups; `Outbound` is one. */
export interface ShareHolder {
  /** Messages sent and not answered. */
  readonly sentCount: number;
  /** Most that may be. */
  readonly window: number;
  /** Messages that wait to be sent. */
  readonly pendingCount: number;
  /**
   * Takes out what the client has not answered of `group`, oldest first: QoS 1 messages that were sent, and all that
   * wait; `waitingOnly` leaves alone those that were sent.
   */
  takeUnanswered(group: object, waitingOnly: boolean): Waiting[];
}

/** True for a member that is connected; the others are chosen only when there is none. */
export function isUsable({ state }: ShareMember): boolean {
  return state === 'connected';
}

/** How many messages a member has to answer; Infinity when one more would have to wait. */
export function loadOf({ outbound }: ShareMember): number {
  const { sentCount } = outbound;
  return outbound.pendingCount > 0 || sentCount >= outbound.window ? Number.POSITIVE_INFINITY : sentCount;
}

/** See the file header. One per gateway. */
export class ShareDispatch<M extends ShareMember = Session> {
  readonly #context: ShareContext<M>;

  constructor(context: ShareContext<M>) {
    this.#context = context;
  }

  /**
   * Takes a session out of a group and gives what it leaves behind to other members. With the last member the group
   * ends, and what it left is dropped and counted. False when the session was no member.
   */
  leave(session: M, shareName: string, topicFilter: string): boolean {
    const { router, counters } = this.#context;
    const group = router.shareGroup(shareName, topicFilter);
    if (group === undefined || !router.unsubscribeShared(shareName, topicFilter, session)) return false;
    const left = session.outbound.takeUnanswered(group, session.state !== 'ended');
    if (left.length === 0) return true;
    if (group.size === 0) {
      counters.add(droppedSessionEnded, left.length);
      return true;
    }
    const round = new Redispatch(this.#context, group);
    for (const waiting of left) round.give(waiting);
    round.close();
    return true;
  }
}

/** One round of giving messages to other members. */
class Redispatch<M extends ShareMember> implements Publisher {
  /** Nobody's: who published it is not known any more. */
  readonly context = { clientId: '', username: undefined, peername: '', protocolVersion: 5 } as const;
  readonly #context: ShareContext<M>;
  readonly #group: ShareGroup<M>;
  readonly #live = new LiveMessage();
  readonly #nowMs: number;
  #handle: PublisherHandle | undefined;

  constructor(context: ShareContext<M>, group: ShareGroup<M>) {
    this.#context = context;
    this.#group = group;
    this.#nowMs = context.clock.nowMs();
  }

  give({ message, flags }: Waiting): void {
    const { counters, router } = this.#context;
    const left = remainingExpiry(message.expiresAtMs, this.#nowMs);
    if (left === 0) {
      counters.add(droppedExpired, 1);
      return;
    }
    const route = router.lookupBytes(message.bytes, 0, message.topicEnd);
    const member = this.#group.pick(undefined, isUsable, loadOf, route.hash);
    if (member === undefined) {
      counters.add(droppedSessionEnded, 1);
      return;
    }
    counters.add(slot.sharedRedispatched, 1);
    const { bytes, topicEnd, propertiesEnd } = message;
    this.#live.set(
      bytes,
      0,
      topicEnd,
      bytes,
      topicEnd,
      propertiesEnd,
      propertiesEnd,
      bytes.length,
      ((flags >> 1) & 3) | ((flags & 1) === 0 ? 0 : MessageFlag.retain),
      left === -1 ? 0 : left,
    );
    this.#live.stored = message;
    this.#deliver(member, flags);
  }

  close(): void {
    this.#handle?.close();
  }

  onSettled(): void {
    // Nothing is asked for: its publisher was answered long ago.
  }

  #deliver({ subscriber, grant }: RouteSubscriber<M>, flags: number): void {
    const qos = Math.min(grant.qos, (flags >> 1) & 3); // [MQTT-4.8.2-3]
    if (qos > 0 && this.#store(subscriber)) return;
    subscriber.deliver(
      this.#live,
      qos,
      grant.retainAsPublished && (flags & 1) !== 0,
      grant.subscriptionIdentifiers,
      this.#group,
    );
  }

  /** Puts it into the queue of a durable session; false when there is none, or no room on the way to it. */
  #store({ durable }: M): boolean {
    const target = durable?.target;
    if (durable === undefined || target === undefined) return false;
    const { shards } = this.#context;
    const bytes = this.#live.payloadEnd + frameBytesMax;
    if (!shards.hasRoom(target.shardId, bytes)) return false;
    this.#handle ??= shards.openPublisher(this);
    shards.publish(target.shardId, this.#handle, NO_TOKEN, durable.queueIds, this.#live);
    return true;
  }
}
