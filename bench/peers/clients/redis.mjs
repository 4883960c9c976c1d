/**
 * Redis Streams as a durable queue: XADD, and XREADGROUP with XACK, pipelined, in RESP 2. Runs in the load processes.
 *
 * Always true: a message is acknowledged when the reply of its XADD is there; a consumer asks for its next messages in the
 * same write that acknowledges the last. What it gives up: the stream is trimmed to about a million entries.
 */
import { StampedConsumer, StampedPublisher } from './stamped.mjs';

const STREAM = 'bench';
const GROUP = 'workers';
const KEPT = '1000000';
const BATCH = '100';
const BLOCK_MS = '5000';
const NEWLINE = 10;

function command(...words) {
  const parts = words.flatMap((word) => {
    const bytes = Buffer.from(word);
    return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')];
  });
  return Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...parts]);
}

/** Position behind the line that starts at `at`, or -1 while it is incomplete. */
function lineEnd(buffer, at, end) {
  const newline = buffer.indexOf(NEWLINE, at);
  return newline < 0 || newline >= end ? -1 : newline + 1;
}

export class Publisher extends StampedPublisher {
  message(payload) {
    return command('XADD', STREAM, 'MAXLEN', '~', KEPT, '*', 'd', payload);
  }

  async handshake() {
    await Promise.resolve();
  }

  /** Replies are bulk strings with the new id: two lines each. */
  consume(buffer, length) {
    let at = 0;
    for (;;) {
      const head = lineEnd(buffer, at, length);
      if (head < 0) return at;
      if (buffer[at] !== 0x24) {
        this.fail(buffer.toString('latin1', at, head - 2));
        return length;
      }
      const body = lineEnd(buffer, head, length);
      if (body < 0) return at;
      this.onAcks(1);
      at = body;
    }
  }
}

export class Consumer extends StampedConsumer {
  #name = `c${process.pid}-${Math.random()}`;
  #onGroup;
  #reading = false;
  #ids = [];
  #at = 0;
  #end = 0;

  /** The group is there afterwards, whoever made it. */
  async handshake() {
    const made = new Promise((resolve) => {
      this.#onGroup = resolve;
    });
    this.socket.write(command('XGROUP', 'CREATE', STREAM, GROUP, '0', 'MKSTREAM'));
    await made;
  }

  async subscribe() {
    this.#reading = true;
    this.socket.write(this.#readCommand());
    await Promise.resolve();
  }

  #readCommand() {
    return command(
      ...[
        'XREADGROUP',
        'GROUP',
        GROUP,
        this.#name,
        'COUNT',
        BATCH,
        'BLOCK',
        BLOCK_MS,
        'STREAMS',
        STREAM,
        '>',
      ],
    );
  }

  consume(buffer, length) {
    let used = 0;
    while (used < length) {
      this.#at = used;
      this.#end = length;
      if (!this.#reply(buffer)) return used;
      used = this.#at;
    }
    return used;
  }

  /** One whole reply; answers false, and counts nothing, while it is incomplete. */
  #reply(buffer) {
    const type = buffer[this.#at];
    if (!this.#reading) {
      if (!this.#skipLine(buffer)) return false;
      this.#onGroup();
      return true;
    }
    if (type === 0x3a) return this.#skipLine(buffer);
    if (type === 0x2d) {
      this.fail(buffer.toString('latin1', this.#at, this.#end));
      return this.#skipLine(buffer);
    }
    const start = this.#at;
    if (this.#number(buffer) === undefined) return false;
    if (buffer[start + 1] === 0x2d) {
      this.socket.write(this.#readCommand());
      return true;
    }
    const ranges = this.#entries(buffer);
    if (ranges === undefined) return false;
    for (let index = 0; index < ranges.length; index += 2)
      this.onMessage(buffer, ranges[index], ranges[index + 1]);
    this.socket.write(Buffer.concat([command('XACK', STREAM, GROUP, ...this.#ids), this.#readCommand()]));
    return true;
  }

  /** `*2 $n stream *n (*2 $n id *2 $1 d $n payload)…`: ranges of the payloads; ids go to #ids. */
  #entries(buffer) {
    if (this.#number(buffer) === undefined || this.#bulk(buffer) === undefined) return undefined;
    const count = this.#number(buffer);
    if (count === undefined) return undefined;
    const ranges = [];
    this.#ids = [];
    for (let index = 0; index < count; index += 1) {
      if (this.#number(buffer) === undefined) return undefined;
      const id = this.#bulk(buffer);
      if (id === undefined) return undefined;
      this.#ids.push(buffer.latin1Slice(id, this.#at - 2));
      if (this.#number(buffer) === undefined || this.#bulk(buffer) === undefined) return undefined;
      const payload = this.#bulk(buffer);
      if (payload === undefined) return undefined;
      ranges.push(payload, this.#at - 2);
    }
    return ranges;
  }

  #skipLine(buffer) {
    const end = lineEnd(buffer, this.#at, this.#end);
    if (end < 0) return false;
    this.#at = end;
    return true;
  }

  /** The number of a `*n` or `$n` line. */
  #number(buffer) {
    const end = lineEnd(buffer, this.#at, this.#end);
    if (end < 0) return undefined;
    let number = 0;
    for (let at = this.#at + 1; at < end - 2; at += 1) number = number * 10 + buffer[at] - 48;
    this.#at = end;
    return number;
  }

  /** Start of a bulk string's bytes; #at is behind it then. */
  #bulk(buffer) {
    const length = this.#number(buffer);
    if (length === undefined) return undefined;
    const start = this.#at;
    if (start + length + 2 > this.#end) return undefined;
    this.#at = start + length + 2;
    return start;
  }
}
