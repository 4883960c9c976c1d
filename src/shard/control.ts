/**
 * Control calls on a shard: create, update, delete, purge, inspect. Shard worker; not on the message path.
 *
 * Always true: a change is in the log (and on disk, unless durability is `process`) before the caller hears of it;
 * each is written between two turns of the loop, in the order of the calls.
 */
import { OperationalError, assert } from '../base/error.js';
import { QUEUE_ID_RESERVED_MIN } from '../log/keys.js';
import type { Log, LogBatch } from '../log/log.js';
import type { ConsumerStats, QueueDefinition, QueueStats } from '../queue/definition.js';
import { peek } from '../queue/peek.js';
import { Queue } from '../queue/queue.js';
import { Checkpoints } from './checkpoints.js';
import type { ControlRequest, ControlResult } from './protocol.js';
import { packFigures } from './queue-figures.js';
import type { ShardLoop } from './shard-loop.js';

const DEFINITION_FORMAT = 1;

/** JSON has no Infinity: these say 'infinity' for unlimited. Elsewhere that is a text like any other. */
const UNLIMITED_FIELDS: ReadonlySet<string> = new Set<keyof QueueDefinition>([
  'dataRetentionPeriodMs',
  'shardMessageCountMax',
  'shardMessageBytesMax',
  'messagesMax',
  'bytesMax',
]);

/** Definition as stored in the log. */
export function encodeDefinition(definition: QueueDefinition): Uint8Array {
  const text = JSON.stringify({ format: DEFINITION_FORMAT, definition }, (key, value: unknown) =>
    UNLIMITED_FIELDS.has(key) && value === Number.POSITIVE_INFINITY ? 'infinity' : value,
  );
  return Buffer.from(text);
}

/** The inverse of `encodeDefinition`. Throws ERR_LOG_CORRUPT on foreign bytes, ERR_LOG_VERSION on a newer format. */
export function decodeDefinition(bytes: Uint8Array): QueueDefinition {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  let parsed: { format?: unknown; definition?: QueueDefinition } | null;
  try {
    parsed = JSON.parse(text, (key, value: unknown) =>
      UNLIMITED_FIELDS.has(key) && value === 'infinity' ? Number.POSITIVE_INFINITY : value,
    );
  } catch (error) {
    throw new OperationalError('ERR_LOG_CORRUPT', 'the definition of a queue is not JSON', error);
  }
  const format = parsed?.format;
  if (typeof format === 'number' && format > DEFINITION_FORMAT) {
    throw new OperationalError(
      'ERR_LOG_VERSION',
      `the definition of a queue has format ${format} of a newer Sluice; this one reads up to ${DEFINITION_FORMAT}`,
    );
  }
  if (format !== DEFINITION_FORMAT || typeof parsed?.definition !== 'object') {
    throw new OperationalError('ERR_LOG_CORRUPT', 'the definition of a queue is not one');
  }
  // Queues made before there were two windows have one.
  return {
    ...parsed.definition,
    fastMaxInflight: parsed.definition.fastMaxInflight ?? parsed.definition.localMaxInflight,
  };
}

/** See the file header. */
export class ShardControl {
  readonly #loop: ShardLoop;
  readonly #checkpoints: Checkpoints;

  constructor(loop: ShardLoop, log: Log) {
    this.#loop = loop;
    this.#checkpoints = new Checkpoints(log);
  }

  async run(request: Exclude<ControlRequest, { call: 'close' }>): Promise<ControlResult> {
    switch (request.call) {
      case 'create':
        return this.#create(request.definition);
      case 'update':
        return this.#update(request.definition);
      case 'delete':
        return this.#delete(request.definition);
      case 'purge':
        return this.#purge(request.definition);
      case 'hold': {
        const queue = this.#queue(request.definition);
        queue.hold(request.untilMs);
        this.#loop.schedule(queue);
        return undefined;
      }
      case 'discard':
        return this.#discard(request.definition, request.offsets);
      case 'stats':
        this.#loop.flush();
        return this.#stats(this.#queue(request.definition));
      case 'consumers':
        return this.#consumers(this.#queue(request.definition));
      case 'figures':
        this.#loop.flush();
        return packFigures(request.queueIds.map((id) => this.#figures(id)));
      case 'rows':
        return this.#loop.readRows(request.store, request.fromRowId);
      case 'checkpoint':
        return await this.#checkpoints.begin(this.#loop.queues, () => this.#loop.flush());
      case 'checkpointPage':
        return this.#checkpoints.next(request.checkpointId);
      case 'endCheckpoint':
        this.#checkpoints.end();
        return undefined;
      case 'peek': {
        const queue = this.#queue(request.definition);
        this.#loop.flush();
        return peek(
          queue,
          this.#loop,
          this.#loop.entryStates(queue),
          request.afterOffset,
          request.countMax,
          Date.now(),
        );
      }
    }
  }

  #queue(definition: QueueDefinition): Queue {
    const queue = this.#loop.queues.get(definition.id);
    if (queue === undefined) throw new Error(`queue ${definition.name} is not on this shard`);
    return queue;
  }

  async #create(definition: QueueDefinition): Promise<undefined> {
    assert(definition.id < QUEUE_ID_RESERVED_MIN, 'a queue has no reserved id');
    const queue = new Queue(definition, this.#loop);
    await this.#loop.commitNow((batch: LogBatch) =>
      batch.putQueue(definition.id, encodeDefinition(definition)),
    );
    this.#loop.queues.set(definition.id, queue);
    return undefined;
  }

