import { describe, expect, test } from 'vitest';

import { until } from '../harness/wait.js';
import { connect, expectNothing, publish, startGateway } from '../net/test-gateway.js';

describe('session state of MQTT 5.0', () => {
  test('state stays while the connection is open, however short its expiry interval [MQTT-4.1.0-1]', async () => {
    let nowMs = 1000;
    const target = await startGateway({ clock: { nowMs: () => nowMs } });
    const clients = [
      await connect(target, 'none'),
      await connect(target, 'short', { clean: false, properties: { sessionExpiryInterval: 1 } }),
    ];
    for (const client of clients) await client.subscribe('t', 1);
    nowMs += 1_000_000;
    target.gateway.sessions.tick(nowMs);
    const publisher = await connect(target, 'p');
    await publish(publisher, 't', 'x');
    for (const client of clients) expect((await client.expect('publish')).payload.toString()).toBe('x');
  });

  test('state is gone once connection and expiry interval are over [MQTT-4.1.0-2] [MQTT-3.1.2-23]', async () => {
    let nowMs = 1000;
    const target = await startGateway({ clock: { nowMs: () => nowMs } });
    const client = await connect(target, 'a', { clean: false, properties: { sessionExpiryInterval: 5 } });
    await client.subscribe('t', 1);
    client.destroy();
    await until(() => target.gateway.connectionCount === 0, 'the end of the connection');
    expect(target.router.subscriptionCount).toBe(1);
    nowMs += 7_000;
    target.gateway.sessions.tick(nowMs);
    expect(target.router.subscriptionCount).toBe(0);
    const publisher = await connect(target, 'p');
    expect(await publish(publisher, 't', 'x')).toBe(0x10);
    const again = await connect(target, 'a', { clean: false });
    await expectNothing(again);
  });
});
