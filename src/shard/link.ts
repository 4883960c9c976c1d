/**
 * What the main thread may ask of the shards, and what they call back: the seam between gateway and queues.
 * Main thread. `shard/client.ts` and `shard/pool.ts` implement it; `session` and `broker` use it.
 *
 * Always true: publishes of one link settle in the order in which they were written; a delivery belongs to
 * exactly one attachment; after `detach` no delivery of that attachment arrives any more.
 * A `Delivery` and the buffer behind it are valid only during the call: copy what must outlive it.
 */
export { MessageFlag } from '../log/record-format.js';
import type { ConsumerStats, PeekedMessage, QueueDefinition, QueueStats } from '../queue/definition.js';

/** How a publish ended in one shard. Anything but `stored` means that at least one of its queues does not have it. */
export const PublishStatus = {
  stored: 0,
  /** The log could not be written (disk full, I/O error). */
  storeError: 1,
  /** A queue with `overflow: reject_publish` is full. */
  quotaExceeded: 2,
  /** A key expression failed and the queue's policy is `reject`. */
  keyError: 3,
  /** The shard's worker died before the message was committed, or is down. */
  shardDown: 4,
} as const;
export type PublishStatus = (typeof PublishStatus)[keyof typeof PublishStatus];

/** Durable state that is not a queue; the number is part of the log format. */
export const RowStore = { retained: 0, session: 1, will: 2, received: 3 } as const;
export type RowStore = (typeof RowStore)[keyof typeof RowStore];

/** Who publishes: context that key expressions and `No Local` need. Opened once per connection. */
export interface PublisherContext {
  readonly clientId: string;
  readonly username: string | undefined;
  /** `ip:port` */
  readonly peername: string;
  /** 3 (MQTT 3.1), 4 (3.1.1) or 5. */
  readonly protocolVersion: number;
}

/** Receives the end of publishes. Implemented by a session's inbound half. */
export interface Publisher {
  readonly context: PublisherContext;
  /**
   * `count` publishes with consecutive tokens from `firstToken` (u32, wraps) have settled in one shard.
   * A publish that went to N shards settles N times.
   */
  onSettled(firstToken: number, count: number, status: PublishStatus): void;
}

/** Handle of an open publisher; one per connection, for all shards. */
export interface PublisherHandle {
  /** No `onSettled` is called after this. */
  close(): void;
}

/** One message on its way to a consumer. One reused object; valid only during the call. */
export interface Delivery {
  /** Memory that holds the ranges below (shared memory: copy out, never keep). */
  readonly buffer: Buffer;
  readonly topicStart: number;
  readonly topicEnd: number;
  /** MQTT 5 property bytes without length prefix, without Topic Alias, Subscription Identifier and Message Expiry Interval. */
  readonly propertiesStart: number;
  readonly propertiesEnd: number;
  readonly payloadStart: number;
  readonly payloadEnd: number;
  /** QoS of the original publish (0 to 2) and its retain flag, see `MessageFlag`. */
  readonly flags: number;
  /** Remaining life in seconds, at least 1; 0 = does not expire. */
  readonly messageExpiryInterval: number;
  /** 1 on the first delivery. */
  readonly deliveryAttempt: number;
  /** Low 32 bits of the message's offset in its queue, u32: the same message again has the same. */
  readonly offset: number;
}

/** A queue subscription of a connected client. Implemented by session. */
export interface Consumer {
  readonly clientId: string;
  /** Most unacked messages this client takes: min(Receive Maximum, server maximum). The queue's own window applies as well. */
  readonly inFlightMax: number;
  /** Skip messages that this client published itself (they go to another consumer). */
  readonly noLocal: boolean;
  /** `tag` names the delivery towards `attachment.ack`; the client must answer it or be detached. */
  onDelivery(attachment: Attachment, tag: number, delivery: Delivery): void;
  /** The worker was restarted: unanswered tags of `attachment` are void, and their messages come again. */
  onReattached?(attachment: Attachment): void;
}

/** One consumer attached to one queue. Survives a restart of the worker: it is attached again and unanswered tags become void. */
export interface Attachment {
  readonly queueId: number;
  readonly shardId: number;
  /** Shard-local slot, as in `ConsumerStats`. */
  readonly slot: number;
  /** The message is done. Unknown, void or repeated tags are ignored. */
  ack(tag: number): void;
  /** The consumer refuses it (PUBACK reason code >= 0x80, or 0x10): it goes to another consumer first. */
  reject(tag: number, reasonCode: number): void;
  /** Gives the message back as if never sent (not counted as an attempt): e.g. larger than the client's Maximum Packet Size is a reject instead. */
  release(tag: number): void;
  /** All unanswered deliveries return to the queue at once. */
  detach(): void;
}

/** Where in memory one publish lies; all ranges are read during the call only. */
export interface PublishRanges {
  topicBuffer: Buffer;
  topicStart: number;
  topicEnd: number;
  /** MQTT 5 property bytes without Topic Alias, Subscription Identifier and Message Expiry Interval. */
  propertiesBuffer: Buffer;
  propertiesStart: number;
  propertiesEnd: number;
  payloadBuffer: Buffer;
  payloadStart: number;
  payloadEnd: number;
  flags: number;
  /** 0 = does not expire, else seconds from now. */
  messageExpiryInterval: number;
}

