/**
 * Shards in memory, for tests of the operator's side: keeps definitions and messages, fails on demand.
 */
import { OperationalError } from '../../src/base/error.js';
import type { QueueStore } from '../../src/broker/queue-service.js';
import type { ShardControl } from '../../src/broker/admin.js';
import type {
  ConsumerStats,
  PeekedMessage,
  QueueDefinition,
  QueueStats,
} from '../../src/queue/definition.js';
import type { ShardState } from '../../src/shard/link.js';
import { figureFields, packFigures } from '../../src/shard/queue-figures.js';

type Call =
  | 'create'
  | 'update'
  | 'delete'
  | 'purge'
  | 'stats'
  | 'consumers'
  | 'peek'
  | 'hold'
  | 'release'
  | 'discard';

/** A message as tests write it; the rest is filled in. */
export function message(offset: number, part: Partial<PeekedMessage> = {}): PeekedMessage {
  return {
    offset,
    topicName: 't/1',
    from: 'publisher',
    qos: 1,
    retain: false,
    timestampMs: 1_700_000_000_000,
    deliveryAttempt: 0,
    state: 'ready',
    properties: new Uint8Array(),
    payload: Buffer.from(`payload-${offset}`),
    ...part,
  };
}

export class FakeShards implements QueueStore, ShardControl {
  /** What the shards hold, by id. */
  readonly stored = new Map<number, QueueDefinition>();
  readonly messages = new Map<number, PeekedMessage[]>();
  readonly consumers = new Map<number, ConsumerStats[]>();
  /** Every call in order, as `create name`. */
  readonly calls: string[] = [];
  readonly killed: number[] = [];
  readonly #failures = new Map<Call, unknown[]>();
  /** When set, every call waits for it after it was noted. */
  gate: Promise<void> | undefined;
  /** A failing call of this kind has been done all the same; only the answer got lost. */
  lostAnswer: Call | undefined;

  /** The next call of that kind fails with `error`. */
  fail(call: Call, error: unknown = new OperationalError('ERR_SHARD_DOWN', 'shard 0 is down')): void {
    this.#failures.set(call, [...(this.#failures.get(call) ?? []), error]);
  }

  shardOf(): number {
    return 0;
  }

  async createQueue(definition: QueueDefinition): Promise<void> {
    await this.#note('create', definition, () => this.stored.set(definition.id, definition));
  }

  async updateQueue(definition: QueueDefinition): Promise<void> {
    await this.#note('update', definition, () => this.stored.set(definition.id, definition));
  }

  async deleteQueue(definition: QueueDefinition): Promise<void> {
    await this.#note('delete', definition, () => this.stored.delete(definition.id));
  }

  async purgeQueue(definition: QueueDefinition): Promise<number> {
    const held = this.messages.get(definition.id) ?? [];
    await this.#note('purge', definition, () => this.messages.delete(definition.id));
    return held.length;
  }

  async queueStats(definition: QueueDefinition): Promise<QueueStats> {
    await this.#note('stats', definition);
    const held = this.messages.get(definition.id) ?? [];
    const ready = held.filter(({ state }) => state === 'ready');
    const size = (list: PeekedMessage[]) => list.reduce((sum, { payload }) => sum + payload.byteLength, 0);
    return {
      queueId: definition.id,
      ready: ready.length,
      readyBytes: size(ready),
      inFlight: held.length - ready.length,
      messages: held.length,
      bytes: size(held),
      consumers: this.consumers.get(definition.id)?.length ?? 0,
      oldestAgeMs: held.length === 0 ? 0 : 1500,
      stored: held.length,
      delivered: 11,
      acked: 12,
      rejected: 13,
      redelivered: 14,
      expired: 15,
      evicted: 16,
      overwritten: 17,
      refused: 18,
      keyErrors: 19,
      inRate: 2.5,
      outRate: 0,
    };
  }

  async queueFigures(definitions: readonly QueueDefinition[]): Promise<ReadonlyMap<number, Float64Array>> {
    const stats = await Promise.allSettled(definitions.map((definition) => this.queueStats(definition)));
    const known = stats.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    const length = figureFields.length;
    const figures = packFigures(known);
    return new Map(
      known.map(({ queueId }, index) => [queueId, figures.subarray(index * length, (index + 1) * length)]),
    );
  }

  async consumerStats(definition: QueueDefinition): Promise<ConsumerStats[]> {
    await this.#note('consumers', definition);
    return this.consumers.get(definition.id) ?? [];
  }

  async peek(definition: QueueDefinition, afterOffset: number, countMax: number): Promise<PeekedMessage[]> {
    await this.#note('peek', definition);
    const held = this.messages.get(definition.id) ?? [];
    return held.filter(({ offset }) => offset > afterOffset).slice(0, countMax);
  }

  async holdQueue(definition: QueueDefinition, milliseconds: number): Promise<void> {
    await this.#note(milliseconds === 0 ? 'release' : 'hold', definition);
  }

  async discard(definition: QueueDefinition, offsets: readonly number[]): Promise<number> {
    const held = this.messages.get(definition.id) ?? [];
    const left = held.filter(({ offset, state }) => state === 'in-flight' || !offsets.includes(offset));
    await this.#note('discard', definition, () => this.messages.set(definition.id, left));
    return held.length - left.length;
  }

  shardStates(): ShardState[] {
    return [
      {
        shardId: 0,
        state: this.killed.includes(0) ? 'down' : 'up',
        restarts: this.killed.length,
        diskBytes: 4096,
        queues: this.stored.size,
      },
    ];
  }

  killShard(shardId: number): void {
    this.killed.push(shardId);
  }

  async #note(call: Call, definition: QueueDefinition, apply: () => void = () => undefined): Promise<void> {
    this.calls.push(`${call} ${definition.name}`);
    await this.gate;
    // A real shard answers in a later turn of the loop.
    await new Promise(setImmediate);
    const failures = this.#failures.get(call) ?? [];
    if (failures.length > 0) {
      if (this.lostAnswer === call) apply();
      throw failures.shift();
    }
    apply();
  }
}
