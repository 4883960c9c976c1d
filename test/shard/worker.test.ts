/** The worker's task, run in the test's own thread. Quick tier. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRingMemory } from '../../src/base/ring.js';
import { PAGE_BYTES } from '../../src/queue/arena.js';
import type { QueueDefinition } from '../../src/queue/definition.js';
import { decodeDefinition, encodeDefinition } from '../../src/shard/control.js';
import { RowStore } from '../../src/shard/link.js';
import {
  CONSUMER_SLOTS_MAX,
  type ControlAnswer,
  type ControlRequest,
  type Durability,
  type ToMain,
} from '../../src/shard/protocol.js';
import { runShard } from '../../src/shard/worker.js';
import { createCounterMemory } from '../../src/telemetry/counter.js';
import { definitionWith } from '../queue/fake-host.js';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-worker-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A running task, its port, and what came out of it, each with the turn of the event loop in which it came. */
class RunningWorker {
  readonly port: MessagePort;
  readonly end: Promise<void>;
  readonly answers: { readonly answer: ControlAnswer; readonly turn: number }[] = [];
  readonly ready: Promise<void>;
  #turn = 0;
  #isOver = false;
  #waiting: (() => void) | null = null;

  constructor(durability: Durability, fsyncIntervalMs = 1000) {
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    let tellReady = (): void => {};
    this.ready = new Promise<void>((resolve) => (tellReady = resolve));
    port1.on('message', (message: ToMain) => {
      if (typeof message !== 'object') return;
      if ('failed' in message) expect.fail(message.failed.message);
      if ('ready' in message) tellReady();
      if ('id' in message) this.answers.push({ answer: message, turn: this.#turn });
      this.#waiting?.();
    });
    const count = (): void => {
      this.#turn++;
      if (!this.#isOver) setImmediate(count);
    };
    count();
    this.end = runShard({
      shardId: 0,
      epoch: 1,
      directory,
      driver: 'segment',
      durability,
      fsyncIntervalMs,
      storeMemoryBytes: 1 << 20,
      limitShards: 1,
      queueCacheBytes: 1 << 20,
      toWorker: createRingMemory(1 << 16),
      toMain: createRingMemory(1 << 16),
      arena: new SharedArrayBuffer(PAGE_BYTES),
      inFlightCounts: new SharedArrayBuffer(CONSUMER_SLOTS_MAX * 4),
      counters: createCounterMemory(1),
      port: port2,
      definitions: [],
    }).finally(() => (this.#isOver = true));
  }

  ask(request: ControlRequest): void {
    this.port.postMessage(request);
  }

  async answered(count: number): Promise<void> {
    while (this.answers.length < count) await new Promise<void>((resolve) => (this.#waiting = resolve));
  }

  async close(): Promise<void> {
    this.ask({ id: 0, call: 'close' });
    await this.end;
    while (!this.answers.some(({ answer }) => answer.id === 0)) await this.answered(this.answers.length + 1);
    this.port.close();
  }
}

describe('the definition of a queue in the log', () => {
  test('keeps every text, also one that reads like a number without end [broker]', () => {
    const definition = definitionWith({
      name: 'infinity',
      topicFilter: 'infinity',
      sessionClientId: 'infinity',
      keyExpression: 'infinity',
      messagesMax: 7,
      bytesMax: Number.POSITIVE_INFINITY,
    });
    expect(decodeDefinition(encodeDefinition(definition))).toEqual(definition);
  });

  test('of before there were two windows has one [broker]', () => {
    const { fastMaxInflight, ...old } = definitionWith({ localMaxInflight: 30 });
    expect(fastMaxInflight).toBe(30);
    const bytes = encodeDefinition(old as QueueDefinition);
    expect(Buffer.from(bytes).includes('fastMaxInflight')).toBe(false);
    expect(decodeDefinition(bytes).fastMaxInflight).toBe(30);
  });
});

describe('a shard worker', () => {
  test('that syncs at intervals never touches its log once that is being closed [broker]', async () => {
    for (let i = 0; i < 20; i++) {
      const worker = new RunningWorker('interval', i % 3);
      await worker.ready;
      worker.ask({ id: 1, call: 'create', definition: definitionWith({ id: i + 1 }) });
      // A touch would throw in a timer, which ends the test run.
      await worker.close();
      expect(worker.answers.map(({ answer }) => answer)).toEqual([
        { id: 1, result: undefined },
        { id: 0, result: undefined },
      ]);
    }
  });

  test('makes queues that are asked for in one turn durable together, not one after another [broker]', async () => {
    const worker = new RunningWorker('fsync');
    await worker.ready;
    const ids = Array.from({ length: 300 }, (_, i) => i + 1);
    for (const id of ids) worker.ask({ id, call: 'create', definition: definitionWith({ id }) });
    await worker.answered(300);
    expect(worker.answers.map(({ answer }) => answer.id)).toEqual(ids);
    // Each fsync ends in a turn of its own.
    expect(new Set(worker.answers.map(({ turn }) => turn)).size).toBeLessThan(100);
    await worker.close();
  });

  test('answers calls for one queue in their order, and waits for all before it closes [broker]', async () => {
    const worker = new RunningWorker('fsync');
    await worker.ready;
    const definition = definitionWith();
    worker.ask({ id: 1, call: 'create', definition });
    worker.ask({
      id: 2,
      call: 'update',
      definition: { ...definition, localMaxInflight: 2, fastMaxInflight: 2 },
    });
    worker.ask({ id: 3, call: 'rows', store: RowStore.will, fromRowId: 0 });
    worker.ask({ id: 4, call: 'delete', definition });
    worker.ask({ id: 5, call: 'stats', definition });
    await worker.close();
    const byId = worker.answers.map(({ answer }) => [
      answer.id,
      'result' in answer ? 'done' : answer.error.code,
    ]);
    expect(byId.filter(([id]) => id !== 3)).toEqual([
      [1, 'done'],
      [2, 'done'],
      [4, 'done'],
      [5, 'ERR_SHARD_CALL'],
      [0, 'done'],
    ]);
    expect(byId).toContainEqual([3, 'done']);
  });
});
