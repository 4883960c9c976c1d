/**
 * The ring between threads, written and read by one thread: what a frame costs without the other core. Bench process.
 *
 * Always true: every frame that was reserved is read again, in order, before the call ends, and the ring turns round many
 * times, so that padding at its end is part of the figure.
 */
import { FRAME_HEADER_BYTES, RingReader, RingWriter, createRingMemory } from '../../../src/base/ring.js';
import { measure, same, type Figure, type Task } from '../measure.js';

const ringBytes = 256 * 1024;
const frameType = 7;

/** `frames` frames of `bytes` per turn, published at once as the event loop does it. */
function turns(name: string, bytes: number, frames: number): Task {
  const memory = createRingMemory(ringBytes);
  const writer = new RingWriter(memory);
  const reader = new RingReader(memory);
  const fillBytesMax = (ringBytes / 8) * 7;
  return {
    name,
    operations: frames,
    run() {
      for (let i = 0; i < frames; i++) {
        const start = writer.reserve(bytes, frameType, fillBytesMax);
        if (start < 0) throw new Error(`${name}: the ring is full`);
        writer.words[(start + FRAME_HEADER_BYTES) >> 2] = i;
      }
      writer.publish();
      let read = 0;
      for (let start = reader.next(); start >= 0; start = reader.next()) {
        if (reader.words[(start + FRAME_HEADER_BYTES) >> 2] === read) read++;
      }
      reader.release();
      same(`${name}: frames in order`, read, frames);
    },
  };
}

/** The same messages in frames that hold a run of them, as publishes travel. */
function runs(name: string, bytes: number, messages: number): Task {
  const memory = createRingMemory(ringBytes);
  const writer = new RingWriter(memory);
  const reader = new RingReader(memory);
  const fillBytesMax = (ringBytes / 8) * 7;
  return {
    name,
    operations: messages,
    run() {
      let frame = -1;
      for (let i = 0; i < messages; i++) {
        let at = frame < 0 ? -1 : writer.extend(frame, bytes, fillBytesMax);
        if (at < 0) {
          frame = writer.reserve(FRAME_HEADER_BYTES + bytes, frameType, fillBytesMax);
          at = frame + FRAME_HEADER_BYTES;
        }
        if (frame < 0) throw new Error(`${name}: the ring is full`);
        writer.words[at >> 2] = i;
      }
      writer.publish();
      let read = 0;
      for (let start = reader.next(); start >= 0; start = reader.next()) {
        const end = start + (reader.words[start >> 2] as number);
        for (let at = start + FRAME_HEADER_BYTES; at < end; at += bytes) {
          if (reader.words[at >> 2] === read) read++;
        }
      }
      reader.release();
      same(`${name}: messages in order`, read, messages);
    },
  };
}

/** Operations are frames or messages, written and read. */
export function benchRing(scale: number): Figure[] {
  return measure(scale, [
    turns('frames of 16 B, 256 per turn', 16, 256),
    turns('frames of 344 B, 256 per turn', 344, 256),
    turns('frames of 344 B, one per turn', 344, 1),
    runs('messages of 336 B in shared frames, 256 per turn', 336, 256),
  ]);
}
