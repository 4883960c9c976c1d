/**
 * A publisher that keeps a fixed number of QoS 1 messages unacknowledged. Runs in the load processes.
 *
 * Always true: slot `i` of the pre-encoded buffer is packet id `i + 1` and is only rewritten after its
 * PUBACK, so the kernel is done with its bytes. Only sequence and send time are patched. A batch is at most
 * two writes (the ring wraps once). What it gives up: an unanswered packet holds the window behind it.
 */
import { LoadClient, nowMs } from './client.mjs';
import { SequenceSet } from './ledger.mjs';
import { PUBACK, publishSlots } from './wire.mjs';

export class Publisher extends LoadClient {
  sent = 0;
  acked = 0;
  failed = 0;
  lastAckAtMs = 0;
  acknowledged = new SequenceSet();
  #quota = 0;
  #answered = 0;
  #slots;
  #view;
  #window;
  #qos;
  #slotSequence;
  #slotSentAtMs;
  #slotAnswered;
  #histogram;
  #freeRunning = false;
  #chunkAtMs = 0;
  #runAtMs = 0;
  #runCount = 0;

  constructor({ index, topicName, payloadBytes, qos, protocolVersion, window, histogram, onFailure }) {
    super(onFailure);
    this.#qos = qos;
    this.#window = window;
    this.#histogram = histogram;
    this.#slots = publishSlots(topicName, payloadBytes, qos, protocolVersion, window);
    const { buffer, packetBytes, stampOffset } = this.#slots;
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
    this.#slotSequence = new Uint32Array(window);
    this.#slotSentAtMs = new Float64Array(window);
    this.#slotAnswered = new Uint8Array(window).fill(1);
    for (let slot = 0; slot < window; slot += 1)
      this.#view.setUint32(slot * packetBytes + stampOffset, index);
  }

  /** All messages of the quota are answered (QoS 0: sent). */
  get done() {
    return this.sent >= this.#quota && this.#answered >= this.sent;
  }

  /** Sends as fast as answers allow, until `count` messages are out. */
  start(count) {
    this.#quota = count;
    this.#freeRunning = true;
    this.#fill();
  }

  /** Only allows `count` messages; `send` decides when. */
  allow(count) {
    this.#quota = count;
  }

  /** Sends one message now if the window has room; answers whether it did. */
  send() {
    if (this.sent >= this.#quota || this.#room() === 0) return false;
    this.#write(1);
    return true;
  }

  /** No further messages. */
  stop() {
    this.#quota = Math.min(this.#quota, this.sent);
    this.#freeRunning = false;
  }

  onPacket(firstByte, buffer, start, end) {
    if ((firstByte & 0xf0) !== PUBACK) return;
    const slot = ((buffer[start] << 8) | buffer[start + 1]) - 1;
    if (this.#slotAnswered[slot] !== 0)
      throw new Error(`PUBACK for packet id ${slot + 1}, which is not in flight`);
    this.#slotAnswered[slot] = 1;
    if (end - start > 2 && buffer[start + 2] >= 0x80) {
      this.failed += 1;
    } else {
      this.acked += 1;
      this.acknowledged.add(this.#slotSequence[slot]);
      this.#record(this.#slotSentAtMs[slot]);
    }
  }

  onChunkEnd() {
    if (this.#qos === 0) return;
    this.#flushRecord();
    this.#chunkAtMs = 0;
    while (this.#answered < this.sent && this.#slotAnswered[this.#answered % this.#window] !== 0)
      this.#answered += 1;
    if (this.#freeRunning) this.#fill();
  }

  /** Messages of one batch share their send time, so one histogram entry carries a whole run of them. */
  #record(sentAtMs) {
    if (this.#chunkAtMs === 0) {
      this.#chunkAtMs = nowMs();
      this.lastAckAtMs = this.#chunkAtMs;
    }
    if (sentAtMs !== this.#runAtMs) {
      this.#flushRecord();
      this.#runAtMs = sentAtMs;
    }
    this.#runCount += 1;
  }

  #flushRecord() {
    if (this.#runCount === 0) return;
    this.#histogram.recordValueWithCount(
      Math.max(1, Math.round((this.#chunkAtMs - this.#runAtMs) * 1000)),
      this.#runCount,
    );
    this.#runCount = 0;
  }

  #room() {
    return this.#window - (this.sent - this.#answered);
  }

  #fill() {
    const count = Math.min(this.#room(), this.#quota - this.sent);
    if (count > 0) this.#write(count);
  }

  #write(count) {
    const { buffer, packetBytes, stampOffset } = this.#slots;
    const view = this.#view;
    const sentAtMs = nowMs();
    const firstSlot = this.sent % this.#window;
    for (let index = 0; index < count; index += 1) {
      const slot = (firstSlot + index) % this.#window;
      const at = slot * packetBytes + stampOffset;
      view.setUint32(at + 4, this.sent + index);
      view.setFloat64(at + 8, sentAtMs);
      this.#slotSequence[slot] = this.sent + index;
      this.#slotSentAtMs[slot] = sentAtMs;
      this.#slotAnswered[slot] = 0;
    }
    const behind = firstSlot + count;
    const wrapped = Math.max(0, behind - this.#window);
    const done = this.#qos === 0 ? () => this.#sentUnacknowledged(count) : undefined;
    this.sent += count;
    if (wrapped === 0) {
      this.socket.write(buffer.subarray(firstSlot * packetBytes, behind * packetBytes), done);
    } else {
      this.socket.cork();
      this.socket.write(buffer.subarray(firstSlot * packetBytes));
      this.socket.write(buffer.subarray(0, wrapped * packetBytes), done);
      this.socket.uncork();
    }
  }

  /** QoS 0 has no answer: the kernel having taken the batch counts as one. */
  #sentUnacknowledged(count) {
    for (let index = 0; index < count; index += 1) this.acknowledged.add(this.#answered + index);
    this.#answered += count;
    this.acked += count;
    this.lastAckAtMs = nowMs();
    if (this.#freeRunning) this.#fill();
  }
}
