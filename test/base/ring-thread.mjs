/**
 * One end of a ring on a thread of its own, for ring.e2e.ts: writes or reads checksummed frames as fast as it can.
 *
 * Always true: it waits only as the product does, by sleep and doorbell, so a lost wake-up ends in a hang.
 * Frame body: u32 number, u32 checksum of what follows, then bytes that follow from the number.
 */
import { parentPort, workerData } from 'node:worker_threads';

const { role, memory, port, frames, ringUrl } = workerData;
const { RingReader, RingWriter } = await import(ringUrl);

/** Bytes of frame `number`, header included: mostly small, sometimes as large as a frame may be. */
function lengthOf(number, sizeBytes) {
  const mixed = Math.imul(number + 1, 0x9e3779b1) >>> 0;
  return mixed % 97 === 0 ? (sizeBytes / 16) * 7 - (mixed % 64) : 16 + (mixed % 240);
}

function checksum(bytes, from, to) {
  let sum = 0;
  for (let at = from; at < to; at++) sum = (Math.imul(sum, 31) + bytes[at]) | 0;
  return sum >>> 0;
}

if (role === 'writer') {
  const ring = new RingWriter(memory);
  let number = 0;
  let waits = 0;
  const step = () => {
    let stalled = false;
    for (let i = 0; i < 50 && number < frames; i++) {
      const length = lengthOf(number, ring.sizeBytes);
      const at = ring.reserve(length, number, (ring.sizeBytes / 8) * 7);
      if (at < 0) {
        stalled = true;
        break;
      }
      ring.bytes.fill(number & 0xff, at + 16, at + length);
      ring.words[(at >> 2) + 2] = number;
      ring.words[(at >> 2) + 3] = checksum(ring.bytes, at + 16, at + length);
      number++;
    }
    if (ring.publish()) port.postMessage(0);
    if (number === frames) {
      parentPort.postMessage({ written: number, waits });
      port.close();
    } else if (!stalled || ring.requestRoom()) {
      setImmediate(step);
    } else {
      waits++;
    }
  };
  port.on('message', step);
  step();
} else {
  const ring = new RingReader(memory);
  let number = 0;
  let sleeps = 0;
  let fault;
  const step = () => {
    for (;;) {
      const at = ring.next();
      if (at < 0) break;
      const length = ring.words[at >> 2];
      const same =
        ring.words[(at >> 2) + 2] === number &&
        length === lengthOf(number, ring.sizeBytes) &&
        ring.words[(at >> 2) + 3] === checksum(ring.bytes, at + 16, at + length);
      if (!same) fault ??= `frame ${number} came out wrong`;
      number++;
      // Sometimes one by one, sometimes in runs.
      if (number % 7 === 0 && ring.release()) port.postMessage(0);
    }
    if (ring.release()) port.postMessage(0);
    if (number === frames || fault !== undefined) {
      parentPort.postMessage({ read: number, sleeps, fault });
      port.close();
    } else if (ring.sleep()) {
      setImmediate(step);
    } else {
      sleeps++;
    }
  };
  port.on('message', step);
  step();
}
