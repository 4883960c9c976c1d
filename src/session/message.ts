/**
 * A live message: on its way through this turn (`LiveMessage`) or kept for a client (`StoredMessage`). Main thread.
 *
 * Always true: a `LiveMessage` is one reused object whose ranges are valid until the publish call returns;
 * it is copied at most once per publish and kind of copy, however many sessions keep it. Property bytes are in stored
 * form: without Topic Alias, Subscription Identifier and Message Expiry Interval.
 * Gives up: sharing between publishes; a kept message is one buffer and one object.
 */
import type { Congestion } from './congestion.js';
import type { Clock } from './context.js';
import { copyRange } from '../mqtt/bytes.js';
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

/** Memory of a copy that may be kept for long. */
export const ownMemory = (bytes: number): Buffer => Buffer.allocUnsafeSlow(bytes);
/** Memory of a copy that is given up soon: up to 4 KiB a part of a slab of 8 KiB, which it keeps alive. */
const slabMemory = (bytes: number): Buffer => Buffer.allocUnsafe(bytes);

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
  #inFlight: StoredMessage | undefined = undefined;
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
    this.#inFlight = undefined;
  }

  /** The copy of this publish that may be kept; the same one for every caller of this publish. */
  keep(clock: Clock): StoredMessage {
    this.stored ??= copyOf(this, this.topicBuffer, this.payloadBuffer, clock, ownMemory);
    return this.stored;
  }

  /** The same until a client answers: windows bound how many there are, and a buffer of its own costs 2 µs and more. */
  keepInFlight(clock: Clock): StoredMessage {
    this.#inFlight ??= this.stored ?? copyOf(this, this.topicBuffer, this.payloadBuffer, clock, slabMemory);
    return this.#inFlight;
  }
}

/** A copy of a message: `topic` holds its topic, `source` its properties and payload. */
export function copyOf(
  ranges: Ranges,
  topic: Buffer,
  source: Buffer,
  clock: Clock,
  allocate: (bytes: number) => Buffer,
): StoredMessage {
  const { topicStart, topicEnd, propertiesStart, propertiesEnd, payloadStart, payloadEnd } = ranges;
  const topicBytes = topicEnd - topicStart;
  const propertyBytes = propertiesEnd - propertiesStart;
  const bytes = allocate(topicBytes + propertyBytes + payloadEnd - payloadStart);
  copyRange(topic, topicStart, topicEnd, bytes, 0);
  copyRange(source, propertiesStart, propertiesEnd, bytes, topicBytes);
  copyRange(source, payloadStart, payloadEnd, bytes, topicBytes + propertyBytes);
  const expirySeconds = ranges.messageExpiryInterval;
  return {
    bytes,
    topicEnd: topicBytes,
    propertiesEnd: topicBytes + propertyBytes,
    expiresAtMs: expirySeconds === 0 ? Number.POSITIVE_INFINITY : clock.nowMs() + expirySeconds * 1000,
  };
}

/** What is left of a message's life in whole seconds, at least 1; -1 = does not expire; 0 = it has expired. */
export function remainingExpiry(expiresAtMs: number, nowMs: number): number {
  if (expiresAtMs === Number.POSITIVE_INFINITY) return -1;
  return expiresAtMs <= nowMs ? 0 : Math.ceil((expiresAtMs - nowMs) / 1000);
}
