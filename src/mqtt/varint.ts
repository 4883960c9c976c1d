/**
 * Variable Byte Integer: 1 to 4 bytes, 7 bits each, low group first. Every thread, no state.
 *
 * What is written is always the shortest form; what is read must be it too [MQTT-1.5.5-1].
 * A read answers value and width in one number, so that no object is made: the callers
 * read these on every PUBLISH that has properties.
 */
import { malformed } from './reason-code.js';

/** The largest value that four bytes can carry. */
export const varintMax = 268_435_455;

/** Bytes needed for `value`, which must be within 0..`varintMax`. */
export function varintSize(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4;
}

/** Writes `value` at `offset` in its shortest form and returns the offset after it. */
export function writeVarint(target: Uint8Array, offset: number, value: number): number {
  let rest = value;
  let at = offset;
  while (rest > 127) {
    target[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}

/**
 * Reads the value at `offset`; nothing at or after `end` is touched. The caller gets the width
 * from `varintSize(value)`, which is exact because only the shortest form is accepted.
 * Throws `ProtocolError` 0x81 when it is cut off, longer than four bytes or not the shortest.
 */
export function readVarint(buffer: Uint8Array, offset: number, end: number): number {
  let value = 0;
  for (let width = 0; width < 4; width++) {
    const at = offset + width;
    if (at >= end) {
      throw malformed('variable byte integer is cut off');
    }
    const byte = buffer[at] as number;
    value |= (byte & 127) << (7 * width);
    if (byte < 128) {
      if (byte === 0 && width > 0) {
        throw malformed('variable byte integer is not in its shortest form', 'MQTT-1.5.5-1');
      }
      return value;
    }
  }
  throw malformed('variable byte integer is longer than four bytes', 'MQTT-1.5.5-1');
}
