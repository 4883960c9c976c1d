/**
 * The durable half of a session that outlives its connection: its queue, its rows, its QoS 2 state. Main thread.
 *
 *   QoS 1 and 2 for its subscriptions ═▶ queue of its own in a shard ═▶ onDelivery ─▶ Outbound
 *   expiry ═▶ state row   subscriptions ═▶ their rows   PUBREC of a delivery ═▶ released row, then PUBREL
 *
 * Always true: the queue is there before the SUBACK that needs it; a message is acknowledged to its publisher when it is
 * in that queue, and leaves it when the client has answered; PUBREL leaves only when a restart would not send the PUBLISH
 * again [MQTT-4.3.3-6]. Packet ids follow from the offsets in the queue, so they are the same after a restart.
 * Gives up: QoS 0 for a client that is away, which the specification allows.
 */
import { dupFlag } from '../mqtt/packet-type.js';
import type { QueueDefinition } from '../queue/definition.js';
import type { QueueTarget } from '../router/route.js';
import { MessageFlag, RowStore, type Attachment, type Consumer, type Delivery } from '../shard/link.js';
import { slotOf } from '../telemetry/counter-layout.js';
import { encodeReleased, encodeState } from './session-record.js';
import type { Session } from './session.js';
import type { SessionStore } from './session-store.js';
import type { RowDone } from './row-writer.js';
import { SubscriptionRows } from './subscription-rows.js';

const droppedUnsubscribed = slotOf('messagesDropped', 'unsubscribed');
/** After the last PUBCOMP the row is written once more, without what is over. */
const tidyDelayMs = 1000;
/** Pause before PUBRECs that the store refused are written again. */
const releaseRetryMs = 1000;

/** Where a row of this session lies. */
export interface RowPlace {
  readonly shardId: number;
  readonly rowId: number;
}

/** A message whose PUBREC has come. Replaced, not changed, when the queue offers it again. */
interface Released {
  /** PUBCOMP has come. */
  isComplete: boolean;
  /** The queue was told on the connection that it was attached for. */
  isAcked: boolean;
}

/** See the file header. */
export class DurableSession implements Consumer {
  readonly noLocal = false;
  /**
   * Offsets of QoS 2 messages whose PUBREC has come. One leaves when its PUBCOMP has come and a row that was written after
   * the queue had been told is committed: until then a queue that starts anew may offer the message once more.
   */
  readonly #released = new Map<number, Released>();
  readonly #session: Session;
  readonly #store: SessionStore;
  #target: QueueTarget | undefined;
  #definition: QueueDefinition | undefined;
  #queueIds = new Uint32Array(0);
  #attachment: Attachment | undefined;
  #creating = false;
  #isEnded = false;
  #stateRow: RowPlace | undefined;
  #releasedRow: RowPlace | undefined;
  #subscriptions: SubscriptionRows | undefined;
  #waiting: RowDone[] = [];
  #releaseDone: (() => void)[] = [];
  #releaseBooked = false;
  #tidyTimer: NodeJS.Timeout | undefined;
  /** So many of the next deliveries may have been sent before the restart. */
  #suspects = 0;
  /** Above 0 until the queue has offered what is newer than the released messages that were found at the start. */
  #restoredCount = 0;
  /** So many deliveries were unanswered when the client went. */
  #unanswered = 0;

  constructor(session: Session, store: SessionStore) {
    this.#session = session;
    this.#store = store;
    session.outbound.ownsQueue(this);
  }

  get clientId(): string {
    return this.#session.clientId;
  }

  get inFlightMax(): number {
    return this.#session.outbound.window;
  }

  /** Its queue, once there is one: the router puts it into routes. */
  get target(): QueueTarget | undefined {
    return this.#target;
  }

  /** The definition of that queue, for its figures. */
  get definition(): QueueDefinition | undefined {
    return this.#definition;
  }

  /** The id of that queue as a publish takes it. */
  get queueIds(): Uint32Array {
    return this.#queueIds;
  }

  /** Found in the log at the start. */
  restoreQueue(definition: QueueDefinition): void {
    this.#use(definition);
  }

  /** Found in the log at the start; so many messages may have been sent before. */
  restoreState(row: RowPlace, sentMax: number): void {
    this.#stateRow = row;
    this.#suspects = sentMax;
    this.#unanswered = sentMax;
  }

  /** Found in the log at the start. */
  restoreSubscriptions(row: RowPlace, filters: readonly string[]): void {
    this.#subscriptions ??= new SubscriptionRows(this.#session, this.#store);
    this.#subscriptions.restore(row, filters);
  }

