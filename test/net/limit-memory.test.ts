/** Memory for clients that are slow, one and all together. Quick tier. */
import { describe, expect, test } from 'vitest';

import { loadConfig } from '../../src/config/config.js';
import { BoundedQueue } from '../../src/session/bounded-queue.js';
import { MemoryBudget, memoryLimits, OutboxLimit } from '../../src/session/memory-limit.js';
import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import { CounterReader, Counters, createCounterMemory, MAIN_BLOCK } from '../../src/telemetry/counter.js';
import { until } from '../harness/wait.js';
import { connect, publish, publishPacket, startGateway } from './test-gateway.js';

const outboxFull = slotOf('messagesDropped', 'outbox-full');
const queueFull = slotOf('messagesDropped', 'session-queue-full');
const MB = 1024 * 1024;

describe('the bound of all outboxes', () => {
  test('shrinks the bound of each from half on, and gives it back [broker]', () => {
    const limit = new OutboxLimit(100_000, 1_000_000);
    const bounds: number[] = [];
    for (const bytes of [500_000, 250_000, 125_000, 125_000, 1_000_000, -1_250_000, -750_000]) {
      limit.add(bytes);
      bounds.push(limit.bytesMax);
    }
    expect(bounds).toEqual([100_000, 50_000, 25_000, 4096, 4096, 50_000, 100_000]);
  });

  test('stops what one slow reader gets, is shown by a gauge, and is free again when it reads [broker]', async () => {
    const env = { SLUICE_OUTBOXES_BYTES: '16MB', SLUICE_OUTBOX_BYTES: '1GB' };
    const target = await startGateway({ env });
    const slow = await connect(target, 'slow');
    await slow.subscribe('t', 0);
    slow.socket.pause();
    const publisher = await connect(target, 'p');
    const payload = 'x'.repeat(200_000);
    let most = 0;
    while (target.counters.total(outboxFull) === 0) {
      publisher.send(publishPacket('t', payload, { qos: 0 }));
      await new Promise((resolve) => setImmediate(resolve));
      most = Math.max(most, target.counters.total(slot.outboxBytes));
    }
    expect(most).toBeGreaterThan(8 * MB);
    expect(most).toBeLessThan(17 * MB);
    slow.socket.resume();
    await until(() => target.counters.total(slot.outboxBytes) === 0, 'an empty outbox');
  });

  test('a slow reader that goes gives back what waited for it [broker]', async () => {
    const target = await startGateway({ env: { SLUICE_OUTBOX_BYTES: '2MB' } });
    const slow = await connect(target, 'slow');
    await slow.subscribe('t', 0);
    slow.socket.pause();
    const publisher = await connect(target, 'p');
    while (target.counters.total(outboxFull) === 0) {
      publisher.send(publishPacket('t', 'x'.repeat(100_000), { qos: 0 }));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(target.counters.total(slot.outboxBytes)).toBeGreaterThan(0);
    slow.socket.destroy();
    await until(() => target.gateway.clientCount === 1, 'its end');
    await until(() => target.counters.total(slot.outboxBytes) === 0, 'its memory');
  });
});

describe('a budget that queues share', () => {
  test('is taken by what they hold and given back, however it leaves them [broker]', () => {
    const budget = new MemoryBudget(100);
    const [a, b] = [new BoundedQueue<number>(10, 1000, budget), new BoundedQueue<number>(10, 1000, budget)];
    a.push(1, 40);
    a.push(2, 20);
    expect(b.hasRoom(40)).toBe(true);
    expect(b.hasRoom(41)).toBe(false);
    b.push(3, 40);
    expect(budget.bytes).toBe(100);
    a.filter((item) => item !== 1);
    expect(budget.bytes).toBe(60);
    a.shift();
    expect(budget.bytes).toBe(40);
    b.clear();
    expect(budget.bytes).toBe(0);
  });

  test('is a gauge [broker]', () => {
    const memory = createCounterMemory(0);
    const limits = memoryLimits(loadConfig({}), new Counters(memory, MAIN_BLOCK));
    limits.sessionQueues.add(7);
    limits.outboxes.add(16);
    const reader = new CounterReader(memory);
    expect(reader.total(slot.sessionQueueBytes)).toBe(7);
    expect(reader.total(slot.outboxBytes)).toBe(16);
  });
});

describe('messages that wait for the window of a client', () => {
  const payload = 'x'.repeat(10_000);

  test('the oldest give way past the bytes of one session [broker]', async () => {
    const target = await startGateway({
      env: { SLUICE_SESSION_QUEUE_BYTES: '64KB', SLUICE_MAX_INFLIGHT: '1' },
    });
    const slow = await connect(target, 'slow');
    await slow.subscribe('t', 1);
    const publisher = await connect(target, 'p');
    for (let i = 0; i < 20; i++) await publish(publisher, 't', `${i} ${payload}`);
    // One in flight, six of ten thousand bytes in 64 KB; the rest was dropped.
    expect(target.counters.total(queueFull)).toBe(13);
    const received: number[] = [];
    for (let i = 0; i < 7; i++) {
      const message = await slow.expect('publish');
      received.push(Number.parseInt(message.payload.toString()));
      slow.send({ cmd: 'puback', messageId: message.messageId ?? 0 });
    }
    expect(received).toEqual([0, 14, 15, 16, 17, 18, 19]);
  });

  test('past the bytes of all sessions each gives way to its own [broker]', async () => {
    const env = { SLUICE_SESSION_QUEUES_BYTES: '1MB', SLUICE_MAX_INFLIGHT: '1' };
    const target = await startGateway({ env });
    const publisher = await connect(target, 'p');
    const greedy = await connect(target, 'greedy');
    await greedy.subscribe('g', 1);
    for (let i = 0; i < 150; i++) await publish(publisher, 'g', `${i} ${payload}`);
    const held = target.counters.total(slot.sessionQueueBytes);
    expect(held).toBeGreaterThan(MB - 11_000);
    expect(held).toBeLessThanOrEqual(MB);
    // Nothing of it is left to another one, which keeps what it has in flight.
    const late = await connect(target, 'late');
    await late.subscribe('l', 1);
    const before = target.counters.total(queueFull);
    for (let i = 0; i < 3; i++) await publish(publisher, 'l', 'x'.repeat(11_000));
    expect(target.counters.total(queueFull) - before).toBe(2);
    await late.expect('publish');
    greedy.socket.destroy();
    await until(() => target.counters.total(slot.sessionQueueBytes) === 0, 'the end of its queue');
  });
});
