/** Which listeners a configuration makes, and their addresses, files and limits. Quick tier. */
import { existsSync, linkSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

import { connectAsync, type IClientOptions } from 'mqtt';
import { describe, expect, test } from 'vitest';

import type { ListenerKind } from '../../src/config/listener-entry.js';
import { slotOf } from '../../src/telemetry/counter-layout.js';
import { testScope, type Scope } from '../harness/scope.js';
import { until } from '../harness/wait.js';
import { FactsCollector } from './facts.js';
import { open, startGateway } from './test-gateway.js';
import { authority, openRaw, startTransports, StreamClient } from './transports.js';

function directoryOf(scope: Scope): string {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'sluice-net-'));
  scope.add(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A port that nobody has at the moment. */
async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('the list of listeners', () => {
  test('has TCP and WebSocket by default, each on a port of its own [broker]', async () => {
    const target = await startGateway();
    expect(target.listeners.map(({ name, kind }) => [name, kind])).toEqual([
      ['tcp', 'tcp'],
      ['ws', 'ws'],
    ]);
    const ports = target.listeners.map(({ address }) => address?.port ?? 0);
    expect(new Set(ports).size).toBe(2);
    expect(ports).not.toContain(8083);
    for (const { text } of target.listeners) expect(text).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  test('has one of every kind when certificate and Unix socket are given [broker]', async () => {
    const at = await startTransports();
    expect(at.target.listeners.map(({ kind }) => kind)).toEqual(['tcp', 'tls', 'ws', 'wss', 'unix']);
  });

  test('may be given as JSON, with names that access rules see [broker]', async () => {
    const facts = new FactsCollector();
    const target = await startGateway({
      env: {
        SLUICE_LISTENERS: JSON.stringify([
          { kind: 'tcp', name: 'inside', port: 0 },
          { kind: 'tcp', name: 'outside', port: 0, maxConnections: 1 },
        ]),
      },
      hooks: { authenticator: facts },
    });
    for (const { name, address } of target.listeners) {
      const socket = net.connect(address?.port ?? 0, '127.0.0.1');
      target.scope.add(() => socket.destroy());
      await new StreamClient(socket).login(name);
      expect(facts.of(name).listener).toBe(name);
    }
  });

  test('leaves nothing listening when one of them cannot [broker]', async () => {
    const scope = testScope();
    const taken = net.createServer();
    scope.add(() => taken.close());
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as net.AddressInfo;
    const first = await freePort();
    const env = {
      SLUICE_LISTENERS: JSON.stringify([
        { kind: 'tcp', port: first },
        { kind: 'ws', port },
      ]),
    };
    await expect(startGateway({ env })).rejects.toMatchObject({
      code: 'ERR_LISTEN',
      message: expect.stringContaining(`127.0.0.1:${port}`) as string,
    });
    const again = net.createServer();
    scope.add(() => again.close());
    await new Promise<void>((resolve, reject) => {
      again.once('error', reject);
      again.listen(first, '127.0.0.1', resolve);
    });
  });

  test('goes without the usual WebSocket port when only the MQTT port was chosen [broker]', async () => {
    const scope = testScope();
    const taken = net.createServer();
    scope.add(() => taken.close());
    // Whoever has the port already does as well.
    await new Promise<void>((resolve) => {
      taken.once('error', () => resolve());
      taken.listen(8083, '127.0.0.1', resolve);
    });
    const port = await freePort();
    const target = await startGateway({ env: { SLUICE_MQTT_PORT: String(port) } });
    expect(target.listeners.map(({ text }) => text)).toEqual([`127.0.0.1:${port}`]);
    await expect(startGateway({ env: { SLUICE_WS_PORT: '8083' } })).rejects.toMatchObject({
      code: 'ERR_LISTEN',
    });
  });

  test('that contradicts itself ends the start with the variable to change [broker]', async () => {
    await expect(startGateway({ env: { SLUICE_TLS_CERT: 'a.crt' } })).rejects.toThrow(
      'SLUICE_TLS_KEY: is missing',
    );
  });

  test('a gateway without plain TCP is one, too [broker]', async () => {
    const target = await startGateway({ env: { SLUICE_MQTT_BIND: 'off' } });
    expect(target.listeners.map(({ kind }) => kind)).toEqual(['ws']);
  });
});

describe('a Unix socket', () => {
  test('has its rights, makes local peers, and is removed with its gateway [broker]', async () => {
    const facts = new FactsCollector();
    const at = await startTransports({
      env: { SLUICE_UNIX_SOCKET_MODE: '600' },
      hooks: { authenticator: facts },
    });
    const file = at.listener('unix').text;
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await new StreamClient(await openRaw(at, 'unix')).login('a');
    expect(facts.of('a')).toEqual({ peername: 'unix:', listener: 'unix', isLoopback: true, secure: false });
    at.target.gateway.close();
    await until(() => !existsSync(file), 'the end of the file');
  });

  test('replaces a file that nobody listens on any more [broker]', async () => {
    const scope = testScope();
    const file = path.join(directoryOf(scope), 'mqtt.sock');
    // A server that ends without closing leaves its file: simulated by a link to it.
    const stale = net.createServer();
    await new Promise<void>((resolve) => stale.listen(`${file}.first`, resolve));
    linkSync(`${file}.first`, file);
    await new Promise((resolve) => stale.close(resolve));
    expect(statSync(file).isSocket()).toBe(true);
    const target = await startGateway({ env: { SLUICE_UNIX_SOCKET: file } });
    expect(target.listeners.find(({ kind }) => kind === 'unix')?.text).toBe(file);
    expect(statSync(file).mode & 0o777).toBe(0o660);
  });

  test('leaves alone the socket of another broker, and a file that is no socket [broker]', async () => {
    const scope = testScope();
    const file = path.join(directoryOf(scope), 'mqtt.sock');
    await startGateway({ env: { SLUICE_UNIX_SOCKET: file } });
    await expect(startGateway({ env: { SLUICE_UNIX_SOCKET: file } })).rejects.toMatchObject({
      code: 'ERR_LISTEN',
    });
    expect(statSync(file).isSocket()).toBe(true);
    const plain = `${file}.txt`;
    writeFileSync(plain, 'precious');
    await expect(startGateway({ env: { SLUICE_UNIX_SOCKET: plain } })).rejects.toMatchObject({
      code: 'ERR_LISTEN',
    });
    expect(statSync(plain).size).toBe(8);
  });
});

describe('mqtt.js', () => {
  const kinds: readonly (readonly [ListenerKind, IClientOptions['protocol']])[] = [
    ['tcp', 'mqtt'],
    ['tls', 'mqtts'],
    ['ws', 'ws'],
    ['wss', 'wss'],
  ];

  test.each(
    kinds.flatMap(([kind, protocol]) =>
      ([3, 4, 5] as const).map((version) => [kind, version, protocol] as const),
    ),
  )('publishes and subscribes over %s in version %i [broker]', async (kind, version, protocol) => {
    const at = await startTransports();
    const { address } = at.listener(kind);
    const client = await connectAsync({
      host: '127.0.0.1',
      port: address?.port ?? 0,
      protocol: protocol!,
      path: '/mqtt',
      protocolVersion: version,
      protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
      clientId: 'a',
      ca: authority.cert,
      reconnectPeriod: 0,
    });
    at.scope.add(() => client.endAsync(true));
    const got: string[] = [];
    client.on('message', (topic, payload) => got.push(`${topic} ${payload.toString().length}`));
    await client.subscribeAsync('t/#', { qos: 2 });
    for (const qos of [0, 1, 2] as const) await client.publishAsync(`t/${qos}`, 'x'.repeat(100_000), { qos });
    await until(() => got.length === 3, 'three messages');
    expect(got.toSorted()).toEqual(['t/0 100000', 't/1 100000', 't/2 100000']);
    await client.endAsync();
    await until(() => at.target.gateway.connectionCount === 0, 'the end');
  });
});

test('a connection that is refused for the limit of all counts for no listener [broker]', async () => {
  const target = await startGateway({ env: { SLUICE_MAX_CONNECTIONS: '1' } });
  const first = await open(target);
  const second = await open(target);
  await second.expectClosed();
  expect(target.counters.total(slotOf('connectionsRefused', 'limit'))).toBe(1);
  expect(target.counters.total(slotOf('connectionsRefused', 'listener-limit'))).toBe(0);
  first.destroy();
  await until(() => target.gateway.connectionCount === 0, 'room');
  const third = await open(target);
  third.send('c000');
  await third.expectClosed();
});
