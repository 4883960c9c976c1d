import { describe, expect, test } from 'vitest';
import { ShardClient } from '../../src/shard/client.js';
import {
  NO_TOKEN,
  PublishStatus,
  type Attachment,
  type Consumer,
  type Delivery,
} from '../../src/shard/link.js';
import { CounterReader, Counters, MAIN_BLOCK, createCounterMemory } from '../../src/telemetry/counter.js';
import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import { catalogue } from '../../src/telemetry/metric-catalogue.js';
import { OpenPublisher } from '../../src/shard/open-publisher.js';
import { FrameType } from '../../src/shard/protocol.js';
import { FakeWorker, RecordingPublisher, packet, recordsOf } from './fake-worker.js';

const IDS = new Uint32Array([7]);
let nextSlot = 0;

function open(client: ShardClient, publisher = new RecordingPublisher()): OpenPublisher {
  const handle = new OpenPublisher(publisher, nextSlot++, 1, (closing) => client.closePublisher(closing));
  client.expect(handle);
  return handle;
}

const publishDeliveryBounds = catalogue.publishDeliverySeconds.bounds.length;

/** Observations of the times of deliveries. */
function observed(memory: SharedArrayBuffer): number {
  const reader = new CounterReader(memory);
  let count = 0;
  for (let i = 0; i <= publishDeliveryBounds; i++) count += reader.total(slot.publishDeliverySeconds + i);
  return count;
}

/** A consumer that keeps what it gets. */
class RecordingConsumer implements Consumer {
  readonly inFlightMax = 10;
  readonly noLocal = false;
  readonly got: {
    tag: number;
    payload: number;
    topic: string;
    attempt: number;
    expiry: number;
    offset: number;
  }[] = [];
  attachment: Attachment | null = null;
  readonly clientId: string;

  constructor(clientId = 'consumer') {
    this.clientId = clientId;
  }

  onDelivery(attachment: Attachment, tag: number, delivery: Delivery): void {
    this.attachment = attachment;
    this.got.push({
      tag,
      payload: delivery.buffer.readUInt32LE(delivery.payloadStart),
      topic: delivery.buffer.toString('utf8', delivery.topicStart, delivery.topicEnd),
      attempt: delivery.deliveryAttempt,
      expiry: delivery.messageExpiryInterval,
      offset: delivery.offset,
    });
  }
}

function setUp(ringBytes?: number): { client: ShardClient; worker: FakeWorker } {
  const client = new ShardClient(0, () => {});
  return { client, worker: new FakeWorker(client, ringBytes) };
}

