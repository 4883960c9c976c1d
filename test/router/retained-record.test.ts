/** Rows of retained messages: what is written is read, and nothing else is taken for a message. Quick tier. */
import { describe, expect, test } from 'vitest';
import { decodeRetained, encodeRetained, retainedHeaderBytes } from '../../src/router/retained-record.js';
import { LiveMessage } from '../../src/session/message.js';
import { Random, testSeed } from '../mqtt/random.js';

const seed = testSeed();
/** Content Type "t", then a User Property. */
const properties = Buffer.from([0x03, 0, 1, 0x74, 0x26, 0, 1, 0x61, 0, 1, 0x62]);

function encode(topic: string, payload: Buffer, own: Buffer, qos: number, expiresAtMs: number): Buffer {
  const topicBytes = Buffer.from(topic);
  const source = Buffer.concat([own, payload]);
  const live = new LiveMessage();
  live.set(topicBytes, 0, topicBytes.length, source, 0, own.length, own.length, source.length, qos | 4, 0);
  const target = Buffer.alloc(retainedHeaderBytes + topicBytes.length + source.length + 10, 0xee);
  return target.subarray(0, encodeRetained(live, expiresAtMs, target));
}

describe('rows of retained messages', () => {
  test('topic, QoS, properties, payload and expiry come back as they were [MQTT-3.3.1-5]', () => {
    const payload = Buffer.from('päyload');
    for (const [qos, own, expiry] of [
      [0, Buffer.alloc(0), Number.POSITIVE_INFINITY],
      [2, properties, 1_900_000_000_123],
    ] as const) {
      const record = decodeRetained(encode('ä/b', payload, own, qos, expiry))!;
      const { buffer, topicStart, propertiesStart, payloadStart } = record;
      expect(record.qos).toBe(qos);
      expect(record.expiresAtUnixMs).toBe(expiry);
      expect(buffer.toString('utf8', topicStart, propertiesStart)).toBe('ä/b');
      expect(buffer.subarray(propertiesStart, payloadStart)).toEqual(own);
      expect(buffer.subarray(payloadStart)).toEqual(payload);
    }
  });

  test('bytes that are no retained message are passed over [broker]', () => {
    const good = encode('a/b', Buffer.from('payload'), properties, 1, 1_900_000_000_000);
    const changed = (at: number, ...bytes: number[]): Buffer => {
      const copy = Buffer.from(good);
      Buffer.from(bytes).copy(copy, at);
      return copy;
    };
    expect(decodeRetained(good)).toBeDefined();
    const bad: [why: string, row: Buffer][] = [
      ['empty', Buffer.alloc(0)],
      ['cut off in the header', good.subarray(0, 15)],
      ['without payload', good.subarray(0, good.length - 7)],
      ['another version', changed(0, 2)],
      ['QoS 3', changed(1, 3)],
      ['empty topic', changed(2, 0, 0)],
      ['topic longer than the row', changed(2, 0xff, 0xff)],
      ['properties longer than the row', changed(4, 0xff, 0xff, 0xff, 0xff)],
      ['topic with a wildcard', changed(retainedHeaderBytes, 0x23)],
      ['topic that is no UTF-8', changed(retainedHeaderBytes, 0xff)],
      ['properties that are none', changed(retainedHeaderBytes + 3, 0x7e)],
      ['a Topic Alias', encode('a', Buffer.from('p'), Buffer.from([0x23, 0, 1]), 0, 1)],
      ['an expiry that is no number', changed(8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
    ];
    for (const [why, row] of bad) expect([why, decodeRetained(row)]).toEqual([why, undefined]);
  });

  test('random bytes never throw [broker]', () => {
    const random = new Random(seed);
    const good = encode('a/b', Buffer.from('payload'), properties, 1, 1_900_000_000_000);
    for (let i = 0; i < 5000; i++) {
      const row = random.chance(0.3) ? random.bytes(random.below(64)) : Buffer.from(good);
      for (let n = random.below(4); n > 0 && row.length > 0; n--)
        row[random.below(row.length)] = random.below(256);
      expect(() => decodeRetained(row)).not.toThrow();
    }
  });
});
