/**
 * What clients of other protocols share: a socket, a publisher that patches stamps into pre-encoded messages, a consumer
 * that enters what it reads in the ledger. Runs in the load processes.
 *
 * Always true: these clients do what those of MQTT do (`load/publisher.mjs`, `load/consumer.mjs`) and can be put in their
 * place; subclasses know the bytes. What it gives up: acknowledgements are taken to come in the order of publishing.
 */
import net from 'node:net';
import { nowMs } from '../../load/clock.mjs';
import { Due } from '../../load/due.mjs';
import { SequenceSet } from '../../load/ledger.mjs';
import { Recorder } from '../../load/recorder.mjs';
import { STAMP_BYTES } from '../../load/wire.mjs';

const readBuffer = Buffer.allocUnsafe(256 * 1024);

/** A socket; subclasses give `handshake()` and `consume(buffer, length)`, which answers how many bytes it used up. */
class StampedClient {
  socket;
  #carry = Buffer.alloc(0);
  #ending = false;
  #onFailure;

  constructor(onFailure) {
    this.#onFailure = onFailure;
  }

  /** Resolves when the server is ready for this client. */
  async connect({ host, port }) {
    await new Promise((resolve, reject) => {
      const onread = { buffer: readBuffer, callback: (length, chunk) => this.#onChunk(chunk, length) };
      this.socket = net.connect({ host, port, noDelay: true, onread });
      this.socket.once('connect', resolve);
      const fail = (error) => {
        if (this.#ending) return;
        this.#ending = true;
        const failure = new Error(error?.message ?? 'connection closed by the server');
        reject(failure);
        this.#onFailure(failure);
      };
      this.socket.on('error', fail);
      this.socket.on('close', () => fail());
    });
    await this.handshake();
  }

  #onChunk(chunk, length) {
    const whole =
      this.#carry.length === 0
        ? chunk.subarray(0, length)
        : Buffer.concat([this.#carry, chunk.subarray(0, length)]);
    const used = this.consume(whole, whole.length);
    this.#carry = used === whole.length ? Buffer.alloc(0) : Buffer.from(whole.subarray(used));
    this.onChunkEnd();
    return true;
  }

  onChunkEnd() {}

  /** Something that the server should not have said. */
  fail(text) {
    if (!this.#ending) this.#onFailure(new Error(text));
  }

  close() {
    if (this.#ending || this.socket === undefined) return;
    this.#ending = true;
    this.socket.destroy();
  }
}

/** A publisher with a window; subclasses give `message(payload)` → bytes, and call `onAcks(count)`. */
export class StampedPublisher extends StampedClient {
  sent = 0;
  acked = 0;
  failed = 0;
  acknowledged = new SequenceSet();
  #index;
  #payloadBytes;
  #quota = 0;
  #window;
  #buffer;
  #view;
  #packetBytes;
  #stampOffset;
  #sentAtMs;
  #recorder;
  #running = false;
  #due = new Due();

  constructor({ index, payloadBytes, window, histogram, warmup, onFailure }) {
    super(onFailure);
    this.#index = index;
    this.#payloadBytes = payloadBytes;
    this.#window = window;
    this.#recorder = new Recorder(histogram, warmup);
    this.#sentAtMs = new Float64Array(window);
  }

  async connect(server) {
    this.#encode();
    await super.connect(server);
  }

  #encode() {
    const window = this.#window;
    const payload = Buffer.alloc(this.#payloadBytes, 0x2e);
    payload.write('\u0001stamp starts\u0001');
    const one = this.message(payload);
    this.#packetBytes = one.length;
    this.#stampOffset = one.indexOf('\u0001stamp starts\u0001');
    this.#buffer = Buffer.concat(Array.from({ length: window }, () => one));
    this.#view = new DataView(this.#buffer.buffer, this.#buffer.byteOffset, this.#buffer.length);
    for (let slot = 0; slot < window; slot += 1)
      this.#view.setUint32(slot * one.length + this.#stampOffset, this.#index);
  }

  get done() {
    return this.sent >= this.#quota && this.acked + this.failed >= this.sent;
  }

  get lastAckAtMs() {
    return this.#recorder.lastAtMs;
  }

  start(count) {
    this.#quota = count;
    this.#running = true;
    this.#fill(this.#room(), nowMs());
  }

  /** Messages whose moment has come and that the window still holds back. */
  get held() {
    return Math.min(this.#due.count, this.#quota - this.sent);
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

  stop() {
    this.#quota = Math.min(this.#quota, this.sent);
    this.#running = false;
    this.#due.clear();
  }

  /** The next `count` messages are stored. */
  onAcks(count) {
    for (let index = 0; index < count; index += 1) {
      const sequence = this.acked + this.failed;
      this.acknowledged.add(sequence);
      this.#recorder.record(this.#sentAtMs[sequence % this.#window]);
      this.acked += 1;
    }
  }

  onChunkEnd() {
    this.#recorder.endChunk();
    if (this.#running) this.#fill(this.#room(), nowMs());
    else if (!this.#due.isEmpty) this.#fillDue();
  }

  #room() {
    return Math.min(this.#window - (this.sent - this.acked - this.failed), this.#quota - this.sent);
  }

  #fillDue() {
    this.#due.take(this.#room(), (count, intendedMs) => this.#fill(count, intendedMs));
  }

  #fill(count, stampMs) {
    const first = this.sent % this.#window;
    const part = Math.min(count, this.#window - first);
    if (part <= 0) return;
    this.#write(first, part, stampMs);
    if (count > part) this.#write(0, count - part, stampMs);
  }

  #write(first, count, stampMs) {
    for (let slot = first; slot < first + count; slot += 1) {
      const at = slot * this.#packetBytes + this.#stampOffset;
      this.#view.setUint32(at + 4, this.sent);
      this.#view.setFloat64(at + 8, stampMs);
      this.#sentAtMs[slot] = stampMs;
      this.sent += 1;
    }
    this.socket.write(this.#buffer.subarray(first * this.#packetBytes, (first + count) * this.#packetBytes));
  }
}

/** A consumer; subclasses call `onMessage(buffer, start, end)` with a payload and say their acks themselves. */
export class StampedConsumer extends StampedClient {
  delivered = 0;
  marked = 0;
  outOfOrder = 0;
  foreign = 0;
  lowestSequence = Infinity;
  lastCompletedAtMs = 0;
  #ledger;
  #recorder;
  #last;

  constructor({ ledger, histogram, warmup, onFailure }) {
    super(onFailure);
    this.#ledger = ledger;
    this.#recorder = new Recorder(histogram, warmup);
    this.#last = new Float64Array(ledger.length).fill(-1);
  }

  get completed() {
    return this.delivered;
  }

  get firstDeliveryAtMs() {
    return this.#recorder.firstAtMs;
  }

  get lastDeliveryAtMs() {
    return this.#recorder.lastAtMs;
  }

  onMessage(buffer, start, end) {
    this.delivered += 1;
    const publisher = end - start < STAMP_BYTES ? Infinity : buffer.readUInt32BE(start);
    if (publisher >= this.#ledger.length) {
      this.foreign += 1;
      return;
    }
    const sequence = buffer.readUInt32BE(start + 4);
    this.#ledger[publisher].add(sequence);
    if (sequence <= this.#last[publisher]) this.outOfOrder += 1;
    this.#last[publisher] = sequence;
    this.lowestSequence = Math.min(this.lowestSequence, sequence);
    this.#recorder.record(buffer.readDoubleBE(start + 8));
  }

  onChunkEnd() {
    this.#recorder.endChunk();
  }
}
