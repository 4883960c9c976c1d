/**
 * A consumer that is attached to a queue of one shard, as its session holds it. Main thread.
 *
 * Always true: after `detach` nothing reaches the consumer any more, and its slot is free again only when the worker
 * has confirmed that it will send no more to it. Answers go to the shard's client, which drops late ones.
 */
import { FRAME_HEADER_BYTES } from '../base/ring.js';
import type { Attachment, Consumer } from './link.js';
import { ATTACH_HEADER_BYTES, ATTACH_NO_LOCAL, FrameType } from './protocol.js';

/** The shard's client, as attachments use it. */
export interface AttachmentOwner {
  readonly shardId: number;
  ack(attachment: ShardAttachment, tag: number): void;
  /** Anything but an ack; `type` is the frame's type word. */
  answer(attachment: ShardAttachment, tag: number, type: number): void;
  detach(attachment: ShardAttachment): void;
}

/** See the file header. */
export class ShardAttachment implements Attachment {
  readonly queueId: number;
  readonly slot: number;
  readonly consumer: Consumer;
  isDetached = false;
  readonly #owner: AttachmentOwner;

  constructor(owner: AttachmentOwner, slot: number, queueId: number, consumer: Consumer) {
    this.#owner = owner;
    this.slot = slot;
    this.queueId = queueId;
    this.consumer = consumer;
  }

  get shardId(): number {
    return this.#owner.shardId;
  }
  ack(tag: number): void {
    this.#owner.ack(this, tag);
  }
  reject(tag: number, reasonCode: number): void {
    this.#owner.answer(this, tag, FrameType.reject | ((reasonCode & 0xff) << 8));
  }
  release(tag: number): void {
    this.#owner.answer(this, tag, FrameType.release);
  }
  detach(): void {
    this.#owner.detach(this);
  }

  /** Body of the frame that attaches it. */
  encode(): Buffer {
    const { inFlightMax, noLocal } = this.consumer;
    const clientId = Buffer.from(this.consumer.clientId);
    const header = Buffer.alloc(ATTACH_HEADER_BYTES - FRAME_HEADER_BYTES);
    header.writeUInt32LE(this.slot, 0);
    header.writeUInt32LE(this.queueId, 4);
    header.writeUInt32LE(inFlightMax, 8);
    header.writeUInt32LE(noLocal ? ATTACH_NO_LOCAL : 0, 12);
    header.writeUInt32LE(clientId.length, 16);
    return Buffer.concat([header, clientId]);
  }
}
