/** Coalescing of sync requests, with a flush that the test completes by hand. */
import { expect, test } from 'vitest';
import { OperationalError } from '../../src/base/error.js';
import { SyncQueue } from '../../src/log/sync-queue.js';
import type { SyncDone } from '../../src/log/sync-queue.js';

function setUp(): {
  queue: SyncQueue;
  flushes: SyncDone[];
  calls: string[];
  request: (name: string) => void;
} {
  const flushes: SyncDone[] = [];
  const calls: string[] = [];
  const queue = new SyncQueue((done) => void flushes.push(done));
  return {
    queue,
    flushes,
    calls,
    request: (name) =>
      queue.request((error) => void calls.push(error === null ? name : `${name}: ${error.code}`)),
  };
}

test('requests during a flush share the next one, which starts only when the first has ended [broker]', () => {
  const { queue, flushes, calls, request } = setUp();
  request('a');
  request('b');
  request('c');
  expect(flushes).toHaveLength(1);
  flushes[0]!(null);
  expect(calls).toEqual(['a']);
  expect(flushes).toHaveLength(2);
  request('d');
  flushes[1]!(null);
  expect(calls).toEqual(['a', 'b', 'c']);
  expect(queue.busy).toBe(true);
  flushes[2]!(null);
  expect(calls).toEqual(['a', 'b', 'c', 'd']);
  expect(queue.busy).toBe(false);
  expect(flushes).toHaveLength(3);
});

test('a request from inside a callback waits for a flush that starts after it [broker]', () => {
  const { queue, flushes, calls, request } = setUp();
  queue.request(() => request('inner'));
  request('outer');
  flushes[0]!(null);
  flushes[1]!(null);
  expect(calls).toEqual(['outer']);
  flushes[2]!(null);
  expect(calls).toEqual(['outer', 'inner']);
});

test('after a failed flush every request fails with the first reason and the disk is not asked again [broker]', async () => {
  const { flushes, calls, queue, request } = setUp();
  request('a');
  request('b');
  flushes[0]!(new OperationalError('ERR_LOG_SYNC', 'first'));
  await new Promise((resolve) => setImmediate(resolve));
  expect(calls).toEqual(['a: ERR_LOG_SYNC', 'b: ERR_LOG_SYNC']);
  const reason = await new Promise<OperationalError | null>((resolve) => queue.request(resolve));
  expect(reason?.message).toBe('first');
  expect(flushes).toHaveLength(1);
});
