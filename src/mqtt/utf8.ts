/**
 * Strict UTF-8 check on bytes, without decoding. Runs on every thread, no state.
 *
 * True only for well-formed UTF-8 (RFC 3629): no overlong form, no surrogate, nothing above
 * U+10FFFF [MQTT-1.5.4-1], and no U+0000 [MQTT-1.5.4-2]. A byte order mark is an ordinary
 * character [MQTT-1.5.4-3]. Control characters and non-characters are well-formed: the specification only
 * advises against them and leaves it to a server to refuse them (section 1.5.4), which is done for names by
 * `hasControlCharacter` and not for the values of properties. Plain byte loop: MQTT strings are short, and
 * `buffer.isUtf8` needs a view object per call and lets U+0000 pass.
 */

/** True when `buffer[start, end)` is a valid MQTT UTF-8 string body; the empty range is. */
export function isMqttUtf8(buffer: Uint8Array, start: number, end: number): boolean {
  let pos = start;
  while (pos < end) {
    const first = buffer[pos] as number;
    if (first < 0x80) {
      if (first === 0) return false;
      pos += 1;
    } else if (first < 0xe0) {
      // 0x80..0xbf is a stray continuation, 0xc0 and 0xc1 can only be overlong.
      if (first < 0xc2 || pos + 1 >= end || !isContinuation(buffer[pos + 1] as number)) return false;
      pos += 2;
    } else if (first < 0xf0) {
      if (pos + 2 >= end) return false;
      const second = buffer[pos + 1] as number;
      if (!isContinuation(second) || !isContinuation(buffer[pos + 2] as number)) return false;
      if (first === 0xe0 && second < 0xa0) return false; // overlong
      if (first === 0xed && second > 0x9f) return false; // surrogate
      pos += 3;
    } else {
      if (first > 0xf4 || pos + 3 >= end) return false;
      const second = buffer[pos + 1] as number;
      if (
        !isContinuation(second) ||
        !isContinuation(buffer[pos + 2] as number) ||
        !isContinuation(buffer[pos + 3] as number)
      ) {
        return false;
      }
      if (first === 0xf0 && second < 0x90) return false; // overlong
      if (first === 0xf4 && second > 0x8f) return false; // above U+10FFFF
      pos += 4;
    }
  }
  return true;
}

/** True when well-formed UTF-8 has one of U+0000 to U+001F and U+007F to U+009F. */
export function hasControlCharacter(buffer: Uint8Array, start: number, end: number): boolean {
  for (let pos = start; pos < end; pos++) {
    const byte = buffer[pos] as number;
    if (byte < 0x20 || byte === 0x7f || (byte === 0xc2 && (buffer[pos + 1] as number) < 0xa0)) return true;
  }
  return false;
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
