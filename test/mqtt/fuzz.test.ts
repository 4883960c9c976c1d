/**
 * Damaged and random input: the decoder delivers, waits, or throws `ProtocolError`; never anything else, and
 * never more memory than its bound. Quick tier; `SLUICE_TEST_SEED` repeats a run.
 */
import { expect, test } from 'vitest';
import { ProtocolError } from '../../src/base/error.js';
import { Decoder } from '../../src/mqtt/decoder.js';
import type { ProtocolVersion, Role } from '../../src/mqtt/packet-type.js';
import { randomConnect, randomPacket, toBytes } from './packets.js';
import { Random, testSeed } from './random.js';
import { RecordingSink } from './recording-sink.js';

const seed = testSeed();
const versions: readonly ProtocolVersion[] = [3, 4, 5];
const maximumPacketSize = 30_000;

/** Feeds in random chunks; answers whether the input was refused, and what was delivered. */
function feed(random: Random, bytes: Buffer, version: ProtocolVersion | 0, role: Role = 'server') {
  const sink = new RecordingSink();
  const decoder = new Decoder(sink, { maximumPacketSize, role, topicAliasMaximum: 10 });
  if (version !== 0) decoder.setVersion(version);
  const largest = bytes.length > 1000 ? 100_000 : random.pick([1, 10, 100_000]);
  try {
    for (let pos = 0; pos < bytes.length;) {
      const size = Math.min(1 + random.below(largest), bytes.length - pos);
      decoder.write(bytes, pos, pos + size);
      while (decoder.state === 'slice-used') decoder.resume();
      if (decoder.carriedBytes >= maximumPacketSize) expect(decoder.carriedBytes).toBe('bounded');
      pos += size;
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    expect(error.reasonCode).toBeGreaterThanOrEqual(0x81);
    expect(error.clause).toMatch(/^MQTT-[\d.]+-\d+$/);
    expect(decoder.state).toBe('closed');
    return { isRefused: true, seen: sink.seen };
  }
  return { isRefused: false, seen: sink.seen };
}

test(`random bytes end in ProtocolError or waiting, seed ${seed} [MQTT-4.13.1-1]`, () => {
  const random = new Random(seed);
  let refused = 0;
  for (let i = 0; i < 4000; i++) {
    const bytes = random.bytes(1 + random.below(60));
    const version = random.pick([0, ...versions] as const);
    // A valid first byte, so that the run gets past the first check.
    if (version === 0) bytes[0] = 0x10;
    else if (random.chance(0.8))
      bytes[0] = random.pick([0x30, 0x32, 0x3d, 0x40, 0x62, 0x82, 0xa2, 0xe0, 0xf0]);
    if (random.chance(0.8)) bytes[1] = Math.max(0, bytes.length - 2);
    if (feed(random, bytes, version, random.pick(['server', 'client'])).isRefused) refused++;
  }
  expect(refused).toBeGreaterThan(2000);
});

test(`valid packets with one to three changed bytes end in delivery, waiting or ProtocolError, seed ${seed} [MQTT-4.13.1-1]`, () => {
  const random = new Random(seed + 1);
  const outcomes = { refused: 0, taken: 0 };
  for (let i = 0; i < 8000; i++) {
    const version = random.pick(versions);
    const isConnect = random.chance(0.3);
    const packet = isConnect ? randomConnect(random, version) : randomPacket(random, version);
    const bytes = Buffer.from(toBytes(packet, version));
    for (let n = 1 + random.below(3); n > 0; n--) {
      // Mostly in the head, where the structure is.
      const at = random.below(random.chance(0.7) ? Math.min(30, bytes.length) : bytes.length);
      bytes[at] = random.chance(0.5) ? random.below(256) : bytes[at]! ^ (1 << random.below(8));
    }
    const { isRefused, seen } = feed(random, bytes, isConnect ? 0 : version);
    if (isRefused) outcomes.refused++;
    if (seen.length > 0) outcomes.taken++;
  }
  expect(outcomes.refused).toBeGreaterThan(1000);
  expect(outcomes.taken).toBeGreaterThan(1000);
});

test(`every truncation of a packet waits and delivers nothing, seed ${seed} [MQTT-4.2-1]`, () => {
  const random = new Random(seed + 2);
  for (let i = 0; i < 150; i++) {
    const version = random.pick(versions);
    const isConnect = random.chance(0.3);
    const packet = isConnect ? randomConnect(random, version) : randomPacket(random, version);
    const bytes = toBytes(packet, version);
    for (let length = 0; length < Math.min(bytes.length, 400); length++) {
      const result = feed(random, bytes.subarray(0, length), isConnect ? 0 : version);
      if (result.isRefused || result.seen.length > 0) expect([i, length, result]).toBe('waiting');
    }
  }
});

test(`a packet whose length was cut short with its body is refused or shorter, never read beyond, seed ${seed} [MQTT-4.13.1-1]`, () => {
  const random = new Random(seed + 3);
  let refused = 0;
  for (let i = 0; i < 3000; i++) {
    const version = random.pick(versions);
    const isConnect = random.chance(0.3);
    const packet = isConnect ? randomConnect(random, version) : randomPacket(random, version);
    const bytes = Buffer.from(toBytes(packet, version));
    if (bytes.length > 129 || bytes.length < 4) continue;
    const remaining = random.below(bytes[1]!);
    bytes[1] = remaining;
    // What follows belongs to the next packet and must not be touched: it is missing here.
    if (feed(random, bytes.subarray(0, 2 + remaining), isConnect ? 0 : version).isRefused) refused++;
  }
  expect(refused).toBeGreaterThan(300);
});