  async #update(definition: QueueDefinition): Promise<undefined> {
    const queue = this.#queue(definition);
    await this.#loop.commitNow((batch) => batch.putQueue(definition.id, encodeDefinition(definition)));
    queue.update(definition);
    this.#loop.evict(queue);
    this.#loop.schedule(queue);
    return undefined;
  }

  async #delete(definition: QueueDefinition): Promise<undefined> {
    // Repeated when an answer was lost: then the queue is gone already, and its records go again.
    const queue = this.#loop.queues.get(definition.id);
    if (queue !== undefined) {
      this.#loop.remove(queue);
      queue.purge();
    }
    await this.#loop.commitNow((batch) => batch.dropQueue(definition.id));
    return undefined;
  }

  async #discard(definition: QueueDefinition, offsets: readonly number[]): Promise<number> {
    const queue = this.#queue(definition);
    const wanted = new Set(offsets);
    let count = queue.discard(wanted, Date.now());
    // What is left could not be read for want of memory.
    if (count < wanted.size && this.#loop.reclaimMemory()) count += queue.discard(wanted, Date.now());
    this.#loop.noteAcks(queue);
    await this.#loop.commitNow((batch) => queue.flushAcks(batch));
    return count;
  }

  async #purge(definition: QueueDefinition): Promise<number> {
    const queue = this.#queue(definition);
    const count = queue.purge();
    await this.#loop.commitNow((batch) => {
      batch.dropQueue(definition.id);
      batch.putQueue(definition.id, encodeDefinition(queue.definition));
    });
    this.#loop.schedule(queue);
    return count;
  }

  #figures(id: number): QueueStats | undefined {
    const queue = this.#loop.queues.get(id);
    return queue === undefined ? undefined : this.#stats(queue);
  }

  /** Acks have been written before. */
  #stats(queue: Queue): QueueStats {
    const { counters, ledger } = queue;
    return {
      queueId: queue.id,
      ready: queue.readyCount,
      readyBytes: ledger.liveBytes - queue.inFlightBytes,
      inFlight: queue.inFlightCount,
      messages: ledger.liveCount,
      bytes: ledger.liveBytes,
      consumers: queue.consumers.size,
      oldestAgeMs: this.#oldestAgeMs(queue),
      stored: counters.stored,
      delivered: counters.delivered,
      acked: counters.acked,
      rejected: counters.rejected,
      redelivered: counters.redelivered,
      expired: counters.expired,
      evicted: counters.evicted,
      overwritten: counters.overwritten,
      refused: counters.refused,
      keyErrors: counters.keyErrors,
      inRate: counters.inRate.perSecond,
      outRate: counters.outRate.perSecond,
    };
  }

  #oldestAgeMs(queue: Queue): number {
    if (queue.ledger.liveCount === 0) return 0;
    const nowMs = Date.now();
    const [oldest] = peek(queue, this.#loop, new Map(), -1, 1, nowMs);
    return oldest === undefined ? 0 : Math.max(0, nowMs - oldest.timestampMs);
  }

  #consumers(queue: Queue): ConsumerStats[] {
    return [...queue.consumers].map((consumer) => ({
      slot: consumer.slot,
      inFlight: Math.max(0, this.#loop.inFlightCounts[consumer.slot] as number),
      window: consumer.window,
      delivered: consumer.delivered,
      acked: consumer.acked,
      rejected: consumer.rejected,
    }));
  }
}
