/**
 * NATS JetStream as a durable queue: one stream in files, a push consumer with a deliver group and explicit acks. Runs in
 * the load processes.
 *
 * Always true: a message is acknowledged when JetStream's answer to its publish is there.
 */
import { StampedConsumer, StampedPublisher } from './stamped.mjs';

const STREAM = 'BENCH';
const DURABLE = 'workers';
const DELIVER = 'deliver.workers';
const IN_FLIGHT_MAX = 1000;
let inboxes = 0;

const stream = {
  name: STREAM,
  subjects: ['bench.>'],
  storage: 'file',
  retention: 'workqueue',
};
const consumer = {
  stream_name: STREAM,
  config: {
    durable_name: DURABLE,
    deliver_subject: DELIVER,
    deliver_group: DURABLE,
    ack_policy: 'explicit',
    max_ack_pending: IN_FLIGHT_MAX,
  },
};

function publish(subject, reply, body) {
  const bytes = Buffer.from(body);
  return Buffer.concat([
    Buffer.from(`PUB ${subject} ${reply} ${bytes.length}\r\n`),
    bytes,
    Buffer.from('\r\n'),
  ]);
}

/** CONNECT, and the two requests that make stream and consumer; repeated requests change nothing. */
function greeting(inbox) {
  return Buffer.concat([
    Buffer.from('CONNECT {"verbose":false,"pedantic":false,"lang":"bench","version":"1"}\r\n'),
    Buffer.from(`SUB ${inbox} 1\r\n`),
    publish(`$JS.API.STREAM.CREATE.${STREAM}`, inbox, JSON.stringify(stream)),
    publish(`$JS.API.CONSUMER.DURABLE.CREATE.${STREAM}.${DURABLE}`, inbox, JSON.stringify(consumer)),
  ]);
}

/**
 * Cuts off the messages of `buffer`: `onMessage(sid, replyStart, replyEnd, start, end)`; answers the bytes used up.
 * MSG lines are `MSG subject sid [reply] size`.
 */
function cut(client, buffer, length, onMessage) {
  let at = 0;
  for (;;) {
    const newline = buffer.indexOf(10, at);
    if (newline < 0 || newline >= length) return at;
    const type = buffer[at];
    if (type === 0x4d) {
      const words = buffer.latin1Slice(at, newline - 1).split(' ');
      const start = newline + 1;
      const end = start + Number(words.at(-1));
      if (end + 2 > length) return at;
      onMessage(words[2], words.length === 5 ? words[3] : '', start, end);
      at = end + 2;
      continue;
    }
    if (type === 0x50 && buffer[at + 1] === 0x49) client.socket.write('PONG\r\n');
    if (type === 0x2d) client.fail(buffer.latin1Slice(at, newline - 1));
    at = newline + 1;
  }
}

export class Publisher extends StampedPublisher {
  #inbox;
  #answers = 0;
  #onReady;

  message(payload) {
    this.#inbox ??= `_INBOX.${process.pid}.${(inboxes += 1)}`;
    return publish('bench.jobs', this.#inbox, payload);
  }

  handshake() {
    return new Promise((resolve) => {
      this.#onReady = resolve;
      this.socket.write(greeting(this.#inbox));
    });
  }

  /** The first two answers are those of the greeting. */
  consume(buffer, length) {
    return cut(this, buffer, length, (sid, reply, start, end) => {
      this.#answers += 1;
      if (this.#answers <= 2) {
        if (this.#answers === 2) this.#onReady();
      } else if (buffer.latin1Slice(start, end).includes('"error"')) this.failed += 1;
      else this.onAcks(1);
    });
  }
}

export class Consumer extends StampedConsumer {
  #inbox = `_INBOX.${process.pid}.${(inboxes += 1)}`;
  #answers = 0;
  #onReady;
  #acks = [];

  handshake() {
    return new Promise((resolve) => {
      this.#onReady = resolve;
      this.socket.write(greeting(this.#inbox));
    });
  }

  async subscribe() {
    this.socket.write(`SUB ${DELIVER} ${DURABLE} 2\r\n`);
    await Promise.resolve();
  }

  consume(buffer, length) {
    return cut(this, buffer, length, (sid, reply, start, end) => {
      if (sid === '1') {
        this.#answers += 1;
        if (this.#answers === 2) this.#onReady();
        return;
      }
      this.onMessage(buffer, start, end);
      this.#acks.push(`PUB ${reply} 4\r\n+ACK\r\n`);
    });
  }

  onChunkEnd() {
    super.onChunkEnd();
    if (this.#acks.length === 0) return;
    this.socket.write(this.#acks.join(''));
    this.#acks.length = 0;
  }
}
