/**
 * A backup is taken under load by `sluice backup` and restored by `sluice restore` into another store and another number of
 * shards: every message acknowledged before the backup began is there, in order.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MqttClient } from 'mqtt';
import { expect, test } from 'vitest';
import { startBroker, temporaryDirectory, type Broker } from '../harness/broker.js';
import { runCommand } from '../harness/command.js';
import { nodeFlags } from '../harness/environment.js';
import { connectClient } from '../harness/mqtt-client.js';
import { type Scope, testScope } from '../harness/scope.js';
import { sleep, until } from '../harness/wait.js';

/** Where native add-ons are not allowed only the numbers of shards differ. */
const rocksdb = nodeFlags.includes('--no-addons') ? 'segment' : 'rocksdb';
const REGULAR = 6;
const KEYS = 5;
const PAYLOAD = 'x'.repeat(200);

/** Publishes without end, message by message per topic; knows what was acknowledged. */
class Load {
  /** By topic: numbers below it are acknowledged. */
  readonly acked = new Map<string, number>();
  #state: 'running' | 'stopped' = 'running';
  readonly #done: Promise<unknown>;

  constructor(client: MqttClient, topics: readonly string[]) {
    this.#done = Promise.all(topics.map((topic) => this.#run(client, topic)));
    // Whoever stops it hears of a failure; a test that fails before does not stop it.
    this.#done.catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#state = 'stopped';
    await this.#done;
  }

  async #run(client: MqttClient, topic: string): Promise<void> {
    for (let number = 0; this.#state === 'running';) {
      const burst = Array.from({ length: 20 }, (_, index) =>
        client.publishAsync(topic, `${number + index} ${PAYLOAD}`, { qos: 1 }),
      );
      await Promise.all(burst);
      number += burst.length;
      this.acked.set(topic, number);
    }
  }
}

async function sessionOf(scope: Scope, broker: Broker, clean: boolean) {
  return connectClient(scope, broker, { clientId: 'away', clean, protocolVersion: 4 });
}

/** Reads everything that waits for `$q/<filter>`, in the order of delivery. */
async function drain(
  scope: Scope,
  broker: Broker,
  filter: string,
): Promise<{ topic: string; number: number }[]> {
  const { messages } = (await broker.rest.stats(filter)) as { messages: number };
  const reader = await connectClient(scope, broker, { protocolVersion: 5 });
  await reader.client.subscribeAsync(`$q/${filter}`, { qos: 1 });
  const received = await reader.waitFor(messages);
  return received.map(({ topic, payload }) => ({ topic, number: Number(payload.split(' ')[0]) }));
}

