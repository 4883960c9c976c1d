/**
 * AMQP 0-9-1 as RabbitMQ speaks it: publisher confirms, a durable queue (classic or quorum), prefetch and acks. Runs in
 * the load processes.
 *
 * Always true: a message is persistent and acknowledged when its confirm is there; consumers acknowledge once per read,
 * for all messages of it. What it gives up: confirms are taken to come in order, so which of a window's messages a late one was is not told apart.
 */
import { StampedConsumer, StampedPublisher } from './stamped.mjs';

const QUEUE = 'bench';
const PREFETCH = 200;
const FRAME_METHOD = 1;
const FRAME_HEADER = 2;
const FRAME_BODY = 3;
const FRAME_END = 0xce;
/** class * 65536 + method. */
const METHOD = {
  connectionStart: 0x000a000a,
  connectionTune: 0x000a001e,
  connectionOpenOk: 0x000a0029,
  connectionClose: 0x000a0032,
  channelOpenOk: 0x0014000b,
  channelClose: 0x00140028,
  queueDeclareOk: 0x0032000b,
  qosOk: 0x003c000b,
  deliver: 0x003c003c,
  ack: 0x003c0050,
  nack: 0x003c0078,
  selectOk: 0x0055000b,
};

function u16(value) {
  return Buffer.of(value >> 8, value & 0xff);
}

function u32(value) {
  return Buffer.of((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

function short(text) {
  return Buffer.concat([Buffer.of(text.length), Buffer.from(text)]);
}

function long(bytes) {
  return Buffer.concat([u32(bytes.length), Buffer.from(bytes)]);
}

function frame(type, channel, ...parts) {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(type), u16(channel), u32(body.length), body, Buffer.of(FRAME_END)]);
}

function method(channel, classId, methodId, ...parts) {
  return frame(FRAME_METHOD, channel, u16(classId), u16(methodId), ...parts);
}

/** Frames in `buffer`: calls `onFrame(type, start, end)`; answers the bytes used up. */
function cut(buffer, length, onFrame) {
  let at = 0;
  while (at + 8 <= length) {
    const end = at + 7 + buffer.readUInt32BE(at + 3);
    if (end >= length) break;
    onFrame(buffer[at], at + 7, end);
    at = end + 1;
  }
  return at;
}

/** The conversation up to the declared queue; `next` maps what was heard to what is said then. */
function conversation(client, queueType, last, onReady) {
  const table = Buffer.concat([short('x-queue-type'), Buffer.from('S'), long(queueType)]);
  const answers = {
    [METHOD.connectionStart]: () =>
      method(0, 10, 11, u32(0), short('PLAIN'), long('\0guest\0guest'), short('en_US')),
    [METHOD.connectionTune]: () =>
      Buffer.concat([
        method(0, 10, 31, u16(16), u32(131_072), u16(0)),
        method(0, 10, 40, short('/'), short(''), Buffer.of(0)),
      ]),
    [METHOD.connectionOpenOk]: () => method(1, 20, 10, short('')),
    [METHOD.channelOpenOk]: () => method(1, 50, 10, u16(0), short(QUEUE), Buffer.of(0x02), long(table)),
    [METHOD.queueDeclareOk]: () => last,
  };
  return (id, text) => {
    const answer = answers[id];
    if (answer !== undefined) client.socket.write(answer());
    else if (id === METHOD.connectionClose || id === METHOD.channelClose) client.fail(text());
    else if (id === METHOD.selectOk || id === METHOD.qosOk) onReady();
  };
}

function begin(client, start) {
  return new Promise((resolve) => {
    start(resolve);
    client.socket.write(Buffer.from('AMQP\0\0\u0009\u0001', 'latin1'));
  });
}

export class Publisher extends StampedPublisher {
  #queueType;
  #hear;
  #confirmed = 0;
  #early = new Set();

  constructor(settings) {
    super(settings);
    this.#queueType = settings.more.queueType;
  }

  /** basic.publish, a content header with delivery mode 2, one body frame. */
  message(payload) {
    const size = Buffer.concat([u32(0), u32(payload.length)]);
    return Buffer.concat([
      method(1, 60, 40, u16(0), short(''), short(QUEUE), Buffer.of(0)),
      frame(FRAME_HEADER, 1, u16(60), u16(0), size, u16(0x1000), Buffer.of(2)),
      frame(FRAME_BODY, 1, payload),
    ]);
  }

  handshake() {
    return begin(this, (ready) => {
      this.#hear = conversation(this, this.#queueType, method(1, 85, 10, Buffer.of(0)), ready);
    });
  }

  consume(buffer, length) {
    return cut(buffer, length, (type, start, end) => {
      if (type !== FRAME_METHOD) return;
      const id = buffer.readUInt32BE(start);
      if (id === METHOD.nack) this.fail('the broker refused a message');
      else if (id === METHOD.ack) this.#onConfirm(buffer, start);
      else this.#hear(id, () => buffer.latin1Slice(start, end));
    });
  }

  /** All tags up to #confirmed are; single ones above it wait in #early. */
  #onConfirm(buffer, start) {
    const tag = buffer.readUInt32BE(start + 8);
    const before = this.#confirmed + this.#early.size;
    if ((buffer[start + 12] & 1) === 0) this.#early.add(tag);
    else {
      for (const early of this.#early) if (early <= tag) this.#early.delete(early);
      this.#confirmed = Math.max(this.#confirmed, tag);
    }
    while (this.#early.delete(this.#confirmed + 1)) this.#confirmed += 1;
    this.onAcks(this.#confirmed + this.#early.size - before);
  }
}

export class Consumer extends StampedConsumer {
  #queueType;
  #hear;
  #lastTag = 0;
  /** Tag of the last delivery whose body is there. */
  #wholeTag = 0;
  #acked = 0;

  constructor(settings) {
    super(settings);
    this.#queueType = settings.more.queueType;
  }

  handshake() {
    return begin(this, (ready) => {
      const qos = method(1, 60, 10, u32(0), u16(PREFETCH), Buffer.of(0));
      this.#hear = conversation(this, this.#queueType, qos, ready);
    });
  }

  async subscribe() {
    this.socket.write(method(1, 60, 20, u16(0), short(QUEUE), short(''), Buffer.of(0), u32(0)));
    await Promise.resolve();
  }

  /** A delivery is a method, a header and, as long as payloads fit in a frame, one body. */
  consume(buffer, length) {
    return cut(buffer, length, (type, start, end) => {
      if (type === FRAME_BODY) {
        this.onMessage(buffer, start, end);
        this.#wholeTag = this.#lastTag;
      } else if (type === FRAME_METHOD) {
        const id = buffer.readUInt32BE(start);
        if (id === METHOD.deliver) this.#lastTag = buffer.readUInt32BE(start + 4 + 1 + buffer[start + 4] + 4);
        else this.#hear(id, () => buffer.latin1Slice(start, end));
      }
    });
  }

  onChunkEnd() {
    super.onChunkEnd();
    if (this.#wholeTag === this.#acked) return;
    this.#acked = this.#wholeTag;
    this.socket.write(method(1, 60, 80, u32(0), u32(this.#acked), Buffer.of(1)));
  }
}
