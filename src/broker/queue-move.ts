/**
 * Moves waiting messages from one queue to another, step by step. Main thread.
 *
 *   hold the source ─▶ (look at a step ─▶ store it in the target ─▶ end it in the source)… ─▶ let go
 *
 * Always true: a message is stored in the target, or dropped by a rule of its own, before it ends in the source; as that
 * hands out nothing meanwhile, none is delivered and moved. What was stored when a failure came is ended in the source all the
 * same. A hold ends by itself when nobody renews it. Gives up: a crash between the two leaves a step in both queues; a restart
 * of the source's shard ends the hold, so that messages of that one step may be delivered and moved.
 */
import type { PeekedMessage, QueueDefinition } from '../queue/definition.js';
import { KeyEvaluationError } from '../queue/key-expression/error.js';
import { compileKeyExpression } from '../queue/key-expression/key-expression.js';
import {
  MessageFlag,
  PublishStatus,
  type PublisherHandle,
  type PublishRanges,
  type Shards,
} from '../shard/link.js';
import { OperatorError, unavailable } from './operator-error.js';

/** What looks at and ends messages. */
export type MoveSource = Pick<Shards, 'peek' | 'queueStats' | 'holdQueue' | 'discard'>;
/** What stores messages. */
export type MoveTarget = Pick<Shards, 'shardOf' | 'openPublisher' | 'hasRoom' | 'whenRoom' | 'publish'>;

/** Messages of the first step, and of any. */
const stepMin = 16;
const stepMax = 256;
/** Steps grow until one holds about so many bytes. */
const stepBytes = 1024 * 1024;
/** A step takes milliseconds; a shard that starts again may take a second. */
const holdMs = 10_000;
/** The hold is renewed so often while the target stores, which a slow disk may make long. */
const renewMs = 2500;
/** Asked of a ring beyond the message. */
const frameBytesMax = 512;

/** See the file header. Made for one move. */
export class QueueMove {
  readonly #source: MoveSource;
  readonly #target: MoveTarget;
  readonly #isThere: (queue: QueueDefinition) => boolean;

  /** `isThere` tells whether a queue still is: a shard that starts again may have lost one to a delete of before. */
  constructor(source: MoveSource, target: MoveTarget, isThere: (queue: QueueDefinition) => boolean) {
    this.#source = source;
    this.#target = target;
    this.#isThere = isThere;
  }

  /** Moves at most `countMax` messages; gives how many. Both queues must stay as they are meanwhile. */
  async run(from: QueueDefinition, to: QueueDefinition, countMax: number): Promise<number> {
    try {
      const { ready } = await this.#source.queueStats(from);
      // What comes in meanwhile stays, or this would have no end.
      return await this.#steps(from, to, Math.min(ready, countMax));
    } catch (error) {
      throw unavailable(error);
    } finally {
      // A shard that is down holds nothing.
      await this.#source.holdQueue(from, 0).catch(() => undefined);
    }
  }

