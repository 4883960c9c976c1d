/**
 * Whether a received PUBLISH may be sent on as it came. Every thread, no state.
 *
 * Always true: a frame that is found is byte for byte what `writePublish` would write with the same flags, without
 * packet identifier and without extras. Gives up: frames above 16 KiB, whose copying is not worth a check.
 */
import { varintSize } from './varint.js';

/**
 * Start of the PUBLISH with QoS 0 whose topic is `buffer[topicStart, topicEnd)`, or -1 when its lengths are not in their
 * shortest form, which MQTT 3 clients may send. `first` is its first byte.
 */
export function publishFrameStart(
  buffer: Buffer,
  first: number,
  topicStart: number,
  topicEnd: number,
  propertiesStart: number,
  propertiesEnd: number,
  payloadEnd: number,
): number {
  const lengthBytes = propertiesStart - topicEnd;
  if (lengthBytes > 0 && lengthBytes !== varintSize(propertiesEnd - propertiesStart)) return -1;
  const remaining = payloadEnd - topicStart + 2;
  if (remaining < 0x80) {
    const start = topicStart - 4;
    return buffer[start + 1] === remaining && buffer[start] === first ? start : -1;
  }
  if (remaining >= 0x4000) return -1;
  const start = topicStart - 5;
  return buffer[start + 2] === remaining >> 7 &&
    buffer[start + 1] === ((remaining & 0x7f) | 0x80) &&
    buffer[start] === first
    ? start
    : -1;
}
