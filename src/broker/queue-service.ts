/**
 * The only place that creates, changes and deletes queues. Runs on the main thread.
 *
 * Always true: changes of one name run one after the other; the catalogue shows a queue only after its shard has
 * committed it (create: shard, then catalogue; update: shard, then catalogue; delete: catalogue, then shard, so
 * that nothing is routed to what is going away); a create that fails leaves no trace: its shard is asked to
 * delete the id until it says yes; what a shard had committed before it died over the answer is in force when it is back.
 * Ids only grow, so a late delete can never meet a newer queue of that name.
 * Source: REF 7.2, 7.3 and 15.
 */
import { isDeepStrictEqual } from 'node:util';

import { OperationalError } from '../base/error.js';
import type {
  DispatchStrategy,
  KeyErrorPolicy,
  QueueDefinition,
  QueueSettings,
} from '../queue/definition.js';
import { topicFilterFault } from '../mqtt/topic.js';
import type { QueueCatalogue } from '../router/queue-catalogue.js';
import { impliedQueueName, isQueueSubscription, QUEUE_NAME_PATTERN } from '../router/queue-subscription.js';
import type { Shards } from '../shard/link.js';
import { checkKeyExpression, type MqConfigStore } from './mq-config-store.js';
import { badRequest, invalidField, OperatorError, unavailable } from './operator-error.js';
import {
  applySettings,
  defaultSettings,
  isLimited,
  type QueueCreateBody,
  queueNameLengthMax,
  type QueueUpdateBody,
} from './queue-schema.js';

/** Longest topic filter of a queue, bytes: percent-encoded it still fits into the path of a request. */
export const queueFilterBytesMax = 4096;
/** Most levels of a queue's topic filter. */
const queueFilterLevelsMax = 128;

/** The part of the shards that manages queues. */
export type QueueStore = Pick<Shards, 'createQueue' | 'updateQueue' | 'deleteQueue' | 'shardOf'>;

/** The part of a logger that is used here. */
export interface QueueServiceLog {
  warn(fields: object, message: string): void;
}

/** What the service works with. */
export interface QueueServiceOptions {
  readonly catalogue: QueueCatalogue;
  readonly shards: QueueStore;
  readonly mqConfig: MqConfigStore;
  readonly log: QueueServiceLog;
  /** Wall clock, ms since 1970. */
  readonly now: () => number;
  /** Waits before the next try to delete what a failed create may have left; must not keep the process alive. */
  readonly pause: (ms: number) => Promise<void>;
}

/** Tries to delete what a failed create may have left, one per second. */
const undoAttemptsMax = 600;
const undoPauseMs = 1000;

const notFound = 'Message queue not found';
const fixedKind = 'LastValue flag is not allowed to be updated';
const fixedLimits = 'Regular queues cannot be updated from limited to unlimited and vice versa';

/** See the file header. */
export class QueueService {
  readonly #options: QueueServiceOptions;
  readonly #catalogue: QueueCatalogue;
  readonly #shards: QueueStore;
  readonly #turns = new Map<string, Promise<unknown>>();
  #lastId = 0;
  #creating = 0;

  constructor(options: QueueServiceOptions) {
    this.#options = options;
    this.#catalogue = options.catalogue;
    this.#shards = options.shards;
    for (const { id } of options.catalogue.all()) this.#lastId = Math.max(this.#lastId, id);
    options.catalogue.watch((_change, { id }) => {
      this.#lastId = Math.max(this.#lastId, id);
    });
  }

  /** False after `enable: false`: nothing about queues is answered then [REF-7.3]. */
  get enabled(): boolean {
    return this.#options.mqConfig.current.enable !== 'false';
  }

  /** Queues that exist or are being created. */
  get count(): number {
    return this.#catalogue.size + this.#creating;
  }

  /** The queue called `text`, else the nameless queue whose filter is `text`. Throws NOT_FOUND. */
  get(text: string): QueueDefinition {
    const queue = this.#catalogue.get(text) ?? this.#catalogue.get(impliedQueueName(text));
    if (queue === undefined) throw new OperatorError('NOT_FOUND', notFound);
    return queue;
  }