  /** Found in the log at the start. */
  restoreReleased(row: RowPlace, offsets: Iterable<number>): void {
    this.#releasedRow = row;
    this.#restoredCount++;
    for (const offset of offsets) {
      this.#released.set(offset, { isComplete: false, isAcked: false });
      this.#session.outbound.restoreReleased(offset);
    }
  }

  /** The session has this subscription, or has it with other options: the next `save` stores that. */
  subscribed(topicFilter: string): void {
    this.#subscriptions ??= new SubscriptionRows(this.#session, this.#store);
    this.#subscriptions.set(topicFilter);
  }

  /** The session does not have it any more: the next `save` stores that. */
  unsubscribed(topicFilter: string): void {
    this.#subscriptions?.delete(topicFilter);
  }

  /** Brings queue and rows up to the session; `done` when they are safe, or with false when they cannot be. */
  save(done?: RowDone): void {
    if (this.#isEnded) {
      done?.(false);
      return;
    }
    if (this.#target !== undefined || !this.#session.needsQueue) {
      this.#writeRows(done);
      return;
    }
    if (done !== undefined) this.#waiting.push(done);
    if (this.#creating) return;
    this.#creating = true;
    void this.#createQueue();
  }

  /** A client is there and CONNACK is written. */
  connected(): void {
    this.#attach();
  }

  /** The connection is gone: the queue takes back at once what was not answered. */
  disconnected(): void {
    const attachment = this.#attachment;
    this.#attachment = undefined;
    if (attachment === undefined) return;
    this.#unanswered = Math.max(this.#session.outbound.unansweredOfQueue, this.#suspects);
    this.#session.outbound.forget(attachment);
    attachment.detach();
  }

  /** The session is over: nothing of it stays. */
  end(): void {
    if (this.#isEnded) return;
    this.disconnected();
    this.#isEnded = true;
    clearTimeout(this.#tidyTimer);
    const { rows } = this.#store;
    for (const row of [this.#stateRow, this.#releasedRow]) {
      if (row !== undefined) rows.remove(row.shardId, RowStore.session, row.rowId);
    }
    this.#subscriptions?.removeAll();
    if (this.#definition !== undefined) this.#store.dropQueue(this.#definition);
    this.#target = undefined;
    this.#tell(false);
  }

  onDelivery(attachment: Attachment, tag: number, delivery: Delivery): void {
    const { offset } = delivery;
    if (this.#attachment !== undefined && attachment !== this.#attachment) {
      attachment.release(tag);
      return;
    }
    const released = this.#released.get(offset);
    if (released !== undefined) {
      // PUBREC has come for it: only PUBREL and PUBCOMP are left.
      attachment.ack(tag);
      this.#released.set(offset, { isComplete: released.isComplete, isAcked: true });
      if (released.isComplete) this.#tidyLater();
      return;
    }
    if (this.#restoredCount > 0) this.#forgetBefore(offset);
    const isRepeated = delivery.deliveryAttempt > 1 || this.#suspects > 0;
    if (this.#suspects > 0) this.#suspects--;
    const grant = this.#store.grantOf(this.#session, delivery);
    if (grant === undefined) {
      this.#store.counters.add(droppedUnsubscribed, 1);
      attachment.ack(tag);
      return;
    }
    const qos = Math.min(grant.qos, delivery.flags & MessageFlag.qosMask); // [MQTT-3.8.4-8]
    const retain = grant.retainAsPublished && (delivery.flags & MessageFlag.retain) !== 0;
    this.#session.outbound.deliverFromSessionQueue(
      attachment,
      tag,
      delivery,
      (qos << 1) | (retain ? 1 : 0) | (isRepeated && qos > 0 ? dupFlag : 0),
      grant.subscriptionIdentifiers,
    );
  }

  release(offset: number, done: () => void): void {
    const attachment = this.#attachment;
    const entry = { isComplete: false, isAcked: false };
    this.#released.set(offset, entry);
    this.#releaseDone.push(() => {
      done();
      // A queue that has taken the message back meanwhile has not heard that: it offers it to the next connection.
      if (attachment !== undefined && attachment === this.#attachment) entry.isAcked = true;
    });
    this.#bookReleased();
  }

  complete(offset: number): void {
    // The row may keep it for a while: after a restart PUBREL is sent once more, which harms nobody.
    const entry = this.#released.get(offset);
    if (entry === undefined) return;
    entry.isComplete = true;
    if (entry.isAcked) this.#tidyLater();
  }

  /** The worker of its shard is new: what was sent and not answered comes again, with other tags. */
  onReattached(attachment: Attachment): void {
    this.#session.outbound.forget(attachment);
  }

  /** The queue is past what was found at the start: it has not offered those below, so it does not have them. */
  #forgetBefore(offset: number): void {
    this.#restoredCount = 0;
    for (const [each, entry] of this.#released) {
      // Offsets are u32 here and wrap.
      if (((each - offset) | 0) >= 0) continue;
      entry.isAcked = true;
    }
    this.#tidyLater();
  }

  /** What is over leaves with the next row that is committed; soon there is one. */
  #tidyLater(): void {
    if (this.#tidyTimer !== undefined || this.#releaseBooked || this.#isEnded) return;
    this.#tidyTimer = setTimeout(() => {
      this.#tidyTimer = undefined;
      for (const { isComplete, isAcked } of this.#released.values()) {
        if (!isComplete || !isAcked) continue;
        this.#bookReleased();
        return;
      }
    }, tidyDelayMs);
    this.#tidyTimer.unref();
  }

  async #createQueue(): Promise<void> {
    try {
      const definition = await this.#store.createQueue(this.clientId);
      if (this.#isEnded) {
        this.#store.dropQueue(definition);
        return;
      }
      this.#use(definition);
      this.#attach();
      this.#writeRows((stored) => this.#tell(stored));
    } catch (error) {
      this.#store.logger.error(
        { err: error, clientId: this.clientId },
        'the queue of a session could not be made',
      );
      this.#tell(false);
    } finally {
      this.#creating = false;
    }
  }

