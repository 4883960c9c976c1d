import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import {
  FRAME_HEADER_BYTES,
  RingReader,
  RingWriter,
  alignFrame,
  createRingMemory,
} from '../../src/base/ring.js';
import { Random, testSeed } from '../mqtt/random.js';

const RING_BYTES = 4096;
const FRAME_BYTES_MAX = (RING_BYTES / 16) * 7;

/** A ring whose positions begin at `position`, as if it had carried that many bytes already. */
function ringAt(position: number, bytes = RING_BYTES): { writer: RingWriter; reader: RingReader } {
  const memory = createRingMemory(bytes);
  const header = new Int32Array(memory, 0, 64);
  header[0] = position | 0;
  header[16] = position | 0;
  return { writer: new RingWriter(memory), reader: new RingReader(memory) };
}

/** Fills the body of a frame (or a part of one) with bytes that follow from `value`. */
function fill(bytes: Buffer, from: number, to: number, value: number): void {
  for (let at = from; at < to; at++) bytes[at] = (value + at - from) & 0xff;
}

/** A frame as the naive model keeps it. */
interface Frame {
  length: number;
  type: number;
  readonly start: number;
  /** Length and first byte of every part: the reserved one and what it was extended by. */
  readonly parts: { from: number; to: number; value: number }[];
}

/** The ring as a list: it says what fits, by walking everything. */
class Model {
  readonly frames: (Frame & {
    padding: number;
    isPublished: boolean;
    isRead: boolean;
    isSeenAhead: boolean;
  })[] = [];
  tail: number;
  constructor(start: number) {
    this.tail = start;
  }
  get used(): number {
    return this.frames.reduce((sum, { length, padding }) => sum + padding + alignFrame(length), 0);
  }
  padding(length: number): number {
    const untilEnd = RING_BYTES - (this.tail % RING_BYTES);
    return untilEnd < alignFrame(length) ? untilEnd : 0;
  }
}

function check(reader: RingReader, at: number, frame: Frame): void {
  expect(at).toBe(frame.start);
  expect(reader.words[at >> 2]).toBe(frame.length);
  expect(reader.words[(at >> 2) + 1]).toBe(frame.type);
  for (const { from, to, value } of frame.parts) {
    for (let i = from; i < to; i++) {
      if (reader.bytes[at + i] !== ((value + i - from) & 0xff)) expect.fail(`byte ${i} of a frame differs`);
    }
  }
}