  /**
   * Creates a queue; it stores messages from the moment this resolves. Throws BAD_REQUEST, ALREADY_EXISTS,
   * MAX_QUEUE_COUNT_REACHED, SERVICE_UNAVAILABLE.
   */
  async create(body: QueueCreateBody): Promise<QueueDefinition> {
    const name = body.name ?? impliedQueueName(body.topic_filter);
    if (body.name !== undefined) checkName(body.name);
    checkFilter(body.topic_filter);
    const isLastvalue = body.is_lastvalue ?? true;
    const settings = this.#settings(isLastvalue, body, this.#defaults(isLastvalue));
    return await this.#inTurn(name, () =>
      this.#create({ name, topicFilter: body.topic_filter, isLastvalue, ...settings }),
    );
  }

  /** PUT: every field that is left out returns to its default, except `is_lastvalue` and `paused` [REF-7.3, REF-15]. */
  async replace(text: string, body: QueueUpdateBody): Promise<QueueDefinition> {
    return await this.#change(text, (queue) => {
      const base = { ...this.#defaults(queue.isLastvalue), paused: queue.paused };
      return this.#changed(queue, body, base);
    });
  }

  /** PATCH: what is left out stays. */
  async patch(text: string, body: QueueUpdateBody): Promise<QueueDefinition> {
    return await this.#change(text, (queue) => this.#changed(queue, body, queue));
  }

  /** Deletes a queue with all its messages. Throws NOT_FOUND, SERVICE_UNAVAILABLE (then it may be gone once its shard is back). */
  async delete(text: string): Promise<void> {
    await this.withQueue(text, async (queue) => {
      this.#catalogue.remove(queue);
      try {
        await this.#shards.deleteQueue(queue);
      } catch (error) {
        // Still in the shard as far as we know: show it, so that the delete can be repeated.
        this.#catalogue.add(queue);
        throw unavailable(error);
      }
    });
  }

  /** What the catalogue knows of a shard. */
  queuesOf(shardId: number): QueueDefinition[] {
    return [...this.#catalogue.all()].filter(
      ({ topicFilter }) => this.#shards.shardOf(topicFilter) === shardId,
    );
  }

  /** A shard has started again and holds `found`, which is what counts: it may have died between a commit and its answer. */
  adopt(shardId: number, found: readonly QueueDefinition[]): void {
    const byId = new Map(found.map((definition) => [definition.id, definition]));
    for (const queue of this.queuesOf(shardId)) {
      const stored = byId.get(queue.id);
      if (stored !== undefined && isDeepStrictEqual(stored, queue)) continue;
      if (stored === undefined) this.#catalogue.remove(queue);
      else this.#catalogue.replace(stored);
      this.#options.log.warn(
        { queue: queue.name, shard: shardId },
        stored === undefined
          ? 'a queue is gone: its shard had deleted it and ended before it could say so'
          : 'a queue has other settings: its shard had changed them and ended before it could say so',
      );
    }
  }

  /**
   * Creates the queue that a subscription asks for, if the configuration says so. Gives the queue of that name
   * when there is one; undefined when none is made. A failure is logged, never thrown [REF-1.3].
   */
  async autoCreate(name: string, topicFilter: string): Promise<QueueDefinition | undefined> {
    const { autoCreateRegular, autoCreateLastvalue } = this.#options.mqConfig.current;
    const settings = autoCreateRegular === false ? autoCreateLastvalue : autoCreateRegular;
    if (!this.enabled) return undefined;
    const existing = this.#catalogue.get(name);
    if (existing !== undefined || settings === false) return existing;
    const isLastvalue = autoCreateRegular === false;
    try {
      if (name !== impliedQueueName(topicFilter)) checkName(name);
      checkFilter(topicFilter);
      // The configuration store has checked these objects against the schema.
      const checked = this.#settings(isLastvalue, settings, this.#defaults(isLastvalue));
      return await this.#inTurn(
        name,
        async () =>
          this.#catalogue.get(name) ?? (await this.#create({ name, topicFilter, isLastvalue, ...checked })),
      );
    } catch (error) {
      this.#options.log.warn({ err: error, queue: name, topicFilter }, 'a queue could not be auto-created');
      return undefined;
    }
  }

  /**
   * The queue of a share group that is kept as a queue: `name` is the literal text of the subscription, which no operator
   * can choose. Made when it is missing; a failure is logged, never thrown.
   */
  async createShareQueue(name: string, topicFilter: string, strategy: DispatchStrategy): Promise<void> {
    if (!this.enabled || this.#catalogue.get(name) !== undefined) return;
    try {
      checkFilter(topicFilter);
      const settings = { ...this.#defaults(false), dispatchStrategy: strategy };
      await this.#inTurn(name, async () => {
        if (this.#catalogue.get(name) !== undefined) return;
        await this.#create({ name, topicFilter, isLastvalue: false, ...settings });
      });
    } catch (error) {
      this.#options.log.warn(
        { err: error, queue: name, topicFilter },
        'the queue of a share group was not made',
      );
    }
  }

  /** Runs `action` with the queue while no other change of it runs. Throws NOT_FOUND. */
  async withQueue<T>(text: string, action: (queue: QueueDefinition) => Promise<T>): Promise<T> {
    const name = this.#nameOf(text);
    return await this.#inTurn(name, async () => {
      const queue = this.#catalogue.get(name);
      if (queue === undefined) throw new OperatorError('NOT_FOUND', notFound);
      return await action(queue);
    });
  }

  async #change(text: string, change: (queue: QueueDefinition) => QueueDefinition): Promise<QueueDefinition> {
    return await this.withQueue(text, async (queue) => {
      const next = change(queue);
      try {
        await this.#shards.updateQueue(next);
      } catch (error) {
        throw unavailable(error);
      }
      this.#catalogue.replace(next);
      return next;
    });
  }

  async #create(draft: Omit<QueueDefinition, 'id' | 'createdAtMs'>): Promise<QueueDefinition> {
    if (this.#catalogue.get(draft.name) !== undefined) {
      throw new OperatorError('ALREADY_EXISTS', 'Message queue already exists');
    }
    if (this.count >= this.#options.mqConfig.current.maxQueueCount) {
      throw new OperatorError('MAX_QUEUE_COUNT_REACHED', 'Max queue count reached');
    }
    const definition: QueueDefinition = {
      ...draft,
      id: this.#nextId(),
      createdAtMs: this.#options.now(),
    };
    this.#creating += 1;
    try {
      await this.#shards.createQueue(definition);
      this.#catalogue.add(definition);
    } catch (error) {
      // Also when a watcher of the catalogue threw: half a queue is worse than none.
      if (this.#catalogue.get(definition.name) === definition) this.#catalogue.remove(definition);
      void this.#undo(definition);
      throw unavailable(error);
    } finally {
      this.#creating -= 1;
    }
    return definition;
  }

  /** The shard may have committed before it failed to say so. */
  async #undo(definition: QueueDefinition): Promise<void> {
    for (let attempt = 1; attempt <= undoAttemptsMax; attempt += 1) {
      try {
        await this.#shards.deleteQueue(definition);
        return;
      } catch (error) {
        // Only what may pass is tried again; a shard that answers "not here" never had it.
        const isLast = attempt === undoAttemptsMax || !(error instanceof OperationalError);
        if (attempt === 1 || isLast) {
          this.#options.log.warn(
            { err: error, queue: definition.name, attempt },
            'a queue whose creation failed could not be cleared from its shard',
          );
        }
        if (isLast) return;
      }
      await this.#options.pause(undoPauseMs);
    }
  }

  #changed(queue: QueueDefinition, body: QueueUpdateBody, base: QueueSettings): QueueDefinition {
    if (body.is_lastvalue !== undefined && body.is_lastvalue !== queue.isLastvalue)
      throw badRequest(fixedKind);
    const settings = this.#settings(queue.isLastvalue, body, base);
    if (!queue.isLastvalue && isLimited(settings) !== isLimited(queue)) throw badRequest(fixedLimits);
    const { id, name, topicFilter, isLastvalue, createdAtMs } = queue;
    return { id, name, topicFilter, isLastvalue, createdAtMs, ...settings };
  }

  #settings(isLastvalue: boolean, body: QueueUpdateBody, base: QueueSettings): QueueSettings {
    if (!isLastvalue) {
      for (const field of ['key_expression', 'on_key_error'] as const) {
        if (body[field] !== undefined) throw invalidField(field, 'is for last-value queues only');
      }
    }
    const settings = applySettings(base, body);
    checkKeyExpression('key_expression', body.key_expression);
    return settings;
  }

  #defaults(isLastvalue: boolean): QueueSettings {
    const policy: KeyErrorPolicy = this.#options.mqConfig.current.onKeyError;
    return defaultSettings(isLastvalue, policy);
  }

  /** One more than any id seen. Ids of deleted queues return only after a restart, when their records are gone. */
  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  /** The name behind what an operator wrote, also while the queue is still being created. */
  #nameOf(text: string): string {
    const names = [text, impliedQueueName(text)];
    return (
      names.find((name) => this.#catalogue.get(name) !== undefined) ??
      names.find((name) => this.#turns.has(name)) ??
      text
    );
  }

  async #inTurn<T>(name: string, action: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(name) ?? Promise.resolve();
    const mine = before.then(action, action);
    this.#turns.set(name, mine);
    try {
      return await mine;
    } finally {
      if (this.#turns.get(name) === mine) this.#turns.delete(name);
    }
  }
}