test.each([
  { from: rocksdb, shards: '3', to: 'segment', toShards: '2' },
  { from: 'segment', shards: '1', to: rocksdb, toShards: '3' },
])(
  'a backup of $from under load, restored into $to, has every message acknowledged before it began [broker]',
  async ({ from, shards, to, toShards }) => {
    const scope = testScope();
    const broker = await startBroker(scope, { env: { SLUICE_STORE: from, SLUICE_SHARDS: shards } });
    const { rest } = broker;
    for (let queue = 0; queue < REGULAR; queue += 1) await rest.createQueue(`regular/${queue}`);
    await rest.createQueue('last/#', { is_lastvalue: true, key_expression: 'message.topic' });
    expect((await rest.put('/message_queues/config', { max_queue_count: 77 })).status).toBe(204);
    const away = await sessionOf(scope, broker, false);
    await away.client.subscribeAsync('inbox/#', { qos: 1 });
    await away.client.endAsync();
    const { client } = await connectClient(scope, broker);
    for (let number = 0; number < 30; number += 1) {
      await client.publishAsync(`inbox/${number}`, String(number), { qos: 1 });
    }
    await client.publishAsync('weather', 'rain', { qos: 1, retain: true });

    const regular = Array.from({ length: REGULAR }, (_, queue) => `regular/${queue}`);
    const last = Array.from({ length: KEYS }, (_, key) => `last/${key}`);
    const load = new Load(client, [...regular, ...last]);
    // One queue has a consumer, so that blocks go while the backup is read.
    const worker = await connectClient(scope, broker, { protocolVersion: 5 });
    await worker.client.subscribeAsync('$q/regular/0', { qos: 1 });
    await until(() => regular.every((topic) => (load.acked.get(topic) ?? 0) > 600), 'a backlog');

    const before = new Map(load.acked);
    const folder = await temporaryDirectory(scope);
    const file = join(folder, 'b.backup');
    const url = `http://127.0.0.1:${broker.httpPort}`;
    const taken = await runCommand(scope, ['backup', file, '--url', url, '--json']);
    expect(taken).toMatchObject({ code: 0 });
    expect(JSON.parse(taken.out)).toMatchObject({ file, bytes: statSync(file).size, queues: 7, store: from });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await sleep(200);
    await load.stop();
    const handedOut = worker.received.length;
    await broker.kill();

    const dataDir = join(folder, 'restored');
    const env = { SLUICE_DATA_DIR: dataDir, SLUICE_STORE: to, SLUICE_SHARDS: toShards };
    const restored = await runCommand(scope, ['restore', file, '--json'], env);
    expect(restored).toMatchObject({ code: 0 });
    expect(JSON.parse(restored.out)).toMatchObject({ queues: 7, store: to, shards: Number(toShards) });
    const copy = await startBroker(scope, { dataDir, env });
    expect((await copy.rest.get('/message_queues/config')).body).toMatchObject({ max_queue_count: 77 });

    for (const topic of regular) {
      const numbers = (await drain(scope, copy, topic)).map(({ number }) => number);
      const acked = before.get(topic) ?? 0;
      // Without gaps and in order, from the first that no consumer had acknowledged to at least the last acknowledged one.
      const [first = 0] = numbers;
      expect(numbers, topic).toEqual(numbers.map((_, index) => first + index));
      const hasWorker = topic === 'regular/0';
      // The worker may have been done with all there was.
      expect(numbers.at(-1) ?? (hasWorker ? handedOut : -1), topic).toBeGreaterThanOrEqual(acked - 1);
      if (hasWorker) expect(first).toBeLessThanOrEqual(handedOut);
      else expect(first, topic).toBe(0);
    }
    const values = await drain(scope, copy, 'last/#');
    expect(values.map(({ topic }) => topic).toSorted()).toEqual(last);
    for (const { topic, number } of values)
      expect(number, topic).toBeGreaterThanOrEqual((before.get(topic) ?? 0) - 1);

    const back = await sessionOf(scope, copy, false);
    expect((await back.waitFor(30)).map(({ payload }) => payload)).toEqual(
      Array.from({ length: 30 }, (_, n) => String(n)),
    );
    const looker = await connectClient(scope, copy);
    await looker.client.subscribeAsync('weather');
    expect((await looker.waitFor(1))[0]?.payload).toBe('rain');
  },
);

test('a backup is refused for what it would replace, and a damaged one restores nothing [broker]', async () => {
  const scope = testScope();
  const broker = await startBroker(scope, { env: { SLUICE_SHARDS: '1', SLUICE_STORE: 'segment' } });
  await broker.rest.createQueue('jobs');
  const folder = await temporaryDirectory(scope);
  const file = join(folder, 'b.backup');
  const url = `http://127.0.0.1:${broker.httpPort}`;
  const env = { SLUICE_DATA_DIR: join(folder, 'restored'), SLUICE_STORE: 'segment', SLUICE_SHARDS: '1' };
  expect(await runCommand(scope, ['backup', file, '--url', url])).toMatchObject({ code: 0, err: '' });
  expect((await runCommand(scope, ['backup', file, '--url', url])).code).toBe(2);

  const damaged = join(folder, 'damaged.backup');
  writeFileSync(damaged, readFileSync(file).subarray(0, -1));
  const refused = await runCommand(scope, ['restore', damaged], env);
  expect(refused.code).toBe(1);
  expect(refused.err).toContain('ERR_BACKUP_DAMAGED');
  expect(existsSync(env.SLUICE_DATA_DIR)).toBe(false);

  const running = await runCommand(scope, ['restore', file, '--force'], {
    ...env,
    SLUICE_DATA_DIR: broker.dataDir,
  });
  expect(running.err).toContain('a broker runs in');
  expect((await broker.rest.stats('jobs'))['messages']).toBe(0);
});

test('a download that nobody reads on is let go when its connection ends, and the next one begins [broker]', async () => {
  const scope = testScope();
  const broker = await startBroker(scope, { env: { SLUICE_SHARDS: '1', SLUICE_STORE: 'segment' } });
  await broker.rest.createQueue('big');
  const { client } = await connectClient(scope, broker);
  const payload = randomBytes(500_000);
  for (let number = 0; number < 60; number += 1) await client.publishAsync('big', payload, { qos: 1 });
  const url = `http://127.0.0.1:${broker.httpPort}/api/v5/data/backup`;
  const abort = new AbortController();
  const first = await fetch(url, { method: 'POST', signal: abort.signal });
  expect(first.status).toBe(200);
  const second = await fetch(url, { method: 'POST' });
  expect(second.status).toBe(409);
  expect(await second.json()).toMatchObject({ code: 'BACKUP_REFUSED' });
  abort.abort();
  await until(async () => {
    const next = await fetch(url, { method: 'POST' });
    await next.arrayBuffer();
    return next.status === 200;
  }, 'the first backup to be let go');
});
