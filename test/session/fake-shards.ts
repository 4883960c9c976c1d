/**
 * `Shards` without threads and without a log, for tests of the gateway half. Test thread.
 *
 * Always true: publishes settle in the order in which they were written; deliveries respect window, No Local
 * and detach as the real shards promise. `mode` decides whether a publish settles by itself (in a later
 * turn) or when the test says so; `roomBytes` bounds what fits. Dispatch is round robin. Rows are maps.
 */
import type {
  ConsumerStats,
  PeekedMessage,
  QueueDefinition,
  QueueStats,
} from '../../src/queue/definition.js';
import {
  NO_TOKEN,
  PublishStatus,
  type Attachment,
  type Consumer,
  type Delivery,
  type Publisher,
  type PublisherHandle,
  type PublishRanges,
  type RowStore,
  type Shards,
  type ShardState,
} from '../../src/shard/link.js';

/** A message as a queue keeps it. */
export interface FakeMessage {
  readonly topic: string;
  readonly properties: Buffer;
  readonly payload: Buffer;
  readonly flags: number;
  readonly messageExpiryInterval: number;
  readonly from: string;
  readonly offset: number;
  attempt: number;
  rejectedBy: FakeAttachment | undefined;
}

interface Unsettled {
  readonly publisher: FakePublisher;
  readonly token: number;
  readonly shardId: number;
}

class FakePublisher implements PublisherHandle {
  readonly publisher: Publisher;
  isOpen = true;
  constructor(publisher: Publisher) {
    this.publisher = publisher;
  }
  close(): void {
    this.isOpen = false;
  }
}

export class FakeAttachment implements Attachment {
  readonly queueId: number;
  readonly shardId: number;
  readonly slot: number;
  readonly consumer: Consumer;
  readonly inFlight = new Map<number, FakeMessage>();
  readonly acked: number[] = [];
  readonly rejected: [tag: number, reasonCode: number][] = [];
  readonly released: number[] = [];
  isAttached = true;
  readonly #shards: FakeShards;

  constructor(shards: FakeShards, shardId: number, queueId: number, slot: number, consumer: Consumer) {
    this.#shards = shards;
    this.shardId = shardId;
    this.queueId = queueId;
    this.slot = slot;
    this.consumer = consumer;
  }

  ack(tag: number): void {
    this.acked.push(tag);
    this.inFlight.delete(tag);
    this.#shards.pumpLater(this.queueId);
  }

  reject(tag: number, reasonCode: number): void {
    this.rejected.push([tag, reasonCode]);
    const message = this.inFlight.get(tag);
    if (message === undefined) return;
    this.inFlight.delete(tag);
    message.rejectedBy = this;
    this.#shards.queue(this.queueId).unshift(message);
    this.#shards.pumpLater(this.queueId);
  }

  release(tag: number): void {
    this.released.push(tag);
    const message = this.inFlight.get(tag);
    if (message === undefined) return;
    this.inFlight.delete(tag);
    message.attempt--;
    this.#shards.queue(this.queueId).unshift(message);
    this.#shards.pumpLater(this.queueId);
  }

  detach(): void {
    if (!this.isAttached) return;
    this.isAttached = false;
    this.#shards.detached(this);
    this.#shards.queue(this.queueId).unshift(...this.inFlight.values());
    this.inFlight.clear();
    this.#shards.pumpLater(this.queueId);
  }
}

/** See the file header. */
export class FakeShards implements Shards {
  readonly shardCount: number;
  /** 'at-once' settles in the next turn; 'by-hand' waits for `settle`. */
  mode: 'at-once' | 'by-hand' = 'at-once';
  /** Status of everything that settles from now on. */
  status: PublishStatus = PublishStatus.stored;
  /** Most bytes per publish that `hasRoom` grants. */
  roomBytes = Number.POSITIVE_INFINITY;
  /** Most unacked deliveries per consumer that a queue allows. */
  window = 10;
  publishCount = 0;
  readonly attachments: FakeAttachment[] = [];
  readonly openPublishers = new Set<FakePublisher>();
  readonly #queues = new Map<number, FakeMessage[]>();
  readonly #unsettled: Unsettled[] = [];
  readonly #waitingForRoom: (() => void)[] = [];
  readonly #pumps = new Set<number>();
  readonly #cursors = new Map<number, number>();
  /** Rows by shard and store; see `rowsOf`. */
  readonly #rows = new Map<string, Map<number, Uint8Array>>();
  #nextTag = 1;
  #nextOffset = 0;
  #nextRowId = 1;
  #settlesLater = false;

  constructor(shardCount = 1) {
    this.shardCount = shardCount;
  }

