/** CRC-32C against the values of RFC 3720 B.4 and a bitwise oracle. */
import { expect, test } from 'vitest';
import { crc32c } from '../../src/log/crc32c.js';

function bitwise(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f6_3b78;
  }
  return ~crc >>> 0;
}

test('the CRC-32C of known inputs has its published value [broker]', () => {
  expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe306_9283);
  expect(crc32c(Buffer.alloc(32), 0, 32)).toBe(0x8a91_36aa);
  expect(crc32c(Buffer.alloc(32, 0xff), 0, 32)).toBe(0x62a8_ab43);
});

test('eight bytes per step give the same CRC-32C as bit by bit, at every length and start [broker]', () => {
  const bytes = Buffer.from(Array.from({ length: 200 }, (_, index) => (index * 89 + 7) & 0xff));
  for (let start = 0; start < 9; start += 1) {
    for (let end = start; end < 120; end += 1)
      expect(crc32c(bytes, start, end)).toBe(bitwise(bytes.subarray(start, end)));
  }
});
