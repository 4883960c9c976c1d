/**
 * Retained messages for operators: list, look at, delete. Main thread.
 *
 * Always true: a deletion is answered when a restart would not bring the message back, and tells subscribers nothing; what
 * the broker says about itself under `$SYS` can be seen by its topic and not deleted. Deleting all goes on in small steps,
 * with a bounded number under way. Cost: as a subscription to the filter; see page-walk.ts.
 */
import { topicFilterFault } from '../mqtt/topic.js';
import type { RetainedCursor } from '../router/retained-cursor.js';
import type { RetainedMessage } from '../router/retained-index.js';
import type { GatewayContext } from '../session/context.js';
import { badRequest, OperatorError } from './operator-error.js';
import type { Page, PageRequest, PageWalks } from './page-walk.js';

/** A retained message; its bytes are copies. */
export interface RetainedView {
  readonly topicName: string;
  readonly qos: number;
  readonly payloadBytes: number;
  /** Seconds left; undefined: does not expire. */
  readonly messageExpiryInterval: number | undefined;
}

/** The same with its content. */
export interface RetainedContent extends RetainedView {
  readonly properties: Uint8Array;
  readonly payload: Uint8Array;
}

/** Deletions that are not stored yet. */
const deletionsMax = 256;
/** Longest wait for a shard to store a deletion. */
const answerMsMax = 30_000;

/** See the file header. */
export class RetainedAdmin {
  readonly #gateway: GatewayContext;
  readonly #walks: PageWalks;

  constructor(gateway: GatewayContext, walks: PageWalks) {
    this.#gateway = gateway;
    this.#walks = walks;
  }

  /** A page of those that `topicFilter` matches, in the order of their topics. Throws BAD_REQUEST when it is none. */
  page(topicFilter: string | undefined, request: PageRequest): Promise<Page<RetainedView>> {
    const { retained, clock } = this.#gateway;
    const fault = topicFilter === undefined ? undefined : topicFilterFault(topicFilter);
    if (fault !== undefined) throw badRequest(`topic: ${fault.message}`);
    const nowMs = clock.nowMs();
    return this.#walks.page(request, {
      entries: messages(retained.matches(topicFilter ?? '#')),
      wants: (message: RetainedMessage) => message.expiresAtMs > nowMs,
      view: (message) => viewOf(message, nowMs),
      total: topicFilter === undefined ? retained.count : undefined,
    });
  }

  /** Throws NOT_FOUND. */
  get(topicName: string): RetainedContent {
    const { retained, clock } = this.#gateway;
    const message = retained.find(topicName);
    if (message === undefined) throw notFound();
    const { buffer, propertiesStart, payloadStart, payloadEnd } = message;
    return {
      ...viewOf(message, clock.nowMs()),
      properties: Uint8Array.from(buffer.subarray(propertiesStart, payloadStart)),
      payload: Uint8Array.from(buffer.subarray(payloadStart, payloadEnd)),
    };
  }

  /** Throws NOT_FOUND. */
  async delete(topicName: string): Promise<void> {
    const isThere = await inTime(this.#forget(topicName));
    if (!isThere) throw notFound();
  }

  /** Deletes what `topicFilter` matches now, which for `#` is no topic that begins with `$`; gives how many. */
  async deleteAll(topicFilter = '#'): Promise<number> {
    const { retained } = this.#gateway;
    const cursor = retained.matches(topicFilter);
    let deleted = 0;
    while (!cursor.isDone) {
      const topics: string[] = [];
      await this.#walks.slices(messages(cursor), (message) => {
        if (message !== undefined) topics.push(topicOf(message));
        return topics.length < deletionsMax;
      });
      const ends = await inTime(Promise.all(topics.map((topic) => this.#forget(topic))));
      deleted += ends.filter(Boolean).length;
    }
    return deleted;
  }

  /** Resolves when the message is gone for good; with false when there is none to forget. */
  #forget(topicName: string): Promise<boolean> {
    return new Promise((resolve) => {
      if (!this.#gateway.retained.forget(topicName, () => resolve(true))) resolve(false);
    });
  }
}

/** Throws SERVICE_UNAVAILABLE when a shard is down for long: the deletion goes on all the same. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new OperatorError('SERVICE_UNAVAILABLE', 'The deletion is not stored yet'));
    }, answerMsMax).unref();
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What a cursor finds; undefined where a step of its found nothing. A message is valid until the next step. */
function* messages(cursor: RetainedCursor): IterableIterator<RetainedMessage | undefined> {
  while (!cursor.isDone) {
    const message = cursor.next();
    if (message !== undefined || !cursor.isDone) yield message;
  }
}

function viewOf(message: RetainedMessage, nowMs: number): RetainedView {
  return {
    topicName: topicOf(message),
    qos: message.qos,
    payloadBytes: message.payloadEnd - message.payloadStart,
    messageExpiryInterval:
      message.expiresAtMs === Number.POSITIVE_INFINITY
        ? undefined
        : Math.max(1, Math.ceil((message.expiresAtMs - nowMs) / 1000)),
  };
}

function topicOf({ buffer, topicStart, propertiesStart }: RetainedMessage): string {
  return buffer.toString('utf8', topicStart, propertiesStart);
}

function notFound(): OperatorError {
  return new OperatorError('NOT_FOUND', 'No retained message with this topic');
}