  shardOf(topicFilter: string): number {
    let sum = 0;
    for (const char of topicFilter) sum += char.charCodeAt(0);
    return sum % this.shardCount;
  }

  openPublisher(publisher: Publisher): PublisherHandle {
    const handle = new FakePublisher(publisher);
    this.openPublishers.add(handle);
    return handle;
  }

  hasRoom(_shardId: number, bytes: number): boolean {
    return bytes <= this.roomBytes;
  }

  whenRoom(_shardId: number, resume: () => void): void {
    this.#waitingForRoom.push(resume);
  }

  /** Makes room and tells whoever waits. */
  makeRoom(bytes = Number.POSITIVE_INFINITY): void {
    this.roomBytes = bytes;
    for (const resume of this.#waitingForRoom.splice(0)) resume();
  }

  get waitingForRoomCount(): number {
    return this.#waitingForRoom.length;
  }

  publish(
    shardId: number,
    handle: PublisherHandle,
    token: number,
    queueIds: Uint32Array,
    ranges: PublishRanges,
  ): void {
    const publisher = handle as FakePublisher;
    this.publishCount++;
    const isStored = this.status === PublishStatus.stored;
    for (const queueId of isStored ? queueIds : []) {
      this.queue(queueId).push({
        topic: ranges.topicBuffer.toString('utf8', ranges.topicStart, ranges.topicEnd),
        properties: Buffer.from(
          ranges.propertiesBuffer.subarray(ranges.propertiesStart, ranges.propertiesEnd),
        ),
        payload: Buffer.from(ranges.payloadBuffer.subarray(ranges.payloadStart, ranges.payloadEnd)),
        flags: ranges.flags,
        messageExpiryInterval: ranges.messageExpiryInterval,
        from: publisher.publisher.context.clientId,
        offset: this.#nextOffset++,
        attempt: 0,
        rejectedBy: undefined,
      });
      this.pumpLater(queueId);
    }
    this.#settleLater(publisher, token, shardId);
  }

  nextRowId(): number {
    return this.#nextRowId++;
  }

  /** Rows are kept when `status` is stored at this moment, as messages are. */
  putRow(
    shardId: number,
    handle: PublisherHandle,
    token: number,
    store: RowStore,
    rowId: number,
    value: Uint8Array | undefined,
    _joinsPrevious: boolean,
  ): void {
    if (this.status === PublishStatus.stored) {
      const rows = this.rowsOf(shardId, store);
      if (value === undefined) rows.delete(rowId);
      else rows.set(rowId, Uint8Array.from(value));
    }
    this.#settleLater(handle as FakePublisher, token, shardId);
  }

  readRows(
    store: RowStore,
    onRow: (shardId: number, rowId: number, value: Uint8Array) => void,
  ): Promise<void> {
    for (let shardId = 0; shardId < this.shardCount; shardId++) {
      const rows = [...this.rowsOf(shardId, store)].toSorted(([a], [b]) => a - b);
      for (const [rowId, value] of rows) onRow(shardId, rowId, Uint8Array.from(value));
    }
    return Promise.resolve();
  }

  /** The rows of one store in one shard, by id. */
  rowsOf(shardId: number, store: RowStore): Map<number, Uint8Array> {
    const name = `${shardId}/${store}`;
    const rows = this.#rows.get(name) ?? new Map<number, Uint8Array>();
    this.#rows.set(name, rows);
    return rows;
  }

  #settleLater(publisher: FakePublisher, token: number, shardId: number): void {
    if (token === NO_TOKEN) return;
    this.#unsettled.push({ publisher, token, shardId });
    if (this.mode === 'at-once' && !this.#settlesLater) {
      this.#settlesLater = true;
      setImmediate(() => {
        this.#settlesLater = false;
        this.settle();
      });
    }
  }

  get unsettledCount(): number {
    return this.#unsettled.length;
  }

  /** Settles the oldest `count` publishes, optionally of one shard only. */
  settle(count = Number.POSITIVE_INFINITY, status = this.status, shardId = -1): void {
    let left = count;
    for (let at = 0; at < this.#unsettled.length && left > 0;) {
      const { publisher, token, shardId: of } = this.#unsettled[at]!;
      if (shardId >= 0 && of !== shardId) {
        at++;
        continue;
      }
      this.#unsettled.splice(at, 1);
      left--;
      if (publisher.isOpen) publisher.publisher.onSettled(token, 1, status);
    }
  }

  attach(shardId: number, queueId: number, consumer: Consumer): Attachment {
    const attachment = new FakeAttachment(this, shardId, queueId, this.attachments.length, consumer);
    this.attachments.push(attachment);
    this.pumpLater(queueId);
    return attachment;
  }

  detached(attachment: FakeAttachment): void {
    const at = this.attachments.indexOf(attachment);
    if (at >= 0) this.attachments.splice(at, 1);
  }