function checkName(name: string): void {
  if (!QUEUE_NAME_PATTERN.test(name)) {
    throw invalidField(
      'name',
      'begins with a letter or digit and holds letters, digits, "-", "_", "."',
      name,
    );
  }
  if (name.length > queueNameLengthMax) {
    throw invalidField('name', `is longer than ${queueNameLengthMax} characters`);
  }
}

/** Throws BAD_REQUEST unless a queue can have this topic filter. */
export function checkFilter(topicFilter: string): void {
  const fault = topicFilterFault(topicFilter);
  if (fault !== undefined) throw invalidField('topic_filter', fault.message, topicFilter);
  if (Buffer.byteLength(topicFilter) > queueFilterBytesMax) {
    throw invalidField('topic_filter', `is longer than ${queueFilterBytesMax} bytes`);
  }
  if (topicFilter.split('/').length > queueFilterLevelsMax) {
    throw invalidField('topic_filter', `has more than ${queueFilterLevelsMax} levels`);
  }
  if (topicFilter === '$share' || topicFilter.startsWith('$share/')) {
    throw invalidField('topic_filter', 'a queue cannot be filled by a shared subscription', topicFilter);
  }
  if (isQueueSubscription(topicFilter)) {
    throw invalidField('topic_filter', 'a queue cannot be filled by a queue', topicFilter);
  }
  if (topicFilter === '$SYS' || topicFilter.startsWith('$SYS/')) {
    throw invalidField('topic_filter', 'system topics are never stored', topicFilter);
  }
}
