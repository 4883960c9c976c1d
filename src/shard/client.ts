/**
 * The main thread's end of one shard: writes publishes, acks and attachments into the ring, reads settlements and
 * deliveries out of the other. One instance per shard; it survives restarts of the worker.
 *
 * Always true: a run of publishes of one publisher to the same queues shares one frame, so the worker copies and settles
 * whole runs; acks of a turn share one frame; nothing written is visible before `flush`. Publishes use at most 7/8 of
 * the ring; what must not fail (acks, attach, detach) may use the rest and waits here, in order, should even that be full.
 * When the worker dies every unsettled publish is settled as `shardDown`, and consumers are attached again to the next.
 */
import { assert } from '../base/error.js';
import { RingReader, RingWriter, FRAME_HEADER_BYTES } from '../base/ring.js';
import { RecordWord, bodyStart } from '../log/record-format.js';
import { ShardAttachment, type AttachmentOwner } from './attachment.js';
import {
  NO_TOKEN,
  PublishStatus,
  type Attachment,
  type Consumer,
  type Delivery,
  type PublishRanges,
  type RowStore,
} from './link.js';
import { slotOf } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';
import type { OpenPublisher } from './open-publisher.js';
import { Outstanding } from './outstanding.js';
import {
  CONSUMER_SLOTS_MAX,
  FRAME_TYPE_MASK,
  FrameType,
  JOINED_BIT,
  PUBLISH_FRAME_BYTES_MAX,
  ROW_DELETE_BIT,
  ROW_HEADER_BYTES,
  SETTLE_BIT,
  publishRecordsAt,
} from './protocol.js';
import { RecordWriter } from './record-writer.js';

const ACKS_PER_FRAME_MAX = 4096;
/** One message in 64 of a queue is timed. */
const SAMPLE_MASK = 63;
/** The time of the publish in a record, as an index into f64 from the record's start. */
const PUBLISHED_AT_F64 = 4;
/** Counts every PUBLISH that is written to a client. */
const PUBLISHES_WRITTEN = slotOf('packetsSent', 'publish');
const TWO_32 = 0x1_0000_0000;
/** Room beside the record itself and the frame that opens its publisher: frame header, queue ids of a usual publish. */
const PUBLISH_SLACK_BYTES = 4096;

/** Memory that one incarnation of a worker shares with the main thread. */
export interface ShardMemory {
  readonly toWorker: SharedArrayBuffer;
  readonly toMain: SharedArrayBuffer;
  readonly arena: SharedArrayBuffer;
  readonly inFlightCounts: SharedArrayBuffer;
}

/** Mutable form of the delivery that is handed to consumers; one per client, reused. */
type ReusedDelivery = { -readonly [K in keyof Delivery]: Delivery[K] };

/** Token that continues a run that is to be settled; -1 where none can, because NO_TOKEN lies there. */
function tokenAfter(token: number): number {
  return token + 1 === NO_TOKEN ? -1 : token + 1;
}

/** Body of a frame of one word. */
function wordOf(value: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt32LE(value, 0);
  return body;
}

