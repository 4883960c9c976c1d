/**
 * The worker's end of a shard's rings, driven by hand: reads frames, answers them. Test process.
 *
 * Always true: one incarnation per object, with the epoch that the client expects next.
 */
import { RingReader, RingWriter, createRingMemory } from '../../src/base/ring.js';
import { PAGE_BYTES } from '../../src/queue/arena.js';
import type { ShardClient, ShardMemory } from '../../src/shard/client.js';
import type { PublishRanges, Publisher, PublishStatus } from '../../src/shard/link.js';
import {
  CONSUMER_SLOTS_MAX,
  FRAME_TYPE_MASK,
  FrameType,
  publishRecordsAt,
} from '../../src/shard/protocol.js';
import { memoryOf, writeRecord, type TestMessage } from '../queue/fake-host.js';

/** A frame as the worker finds it. `body` is a copy of what follows the two header words. */
export interface Frame {
  readonly type: number;
  readonly typeWord: number;
  readonly body: Buffer;
}

/** See the file header. */
export class FakeWorker {
  readonly memory: ShardMemory;
  readonly epoch: number;
  readonly in: RingReader;
  readonly out: RingWriter;
  readonly counts: Int32Array;
  readonly #arena: Buffer;
  #arenaAt = 0;
  #slot = 0;

  constructor(client: ShardClient, ringBytes = 64 * 1024) {
    this.memory = {
      toWorker: createRingMemory(ringBytes),
      toMain: createRingMemory(ringBytes),
      arena: new SharedArrayBuffer(PAGE_BYTES),
      inFlightCounts: new SharedArrayBuffer(CONSUMER_SLOTS_MAX * 4),
    };
    this.epoch = client.nextEpoch;
    this.in = new RingReader(this.memory.toWorker);
    this.out = new RingWriter(this.memory.toMain);
    this.counts = new Int32Array(this.memory.inFlightCounts);
    this.#arena = Buffer.from(this.memory.arena);
    client.up(this.memory);
  }

  /** Frames that are visible, at most `countMax`; their room is given back. */
  frames(countMax = Number.POSITIVE_INFINITY): Frame[] {
    const frames: Frame[] = [];
    while (frames.length < countMax) {
      const at = this.in.next();
      if (at < 0) break;
      const length = this.in.words[at >> 2] as number;
      const typeWord = this.in.words[(at >> 2) + 1] as number;
      const body = Buffer.from(this.in.bytes.subarray(at + 8, at + length));
      frames.push({ type: typeWord & FRAME_TYPE_MASK, typeWord, body });
    }
    this.in.release();
    return frames;
  }

  /** Sends a message to a consumer; returns its tag. */
  deliver(consumerSlot: number, message: TestMessage, attempt = 1, expiryInterval = 0, offset = 0): number {
    const memory = memoryOf(16 * 1024);
    const length = writeRecord(memory, 0, message);
    memory.bytes.copy(this.#arena, this.#arenaAt, 0, length);
    const tag = ((this.epoch << 28) | (1 << 20) | this.#slot++) >>> 0;
    Atomics.add(this.counts, consumerSlot, 1);
    const word = (this.out.reserve(32, FrameType.deliver, this.out.sizeBytes) >> 2) + 2;
    this.out.words.set([consumerSlot, tag, this.#arenaAt, attempt, expiryInterval, offset], word);
    this.out.publish();
    this.#arenaAt += length;
    return tag;
  }

  /** Settles the next `frames` frames as stored. */
  settle(frames: number): void {
    const word = (this.out.reserve(16, FrameType.settled, this.out.sizeBytes) >> 2) + 2;
    this.out.words[word] = frames;
    this.out.publish();
  }

  detached(slot: number): void {
    const word = (this.out.reserve(16, FrameType.detached, this.out.sizeBytes) >> 2) + 2;
    this.out.words[word] = slot;
    this.out.publish();
  }
}

/** The records of a publish frame as [topic, properties, payload, client id]. */
export function recordsOf({ body, typeWord }: Frame): string[][] {
  const queueCount = (typeWord >>> 8) & 0xffff;
  const records: string[][] = [];
  for (let at = publishRecordsAt(queueCount) - 8; at < body.length; at += body.readUInt32LE(at)) {
    const start = at + 40 + body.readUInt8(at + 5);
    const bodyEnd = start + body.readUInt32LE(at + 20);
    const properties = start + body.readUInt32LE(at + 8);
    records.push([
      body.toString('utf8', start, start + body.readUInt16LE(at + 6)),
      body.toString('utf8', properties, properties + body.readUInt32LE(at + 12)),
      body.toString('utf8', start + body.readUInt32LE(at + 16), bodyEnd),
      body.toString('utf8', bodyEnd, bodyEnd + body.readUInt16LE(at + 28)),
    ]);
  }
  return records;
}

/** A publish as a packet in one piece: topic, two bytes between, properties, payload. */
export function packet(topic: string, payload: string, properties = ''): PublishRanges {
  const buffer = Buffer.from(`xxx${topic}--${properties}${payload}yy`);
  const topicEnd = 3 + Buffer.byteLength(topic);
  const propertiesEnd = topicEnd + 2 + Buffer.byteLength(properties);
  return {
    topicBuffer: buffer,
    topicStart: 3,
    topicEnd,
    propertiesBuffer: buffer,
    propertiesStart: topicEnd + 2,
    propertiesEnd,
    payloadBuffer: buffer,
    payloadStart: propertiesEnd,
    payloadEnd: buffer.length - 2,
    flags: 1,
    messageExpiryInterval: 0,
  };
}

/** A publisher that keeps what it is told, one entry per publish. */
export class RecordingPublisher implements Publisher {
  readonly context;
  readonly told: [number, PublishStatus][] = [];

  constructor(clientId = 'publisher', username?: string) {
    this.context = { clientId, username, peername: '127.0.0.1:5', protocolVersion: 5 };
  }

  onSettled(firstToken: number, count: number, status: PublishStatus): void {
    for (let i = 0; i < count; i++) this.told.push([(firstToken + i) >>> 0, status]);
  }
}
