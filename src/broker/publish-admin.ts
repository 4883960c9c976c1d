/**
 * Publishing by operators: a message that takes the way of a client's PUBLISH. Main thread.
 *
 * Always true: the answer comes when every matching queue and the retained store have the message, as a PUBACK would, or
 * says that one of them does not; live subscribers have it by then. The ACL is about clients and is not asked. What takes
 * longer than `answerMsMax` is answered as unavailable and may still be stored.
 */
import { topicNameFault } from '../mqtt/topic.js';
import type { GatewayContext } from '../session/context.js';
import type { LocalMessage } from '../session/local-publisher.js';
import { topicLimitFault } from '../session/topic-limit.js';
import { PublishStatus } from '../shard/link.js';
import { invalidField, OperatorError } from './operator-error.js';

/** A message as an operator publishes it. */
export interface PublishWish {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: number;
  readonly retain: boolean;
  /** Whom the message is from; need not be a client that there is. */
  readonly clientId: string;
  /** In stored form. */
  readonly properties: Buffer;
  /** Seconds; 0 = does not expire. */
  readonly messageExpiryInterval: number;
}

/** Whether somebody is there for the message: a subscriber, a share group or a queue. */
export type PublishOutcome = 'published' | 'no-subscribers';

/** Longest wait for the stores. */
const answerMsMax = 30_000;
/** Topics on which only the broker speaks, or that are no topics. */
const closedPrefixes = ['$SYS/', '$share/'];

/** See the file header. */
export class PublishAdmin {
  readonly #gateway: GatewayContext;

  constructor(gateway: GatewayContext) {
    this.#gateway = gateway;
  }

  /** Throws BAD_REQUEST, naming the field below `path`, for what no client could publish either. */
  check(wish: PublishWish, path = ''): void {
    const { config } = this.#gateway;
    const { topic, payload, properties, qos, retain } = wish;
    const fault = topicNameFault(topic);
    if (fault !== undefined) throw invalidField(`${path}topic`, fault.message, topic);
    const limit = topicLimitFault(topic, config);
    if (limit !== undefined) {
      throw invalidField(`${path}topic`, limit === 'topic-bytes' ? 'is too long' : 'has too many levels');
    }
    if (closedPrefixes.some((prefix) => topic.startsWith(prefix))) {
      throw invalidField(`${path}topic`, 'is not for clients to publish to', topic);
    }
    if (retain && config.retainedMax === 0)
      throw invalidField(`${path}retain`, 'nothing is retained', retain);
    if (qos > config.maximumQos)
      throw invalidField(`${path}qos`, `must be at most ${config.maximumQos}`, qos);
    const bytes = Buffer.byteLength(topic) + payload.length + properties.length;
    if (bytes > config.maximumPacketSize) {
      throw invalidField(`${path}payload`, `makes a packet larger than ${config.maximumPacketSize} bytes`);
    }
  }

  /**
   * Publishes what `check` has let pass. Throws SERVICE_UNAVAILABLE when a queue could not store it, QUOTA_EXCEEDED when one
   * is full, BAD_REQUEST when the key expression of one failed.
   */
  async publish(wish: PublishWish, peername: string): Promise<PublishOutcome> {
    const { router, publisher } = this.#gateway;
    const { subscribers, shares, queues } = router.lookup(wish.topic);
    const outcome = subscribers.length + shares.length + queues.length > 0 ? 'published' : 'no-subscribers';
    const message: LocalMessage = {
      ...wish,
      username: undefined,
      peername,
      protocolVersion: 5,
      isOfferedOnce: true,
    };
    const status = await new Promise<PublishStatus | 'late' | 'refused'>((resolve) => {
      const timer = setTimeout(() => resolve('late'), answerMsMax).unref();
      const isTaken = publisher.publish(message, (_ok, end) => {
        clearTimeout(timer);
        resolve(end);
      });
      if (isTaken) return;
      clearTimeout(timer);
      resolve('refused');
    });
    if (status !== PublishStatus.stored) throw failures[status]();
    return outcome;
  }
}

const failures = {
  late: () => unstored('The message was not stored in time; it may still be'),
  refused: () => unstored('Too many messages are under way'),
  [PublishStatus.storeError]: () => unstored('The store failed'),
  [PublishStatus.shardDown]: () => unstored('A shard is down'),
  [PublishStatus.quotaExceeded]: () =>
    new OperatorError('QUOTA_EXCEEDED', 'A queue is full and refuses messages'),
  [PublishStatus.keyError]: () =>
    new OperatorError('BAD_REQUEST', 'The key expression of a queue failed for this message'),
};

function unstored(message: string): OperatorError {
  return new OperatorError('SERVICE_UNAVAILABLE', message);
}
