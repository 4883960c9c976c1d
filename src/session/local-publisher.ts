/**
 * Messages that the server publishes itself: wills, what it says about itself, events. Main thread.
 *
 * Always true: such a message goes where a client's PUBLISH would go: live subscribers, share groups, queues, the
 * retained store; a topic under `$SYS/` reaches live subscribers only. What has no room in a ring waits in order, what a
 * dead shard did not store is offered again until it does; all that is unfinished stays within a bound, past which
 * `publish` refuses. A publish out of a delivery of another one waits until that one is over.
 * Gives up: speed; each message costs a few objects.
 */
import type { Route, RouteSubscriber, ShardQueues } from '../router/route.js';
import type { Router } from '../router/router.js';
import {
  MessageFlag,
  PublishStatus,
  type Publisher,
  type PublisherContext,
  type PublisherHandle,
  type Shards,
} from '../shard/link.js';
import { slot } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';
import { LiveMessage } from './message.js';
import type { SessionRegistry } from './registry.js';
import type { Session } from './session.js';
import { ShareRound } from './share-round.js';

/** A message of the server's own, in the name of a client or of nobody (empty client id). */
export interface LocalMessage extends PublisherContext {
  /** A checked topic name. */
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: number;
  readonly retain: boolean;
  /** MQTT 5 properties in stored form. */
  readonly properties: Buffer;
  /** Seconds; 0 = does not expire. */
  readonly messageExpiryInterval: number;
  /** What a shard cannot store now is not offered again: somebody waits for the answer. */
  readonly isOfferedOnce?: boolean;
}

/** The part of the retained store that is used here. */
export interface RetainedSink {
  /** Shard whose ring must have room for the row of that topic. */
  shardIdFor(topic: Buffer, start: number, end: number): number;
  /** A message with RETAIN; true when `publisher` hears `token` once its row is stored. */
  publish(live: LiveMessage, publisher: PublisherHandle, token: number): boolean;
  /** Replaces what is retained under a topic of the server itself; never durable. */
  setVolatile(topic: string, payload: Buffer): void;
}

/** What a local publisher works on. */
export interface LocalPublisherDeps {
  readonly router: Router<Session>;
  readonly shards: Shards;
  readonly counters: Counters;
  /** Where the owner of a message is looked up, for No Local. */
  readonly registry: Pick<SessionRegistry, 'get'>;
  readonly retained: RetainedSink | undefined;
}

/** Hears the end: false when a queue refused the message for good, and why. */
export type LocalSettled = (ok: boolean, status: PublishStatus) => void;

/** Most messages that are not settled everywhere, and their bytes. */
const unfinishedMax = 10_000;
const unfinishedBytesMax = 64 * 1024 * 1024;
/** Asked of a ring beyond the message: headers of frame and record, padding. */
const frameBytesMax = 192;
const queueIdBytes = 4;
const retryIntervalMs = 1000;

const sysPrefix = '$SYS/';

/** One message on its way; the publisher that its settlements come to. A token is an index into `targets`. */
class Publication implements Publisher {
  readonly context: PublisherContext;
  readonly message: LocalMessage;
  readonly bytes: number;
  readonly settled: LocalSettled | undefined;
  readonly owner: LocalPublisher;
  handle: PublisherHandle | undefined;
  targets: ShardQueues[] = [];
  /** Targets that have to be offered again. */
  failed: ShardQueues[] = [];
  waiting = 0;
  /** The first failure that counts. */
  status: PublishStatus = PublishStatus.stored;

  constructor(owner: LocalPublisher, message: LocalMessage, settled: LocalSettled | undefined) {
    const { clientId, username, peername, protocolVersion } = message;
    this.context = { clientId, username, peername, protocolVersion };
    this.owner = owner;
    this.message = message;
    this.settled = settled;
    // A UTF-16 unit takes at most three bytes; the client id stands in the record and in the frame that opens the publisher.
    const texts = message.topic.length + 2 * clientId.length + (username?.length ?? 0) + peername.length;
    this.bytes = 3 * texts + message.properties.length + message.payload.length;
  }

  onSettled(firstToken: number, count: number, status: PublishStatus): void {
    for (let token = firstToken; token < firstToken + count; token++) {
      this.waiting--;
      if (status === PublishStatus.stored) continue;
      const target = this.targets[token];
      const isTemporary = status === PublishStatus.shardDown || status === PublishStatus.storeError;
      // The retained row is not offered again: meanwhile a client may have replaced it.
      if (target !== undefined && isTemporary && this.message.isOfferedOnce !== true)
        this.failed.push(target);
      else if (this.status === PublishStatus.stored) this.status = status;
    }
    if (this.waiting === 0) this.owner.finish(this);
  }
}

