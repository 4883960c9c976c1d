/** Frames that may be sent on as they came, against the encoder. Quick tier. */
import { expect, test } from 'vitest';

import { noExtras, writePublish } from '../../src/mqtt/encoder.js';
import { packetType, type ProtocolVersion } from '../../src/mqtt/packet-type.js';
import { publishFrameStart } from '../../src/mqtt/publish-frame.js';
import { varintSize } from '../../src/mqtt/varint.js';
import { Random, testSeed } from './random.js';

const seed = testSeed();
const versions: readonly ProtocolVersion[] = [3, 4, 5];
const topic = Buffer.from('some/topic');

/** A PUBLISH with QoS 0 somewhere in a buffer, and where its parts lie. */
function frame(version: ProtocolVersion, flags: number, propertyBytes: number, payloadBytes: number) {
  const source = Buffer.alloc(propertyBytes + payloadBytes, 0x55);
  const buffer = Buffer.alloc(source.length + 100, 0x30);
  const start = 17;
  const end = writePublish(
    buffer,
    start,
    version,
    flags,
    0,
    topic,
    0,
    topic.length,
    source,
    0,
    propertyBytes,
    propertyBytes,
    source.length,
    noExtras,
  );
  const payloadStart = end - payloadBytes;
  const propertiesStart = version === 5 ? payloadStart - propertyBytes : payloadStart;
  const topicEnd = version === 5 ? propertiesStart - varintSize(propertyBytes) : payloadStart;
  return { buffer, start, end, topicStart: topicEnd - topic.length, topicEnd, propertiesStart, payloadStart };
}

test(`the start of what the encoder wrote is found up to 16 KiB, seed ${seed} [broker]`, () => {
  const random = new Random(seed);
  for (let round = 0; round < 3000; round++) {
    const version = random.pick(versions);
    const flags = random.below(2);
    const wanted = random.pick([random.below(200), random.below(40_000)]);
    const propertyBytes = version === 5 ? random.pick([0, 5, 127, 128, 300]) : 0;
    const { buffer, start, end, topicStart, topicEnd, propertiesStart, payloadStart } = frame(
      version,
      flags,
      propertyBytes,
      wanted,
    );
    const found = publishFrameStart(
      buffer,
      (packetType.publish << 4) | flags,
      topicStart,
      topicEnd,
      propertiesStart,
      payloadStart,
      end,
    );
    const isSmall = end - topicStart + 2 < 16_384;
    expect(found, `version ${version}, ${wanted} bytes`).toBe(isSmall ? start : -1);
  }
});

test('other flags, and lengths in more bytes than they need, are no frame to send on [MQTT-1.5.5-1]', () => {
  for (const payloadBytes of [0, 10, 500]) {
    const { buffer, start, end, topicStart, topicEnd } = frame(4, 0, 0, payloadBytes);
    const ask = (first: number) =>
      publishFrameStart(buffer, first, topicStart, topicEnd, topicEnd, topicEnd, end);
    expect(ask(0x30)).toBe(start);
    expect(ask(0x31)).toBe(-1);
    const remaining = end - topicStart + 2;
    // The same packet with a length of four bytes.
    const longer = [0x30, (remaining & 0x7f) | 0x80, (remaining >> 7) | 0x80, 0x80, 0x00];
    longer.forEach((byte, index) => (buffer[topicStart - 2 - longer.length + index] = byte));
    expect(ask(0x30)).toBe(-1);
  }
  const { buffer, topicStart, end } = frame(4, 0, 0, 10);
  const atFront = buffer.subarray(topicStart - 2, end);
  expect(publishFrameStart(atFront, 0x30, 2, 12, 12, 12, atFront.length)).toBe(-1);
});

test('an own length of properties in more bytes than it needs is no frame to send on [MQTT-1.5.5-1]', () => {
  const { buffer, start, end, topicStart, topicEnd, propertiesStart } = frame(5, 0, 5, 10);
  expect(
    publishFrameStart(buffer, 0x30, topicStart, topicEnd, propertiesStart, propertiesStart + 5, end),
  ).toBe(start);
  expect(
    publishFrameStart(buffer, 0x30, topicStart, topicEnd, propertiesStart + 1, propertiesStart + 5, end),
  ).toBe(-1);
});