describe('ring against a naive model', () => {
  // Positions wrap as int32 at 2^31 and as u32 at 2^32: the runs begin shortly before.
  const starts = [0, 2 ** 31 - 3 * RING_BYTES, 2 ** 32 - 5 * RING_BYTES, 2 ** 31 - 8];
  test.each(starts)('random frames come out as they went in, from position %i [broker]', (start) => {
    const seed = testSeed() + (start % 1000);
    const random = new Random(seed);
    const { writer, reader } = ringAt(start);
    const model = new Model(start);
    const positions: { position: number; at: number }[] = [];
    let written = 0;
    let released = 0;
    for (let step = 0; step < 5000; step++) {
      const fillMax = random.chance(0.3) ? RING_BYTES : (RING_BYTES / 8) * 7;
      const label = `seed ${seed}, step ${step}`;
      switch (random.below(8)) {
        case 0:
        case 1: {
          const length = FRAME_HEADER_BYTES + random.below(random.chance(0.1) ? FRAME_BYTES_MAX - 15 : 200);
          const type = random.below(0xffff);
          const padding = model.padding(length);
          const fits = model.used + padding + alignFrame(length) <= fillMax;
          if (writer.hasRoom(length, fillMax)) expect(fits, label).toBe(true);
          const at = writer.reserve(length, type, fillMax);
          expect(at >= 0, label).toBe(fits);
          if (at < 0) break;
          const value = random.below(256);
          fill(writer.bytes, at + FRAME_HEADER_BYTES, at + length, value);
          model.tail += padding + alignFrame(length);
          written += padding + alignFrame(length);
          const parts = [{ from: FRAME_HEADER_BYTES, to: length, value }];
          model.frames.push({
            length,
            type,
            start: at,
            parts,
            padding,
            isPublished: false,
            isRead: false,
            isSeenAhead: false,
          });
          expect(at, label).toBe((model.tail - alignFrame(length)) % RING_BYTES);
          break;
        }
        case 2: {
          const frame = model.frames.at(-1);
          if (frame === undefined || frame.isPublished || frame.length % 8 !== 0) break;
          const bytes = 8 * (1 + random.below(8));
          const end = frame.start + frame.length;
          const fits = end + bytes <= RING_BYTES && model.used + bytes <= fillMax;
          const at = writer.extend(frame.start, bytes, fillMax);
          expect(at, label).toBe(fits ? end : -1);
          if (at < 0) break;
          const value = random.below(256);
          fill(writer.bytes, at, at + bytes, value);
          frame.parts.push({ from: frame.length, to: frame.length + bytes, value });
          frame.length += bytes;
          model.tail += bytes;
          written += bytes;
          break;
        }
        case 3: {
          writer.publish();
          for (const frame of model.frames) frame.isPublished = true;
          positions.push({ position: writer.position, at: written });
          break;
        }
        case 4:
        case 5: {
          const frame = model.frames.find(({ isPublished, isRead }) => isPublished && !isRead);
          const at = reader.next();
          if (frame === undefined) expect(at, label).toBe(-1);
          else check(reader, at, frame);
          if (frame !== undefined) frame.isRead = true;
          break;
        }
        case 6: {
          // What was read is not looked at again, nor is what was looked at; it is still read in its turn.
          const frame = model.frames.find(
            ({ isPublished, isRead, isSeenAhead }) => isPublished && !isRead && !isSeenAhead,
          );
          const at = reader.nextAhead();
          if (frame === undefined) {
            expect(at, label).toBe(-1);
            break;
          }
          check(reader, at, frame);
          frame.isSeenAhead = true;
          if (random.chance(0.5)) reader.setType(at, (frame.type = random.below(0xffff)));
          break;
        }
        default: {
          reader.release();
          while (model.frames[0]?.isRead === true) {
            const { length, padding } = model.frames.shift() as { length: number; padding: number };
            released += padding + alignFrame(length);
          }
        }
      }
      expect(reader.hasFrames, label).toBe(
        model.frames.some(({ isPublished, isRead }) => isPublished && !isRead),
      );
      for (const { position, at } of positions.splice(0, Math.max(0, positions.length - 4))) {
        expect(writer.passed(position), label).toBe(at <= released);
      }
      for (const { position, at } of positions) expect(writer.passed(position), label).toBe(at <= released);
    }
    expect(written, 'the run went round the ring many times').toBeGreaterThan(10 * RING_BYTES);
  });

  test('a position that was passed stays passed however far the ring runs on [broker]', () => {
    const { writer, reader } = ringAt(0, 2 ** 22);
    writer.reserve(64, 1, 2 ** 22);
    const position = writer.position;
    writer.publish();
    expect(writer.passed(position)).toBe(false);
    expect(reader.next()).toBe(0);
    reader.release();
    // 3 GiB: more than half of what a u32 position can tell apart.
    for (let i = 0; i < 3 * 1024; i++) {
      writer.reserve(2 ** 20, 1, 2 ** 22);
      writer.publish();
      reader.next();
      reader.release();
    }
    expect(writer.passed(position)).toBe(true);
    expect(writer.passed(0)).toBe(true);
  });
});

describe('ring limits', () => {
  test('the largest frame fits an empty ring wherever the last one ended [broker]', () => {
    const { writer, reader } = ringAt(0);
    for (let i = 0; i < 600; i++) {
      const length = i % 2 === 0 ? FRAME_BYTES_MAX : 8 + ((i * 8) % 512);
      if (length === FRAME_BYTES_MAX) expect(writer.reserve(length, 1, (RING_BYTES / 8) * 7)).not.toBe(-1);
      else writer.reserve(length, 1, RING_BYTES);
      writer.publish();
      expect(reader.next()).not.toBe(-1);
      expect(reader.next()).toBe(-1);
      reader.release();
    }
    expect(() => writer.reserve(FRAME_BYTES_MAX + 1, 1, RING_BYTES)).toThrow(/at most 7\/16/);
  });

  test('frames are invisible until they are published, all at once [broker]', () => {
    const { writer, reader } = ringAt(0);
    writer.reserve(16, 1, RING_BYTES);
    writer.reserve(16, 2, RING_BYTES);
    expect(reader.next()).toBe(-1);
    writer.publish();
    expect([reader.next(), reader.next(), reader.next()]).toEqual([0, 16, -1]);
  });

  test('a published frame grows no more [broker]', () => {
    const { writer } = ringAt(0);
    const at = writer.reserve(16, 1, RING_BYTES);
    writer.publish();
    expect(writer.extend(at, 8, RING_BYTES)).toBe(-1);
    const next = writer.reserve(16, 1, RING_BYTES);
    expect(writer.extend(at, 8, RING_BYTES)).toBe(-1);
    expect(writer.extend(next, 8, RING_BYTES)).toBe(next + 16);
  });
});

