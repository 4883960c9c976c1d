/**
 * A live message: on its way through this turn (`LiveMessage`) or kept for a client (`StoredMessage`). Main thread.
 *
 * Always true: a `LiveMessage` is one reused object whose ranges are valid until the publish call returns;
 * `keep` copies it at most once per publish, however many sessions keep it. Property bytes are in stored
 * form: without Topic Alias, Subscription Identifier and Message Expiry Interval.
 * Gives up: sharing between publishes; a kept message is one buffer and one object.
 */
import type { Congestion } from './congestion.js';
import { MessageFlag, type PublishRanges } from '../shard/link.js';

/** A message that outlives its publish: topic, properties and payload in one buffer. */
export interface StoredMessage {
  /** topic at [0, topicEnd), properties up to propertiesEnd, payload up to the end. */
  readonly bytes: Buffer;
  readonly topicEnd: number;
  readonly propertiesEnd: number;
  /** Gateway clock, ms; Infinity = does not expire. */
  readonly expiresAtMs: number;
}

/** Where the parts of a message lie, and its life in seconds (0 = does not expire). */
type Ranges = Readonly<
  Pick<
    PublishRanges,
    | 'topicStart'
    | 'topicEnd'
    | 'propertiesStart'
    | 'propertiesEnd'
    | 'payloadStart'
    | 'payloadEnd'
    | 'messageExpiryInterval'
  >
>;

const none = Buffer.alloc(0);

/** See the file header. */
export class LiveMessage implements PublishRanges {
  topicBuffer: Buffer = none;
  topicStart = 0;
  topicEnd = 0;
  propertiesBuffer: Buffer = none;
  propertiesStart = 0;
  propertiesEnd = 0;
  payloadBuffer: Buffer = none;
  payloadStart = 0;
  payloadEnd = 0;
  flags = 0;
  messageExpiryInterval = 0;
  /** Where the PUBLISH begins that it came in, when that may be sent on as it is; its end is `payloadEnd`. Else -1. */
  frameStart = -1;
  isFrameOfMqtt5 = false;
  /** Copy of this publish, once somebody has asked for it. */
  stored: StoredMessage | undefined = undefined;
  /** A subscriber of this publish that is half full: the publisher waits for it and takes this back. */
  congestion: Congestion | undefined = undefined;

  get qos(): number {
    return this.flags & MessageFlag.qosMask;
  }

  get isRetain(): boolean {
    return (this.flags & MessageFlag.retain) !== 0;
  }

  /** Points at a publish. `source` holds properties and payload; the topic may lie elsewhere (Topic Alias). */
  set(
    topic: Buffer,
    topicStart: number,
    topicEnd: number,
    source: Buffer,
    propertiesStart: number,
    propertiesEnd: number,
    payloadStart: number,
    payloadEnd: number,
    flags: number,
    messageExpiryInterval: number,
  ): void {
    this.topicBuffer = topic;
    this.topicStart = topicStart;
    this.topicEnd = topicEnd;
    this.propertiesBuffer = source;
    this.propertiesStart = propertiesStart;
    this.propertiesEnd = propertiesEnd;
    this.payloadBuffer = source;
    this.payloadStart = payloadStart;
    this.payloadEnd = payloadEnd;
    this.flags = flags;
    this.messageExpiryInterval = messageExpiryInterval;
    this.frameStart = -1;
    this.stored = undefined;
  }

  /** The copy of this publish that may be kept; the same one for every caller of this publish. */
  keep(nowMs: number): StoredMessage {
    if (this.stored !== undefined) return this.stored;
    this.stored = copyOf(this, this.topicBuffer, this.payloadBuffer, nowMs);
    return this.stored;
  }
}

/** A copy of a message that may be kept: `topic` holds its topic, `source` its properties and payload. */
export function copyOf(ranges: Ranges, topic: Buffer, source: Buffer, nowMs: number): StoredMessage {
  const { topicStart, topicEnd, propertiesStart, propertiesEnd, payloadStart, payloadEnd } = ranges;
  const topicBytes = topicEnd - topicStart;
  const propertyBytes = propertiesEnd - propertiesStart;
  const bytes = Buffer.allocUnsafeSlow(topicBytes + propertyBytes + payloadEnd - payloadStart);
  topic.copy(bytes, 0, topicStart, topicEnd);
  source.copy(bytes, topicBytes, propertiesStart, propertiesEnd);
  source.copy(bytes, topicBytes + propertyBytes, payloadStart, payloadEnd);
  const expirySeconds = ranges.messageExpiryInterval;
  return {
    bytes,
    topicEnd: topicBytes,
    propertiesEnd: topicBytes + propertyBytes,
    expiresAtMs: expirySeconds === 0 ? Number.POSITIVE_INFINITY : nowMs + expirySeconds * 1000,
  };
}

/** What is left of a message's life in whole seconds, at least 1; -1 = does not expire; 0 = it has expired. */
export function remainingExpiry(expiresAtMs: number, nowMs: number): number {
  if (expiresAtMs === Number.POSITIVE_INFINITY) return -1;
  return expiresAtMs <= nowMs ? 0 : Math.ceil((expiresAtMs - nowMs) / 1000);
}
