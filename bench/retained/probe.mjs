/**
 * The other client: publishes to its own topic every few milliseconds and times each message until it is back. Runs in
 * a worker thread of the retained bench, so that the load of that bench does not hold up the clock.
 *
 * Always true: one message is one sample; samples of messages sent between `start` and `stop` are answered, in
 * milliseconds; a message that is not back after `LOST_MS` is counted as lost, with that time as its sample.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { LoadClient, nowMs } from '../load/client.mjs';
import { PUBLISH, publishSlots, SUBACK, subscribePacket } from '../load/wire.mjs';

const TOPIC = 'probe/latency';
const INTERVAL_MS = 2;
const LOST_MS = 10_000;
const PAYLOAD_BYTES = 64;

class Probe extends LoadClient {
  samples = [];
  sent = 0;
  ready = new Promise((resolve) => {
    this.onReady = resolve;
  });
  #slot = publishSlots(TOPIC, PAYLOAD_BYTES, 0, 4, 1);
  #waiting = new Set();

  onPacket(firstByte, buffer, start) {
    if ((firstByte & 0xf0) === SUBACK) this.onReady();
    if ((firstByte & 0xf0) !== PUBLISH) return;
    const body = start + 2 + TOPIC.length;
    if (this.#waiting.delete(buffer.readUInt32BE(body + 4)))
      this.samples.push(nowMs() - buffer.readDoubleBE(body + 8));
  }

  send() {
    const { buffer, stampOffset } = this.#slot;
    const copy = Buffer.from(buffer);
    copy.writeUInt32BE((this.sent += 1), stampOffset + 4);
    copy.writeDoubleBE(nowMs(), stampOffset + 8);
    this.#waiting.add(this.sent);
    this.socket.write(copy);
  }

  async collect() {
    const endMs = nowMs() + LOST_MS;
    while (this.#waiting.size > 0 && nowMs() < endMs) await new Promise((resolve) => setTimeout(resolve, 5));
    const lost = this.#waiting.size;
    const samples = [...this.samples, ...Array.from({ length: lost }, () => LOST_MS)];
    this.samples = [];
    this.#waiting.clear();
    return { samples, lost };
  }
}

const probe = new Probe((error) => parentPort.postMessage({ failure: error.message }));
await probe.connect({ ...workerData, clientId: 'probe', protocolVersion: 4 });
probe.socket.write(subscribePacket([TOPIC], 0, 4));
await probe.ready;
let timer;
parentPort.on('message', (message) => {
  clearInterval(timer);
  if (message === 'start') timer = setInterval(() => probe.send(), INTERVAL_MS);
  else void probe.collect().then((result) => parentPort.postMessage(result));
});
parentPort.postMessage({ ready: true });
