/**
 * Feeds new subscriptions with retained messages, in slices. Main thread.
 *
 *   subscribed ─▶ feed ─▶ ready (round robin over clients) ⇄ blocked (outbox or window full, client away) ─▶ done
 *
 * Always true: one turn of the event loop sends at most `sliceMax` messages, `sliceBytesMax` bytes, and takes about
 * `sliceMsMax`, over all clients together, so live traffic goes on between the slices; nothing is dropped for a client
 * that is slow: its feed waits. A client's feeds go one after the other. What was published after the subscription began
 * came live and is not sent again. Gives up: order between retained messages and live ones of other topics.
 */
import type { RetainedCursor } from '../router/retained-cursor.js';
import type { RetainedIndex, RetainedMessage } from '../router/retained-index.js';
import type { SubscriptionOptions } from '../router/route.js';
import { MessageFlag } from '../shard/link.js';
import { slot } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';
import type { Clock } from './context.js';
import { LiveMessage, remainingExpiry } from './message.js';
import type { Identifiers } from './publish-writer.js';

/** What a feed needs of a session. */
export interface RetainedReceiver {
  /** The connection's protocol object, another one after each reconnection; undefined while there is none. */
  readonly client: object | undefined;
  readonly outbound: {
    /** True when a message of `bytes` would leave at once. */
    canTake(bytes: number, qos: number): boolean;
    /** Calls `listener` whenever `canTake` may have become true. */
    onReady(listener: (() => void) | undefined): void;
  };
  deliver(message: LiveMessage, qos: number, retain: boolean, identifiers: Identifiers): void;
}

/** Bounds that are settings. */
export interface SenderLimits {
  readonly retainedSliceMax: number;
  readonly outboxBytesMax: number;
}

const sliceBytesMax = 256 * 1024;
const sliceMsMax = 2;
/** Messages that one client gets before the next one has its turn. */
const quantum = 32;
/** The clock is read after so many messages. */
const clockEvery = 16;
/** What a step of a search without a result costs, in messages. */
const searchCost = 8;
const noIdentifiers: readonly number[] = [];

interface Feed {
  qos: number;
  identifiers: Identifiers;
  readonly filter: string;
  /** Made when its turn comes. */
  cursor: RetainedCursor | undefined;
  /** Messages stored later than this came live. */
  sequence: number;
}

/** All feeds of one client; a link in the list of those that are ready. */
class Queue {
  readonly receiver: RetainedReceiver;
  readonly feeds = new Map<string, Feed>();
  readonly onReady: () => void;
  /** The connection that was fed last. */
  client: object | undefined;
  state: 'idle' | 'ready' | 'blocked' | 'closed' = 'idle';
  next: Queue | undefined = undefined;
  /** What is left of its turn in messages: a turn that the end of a slice cuts off goes on in the next one. */
  left = 0;

  constructor(receiver: RetainedReceiver, wake: (queue: Queue) => void) {
    this.receiver = receiver;
    this.client = receiver.client;
    this.onReady = () => wake(this);
  }
}