/** See the file header. One per gateway. */
export class LocalPublisher {
  readonly #deps: LocalPublisherDeps;
  readonly #live = new LiveMessage();
  readonly #shares = new ShareRound();
  /** In the order of `publish`; not yet delivered to anybody. */
  #waiting: Publication[] = [];
  /** Delivered, but not stored everywhere. */
  #failed: Publication[] = [];
  #unfinished = 0;
  #unfinishedBytes = 0;
  #retryAtMs = 0;
  #state: 'idle' | 'publishing' | 'closed' = 'idle';
  #waitsForRoom = false;

  constructor(deps: LocalPublisherDeps) {
    this.#deps = deps;
  }

  /** Messages that are not settled everywhere. */
  get unfinishedCount(): number {
    return this.#unfinished;
  }

  /** True when somebody would get a message with this topic at once: a live subscriber or a share group. */
  hasListeners(topic: string): boolean {
    const route = this.#deps.router.lookup(topic);
    return route.subscribers.length > 0 || route.shares.length > 0;
  }

  /**
   * Takes a message; `settled` is called once every queue and the retained store have it, perhaps before this returns.
   * False: too much is unfinished, or the publisher is closed; nothing was done and `settled` is not called.
   */
  publish(message: LocalMessage, settled?: LocalSettled): boolean {
    if (this.#state === 'closed') return false;
    const publication = new Publication(this, message, settled);
    if (this.#unfinished >= unfinishedMax || this.#unfinishedBytes + publication.bytes > unfinishedBytesMax) {
      this.#deps.counters.add(slot.localPublishesRefused, 1);
      return false;
    }
    this.#unfinished++;
    this.#unfinishedBytes += publication.bytes;
    if (this.#state === 'idle' && message.topic.startsWith(sysPrefix)) {
      // Needs no ring, so it does not wait behind what does.
      this.#state = 'publishing';
      this.#publishNow(publication);
      this.#becomeIdle();
    } else {
      this.#waiting.push(publication);
    }
    this.#run();
    return true;
  }

  /** Offers again what a shard could not store. Call about once per second or more often. */
  tick(nowMs: number): void {
    if (this.#failed.length === 0 || nowMs < this.#retryAtMs) return;
    this.#retryAtMs = nowMs + retryIntervalMs;
    const failed = this.#failed;
    this.#failed = [];
    for (const publication of failed) this.#offerAgain(publication);
  }

  /** Forgets what is unfinished; nothing is settled any more. */
  close(): void {
    this.#state = 'closed';
    for (const { handle } of [...this.#waiting, ...this.#failed]) handle?.close();
    this.#waiting = [];
    this.#failed = [];
  }

  /** All that was asked for has been settled. */
  finish(publication: Publication): void {
    if (this.#state === 'closed') return;
    if (publication.failed.length > 0) {
      this.#failed.push(publication);
      return;
    }
    publication.handle?.close();
    this.#unfinished--;
    this.#unfinishedBytes -= publication.bytes;
    publication.settled?.(publication.status === PublishStatus.stored, publication.status);
  }

  /** Publishes what waits, in order, until a ring has no room. */
  #run(): void {
    if (this.#state !== 'idle' || this.#waitsForRoom) return;
    this.#state = 'publishing';
    let taken = 0;
    while (taken < this.#waiting.length && this.#publishNow(this.#waiting[taken]!)) taken++;
    this.#waiting.splice(0, taken);
    this.#becomeIdle();
  }

  // A subscriber's connection may have closed this publisher behind the compiler's narrowing.
  #becomeIdle(): void {
    if (this.#state === 'publishing') this.#state = 'idle';
  }

  #publishNow(publication: Publication): boolean {
    const { message } = publication;
    const topic = Buffer.from(message.topic);
    const route = this.#deps.router.lookupBytes(topic, 0, topic.length);
    const isSys = message.topic.startsWith(sysPrefix);
    const queues = isSys ? [] : this.#queuesOf(route, message);
    if (!isSys && !this.#hasRoom(publication, topic, route, queues)) return false;

    const live = this.#live;
    pointAt(live, topic, message);

    deliverTo(message.qos === 0 ? route.subscribers : route.directSubscribers, live, message);
    const targets =
      route.shares.length === 0 ? queues : this.#shares.give(live, route, undefined, message.qos, queues);
    // What a round returns is its own memory.
    publication.targets = targets.map(({ shardId, queueIds }) => ({ shardId, queueIds }));
    // Held until the end of this call, so that nothing settles in the middle of it.
    publication.waiting = 1;
    if (!isSys) this.#store(publication, live);
    else if (message.retain) this.#deps.retained?.setVolatile(message.topic, message.payload);
    publication.waiting--;
    if (publication.waiting === 0) this.finish(publication);
    return true;
  }

  /** QoS 0 is not for those who are away; what else matches a durable session goes into its queue. */
  #queuesOf(route: Route<Session>, { qos, clientId }: LocalMessage): readonly ShardQueues[] {
    if (qos === 0) return route.queues;
    const owner = route.ackedQueues === route.queues ? undefined : this.#deps.registry.get(clientId);
    const own = owner === undefined ? undefined : route.grantOf(owner);
    const target = owner?.durable?.target;
    if (own === undefined || target === undefined || (own.ownGrant?.qos ?? 0) > 0) return route.ackedQueues;
    // [MQTT-3.8.3-3]: the owner wants nothing of its own.
    const others = route.ackedQueues.map(({ shardId, queueIds }) => ({
      shardId,
      queueIds: queueIds.filter((queueId) => shardId !== target.shardId || queueId !== target.queueId),
    }));
    return others.filter(({ queueIds }) => queueIds.length > 0);
  }

  #hasRoom(
    publication: Publication,
    topic: Buffer,
    route: Route<Session>,
    queues: readonly ShardQueues[],
  ): boolean {
    const { shards, retained } = this.#deps;
    const bytes = publication.bytes + frameBytesMax;
    const chosen = publication.message.qos === 0 ? 0 : route.shares.length;
    for (let shardId = 0; shardId < shards.shardCount; shardId++) {
      const ids = queues.find((target) => target.shardId === shardId)?.queueIds.length ?? 0;
      // The members of the groups that will be chosen may have their queues in any shard.
      if (ids + chosen === 0) continue;
      if (!shards.hasRoom(shardId, bytes + queueIdBytes * (ids + chosen))) return this.#wait(shardId);
    }
    if (!publication.message.retain || retained === undefined) return true;
    const shardId = retained.shardIdFor(topic, 0, topic.length);
    // A queue of the same shard may want as much again.
    return shards.hasRoom(shardId, 2 * bytes) || this.#wait(shardId);
  }

  #wait(shardId: number): false {
    this.#waitsForRoom = true;
    this.#deps.shards.whenRoom(shardId, () => {
      this.#waitsForRoom = false;
      this.#run();
    });
    return false;
  }

  #store(publication: Publication, live: LiveMessage): void {
    const { shards, retained } = this.#deps;
    const { targets, message } = publication;
    if (targets.length === 0 && !message.retain) return;
    const handle = shards.openPublisher(publication);
    publication.handle = handle;
    for (const [token, { shardId, queueIds }] of targets.entries()) {
      publication.waiting++;
      shards.publish(shardId, handle, token, queueIds, live);
    }
    if (message.retain && retained?.publish(live, handle, targets.length) === true) publication.waiting++;
  }

