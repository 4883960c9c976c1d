import { describe, expect, test } from 'vitest';

import { SysService } from '../../src/broker/sys-service.js';
import { loadConfig } from '../../src/config/config.js';
import type { GatewayContext } from '../../src/session/context.js';
import type { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/wait.js';
import { connect, expectNothing, startGateway, type TestGateway } from './test-gateway.js';

/** A gateway that speaks about itself. */
async function startTalking(env: Readonly<Record<string, string>> = {}): Promise<[TestGateway, SysService]> {
  const sys = new SysService(loadConfig(env), '9.9.9');
  const target = await startGateway({ hooks: { clients: sys.clients } });
  const { context } = target.gateway as unknown as { context: GatewayContext };
  sys.start({
    context,
    reader: target.counters,
    clientsConnected: () => target.gateway.clientCount,
  });
  target.scope.add(() => sys.stop());
  return [target, sys];
}

async function texts(client: RawClient, count: number): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  while (found.size < count) {
    const { topic, payload, retain } = await client.expect('publish');
    expect(retain).toBe(true);
    found.set(topic, payload.toString());
  }
  return found;
}

describe('$SYS over the wire', () => {
  test('a new subscriber gets every topic at once, as retained messages [broker]', async () => {
    const [target] = await startTalking();
    const client = await connect(target, 'a');
    await client.subscribe('$SYS/broker/#', 1);
    const found = await texts(client, 27 + 9 * 3);
    expect(found.get('$SYS/broker/version')).toBe('sluice version 9.9.9');
    expect(found.get('$SYS/broker/clients/connected')).toBe('0');
    await expectNothing(client);
  });

  test('subscriptions that begin with a wildcard see nothing of it [MQTT-4.7.2-1]', async () => {
    const [target] = await startTalking();
    const client = await connect(target, 'a');
    for (const filter of ['#', '+/broker/#', '+/+/version']) await client.subscribe(filter, 1);
    const other = await connect(target, 'b');
    other.destroy();
    await until(() => target.gateway.connectionCount === 1, 'the end of the other connection');
    await expectNothing(client);
  });

  test('a client cannot publish there [broker]', async () => {
    const [target] = await startTalking();
    const client = await connect(target, 'a');
    await client.subscribe('$SYS/broker/version', 1);
    await texts(client, 1);
    client.send({
      cmd: 'publish',
      topic: '$SYS/broker/version',
      payload: 'mine',
      qos: 0,
      dup: false,
      retain: true,
    });
    await expectNothing(client);
    const late = await connect(target, 'b');
    await late.subscribe('$SYS/broker/version', 1);
    expect([...(await texts(late, 1)).values()]).toEqual(['sluice version 9.9.9']);
  });

  test('clients that come and go are told of, with the reason [broker]', async () => {
    const [target] = await startTalking({ SLUICE_SYS_INTERVAL: '0' });
    const watcher = await connect(target, 'watcher');
    await watcher.subscribe('$SYS/brokers/+/clients/#', 1);
    const event = async (): Promise<[string, Record<string, unknown>]> => {
      const { topic, payload } = await watcher.expect('publish');
      return [topic, JSON.parse(payload.toString()) as Record<string, unknown>];
    };
    const first = await connect(target, 'dev', { username: 'u', keepalive: 30 });
    expect(await event()).toEqual([
      '$SYS/brokers/sluice/clients/dev/connected',
      expect.objectContaining({
        clientid: 'dev',
        username: 'u',
        ipaddress: '127.0.0.1',
        keepalive: 30,
        proto_ver: 5,
        clean_start: true,
      }),
    ]);
    const second = await connect(target, 'dev', { clean: false, protocolVersion: 4 });
    expect((await event())[1]).toMatchObject({ reason: 'takenover' });
    expect((await event())[1]).toMatchObject({ proto_ver: 4, clean_start: false });
    await first.expect('disconnect');
    second.send({ cmd: 'disconnect' });
    expect(await event()).toEqual([
      '$SYS/brokers/sluice/clients/dev/disconnected',
      expect.objectContaining({ reason: 'normal' }),
    ]);
    const third = await connect(target, 'dev');
    await event();
    third.destroy();
    expect((await event())[1]).toMatchObject({ reason: 'tcp_closed' });
  });

  test('turned off, events are not told [broker]', async () => {
    const [target, sys] = await startTalking({ SLUICE_SYS_EVENTS: 'false', SLUICE_SYS_INTERVAL: '0' });
    expect(sys.clients).toBeUndefined();
    const watcher = await connect(target, 'watcher');
    await watcher.subscribe('$SYS/#', 1);
    await connect(target, 'dev');
    await expectNothing(watcher);
  });
});
