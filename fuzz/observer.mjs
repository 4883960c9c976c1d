/**
 * Two healthy clients that exchange messages while the fuzzing goes on. Runs in the fuzzer.
 *
 * Always true: every message is acknowledged and arrives once; `trouble` says what was not so. Delays are from
 * publish to arrival, in milliseconds of this process. The topic cannot be hit by a mutation.
 */
import { randomUUID } from 'node:crypto';

import { connectAsync } from 'mqtt';

const intervalMs = 20;

/** Starts the pair against `port`. `delayMsMax`: what no message may take. */
export async function startObserver(port, delayMsMax) {
  const options = { host: '127.0.0.1', port, protocolVersion: 5, reconnectPeriod: 0, keepalive: 0 };
  const [reader, writer] = await Promise.all([
    connectAsync({ ...options, clientId: 'observer-reader' }),
    connectAsync({ ...options, clientId: 'observer-writer' }),
  ]);
  const observer = new Observer(reader, writer, delayMsMax);
  await observer.begin();
  return observer;
}

class Observer {
  /** Delay of each message, milliseconds. */
  delays = [];
  #reader;
  #writer;
  #delayMsMax;
  #sent = 0;
  #topic = `observer-${randomUUID()}`;
  #sentAt = new Map();
  #fault;
  #timer;
  #stopping = false;

  constructor(reader, writer, delayMsMax) {
    this.#reader = reader;
    this.#writer = writer;
    this.#delayMsMax = delayMsMax;
    for (const [name, client] of Object.entries({ reader, writer })) {
      client.on('error', (error) => this.#fail(`the ${name} of the observer: ${error.message}`));
      client.on('close', () => {
        if (!this.#stopping) this.#fail(`the ${name} of the observer lost its connection`);
      });
    }
  }

  async begin() {
    await this.#reader.subscribeAsync(this.#topic, { qos: 2 });
    this.#reader.on('message', (_topic, payload) => this.#arrived(Number(payload.toString())));
    this.#timer = setInterval(() => this.#send(), intervalMs);
  }

  /** What went wrong so far, or undefined. */
  get trouble() {
    const oldest = this.#sentAt.values().next().value;
    if (this.#fault === undefined && oldest !== undefined && performance.now() - oldest > this.#delayMsMax) {
      this.#fail(`a message of the observer has not arrived within ${this.#delayMsMax} ms`);
    }
    return this.#fault;
  }

  /** Waits for the last messages and leaves. */
  async stop() {
    clearInterval(this.#timer);
    while (this.#sentAt.size > 0 && this.trouble === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    this.#stopping = true;
    await Promise.all([this.#reader.endAsync(true), this.#writer.endAsync(true)]);
  }

  #send() {
    // One at a time per interval; a stalled broker shows in `trouble`, not in a pile of messages.
    if (this.#sentAt.size >= 50) return;
    const number = ++this.#sent;
    this.#sentAt.set(number, performance.now());
    this.#writer.publish(this.#topic, String(number), { qos: (number % 2) + 1 }, (error) => {
      if (error && !this.#stopping) this.#fail(`message ${number} of the observer: ${error.message}`);
    });
  }

  #arrived(number) {
    const sentAt = this.#sentAt.get(number);
    if (sentAt === undefined) {
      this.#fail(`message ${number} of the observer arrived twice`);
      return;
    }
    this.#sentAt.delete(number);
    this.delays.push(performance.now() - sentAt);
  }

  #fail(text) {
    this.#fault ??= text;
  }
}
