import { describe, expect, test } from 'vitest';

import { slotOf } from '../../src/telemetry/counter-layout.js';
import type { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/wait.js';
import { connect, open, publish, publishPacket, startGateway } from './test-gateway.js';

const big = 'x'.repeat(60_000);

describe('a client that does not read', () => {
  test('past its outbox bound QoS 0 is dropped and counted, and others are served [broker]', async () => {
    const target = await startGateway({ env: { SLUICE_OUTBOX_BYTES: '256KB' } });
    const slow = await connect(target, 'slow');
    await slow.subscribe('t', 0);
    slow.socket.pause();
    const brisk = await connect(target, 'brisk');
    await brisk.subscribe('t', 0);
    const publisher = await connect(target, 'p');
    const dropped = slotOf('messagesDropped', 'outbox-full');
    let published = 0;
    while (target.counters.total(dropped) < 3) {
      published++;
      publisher.send(publishPacket('t', big, { qos: 0 }));
      await brisk.expect('publish');
    }
    slow.socket.resume();
    await until(() => slow.inbox.length === published - 3, 'what was not dropped');
    await publish(publisher, 't', 'next');
    await until(() => slow.inbox.length === published - 2, 'the next message');
    expect(target.counters.total(dropped)).toBe(3);
  });

  test('QoS 1 waits in the session and follows in order when it reads again [broker]', async () => {
    const target = await startGateway({ env: { SLUICE_OUTBOX_BYTES: '256KB', SLUICE_MAX_INFLIGHT: '1000' } });
    const slow = await connect(target, 'slow');
    await slow.subscribe('t', 1);
    slow.socket.pause();
    const publisher = await connect(target, 'p');
    let published = 0;
    while ((target.gateway.sessions.get('slow')?.outbound.pendingCount ?? 0) < 3) {
      await publish(publisher, 't', `${published++} ${big}`);
    }
    slow.socket.resume();
    await until(() => slow.inbox.length === published, 'all messages');
    const order = slow.inbox.map((packet) =>
      packet.cmd === 'publish' ? Number.parseInt(packet.payload.toString()) : -1,
    );
    expect(order).toEqual(Array.from({ length: published }, (_, index) => index));
  });

  test('a message above the outbox bound reaches a client that reads, at any QoS [broker]', async () => {
    const target = await startGateway({ env: { SLUICE_OUTBOX_BYTES: '16KB' } });
    const client = await connect(target, 'a');
    await client.subscribe('t', 2);
    const publisher = await connect(target, 'p');
    for (const qos of [0, 1, 2] as const) {
      publisher.send(publishPacket('t', big, { qos, messageId: 1 + qos }));
      expect((await client.expect('publish')).payload.length).toBe(big.length);
    }
  });

  test('acknowledgements that it does not read stop the reading of its publishes [broker]', async () => {
    const target = await startGateway({ env: { SLUICE_OUTBOX_BYTES: '16KB' } });
    const client = await connect(target, 'a', { protocolVersion: 4 });
    client.socket.pause();
    client.socket.removeAllListeners('data');
    const pings = Buffer.alloc(200_000, 'c000', 'hex');
    let sent = 0;
    // The kernel holds some megabytes of answers; then reading stops, and with it our own writing.
    while (client.socket.writableLength < 2_000_000 && sent < 500) {
      client.send(pings);
      sent++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(client.socket.writableLength).toBeGreaterThanOrEqual(2_000_000);
    let answered = 0;
    client.socket.on('data', (chunk) => (answered += chunk.length));
    client.socket.resume();
    await until(
      () => answered === sent * pings.length,
      () => `all answers, ${answered} bytes came`,
    );
  });
});

describe('many half-open connections', () => {
  test('connections with half a CONNECT cost little and stop nobody [broker]', async () => {
    const target = await startGateway();
    const halves: RawClient[] = [];
    for (let i = 0; i < 500; i++) {
      const half = await open(target);
      half.send('10 20 0004 4d51');
      halves.push(half);
    }
    await until(() => target.gateway.connectionCount === 500, 'the connections');
    const client = await connect(target, 'a');
    expect(await publish(client, 't', 'x')).toBe(0x10);
    expect(target.gateway.clientCount).toBe(1);
  });
});
