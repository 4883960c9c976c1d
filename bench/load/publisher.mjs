/**
 * A publisher that keeps a fixed number of QoS 1 or 2 messages unacknowledged. Runs in the load processes.
 *
 * Always true: slot `i` of the pre-encoded buffer is packet id `i + 1` and is only rewritten after its PUBACK or
 * PUBCOMP, so the kernel is done with its bytes. Only sequence and send time are patched. A batch is at most two writes
 * (the ring wraps once). What it gives up: an unanswered packet holds the window behind it.
 */
import { LoadClient, nowMs } from './client.mjs';
import { Due } from './due.mjs';
import { SequenceSet } from './ledger.mjs';
import { Recorder } from './recorder.mjs';
import { PUBACK, PUBCOMP, PUBREC, PUBREL, publishSlots } from './wire.mjs';

export class Publisher extends LoadClient {
  sent = 0;
  acked = 0;
  failed = 0;
  acknowledged = new SequenceSet();
  #quota = 0;
  #answered = 0;
  #slots;
  #slotCount;
  #view;
  #window;
  #slotSequence;
  #slotSentAtMs;
  #slotAnswered;
  #recorder;
  #freeRunning = false;
  #due = new Due();
  #releases = [];

  constructor({
    index,
    topicName,
    payloadBytes,
    qos,
    protocolVersion,
    window,
    keys = 0,
    retain = false,
    histogram,
    warmup,
    onFailure,
  }) {
    super(onFailure);
    this.#window = window;
    const cycle = Math.max(1, keys, [topicName].flat().length);
    this.#slotCount = cycle * Math.ceil(window / cycle);
    this.#recorder = new Recorder(histogram, warmup);
    this.#slots = publishSlots(topicName, payloadBytes, qos, protocolVersion, this.#slotCount, keys, retain);
    const { buffer, packetBytes, stampOffset } = this.#slots;
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
    this.#slotSequence = new Uint32Array(this.#slotCount);
    this.#slotSentAtMs = new Float64Array(this.#slotCount);
    this.#slotAnswered = new Uint8Array(this.#slotCount).fill(1);
    for (let slot = 0; slot < this.#slotCount; slot += 1)
      this.#view.setUint32(slot * packetBytes + stampOffset, index);
  }

  async connect(target) {
    await super.connect(target);
    this.#window = Math.min(this.#window, this.receiveMaximum);
  }

  /** All messages of the quota are answered. */
  get done() {
    return this.sent >= this.#quota && this.#answered >= this.sent;
  }

  get lastAckAtMs() {
    return this.#recorder.lastAtMs;
  }

  /** Messages whose moment has come and that the window still holds back. */
  get held() {
    return Math.min(this.#due.count, this.#quota - this.sent);
  }

  /** Sends as fast as answers allow, until `count` messages are out. */
  start(count) {
    this.#quota = count;
    this.#freeRunning = true;
    this.#fill();
  }

  /** Only allows `count` messages; `sendDue` decides when. */
  allow(count) {
    this.#quota = count;
  }

  /** Sends `count` messages whose moment is `intendedMs`, now or as soon as the window has room. */
  sendDue(count, intendedMs) {
    this.#due.push(count, intendedMs);
    this.#fillDue();
  }

  /** No further messages. */
  stop() {
    this.#quota = Math.min(this.#quota, this.sent);
    this.#freeRunning = false;
    this.#due.clear();
  }

  onPacket(firstByte, buffer, start, end) {
    const type = firstByte & 0xf0;
    if (type !== PUBACK && type !== PUBREC && type !== PUBCOMP) return;
    const slot = ((buffer[start] << 8) | buffer[start + 1]) - 1;
    if (this.#slotAnswered[slot] !== 0)
      throw new Error(`acknowledgement of packet id ${slot + 1}, which is not in flight`);
    const refused = end - start > 2 && buffer[start + 2] >= 0x80;
    if (type === PUBREC && !refused) {
      this.#releases.push(PUBREL | 2, 2, buffer[start], buffer[start + 1]);
      return;
    }
    this.#slotAnswered[slot] = 1;
    if (refused) this.failed += 1;
    else {
      this.acked += 1;
      this.acknowledged.add(this.#slotSequence[slot]);
      this.#recorder.record(this.#slotSentAtMs[slot]);
    }
  }

  onChunkEnd() {
    this.#recorder.endChunk();
    if (this.#releases.length > 0) {
      this.socket.write(Uint8Array.from(this.#releases));
      this.#releases.length = 0;
    }
    const slotCount = this.#slotCount;
    while (this.#answered < this.sent && this.#slotAnswered[this.#answered % slotCount] !== 0)
      this.#answered += 1;
    if (this.#freeRunning) this.#fill();
    else if (!this.#due.isEmpty) this.#fillDue();
  }

  #room() {
    return Math.min(this.#window - (this.sent - this.#answered), this.#quota - this.sent);
  }

  #fill() {
    const count = this.#room();
    if (count > 0) this.#write(count, nowMs());
  }

  #fillDue() {
    this.#due.take(this.#room(), (count, intendedMs) => this.#write(count, intendedMs));
  }

  #write(count, stampMs) {
    const { buffer, packetBytes, stampOffset } = this.#slots;
    const view = this.#view;
    const slotCount = this.#slotCount;
    const firstSlot = this.sent % slotCount;
    for (let index = 0; index < count; index += 1) {
      let slot = firstSlot + index;
      if (slot >= slotCount) slot -= slotCount;
      const at = slot * packetBytes + stampOffset;
      view.setUint32(at + 4, this.sent + index);
      view.setFloat64(at + 8, stampMs);
      this.#slotSequence[slot] = this.sent + index;
      this.#slotSentAtMs[slot] = stampMs;
      this.#slotAnswered[slot] = 0;
    }
    const behind = firstSlot + count;
    const wrapped = Math.max(0, behind - slotCount);
    this.sent += count;
    if (wrapped === 0) {
      this.socket.write(buffer.subarray(firstSlot * packetBytes, behind * packetBytes));
    } else {
      this.socket.cork();
      this.socket.write(buffer.subarray(firstSlot * packetBytes));
      this.socket.write(buffer.subarray(0, wrapped * packetBytes));
      this.socket.uncork();
    }
  }
}