  /** As after a restart of the worker: unanswered tags are void, their messages come again with new ones. */
  restart(): void {
    for (const attachment of this.attachments) {
      this.queue(attachment.queueId).unshift(...attachment.inFlight.values());
      for (const message of attachment.inFlight.values()) message.attempt = 0;
      attachment.inFlight.clear();
      attachment.consumer.onReattached?.(attachment);
      this.pumpLater(attachment.queueId);
    }
  }

  flush(): void {}

  pump(): void {}

  onHandedOut(_listener: (deliveries: number, isTurnOver: boolean) => void): void {}

  /** What waits in a queue. */
  queue(queueId: number): FakeMessage[] {
    const messages = this.#queues.get(queueId) ?? [];
    this.#queues.set(queueId, messages);
    return messages;
  }

  pumpLater(queueId: number): void {
    if (this.#pumps.has(queueId)) return;
    this.#pumps.add(queueId);
    setImmediate(() => {
      this.#pumps.delete(queueId);
      this.#pump(queueId);
    });
  }

  #pump(queueId: number): void {
    const messages = this.queue(queueId);
    for (let at = 0; at < messages.length;) {
      const message = messages[at]!;
      const attachment = this.#pick(queueId, message);
      if (attachment === undefined) {
        at++;
        continue;
      }
      messages.splice(at, 1);
      message.attempt++;
      const tag = this.#nextTag++;
      attachment.inFlight.set(tag, message);
      attachment.consumer.onDelivery(attachment, tag, deliveryOf(message));
    }
  }

  #pick(queueId: number, message: FakeMessage): FakeAttachment | undefined {
    const all = this.attachments.filter((attachment) => attachment.queueId === queueId);
    const cursor = this.#cursors.get(queueId) ?? 0;
    const fits = ({ consumer, inFlight }: FakeAttachment): boolean =>
      inFlight.size < Math.min(this.window, consumer.inFlightMax) &&
      !(consumer.noLocal && consumer.clientId === message.from);
    for (let i = 0; i < all.length; i++) {
      const candidate = all[(cursor + i) % all.length]!;
      if (!fits(candidate) || (message.rejectedBy === candidate && all.length > 1)) continue;
      this.#cursors.set(queueId, (cursor + i + 1) % all.length);
      return candidate;
    }
    return undefined;
  }

  createQueue(_definition: QueueDefinition): Promise<void> {
    return Promise.resolve();
  }
  updateQueue(_definition: QueueDefinition): Promise<void> {
    return Promise.resolve();
  }
  deleteQueue(definition: QueueDefinition): Promise<void> {
    this.#queues.delete(definition.id);
    return Promise.resolve();
  }
  purgeQueue(definition: QueueDefinition): Promise<number> {
    return Promise.resolve(this.queue(definition.id).splice(0).length);
  }
  queueStats(_definition: QueueDefinition): Promise<QueueStats> {
    return Promise.reject(new Error('the fake keeps no statistics'));
  }
  queueFigures(): Promise<ReadonlyMap<number, Float64Array>> {
    return Promise.resolve(new Map());
  }
  consumerStats(_definition: QueueDefinition): Promise<ConsumerStats[]> {
    return Promise.resolve([]);
  }
  peek(_definition: QueueDefinition, _afterOffset: number, _countMax: number): Promise<PeekedMessage[]> {
    return Promise.resolve([]);
  }
  holdQueue(_definition: QueueDefinition, _milliseconds: number): Promise<void> {
    return Promise.resolve();
  }
  discard(definition: QueueDefinition, offsets: readonly number[]): Promise<number> {
    const held = this.queue(definition.id);
    const left = held.filter(({ offset }) => !offsets.includes(offset));
    return Promise.resolve(held.splice(0, held.length, ...left).length - left.length);
  }
  shardStates(): ShardState[] {
    return [];
  }
  killShard(_shardId: number): void {}
}

/** A delivery over memory of its own that is overwritten after the call, as the real one may be. */
function deliveryOf(message: FakeMessage): Delivery {
  const topic = Buffer.from(message.topic);
  const buffer = Buffer.concat([topic, message.properties, message.payload]);
  setImmediate(() => buffer.fill(0xee));
  const propertiesEnd = topic.length + message.properties.length;
  return {
    buffer,
    topicStart: 0,
    topicEnd: topic.length,
    propertiesStart: topic.length,
    propertiesEnd,
    payloadStart: propertiesEnd,
    payloadEnd: buffer.length,
    flags: message.flags,
    messageExpiryInterval: message.messageExpiryInterval,
    deliveryAttempt: message.attempt,
    offset: message.offset,
  };
}
