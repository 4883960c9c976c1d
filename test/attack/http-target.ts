/**
 * A listening REST server over in-memory shards, and requests made of bytes. Runs in the test process.
 *
 * Always true: there is the queue `jobs`; `root` administers, `watcher` looks, the keys are `admin:1`, `viewer:1`,
 * `publisher:1`; nothing that an attack brought about is left when the test ends.
 */
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';

import { pino } from 'pino';

import { type ApiKeys } from '../../src/auth/api-key.js';
import type { HttpAccess } from '../../src/http/access.js';
import { startHttpServer } from '../../src/http/server.js';
import { CounterReader } from '../../src/telemetry/counter.js';
import { createLogging } from '../../src/telemetry/logger.js';
import { createFixture } from '../broker/fixture.js';
import { type Scope, testScope } from '../harness/scope.js';
import { within } from '../harness/wait.js';
import { fileKeys, openTestAccess, seedAccounts, type TestAccessOptions } from '../http/access-fixture.js';

/** What a test may want to differ. */
export interface HttpTargetOptions extends TestAccessOptions {
  readonly requestTimeoutMs?: number;
  readonly apiKeys?: ApiKeys;
}

/** The keys of every target that asks for keys. */
export const targetKeys = 'admin:1\nviewer:1:viewer\npublisher:1:publisher';

/** What an attack aims at. */
export interface HttpTarget {
  readonly port: number;
  readonly origin: string;
  readonly access: HttpAccess;
  readonly counters: CounterReader;
  /** Calls that reached a shard. */
  readonly calls: string[];
  readonly logged: string[];
}

/** Starts a target that ends with the running test, or with `scope`. It asks for keys unless `apiKeys` says otherwise. */
export async function startHttpTarget(
  options: HttpTargetOptions = {},
  scope: Scope = testScope(),
): Promise<HttpTarget> {
  const { requestTimeoutMs, ...accessOptions } = options;
  const fixture = await createFixture();
  scope.add(() => fixture.remove());
  const access = openTestAccess(await seedAccounts(join(fixture.folder, 'access')), {
    apiKeys: fileKeys(targetKeys),
    counterMemory: fixture.counterMemory,
    ...accessOptions,
  });
  const logged: string[] = [];
  const server = await startHttpServer({
    admin: fixture.admin,
    access,
    counterMemory: fixture.counterMemory,
    logging: createLogging({ level: 'silent', format: 'json' }),
    host: '127.0.0.1',
    port: 0,
    drainTimeoutMs: 0,
    version: '0.0.0-test',
    logger: pino({ level: 'info' }, { write: (line: string) => logged.push(line) }),
    ...(requestTimeoutMs !== undefined && { requestTimeoutMs }),
  });
  scope.add(() => server.close());
  await fixture.admin.createQueue({ name: 'jobs', topic_filter: 'jobs/#', is_lastvalue: false });
  fixture.shards.calls.length = 0;
  return {
    port: server.address.port,
    origin: `http://127.0.0.1:${server.address.port}`,
    access,
    counters: new CounterReader(fixture.counterMemory),
    calls: fixture.shards.calls,
    logged,
  };
}

/** A connection whose bytes are kept as text. */
export interface RawConnection {
  readonly socket: Socket;
  readonly text: () => string;
  /** Resolves when the server has closed it. */
  readonly closed: Promise<void>;
}

/** Opens a connection that ends with the running test. */
export async function openHttp(
  { port }: Pick<HttpTarget, 'port'>,
  localAddress = '127.0.0.1',
): Promise<RawConnection> {
  const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
  testScope().add(() => socket.destroy());
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
  });
  await within(new Promise((resolve) => void socket.once('connect', resolve)), 'a connection');
  return { socket, text: () => text, closed };
}

/** Sends bytes and gives all that came back until the server closed; what is no keep-alive ends by itself. */
export async function exchange(target: HttpTarget, bytes: string | Buffer): Promise<string> {
  const connection = await openHttp(target);
  connection.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  await within(connection.closed, `the end of the answer to ${JSON.stringify(String(bytes).slice(0, 80))}`);
  return connection.text();
}

/** Status of the first answer in a text; 0: there is none. */
export function statusOf(text: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
}

/** Lines of a request, and its body. `Host` and `Connection: close` are added unless they are named. */
export function requestOf(line: string, headers: readonly string[] = [], body = ''): string {
  const has = (name: string): boolean =>
    headers.some((header) => header.toLowerCase().startsWith(`${name}:`));
  const all = [
    line,
    ...(has('host') ? [] : ['Host: localhost']),
    ...(has('connection') ? [] : ['Connection: close']),
    ...headers,
  ];
  return `${all.join('\r\n')}\r\n\r\n${body}`;
}
