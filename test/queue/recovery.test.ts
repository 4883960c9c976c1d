/** What a start finds in the log, whole and damaged. Quick tier. */
import { describe, expect, test } from 'vitest';
import { expireUnread } from '../../src/queue/expiry.js';
import { peek } from '../../src/queue/peek.js';
import { FakeHost } from './fake-host.js';

/** Three blocks of four messages, ids 0 to 11; block `damaged` gets a summary that says something impossible. */
function logWithDamage(damaged: number, summary: Uint8Array, expiryS = 0): FakeHost {
  const host = new FakeHost();
  const queue = host.queue();
  for (let block = 0; block < 3; block++) {
    host.store(
      queue,
      Array.from({ length: 4 }, (_, i) => ({ id: block * 4 + i, expiryS })),
    );
  }
  host.batch.putSummary(queue.id, damaged * 4, summary);
  host.write();
  return host;
}

const damages: [string, Uint8Array][] = [
  ['cut off', new Uint8Array(7)],
  ['of no records', new Uint8Array(40)],
  ['with a bitmap that does not fit', new Uint8Array(44).fill(1)],
];

describe('a damaged summary', () => {
  test.each(damages)(
    '%s is reported, its block is skipped and stays, the others come back [broker]',
    (_, bytes) => {
      const host = new FakeHost({ log: logWithDamage(1, bytes).log });
      const queue = host.queue();
      expect(host.corrupt).toEqual([4]);
      expect(queue.ledger.liveCount).toBe(8);
      expect(peek(queue, host, new Map(), -1, 100, 0).map(({ offset }) => offset)).toEqual([
        0, 1, 2, 3, 8, 9, 10, 11,
      ]);
      const consumer = host.attach(queue);
      queue.dispatch(0, 100);
      const read = host.read();
      expect(read.map(({ id }) => id)).toEqual([0, 1, 2, 3, 8, 9, 10, 11]);
      for (const { tag } of read) host.answer(queue, consumer, tag, 'ack');
      host.flush(queue);
      expect(host.log.readSummaries(1, 0, 10).map(({ firstOffset }) => firstOffset)).toEqual([4]);
      expect(host.log.readBlock(1, 4)).toBeDefined();
    },
  );

  test('at the end leaves its offsets to the block that is still there [broker]', () => {
    const host = new FakeHost({ log: logWithDamage(2, new Uint8Array(40)).log });
    const queue = host.queue();
    expect(queue.nextOffset).toBe(12);
    host.store(queue, [{ id: 100 }]);
    host.attach(queue);
    queue.dispatch(0, 100);
    expect(host.read().map(({ id }) => id)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 100]);
  });

  test('does not stop expiry or retention of what lies around it [broker]', () => {
    for (const changes of [{}, { dataRetentionPeriodMs: 5000 }]) {
      const host = new FakeHost({ log: logWithDamage(1, new Uint8Array(40), 5).log });
      const queue = host.queue(changes);
      let walk = expireUnread(queue, host, host.batch, 6000, null);
      while (walk !== null) walk = expireUnread(queue, host, host.batch, 6000, walk);
      host.flush(queue);
      expect(queue.ledger.liveCount).toBe(0);
      expect(queue.counters.expired).toBe(8);
      expect(host.log.readBlock(1, 4)).toBeDefined();
    }
  });
});
