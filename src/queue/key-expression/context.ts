/**
 * What a key expression can see of one message. Shard worker.
 *
 * Always true: every member is read only when the expression uses it, so an implementation may decode
 * lazily behind getters; `KeyExpression.needs` tells beforehand which members will be read.
 * Time and randomness are members too: evaluation has no clock and no dice of its own.
 */

/** The publish at hand. Byte views are read during the call only and never kept. */
export interface KeyContext {
  /** Unique id of the message, as text. */
  readonly id: string;
  readonly qos: number;
  /** Client id of the publisher. */
  readonly from: string;
  readonly dup: boolean;
  readonly retain: boolean;
  readonly topic: string;
  readonly payload: Uint8Array;
  /** When the publish was accepted, ms since the epoch. */
  readonly timestampMs: number;
  /** Undefined when the publisher gave none. */
  readonly username: string | undefined;
  /** `ip:port` of the publisher; undefined when it did not come over a socket. */
  readonly peername: string | undefined;
  /** `ip` of the publisher. */
  readonly peerhost: string | undefined;
  /** 3 (MQTT 3.1), 4 (3.1.1) or 5. */
  readonly protoVer: number;
  /** Attributes of the publishing client; undefined when it has none. */
  readonly clientAttrs: Readonly<Record<string, string>> | undefined;
  /** MQTT 5 properties of the PUBLISH as they came, without the length prefix; empty when there are none. */
  readonly propertyBytes: Uint8Array;
  /** Milliseconds since the epoch, for `timestamp_s` and `timestamp_ms`. */
  nowMs(): number;
  /** Uniform in [0, 1), for `rand_str` and `rand_int`. */
  random(): number;
}

/** A part of `KeyContext` that an expression may read. */
export type KeyPart =
  | 'id'
  | 'qos'
  | 'from'
  | 'flags'
  | 'topic'
  | 'payload'
  | 'timestamp'
  | 'username'
  | 'peer'
  | 'protocol'
  | 'client-attributes'
  | 'properties'
  | 'clock'
  | 'random';
