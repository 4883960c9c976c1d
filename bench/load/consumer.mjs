/**
 * A consumer: acknowledges every message at once, all acks of one read in one write; or, with `workMs`, works on one
 * message after the other and acknowledges each when its work is done. Runs in the load processes.
 *
 * Always true: each delivery is entered in the ledger before its ack leaves. The ack buffer is reused only when the
 * kernel has taken the previous one. A QoS 2 message counts once, however often it comes before its PUBREL.
 */
import { LoadClient, nowMs } from './client.mjs';
import { Recorder } from './recorder.mjs';
import { PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, STAMP_BYTES, SUBACK, subscribePacket } from './wire.mjs';

/** Topic filters in one SUBSCRIBE. */
const FILTERS_AT_ONCE = 1000;

export class Consumer extends LoadClient {
  delivered = 0;
  /** Deliveries whose work is done. */
  completed = 0;
  marked = 0;
  outOfOrder = 0;
  foreign = 0;
  lowestSequence = Infinity;
  lastCompletedAtMs = 0;
  #protocolVersion;
  #ledger;
  #recorder;
  #lastSequence;
  #acks = Buffer.allocUnsafe(16 * 1024);
  #ackBytes = 0;
  #unreleased = undefined;
  #workMs;
  #waiting = [];
  #working = false;
  #onSuback;

  /**
   * `ledger[publisher]` is a SequenceSet, shared by the consumers of this process, or a SequenceRun of this consumer's
   * own; both have `add(sequence)`.
   */
  constructor({ protocolVersion, ledger, histogram, warmup, workMs = 0, onFailure }) {
    super(onFailure);
    this.#protocolVersion = protocolVersion;
    this.#ledger = ledger;
    this.#recorder = new Recorder(histogram, warmup);
    this.#workMs = workMs;
    this.#lastSequence = new Float64Array(ledger.length).fill(-1);
  }

  get firstDeliveryAtMs() {
    return this.#recorder.firstAtMs;
  }

  get lastDeliveryAtMs() {
    return this.#recorder.lastAtMs;
  }

  /** Resolves when the broker granted all subscriptions. */
  async subscribe(topicFilters, qos) {
    for (let first = 0; first < topicFilters.length; first += FILTERS_AT_ONCE)
      await this.#subscribe(topicFilters.slice(first, first + FILTERS_AT_ONCE), qos);
  }

  #subscribe(topicFilters, qos) {
    return new Promise((resolve, reject) => {
      this.#onSuback = (codes) => {
        const refused = codes.find((code) => code >= 0x80);
        if (refused === undefined) resolve();
        else reject(new Error(`SUBACK ${refused}`));
      };
      this.socket.write(subscribePacket(topicFilters, qos, this.#protocolVersion));
    });
  }

  /** Ends the connection and keeps the counts; `connect` may follow. */
  async leave() {
    const socket = this.socket;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    this.close();
    await closed;
  }

  onPacket(firstByte, buffer, start, end) {
    const type = firstByte & 0xf0;
    if (type === PUBLISH) this.#onPublish(firstByte, buffer, start, end);
    else if (type === PUBREL) {
      this.#unreleased[(buffer[start] << 8) | buffer[start + 1]] = 0;
      this.#ack(PUBCOMP, buffer[start], buffer[start + 1]);
    } else if (type === SUBACK)
      this.#onSuback([...buffer.subarray(start + (this.#protocolVersion === 5 ? 3 : 2), end)]);
  }

  #onPublish(firstByte, buffer, start, end) {
    const qos = (firstByte >> 1) & 3;
    let position = start + 2 + ((buffer[start] << 8) | buffer[start + 1]);
    if (qos === 2 && this.#isRepeated(buffer, position)) return;
    if (this.#workMs > 0) this.#work(qos, buffer, position);
    else {
      this.completed += 1;
      if (qos !== 0) this.#ack(qos === 1 ? PUBACK : PUBREC, buffer[position], buffer[position + 1]);
    }
    if (qos !== 0) position += 2;
    if (this.#protocolVersion === 5) {
      let propertyBytes = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = buffer[position];
        position += 1;
        propertyBytes |= (byte & 0x7f) << shift;
        if (byte < 0x80) break;
      }
      position += propertyBytes;
    }
    this.delivered += 1;
    if ((firstByte & 0x08) !== 0) this.marked += 1;
    const publisher = end - position < STAMP_BYTES ? Infinity : readUint32(buffer, position);
    if (publisher >= this.#ledger.length) {
      this.foreign += 1;
      return;
    }
    const sequence = readUint32(buffer, position + 4);
    this.#ledger[publisher].add(sequence);
    if (sequence <= this.#lastSequence[publisher]) this.outOfOrder += 1;
    this.#lastSequence[publisher] = sequence;
    if (sequence < this.lowestSequence) this.lowestSequence = sequence;
    this.#recorder.record(readTime(buffer, position + 8));
  }

  /** Enters the packet id of a QoS 2 message; answers whether it was there, in which case only PUBREC is said again. */
  #isRepeated(buffer, position) {
    this.#unreleased ??= new Uint8Array(65536);
    const packetId = (buffer[position] << 8) | buffer[position + 1];
    if (this.#unreleased[packetId] !== 0) {
      this.#ack(PUBREC, buffer[position], buffer[position + 1]);
      return true;
    }
    this.#unreleased[packetId] = 1;
    return false;
  }

  /** One after the other; what waits is bounded by the window that the broker keeps. */
  #work(qos, buffer, position) {
    const ack =
      qos === 0 ? -1 : (qos === 1 ? PUBACK : PUBREC) * 65536 + buffer[position] * 256 + buffer[position + 1];
    this.#waiting.push(ack);
    if (this.#working) return;
    this.#working = true;
    setTimeout(this.#finishWork, this.#workMs);
  }

  #finishWork = () => {
    const ack = this.#waiting.shift();
    this.completed += 1;
    this.lastCompletedAtMs = nowMs();
    if (ack >= 0) {
      this.#ack(Math.floor(ack / 65536), (ack >> 8) & 0xff, ack & 0xff);
      this.#flushAcks();
    }
    this.#working = this.#waiting.length > 0;
    if (this.#working) setTimeout(this.#finishWork, this.#workMs);
  };

  #ack(type, high, low) {
    if (this.#ackBytes === this.#acks.length) this.#flushAcks();
    const acks = this.#acks;
    const at = this.#ackBytes;
    acks[at] = type;
    acks[at + 1] = 2;
    acks[at + 2] = high;
    acks[at + 3] = low;
    this.#ackBytes = at + 4;
  }

  #flushAcks() {
    if (this.#ackBytes === 0) return;
    this.socket.write(this.#acks.subarray(0, this.#ackBytes));
    this.#ackBytes = 0;
    if (this.socket.writableLength > 0) this.#acks = Buffer.allocUnsafe(this.#acks.length);
  }

  onChunkEnd() {
    this.#flushAcks();
    this.#recorder.endChunk();
  }
}

function readUint32(buffer, at) {
  return ((buffer[at] << 24) | (buffer[at + 1] << 16) | (buffer[at + 2] << 8) | buffer[at + 3]) >>> 0;
}

const timeBytes = new Uint8Array(8);
const timeView = new DataView(timeBytes.buffer);

/** The send time. */
function readTime(buffer, at) {
  for (let index = 0; index < 8; index += 1) timeBytes[index] = buffer[at + index];
  return timeView.getFloat64(0);
}