describe('ring doorbells', () => {
  test('only a sleeping reader needs a doorbell, and only one [broker]', () => {
    const { writer, reader } = ringAt(2 ** 32 - 8);
    writer.reserve(16, 1, RING_BYTES);
    expect(writer.publish()).toBe(false);
    expect(reader.sleep(), 'frames came before it slept').toBe(true);
    reader.next();
    expect(reader.sleep()).toBe(false);
    expect(writer.publish(), 'nothing new').toBe(false);
    writer.reserve(16, 1, RING_BYTES);
    expect(writer.publish()).toBe(true);
    writer.reserve(16, 1, RING_BYTES);
    expect(writer.publish()).toBe(false);
    reader.next();
    reader.next();
    expect(reader.sleep()).toBe(false);
    reader.wake();
    writer.reserve(16, 1, RING_BYTES);
    expect(writer.publish(), 'it woke up by itself').toBe(false);
  });

  test('a dozing reader is awake again after it, with frames or without, and needs no doorbell [broker]', () => {
    const { writer, reader } = ringAt(2 ** 32 - 8);
    expect(reader.hasFrames).toBe(false);
    expect(reader.doze(0.01), 'nothing comes').toBe(false);
    writer.reserve(16, 1, RING_BYTES);
    expect(reader.hasFrames, 'not published yet').toBe(false);
    expect(writer.publish(), 'the doze is over').toBe(false);
    expect([reader.hasFrames, reader.doze(60_000)], 'frames that are there are not waited for').toEqual([
      true,
      true,
    ]);
    reader.next();
    expect(reader.hasFrames).toBe(false);
    expect(reader.sleep()).toBe(false);
    writer.reserve(16, 1, RING_BYTES);
    expect(writer.publish(), 'a doze before does not swallow the doorbell of a sleep').toBe(true);
  });

  test('a publish ends a doze on another thread without a doorbell [broker]', async () => {
    const memory = createRingMemory(RING_BYTES);
    const header = new Int32Array(memory, 0, 64);
    const writer = new RingWriter(memory);
    // What `doze` does, on a thread of its own: says so, waits to be notified, tells how it ended.
    const thread = new Worker(
      `const { workerData, parentPort } = require('node:worker_threads');
       const header = new Int32Array(workerData, 0, 64);
       Atomics.store(header, 32, 2);
       parentPort.postMessage('dozing');
       parentPort.postMessage(Atomics.wait(header, 32, 2, 60000));`,
      { eval: true, workerData: memory },
    );
    try {
      await once(thread, 'message');
      expect(Atomics.load(header, 32)).toBe(2);
      writer.reserve(16, 1, RING_BYTES);
      const ended = once(thread, 'message');
      expect(writer.publish(), 'nobody has to ring').toBe(false);
      expect((await ended)[0]).not.toBe('timed-out');
    } finally {
      await thread.terminate();
    }
  });

  test('a writer that wants room is rung once, when something was released [broker]', () => {
    const { writer, reader } = ringAt(0);
    while (writer.reserve(512, 1, RING_BYTES) >= 0) writer.publish();
    expect(writer.requestRoom()).toBe(false);
    expect(reader.release(), 'nothing was read').toBe(false);
    reader.next();
    expect(reader.release()).toBe(true);
    reader.next();
    expect(reader.release()).toBe(false);
    expect(writer.requestRoom(), 'room came before it asked').toBe(true);
  });
});