/** See the file header. */
export class ShardClient implements AttachmentOwner {
  readonly shardId: number;
  /** Called when something was written and a flush is due this turn. */
  readonly #onWritten: () => void;
  readonly #counters: Counters | undefined;
  #state: 'up' | 'down' = 'down';
  /** Counts incarnations from 1; the worker's tags carry it modulo 15. */
  #incarnation = 0;
  #out!: RingWriter;
  #in!: RingReader;
  #arenaWords!: Uint32Array;
  #arenaF64!: Float64Array;
  #counts!: Int32Array;
  #publishFillMax = 0;
  /** Room beside the records that a publish may need. */
  #slackBytes = PUBLISH_SLACK_BYTES;
  readonly #outstanding = new Outstanding();
  readonly #records = new RecordWriter();
  /**
   * The publish or row frame that was written last, if nothing came after it. A publish frame may still grow: its shape,
   * and the token that would come next. A row has no publisher here, so that it cannot.
   */
  #openFrameAt = -1;
  #openPublisher: OpenPublisher | null = null;
  #openQueueIds: Uint32Array | null = null;
  #openNextToken = 0;
  readonly #acks = new Uint32Array(ACKS_PER_FRAME_MAX);
  #ackCount = 0;
  /** Frames that must not be lost and did not fit: written in order before anything else. */
  readonly #overflow: { readonly type: number; readonly body: Uint8Array }[] = [];
  readonly #attachments: (ShardAttachment | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  /** Publishes taken while the worker is down, to be settled as such at the next flush. */
  #failNext = false;
  #waiters: (() => void)[] = [];
  readonly #delivery: ReusedDelivery = {
    buffer: Buffer.alloc(0),
    topicStart: 0,
    topicEnd: 0,
    propertiesStart: 0,
    propertiesEnd: 0,
    payloadStart: 0,
    payloadEnd: 0,
    flags: 0,
    messageExpiryInterval: 0,
    deliveryAttempt: 0,
    offset: 0,
  };

  /** `counters` are those of the main thread; left out, no times are taken. */
  constructor(shardId: number, onWritten: () => void, counters?: Counters) {
    this.shardId = shardId;
    this.#counters = counters;
    this.#onWritten = onWritten;
  }

  get state(): 'up' | 'down' {
    return this.#state;
  }

  /** Epoch for the tags of the worker that is being started next. */
  get nextEpoch(): number {
    return (this.#incarnation % 15) + 1;
  }

  get #epoch(): number {
    return ((this.#incarnation - 1) % 15) + 1;
  }

  /** A new worker is ready behind `memory`: everyone is attached again. */
  up(memory: ShardMemory): void {
    // What was taken while the worker was down belongs to no frame of the new ring.
    if (this.#failNext) this.#failOutstanding();
    this.#incarnation++;
    this.#out = new RingWriter(memory.toWorker);
    this.#in = new RingReader(memory.toMain);
    this.#arenaWords = new Uint32Array(memory.arena);
    this.#arenaF64 = new Float64Array(memory.arena);
    this.#delivery.buffer = Buffer.from(memory.arena);
    this.#counts = new Int32Array(memory.inFlightCounts);
    this.#publishFillMax = (this.#out.sizeBytes / 8) * 7;
    this.#state = 'up';
    this.#ackCount = 0;
    this.#overflow.length = 0;
    this.#openFrameAt = -1;
    for (const attachment of this.#attachments) {
      if (attachment === undefined) continue;
      attachment.consumer.onReattached?.(attachment);
      this.#send(FrameType.attach, attachment.encode());
    }
    this.#runWaiters();
    this.#onWritten();
  }

  /** The worker is gone. What it settled before counts; the rest is lost to the publishers' knowledge. */
  down(): void {
    if (this.#state === 'down') return;
    this.drain();
    this.#state = 'down';
    this.#openFrameAt = -1;
    this.#failOutstanding();
    this.#attachments.forEach((attachment, slot) => {
      if (attachment?.isDetached === true) this.#freeSlot(slot);
    });
    this.#runWaiters();
  }

  #failOutstanding(): void {
    this.#failNext = false;
    while (this.#outstanding.size > 0) this.#outstanding.settle(PublishStatus.shardDown);
  }

  // ── publishing ─────────────────────────────────────────────────────────────────────────────────────────────────

  hasRoom(bytes: number): boolean {
    if (this.#state === 'down') return true;
    // What waits for room goes first, or a publish could overtake the frame that opens its publisher.
    return this.#overflow.length === 0 && this.#out.hasRoom(bytes + this.#slackBytes, this.#publishFillMax);
  }

  /** This publisher may publish here: from now on `hasRoom` counts the frame that opens it. */
  expect(handle: OpenPublisher): void {
    this.#slackBytes = Math.max(this.#slackBytes, PUBLISH_SLACK_BYTES + handle.frameBytesMax);
  }

  /** Calls `resume` when room may have come. */
  whenRoom(resume: () => void): void {
    this.#waiters.push(resume);
    if (this.#state === 'down' || this.#out.requestRoom()) setImmediate(() => this.#runWaiters());
  }

  #runWaiters(): void {
    if (this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resume of waiters) resume();
  }

  /** See `Shards.publish`. Cost: one copy of the packet's body, a few word writes. */
  publish(
    handle: OpenPublisher,
    token: number,
    queueIds: Uint32Array,
    ranges: PublishRanges,
    nowMs: number,
  ): void {
    this.#onWritten();
    const wantsSettlement = token !== NO_TOKEN;
    if (this.#state === 'down') {
      if (wantsSettlement) this.#outstanding.push(handle, token, 1);
      this.#failNext = true;
      return;
    }
    if (handle.knownTo[this.shardId] !== this.#incarnation) {
      this.#send(FrameType.openPublisher, handle.encode());
      handle.knownTo[this.shardId] = this.#incarnation;
    }
    const { clientId } = handle;
    const bytes = this.#records.measure(ranges, clientId);
    const at = this.#reserveRecord(handle, wantsSettlement, token, queueIds, bytes);
    this.#records.write(this.#out, at, bytes, ranges, clientId, nowMs);
  }

  /** Place for one more record: at the end of the open frame if it is the same run, else in a new frame. */
  #reserveRecord(
    handle: OpenPublisher,
    settle: boolean,
    token: number,
    queueIds: Uint32Array,
    bytes: number,
  ): number {
    const out = this.#out;
    const frameAt = this.#openFrameAt;
    if (
      frameAt >= 0 &&
      this.#openPublisher === handle &&
      this.#openQueueIds === queueIds &&
      this.#openNextToken === token &&
      (out.words[frameAt >> 2] as number) + bytes <= PUBLISH_FRAME_BYTES_MAX
    ) {
      const at = out.extend(frameAt, bytes, this.#publishFillMax);
      if (at >= 0) {
        out.words[(frameAt >> 2) + 3] = (out.words[(frameAt >> 2) + 3] as number) + 1;
        if (settle) {
          this.#outstanding.extendLast();
          this.#openNextToken = tokenAfter(token);
        }
        return at;
      }
    }
    assert(queueIds.length <= 0xffff, 'there are at most 65,535 queues');
    const recordsAt = publishRecordsAt(queueIds.length);
    const type = FrameType.publish | (queueIds.length << 8) | (settle ? SETTLE_BIT : 0);
    const at = out.reserve(recordsAt + bytes, type, this.#publishFillMax);
    assert(at >= 0, 'a publish is written after hasRoom said yes');
    const word = at >> 2;
    out.words[word + 2] = handle.slot;
    out.words[word + 3] = 1;
    for (let i = 0; i < queueIds.length; i++) out.words[word + 4 + i] = queueIds[i] as number;
    this.#openFrameAt = at;
    this.#openPublisher = handle;
    this.#openQueueIds = queueIds;
    this.#openNextToken = settle ? tokenAfter(token) : NO_TOKEN;
    if (settle) this.#outstanding.push(handle, token, 1);
    return at + recordsAt;
  }

  /** See `Shards.putRow`. Cost: one copy of the value. */
  putRow(
    handle: OpenPublisher,
    token: number,
    store: RowStore,
    rowId: number,
    value: Uint8Array | undefined,
    joinsPrevious: boolean,
  ): void {
    this.#onWritten();
    const wantsSettlement = token !== NO_TOKEN;
    if (this.#state === 'down') {
      if (wantsSettlement) this.#outstanding.push(handle, token, 1);
      this.#failNext = true;
      return;
    }
    const out = this.#out;
    if (joinsPrevious) {
      assert(this.#openFrameAt >= 0, 'a row joins a frame that was written just before it');
      const typeWord = (this.#openFrameAt >> 2) + 1;
      out.words[typeWord] = (out.words[typeWord] as number) | JOINED_BIT;
    }
    const bytes = ROW_HEADER_BYTES + (value === undefined ? 0 : value.length);
    const flags = (wantsSettlement ? SETTLE_BIT : 0) | (value === undefined ? ROW_DELETE_BIT : 0);
    const at = out.reserve(bytes, FrameType.row | (store << 8) | flags, this.#publishFillMax);
    assert(at >= 0, 'a row is written after hasRoom said yes');
    const word = at >> 2;
    out.words[word + 2] = rowId;
    out.words[word + 3] = rowId / TWO_32;
    if (value !== undefined) out.bytes.set(value, at + ROW_HEADER_BYTES);
    this.#openFrameAt = at;
    this.#openPublisher = null;
    if (wantsSettlement) this.#outstanding.push(handle, token, 1);
  }

  /** The publisher's connection has ended. */
  closePublisher(handle: OpenPublisher): void {
    if (this.#state === 'down' || handle.knownTo[this.shardId] !== this.#incarnation) return;
    this.#send(FrameType.closePublisher, wordOf(handle.slot));
  }

  // ── consuming ──────────────────────────────────────────────────────────────────────────────────────────────────

  attach(queueId: number, consumer: Consumer): Attachment {
    const slot = this.#freeSlots.pop() ?? this.#attachments.length;
    assert(slot < CONSUMER_SLOTS_MAX, 'consumer slots are not used up');
    const attachment = new ShardAttachment(this, slot, queueId, consumer);
    this.#attachments[slot] = attachment;
    if (this.#state === 'up') this.#send(FrameType.attach, attachment.encode());
    return attachment;
  }

  consumerOf(slot: number): Consumer | undefined {
    return this.#attachments[slot]?.consumer;
  }

  detach(attachment: ShardAttachment): void {
    if (attachment.isDetached) return;
    attachment.isDetached = true;
    if (this.#state === 'down') {
      this.#freeSlot(attachment.slot);
      return;
    }
    this.#send(FrameType.detach, wordOf(attachment.slot));
  }

  #freeSlot(slot: number): void {
    this.#attachments[slot] = undefined;
    this.#freeSlots.push(slot);
    if (this.#incarnation > 0) Atomics.store(this.#counts, slot, 0);
  }

  ack(attachment: ShardAttachment, tag: number): void {
    if (!this.#isCurrent(attachment, tag)) return;
    // Credit first: the worker sees it even before it reads the frame.
    Atomics.sub(this.#counts, attachment.slot, 1);
    if (this.#ackCount === ACKS_PER_FRAME_MAX) this.#flushAcks();
    this.#acks[this.#ackCount++] = tag;
    this.#onWritten();
  }

  /** Anything but an ack. */
  answer(attachment: ShardAttachment, tag: number, type: number): void {
    if (!this.#isCurrent(attachment, tag)) return;
    Atomics.sub(this.#counts, attachment.slot, 1);
    this.#send(type, wordOf(tag));
  }

  #isCurrent(attachment: ShardAttachment, tag: number): boolean {
    return this.#state === 'up' && !attachment.isDetached && tag >>> 28 === this.#epoch;
  }

  // ── frames ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Writes a frame that must not be lost; acks gathered so far go before it. */
  #send(type: number, body: Uint8Array): void {
    this.#flushAcks();
    this.#openFrameAt = -1;
    if (this.#overflow.length > 0 || !this.#write(type, body)) this.#overflow.push({ type, body });
    this.#onWritten();
  }

  #write(type: number, body: Uint8Array): boolean {
    const at = this.#out.reserve(FRAME_HEADER_BYTES + body.length, type, this.#out.sizeBytes);
    if (at < 0) return false;
    this.#out.bytes.set(body, at + FRAME_HEADER_BYTES);
    return true;
  }

  #flushAcks(): void {
    if (this.#ackCount === 0) return;
    const acks = this.#acks.subarray(0, this.#ackCount);
    this.#ackCount = 0;
    this.#openFrameAt = -1;
    const body = new Uint8Array(acks.buffer, acks.byteOffset, acks.byteLength);
    if (this.#overflow.length > 0 || !this.#write(FrameType.acks, body)) {
      this.#overflow.push({ type: FrameType.acks, body: new Uint8Array(body) });
    }
  }

  /** Makes everything written visible. Returns true when the worker sleeps and needs a doorbell. */
  flush(): boolean {
    if (this.#state === 'down') {
      if (this.#failNext) this.#failOutstanding();
      return false;
    }
    this.#flushAcks();
    let written = 0;
    while (written < this.#overflow.length) {
      const { type, body } = this.#overflow[written] as { type: number; body: Uint8Array };
      if (!this.#write(type, body)) break;
      written++;
    }
    if (written > 0) this.#overflow.splice(0, written);
    if (this.#overflow.length > 0 && this.#out.requestRoom()) this.#onWritten();
    this.#openFrameAt = -1;
    return this.#out.publish();
  }

  /** Declares this side asleep; false when frames came meanwhile. */
  sleep(): boolean {
    return this.#state === 'down' || !this.#in.sleep();
  }

  /** The worker rang: there may be room, and frames. */
  onDoorbell(): void {
    this.#runWaiters();
    if (this.#overflow.length > 0) this.#onWritten();
  }

  /** Reads everything the worker has published. Returns the number of frames; `ring` is true when it waits for room. */
  drain(): { frames: number; deliveries: number; ring: boolean } {
    if (this.#state === 'down') return { frames: 0, deliveries: 0, ring: false };
    const ring = this.#in;
    const { words } = ring;
    let frames = 0;
    let deliveries = 0;
    for (;;) {
      const at = ring.next();
      if (at < 0) break;
      frames++;
      const word = at >> 2;
      switch ((words[word + 1] as number) & FRAME_TYPE_MASK) {
        case FrameType.deliver:
          this.#deliver(words, word);
          deliveries++;
          break;
        case FrameType.settled:
          for (let count = words[word + 2] as number; count > 0; count--)
            this.#outstanding.settle(PublishStatus.stored);
          break;
        case FrameType.settledPartly:
          this.#outstanding.settlePartly(words, word + 3, words[word + 2] as number);
          break;
        case FrameType.detached:
          this.#freeSlot(words[word + 2] as number);
          break;
        default:
          assert(false, 'frame has a known type');
      }
    }
    return { frames, deliveries, ring: frames > 0 && ring.release() };
  }

  #deliver(words: Uint32Array, word: number): void {
    const attachment = this.#attachments[words[word + 2] as number];
    // Detached meanwhile: the worker has it back, or will when it reads the detach.
    if (attachment === undefined || attachment.isDetached) return;
    const recordAt = words[word + 4] as number;
    const record = this.#arenaWords;
    const at = recordAt >> 2;
    const body = bodyStart(record, recordAt);
    const delivery = this.#delivery;
    const first = record[at + RecordWord.flagsAndTopicLength] as number;
    const propertiesStart = body + (record[at + RecordWord.propertiesStart] as number);
    delivery.flags = first & 0xff;
    delivery.topicStart = body;
    delivery.topicEnd = body + (first >>> 16);
    delivery.propertiesStart = propertiesStart;
    delivery.propertiesEnd = propertiesStart + (record[at + RecordWord.propertiesLength] as number);
    delivery.payloadStart = body + (record[at + RecordWord.payloadStart] as number);
    delivery.payloadEnd = body + (record[at + RecordWord.bodyLength] as number);
    delivery.deliveryAttempt = words[word + 5] as number;
    delivery.messageExpiryInterval = words[word + 6] as number;
    delivery.offset = words[word + 7] as number;
    const tag = words[word + 3] as number;
    if ((delivery.offset & SAMPLE_MASK) === 0 && delivery.deliveryAttempt === 1) {
      this.#deliverTimed(attachment, tag, recordAt);
    } else {
      attachment.consumer.onDelivery(attachment, tag, delivery);
    }
  }

  /** A message that was not written at once (held, rejected, given back) has no time of delivery. */
  #deliverTimed(attachment: ShardAttachment, tag: number, recordAt: number): void {
    const counters = this.#counters;
    // The answer to what is written may come within the call and free the record.
    const publishedAtMs = this.#arenaF64[(recordAt >> 3) + PUBLISHED_AT_F64] as number;
    const before = counters?.get(PUBLISHES_WRITTEN);
    attachment.consumer.onDelivery(attachment, tag, this.#delivery);
    if (counters === undefined || counters.get(PUBLISHES_WRITTEN) === before) return;
    counters.observe('publishDeliverySeconds', Math.max(0, Date.now() - publishedAtMs) / 1000);
  }
}
