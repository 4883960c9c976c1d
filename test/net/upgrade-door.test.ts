/** MQTT through the HTTP server of somebody else in the process: the door of the dashboard's client. Quick tier. */
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

import { expect, test } from 'vitest';
import { createWebSocketStream, WebSocket } from 'ws';

import { slotOf } from '../../src/telemetry/counter-layout.js';
import { until } from '../harness/wait.js';
import { FactsCollector } from './facts.js';
import { connect, startGateway, type TestGateway, type TestGatewayOptions } from './test-gateway.js';
import { StreamClient } from './transports.js';

/** A gateway and a server that hands every upgrade to it. */
async function startDoor(options: TestGatewayOptions = {}): Promise<{ target: TestGateway; url: string }> {
  const target = await startGateway(options);
  const server = createServer();
  server.on('upgrade', (request, socket, head) =>
    target.gateway.takeUpgrade(request, socket as Socket, head),
  );
  target.scope.add(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { target, url: `ws://127.0.0.1:${port}/mqtt` };
}

interface Outcome {
  readonly client: StreamClient | undefined;
  /** Why there is no client. */
  readonly fault: string;
}

async function open(
  { target, url }: { target: TestGateway; url: string },
  origin = 'http://localhost:18083',
): Promise<Outcome> {
  const socket = new WebSocket(url, ['mqtt', 'sluice-token.secret'], { origin });
  target.scope.add(() => socket.terminate());
  return new Promise((resolve) => {
    socket.once('open', () =>
      resolve({ client: new StreamClient(createWebSocketStream(socket)), fault: '' }),
    );
    socket.on('error', ({ message }) => resolve({ client: undefined, fault: message }));
  });
}

test('a client that came through the door publishes and subscribes like any other [broker]', async () => {
  const door = await startDoor();
  const { client } = await open(door);
  await client!.login('page');
  expect(await client!.subscribe('from/tcp', 0)).toBe(0);
  const other = await connect(door.target, 'other');
  await other.subscribe('from/page', 0);
  client!.send({ cmd: 'publish', topic: 'from/page', payload: 'a', qos: 0, dup: false, retain: false });
  expect((await other.expect('publish')).payload.toString()).toBe('a');
  other.send({ cmd: 'publish', topic: 'from/tcp', payload: 'b', qos: 0, dup: false, retain: false });
  expect((await client!.expect('publish')).payload.toString()).toBe('b');
  expect(door.target.gateway.connectionCount).toBe(2);
});

test('access rules know where it came from, and a page of another site is no local peer [broker]', async () => {
  const facts = new FactsCollector();
  const door = await startDoor({ hooks: { authenticator: facts } });
  await (await open(door)).client!.login('own');
  await (await open(door, 'https://example.com')).client!.login('foreign');
  expect(facts.of('own')).toMatchObject({ listener: 'dashboard', isLoopback: true, secure: false });
  expect(facts.of('foreign')).toMatchObject({ listener: 'dashboard', isLoopback: false });
});

test('the limit of connections holds at the door, too, and what is refused is counted [broker]', async () => {
  const door = await startDoor({ env: { SLUICE_MAX_CONNECTIONS: '1' } });
  await (await open(door)).client!.login('first');
  expect((await open(door)).client).toBeUndefined();
  expect(door.target.counters.total(slotOf('connectionsRefused', 'limit'))).toBe(1);
  expect(door.target.gateway.connectionCount).toBe(1);
});

test('a connection counts for its address until it closes [broker]', async () => {
  const door = await startDoor({ env: { SLUICE_CONNECTIONS_PER_ADDRESS: '1' } });
  const { client } = await open(door);
  await client!.login('first');
  expect((await open(door)).client).toBeUndefined();
  expect(door.target.counters.total(slotOf('connectionsRefused', 'address-limit'))).toBe(1);
  client!.stream.destroy();
  await until(() => door.target.gateway.connectionCount === 0, 'the end of the first connection');
  expect((await open(door)).client).toBeDefined();
});

test('who upgrades and then stays silent is closed by the clock of connections [broker]', async () => {
  const door = await startDoor({ env: { SLUICE_CONNECT_TIMEOUT_MS: '100' } });
  const { client } = await open(door);
  await client!.expectClosed();
  expect(door.target.gateway.connectionCount).toBe(0);
});

test('the door is shut while the gateway drains [broker]', async () => {
  const door = await startDoor();
  await door.target.gateway.drain();
  expect((await open(door)).client).toBeUndefined();
  expect(door.target.gateway.connectionCount).toBe(0);
});