describe('publishing', () => {
  test('a run of one publisher to the same queues is one frame, and a change begins another [broker]', () => {
    const { client, worker } = setUp();
    const publisher = new RecordingPublisher('alice', 'a');
    const alice = open(client, publisher);
    const bob = open(client, new RecordingPublisher('bob'));
    const others = new Uint32Array([7, 8, 9]);
    client.publish(alice, 0, IDS, packet('jobs', 'one'), 1);
    client.publish(alice, 1, IDS, packet('jobs/x', '', 'props'), 1);
    client.publish(alice, 2, others, packet('jobs', 'three'), 1);
    client.publish(bob, 3, others, packet('jobs', 'four'), 1);
    client.publish(bob, NO_TOKEN, others, packet('jobs', 'five'), 1);
    expect(worker.frames(), 'nothing is visible before the flush').toEqual([]);
    client.flush();
    const frames = worker.frames();
    expect(frames.map(({ type }) => type)).toEqual(
      [FrameType.openPublisher, ...Array<number>(2).fill(FrameType.publish)].concat([
        FrameType.openPublisher,
        ...Array<number>(2).fill(FrameType.publish),
      ]),
    );
    expect(frames.filter(({ type }) => type === FrameType.publish).map(recordsOf)).toEqual([
      [
        ['jobs', '', 'one', 'alice'],
        ['jobs/x', 'props', '', 'alice'],
      ],
      [['jobs', '', 'three', 'alice']],
      [['jobs', '', 'four', 'bob']],
      [['jobs', '', 'five', 'bob']],
    ]);
    worker.settle(2);
    client.drain();
    expect(publisher.told).toEqual([
      [0, 0],
      [1, 0],
      [2, 0],
    ]);
  });

  test('a QoS 0 publish never joins the frame of publishes that are to be settled [broker]', () => {
    const { client, worker } = setUp();
    const handle = open(client);
    client.publish(handle, 0xffff_fffe, IDS, packet('jobs', 'settled'), 1);
    client.publish(handle, NO_TOKEN, IDS, packet('jobs', 'not settled'), 1);
    client.flush();
    const publishes = worker.frames().filter(({ type }) => type === FrameType.publish);
    expect(publishes.map(recordsOf).map(({ length }) => length)).toEqual([1, 1]);
  });

  test('parts of a packet that lie apart, the longest topic and client id arrive whole [MQTT-1.5.4-1]', () => {
    const { client, worker } = setUp(1024 * 1024);
    const clientId = 'ü'.repeat(32_767);
    const handle = open(client, new RecordingPublisher(clientId, 'n'.repeat(65_535)));
    const topic = 't'.repeat(65_535);
    const ranges = packet(topic, 'payload', 'props');
    ranges.propertiesBuffer = Buffer.from('PROPS');
    ranges.propertiesStart = 0;
    ranges.propertiesEnd = 5;
    expect(client.hasRoom(70_000)).toBe(true);
    client.publish(handle, 0, IDS, ranges, 1);
    client.flush();
    const [opened, published] = worker.frames();
    expect(opened?.body.toString('utf8', 20, 20 + 65_534)).toBe(clientId);
    expect(recordsOf(published as never)).toEqual([[topic, 'PROPS', 'payload', clientId]]);
  });

  test('publishes stop at 7/8 of the ring, acks go on, and the waiter resumes when there is room [broker]', async () => {
    const { client, worker } = setUp();
    const handle = open(client);
    const consumer = new RecordingConsumer();
    client.attach(7, consumer);
    client.flush();
    worker.frames();
    const tags = Array.from({ length: 20 }, (_, i) => worker.deliver(0, { id: i }));
    client.drain();
    let token = 0;
    while (client.hasRoom(1000)) client.publish(handle, token++, IDS, packet('jobs', 'x'.repeat(900)), 1);
    expect(token).toBeGreaterThan(10);
    let resumed = 0;
    client.whenRoom(() => resumed++);
    for (const tag of tags) consumer.attachment?.ack(tag);
    client.flush();
    await new Promise((resolve) => setImmediate(resolve));
    expect(resumed).toBe(0);
    const frames = worker.frames(2);
    expect(frames.length).toBe(2);
    client.onDoorbell();
    expect(resumed).toBe(1);
    const acks = [...frames, ...worker.frames()].filter(({ type }) => type === FrameType.acks);
    expect(acks.flatMap(({ body }) => [...new Uint32Array(new Uint8Array(body).buffer)])).toEqual(tags);
    expect(client.hasRoom(1000)).toBe(true);
  });

  test('frames that find no room wait in order, and no publish overtakes them [broker]', () => {
    const { client, worker } = setUp();
    const consumers = Array.from({ length: 300 }, (_, i) => new RecordingConsumer(`${i}-${'c'.repeat(400)}`));
    for (const consumer of consumers) client.attach(7, consumer);
    const late = open(client);
    client.flush();
    const seen: number[] = [];
    for (let turn = 0; seen.length < consumers.length; turn++) {
      expect(turn).toBeLessThan(100);
      // Room has come, but the frames that waited for it go first.
      const frames = worker.frames(20);
      for (const { type, body } of frames) {
        expect(type).toBe(FrameType.attach);
        seen.push(body.readUInt32LE(0));
      }
      if (seen.length < 100) expect(client.hasRoom(10)).toBe(false);
      client.flush();
    }
    expect(seen).toEqual(consumers.map((_, i) => i));
    expect(client.hasRoom(10)).toBe(true);
    client.publish(late, 0, IDS, packet('jobs', 'x'), 1);
    client.flush();
    expect(worker.frames().map(({ type }) => type)).toEqual([FrameType.openPublisher, FrameType.publish]);
  });
});