  #tell(stored: boolean): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const done of waiting) done(stored);
  }

  #use(definition: QueueDefinition): void {
    this.#definition = definition;
    this.#target = { queueId: definition.id, shardId: this.#store.shardOf(this.clientId) };
    this.#queueIds = Uint32Array.of(definition.id);
    this.#store.refreshRoutes(this.#session);
  }

  #attach(): void {
    if (this.#target === undefined || this.#attachment !== undefined || this.#session.state !== 'connected')
      return;
    this.#attachment = this.#store.attach(this.#target, this);
  }

  #writeRows(done: RowDone | undefined): void {
    const session = this.#session;
    const { expiryIntervalS } = session;
    const value = encodeState({
      clientId: session.clientId,
      owner: session.owner,
      expiryIntervalS: expiryIntervalS === Number.POSITIVE_INFINITY ? null : expiryIntervalS,
      awaySinceMs: session.state === 'connected' ? 0 : Date.now(),
      sentMax: session.state === 'connected' ? session.outbound.window : this.#unanswered,
    });
    const { shardId, rowId } = (this.#stateRow ??= this.#store.newRow(this.clientId));
    const each =
      done === undefined ? undefined : afterAll(1 + (this.#subscriptions?.changedCount ?? 0), done);
    this.#store.rows.put(shardId, RowStore.session, rowId, value, each);
    this.#subscriptions?.write(rowId, each);
  }

  /** One row for all PUBRECs of a turn. */
  #bookReleased(): void {
    if (this.#releaseBooked) return;
    this.#releaseBooked = true;
    setImmediate(() => {
      this.#releaseBooked = false;
      if (this.#isEnded) return;
      const done = this.#releaseDone;
      this.#releaseDone = [];
      // Acks that the queue was sent before this row are committed with it or before it.
      const over: [number, Released][] = [];
      const offsets: number[] = [];
      for (const entry of this.#released) {
        if (entry[1].isComplete && entry[1].isAcked) over.push(entry);
        else offsets.push(entry[0]);
      }
      this.#releasedRow ??= this.#store.newRow(this.clientId);
      const { shardId, rowId } = this.#releasedRow;
      const value = encodeReleased(this.clientId, offsets, offsets.length);
      this.#store.rows.put(shardId, RowStore.session, rowId, value, (stored) => {
        if (!stored) {
          this.#releaseDone.unshift(...done);
          setTimeout(() => this.#bookReleased(), releaseRetryMs).unref();
          return;
        }
        for (const [offset, entry] of over) {
          if (this.#released.get(offset) === entry) this.#released.delete(offset);
        }
        for (const each of done) each();
      });
    });
  }
}

/** To be called `count` times; then tells `done` whether all were stored. */
function afterAll(count: number, done: RowDone): RowDone {
  let left = count;
  let areStored = true;
  return (stored) => {
    areStored &&= stored;
    left--;
    if (left === 0) done(areStored);
  };
}