  async #steps(from: QueueDefinition, to: QueueDefinition, countMax: number): Promise<number> {
    let moved = 0;
    let taken = 0;
    let after = -1;
    let step = stepMin;
    while (taken < countMax) {
      await this.#source.holdQueue(from, holdMs);
      const wanted = Math.min(step, countMax - taken);
      const page = await this.#source.peek(from, after, wanted);
      const waiting = page.filter(({ state }) => state === 'ready');
      const { stored, ended, status } = await this.#moveAll(from, to, waiting);
      taken += stored.length;
      moved += ended;
      if (ended < stored.length) await this.#refuseTwins(from, stored, page.length, moved);
      if (status !== PublishStatus.stored) throw refusal(status, moved);
      const last = page.at(-1);
      if (last === undefined || page.length < wanted) return moved;
      after = last.offset;
      step = nextStep(page);
    }
    return moved;
  }

  /**
   * Stores a step in the target and ends in the source what was stored. Gives the offsets of what was stored, how many of them
   * were ended, and the first failure.
   */
  async #moveAll(
    from: QueueDefinition,
    to: QueueDefinition,
    messages: readonly PeekedMessage[],
  ): Promise<{ stored: readonly number[]; ended: number; status: PublishStatus }> {
    const keyed = messages.filter(hasKeyFor(to));
    const keyFault = keyed.length < messages.length ? PublishStatus.keyError : PublishStatus.stored;
    if (keyed.length === 0) return { stored: [], ended: 0, status: keyFault };
    // A shard that is down holds nothing.
    const renewal = setInterval(
      () => void this.#source.holdQueue(from, holdMs).catch(() => undefined),
      renewMs,
    );
    const statuses = await this.#store(to, keyed).finally(() => clearInterval(renewal));
    // What is published to a queue that has gone counts as done.
    if (!this.#isThere(to)) throw new OperatorError('NOT_FOUND', 'The other queue is gone');
    const stored = keyed
      .filter((_, index) => statuses[index] === PublishStatus.stored)
      .map(({ offset }) => offset);
    const ended = stored.length > 0 ? await this.#source.discard(from, stored) : 0;
    const failure = statuses.find((status) => status !== PublishStatus.stored);
    return { stored, ended, status: failure ?? keyFault };
  }

  /** Some that were stored were not ended. That they are gone by themselves (expired, overwritten) is in order. */
  async #refuseTwins(
    from: QueueDefinition,
    stored: readonly number[],
    pageLength: number,
    moved: number,
  ): Promise<void> {
    const wanted = new Set(stored);
    const page = await this.#source.peek(from, (stored[0] as number) - 1, pageLength);
    const twins = page.filter(({ offset }) => wanted.has(offset)).length;
    if (twins === 0) return;
    throw new OperatorError(
      'SERVICE_UNAVAILABLE',
      `${twins} messages are in both queues now: they could not be taken out of the first; ${moved} messages were moved`,
    );
  }

  /** How each ended, in their order. */
  async #store(to: QueueDefinition, messages: readonly PeekedMessage[]): Promise<readonly PublishStatus[]> {
    const shards = this.#target;
    const shardId = shards.shardOf(to.topicFilter);
    const queueIds = Uint32Array.of(to.id);
    const statuses: PublishStatus[] = [];
    const handles = new Map<string, PublisherHandle>();
    let left = messages.length;
    let settled = (): void => undefined;
    const allSettled = new Promise<void>((resolve) => (settled = resolve));
    const open = (clientId: string): PublisherHandle =>
      shards.openPublisher({
        context: { clientId, username: undefined, peername: '', protocolVersion: 5 },
        onSettled: (firstToken, count, status) => {
          for (let token = firstToken; token < firstToken + count; token++) statuses[token] = status;
          left -= count;
          if (left === 0) settled();
        },
      });
    try {
      for (const [token, message] of messages.entries()) {
        let handle = handles.get(message.from);
        if (handle === undefined) handles.set(message.from, (handle = open(message.from)));
        const ranges = rangesOf(message);
        const bytes =
          ranges.topicEnd +
          ranges.propertiesEnd +
          ranges.payloadEnd +
          message.from.length * 6 +
          frameBytesMax;
        while (!shards.hasRoom(shardId, bytes)) {
          await new Promise<void>((resolve) => shards.whenRoom(shardId, resolve));
        }
        shards.publish(shardId, handle, token, queueIds, ranges);
      }
      await allSettled;
    } finally {
      for (const handle of handles.values()) handle.close();
    }
    return statuses;
  }
}

/**
 * Tells which messages the target stores. A queue with `on_key_error: drop` says of a publish without a key that it was stored;
 * one that is moved shall stay instead.
 */
function hasKeyFor({ isLastvalue, keyErrorPolicy, keyExpression }: QueueDefinition) {
  if (!isLastvalue || keyErrorPolicy !== 'drop') return () => true;
  const expression = compileKeyExpression(keyExpression);
  return (message: PeekedMessage): boolean => {
    const nowMs = Date.now();
    try {
      expression.evaluate({
        id: '',
        qos: message.qos,
        from: message.from,
        dup: false,
        retain: message.retain,
        topic: message.topicName,
        payload: message.payload,
        timestampMs: nowMs,
        username: undefined,
        peername: undefined,
        peerhost: undefined,
        protoVer: 5,
        clientAttrs: undefined,
        propertyBytes: message.properties,
        nowMs: () => nowMs,
        random: Math.random,
      });
      return true;
    } catch (error) {
      if (error instanceof KeyEvaluationError) return false;
      throw error;
    }
  };
}

function rangesOf(message: PeekedMessage): PublishRanges {
  const topicBuffer = Buffer.from(message.topicName);
  const propertiesBuffer = Buffer.from(message.properties);
  const payloadBuffer = Buffer.from(message.payload);
  return {
    topicBuffer,
    topicStart: 0,
    topicEnd: topicBuffer.length,
    propertiesBuffer,
    propertiesStart: 0,
    propertiesEnd: propertiesBuffer.length,
    payloadBuffer,
    payloadStart: 0,
    payloadEnd: payloadBuffer.length,
    flags: message.qos | (message.retain ? MessageFlag.retain : 0),
    // What has come to 0 s is on its way out.
    messageExpiryInterval:
      message.messageExpiryInterval === undefined ? 0 : Math.max(1, message.messageExpiryInterval),
  };
}

function nextStep(page: readonly PeekedMessage[]): number {
  const bytes = page.reduce((sum, { payload, properties }) => sum + payload.length + properties.length, 0);
  const fits = Math.floor((stepBytes * page.length) / Math.max(1, bytes));
  return Math.min(stepMax, Math.max(1, fits));
}

function refusal(status: PublishStatus, moved: number): OperatorError {
  const done = `${moved} messages were moved`;
  if (status === PublishStatus.quotaExceeded) {
    return new OperatorError('QUOTA_EXCEEDED', `The other queue is full and refuses messages; ${done}`);
  }
  if (status === PublishStatus.keyError) {
    return new OperatorError(
      'BAD_REQUEST',
      `The key expression of the other queue failed for a message; ${done}`,
    );
  }
  return new OperatorError('SERVICE_UNAVAILABLE', `The other queue did not store a message; ${done}`);
}