  #offerAgain(publication: Publication): void {
    const { shards } = this.#deps;
    const { message, handle, failed } = publication;
    const bytes = publication.bytes + frameBytesMax;
    const hasRoom = failed.every(({ shardId, queueIds }) =>
      shards.hasRoom(shardId, bytes + queueIdBytes * queueIds.length),
    );
    if (handle === undefined || !hasRoom) {
      this.#failed.push(publication);
      return;
    }
    const live = new LiveMessage();
    pointAt(live, Buffer.from(message.topic), message);
    publication.targets = failed;
    publication.failed = [];
    publication.waiting = failed.length;
    for (const [token, { shardId, queueIds }] of failed.entries()) {
      shards.publish(shardId, handle, token, queueIds, live);
    }
  }
}

function pointAt(live: LiveMessage, topic: Buffer, message: LocalMessage): void {
  const { properties, payload } = message;
  // A live message has its properties and its payload in one buffer.
  const body = properties.length === 0 ? payload : Buffer.concat([properties, payload]);
  const flags = message.qos | (message.retain ? MessageFlag.retain : 0);
  const propertiesEnd = properties.length;
  live.set(
    topic,
    0,
    topic.length,
    body,
    0,
    propertiesEnd,
    propertiesEnd,
    body.length,
    flags,
    message.messageExpiryInterval,
  );
}

function deliverTo(
  targets: readonly RouteSubscriber<Session>[],
  live: LiveMessage,
  { qos, clientId }: LocalMessage,
): void {
  for (const { subscriber, grant, ownGrant } of targets) {
    // The owner of a will is another connection of the same client by now, and No Local is about the client.
    const wanted = subscriber.clientId === clientId ? ownGrant : grant;
    if (wanted === undefined) continue; // [MQTT-3.8.3-3]
    subscriber.deliver(
      live,
      Math.min(wanted.qos, qos), // [MQTT-3.8.4-8]
      wanted.retainAsPublished && live.isRetain, // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
      wanted.subscriptionIdentifiers,
    );
  }
}