describe('consuming', () => {
  test('a delivery reaches its consumer with attempt, remaining life and offset, and its ack gives credit back at once [broker]', () => {
    const { client, worker } = setUp();
    const consumer = new RecordingConsumer();
    const attachment = client.attach(7, consumer);
    worker.deliver(attachment.slot, { id: 42, topic: 'jobs/a' }, 3, 60, 2 ** 32 - 1);
    client.drain();
    expect(consumer.got).toMatchObject([
      { payload: 42, topic: 'jobs/a', attempt: 3, expiry: 60, offset: 2 ** 32 - 1 },
    ]);
    expect(worker.counts[attachment.slot]).toBe(1);
    attachment.ack(consumer.got[0]?.tag as number);
    expect(worker.counts[attachment.slot]).toBe(0);
  });

  test('a first delivery in 64 is timed, when it is written and from when it was published [broker]', () => {
    const memory = createCounterMemory(1);
    const counters = new Counters(memory, MAIN_BLOCK);
    const client = new ShardClient(0, () => {}, counters);
    const worker = new FakeWorker(client);
    let writes = true;
    const consumer = new RecordingConsumer();
    const attachment = client.attach(7, {
      ...{ clientId: 'c', inFlightMax: 10, noLocal: false },
      onDelivery(to, tag, delivery) {
        consumer.onDelivery(to, tag, delivery);
        if (writes) counters.add(slotOf('packetsSent', 'publish'), 1);
      },
    });
    const seconds = (): number => counters.get(slot.publishDeliverySeconds + publishDeliveryBounds + 1);
    const timed = (attempt: number, offset: number, isWritten: boolean): number => {
      const before = observed(memory);
      writes = isWritten;
      worker.deliver(attachment.slot, { id: 1, publishedMs: Date.now() - 5000 }, attempt, 0, offset);
      client.drain();
      return observed(memory) - before;
    };
    expect([timed(1, 0, true), timed(1, 64, true), timed(1, 1, true), timed(2, 128, true)]).toEqual([
      1, 1, 0, 0,
    ]);
    expect(seconds()).toBeGreaterThanOrEqual(10);
    // Held, rejected, or given back.
    expect([timed(1, 192, false), timed(1, 256, true)]).toEqual([0, 1]);
    expect(consumer.got).toHaveLength(6);
  });

  test('acks, rejects and releases leave in the order in which they were given [broker]', () => {
    const { client, worker } = setUp();
    const consumer = new RecordingConsumer();
    const attachment = client.attach(7, consumer);
    const tags = [1, 2, 3, 4, 5].map((id) => worker.deliver(attachment.slot, { id }));
    client.drain();
    attachment.ack(tags[0] as number);
    attachment.ack(tags[1] as number);
    attachment.reject(tags[2] as number, 0x80);
    attachment.release(tags[3] as number);
    attachment.ack(tags[4] as number);
    client.flush();
    const [, ...frames] = worker.frames();
    expect(frames.map(({ type, body }) => [type, ...new Uint32Array(new Uint8Array(body).buffer)])).toEqual([
      [FrameType.acks, tags[0], tags[1]],
      [FrameType.reject, tags[2]],
      [FrameType.release, tags[3]],
      [FrameType.acks, tags[4]],
    ]);
    expect((frames[1]?.typeWord ?? 0) >>> 8).toBe(0x80);
  });

  test('after a detach nothing is delivered, and the slot is used again only once the worker confirmed it [broker]', () => {
    const { client, worker } = setUp();
    const consumer = new RecordingConsumer();
    const attachment = client.attach(7, consumer);
    worker.deliver(attachment.slot, { id: 1 });
    attachment.detach();
    attachment.detach();
    client.drain();
    expect(consumer.got).toEqual([]);
    expect(client.attach(7, new RecordingConsumer()).slot).not.toBe(attachment.slot);
    client.flush();
    expect(worker.frames().filter(({ type }) => type === FrameType.detach).length).toBe(1);
    worker.detached(attachment.slot);
    client.drain();
    expect(worker.counts[attachment.slot]).toBe(0);
    expect(client.attach(7, new RecordingConsumer()).slot).toBe(attachment.slot);
  });
});