/** See the file header. */
export class RetainedSender {
  readonly #index: RetainedIndex;
  readonly #counters: Counters;
  readonly #clock: Clock;
  readonly #sliceMax: number;
  /** Room in the outbox that is left to live messages. */
  readonly #headroomBytes: number;
  readonly #live = new LiveMessage();
  readonly #queues = new Map<RetainedReceiver, Queue>();
  #first: Queue | undefined;
  #last: Queue | undefined;
  #turn: NodeJS.Immediate | undefined;
  #messagesLeft = 0;
  #bytesLeft = 0;
  #endMs = 0;
  #untilClock = 0;
  readonly #wake = (queue: Queue): void => {
    if (queue.state === 'blocked') this.#ready(queue);
  };
  readonly #run = (): void => {
    this.#turn = undefined;
    this.#refill();
    this.#serve();
  };

  constructor(index: RetainedIndex, limits: SenderLimits, counters: Counters, clock: Clock) {
    this.#index = index;
    this.#counters = counters;
    this.#clock = clock;
    this.#sliceMax = limits.retainedSliceMax;
    this.#headroomBytes = limits.outboxBytesMax / 2;
  }

  /** Clients with feeds that are not done. */
  get openCount(): number {
    return this.#queues.size;
  }

  /** Sends every retained message that matches `filter`, the first of them now if this turn has room for it. */
  start(receiver: RetainedReceiver, filter: string, options: SubscriptionOptions): void {
    if (this.#index.count + this.#index.volatileCount === 0) return;
    const queue = this.#queueOf(receiver);
    if (!queue.feeds.delete(filter)) this.#counters.add(slot.retainedFeeds, 1);
    queue.feeds.set(filter, {
      qos: options.qos,
      identifiers: identifiersOf(options),
      filter,
      cursor: undefined,
      sequence: this.#index.sequence,
    });
    if (queue.state !== 'idle') return;
    // The turn after the first use gives a new budget, also when everything is done in this one.
    if (this.#turn === undefined) {
      this.#turn = setImmediate(this.#run);
      this.#refill();
    }
    this.#ready(queue);
    this.#serve();
  }

  /** The subscription goes on with other options: so does its feed, if it has one. */
  change(receiver: RetainedReceiver, filter: string, options: SubscriptionOptions): void {
    const feed = this.#queues.get(receiver)?.feeds.get(filter);
    if (feed === undefined) return;
    feed.qos = options.qos;
    feed.identifiers = identifiersOf(options);
  }

  /** The subscription is over. */
  stop(receiver: RetainedReceiver, filter: string): void {
    const queue = this.#queues.get(receiver);
    if (queue?.feeds.delete(filter) !== true) return;
    this.#counters.add(slot.retainedFeeds, -1);
    if (queue.feeds.size === 0) this.#close(queue);
  }

  /** The session is over. */
  stopAll(receiver: RetainedReceiver): void {
    const queue = this.#queues.get(receiver);
    if (queue === undefined) return;
    this.#counters.add(slot.retainedFeeds, -queue.feeds.size);
    queue.feeds.clear();
    this.#close(queue);
  }

  /** Ends everything. */
  close(): void {
    for (const receiver of this.#queues.keys()) this.stopAll(receiver);
    if (this.#turn !== undefined) clearImmediate(this.#turn);
    this.#turn = undefined;
  }

  #queueOf(receiver: RetainedReceiver): Queue {
    let queue = this.#queues.get(receiver);
    if (queue === undefined) {
      queue = new Queue(receiver, this.#wake);
      this.#queues.set(receiver, queue);
    }
    return queue;
  }

  #refill(): void {
    this.#messagesLeft = this.#sliceMax;
    this.#bytesLeft = sliceBytesMax;
    this.#endMs = this.#clock.nowMs() + sliceMsMax;
    this.#untilClock = clockEvery;
  }

  #ready(queue: Queue): void {
    queue.state = 'ready';
    if (this.#last === undefined) this.#first = queue;
    else this.#last.next = queue;
    this.#last = queue;
    this.#turn ??= setImmediate(this.#run);
  }

  #readyFirst(queue: Queue): void {
    queue.state = 'ready';
    queue.next = this.#first;
    this.#first = queue;
    this.#last ??= queue;
  }

  #serve(): void {
    while (this.#messagesLeft > 0) {
      const queue = this.#first;
      if (queue === undefined) return;
      this.#first = queue.next;
      if (this.#first === undefined) this.#last = undefined;
      queue.next = undefined;
      // It may have been closed while it stood in line.
      if (queue.state === 'closed') continue;
      queue.state = 'idle';
      this.#feed(queue);
    }
    if (this.#first !== undefined) this.#turn ??= setImmediate(this.#run);
  }

  /** One client's share of the slice. */
  #feed(queue: Queue): void {
    const { receiver } = queue;
    if (receiver.client !== queue.client) this.#reconnected(queue);
    const index = this.#index;
    let feed = firstOf(queue.feeds);
    if (queue.left <= 0) queue.left = quantum;
    while (queue.left > 0 && this.#messagesLeft > 0) {
      if (feed === undefined) {
        this.#close(queue);
        return;
      }
      const cursor: RetainedCursor = (feed.cursor ??= index.matches(feed.filter));
      const message = cursor.next();
      if (message === undefined) {
        const cost = cursor.isDone ? 1 : searchCost;
        queue.left -= cost;
        this.#spend(cost, 0);
        if (!cursor.isDone) continue;
        queue.feeds.delete(feed.filter);
        this.#counters.add(slot.retainedFeeds, -1);
        feed = firstOf(queue.feeds);
        continue;
      }
      queue.left--;
      const bytes = message.payloadEnd - message.topicStart;
      if (message.sequence <= feed.sequence && !this.#send(receiver, feed, message, bytes)) {
        cursor.again();
        this.#block(queue);
        return;
      }
      this.#spend(1, bytes);
      // Sending may have ended the session.
      if (hasClosed(queue)) return;
    }
    if (feed === undefined) this.#close(queue);
    else if (queue.left <= 0) this.#ready(queue);
    else this.#readyFirst(queue);
  }

  /** False when the client cannot take it now. */
  #send(receiver: RetainedReceiver, feed: Feed, message: RetainedMessage, bytes: number): boolean {
    const qos = feed.qos < message.qos ? feed.qos : message.qos; // [MQTT-3.8.4-8]
    if (!receiver.outbound.canTake(bytes + this.#headroomBytes, qos)) return false;
    let expiry = 0;
    if (message.expiresAtMs !== Number.POSITIVE_INFINITY) {
      expiry = remainingExpiry(message.expiresAtMs, this.#clock.nowMs());
      // Not sent any more [MQTT-3.3.2-5]; the sweep removes it.
      if (expiry === 0) return true;
    }
    const { buffer, topicStart, propertiesStart, payloadStart, payloadEnd } = message;
    this.#live.set(
      buffer,
      topicStart,
      propertiesStart,
      buffer,
      propertiesStart,
      payloadStart,
      payloadStart,
      payloadEnd,
      message.qos | MessageFlag.retain,
      expiry,
    );
    receiver.deliver(this.#live, qos, true, feed.identifiers); // [MQTT-3.3.1-8]
    this.#counters.add(slot.retainedSent, 1);
    return true;
  }

  #spend(messages: number, bytes: number): void {
    this.#messagesLeft -= messages;
    this.#bytesLeft -= bytes;
    this.#untilClock -= messages;
    if (this.#untilClock <= 0) {
      this.#untilClock = clockEvery;
      if (this.#clock.nowMs() >= this.#endMs) this.#messagesLeft = 0;
    }
    if (this.#bytesLeft <= 0) this.#messagesLeft = 0;
  }

  #block(queue: Queue): void {
    queue.state = 'blocked';
    queue.receiver.outbound.onReady(queue.onReady);
  }

  /** What came live while the client was away did not reach it at QoS 0: the rest is sent as it is now. */
  #reconnected(queue: Queue): void {
    queue.client = queue.receiver.client;
    for (const feed of queue.feeds.values()) feed.sequence = this.#index.sequence;
  }

  /** Nothing is left to send; a place in line is given up when its turn comes. */
  #close(queue: Queue): void {
    queue.state = 'closed';
    queue.receiver.outbound.onReady(undefined);
    this.#queues.delete(queue.receiver);
  }
}

// The compiler does not see that a call may change the state.
function hasClosed(queue: Queue): boolean {
  return queue.state === 'closed';
}

function firstOf(feeds: ReadonlyMap<string, Feed>): Feed | undefined {
  for (const feed of feeds.values()) return feed;
  return undefined;
}

function identifiersOf({ subscriptionIdentifier }: SubscriptionOptions): Identifiers {
  return subscriptionIdentifier === 0 ? noIdentifiers : [subscriptionIdentifier];
}
