import { describe, expect, test } from 'vitest';
import { ShardClient } from '../../src/shard/client.js';
import { NO_TOKEN, PublishStatus, RowStore } from '../../src/shard/link.js';
import { OpenPublisher } from '../../src/shard/open-publisher.js';
import { FrameType, JOINED_BIT, ROW_DELETE_BIT, SETTLE_BIT } from '../../src/shard/protocol.js';
import { FakeWorker, RecordingPublisher, packet, recordsOf } from './fake-worker.js';

const IDS = new Uint32Array([7]);
const VALUE = Buffer.from('value');

function setUp(ringBytes?: number): {
  client: ShardClient;
  worker: FakeWorker;
  handle: OpenPublisher;
  told: [number, PublishStatus][];
} {
  const client = new ShardClient(0, () => {});
  const worker = new FakeWorker(client, ringBytes);
  const publisher = new RecordingPublisher('alice');
  const handle = new OpenPublisher(publisher, 0, 1, () => {});
  client.expect(handle);
  return { client, worker, handle, told: publisher.told };
}

describe('a row frame', () => {
  test('carries store, id, value and what is asked, byte by byte as the table says [broker]', () => {
    const { client, worker, handle } = setUp();
    const rowId = 0x12_3456_789a;
    client.putRow(handle, 5, RowStore.will, rowId, VALUE, false);
    client.putRow(handle, NO_TOKEN, RowStore.received, Number.MAX_SAFE_INTEGER, undefined, false);
    client.putRow(handle, NO_TOKEN, RowStore.retained, 1, new Uint8Array(), false);
    expect(worker.frames(), 'nothing is visible before the flush').toEqual([]);
    client.flush();
    expect(worker.frames().map(({ typeWord, body }) => [typeWord, body.toString('hex')])).toEqual([
      [FrameType.row | (2 << 8) | SETTLE_BIT, `9a78563412000000${VALUE.toString('hex')}`],
      [FrameType.row | (3 << 8) | ROW_DELETE_BIT, 'ffffffffffff1f00'],
      [FrameType.row, '0100000000000000'],
    ]);
  });

  test('that joins marks the publish or row before it, and no later publish gets between them [broker]', () => {
    const { client, worker, handle } = setUp();
    client.publish(handle, 0, IDS, packet('jobs', 'a'), 1);
    client.publish(handle, 1, IDS, packet('jobs', 'b'), 1);
    client.putRow(handle, 2, RowStore.received, 9, VALUE, true);
    client.putRow(handle, 3, RowStore.session, 10, VALUE, true);
    client.publish(handle, 4, IDS, packet('jobs', 'c'), 1);
    client.flush();
    const [opened, first, received, session, second] = worker.frames();
    expect([opened?.type, first?.type, received?.type, session?.type, second?.type]).toEqual([
      FrameType.openPublisher,
      FrameType.publish,
      FrameType.row,
      FrameType.row,
      FrameType.publish,
    ]);
    expect([first, received, session, second].map((frame) => (frame?.typeWord ?? 0) & JOINED_BIT)).toEqual([
      JOINED_BIT,
      JOINED_BIT,
      0,
      0,
    ]);
    expect(recordsOf(first as never).map(([, , payload]) => payload)).toEqual(['a', 'b']);
    expect(recordsOf(second as never).map(([, , payload]) => payload)).toEqual(['c']);
  });

  test('settles in its place among publishes, one settlement for each that asks [broker]', () => {
    const { client, worker, handle, told } = setUp();
    client.publish(handle, 0, IDS, packet('jobs', 'a'), 1);
    client.publish(handle, 1, IDS, packet('jobs', 'b'), 1);
    client.putRow(handle, 100, RowStore.received, 1, VALUE, true);
    client.putRow(handle, NO_TOKEN, RowStore.received, 2, VALUE, false);
    client.publish(handle, 2, IDS, packet('jobs', 'c'), 1);
    client.flush();
    worker.settle(2);
    client.drain();
    expect(told).toEqual([
      [0, PublishStatus.stored],
      [1, PublishStatus.stored],
      [100, PublishStatus.stored],
    ]);
    client.putRow(handle, 101, RowStore.received, 1, undefined, false);
    client.down();
    expect(told.slice(3)).toEqual([
      [2, PublishStatus.shardDown],
      [101, PublishStatus.shardDown],
    ]);
  });

  test('written while the worker is down settles as shardDown at the next flush [broker]', () => {
    const { client, handle, told } = setUp();
    client.down();
    client.putRow(handle, 7, RowStore.session, 1, VALUE, false);
    client.putRow(handle, NO_TOKEN, RowStore.session, 1, VALUE, true);
    expect(told).toEqual([]);
    client.flush();
    expect(told).toEqual([[7, PublishStatus.shardDown]]);
    const worker = new FakeWorker(client);
    client.putRow(handle, 8, RowStore.session, 1, VALUE, false);
    client.flush();
    expect(worker.frames().map(({ type }) => type)).toEqual([FrameType.row]);
  });

  test('fits whenever hasRoom said so for its value and 64 bytes, up to the last one [broker]', () => {
    const { client, worker, handle } = setUp();
    const value = Buffer.alloc(1500, 1);
    let rows = 0;
    while (client.hasRoom(value.length + 64))
      client.putRow(handle, rows, RowStore.retained, ++rows, value, false);
    expect(rows).toBeGreaterThan(20);
    client.flush();
    expect(worker.frames().length).toBe(rows);
    client.onDoorbell();
    expect(client.hasRoom(value.length + 64), 'acks and rows drain').toBe(true);
  });
});