describe('a worker that dies', () => {
  test('what it had settled counts, the rest is settled as shardDown once, also of the open frame [broker]', () => {
    const { client, worker } = setUp();
    const publisher = new RecordingPublisher();
    const handle = open(client, publisher);
    client.publish(handle, 0, IDS, packet('jobs', 'a'), 1);
    client.flush();
    worker.settle(1);
    client.publish(handle, 1, IDS, packet('jobs', 'b'), 1);
    client.flush();
    client.publish(handle, 2, IDS, packet('jobs', 'c'), 1);
    client.publish(handle, 3, IDS, packet('jobs', 'd'), 1);
    client.down();
    client.down();
    expect(publisher.told).toEqual([
      [0, PublishStatus.stored],
      [1, PublishStatus.shardDown],
      [2, PublishStatus.shardDown],
      [3, PublishStatus.shardDown],
    ]);
  });

  test('a publish while it is down is settled as shardDown, also when the next one is up before the flush [broker]', () => {
    const { client } = setUp();
    const publisher = new RecordingPublisher();
    const handle = open(client, publisher);
    client.down();
    client.publish(handle, 0, IDS, packet('jobs', 'a'), 1);
    client.flush();
    expect(publisher.told).toEqual([[0, PublishStatus.shardDown]]);
    client.publish(handle, 1, IDS, packet('jobs', 'b'), 1);
    client.publish(handle, NO_TOKEN, IDS, packet('jobs', 'b'), 1);
    const worker = new FakeWorker(client);
    client.publish(handle, 2, IDS, packet('jobs', 'c'), 1);
    client.flush();
    const [opened, published] = worker.frames();
    expect([opened?.type, published?.type]).toEqual([FrameType.openPublisher, FrameType.publish]);
    worker.settle(1);
    client.drain();
    expect(publisher.told.slice(1)).toEqual([
      [1, PublishStatus.shardDown],
      [2, PublishStatus.stored],
    ]);
  });

  test('consumers are attached again, and tags of the dead one change nothing [broker]', () => {
    const { client, worker } = setUp();
    const consumer = new RecordingConsumer('stays');
    const leaves = client.attach(8, new RecordingConsumer('leaves'));
    const attachment = client.attach(7, consumer);
    const stale = worker.deliver(attachment.slot, { id: 1 });
    client.drain();
    leaves.detach();
    client.down();
    const next = new FakeWorker(client);
    client.flush();
    const attached = next.frames();
    expect(attached.map(({ type, body }) => [type, body.readUInt32LE(0), body.readUInt32LE(4)])).toEqual([
      [FrameType.attach, attachment.slot, 7],
    ]);
    attachment.ack(stale);
    attachment.reject(stale, 0x80);
    client.flush();
    expect(next.frames()).toEqual([]);
    expect(next.counts[attachment.slot]).toBe(0);
    const fresh = next.deliver(attachment.slot, { id: 1 });
    expect(fresh).not.toBe(stale);
    client.drain();
    attachment.ack(fresh);
    client.flush();
    expect(next.frames().map(({ type }) => type)).toEqual([FrameType.acks]);
    expect(client.attach(7, new RecordingConsumer()).slot, 'the slot of who left is free').toBe(leaves.slot);
  });

  test('those who wait for room go on when it dies, and before the first one is up consumers may come and go [broker]', async () => {
    const client = new ShardClient(0, () => {});
    const attachment = client.attach(7, new RecordingConsumer());
    attachment.detach();
    const stays = client.attach(7, new RecordingConsumer());
    expect(client.hasRoom(1e9)).toBe(true);
    const worker = new FakeWorker(client);
    client.flush();
    expect(worker.frames().map(({ body }) => body.readUInt32LE(0))).toEqual([stays.slot]);
    let resumed = 0;
    client.whenRoom(() => resumed++);
    client.down();
    expect(resumed).toBe(1);
    client.whenRoom(() => resumed++);
    await new Promise((resolve) => setImmediate(resolve));
    expect(resumed).toBe(2);
  });

  test('tags stay apart over many incarnations: fifteen in a row differ [broker]', () => {
    const client = new ShardClient(0, () => {});
    const epochs = Array.from({ length: 15 }, () => {
      const { epoch } = new FakeWorker(client);
      client.down();
      return epoch;
    });
    expect(new Set(epochs).size).toBe(15);
    expect(Math.min(...epochs)).toBe(1);
    expect(Math.max(...epochs)).toBe(15);
  });
});
