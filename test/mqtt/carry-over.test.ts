/** The carry-over buffer and its pool, alone and under a decoder. Quick tier. */
import { describe, expect, test } from 'vitest';
import { CarryOver, type BufferPool } from '../../src/mqtt/carry-over.js';
import { Decoder, type PacketSink } from '../../src/mqtt/decoder.js';
import { Random, testSeed } from './random.js';

/** Spoils a buffer the moment it is given back, and hands the same ones out again. */
class SpoilingPool implements BufferPool {
  readonly out = new Set<Buffer>();
  taken = 0;
  readonly #free: Buffer[] = [];

  take(bytesMin: number): Buffer {
    this.taken++;
    const at = this.#free.findIndex(({ length }) => length >= bytesMin);
    const buffer = at < 0 ? Buffer.alloc(bytesMin, 0xee) : (this.#free.splice(at, 1)[0] as Buffer);
    this.out.add(buffer);
    return buffer;
  }

  give(buffer: Buffer): void {
    expect(this.out.delete(buffer), 'a buffer comes back once, and only from where it went').toBe(true);
    buffer.fill(0xee);
    this.#free.push(buffer);
  }
}

describe('carry-over', () => {
  test('against a naive model: what is held is what came and was not delivered [broker]', () => {
    const seed = testSeed();
    const random = new Random(seed);
    const pool = new SpoilingPool();
    const carry = new CarryOver(pool);
    let model = Buffer.alloc(0);
    for (let step = 0; step < 2000; step++) {
      const label = `seed ${seed}, step ${step}`;
      if (random.chance(0.5)) {
        const chunk = random.bytes(random.below(random.chance(0.1) ? 20_000 : 500));
        const start = random.below(chunk.length + 1);
        carry.append(chunk, start, chunk.length, 65_536);
        model = Buffer.concat([model, chunk.subarray(start)]);
      } else {
        const bytes = random.chance(0.2) ? model.length : random.below(model.length + 1);
        carry.consumeTo(carry.start + bytes);
        model = model.subarray(bytes);
      }
      expect(carry.length, label).toBe(model.length);
      expect(carry.bytes.subarray(carry.start, carry.end).equals(model), label).toBe(true);
      expect(pool.out.size, label).toBeLessThanOrEqual(1);
      if (model.length === 0) expect(pool.out.size, label).toBe(0);
    }
    expect(pool.taken, 'large buffers were used').toBeGreaterThan(5);
  });

  test('what is cleared is not given to the pool: a loop may be reading it [broker]', () => {
    const pool = new SpoilingPool();
    const carry = new CarryOver(pool);
    carry.append(Buffer.alloc(10_000, 1), 0, 10_000, 65_536);
    const reading = carry.bytes;
    carry.clear();
    expect(reading[9999]).toBe(1);
    expect([carry.length, pool.out.has(reading)]).toEqual([0, true]);
  });
});

/** PUBLISH of QoS 0 whose payload is its number over and over. */
function publishOf(number: number, payloadBytes: number): Buffer {
  const body = Buffer.alloc(3 + payloadBytes, number & 0x7f);
  body.writeUInt16BE(1, 0);
  body[2] = 0x74;
  const length = [(body.length & 127) | 128, (body.length >> 7) | 0];
  expect(body.length).toBeLessThan(1 << 14);
  return Buffer.concat([Buffer.from([0x30, ...length]), body]);
}

const CLOSES_AT = 150;

test('no buffer reaches the pool while the decoder reads from it, however the sink holds, stops and closes [broker]', () => {
  const seed = testSeed();
  const random = new Random(seed);
  const pool = new SpoilingPool();
  let number = 0;
  const sink: PacketSink = {
    onPublish: (buffer, _flags, _topicStart, topicEnd, _id, _from, _to, payloadStart, payloadEnd) => {
      if (random.chance(0.2)) return false;
      const label = `seed ${seed}, packet ${number}`;
      expect(buffer[topicEnd - 1], label).toBe(0x74);
      const wanted = Buffer.alloc(payloadEnd - payloadStart, number & 0x7f);
      expect(buffer.subarray(payloadStart, payloadEnd).equals(wanted), label).toBe(true);
      number++;
      if (random.chance(0.1)) decoder.stop();
      if (number === CLOSES_AT) {
        decoder.close();
        expect(buffer.subarray(payloadStart, payloadEnd).equals(wanted), 'closed while it reads').toBe(true);
      }
      return true;
    },
    onAck: () => true,
    onPing: () => true,
    onRunEnd: () => {},
    onPacket: () => true,
  };
  const decoder = new Decoder(sink, { maximumPacketSize: 32_768, packetsPerSliceMax: 3, pool });
  decoder.setVersion(4);
  const packets = Array.from({ length: 2 * CLOSES_AT }, (_, i) => publishOf(i, 200 + random.below(6000)));
  const bytes = Buffer.concat(packets);
  // One read buffer for all chunks, overwritten after every write, as the listener does it.
  const chunk = Buffer.alloc(9000);
  for (let at = 0; at < bytes.length && decoder.state !== 'closed';) {
    const length = Math.min(bytes.length - at, 1 + random.below(chunk.length));
    bytes.copy(chunk, 0, at, at + length);
    decoder.write(chunk, 0, length);
    chunk.fill(0xdd);
    at += length;
    while (!['ready', 'closed'].includes(decoder.state) && random.chance(0.8)) decoder.resume();
  }
  expect([number, decoder.state]).toEqual([CLOSES_AT, 'closed']);
  expect(pool.taken, 'large buffers were used').toBeGreaterThan(5);
});