/** A token that asks for no `onSettled` (QoS 0). */
export const NO_TOKEN = 0xffff_ffff;

/** All shards as the gateway sees them. One object per gateway thread. */
export interface Shards {
  readonly shardCount: number;
  /** Shard of a queue with that filter. Pure. */
  shardOf(topicFilter: string): number;
  openPublisher(publisher: Publisher): PublisherHandle;
  /** True when publishes of `bytes` in total fit into that shard's ring now. A shard that is down has room and answers `shardDown`. */
  hasRoom(shardId: number, bytes: number): boolean;
  /** Calls `resume` once, when `hasRoom` may be true again. */
  whenRoom(shardId: number, resume: () => void): void;
  /**
   * Hands one message to the queues `queueIds` of a shard. Call only after `hasRoom` said yes for it.
   * `token` (u32) comes back through `Publisher.onSettled`, except NO_TOKEN.
   */
  publish(
    shardId: number,
    publisher: PublisherHandle,
    token: number,
    queueIds: Uint32Array,
    ranges: PublishRanges,
  ): void;
  /** A row id that was never used, over all shards and restarts. */
  nextRowId(): number;
  /**
   * Stores row `rowId`, or deletes it (undefined). Settles like a publish of `publisher` to this shard; NO_TOKEN asks for
   * nothing. `joinsPrevious`: commits atomically with the frame written just before it, a publish or a row, by the same
   * caller in the same call stack to the same shard. Call after `hasRoom(shardId, value.length + 64)`; what is joined is
   * asked for together. `value` is copied during the call.
   */
  putRow(
    shardId: number,
    publisher: PublisherHandle,
    token: number,
    store: RowStore,
    rowId: number,
    value: Uint8Array | undefined,
    joinsPrevious: boolean,
  ): void;
  /**
   * Hands out every row of a store, shard by shard, in ascending order of id, in bounded memory. `value` may be kept. For
   * the start: what is written meanwhile may or may not be among them. Rejects with ERR_SHARD_DOWN.
   */
  readRows(
    store: RowStore,
    onRow: (shardId: number, rowId: number, value: Uint8Array) => void,
  ): Promise<void>;
  attach(shardId: number, queueId: number, consumer: Consumer): Attachment;
  /** Makes everything written in this event-loop turn visible to the workers. Called by the broker once per turn; also scheduled automatically. */
  flush(): void;
  /**
   * Hands over what was written since the last call and takes in what has come, if anything was written at all. Called
   * after each read of a socket: the shards then work in parallel with the reads that follow, not after all of them.
   */
  pump(): void;
  /**
   * Calls `listener` whenever deliveries or settlements have been handed out, at the end of that reading: the gateway
   * writes its sockets then, instead of one turn later. `isTurnOver` is false within `pump`.
   */
  onHandedOut(listener: (deliveries: number, isTurnOver: boolean) => void): void;

  // Control calls: rare, promises, by message port. They reject with OperationalError ERR_SHARD_DOWN or ERR_LOG_WRITE.
  createQueue(definition: QueueDefinition): Promise<void>;
  updateQueue(definition: QueueDefinition): Promise<void>;
  deleteQueue(definition: QueueDefinition): Promise<void>;
  /** Deletes all messages, also those in flight; resolves with how many. */
  purgeQueue(definition: QueueDefinition): Promise<number>;
  queueStats(definition: QueueDefinition): Promise<QueueStats>;
  /**
   * Figures of these queues by id, in the order of `figureFields`, with few calls; never rejects. Left out are those that
   * their shard does not have or cannot tell about.
   */
  queueFigures(definitions: readonly QueueDefinition[]): Promise<ReadonlyMap<number, Float64Array>>;
  consumerStats(definition: QueueDefinition): Promise<ConsumerStats[]>;
  /** Messages with offset > `afterOffset` (-1 = from the first), oldest first, at most `countMax`. */
  peek(definition: QueueDefinition, afterOffset: number, countMax: number): Promise<PeekedMessage[]>;
  /** Nothing of the queue is handed out for `milliseconds`, or until it is called with 0. */
  holdQueue(definition: QueueDefinition, milliseconds: number): Promise<void>;
  /** Ends messages that wait, by their offsets: the oldest, in a queue that is held. Resolves with how many, once that is safe. */
  discard(definition: QueueDefinition, offsets: readonly number[]): Promise<number>;
  shardStates(): ShardState[];
  /** Ends the worker abruptly, as a crash would; it restarts by itself. For fault drills. */
  killShard(shardId: number): void;
}

/** One shard as operators see it. */
export interface ShardState {
  readonly shardId: number;
  readonly state: 'starting' | 'up' | 'down';
  readonly restarts: number;
  readonly diskBytes: number;
  readonly queues: number;
}

/** Client id behind a consumer slot, for `GET …/consumers`. */
export interface ConsumerDirectory {
  consumerOf(shardId: number, slot: number): Consumer | undefined;
}
