/**
 * A consumer that acknowledges every message at once, all acks of one read in one write. Runs in the load
 * processes.
 *
 * Always true: each delivery is entered in the ledger before its ack leaves. The ack buffer is reused only
 * when the kernel has taken the previous one. What it gives up: it does no work per message.
 */
import { LoadClient, nowMs } from './client.mjs';
import { PUBACK, PUBLISH, STAMP_BYTES, SUBACK, subscribePacket } from './wire.mjs';

export class Consumer extends LoadClient {
  delivered = 0;
  marked = 0;
  outOfOrder = 0;
  foreign = 0;
  firstDeliveryAtMs = 0;
  lastDeliveryAtMs = 0;
  #protocolVersion;
  #ledger;
  #histogram;
  #lastSequence;
  #acks = Buffer.allocUnsafe(64 * 1024);
  #ackBytes = 0;
  #chunkAtMs = 0;
  #runAtMs = 0;
  #runCount = 0;
  #onSuback;

  /** `ledger[publisher]` is a SequenceSet, shared by the consumers of this process. */
  constructor({ protocolVersion, ledger, histogram, onFailure }) {
    super(onFailure);
    this.#protocolVersion = protocolVersion;
    this.#ledger = ledger;
    this.#histogram = histogram;
    this.#lastSequence = new Float64Array(ledger.length).fill(-1);
  }

  /** Resolves when the broker granted the subscription. */
  subscribe(topicFilters, qos) {
    return new Promise((resolve, reject) => {
      this.#onSuback = (codes) =>
        codes.some((code) => code >= 0x80) ? reject(new Error(`SUBACK ${codes.join(',')}`)) : resolve();
      this.socket.write(subscribePacket(topicFilters, qos, this.#protocolVersion));
    });
  }

  onPacket(firstByte, buffer, start, end) {
    const type = firstByte & 0xf0;
    if (type === PUBLISH) this.#onPublish(firstByte, buffer, start, end);
    else if (type === SUBACK)
      this.#onSuback([...buffer.subarray(start + (this.#protocolVersion === 5 ? 3 : 2), end)]);
  }

  #onPublish(firstByte, buffer, start, end) {
    let position = start + 2 + ((buffer[start] << 8) | buffer[start + 1]);
    if ((firstByte & 0x06) !== 0) {
      this.#ack(buffer[position], buffer[position + 1]);
      position += 2;
    }
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
    if (end - position < STAMP_BYTES) {
      this.foreign += 1;
      return;
    }
    const publisher = buffer.readUInt32BE(position);
    if (publisher >= this.#ledger.length) {
      this.foreign += 1;
      return;
    }
    const sequence = buffer.readUInt32BE(position + 4);
    this.#ledger[publisher].add(sequence);
    if (sequence <= this.#lastSequence[publisher]) this.outOfOrder += 1;
    this.#lastSequence[publisher] = sequence;
    this.#record(buffer.readDoubleBE(position + 8));
  }

  #ack(high, low) {
    if (this.#ackBytes === this.#acks.length) this.#flushAcks();
    const acks = this.#acks;
    const at = this.#ackBytes;
    acks[at] = PUBACK;
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

  #record(sentAtMs) {
    if (this.#chunkAtMs === 0) {
      this.#chunkAtMs = nowMs();
      this.lastDeliveryAtMs = this.#chunkAtMs;
      if (this.firstDeliveryAtMs === 0) this.firstDeliveryAtMs = this.#chunkAtMs;
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

  onChunkEnd() {
    this.#flushAcks();
    this.#flushRecord();
    this.#chunkAtMs = 0;
  }
}
