/**
 * One queue subscription of one session: waits for its queue or is attached to it. Main thread.
 *
 *   idle ──connected──▶ waiting ──queue exists──▶ attached
 *    ▲                     ▲──── queue deleted ──────│
 *    ╰──── disconnected, closed (detach at once) ────╯
 *
 * Always true: `attached` exactly when a client is connected and the queue exists; a delivery is answered with
 * ack or reject, or its attachment is detached. A second SUBSCRIBE to the same string replaces options only
 * (REF 1.2); No Local is known to the shard, so a change of it attaches anew. Source: REF 1.3, 1.4, 1.7.
 */
import { isShare } from '../mqtt/topic.js';
import type { QueueDefinition } from '../queue/definition.js';
import type { QueueChange } from '../router/queue-catalogue.js';
import type { QueueSubscription } from '../router/queue-subscription.js';
import type { SubscriptionOptions } from '../router/route.js';
import { MessageFlag, type Attachment, type Consumer, type Delivery } from '../shard/link.js';
import type { GatewayContext } from './context.js';
import type { Identifiers } from './publish-writer.js';
import type { QueueWaiter } from './queue-waiters.js';
import type { Session } from './session.js';

const noIdentifiers: Identifiers = [];

/** See the file header. */
export class QueueSubscriptionState implements Consumer, QueueWaiter {
  readonly subscription: QueueSubscription;
  readonly #session: Session;
  readonly #context: GatewayContext;
  #options: SubscriptionOptions;
  #identifiers: Identifiers = noIdentifiers;
  #deliveryQos = 1;
  #state: 'idle' | 'waiting' | 'attached' = 'idle';
  #attachment: Attachment | undefined;
  /** What it is attached to. */
  #queue: QueueDefinition | undefined;

  constructor(
    subscription: QueueSubscription,
    options: SubscriptionOptions,
    session: Session,
    context: GatewayContext,
  ) {
    this.subscription = subscription;
    this.#session = session;
    this.#context = context;
    this.#options = options;
    this.#apply(options);
  }

  get options(): SubscriptionOptions {
    return this.#options;
  }

  get state(): 'idle' | 'waiting' | 'attached' {
    return this.#state;
  }

  get clientId(): string {
    return this.#session.clientId;
  }

  get inFlightMax(): number {
    return this.#session.outbound.window;
  }

  get noLocal(): boolean {
    return this.#options.noLocal;
  }

  /** Takes new options over. */
  replace(options: SubscriptionOptions): void {
    const attachesAnew = options.noLocal !== this.#options.noLocal && this.#state === 'attached';
    this.#apply(options);
    if (!attachesAnew) return;
    this.#detach();
    this.#seek();
  }

  /** The session has a connection: look for the queue. */
  connected(): void {
    if (this.#state !== 'idle') return;
    this.#context.waiters.add(this);
    this.#seek();
  }

  /** The session has lost its connection: the queue gets everything back at once. */
  disconnected(): void {
    if (this.#state === 'idle') return;
    this.#context.waiters.remove(this);
    this.#detach();
    this.#state = 'idle';
  }

  /** The rights of the client have changed: gives up a queue that it may not have any more, takes one that it now may. */
  review(): void {
    if (this.#state === 'idle') return;
    if (this.#queue !== undefined && !this.#mayAttach(this.#queue)) this.#detach();
    this.#seek();
  }

  /** UNSUBSCRIBE, or the end of the session. */
  close(): void {
    this.disconnected();
  }

  onQueueChange(change: QueueChange, definition: QueueDefinition): void {
    if (this.#state === 'idle' || change === 'replaced') return;
    if (change === 'removed') {
      if (this.#attachment?.queueId === definition.id) this.#detach();
      this.#seek();
      return;
    }
    const found = this.#context.catalogue.resolve(this.subscription);
    // A second queue with this filter makes `$q/<filter>` ambiguous for newcomers; who is attached stays.
    if (found === undefined || found.id === this.#attachment?.queueId) return;
    this.#detach();
    this.#seek();
  }

  onDelivery(attachment: Attachment, tag: number, delivery: Delivery): void {
    if (attachment !== this.#attachment && this.#attachment !== undefined) {
      attachment.release(tag);
      return;
    }
    const retain = this.#options.retainAsPublished && (delivery.flags & MessageFlag.retain) !== 0;
    this.#session.outbound.deliverFromQueue(
      attachment,
      tag,
      delivery,
      (this.#deliveryQos << 1) | (retain ? 1 : 0),
      this.#identifiers,
    );
  }

  #apply(options: SubscriptionOptions): void {
    this.#options = options;
    this.#identifiers =
      options.subscriptionIdentifier === 0 ? noIdentifiers : [options.subscriptionIdentifier];
    // The granted QoS is echoed, yet deliveries are QoS 1, as EMQX 6.0 does: else nobody could ack (REF 15, decision 4).
    this.#deliveryQos = options.qos === 0 && this.#context.config.mq.qos0Delivery === 'auto_ack' ? 0 : 1;
  }

  #seek(): void {
    if (this.#attachment !== undefined) return;
    const found = this.#context.catalogue.resolve(this.subscription);
    if (found === undefined || !this.#mayAttach(found)) {
      this.#state = 'waiting';
      return;
    }
    this.#state = 'attached';
    this.#queue = found;
    const { shards } = this.#context;
    this.#attachment = shards.attach(shards.shardOf(found.topicFilter), found.id, this);
  }

  /** Asked when the queue is known, as its filter may not be when the client subscribes. */
  #mayAttach({ name, topicFilter }: QueueDefinition): boolean {
    const { access } = this.#context;
    if (access === undefined) return true;
    const identity = this.#session.client?.identity;
    if (identity === undefined) return false;
    return access.maySubscribe(identity, literalOf(this.subscription), this.#options.qos, {
      name,
      topicFilter,
    });
  }

  #detach(): void {
    const attachment = this.#attachment;
    if (attachment === undefined) return;
    this.#attachment = undefined;
    this.#queue = undefined;
    this.#state = 'waiting';
    this.#session.outbound.forget(attachment);
    attachment.detach();
  }
}

/** The text that the client has subscribed to. */
function literalOf(subscription: QueueSubscription): string {
  if (subscription.kind === 'by-filter') return `$q/${subscription.filter}`;
  if (subscription.kind === 'by-name') return `$queue/${subscription.name}`;
  // The queue of a share group has the whole text as its name.
  if (isShare(subscription.name)) return subscription.name;
  return `$queue/${subscription.name}/${subscription.filter}`;
}
