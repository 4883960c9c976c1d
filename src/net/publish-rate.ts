/**
 * Limits how fast one connection publishes. Main thread.
 *
 *   decoder ─▶ PublishRate ─▶ client          within the rate: passed on
 *                 ╰─ false ─▶ decoder holds, reading pauses ─▶ timer ─▶ resume
 *
 * Always true: it stands between decoder and client only where a rate is configured, so without one it costs nothing; a
 * PUBLISH that the client does not take is not counted; nothing is dropped or overtaken, what lies behind a PUBLISH that
 * is held back waits with it. Gives up: memory over connections, each begins with a burst of one second; one large message
 * may exceed the rate, and the time after it pays.
 */
import { ProtocolError } from '../base/error.js';
import type { Config } from '../config/config.js';
import type { ControlPacket } from '../mqtt/control-frame.js';
import type { PacketSink } from '../mqtt/decoder.js';
import type { AckType } from '../mqtt/packet-type.js';
import type { PropertyScan } from '../mqtt/property-scan.js';
import { reasonCode } from '../mqtt/reason-code.js';
import { slotOf } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';
import { TokenBucket } from './rate-limit.js';

/** What it needs of its connection's surroundings. */
export interface PublishRateHost {
  readonly config: Config;
  readonly counters: Counters;
  readonly clock: { nowMs(): number };
}

const slowedDown = slotOf('publishRateExceeded', 'slow-down');
const disconnected = slotOf('publishRateExceeded', 'disconnect');

/** A connection is not read for at least so long, that it does not wake for every message. */
const pauseMsMin = 10;
/** The longest that a timer waits; what is still owed then is waited for again. */
const pauseMsMax = 1_000_000;

/** True when publishes are limited at all. */
export function limitsPublishes({ publishRateMax, publishBytesRateMax }: Config): boolean {
  return publishRateMax > 0 || publishBytesRateMax > 0;
}

/** See the file header. One per connection. */
export class PublishRate implements PacketSink {
  readonly #sink: PacketSink;
  readonly #host: PublishRateHost;
  readonly #resume: () => void;
  readonly #messages: TokenBucket | undefined;
  readonly #bytes: TokenBucket | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `resume` is called when a PUBLISH that was held back may be offered again. */
  constructor(sink: PacketSink, host: PublishRateHost, resume: () => void) {
    const { publishRateMax, publishBytesRateMax } = host.config;
    const nowMs = host.clock.nowMs();
    this.#sink = sink;
    this.#host = host;
    this.#resume = resume;
    if (publishRateMax > 0) this.#messages = new TokenBucket(publishRateMax, publishRateMax, nowMs);
    if (publishBytesRateMax > 0)
      this.#bytes = new TokenBucket(publishBytesRateMax, publishBytesRateMax, nowMs);
  }

  /** The connection takes no packet any more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  onPublish(
    buffer: Buffer,
    flags: number,
    topicStart: number,
    topicEnd: number,
    packetId: number,
    propertiesStart: number,
    propertiesEnd: number,
    payloadStart: number,
    payloadEnd: number,
    properties: Readonly<PropertyScan>,
  ): boolean {
    const nowMs = this.#host.clock.nowMs();
    const waitMs = Math.max(this.#messages?.waitMs(nowMs) ?? 0, this.#bytes?.waitMs(nowMs) ?? 0);
    if (waitMs > 0) {
      this.#exceeded(waitMs);
      return false;
    }
    const isTaken = this.#sink.onPublish(
      buffer,
      flags,
      topicStart,
      topicEnd,
      packetId,
      propertiesStart,
      propertiesEnd,
      payloadStart,
      payloadEnd,
      properties,
    );
    if (!isTaken) return false;
    this.#messages?.spend(1);
    this.#bytes?.spend(payloadEnd - topicStart);
    return true;
  }

  onAck(
    type: AckType,
    packetId: number,
    reason: number,
    buffer: Buffer,
    propertiesStart: number,
    propertiesEnd: number,
  ): boolean {
    return this.#sink.onAck(type, packetId, reason, buffer, propertiesStart, propertiesEnd);
  }

  onPing(): boolean {
    return this.#sink.onPing();
  }

  onRunEnd(): void {
    this.#sink.onRunEnd();
  }

  onPacket(packet: ControlPacket, frame: Buffer): boolean {
    return this.#sink.onPacket(packet, frame);
  }

  #exceeded(waitMs: number): void {
    const { config, counters } = this.#host;
    if (config.publishRateAction === 'disconnect') {
      counters.add(disconnected, 1);
      throw new ProtocolError(reasonCode.messageRateTooHigh, 'more publishes than the rate allows');
    }
    if (this.#timer !== undefined) return;
    counters.add(slowedDown, 1);
    const pauseMs = Math.min(Math.max(waitMs, pauseMsMin), pauseMsMax);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#resume();
    }, pauseMs);
    this.#timer.unref();
  }
}
