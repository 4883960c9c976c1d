/** The UTF-8 check against Node's own one and against hand-made bad bytes. Quick tier. */
import { isUtf8 } from 'node:buffer';
import { expect, test } from 'vitest';
import { isMqttUtf8 } from '../../src/mqtt/utf8.js';
import { Random, testSeed } from './random.js';

const seed = testSeed();

function isValid(bytes: readonly number[]): boolean {
  return isMqttUtf8(Uint8Array.from(bytes), 0, bytes.length);
}

test('every code point but U+0000 and the surrogates is accepted [MQTT-1.5.4-1]', () => {
  for (let code = 1; code <= 0x10_ffff; code += code < 0x1_0000 ? 1 : 37) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const bytes = Buffer.from(String.fromCodePoint(code));
    if (!isMqttUtf8(bytes, 0, bytes.length)) expect(code.toString(16)).toBe('accepted');
  }
  expect(isMqttUtf8(Buffer.from([0xf4, 0x8f, 0xbf, 0xbf]), 0, 4)).toBe(true);
});

test('overlong forms, surrogates, stray and missing bytes and values above U+10FFFF are refused [MQTT-1.5.4-1]', () => {
  for (const bytes of [
    [0x80],
    [0xbf],
    [0xc0, 0x80],
    [0xc1, 0xbf],
    [0xc2],
    [0xc2, 0x41],
    [0xe0, 0x80, 0x80],
    [0xe0, 0x9f, 0xbf],
    [0xe1, 0x80],
    [0xe1, 0x80, 0x41],
    [0xed, 0xa0, 0x80],
    [0xed, 0xbf, 0xbf],
    [0xf0, 0x80, 0x80, 0x80],
    [0xf0, 0x8f, 0xbf, 0xbf],
    [0xf1, 0x80, 0x80],
    [0xf1, 0x80, 0x80, 0x41],
    [0xf4, 0x90, 0x80, 0x80],
    [0xf5, 0x80, 0x80, 0x80],
    [0xff],
  ]) {
    expect([bytes, isValid(bytes)]).toEqual([bytes, false]);
    expect([bytes, isValid([0x61, ...bytes])]).toEqual([bytes, false]);
  }
});

test('U+0000 is refused wherever it stands [MQTT-1.5.4-2]', () => {
  expect(isValid([0])).toBe(false);
  expect(isValid([0x61, 0, 0x62])).toBe(false);
  expect(isValid([0xc3, 0xbc, 0])).toBe(false);
});

test('a byte order mark is an ordinary character [MQTT-1.5.4-3]', () => {
  expect(isValid([0xef, 0xbb, 0xbf])).toBe(true);
  expect(isValid([0x61, 0xef, 0xbb, 0xbf, 0x62])).toBe(true);
});

test(`random bytes are judged as Node judges them, seed ${seed} [MQTT-1.5.4-1]`, () => {
  const random = new Random(seed);
  const pieces = ['a', 'ü', '溫', '🚀', '\u{10ffff}'].map((text) => [...Buffer.from(text)]);
  let valid = 0;
  for (let i = 0; i < 20_000; i++) {
    const bytes = Array.from({ length: random.below(6) }, () => random.pick(pieces)).flat();
    if (random.chance(0.5) && bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
    const expected = isUtf8(Uint8Array.from(bytes)) && !bytes.includes(0);
    if (expected) valid++;
    if (isValid(bytes) !== expected) expect(bytes).toBe(expected);
  }
  expect(valid).toBeGreaterThan(5000);
});

test('only the given range is read [broker]', () => {
  const bytes = Buffer.from([0xff, 0x61, 0xc3, 0xbc, 0xff]);
  expect(isMqttUtf8(bytes, 1, 4)).toBe(true);
  expect(isMqttUtf8(bytes, 1, 3)).toBe(false);
  expect(isMqttUtf8(bytes, 2, 2)).toBe(true);
});
