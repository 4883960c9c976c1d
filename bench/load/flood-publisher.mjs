/**
 * A publisher of QoS 0 messages: a block of pre-encoded packets, patched and written again and again. Runs in the load
 * processes.
 *
 * Always true: the block is only rewritten when the kernel has all of it; the publishers of a process write a bounded
 * number of bytes per turn of the event loop, one after the other, so that reading is never starved by a broker that
 * takes everything. A message counts as acknowledged when the kernel has it. What it gives up: at a fixed rate, messages
 * that are due while the socket is blocked leave later, with the stamps of their moments, as many as there are.
 */
import { LoadClient, nowMs } from './client.mjs';
import { Due } from './due.mjs';
import { publishSlots } from './wire.mjs';

const BLOCK_BYTES = 64 * 1024;
const BLOCK_MESSAGES_MIN = 8;

/** Bytes that all publishers of a process write before it looks at its other sockets. */
const TURN_BYTES = 256 * 1024;

/** Writes of all QoS 0 publishers of this process, in turns. */
class Pump {
  #ready = [];
  #turning = false;

  add(publisher) {
    this.#ready.push(publisher);
    if (this.#turning) return;
    this.#turning = true;
    setImmediate(this.#turn);
  }

  #turn = () => {
    const ready = this.#ready;
    let bytes = 0;
    let taken = 0;
    while (taken < ready.length && bytes < TURN_BYTES) {
      bytes += ready[taken].writeBlock();
      taken += 1;
    }
    this.#ready = ready.slice(taken);
    this.#turning = this.#ready.length > 0;
    if (this.#turning) setImmediate(this.#turn);
  };
}

const pump = new Pump();

export class FloodPublisher extends LoadClient {
  sent = 0;
  acked = 0;
  failed = 0;
  lastAckAtMs = 0;
  /** QoS 0 has no acknowledgement: everything below `acked` counts. */
  acknowledged = undefined;
  #quota = 0;
  #slots;
  #view;
  #slotCount;
  #blockMessages;
  /** Topics or keys that follow each other; 1 when all messages are alike. */
  #cycle;
  #freeRunning = false;
  #writing = false;
  #due = new Due();

  constructor({ index, topicName, payloadBytes, protocolVersion, keys = 0, retain = false, onFailure }) {
    super(onFailure);
    const probe = publishSlots(topicName, payloadBytes, 0, protocolVersion, 1, keys);
    this.#cycle = Math.max(keys, [topicName].flat().length);
    const fitting = Math.max(BLOCK_MESSAGES_MIN, Math.floor(BLOCK_BYTES / probe.packetBytes));
    this.#slotCount = this.#cycle * Math.ceil(fitting / this.#cycle);
    this.#blockMessages = fitting;
    this.#slots = publishSlots(topicName, payloadBytes, 0, protocolVersion, this.#slotCount, keys, retain);
    const { buffer, packetBytes, stampOffset } = this.#slots;
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
    for (let slot = 0; slot < this.#slotCount; slot += 1)
      this.#view.setUint32(slot * packetBytes + stampOffset, index);
  }

  get done() {
    return this.sent >= this.#quota && !this.#writing;
  }

  get held() {
    return Math.min(this.#due.count, this.#quota - this.sent);
  }

  start(count) {
    this.#quota = count;
    this.#freeRunning = true;
    if (count > 0) pump.add(this);
  }

  allow(count) {
    this.#quota = count;
  }

  sendDue(count, intendedMs) {
    this.#due.push(count, intendedMs);
    if (!this.#writing) this.writeBlock();
  }

  stop() {
    this.#quota = Math.min(this.#quota, this.sent);
    this.#freeRunning = false;
    this.#due.clear();
  }

  /** One write of what may leave now, a block at most; answers its bytes. */
  writeBlock() {
    const first = this.#cycle === 1 ? 0 : this.sent % this.#slotCount;
    const left = Math.min(this.#blockMessages, this.#slotCount - first, this.#quota - this.sent);
    const count = this.#freeRunning ? this.#stamp(first, left, 0, nowMs()) : this.#stampDue(first, left);
    if (count === 0) return 0;
    this.#writing = true;
    this.sent += count;
    const { buffer, packetBytes } = this.#slots;
    this.socket.write(buffer.subarray(first * packetBytes, (first + count) * packetBytes), this.#onWritten);
    return count * packetBytes;
  }

  #stampDue(first, left) {
    let ahead = 0;
    return this.#due.take(left, (count, intendedMs) => {
      ahead += this.#stamp(first + ahead, count, ahead, intendedMs);
    });
  }

  /** Stamps `count` slots from `first` on; the first of them is message `ahead` from the next one. */
  #stamp(first, count, ahead, stampMs) {
    const { packetBytes, stampOffset } = this.#slots;
    const view = this.#view;
    const sequence = this.sent + ahead;
    let at = first * packetBytes + stampOffset;
    for (let index = 0; index < count; index += 1) {
      view.setUint32(at + 4, sequence + index);
      view.setFloat64(at + 8, stampMs);
      at += packetBytes;
    }
    return count;
  }

  #onWritten = () => {
    this.#writing = false;
    this.acked = this.sent;
    this.lastAckAtMs = nowMs();
    if (this.sent < this.#quota && (this.#freeRunning || !this.#due.isEmpty)) pump.add(this);
  };
}
